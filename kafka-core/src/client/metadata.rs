//! When metadata is asked for, and what of an answer is believed.
//!
//! Invariants
//! * A topic that one answer lacks changes nothing until it has been missing for the grace period, on two brokers where there are two.
//! * A partition never goes back to an older leader epoch of the same topic id.
//! * A hint refreshes at once, but not more often than the retry backoff allows.

use super::cluster::{Cluster, Node, Partition, Topic};
use super::config::ClientConfig;
use super::random::Random;
use crate::error::{ConnectionError, Error};
use crate::trace::{Told, Traces};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_proto::{ApiKey, Str};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Metadata {
    pub(crate) cluster: Cluster,
    /// Topics somebody needs, with the number of those who do.
    wanted: BTreeMap<Str, usize>,
    /// Topics that answers lacked.
    missing: BTreeMap<Str, Missing>,
    /// Topics that answers refused for good.
    refused: BTreeMap<Str, Error>,
    in_flight: bool,
    /// Something is known to be out of date.
    stale: bool,
    last_attempt: Option<Instant>,
    last_success: Option<Instant>,
    /// Attempts in a row that left something open.
    attempts: u32,
    pub(super) traces: Traces,
}

#[derive(Debug)]
struct Missing {
    since: Instant,
    /// When an answer lacked it last.
    last: Instant,
    brokers: BTreeSet<i32>,
    code: ErrorCode,
}

/// What is known of a topic that a call needs.
#[derive(Clone, Debug)]
pub enum TopicState {
    /// It exists.
    Known(Arc<Topic>),
    /// It was asked for.
    Pending,
    /// It cannot be had.
    Failed(Error),
}

/// What an answer changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Topics with another snapshot, or another state, than before.
    pub(crate) topics: Vec<Str>,
}

impl Metadata {
    /// Somebody needs `topic`; whether it has to be asked for.
    pub(crate) fn want(&mut self, topic: &Str) {
        *self.wanted.entry(topic.clone()).or_default() += 1;
        if !self.cluster.topics.contains_key(topic) {
            self.stale = true;
        }
    }

    /// The controller said that the topic exists. What brokers said before counts no more, and they are asked at once.
    pub(crate) fn expect(&mut self, topic: &str) {
        self.missing.remove(topic);
        self.refused.remove(topic);
        if !self.cluster.topics.contains_key(topic) {
            (self.stale, self.attempts) = (true, 0);
        }
    }

    pub(crate) fn is_any_wanted(&self) -> bool {
        !self.wanted.is_empty()
    }

    pub(crate) fn is_wanted(&self, topic: &str) -> bool {
        self.wanted.contains_key(topic)
    }

    pub(crate) fn unwant(&mut self, topic: &str) {
        let Some(count) = self.wanted.get_mut(topic) else { return };
        *count -= 1;
        if *count == 0 {
            self.wanted.remove(topic);
            self.missing.remove(topic);
            self.refused.remove(topic);
            // Nobody keeps it fresh any more: who needs it next asks anew.
            if let Some(known) = self.cluster.topics.remove(topic) {
                self.cluster.names.remove(&known.id);
            }
        }
    }

