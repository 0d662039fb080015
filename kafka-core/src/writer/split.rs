//! A batch made into two: for brokers whose limit lies below the writer's (KIP-126).

use super::batch::{Batch, Tickets};
use super::memory::Charge;
use super::partition::Pending;
use kafka_proto::records::{BatchBody, BatchBuilder, Header, Record};
use std::sync::Arc;

/// The halves of a batch with the index at which the second begins; `None` where there is nothing to part.
pub(super) fn split(pending: &Pending) -> Option<(u32, Batch, Batch)> {
    let batch = &pending.batch;
    let at = batch.count() / 2;
    if at == 0 {
        return None;
    }
    let (first, second) = halves(batch.body(), at)?;
    // Batches are numbered far enough apart that a half finds its place between its neighbours.
    let (low, span) = (batch.number, batch.span / 2);
    if span == 0 {
        return None;
    }
    let bytes = batch.charged.bytes / 2;
    let first = half(batch, (low, span, bytes), first);
    let second = half(batch, (low + span, span, batch.charged.bytes - bytes), second);
    Some((at, first, second))
}

fn half(of: &Batch, (number, span, bytes): (u64, u64, usize), body: BatchBody) -> Batch {
    let tickets = Arc::new(Tickets::new(of.partition));
    tickets.set_count(body.count());
    let charged = Charge { bytes, ..of.charged };
    let mut half = Batch::new(of.topic.clone(), (number, of.created, charged), tickets, body);
    half.span = span;
    half
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
