//! Groups: members come and go, commits hold, stale ones are refused.

use crate::adapter::{Adapter, Task, spawn};
use crate::handles::{Client, Reader, ReaderBuilder};
use crate::target::{Feature, LONG, Target, skip, unique};
use crate::tools::{error_of, message, number, numbered, read, write};
use kafka_core::assignor::{Member, RoundRobin, Topics};
use kafka_core::{Assignor, Bytes, ErrorKind, Event, Record, Reset, Start, Str, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn member(client: &Client, topic: &str, group: &str) -> ReaderBuilder {
    let heartbeats = Duration::from_millis(300);
    client.reader(topic).group(group).reset(Reset::First).heartbeat_interval(heartbeats)
}

/// What the members of a group know of each other.
#[derive(Debug, Default)]
struct Shared {
    owners: Mutex<BTreeMap<TopicPartition, &'static str>>,
    seen: Mutex<Vec<usize>>,
}

impl Shared {
    fn owned_by(&self, name: &str) -> usize {
        self.owners.lock().unwrap().values().filter(|owner| **owner == name).count()
    }

    fn acquire(&self, name: &'static str, partitions: Vec<TopicPartition>) {
        for partition in partitions {
            let before = self.owners.lock().unwrap().insert(partition.clone(), name);
            assert_eq!(before, None, "{partition:?} has two owners, {name} the second");
        }
    }

    fn release(&self, name: &str) {
        self.owners.lock().unwrap().retain(|_, owner| *owner != name);
    }

    fn handle(&self, name: &str, message: &Record) {
        let partition = TopicPartition::new(message.topic.clone(), message.partition);
        let owner = self.owners.lock().unwrap().get(&partition).copied();
        assert_eq!(owner, Some(name), "a message of {partition:?} came to {name}");
        self.seen.lock().unwrap().push(number(message));
    }
}

/// A member that commits what it handled when it has to give its partitions up, and ends when it is told to.
struct Running {
    task: Task<()>,
    stop: Arc<AtomicBool>,
}

impl Running {
    fn start<A: Adapter>(reader: Reader, name: &'static str, shared: &Arc<Shared>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = spawn::<A, _>(work::<A>(reader, name, shared.clone(), stop.clone()));
        Self { task, stop }
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Release);
        self.task.join().await;
    }
}

async fn work<A: Adapter>(
    mut reader: Reader,
    name: &'static str,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
) {
    let mut handled: Vec<Record> = Vec::new();
    while !stop.load(Ordering::Acquire) {
        let Some(event) = reader.next_event_within::<A>(Duration::from_millis(20)).await else {
            continue;
        };
        match event.expect("no error").expect("open") {
            Event::Record(message) => {
                shared.handle(name, &message);
                handled.push(message);
            }
            Event::Assigned { partitions, .. } => shared.acquire(name, partitions),
            Event::Revoking { .. } => {
                reader.commit(&handled).await.expect("commit while revoking");
                handled.clear();
                shared.release(name);
            }
            Event::Lost { error, .. } => panic!("{name} lost its partitions: {error}"),
            Event::Notice(_) => {}
            other => panic!("{other:?}"),
        }
    }
    reader.commit(&handled).await.expect("commit before the end");
    shared.release(name);
    reader.close(LONG).await.into_result().expect("close");
}

/// Waits until something is so; the watchdog ends it otherwise.
async fn until<A: Adapter>(condition: impl Fn() -> bool) {
    while !condition() {
        A::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn members_come_and_go<A: Adapter>(target: &Target) {
    if !target.has(Feature::CreateTopics) {
        skip!("topics of a chosen size need Kafka 0.10.1");
    }
    let client = target.client::<A>().await;
    let (topic, group) = (target.topic(&client, "members", 6).await, unique("group"));
    let shared = Arc::new(Shared::default());
    let join = |name| Running::start::<A>(member(&client, &topic, &group).build().unwrap(), name, &shared);
    let writer = client.writer(topic.clone()).build().unwrap();
    let mut sent = 0;
    let mut some = async || {
        write(&writer, numbered(60, sent..sent + 300)).await;
        sent += 300;
        sent
    };
    let have = |count: usize| {
        let shared = shared.clone();
        move || shared.seen.lock().unwrap().len() >= count
    };
    let own = |owners: &'static [(&'static str, usize)]| {
        let shared = shared.clone();
        move || owners.iter().all(|(name, count)| shared.owned_by(name) == *count)
    };

    let first = join("first");
    until::<A>(have(some().await)).await;
    let second = join("second");
    some().await;
    until::<A>(own(&[("first", 3), ("second", 3)])).await;
    until::<A>(have(some().await)).await;
    first.stop().await;
    some().await;
    until::<A>(own(&[("second", 6)])).await;
    let third = join("third");
    until::<A>(own(&[("second", 3), ("third", 3)])).await;
    let all = some().await;
    until::<A>(have(all)).await;
    second.stop().await;
    third.stop().await;
    // Each member committed what it handled before another got the partition: nothing comes twice.
    let seen = shared.seen.lock().unwrap().clone();
    assert_eq!(seen.len(), all);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), (0..all).collect());
}

