//! What the application has handled, and its commit.

use super::Reader;
use crate::error::{Error, ErrorKind, Result};
use crate::group::CommitOffset;
use crate::message::Record;
use crate::reading::{self, Mark};
use crate::sans_io::access::{Access, command};
use crate::sans_io::calls::Commit;
use crate::sans_io::closed;
use crate::snapshot::TopicPartition;
use std::collections::BTreeMap;

impl Reader {
    /// Begins to commit the positions after these records, the highest of each partition; `None` where there are no records.
    ///
    /// # Errors
    /// [`ErrorKind::StaleCommit`] where a record is of another reader or of an assignment that has ended: nothing is sent then.
    /// [`ErrorKind::Misuse`] without a group.
    pub fn commit<'a>(
        &self,
        mut client: impl Access,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<Option<Commit>> {
        let Some((assignment, offsets)) = self.offsets_of(records)? else { return Ok(None) };
        let deadline = client.now().time + self.commit_timeout;
        let commit = reading::Commit { assignment, offsets, deadline };
        let id = command(&mut client, self.id, commit).ok_or_else(closed)??;
        Ok(Some(Commit { id }))
    }

    /// Marks these records and all before them in their partitions as handled: they are committed within the auto-commit interval,
    /// when partitions are given up, and when the reader or the client is closed. Marks of a topic that is deleted and made again
    /// meanwhile are dropped.
    ///
    /// # Errors
    /// [`ErrorKind::StaleCommit`] where a record is of another reader or of an assignment that has ended;
    /// [`ErrorKind::Misuse`] without a group. Nothing is marked then.
    pub fn mark<'a>(
        &mut self,
        mut client: impl Access,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<()> {
        if !self.in_group {
            return Err(Error::new(ErrorKind::Misuse("a reader without a group has nowhere to commit to")));
        }
        let Some((assignment, offsets)) = self.offsets_of(records)? else { return Ok(()) };
        if !self.marks.is_of(assignment) {
            return Err(Error::new(ErrorKind::StaleCommit));
        }
        for CommitOffset { partition, offset, leader_epoch, topic_id, .. } in offsets {
            self.set_mark(&mut client, self.marks.place(partition), (offset, leader_epoch, topic_id));
        }
        Ok(())
    }

    fn offsets_of<'a>(
        &self,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<Option<(u32, Vec<CommitOffset>)>> {
        let mut highest: BTreeMap<TopicPartition, Mark> = BTreeMap::new();
        let mut assignment = None;
        for record in records {
            let stale = || Err(Error::new(ErrorKind::StaleCommit));
            let Record { topic, partition, offset, origin, .. } = record;
            let is_ours = origin.reader == self.id;
            if !is_ours || *assignment.get_or_insert(origin.assignment) != origin.assignment {
                return stale();
            }
            let position = (offset.saturating_add(1), origin.leader_epoch, origin.topic_id);
            let mark = highest.entry(TopicPartition::new(topic.clone(), *partition)).or_insert(position);
            // Offsets of a topic and of the one that was made in its place cannot be compared.
            *mark = if mark.2 == position.2 { (*mark).max(position) } else { position };
        }
        Ok(assignment.map(|assignment| (assignment, highest.into_iter().map(commit_offset).collect())))
    }

    /// The record that was read last counts as handled.
    pub(crate) fn handled(&mut self, client: &mut impl Access) {
        if let Some((place, mark)) = self.last.take() {
            self.set_mark(client, place, mark);
        }
    }

    /// The client is needed once in an auto-commit interval, not for each mark.
    fn set_mark(&self, client: &mut impl Access, place: usize, mark: Mark) {
        if self.marks.set(place, mark) {
            command(client, self.id, reading::Marked);
        }
    }

    /// The application has the record in its hands, until it asks for the one after it.
    pub(crate) fn hand_over(&mut self, record: &Record) {
        if !self.in_group {
            return;
        }
        let Record { topic, partition, offset, origin, .. } = record;
        let partition = || TopicPartition::new(topic.clone(), *partition);
        let place = *self.place.get_or_insert_with(|| self.marks.place(partition()));
        self.last = Some((place, (offset.saturating_add(1), origin.leader_epoch, origin.topic_id)));
    }

    /// The assignment is over.
    pub(super) fn forget_marks(&mut self) {
        self.marks.forget();
        (self.place, self.last) = (None, None);
    }
}

fn commit_offset((partition, (offset, leader_epoch, topic_id)): (TopicPartition, Mark)) -> CommitOffset {
    CommitOffset { partition, offset, leader_epoch, topic_id, metadata: None }
}
