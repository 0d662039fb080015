//! The one table of deadlines of a client. Each timer is set at most once; setting it again moves it.

use crate::link::{ConnId, RequestId};
use crate::machine::{CoordinatorKind, LaneKey, MachineId, OpId, Time};
use kafka_proto::Str;
use std::collections::{BTreeMap, BTreeSet};

/// What a deadline is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A request that waits for a connection must be given up.
    Queued(RequestId),
    /// The oldest unanswered request of a connection is overdue, or the connection is not set up in time.
    Conn(ConnId),
    /// A failed connection may be tried again.
    Reconnect(LaneKey),
    /// The broker has asked for silence until now (KIP-219).
    Throttle(LaneKey),
    /// A connection has not been used for long.
    Idle(LaneKey),
    /// The metadata is to be refreshed.
    Metadata,
    /// A coordinator is to be looked up again.
    Coordinator(CoordinatorKind, Str),
    /// A call waits before its next attempt.
    CallRetry(OpId),
    /// A call is over.
    CallDeadline(OpId),
    /// A deadline of a handle.
    Alarm(OpId),
    /// What a machine waits for.
    Machine(MachineId),
    /// A client that nobody holds any more must end.
    Retire,
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_time: BTreeSet<(Time, Timer)>,
    by_timer: BTreeMap<Timer, Time>,
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Time) {
        if let Some(old) = self.by_timer.insert(timer.clone(), at) {
            if old == at {
                return;
            }
            self.by_time.remove(&(old, timer.clone()));
        }
        self.by_time.insert((at, timer));
    }

    /// Sets the timer, unless it is to ring before.
    pub(crate) fn set_earlier(&mut self, timer: Timer, at: Time) {
        if self.by_timer.get(&timer).is_none_or(|set| at < *set) {
            self.set(timer, at);
        }
    }

    pub(crate) fn set_option(&mut self, timer: Timer, at: Option<Time>) {
        match at {
            Some(at) => self.set(timer, at),
            None => self.stop(&timer),
        }
    }

    pub(crate) fn stop(&mut self, timer: &Timer) {
        if let Some(at) = self.by_timer.remove(timer) {
            self.by_time.remove(&(at, timer.clone()));
        }
    }

    pub(crate) fn is_set(&self, timer: &Timer) -> bool {
        self.by_timer.contains_key(timer)
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// How many timers are due.
    pub(crate) fn due(&self, now: Time) -> usize {
        self.by_time.iter().take_while(|(at, _)| *at <= now).count()
    }

    /// Takes out the earliest timer that is due.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        let (_, timer) = self.by_time.pop_first()?;
        self.by_timer.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_due_is_counted_and_comes_in_order_of_time() {
        let now = Time::after_start(Duration::from_secs(1));
        let mut timers = Timers::default();
        timers.set(Timer::Metadata, now);
        timers.set(Timer::Machine(MachineId(1)), now - Duration::from_millis(1));
        timers.set(Timer::Machine(MachineId(2)), now + Duration::from_millis(1));
        assert_eq!(timers.due(now), 2);
        assert_eq!(timers.pop_due(now), Some(Timer::Machine(MachineId(1))));
        timers.set(Timer::Metadata, now + Duration::from_millis(2));
        assert_eq!(timers.due(now), 0);
        assert_eq!(timers.pop_due(now), None);
        assert_eq!(timers.next(), Some(now + Duration::from_millis(1)));
    }
}
