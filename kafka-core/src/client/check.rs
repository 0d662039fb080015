//! The client's invariants of progress, looked at as a whole: no quiescent state with work left.
//!
//! The simulator asks whenever no task is about to run. What is wrong then would stay so until something unrelated happens.

use super::Client;
use super::lane::{LaneState, LinkState, Proof};
use super::timers::Timer;
use crate::machine::{LaneKey, Now, Time};

impl Client {
    /// What does not hold, in words.
    pub(crate) fn stuck(&self, now: Now) -> Vec<String> {
        let lanes = self.lanes.iter().filter_map(|(key, lane)| {
            let why = self.stuck_lane(now.time, key, lane)?;
            Some(format!("lane {key:?}: {why}"))
        });
        let mut found: Vec<String> = lanes.collect();
        for (id, machine) in self.machines.iter() {
            let stuck = machine.stuck(now.time);
            found.extend(stuck.found.iter().map(|why| format!("{id:?}: {why}")));
            for lane in stuck.lanes.into_iter().filter(|lane| self.is_deaf(now.time, *lane)) {
                let link = self.lanes.get(lane).map(LaneState::link);
                found.push(format!("{id:?}: nobody sends what is ready for lane {lane:?}: {link:?}"));
            }
            if stuck.needs_metadata && !self.learns() {
                found.push(format!("{id:?}: nobody asks who leads its partitions"));
            }
        }
        if self.timers.next().is_some_and(|at| at < now.time) {
            found.push("a timer is due and the driver sleeps".to_owned());
        }
        found
    }

    fn stuck_lane(&self, now: Time, key: LaneKey, lane: &LaneState) -> Option<String> {
        let (queued, in_flight) = (lane.queued(), lane.in_flight());
        let due = lane.conn().is_none_or(|conn| self.timers.is_set(&Timer::Conn(conn)));
        match lane.link() {
            _ if lane.is_unused() => None,
            LinkState::Idle => Some(format!("{queued} requests wait, and nothing connects")),
            LinkState::Backoff if !self.timers.is_set(&Timer::Reconnect(key)) => {
                Some(format!("{queued} requests wait, and no timer is set"))
            }
            LinkState::Up(_) if in_flight > 0 && !due => {
                Some(format!("{in_flight} requests have no deadline"))
            }
            LinkState::Up(_) if queued > 0 && self.is_deaf(now, key) => {
                Some(format!("{queued} requests wait, and its task was not told"))
            }
            _ => None,
        }
    }

    /// Whether nothing will happen on the lane by itself.
    fn is_deaf(&self, now: Time, key: LaneKey) -> bool {
        let Some(lane) = self.lanes.get(key) else { return true };
        match lane.link() {
            // Where its broker is may be told soon, if that was never known.
            LinkState::Idle => {
                let is_known = self.address_of(key.peer).is_some() || lane.address().is_some();
                is_known || !self.learns_at_once()
            }
            LinkState::Backoff => !self.timers.is_set(&Timer::Reconnect(key)),
            LinkState::Up(_) if lane.is_muted(now) => !self.timers.is_set(&Timer::Throttle(key)),
            // Once one is answered it is asked for more.
            LinkState::Up(_) if lane.in_flight() >= self.config.max_in_flight => false,
            LinkState::Up(_) if lane.is_draining() || lane.proof() == Proof::Asked => lane.in_flight() == 0,
            LinkState::Up(_) => !lane.is_announced(),
            LinkState::Connecting(conn) => !self.timers.is_set(&Timer::Conn(*conn)),
            LinkState::Closing(..) => false,
        }
    }

    /// Whether metadata is asked for, or is about to be because it is known to be old.
    fn learns_at_once(&self) -> bool {
        self.metadata.is_asking() || (self.metadata.is_stale() && self.timers.is_set(&Timer::Metadata))
    }

    /// Whether metadata is asked for, now or by a timer.
    fn learns(&self) -> bool {
        self.metadata.is_asking() || self.timers.is_set(&Timer::Metadata)
    }
}
