use clap::Parser;

use super::*;
use crate::{Cli, Tool};

fn parse(line: &str) -> Result<Action, clap::Error> {
    let words = ["xtask", "cluster"].into_iter().chain(line.split_whitespace());
    let Tool::Cluster(cluster) = Cli::try_parse_from(words)?.tool else { panic!("not the cluster tool") };
    Ok(cluster.action)
}

#[test]
fn the_command_line_is_consistent() {
    <Cli as clap::CommandFactory>::command().debug_assert();
}

#[test]
fn up_takes_release_brokers_name_and_port() {
    let Ok(Action::Up(up)) = parse("up --kafka 2.8.2 --brokers 3 --name old --port 20000 --mode zookeeper")
    else {
        panic!("not understood");
    };
    assert_eq!((up.kafka.as_deref(), up.brokers, up.name.as_deref()), (Some("2.8.2"), 3, Some("old")));
    assert_eq!((up.port, up.mode), (Some(20000), Some(Mode::ZooKeeper)));
}

#[test]
fn up_takes_lines_and_features() {
    let Ok(Action::Up(up)) = parse("up --property a=b=c --property d= --feature share.version=0") else {
        panic!("not understood");
    };
    assert_eq!(up.property, [("a".to_owned(), "b=c".to_owned()), ("d".to_owned(), String::new())]);
    assert_eq!(up.feature, [("share.version".to_owned(), 0)]);
    assert_eq!((up.kafka, up.brokers, up.name), (None, 1, None));
}

#[test]
fn nonsense_is_refused() {
    for line in [
        "",
        "up --brokers none",
        "up --port 70000",
        "up --mode raft",
        "up --property a",
        "up --feature a=b",
        "kill",
        "restart --broker x",
        "down --all --name a",
        "down --kafka 4.4.0 --name a",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn a_cluster_is_found_by_name_by_version_or_alone() {
    let root = std::env::temp_dir().join(format!("xtask-cluster-{}", std::process::id()));
    let cache = Cache::new(&root);
    let add = |name: &str| {
        let folder = root.join("run").join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let text = "version=4.4.0\nmode=kraft\nbrokers=1\nport=19100\n";
        std::fs::write(folder.join("cluster"), text).expect("a description");
    };
    let find = |name: Option<&str>, kafka: Option<&str>| {
        let which = Which { name: name.map(Into::into), kafka: kafka.map(Into::into) };
        which.find(&cache).map(|cluster| cluster.name).map_err(|error| error.to_string())
    };
    assert!(find(None, None).is_err_and(|error| error.contains("no cluster")));
    add("4.4.0");
    assert_eq!(find(None, None).as_deref(), Ok("4.4.0"));
    add("mine");
    assert!(find(None, None).is_err_and(|error| error.contains("4.4.0, mine")));
    assert_eq!(find(Some("mine"), None).as_deref(), Ok("mine"));
    assert_eq!(find(None, Some("4.4.0")).as_deref(), Ok("4.4.0"));
    assert!(find(Some("other"), None).is_err());
    std::fs::remove_dir_all(&root).expect("a clean end");
}

#[test]
fn a_description_names_every_process() {
    let root = std::env::temp_dir().join(format!("xtask-describe-{}", std::process::id()));
    let folder = root.join("run/old");
    std::fs::create_dir_all(&folder).expect("a folder");
    let text = "version=2.8.2\nmode=zookeeper\nbrokers=1\nport=19100\n";
    std::fs::write(folder.join("cluster"), text).expect("a description");
    let cluster = Cache::new(&root).cluster("old").expect("a cluster");
    let text = describe(&cluster);
    std::fs::remove_dir_all(&root).expect("a clean end");
    assert!(text.starts_with("old: Kafka 2.8.2, zookeeper, "), "{text}");
    assert!(text.contains("zookeeper  127.0.0.1:19106  not running"), "{text}");
    assert!(text.contains("broker 1   127.0.0.1:19100  not running"), "{text}");
}
