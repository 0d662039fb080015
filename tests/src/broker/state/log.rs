//! The log of a partition, in memory: batches in the order of their offsets, and which leader epoch began where.
//!
//! Invariants: entries are ordered and do not overlap (compaction may leave holes); the log start is not
//! above the end; epochs and their start offsets both grow.

use std::collections::VecDeque;

use kafka_proto::Bytes;
use kafka_proto::records::Compression;

use super::batch::{Entry, Incoming};

/// An unknown leader epoch or offset, on the wire.
pub(crate) const UNDEFINED: i64 = -1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EpochStart {
    pub(crate) epoch: i32,
    pub(crate) start_offset: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
    epochs: Vec<EpochStart>,
    start: i64,
    end: i64,
    size: usize,
}

/// What a read of the log gives.
#[derive(Debug, Default)]
pub(crate) struct Slice<'a> {
    /// The batches in it, the last one perhaps cut off by `bytes`.
    pub(crate) entries: Vec<&'a Entry>,
    /// How much of them fits.
    pub(crate) bytes: usize,
}

impl Log {
    /// The first offset that can be read.
    pub(crate) fn start_offset(&self) -> i64 {
        self.start
    }

    /// The offset the next record gets.
    pub(crate) fn end_offset(&self) -> i64 {
        self.end
    }

    pub(crate) fn size_in_bytes(&self) -> usize {
        self.size
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The batches that end at or above the offset.
    pub(crate) fn entries_from(&self, offset: i64) -> impl Iterator<Item = &Entry> {
        self.entries.range(self.index_of(offset)..)
    }

    /// A leader takes over.
    pub(crate) fn begin_epoch(&mut self, epoch: i32) {
        self.epochs.retain(|known| known.start_offset < self.end && known.epoch < epoch);
        self.epochs.push(EpochStart { epoch, start_offset: self.end });
    }

    /// Appends batches; with `append_time` all records get that timestamp. Gives the first one's offset.
    pub(crate) fn append(&mut self, incoming: Vec<Incoming>, epoch: i32, append_time: Option<i64>) -> i64 {
        let base = self.end;
        for batch in incoming {
            let entry = batch.stamp(self.end, epoch, append_time);
            self.end = entry.last_offset + 1;
            self.size += entry.size;
            self.entries.push_back(entry);
        }
        base
    }

    /// The batches from the one that holds `from`, all below `bound`: at most `max_bytes`, of which the last
    /// batch may be a part; with `first_whole`, at least one batch however large.
    pub(crate) fn read(&self, from: i64, bound: i64, max_bytes: usize, first_whole: bool) -> Slice<'_> {
        let at = self.index_of(from);
        let mut available = self.entries.range(at..).take_while(|entry| entry.last_offset < bound).peekable();
        let first = available.peek().map_or(0, |entry| entry.size);
        let limit = if first_whole { max_bytes.max(first) } else { max_bytes };
        let mut slice = Slice::default();
        for entry in available {
            if slice.bytes >= limit {
                break;
            }
            slice.bytes = limit.min(slice.bytes + entry.size);
            slice.entries.push(entry);
        }
        slice
    }

    /// Bytes between two offsets, by whole batches.
    pub(crate) fn bytes_between(&self, from: i64, bound: i64) -> usize {
        let from = self.index_of(from);
        self.entries.range(from..).take_while(|entry| entry.last_offset < bound).map(|entry| entry.size).sum()
    }

    /// Index of the first entry that ends at or above the offset.
    fn index_of(&self, offset: i64) -> usize {
        self.entries.partition_point(|entry| entry.last_offset < offset)
    }

    /// The latest leader epoch a record or leader of this log had; -1 if none.
    pub(crate) fn latest_epoch(&self) -> i32 {
        self.epochs.last().map_or(-1, |last| last.epoch)
    }

    /// The epoch in which the record at the offset was written; -1 if unknown.
    pub(crate) fn epoch_at(&self, offset: i64) -> i32 {
        let floor = self.epochs.iter().rev().find(|known| known.start_offset <= offset);
        floor.map_or(-1, |known| known.epoch)
    }

