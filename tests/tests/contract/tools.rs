//! Steps that several tests take.

use crate::adapter::Adapter;
use crate::handles::{Client, Delivery, Reader, Writer};
use kafka_core::{Bytes, Delivered, Error, ErrorKind, Message, Record, Result, SendError};
use std::collections::BTreeMap;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// Writes messages, all of which must be acknowledged.
pub(crate) async fn write(writer: &Writer, messages: impl IntoIterator<Item = Message>) -> Vec<Delivered> {
    match writer.write_all(messages).await {
        Ok(delivered) => delivered,
        Err(errors) => panic!("{errors}"),
    }
}

/// The next `count` messages.
pub(crate) async fn read(reader: &mut Reader, count: usize) -> Vec<Record> {
    let mut messages = Vec::with_capacity(count);
    while messages.len() < count {
        messages.push(message(reader).await);
    }
    messages
}

/// The next message.
pub(crate) async fn message(reader: &mut Reader) -> Record {
    reader.fetch().await.expect("no error").expect("the reader is open")
}

/// Everything a topic holds, in the order of each partition; what comes later is not waited for.
pub(crate) async fn read_all(client: &Client, topic: &str) -> Vec<Record> {
    use kafka_core::Start;
    let partitions = client.topic(topic).await.expect("the topic").partitions.len() as i32;
    let mut left = 0;
    for partition in 0..partitions {
        let end = client.list_offset(topic, partition, Start::Last).await.expect("end").expect("an offset");
        let start =
            client.list_offset(topic, partition, Start::First).await.expect("start").expect("an offset");
        left += usize::try_from(end - start).expect("ordered offsets");
    }
    let mut reader = client.reader(topic).build().expect("a reader");
    read(&mut reader, left).await
}

/// Values by partition, in the order they came.
pub(crate) fn by_partition(messages: &[Record]) -> BTreeMap<i32, Vec<Bytes>> {
    let mut sorted: BTreeMap<i32, Vec<Bytes>> = BTreeMap::new();
    for message in messages {
        sorted.entry(message.partition).or_default().push(message.value.clone().unwrap_or_default());
    }
    sorted
}

/// `count` keyed messages whose values say key and number: `key:number`.
pub(crate) fn numbered(keys: usize, numbers: std::ops::Range<usize>) -> impl Iterator<Item = Message> {
    numbers.map(move |n| Message::new(format!("{}:{n}", n % keys)).key(format!("key {}", n % keys)))
}

/// The number of a message that [`numbered`] made.
pub(crate) fn number(record: &Record) -> usize {
    number_in(record.value.as_deref())
}

/// The number in its value.
pub(crate) fn number_in(value: Option<&[u8]>) -> usize {
    let value = value.expect("a value");
    let text = std::str::from_utf8(value).expect("text");
    text.split(':').nth(1).and_then(|n| n.parse().ok()).expect("key:number")
}

/// Checks what [`numbered`] wrote: each number that was acked is there, none twice, each key's in order.
pub(crate) fn check_numbered(messages: &[Record], acked: &[usize], keys: usize) {
    let mut last: Vec<Option<(usize, i64)>> = vec![None; keys];
    let mut seen = BTreeMap::new();
    for message in messages {
        let n = number(message);
        *seen.entry(n).or_insert(0) += 1;
        if let Some((before, at)) = last[n % keys].replace((n, message.offset)) {
            let (partition, offset) = (message.partition, message.offset);
            let place = format!("{partition}, {offset} after {at:?}");
            assert!(before < n, "key {}: {n} comes after {before} ({place})", n % keys);
        }
    }
    let lost: Vec<_> = acked.iter().filter(|n| !seen.contains_key(n)).collect();
    assert!(lost.is_empty(), "acked and lost: {lost:?}");
    let twice: Vec<_> = seen.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "more than once: {twice:?}");
}

/// Whether each delivery was acked; the numbers of those that were.
pub(crate) async fn outcomes(sent: Vec<(usize, Delivery)>) -> (Vec<usize>, Vec<(usize, SendError)>) {
    let (mut acked, mut failed) = (Vec::new(), Vec::new());
    for (number, delivery) in sent {
        match delivery.await {
            Ok(_) => acked.push(number),
            Err(error) => failed.push((number, error)),
        }
    }
    (acked, failed)
}

/// Polls a future up to `polls` times, whenever it is woken, and drops it then: its output, if it was ready by then.
pub(crate) async fn polled<T>(polls: usize, future: impl IntoFuture<Output = T>) -> Option<T> {
    let mut future = pin!(future.into_future());
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// The future's output, unless so much time passes first.
pub(crate) async fn or_late<A: Adapter, T>(time: Duration, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut late) = (pin!(future), pin!(A::sleep(time)));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => late.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// Returns what a blocking wait gave; `None` where its time was over first.
pub(crate) fn in_time<T>(result: Result<T>) -> Option<Result<T>> {
    match &result {
        Err(error) if matches!(error.kind(), ErrorKind::TimedOut { .. }) => None,
        _ => Some(result),
    }
}

/// The error of a result that must be one.
pub(crate) fn error_of<T: std::fmt::Debug>(result: Result<T>) -> Error {
    result.expect_err("an error")
}
