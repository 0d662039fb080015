//! The layers stay apart: no runtime below an adapter, and none behind the blocking one.

use std::collections::BTreeSet;
use std::process::Command;

const RUNTIMES: [&str; 9] = [
    "tokio",
    "async-std",
    "smol",
    "async-io",
    "async-executor",
    "async-global-executor",
    "futures-executor",
    "blocking",
    "mio",
];

/// The names of what a package is built from, whatever features are on; its own tests left aside.
fn tree(package: &str) -> BTreeSet<String> {
    let arguments = [
        "tree",
        "--offline",
        "--locked",
        "--all-features",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
        "--package",
        package,
    ];
    let cargo =
        Command::new(env!("CARGO")).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let lines = String::from_utf8(cargo.stdout).unwrap();
    lines.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn runtimes_of(package: &str) -> Vec<&'static str> {
    let names = tree(package);
    assert!(names.contains(package), "{names:?}");
    RUNTIMES.into_iter().filter(|runtime| names.contains(*runtime)).collect()
}

#[test]
fn core_protocol_and_blocking_adapter_have_no_runtime() {
    for package in ["kafka-proto", "kafka-core", "kafka-blocking"] {
        assert!(runtimes_of(package).is_empty(), "{package} needs {:?}", runtimes_of(package));
    }
}

#[test]
fn adapters_have_their_own_runtime_only() {
    let tokio = runtimes_of("kafka-tokio");
    assert!(tokio.contains(&"tokio") && !tokio.contains(&"async-io"), "{tokio:?}");
    let smol = runtimes_of("kafka-smol");
    assert!(smol.contains(&"smol") && smol.contains(&"async-std") && !smol.contains(&"tokio"), "{smol:?}");
}
