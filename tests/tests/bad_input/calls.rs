//! Calls and settings that cannot be, and what brokers refuse.

use crate::fake::{self, Reply};
use crate::support::{client, explains, goes_on, pause, soon};
use kafka_core::assignor::{Member, Range, RoundRobin, Topics};
use kafka_core::runtime::Runtime;
use kafka_core::{
    Acks, Assignor, Balancer, Bytes, Client, ClientBuilder, Compression, Error, ErrorCode, ErrorKind, Event,
    Fate, Fault, GroupConfig, Idempotence, Manual, Message, NewTopic, Partitions, Reader, ReaderBuilder,
    Reset, SendError, Start, Str, TopicPartition, Writer, WriterBuilder,
};
use kafka_proto::{ApiKey, RequestKind, ResponseKind};
use kafka_testkit::{Cluster, ClusterBuilder};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

async fn started<R: Runtime>(cluster: ClusterBuilder) -> (Cluster, Client) {
    let cluster = cluster.topic("t", 2).start().unwrap();
    let client = client::<R>(&cluster.bootstrap()).connect().await.unwrap();
    (cluster, client)
}

/// What becomes of a message that cannot be written.
async fn write<R: Runtime>(writer: &Writer, message: Message) -> SendError {
    let failed = match soon::<R, _>(writer.send(message)).await {
        Ok(delivery) => soon::<R, _>(delivery).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(failed.fate, Fate::NotWritten, "{failed:?}");
    failed
}

/// The first error that a reader tells, as an error or as a notice.
async fn told<R: Runtime>(reader: &mut Reader) -> Error {
    loop {
        match soon::<R, _>(reader.next_event()).await {
            Err(error) | Ok(Some(Event::Notice(error))) => return error,
            Ok(Some(_)) => {}
            Ok(None) => panic!("the reader ended"),
        }
    }
}

fn answered(error: &Error, code: ErrorCode, fault: Fault, named: &[&str]) {
    assert_eq!(*error.kind(), ErrorKind::Broker(code), "{error:?}");
    explains(error, fault, named);
}

pub(crate) async fn invalid_topic<R: Runtime>() {
    let (_cluster, client) = started::<R>(Cluster::builder()).await;
    let (code, named) = (ErrorCode::InvalidTopicException, ["topic not a topic!"]);
    let writer = client.writer("not a topic!").build().unwrap();
    answered(&write::<R>(&writer, Message::new("x")).await.error, code, Fault::Caller, &named);
    answered(&soon::<R, _>(client.topic("not a topic!")).await.unwrap_err(), code, Fault::Caller, &named);
    let mut reader = client.reader("not a topic!").build().unwrap();
    answered(&told::<R>(&mut reader).await, code, Fault::Caller, &named);
    let error = soon::<R, _>(client.create_topic(NewTopic::new("not a topic!", 1))).await.unwrap_err();
    answered(&error, code, Fault::Caller, &named);
    goes_on::<R>(&client, "t").await;
}

/// Waits until the topic can be had again, writes to it and reads that by a reader that was refused before.
async fn reads_what_is_written<R: Runtime>(client: &Client, topic: &str, reader: &mut Reader) {
    while soon::<R, _>(client.topic(topic.to_owned())).await.is_err() {
        pause::<R>(Duration::from_millis(20)).await;
    }
    let writer = client.writer(topic.to_owned()).build().unwrap();
    soon::<R, _>(writer.write_all([Message::new("at last")])).await.unwrap();
    let message = soon::<R, _>(reader.fetch()).await.unwrap().unwrap();
    assert_eq!(message.value.as_deref(), Some(&b"at last"[..]));
}

pub(crate) async fn unknown_topic<R: Runtime>() {
    let (cluster, client) = started::<R>(Cluster::builder()).await;
    let (code, named) = (ErrorCode::UnknownTopicOrPartition, ["topic nowhere"]);
    let writer = client.writer("nowhere").build().unwrap();
    answered(&write::<R>(&writer, Message::new("x")).await.error, code, Fault::Broker, &named);
    answered(&soon::<R, _>(client.topic("nowhere")).await.unwrap_err(), code, Fault::Broker, &named);
    let mut reader = client.reader("nowhere").build().unwrap();
    answered(&told::<R>(&mut reader).await, code, Fault::Broker, &named);
    goes_on::<R>(&client, "t").await;
    // Once it is there, those who were told go on by themselves.
    cluster.create_topic("nowhere", 1).unwrap();
    reads_what_is_written::<R>(&client, "nowhere", &mut reader).await;
}

pub(crate) async fn topic_not_authorised<R: Runtime>() {
    let (cluster, client) = started::<R>(Cluster::builder()).await;
    let (code, named) = (ErrorCode::TopicAuthorizationFailed, ["topic t"]);
    // To see it.
    cluster.fail_times(ApiKey::Metadata, code, u32::MAX);
    answered(&soon::<R, _>(client.topic("t")).await.unwrap_err(), code, Fault::Broker, &named);
    let mut reader = client.reader("t").build().unwrap();
    answered(&told::<R>(&mut reader).await, code, Fault::Broker, &named);
    cluster.with(|cluster, _| cluster.clear_faults());
    reads_what_is_written::<R>(&client, "t", &mut reader).await;
    // To write to it.
    let writer = client.writer("t").build().unwrap();
    soon::<R, _>(writer.write_all([Message::new("before")])).await.unwrap();
    cluster.fail_next(ApiKey::Produce, code);
    answered(&write::<R>(&writer, Message::new("x")).await.error, code, Fault::Broker, &named);
    soon::<R, _>(writer.write_all([Message::new("after")])).await.unwrap();
    goes_on::<R>(&client, "t").await;
}

pub(crate) async fn topic_not_readable<R: Runtime>() {
    let refusals = AtomicU32::new(0);
    let server = fake::broker(move |_, request| match request {
        RequestKind::Fetch(_) if refusals.fetch_add(1, Ordering::SeqCst) < 3 => {
            let code = ErrorCode::TopicAuthorizationFailed.code();
            let mut answer = fake::fetched([Bytes::new(), Bytes::new()]);
            if let ResponseKind::Fetch(answer) = &mut answer {
                answer.responses[0].partitions.iter_mut().for_each(|p| p.error_code = code);
            }
            Reply::Answer(Box::new(answer))
        }
        RequestKind::Fetch(request) => {
            let asked = request.topics.iter().flat_map(|t| &t.partitions);
            let first = asked.clone().any(|p| p.partition == 0 && p.fetch_offset == 0);
            let records = if first { fake::batch(b"at last", Compression::None) } else { Bytes::new() };
            thread::sleep(Duration::from_millis(10));
            Reply::Answer(Box::new(fake::fetched([records, Bytes::new()])))
        }
        _ => Reply::Default,
    });
    let client = client::<R>(&server.address()).connect().await.unwrap();
    let mut reader = client.reader("t").build().unwrap();
    let error = told::<R>(&mut reader).await;
    answered(&error, ErrorCode::TopicAuthorizationFailed, Fault::Broker, &["topic t", "partition"]);
    // The right may be granted: it goes on by itself.
    loop {
        match soon::<R, _>(reader.fetch()).await {
            Ok(message) => break assert_eq!(message.unwrap().value.as_deref(), Some(&b"at last"[..])),
            Err(error) => assert_eq!(error.code(), Some(ErrorCode::TopicAuthorizationFailed)),
        }
    }
}

pub(crate) async fn group_not_authorised<R: Runtime>() {
    let (cluster, client) = started::<R>(Cluster::builder()).await;
    let code = ErrorCode::GroupAuthorizationFailed;
    for api in [ApiKey::FindCoordinator, ApiKey::JoinGroup, ApiKey::SyncGroup, ApiKey::OffsetFetch] {
        cluster.fail_next(api, code);
        let group = format!("g-{}", api.name());
        let mut reader = member(&client, &group, |config| config.join_backoff = Duration::from_millis(50));
        let error = told::<R>(&mut reader).await;
        answered(&error, code, Fault::Broker, &[&format!("group {group}")]);
        // Rights may be granted: it goes on by itself.
        assigned::<R>(&mut reader).await;
        soon::<R, _>(reader.close(Duration::from_secs(5))).await.into_result().unwrap();
    }
}

pub(crate) async fn partition_out_of_range<R: Runtime>() {
    let (_cluster, client) = started::<R>(Cluster::builder()).await;
    let writer = client.writer("t").balancer(Manual).build().unwrap();
    let mut message = Message::new("x");
    message.partition = Some(99);
    let failed = write::<R>(&writer, message).await;
    assert!(matches!(failed.error.kind(), ErrorKind::InvalidMessage(_)), "{failed:?}");
    explains(&failed.error, Fault::Caller, &["partition 99", "topic t"]);
    let failed = write::<R>(&writer, Message::new("names none")).await;
    explains(&failed.error, Fault::Caller, &["chose none of 2 partitions", "Manual", "topic t"]);

    let error = soon::<R, _>(client.list_offset("t", 99, Start::First)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Misuse(_)), "{error:?}");
    explains(&error, Fault::Caller, &["topic t", "partition 99"]);

    // One that is there and one that is not.
    let mut reader = client.reader("t").partition(0).partition(99).build().unwrap();
    let error = told::<R>(&mut reader).await;
    answered(&error, ErrorCode::UnknownTopicOrPartition, Fault::Broker, &["topic t", "partition 99"]);
    let elsewhere = TopicPartition::new("t", 1);
    let error = reader.seek(&elsewhere, Start::First).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Misuse(_)), "{error:?}");
    explains(&error, Fault::Caller, &["topic t", "partition 1"]);
    let mut good = Message::new("good");
    good.partition = Some(0);
    soon::<R, _>(writer.write_all([good])).await.unwrap();
    let message = soon::<R, _>(reader.fetch()).await.unwrap().unwrap();
    assert_eq!(message.partition, 0);
}

