//! The end of a client that nobody holds any more.
//!
//! Invariant: it waits for its members to leave their groups, for [`LINGER`] at most.

#[cfg(feature = "record")]
use super::door::What;
use super::entry::{enter, leave};
use super::timers::Timer;
use super::{Client, Event};
use crate::machine::Now;
use std::time::Duration;

/// How long the groups are left after the last handle was dropped.
const LINGER: Duration = Duration::from_secs(5);

impl Client {
    /// The last handle is gone. [`Event::Ended`] tells when the groups are left.
    pub(crate) fn retire(&mut self, now: Now) {
        enter!(self, Some(now), What::Retire);
        self.is_retiring = true;
        self.timers.set(Timer::Retire, now.time + LINGER);
        self.settle(now);
        leave!(self, &());
    }

    /// Ends a client that nobody holds, once it is a member of no group.
    pub(super) fn end_retired(&mut self, now: Now) {
        if self.is_retiring && !self.machines.any(|machine| machine.is_leaving()) {
            self.end(now);
        }
    }

    pub(super) fn end(&mut self, now: Now) {
        self.is_retiring = false;
        self.timers.stop(&Timer::Retire);
        self.close(now);
        self.announce(Event::Ended);
    }
}