pub(crate) async fn commits_and_resumes<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let (topic, group) = (target.topic(&client, "resume", 1).await, unique("group"));
    let writer = client.writer(topic.clone()).build().unwrap();
    write(&writer, numbered(1, 0..100)).await;
    let mut first = member(&client, &topic, &group).build().unwrap();
    let messages = read(&mut first, 60).await;
    // The highest of a partition counts, whatever the order.
    first.commit([&messages[39], &messages[12]]).await.unwrap();
    first.close(LONG).await.into_result().unwrap();
    let mut second = member(&client, &topic, &group).build().unwrap();
    let messages = read(&mut second, 60).await;
    assert_eq!(messages.iter().map(number).collect::<Vec<_>>(), (40..100).collect::<Vec<_>>());
    second.commit(&messages).await.unwrap();
    second.close(LONG).await.into_result().unwrap();
    write(&writer, numbered(1, 100..101)).await;
    let mut third = member(&client, &topic, &group).build().unwrap();
    assert_eq!(number(&message(&mut third).await), 100);
    third.close(LONG).await.into_result().unwrap();
}

pub(crate) async fn read_commits_what_was_handled<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let (topic, group) = (target.topic(&client, "auto", 1).await, unique("group"));
    write(&client.writer(topic.clone()).build().unwrap(), numbered(1, 0..50)).await;
    for from in [0, 20, 40] {
        let mut reader = member(&client, &topic, &group).build().unwrap();
        for n in from..(from + 20).min(50) {
            assert_eq!(number(&reader.read().await.unwrap().unwrap()), n);
        }
        reader.close(LONG).await.into_result().unwrap();
    }
    // By itself, while there is nothing to read.
    let interval = Duration::from_millis(100);
    let mut first = member(&client, &topic, &group).auto_commit_interval(interval).build().unwrap();
    let writer = client.writer(topic.clone()).build().unwrap();
    write(&writer, numbered(1, 50..51)).await;
    assert_eq!(number(&first.read().await.unwrap().unwrap()), 50);
    let _ = first.read_within::<A>(Duration::from_millis(500)).await;
    drop(first);
    let mut second = member(&client, &topic, &group).build().unwrap();
    write(&writer, numbered(1, 51..52)).await;
    assert_eq!(number(&message(&mut second).await), 51);
    second.close(LONG).await.into_result().unwrap();
}

pub(crate) async fn what_is_marked_is_committed<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let (topic, group) = (target.topic(&client, "marked", 1).await, unique("group"));
    write(&client.writer(topic.clone()).build().unwrap(), numbered(1, 0..30)).await;
    // On close; a mark covers what is before it, and what was not marked comes again.
    let mut first = member(&client, &topic, &group).build().unwrap();
    let messages = read(&mut first, 20).await;
    first.mark([&messages[9]]).unwrap();
    first.close(LONG).await.into_result().unwrap();
    // While nothing is there to read.
    let interval = Duration::from_millis(100);
    let mut second = member(&client, &topic, &group).auto_commit_interval(interval).build().unwrap();
    let messages = read(&mut second, 20).await;
    assert_eq!(number(&messages[0]), 10);
    assert!(matches!(error_of(first.mark(&messages)).kind(), ErrorKind::StaleCommit));
    second.mark(&messages).unwrap();
    let _ = second.fetch_within::<A>(Duration::from_millis(500)).await;
    drop(second);
    let writer = client.writer(topic.clone()).build().unwrap();
    write(&writer, numbered(1, 30..31)).await;
    let mut third = member(&client, &topic, &group).build().unwrap();
    assert_eq!(number(&message(&mut third).await), 30);
    third.close(LONG).await.into_result().unwrap();
}