pub(crate) async fn message_too_large_for_the_writer<R: Runtime>() {
    let (_cluster, client) = started::<R>(Cluster::builder()).await;
    let writer = client.writer("t").batch_bytes(10_000).build().unwrap();
    let failed = write::<R>(&writer, Message::new(vec![0; 20_000])).await;
    let ErrorKind::MessageTooLarge { size, limit, .. } = failed.error.kind() else { panic!("{failed:?}") };
    assert!(*size > 20_000 && *limit == 10_000);
    explains(&failed.error, Fault::Caller, &["topic t", "10000"]);
    soon::<R, _>(writer.write_all([Message::new("goes on")])).await.unwrap();
}

pub(crate) async fn message_too_large_for_the_broker<R: Runtime>() {
    let builder = Cluster::builder().topic_with("small", 1, None, &[("max.message.bytes", "2000")]);
    let (cluster, client) = started::<R>(builder).await;
    let writer = client.writer("small").build().unwrap();
    let failed = write::<R>(&writer, Message::new(vec![0; 20_000])).await;
    let named = ["topic small", "partition 0", "broker 0 at 127.0.0.1:"];
    answered(&failed.error, ErrorCode::MessageTooLarge, Fault::Caller, &named);
    soon::<R, _>(writer.write_all([Message::new("goes on")])).await.unwrap();
    assert_eq!(cluster.log("small", 0).len(), 1);
}

