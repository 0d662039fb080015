//! An embedded Kafka cluster as a state machine: any number of nodes, no socket, no clock, no thread, no dice.
//!
//! [`ClusterState`] takes the frames of connections and the time, and hands back answers, at once or later.
//! [`crate::Cluster`] serves it on loopback; a simulator can drive the same machine in virtual time.
//!
//! What holds here:
//! * A connection has one request at work; the front gives the next one when the last is answered, as
//!   Kafka mutes a channel. So answers come in order.
//! * The same calls in the same order give the same bytes: nothing iterates a hash map, all chance comes
//!   from the configured seed.
//! * Replicas of a partition share one log; what differs is who leads it and how far it is replicated.
//! * The only code shared with any client is `kafka-proto`.

mod administer;
mod api;
mod config;
mod control;
mod counters;
mod dialect;
mod dice;
mod faults;
mod lag;
mod nulls;
mod oddities;
mod prepared;
mod profile;
mod racks;
mod release;
pub(crate) mod state;
#[cfg(test)]
mod tests;
mod timers;
mod waits;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use kafka_proto::{ApiKey, Bytes, ErrorCode, RequestKind, ResponseKind, Str, frame};

pub use config::{ClusterConfig, NodeAddress, NodeId};
pub use control::ControlError;
pub use counters::Counters;
pub use dialect::Dialect;
pub use faults::{Fault, FaultRule};
pub use oddities::{IdleCut, Oddities, Offer};
pub use prepared::{Prepared, prepare};
pub use profile::Profile;
pub use release::{Release, UnknownRelease};
pub use state::batch::{StoredHeader, StoredRecord};
pub use state::topic_config::ConfigError;

use api::Reply;
pub(crate) use dice::Dice;
use faults::Faults;
use lag::View;
use prepared::{Arrived, Call};
use state::groups::Groups;
use state::sessions::FetchSessions;
use state::topics::Topics;
use timers::Timers;
use waits::{Timer, Wait, WaitId, Waiting};

/// The time of a call, as the front sees it; the cluster has no clock of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Time since the front's own start; never goes back.
    pub mono: Duration,
    /// Milliseconds since 1970, for timestamps of records.
    pub wall_ms: i64,
}

/// A connection, numbered by the front; no number is used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnKey(pub u64);

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The whole answer with its length prefix, for one vectored write.
    Answer(Vec<Bytes>),
    /// There is no answer to this request (Produce with acks=0): go on with the next.
    NoAnswer,
    /// [`ClusterState::poll_answer`] will have it; the connection takes no further request before.
    Later,
    /// The connection is to be closed without an answer.
    Close,
}

/// A node of the cluster.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) address: NodeAddress,
    pub(crate) alive: bool,
    /// Requests are taken and left lying.
    pub(crate) muted: bool,
    /// What its requests may be: a release of its own in a cluster that is being upgraded.
    pub(crate) release: Release,
    /// What it knows of the cluster, where that is not the present state.
    pub(crate) view: Option<Box<View>>,
    pub(crate) sessions: FetchSessions,
}

/// What is remembered of a connection between its requests.
#[derive(Debug)]
struct Conn {
    node: NodeId,
    /// Until then its requests are left lying (KIP-219).
    muted_until: Duration,
    close_on_next_request: bool,
    waiting: Option<WaitId>,
}

/// The whole cluster.
#[derive(Debug)]
pub struct ClusterState {
    pub(crate) config: ClusterConfig,
    pub(crate) cluster_id: Str,
    pub(crate) nodes: BTreeMap<NodeId, Node>,
    pub(crate) topics: Topics,
    pub(crate) groups: Groups,
    pub(crate) next_producer_id: i64,
    pub(crate) dice: Dice,
    pub(crate) timers: Timers<Timer>,
    pub(crate) now: Now,
    counters: Counters,
    faults: Faults,
    conns: BTreeMap<ConnKey, Conn>,
    waits: BTreeMap<WaitId, Wait>,
    next_wait: u64,
    /// Parked requests that can be answered now.
    ready: BTreeSet<WaitId>,
    answers: VecDeque<(ConnKey, Outcome)>,
}

