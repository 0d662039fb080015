//! The connections of a client, one a (broker, lane): their states, queues and in-flight requests.
//!
//! This file holds and counts; what is to happen is decided by [`connections`](super::connections) and the client.

use crate::address::Address;
use crate::error::ConnectionError;
use crate::link::{BrokerVersions, ConnId, RequestId};
use crate::machine::{Lane, LaneKey, Peer, Time};
use kafka_proto::ApiKey;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct LaneState {
    pub(crate) link: LinkState,
    /// Requests that wait to be handed out.
    pub(crate) queue: VecDeque<RequestId>,
    /// Requests handed out and not answered, with their deadlines.
    pub(crate) in_flight: VecDeque<(RequestId, Time)>,
    /// Failures in a row; a response ends the row.
    pub(crate) failures: u32,
    pub(crate) last_error: Option<ConnectionError>,
    /// What stands against it will not heal by itself: a foreign service at the address.
    pub(crate) is_hopeless: bool,
    /// The last attempt to connect failed.
    pub(crate) is_unreachable: bool,
    /// While it connects: the other side has accepted.
    pub(crate) is_accepted: bool,
    /// Where its connection leads, or the last one led.
    pub(crate) address: Option<Address>,
    /// The broker has moved: what is in flight is waited for, then the connection ends.
    pub(crate) is_draining: bool,
    pub(crate) versions: Option<Arc<BrokerVersions>>,
    /// Whether its connection is known to lead to the client's cluster.
    pub(crate) proof: Proof,
    /// The broker has answered a request over it, once.
    pub(crate) has_served: bool,
    pub(crate) throttled_until: Option<Time>,
    /// When its broker refused, over this connection, what any broker may serve, and has served none since.
    pub(crate) refused_at: Option<Time>,
    pub(crate) last_used: Time,
    /// The version of ApiVersions that its connection began with.
    pub(crate) api_versions: i16,
    /// The connection's task was told that there is something to send.
    pub(crate) announced: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LinkState {
    Idle,
    Backoff,
    Connecting(ConnId),
    Up(ConnId),
    /// Told to end; what became of its requests is not known yet.
    Closing(ConnId, ConnectionError),
}

/// Whether a connection leads to the cluster that this client began with: behind a name there may be another one by now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Proof {
    NotNeeded,
    /// Nothing is sent before the broker was asked for its cluster.
    Wanted,
    /// Nothing is sent before it has told.
    Asked,
}

impl LaneState {
    pub(crate) fn new(now: Time) -> Self {
        Self {
            link: LinkState::Idle,
            queue: VecDeque::new(),
            in_flight: VecDeque::new(),
            failures: 0,
            last_error: None,
            is_hopeless: false,
            is_unreachable: false,
            is_accepted: false,
            address: None,
            is_draining: false,
            versions: None,
            proof: Proof::NotNeeded,
            has_served: false,
            throttled_until: None,
            refused_at: None,
            last_used: now,
            api_versions: 0,
            announced: false,
        }
    }

    pub(crate) fn conn(&self) -> Option<ConnId> {
        match self.link {
            LinkState::Connecting(conn) | LinkState::Up(conn) | LinkState::Closing(conn, _) => Some(conn),
            LinkState::Idle | LinkState::Backoff => None,
        }
    }

    pub(crate) fn up(&self) -> Option<ConnId> {
        match self.link {
            LinkState::Up(conn) => Some(conn),
            _ => None,
        }
    }

    /// The last attempt to connect failed, or the next one waits.
    pub(crate) fn has_fallen(&self) -> bool {
        self.is_hopeless || self.is_unreachable || self.link == LinkState::Backoff
    }

    pub(crate) fn is_muted(&self, now: Time) -> bool {
        self.throttled_until.is_some_and(|until| now < until)
    }

    pub(crate) fn is_unused(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty()
    }

    /// Takes a request off the in-flight queue; whether it was there.
    pub(crate) fn answered(&mut self, id: RequestId) -> bool {
        let Some(at) = self.in_flight.iter().position(|(r, _)| *r == id) else { return false };
        self.in_flight.remove(at);
        true
    }

    pub(crate) fn earliest_deadline(&self) -> Option<Time> {
        self.in_flight.iter().map(|(_, at)| *at).min()
    }

    /// How good a lane is for a request that any broker can serve; less is better. A broker that refused one comes after those
    /// that have not, though they have yet to be connected to, and after those that did so before it.
    pub(crate) fn rank(&self, now: Time) -> Rank {
        let state = match self.link {
            LinkState::Up(_) if !self.is_muted(now) => 0,
            _ if self.is_hopeless => 6,
            LinkState::Connecting(_) => 1,
            LinkState::Idle => 2,
            LinkState::Up(_) => 3,
            LinkState::Closing(..) => 4,
            LinkState::Backoff => 5,
        };
        let load = self.queue.len() + self.in_flight.len();
        Rank { is_down: state >= 4 || self.has_fallen(), refused_at: self.refused_at, state, load }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    is_down: bool,
    refused_at: Option<Time>,
    state: u8,
    load: usize,
}

impl Rank {
    /// Of a broker that was never connected to.
    pub(crate) const NEW: Self = Self { is_down: false, refused_at: None, state: 2, load: 0 };
}

#[derive(Debug, Default)]
pub(crate) struct Lanes {
    pub(crate) lanes: BTreeMap<LaneKey, LaneState>,
    pub(crate) conns: BTreeMap<ConnId, LaneKey>,
    /// What connections of any lane learnt.
    learnt: BTreeMap<Address, Learnt>,
}

/// How connections to an address are to begin, where not with the newest version of ApiVersions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Learnt {
    /// What answers there closes on a version that it does not know, whatever it tells once it is asked in version 0: a proxy
    /// may know less than the broker behind it.
    Closes,
    /// The newest version that the broker told.
    Told(i16),
}

