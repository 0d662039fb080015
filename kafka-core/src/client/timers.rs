//! The one table of deadlines of a client.

use crate::link::{ConnId, RequestId};
use crate::machine::{self, CoordinatorKind, LaneKey, MachineId, OpId};
use kafka_proto::Str;

/// What a deadline is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

pub(crate) type Timers = machine::Timers<Timer>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Time;
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
