//! How the machines inside the client (readers, groups, writers, admin calls) ask the cluster for something.
//!
//! A machine is pulled: [`Ask`]s come out of its `poll_ask`, the client routes each to a broker, and the [`Answer`] goes back by its tag.
//! A machine writes each request in the **newest form** of its API; the client fits it to the version of the connection,
//! and lifts the answer to the newest form (see `fit`), so that versions are nowhere else.

use crate::error::Error;
use kafka_proto::Str;
use kafka_proto::{RequestKind, ResponseKind};
use std::time::{Duration, Instant};

/// The time at which something happens, given from outside: the core reads no clock.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Monotonic; never goes backwards.
    pub instant: Instant,
    /// The wall clock, in ms since the epoch: for records' timestamps only.
    pub wall_ms: i64,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Any broker that can be reached.
    Any,
    /// This one.
    Peer(Peer),
    /// The controller.
    Controller,
    /// The coordinator of a group or transactional id.
    Coordinator(CoordinatorKind, Str),
}

impl Target {
    /// A broker by its node id.
    pub const fn node(id: i32) -> Self {
        Self::Peer(Peer::Node(id))
    }
}

/// Whom a connection leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
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

/// One connection of a client, as long as it is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneKey {
    /// Where it leads.
    pub peer: Peer,
    /// What it is for.
    pub lane: Lane,
}

impl LaneKey {
    /// A lane to a broker.
    pub const fn node(id: i32, lane: Lane) -> Self {
        Self { peer: Peer::Node(id), lane }
    }
}

/// What a coordinator coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CoordinatorKind {
    /// A consumer group (key type 0).
    Group,
    /// A transactional id (key type 1).
    Transaction,
}

/// Which connection to the broker a request takes. A broker serves one request of a connection at a time,
/// so what may wait must not stand before what may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Everything short: metadata, offsets, admin calls.
    Other,
    /// Produce, of all writers of a client.
    Produce,
    /// Long polls of one reader.
    Fetch(u32),
    /// Fetches of one reader that shall not wait behind its parked long poll.
    FetchAside(u32),
    /// Join, sync, heartbeat, commit of one group membership.
    Group(u32),
}

/// One request that a machine wants to be sent. The client does not retry it: a failed one is answered with its error.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Chosen by the machine, unique among its open asks.
    pub tag: u64,
    /// Where it goes.
    pub target: Target,
    /// By which connection.
    pub lane: Lane,
    /// The request in the newest form of its API.
    pub request: RequestKind,
    /// From now to its answer, connecting and finding the coordinator included.
    pub timeout: Duration,
}

/// What became of an [`Ask`].
#[derive(Clone, Debug)]
pub struct Answer {
    /// The ask's tag.
    pub tag: u64,
    /// Who answered, or was asked; `None` where nobody could be found.
    pub peer: Option<Peer>,
    /// The response lifted to the newest form, error codes inside not looked at; or why there is none.
    pub result: Result<ResponseKind, Error>,
}

/// What a machine learnt that concerns the metadata of the whole client; pulled with its `poll_hint`.
#[derive(Clone, Debug, PartialEq)]
pub enum Hint {
    /// The metadata of this topic seems to be out of date.
    Refresh(Str),
    /// A response told the new leader (KIP-951); `node` where it told its address too.
    Leader {
        /// The topic.
        topic: Str,
        /// The partition.
        partition: i32,
        /// The new leader.
        leader: i32,
        /// Its epoch.
        leader_epoch: i32,
        /// Its address, where told.
        node: Option<super::cluster::Node>,
    },
    /// The coordinator of this group is not, or no longer, where we thought.
    NotCoordinator(CoordinatorKind, Str),
}
