//! What is known of the cluster: brokers, controller, topics with their partitions and leaders.
//!
//! A topic is an immutable snapshot behind an `Arc`: writers and readers keep theirs without a lock and compare by pointer.
//! Which refresh may change what is decided in `metadata`; this file only holds and answers.

use crate::address::Address;
use crate::error::Error;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::{Str, Uuid};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A broker as Metadata tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Node {
    /// The node id.
    pub id: i32,
    /// The advertised host.
    pub host: Str,
    /// The advertised port.
    pub port: u16,
    /// The rack, where one is set.
    pub rack: Option<Str>,
}

impl Node {
    pub(crate) fn address(&self) -> Address {
        Address { host: self.host.clone(), port: self.port }
    }

    /// A broker as an answer tells of it; `None` where it can be none: ids below zero are those of bootstrap addresses.
    pub(crate) fn told(id: i32, host: &Str, port: i32, rack: Option<&Str>) -> Option<Self> {
        let port = u16::try_from(port).ok().filter(|port| *port > 0)?;
        let is_one = id >= 0 && !host.is_empty();
        is_one.then(|| Self { id, host: host.clone(), port, rack: rack.cloned() })
    }
}

/// A topic at one moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Topic {
    /// The name.
    pub name: Str,
    /// The topic's id; zero where the broker is older than 2.8 (KIP-516).
    pub id: Uuid,
    /// Whether it is one of Kafka's own.
    pub is_internal: bool,
    /// The partitions; the index is the partition's number.
    pub partitions: Vec<Partition>,
}

/// A partition at one moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Partition {
    /// The broker that leads, if any.
    pub leader: Option<i32>,
    /// The leader epoch (KIP-320), where the broker reports it.
    pub leader_epoch: Option<i32>,
    /// The brokers that hold a replica.
    pub replicas: Vec<i32>,
    /// The replicas in sync.
    pub isr: Vec<i32>,
    /// The replicas that are offline.
    pub offline: Vec<i32>,
}

/// A partition of a topic, by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct TopicPartition {
    /// The topic.
    pub topic: Str,
    /// The partition.
    pub partition: i32,
}

impl TopicPartition {
    /// A partition of a topic.
    pub fn new(topic: impl Into<Str>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

/// A list of one, for calls that take one partition or many.
impl IntoIterator for &TopicPartition {
    type Item = Self;
    type IntoIter = std::iter::Once<Self>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self)
    }
}

/// The cluster as far as it is known.
#[derive(Debug, Default)]
pub struct Cluster {
    /// The cluster's id, where the brokers tell it (0.10.1+).
    pub id: Option<Str>,
    /// The brokers by node id.
    pub nodes: BTreeMap<i32, Node>,
    /// The controller (or a broker that forwards to it).
    pub controller: Option<i32>,
    /// The topics somebody asked for.
    pub topics: BTreeMap<Str, Arc<Topic>>,
    /// Topics by id, for answers that name ids only.
    pub(crate) names: FxHashMap<Uuid, Str>,
    /// Why topics of which nothing is known cannot be had, as the last answer told.
    pub(crate) refusals: BTreeMap<Str, ErrorCode>,
}

/// What is known of a topic that a call needs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TopicState {
    /// It exists.
    Known(Arc<Topic>),
    /// It was asked for.
    Pending,
    /// It cannot be had.
    Failed(Error),
}

impl Cluster {
    /// The snapshot of a topic.
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// A partition's state.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&Partition> {
        self.topics.get(topic)?.partitions.get(usize::try_from(partition).ok()?)
    }

    /// The leader of a partition and its epoch.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<(i32, i32)> {
        let partition = self.partition(topic, partition)?;
        Some((partition.leader?, partition.leader_epoch.unwrap_or(-1)))
    }

    /// Returns what errors call a broker: its id, and where it is if that is known.
    pub(crate) fn broker_name(&self, id: i32) -> Str {
        match self.nodes.get(&id) {
            Some(node) => format!("{id} at {}", node.address()).into(),
            None => id.to_string().into(),
        }
    }

    /// Why a partition of which nothing is known cannot be had; `None` before a broker has spoken of its topic.
    pub(crate) fn refusal(&self, topic: &str) -> Option<ErrorCode> {
        let of_topic = self.refusals.get(topic).copied();
        of_topic.or_else(|| self.topic(topic).map(|_| ErrorCode::UnknownTopicOrPartition))
    }

    /// Takes a topic over, in place of the one that had its name.
    pub(crate) fn insert_topic(&mut self, topic: Topic) {
        if let Some(old) = self.topics.get(&topic.name).filter(|old| old.id != topic.id) {
            self.names.remove(&old.id);
        }
        if !topic.id.is_zero() {
            self.names.insert(topic.id, topic.name.clone());
        }
        self.topics.insert(topic.name.clone(), Arc::new(topic));
    }

    /// Takes a topic away.
    pub(crate) fn remove_topic(&mut self, name: &str) -> Option<Arc<Topic>> {
        let topic = self.topics.remove(name)?;
        self.names.remove(&topic.id);
        Some(topic)
    }

    /// The name behind a topic id.
    pub fn name(&self, id: &Uuid) -> Option<&Str> {
        self.names.get(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_call_a_broker_by_its_id_and_its_address_as_a_user_would_write_it() {
        let node = |id, host: &str| (id, Node { id, host: host.into(), port: 9092, rack: None });
        let nodes = [node(1, "kafka-1"), node(2, "::1")].into_iter().collect();
        let cluster = Cluster { nodes, ..Cluster::default() };
        let names = [1, 2, 3].map(|id| cluster.broker_name(id));
        assert_eq!(names, ["1 at kafka-1:9092", "2 at [::1]:9092", "3"]);
    }
}