pub(crate) async fn timestamp_refused<R: Runtime>() {
    let settings =
        [("message.timestamp.before.max.ms", "60000"), ("message.timestamp.after.max.ms", "60000")];
    let (cluster, client) = started::<R>(Cluster::builder().topic_with("now", 1, None, &settings)).await;
    let writer = client.writer("now").build().unwrap();
    for timestamp in [0, i64::MAX / 2] {
        let mut message = Message::new("x");
        message.timestamp = Some(timestamp);
        let failed = write::<R>(&writer, message).await;
        answered(&failed.error, ErrorCode::InvalidTimestamp, Fault::Caller, &["topic now", "partition 0"]);
    }
    soon::<R, _>(writer.write_all([Message::new("goes on")])).await.unwrap();
    assert_eq!(cluster.log("now", 0).len(), 1);
}

/// Fails for messages with a key.
#[derive(Debug)]
struct Bad(fn() -> i32);

impl Balancer for Bad {
    fn balance(&self, message: &Message, partitions: &Partitions<'_>) -> Option<i32> {
        Some(if message.key.is_some() { (self.0)() } else { partitions.available[0] })
    }
}

async fn bad_balancer<R: Runtime>(balancer: Bad, named: &str) {
    let (cluster, client) = started::<R>(Cluster::builder()).await;
    let writer = client.writer("t").balancer(balancer).build().unwrap();
    let failed = write::<R>(&writer, Message::new("x").key("k")).await;
    assert!(matches!(failed.error.kind(), ErrorKind::Balancer(_)), "{failed:?}");
    explains(&failed.error, Fault::Caller, &[named, "topic t"]);
    assert!(writer.try_send(Message::new("x").key("k")).is_err());
    soon::<R, _>(writer.write_all([Message::new("goes on")])).await.unwrap();
    assert_eq!(cluster.log("t", 0).len(), 1);
}

