//! Writing: acks, limits, errors, flush and close, many writers.

use crate::adapter::{Adapter, spawn};
use crate::target::{Feature, LONG, Target, skip, unique};
use crate::tools::{check_numbered, error_of, number, numbered, read_all, write};
use kafka_core::{Acks, Bytes, ErrorCode, ErrorKind, Fate, Manual, Message, TrySendReason};
use std::collections::BTreeSet;
use std::time::Duration;

pub(crate) async fn acks_of_one_and_of_none<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "acks", 1).await;
    let one = client.writer(topic.clone()).acks(Acks::One).build().unwrap();
    let delivered = write(&one, numbered(1, 0..100)).await;
    let offsets: Vec<i64> = delivered.iter().filter_map(|d| d.offset).collect();
    assert_eq!(offsets, (0..100).collect::<Vec<i64>>());
    // Nothing tells when what was not acknowledged is in the log, so it is read until it is.
    let none = client.writer(topic.clone()).acks(Acks::None).build().unwrap();
    let delivered = write(&none, numbered(1, 100..200)).await;
    assert!(delivered.iter().all(|d| d.offset.is_none()), "{delivered:?}");
    let mut reader = client.reader(topic).build().unwrap();
    let read = crate::tools::read(&mut reader, 200).await;
    check_numbered(&read, &(0..200).collect::<Vec<_>>(), 1);
}

pub(crate) async fn many_topics_from_one_writer<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let mut topics = Vec::new();
    for _ in 0..20 {
        topics.push(target.topic(&client, "many", 2).await);
    }
    let writer = client.writer_to_any().build().unwrap();
    let of = |n: usize| topics[n % topics.len()].clone();
    write(&writer, numbered(40, 0..1000).enumerate().map(|(n, m)| m.topic(of(n)))).await;
    for (t, topic) in topics.iter().enumerate() {
        let read = read_all(&client, topic).await;
        let numbers: BTreeSet<usize> = read.iter().map(number).collect();
        assert_eq!(numbers, (0..1000).filter(|n| n % topics.len() == t).collect());
        check_numbered(&read, &[], 40);
    }
    let both = client.writer(topics[0].clone()).build().unwrap().send(Message::new("x").topic("y")).await;
    assert!(matches!(both.expect_err("two topics").error.kind(), ErrorKind::InvalidMessage(_)));
    let neither = writer.send(Message::new("x")).await;
    assert!(matches!(neither.expect_err("no topic").error.kind(), ErrorKind::InvalidMessage(_)));
}

pub(crate) async fn a_message_larger_than_the_writer_allows<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "too-large", 1).await;
    let writer = client.writer(topic.clone()).batch_bytes(10_000).build().unwrap();
    let before = writer.send(Message::new("before")).await.unwrap();
    let error = writer.send(Message::new(vec![0; 20_000])).await.expect_err("too large");
    assert_eq!(error.fate, Fate::NotWritten);
    let ErrorKind::MessageTooLarge { size, limit, .. } = error.error.kind() else { panic!("{error}") };
    assert!(*size > 20_000 && *limit == 10_000, "{error}");
    write(&writer, [Message::new("after")]).await;
    before.await.unwrap();
    assert_eq!(read_all(&client, &topic).await.len(), 2);
}

pub(crate) async fn a_message_larger_than_the_broker_allows<A: Adapter>(target: &Target) {
    if !target.has(Feature::CreateTopics) {
        skip!("topics with settings need Kafka 0.10.1");
    }
    let client = target.client::<A>().await;
    let topic = target.topic_with(&client, "too-large", 1, &[("max.message.bytes", "10000")]).await;
    let writer = client.writer(topic.clone()).build().unwrap();
    write(&writer, [Message::new("before")]).await;
    let errors = writer.write_all([Message::new(vec![0; 20_000])]).await.expect_err("too large");
    let error = errors.results[0].clone().unwrap_err();
    assert_eq!(error.error.code(), Some(ErrorCode::MessageTooLarge), "{error}");
    assert_eq!(error.fate, Fate::NotWritten);
    write(&writer, [Message::new("after")]).await;
    assert_eq!(read_all(&client, &topic).await.len(), 2);
}

