//! One connection of a client, from a lane being wanted to its being dropped: its state, its queues, what it has learnt.
//!
//! Invariants
//! * A request is queued, or in flight, or neither.
//! * Failures in a row are counted from the last response on; while it is not known which cluster the connection leads to, an answer
//!   ends no row.
//! * What the broker asked for in silence is never shortened.

use crate::address::Address;
use crate::error::ConnectionError;
use crate::link::{BrokerVersions, ConnId, RequestId};
use crate::machine::Time;
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct LaneState {
    link: LinkState,
    /// Requests that wait to be handed out.
    queue: VecDeque<RequestId>,
    /// Requests handed out and not answered, with their deadlines.
    in_flight: VecDeque<(RequestId, Time)>,
    /// Failures in a row; a response ends the row.
    failures: u32,
    last_error: Option<ConnectionError>,
    /// What stands against it will not heal by itself: a foreign service at the address.
    is_hopeless: bool,
    /// The last attempt to connect failed.
    is_unreachable: bool,
    /// While it connects: the other side has accepted.
    is_accepted: bool,
    /// Where its connection leads, or the last one led.
    address: Option<Address>,
    /// The broker has moved: what is in flight is waited for, then the connection ends.
    is_draining: bool,
    versions: Option<Arc<BrokerVersions>>,
    /// Whether its connection is known to lead to the client's cluster.
    proof: Proof,
    /// The broker has answered a request over it, once.
    has_served: bool,
    throttled_until: Option<Time>,
    /// When its broker refused, over this connection, what any broker may serve, and has served none since.
    refused_at: Option<Time>,
    last_used: Time,
    /// The version of ApiVersions that its connection began with.
    api_versions: i16,
    /// The connection's task was told that there is something to send.
    is_announced: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum LinkState {
    Idle,
    Backoff,
    Connecting(ConnId),
    Up(ConnId),
    /// Told to end; what became of its requests is not known yet.
    Closing(ConnId, ConnectionError),
}

/// Whether a connection leads to the cluster that this client began with: behind a name there may be another one by now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Proof {
    NotNeeded,
    /// Nothing is sent before the broker was asked for its cluster.
    Wanted,
    /// Nothing is sent before it has told.
    Asked,
}

/// A connection that is to be made.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) conn: ConnId,
    pub(super) address: Address,
    /// The version of ApiVersions to begin with.
    pub(super) api_versions: i16,
}

/// A connection that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) error: ConnectionError,
    /// How it was made, where it had not been set up.
    pub(super) not_set_up: Option<(Address, i16)>,
}

/// What a connection took along.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) in_flight: VecDeque<(RequestId, Time)>,
    /// How many failures in a row there were before this one.
    pub(super) failures: u32,
}

