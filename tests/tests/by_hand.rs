//! The examples of the sans-IO interface do what they say: one over sockets, against brokers on loopback, and one without any.

use kafka_testkit::Cluster;
use std::time::Duration;

#[expect(dead_code, reason = "its main is for the command line")]
#[path = "../../kafka-core/examples/by_hand/main.rs"]
mod by_hand;
#[expect(dead_code, reason = "its main is for the command line")]
#[path = "../examples/no_socket/main.rs"]
mod no_socket;

#[test]
fn one_loop_over_plain_sockets_creates_writes_reads_and_commits() {
    let cluster = Cluster::builder().nodes(3).start().unwrap();
    let records = by_hand::run(&cluster.bootstrap()).unwrap();
    let mut values: Vec<_> = records.iter().map(|record| record.value.clone().unwrap()).collect();
    values.sort();
    let expected: Vec<String> = (0..10).map(|n| format!("message {n}")).collect();
    assert_eq!(values, expected);
    for partition in 0..3 {
        let written = cluster.log("by-hand", partition).len() as i64;
        assert_eq!(cluster.committed("by-hand-readers", "by-hand", partition).unwrap_or(0), written);
    }
    // Again: the topic is there already, and the group goes on where it was.
    assert_eq!(by_hand::run(&cluster.bootstrap()).unwrap().len(), 10);
}

#[test]
fn two_machines_without_a_socket_come_to_the_same_end_each_time() {
    let (values, elapsed) = no_socket::run().unwrap();
    let mut sorted = values.clone();
    sorted.sort();
    assert_eq!(sorted, (0..5).map(|n| format!("order {n}")).collect::<Vec<_>>());
    assert!(
        elapsed < Duration::from_secs(60),
        "virtual time, of which nothing there needs much: {elapsed:?}"
    );
    assert_eq!(no_socket::run().unwrap(), (values, elapsed));
}
