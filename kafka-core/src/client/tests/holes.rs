//! Addresses where nothing answers, not even that there is nobody: machines that were replaced, or a firewall.

use super::{Net, topic};
use crate::client::TopicState;
use kafka_proto::Str;
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
