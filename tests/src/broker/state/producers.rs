//! What a partition remembers of its idempotent producers: epoch, and the last batches with their sequences.
//!
//! Invariant: the batches of a producer are of its current epoch, oldest first, and no more than remembered.

use std::collections::{BTreeMap, VecDeque};

use kafka_proto::error_code::ErrorCode;
use kafka_proto::records::BatchHeader;

use super::batch::{Entry, Incoming};
use super::inspect::Refusal;
use crate::broker::release::Release;

#[derive(Debug, Clone, Default)]
pub(crate) struct Producers(BTreeMap<i64, Producer>);

#[derive(Debug, Clone, Default)]
struct Producer {
    epoch: i16,
    batches: VecDeque<Remembered>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Remembered {
    base_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
    /// -1 unless the topic uses log append time.
    append_time: i64,
}

/// What is to be done with a batch.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Append it.
    New,
    /// It is in the log already: at this offset, appended at this time.
    Duplicate { base_offset: i64, append_time: i64 },
}

impl Producers {
    /// Compares a batch with what is remembered of its producer.
    pub(crate) fn check(&self, incoming: &Incoming, release: Release) -> Result<Verdict, Refusal> {
        let header = incoming.batch.header();
        if header.producer_id < 0 {
            return Ok(Verdict::New);
        }
        let last_sequence = incoming.batch.last_sequence();
        match self.0.get(&header.producer_id) {
            None if header.base_sequence == 0 || release >= Release::V2_5 => Ok(Verdict::New),
            None => Err(ErrorCode::UnknownProducerId.into()),
            Some(known) => known.check(header, last_sequence, release),
        }
    }

    /// Remembers a batch that was appended.
    pub(crate) fn remember(&mut self, entry: &Entry, append_time: Option<i64>, release: Release) {
        let header = &entry.header;
        if header.producer_id < 0 || header.is_control {
            return;
        }
        let producer = self.0.entry(header.producer_id).or_default();
        if producer.epoch != header.producer_epoch {
            *producer = Producer { epoch: header.producer_epoch, batches: VecDeque::new() };
        }
        let remembered = if release >= Release::V1_0 { 5 } else { 1 };
        while producer.batches.len() >= remembered {
            producer.batches.pop_front();
        }
        producer.batches.push_back(Remembered {
            base_sequence: header.base_sequence,
            last_sequence: header.base_sequence.wrapping_add(header.last_offset_delta) & i32::MAX,
            base_offset: entry.base_offset,
            append_time: append_time.unwrap_or(-1),
        });
    }

    /// Reads again from the log, of which some was cut off.
    pub(crate) fn rebuild<'a>(entries: impl Iterator<Item = &'a Entry>, release: Release) -> Producers {
        let mut producers = Producers::default();
        entries.for_each(|entry| producers.remember(entry, None, release));
        producers
    }

    /// Before 2.4, a producer whose records are all deleted is forgotten.
    pub(crate) fn forget_before(&mut self, start_offset: i64, release: Release) {
        if release < Release::V2_4 {
            self.0
                .retain(|_, known| known.batches.back().is_some_and(|last| last.base_offset >= start_offset));
        }
    }

    /// The last offset of every producer that must survive compaction, so that its sequence is not forgotten.
    pub(crate) fn last_batches(&self) -> impl Iterator<Item = i64> {
        self.0.values().filter_map(|known| known.batches.back()).map(|last| last.base_offset)
    }
}

impl Producer {
    fn check(&self, header: &BatchHeader, last_sequence: i32, release: Release) -> Result<Verdict, Refusal> {
        if header.producer_epoch < self.epoch {
            return Err(Refusal::new(
                ErrorCode::InvalidProducerEpoch,
                "A newer epoch of this producer has written",
            ));
        }
        let out_of_order = || {
            let (epoch, first) = (header.producer_epoch, header.base_sequence);
            let text = format!("Out of order sequence {first} of producer epoch {epoch}");
            Refusal::new(ErrorCode::OutOfOrderSequenceNumber, &text)
        };
        if header.producer_epoch > self.epoch {
            return if header.base_sequence == 0 { Ok(Verdict::New) } else { Err(out_of_order()) };
        }
        let is_same = |known: &&Remembered| {
            (known.base_sequence, known.last_sequence) == (header.base_sequence, last_sequence)
        };
        if let Some(same) = self.batches.iter().find(is_same) {
            return Ok(Verdict::Duplicate { base_offset: same.base_offset, append_time: same.append_time });
        }
        let last = self.batches.back().map_or(-1, |last| last.last_sequence);
        if header.base_sequence == last.wrapping_add(1) & i32::MAX {
            Ok(Verdict::New)
        } else if release < Release::V1_0 && header.base_sequence <= last {
            Err(ErrorCode::DuplicateSequenceNumber.into())
        } else {
            Err(out_of_order())
        }
    }
}
