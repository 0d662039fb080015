//! Assignments of consumer groups. A group passes when every round of an assignor that exists does.

use std::collections::BTreeSet;

use kafka_core::assignor::{Assignor, Member, PartitionRacks, Range, RoundRobin, Topics};
use kafka_core::internal::subscription::{Assignment, Subscription};
use kafka_core::{Bytes, Str, TopicPartition};
use serde_json::Value;

use super::{Outcome, hex_member, member};

pub(super) fn check(group: &Value) -> Outcome {
    let rounds = match member(group, "rounds", Value::as_array) {
        Ok(rounds) => rounds,
        Err(why) => return Outcome::Failed(why),
    };
    let mut missing = BTreeSet::new();
    for round in rounds {
        let name = round.get("assignor").and_then(Value::as_str).unwrap_or_default();
        let Some(assignor) = assignor(name) else {
            missing.insert(name.to_owned());
            continue;
        };
        if let Err(why) = check_round(group, round, assignor) {
            let step = round.get("step").and_then(Value::as_str).unwrap_or_default();
            return Outcome::Failed(format!("{name}, {step}: {why}"));
        }
    }
    if missing.is_empty() { Outcome::Passed } else { Outcome::Partly(missing) }
}

fn assignor(name: &str) -> Option<&'static dyn Assignor> {
    match name {
        "range" => Some(&Range),
        "roundrobin" => Some(&RoundRobin),
        _ => None,
    }
}

fn check_round(group: &Value, round: &Value, assignor: &dyn Assignor) -> Result<(), String> {
    let wire = member(round, "members", Value::as_array)?;
    let members = wire.iter().map(subscribed).collect::<Result<Vec<_>, _>>()?;
    let given = assignor.assign(&members, &topics(group, round)?);
    if given.len() != wire.len() {
        return Err(format!("{} lists for {} members", given.len(), wire.len()));
    }
    for (ours, wire) in given.iter().zip(wire) {
        let ours: BTreeSet<_> = ours.iter().cloned().collect();
        let blob = hex_member(wire, "assignmentHex")?;
        let java = Assignment::decode(&Bytes::from(blob)).map_err(|e| e.to_string())?;
        let java: BTreeSet<_> = java.partitions.into_iter().collect();
        if java != assigned(wire)? {
            return Err("the bytes of an assignment are not what they stand for".to_owned());
        }
        if ours != java {
            return Err(format!("{} gets {ours:?} and not {java:?}", wire["memberId"]));
        }
    }
    Ok(())
}

/// A member as the leader reads it from the bytes that Java's consumer sends.
fn subscribed(wire: &Value) -> Result<Member, String> {
    let blob = Bytes::from(hex_member(wire, "subscriptionHex")?);
    let subscription = Subscription::decode(&blob).map_err(|e| e.to_string())?;
    if subscription.encode_as(3) != blob {
        return Err("a subscription is not written as it was read".to_owned());
    }
    let id = member(wire, "memberId", Value::as_str)?;
    let instance = wire.get("groupInstanceId").and_then(Value::as_str);
    Ok(subscription.into_member(Str::from(id), instance.map(Str::from)))
}

/// The brokers have racks in some groups only; a topic of no partitions does not exist.
fn topics(group: &Value, round: &Value) -> Result<Topics, String> {
    let mut topics = Topics::default();
    for (name, count) in member(round, "topics", Value::as_object)? {
        let racks = |p: usize| {
            let list = group.get("partitionRacks").and_then(|r| r.get(name)?.get(p)?.as_array());
            list.into_iter().flatten().filter_map(Value::as_str).map(Str::from).collect()
        };
        let count = count.as_u64().ok_or("a topic has no number of partitions")? as usize;
        let partitions = (0..count).map(|p| PartitionRacks { leader: None, replicas: racks(p) });
        topics.insert(Str::from(name.as_str()), partitions.collect());
    }
    Ok(topics)
}

fn assigned(wire: &Value) -> Result<BTreeSet<TopicPartition>, String> {
    let mut partitions = BTreeSet::new();
    for topic in member(wire, "assigned", Value::as_array)? {
        let name = topic.get(0).and_then(Value::as_str).ok_or("an assigned topic has no name")?;
        let list = topic.get(1).and_then(Value::as_array).ok_or("an assigned topic has no partitions")?;
        for partition in list {
            let partition = partition.as_i64().ok_or("a partition is no number")?;
            partitions.insert(TopicPartition::new(Str::from(name), partition as i32));
        }
    }
    Ok(partitions)
}