impl LaneState {
    pub(super) fn new(now: Time) -> Self {
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
            is_announced: false,
        }
    }

    // ---- the connection ----

    pub(super) fn link(&self) -> &LinkState {
        &self.link
    }

    pub(super) fn conn(&self) -> Option<ConnId> {
        match self.link {
            LinkState::Connecting(conn) | LinkState::Up(conn) | LinkState::Closing(conn, _) => Some(conn),
            LinkState::Idle | LinkState::Backoff => None,
        }
    }

    pub(super) fn up(&self) -> Option<ConnId> {
        match self.link {
            LinkState::Up(conn) => Some(conn),
            _ => None,
        }
    }

    pub(super) fn address(&self) -> Option<&Address> {
        self.address.as_ref()
    }

    pub(super) fn versions(&self) -> Option<&Arc<BrokerVersions>> {
        self.versions.as_ref()
    }

    pub(super) fn last_error(&self) -> Option<&ConnectionError> {
        self.last_error.as_ref()
    }

    /// A connection is made. Where there was one before, or the broker was found elsewhere, it may lead to another cluster than the
    /// one that is known by now.
    pub(super) fn connect(&mut self, attempt: Attempt, is_cluster_known: bool, is_estranged: bool) {
        let Attempt { conn, address, api_versions } = attempt;
        let is_first = self.address.replace(address).is_none();
        let may_be_foreign = is_cluster_known && (!is_first || is_estranged);
        self.proof = if may_be_foreign { Proof::Wanted } else { Proof::NotNeeded };
        (self.link, self.is_accepted, self.is_draining) = (LinkState::Connecting(conn), false, false);
        self.api_versions = api_versions;
    }

    /// The other side took the connection; it is not set up yet.
    pub(super) fn accepted(&mut self) {
        self.is_accepted = true;
    }

    /// The connection is set up. Whether it is the one that was made last.
    pub(super) fn connected(&mut self, now: Time, conn: ConnId, versions: Arc<BrokerVersions>) -> bool {
        if self.link != LinkState::Connecting(conn) {
            return false;
        }
        self.link = LinkState::Up(conn);
        self.versions = Some(versions);
        (self.last_used, self.is_hopeless, self.is_unreachable) = (now, false, false);
        self.refused_at = None;
        // Something may have come while it connected; the task asks by itself at first.
        self.is_announced = false;
        true
    }

    /// Why a connection is closed whose time is over; `Err` has the time at which that may be.
    pub(super) fn timed_out(&self, now: Time) -> Option<Result<ConnectionError, Time>> {
        let deadline = self.in_flight.iter().map(|(_, at)| *at).min();
        match (&self.link, deadline) {
            (LinkState::Connecting(_), _) if self.is_accepted => Some(Ok(ConnectionError::SetupTimeout)),
            (LinkState::Connecting(_), _) => Some(Ok(ConnectionError::ConnectTimeout)),
            (LinkState::Up(_), Some(at)) if at <= now => Some(Ok(ConnectionError::ResponseTimeout)),
            (LinkState::Up(_), Some(at)) => Some(Err(at)),
            // It is being closed, and its requests fail when its task has reported.
            _ => None,
        }
    }

    /// A connection that is up is told to end.
    pub(super) fn close(&mut self, reason: ConnectionError) {
        if let LinkState::Up(conn) = self.link {
            self.is_hopeless = !reason.is_retriable();
            self.link = LinkState::Closing(conn, reason);
        }
    }

    /// An attempt to connect is given up.
    pub(super) fn give_up(&mut self, reason: &ConnectionError) {
        self.is_unreachable = *reason != ConnectionError::ClosedByClient;
    }

    /// The connection's task has ended.
    pub(super) fn ended(&mut self, error: ConnectionError) -> Ended {
        match std::mem::replace(&mut self.link, LinkState::Idle) {
            LinkState::Closing(_, reason) => Ended { error: reason, not_set_up: None },
            LinkState::Connecting(_) => {
                let address = self.address.clone();
                Ended { error, not_set_up: address.map(|address| (address, self.api_versions)) }
            }
            _ => Ended { error, not_set_up: None },
        }
    }

    /// What its end means for the next attempt.
    pub(super) fn judge(&mut self, is_hopeless: bool, is_unreachable: bool) {
        (self.is_hopeless, self.is_unreachable) = (is_hopeless, is_unreachable);
    }

    /// There is no connection any more, as was meant.
    pub(super) fn rest(&mut self) -> Lost {
        self.link = LinkState::Idle;
        self.lose()
    }

    /// There is no connection any more; the next one has to wait.
    pub(super) fn fail(&mut self, error: ConnectionError) -> Lost {
        let lost = self.lose();
        self.last_error = Some(error);
        self.failures = self.failures.saturating_add(1);
        self.link = LinkState::Backoff;
        lost
    }

    fn lose(&mut self) -> Lost {
        self.is_announced = false;
        Lost { in_flight: std::mem::take(&mut self.in_flight), failures: self.failures }
    }

    /// It has waited. Whether it did.
    pub(super) fn end_backoff(&mut self) -> bool {
        let has_waited = self.link == LinkState::Backoff;
        if has_waited {
            self.link = LinkState::Idle;
        }
        has_waited
    }

    // ---- a broker that has moved ----

    pub(super) fn drain(&mut self) {
        self.is_draining = true;
    }

    pub(super) fn is_draining(&self) -> bool {
        self.is_draining
    }

    /// The connection that is to end, once nothing is in flight.
    pub(super) fn drained(&self) -> Option<ConnId> {
        self.up().filter(|_| self.is_draining && self.in_flight.is_empty())
    }

    // ---- which cluster it leads to ----

    pub(super) fn proof(&self) -> Proof {
        self.proof
    }

    /// An open connection has to prove where it leads. Whether it did not have to before.
    pub(super) fn doubt(&mut self) -> bool {
        let is_new = self.up().is_some() && self.proof == Proof::NotNeeded;
        if is_new {
            self.proof = Proof::Wanted;
        }
        is_new
    }

    /// Its broker is asked for its cluster, or cannot be.
    pub(super) fn ask_for_proof(&mut self, can_tell: bool) {
        self.proof = if can_tell { Proof::Asked } else { Proof::NotNeeded };
    }

    /// Its broker is of the client's cluster.
    pub(super) fn proven(&mut self) {
        self.proof = Proof::NotNeeded;
        self.end_row();
    }

    fn end_row(&mut self) {
        (self.failures, self.last_error) = (0, None);
    }

    // ---- requests ----

    pub(super) fn push(&mut self, id: RequestId) {
        self.queue.push_back(id);
    }

    pub(super) fn pop(&mut self) -> Option<RequestId> {
        self.queue.pop_front()
    }

    /// A request no longer waits.
    pub(super) fn remove(&mut self, id: RequestId) {
        self.queue.retain(|queued| *queued != id);
    }

    pub(super) fn take_queue(&mut self) -> VecDeque<RequestId> {
        std::mem::take(&mut self.queue)
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub(super) fn is_unused(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty()
    }

    /// Whether the connection may take another request.
    pub(super) fn may_send(&self, now: Time, conn: ConnId, max_in_flight: usize) -> bool {
        let is_open = self.up() == Some(conn) && !self.is_draining && !self.is_muted(now);
        is_open && self.in_flight.len() < max_in_flight
    }

    pub(super) fn handed_out(&mut self, now: Time, id: RequestId, deadline: Time) {
        self.in_flight.push_back((id, deadline));
        self.last_used = now;
    }

    /// A request is in flight no longer. Whether it was.
    pub(super) fn end_request(&mut self, id: RequestId) -> bool {
        let Some(at) = self.in_flight.iter().position(|(r, _)| *r == id) else { return false };
        self.in_flight.remove(at);
        true
    }

    /// A request was answered. Whether it was in flight.
    pub(super) fn answered(&mut self, now: Time, id: RequestId) -> bool {
        if !self.end_request(id) {
            return false;
        }
        (self.has_served, self.last_used) = (true, now);
        // Of a broker that has yet to tell its cluster an answer alone proves nothing.
        if self.proof == Proof::NotNeeded {
            self.end_row();
        }
        true
    }

    /// A request that is not answered was taken by the socket.
    pub(super) fn sent(&mut self, now: Time, id: RequestId) {
        self.end_request(id);
        self.last_used = now;
    }

    /// Its task is to be told that there is something to send: the connection to wake, unless it was told before.
    pub(super) fn announce(&mut self, now: Time) -> Option<ConnId> {
        let conn = self.up().filter(|_| !self.is_announced && !self.is_muted(now))?;
        self.is_announced = true;
        Some(conn)
    }

    /// Its task has found nothing to send.
    pub(super) fn found_nothing(&mut self) {
        self.is_announced = false;
    }

    pub(super) fn is_announced(&self) -> bool {
        self.is_announced
    }

    /// When a connection that is not used any more may end.
    pub(super) fn idle_since(&self) -> Time {
        self.last_used
    }

    pub(super) fn has_served(&self) -> bool {
        self.has_served
    }

    // ---- silence, refusals, and what it is good for ----

    /// The broker asked for silence until then (KIP-219). An answer that was under way beside another does not take back what that one has
    /// asked for: until when it lasts.
    pub(super) fn throttle(&mut self, until: Time) -> Time {
        let until = self.throttled_until.map_or(until, |before| before.max(until));
        self.throttled_until = Some(until);
        until
    }

    pub(super) fn end_throttle(&mut self) {
        self.throttled_until = None;
    }

    pub(super) fn is_muted(&self, now: Time) -> bool {
        self.throttled_until.is_some_and(|until| now < until)
    }

    pub(super) fn note_refusal(&mut self, now: Time, is_refused: bool) {
        self.refused_at = is_refused.then_some(now);
    }

    pub(super) fn is_hopeless(&self) -> bool {
        self.is_hopeless
    }

    /// Its broker can be asked now, be it in the hope that it is there again.
    pub(super) fn is_talkative(&self, now: Time) -> bool {
        self.link != LinkState::Backoff && !self.is_hopeless && !self.is_muted(now)
    }

    /// The last attempt to connect failed, or the next one waits.
    pub(super) fn has_fallen(&self) -> bool {
        self.is_hopeless || self.is_unreachable || self.link == LinkState::Backoff
    }

    /// How good a lane is for a request that any broker can serve; less is better. A broker that refused one comes after those
    /// that have not, though they have yet to be connected to, and after those that did so before it.
    pub(super) fn rank(&self, now: Time) -> Rank {
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
pub(super) struct Rank {
    is_down: bool,
    refused_at: Option<Time>,
    state: u8,
    load: usize,
}

impl Rank {
    /// Of a broker that was never connected to.
    pub(super) const NEW: Self = Self { is_down: false, refused_at: None, state: 2, load: 0 };
}
