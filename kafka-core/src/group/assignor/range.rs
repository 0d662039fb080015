//! `range`: each topic is cut into as many runs of neighbours as it has subscribers.

use super::{Assignor, Member, PartitionRacks, Topics, in_order, java_order};
use crate::snapshot::TopicPartition;
use kafka_proto::Str;
use std::collections::{BTreeMap, BTreeSet};

/// Gives each subscriber of a topic a run of neighbouring partitions; the first subscribers get one more where it does not
/// come out even. Partition n of two topics with the same subscribers and size goes to the same member.
///
/// Where members and brokers have racks and not every partition is in all racks, a member is first given partitions with a
/// replica in its own rack, up to its even share (KIP-881). Same outcome as Java's `RangeAssignor`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Range;

impl Assignor for Range {
    fn name(&self) -> &str {
        "range"
    }

    fn assign(&self, members: &[Member], topics: &Topics) -> Vec<Vec<TopicPartition>> {
        let mut given = vec![Vec::new(); members.len()];
        let mut shares = shares(members, topics);
        if shares.iter().any(|s| s.by_rack) {
            match_racks(&mut shares, &mut given);
        }
        for share in &mut shares {
            share.give_ranges(false, &mut given);
        }
        for list in &mut given {
            list.sort_by(|a, b| java_order(&a.topic, &b.topic).then(a.partition.cmp(&b.partition)));
        }
        given
    }
}

/// One topic while it is shared out.
struct Share<'a> {
    topic: &'a Str,
    partitions: &'a [PartitionRacks],
    /// Its subscribers, in order.
    members: Vec<usize>,
    racks: BTreeMap<usize, &'a str>,
    by_rack: bool,
    left: BTreeSet<usize>,
    /// How many each subscriber has so far.
    counts: BTreeMap<usize, usize>,
    even: usize,
    /// How many subscribers may still get one more than `even`.
    extra: usize,
}

fn shares<'a>(members: &'a [Member], topics: &'a Topics) -> Vec<Share<'a>> {
    let mut subscribers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for place in in_order(members) {
        for topic in &members[place].topics {
            let list = subscribers.entry(topic).or_default();
            if list.last() != Some(&place) {
                list.push(place);
            }
        }
    }
    let of = |(topic, partitions): (&'a Str, &'a [PartitionRacks])| {
        Some(Share::new(topic, partitions, subscribers.remove(&**topic)?, members))
    };
    topics.iter().filter_map(of).collect()
}

impl<'a> Share<'a> {
    fn new(
        topic: &'a Str,
        partitions: &'a [PartitionRacks],
        subscribers: Vec<usize>,
        all: &'a [Member],
    ) -> Self {
        let rack = |place: &usize| Some((*place, &**all[*place].rack.as_ref()?));
        let racks: BTreeMap<usize, &str> = subscribers.iter().filter_map(rack).collect();
        Self {
            by_rack: racks_matter(&racks, partitions),
            left: (0..partitions.len()).collect(),
            counts: subscribers.iter().map(|place| (*place, 0)).collect(),
            even: partitions.len() / subscribers.len(),
            extra: partitions.len() % subscribers.len(),
            topic,
            partitions,
            members: subscribers,
            racks,
        }
    }

    /// How many more this member may get.
    fn room(&self, member: usize) -> usize {
        (self.even + usize::from(self.extra > 0)).saturating_sub(self.counts[&member])
    }

    /// Whether the partition has a replica in the member's rack. A member without a rack is at home everywhere.
    fn near(&self, member: usize, partition: usize) -> bool {
        let Some(rack) = self.racks.get(&member) else { return true };
        self.partitions[partition].replicas.iter().any(|r| **r == **rack)
    }

    fn give_ranges(&mut self, near_only: bool, given: &mut [Vec<TopicPartition>]) {
        for member in self.members.clone() {
            let fits = |p: &&usize| !near_only || self.near(member, **p);
            let run: Vec<usize> = self.left.iter().filter(fits).take(self.room(member)).copied().collect();
            for partition in run {
                self.give(member, partition, given);
            }
        }
    }

    fn give(&mut self, member: usize, partition: usize, given: &mut [Vec<TopicPartition>]) {
        given[member].push(TopicPartition::new(self.topic.clone(), partition as i32));
        self.left.remove(&partition);
        let count = self.counts.entry(member).or_default();
        *count += 1;
        if *count == self.even + 1 {
            self.extra = self.extra.saturating_sub(1);
        }
    }
}

/// Racks are of use only where members and replicas share one, and some partition is not in all of them.
fn racks_matter<'a>(members: &BTreeMap<usize, &str>, partitions: &'a [PartitionRacks]) -> bool {
    let of = |p: &'a PartitionRacks| p.replicas.iter().map(|rack| &**rack).collect();
    let each: Vec<BTreeSet<&str>> = partitions.iter().map(of).collect();
    let all: BTreeSet<&str> = each.iter().flatten().copied().collect();
    members.values().any(|rack| all.contains(rack)) && each.iter().any(|racks| racks.len() != all.len())
}

/// The pass that looks at racks: topics of equal subscribers and size together, so that they stay aligned.
fn match_racks(shares: &mut [Share<'_>], given: &mut [Vec<TopicPartition>]) {
    let mut alike: BTreeMap<(Vec<usize>, usize), Vec<usize>> = BTreeMap::new();
    for (i, share) in shares.iter().enumerate() {
        alike.entry((share.members.clone(), share.partitions.len())).or_default().push(i);
    }
    for ((members, size), topics) in alike {
        match topics[..] {
            [only] if shares[only].by_rack => shares[only].give_ranges(true, given),
            [_] => {}
            _ => match_racks_together(shares, &topics, members, size, given),
        }
    }
}

/// Partition n of all these topics goes to the first member that has room and is near to all of them.
fn match_racks_together(
    shares: &mut [Share<'_>],
    topics: &[usize],
    mut members: Vec<usize>,
    size: usize,
    given: &mut [Vec<TopicPartition>],
) {
    for partition in 0..size {
        let suits =
            |m: &usize| topics.iter().all(|t| shares[*t].near(*m, partition) && shares[*t].room(*m) > 0);
        let Some(member) = members.iter().copied().find(suits) else { continue };
        for topic in topics {
            shares[*topic].give(member, partition, given);
        }
        if topics.iter().all(|t| shares[*t].room(member) == 0) {
            members.retain(|m| *m != member);
        }
    }
}
