//! A node that has not heard of the latest changes: it tells what it knows, and goes on with what it led.
//!
//! Replicas share one log, so a leader that was replaced and does not know it can keep nothing of its own: what it is asked to
//! append with acks=all waits in vain for its followers, and what it gives to readers ends where it ended when it fell behind.

use std::collections::BTreeMap;

use kafka_proto::Str;

use super::ClusterState;
use super::config::NodeId;
use super::control::ControlError;
use super::state::topics::Partition;

/// The cluster as a node saw it when it stopped to hear of changes.
#[derive(Debug)]
pub(crate) struct View {
    alive: Vec<NodeId>,
    partitions: BTreeMap<(Str, i32), Seen>,
}

/// What a node believes of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) leader: Option<NodeId>,
    pub(crate) leader_epoch: i32,
    pub(crate) high_watermark: i64,
}

impl Seen {
    pub(crate) fn now(partition: &Partition) -> Seen {
        let (leader, leader_epoch) = (partition.leader, partition.leader_epoch);
        Seen { leader, leader_epoch, high_watermark: partition.high_watermark() }
    }
}

impl ClusterState {
    /// A node hears of no change any more, until [`ClusterState::catch_up`] or its restart: its metadata is as of now, and
    /// what it leads now it takes itself for the leader of.
    ///
    /// # Errors
    /// [`ControlError::UnknownNode`].
    pub fn fall_behind(&mut self, id: NodeId) -> Result<(), ControlError> {
        let alive = self.alive_nodes().map(|node| node.address.id).collect();
        let topics = self.topics.iter().flat_map(|topic| {
            let partitions = (0..).zip(&topic.partitions);
            partitions.map(|(index, partition)| ((topic.name.clone(), index), Seen::now(partition)))
        });
        let view = View { alive, partitions: topics.collect() };
        let node = self.nodes.get_mut(&id).ok_or(ControlError::UnknownNode(id))?;
        node.view.get_or_insert_with(|| Box::new(view));
        Ok(())
    }

    /// The node hears of everything it has missed.
    ///
    /// # Errors
    /// [`ControlError::UnknownNode`].
    pub fn catch_up(&mut self, id: NodeId) -> Result<(), ControlError> {
        self.nodes.get_mut(&id).ok_or(ControlError::UnknownNode(id))?.view = None;
        Ok(())
    }

    /// What a node believes of a partition.
    pub(crate) fn seen_by(&self, node: NodeId, topic: &str, index: i32) -> Option<Seen> {
        let now = Seen::now(self.topics.partition(topic, index)?);
        let view = self.nodes.get(&node).and_then(|node| node.view.as_ref());
        Some(view.and_then(|view| view.partitions.get(&(Str::from(topic), index)).copied()).unwrap_or(now))
    }

    /// Whether a node takes itself for the leader of a partition that another leads.
    pub(crate) fn is_deposed(&self, node: NodeId, topic: &str, index: i32) -> bool {
        let led = self.topics.partition(topic, index).and_then(|partition| partition.leader);
        led != Some(node) && self.seen_by(node, topic, index).is_some_and(|seen| seen.leader == Some(node))
    }

    /// The nodes that are up, as one of them believes.
    pub(crate) fn alive_as_seen_by(&self, node: NodeId) -> Vec<NodeId> {
        match self.nodes.get(&node).and_then(|node| node.view.as_ref()) {
            Some(view) => view.alive.clone(),
            None => self.alive_nodes().map(|node| node.address.id).collect(),
        }
    }
}
