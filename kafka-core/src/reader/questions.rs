//! The questions about positions that wait to be asked, and those that wait for their answers.
//!
//! Invariants
//! * A cursor stands in `pending` under what it has noted as its pending question, and nowhere else.
//! * What is asked of one broker at one time goes in one request. Each request has a tag of its own, and its answer counts for
//!   a cursor only while that has the tag noted.

use super::cursor::{Cursor, CursorId, Question};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Questions {
    pending: BTreeMap<(i32, Question), BTreeSet<CursorId>>,
    asked: BTreeMap<u64, Asked>,
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
        let old = std::mem::replace(&mut cursor.pending, new);
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

    /// Takes the next question; the caller notes the tag in its cursors.
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

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.asked.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::cursor::{Stage, Want};
    use crate::snapshot::TopicPartition;
    use kafka_proto::Str;

    fn cursor(leader: i32) -> Cursor {
        let tp = TopicPartition::new(Str::from_static("t"), 0);
        let mut cursor = Cursor::new(tp, Stage::Resolving(Want::First), 1);
        cursor.leader = Some(leader);
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
        cursor.leader = Some(2);
        questions.update(5, &mut cursor);
        assert_eq!(questions.ask().map(|asking| asking.broker), Some(2));
        (cursor.pending, cursor.asked) = (None, Some(1));
        questions.update(5, &mut cursor);
        assert!(questions.ask().is_none(), "it waits for its answer");

        cursor.asked = None;
        questions.update(5, &mut cursor);
        cursor.stage = Stage::Halted;
        questions.update(5, &mut cursor);
        assert!(questions.ask().is_none());
    }
}
