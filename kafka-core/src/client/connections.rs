//! Connecting, losing and closing of lanes.
//!
//! Invariants
//! * A lane with something to do is connecting, up, waiting for its reconnect timer, or closing: never silent.
//! * A lane that failed waits before it tries again, longer with each failure in a row; a response ends the row.
//! * A planned close (idle, no longer needed) is no failure.
//! * A connection that replaces another one carries nothing before its broker has told the id of the client's cluster.
//! * A connection to an address that its broker has left is used no more once answers agree on another one.
//! * What a connection learnt of an address's versions of ApiVersions counts for all lanes to it.

use super::lane::{Attempt, LaneState, LinkState};
use super::timers::Timer;
use super::{Action, Client, Event, Key, not_in_metadata};
use crate::address::Address;
use crate::error::ConnectionError;
use crate::link::{BrokerVersions, ConnId, LinkConfig, Unanswered};
use crate::machine::{Lane, LaneKey, Now, Peer, Time};
use crate::trace::Told;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

impl Client {
    /// The lane has something to do: connects it, or tells its task.
    pub(super) fn kick(&mut self, now: Time, key: LaneKey) {
        let lane = self.lanes.entry(now, key);
        if *lane.link() == LinkState::Idle {
            return self.connect(now, key);
        }
        if let Some(conn) = lane.announce(now) {
            self.announce(Event::Wake(Key::Conn(conn)));
        }
    }

    fn connect(&mut self, now: Time, key: LaneKey) {
        if self.closed {
            // Nobody waits for what is queued.
            return;
        }
        let Some(address) = self.address_of(key.peer) else {
            // What is built when it is handed out is not in the queue, and its machine has to know.
            if matches!(key.lane, Lane::Produce | Lane::Fetch(_)) {
                self.unaddressed.insert(key);
            }
            return self.fail_queued(now, key, &not_in_metadata());
        };
        let conn = ConnId(self.next_id());
        let deadline = now + self.connect_timeout(key.peer);
        let api_versions = self.lanes.api_versions(&address);
        let attempt = Attempt { conn, address: address.clone(), api_versions };
        self.lanes.connect(now, key, attempt, self.metadata.cluster().id.is_some());
        self.timers.set(Timer::Conn(conn), deadline);
        let link = LinkConfig {
            client_id: self.config.client_id.clone(),
            max_response_bytes: self.config.max_response_bytes,
            api_versions,
        };
        self.stats.connects += 1;
        let Address { host, port } = address;
        self.outputs.order(Action::Connect { conn, host, port, deadline, link });
    }

    /// The bootstrap addresses share the time, so that one that is silent leaves some for the others.
    fn connect_timeout(&self, peer: Peer) -> Duration {
        let sharing = if peer.node().is_none() { self.config.bootstrap.len() } else { 1 };
        self.config.connect_timeout / u32::try_from(sharing).unwrap_or(1).max(1)
    }

    /// The bootstrap addresses, in their order.
    pub(super) fn bootstrap(&self) -> impl Iterator<Item = Peer> + use<> {
        (0..self.config.bootstrap.len()).map(Peer::Bootstrap)
    }

    pub(super) fn address_of(&self, peer: Peer) -> Option<Address> {
        match peer {
            Peer::Node(id) => self.metadata.cluster().nodes.get(&id).map(|node| node.address()),
            Peer::Bootstrap(at) => self.config.bootstrap.get(at).cloned(),
        }
    }

    /// The other side took the connection; it is not set up yet.
    pub(super) fn accepted(&mut self, conn: ConnId) {
        if let Some((_, lane)) = self.lanes.by_conn(conn) {
            lane.accepted();
        }
    }

    pub(super) fn connected(&mut self, now: Now, conn: ConnId, versions: Arc<BrokerVersions>) {
        let Some((key, lane)) = self.lanes.by_conn(conn) else { return };
        if !lane.connected(now.time, conn, Arc::clone(&versions)) {
            return;
        }
        let (broker, lane) = (self.broker_name(key.peer), key.lane);
        self.outputs.trace(|| Told::Connected { broker: broker.to_string(), lane: lane.to_string() });
        self.lanes.set_up(key, &versions);
        self.timers.stop(&Timer::Conn(conn));
        self.timers.set(Timer::Idle(key), now.time + self.config.connections_max_idle);
        self.kick(now.time, key);
    }