pub(crate) async fn balancer_that_panics<R: Runtime>() {
    bad_balancer::<R>(Bad(|| panic!("a bug in the balancer")), "panicked").await;
}

pub(crate) async fn balancer_out_of_range<R: Runtime>() {
    bad_balancer::<R>(Bad(|| 2), "partition 2 of 2").await;
    bad_balancer::<R>(Bad(|| i32::MIN), "of 2").await;
}

/// Spoils the first round of sharing out; from then on it is `Range`.
#[derive(Debug)]
struct SpoiledOnce(fn(&[Member]) -> Vec<Vec<TopicPartition>>, AtomicU32);

impl Assignor for SpoiledOnce {
    fn name(&self) -> &str {
        "range"
    }

    fn assign(&self, members: &[Member], topics: &Topics) -> Vec<Vec<TopicPartition>> {
        if self.1.fetch_add(1, Ordering::SeqCst) == 0 {
            (self.0)(members)
        } else {
            Range.assign(members, topics)
        }
    }
}

/// What the member says of an assignor that is spoiled once, and that it goes on by itself.
async fn bad_assignor<R: Runtime>(spoiled: fn(&[Member]) -> Vec<Vec<TopicPartition>>, named: &str) {
    let (_cluster, client) = started::<R>(Cluster::builder()).await;
    let mut reader = member(&client, "g", |config| {
        config.assignors = vec![Arc::new(SpoiledOnce(spoiled, AtomicU32::new(0)))];
    });
    let error = told::<R>(&mut reader).await;
    assert!(matches!(error.kind(), ErrorKind::Assignor(_)), "{error:?}");
    explains(&error, Fault::Caller, &["range", "group g", named]);
    assert!(error.advice().contains("assignor"), "{error:?}");
    assigned::<R>(&mut reader).await;
    still_reads::<R>(&client, &mut reader).await;
}

pub(crate) async fn assignor_that_panics<R: Runtime>() {
    bad_assignor::<R>(|_| panic!("a bug in the assignor"), "panicked").await;
}

pub(crate) async fn assignor_out_of_range<R: Runtime>() {
    bad_assignor::<R>(|members| vec![vec![TopicPartition::new("t", 2)]; members.len()], "t-2").await;
    bad_assignor::<R>(|_| Vec::new(), "0 lists for 1 members").await;
    let twice = |_: &[Member]| vec![vec![TopicPartition::new("t", 0); 2]];
    bad_assignor::<R>(twice, "t-0 to two members").await;
}

/// Panics when it is asked what to tell the leader.
#[derive(Debug)]
struct SilentAtFirst(AtomicU32);

impl Assignor for SilentAtFirst {
    fn name(&self) -> &str {
        "range"
    }

