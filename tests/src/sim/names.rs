//! Names and addresses of the nodes: node I begins as `nI` at the address 10.0.0.I, and `cluster` are all of them. Both may
//! change; of a new address the name may tell later. Where a node was, connections are refused or nobody answers.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::simulation::Simulation;
use crate::broker::NodeId;

/// The name of all nodes together.
pub(crate) const ALL: &str = "cluster";

/// The names and addresses of nodes, where they are not those they began with.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// `None`: the name means nothing any more.
    names: BTreeMap<String, Option<NodeId>>,
    places: BTreeMap<NodeId, Place>,
    /// No name can be looked up until then.
    failing: Duration,
}

/// Where a node is.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    now: u8,
    /// What its name tells until the time.
    told: (u8, Duration),
    /// Nobody answers where it was.
    silent: bool,
    /// Where it was something still listens that belongs to the cluster, and leads nothing.
    listens: bool,
}

/// What a client meets at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Met {
    Node(NodeId),
    /// What a node has left behind.
    Former(NodeId),
    Refusal,
    Silence,
}

impl Names {
    /// A node is at another address, of which its name tells from the time `told` on; nobody answers at the old one.
    pub(crate) fn readdress(&mut self, node: NodeId, told: Duration) {
        let place = self.move_on(node);
        place.told.1 = told;
        place.silent = true;
    }

    /// A node has another name and address, while its old ones still lead to something that listens there.
    pub(crate) fn leave_behind(&mut self, node: NodeId, host: String) {
        self.names.insert(host, Some(node));
        let place = self.move_on(node);
        place.told.1 = Duration::MAX;
        place.listens = true;
    }

    fn move_on(&mut self, node: NodeId) -> &mut Place {
        let place = self.places.entry(node).or_default();
        place.told = (place.now, Duration::ZERO);
        place.now = place.now.wrapping_add(1);
        (place.silent, place.listens) = (false, false);
        place
    }

    /// No name can be looked up until then.
    pub(crate) fn fail(&mut self, until: Duration) {
        self.failing = until;
    }

    /// All names can be looked up and are right.
    pub(crate) fn heal(&mut self) {
        self.failing = Duration::ZERO;
        for place in self.places.values_mut() {
            (place.told.1, place.listens) = (Duration::ZERO, false);
        }
    }

    /// The addresses behind a name at this moment, in a cluster of so many nodes.
    pub(crate) fn resolve(
        &self,
        now: Duration,
        nodes: NodeId,
        host: &str,
        port: u16,
    ) -> io::Result<Vec<SocketAddr>> {
        let first = || host.strip_prefix('n').and_then(|id| id.parse().ok());
        let own = self.names.get(host).copied();
        let ids: Vec<NodeId> = match own.unwrap_or_else(first) {
            _ if now < self.failing => Vec::new(),
            // A name that was given later tells the truth.
            Some(id) if own.is_some() => return Ok(vec![address(self.place(id).now, id, port)]),
            Some(id) => vec![id],
            None if host == ALL => (0..nodes).collect(),
            None => Vec::new(),
        };
        if ids.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let told = |place: Place| if now < place.told.1 { place.told.0 } else { place.now };
        Ok(ids.into_iter().map(|id| address(told(self.place(id)), id, port)).collect())
    }

    fn place(&self, id: NodeId) -> Place {
        self.places.get(&id).copied().unwrap_or_default()
    }

    /// What is at an address at this moment.
    pub(crate) fn at(&self, address: SocketAddr) -> Met {
        let SocketAddr::V4(address) = address else { return Met::Refusal };
        let [10, 0, at, id] = address.ip().octets() else { return Met::Refusal };
        let place = self.place(id.into());
        match (place.now == at, place.silent) {
            (true, _) => Met::Node(id.into()),
            (false, _) if place.listens && place.told.0 == at => Met::Former(id.into()),
            (false, true) => Met::Silence,
            (false, false) => Met::Refusal,
        }
    }
}

fn address(at: u8, id: NodeId, port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 0, at, id as u8), port))
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
        names.move_on(node);
    }

    /// A node gets another address under the same name. Connections that are open stay.
    pub fn readdress(&self, node: NodeId) {
        self.runtime.world().net.names.move_on(node);
    }
}
