//! Brokers that die and leaders that move, while messages are written and read.

use crate::adapter::{Adapter, Task, spawn};
use crate::handles::{Client, Delivery, Reader, Writer};
use crate::target::{LONG, Target, skip};
use crate::tools::{check_numbered, number, number_in, numbered, outcomes, read, read_all, write};
use kafka_core::{ErrorCode, Event, Fate, Idempotence, Message, Record, Reset};
use kafka_proto::ApiKey;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const KEYS: usize = 30;

/// Writes numbered messages until it is told to stop: what was sent, in its order.
struct Stream {
    task: Task<Vec<(usize, Delivery)>>,
    acked: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Stream {
    fn start<A: Adapter>(writer: Writer) -> Self {
        let (acked, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, end) = (acked.clone(), stop.clone());
        let task = spawn::<A, _>(async move {
            let mut sent = Vec::new();
            while !end.load(Ordering::Acquire) {
                let from = sent.len();
                for message in numbered(KEYS, from..from + 20) {
                    sent.push((sent.len(), writer.send(message).await.expect("room")));
                }
                // Some are on their way while the next are written, but not ever more.
                if let Some((_, delivery)) = from.checked_sub(200).and_then(|n| sent.get(n)) {
                    while delivery.try_get().is_none() {
                        A::sleep(Duration::from_millis(1)).await;
                    }
                    count.store(from - 200, Ordering::Release);
                }
                A::sleep(Duration::from_millis(1)).await;
            }
            sent
        });
        Self { task, acked, stop }
    }

    /// Waits until so many more were acked.
    async fn goes_on<A: Adapter>(&self, more: usize) {
        let goal = self.acked.load(Ordering::Acquire) + more;
        while self.acked.load(Ordering::Acquire) < goal {
            A::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Stops; all that was sent must have been acked.
    async fn finish(self) -> usize {
        self.stop.store(true, Ordering::Release);
        let (acked, failed) = outcomes(self.task.join().await).await;
        assert!(
            failed.is_empty(),
            "{} of {} failed: {:?}",
            failed.len(),
            failed.len() + acked.len(),
            failed[0]
        );
        acked.len()
    }
}

/// Reads everything, and ends once it has the number it is told. Nothing may be taken from it meanwhile.
fn follow<A: Adapter>(mut reader: Reader, until: Arc<AtomicUsize>) -> Task<(Vec<Record>, Reader)> {
    spawn::<A, _>(async move {
        let mut messages = Vec::new();
        while messages.len() < until.load(Ordering::Acquire) {
            match reader.next_event_within::<A>(Duration::from_millis(50)).await {
                None => {}
                Some(Ok(Some(Event::Record(message)))) => messages.push(message),
                Some(Ok(Some(Event::Assigned { .. } | Event::Notice(_)))) => {}
                Some(other) => panic!("{other:?} after {} messages", messages.len()),
            }
        }
        (messages, reader)
    })
}

fn all(count: usize) -> Vec<usize> {
    (0..count).collect()
}

async fn leader_of(client: &Client, topic: &str) -> i32 {
    client.topic(topic).await.unwrap().partitions[0].leader.expect("a leader")
}

pub(crate) async fn a_broker_dies_while_writing<A: Adapter>(target: &Target) {
    dies_while_writing::<A>(target, Idempotence::Required).await;
}

async fn dies_while_writing<A: Adapter>(target: &Target, idempotence: Idempotence) {
    if !target.can_lose_a_broker() {
        skip!("it needs three brokers that can be stopped");
    }
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "kill-write", 6).await;
    let writer = client.writer(topic.clone()).idempotence(idempotence).build().unwrap();
    let stream = Stream::start::<A>(writer.clone());
    stream.goes_on::<A>(500).await;
    let victim = leader_of(&client, &topic).await;
    target.kill(victim);
    stream.goes_on::<A>(1000).await;
    target.restart(victim);
    stream.goes_on::<A>(500).await;
    let count = stream.finish().await;
    let read = read_all(&client, &topic).await;
    assert_eq!(read.len(), count);
    check_numbered(&read, &all(count), KEYS);
}

pub(crate) async fn a_broker_dies_while_reading<A: Adapter>(target: &Target) {
    if !target.can_lose_a_broker() {
        skip!("it needs three brokers that can be stopped");
    }
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "kill-read", 6).await;
    let group = crate::target::unique("group");
    let goal = Arc::new(AtomicUsize::new(usize::MAX));
    let alone = follow::<A>(client.reader(topic.clone()).build().unwrap(), goal.clone());
    let member = client.reader(topic.clone()).group(group).reset(Reset::First);
    let member =
        follow::<A>(member.heartbeat_interval(Duration::from_millis(300)).build().unwrap(), goal.clone());
    let stream = Stream::start::<A>(client.writer(topic.clone()).build().unwrap());
    stream.goes_on::<A>(500).await;
    let victim = leader_of(&client, &topic).await;
    target.kill(victim);
    stream.goes_on::<A>(1000).await;
    target.restart(victim);
    stream.goes_on::<A>(500).await;
    let count = stream.finish().await;
    goal.store(count, Ordering::Release);
    for task in [alone, member] {
        let (read, mut reader) = task.join().await;
        check_numbered(&read, &all(count), KEYS);
        reader.close(LONG).await.into_result().unwrap();
    }
}

pub(crate) async fn leaders_move<A: Adapter>(target: &Target) {
    moves::<A>(target, Idempotence::Required).await;
}

pub(crate) async fn leaders_move_without_idempotence<A: Adapter>(target: &Target) {
    moves::<A>(target, Idempotence::Off).await;
}

async fn moves<A: Adapter>(target: &Target, idempotence: Idempotence) {
    let cluster = target.embedded();
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "moves", 3).await;
    let goal = Arc::new(AtomicUsize::new(usize::MAX));
    let reader = follow::<A>(client.reader(topic.clone()).build().unwrap(), goal.clone());
    let writer = client.writer(topic.clone()).idempotence(idempotence).build().unwrap();
    let stream = Stream::start::<A>(writer);
    for round in 0..10 {
        stream.goes_on::<A>(100).await;
        for partition in 0..3 {
            let to = (cluster.leader(&topic, partition).unwrap() + 1 + round % 2) % 3;
            cluster.move_leader(&topic, partition, to).unwrap();
        }
    }
    let count = stream.finish().await;
    goal.store(count, Ordering::Release);
    let (read, _reader) = reader.join().await;
    check_numbered(&read, &all(count), KEYS);
    let logged = read_all(&client, &topic).await;
    assert_eq!(logged.len(), count);
    check_numbered(&logged, &all(count), KEYS);
}