    /// The connection's task has ended.
    pub(super) fn closed(
        &mut self,
        now: Now,
        conn: ConnId,
        error: ConnectionError,
        unanswered: Vec<Unanswered>,
    ) {
        self.timers.stop(&Timer::Conn(conn));
        if let Some((key, error)) = self.lanes.closed(conn, error) {
            self.lost(now, key, &error, &unanswered);
        }
    }

    /// The lane has no connection any more: backs off, and fails what was pending.
    fn lost(&mut self, now: Now, key: LaneKey, error: &ConnectionError, unanswered: &[Unanswered]) {
        let planned = *error == ConnectionError::ClosedByClient;
        let Some(lane) = self.lanes.get_mut(key) else { return };
        let lost = if planned { lane.rest() } else { lane.fail(error.clone()) };
        self.timers.stop(&Timer::Idle(key));
        if !planned {
            self.back_off(now.time, key, lost.failures, error.clone());
        }
        for (id, _) in lost.in_flight {
            // What the task does not list was never given to the socket.
            let taken = unanswered.iter().find(|u| u.id == id).is_some_and(|u| u.taken);
            self.request_failed(now, id, error, taken);
        }
        if planned {
            // What came while it closed was told to nobody.
            let wanted = !self.closed && self.machines.want_lane(key);
            if wanted || self.lanes.get(key).is_some_and(|lane| lane.queued() > 0) {
                self.kick(now.time, key);
            } else {
                self.drop_orphan(key);
            }
        } else {
            self.fail_queued(now.time, key, error);
            self.broker_failed(now, key, error);
        }
    }

    fn back_off(&mut self, now: Time, key: LaneKey, failures: u32, error: ConnectionError) {
        self.stats.connection_failures += 1;
        let (min, max) = (self.config.reconnect_backoff, self.config.reconnect_backoff_max);
        let wait = self.random.backoff(failures, min, max);
        self.timers.set(Timer::Reconnect(key), now + wait);
        let (broker, lane) = (self.broker_name(key.peer), key.lane);
        self.outputs.trace(|| Told::ConnectionLost {
            broker: broker.to_string(),
            lane: lane.to_string(),
            error,
            retry: wait,
        });
    }

    /// Fails what waits for the lane; what any broker can serve goes elsewhere.
    fn fail_queued(&mut self, now: Time, key: LaneKey, error: &ConnectionError) {
        let queued = match self.lanes.get_mut(key) {
            Some(lane) => lane.take_queue(),
            None => return,
        };
        let now = Now { time: now, wall_ms: 0 };
        for id in queued {
            self.request_failed(now, id, error, false);
        }
    }

    /// Ends a connection for a reason; its requests fail when its task has reported.
    pub(super) fn close_conn(&mut self, now: Now, conn: ConnId, reason: ConnectionError) {
        let Some((key, lane)) = self.lanes.by_conn(conn) else { return };
        self.outputs.order(Action::Close(conn));
        match lane.link() {
            LinkState::Up(_) => lane.close(reason),
            LinkState::Connecting(_) => {
                self.lanes.give_up(conn, &reason);
                self.timers.stop(&Timer::Conn(conn));
                self.lost(now, key, &reason, &[]);
            }
            _ => {}
        }
    }

    pub(super) fn conn_timeout(&mut self, now: Now, conn: ConnId) {
        let Some((_, lane)) = self.lanes.by_conn(conn) else { return };
        match lane.timed_out(now.time) {
            Some(Ok(reason)) => self.close_conn(now, conn, reason),
            Some(Err(at)) => self.timers.set(Timer::Conn(conn), at),
            None => {}
        }
    }

