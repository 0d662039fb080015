//! What only the handles of kafka-blocking have: waits that end in time, and an iterator. All else is the suite's, see
//! [`OnBlocking`](crate::adapter::OnBlocking).

use crate::adapter::OnThreads;
use crate::target::{LONG, Target, unique};
use crate::tools::{error_of, in_time, number, number_in, numbered};
use kafka_blocking::{Client, Event, Reader};
use kafka_core::{ErrorKind, Message, Record, Reset, Result};
use std::time::Duration;

async fn client(target: &Target, name: &str) -> (Client, String) {
    let other = target.client::<OnThreads>().await;
    let topic = target.topic(&other, name, 3).await;
    (kafka_blocking::builder(&target.bootstrap()).connect().expect("connect"), topic)
}

pub(crate) async fn write_read_commit_and_close(target: &Target) {
    let (client, topic) = client(target, "blocking").await;
    let writer = client.writer(topic.clone()).build().unwrap();
    writer.write_all(numbered(10, 0..50)).expect("written");
    let sent: Vec<_> = writer.send_all(numbered(10, 50..99)).into_iter().map(|d| d.unwrap()).collect();
    let last = writer.try_send(numbered(10, 99..100).next().unwrap()).expect("room");
    writer.flush();
    for delivery in sent {
        delivery.try_get().expect("flushed").expect("acked");
    }
    last.wait().expect("acked");
    assert!(writer.close(LONG).is_clean());
    writer.send(Message::new("late")).expect_err("closed");

    let group = unique("group");
    let mut numbers = Vec::new();
    for count in [70, 30] {
        let mut reader =
            client.reader(topic.clone()).group(group.clone()).reset(Reset::First).build().unwrap();
        let messages: Vec<Record> = reader.records().take(count).map(|m| m.expect("no error")).collect();
        reader.commit(&messages).expect("committed");
        reader.close(LONG).into_result().expect("left the group");
        assert!(reader.fetch().unwrap().is_none());
        numbers.extend(messages.iter().map(number));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    client.close(LONG);
    client.topic(topic).expect_err("closed");
}

pub(crate) async fn waits_end_in_time(target: &Target) {
    let (client, topic) = client(target, "within").await;
    let mut reader = client.reader(topic.clone()).build().unwrap();
    let late = error_of(reader.fetch_within(Duration::from_millis(50)));
    assert!(matches!(late.kind(), ErrorKind::TimedOut { .. }), "{late}");
    for short in [Duration::ZERO, Duration::from_nanos(1)] {
        let late = error_of(reader.next_event_within(short));
        assert!(matches!(late.kind(), ErrorKind::TimedOut { .. }), "{late}");
    }
    let writer = client.writer(topic).build().unwrap();
    let reading = std::thread::spawn(move || reader.fetch_within(Duration::MAX));
    writer.write_all(numbered(1, 0..1)).expect("written");
    let message = reading.join().expect("no panic").expect("no error").expect("a message");
    assert_eq!(number(&message), 0);
}

/// As [`crate::cancel::promise_21_dropped_reads`], for waits that end.
pub(crate) async fn waits_that_end_lose_nothing(target: &Target) {
    let (client, topic) = client(target, "in-vain").await;
    let writer = client.writer(topic.clone()).batch_messages(3).build().unwrap();
    let mut reader = client.reader(topic).build().unwrap();
    let mut got = Vec::new();
    for round in 0..60 {
        let written = round * 5;
        writer.write_all(numbered(1, written..written + 5)).expect("written");
        while got.len() < written + 5 {
            got.extend(wait(&mut reader, round % 4, Duration::from_micros(100)).unwrap_or_default());
        }
        for how in 0..4 {
            assert_eq!(wait(&mut reader, how, Duration::from_micros(100)), None, "there is no more");
        }
    }
    assert_eq!(got, (0..300).collect::<Vec<_>>());
}

/// Returns the numbers of what one of four ways to wait gives; `None` once the time is over.
fn wait(reader: &mut Reader, how: usize, timeout: Duration) -> Option<Vec<usize>> {
    let one = |record: Result<Option<Record>>| vec![number(&record.expect("no error").expect("open"))];
    match how {
        0 => in_time(reader.fetch_within(timeout)).map(one),
        1 => in_time(reader.read_within(timeout)).map(one),
        2 => match in_time(reader.next_event_within(timeout))?.expect("no error") {
            Some(Event::Record(record)) => Some(vec![number(&record)]),
            other => panic!("{other:?}"),
        },
        _ => {
            let mut batch = in_time(reader.next_batch_within(timeout))?.expect("no error").expect("open");
            let mut numbers = Vec::new();
            while let Some(record) = batch.next() {
                numbers.push(number_in(record.expect("no error").value()));
            }
            Some(numbers)
        }
    }
}
