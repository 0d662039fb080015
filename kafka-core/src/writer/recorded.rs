//! Batches in a recording: their sizes, and of each record lengths and hashes, unless the application wants them whole.
//!
//! In a replay a batch has zeros in the place of its records: all sizes are those of the batch that was recorded.

use super::batch::{Batch, BatchHead, Tickets};
use super::memory::Charge;
use super::split::Halves;
use super::work::{Work, Worked};
use crate::machine::Time;
use crate::tape::{Hidden, Note, Privacy, Visible, read, stand_in, visible, write};
use kafka_proto::records::{BatchBody, Record};
use kafka_proto::{Bytes, Str};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

visible!(Option<Time>);

/// A batch without its records.
#[derive(Serialize, Deserialize)]
struct Kept {
    number: u64,
    span: u64,
    created: Time,
    partition: i32,
    index: usize,
    charged: usize,
    count: u32,
    len: usize,
    base_timestamp: i64,
    max_timestamp: i64,
}

/// The records of a batch.
#[derive(Serialize, Deserialize)]
enum Records {
    /// Encoded, without the header of the batch.
    Whole(Bytes),
    Hidden(Vec<HiddenRecord>),
}

/// Key, value and headers of a record.
#[derive(Serialize, Deserialize)]
struct HiddenRecord {
    key: Option<Hidden>,
    value: Option<Hidden>,
    headers: Vec<(Hidden, Option<Hidden>)>,
}

impl Kept {
    fn of(batch: &Batch) -> Self {
        let body = batch.body();
        Self {
            number: batch.number,
            span: batch.span,
            created: batch.created,
            partition: batch.partition,
            index: batch.charged.partition,
            charged: batch.charged.bytes,
            count: body.count(),
            len: body.as_records().len(),
            base_timestamp: body.base_timestamp(),
            max_timestamp: body.max_timestamp(),
        }
    }

    fn batch(self, topic: Str, records: Option<Bytes>) -> Option<Batch> {
        let Self { number, span, created, partition, index, charged, count, len, .. } = self;
        let records = records.or_else(|| stand_in(len))?;
        let tickets = Arc::new(Tickets::new(partition));
        tickets.set_count(count);
        let head = BatchHead { number, span, created, charged: Charge { partition: index, bytes: charged } };
        let body = BatchBody::of_records(records, count, self.base_timestamp, self.max_timestamp);
        Some(Batch::new(topic, head, tickets, body))
    }
}

impl Records {
    fn of(body: &BatchBody, privacy: &Privacy) -> Self {
        if privacy.is_whole() {
            return Self::Whole(body.as_records().clone().into_bytes());
        }
        let mut hidden = Vec::with_capacity(body.count() as usize);
        // A batch that was just built is no other than what its builder wrote.
        if let Ok(mut records) = body.records() {
            while let Some(Ok(record)) = records.next_record() {
                hidden.push(HiddenRecord::of(&record, privacy));
            }
        }
        Self::Hidden(hidden)
    }
}

impl HiddenRecord {
    fn of(record: &Record<'_>, privacy: &Privacy) -> Self {
        let hide = |bytes: &[u8]| privacy.hide(bytes);
        let mut headers = Vec::new();
        let mut views = record.headers();
        while let Some(Ok(header)) = views.next_owned() {
            headers.push((hide(header.key.as_bytes()), header.value.as_deref().map(hide)));
        }
        Self { key: record.key.map(hide), value: record.value.map(hide), headers }
    }
}

/// A batch that the producer took.
impl Visible for Option<Arc<Batch>> {
    fn note(&self) -> Note {
        match self {
            None => Note::Bytes(Vec::new()),
            Some(batch) => Note::Late(Box::new(Taken(batch.clone()))),
        }
    }

    fn shown(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(None);
        }
        let (topic, kept, records): (Str, Kept, Records) = read(bytes)?;
        let records = match records {
            Records::Whole(bytes) => Some(bytes),
            Records::Hidden(_) => None,
        };
        kept.batch(topic, records).map(|batch| Some(Arc::new(batch)))
    }
}

#[derive(Debug)]
struct Taken(Arc<Batch>);

impl crate::tape::Late for Taken {
    fn write(&self, privacy: &Privacy) -> Vec<u8> {
        let batch = &self.0;
        write(&(&batch.topic, Kept::of(batch), Records::of(batch.body(), privacy)))
    }
}

/// Of batches that were not taken yet.
impl Visible for Vec<Arc<Tickets>> {
    fn note(&self) -> Note {
        let kept: Vec<(i32, u32)> = self.iter().map(|tickets| (tickets.partition, tickets.count())).collect();
        Note::of(&kept)
    }

    fn shown(bytes: &[u8]) -> Option<Self> {
        let kept: Vec<(i32, u32)> = read(bytes)?;
        let tickets = |(partition, count)| {
            let tickets = Tickets::new(partition);
            tickets.set_count(count);
            Arc::new(tickets)
        };
        Some(kept.into_iter().map(tickets).collect())
    }
}

/// What a recording keeps of work that was done: nothing of a batch that was packed, and two halves of one that was split.
pub(super) fn note(worked: &Worked) -> Vec<u8> {
    let halves = match worked {
        Worked::Packed => None,
        Worked::Split(_, halves) => halves.as_ref(),
    };
    write(&halves.map(|halves| (halves.at, Kept::of(&halves.first), Kept::of(&halves.second))))
}

/// What came of work.
pub(super) fn redo(work: Work, note: &[u8]) -> Option<Worked> {
    let halves: Option<(u32, Kept, Kept)> = read(note)?;
    Some(match (work, halves) {
        (Work::Pack { .. }, _) => Worked::Packed,
        (Work::Split(batch), None) => Worked::Split(batch, None),
        (Work::Split(batch), Some((at, first, second))) => {
            let half = |kept: Kept| kept.batch(batch.topic.clone(), None);
            let halves = Halves { at, first: half(first)?, second: half(second)? };
            Worked::Split(batch, Some(Box::new(halves)))
        }
    })
}