/// Of so many addresses something is kept; after that all is forgotten, which costs a connection or a round trip each.
const MOST_LEARNT: usize = 1000;

impl Lanes {
    pub(crate) fn get(&self, key: LaneKey) -> Option<&LaneState> {
        self.lanes.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: LaneKey) -> Option<&mut LaneState> {
        self.lanes.get_mut(&key)
    }

    /// The brokers with an open connection to another address than theirs.
    pub(crate) fn led_elsewhere(&self, address_of: impl Fn(Peer) -> Option<Address>) -> Vec<LaneKey> {
        let up = self.lanes.iter().filter(|(_, lane)| lane.up().is_some() && !lane.is_draining);
        let moved = up.filter(|(key, lane)| address_of(key.peer).is_some_and(|a| lane.address != Some(a)));
        moved.map(|(key, _)| *key).collect()
    }

    fn of(&self, peer: Peer) -> impl Iterator<Item = &LaneState> {
        let lanes = self.lanes.range(LaneKey { peer, lane: Lane::Other }..);
        lanes.take_while(move |(key, _)| key.peer == peer).map(|(_, lane)| lane)
    }

    /// The connections to a broker that nobody has told to end.
    pub(crate) fn conns_of(&self, broker: Peer) -> Vec<ConnId> {
        let lanes = self.of(broker).filter(|lane| !matches!(lane.link, LinkState::Closing(..)));
        lanes.filter_map(LaneState::conn).collect()
    }

    /// Wants a proof of each open connection.
    pub(crate) fn doubt_all(&mut self) -> Vec<LaneKey> {
        let up = self.lanes.iter_mut().filter(|(_, l)| l.up().is_some() && l.proof == Proof::NotNeeded);
        up.map(|(key, lane)| {
            lane.proof = Proof::Wanted;
            *key
        })
        .collect()
    }

    /// Whether a broker was found to belong to another cluster, and not to have come back since.
    pub(crate) fn is_estranged(&self, broker: Peer) -> bool {
        self.of(broker).any(|lane| matches!(lane.last_error, Some(ConnectionError::OtherCluster { .. })))
    }

    /// Whether a broker has answered requests, over whatever lane.
    pub(crate) fn has_served(&self, broker: Peer) -> bool {
        self.of(broker).any(|lane| lane.has_served)
    }

    /// The version of ApiVersions to begin a connection with.
    pub(crate) fn api_versions(&self, address: &Address) -> i16 {
        match self.learnt.get(address) {
            Some(Learnt::Closes) => 0,
            Some(Learnt::Told(version)) => *version,
            None => ApiKey::ApiVersions.versions().max,
        }
    }

    /// A connection was set up.
    pub(crate) fn set_up(&mut self, address: Address, versions: &BrokerVersions) {
        let told = versions.range(ApiKey::ApiVersions).map_or(0, |(_, newest)| newest);
        match self.learnt.get(&address) {
            Some(Learnt::Closes) => {}
            _ if told >= ApiKey::ApiVersions.versions().max => drop(self.learnt.remove(&address)),
            _ => self.learn(address, Learnt::Told(told.max(0))),
        }
    }

    /// A connection ended before it was set up. Some brokers reset, or answer with garbage, on a version of ApiVersions that
    /// they do not know. Where there is another cause, perhaps the broker begins anew, as a newer one. Returns whether a
    /// lower version is tried next.
    pub(crate) fn not_set_up(&mut self, address: Address, begun: i16, error: &ConnectionError) -> bool {
        let falls_back = begun > 0 && error.may_be_of_version();
        if falls_back {
            self.learn(address, Learnt::Closes);
        } else {
            self.learnt.remove(&address);
        }
        falls_back
    }

    fn learn(&mut self, address: Address, learnt: Learnt) {
        if self.learnt.len() >= MOST_LEARNT {
            self.learnt.clear();
        }
        self.learnt.insert(address, learnt);
    }

    /// The oldest of the versions in which brokers that are or were connected speak an API.
    pub(crate) fn oldest(&self, api: ApiKey) -> Option<i16> {
        let versions = self.lanes.values().filter_map(|lane| lane.versions.as_ref());
        versions.filter_map(|versions| versions.version(api)).min()
    }

    /// Whether a broker is connected to, by whatever lane.
    pub(crate) fn is_any_up(&self, broker: Peer) -> bool {
        self.of(broker).any(|lane| lane.up().is_some())
    }

    pub(crate) fn by_conn(&mut self, conn: ConnId) -> Option<(LaneKey, &mut LaneState)> {
        let key = *self.conns.get(&conn)?;
        self.lanes.get_mut(&key).map(|lane| (key, lane))
    }
}
