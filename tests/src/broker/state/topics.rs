//! Topics and partitions: who leads, who is in sync, and the log that all replicas share.

use std::collections::{BTreeMap, BTreeSet};

use kafka_proto::{Str, Uuid};

use super::log::Log;
use super::producers::Producers;
use super::topic_config::TopicConfig;
use crate::broker::config::NodeId;
use crate::broker::release::Release;
use crate::broker::waits::WaitId;

/// The internal topic whose partition leaders coordinate groups.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// All topics, by name and by id.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    by_name: BTreeMap<Str, Topic>,
    names: BTreeMap<Uuid, Str>,
}

#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: Str,
    pub(crate) id: Uuid,
    pub(crate) internal: bool,
    pub(crate) config: TopicConfig,
    pub(crate) partitions: Vec<Partition>,
}

#[derive(Debug, Default)]
pub(crate) struct Partition {
    pub(crate) leader: Option<NodeId>,
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<NodeId>,
    /// In-sync replicas. Never empty: the last one stays, dead or alive, as it alone has all records.
    pub(crate) isr: Vec<NodeId>,
    /// How far replicas that fell out of the ISR had got.
    pub(crate) fell_behind: BTreeMap<NodeId, i64>,
    /// Where followers stopped to fetch, if they did: the high watermark stays there.
    pub(crate) stalled_at: Option<i64>,
    /// Followers have everything all the same, only the leader does not hear of it.
    pub(crate) followers_have_all: bool,
    pub(crate) log: Log,
    /// What unclean elections have cost: from the first offset on, below the second.
    pub(crate) lost: Vec<(i64, i64)>,
    pub(crate) producers: Producers,
    /// Parked fetches that read here.
    pub(crate) readers: BTreeSet<WaitId>,
    /// Parked produce requests that wait for replication here.
    pub(crate) writers: BTreeSet<WaitId>,
}

impl Partition {
    pub(crate) fn new(replicas: Vec<NodeId>, alive: impl Fn(NodeId) -> bool) -> Partition {
        let isr: Vec<NodeId> = replicas.iter().copied().filter(|node| alive(*node)).collect();
        let leader = isr.first().copied();
        let isr = if isr.is_empty() { replicas.first().copied().into_iter().collect() } else { isr };
        let fell_behind = replicas.iter().filter(|node| !isr.contains(node)).map(|node| (*node, 0)).collect();
        let mut log = Log::default();
        log.begin_epoch(0);
        Partition { leader, replicas, isr, fell_behind, log, ..Partition::default() }
    }

    /// The offset consumers may read up to: what all in-sync replicas have.
    pub(crate) fn high_watermark(&self) -> i64 {
        match self.stalled_at {
            Some(at) if self.isr.len() > 1 => at.clamp(self.log.start_offset(), self.log.end_offset()),
            _ => self.log.end_offset(),
        }
    }

    /// Removes what is before an offset; the first offset that is left.
    pub(crate) fn delete_before(&mut self, offset: i64, release: Release) -> i64 {
        self.log.delete_before(offset);
        let start = self.log.start_offset();
        self.producers.forget_before(start, release);
        start
    }

    /// How far followers in sync have got.
    pub(crate) fn replicated(&self) -> i64 {
        if self.followers_have_all { self.log.end_offset() } else { self.high_watermark() }
    }
}

impl Topic {
    pub(crate) fn partition(&self, index: i32) -> Option<&Partition> {
        usize::try_from(index).ok().and_then(|index| self.partitions.get(index))
    }

    pub(crate) fn partition_mut(&mut self, index: i32) -> Option<&mut Partition> {
        usize::try_from(index).ok().and_then(|index| self.partitions.get_mut(index))
    }
}

impl Topics {
    pub(crate) fn get(&self, name: &str) -> Option<&Topic> {
        self.by_name.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Topic> {
        self.by_name.get_mut(name)
    }

    pub(crate) fn name_of(&self, id: Uuid) -> Option<&Str> {
        self.names.get(&id)
    }

    pub(crate) fn partition(&self, name: &str, index: i32) -> Option<&Partition> {
        self.get(name)?.partition(index)
    }

    pub(crate) fn partition_mut(&mut self, name: &str, index: i32) -> Option<&mut Partition> {
        self.get_mut(name)?.partition_mut(index)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.by_name.values()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Topic> {
        self.by_name.values_mut()
    }

    /// Every partition of every topic.
    pub(crate) fn partitions_mut(&mut self) -> impl Iterator<Item = (&TopicConfig, &mut Partition)> {
        self.by_name.values_mut().flat_map(|topic| {
            let config = &topic.config;
            topic.partitions.iter_mut().map(move |partition| (config, partition))
        })
    }

    pub(crate) fn insert(&mut self, topic: Topic) {
        self.names.insert(topic.id, topic.name.clone());
        self.by_name.insert(topic.name.clone(), topic);
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Topic> {
        let topic = self.by_name.remove(name)?;
        self.names.remove(&topic.id);
        Some(topic)
    }
}

/// Why no topic may have this name, in Kafka's words; `None` if it may.
pub(crate) fn invalid_name(name: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() {
        Some("Topic name is invalid: the empty string is not allowed".to_owned())
    } else if name == "." || name == ".." {
        Some("Topic name cannot be \".\" or \"..\"".to_owned())
    } else if name.len() > 249 {
        Some(format!(
            "Topic name is invalid: the length of '{name}' is longer than the max allowed length 249"
        ))
    } else if !name.chars().all(legal) {
        Some(format!(
            "Topic name is invalid: '{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        ))
    } else {
        None
    }
}

/// Replicas of each partition: leaders go round the nodes, followers come next to their leader.
pub(crate) fn assign_replicas(
    nodes: &[NodeId],
    partitions: i32,
    replication: usize,
    first: usize,
) -> Vec<Vec<NodeId>> {
    let replica = |partition: usize, number: usize| {
        nodes.iter().cycle().nth((partition + number) % nodes.len()).copied()
    };
    let partitions = first..first + usize::try_from(partitions).unwrap_or_default();
    partitions
        .map(|partition| (0..replication).filter_map(|number| replica(partition, number)).collect())
        .collect()
}

/// The hash of Java's `String.hashCode`, which decides the coordinator of a group.
pub(crate) fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaders_go_round_and_replicas_differ() {
        assert_eq!(assign_replicas(&[0, 1, 2], 4, 2, 0), [[0, 1], [1, 2], [2, 0], [0, 1]]);
        assert_eq!(assign_replicas(&[0, 1, 2], 1, 3, 5), [[2, 0, 1]]);
    }

    #[test]
    fn names_that_kafka_refuses() {
        for name in ["", ".", "..", "a/b", "ä", &"x".repeat(250)] {
            assert!(invalid_name(name).is_some(), "{name}");
        }
        assert_eq!(invalid_name(&"x".repeat(249)), None);
        assert_eq!(invalid_name("a.b_c-D1"), None);
    }

    #[test]
    fn the_hash_is_javas() {
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("abc"), 96354);
        assert_eq!(java_hash("polygenelubricants"), i32::MIN);
    }
}
