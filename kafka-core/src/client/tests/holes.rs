//! Addresses where nothing answers, not even that there is nobody: machines that were replaced, or a firewall.

use super::{Net, coordinator, topic};
use crate::client::TopicState;
use crate::machine::{CoordinatorKind, Hint, Lane, LaneKey, Target};
use crate::message::Message;
use crate::sans_io::Writer;
use crate::snapshot::Node;
use crate::writer::{Idempotence, WriterConfig};
use kafka_proto::Str;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::metadata::MetadataResponseTopic;
use std::time::Duration;

fn named(name: &str) -> MetadataResponseTopic {
    MetadataResponseTopic { name: Some(name.into()), ..topic("t", 1, 0) }
}

/// How long it takes until a topic is known.
fn learn(net: &mut Net, name: &str, most: Duration) -> Duration {
    let begin = net.now.time;
    net.client.want_topic(net.now, &Str::from(name));
    net.settle();
    while !matches!(net.client.topic(name), TopicState::Known(_)) {
        assert!(net.step(begin + most), "nothing happens any more");
    }
    net.now.time - begin
}

/// The bootstrap address would tell the new addresses.
#[test]
fn case_m3_all_brokers_have_moved_and_nothing_answers_at_the_old_addresses() {
    for is_refused in [false, true] {
        for knows_topics in [false, true] {
            let mut net = Net::connected();
            net.topics = vec![topic("t", 1, 0), named("u")];
            if knows_topics {
                learn(&mut net, "u", Duration::from_secs(1));
            }
            for id in 1..=3 {
                net.moved.insert(id, 9500 + id as u16);
                if is_refused {
                    net.kill(9000 + id as u16);
                } else {
                    net.swallow(9000 + id as u16);
                }
            }
            let took = learn(&mut net, "t", Duration::from_secs(600));
            // Each of them is tried once.
            assert!(
                took <= Duration::from_secs(45),
                "{took:?}, refused: {is_refused}, topics: {knows_topics}"
            );
        }
    }
}

/// Two of three brokers cannot be reached from here, and somebody needs a topic that does not exist: they are asked too, in vain.
#[test]
fn case_m5_a_missing_topic_beside_brokers_that_cannot_be_reached_costs_others_nothing() {
    for is_missing in [false, true] {
        let mut net = Net::connected();
        net.topics = (0..60).map(|n| named(&format!("t{n}"))).collect();
        let good = net.call_broker(2);
        (9001..=9003).filter(|port| *port != good).for_each(|port| net.swallow(port));
        if is_missing {
            net.client.want_topic(net.now, &Str::from("missing"));
            net.settle();
        }
        net.run_for(Duration::from_secs(60));
        for n in 0..60 {
            let took = learn(&mut net, &format!("t{n}"), Duration::from_secs(60));
            assert!(took <= Duration::from_secs(3), "{took:?}, missing: {is_missing}");
            net.run_for(Duration::from_secs(3));
        }
    }
}

/// A leader that metadata names and does not locate, and a writer that has something for it.
fn without_address() -> Net {
    let mut net = Net::new();
    net.untold.insert(2);
    net.holes.insert(9002);
    net.topics = vec![topic("t", 2, 0)];
    learn(&mut net, "t", Duration::from_secs(1));
    let config =
        WriterConfig { topic: Some("t".into()), idempotence: Idempotence::Off, ..WriterConfig::default() };
    let writer = Writer::new(net.client.at(net.now), config).unwrap();
    let _delivery = writer.try_send(net.client.at(net.now), Message::new("m")).unwrap();
    net.settle();
    assert!(!is_connecting(&net));
    assert_eq!(net.client.stuck(net.now), [""; 0], "metadata is asked for");
    net
}

fn is_connecting(net: &Net) -> bool {
    net.client.lanes.get(LaneKey::node(2, Lane::Produce)).is_some_and(|lane| lane.conn().is_some())
}

/// As in the simulator's plan `outdated`: another broker's answer tells the address, and no newer leader.
#[test]
fn what_waits_for_an_address_leaves_once_a_hint_tells_it() {
    let mut net = without_address();
    let node = Some(Node { id: 2, host: "broker".into(), port: 9002, rack: None });
    let hint = Hint::Leader { topic: "t".into(), partition: 0, leader: 2, leader_epoch: 0, node };
    net.client.hint(net.now, hint);
    assert!(is_connecting(&net));
}

#[test]
fn what_waits_for_an_address_leaves_once_the_broker_is_found_as_a_coordinator() {
    let mut net = without_address();
    net.coordinator = coordinator(ErrorCode::None);
    net.call_of(Target::Coordinator(CoordinatorKind::Group, "g".into()), Duration::from_secs(10));
    assert!(is_connecting(&net));
}
