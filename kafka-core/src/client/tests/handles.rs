//! What handles do to a client, by hand.

use super::super::Client;
use crate::error::Error;
use crate::group::{CommitOffset, GroupConfig};
use crate::machine::{MachineId, Now, OpId, Time};
use crate::reader::{Budget, ReaderConfig};
use crate::reading::{self, Leaving, Marks, ReaderItem, ReaderShared, ReaderSpec, Reading};
use crate::settings::draft::Defaults;
use crate::tape::Tape;
use crate::writer::{self, Accumulator, TopicSlots, Writing};
use kafka_proto::Str;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

impl Client {
    pub(crate) fn reader_defaults(&self) -> (ReaderConfig, GroupConfig) {
        let defaults = Defaults::default().inheriting(self.config());
        (defaults.reader.config, defaults.group.config)
    }

    pub(crate) fn add_reader(
        &mut self,
        now: Now,
        spec: ReaderSpec,
        urgent: Arc<AtomicBool>,
        marks: Arc<Marks>,
    ) -> MachineId {
        let shared =
            ReaderShared { urgent, marks, budget: Budget::new(spec.config().buffer), tape: Tape::default() };
        self.add(now, |now, id, pace, seed| Reading::new(now, id, spec, shared, pace, seed))
    }

    pub(crate) fn reader_take(&mut self, now: Now, id: MachineId) -> Option<ReaderItem> {
        self.command(now, id, reading::TakeItem).flatten()
    }

    pub(crate) fn reader_commit(
        &mut self,
        now: Now,
        id: MachineId,
        assignment: u32,
        offsets: Vec<CommitOffset>,
        deadline: Time,
    ) -> Result<OpId, Error> {
        self.command(now, id, reading::Commit { assignment, offsets, deadline }).unwrap()
    }

    pub(crate) fn reader_leave(&mut self, now: Now, id: MachineId) -> Option<Leaving> {
        self.command(now, id, reading::Leave).flatten()
    }

    pub(crate) fn assigned(&mut self, now: Now, id: MachineId) -> usize {
        self.command(now, id, reading::CountAssigned).unwrap()
    }

    pub(crate) fn add_writer(&mut self, now: Now, accumulator: Arc<Accumulator>) -> MachineId {
        self.add(now, |_, _, pace, seed| Writing::new(accumulator, pace, seed))
    }

    pub(crate) fn writer_looks_for(&mut self, now: Now, id: MachineId, topic: &Str) {
        self.command(now, id, writer::LookFor(topic.clone())).unwrap();
    }

    pub(crate) fn writer_topic(&mut self, now: Now, id: MachineId, topic: &Str) -> Option<Arc<TopicSlots>> {
        self.command(now, id, writer::Slots(topic.clone())).flatten()
    }
}
