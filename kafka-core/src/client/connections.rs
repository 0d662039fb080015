//! Connecting, losing and closing of lanes.
//!
//! Invariants
//! * A lane with something to do is connecting, up, waiting for its reconnect timer, or closing: never silent.
//! * A lane that failed waits before it tries again, longer with each failure in a row; a response ends the row.
//! * A planned close (idle, no longer needed) is no failure.
//! * A connection that replaces another one carries nothing before its broker has told the id of the client's cluster.
//! * A connection to an address that its broker has left is used no more once answers agree on another one.
//! * What a connection learnt of an address's versions of ApiVersions counts for all lanes to it.

use super::doubts::{Claim, Subject, Witness};
use super::lanes::{LaneState, LinkState, Proof};
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
        let lane = self.lane(now, key);
        match lane.link {
            LinkState::Idle => self.connect(now, key),
            LinkState::Up(conn) if !lane.announced && !lane.is_muted(now) => {
                lane.announced = true;
                self.events.push_back(Event::Wake(Key::Conn(conn)));
            }
            _ => {}
        }
    }

    pub(super) fn lane(&mut self, now: Time, key: LaneKey) -> &mut LaneState {
        self.lanes.lanes.entry(key).or_insert_with(|| LaneState::new(now))
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
        let (is_known, is_estranged) =
            (self.metadata.cluster.id.is_some(), self.lanes.is_estranged(key.peer));
        let api_versions = self.lanes.api_versions(&address);
        let lane = self.lane(now, key);
        lane.api_versions = api_versions;
        (lane.link, lane.is_accepted, lane.is_draining) = (LinkState::Connecting(conn), false, false);
        let is_first = lane.address.replace(address.clone()).is_none();
        let is_open = is_known && (!is_first || is_estranged);
        lane.proof = if is_open { Proof::Wanted } else { Proof::NotNeeded };
        self.lanes.conns.insert(conn, key);
        self.timers.set(Timer::Conn(conn), deadline);
        let link = LinkConfig {
            client_id: self.config.client_id.clone(),
            max_response_bytes: self.config.max_response_bytes,
            api_versions,
        };
        self.stats.connects += 1;
        let Address { host, port } = address;
        self.actions.push_back(Action::Connect { conn, host, port, deadline, link });
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
            Peer::Node(id) => {
                let node = self.metadata.cluster.nodes.get(&id)?;
                Some(Address { host: node.host.clone(), port: node.port })
            }
            Peer::Bootstrap(at) => self.config.bootstrap.get(at).cloned(),
        }
    }

    /// The other side took the connection; it is not set up yet.
    pub(super) fn accepted(&mut self, conn: ConnId) {
        if let Some((_, lane)) = self.lanes.by_conn(conn) {
            lane.is_accepted = true;
        }
    }

    pub(super) fn connected(&mut self, now: Now, conn: ConnId, versions: Arc<BrokerVersions>) {
        let Some((key, lane)) = self.lanes.by_conn(conn) else { return };
        if lane.link != LinkState::Connecting(conn) {
            return;
        }
        lane.link = LinkState::Up(conn);
        lane.versions = Some(Arc::clone(&versions));
        (lane.last_used, lane.is_hopeless, lane.is_unreachable) = (now.time, false, false);
        lane.refused_at = None;
        // Something may have come while it connected; the task asks by itself at first.
        lane.announced = false;
        let (broker, lane) = (self.broker_name(key.peer), key.lane);
        self.traces.push(|| Told::Connected { broker, lane: lane.to_string() });
        if let Some(address) = self.lanes.get(key).and_then(|lane| lane.address.clone()) {
            self.lanes.set_up(address, &versions);
        }
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
        let Some(key) = self.lanes.conns.remove(&conn) else { return };
        self.timers.stop(&Timer::Conn(conn));
        let error = match error {
            // No SASL listener, since it has served without.
            ConnectionError::ClosedAfterSetup if self.lanes.has_served(key.peer) => {
                ConnectionError::ClosedUnanswered
            }
            error => error,
        };
        let Some(lane) = self.lanes.get_mut(key) else { return };
        let address = lane.address.clone();
        let (link, begun) = (std::mem::replace(&mut lane.link, LinkState::Idle), lane.api_versions);
        let (error, is_set_up) = match link {
            LinkState::Closing(_, reason) => (reason, true),
            LinkState::Connecting(_) => (error, false),
            _ => (error, true),
        };
        let falls_back =
            !is_set_up && address.is_some_and(|address| self.lanes.not_set_up(address, begun, &error));
        let may_be_old = falls_back && matches!(error, ConnectionError::NotKafka(_));
        let Some(lane) = self.lanes.get_mut(key) else { return };
        lane.is_hopeless = !error.is_retriable() && !may_be_old;
        lane.is_unreachable = !is_set_up;
        self.lost(now, key, &error, &unanswered);
    }

    /// The lane has no connection any more: backs off, and fails what was pending.
    fn lost(&mut self, now: Now, key: LaneKey, error: &ConnectionError, unanswered: &[Unanswered]) {
        let planned = *error == ConnectionError::ClosedByClient;
        let Some(lane) = self.lanes.get_mut(key) else { return };
        let in_flight = std::mem::take(&mut lane.in_flight);
        lane.announced = false;
        self.timers.stop(&Timer::Idle(key));
        if planned {
            lane.link = LinkState::Idle;
        } else {
            self.stats.connection_failures += 1;
            lane.last_error = Some(error.clone());
            let attempt = lane.failures;
            lane.failures = lane.failures.saturating_add(1);
            lane.link = LinkState::Backoff;
            let wait = self.random.backoff(
                attempt,
                self.config.reconnect_backoff,
                self.config.reconnect_backoff_max,
            );
            self.timers.set(Timer::Reconnect(key), now.time + wait);
            let (broker, error) = (self.broker_name(key.peer), error.clone());
            let lane = key.lane;
            self.traces.push(|| Told::ConnectionLost { broker, lane: lane.to_string(), error, retry: wait });
        }
        for (id, _) in in_flight {
            // What the task does not list was never given to the socket.
            let taken = unanswered.iter().find(|u| u.id == id).is_some_and(|u| u.taken);
            self.request_failed(now, id, error, taken);
        }
        if planned {
            // What came while it closed was told to nobody.
            let wanted = !self.closed && self.machines.want_lane(key);
            if wanted || self.lanes.get(key).is_some_and(|l| !l.queue.is_empty()) {
                self.kick(now.time, key);
            } else {
                self.drop_orphan(key);
            }
        } else {
            self.fail_queued(now.time, key, error);
            self.broker_failed(now, key, error);
        }
    }

    /// Fails what waits for the lane; what any broker can serve goes elsewhere.
    fn fail_queued(&mut self, now: Time, key: LaneKey, error: &ConnectionError) {
        let queued = match self.lanes.get_mut(key) {
            Some(lane) => std::mem::take(&mut lane.queue),
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
        self.actions.push_back(Action::Close(conn));
        match lane.link {
            LinkState::Up(_) => {
                lane.is_hopeless = !reason.is_retriable();
                lane.link = LinkState::Closing(conn, reason);
            }
            LinkState::Connecting(_) => {
                lane.is_unreachable = reason != ConnectionError::ClosedByClient;
                self.lanes.conns.remove(&conn);
                self.timers.stop(&Timer::Conn(conn));
                self.lost(now, key, &reason, &[]);
            }
            _ => {}
        }
    }

    pub(super) fn conn_timeout(&mut self, now: Now, conn: ConnId) {
        let Some((_, lane)) = self.lanes.by_conn(conn) else { return };
        match (&lane.link, lane.earliest_deadline()) {
            (LinkState::Connecting(_), _) if lane.is_accepted => {
                self.close_conn(now, conn, ConnectionError::SetupTimeout);
            }
            (LinkState::Connecting(_), _) => self.close_conn(now, conn, ConnectionError::ConnectTimeout),
            (LinkState::Up(_), Some(at)) if at <= now.time => {
                self.close_conn(now, conn, ConnectionError::ResponseTimeout);
            }
            (LinkState::Up(_), Some(at)) => self.timers.set(Timer::Conn(conn), at),
            // It is being closed, and its requests fail when its task has reported.
            _ => {}
        }
    }

    pub(super) fn reconnect(&mut self, now: Time, key: LaneKey) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        if lane.link != LinkState::Backoff {
            return;
        }
        lane.link = LinkState::Idle;
        if !lane.queue.is_empty() || self.machines.want_lane(key) {
            self.kick(now, key);
        } else {
            self.drop_orphan(key);
        }
    }

    /// A lane without a connection is kept for what it has learnt, unless its machine is gone.
    fn drop_orphan(&mut self, key: LaneKey) {
        if key.lane.owner().is_some_and(|id| !self.has(id)) {
            self.lanes.lanes.remove(&key);
        }
    }

    pub(super) fn idle_timeout(&mut self, now: Now, key: LaneKey) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        let Some(conn) = lane.up() else { return };
        let due = lane.last_used + self.config.connections_max_idle;
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
        let witness = Witness { now: now.time, peer };
        let elsewhere = self.lanes.led_elsewhere(|broker| self.address_of(broker));
        let moved: BTreeSet<i32> =
            elsewhere.iter().filter_map(|key| key.peer.node()).filter(|b| is_told(*b)).collect();
        let settled = self.metadata.cluster.nodes.keys().filter(|b| is_told(**b) && !moved.contains(b));
        settled.for_each(|broker| self.metadata.doubts.end(&Subject::Address(*broker)));
        for broker in moved {
            let Some(address) = self.address_of(Peer::Node(broker)) else { continue };
            let subject = Subject::Address(broker);
            if self.metadata.overturns(&subject, &Claim::Address(address), witness, Duration::ZERO) {
                self.metadata.doubts.end(&subject);
                elsewhere
                    .iter()
                    .filter(|key| key.peer == Peer::Node(broker))
                    .for_each(|key| self.drain(now, *key));
            } else {
                self.metadata.left_open();
            }
        }
    }

    /// Ends a connection as soon as nothing is in flight on it.
    fn drain(&mut self, now: Now, key: LaneKey) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.is_draining = true;
        }
        self.close_drained(now, key);
    }

    pub(super) fn close_drained(&mut self, now: Now, key: LaneKey) {
        let drained = self.lanes.get(key).filter(|lane| lane.is_draining && lane.in_flight.is_empty());
        if let Some(conn) = drained.and_then(LaneState::up) {
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
        let done: Vec<ConnId> = self
            .lanes
            .lanes
            .iter()
            .filter(|(key, lane)| key.peer.node().is_none() && lane.is_unused())
            .filter_map(|(_, lane)| lane.up())
            .collect();
        for conn in done {
            self.close_conn(now, conn, ConnectionError::ClosedByClient);
        }
    }

    /// A lane nobody needs any more (its machine has ended).
    pub(super) fn drop_lanes(&mut self, now: Now, of: impl Fn(Lane) -> bool) {
        let keys: Vec<LaneKey> = self.lanes.lanes.keys().filter(|key| of(key.lane)).copied().collect();
        for key in keys {
            self.timers.stop(&Timer::Reconnect(key));
            let Some(lane) = self.lanes.get_mut(key) else { continue };
            match lane.conn() {
                Some(conn) => self.close_conn(now, conn, ConnectionError::ClosedByClient),
                None => {
                    self.fail_queued(now.time, key, &ConnectionError::ClosedByClient);
                    self.lanes.lanes.remove(&key);
                }
            }
        }
    }
}
