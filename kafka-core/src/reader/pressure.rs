//! What happens where the budget has no room for the answer of a fetch.
//!
//! Invariants
//! * While the application waits for more and has nothing to take, no fetch is refused. All that is held is then held by the
//!   application and by other fetches, and neither may give anything back: the application keeps what it keeps, and a parked
//!   fetch may stay parked. Each connection to a broker has one fetch under way at most, so what is overdrawn is less than
//!   the budget itself (before Fetch 3: one partition's limit for each of them).
//! * In any other case a fetch that finds no room waits until some is given back, or the application has taken everything.
//! * What the application keeps is reported once it has kept half of the budget, and the budget was overdrawn, for a while.

use super::brokers::FetchKind;
use super::budget::Reservation;
use super::cursor::Cursor;
use super::fetching::since;
use super::machine::{Item, ReaderMachine};
use super::timers::Timer;
use crate::machine::Now;
use crate::trace::Told;

/// Less is not worth asking for.
const LEAST: usize = 1024;

impl ReaderMachine {
    /// Room for an answer: half of the budget is shared by the leaders' fetches, the other half holds what they brought.
    pub(super) fn reserve(
        &mut self,
        now: Now,
        broker: i32,
        kind: FetchKind,
        version: i16,
    ) -> Option<Reservation> {
        let (count, first) = self.brokers.get(broker)?.next_fetch(kind);
        let first = first.and_then(|id| self.partitions.get(id)).map_or(0, Cursor::limit);

        let config = &self.config;
        let share = self.room.limit() / (2 * self.brokers.leaders().max(1));
        let useful = count.saturating_mul(config.partition_max_bytes).max(first);
        let mut most = config.max_bytes.min(share).min(useful).max(LEAST);
        if version < since::MAX_BYTES {
            most = most.max(first); // there is no less than one partition
        }
        let least = if version < since::MAX_BYTES { first } else { most.min(config.partition_max_bytes) };
        self.room.reserve(least, most).or_else(|| self.reserve_under_pressure(now, least))
    }

    /// What paused partitions have buffered can be fetched again, so it goes first. It is dropped once the lock is released,
    /// and a timer tries again.
    fn reserve_under_pressure(&mut self, now: Now, least: usize) -> Option<Reservation> {
        if self.drop_buffered() {
            self.timers.start(now.time, Timer::Budget);
        } else if self.may_overdraw() {
            self.report_what_is_kept(now);
            return Some(self.room.overdraw(least));
        }
        self.brokers.wait_for_room();
        None
    }

    /// Gives up what paused partitions have buffered. Returns whether there was anything.
    fn drop_buffered(&mut self) -> bool {
        let mut has_dropped = false;
        for id in self.deliveries.take_paused() {
            if let Some(cursor) = self.partitions.get_mut(id) {
                let dropped = cursor.drop_buffered();
                has_dropped |= !dropped.is_empty();
                self.deliveries.give_up(dropped);
            }
            self.update(id);
        }
        has_dropped
    }

    /// Returns whether the application waits and has nothing to take.
    pub(super) fn may_overdraw(&self) -> bool {
        self.deliveries.is_awaited()
    }

    /// Ends the wait for room where nothing need wait for it any more.
    pub(super) fn end_needless_wait(&mut self) {
        if self.may_overdraw() {
            self.brokers.stop_waiting_for_room();
        }
    }

    fn report_what_is_kept(&mut self, now: Now) {
        let grace = self.config.unknown_topic_grace;
        if let Some(error) = self.room.note_kept(now.time, self.brokers.reserved(), grace) {
            self.traces.push(|| Told::BufferKept(error.clone()));
            self.deliveries.notify(Item::Notice(error));
        }
    }
}
