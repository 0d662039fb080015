//! What is smol's and async-std's own. Against the embedded cluster.

use kafka_smol::{AsyncIo, AsyncStdTasks, ErrorKind, Message, NewTopic, Reset, SmolTasks, Spawn};
use kafka_testkit::Cluster;
use smol::Executor;
use std::future::Future;
use std::sync::mpsc::channel;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);

fn message(i: usize) -> Message {
    Message::new(format!("value {i}")).key(format!("key {}", i % 100))
}

async fn writes_and_reads_back<S: Spawn>(runtime: AsyncIo<S>) {
    let cluster = Cluster::builder().nodes(3).start().unwrap();
    let client = runtime.builder(&cluster.bootstrap()).connect().await.unwrap();
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
}

#[test]
fn smol_will_do() {
    smol::block_on(writes_and_reads_back(AsyncIo::new(SmolTasks)));
}

#[test]
fn async_std_will_do() {
    async_std::task::block_on(writes_and_reads_back(AsyncIo::new(AsyncStdTasks)));
}

/// Runs the future beside an executor in the same thread.
fn run_on<T>(executor: &Executor<'static>, future: impl Future<Output = T>) -> T {
    smol::block_on(executor.run(future))
}

#[test]
fn all_tasks_end_with_the_last_handle() {
    let executor = Arc::new(Executor::new());
    run_on(&executor, writes_and_reads_back(AsyncIo::new(Arc::downgrade(&executor))));
    let begun = Instant::now();
    while !executor.is_empty() {
        assert!(begun.elapsed() < SOON, "tasks are left");
        run_on(&executor, smol::Timer::after(Duration::from_millis(1)));
    }
}

#[test]
fn an_executor_of_ones_own_has_to_be_named() {
    let error = kafka_core::ClientBuilder::<AsyncIo<Weak<Executor<'static>>>>::new("localhost:9092")
        .build()
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Misuse(_)), "{error}");
}

/// The client does not keep the executor, and nobody may wait for ever once they are gone.
#[test]
fn an_executor_that_goes_away_closes_the_client() {
    let cluster = Cluster::builder().start().unwrap();
    let executor = Arc::new(Executor::new());
    let builder = AsyncIo::new(Arc::downgrade(&executor)).builder(&cluster.bootstrap());
    let client = run_on(&executor, builder.connect()).unwrap();
    for node in cluster.nodes() {
        cluster.mute(node).unwrap();
    }
    let pending = client.clone();
    let (told, result) = channel();
    smol::spawn(async move { told.send(pending.describe_cluster().await).unwrap() }).detach();
    run_on(&executor, smol::Timer::after(Duration::from_millis(50)));
    assert!(result.try_recv().is_err(), "it waits");
    drop(client);
    drop(executor);
    let error = result.recv_timeout(SOON).unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Closed), "{error}");
}
