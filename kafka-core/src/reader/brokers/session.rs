//! Fetch sessions (KIP-227): what a broker remembers of our fetches on one connection, so that the next request says only what changed.
//!
//! The same book serves brokers without sessions: then every request is a full one, and the members are what that one listed.
//!
//! Invariant: a cursor is in `add` if it is wanted and the broker does not have it as it is; in `forget` if the broker has it
//! and it is not wanted.

use crate::reader::cursor::{CursorId, set};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::fetch::FetchRequest;
use kafka_proto::{Str, Uuid};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// The first version of Fetch with sessions.
const SINCE: i16 = 7;

#[derive(Debug, Default)]
pub(super) struct Session {
    /// 0: the broker has none of ours.
    id: i32,
    /// Of the next request; 0 makes a new session.
    epoch: i32,
    /// Rises with every new session, so that answers to requests of an earlier one are known.
    incarnation: u64,
    by_id: bool,
    /// Refusals of the session in a row.
    failures: u32,
    members: FxHashMap<CursorId, Member>,
    add: BTreeSet<CursorId>,
    forget: BTreeSet<CursorId>,
}

/// A partition as it was reported to the broker.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::reader) struct Member {
    pub(in crate::reader) topic: Str,
    pub(in crate::reader) topic_id: Uuid,
    pub(in crate::reader) partition: i32,
    pub(in crate::reader) asked: Asked,
}

impl Member {
    /// What a broker knows it by.
    fn place(&self) -> (&Str, Uuid, i32) {
        (&self.topic, self.topic_id, self.partition)
    }
}

/// What is asked of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::reader) struct Asked {
    pub(in crate::reader) offset: i64,
    pub(in crate::reader) leader_epoch: i32,
    pub(in crate::reader) last_epoch: i32,
    pub(in crate::reader) limit: usize,
}

/// What a request says of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::reader) struct Heading {
    pub(in crate::reader) session_id: i32,
    pub(in crate::reader) session_epoch: i32,
    /// All wanted partitions are listed, rather than what changed.
    pub(in crate::reader) is_full: bool,
    pub(in crate::reader) incarnation: u64,
}

/// What an answer means for the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::reader) enum Verdict {
    /// The partitions are to be looked at.
    Valid,
    /// The answer is to a session that was given up since.
    Outdated,
    /// The whole request failed for another reason.
    Failed,
    /// The broker has no such session (or not at this point); a new one begins.
    Lost {
        /// How often in a row.
        failures: u32,
    },
}

impl Session {
    /// What the next request says. A broker that knows no sessions ignores it.
    pub(super) fn heading(&mut self, version: i16, by_id: bool) -> Heading {
        if by_id != self.by_id {
            self.restart();
            self.by_id = by_id;
        }
        let is_full = version < SINCE || self.epoch == 0 || self.id == 0;
        if is_full {
            self.epoch = 0;
            self.members.clear();
            self.forget.clear();
        }
        Heading { session_id: self.id, session_epoch: self.epoch, is_full, incarnation: self.incarnation }
    }

    /// The cursor is wanted like this, or not at all.
    pub(super) fn want(&mut self, cursor: CursorId, asked: Option<Asked>) {
        let has = self.members.get(&cursor);
        let (add, forget) = match asked {
            Some(asked) => (has.is_none_or(|member| member.asked != asked), false),
            None => (false, has.is_some()),
        };
        set(&mut self.add, cursor, add);
        set(&mut self.forget, cursor, forget);
    }

    /// Returns what the broker does not have as it is wanted.
    pub(super) fn changed(&self) -> &BTreeSet<CursorId> {
        &self.add
    }

    /// These are wanted, and the broker has none of them as it is wanted.
    pub(super) fn change_all(&mut self, wanted: BTreeSet<CursorId>) {
        self.add = wanted;
    }

    /// The next request names these. Returns what it has to take back: not what was taken away and assigned anew meanwhile, since a
    /// broker takes back last.
    pub(super) fn name(&mut self, named: Vec<(CursorId, Member)>) -> Vec<Member> {
        let forget = std::mem::take(&mut self.forget);
        let mut forgotten: Vec<Member> = forget.iter().filter_map(|id| self.members.remove(id)).collect();
        if !forgotten.is_empty() {
            let named: BTreeSet<_> = named.iter().map(|(_, member)| member.place()).collect();
            forgotten.retain(|member| !named.contains(&member.place()));
        }
        for (id, member) in named {
            self.add.remove(&id);
            self.members.insert(id, member);
        }
        forgotten
    }

    /// Returns whether this partition was reported to the broker.
    pub(super) fn has(&self, cursor: CursorId) -> bool {
        self.members.contains_key(&cursor)
    }

    /// Returns what was asked of a partition.
    pub(super) fn asked(&self, cursor: CursorId) -> Option<Asked> {
        self.members.get(&cursor).map(|member| member.asked)
    }

    /// Returns how many partitions were reported to the broker.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Nothing is wanted any more.
    pub(super) fn clear(&mut self) {
        self.add.clear();
        self.restart();
    }

    /// Returns whether partitions of this topic were reported to the broker.
    pub(super) fn has_topic(&self, name: &Str) -> bool {
        self.members.values().any(|member| member.topic == *name)
    }

    /// Gives the session up; the next request ends it at the broker and makes a new one.
    pub(super) fn restart(&mut self) {
        self.epoch = 0;
        self.incarnation += 1;
        self.members.clear();
        self.forget.clear();
    }