    pub(crate) fn is_asking(&self) -> bool {
        self.in_flight
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    pub(crate) fn hint_stale(&mut self) {
        self.stale |= !mutant!("stale_metadata_trusted");
    }

    pub(crate) fn topic(&self, name: &str, config: &ClientConfig) -> TopicState {
        if let Some(topic) = self.cluster.topic(name) {
            return TopicState::Known(topic.clone());
        }
        if let Some(error) = self.refused.get(name) {
            return TopicState::Failed(error.clone());
        }
        match self.missing.get(name) {
            Some(missing) if self.is_gone(missing, config) => {
                let topic = Str::from(name);
                TopicState::Failed(Error::broker(missing.code).api(ApiKey::Metadata).topic(&topic))
            }
            _ => TopicState::Pending,
        }
    }

    /// Only an answer makes it so: who waits for the topic is woken by answers.
    fn is_gone(&self, missing: &Missing, config: &ClientConfig) -> bool {
        missing.last.duration_since(missing.since) >= config.unknown_topic_grace
            && missing.brokers.len() >= self.enough_brokers()
    }

    fn enough_brokers(&self) -> usize {
        self.cluster.nodes.len().min(2)
    }

    /// The brokers to ask next where a topic is missing that only others have missed so far.
    pub(crate) fn second_opinions(&self) -> impl Iterator<Item = i32> {
        let doubted = self.missing.iter().find(|(name, missing)| {
            self.wanted.contains_key(*name) && missing.brokers.len() < self.enough_brokers()
        });
        let asked = doubted.map(|(_, missing)| &missing.brokers);
        let nodes = self.cluster.nodes.keys().copied();
        nodes.filter(move |node| asked.is_some_and(|asked| !asked.contains(node)))
    }

    /// When the next request is due; `None` while one is under way.
    pub(crate) fn due(&self, config: &ClientConfig, random: &mut Random) -> Option<Instant> {
        if self.in_flight {
            return None;
        }
        let last = self.last_attempt?;
        if self.stale {
            let wait = match self.attempts {
                0 => config.retry_backoff,
                n => random.backoff(n - 1, config.retry_backoff, config.retry_backoff_max),
            };
            return Some(last + wait);
        }
        Some(self.last_success.unwrap_or(last) + config.metadata_max_age)
    }

    /// Whether a request may leave right now.
    pub(crate) fn may_ask_now(&self, now: Instant, config: &ClientConfig) -> bool {
        if self.in_flight {
            return false;
        }
        let Some(last) = self.last_attempt else { return true };
        let rested = now.duration_since(last) >= config.retry_backoff;
        // The first question about something new leaves at once.
        self.stale && self.attempts == 0 && (rested || self.has_news())
    }

    fn has_news(&self) -> bool {
        self.wanted.keys().any(|t| {
            !self.cluster.topics.contains_key(t)
                && !self.missing.contains_key(t)
                && !self.refused.contains_key(t)
        })
    }

    pub(crate) fn request(&mut self, now: Instant, config: &ClientConfig) -> MetadataRequest {
        self.in_flight = true;
        self.stale = false;
        self.last_attempt = Some(now);
        let topics = self
            .wanted
            .keys()
            .map(|name| MetadataRequestTopic { name: Some(name.clone()), ..MetadataRequestTopic::default() });
        MetadataRequest {
            topics: Some(topics.collect()),
            allow_auto_topic_creation: config.allow_auto_topic_creation,
            ..MetadataRequest::default()
        }
    }

    pub(crate) fn failed(&mut self) {
        self.in_flight = false;
        self.stale = true;
        self.attempts = self.attempts.saturating_add(1);
    }

    /// Takes an answer of broker `from`.
    ///
    /// # Errors
    /// The broker belongs to another cluster: nothing of it is believed.
    pub(crate) fn apply(
        &mut self,
        now: Instant,
        from: i32,
        response: MetadataResponse,
    ) -> Result<Changes, ConnectionError> {
        self.in_flight = false;
        self.check_cluster(&response).inspect_err(|_| self.failed())?;
        self.last_success = Some(now);
        let told = response.brokers.iter().filter_map(node).collect();
        let before = match response.brokers.is_empty() {
            true => BTreeMap::new(),
            false => std::mem::replace(&mut self.cluster.nodes, told),
        };
        if response.controller_id >= 0 {
            self.cluster.controller = Some(response.controller_id);
        }
        if response.cluster_id.is_some() {
            self.cluster.id = response.cluster_id;
        }
        let mut changes = Changes::default();
        let mut open = false;
        for topic in response.topics {
            open |= self.apply_topic(now, from, topic, &mut changes);
        }
        open |= self.keep_leaders(&before);
        if open || self.has_news() {
            self.stale = true;
        }
        self.attempts = if open { self.attempts.saturating_add(1) } else { 0 };
        Ok(changes)
    }

    /// A leader that is known better than the answer knows keeps its address, as far as it is known. Whether there is one.
    fn keep_leaders(&mut self, before: &BTreeMap<i32, Node>) -> bool {
        let Cluster { nodes, topics, .. } = &mut self.cluster;
        let leaders = topics.values().flat_map(|topic| &topic.partitions).filter_map(|p| p.leader);
        let untold: BTreeSet<i32> = leaders.filter(|leader| !nodes.contains_key(leader)).collect();
        if mutant!("leader_without_address") {
            return false;
        }
        nodes.extend(untold.iter().filter_map(|id| Some((*id, before.get(id)?.clone()))));
        !untold.is_empty()
    }

    /// Whether an answer is from the cluster that this client began with.
    pub(crate) fn check_cluster(&self, response: &MetadataResponse) -> Result<(), ConnectionError> {
        match (&self.cluster.id, &response.cluster_id) {
            (Some(expected), Some(got)) if expected != got => {
                Err(ConnectionError::OtherCluster { expected: expected.to_string(), got: got.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// Whether the topic has to be asked for again soon.
    fn apply_topic(
        &mut self,
        now: Instant,
        from: i32,
        topic: MetadataResponseTopic,
        changes: &mut Changes,
    ) -> bool {
        let Some(name) = topic.name.clone() else { return false };
        let code = ErrorCode::from(topic.error_code);
        match code {
            ErrorCode::None | ErrorCode::LeaderNotAvailable if !topic.partitions.is_empty() => {
                self.missing.remove(&name);
                self.refused.remove(&name);
                self.adopt(&name, topic, changes)
            }
            ErrorCode::None | ErrorCode::LeaderNotAvailable => true,
            ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId => {
                self.miss(now, from, &name, code, changes);
                true
            }
            code if code.is_retriable() => true,
            code => {
                let error = Error::broker(code).api(ApiKey::Metadata).topic(&name);
                self.refused.insert(name.clone(), error);
                changes.topics.push(name);
                // Rights may be granted later.
                true
            }
        }
    }

    fn miss(&mut self, now: Instant, from: i32, name: &Str, code: ErrorCode, changes: &mut Changes) {
        let missing = self.missing.entry(name.clone()).or_insert_with(|| Missing {
            since: now,
            last: now,
            brokers: BTreeSet::new(),
            code,
        });
        missing.last = now;
        missing.brokers.insert(from);
        changes.topics.push(name.clone());
    }

    /// Topics that were missing for good are forgotten.
    pub(crate) fn forget_gone(&mut self, config: &ClientConfig) -> Vec<Str> {
        let gone: Vec<Str> = self
            .missing
            .iter()
            .filter(|(name, missing)| {
                self.cluster.topics.contains_key(*name) && self.is_gone(missing, config)
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in &gone {
            if let Some(topic) = self.cluster.topics.remove(name) {
                self.cluster.names.remove(&topic.id);
            }
        }
        gone
    }

    fn adopt(&mut self, name: &Str, told: MetadataResponseTopic, changes: &mut Changes) -> bool {
        let old = self.cluster.topics.get(name).cloned();
        let same = old.as_ref().filter(|old| old.id == told.topic_id);
        let mut partitions: Vec<Partition> = Vec::with_capacity(told.partitions.len());
        let mut open = false;
        let mut told_partitions = told.partitions;
        told_partitions.sort_by_key(|p| p.partition_index);
        for told in &told_partitions {
            if usize::try_from(told.partition_index) != Ok(partitions.len()) {
                // A hole in the numbers: not to be believed; what is known stays.
                return true;
            }
            let known = same.and_then(|old| old.partitions.get(partitions.len()));
            let partition = partition(told, known);
            open |= partition.leader.is_none();
            partitions.push(partition);
        }
        if let Some(old) = same.filter(|old| old.partitions.len() > partitions.len()) {
            // Partitions never become fewer; a lagging broker told.
            partitions.extend(old.partitions[partitions.len()..].iter().cloned());
            open = true;
        }
        let topic =
            Topic { name: name.clone(), id: told.topic_id, is_internal: told.is_internal, partitions };
        if old.as_ref().is_none_or(|old| **old != topic) {
            self.traces.leaders(old.as_deref(), &topic);
            if !topic.id.is_zero() {
                self.cluster.names.insert(topic.id, name.clone());
            }
            self.cluster.topics.insert(name.clone(), Arc::new(topic));
            changes.topics.push(name.clone());
        }
        open
    }

    /// A response told the new leader (KIP-951): believed where its epoch is newer. Whether anything changed.
    pub(crate) fn leader_hint(
        &mut self,
        topic: &str,
        partition: i32,
        leader: i32,
        leader_epoch: i32,
        node: Option<Node>,
    ) -> bool {
        if let Some(node) = node {
            self.cluster.nodes.insert(node.id, node);
        }
        if !self.cluster.nodes.contains_key(&leader) {
            self.stale = true;
            return false;
        }
        let Some(old) = self.cluster.topics.get_mut(topic) else { return false };
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        let newer = old.partitions.get(index).is_some_and(|p| leader_epoch > p.leader_epoch);
        if newer {
            let partition = &mut Arc::make_mut(old).partitions[index];
            (partition.leader, partition.leader_epoch) = (Some(leader), leader_epoch);
            let (topic, partition) = (old.name.clone(), index as i32);
            self.traces.push(|| Told::LeaderMoved { topic, partition, leader, leader_epoch });
        }
        newer
    }
}

fn node(broker: &kafka_proto::messages::metadata::MetadataResponseBroker) -> Option<(i32, Node)> {
    let port = u16::try_from(broker.port).ok().filter(|p| *p > 0)?;
    let node = Node { id: broker.node_id, host: broker.host.clone(), port, rack: broker.rack.clone() };
    Some((broker.node_id, node))
}

fn partition(told: &MetadataResponsePartition, known: Option<&Partition>) -> Partition {
    let leader = (told.leader_id >= 0).then_some(told.leader_id);
    let told = Partition {
        leader,
        leader_epoch: told.leader_epoch,
        replicas: told.replica_nodes.to_vec(),
        isr: told.isr_nodes.to_vec(),
        offline: told.offline_replicas.to_vec(),
    };
    match known {
        Some(known) if told.leader_epoch >= 0 && told.leader_epoch < known.leader_epoch => known.clone(),
        _ => told,
    }
}
