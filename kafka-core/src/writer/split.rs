//! A batch made into two: for brokers whose limit lies below the writer's (KIP-126).

use super::batch::{Batch, BatchHead, Tickets};
use super::memory::Charge;
use kafka_proto::records::{BatchBody, BatchBuilder, Header, Record};
use std::sync::Arc;

/// The two batches that one becomes.
#[derive(Debug)]
pub(crate) struct Halves {
    /// The index of the record at which the second begins.
    pub(super) at: u32,
    pub(super) first: Batch,
    pub(super) second: Batch,
}

/// Whether a batch can be parted: it has two records, and two numbers.
pub(super) fn can_split(batch: &Batch) -> bool {
    batch.count() > 1 && batch.span > 1
}

/// The halves of a batch; `None` where there is nothing to part. Decodes and encodes every record: not under a lock.
pub(super) fn split(batch: &Batch) -> Option<Halves> {
    if !can_split(batch) {
        return None;
    }
    let at = batch.count() / 2;
    let (first, second) = halves(batch.body(), at)?;
    // Batches are numbered far enough apart that a half finds its place between its neighbours.
    let (low, span) = (batch.number, batch.span / 2);
    let bytes = batch.charged.bytes / 2;
    let head = |number, bytes| BatchHead {
        number,
        span,
        created: batch.created,
        charged: Charge { bytes, ..batch.charged },
    };
    let first = half(batch, head(low, bytes), first);
    let second = half(batch, head(low + span, batch.charged.bytes - bytes), second);
    Some(Halves { at, first, second })
}

fn half(of: &Batch, head: BatchHead, body: BatchBody) -> Batch {
    let tickets = Arc::new(Tickets::new(of.partition));
    tickets.set_count(body.count());
    Batch::new(of.topic.clone(), head, tickets, body)
}

fn halves(body: &BatchBody, at: u32) -> Option<(BatchBody, BatchBody)> {
    let mut records = body.records().ok()?;
    let (mut first, mut second) = (BatchBuilder::new(), BatchBuilder::new());
    let mut index = 0;
    while let Some(record) = records.next_record() {
        let into = if index < at { &mut first } else { &mut second };
        append(into, &record.ok()?)?;
        index += 1;
    }
    Some((first.finish(), second.finish()))
}

fn append(into: &mut BatchBuilder, record: &Record<'_>) -> Option<()> {
    let mut headers: Vec<Header> = Vec::new();
    let mut views = record.headers();
    while let Some(header) = views.next_owned() {
        headers.push(header.ok()?);
    }
    let (key, value): (Option<&[u8]>, Option<&[u8]>) = (record.key, record.value);
    into.append(record.timestamp, key, value, &headers).ok().map(|_: u32| ())
}
