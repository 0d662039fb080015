//! The quickstart of each adapter as a process of its own: what it tells, and how it ends.

use clap::Parser;
use kafka_proto::ApiKey;
use kafka_testkit::quickstart::{Args, run};
use kafka_testkit::{Cluster, ClusterBuilder};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

#[expect(dead_code, reason = "its main is for the command line")]
#[path = "../../kafka-blocking/examples/quickstart.rs"]
mod blocking;
#[expect(dead_code, reason = "its main is for the command line")]
#[path = "../../kafka-smol/examples/quickstart.rs"]
mod smol_or_async_std;
#[expect(dead_code, reason = "its main is for the command line")]
#[path = "../../kafka-tokio/examples/quickstart.rs"]
mod tokio_only;

/// Names the adapter, in the process that is the quickstart.
const ADAPTER: &str = "QUICKSTART_ADAPTER";
/// Its arguments, separated by spaces.
const ARGS: &str = "QUICKSTART_ARGS";
/// One that takes longer hangs.
const HANGS: Duration = Duration::from_secs(60);

/// The quickstart itself, in a process that another test started; else nothing.
#[test]
fn child() {
    let (Ok(adapter), Ok(args)) = (std::env::var(ADAPTER), std::env::var(ARGS)) else { return };
    let args = Args::parse_from(args.split(' '));
    // Where it fails it ends the process with code 1.
    let _ = match &*adapter {
        "tokio" => run(args, |run| tokio::runtime::Runtime::new()?.block_on(tokio_only::drive(run))),
        "smol" => run(args, |run| smol::block_on(smol_or_async_std::drive::<kafka_smol::SmolTasks>(run))),
        "async-std" => run(args, |run| {
            async_std::task::block_on(smol_or_async_std::drive::<kafka_smol::AsyncStdTasks>(run))
        }),
        "blocking" => run(args, blocking::drive),
        other => panic!("no adapter {other}"),
    };
}

/// Starts the quickstart against brokers of this process.
fn start(adapter: &str, brokers: &str, args: &str) -> Child {
    let args = format!("quickstart --brokers {brokers} --topic t {args}");
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(ADAPTER, adapter)
        .env(ARGS, args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for the end, and shows what was told.
fn end(mut child: Child) -> (Option<i32>, String) {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > HANGS {
            child.kill().unwrap();
            panic!("it hangs: {:?}", child.wait_with_output());
        }
        thread::sleep(Duration::from_millis(10));
    }
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    println!("{told}");
    (status.code(), told)
}

fn cluster() -> ClusterBuilder {
    Cluster::builder().topic("t", 3)
}

fn all_is_well(adapter: &str) {
    let cluster = cluster().start().unwrap();
    let (code, told) = end(start(adapter, &cluster.bootstrap(), "--partitions 3 --messages 5000"));
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("5,000 messages written and read: none lost or doubled"), "{told}");
    assert!(told.contains("records/s"), "{told}");
}

fn another_partition_count(adapter: &str) {
    let cluster = cluster().start().unwrap();
    let (code, told) = end(start(adapter, &cluster.bootstrap(), "--partitions 6 --messages 10"));
    assert_eq!(code, Some(1), "{told}");
    let reason = "quickstart failed: topic `t` exists with 3 partitions, not 6: say --partitions 3, or another --topic";
    assert!(told.contains(reason), "{told}");
    assert_eq!(cluster.requests(ApiKey::Produce), 0, "it wrote to a topic that is not as it was asked for");
}

/// Ctrl-C once the brokers have got so many requests of a kind.
fn interrupted(adapter: &str, api: ApiKey, messages: u32) {
    let cluster = cluster().start().unwrap();
    let child = start(adapter, &cluster.bootstrap(), &format!("--partitions 3 --messages {messages}"));
    let begun = Instant::now();
    while cluster.requests(api) < 2 {
        assert!(begun.elapsed() < HANGS, "no {}", api.name());
        thread::sleep(Duration::from_millis(1));
    }
    interrupt(child, messages);
}

/// Ctrl-C while it waits for a broker that never answers.
fn interrupted_while_connecting(adapter: &str) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let child = start(adapter, &silent.local_addr().unwrap().to_string(), "--messages 7");
    let _waiting = silent.accept().unwrap();
    interrupt(child, 7);
}

/// It ends with code 1 and tells how far it came.
fn interrupt(child: Child, messages: u32) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let (code, told) = end(child);
    assert_eq!(code, Some(1), "{told}");
    let reason = format!("quickstart failed: interrupted; of {messages} messages ");
    assert!(told.contains(&reason) && told.contains("were acknowledged and"), "{told}");
    assert!(!told.contains("panicked"), "{told}");
}

fn a_wrong_address(adapter: &str) {
    let (code, told) = end(start(adapter, "kafka://broker:9092", "--messages 7"));
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("quickstart failed: address `kafka://broker:9092`: has a scheme"), "{told}");
    assert!(told.contains("what to do: give addresses as host:port"), "{told}");
}

macro_rules! on {
    ($($module:ident $adapter:literal),+) => {$(mod $module {
        use kafka_proto::ApiKey;

        #[test]
        fn all_is_well() {
            crate::all_is_well($adapter);
        }

        #[test]
        fn another_partition_count() {
            crate::another_partition_count($adapter);
        }

        #[test]
        fn a_wrong_address() {
            crate::a_wrong_address($adapter);
        }

        #[test]
        #[cfg(unix)]
        fn interrupted_while_connecting() {
            crate::interrupted_while_connecting($adapter);
        }

        #[test]
        #[cfg(unix)]
        fn interrupted_while_writing() {
            crate::interrupted($adapter, ApiKey::Produce, 5_000_000);
        }

        #[test]
        #[cfg(unix)]
        fn interrupted_while_reading() {
            crate::interrupted($adapter, ApiKey::JoinGroup, 200_000);
        }
    })+};
}

on!(on_tokio "tokio", on_smol "smol", on_async_std "async-std", on_blocking "blocking");
