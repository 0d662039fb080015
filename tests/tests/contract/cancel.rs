//! A future that is dropped at any poll loses nothing: each is polled once, twice, ... and dropped, until it completes.

use crate::adapter::Adapter;
use crate::target::{LONG, Target, unique};
use crate::tools::{message, number, numbered, polled, read_all, write};
use kafka_core::{Event, Message, Reset};

/// No future here is polled more often before it completes; a test that never gets there must end.
const MANY: usize = 1000;

pub(crate) async fn promise_21_dropped_sends<A: Adapter>(target: &Target) {
    let owner = target.client::<A>().await;
    let topic = target.topic(&owner, "drop-send", 3).await;
    let (mut taken, mut dropped) = (Vec::new(), 0);
    let mut number = 0;
    // A client that knows nothing yet, so that there is much to wait for; and a buffer that is soon full.
    let client = target.client::<A>().await;
    let writer = client.writer(topic.clone()).batch_bytes(2000).buffer_bytes(4000).build().unwrap();
    for polls in (1..5).cycle().take(300) {
        let mut message = numbered(30, number..number + 1).next().unwrap();
        message.value = Some([&message.value.unwrap()[..], &[b':'; 1000]].concat().into());
        match polled(polls, writer.send(message)).await {
            Some(delivery) => taken.push((number, delivery.expect("taken"))),
            None => dropped += 1,
        }
        number += 1;
    }
    assert!(dropped > 0 && !taken.is_empty(), "{dropped} dropped, {} taken", taken.len());
    let (acked, failed) = crate::tools::outcomes(taken).await;
    assert!(failed.is_empty(), "{failed:?}");
    // What was dropped was not taken, what was taken is there once.
    let mut logged: Vec<usize> = read_all(&owner, &topic).await.iter().map(crate::tools::number).collect();
    logged.sort_unstable();
    assert_eq!(logged, acked);
    assert_eq!(writer.buffered_bytes(), 0);
}

pub(crate) async fn promise_21_dropped_deliveries_and_flushes<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "drop-delivery", 1).await;
    let writer = client.writer(topic.clone()).build().unwrap();
    let mut count = 0;
    let mut completed = 0;
    for polls in 1..50 {
        let message = numbered(1, count..count + 1).next().unwrap();
        count += 1;
        let delivery = writer.send(message).await.unwrap();
        completed += usize::from(polled(polls % 4, delivery).await.is_some());
        let message = numbered(1, count..count + 1).next().unwrap();
        count += 1;
        drop(writer.send(message).await.unwrap());
        completed += usize::from(polled(polls % 7, writer.flush()).await.is_some());
    }
    assert!(completed > 0);
    writer.flush().await;
    let logged: Vec<usize> = read_all(&client, &topic).await.iter().map(number).collect();
    assert_eq!(logged, (0..count).collect::<Vec<_>>());
}

pub(crate) async fn promise_21_dropped_writes<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "drop-write", 1).await;
    let writer = client.writer(topic.clone()).batch_bytes(1024).buffer_bytes(2048).build().unwrap();
    let mut ends = Vec::new();
    for polls in 1..20 {
        // Some of the first are taken, none after one that was not.
        let messages = (0..20).map(|i| Message::new(format!("{polls}:{i}:{}", "x".repeat(200))));
        ends.push(polled(polls, writer.write_all(messages)).await.is_some());
    }
    writer.flush().await;
    let mut next = [0; 20];
    for message in read_all(&client, &topic).await {
        let text = String::from_utf8(message.value.unwrap().to_vec()).unwrap();
        let mut parts = text.split(':').map(|part| part.parse::<usize>());
        let (Some(Ok(polls)), Some(Ok(i))) = (parts.next(), parts.next()) else { panic!("{text}") };
        assert_eq!(next[polls], i, "of call {polls}");
        next[polls] += 1;
    }
    for (polls, complete) in (1..20).zip(ends) {
        assert!(!complete || next[polls] == 20, "call {polls} said that it wrote all");
    }
}

pub(crate) async fn promise_21_dropped_reads<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "drop-read", 1).await;
    let writer = client.writer(topic.clone()).batch_messages(3).build().unwrap();
    let mut reader = client.reader(topic.clone()).build().unwrap();
    let (mut written, mut got) = (0, Vec::new());
    for round in 0..60 {
        write(&writer, numbered(1, written..written + 2)).await;
        written += 2;
        // One more than there is, so that some wait in vain.
        for polls in 1..4 {
            let message = match round % 3 {
                0 => polled(polls, reader.fetch()).await.map(|m| m.unwrap().unwrap()),
                1 => polled(polls, reader.read()).await.map(|m| m.unwrap().unwrap()),
                _ => match polled(polls, reader.next_event()).await {
                    Some(Ok(Some(Event::Record(message)))) => Some(message),
                    Some(other) => panic!("{other:?}"),
                    None => None,
                },
            };
            got.extend(message.as_ref().map(number));
            if got.len() == written {
                break;
            }
        }
        if round % 10 == 0 {
            let _ = polled(1, reader.next_batch()).await;
        }
    }
    while got.len() < written {
        got.push(number(&message(&mut reader).await));
    }
    assert_eq!(got, (0..written).collect::<Vec<_>>());
}

pub(crate) async fn promise_21_dropped_commits<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let (topic, group) = (target.topic(&client, "drop-commit", 1).await, unique("group"));
    write(&client.writer(topic.clone()).build().unwrap(), numbered(1, 0..100)).await;
    let mut reader = client.reader(topic.clone()).group(group.clone()).reset(Reset::First).build().unwrap();
    let mut completed = false;
    for polls in 0..40 {
        let message = message(&mut reader).await;
        // A commit that was dropped does not hold back the next, nor overtake it.
        completed |= polled(polls % 5, reader.commit([&message])).await.transpose().unwrap().is_some();
    }
    assert!(completed);
    let last = message(&mut reader).await;
    reader.commit([&last]).await.unwrap();
    // Dropping `close` leaves the group all the same.
    let _ = polled(1, reader.close(LONG)).await;
    drop(reader);
    let mut second = client.reader(topic).group(group).reset(Reset::First).build().unwrap();
    assert_eq!(number(&message(&mut second).await), 41);
    second.close(LONG).await.into_result().unwrap();
}

pub(crate) async fn promise_21_dropped_calls<A: Adapter>(target: &Target) {
    for polls in 1..MANY {
        // A client that knows nothing, each time: connect, then ask.
        let connecting = A::client(&target.bootstrap()).connect();
        let Some(client) = polled(polls, connecting).await else { continue };
        let client = client.unwrap();
        let mut done = 0;
        for again in 1..MANY {
            let Some(description) = polled(again, client.describe_cluster()).await else { continue };
            assert!(!description.unwrap().brokers.is_empty());
            done += 1;
            if done == 3 {
                return;
            }
        }
    }
    panic!("it never completes");
}
