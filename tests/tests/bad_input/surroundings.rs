//! A machine that has no room.

use crate::support::{case, client, connection, explains, goes_on, soon};
use kafka_core::error::{ConnectionError, Fault};
use kafka_core::rt::Runtime;
use kafka_testkit::Cluster;
use std::fs::File;
use std::process::Command;

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
    let client = client::<R>(address).build().unwrap();
    let mut files: Vec<File> = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
        assert!(files.len() < 1000, "there is no limit");
    }
    let error = soon::<R, _>(client.describe_cluster()).await.unwrap_err();
    assert_eq!(*connection(&error), ConnectionError::TooManyOpenFiles, "{error:?}");
    explains(&error, Fault::Environment, &[address]);
    drop(files);
    goes_on(&client, "t").await;
}