pub(crate) async fn an_unknown_topic<A: Adapter>(target: &Target) {
    let grace = Duration::from_millis(300);
    let client = A::client(&target.bootstrap()).unknown_topic_grace(grace).connect().await.unwrap();
    let name = unique("nobody-made-this");
    let error = error_of(client.topic(name.clone()).await);
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition), "{error}");
    assert_eq!(error.context().topic.as_deref(), Some(&*name));
    let writer = client.writer(name.clone()).build().unwrap();
    let error = writer.send(Message::new("x")).await.expect_err("no topic");
    assert_eq!(
        (error.fate, error.error.code()),
        (Fate::NotWritten, Some(ErrorCode::UnknownTopicOrPartition))
    );
    let mut reader = client.reader(name.clone()).build().unwrap();
    let error = error_of(reader.next_event().await);
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition), "{error}");
    let error = error_of(client.topic("no such: name").await);
    // Old brokers do not look at the name.
    let codes = [ErrorCode::InvalidTopicException, ErrorCode::UnknownTopicOrPartition];
    assert!(error.code().is_some_and(|code| codes.contains(&code)), "{error}");
    assert!(!target.at_least("2.8.0") || error.code() == Some(codes[0]), "{error}");
}

pub(crate) async fn a_topic_that_comes_within_the_grace<A: Adapter>(target: &Target) {
    if !target.has(Feature::CreateTopics) {
        skip!("CreateTopics needs Kafka 0.10.1");
    }
    let client = target.client::<A>().await;
    let name = unique("late");
    let writer = client.writer(name.clone()).build().unwrap();
    let sent = spawn::<A, _>(async move { writer.write_all([Message::new("early")]).await.map(|_| ()) });
    A::sleep(Duration::from_millis(200)).await;
    client.create_topic(kafka_core::NewTopic::new(name.clone(), 1).replication_factor(1)).await.unwrap();
    sent.join().await.expect("written");
    assert_eq!(read_all(&client, &name).await.len(), 1);
}

/// By this client: it needs nobody to tell it.
pub(crate) async fn a_topic_made_anew_is_known_at_once<A: Adapter>(target: &Target) {
    if !target.at_least("3.9.0") {
        skip!("with ZooKeeper a topic is deleted some time after the answer");
    }
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "anew", 2).await;
    let writer = client.writer(topic.clone()).balancer(Manual).build().unwrap();
    write(&writer, [Message::new("old").partition(1)]).await;
    let deleted = client.delete_topics([topic.clone()]).await.unwrap();
    assert!(deleted.iter().all(|(_, result)| result.is_ok()), "{deleted:?}");
    let again = kafka_core::NewTopic::new(topic.clone(), 3).replication_factor(1);
    client.create_topic(again).await.unwrap();
    assert_eq!(client.topic(topic.clone()).await.unwrap().partitions.len(), 3);
    write(&writer, [Message::new("new").partition(2)]).await;
    assert_eq!(read_all(&client, &topic).await.len(), 1);
    client.delete_topics([topic.clone()]).await.unwrap();
    let error = error_of(client.topic(topic).await);
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition), "{error}");
}

/// An iterator may take its time: it reads a file, or a channel.
pub(crate) async fn each_batch_of_a_call_has_the_time_at_which_it_was_begun<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "slow", 1).await;
    let writer = client.writer(topic.clone()).batch_messages(1).build().unwrap();
    write(&writer, numbered(1, 0..1)).await;
    let slow = numbered(1, 1..4).inspect(|_| std::thread::sleep(Duration::from_millis(20)));
    let deliveries = writer.send_all(slow).await;
    writer.flush().await;
    assert!(deliveries.into_iter().all(|delivery| delivery.unwrap().try_get().is_some_and(|it| it.is_ok())));
    let times: Vec<_> = read_all(&client, &topic).await.iter().map(|record| record.timestamp).collect();
    assert!(times.len() == 4 && times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
}

pub(crate) async fn flush_waits_for_all<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "flush", 3).await;
    let writer = client.writer(topic).linger(Duration::from_secs(60)).build().unwrap();
    let deliveries = writer.send_all(numbered(10, 0..1000)).await;
    writer.flush().await;
    for delivery in deliveries {
        delivery.unwrap().try_get().expect("flushed").expect("acked");
    }
    writer.flush().await;
    assert_eq!(writer.buffered_bytes(), 0);
}

pub(crate) async fn close_delivers_and_refuses_what_comes_later<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "close", 3).await;
    let writer = client.writer(topic.clone()).linger(Duration::from_secs(60)).build().unwrap();
    let deliveries = writer.send_all(numbered(10, 0..500)).await;
    let report = writer.close(LONG).await;
    assert!(report.is_clean(), "{report:?}");
    for delivery in deliveries {
        delivery.unwrap().try_get().expect("closed").expect("acked");
    }
    let closed = |error: &kafka_core::Error| matches!(error.kind(), ErrorKind::Closed);
    let error = writer.send(Message::new("late")).await.expect_err("closed");
    assert!(closed(&error.error) && error.fate == Fate::NotWritten, "{error}");
    match writer.try_send(Message::new("late")).expect_err("closed").reason {
        TrySendReason::Failed(error) => assert!(closed(&error.error), "{error}"),
        other => panic!("{other}"),
    }
    assert!(writer.close(LONG).await.is_clean());
    assert_eq!(read_all(&client, &topic).await.len(), 500);
}

