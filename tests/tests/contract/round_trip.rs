//! What is written is read, byte for byte.

use crate::adapter::Adapter;
use crate::target::{Feature, Target, skip};
use crate::tools::{by_partition, read, read_all, write};
use kafka_core::{Bytes, Compression, ErrorCode, Header, Manual, Message};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) async fn every_codec<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    for codec in
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd]
    {
        if codec == Compression::Zstd && !target.has(Feature::Zstd) {
            println!("SKIPPED: zstd needs Kafka 2.1");
            continue;
        }
        let topic = target.topic(&client, codec.name(), 1).await;
        let writer = client.writer(topic.clone()).compression(codec).build().unwrap();
        let values: Vec<Bytes> = (0..300).map(value).collect();
        write(&writer, values.iter().map(|v| Message::new(v.clone()).key("one key"))).await;
        let mut reader = client.reader(topic).build().unwrap();
        for (i, message) in read(&mut reader, values.len()).await.into_iter().enumerate() {
            assert_eq!(message.value.as_ref(), Some(&values[i]), "{codec:?}, message {i}");
            assert_eq!(message.key.as_deref(), Some(&b"one key"[..]));
            assert_eq!((message.partition, message.offset), (0, i as i64));
        }
    }
}

/// What was read is written to another topic as it is, by a writer of that topic and by one of any.
pub(crate) async fn a_record_is_forwarded<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let (from, to) = (target.topic(&client, "from", 1).await, target.topic(&client, "to", 1).await);
    write(&client.writer(from.clone()).build().unwrap(), [Message::new("a").key("k")]).await;
    let mut reader = client.reader(from).build().unwrap();
    let record = read(&mut reader, 1).await.remove(0);
    client.writer(to.clone()).build().unwrap().write(record.clone().into()).await.unwrap();
    client
        .writer_to_any()
        .build()
        .unwrap()
        .write(Message::from(record.clone()).topic(to.clone()))
        .await
        .unwrap();
    let forwarded = read(&mut client.reader(to.clone()).build().unwrap(), 2).await;
    for (offset, one) in (0..).zip(&forwarded) {
        assert_eq!((&one.key, &one.value, &one.headers), (&record.key, &record.value, &record.headers));
        assert_eq!((one.timestamp, &*one.topic, one.offset), (record.timestamp, to.as_str(), offset));
    }
}

/// Bytes that compress well, and bytes that do not, of many lengths.
fn value(i: usize) -> Bytes {
    let len = [0, 1, 13, 100, 1000, 20_000][i % 6];
    let mut state = i as u64 + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(|at| if i.is_multiple_of(2) { (at / 50) as u8 } else { next() }).collect::<Vec<u8>>().into()
}

pub(crate) async fn keys_are_placed_as_by_java<A: Adapter>(target: &Target) {
    if !target.has(Feature::CreateTopics) {
        skip!("topics of a chosen size need Kafka 0.10.1");
    }
    let client = target.client::<A>().await;
    for (partitions, column) in [(7, 1), (12, 2)] {
        let topic = target.topic(&client, "placement", partitions).await;
        let writer = client.writer(topic.clone()).build().unwrap();
        let vectors: Vec<(Bytes, i32)> = vectors(column);
        let delivered =
            write(&writer, vectors.iter().map(|(key, _)| Message::new("x").key(key.clone()))).await;
        for ((key, java), delivered) in vectors.iter().zip(delivered) {
            assert_eq!(delivered.partition, *java, "key {key:?} of {partitions} partitions");
        }
        let read = read_all(&client, &topic).await;
        assert_eq!(read.len(), vectors.len());
        for message in read {
            let (_, java) = vectors.iter().find(|(key, _)| Some(key) == message.key.as_ref()).unwrap();
            assert_eq!(message.partition, *java);
        }
    }
}