/// An assignor of the application's is called without any lock: it may use the client.
pub(crate) async fn an_assignor_may_use_the_client<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let (topic, group) = (target.topic(&client, "curious", 3).await, unique("group"));
    write(&client.writer(topic.clone()).build().unwrap(), numbered(3, 0..30)).await;
    let curious = Arc::new(Curious(client.clone()));
    let mut reader = member(&client, &topic, &group).assignors(vec![curious]).build().unwrap();
    assert_eq!(read(&mut reader, 30).await.len(), 30);
    reader.close(LONG).await.into_result().unwrap();
}

struct Curious(Client);

impl fmt::Debug for Curious {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Curious")
    }
}

impl Assignor for Curious {
    fn name(&self) -> &str {
        "curious"
    }

    fn user_data(&self, _: &[Str]) -> Option<Bytes> {
        let _ = self.0.degraded();
        None
    }

    fn assign(&self, members: &[Member], topics: &Topics) -> Vec<Vec<TopicPartition>> {
        let _ = self.0.degraded();
        RoundRobin.assign(members, topics)
    }
}

pub(crate) async fn a_stale_commit_is_an_error<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let (topic, group) = (target.topic(&client, "stale", 2).await, unique("group"));
    write(&client.writer(topic.clone()).build().unwrap(), numbered(20, 0..100)).await;
    let stale = |error: kafka_core::Error| assert!(matches!(error.kind(), ErrorKind::StaleCommit), "{error}");
    let mut first = member(&client, &topic, &group).build().unwrap();
    let old = message(&mut first).await;
    // Of another reader.
    let mut alone = client.reader(topic.clone()).build().unwrap();
    stale(error_of(first.commit([&message(&mut alone).await]).await));
    stale(error_of(alone.commit([&old]).await));
    stale(error_of(first.commit([&Record::new(topic.clone(), 0, 0)]).await));
    // Of an assignment that has ended.
    let second = member(&client, &topic, &group).build().unwrap();
    let shared = Arc::new(Shared::default());
    let second = Running::start::<A>(second, "second", &shared);
    loop {
        match first.next_event().await.unwrap().unwrap() {
            Event::Record(_) => {}
            Event::Revoking { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    // In time: it still counts.
    first.commit([&old]).await.unwrap();
    loop {
        match first.next_event().await.unwrap().unwrap() {
            Event::Record(message) => panic!("{message:?} after the revocation was answered"),
            Event::Assigned { .. } => break,
            Event::Notice(_) => {}
            other => panic!("{other:?}"),
        }
    }
    stale(error_of(first.commit([&old]).await));
    first.close(LONG).await.into_result().unwrap();
    second.stop().await;
}

pub(crate) async fn a_slow_handler_keeps_its_partitions<A: Adapter>(target: &Target) {
    let cluster = target.embedded();
    let client = target.client::<A>().await;
    let (topic, group) = (target.topic(&client, "slow", 1).await, unique("group"));
    write(&client.writer(topic.clone()).build().unwrap(), numbered(1, 0..10)).await;
    let builder = member(&client, &topic, &group).session_timeout(Duration::from_millis(1000));
    let mut reader = builder.heartbeat_interval(Duration::from_millis(100)).build().unwrap();
    let first = message(&mut reader).await;
    // Several session timeouts, without any call.
    A::sleep(Duration::from_millis(3000)).await;
    reader.commit([&first]).await.expect("still its member");
    assert_eq!(cluster.committed(&group, &topic, 0), Some(1));
    for n in 1..10 {
        assert_eq!(number(&message(&mut reader).await), n);
    }
    reader.close(LONG).await.into_result().unwrap();
}

pub(crate) async fn where_nothing_is_committed_a_group_begins_at_its_start<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "no-offset", 1).await;
    let writer = client.writer(topic.clone()).build().unwrap();
    write(&writer, numbered(1, 0..3)).await;
    let member = || client.reader(topic.clone()).group(unique("group"));

    let mut reader = member().build().unwrap();
    assert_eq!(number(&message(&mut reader).await), 0, "the first offset by default");
    reader.close(LONG).await.into_result().unwrap();

    let mut reader = member().start(Start::at(2)).build().unwrap();
    assert_eq!(number(&message(&mut reader).await), 2);
    reader.close(LONG).await.into_result().unwrap();

    let mut reader = member().start(Start::Committed).build().unwrap();
    let error = error_of(reader.fetch().await);
    assert!(matches!(error.kind(), ErrorKind::NoOffset), "{error}");
    assert_eq!(error.context().topic.as_deref(), Some(&*topic));
    reader.seek(&TopicPartition::new(topic, 0), Start::First).unwrap();
    assert_eq!(number(&message(&mut reader).await), 0);
    reader.close(LONG).await.into_result().unwrap();
}