    fn user_data(&self, _: &[Str]) -> Option<Bytes> {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) > 0, "a bug in the assignor");
        None
    }

    fn assign(&self, members: &[Member], topics: &Topics) -> Vec<Vec<TopicPartition>> {
        Range.assign(members, topics)
    }
}

pub(crate) async fn assignor_whose_user_data_panics<R: Runtime>() {
    let (_cluster, client) = started::<R>(Cluster::builder()).await;
    let mut reader = member(&client, "g", |config| {
        config.assignors = vec![Arc::new(SilentAtFirst(AtomicU32::new(0)))];
    });
    let error = told::<R>(&mut reader).await;
    assert!(matches!(error.kind(), ErrorKind::Assignor(_)), "{error:?}");
    explains(&error, Fault::Caller, &["range", "group g", "panicked"]);
    assigned::<R>(&mut reader).await;
    still_reads::<R>(&client, &mut reader).await;
}

pub(crate) async fn zero_partitions<R: Runtime>() {
    let (cluster, client) = started::<R>(Cluster::builder()).await;
    setting("partitions", soon::<R, _>(client.create_topic(NewTopic::new("empty", 0))).await);
    assert_eq!(cluster.requests(ApiKey::CreateTopics), 0);
    let error = soon::<R, _>(client.create_topic(NewTopic::new("negative", -7))).await.unwrap_err();
    answered(&error, ErrorCode::InvalidPartitions, Fault::Caller, &["topic negative"]);
    let too_many = NewTopic::new("replicated", 1).replication_factor(9);
    let error = soon::<R, _>(client.create_topic(too_many)).await.unwrap_err();
    answered(&error, ErrorCode::InvalidReplicationFactor, Fault::Caller, &["topic replicated"]);
}

/// The error must be about this setting.
fn setting<T>(name: &str, result: Result<T, Error>) {
    let Err(error) = result else { panic!("{name} was accepted") };
    let ErrorKind::Config { setting, .. } = error.kind() else { panic!("{error:?}") };
    assert_eq!(*setting, name);
    explains(&error, Fault::Caller, &[name]);
}

pub(crate) async fn client_settings<R: Runtime>() {
    let builder = || client::<R>("127.0.0.1:1");
    let (zero, second, minute) = (Duration::ZERO, Duration::from_secs(1), Duration::from_secs(60));
    for out in [zero, Duration::MAX] {
        setting("request_timeout", builder().request_timeout(out).build());
        setting("connect_timeout", builder().connect_timeout(out).build());
        setting("call_timeout", builder().call_timeout(out).build());
        setting("metadata_max_age", builder().metadata_max_age(out).build());
        setting("connections_max_idle", builder().connections_max_idle(out).build());
        setting("retry_backoff", builder().retry_backoff(out, Duration::MAX).build());
        setting("reconnect_backoff", builder().reconnect_backoff(out, Duration::MAX).build());
    }
    setting("unknown_topic_grace", builder().unknown_topic_grace(Duration::MAX).build());
    setting("retry_backoff", builder().retry_backoff(minute, second).build());
    setting("retry_backoff_max", builder().retry_backoff(second, Duration::MAX).build());
    setting("reconnect_backoff", builder().reconnect_backoff(minute, second).build());
    setting("max_response_bytes", builder().max_response_bytes(10).build());
    let java = |name, value| ClientBuilder::<R>::from_properties([(name, value)]);
    setting("linger.ms", java("linger.ms", "soon"));
    setting("sasl.jaas.config", java("sasl.jaas.config", "secret"));
    setting("security.protocol", java("security.protocol", "SASL_SSL"));
    setting("bootstrap", java("linger.ms", "5").unwrap().build());
    setting("client_id", builder().client_id("x".repeat(1 << 15)).build());
    builder().build().unwrap();
}

