//! What is tokio's own: tasks, and a runtime that is not there or goes away. Against the embedded cluster.

use kafka_testkit::Cluster;
use kafka_tokio::{ErrorKind, Message, NewTopic, Reset, Tokio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle, Runtime};

const SOON: Duration = Duration::from_secs(30);

fn message(i: usize) -> Message {
    Message::new(format!("value {i}")).key(format!("key {}", i % 100))
}

async fn writes_and_reads_back() {
    let cluster = Cluster::builder().nodes(3).start().unwrap();
    let client = kafka_tokio::builder(&cluster.bootstrap()).connect().await.unwrap();
    client.create_topic(NewTopic::new("orders", 6).replication_factor(3)).await.unwrap();
    let writer = client.writer("orders").build().unwrap();
    writer.write_all((0..1_000).map(message)).await.unwrap();
    let mut reader = client.reader("orders").group("billing").reset(Reset::First).build().unwrap();
    let mut read = Vec::new();
    while read.len() < 1_000 {
        read.push(reader.fetch().await.unwrap().unwrap());
    }
    reader.commit(&read).await.unwrap();
    let committed: i64 = (0..6).filter_map(|p| cluster.committed("billing", "orders", p)).sum();
    assert_eq!(committed, 1_000);
    reader.close(SOON).await.into_result().unwrap();
    drop((client, writer, reader));
    let begun = Instant::now();
    while Handle::current().metrics().num_alive_tasks() > 0 {
        assert!(begun.elapsed() < SOON, "tasks are left");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn one_thread_will_do() {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(writes_and_reads_back());
}

#[test]
fn many_threads_will_do() {
    Runtime::new().unwrap().block_on(writes_and_reads_back());
}

#[test]
fn outside_a_runtime_is_misuse() {
    let error = kafka_tokio::builder("localhost:9092").build().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Misuse(_)), "{error}");
}

/// A client on one runtime may be used from anywhere; when its runtime ends, what waits ends too.
#[test]
fn a_runtime_that_goes_away_closes_the_client() {
    let cluster = Cluster::builder().topic("orders", 1).start().unwrap();
    let theirs = Runtime::new().unwrap();
    let builder = kafka_tokio::builder(&cluster.bootstrap()).runtime(Tokio::new(theirs.handle().clone()));
    let ours = Runtime::new().unwrap();
    let client = ours.block_on(builder.connect()).unwrap();
    let mut reader = client.reader("orders").build().unwrap();
    for node in cluster.nodes() {
        cluster.mute(node).unwrap();
    }
    let (told, results) = channel();
    let (pending, tell) = (client.clone(), told.clone());
    ours.spawn(async move { tell.send(pending.describe_cluster().await.map(|_| ())).unwrap() });
    ours.spawn(async move { told.send(reader.fetch().await.map(|read| assert!(read.is_none()))).unwrap() });
    assert!(results.recv_timeout(Duration::from_millis(100)).is_err(), "both wait");
    theirs.shutdown_background();
    let ends: Vec<_> = (0..2).map(|_| results.recv_timeout(SOON).unwrap()).collect();
    let closed = |end: &Result<(), kafka_tokio::Error>| match end {
        Ok(()) => true,
        Err(error) => matches!(error.kind(), ErrorKind::Closed),
    };
    assert!(ends.iter().all(closed), "{ends:?}");
    assert_eq!(ends.iter().filter(|end| end.is_err()).count(), 1, "{ends:?}");
    let error = ours.block_on(client.describe_cluster()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Closed), "{error}");
}

/// The driver may be dropped before it ran at all.
#[test]
fn a_runtime_that_never_runs_closes_the_client() {
    let theirs = Builder::new_current_thread().enable_all().build().unwrap();
    let client =
        kafka_tokio::builder("localhost:1").runtime(Tokio::new(theirs.handle().clone())).build().unwrap();
    drop(theirs);
    let error = Runtime::new().unwrap().block_on(client.describe_cluster()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Closed), "{error}");
}
