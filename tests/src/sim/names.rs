//! Names and addresses of the nodes: node I has the name `nI`, and `cluster` are all of them. A node may move to another
//! address, of which its name tells later; where it was, nobody answers or connections are refused.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::broker::NodeId;

/// The name of all nodes together.
pub(crate) const ALL: &str = "cluster";

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    now: u8,
    /// What its name tells until the time.
    told: (u8, Duration),
}

#[derive(Debug, Default)]
pub(crate) struct Names {
    places: BTreeMap<NodeId, Place>,
    failing: Duration,
}

impl Names {
    pub(crate) fn readdress(&mut self, node: NodeId, told: Duration) {
        let place = self.places.entry(node).or_default();
        place.told = (place.now, told);
        place.now = place.now.wrapping_add(1);
    }

    /// No name can be looked up until then.
    pub(crate) fn fail(&mut self, until: Duration) {
        self.failing = until;
    }

    /// All names can be looked up and are right.
    pub(crate) fn heal(&mut self) {
        self.failing = Duration::ZERO;
        self.places.values_mut().for_each(|place| place.told.1 = Duration::ZERO);
    }

    pub(crate) fn resolve(
        &self,
        now: Duration,
        nodes: NodeId,
        host: &str,
        port: u16,
    ) -> io::Result<Vec<SocketAddr>> {
        if now < self.failing {
            return Err(io::ErrorKind::NotFound.into());
        }
        let ids: Vec<NodeId> = match host.strip_prefix('n').and_then(|id| id.parse().ok()) {
            Some(id) => vec![id],
            None if host == ALL => (0..nodes).collect(),
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(ids.into_iter().map(|id| self.address(now, id, port)).collect())
    }

    fn address(&self, now: Duration, id: NodeId, port: u16) -> SocketAddr {
        let place = self.places.get(&id).copied().unwrap_or_default();
        let at = if now < place.told.1 { place.told.0 } else { place.now };
        SocketAddr::from((Ipv4Addr::new(10, 0, at, id as u8), port))
    }

    /// The node at an address, and whether it is still there.
    pub(crate) fn node_at(&self, address: SocketAddr) -> Option<(NodeId, bool)> {
        let SocketAddr::V4(address) = address else { return None };
        let [10, 0, at, id] = address.ip().octets() else { return None };
        let place = self.places.get(&id.into()).copied().unwrap_or_default();
        Some((id.into(), place.now == at))
    }
}
