//! The assignment that the application holds, and what may be committed of it.
//!
//! Invariants:
//! * The application holds one assignment at most, and each has a number of its own, in order.
//! * Only partitions of the assignment that is held are committed.

use crate::error::{Error, ErrorKind};
use crate::group::commits;
use crate::group::event::CommitOffset;
use crate::snapshot::TopicPartition;
use kafka_proto::Str;
use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub(super) struct Assignments {
    last: u32,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    number: u32,
    partitions: BTreeSet<TopicPartition>,
}

impl Assignments {
    /// Begins the next assignment with these partitions. Returns its number.
    pub(super) fn begin(&mut self, partitions: impl Iterator<Item = TopicPartition>) -> u32 {
        self.last += 1;
        self.held = Some(Held { number: self.last, partitions: partitions.collect() });
        self.last
    }

    /// Adds partitions to the assignment that is held. Returns its number.
    pub(super) fn extend(&mut self, partitions: impl Iterator<Item = TopicPartition>) -> Option<u32> {
        let held = self.held.as_mut()?;
        held.partitions.extend(partitions);
        Some(held.number)
    }

    pub(super) fn is_held(&self, number: u32) -> bool {
        self.held.as_ref().is_some_and(|held| held.number == number)
    }

    /// Returns the number of the assignment that is held where it has partitions: without any there is nothing to give up.
    pub(super) fn to_give_up(&self) -> Option<u32> {
        self.held.as_ref().filter(|held| !held.partitions.is_empty()).map(|held| held.number)
    }

    /// Ends the assignment that is held. Returns its number where it has partitions.
    pub(super) fn end(&mut self) -> Option<u32> {
        let number = self.to_give_up();
        self.held = None;
        number
    }

    /// Checks that these offsets of an assignment may be committed.
    pub(super) fn check_commit(
        &self,
        number: u32,
        offsets: &[CommitOffset],
        group: &Str,
    ) -> Result<(), Error> {
        let held = self.held.as_ref().filter(|held| held.number == number);
        let held = held.ok_or_else(|| commits::stale(group))?;
        for offset in offsets {
            let TopicPartition { topic, partition } = &offset.partition;
            if !held.partitions.contains(&offset.partition) {
                return Err(commits::stale(group).with_partition(topic, *partition));
            }
            if offset.offset < 0 {
                let kind = ErrorKind::Misuse("a committed offset cannot be negative");
                return Err(Error::new(kind).with_group(group).with_partition(topic, *partition));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_proto::Uuid;

    fn one(partition: i32) -> impl Iterator<Item = TopicPartition> {
        std::iter::once(TopicPartition::new("t", partition))
    }

    #[test]
    fn each_has_a_number_of_its_own_and_ends_once() {
        let mut assignments = Assignments::default();
        assert_eq!((assignments.extend(one(0)), assignments.end()), (None, None));
        assert_eq!(assignments.begin(one(0)), 1);
        assert_eq!((assignments.extend(one(1)), assignments.to_give_up()), (Some(1), Some(1)));
        assert!(assignments.is_held(1));
        assert_eq!((assignments.end(), assignments.end()), (Some(1), None));
        assert!(!assignments.is_held(1));
        assert_eq!(assignments.begin(std::iter::empty()), 2);
        assert!(assignments.is_held(2), "held, though there is nothing to give up");
        assert_eq!(assignments.end(), None);
    }

    #[test]
    fn only_what_is_held_is_committed() {
        let mut assignments = Assignments::default();
        assignments.begin(one(0));
        let check = |number, partition, offset| {
            let partition = TopicPartition::new("t", partition);
            let offset =
                CommitOffset { partition, offset, leader_epoch: -1, topic_id: Uuid::ZERO, metadata: None };
            assignments.check_commit(number, &[offset], &"g".into()).map_err(|error| error.kind().clone())
        };
        assert_eq!(check(1, 0, 5), Ok(()));
        assert_eq!(check(2, 0, 5), Err(ErrorKind::StaleCommit));
        assert_eq!(check(1, 1, 5), Err(ErrorKind::StaleCommit));
        assert!(matches!(check(1, 0, -1), Err(ErrorKind::Misuse(_))));
    }
}
