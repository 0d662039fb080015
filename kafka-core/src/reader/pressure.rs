//! Room for the answers of fetches, and what happens where the budget has none.
//!
//! Invariants
//! * While the application waits for more and has nothing to take, no fetch is refused. All that is held is then held by the
//!   application and by other fetches, and neither may give anything back: the application keeps what it keeps, and a parked
//!   fetch may stay parked. Each connection to a broker has one fetch under way at most, so what is overdrawn is less than
//!   the budget itself (before Fetch 3: one partition's limit for each of them).
//! * In any other case a fetch that finds no room waits until some is given back, or the application has taken everything.
//! * What the application keeps is told once it has kept half of the budget, and the budget was overdrawn, for a while.

use super::budget::Reservation;
use super::fetching::since;
use super::machine::{Item, ReaderMachine};
use super::timers::Timer;
use crate::error::{Error, ErrorKind};
use crate::machine::{Now, Time};
use crate::trace::Told;
use std::time::Duration;

/// Less is not worth asking for.
const LEAST: usize = 1024;

/// The application keeps so much that fetches find no room.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    since: Option<Time>,
    /// The application was told.
    told: bool,
}

impl ReaderMachine {
    /// Room for an answer: half of the budget is shared by the leaders' fetches, the other half holds what they brought.
    pub(super) fn reserve(
        &mut self,
        now: Now,
        broker: i32,
        is_main: bool,
        version: i16,
    ) -> Option<Reservation> {
        let state = self.brokers.get(&broker)?;
        let first = if is_main { state.wanted.values().next() } else { state.session.add.first() };
        let first = first.and_then(|id| self.partitions.get(*id)).map_or(0, |cursor| cursor.limit);
        let count = if is_main { state.wanted.len() } else { state.session.add.len() };

        let config = &self.config;
        let share = self.budget.limit() / (2 * self.leaders.max(1));
        let useful = count.saturating_mul(config.partition_max_bytes).max(first);
        let mut most = config.max_bytes.min(share).min(useful).max(LEAST);
        if version < since::MAX_BYTES {
            most = most.max(first); // there is no less than one partition
        }
        let least = if version < since::MAX_BYTES { first } else { most.min(config.partition_max_bytes) };
        let reservation = self.budget.reserve_between(least, most);
        if reservation.is_some() {
            self.relax();
        }
        reservation.or_else(|| self.reserve_under_pressure(now, least))
    }

    /// What paused partitions have buffered can be fetched again, so it goes first. It is dropped once the lock is released,
    /// and a timer tries again.
    fn reserve_under_pressure(&mut self, now: Now, least: usize) -> Option<Reservation> {
        if self.shed() {
            self.timers.start(now.time, Timer::Budget);
        } else if self.may_overdraw() {
            self.tell_what_is_kept(now);
            return Some(self.budget.overdraw(least));
        }
        self.starved = true;
        self.refresh_all_lanes();
        None
    }

    /// Gives up what paused partitions have buffered. Whether there was anything.
    fn shed(&mut self) -> bool {
        let before = self.dropped.len();
        for id in std::mem::take(&mut self.shelved) {
            if let Some(cursor) = self.partitions.get_mut(id) {
                let dropped = cursor.shed();
                self.dropped.extend(dropped);
            }
            self.update(id);
        }
        self.dropped.len() > before
    }

    /// Whether the application waits and has nothing to take.
    pub(super) fn may_overdraw(&self) -> bool {
        self.hungry && !self.is_readable()
    }

    /// Ends the wait for room where nothing need wait for it any more.
    pub(super) fn end_starving(&mut self) {
        if self.starved && self.may_overdraw() {
            self.starved = false;
            self.refresh_all_lanes();
        }
    }

    fn tell_what_is_kept(&mut self, now: Now) {
        let under_way: usize = self.brokers.values().map(super::broker::Broker::reserved).sum();
        let (kept, limit) = (self.budget.used().saturating_sub(under_way), self.budget.limit());
        if kept < limit / 2 {
            return;
        }
        let since = *self.pressure.since.get_or_insert(now.time);
        let lasted = now.time.duration_since(since);
        if lasted >= self.config.unknown_topic_grace && !std::mem::replace(&mut self.pressure.told, true) {
            let lasted = Duration::from_secs(lasted.as_secs());
            let error = Error::new(ErrorKind::BufferKept { kept, limit, lasted });
            self.traces.push(|| Told::BufferKept(error.clone()));
            self.notices.push_back(Item::Notice(error));
        }
    }

    fn relax(&mut self) {
        if self.budget.used() <= self.budget.limit() / 2 {
            self.pressure = Pressure::default();
        }
    }
}
