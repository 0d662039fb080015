//! What a client does is recorded, and a bare client does the same again from the recording alone.

use kafka_core::internal::{Replay, Stop, Unreadable};
use kafka_core::{Event, Header, Message, Start};
use kafka_proto::{ApiKey, ErrorCode};
use kafka_testkit::Cluster;
use kafka_testkit::broker::{Fault, FaultRule};
use kafka_testkit::sim::{self, Options, Plan};
use kafka_tokio::ClientBuilder;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Payloads that must not be in a recording, and names that may.
const KEY: &str = "key-of-a-customer";
const VALUE: &str = "value-of-a-customer";
const HEADER: &str = "header-of-a-customer";
const RECORDS: usize = 3000;
const SEED: u64 = 7100;
const LONG: Duration = Duration::from_secs(30);

/// A file of one test, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("recording-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.0).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn cluster() -> Cluster {
    Cluster::builder().nodes(3).topic("orders", 4).start().unwrap()
}

/// Replays all of it. Returns how many entries there were, and the time line.
fn replay(bytes: &[u8]) -> (u64, Vec<String>) {
    let mut replay = Replay::new(bytes).unwrap();
    let (mut entries, mut lines) = (0, Vec::new());
    loop {
        match replay.step() {
            Ok(Some(step)) => {
                entries = step.number;
                lines.extend(step.line);
            }
            Ok(None) => return (entries, lines),
            Err(stop) => panic!("{stop}\n{}", lines[lines.len().saturating_sub(20)..].join("\n")),
        }
    }
}

fn message(number: usize) -> Message {
    let headers = vec![Header { key: "trace".into(), value: Some(HEADER.into()) }];
    Message { headers, ..Message::new(format!("{VALUE} {number}")).key(format!("{KEY} {}", number % 7)) }
}

/// Writes, reads in a group and commits, makes and deletes a topic, while connections break.
async fn work(cluster: &Cluster, builder: ClientBuilder) {
    let client =
        builder.retry_backoff(Duration::from_millis(5), Duration::from_millis(50)).connect().await.unwrap();
    let writer = client
        .writer("orders")
        .batch_bytes(4 << 10)
        .compression(kafka_core::Compression::Lz4)
        .build()
        .unwrap();
    cluster.fail_times(ApiKey::Produce, ErrorCode::NotLeaderOrFollower, 2);
    let mut deliveries = Vec::new();
    for number in 0..RECORDS {
        if number % 1000 == 500 {
            let fault = if number % 2000 == 500 { Fault::CloseBefore } else { Fault::CloseAfter };
            cluster.inject(FaultRule { api: Some(ApiKey::Produce), node: None, times: 1, fault });
        }
        deliveries.push(writer.send(message(number)).await.unwrap());
    }
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    let mut reader = client.reader("orders").group("billing").start(Start::First).build().unwrap();
    let mut read = 0;
    while read < RECORDS {
        match reader.next_event().await.unwrap() {
            Some(Event::Record(record)) => {
                read += 1;
                if read % 500 == 0 {
                    reader.commit([&record]).await.unwrap();
                    let fault = Fault::CloseAfter;
                    cluster.inject(FaultRule { api: Some(ApiKey::Fetch), node: None, times: 1, fault });
                }
            }
            Some(_) => {}
            None => panic!("it ended"),
        }
    }
    client.create_topics([kafka_core::NewTopic::new("made", 2)]).await.unwrap();
    client.delete_topics(["made"]).await.unwrap();
    assert!(reader.close(LONG).await.is_clean());
    assert!(writer.close(LONG).await.is_clean());
    assert!(client.close(LONG).await.is_clean());
}

fn run<F: Future>(work: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_all().build().unwrap().block_on(work)
}

fn recorded(change: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Vec<u8> {
    let (cluster, file) = (cluster(), Scratch::new());
    let builder = ClientBuilder::new(&cluster.bootstrap()).record(&file.0);
    run(work(&cluster, change(builder)));
    file.bytes()
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

#[test]
fn a_recorded_client_is_replayed_alike_and_its_payloads_are_not_in_the_file() {
    let bytes = recorded(|builder| builder);
    let (entries, lines) = replay(&bytes);
    assert!(entries > 500, "{entries}");
    for expected in [
        "a writer is made",
        "a reader is made",
        "is closed: ",
        "-> ",
        "<- ",
        "OffsetCommit",
        "the client is closed",
    ] {
        assert!(lines.iter().any(|line| line.contains(expected)), "{expected}:\n{}", lines.join("\n"));
    }
    for payload in [KEY, VALUE, HEADER] {
        assert!(!has(&bytes, payload), "{payload}");
    }
    assert!(has(&bytes, "orders") && has(&bytes, "billing"), "names are there");
}

#[test]
fn payloads_are_there_where_the_application_wants_them() {
    let bytes = recorded(|builder| builder.record_payloads(true));
    for payload in [KEY, VALUE, HEADER] {
        assert!(has(&bytes, payload), "{payload}");
    }
    replay(&bytes);
}

#[test]
fn a_recording_that_is_cut_off_is_replayed_up_to_there() {
    let bytes = recorded(|builder| builder);
    let (all, _) = replay(&bytes);
    let mut replay = Replay::new(&bytes[..bytes.len() * 3 / 4]).unwrap();
    let mut entries = 0;
    let stop = loop {
        match replay.step() {
            Ok(step) => entries = step.unwrap().number,
            Err(stop) => break stop,
        }
    };
    assert!(matches!(stop, Stop::Unreadable(Unreadable::CutOff { .. })), "{stop}");
    assert!(entries > 0 && entries < all, "{entries} of {all}");
}

/// All plans, so that all of the client runs, each with its faults; the seed has brokers of 0.10.0.
#[test]
fn runs_of_the_simulator_are_replayed_alike() {
    let folder = Scratch::new();
    fs::create_dir(&folder.0).unwrap();
    let record = Some(&*Box::leak(folder.0.clone().into_boxed_path()));
    let mut entries = 0;
    for plan in Plan::ALL {
        let options = Options { record, ..Options::default() };
        let recorded = sim::run(plan, SEED, options).unwrap_or_else(|failure| panic!("{failure}"));
        let other = sim::run(plan, SEED, Options::default()).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(recorded.hash, other.hash, "{plan}: to record changes nothing");
        for file in fs::read_dir(&folder.0).unwrap() {
            let path = file.unwrap().path();
            entries += replay(&fs::read(&path).unwrap()).0;
            fs::remove_file(path).unwrap();
        }
    }
    fs::remove_dir(&folder.0).unwrap();
    assert!(entries > 10_000, "{entries}");
}