    /// Gives the session up for good: returns its id at the broker, which is to be ended there, if it has one.
    pub(super) fn end(&mut self) -> Option<i32> {
        self.restart();
        let id = std::mem::take(&mut self.id);
        (id != 0).then_some(id)
    }

    /// A response came to the request of this heading.
    pub(super) fn answered(&mut self, heading: Heading, error: ErrorCode, session_id: i32) -> Verdict {
        use ErrorCode::{FetchSessionIdNotFound, FetchSessionTopicIdError, InvalidFetchSessionEpoch};
        let is_lost =
            matches!(error, FetchSessionIdNotFound | FetchSessionTopicIdError | InvalidFetchSessionEpoch);
        match error {
            FetchSessionIdNotFound => self.id = 0, // nothing is left to be closed
            ErrorCode::None if heading.is_full => self.id = session_id,
            _ => {}
        }
        if heading.incarnation != self.incarnation {
            return Verdict::Outdated;
        }
        if !error.is_none() {
            self.restart();
            self.failures += u32::from(is_lost);
            return if is_lost { Verdict::Lost { failures: self.failures } } else { Verdict::Failed };
        }
        self.failures = 0;
        self.epoch = match heading.session_epoch {
            i32::MAX => 1,
            epoch => epoch + 1,
        };
        Verdict::Valid
    }
}

/// The request that ends a session: its last epoch, and nothing that is wanted. The broker answers it at once.
pub(super) fn last_fetch(session_id: i32) -> FetchRequest {
    FetchRequest { session_id, session_epoch: -1, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(offset: i64) -> Asked {
        Asked { offset, leader_epoch: 3, last_epoch: -1, limit: 1 }
    }

    fn member(offset: i64) -> Member {
        Member { topic: Str::from_static("t"), topic_id: Uuid::ZERO, partition: 0, asked: asked(offset) }
    }

    fn ids(set: &BTreeSet<CursorId>) -> Vec<CursorId> {
        set.iter().copied().collect()
    }

    #[test]
    fn epochs_count_from_the_full_fetch_and_wrap_to_one() {
        let mut session = Session::default();
        let first = session.heading(12, false);
        assert_eq!((first.session_id, first.session_epoch, first.is_full), (0, 0, true));
        assert_eq!(session.answered(first, ErrorCode::None, 77), Verdict::Valid);
        let second = session.heading(12, false);
        assert_eq!((second.session_id, second.session_epoch, second.is_full), (77, 1, false));
        session.answered(second, ErrorCode::None, 77);
        assert_eq!(session.heading(12, false).session_epoch, 2);

        session.epoch = i32::MAX;
        let last = session.heading(12, false);
        session.answered(last, ErrorCode::None, 77);
        assert_eq!(session.heading(12, false).session_epoch, 1);
    }

    #[test]
    fn scenario_c18_a_refused_session_means_full_fetches() {
        let mut session = Session::default();
        for _ in 0..3 {
            let heading = session.heading(12, false);
            assert_eq!((heading.session_id, heading.session_epoch, heading.is_full), (0, 0, true));
            session.answered(heading, ErrorCode::None, 0);
        }
    }

    #[test]
    fn only_what_changed_is_said() {
        let mut session = Session::default();
        session.want(1, Some(asked(5)));
        assert_eq!(ids(&session.add), [1]);
        session.members.insert(1, member(5));
        session.want(1, Some(asked(5)));
        assert!(ids(&session.add).is_empty());
        session.want(1, Some(asked(6)));
        assert_eq!(ids(&session.add), [1]);
        session.want(1, None);
        assert_eq!((ids(&session.add), ids(&session.forget)), (vec![], vec![1]));
        session.want(2, None);
        assert_eq!(ids(&session.forget), [1], "what the broker does not have need not be forgotten");
    }

    #[test]
    fn a_restart_closes_the_old_session_and_outdates_its_answers() {
        let mut session = Session::default();
        let full = session.heading(12, false);
        session.answered(full, ErrorCode::None, 9);
        let under_way = session.heading(12, false);
        session.restart();
        assert_eq!(session.answered(under_way, ErrorCode::None, 9), Verdict::Outdated);
        let next = session.heading(12, false);
        assert_eq!((next.session_id, next.session_epoch), (9, 0));
    }

    #[test]
    fn a_lost_session_begins_anew_and_the_failures_are_counted() {
        let mut session = Session::default();
        let full = session.heading(12, false);
        session.answered(full, ErrorCode::None, 9);
        let next = session.heading(12, false);
        let lost = session.answered(next, ErrorCode::InvalidFetchSessionEpoch, 0);
        assert_eq!(lost, Verdict::Lost { failures: 1 });
        let close = session.heading(12, false);
        assert_eq!((close.session_id, close.session_epoch), (9, 0));
        let lost = session.answered(close, ErrorCode::FetchSessionIdNotFound, 0);
        assert_eq!(lost, Verdict::Lost { failures: 2 });
        assert_eq!(session.heading(12, false).session_id, 0);
    }

    #[test]
    fn names_and_ids_are_not_mixed_in_a_session() {
        let mut session = Session::default();
        let full = session.heading(13, false);
        session.answered(full, ErrorCode::None, 9);
        let by_id = session.heading(13, true);
        assert_eq!((by_id.session_id, by_id.session_epoch, by_id.is_full), (9, 0, true));
    }
}
