//! The times that a writer waits for, in their order. None of them costs a look at all partitions.
//!
//! Invariants
//! * A partition has one deadline of a kind at most.
//! * All open batches linger equally long, so that those that linger stand in the order in which they end.

use crate::machine::Time;
use std::collections::{BTreeSet, VecDeque};

#[derive(Debug, Default)]
pub(super) struct Timers {
    pub(super) lingering: Lingering,
    /// When a partition's oldest batch is to be looked at.
    pub(super) expiries: Deadlines,
    /// Nothing of a partition is sent before.
    pub(super) backoffs: Deadlines,
}

impl Timers {
    /// Returns the first of them.
    pub(super) fn next(&self) -> Option<Time> {
        [self.lingering.first(), self.expiries.first(), self.backoffs.first()].into_iter().flatten().min()
    }
}

/// The open batch of a partition, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpenBatch {
    pub(super) index: usize,
    pub(super) number: u64,
}

/// Open batches, by the end of their linger.
#[derive(Debug, Default)]
pub(super) struct Lingering(VecDeque<(Time, OpenBatch)>);

impl Lingering {
    pub(super) fn push(&mut self, until: Time, batch: OpenBatch) {
        self.0.push_back((until, batch));
    }

    fn first(&self) -> Option<Time> {
        self.0.front().map(|(until, _)| *until)
    }

    /// Takes the next one whose linger is over.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<OpenBatch> {
        self.first().filter(|until| *until <= now)?;
        self.0.pop_front().map(|(_, batch)| batch)
    }

    /// Takes all of them.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = OpenBatch> + use<> {
        std::mem::take(&mut self.0).into_iter().map(|(_, batch)| batch)
    }
}

/// Deadlines of partitions, by their index.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    of: Vec<Option<Time>>,
    order: BTreeSet<(Time, usize)>,
}

impl Deadlines {
    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<Time> {
        self.of.get(index).copied().flatten()
    }

    /// Returns whether the partition's deadline is still to come.
    #[inline]
    pub(super) fn is_ahead(&self, now: Time, index: usize) -> bool {
        !self.order.is_empty() && self.get(index).is_some_and(|at| now < at)
    }

    /// Sets the partition's deadline, in place of the one that it has.
    pub(super) fn set(&mut self, index: usize, at: Time) {
        self.clear(index);
        if self.of.len() <= index {
            self.of.resize(index + 1, None);
        }
        self.of[index] = Some(at);
        self.order.insert((at, index));
    }

    pub(super) fn clear(&mut self, index: usize) {
        if let Some(at) = self.of.get_mut(index).and_then(Option::take) {
            self.order.remove(&(at, index));
        }
    }

    fn first(&self) -> Option<Time> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes the first deadline that has come; its partition has none then.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<usize> {
        let (_, index) = self.order.first().copied().filter(|(at, _)| *at <= now)?;
        self.clear(index);
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::{Deadlines, Lingering, OpenBatch, Timers};
    use crate::machine::Time;
    use std::time::Duration;

    fn at(seconds: u64) -> Time {
        Time::START + Duration::from_secs(seconds)
    }

    #[test]
    fn a_partition_has_one_deadline() {
        let mut deadlines = Deadlines::default();
        assert_eq!((deadlines.get(3), deadlines.is_ahead(at(0), 3)), (None, false));
        [(3, 5), (1, 2), (3, 1)].into_iter().for_each(|(index, seconds)| deadlines.set(index, at(seconds)));
        assert_eq!((deadlines.first(), deadlines.get(3)), (Some(at(1)), Some(at(1))));
        assert!(deadlines.is_ahead(at(0), 3) && !deadlines.is_ahead(at(1), 3));
        let mut due = || deadlines.pop_due(at(9));
        assert_eq!([due(), due(), due()], [Some(3), Some(1), None]);
    }

    #[test]
    fn a_deadline_that_is_cleared_does_not_come() {
        let mut deadlines = Deadlines::default();
        deadlines.set(0, at(1));
        (0..2).for_each(|index| deadlines.clear(index));
        assert_eq!((deadlines.first(), deadlines.pop_due(at(9))), (None, None));
    }

    #[test]
    fn what_lingers_ends_in_order() {
        let mut lingering = Lingering::default();
        let batches = [1, 2, 3].map(|number| OpenBatch { index: 0, number });
        (1..).zip(batches).for_each(|(seconds, batch)| lingering.push(at(seconds), batch));
        assert_eq!((lingering.pop_due(at(1)), lingering.pop_due(at(1))), (Some(batches[0]), None));
        assert!(lingering.take_all().eq(batches[1..].iter().copied()) && lingering.first().is_none());
    }

    #[test]
    fn the_next_time_is_the_first_of_any_kind() {
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        timers.expiries.set(0, at(3));
        timers.backoffs.set(0, at(2));
        assert_eq!(timers.next(), Some(at(2)));
        timers.lingering.push(at(1), OpenBatch { index: 0, number: 0 });
        assert_eq!(timers.next(), Some(at(1)));
    }
}