    /// Where an epoch ended: the largest known epoch not above the asked one, and the offset after its last
    /// record; both -1 if unknown (KIP-101, KIP-279).
    pub(crate) fn end_of_epoch(&self, asked: i32) -> (i32, i64) {
        if asked < 0 || asked > self.latest_epoch() {
            return (UNDEFINED as i32, UNDEFINED);
        }
        if asked == self.latest_epoch() {
            return (asked, self.end);
        }
        let above = self.epochs.partition_point(|known| known.epoch <= asked);
        let end = self.epochs.get(above).map_or(self.end, |next| next.start_offset);
        let floor =
            above.checked_sub(1).and_then(|at| self.epochs.get(at)).map_or(asked, |known| known.epoch);
        (floor, end)
    }

    /// The first record below `bound` with at least this timestamp: its timestamp and offset.
    pub(crate) fn find_timestamp(&self, timestamp: i64, bound: i64) -> Option<(i64, i64)> {
        let from = self.index_of(self.start);
        let entries = self.entries.range(from..).take_while(|entry| entry.last_offset < bound);
        let mut late = entries.filter(|entry| entry.header.max_timestamp >= timestamp);
        late.find_map(|entry| {
            let mut found = None;
            entry.for_each_record(|offset, time, _| {
                if found.is_none() && time >= timestamp && offset >= self.start {
                    found = Some((time, offset));
                }
            });
            found
        })
    }

    /// The record below `bound` with the largest timestamp, the first one of several: its timestamp and offset.
    pub(crate) fn latest_timestamp(&self, bound: i64) -> Option<(i64, i64)> {
        let entries = self.entries.iter().take_while(|entry| entry.last_offset < bound);
        let largest = entries.map(|entry| entry.header.max_timestamp).max()?;
        self.find_timestamp(largest, bound)
    }

    /// Drops all records from the offset on, as a replica does that followed a leader who was not elected.
    pub(crate) fn truncate(&mut self, to: i64) {
        while self.entries.back().is_some_and(|entry| entry.last_offset >= to) {
            self.size -= self.entries.pop_back().map_or(0, |entry| entry.size);
        }
        self.end = self.end.min(to.max(self.start));
        self.epochs.retain(|known| known.start_offset < to);
    }

    /// Makes records below the offset unreadable; batches that are wholly below it go.
    pub(crate) fn delete_before(&mut self, offset: i64) {
        self.start = self.start.max(offset.min(self.end));
        while self.entries.front().is_some_and(|entry| entry.last_offset < self.start) {
            self.size -= self.entries.pop_front().map_or(0, |entry| entry.size);
        }
        let keep = self.epochs.partition_point(|known| known.start_offset <= self.start).saturating_sub(1);
        self.epochs.drain(..keep);
        if let Some(first) = self.epochs.first_mut() {
            first.start_offset = first.start_offset.max(self.start);
        }
    }

    /// Deletes what is older or more than the limits allow (-1: none), below `bound` only.
    pub(crate) fn enforce_retention(&mut self, oldest_ms: Option<i64>, max_bytes: Option<u64>, bound: i64) {
        let too_old = |entry: &Entry| oldest_ms.is_some_and(|oldest| entry.header.max_timestamp < oldest);
        let too_much = |size: usize| max_bytes.is_some_and(|max| size as u64 > max);
        while let Some(entry) = self.entries.front() {
            let gone = entry.last_offset < bound && (too_old(entry) || too_much(self.size));
            if !gone {
                return;
            }
            self.delete_before(entry.last_offset + 1);
        }
    }

    /// Replaces the entries, as compaction does. The offsets of the log stay.
    pub(crate) fn replace_entries(&mut self, entries: VecDeque<Entry>) {
        self.size = entries.iter().map(|entry| entry.size).sum();
        self.entries = entries;
    }
}

impl Slice<'_> {
    /// The bytes to send: shared with the log, the last batch cut where the limit says.
    pub(crate) fn segments(&self) -> Vec<Bytes> {
        let mut left = self.bytes;
        let segments = self.entries.iter().flat_map(|entry| entry.records.segments());
        let cut = |segment: &Bytes| {
            let part = segment.slice(..segment.len().min(left));
            left -= part.len();
            part
        };
        segments.map(cut).filter(|segment| !segment.is_empty()).collect()
    }

    /// Whether a batch of the slice is compressed like this.
    pub(crate) fn has(&self, compression: Compression) -> bool {
        self.entries.iter().any(|entry| entry.compression() == compression)
    }
}
