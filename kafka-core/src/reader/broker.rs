//! What a reader has to do with one broker: the partitions it fetches there, the session, and the fetches under way.
//!
//! There is at most one fetch under way on each of two connections. The main one is a session, and the broker parks it while none of
//! its partitions has records. A partition that becomes wanted meanwhile would wait with it, so it goes *aside*, by the other one.

use super::cursor::CursorId;
use super::promptness::Promptness;
use super::session::{Asked, Heading, Session};
use super::timers::Retry;
use crate::machine::Time;
use crate::trouble::Trouble;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Broker {
    pub(super) session: Session,
    /// The partitions to fetch, by turn: what was fetched last is last.
    pub(super) wanted: BTreeMap<u64, CursorId>,
    /// Those of them that are known to have records waiting, so that the broker will not park the fetch.
    pub(super) behind: BTreeSet<CursorId>,
    /// Those that are not wanted now and soon will be: what they had is still to be read, or they are tried again.
    pub(super) due: BTreeSet<CursorId>,
    /// Those whose position is to be checked, if the broker does not do so by itself.
    pub(super) unvalidated: BTreeSet<CursorId>,
    /// Those that are here because their leader sent them (KIP-392).
    pub(super) guests: BTreeSet<CursorId>,
    /// How many partitions are served here, wanted or not.
    pub(super) placed: usize,
    pub(super) main: Option<MainFlight>,
    pub(super) aside: Option<AsideFlight>,
    /// Until then the main fetch should be back, and with it all are together again: nothing more goes aside.
    pub(super) gathers: Option<Time>,
    pub(super) retry: Retry,
    /// Answers in a row that brought nothing although there was time to wait.
    pub(super) hasty: u32,
    /// Answers of the main connection in a row that the broker waited for and that brought nothing.
    pub(super) quiet: u32,
    /// The same of fetches aside, whether they might be parked or not.
    pub(super) quiet_aside: u32,
    pub(super) promptness: Promptness,
    /// The trouble it is in since its last answer.
    pub(super) trouble: Trouble,
}

/// A fetch under way on the main connection.
#[derive(Debug)]
pub(super) struct MainFlight {
    pub(super) heading: Heading,
    pub(super) sent_at: Time,
    /// How long the broker may wait.
    pub(super) wait: Duration,
    /// No partition in it was known to have records, so it may be parked.
    pub(super) may_park: bool,
    /// The bytes its answer may bring.
    pub(super) reserved: usize,
}

/// A fetch under way beside it.
#[derive(Debug)]
pub(super) struct AsideFlight {
    pub(super) sent_at: Time,
    /// How long the broker may wait.
    pub(super) wait: Duration,
    pub(super) asked: BTreeMap<CursorId, Asked>,
    /// The bytes its answer may bring.
    pub(super) reserved: usize,
}

impl Broker {
    /// Whether it leads partitions of which nothing is wanted now, and soon will be.
    pub(super) fn has_others(&self) -> bool {
        !self.due.is_empty()
    }

    /// The bytes that the answers under way may bring.
    pub(super) fn reserved(&self) -> usize {
        let main = self.main.as_ref().map_or(0, |main| main.reserved);
        main + self.aside.as_ref().map_or(0, |aside| aside.reserved)
    }

    /// The answers in a row that brought nothing for which it may wait longer than it was told: it answers as soon as there is
    /// anything. Replicas are not known to: before Kafka 3.4 they do not (KAFKA-14334).
    pub(super) fn trusted_quiet(&self) -> u32 {
        if self.guests.is_empty() { self.promptness.trusted(self.quiet) } else { 0 }
    }

    pub(super) fn wants_main(&self) -> bool {
        self.main.is_none() && !self.wanted.is_empty() && !self.retry.is_waiting()
    }

    pub(super) fn wants_aside(&self) -> bool {
        self.main.as_ref().is_some_and(|main| main.may_park)
            && self.aside.is_none()
            && self.gathers.is_none()
            && !self.session.add.is_empty()
            && !self.retry.is_waiting()
    }

    /// A partition is wanted like this at its turn, or not at all.
    pub(super) fn want(&mut self, cursor: CursorId, turn: u64, asked: Option<Asked>) {
        match asked {
            Some(_) => self.wanted.insert(turn, cursor),
            None => self.wanted.remove(&turn),
        };
        self.session.want(cursor, asked);
    }

    /// A partition is no longer served here.
    pub(super) fn leave(&mut self, cursor: CursorId, turn: u64) {
        self.want(cursor, turn, None);
        self.behind.remove(&cursor);
        self.due.remove(&cursor);
        self.unvalidated.remove(&cursor);
        self.guests.remove(&cursor);
        self.placed -= 1;
    }

    /// All partitions are taken away; what is under way goes on, its answers find nobody.
    pub(super) fn clear(&mut self) {
        self.wanted.clear();
        self.behind.clear();
        self.due.clear();
        self.unvalidated.clear();
        self.guests.clear();
        self.placed = 0;
        self.gathers = None;
        self.session.add.clear();
        self.session.restart();
    }
}

/// Puts a cursor into a set or takes it out.
pub(super) fn set(to: &mut BTreeSet<CursorId>, cursor: CursorId, is_in: bool) {
    if is_in {
        to.insert(cursor);
    } else {
        to.remove(&cursor);
    }
}
