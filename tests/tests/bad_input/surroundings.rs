//! A machine that has no room.

use crate::support::{case, client, connection, explains, goes_on, pause, soon};
use kafka_core::runtime::Runtime;
use kafka_core::{ConnectionError, Fault};
use kafka_testkit::Cluster;
use std::fs::File;
use std::process::Command;
use std::time::Duration;

/// The address of the cluster, in the child process whose descriptors are limited.
const ADDRESS: &str = "BAD_INPUT_ADDRESS";

pub(crate) async fn out_of_file_descriptors<R: Runtime>() {
    if let Ok(address) = std::env::var(ADDRESS) {
        return without_descriptors::<R>(&address).await;
    }
    if !cfg!(unix) {
        println!("skipped: the limit of open files is set by a shell");
        return;
    }
    let cluster = Cluster::builder().topic("t", 1).start().unwrap();
    // The same test once more, in a process of its own.
    let program = std::env::current_exe().unwrap();
    let child = Command::new("sh")
        .args(["-c", "ulimit -n 40 && exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(program)
        .arg(case())
        .env(ADDRESS, cluster.bootstrap())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{told}\n{}", String::from_utf8_lossy(&child.stderr));
    assert!(told.contains("1 passed"), "the child ran no test: {told}");
    println!("{}", told.lines().find(|line| line.contains("->")).unwrap());
}

async fn without_descriptors<R: Runtime>(address: &str) {
    // Some runtimes open what they need themselves when they are first used, and panic where they cannot.
    let first = client::<R>(address).connect().await.unwrap();
    let client = client::<R>(address).build().unwrap();
    soon::<R, _>(first.close(Duration::ZERO)).await;
    // The first client's sockets may be closed a little later, and must not make room then.
    let (mut files, mut quiet) = (Vec::new(), 0);
    while quiet < 5 {
        quiet = if fill(&mut files) > 0 { 0 } else { quiet + 1 };
        pause::<R>(Duration::from_millis(50)).await;
    }
    let error = soon::<R, _>(client.describe_cluster()).await.unwrap_err();
    assert_eq!(*connection(&error), ConnectionError::TooManyOpenFiles, "{error:?}");
    explains(&error, Fault::Environment, &[address]);
    drop(files);
    goes_on::<R>(&client, "t").await;
}

/// Opens files until there is no room for another; how many.
fn fill(files: &mut Vec<File>) -> usize {
    let before = files.len();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
        assert!(files.len() < 1000, "there is no limit");
    }
    files.len() - before
}
