//! What a writer has for each broker: the partitions that are ready, requests in flight, and what is known of its lane.
//!
//! Invariants
//! * Partitions have their turn in the order in which they became ready.
//! * A lane is idle while it has no request in flight and nothing is ready for it. What gathers then leaves.

use super::limit::RequestLimit;
use crate::error::Error;
use crate::machine::Time;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct Brokers(FxHashMap<i32, Broker>);

#[derive(Debug, Default)]
struct Broker {
    ready: VecDeque<usize>,
    /// Partitions with an open batch that leaves when the lane is idle, whatever its linger; each is there once at most.
    gathering: Vec<usize>,
    in_flight: usize,
    /// Where it closed connections on requests.
    request_limit: RequestLimit,
    /// Why its lane is down.
    last_error: Option<Error>,
}

impl Broker {
    fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.ready.is_empty()
    }
}

impl Brokers {
    // ---- partitions ----

    /// A partition is ready, behind all others.
    pub(super) fn push_ready(&mut self, broker: i32, index: usize) {
        self.0.entry(broker).or_default().ready.push_back(index);
    }

    /// A partition is ready, and the first.
    pub(super) fn push_ready_first(&mut self, broker: i32, index: usize) {
        self.0.entry(broker).or_default().ready.push_front(index);
    }

    pub(super) fn pop_ready(&mut self, broker: i32) -> Option<usize> {
        self.0.get_mut(&broker)?.ready.pop_front()
    }

    pub(super) fn has_ready(&self, broker: i32) -> bool {
        self.0.get(&broker).is_some_and(|broker| !broker.ready.is_empty())
    }

    /// Returns those that have such a partition in their ready queue.
    pub(super) fn with_ready(&self, is_ready: impl Fn(i32, usize) -> bool) -> impl Iterator<Item = i32> {
        let has = move |id: i32, broker: &Broker| broker.ready.iter().any(|index| is_ready(id, *index));
        self.0.iter().filter(move |(id, broker)| has(**id, broker)).map(|(id, _)| *id)
    }

    /// A partition's open batch leaves when the lane is idle.
    pub(super) fn gather(&mut self, broker: i32, index: usize) {
        self.0.entry(broker).or_default().gathering.push(index);
    }

    /// Takes the partitions that gathered, if the lane is idle.
    pub(super) fn take_gathered(&mut self, broker: i32) -> Vec<usize> {
        let idle = self.0.get_mut(&broker).filter(|broker| broker.is_idle());
        idle.map(|broker| std::mem::take(&mut broker.gathering)).unwrap_or_default()
    }

    // ---- requests ----

    /// Returns whether nothing is on its way to this broker, nor ready for it.
    pub(super) fn is_idle(&self, broker: i32) -> bool {
        self.0.get(&broker).is_none_or(Broker::is_idle)
    }

    /// Returns how large a request of several batches may be, where the broker is known to have a limit.
    pub(super) fn request_limit(&self, broker: i32) -> Option<usize> {
        self.0.get(&broker)?.request_limit.bytes()
    }

    pub(super) fn request_sent(&mut self, broker: i32) {
        self.0.entry(broker).or_default().in_flight += 1;
    }

    /// A request was answered, or failed.
    pub(super) fn request_ended(&mut self, broker: i32) {
        if let Some(broker) = self.0.get_mut(&broker) {
            broker.in_flight = broker.in_flight.saturating_sub(1);
        }
    }

    /// A request of so many bytes was answered.
    pub(super) fn answered(&mut self, broker: i32, bytes: usize) {
        if let Some(broker) = self.0.get_mut(&broker) {
            broker.last_error = None;
            broker.request_limit.took(bytes);
        }
    }

    /// A request of so many bytes, which is not answered, was taken by the socket.
    pub(super) fn taken(&mut self, broker: i32, bytes: usize) {
        if let Some(broker) = self.0.get_mut(&broker) {
            broker.request_limit.took(bytes);
        }
    }

    /// The broker closed the connection on a request of so many bytes, of one batch or of several.
    pub(super) fn closed_on(&mut self, broker: i32, bytes: usize, has_several: bool, now: Time) {
        self.0.entry(broker).or_default().request_limit.closed_on(bytes, has_several, now);
    }

    // ---- lanes ----

    pub(super) fn lane_failed(&mut self, broker: i32, error: &Error) {
        if let Some(broker) = self.0.get_mut(&broker) {
            broker.last_error = Some(error.clone());
        }
    }

    /// Returns why the lane is down.
    pub(super) fn last_error(&self, broker: i32) -> Option<&Error> {
        self.0.get(&broker)?.last_error.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::Brokers;

    #[test]
    fn what_gathers_leaves_when_the_lane_is_idle() {
        let mut brokers = Brokers::default();
        brokers.request_sent(1);
        brokers.gather(1, 5);
        brokers.push_ready(1, 6);
        assert!(brokers.take_gathered(1).is_empty(), "a request is in flight");
        brokers.request_ended(1);
        assert!(!brokers.is_idle(1) && brokers.take_gathered(1).is_empty(), "a partition is ready");
        assert_eq!(brokers.pop_ready(1), Some(6));
        assert!(brokers.is_idle(1));
        assert_eq!([brokers.take_gathered(1), brokers.take_gathered(1)], [vec![5], vec![]]);
    }

    #[test]
    fn partitions_have_their_turn_in_order() {
        let mut brokers = Brokers::default();
        [3, 1].into_iter().for_each(|index| brokers.push_ready(1, index));
        brokers.push_ready_first(1, 2);
        brokers.push_ready(2, 9);
        assert!(brokers.with_ready(|_, index| index == 9).eq([2]));
        let turns: Vec<_> = std::iter::from_fn(|| brokers.pop_ready(1)).collect();
        assert_eq!((turns, brokers.has_ready(1), brokers.has_ready(2)), (vec![2, 3, 1], false, true));
    }
}