impl ClusterState {
    /// A cluster of these nodes, all up.
    pub fn new(config: ClusterConfig, nodes: impl IntoIterator<Item = NodeAddress>) -> ClusterState {
        let mut dice = Dice::new(config.seed);
        let cluster_id = Str::from(dice.uuid().to_string());
        let node = |address: NodeAddress| {
            let sessions = FetchSessions::new(config.fetch_session_slots, config.fetch_session_min_idle);
            let release = config.release;
            (address.id, Node { address, alive: true, muted: false, release, view: None, sessions })
        };
        let nodes = nodes.into_iter().map(node).collect();
        let mut timers = Timers::new();
        timers.set(Timer::Retention, config.retention_check_interval);
        ClusterState {
            config,
            cluster_id,
            nodes,
            topics: Topics::default(),
            groups: Groups::default(),
            next_producer_id: 1000,
            dice,
            timers,
            now: Now::default(),
            counters: Counters::default(),
            faults: Faults::default(),
            conns: BTreeMap::new(),
            waits: BTreeMap::new(),
            next_wait: 0,
            ready: BTreeSet::new(),
            answers: VecDeque::new(),
        }
    }

    /// Takes one request of a connection: `frame` is what followed the length prefix.
    ///
    /// The front must not give a connection's next request before this one is answered.
    pub fn handle(&mut self, now: Now, node: NodeId, conn: ConnKey, frame: &Bytes) -> Outcome {
        let prepared = prepare(frame, self.dialect_of(node));
        self.handle_prepared(now, node, conn, prepared)
    }

    /// The same for a request that [`prepare`] has decoded and checked, which needs no cluster and may
    /// thus happen outside of any lock.
    pub fn handle_prepared(&mut self, now: Now, node: NodeId, conn: ConnKey, prepared: Prepared) -> Outcome {
        self.set_now(now);
        self.arrive(node, conn, prepared);
        self.settle();
        self.own_answer(conn)
    }

    /// The same for a request that is answered with an error and not executed.
    pub(crate) fn refuse_prepared(
        &mut self,
        now: Now,
        node: NodeId,
        conn: ConnKey,
        prepared: Prepared,
        error: ErrorCode,
    ) -> Outcome {
        self.set_now(now);
        match prepared {
            Prepared::Request(mut arrived) => {
                (arrived.call.node, arrived.call.conn) = (node, conn);
                self.befall(*arrived, Fault::Error(error));
            }
            other => self.arrive(node, conn, other),
        }
        self.own_answer(conn)
    }

    fn own_answer(&mut self, conn: ConnKey) -> Outcome {
        let own = self.answers.iter().rposition(|(other, _)| *other == conn);
        own.and_then(|at| self.answers.remove(at)).map_or(Outcome::Later, |(_, outcome)| outcome)
    }

    /// Takes the next answer to a parked request, or the word that a connection is to be closed.
    pub fn poll_answer(&mut self) -> Option<(ConnKey, Outcome)> {
        self.answers.pop_front()
    }

    /// Does what has become due.
    pub fn handle_timeout(&mut self, now: Now) {
        self.set_now(now);
        while let Some(timer) = self.timers.pop_due(now.mono) {
            self.fire(timer);
            self.settle();
        }
    }

    /// When [`ClusterState::handle_timeout`] wants to be called, on the clock of [`Now::mono`].
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// The connection is gone; what it waited for is dropped.
    pub fn disconnected(&mut self, conn: ConnKey) {
        if let Some(wait) = self.conns.remove(&conn).and_then(|known| known.waiting) {
            self.drop_wait(wait);
        }
        self.answers.retain(|(other, _)| *other != conn);
    }

