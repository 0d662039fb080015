//! What goes from the reader's machine to its handle: a [`Chunk`], one partition's share of one answer, unread.
//!
//! Its [`Ticket`] stays with the machine, which ends the chunk's walk by it (revoked, paused, sought), and reads from it how far the
//! application got.

use super::fetched::Data;
use super::position::OffsetAndEpoch;
use crate::message::Origin;
use kafka_proto::Str;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, Ordering};

/// What machine and walk share of one chunk.
#[derive(Debug)]
pub(super) struct Ticket {
    live: AtomicBool,
    failed: AtomicBool,
    position: AtomicI64,
    /// The leader epoch of what is right before the open batch, or before the position where none is open.
    before: AtomicI32,
    /// The leader epoch of the open batch, and the position at which it was opened.
    open: AtomicI32,
    opened_at: AtomicI64,
}

impl Ticket {
    fn new(position: i64, epoch: i32) -> Arc<Self> {
        let (live, failed) = (AtomicBool::new(true), AtomicBool::new(false));
        let (before, open) = (AtomicI32::new(epoch), AtomicI32::new(epoch));
        let (position, opened_at) = (AtomicI64::new(position), AtomicI64::new(position));
        Arc::new(Self { live, failed, position, before, open, opened_at })
    }

    /// A batch of this leader epoch begins at the position.
    pub(super) fn open(&self, epoch: i32) {
        self.before.store(self.epoch(), Ordering::Release);
        self.open.store(epoch, Ordering::Release);
        self.opened_at.store(self.position(), Ordering::Release);
    }

    /// Ends the walk: from now on it returns nothing more.
    pub(super) fn revoke(&self) {
        self.live.store(false, Ordering::Release);
    }

    /// The walk met something that cannot be read.
    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// Returns whether the walk met something that cannot be read.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// The walk has come to this offset.
    #[inline]
    pub(super) fn move_to(&self, position: i64) {
        self.position.store(position, Ordering::Release);
    }

    /// Returns how far the walk has come.
    pub(super) fn position(&self) -> i64 {
        self.position.load(Ordering::Acquire)
    }

    /// Returns the leader epoch of what is right before the position, for a truncation of the log below it to be noticed; -1 if unknown.
    pub(super) fn epoch(&self) -> i32 {
        let is_in_batch = self.position() > self.opened_at.load(Ordering::Acquire);
        if is_in_batch { &self.open } else { &self.before }.load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn is_live(&self) -> bool {
        self.live.load(Ordering::Acquire)
    }
}

/// Record batches of one partition, as they came: compressed, unchecked.
#[derive(Debug)]
pub struct Chunk {
    pub(super) topic: Str,
    pub(super) partition: i32,
    /// As its messages have it, but for the leader epoch.
    pub(super) origin: Origin,
    /// What comes before it was not asked for.
    pub(super) start: i64,
    /// The offset after it.
    pub(super) end: i64,
    pub(super) data: Data,
    pub(super) ticket: Arc<Ticket>,
}

impl Chunk {
    pub(super) fn new(
        topic: &Str,
        partition: i32,
        origin: Origin,
        start: OffsetAndEpoch,
        data: Data,
    ) -> Self {
        let OffsetAndEpoch { offset, epoch } = start;
        let end = data.next_offset.unwrap_or(offset);
        let ticket = Ticket::new(offset, epoch);
        Self { topic: topic.clone(), partition, origin, start: offset, end, data, ticket }
    }

    /// All of these bytes from offset 0 on, for benchmarks and comparisons.
    #[cfg(feature = "workloads")]
    pub fn of_bytes(topic: &Str, bytes: kafka_proto::Bytes) -> Self {
        let origin = Origin {
            reader: crate::machine::MachineId(0),
            assignment: 0,
            topic_id: kafka_proto::Uuid::ZERO,
            leader_epoch: -1,
        };
        let start = OffsetAndEpoch { offset: 0, epoch: -1 };
        Chunk::new(topic, 0, origin, start, Data { bytes, ..Data::default() })
    }

    /// The topic.
    pub fn topic(&self) -> &Str {
        &self.topic
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The assignment it belongs to.
    pub fn assignment(&self) -> u32 {
        self.origin.assignment
    }

    /// Its bytes, compressed as they came.
    pub fn size_in_bytes(&self) -> usize {
        self.data.bytes.len()
    }
}