pub(crate) async fn writer_settings<R: Runtime>() {
    let client = client::<R>("127.0.0.1:1").build().unwrap();
    let refused = |name: &str, change: fn(WriterBuilder) -> WriterBuilder| {
        setting(name, change(client.writer("t")).build());
    };
    setting("topic", client.writer("").build());
    refused("batch_bytes", |w| w.batch_bytes(0));
    refused("batch_bytes", |w| w.batch_bytes(usize::MAX));
    refused("batch_messages", |w| w.batch_messages(0));
    refused("request_bytes", |w| w.request_bytes(10));
    refused("buffer_bytes", |w| w.buffer_bytes(10));
    refused("delivery_timeout", |w| w.delivery_timeout(Duration::ZERO));
    refused("delivery_timeout", |w| w.delivery_timeout(Duration::MAX));
    refused("linger", |w| w.linger(Duration::MAX));
    refused("max_attempts", |w| w.max_attempts(0));
    refused("idempotence", |w| w.idempotence(Idempotence::Required).acks(Acks::One));
    refused("batch_bytes", |w| w.batch_bytes(5000).request_bytes(4000));
    refused("batch_bytes", |w| w.batch_bytes(5000).buffer_bytes(4000));
    refused("linger", |w| w.linger(Duration::from_secs(2)).delivery_timeout(Duration::from_secs(1)));
    refused("compression_level", |w| w.compression_level(3));
    refused("compression_level", |w| w.compression(Compression::Zstd).compression_level(99));
    client.writer("t").build().unwrap();
}

pub(crate) async fn reader_settings<R: Runtime>() {
    let client = client::<R>("127.0.0.1:1").build().unwrap();
    let refused = |name: &str, change: fn(ReaderBuilder) -> ReaderBuilder| {
        setting(name, change(client.reader("t")).build());
    };
    setting("topic", client.reader("").build());
    refused("partition", |r| r.topic("another").partition(0));
    setting("topic", client.reader(Vec::<String>::new()).build());
    setting("topic", client.reader(kafka_core::Pattern::new("t.*").unwrap()).topic("another").build());
    setting("partition", client.reader(kafka_core::Pattern::new("t.*").unwrap()).partition(0).build());
    refused("partition", |r| r.partition(-1));
    refused("partition", |r| r.group("g").partition(0));
    refused("min_bytes", |r| r.min_bytes(0));
    refused("max_bytes", |r| r.max_bytes(usize::MAX));
    refused("partition_max_bytes", |r| r.partition_max_bytes(1));
    refused("buffer", |r| r.buffer_bytes(1));
    refused("max_bytes", |r| r.max_bytes(256 << 20).buffer_bytes(1 << 30));
    refused("partition_max_bytes", |r| r.partition_max_bytes(5000).max_bytes(4000));
    refused("max_wait", |r| r.max_wait(Duration::MAX));
    refused("reset", |r| r.reset(Reset::Time(-1)));
    refused("start", |r| r.start(Start::Time(-3)));
    refused("start", |r| r.start(Start::Time(-1)).partition(0));
    refused("start", |r| r.start(Start::at(-1)));
    refused("start", |r| r.start(Start::Committed));
    refused("start", |r| r.group("g").start(Start::Time(-1)));
    refused("auto_commit_interval", |r| r.auto_commit_interval(Duration::MAX));
    refused("group_id", |r| r.group(""));
    refused("assignors", |r| r.group("g").assignors(Vec::new()));
    refused("session_timeout", |r| r.session_timeout(Duration::from_secs(10)));
    refused("assignors", |r| r.assignors(Vec::new()).group("set before the group"));
    refused("commit_timeout", |r| r.group("g").commit_timeout(Duration::ZERO));
    refused("instance_id", |r| r.group("g").instance_id("a b"));
    refused("backoff_min", |r| r.retry_backoff(Duration::from_secs(2), Duration::from_secs(1)));
    refused("request_timeout", |r| r.request_timeout(Duration::ZERO));
    refused("session_timeout", |r| r.group("g").session_timeout(Duration::ZERO));
    refused("session_timeout", |r| r.group("g").session_timeout(Duration::MAX));
    refused("heartbeat_interval", |r| {
        r.group("g").heartbeat_interval(Duration::from_secs(45)).session_timeout(Duration::from_secs(45))
    });
    refused("rebalance_timeout", |r| r.group("g").rebalance_timeout(Duration::ZERO));
    client.reader("t").build().unwrap();
}