    pub(super) fn reconnect(&mut self, now: Time, key: LaneKey) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        if !lane.end_backoff() {
            return;
        }
        if lane.queued() > 0 || self.machines.want_lane(key) {
            self.kick(now, key);
        } else {
            self.drop_orphan(key);
        }
    }

    /// A lane without a connection is kept for what it has learnt, unless its machine is gone.
    fn drop_orphan(&mut self, key: LaneKey) {
        if key.lane.owner().is_some_and(|id| !self.has(id)) {
            self.lanes.remove(key);
        }
    }

    pub(super) fn idle_timeout(&mut self, now: Now, key: LaneKey) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        let Some(conn) = lane.up() else { return };
        let due = lane.idle_since() + self.config.connections_max_idle;
        if lane.is_unused() && due <= now.time {
            self.close_conn(now, conn, ConnectionError::ClosedByClient);
        } else {
            let at = due.max(now.time + self.config.connections_max_idle / 10);
            self.timers.set(Timer::Idle(key), at);
        }
    }

    /// A broker told where brokers are to be found. Connections to one that has moved end once answers agree: the old
    /// listener may live on, and lag for ever.
    pub(super) fn check_addresses(&mut self, now: Now, witness: Option<Peer>, is_told: impl Fn(i32) -> bool) {
        let Some(peer) = witness else { return };
        let elsewhere = self.lanes.led_elsewhere(|broker| self.address_of(broker));
        let moved: BTreeSet<i32> =
            elsewhere.iter().filter_map(|key| key.peer.node()).filter(|b| is_told(*b)).collect();
        let known = self.metadata.cluster().nodes.keys().copied();
        let stayed: Vec<i32> = known.filter(|broker| is_told(*broker) && !moved.contains(broker)).collect();
        let address = |broker: i32| Some((broker, self.address_of(Peer::Node(broker))?));
        let moved: Vec<(i32, Address)> = moved.into_iter().filter_map(address).collect();
        for broker in self.metadata.check_addresses(now.time, peer, &stayed, moved) {
            let lanes = elsewhere.iter().filter(|key| key.peer == Peer::Node(broker));
            lanes.for_each(|key| self.drain(now, *key));
        }
    }

    /// Ends a connection as soon as nothing is in flight on it.
    fn drain(&mut self, now: Now, key: LaneKey) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.drain();
        }
        self.close_drained(now, key);
    }

    pub(super) fn close_drained(&mut self, now: Now, key: LaneKey) {
        if let Some(conn) = self.lanes.get(key).and_then(LaneState::drained) {
            self.close_conn(now, conn, ConnectionError::ClosedByClient);
        }
    }

    /// A broker turned out to belong to another cluster: nothing more goes to it, by whatever lane, until a new connection has
    /// proven that it leads to the client's own. The other brokers are asked before anything more goes to them.
    pub(super) fn part_from(&mut self, now: Now, broker: Peer, error: &ConnectionError) {
        let is_news = !self.lanes.is_estranged(broker);
        for conn in self.lanes.conns_of(broker) {
            self.close_conn(now, conn, error.clone());
        }
        let others = if is_news { self.lanes.doubt_all() } else { Vec::new() };
        others.into_iter().for_each(|key| self.kick(now.time, key));
    }

    /// The connections to bootstrap addresses have done their work once brokers are known.
    pub(super) fn close_bootstrap(&mut self, now: Now) {
        let unused = self.lanes.iter().filter(|(key, lane)| key.peer.node().is_none() && lane.is_unused());
        let done: Vec<ConnId> = unused.filter_map(|(_, lane)| lane.up()).collect();
        for conn in done {
            self.close_conn(now, conn, ConnectionError::ClosedByClient);
        }
    }

    /// A lane nobody needs any more (its machine has ended).
    pub(super) fn drop_lanes(&mut self, now: Now, of: impl Fn(Lane) -> bool) {
        let keys: Vec<LaneKey> = self.lanes.iter().map(|(key, _)| key).filter(|key| of(key.lane)).collect();
        for key in keys {
            self.timers.stop(&Timer::Reconnect(key));
            let Some(lane) = self.lanes.get_mut(key) else { continue };
            match lane.conn() {
                Some(conn) => self.close_conn(now, conn, ConnectionError::ClosedByClient),
                None => {
                    self.fail_queued(now.time, key, &ConnectionError::ClosedByClient);
                    self.lanes.remove(key);
                }
            }
        }
    }
}
