//! Typed operations on the cluster, as calls of the client.
//!
//! Invariants
//! * Each topic that a call names has one result, in the order given, whatever answers name.
//! * What the controller took is not sent again because of what it did not take.

use super::client::Client;
use super::wait::{TopicWait, alarm, call, partition as partition_wait, until};
use crate::declare::checks::millis;
use crate::error::{Error, ErrorKind, Result};
use crate::machine::{Target, Time};
use crate::reader::Start;
use crate::snapshot::{Node, TopicPartition};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use kafka_proto::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse};
use kafka_proto::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use kafka_proto::messages::metadata::MetadataRequest;
use kafka_proto::{ApiKey, Request, Str, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const NO_PARTITION: &str = "no such partition";

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

    /// Brokers of old take none for a count.
    fn has_partitions(&self) -> bool {
        self.partitions != 0
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

impl Client {
    /// Creates topics, and waits until brokers know them. One that exists already is an error of its own. What may pass is
    /// tried again for the topics it is true of, until the call timeout.
    ///
    /// # Errors
    /// The outer one when the controller could not be asked; the inner ones by topic, in the order given, also where one was
    /// created and brokers do not know it in time.
    ///
    /// # Cancel safety
    /// Once it was polled the topics may be created, whether or not it is dropped.
    pub async fn create_topics(
        &self,
        topics: impl IntoIterator<Item = NewTopic>,
    ) -> Result<Vec<(Str, Result<()>)>> {
        let topics: Vec<NewTopic> = topics.into_iter().collect();
        let sound: Vec<NewTopic> = topics.iter().filter(|topic| topic.has_partitions()).cloned().collect();
        let mut asked = match sound.is_empty() {
            true => Vec::new().into_iter(),
            false => self.ask_to_create(sound).await?.into_iter(),
        };
        let result = |topic: NewTopic| match topic.has_partitions() {
            true => asked.next(),
            false => {
                let error = Error::config("partitions", "a topic needs at least one partition");
                Some((topic.name.clone(), Err(error.with_topic(&topic.name))))
            }
        };
        Ok(topics.into_iter().filter_map(result).collect())
    }

    async fn ask_to_create(&self, topics: Vec<NewTopic>) -> Result<Vec<(Str, Result<()>)>> {
        let (timeout_ms, deadline) = (self.timeout_ms(), self.deadline());
        let request = |open: &BTreeSet<Str>| {
            let open = topics.iter().filter(|topic| open.contains(&topic.name));
            let topics = open.map(creatable).collect();
            CreateTopicsRequest { topics, timeout_ms, ..CreateTopicsRequest::default() }
        };
        let names = topics.iter().map(|topic| topic.name.clone()).collect();
        // Brokers are asked about those that are there while others are tried again.
        let mut waits = BTreeMap::new();
        let decided = |name: &Str, result: &Result<Uuid>| {
            if is_there(result) {
                let (now, id) = (self.handle.now(), result.as_ref().ok().copied());
                waits.insert(name.clone(), TopicWait::new(self.handle.shared(), name, deadline));
                self.handle.with(|state| state.core.topic_made(now, name, id));
            }
        };
        let mut results = self.ask_by_topic(names, request, decided, deadline).await?;
        for (name, wait) in waits {
            // Who may create a topic need not be allowed to see it.
            let unknown = wait.await.err().filter(|e| e.code() != Some(ErrorCode::TopicAuthorizationFailed));
            let of_it = results.iter_mut().filter(|(of, result)| *of == name && result.is_ok());
            if let Some(error) = unknown {
                of_it.for_each(|(_, result)| *result = Err(error.clone()));
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

    /// Deletes topics. What may pass is tried again for the topics it is true of, until the call timeout.
    ///
    /// # Errors
    /// The outer one when the controller could not be asked; the inner ones by topic, in the order given.
    pub async fn delete_topics(
        &self,
        names: impl IntoIterator<Item = impl Into<Str>>,
    ) -> Result<Vec<(Str, Result<()>)>> {
        let (timeout_ms, deadline) = (self.timeout_ms(), self.deadline());
        let request = |open: &BTreeSet<Str>| {
            let topic = |name: &Str| DeleteTopicState { name: Some(name.clone()), ..Default::default() };
            let topics = open.iter().map(topic).collect();
            DeleteTopicsRequest { topics, timeout_ms, ..DeleteTopicsRequest::default() }
        };
        let names = names.into_iter().map(Into::into).collect();
        let decided = |name: &Str, result: &Result<Uuid>| {
            if let Ok(id) = *result {
                let now = self.handle.now();
                self.handle.with(|state| state.core.topic_deleted(now, name, id));
            }
        };
        self.ask_by_topic(names, request, decided, deadline).await
    }

    /// Asks the controller about topics: again about those whose trouble may pass. Each ends in one result.
    async fn ask_by_topic<R: Request<Response: ByTopic>>(
        &self,
        names: Vec<Str>,
        request: impl Fn(&BTreeSet<Str>) -> R,
        mut decided: impl FnMut(&Str, &Result<Uuid>),
        deadline: Time,
    ) -> Result<Vec<(Str, Result<()>)>> {
        let api = R::KEY;
        let begun = self.handle.now().time;
        let mut open: BTreeSet<Str> = names.iter().cloned().collect();
        let mut results: BTreeMap<Str, Result<()>> = BTreeMap::new();
        for attempt in 0.. {
            let timeout = Some(deadline.duration_since(self.handle.now().time));
            let asked = request(&open);
            let response = match call(self.handle.shared(), Target::Controller, asked, timeout).await {
                Ok(response) => response,
                Err(error) if attempt == 0 => return Err(error),
                // What stood in the way of each is known.
                Err(error) if matches!(error.kind(), ErrorKind::TimedOut { .. }) => break,
                Err(error) => {
                    let failed = std::mem::take(&mut open).into_iter();
                    results.extend(failed.map(|name| (name.clone(), Err(error.clone().with_topic(&name)))));
                    break;
                }
            };
            let mut asked = open.clone();
            for (name, told) in response.by_topic() {
                if !asked.remove(&name) {
                    continue;
                }
                let told = told.map_err(|error| error.with_api(api));
                if !told.as_ref().is_err_and(may_pass) {
                    open.remove(&name);
                    decided(&name, &told);
                }
                results.insert(name, told.map(|_| ()));
            }
            results.extend(asked.into_iter().map(|name| (name.clone(), Err(lacking(api).with_topic(&name)))));
            if open.is_empty() {
                break;
            }
            let wait = self.handle.with(|state| state.core.backoff(attempt));
            let at = self.handle.now().time + wait;
            if at >= deadline {
                break;
            }
            self.handle.with(|state| state.core.refresh_metadata());
            alarm(self.handle.shared(), at).await;
        }
        let after = self.handle.now().time.duration_since(begun);
        for name in open {
            let last = results.get(&name).and_then(|result| result.as_ref().err()).cloned();
            let late = Error::new(ErrorKind::TimedOut { after, last }).with_api(api).with_topic(&name);
            results.insert(name, Err(late));
        }
        Ok(names.into_iter().filter_map(|name| Some((name.clone(), results.get(&name)?.clone()))).collect())
    }

    /// The cluster's id, controller and brokers.
    ///
    /// # Errors
    /// No broker answered within the call timeout.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription> {
        let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
        let response = call(self.handle.shared(), Target::Any, request, None).await?;
        let node = |b: &kafka_proto::messages::metadata::MetadataResponseBroker| {
            Node::told(b.node_id, &b.host, b.port, b.rack.as_ref())
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
        at.validate().map_err(|error| error.with_partition(&topic, partition))?;
        let timestamp = match at {
            Start::First => -2,
            Start::Last => -1,
            Start::Time(ms) => ms,
            Start::At { offset, .. } => return Ok(Some(offset)),
            _ => return Err(Error::new(ErrorKind::Misuse("no place whose offset can be asked for"))),
        };
        let (deadline, mut last, mut attempt) = (self.deadline(), None, 0);
        let mut is_looked_for = false;
        loop {
            let now = self.handle.now().time;
            if now >= deadline {
                let error = Error::new(ErrorKind::TimedOut { after: self.call_timeout(), last });
                return Err(error.with_api(ApiKey::ListOffsets).with_partition(&topic, partition));
            }
            match self.try_list_offset(&topic, partition, timestamp, deadline).await {
                Ok(Some(offset)) => return Ok((offset >= 0).then_some(offset)),
                Ok(None) => last = Some(lacking(ApiKey::ListOffsets).with_partition(&topic, partition)),
                Err(error) if error.is_retriable() => last = trouble(error).or(last),
                // The topic may have got it just now.
                Err(error) if is_no_partition(&error) && partition >= 0 && !is_looked_for => {
                    is_looked_for = true;
                    if !self.look_for(&TopicPartition::new(topic.clone(), partition), deadline).await {
                        return Err(error);
                    }
                    continue;
                }
                Err(error) => return Err(error),
            }
            self.handle.with(|state| state.core.refresh_metadata());
            let backoff = self.handle.with(|state| state.core.backoff(attempt));
            attempt += 1;
            let again = (self.handle.now().time + backoff).min(deadline);
            alarm(self.handle.shared(), again).await;
        }
    }

    /// Whether a partition comes before the deadline, and before it has been missing for longer than a topic may be.
    async fn look_for(&self, named: &TopicPartition, deadline: Time) -> bool {
        let shared = self.handle.shared();
        until(shared, deadline, partition_wait(shared, named, None, || true)).await.unwrap_or(false)
    }

    /// The offset that the leader tells, -1 where there is none; `None` where its answer lacks the partition.
    async fn try_list_offset(
        &self,
        topic: &Str,
        partition: i32,
        timestamp: i64,
        deadline: Time,
    ) -> Result<Option<i64>> {
        let snapshot = TopicWait::new(self.handle.shared(), topic, deadline).await?;
        let place = usize::try_from(partition).ok().and_then(|p| snapshot.partitions.get(p));
        let fail =
            |code| Err(Error::of_code(code).with_api(ApiKey::ListOffsets).with_partition(topic, partition));
        let Some(place) = place else {
            let count = snapshot.partitions.len();
            let detail = format!("the topic has {count} partitions");
            return Err(Error::new(ErrorKind::Misuse(NO_PARTITION))
                .with_partition(topic, partition)
                .with_detail(detail));
        };
        let Some(leader) = place.leader else { return fail(ErrorCode::LeaderNotAvailable) };
        let asked = ListOffsetsPartition {
            partition_index: partition,
            current_leader_epoch: place.leader_epoch.unwrap_or(-1),
            timestamp,
            ..ListOffsetsPartition::default()
        };
        let topics =
            vec![ListOffsetsTopic { name: topic.clone(), partitions: vec![asked], ..Default::default() }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..ListOffsetsRequest::default() };
        let timeout = Some(deadline.duration_since(self.handle.now().time));
        let response = call(self.handle.shared(), Target::node(leader), request, timeout).await?;
        let of_topic = response.topics.iter().filter(|told| told.name == *topic);
        let told = of_topic.flat_map(|told| &told.partitions).find(|p| p.partition_index == partition);
        match told.map(|told| (ErrorCode::from(told.error_code), told.offset)) {
            None => Ok(None),
            Some((ErrorCode::None, offset)) => Ok(Some(offset)),
            Some((code, _)) => fail(code),
        }
    }

    /// When a call that begins now ends.
    fn deadline(&self) -> Time {
        self.handle.now().time + self.call_timeout()
    }

    fn call_timeout(&self) -> Duration {
        self.handle.with(|state| state.core.config().call_timeout)
    }

    fn timeout_ms(&self) -> i32 {
        let timeout = self.handle.with(|state| state.core.config().request_timeout);
        millis(timeout)
    }
}

/// Whether a topic lacks the partition that was asked about.
fn is_no_partition(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Misuse(NO_PARTITION))
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
fn is_there(result: &Result<Uuid>) -> bool {
    result.as_ref().err().is_none_or(|error| error.code() == Some(ErrorCode::TopicAlreadyExists))
}

/// A response with a result for each topic.
trait ByTopic {
    /// What it says of each topic, with its id where it tells one.
    fn by_topic(self) -> Vec<(Str, Result<Uuid>)>;
}

impl ByTopic for CreateTopicsResponse {
    fn by_topic(self) -> Vec<(Str, Result<Uuid>)> {
        let topics = self.topics.into_iter();
        topics.map(|t| with_outcome(t.name, t.topic_id, t.error_code, t.error_message)).collect()
    }
}

impl ByTopic for DeleteTopicsResponse {
    fn by_topic(self) -> Vec<(Str, Result<Uuid>)> {
        let topics = self.responses.into_iter();
        let name = Option::unwrap_or_default;
        topics.map(|t| with_outcome(name(t.name), t.topic_id, t.error_code, t.error_message)).collect()
    }
}

fn with_outcome(name: Str, id: Uuid, code: i16, message: Option<Str>) -> (Str, Result<Uuid>) {
    let result = outcome(code, &name, message).map(|()| id);
    (name, result)
}

fn outcome(code: i16, topic: &Str, message: Option<Str>) -> Result<()> {
    match ErrorCode::from(code) {
        ErrorCode::None => Ok(()),
        code => {
            let error = Error::of_code(code).with_topic(topic);
            Err(match message {
                Some(message) => error.with_detail(message),
                None => error,
            })
        }
    }
}

/// Whether a topic may be asked about again. That it is not there is an answer, and what timed out at the controller may be done
/// yet: it would then be said to exist, or not to.
fn may_pass(error: &Error) -> bool {
    use ErrorCode::{RequestTimedOut, UnknownTopicId, UnknownTopicOrPartition};
    let is_answer = matches!(error.code(), Some(RequestTimedOut | UnknownTopicId | UnknownTopicOrPartition));
    error.is_retriable() && !is_answer
}

/// An answer that does not name what it was asked for.
fn lacking(api: ApiKey) -> Error {
    Error::of_code(ErrorCode::UnknownServerError)
        .with_api(api)
        .with_detail(Str::from_static("the answer lacks it"))
}

#[cfg(test)]
mod tests;
