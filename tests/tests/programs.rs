//! Every program of the documents does what it says: it is pasted into a new project and run against a cluster that has neither its
//! topic nor its group.

use kafka_testkit::Cluster;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Names the program, in the process that is one.
const PROGRAM: &str = "PROGRAM";
/// Where its brokers are.
const BROKERS: &str = "BROKERS";
/// One that has not read what it wrote by then hangs.
const HANGS: Duration = Duration::from_secs(60);

/// Where a program stands, and how it is run.
type Program = (&'static str, fn() -> Ended);

/// How a program ends by itself.
type Ended = Result<(), String>;

include!(concat!(env!("OUT_DIR"), "/programs.rs"));

fn brokers() -> String {
    std::env::var(BROKERS).unwrap()
}

fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

/// A program, in a process that another test started; else nothing.
#[test]
fn child() {
    let Ok(name) = std::env::var(PROGRAM) else { return };
    let (_, run) = PROGRAMS.iter().find(|(program, _)| *program == name).unwrap();
    run().unwrap();
}

#[test]
fn each_program_of_the_documents_reads_what_it_writes_and_commits_it() {
    assert!(PROGRAMS.len() >= 6, "README and the front page of each adapter: {PROGRAMS:?}");
    for (name, _) in PROGRAMS {
        // As brokers are by default.
        let cluster = Cluster::builder().auto_create_topics(true).start().unwrap();
        let mut child = start(name, &cluster.bootstrap());
        let begun = Instant::now();
        while !has_done_its_work(&cluster) {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none_or(|status| status.success()), "{name}: {}", output(child));
            assert!(begun.elapsed() < HANGS, "{name} hangs: {}", output(child));
            thread::sleep(Duration::from_millis(10));
        }
        // It waits for more.
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

fn start(name: &str, brokers: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(PROGRAM, name)
        .env(BROKERS, brokers)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What it wrote to `orders` is committed by `billing`.
fn has_done_its_work(cluster: &Cluster) -> bool {
    let logs = (0..6).map(|partition| (partition, cluster.log("orders", partition).len() as i64));
    let written: Vec<(i32, i64)> = logs.filter(|(_, count)| *count > 0).collect();
    let is_committed =
        |(partition, count): &(i32, i64)| cluster.committed("billing", "orders", *partition) == Some(*count);
    !written.is_empty() && written.iter().all(is_committed)
}

fn output(mut child: Child) -> String {
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
