//! A topic of a writer: which partitions of the producer's table are its own.
//!
//! Invariants
//! * A partition keeps its place in the table for as long as it is there; one that comes back has a new place, and follows the
//!   sender that it had.
//! * A zero id changes nothing: brokers that know no ids report it.

use crate::snapshot::Topic;
use kafka_proto::Uuid;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct TopicEntry {
    id: Uuid,
    /// The place of each partition in the producer's table.
    indexes: Vec<usize>,
    /// The last place of each partition that ceased to exist, by partition.
    removed: BTreeMap<usize, usize>,
}

/// What a snapshot of a topic changes.
#[derive(Debug, PartialEq)]
pub(super) struct TopicChange {
    /// Another topic of this name has taken its place.
    pub(super) is_recreated: bool,
    /// How many of the partitions were there before.
    pub(super) kept: usize,
    /// The places of partitions that ceased to exist.
    pub(super) removed: Vec<usize>,
}

impl TopicEntry {
    pub(super) fn new(id: Uuid) -> Self {
        Self { id, indexes: Vec::new(), removed: BTreeMap::new() }
    }

    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    pub(super) fn indexes(&self) -> &[usize] {
        &self.indexes
    }

    /// Takes over a snapshot. New partitions get the places from `next` on.
    pub(super) fn update(&mut self, topic: &Topic, next: usize) -> TopicChange {
        let is_recreated = self.id != topic.id && !self.id.is_zero() && !topic.id.is_zero();
        if !topic.id.is_zero() {
            self.id = topic.id;
        }
        let count = topic.partitions.len();
        let removed = self.indexes.split_off(count.min(self.indexes.len()));
        let kept = self.indexes.len();
        self.removed.extend((kept..).zip(removed.iter().copied()));
        self.indexes.extend((next..).take(count - kept));
        TopicChange { is_recreated, kept, removed }
    }

    /// Returns the place that this partition had before it ceased to exist.
    pub(super) fn former(&self, partition: usize) -> Option<usize> {
        self.removed.get(&partition).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{TopicChange, TopicEntry};
    use crate::snapshot::Topic;
    use kafka_proto::Uuid;

    fn topic(id: u8, partitions: i32) -> Topic {
        Topic { id: Uuid([id; 16]), ..super::super::tests::topic(partitions, None) }
    }

    fn change(is_recreated: bool, kept: usize, removed: &[usize]) -> TopicChange {
        TopicChange { is_recreated, kept, removed: removed.to_vec() }
    }

    #[test]
    fn a_partition_that_comes_back_has_a_new_place() {
        let mut entry = TopicEntry::new(Uuid::ZERO);
        assert_eq!(entry.update(&topic(0, 3), 4), change(false, 0, &[]));
        assert_eq!(entry.update(&topic(1, 1), 7), change(false, 1, &[5, 6]), "an id that is known now");
        assert_eq!(entry.update(&topic(2, 2), 7), change(true, 1, &[]));
        assert_eq!(entry.indexes(), [4, 7]);
        assert_eq!([0, 1, 2].map(|partition| entry.former(partition)), [None, Some(5), Some(6)]);
    }

    #[test]
    fn a_zero_id_changes_nothing() {
        let mut entry = TopicEntry::new(Uuid([1; 16]));
        assert_eq!(entry.update(&topic(0, 1), 0), change(false, 0, &[]));
        assert_eq!((entry.id(), entry.update(&topic(1, 1), 1)), (Uuid([1; 16]), change(false, 1, &[])));
    }
}
