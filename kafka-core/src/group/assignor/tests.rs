use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn member(id: &str, topics: &[&str]) -> Member {
    Member { id: id.into(), topics: topics.iter().map(|t| Str::from(*t)).collect(), ..Member::default() }
}

fn topics(counts: &[(&str, usize)]) -> Topics {
    let mut topics = Topics::default();
    counts.iter().for_each(|(t, n)| topics.insert(Str::from(*t), vec![PartitionRacks::default(); *n]));
    topics
}

fn numbers(lists: &[Vec<TopicPartition>]) -> Vec<Vec<i32>> {
    lists.iter().map(|l| l.iter().map(|p| p.partition).collect()).collect()
}

#[test]
fn five_partitions_for_two_members() {
    let members = [member("a", &["t"]), member("b", &["t"])];
    let topics = topics(&[("t", 5)]);
    assert_eq!(numbers(&Range.assign(&members, &topics)), [vec![0, 1, 2], vec![3, 4]]);
    assert_eq!(numbers(&RoundRobin.assign(&members, &topics)), [vec![0, 2, 4], vec![1, 3]]);
}

#[test]
fn static_members_stand_before_others_whatever_their_ids() {
    let fixed = Member { instance_id: Some("z".into()), ..member("z", &["t"]) };
    let members = [member("a", &["t"]), fixed];
    let topics = topics(&[("t", 3)]);
    assert_eq!(numbers(&Range.assign(&members, &topics)), [vec![2], vec![0, 1]]);
}

#[test]
fn a_topic_named_twice_counts_once() {
    let members = [member("a", &["t", "t"]), member("b", &["t"])];
    let topics = topics(&[("t", 4)]);
    assert_eq!(numbers(&Range.assign(&members, &topics)), [vec![0, 1], vec![2, 3]]);
}

#[test]
fn nobody_and_nothing_are_no_trouble() {
    for assignor in [&Range as &dyn Assignor, &RoundRobin] {
        assert!(assignor.assign(&[], &topics(&[("t", 2)])).is_empty());
        assert_eq!(assignor.assign(&[member("a", &["gone"])], &topics(&[])), [vec![]]);
        assert_eq!(assignor.assign(&[member("a", &[])], &topics(&[("t", 2)])), [vec![]]);
    }
}

#[test]
fn the_cluster_tells_partitions_and_racks() {
    use crate::snapshot::{Node, Partition};
    let mut cluster = Cluster::default();
    for (id, rack) in [(1, Some("r1")), (2, None)] {
        let node = Node { id, host: "h".into(), port: 1, rack: rack.map(Str::from) };
        cluster.nodes.insert(id, node);
    }
    let partition = Partition {
        leader: Some(1),
        leader_epoch: Some(0),
        replicas: vec![1, 2],
        isr: vec![],
        offline: vec![],
    };
    let topic =
        Topic { name: "t".into(), id: Default::default(), is_internal: false, partitions: vec![partition] };
    cluster.topics.insert("t".into(), std::sync::Arc::new(topic));
    let seen = Topics::of(&cluster, [&Str::from("t"), &Str::from("none")]);
    let racks = PartitionRacks { leader: Some("r1".into()), replicas: vec!["r1".into()] };
    assert_eq!(seen.partitions("t"), [racks]);
    assert_eq!(seen.count("none"), 0);
}

#[derive(Clone, Debug)]
struct Group {
    members: Vec<Member>,
    topics: Topics,
}

fn groups() -> impl Strategy<Value = Group> {
    let rack = || proptest::option::of(0..3u8);
    let member = (proptest::collection::btree_set(0..6u8, 0..6), rack(), any::<bool>());
    let partition = proptest::collection::vec(0..3u8, 0..3);
    let topic = proptest::collection::vec(partition, 0..9);
    (proptest::collection::vec(member, 0..8), proptest::collection::vec(topic, 0..6)).prop_map(
        |(members, topics)| {
            let rack = |r: u8| Str::from(format!("r{r}"));
            let members = members.into_iter().enumerate().map(|(i, (topics, home, fixed))| Member {
                id: format!("m{i}").into(),
                instance_id: fixed.then(|| format!("i{i}").into()),
                topics: topics.into_iter().map(|t| Str::from(format!("t{t}"))).collect(),
                rack: home.map(rack),
                ..Member::default()
            });
            let mut all = Topics::default();
            for (i, partitions) in topics.into_iter().enumerate() {
                let racks =
                    |r: Vec<u8>| PartitionRacks { leader: None, replicas: r.into_iter().map(rack).collect() };
                all.insert(format!("t{i}").into(), partitions.into_iter().map(racks).collect());
            }
            Group { members: members.collect(), topics: all }
        },
    )
}

