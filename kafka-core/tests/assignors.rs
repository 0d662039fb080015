//! Assignments against those that Java's assignors made (kafka-clients 4.4.0), member by member and byte by byte.

use flate2::read::GzDecoder;
use kafka_core::TopicPartition;
use kafka_core::assignor::{Assignor, Member, PartitionRacks, Range, RoundRobin, Topics};
use kafka_core::internal::subscription::{Assignment, Subscription};
use kafka_proto::{Bytes, Str};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Read;

fn groups() -> Vec<Value> {
    let packed = include_bytes!("vectors/assignors.jsonl.gz");
    let mut text = String::new();
    GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(value: &Value) -> Option<Str> {
    value.as_str().map(Str::from)
}

fn hex(value: &Value) -> Bytes {
    let digits = value.as_str().unwrap();
    let byte = |i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect::<Vec<u8>>().into()
}

/// The brokers have racks in some groups only; a topic of no partitions does not exist.
fn topics(group: &Value, round: &Value) -> Topics {
    let mut topics = Topics::default();
    for (name, count) in round["topics"].as_object().unwrap() {
        let racks = |p: usize| -> Vec<Str> {
            let list = group["partitionRacks"][name][p].as_array();
            list.into_iter().flatten().filter_map(text).collect()
        };
        let count = count.as_u64().unwrap() as usize;
        let partitions = (0..count).map(|p| PartitionRacks { leader: None, replicas: racks(p) });
        topics.insert(Str::from(name.as_str()), partitions.collect());
    }
    topics
}

/// As the leader reads them from the bytes that Java's consumer sends.
fn members(round: &Value) -> Vec<Member> {
    let member = |wire: &Value| {
        let subscription = Subscription::decode(&hex(&wire["subscriptionHex"])).unwrap();
        assert_eq!(subscription.encode_as(3), hex(&wire["subscriptionHex"]));
        let member =
            subscription.into_member(text(&wire["memberId"]).unwrap(), text(&wire["groupInstanceId"]));
        assert_eq!(member.rack, text(&wire["rackId"]));
        assert_eq!(member.generation, wire["generation"].as_i64().unwrap() as i32);
        member
    };
    round["members"].as_array().unwrap().iter().map(member).collect()
}

fn expected(member: &Value) -> BTreeSet<TopicPartition> {
    let mut partitions = BTreeSet::new();
    for topic in member["assigned"].as_array().unwrap() {
        for partition in topic[1].as_array().unwrap() {
            let partition = partition.as_i64().unwrap() as i32;
            partitions.insert(TopicPartition::new(text(&topic[0]).unwrap(), partition));
        }
    }
    partitions
}

fn compare(name: &str, assignor: &dyn Assignor) -> usize {
    let mut compared = 0;
    for group in groups() {
        for round in group["rounds"].as_array().unwrap().iter().filter(|r| r["assignor"] == name) {
            let (members, topics) = (members(round), topics(&group, round));
            let given = assignor.assign(&members, &topics);
            for (list, wire) in given.iter().zip(round["members"].as_array().unwrap()) {
                let got: BTreeSet<_> = list.iter().cloned().collect();
                assert_eq!(got.len(), list.len(), "group {} twice: {list:?}", group["group"]);
                assert_eq!(
                    got,
                    expected(wire),
                    "group {} {} {}",
                    group["group"],
                    round["step"],
                    wire["memberId"]
                );
                let java = Assignment::decode(&hex(&wire["assignmentHex"])).unwrap();
                assert_eq!(java.partitions.into_iter().collect::<BTreeSet<_>>(), got);
                compared += 1;
            }
            let mut reversed = members.clone();
            reversed.reverse();
            let mut other = assignor.assign(&reversed, &topics);
            other.reverse();
            let sets = |lists: &[Vec<TopicPartition>]| {
                lists.iter().map(|l| l.iter().cloned().collect::<BTreeSet<_>>()).collect::<Vec<_>>()
            };
            assert_eq!(sets(&other), sets(&given), "the order of members matters");
        }
    }
    compared
}

#[test]
fn range_gives_what_javas_gives() {
    assert!(compare("range", &Range) > 250);
}

#[test]
fn roundrobin_gives_what_javas_gives() {
    assert!(compare("roundrobin", &RoundRobin) > 250);
}
