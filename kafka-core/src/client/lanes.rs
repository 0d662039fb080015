//! The connections of a client, one a (broker, lane), and what they have learnt of addresses.
//!
//! Invariant: each connection that has not ended belongs to one lane.
//!
//! This file finds them; what is to happen is decided by [`connections`](super::connections) and the client.

use super::lane::{Attempt, LaneState, LinkState};
use crate::address::Address;
use crate::error::ConnectionError;
use crate::link::{BrokerVersions, ConnId};
use crate::machine::{Lane, LaneKey, Peer, Time};
use kafka_proto::ApiKey;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Lanes {
    all: BTreeMap<LaneKey, LaneState>,
    by_conn: FxHashMap<ConnId, LaneKey>,
    learnt: LearntVersions,
}

impl Lanes {
    pub(super) fn get(&self, key: LaneKey) -> Option<&LaneState> {
        self.all.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: LaneKey) -> Option<&mut LaneState> {
        self.all.get_mut(&key)
    }

    pub(super) fn entry(&mut self, now: Time, key: LaneKey) -> &mut LaneState {
        self.all.entry(key).or_insert_with(|| LaneState::new(now))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (LaneKey, &LaneState)> {
        self.all.iter().map(|(key, lane)| (*key, lane))
    }

    pub(super) fn remove(&mut self, key: LaneKey) {
        self.all.remove(&key);
    }

    pub(super) fn by_conn(&mut self, conn: ConnId) -> Option<(LaneKey, &mut LaneState)> {
        let key = *self.by_conn.get(&conn)?;
        self.all.get_mut(&key).map(|lane| (key, lane))
    }

    /// All connections that have not ended.
    pub(super) fn conns(&self) -> Vec<ConnId> {
        let mut conns: Vec<ConnId> = self.by_conn.keys().copied().collect();
        conns.sort_unstable();
        conns
    }

    /// How many connections are open, and how many requests are in flight.
    pub(super) fn gauges(&self) -> (u64, u64) {
        let up = self.all.values().filter(|lane| lane.up().is_some()).count();
        let in_flight: usize = self.all.values().map(LaneState::in_flight).sum();
        (up as u64, in_flight as u64)
    }

    // ---- connecting and losing ----

    /// A connection of the lane is to be made.
    pub(super) fn connect(&mut self, now: Time, key: LaneKey, attempt: Attempt, is_cluster_known: bool) {
        let is_estranged = self.is_estranged(key.peer);
        self.by_conn.insert(attempt.conn, key);
        self.entry(now, key).connect(attempt, is_cluster_known, is_estranged);
    }

    /// The version of ApiVersions to begin a connection with.
    pub(super) fn api_versions(&self, address: &Address) -> i16 {
        self.learnt.first_version(address)
    }

    /// A connection was set up.
    pub(super) fn set_up(&mut self, key: LaneKey, versions: &BrokerVersions) {
        let address = self.get(key).and_then(LaneState::address).cloned();
        address.into_iter().for_each(|address| self.learnt.set_up(address, versions));
    }

    /// An attempt to connect is given up: what its task will say is of no interest.
    pub(super) fn give_up(&mut self, conn: ConnId, reason: &ConnectionError) {
        if let Some((_, lane)) = self.by_conn(conn) {
            lane.give_up(reason);
        }
        self.by_conn.remove(&conn);
    }

    /// A connection's task has ended. The lane, and why it did.
    pub(super) fn closed(
        &mut self,
        conn: ConnId,
        error: ConnectionError,
    ) -> Option<(LaneKey, ConnectionError)> {
        let key = self.by_conn.remove(&conn)?;
        let error = match error {
            // No SASL listener, since it has served without.
            ConnectionError::ClosedAfterSetup if self.has_served(key.peer) => {
                ConnectionError::ClosedUnanswered
            }
            error => error,
        };
        let lane = self.all.get_mut(&key)?;
        let ended = lane.ended(error);
        let (error, is_unreachable) = (ended.error, ended.not_set_up.is_some());
        let falls_back =
            ended.not_set_up.is_some_and(|(address, begun)| self.learnt.not_set_up(address, begun, &error));
        let may_be_old = falls_back && matches!(error, ConnectionError::NotKafka(_));
        lane.judge(!error.is_retriable() && !may_be_old, is_unreachable);
        Some((key, error))
    }

    // ---- brokers ----

    fn of(&self, peer: Peer) -> impl Iterator<Item = &LaneState> {
        let lanes = self.all.range(LaneKey { peer, lane: Lane::Other }..);
        lanes.take_while(move |(key, _)| key.peer == peer).map(|(_, lane)| lane)
    }

    /// The lane for what is short.
    pub(super) fn other(&self, peer: Peer) -> Option<&LaneState> {
        self.get(LaneKey { peer, lane: Lane::Other })
    }

    /// The brokers with an open connection to another address than theirs.
    pub(super) fn led_elsewhere(&self, address_of: impl Fn(Peer) -> Option<Address>) -> Vec<LaneKey> {
        let up = self.iter().filter(|(_, lane)| lane.up().is_some() && !lane.is_draining());
        let moved = up.filter(|(key, lane)| address_of(key.peer).is_some_and(|a| lane.address() != Some(&a)));
        moved.map(|(key, _)| key).collect()
    }

    /// The connections to a broker that nobody has told to end.
    pub(super) fn conns_of(&self, broker: Peer) -> Vec<ConnId> {
        let lanes = self.of(broker).filter(|lane| !matches!(lane.link(), LinkState::Closing(..)));
        lanes.filter_map(LaneState::conn).collect()
    }

    /// Wants a proof of each open connection.
    pub(super) fn doubt_all(&mut self) -> Vec<LaneKey> {
        let doubted = self.all.iter_mut().filter_map(|(key, lane)| lane.doubt().then_some(*key));
        doubted.collect()
    }

    /// Whether a broker was found to belong to another cluster, and not to have come back since.
    pub(super) fn is_estranged(&self, broker: Peer) -> bool {
        self.of(broker).any(|lane| matches!(lane.last_error(), Some(ConnectionError::OtherCluster { .. })))
    }

    /// Whether a broker has answered requests, over whatever lane.
    fn has_served(&self, broker: Peer) -> bool {
        self.of(broker).any(LaneState::has_served)
    }

    /// The oldest of the versions in which brokers that are or were connected speak an API.
    pub(super) fn oldest(&self, api: ApiKey) -> Option<i16> {
        let versions = self.all.values().filter_map(LaneState::versions);
        versions.filter_map(|versions| versions.version(api)).min()
    }

    /// Whether a broker is connected to, by whatever lane.
    pub(super) fn is_any_up(&self, broker: Peer) -> bool {
        self.of(broker).any(|lane| lane.up().is_some())
    }
}

/// How connections to an address are to begin, where not with the newest version of ApiVersions.
#[derive(Debug, Default)]
struct LearntVersions(FxHashMap<Address, Learnt>);

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

impl LearntVersions {
    fn first_version(&self, address: &Address) -> i16 {
        match self.0.get(address) {
            Some(Learnt::Closes) => 0,
            Some(Learnt::Told(version)) => *version,
            None => ApiKey::ApiVersions.versions().max,
        }
    }

    fn set_up(&mut self, address: Address, versions: &BrokerVersions) {
        let told = versions.range(ApiKey::ApiVersions).map_or(0, |(_, newest)| newest);
        match self.0.get(&address) {
            Some(Learnt::Closes) => {}
            _ if told >= ApiKey::ApiVersions.versions().max => drop(self.0.remove(&address)),
            _ => self.learn(address, Learnt::Told(told.max(0))),
        }
    }

    /// A connection ended before it was set up. Some brokers reset, or answer with garbage, on a version of ApiVersions that
    /// they do not know. Where there is another cause, perhaps the broker begins anew, as a newer one. Returns whether a
    /// lower version is tried next.
    fn not_set_up(&mut self, address: Address, begun: i16, error: &ConnectionError) -> bool {
        let falls_back = begun > 0 && error.may_be_of_version();
        if falls_back {
            self.learn(address, Learnt::Closes);
        } else {
            self.0.remove(&address);
        }
        falls_back
    }

    fn learn(&mut self, address: Address, learnt: Learnt) {
        if self.0.len() >= MOST_LEARNT {
            self.0.clear();
        }
        self.0.insert(address, learnt);
    }
}
