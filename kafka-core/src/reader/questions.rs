//! The questions about positions that wait to be asked, and those that wait for their answers.
//!
//! Invariants
//! * A cursor stands in `pending` under what its [`Inquiry`] has as pending, and nowhere else.
//! * What is asked of one broker at one time goes in one request. Each request has a tag of its own, and its answer counts for
//!   a cursor only while its inquiry has the tag.

use super::cursor::{Cursor, CursorId};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};

/// What can be asked about a cursor's position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Question {
    Offset,
    Epoch,
}

/// What is or was asked about a cursor.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Inquiry {
    pending: Option<(i32, Question)>,
    /// The tag of the request whose answer counts.
    asked: Option<u64>,
}

impl Inquiry {
    /// Returns whether it waits for an answer.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Returns whether something is asked, or to be asked.
    pub(super) fn is_open(&self) -> bool {
        self.pending.is_some() || self.asked.is_some()
    }

    /// The answer that it may wait for counts no more.
    pub(super) fn forget(&mut self) {
        self.asked = None;
    }

    /// It went with the request of this tag.
    pub(super) fn sent(&mut self, tag: u64) {
        *self = Self { pending: None, asked: Some(tag) };
    }

    /// The request of this tag was answered. Returns whether that counts.
    pub(super) fn answered(&mut self, tag: u64) -> bool {
        self.asked.take_if(|asked| *asked == tag).is_some()
    }
}

#[derive(Debug, Default)]
pub(super) struct Questions {
    pending: BTreeMap<(i32, Question), BTreeSet<CursorId>>,
    asked: FxHashMap<u64, Asked>,
    last_tag: u64,
}

/// A question that is not answered.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) question: Question,
    pub(super) ids: BTreeSet<CursorId>,
}

/// A question to be sent.
#[derive(Debug)]
pub(super) struct Asking<'a> {
    pub(super) tag: u64,
    pub(super) broker: i32,
    pub(super) question: Question,
    pub(super) ids: &'a BTreeSet<CursorId>,
}

impl Questions {
    /// Notes, after a change of a partition, what is to be asked about it.
    pub(super) fn update(&mut self, id: CursorId, cursor: &mut Cursor) {
        let new = cursor.question();
        let old = std::mem::replace(&mut cursor.inquiry.pending, new);
        if old == new {
            return;
        }
        if let Some(key) = old
            && let Some(ids) = self.pending.get_mut(&key)
        {
            ids.remove(&id);
            if ids.is_empty() {
                self.pending.remove(&key);
            }
        }
        if let Some(key) = new {
            self.pending.entry(key).or_default().insert(id);
        }
    }

    /// Takes the next question; the caller gives the tag to its cursors.
    pub(super) fn ask(&mut self) -> Option<Asking<'_>> {
        let ((broker, question), ids) = self.pending.pop_first()?;
        self.last_tag += 1;
        let tag = self.last_tag;
        let asked = self.asked.entry(tag).or_insert(Asked { question, ids });
        Some(Asking { tag, broker, question, ids: &asked.ids })
    }

    /// Takes the question that was answered.
    pub(super) fn answered(&mut self, tag: u64) -> Option<Asked> {
        self.asked.remove(&tag)
    }

    /// Forgets what waits to be asked. Answers will still come, and find nothing.
    pub(super) fn clear(&mut self) {
        self.pending.clear();
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.asked.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::reader::position::Want;
    use crate::snapshot::TopicPartition;
    use kafka_proto::Str;

    fn cursor(leader: i32) -> Cursor {
        let tp = TopicPartition::new(Str::from_static("t"), 0);
        let mut cursor = Cursor::new(tp, 1);
        cursor.begin(Want::First);
        cursor.set_leader(Some(leader), 0);
        cursor
    }

    #[test]
    fn what_is_asked_of_one_broker_goes_together() {
        let mut questions = Questions::default();
        let mut cursors = [1, 2, 1].map(cursor);
        for (id, cursor) in (0..).zip(&mut cursors) {
            questions.update(id, cursor);
        }
        let asking = questions.ask().unwrap();
        assert_eq!((asking.tag, asking.broker, asking.ids.len()), (1, 1, 2));
        let asking = questions.ask().unwrap();
        assert_eq!((asking.tag, asking.broker, asking.ids.len()), (2, 2, 1));
        assert!(questions.ask().is_none());
        assert_eq!(questions.answered(1).map(|asked| asked.ids.len()), Some(2));
        assert!(questions.answered(1).is_none() && !questions.is_empty());
        assert!(questions.answered(2).is_some() && questions.is_empty());
    }

    #[test]
    fn a_question_moves_with_its_partition() {
        let (mut questions, mut cursor) = (Questions::default(), cursor(1));
        questions.update(5, &mut cursor);
        cursor.set_leader(Some(2), 1);
        questions.update(5, &mut cursor);
        assert_eq!(questions.ask().map(|asking| asking.broker), Some(2));
        cursor.inquiry.sent(1);
        questions.update(5, &mut cursor);
        assert!(questions.ask().is_none(), "it waits for its answer");

        assert!(!cursor.inquiry.answered(2) && cursor.inquiry.answered(1));
        questions.update(5, &mut cursor);
        cursor.halt(Error::new(ErrorKind::Closed));
        questions.update(5, &mut cursor);
        assert!(questions.ask().is_none());
    }
}