/// As after a topic was made or a leader elected: the first batches are refused, the next would be taken.
pub(crate) async fn the_first_batches_are_refused<A: Adapter>(target: &Target) {
    let cluster = target.embedded();
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "refused", 1).await;
    let writer = client.writer(topic.clone()).batch_messages(1).linger(Duration::ZERO).build().unwrap();
    cluster.fail_times(ApiKey::Produce, ErrorCode::NotLeaderOrFollower, 2);
    write(&writer, numbered(1, 0..50)).await;
    let logged = read_all(&client, &topic).await;
    assert_eq!(logged.len(), 50);
    check_numbered(&logged, &all(50), 1);
}

pub(crate) async fn answers_that_are_lost_write_nothing_twice<A: Adapter>(target: &Target) {
    use kafka_testkit::broker::{Fault, FaultRule};
    let cluster = target.embedded();
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "lost-answers", 3).await;
    let stream = Stream::start::<A>(client.writer(topic.clone()).build().unwrap());
    for fault in
        [Fault::CloseAfter, Fault::CloseBefore, Fault::CloseAfter, Fault::Delay(Duration::from_millis(50))]
    {
        stream.goes_on::<A>(100).await;
        cluster.inject(FaultRule { api: Some(ApiKey::Produce), node: None, times: 3, fault });
    }
    stream.goes_on::<A>(500).await;
    let count = stream.finish().await;
    let logged = read_all(&client, &topic).await;
    assert_eq!(logged.len(), count);
    check_numbered(&logged, &all(count), KEYS);
}

pub(crate) async fn all_brokers_gone_and_back<A: Adapter>(target: &Target) {
    let cluster = target.embedded();
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "all-gone", 3).await;
    let writer = client.writer(topic.clone()).build().unwrap();
    let mut reader = client.reader(topic.clone()).build().unwrap();
    write(&writer, numbered(KEYS, 0..100)).await;
    let mut got = read(&mut reader, 100).await;
    (0..3).for_each(|node| cluster.kill(node).unwrap());
    let mut sent = Vec::new();
    for (n, message) in (100..200).zip(numbered(KEYS, 100..200)) {
        sent.push((n, writer.send(message).await.unwrap()));
    }
    A::sleep(Duration::from_millis(300)).await;
    assert!(sent.iter().all(|(_, delivery)| delivery.try_get().is_none()));
    (0..3).for_each(|node| cluster.restart(node).unwrap());
    let (acked, failed) = outcomes(sent).await;
    assert_eq!((acked.len(), failed.len()), (100, 0));
    got.extend(read(&mut reader, 100).await);
    check_numbered(&got, &all(200), KEYS);
}

