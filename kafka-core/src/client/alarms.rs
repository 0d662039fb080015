//! Deadlines of the handles: a future that must end at a time, whatever else happens.

use super::timers::Timer;
use super::{Client, Event};
use std::time::Instant;

impl Client {
    /// [`Event::Call`] tells when the time has come.
    pub(crate) fn set_alarm(&mut self, at: Instant) -> u64 {
        let id = self.next_id();
        self.timers.set(Timer::Alarm(id), at);
        self.alarms.insert(id, false);
        id
    }

    pub(crate) fn alarm_rang(&self, id: u64) -> bool {
        self.alarms.get(&id).copied().unwrap_or(true)
    }

    pub(crate) fn stop_alarm(&mut self, id: u64) {
        self.alarms.remove(&id);
        self.timers.stop(&Timer::Alarm(id));
    }

    pub(super) fn ring(&mut self, id: u64) {
        if let Some(rang) = self.alarms.get_mut(&id) {
            *rang = true;
            self.announce(Event::Call(id));
        }
    }
}
