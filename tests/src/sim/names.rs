//! What names mean: node I begins as `nI`, at the address 10.0.0.I, and both may change.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::simulation::Simulation;
use crate::broker::NodeId;

/// The names and addresses of nodes, where they are not those they began with.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// `None`: the name means nothing any more.
    names: BTreeMap<String, Option<NodeId>>,
    /// How often a node has moved.
    moves: BTreeMap<NodeId, u8>,
}

impl Names {
    /// The address behind a name at this moment.
    pub(crate) fn address(&self, host: &str) -> Option<Ipv4Addr> {
        let first = || host.strip_prefix('n').and_then(|id| id.parse().ok());
        let node = self.names.get(host).copied().unwrap_or_else(first)?;
        let moves = self.moves.get(&node).copied().unwrap_or(0);
        Some(Ipv4Addr::new(10, 0, moves, u8::try_from(node).ok()?))
    }

    /// The node that has an address at this moment.
    pub(crate) fn node_at(&self, address: Ipv4Addr) -> Option<NodeId> {
        let [_, _, moves, node] = address.octets();
        let node = NodeId::from(node);
        (self.moves.get(&node).copied().unwrap_or(0) == moves).then_some(node)
    }
}

impl Simulation {
    /// A name of this node's from now on, beside the one that it tells.
    pub fn name(&self, host: &str, node: NodeId) {
        self.runtime.world().net.names.names.insert(host.to_owned(), Some(node));
    }

    /// A node gets another name and address: it tells the new ones, and the old name means nothing any more. Connections
    /// that are open stay.
    pub fn rename(&self, node: NodeId, host: &str) {
        let old = self.with(|cluster, _| cluster.rename(node, host));
        let mut world = self.runtime.world();
        let names = &mut world.net.names;
        names.names.extend(old.map(|old| (old, None)));
        names.names.insert(host.to_owned(), Some(node));
        *names.moves.entry(node).or_default() += 1;
    }

    /// A node gets another address under the same name. Connections that are open stay.
    pub fn readdress(&self, node: NodeId) {
        *self.runtime.world().net.names.moves.entry(node).or_default() += 1;
    }
}
