//! The reader's invariant of progress, for [`stuck`](crate::client::Client).

use super::brokers::{Broker, FetchKind, NextFetch};
use super::cursor::{Cursor, CursorId};
use super::machine::ReaderMachine;
use super::position::Stage;
use super::timers::Timer;

/// As large as some batches are.
const OVERDRAFT: usize = 64 << 10;

const PARKED: &str = "it waits behind a fetch that is parked";

impl ReaderMachine {
    /// The partitions that are stuck, and why: nothing is under way for them, and nothing will happen by itself. There are none,
    /// or it is a bug.
    pub(crate) fn stuck(&self) -> impl Iterator<Item = String> {
        self.partitions.iter().filter_map(|(id, cursor)| {
            let why = self.stuck_cursor(id, cursor)?;
            Some(format!("partition {}: {why}", cursor.partition()))
        })
    }

    /// What is held far beyond the budget: whole batches that are larger than what was asked for may exceed it. Where an
    /// application keeps everything it is no fault, since it is not to stand still.
    pub(crate) fn over_budget(&self) -> Option<String> {
        let (used, limit) = (self.room.used(), self.room.limit());
        (used > 2 * limit + OVERDRAFT).then(|| format!("{used} bytes are held of a budget of {limit}"))
    }

    /// Returns whether partitions wait for a leader.
    pub(crate) fn waits_for_a_leader(&self) -> bool {
        self.partitions.has_leaderless()
    }

    fn stuck_cursor(&self, id: CursorId, cursor: &Cursor) -> Option<&'static str> {
        if cursor.is_paused() || cursor.stage() == Stage::Halted {
            return None;
        }
        if cursor.has_items() {
            let is_to_come = cursor.turn.is_to_come();
            return (!is_to_come).then_some("it has records, and does not stand among those that have");
        }
        if cursor.retry.is_waiting() {
            let will_end = self.timers.will_end(Timer::Cursor(id), &cursor.retry);
            return (!will_end).then_some("no timer ends its backoff");
        }
        match (cursor.stage(), cursor.source().broker()) {
            (_, None) => {
                (!self.partitions.is_leaderless(id)).then_some("it has no leader, and waits for none")
            }
            (Stage::Fetching, Some(home)) => self.stuck_fetch(id, cursor, self.brokers.get(home)),
            _ => (!cursor.inquiry.is_open()).then_some("no request asks for its position"),
        }
    }

    fn stuck_fetch(&self, id: CursorId, cursor: &Cursor, broker: Option<&Broker>) -> Option<&'static str> {
        let (Some(broker), Some(home)) = (broker, cursor.placement.home()) else {
            return Some("it stands at no broker");
        };
        if cursor.is_in_secondary() || broker.is_waiting() {
            return None;
        }
        if self.brokers.waits_for_room() {
            return self.may_overdraw().then_some("it waits for room although the application waits for it");
        }
        if cursor.is_walk_interrupted() {
            return (!self.deliveries.has_walk()).then_some("it waits for a walk that is over");
        }
        match broker.next_fetch_of(id) {
            None => Some("its broker does not know that records are wanted"),
            Some(NextFetch::By(kind)) if self.brokers.is_wanted(home, kind) => None,
            Some(NextFetch::By(FetchKind::Main)) => Some("no request fetches it"),
            Some(NextFetch::By(FetchKind::Secondary)) => Some(PARKED),
            Some(NextFetch::Gathered(at)) => {
                (!self.timers.contains(at, Timer::Gather(home))).then_some(PARKED)
            }
            Some(NextFetch::Following) => None,
        }
    }
}
