//! Racks: where nodes are, and the replica that a leader sends a consumer to (KIP-392).

use super::ClusterState;
use super::config::NodeId;
use super::control::ControlError;

impl ClusterState {
    /// The node is in this rack from now on, which clients are told.
    ///
    /// # Errors
    /// [`ControlError::UnknownNode`].
    pub fn set_rack(&mut self, node: NodeId, rack: &str) -> Result<(), ControlError> {
        let known = self.nodes.get_mut(&node).ok_or(ControlError::UnknownNode(node))?;
        known.address.rack = Some(rack.to_owned());
        Ok(())
    }

    /// Whom this node, as the leader, sends a consumer of a rack to: an in-sync replica in that rack, unless it is there itself.
    pub(crate) fn replica_near(&self, node: NodeId, topic: &str, index: i32, rack: &str) -> Option<NodeId> {
        if rack.is_empty() || !self.config.rack_aware_replicas {
            return None;
        }
        let partition = self.topics.partition(topic, index).filter(|p| p.leader == Some(node))?;
        let is_near = |node: &NodeId| {
            self.nodes.get(node).is_some_and(|n| n.alive && n.address.rack.as_deref() == Some(rack))
        };
        if is_near(&node) { None } else { partition.isr.iter().copied().find(is_near) }
    }
}
