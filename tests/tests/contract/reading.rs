//! Reading: positions, pauses, batches.

use crate::adapter::Adapter;
use crate::handles::Client;
use crate::target::{LONG, Target};
use crate::tools::{message, number, numbered, read, write};
use kafka_core::{ErrorKind, Message, Record, Start, TopicPartition};
use std::time::Duration;

/// `count` messages in partition `partition`, numbered from 0.
async fn fill(client: &Client, topic: &str, partition: i32, count: usize) {
    let writer = client.writer(topic).batch_messages(10).build().unwrap();
    write(&writer, numbered(1, 0..count).map(|m| m.partition(partition))).await;
}

pub(crate) async fn starts_where_it_is_told<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "start", 1).await;
    let writer = client.writer(topic.clone()).build().unwrap();
    let times: i64 = 1_700_000_000_000;
    for n in 0..100_usize {
        let message = numbered(1, n..n + 1).next().unwrap().timestamp(times + n as i64 * 1000);
        if n % 10 == 9 {
            write(&writer, [message]).await;
        } else {
            drop(writer.send(message).await.unwrap());
        }
    }
    let first = async |start| {
        let mut reader = client.reader(topic.clone()).start(start).build().unwrap();
        number(&message(&mut reader).await)
    };
    assert_eq!(first(Start::First).await, 0);
    assert_eq!(first(Start::at(42)).await, 42);
    assert_eq!(first(Start::Time(times + 55_500)).await, 56);
    assert_eq!(client.list_offset(topic.clone(), 0, Start::Last).await.unwrap(), Some(100));
    assert_eq!(client.list_offset(topic.clone(), 0, Start::Time(times + 99_001)).await.unwrap(), None);
    let mut last = client.reader(topic.clone()).start(Start::Last).partition(0).build().unwrap();
    let partition = TopicPartition::new(topic.clone(), 0);
    // The position is resolved by the reader itself: once it knows the high watermark it stands at the end.
    while last.high_watermark(&partition).is_none() {
        assert!(last.fetch_within::<A>(Duration::ZERO).await.is_none());
        A::sleep(Duration::from_millis(10)).await;
    }
    write(&writer, numbered(1, 100..101)).await;
    assert_eq!(number(&message(&mut last).await), 100);
    let mut beyond = client.reader(topic).start(Start::at(5000)).build().unwrap();
    let error = beyond.fetch().await.expect_err("out of range");
    assert!(matches!(error.kind(), ErrorKind::OffsetOutOfRange { offset: 5000 }), "{error}");
    assert!(error.broker().is_some(), "{error}");
}

pub(crate) async fn seeks<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "seek", 1).await;
    fill(&client, &topic, 0, 200).await;
    let partition = TopicPartition::new(topic.clone(), 0);
    let mut reader = client.reader(topic.clone()).build().unwrap();
    assert_eq!(number(&read(&mut reader, 25).await[24]), 24);
    for offset in [150, 3, 3, 199, 24, 25] {
        reader.seek(&partition, Start::at(offset)).unwrap();
        assert_eq!(number(&message(&mut reader).await), offset as usize);
    }
    reader.seek(&partition, Start::First).unwrap();
    let all: Vec<usize> = read(&mut reader, 200).await.iter().map(number).collect();
    assert_eq!(all, (0..200).collect::<Vec<_>>());
    reader.seek(&TopicPartition::new("another", 0), Start::First).expect_err("not its partition");
}

pub(crate) async fn pauses_and_resumes<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    if !target.has(crate::target::Feature::CreateTopics) {
        crate::target::skip!("topics of a chosen size need Kafka 0.10.1");
    }
    let topic = target.topic(&client, "pause", 2).await;
    fill(&client, &topic, 0, 300).await;
    fill(&client, &topic, 1, 300).await;
    let of = |p| TopicPartition::new(topic.clone(), p);
    let mut reader = client.reader(topic.clone()).build().unwrap();
    let mut next = [0, 0];
    let mut take = |m: &Record| {
        let partition = m.partition as usize;
        assert_eq!(number(m), next[partition], "partition {partition}");
        next[partition] += 1;
        partition
    };
    // In the middle of a batch, at its end, and before anything came.
    for _ in 0..7 {
        take(&message(&mut reader).await);
    }
    reader.pause(&of(0)).unwrap();
    for _ in 0..100 {
        assert_eq!(take(&message(&mut reader).await), 1);
    }
    reader.pause(&of(1)).unwrap();
    reader.resume(&of(0)).unwrap();
    for _ in 0..100 {
        assert_eq!(take(&message(&mut reader).await), 0);
    }
    reader.resume(&of(1)).unwrap();
    while next != [300, 300] {
        let message = message(&mut reader).await;
        let partition = message.partition as usize;
        assert_eq!(number(&message), next[partition]);
        next[partition] += 1;
    }
}

