//! Typed operations on the cluster, as calls of the client.

use super::client::Client;
use super::wait::{Alarm, TopicWait, call};
use crate::client::cluster::Node;
use crate::client::machine::Target;
use crate::client::{CallSpec, no_code};
use crate::error::{Error, ErrorKind, Result};
use crate::reader::Start;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use kafka_proto::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use kafka_proto::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use kafka_proto::messages::metadata::MetadataRequest;
use kafka_proto::{ApiKey, RequestKind, ResponseKind, Str};
use std::time::{Duration, Instant};

/// A topic to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct NewTopic {
    name: Str,
    partitions: i32,
    replication_factor: i16,
    configs: Vec<(Str, Option<Str>)>,
}

impl NewTopic {
    /// A topic with the broker's default number of replicas (2.4+), or one where the broker has no default.
    pub fn new(name: impl Into<Str>, partitions: i32) -> Self {
        Self { name: name.into(), partitions, replication_factor: -1, configs: Vec::new() }
    }

    /// How many replicas each partition has. Default the broker's.
    pub fn replication_factor(mut self, factor: i16) -> Self {
        self.replication_factor = factor;
        self
    }

    /// A setting of the topic, such as `cleanup.policy`.
    pub fn config(mut self, name: impl Into<Str>, value: impl Into<Str>) -> Self {
        self.configs.push((name.into(), Some(value.into())));
        self
    }
}

/// What a broker tells of its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterDescription {
    /// The cluster's id (0.10.1+).
    pub id: Option<Str>,
    /// The controller, or a broker that forwards to it.
    pub controller: Option<i32>,
    /// The brokers that are up, by id.
    pub brokers: Vec<Node>,
}

impl<R> Client<R> {
    /// Creates topics, and waits until brokers know them. One that exists already is an error of its own.
    ///
    /// # Errors
    /// The outer one when the controller could not be asked; the inner ones by topic, also where one was created and
    /// brokers do not know it in time.
    ///
    /// # Cancel safety
    /// Once it was polled the topics may be created, whether or not it is dropped.
    pub async fn create_topics(
        &self,
        topics: impl IntoIterator<Item = NewTopic>,
    ) -> Result<Vec<(Str, Result<()>)>> {
        let topics: Vec<NewTopic> = topics.into_iter().collect();
        if let Some(topic) = topics.iter().find(|t| t.partitions == 0) {
            let error =
                Error::config("partitions", "a topic needs at least one partition").topic(&topic.name);
            return Err(error);
        }
        let request = CreateTopicsRequest {
            topics: topics.iter().map(creatable).collect(),
            timeout_ms: self.timeout_ms(),
            ..CreateTopicsRequest::default()
        };
        let deadline = self.deadline();
        let response = self.ask(Target::Controller, request, create_topics_code).await?;
        let ResponseKind::CreateTopics(response) = response else { return Err(unexpected(&response)) };
        let mut results: Vec<(Str, Result<()>)> = response
            .topics
            .into_iter()
            .map(|t| (t.name.clone(), outcome(t.error_code, ApiKey::CreateTopics, &t.name, t.error_message)))
            .collect();
        let now = self.handle.now();
        let there = results.iter().filter(|(_, result)| is_there(result)).map(|(name, _)| name);
        self.handle.with(|state| there.for_each(|name| state.core.expect_topic(now, name)));
        for (name, result) in results.iter_mut().filter(|(_, result)| is_there(result)) {
            let known = TopicWait::new(self.handle.shared(), name, deadline).await;
            // Who may create a topic need not be allowed to see it.
            let unknown = known.err().filter(|e| e.code() != Some(ErrorCode::TopicAuthorizationFailed));
            if let (Ok(()), Some(error)) = (&*result, unknown) {
                *result = Err(error);
            }
        }
        Ok(results)
    }

    /// Creates one topic; one that exists already is no error.
    ///
    /// # Errors
    /// Why it could not be created.
    pub async fn create_topic(&self, topic: NewTopic) -> Result<()> {
        let results = self.create_topics([topic]).await?;
        let result = results.into_iter().next().map_or(Ok(()), |(_, result)| result);
        match result {
            Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => Ok(()),
            other => other,
        }
    }

