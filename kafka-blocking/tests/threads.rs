//! Threads and blocking calls, against the embedded cluster. One test at a time, since they count the process's threads.

use kafka_blocking::{Client, Error, ErrorKind, Message, NewTopic, Record, Reset, live_threads};
use kafka_proto::ApiKey;
use kafka_testkit::Cluster;
use std::io::Read;
use std::net::TcpListener;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);

fn one_at_a_time() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn all_threads_end() {
    let begun = Instant::now();
    while live_threads() > 0 {
        assert!(begun.elapsed() < SOON, "{} threads are left", live_threads());
        thread::sleep(Duration::from_millis(1));
    }
}

fn cluster_and_client() -> (Cluster, Client) {
    let cluster = Cluster::builder().nodes(3).start().unwrap();
    let client = kafka_blocking::builder(&cluster.bootstrap()).connect().unwrap();
    client.create_topic(NewTopic::new("orders", 6).replication_factor(3)).unwrap();
    (cluster, client)
}

fn message(i: usize) -> Message {
    Message::new(format!("value {i}")).key(format!("key {}", i % 100))
}

#[test]
fn writes_and_reads_back_in_a_group() {
    let _turn = one_at_a_time();
    let (cluster, client) = cluster_and_client();
    assert_eq!(client.describe_cluster().unwrap().brokers.len(), 3);
    let writer = client.writer("orders").build().unwrap();
    let sent: Vec<_> = (0..5_000).map(|i| writer.send(message(i)).unwrap()).collect();
    for delivery in sent {
        delivery.wait().unwrap();
    }
    assert_eq!(writer.write_all((5_000..6_000).map(message)).unwrap().len(), 1_000);
    let tried = writer.try_send(message(6_000)).unwrap();
    writer.flush();
    assert!(tried.try_get().is_some_and(|result| result.is_ok()));

    let mut reader = client.reader("orders").group("billing").reset(Reset::First).build().unwrap();
    let read: Vec<Record> = reader.records().take(6_001).collect::<Result<_, _>>().unwrap();
    let nothing = reader.fetch_within(Duration::from_millis(50)).unwrap_err();
    assert!(matches!(nothing.kind(), ErrorKind::TimedOut { .. }), "{nothing}");
    reader.commit(&read).unwrap();
    let committed: i64 = (0..6).filter_map(|p| cluster.committed("billing", "orders", p)).sum();
    assert_eq!(committed, 6_001);
    reader.close(SOON).into_result().unwrap();
    assert!(writer.close(SOON).is_clean());
    client.close(SOON);
    all_threads_end();
}

/// The halves of a connection run in two threads, also while it is set up.
#[test]
fn no_connection_misses_the_end_of_its_setup() {
    let _turn = one_at_a_time();
    let cluster = Cluster::builder().start().unwrap();
    let connect = || {
        for attempt in 0..100 {
            let connected = kafka_blocking::builder(&cluster.bootstrap()).connect();
            assert!(connected.is_ok(), "attempt {attempt}: {}", connected.unwrap_err());
        }
    };
    thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(connect))));
    all_threads_end();
}

#[test]
fn dropping_the_handles_ends_all_threads() {
    let _turn = one_at_a_time();
    let (_cluster, client) = cluster_and_client();
    let writer = client.writer("orders").build().unwrap();
    writer.write_all((0..100).map(message)).unwrap();
    let mut reader = client.reader("orders").build().unwrap();
    reader.fetch().unwrap().unwrap();
    assert!(live_threads() > 2);
    drop((client, writer, reader));
    all_threads_end();
}

#[test]
fn closing_ends_calls_that_wait_in_other_threads() {
    let _turn = one_at_a_time();
    let (_cluster, client) = cluster_and_client();
    let mut reader = client.reader("orders").build().unwrap();
    let waiting = thread::spawn(move || reader.fetch());
    thread::sleep(Duration::from_millis(50));
    client.close(SOON);
    assert!(waiting.join().unwrap().unwrap().is_none());
    let error: Error = client.describe_cluster().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Closed), "{error}");
    drop(client);
    all_threads_end();
}

/// A broker that takes nothing: the writing thread is stuck in the socket.
#[test]
fn a_thread_stuck_in_a_write_ends_with_the_client() {
    let _turn = one_at_a_time();
    let (cluster, client) = cluster_and_client();
    let value = vec![0; 900_000];
    let writer = client.writer("orders").buffer_bytes(256 << 20).build().unwrap();
    writer.write_all([Message::new(value.clone())]).unwrap();
    for node in cluster.nodes() {
        cluster.mute(node).unwrap();
    }
    let sent: Vec<_> = (0..100).map(|_| writer.send(Message::new(value.clone())).unwrap()).collect();
    thread::sleep(Duration::from_millis(200));
    drop((client, writer));
    all_threads_end();
    assert!(sent.into_iter().all(|delivery| delivery.wait().is_err()));
}

/// A peer that accepts and never answers: connect ends with its timeout, and its thread with it.
#[test]
fn a_silent_peer_costs_the_connect_timeout() {
    let _turn = one_at_a_time();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let peer = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        stream.read_to_end(&mut request).map(|_| request.len())
    });
    let builder = kafka_blocking::builder(&address).connect_timeout(Duration::from_millis(200));
    let error = builder.connect().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TimedOut { .. } | ErrorKind::Connection(_)), "{error}");
    assert!(peer.join().unwrap().unwrap() > 0);
    all_threads_end();
}

/// No thread wakes up without a reason: heartbeats go on while nobody calls, and that is all.
#[test]
fn heartbeats_need_no_call() {
    let _turn = one_at_a_time();
    let (cluster, client) = cluster_and_client();
    let builder = client.reader("orders").group("slow").reset(Reset::First);
    let builder =
        builder.session_timeout(Duration::from_secs(6)).heartbeat_interval(Duration::from_millis(100));
    let mut reader = builder.build().unwrap();
    let nothing = reader.fetch_within(Duration::from_secs(1));
    assert!(nothing.is_err());
    let before = cluster.requests(ApiKey::Heartbeat);
    let begun = Instant::now();
    while cluster.requests(ApiKey::Heartbeat) < before + 3 {
        assert!(begun.elapsed() < SOON, "no heartbeat");
        thread::sleep(Duration::from_millis(10));
    }
    drop((reader, client));
    all_threads_end();
}