pub(crate) async fn close_reports_what_it_could_not_deliver<A: Adapter>(target: &Target) {
    let cluster = target.embedded();
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "report", 2).await;
    let writer = client.writer(topic.clone()).build().unwrap();
    write(&writer, numbered(KEYS, 0..10)).await;
    (0..3).for_each(|node| cluster.mute(node).unwrap());
    let mut sent = Vec::new();
    for (n, message) in (10..60).zip(numbered(KEYS, 10..60)) {
        sent.push((n, writer.send(message).await.unwrap()));
    }
    let report = writer.close(Duration::from_millis(100)).await;
    assert_eq!(report.not_written + report.possibly_written, 50, "{report:?}");
    assert!(report.possibly_written > 0, "what was sent and not answered: {report:?}");
    let (acked, failed) = outcomes(sent).await;
    assert!(acked.is_empty(), "{acked:?}");
    let mut fates: BTreeMap<bool, u64> = BTreeMap::new();
    for (_, error) in failed {
        *fates.entry(error.fate == Fate::NotWritten).or_default() += 1;
    }
    assert_eq!(fates.get(&true).copied().unwrap_or(0), report.not_written);
    // What is reported as not written never appears.
    (0..3).for_each(|node| cluster.unmute(node).unwrap());
    let other = client.writer(topic.clone()).build().unwrap();
    write(&other, numbered(KEYS, 60..61)).await;
    let logged = read_all(&client, &topic).await.len() as u64;
    assert!((11..=11 + report.possibly_written).contains(&logged), "{logged} in the log, {report:?}");
}

pub(crate) async fn try_send_gives_the_message_back<A: Adapter>(target: &Target) {
    use kafka_core::TrySendReason;
    let cluster = target.embedded();
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "full", 1).await;
    // `create_topic` waited until the topic is known, so another client stands for one that does not know it.
    let client = target.client::<A>().await;
    let writer = client.writer(topic.clone()).buffer_bytes(20_000).batch_bytes(4000).build().unwrap();
    let refused = writer.try_send(Message::new("first")).expect_err("the topic is not known");
    assert_eq!(refused.reason, TrySendReason::TopicPending);
    assert_eq!(*refused.message, Message::new("first"));
    while writer.try_send((*refused.message).clone()).is_err() {
        A::sleep(Duration::from_millis(5)).await;
    }
    writer.flush().await;
    (0..3).for_each(|node| cluster.mute(node).unwrap());
    let mut taken = Vec::new();
    let refused = loop {
        let message = numbered(1, taken.len()..taken.len() + 1).next().unwrap();
        match writer.try_send(message) {
            Ok(delivery) => taken.push(delivery),
            Err(refused) => break refused,
        }
        assert!(taken.len() < 100_000, "the buffer has no bound");
    };
    assert_eq!(refused.reason, TrySendReason::Full);
    assert_eq!(number_in(refused.message.value.as_deref()), taken.len());
    assert!(writer.buffered_bytes() <= 20_000);
    // A waiting one gets in once there is room.
    let waiting = {
        let (writer, message) = (writer.clone(), *refused.message);
        spawn::<A, _>(async move { writer.send(message).await.expect("room").await.expect("acked") })
    };
    (0..3).for_each(|node| cluster.unmute(node).unwrap());
    waiting.join().await;
    for delivery in taken {
        delivery.await.expect("acked");
    }
}

pub(crate) async fn a_member_survives_its_coordinator<A: Adapter>(target: &Target) {
    let cluster = target.embedded();
    let client = target.client::<A>().await;
    let (topic, group) = (target.topic(&client, "coordinator", 3).await, crate::target::unique("group"));
    let writer = client.writer(topic.clone()).build().unwrap();
    let reader = client.reader(topic.clone()).group(group.clone()).reset(Reset::First);
    let mut reader = reader.heartbeat_interval(Duration::from_millis(100)).build().unwrap();
    write(&writer, numbered(KEYS, 0..30)).await;
    read(&mut reader, 30).await;
    let mut count = 30;
    for node in 0..3 {
        cluster.kill(node).unwrap();
        write(&writer, numbered(KEYS, count..count + 30)).await;
        let mut seen = Vec::new();
        while seen.len() < 30 {
            match reader.next_event().await.unwrap().unwrap() {
                Event::Record(message) => seen.push(message),
                Event::Lost { error, .. } => panic!("lost: {error}"),
                _ => {}
            }
        }
        assert_eq!(seen.iter().map(number).min(), Some(count));
        reader.commit(&seen).await.expect("the new coordinator takes the commit");
        count += 30;
        cluster.restart(node).unwrap();
    }
    let committed: i64 = (0..3).filter_map(|p| cluster.committed(&group, &topic, p)).sum();
    assert_eq!(committed, count as i64);
    reader.close(LONG).await.into_result().unwrap();
}