pub(crate) async fn lends_batches<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "batches", 1).await;
    fill(&client, &topic, 0, 500).await;
    let mut reader = client.reader(topic.clone()).build().unwrap();
    let mut seen = Vec::new();
    while seen.len() < 500 {
        let mut batch = reader.next_batch().await.unwrap().unwrap();
        assert_eq!((batch.topic().map(|t| &**t), batch.partition()), (Some(&*topic), Some(0)));
        // Now and then a batch is left before its end: the rest comes again.
        while let Some(record) = batch.next() {
            let record = record.unwrap();
            assert_eq!(record.offset(), seen.len() as i64);
            let text = std::str::from_utf8(record.value().unwrap()).unwrap();
            seen.push(text.split(':').nth(1).unwrap().parse::<usize>().unwrap());
            if seen.len() % 33 == 0 {
                break;
            }
        }
    }
    assert_eq!(seen, (0..500).collect::<Vec<_>>());
}

pub(crate) async fn one_partition_of_several<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    if !target.has(crate::target::Feature::CreateTopics) {
        crate::target::skip!("topics of a chosen size need Kafka 0.10.1");
    }
    let topic = target.topic(&client, "several", 4).await;
    for partition in 0..4 {
        fill(&client, &topic, partition, 50).await;
    }
    let mut reader = client.reader(topic.clone()).partition(1).partition(3).build().unwrap();
    let messages = read(&mut reader, 100).await;
    assert!(messages.iter().all(|m| [1, 3].contains(&m.partition)));
    let mut none = client.reader(topic).partition(9).build().unwrap();
    let error = none.fetch().await.expect_err("there is no partition 9");
    assert_eq!(error.context().partition, Some(9), "{error}");
}

/// What a reader knows of its partitions, and moves and pauses, one or many at a time.
pub(crate) async fn positions_of_many_partitions<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "many", 2).await;
    let writer = client.writer(topic.clone()).build().unwrap();
    let message = |n: usize| Message::new(format!("0:{n}")).partition((n % 2) as i32);
    write(&writer, (0..20).map(message)).await;
    let mut reader = client.reader(topic.clone()).build().unwrap();
    read(&mut reader, 20).await;
    let mut all = reader.assignment();
    all.sort();
    assert_eq!(all, [TopicPartition::new(topic.clone(), 0), TopicPartition::new(topic.clone(), 1)]);
    for partition in &all {
        assert_eq!((reader.position(partition), reader.lag(partition)), (Some(10), Some(0)));
        assert_eq!(reader.high_watermark(partition), Some(10));
        assert!(matches!(reader.log_start(partition), Some(0) | None));
    }
    reader.seek(&all, Start::at(4)).unwrap();
    assert!(all.iter().all(|partition| reader.position(partition) == Some(4)));
    assert!(all.iter().all(|partition| reader.lag(partition) == Some(6)));
    assert!(read(&mut reader, 12).await.iter().all(|record| record.offset >= 4));
    // One that is not the reader's costs all: nothing is moved, and nothing paused.
    let mixed = [all[0].clone(), TopicPartition::new(topic.clone(), 7)];
    reader.seek(&mixed, Start::First).unwrap_err();
    reader.pause(&mixed).unwrap_err();
    assert_eq!(reader.position(&all[0]), Some(10));
    reader.pause(&all).unwrap();
    write(&writer, (20..22).map(message)).await;
    reader.resume(&all[1]).unwrap();
    assert_eq!(read(&mut reader, 1).await[0].partition, 1);
    reader.resume(&all).unwrap();
    assert_eq!(read(&mut reader, 1).await[0].partition, 0);
    assert!(reader.close(LONG).await.is_clean());
    assert!(reader.assignment().is_empty());
}
