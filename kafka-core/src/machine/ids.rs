//! Names of what a client consists of: machines, operations, connections.

use std::fmt;

/// A machine of a client. The numbers are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct MachineId(pub u32);

/// An operation whose outcome is waited for. The numbers are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct OpId(pub(crate) u64);

/// Whom a connection leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum Peer {
    /// A broker, by its node id.
    Node(i32),
    /// Whoever is found at this one of the bootstrap addresses, counted from 0.
    Bootstrap(usize),
}

impl Peer {
    /// The broker's node id.
    pub const fn node(self) -> Option<i32> {
        match self {
            Self::Node(id) => Some(id),
            Self::Bootstrap(_) => None,
        }
    }
}

/// One connection of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LaneKey {
    /// Where it leads.
    pub peer: Peer,
    /// What it is for.
    pub lane: Lane,
}

impl LaneKey {
    /// A lane to a broker.
    pub(crate) const fn node(id: i32, lane: Lane) -> Self {
        Self { peer: Peer::Node(id), lane }
    }
}

/// Which connection to the broker a request takes. A broker serves one request of a connection at a time,
/// so what may wait must not stand before what may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Lane {
    /// Everything short: metadata, offsets, admin calls.
    Other,
    /// Produce, of all writers of a client.
    Produce,
    /// Long polls of one reader.
    Fetch(MachineId),
    /// Fetches of one reader that shall not wait behind its parked long poll.
    FetchAside(MachineId),
    /// Join, sync, heartbeat, commit of one group membership.
    Group(MachineId),
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other => f.write_str("Other"),
            Self::Produce => f.write_str("Produce"),
            Self::Fetch(id) => write!(f, "Fetch({})", id.0),
            Self::FetchAside(id) => write!(f, "FetchAside({})", id.0),
            Self::Group(id) => write!(f, "Group({})", id.0),
        }
    }
}

impl Lane {
    /// The machine whose own it is.
    pub(crate) const fn owner(self) -> Option<MachineId> {
        match self {
            Self::Fetch(id) | Self::FetchAside(id) | Self::Group(id) => Some(id),
            Self::Other | Self::Produce => None,
        }
    }
}