pub(crate) async fn use_after_close<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "closed", 1).await;
    let writer = client.writer(topic.clone()).build().unwrap();
    let mut reader = client.reader(topic.clone()).build().unwrap();
    let mut other = client.reader(topic.clone()).build().unwrap();
    reader.close(LONG).await.into_result().unwrap();
    assert!(reader.next_event().await.unwrap().is_none());
    assert!(reader.fetch().await.unwrap().is_none());
    assert!(reader.next_batch().await.unwrap().is_none());
    reader.close(LONG).await.into_result().unwrap();
    let sent = writer.send(Message::new("in time")).await.unwrap();
    client.close(LONG).await;
    sent.await.unwrap();
    let closed = |error: &kafka_core::Error| assert!(matches!(error.kind(), ErrorKind::Closed), "{error}");
    closed(&error_of(client.topic(topic.clone()).await));
    closed(&error_of(client.describe_cluster().await));
    closed(&writer.send(Message::new("late")).await.expect_err("closed").error);
    closed(&client.writer(topic.clone()).build().expect_err("closed"));
    closed(&client.reader(topic.clone()).build().expect_err("closed"));
    closed(&client.reader(topic.clone()).group("g").build().expect_err("closed"));
    while let Some(event) = other.next_event().await.unwrap() {
        assert!(matches!(event, kafka_core::Event::Record(_)), "{event:?}");
    }
    writer.flush().await;
    assert!(writer.close(LONG).await.is_clean());
    client.close(LONG).await;
}

pub(crate) async fn unread_deliveries_stall_nobody<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "unread", 3).await;
    let writer = client.writer(topic.clone()).buffer_bytes(1 << 20).batch_bytes(100_000).build().unwrap();
    // Ten times what the buffer holds.
    let mut unread = Vec::new();
    for message in numbered(30, 0..5000) {
        let value = [&message.value.clone().unwrap()[..], &[b' '; 2000]].concat();
        let mut message = message;
        message.value = Some(value.into());
        let delivery = writer.send(message).await.unwrap();
        if unread.len() % 2 == 0 {
            drop(delivery)
        } else {
            unread.push(delivery)
        }
        unread.truncate(4000);
    }
    writer.flush().await;
    assert_eq!(read_all(&client, &topic).await.len(), 5000);
}

pub(crate) async fn two_hundred_writers_on_one_client<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "crowd", 6).await;
    let mut tasks = Vec::new();
    for task in 0..200 {
        let writer = client.writer(topic.clone()).build().unwrap();
        tasks.push(spawn::<A, _>(async move {
            for i in 0..10 {
                let value = format!("{task}:{}", task * 10 + i);
                write(&writer, [Message::new(value).key(format!("task {task}"))]).await;
            }
        }));
    }
    for task in tasks {
        task.join().await;
    }
    let read = read_all(&client, &topic).await;
    let numbers: BTreeSet<usize> = read.iter().map(number).collect();
    assert_eq!((read.len(), numbers.len()), (2000, 2000));
    let mut last = vec![None; 200];
    for n in read.iter().map(number) {
        assert!(last[n / 10].replace(n) < Some(n), "{n} is out of order");
    }
}

pub(crate) async fn one_writer_shared_by_tasks<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "shared", 3).await;
    let writer = client.writer(topic.clone()).batch_bytes(2000).buffer_bytes(20_000).build().unwrap();
    let mut tasks = Vec::new();
    for task in 0..50_usize {
        let writer = writer.clone();
        tasks.push(spawn::<A, _>(async move {
            let mut deliveries = Vec::new();
            for i in 0..40_usize {
                let message = Message::new(Bytes::from(format!("{task}:{}", task + 50 * i)));
                deliveries.push(writer.send(message.key(format!("key {task}"))).await.unwrap());
            }
            for delivery in deliveries {
                delivery.await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.join().await;
    }
    let read = read_all(&client, &topic).await;
    assert_eq!(read.len(), 2000);
    check_numbered(&read, &(0..2000).collect::<Vec<_>>(), 50);
}
