//! The handles of kafka-blocking: the same calls without `async`.

use crate::adapter::OnThreads;
use crate::target::{LONG, Target, unique};
use crate::tools::{error_of, number, numbered};
use kafka_blocking::Client;
use kafka_core::{ErrorKind, Message, Record, Reset};
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
        reader.close(LONG).expect("left the group");
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