fn vectors(column: usize) -> Vec<(Bytes, i32)> {
    let lines = include_str!("placement.txt").lines().filter(|line| !line.starts_with('#'));
    let hex = |text: &str| -> Vec<u8> {
        let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    };
    let vector = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        (Bytes::from(hex(fields[0])), fields[column].parse().unwrap())
    };
    lines.map(vector).collect()
}

pub(crate) async fn headers_keep_order_duplicates_and_nulls<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "headers", 1).await;
    let writer = client.writer(topic.clone()).build().unwrap();
    let header = |key: &str, value: Option<&'static [u8]>| Header {
        key: key.into(),
        value: value.map(Bytes::from_static),
    };
    let headers = vec![
        header("a", Some(b"1")),
        header("", Some(b"no name")),
        header("a", None),
        header("ключ", Some(b"")),
        header("a", Some(b"\xff\x00\xfe")),
    ];
    let mut message = Message::new("with headers");
    message.headers = headers.clone();
    if !target.has(Feature::HeadersAndIdempotence) {
        let error = writer.send(message).await.expect_err("headers need Kafka 0.11");
        assert!(matches!(error.error.kind(), kafka_core::ErrorKind::Unsupported { .. }), "{error}");
        return;
    }
    write(&writer, [message, Message::new("without")]).await;
    let read = read_all(&client, &topic).await;
    assert_eq!(read[0].headers, headers);
    assert_eq!(read[1].headers, []);
}

pub(crate) async fn null_and_empty_are_different<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "nulls", 1).await;
    let writer = client.writer(topic.clone()).build().unwrap();
    let empty = || Some(Bytes::new());
    let pairs = [(None, None), (None, empty()), (empty(), None), (empty(), empty())];
    let message = |(key, value): &(Option<Bytes>, Option<Bytes>)| {
        let mut message = Message::default();
        (message.key, message.value) = (key.clone(), value.clone());
        message
    };
    write(&writer, pairs.iter().map(message)).await;
    let read: Vec<_> = read_all(&client, &topic).await.into_iter().map(|m| (m.key, m.value)).collect();
    assert_eq!(read, pairs);
}

pub(crate) async fn timestamps<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    // What is long ago must not be removed at once.
    let topic = target.topic_with(&client, "timestamps", 1, &[("retention.ms", "-1")]).await;
    let writer = client.writer(topic.clone()).build().unwrap();
    let before = now_ms();
    let given = [Some(before), Some(1), Some(0), None, Some(before - 1_000_000_000)];
    let message = |timestamp| {
        let mut message = Message::new("t");
        message.timestamp = timestamp;
        message
    };
    write(&writer, given.map(message)).await;
    let after = now_ms();
    let read = read_all(&client, &topic).await;
    for (message, given) in read.iter().zip(given) {
        match given {
            Some(given) => assert_eq!(message.timestamp, Some(given)),
            None => assert!((before..=after).contains(&message.timestamp.unwrap()), "{message:?}"),
        }
    }
    // Old brokers take any time, new ones refuse what is far ahead (KIP-1030).
    let ahead = Message::new("far ahead").timestamp(i64::MAX);
    match writer.write_all([ahead]).await {
        Ok(_) => assert_eq!(read_all(&client, &topic).await.last().unwrap().timestamp, Some(i64::MAX)),
        Err(errors) => {
            let error = errors.results[0].clone().unwrap_err();
            assert_eq!(error.error.code(), Some(ErrorCode::InvalidTimestamp), "{error}");
            assert_eq!(error.fate, kafka_core::Fate::NotWritten);
        }
    }
    // The refusal is that batch's alone.
    write(&writer, [Message::new("goes on")]).await;
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

pub(crate) async fn large_values<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "large", 1).await;
    let writer = client.writer(topic.clone()).balancer(Manual).build().unwrap();
    let values: Vec<Bytes> = (0..8).map(|i| vec![i; 900_000 + usize::from(i)].into()).collect();
    write(&writer, values.iter().map(|v| Message::new(v.clone()).partition(0))).await;
    assert_eq!(by_partition(&read_all(&client, &topic).await)[&0], values);
}
