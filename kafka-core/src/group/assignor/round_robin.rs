//! `roundrobin`: all partitions in a row, dealt out like cards.

use super::{Assignor, Member, Topics, in_order, java_order};
use crate::snapshot::TopicPartition;
use std::collections::BTreeSet;

/// Deals the partitions of all topics, in order of topic and partition, to the members in turn; a member that does not
/// subscribe to a topic is skipped. Same outcome as Java's `RoundRobinAssignor`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundRobin;

impl Assignor for RoundRobin {
    fn name(&self) -> &str {
        "roundrobin"
    }

    fn assign(&self, members: &[Member], topics: &Topics) -> Vec<Vec<TopicPartition>> {
        let mut dealt = vec![Vec::new(); members.len()];
        let order = in_order(members);
        let wants: Vec<BTreeSet<&str>> =
            members.iter().map(|m| m.topics.iter().map(|t| -> &str { t }).collect()).collect();
        let mut sorted: Vec<_> = topics.iter().collect();
        sorted.sort_by(|a, b| java_order(a.0, b.0));
        let mut turn = order.iter().copied().cycle();
        for (topic, partitions) in sorted {
            if !wants.iter().any(|w| w.contains(&**topic)) {
                continue;
            }
            for partition in 0..partitions.len() as i32 {
                let Some(member) = turn.find(|m| wants[*m].contains(&**topic)) else { break };
                dealt[member].push(TopicPartition::new(topic.clone(), partition));
            }
        }
        dealt
    }
}
