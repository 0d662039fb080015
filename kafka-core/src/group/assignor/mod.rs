//! How the partitions of a group are shared out among its members. The leader's client does it (classic protocol).

mod named;
mod range;
mod round_robin;
#[cfg(test)]
mod tests;

pub(crate) use named::Named;
pub use range::Range;
pub use round_robin::RoundRobin;

use crate::snapshot::{Cluster, Topic, TopicPartition};
use kafka_proto::{Bytes, Str};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

/// A way of sharing out the partitions of a group.
///
/// Must be a function of its arguments: whichever member leads, the outcome must be the same.
pub trait Assignor: fmt::Debug + Send + Sync {
    /// The name on the wire, by which members agree on one (`range`, `roundrobin`). Each reader asks for it when it is made.
    fn name(&self) -> &str;

    /// Returns what this member sends to the leader's assignor besides its topics.
    fn user_data(&self, topics: &[Str]) -> Option<Bytes> {
        let _ = topics;
        None
    }

    /// Shares out the partitions: one list per member, in the order of `members`.
    ///
    /// Each partition of a topic that members subscribe to must go to exactly one of them. An outcome with
    /// a partition that does not exist or goes to two members is refused with an error.
    fn assign(&self, members: &[Member], topics: &Topics) -> Vec<Vec<TopicPartition>>;
}

/// A member of the group as its leader sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// The member id.
    pub id: Str,
    /// The instance id of a static member.
    pub instance_id: Option<Str>,
    /// The topics it subscribes to.
    pub topics: Vec<Str>,
    /// What its assignor sent along.
    pub user_data: Option<Bytes>,
    /// The partitions it still has; empty in an eager group.
    pub owned: Vec<TopicPartition>,
    /// The generation in which it got them; -1 where unknown.
    pub generation: i32,
    /// Its rack.
    pub rack: Option<Str>,
}

/// The topics of a group and what an assignor may want to know of them. A topic that does not exist is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics(BTreeMap<Str, Vec<PartitionRacks>>);

/// Where a partition lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionRacks {
    /// The rack of the leader, where known.
    pub leader: Option<Str>,
    /// The racks of all replicas; nothing for those without a rack.
    pub replicas: Vec<Str>,
}

impl Topics {
    /// Returns what the cluster knows of these topics.
    pub fn of<'a>(cluster: &Cluster, names: impl IntoIterator<Item = &'a Str>) -> Self {
        let mut topics = Self::default();
        for topic in names.into_iter().filter_map(|name| cluster.topic(name)) {
            topics.insert(topic.name.clone(), racks(cluster, topic));
        }
        topics
    }

    /// Adds a topic; the length of the list is its number of partitions.
    pub fn insert(&mut self, topic: Str, partitions: Vec<PartitionRacks>) {
        self.0.insert(topic, partitions);
    }

    /// How many partitions a topic has; 0 where it does not exist.
    pub fn count(&self, topic: &str) -> usize {
        self.partitions(topic).len()
    }

    /// The partitions of a topic.
    pub fn partitions(&self, topic: &str) -> &[PartitionRacks] {
        self.0.get(topic).map_or(&[], Vec::as_slice)
    }

    /// The topics that exist and have partitions, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Str, &[PartitionRacks])> {
        self.0.iter().filter(|(_, p)| !p.is_empty()).map(|(name, p)| (name, p.as_slice()))
    }
}

fn racks(cluster: &Cluster, topic: &Topic) -> Vec<PartitionRacks> {
    let rack = |id: &i32| cluster.nodes.get(id)?.rack.clone();
    let of = |p: &crate::snapshot::Partition| PartitionRacks {
        leader: p.leader.as_ref().and_then(rack),
        replicas: p.replicas.iter().filter_map(rack).collect(),
    };
    topic.partitions.iter().map(of).collect()
}

/// Java's order of strings, which is that of UTF-16 units.
fn java_order(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}

/// Static members first, by instance id, then the others by member id.
fn member_order(a: &Member, b: &Member) -> Ordering {
    match (&a.instance_id, &b.instance_id) {
        (Some(a), Some(b)) => java_order(a, b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => java_order(&a.id, &b.id),
    }
}

/// The places of the members in their order.
fn in_order(members: &[Member]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by(|a, b| member_order(&members[*a], &members[*b]));
    order
}