/// Every partition of every topic somebody wants goes to exactly one who wants it.
fn check(group: &Group, given: &[Vec<TopicPartition>]) {
    let mut taken = BTreeSet::new();
    for (member, list) in group.members.iter().zip(given) {
        for p in list {
            assert!(member.topics.contains(&p.topic), "{p:?} to {}", member.id);
            assert!(taken.insert(p.clone()), "{p:?} twice");
        }
    }
    for (topic, partitions) in group.topics.iter() {
        if group.members.iter().any(|m| m.topics.contains(topic)) {
            for n in 0..partitions.len() as i32 {
                assert!(taken.remove(&TopicPartition::new(topic.clone(), n)), "{topic}-{n} to nobody");
            }
        }
    }
    assert!(taken.is_empty(), "do not exist: {taken:?}");
}

proptest! {
    #[test]
    fn scenario_g3_each_partition_goes_to_one_member(group in groups()) {
        for assignor in [&Range as &dyn Assignor, &RoundRobin] {
            let given = assignor.assign(&group.members, &group.topics);
            prop_assert_eq!(given.len(), group.members.len());
            check(&group, &given);
        }
    }

    #[test]
    fn scenario_g3_range_is_even_within_each_topic(group in groups()) {
        let given = Range.assign(&group.members, &group.topics);
        for (topic, _) in group.topics.iter() {
            let of = |(m, l): (&Member, &Vec<TopicPartition>)| {
                m.topics.contains(topic).then(|| l.iter().filter(|p| p.topic == *topic).count())
            };
            let counts: Vec<usize> = group.members.iter().zip(&given).filter_map(of).collect();
            let (least, most) = (counts.iter().min(), counts.iter().max());
            prop_assert!(most.copied().unwrap_or(0) - least.copied().unwrap_or(0) <= 1, "{:?}", counts);
        }
    }

    #[test]
    fn scenario_g3_round_robin_is_even_among_equals(members in 1usize..20, counts in proptest::collection::vec(0usize..30, 1..5)) {
        let names: Vec<String> = (0..counts.len()).map(|i| format!("t{i}")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let members: Vec<Member> = (0..members).map(|i| member(&format!("m{i}"), &all)).collect();
        let topics = topics(&all.iter().copied().zip(counts).collect::<Vec<_>>());
        let given = RoundRobin.assign(&members, &topics);
        let counts: Vec<usize> = given.iter().map(Vec::len).collect();
        prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{:?}", counts);
    }
}

/// As many as make a slow assignor miss the rebalance timeout; each member has subscribed to something else.
#[test]
fn scenario_g3_hundreds_of_members_share_thousands_of_partitions() {
    let names: Vec<String> = (0..30).map(|i| format!("t{i}")).collect();
    let subscribed = |i: usize| names.iter().enumerate().filter(move |(n, _)| !(n + i).is_multiple_of(3));
    let some = |i: usize| {
        let topics: Vec<&str> = subscribed(i).map(|(_, name)| name.as_str()).collect();
        member(&format!("m{i:03}"), &topics)
    };
    let members: Vec<Member> = (0..450).map(some).collect();
    let topics = topics(&names.iter().map(|name| (name.as_str(), 100)).collect::<Vec<_>>());
    let group = Group { members, topics };
    for assignor in [&Range as &dyn Assignor, &RoundRobin] {
        let given = assignor.assign(&group.members, &group.topics);
        check(&group, &given);
        let counts: Vec<usize> = given.iter().map(Vec::len).collect();
        assert_eq!(counts.iter().sum::<usize>(), 3000);
    }
}