    fn set_now(&mut self, now: Now) {
        self.now = Now { mono: now.mono.max(self.now.mono), wall_ms: now.wall_ms };
    }

    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Wait(id) => self.expire_wait(id),
            Timer::Group(group, timer) => {
                self.groups.fire(&mut self.timers, self.now.mono, &group, timer);
            }
            Timer::Retention => {
                self.enforce_retention();
                self.timers.set(Timer::Retention, self.now.mono + self.config.retention_check_interval);
            }
        }
    }

    fn arrive(&mut self, node: NodeId, conn: ConnKey, prepared: Prepared) {
        let alive = self.nodes.get(&node).is_some_and(|node| node.alive);
        let known = self.conns.entry(conn).or_insert(Conn {
            node,
            muted_until: Duration::ZERO,
            close_on_next_request: false,
            waiting: None,
        });
        if !alive || known.close_on_next_request {
            return self.push(conn, Outcome::Close);
        }
        let muted_until = known.muted_until;
        match prepared {
            Prepared::Unreadable(_) => self.push(conn, Outcome::Close),
            Prepared::ApiVersionsTooNew { correlation_id } => {
                let answer = api::api_versions::too_new(self.dialect_of(node), correlation_id);
                self.push(conn, answer);
            }
            Prepared::Request(mut arrived) => {
                arrived.call.node = node;
                arrived.call.conn = conn;
                self.counters.count(node, arrived.call.key);
                if self.nodes.get(&node).is_some_and(|node| node.muted) {
                    self.park(arrived.call.clone(), Waiting::Unmute(arrived), None);
                } else if muted_until > self.now.mono {
                    self.park(arrived.call.clone(), Waiting::Throttle(arrived), Some(muted_until));
                } else {
                    self.admit(*arrived);
                }
            }
        }
    }

    /// Lets a request past the faults that are asked for, or has one happen to it.
    fn admit(&mut self, arrived: Arrived) {
        match self.faults.take(arrived.call.node, arrived.call.key) {
            None => match self.odd_refusal(&arrived) {
                None => self.execute(arrived),
                Some(error) => self.befall(arrived, Fault::Error(error)),
            },
            Some(fault) => {
                self.counters.count_fault(arrived.call.key, &fault);
                self.befall(arrived, fault);
            }
        }
    }

    /// The error with which the vendor's broker answers a request that Kafka's would execute.
    fn odd_refusal(&self, arrived: &Arrived) -> Option<ErrorCode> {
        let (oddities, key) = (&self.config.oddities, arrived.call.key);
        match key {
            _ if !oddities.implements(key) => Some(ErrorCode::UnknownServerError),
            ApiKey::InitProducerId if !oddities.allows_idempotent_write() => {
                Some(ErrorCode::ClusterAuthorizationFailed)
            }
            ApiKey::Produce if oddities.throttles(self.counters.requests(key)) => {
                Some(ErrorCode::PolicyViolation)
            }
            _ => None,
        }
    }

    /// Whether no answer to this request is expected or given.
    fn answers_nothing(&self, request: &RequestKind) -> bool {
        api::expects_no_answer(request) && !self.config.oddities.answers_acks_of_none()
    }

    fn befall(&mut self, mut arrived: Arrived, fault: Fault) {
        let conn = arrived.call.conn;
        match fault {
            Fault::Error(error) => match api::refuse(&arrived.request, arrived.call.version, error) {
                Some(response) if !self.answers_nothing(&arrived.request) => {
                    self.answer(&arrived.call, response)
                }
                _ => self.push(conn, Outcome::Close),
            },
            Fault::Delay(time) => {
                let until = self.now.mono + time;
                self.park(arrived.call.clone(), Waiting::Delay(Box::new(arrived)), Some(until));
            }
            Fault::CloseBefore => self.push(conn, Outcome::Close),
            Fault::CloseAfter => {
                arrived.call.close_instead = true;
                self.execute(arrived);
            }
            Fault::Throttle(time) => {
                arrived.call.throttle_ms = i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
                self.execute(arrived);
            }
            Fault::NoAnswer => {
                self.park(arrived.call, Waiting::Forever, None);
            }
        }
    }

    fn execute(&mut self, arrived: Arrived) {
        let call = arrived.call.clone();
        match api::handle(self, arrived) {
            Reply::Now(response) => self.answer(&call, response),
            Reply::NoAnswer => self.push(call.conn, Outcome::NoAnswer),
            Reply::Close => self.push(call.conn, Outcome::Close),
            Reply::Parked => {}
        }
    }

    /// Encodes an answer and sends it, or what a fault wants in its place.
    fn answer(&mut self, call: &Call, mut response: ResponseKind) {
        if call.close_instead {
            return self.push(call.conn, Outcome::Close);
        }
        if call.throttle_ms > 0 {
            api::set_throttle(&mut response, call.throttle_ms);
        }
        let encode = if self.config.oddities.has_null_for_empty_bytes() {
            nulls::encode_response
        } else {
            frame::encode_response
        };
        let outcome = match encode(call.correlation_id, call.version, &response) {
            Ok(segments) => Outcome::Answer(segments),
            Err(error) => {
                debug_assert!(false, "{:?} {}: {error}", call.key, call.version);
                Outcome::Close
            }
        };
        if call.throttle_ms == 0 {
            return self.push(call.conn, outcome);
        }
        // Since 2.0 a throttled client is answered at once and then not listened to; before, the answer came late.
        let until = self.now.mono + Duration::from_millis(call.throttle_ms.unsigned_abs().into());
        if self.release_of(call.node) >= Release::V2_0 {
            if let Some(conn) = self.conns.get_mut(&call.conn) {
                conn.muted_until = until;
            }
            self.push(call.conn, outcome);
        } else {
            self.park(call.clone(), Waiting::LateAnswer(outcome), Some(until));
        }
    }

    fn session_lost(&mut self) {
        self.counters.count_lost_session();
    }

    fn push(&mut self, conn: ConnKey, outcome: Outcome) {
        self.answers.push_back((conn, outcome));
    }
}
