//! Deadlines of the handles: a future that must end at a time, whatever else happens.

use super::Client;
#[cfg(feature = "record")]
use super::door::What;
use super::entry::{enter, leave};
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

    #[cfg(feature = "record")]
    fn told(&self) -> String {
        "rung".into()
    }

    fn give_up(client: &mut Client, id: OpId) {
        enter!(client, None, What::Forget(id));
        client.alarms.forget(id);
        client.timers.stop(&Timer::Alarm(id));
        leave!(client, &());
    }
}

impl Client {
    /// Promises to tell when the time has come.
    pub(crate) fn set_alarm(&mut self, at: Time) -> OpId {
        enter!(self, None, What::Alarm(at));
        let id = self.next_op();
        self.alarms.make(id);
        self.timers.set(Timer::Alarm(id), at);
        leave!(self, &id);
        id
    }

    pub(super) fn ring(&mut self, id: OpId) {
        self.keep(id, Rung);
    }
}