    /// Deletes topics.
    ///
    /// # Errors
    /// The outer one when the controller could not be asked; the inner ones by topic.
    pub async fn delete_topics(
        &self,
        names: impl IntoIterator<Item = impl Into<Str>>,
    ) -> Result<Vec<(Str, Result<()>)>> {
        let topic = |name| DeleteTopicState { name: Some(name), ..DeleteTopicState::default() };
        let request = DeleteTopicsRequest {
            topics: names.into_iter().map(|n| topic(n.into())).collect(),
            timeout_ms: self.timeout_ms(),
            ..DeleteTopicsRequest::default()
        };
        let response = self.ask(Target::Controller, request, delete_topics_code).await?;
        let ResponseKind::DeleteTopics(response) = response else { return Err(unexpected(&response)) };
        let one = |t: kafka_proto::messages::delete_topics::DeletableTopicResult| {
            let name = t.name.unwrap_or_default();
            let result = outcome(t.error_code, ApiKey::DeleteTopics, &name, t.error_message);
            (name, result)
        };
        Ok(response.responses.into_iter().map(one).collect())
    }

    /// The cluster's id, controller and brokers.
    ///
    /// # Errors
    /// No broker answered within the call timeout.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription> {
        let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
        let response = self.ask(Target::Any, request, no_code).await?;
        let ResponseKind::Metadata(response) = response else { return Err(unexpected(&response)) };
        let node = |b: &kafka_proto::messages::metadata::MetadataResponseBroker| {
            let port = u16::try_from(b.port).ok()?;
            Some(Node { id: b.node_id, host: b.host.clone(), port, rack: b.rack.clone() })
        };
        let mut brokers: Vec<Node> = response.brokers.iter().filter_map(node).collect();
        brokers.sort_by_key(|b| b.id);
        let controller = (response.controller_id >= 0).then_some(response.controller_id);
        Ok(ClusterDescription { id: response.cluster_id, controller, brokers })
    }

    /// The offset of a place in a partition: its first, the one after its last, or that of the first message from a time on
    /// (`None` where there is none so late).
    ///
    /// # Errors
    /// The partition does not exist, or its leader did not answer within the call timeout.
    pub async fn list_offset(&self, topic: impl Into<Str>, partition: i32, at: Start) -> Result<Option<i64>> {
        let topic = topic.into();
        at.validate().map_err(|error| error.partition(&topic, partition))?;
        let timestamp = match at {
            Start::First => -2,
            Start::Last => -1,
            Start::Time(ms) => ms,
            Start::At { offset, .. } => return Ok(Some(offset)),
            _ => return Err(Error::new(ErrorKind::Misuse("no place whose offset can be asked for"))),
        };
        let (deadline, mut last) = (self.deadline(), None);
        loop {
            let now = self.handle.now().instant;
            if now >= deadline {
                let error = Error::new(ErrorKind::TimedOut { after: self.call_timeout(), last });
                return Err(error.api(ApiKey::ListOffsets).partition(&topic, partition));
            }
            match self.try_list_offset(&topic, partition, timestamp, deadline).await {
                Err(error) if error.is_retriable() => last = trouble(error).or(last),
                result => return result,
            }
            self.handle.with(|state| state.core.refresh_metadata());
            let backoff = self.handle.with(|state| state.core.config().retry_backoff);
            let again = (self.handle.now().instant + backoff).min(deadline);
            Alarm::new(self.handle.shared(), again).await;
        }
    }

    async fn try_list_offset(
        &self,
        topic: &Str,
        partition: i32,
        timestamp: i64,
        deadline: Instant,
    ) -> Result<Option<i64>> {
        let snapshot = TopicWait::new(self.handle.shared(), topic, deadline).await?;
        let place = usize::try_from(partition).ok().and_then(|p| snapshot.partitions.get(p));
        let fail = |code| Err(Error::broker(code).api(ApiKey::ListOffsets).partition(topic, partition));
        let Some(place) = place else {
            let count = snapshot.partitions.len();
            let detail = format!("the topic has {count} partitions");
            return Err(Error::new(ErrorKind::Misuse("no such partition"))
                .partition(topic, partition)
                .detail(detail));
        };
        let Some(leader) = place.leader else { return fail(ErrorCode::LeaderNotAvailable) };
        let asked = ListOffsetsPartition {
            partition_index: partition,
            current_leader_epoch: place.leader_epoch,
            timestamp,
            ..ListOffsetsPartition::default()
        };
        let topics =
            vec![ListOffsetsTopic { name: topic.clone(), partitions: vec![asked], ..Default::default() }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..ListOffsetsRequest::default() };
        let timeout = Some(deadline.saturating_duration_since(self.handle.now().instant));
        let spec =
            CallSpec { target: Target::Broker(leader), request: request.into(), timeout, code: no_code };
        let response = call(self.handle.shared(), spec).await?;
        let ResponseKind::ListOffsets(response) = response else { return Err(unexpected(&response)) };
        let Some(told) = response.topics.first().and_then(|t| t.partitions.first()) else {
            return fail(ErrorCode::UnknownServerError);
        };
        match ErrorCode::from(told.error_code) {
            ErrorCode::None => Ok((told.offset >= 0).then_some(told.offset)),
            code => fail(code),
        }
    }

    async fn ask(
        &self,
        target: Target,
        request: impl Into<RequestKind>,
        code: fn(&ResponseKind) -> ErrorCode,
    ) -> Result<ResponseKind> {
        call(self.handle.shared(), CallSpec { target, request: request.into(), timeout: None, code }).await
    }

    /// When a call that begins now ends.
    fn deadline(&self) -> Instant {
        self.handle.now().instant + self.call_timeout()
    }

    fn call_timeout(&self) -> Duration {
        self.handle.with(|state| state.core.config().call_timeout)
    }

    fn timeout_ms(&self) -> i32 {
        let timeout = self.handle.with(|state| state.core.config().request_timeout);
        i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
    }
}

