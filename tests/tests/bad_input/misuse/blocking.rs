//! Blocking calls inside async code, and inside the client's own callbacks: slow for the others there, but no deadlock.

use crate::support::{client, goes_on};
use kafka_blocking::assignor::{Assignor, Member, Range, Topics};
use kafka_blocking::{Balancer, Client, Message, NewTopic, Partitions, Record, Reset, TopicPartition};
use kafka_testkit::Cluster;
use kafka_tokio::Tokio;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(10);

fn cluster() -> Cluster {
    Cluster::builder().topic("t", 2).start().unwrap()
}

/// Everything that waits: connecting, writing, reading in a group, committing, leaving, closing.
fn all_calls(cluster: &Cluster) {
    let client = kafka_blocking::builder(&cluster.bootstrap()).call_timeout(LONG).connect().unwrap();
    let writer = client.writer("t").build().unwrap();
    writer.write_all([Message::new("x")]).unwrap();
    writer.send(Message::new("y")).unwrap().wait().unwrap();
    let mut reader = client.reader("t").group("g").reset(Reset::First).build().unwrap();
    let messages: Vec<Record> = reader.records().take(2).collect::<Result<_, _>>().unwrap();
    reader.commit(&messages).unwrap();
    reader.close(LONG).into_result().unwrap();
    assert!(writer.close(LONG).is_clean());
    // One client is closed, another dropped with all that belongs to it.
    client.close(LONG);
    let dropped = kafka_blocking::builder(&cluster.bootstrap()).connect().unwrap();
    let _reader = dropped.reader("t").group("other").build().unwrap();
    assert_eq!(dropped.topic("t").unwrap().partitions.len(), 2);
}

pub(crate) fn in_a_tokio_task() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let cluster = cluster();
        tokio::spawn(async move { all_calls(&cluster) }).await.unwrap();
    });
}

/// A client on tokio stands still meanwhile, and goes on afterwards.
pub(crate) fn in_the_only_thread_of_tokio() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let cluster = cluster();
        let beside = client::<Tokio>(&cluster.bootstrap()).connect().await.unwrap();
        goes_on::<Tokio>(&beside, "t").await;
        all_calls(&cluster);
        goes_on::<Tokio>(&beside, "t").await;
    });
}

pub(crate) fn in_a_smol_task() {
    let executor = smol::LocalExecutor::new();
    smol::block_on(executor.run(executor.spawn(async { all_calls(&cluster()) })));
}

pub(crate) fn in_an_async_std_task() {
    async_std::task::block_on(async_std::task::spawn(async { all_calls(&cluster()) }));
}

/// Asks the cluster for each message, and changes the very topic it is asked about.
#[derive(Debug)]
struct Asking(Client, AtomicI32);

impl Balancer for Asking {
    fn balance(&self, _: &Message, partitions: &Partitions<'_>) -> Option<i32> {
        let name = format!("made-{}", self.1.fetch_add(1, Ordering::SeqCst));
        self.0.create_topic(NewTopic::new(name.as_str(), 1)).unwrap();
        self.0.topic(name).unwrap();
        self.0.stats();
        Some(self.0.topic(partitions.topic.clone()).unwrap().partitions.len() as i32 - 1)
    }
}

pub(crate) fn in_a_balancer() {
    let cluster = cluster();
    let client = kafka_blocking::builder(&cluster.bootstrap()).call_timeout(LONG).connect().unwrap();
    let balancer = Asking(client.clone(), AtomicI32::new(0));
    let writer = client.writer("t").balancer(balancer).build().unwrap();
    let written = writer.write_all([Message::new("x"), Message::new("y")]).unwrap();
    assert!(written.iter().all(|delivered| delivered.partition == 1), "{written:?}");
    writer.send(Message::new("z")).unwrap().wait().unwrap();
    assert_eq!(cluster.log("t", 1).len(), 3);
    drop(writer);
    client.close(LONG);
}

/// Asks the cluster before it shares out.
#[derive(Debug)]
struct AskingFirst(Client);

impl Assignor for AskingFirst {
    fn name(&self) -> &str {
        "range"
    }

    fn assign(&self, members: &[Member], topics: &Topics) -> Vec<Vec<TopicPartition>> {
        assert_eq!(self.0.describe_cluster().unwrap().brokers.len(), 1);
        self.0.stats();
        assert_eq!(self.0.topic("t").unwrap().partitions.len(), topics.count("t"));
        Range.assign(members, topics)
    }
}

pub(crate) fn in_an_assignor() {
    let cluster = cluster();
    let client = kafka_blocking::builder(&cluster.bootstrap()).call_timeout(LONG).connect().unwrap();
    client.writer("t").build().unwrap().write_all([Message::new("x")]).unwrap();
    let reader = client.reader("t").group("g").reset(Reset::First);
    let mut reader = reader.assignors(vec![Arc::new(AskingFirst(client.clone()))]).build().unwrap();
    let message = reader.fetch_within(LONG).unwrap().unwrap();
    reader.commit([&message]).unwrap();
    reader.close(LONG).into_result().unwrap();
    client.close(LONG);
}
