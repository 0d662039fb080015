//! Deadlines of the handles: a future that must end at a time, whatever else happens.

use super::Client;
use super::promises::{Outcome, Promises};
use super::timers::Timer;
use crate::machine::{OpId, Time};

/// The time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rung;

impl Outcome for Rung {
    fn promises(client: &mut Client) -> &mut Promises<Self> {
        &mut client.alarms
    }

    fn give_up(client: &mut Client, id: OpId) {
        client.alarms.forget(id);
        client.timers.stop(&Timer::Alarm(id));
    }
}

impl Client {
    /// Promises to tell when the time has come.
    pub(crate) fn set_alarm(&mut self, at: Time) -> OpId {
        let id = self.next_op();
        self.alarms.make(id);
        self.timers.set(Timer::Alarm(id), at);
        id
    }

    pub(super) fn ring(&mut self, id: OpId) {
        self.keep(id, Rung);
    }
}
