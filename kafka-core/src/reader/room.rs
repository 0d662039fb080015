//! Room for the answers of fetches: the reader's share in its [`Budget`], and since when the application keeps too much of it.
//!
//! Invariant: what the application keeps is reported once, until half of the budget is free again.

use super::budget::{Budget, Reservation};
use crate::error::{Error, ErrorKind};
use crate::machine::Time;
use crate::tape::Tape;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Room {
    budget: Arc<Budget>,
    tape: Tape,
    /// Since when the budget was overdrawn while the application kept half of it.
    kept_since: Option<Time>,
    is_reported: bool,
}

impl Room {
    pub(super) fn new(budget: Arc<Budget>, tape: Tape) -> Self {
        Self { budget, tape, kept_since: None, is_reported: false }
    }

    /// Returns how many bytes may be held.
    pub(super) fn limit(&self) -> usize {
        self.budget.limit()
    }

    /// Returns how many bytes are held or reserved.
    pub(super) fn used(&self) -> usize {
        self.tape.see(|| self.budget.used())
    }

    /// Reserves as much as is left, at least `least` and at most `most` bytes, or nothing.
    pub(super) fn reserve(&mut self, least: usize, most: usize) -> Option<Reservation> {
        let mut reserved = None;
        let bytes = self.tape.see(|| {
            reserved = self.budget.reserve_between(least, most);
            reserved.as_ref().map(Reservation::bytes)
        })?;
        // Where nothing was asked of the budget, as its answer is known.
        let reservation = reserved.unwrap_or_else(|| self.budget.overdraw(bytes));
        if self.used() <= self.limit() / 2 {
            (self.kept_since, self.is_reported) = (None, false);
        }
        Some(reservation)
    }

    /// Reserves `bytes` whatever is left.
    pub(super) fn overdraw(&self, bytes: usize) -> Reservation {
        self.budget.overdraw(bytes)
    }

    /// The budget is to be overdrawn, while `reserved` bytes of it are reserved for answers. Returns what is to be reported if the
    /// application has kept half of it for longer than `grace`.
    pub(super) fn note_kept(&mut self, now: Time, reserved: usize, grace: Duration) -> Option<Error> {
        let (kept, limit) = (self.used().saturating_sub(reserved), self.limit());
        if kept < limit / 2 {
            return None;
        }
        let lasted = now.duration_since(*self.kept_since.get_or_insert(now));
        if lasted < grace || std::mem::replace(&mut self.is_reported, true) {
            return None;
        }
        let lasted = Duration::from_secs(lasted.as_secs());
        Some(Error::new(ErrorKind::BufferKept { kept, limit, lasted }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(5);

    #[test]
    fn what_is_kept_is_reported_once_it_has_lasted() {
        let mut room = Room::new(Budget::new(100), Tape::default());
        let kept = room.reserve(60, 60).unwrap();
        let mut at = Time::START;
        assert!(room.note_kept(at, 0, GRACE).is_none());
        at += GRACE;
        assert!(room.note_kept(at, 20, GRACE).is_none(), "only 40 bytes are kept");
        let error = room.note_kept(at, 0, GRACE).unwrap();
        assert_eq!(*error.kind(), ErrorKind::BufferKept { kept: 60, limit: 100, lasted: GRACE });
        assert!(room.note_kept(at, 0, GRACE).is_none(), "once");

        drop(kept);
        drop(room.reserve(1, 1));
        let _kept = room.overdraw(60);
        assert!(room.note_kept(at, 0, GRACE).is_none(), "it has to last again");
        at += GRACE;
        assert!(room.note_kept(at, 0, GRACE).is_some());
    }
}