/// Every call that takes a time takes any: what is too long for the clocks is very long.
pub(crate) async fn extreme_times<R: Runtime>() {
    let (_cluster, client) = started::<R>(Cluster::builder()).await;
    for time in [Duration::MAX, Duration::ZERO, Duration::from_nanos(1)] {
        let writer = client.writer("t").build().unwrap();
        soon::<R, _>(writer.write_all([Message::new("x")])).await.unwrap();
        assert!(soon::<R, _>(writer.close(time)).await.is_clean());
        let mut reader = member(&client, "g", |_| {});
        assigned::<R>(&mut reader).await;
        // There may be no time for an answer.
        let _ = soon::<R, _>(reader.close(time)).await;
    }
    assert!(soon::<R, _>(client.close(Duration::MAX)).await.is_clean());
}

/// A member whose refusals are tried again soon.
fn member(client: &Client, group: &str, change: impl FnOnce(&mut GroupConfig)) -> Reader {
    let mut config = GroupConfig::new(group.to_owned());
    config.join_backoff = Duration::from_millis(200);
    change(&mut config);
    client.reader("t").group_config(config).reset(Reset::First).build().unwrap()
}

/// Waits until the group gave the member its partitions.
async fn assigned<R: Runtime>(reader: &mut Reader) {
    while !matches!(soon::<R, _>(reader.next_event()).await.unwrap(), Some(Event::Assigned { .. })) {}
}

pub(crate) async fn session_timeout_refused<R: Runtime>() {
    let (_cluster, client) = started::<R>(Cluster::builder()).await;
    let mut reader = member(&client, "g", |config| {
        config.session_timeout = Duration::from_secs(1);
        config.heartbeat_interval = Duration::from_millis(300);
    });
    let error = told::<R>(&mut reader).await;
    answered(&error, ErrorCode::InvalidSessionTimeout, Fault::Caller, &["group g"]);
    goes_on::<R>(&client, "t").await;
}

pub(crate) async fn inconsistent_group_protocol<R: Runtime>() {
    let (_cluster, client) = started::<R>(Cluster::builder()).await;
    let mut first = member(&client, "g", |config| config.assignors = vec![Arc::new(Range)]);
    assigned::<R>(&mut first).await;
    let mut second = member(&client, "g", |config| config.assignors = vec![Arc::new(RoundRobin)]);
    let error = told::<R>(&mut second).await;
    answered(&error, ErrorCode::InconsistentGroupProtocol, Fault::Caller, &["group g"]);
    still_reads::<R>(&client, &mut first).await;
}

pub(crate) async fn group_full<R: Runtime>() {
    let (_cluster, client) = started::<R>(Cluster::builder().configure(|c| c.group_max_size = 1)).await;
    let mut first = member(&client, "g", |_| {});
    assigned::<R>(&mut first).await;
    let mut second = member(&client, "g", |_| {});
    let error = told::<R>(&mut second).await;
    answered(&error, ErrorCode::GroupMaxSizeReached, Fault::Broker, &["group g"]);
    still_reads::<R>(&client, &mut first).await;
    // Its place is free once the first has left.
    soon::<R, _>(first.close(Duration::from_secs(5))).await.into_result().unwrap();
    assigned::<R>(&mut second).await;
}

/// Who was in the group before is not disturbed.
async fn still_reads<R: Runtime>(client: &Client, reader: &mut Reader) {
    pause::<R>(Duration::from_millis(300)).await;
    let writer = client.writer("t").build().unwrap();
    soon::<R, _>(writer.write_all([Message::new("x")])).await.unwrap();
    let message = loop {
        match soon::<R, _>(reader.next_event()).await {
            Ok(Some(Event::Record(message))) => break message,
            // Nothing was committed before, and the reader begins at the first offset as it was told.
            Ok(Some(Event::Notice(notice))) if *notice.kind() == ErrorKind::NoOffset => {}
            other => panic!("{other:?}"),
        }
    };
    soon::<R, _>(reader.commit([&message])).await.unwrap();
}
