//! How often the threads of a process wake up that has a client with nothing to do: real runtimes, real sockets.
//!
//! At first a member of a group with one broker has two fetches a second, which the broker holds for half a second each, and
//! a third of a heartbeat; each costs the threads it goes through a few context switches. Later the fetches grow rare.
#![cfg(target_os = "linux")]

use kafka_core::runtime::Runtime;
use kafka_core::{ClientBuilder, Message, Reset};
use kafka_testkit::Cluster;
use std::future::pending;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The adapter, in the process that is watched.
const ADAPTER: &str = "IDLE_ADAPTER";
/// The cluster's address, in that process.
const ADDRESS: &str = "IDLE_ADDRESS";
const READY: &str = "the client is idle";
const WATCHED: Duration = Duration::from_secs(4);
/// Five to twenty are expected; a loop that spins makes thousands.
const MOST_A_SECOND: f64 = 50.0;

/// The process that is watched, where another test started it; else nothing.
#[test]
fn child() {
    let (Ok(adapter), Ok(address)) = (std::env::var(ADAPTER), std::env::var(ADDRESS)) else { return };
    match &*adapter {
        "tokio" => tokio::runtime::Runtime::new().unwrap().block_on(idle::<kafka_tokio::Tokio>(&address)),
        "smol" => smol::block_on(idle::<kafka_smol::Smol>(&address)),
        "async-std" => async_std::task::block_on(idle::<kafka_smol::AsyncStd>(&address)),
        "blocking" => idle_threads(&address),
        other => panic!("no adapter {other}"),
    }
}

async fn idle<R: Runtime>(address: &str) {
    let client = ClientBuilder::<R>::new(address).connect().await.unwrap();
    let writer = client.writer("t").build().unwrap();
    writer.write_all([Message::new("x")]).await.unwrap();
    let mut reader = client.reader("t").group("g").reset(Reset::First).build().unwrap();
    reader.fetch().await.unwrap().unwrap();
    println!("{READY}");
    reader.fetch().await.unwrap();
    pending::<()>().await;
}

fn idle_threads(address: &str) {
    let client = kafka_blocking::builder(address).connect().unwrap();
    let writer = client.writer("t").build().unwrap();
    writer.write_all([Message::new("x")]).unwrap();
    let mut reader = client.reader("t").group("g").reset(Reset::First).build().unwrap();
    reader.fetch().unwrap().unwrap();
    println!("{READY}");
    reader.fetch().unwrap();
}

/// A child that ends with the test.
struct Watched(Child);

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(adapter: &str, cluster: &Cluster) -> Watched {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(ADAPTER, adapter)
        .env(ADDRESS, cluster.bootstrap())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = Watched(child.unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(READY)), "{adapter} did not get ready");
    child
}

/// How often each thread gave its processor up by itself, by the thread's number and name.
fn wake_ups(process: u32) -> Vec<(String, u64)> {
    let tasks = Path::new("/proc").join(process.to_string()).join("task");
    let field = |status: &str, name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    let one = |task: PathBuf| {
        // A thread may have ended meanwhile.
        let status = std::fs::read_to_string(task.join("status")).ok()?;
        let name = format!("{} {}", task.file_name()?.to_str()?, field(&status, "Name:"));
        Some((name, field(&status, "voluntary_ctxt_switches:").parse().unwrap()))
    };
    std::fs::read_dir(tasks).unwrap().filter_map(|task| one(task.unwrap().path())).collect()
}

fn few_wake_ups(adapter: &str) {
    let cluster = Cluster::builder().topic("t", 3).start().unwrap();
    let child = start(adapter, &cluster);
    // What the start has left behind comes to an end.
    thread::sleep(Duration::from_secs(1));
    let (before, begun) = (wake_ups(child.0.id()), Instant::now());
    thread::sleep(WATCHED);
    let (after, seconds) = (wake_ups(child.0.id()), begun.elapsed().as_secs_f64());
    let known = |name: &str| before.iter().find(|(other, _)| other == name).map_or(0, |(_, count)| *count);
    let mut sum = 0;
    for (name, count) in &after {
        let more = count - known(name);
        sum += more;
        println!("{adapter}: {:6.1}/s in {name}", more as f64 / seconds);
    }
    let rate = sum as f64 / seconds;
    println!("{adapter}: {rate:.1} wake-ups a second in {} threads", after.len());
    assert!(rate < MOST_A_SECOND, "{adapter}: {rate:.1} wake-ups a second");
    assert!(sum > 0, "nothing was measured");
}

#[test]
fn on_tokio() {
    few_wake_ups("tokio");
}

#[test]
fn on_smol() {
    few_wake_ups("smol");
}

#[test]
fn on_async_std() {
    few_wake_ups("async-std");
}

#[test]
fn on_blocking() {
    few_wake_ups("blocking");
}