/// What stood in the way of an attempt, where that is known.
fn trouble(error: Error) -> Option<Error> {
    match error.kind() {
        ErrorKind::TimedOut { last, .. } => last.clone(),
        _ => Some(error),
    }
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let config = |(name, value): &(Str, Option<Str>)| CreatableTopicConfig {
        name: name.clone(),
        value: value.clone(),
        ..CreatableTopicConfig::default()
    };
    CreatableTopic {
        name: topic.name.clone(),
        num_partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        configs: topic.configs.iter().map(config).collect(),
        ..CreatableTopic::default()
    }
}

/// Whether the controller's answer says that the topic exists.
fn is_there(result: &Result<()>) -> bool {
    result.as_ref().err().is_none_or(|error| error.code() == Some(ErrorCode::TopicAlreadyExists))
}

fn outcome(code: i16, api: ApiKey, topic: &Str, message: Option<Str>) -> Result<()> {
    match ErrorCode::from(code) {
        ErrorCode::None => Ok(()),
        code => {
            let error = Error::broker(code).api(api).topic(topic);
            Err(match message {
                Some(message) => error.detail(message),
                None => error,
            })
        }
    }
}

/// Asked again as a whole where the controller moved; what failed for one topic is that topic's.
fn create_topics_code(response: &ResponseKind) -> ErrorCode {
    let ResponseKind::CreateTopics(response) = response else { return ErrorCode::None };
    not_controller(response.topics.iter().map(|t| t.error_code))
}

fn delete_topics_code(response: &ResponseKind) -> ErrorCode {
    let ResponseKind::DeleteTopics(response) = response else { return ErrorCode::None };
    not_controller(response.responses.iter().map(|t| t.error_code))
}

fn not_controller(codes: impl Iterator<Item = i16>) -> ErrorCode {
    codes.map(ErrorCode::from).find(|code| *code == ErrorCode::NotController).unwrap_or(ErrorCode::None)
}

fn unexpected(response: &ResponseKind) -> Error {
    crate::client::requests::unexpected(response)
}
