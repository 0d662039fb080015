//! The cluster brain: one for all writers, readers, groups and calls of a client.
//!
//! In: [`Client::handle_input`] and the application's calls. Out: [`Client::poll_action`] (low-rate orders to the driver),
//! [`Client::poll_transmit`] (requests, by connection), [`Client::poll_event`] (hints that something is to be had; the data
//! itself is pulled) and [`Client::poll_timeout`]. It holds no socket, clock, thread or dice; the same inputs give the
//! same outputs on every machine. Any order of calls is valid.
//!
//! This file only merges: each machine has its own, and asks through [`machine`](crate::machine).

mod alarms;
mod calls;
mod check;
mod closing;
mod connections;
mod coordinators;
mod doubts;
mod lanes;
mod machines;
mod metadata;
mod missed;
mod promises;
pub(crate) mod requests;
mod timers;
mod traces;
mod turns;

pub(crate) use alarms::Rung;
pub(crate) use calls::CallSpec;
pub(crate) use promises::Outcome;

use crate::config::ClientConfig;
use crate::error::{ConnectionError, Error};
use crate::link::{Answered, BrokerVersions, ConnId, LinkConfig, RequestId, Unanswered};
use crate::machine::{
    Alert, Answer, Ask, CoordinatorKind, Done, Hint, Lane, LaneKey, MachineId, MachineInput, Now, OpId, Peer,
    Target, Time, Work,
};
use crate::random::Random;
use crate::snapshot::{Cluster, TopicPartition, TopicState};
use crate::stats::Stats;
use crate::trace::{Trace, Traces};
use calls::Call;
use coordinators::Coordinators;
use kafka_proto::messages::metadata::MetadataRequest;
use kafka_proto::{ApiKey, ResponseKind, Str, Uuid};
use lanes::Lanes;
use machines::Machines;
use metadata::Metadata;
use promises::Promises;
use requests::{Owner, Request};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use timers::{Timer, Timers};

/// How long a broker is waited for that could not be reached, where others can.
const SECOND_CHANCE: Duration = Duration::from_secs(1);

/// What the outside world tells the client. Time comes beside it.
#[derive(Debug)]
pub enum Input {
    /// The other side has taken the connection; whether it is a broker is not known yet.
    Accepted(ConnId),
    /// A connection is set up, with the versions its broker told.
    Connected {
        /// The connection.
        conn: ConnId,
        /// What the broker speaks.
        versions: Arc<BrokerVersions>,
    },
    /// A request was answered.
    Response {
        /// The connection.
        conn: ConnId,
        /// The request.
        id: RequestId,
        /// The answer.
        response: Answered,
        /// How long the broker asks for silence.
        throttle: Duration,
    },
    /// A request that is not answered was taken by the socket.
    Sent {
        /// The connection.
        conn: ConnId,
        /// The request.
        id: RequestId,
    },
    /// A request could not be encoded; nothing of it was sent.
    Refused {
        /// The connection.
        conn: ConnId,
        /// The request.
        id: RequestId,
        /// Why.
        error: Error,
    },
    /// A connection has ended, or could not be made.
    Closed {
        /// The connection.
        conn: ConnId,
        /// Why.
        error: ConnectionError,
        /// What was handed out to it and not answered.
        unanswered: Vec<Unanswered>,
    },
    /// A [`Job`] was run.
    JobDone(JobDone),
    /// A deadline may have passed.
    Timeout,
    /// The buffer of a machine has room again.
    RoomAgain(MachineId),
}

/// Low-rate orders to the driver.
#[derive(Debug)]
pub enum Action {
    /// Look up the name, connect, and run the link; report [`Input::Connected`] or [`Input::Closed`].
    Connect {
        /// The new connection.
        conn: ConnId,
        /// Name or address.
        host: Str,
        /// Port.
        port: u16,
        /// When the attempt is over; the addresses of a name share the time until then.
        deadline: Time,
        /// For its link.
        link: LinkConfig,
    },
    /// End the connection; report [`Input::Closed`].
    Close(ConnId),
    /// Heavy and pure: run it anywhere outside the lock, then report [`Input::JobDone`].
    Run(Job),
}

/// Something that a machine wants to be done outside the lock.
#[derive(Debug)]
pub struct Job {
    machine: MachineId,
    work: Box<dyn Work>,
}

/// A job that was run.
#[derive(Debug)]
pub struct JobDone {
    machine: MachineId,
    done: Box<dyn Done>,
}

impl Job {
    /// Runs the job.
    pub fn run(self) -> JobDone {
        let Self { machine, work } = self;
        JobDone { machine, done: work.run() }
    }
}

/// What can be waited for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Key {
    /// [`Client::poll_transmit`] may have something for this connection.
    Conn(ConnId),
    /// The outcome of an operation can be taken, such as that of a [call](crate::sans_io::Call::take).
    Op(OpId),
    /// A machine may have something to take, or has ended.
    Machine(MachineId),
    /// One of the machines has ended.
    AnyMachine,
    /// [`Client::topic`] may answer otherwise than before.
    Topic(Str),
}

/// A hint that something is to be had.
#[derive(Debug)]
pub enum Event {
    /// Whoever waits for this shall look again.
    Wake(Key),
    /// Somebody is to be told outside the lock that what he waits for has happened.
    Notify(Notify),
    /// Something the cluster cannot do and the client does without; told once.
    Degraded(Error),
    /// The client that nobody held any more has ended.
    Ended,
    /// Something that must be dropped outside the lock.
    Garbage(Garbage),
    /// An event for `tracing`, to be emitted outside the lock.
    Trace(Trace),
}

/// What the client has no more use for. Dropping it can call wakers, run code of the application (assignors, balancers) or
/// free much memory, so it must not happen under a lock.
#[derive(Debug)]
pub struct Garbage(#[expect(dead_code, reason = "it is only dropped")] Box<dyn Debug + Send>);

/// Whoever waits for something that has happened. It is to be told outside the lock.
#[derive(Debug)]
pub struct Notify(Arc<dyn Alert>);

impl Notify {
    /// Tells it.
    pub fn notify(self) {
        self.0.alert();
    }
}

/// The client state machine: one for all writers, readers, groups and calls of a program.
///
/// What to call in which order is the subject of [`sans_io`](crate::sans_io). Any order of calls is valid, and none waits.
#[derive(Debug)]
pub struct Client {
    config: Arc<ClientConfig>,
    random: Random,
    timers: Timers,
    metadata: Metadata,
    lanes: Lanes,
    requests: BTreeMap<RequestId, Request>,
    coordinators: Coordinators,
    calls: BTreeMap<OpId, Call>,
    responses: Promises<Result<ResponseKind, Error>>,
    alarms: Promises<Rung>,
    committed: Promises<Result<(), Error>>,
    machines: Machines,
    /// Answers that were not given to their owners yet.
    answers: VecDeque<(Owner, Answer)>,
    /// Lanes to brokers whose address nobody tells.
    unaddressed: BTreeSet<LaneKey>,
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
    traces: Traces,
    degraded: Vec<Error>,
    last_id: u64,
    /// Nobody holds the client any more.
    is_retiring: bool,
    closed: bool,
    stats: Stats,
}

impl Client {
    /// A client that does nothing yet.
    pub fn new(config: ClientConfig) -> Self {
        Self {
            random: Random::new(config.seed),
            config: Arc::new(config),
            timers: Timers::default(),
            metadata: Metadata::default(),
            lanes: Lanes::default(),
            requests: BTreeMap::new(),
            coordinators: Coordinators::default(),
            calls: BTreeMap::new(),
            responses: Promises::default(),
            alarms: Promises::default(),
            committed: Promises::default(),
            machines: Machines::default(),
            answers: VecDeque::new(),
            unaddressed: BTreeSet::new(),
            actions: VecDeque::new(),
            events: VecDeque::new(),
            traces: Traces::default(),
            degraded: Vec::new(),
            last_id: 0,
            is_retiring: false,
            closed: false,
            stats: Stats::default(),
        }
    }

    /// The settings.
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// What is known of the cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.metadata.cluster
    }

    /// Counters and gauges since the beginning.
    pub fn stats(&self) -> Stats {
        let mut stats = self.stats.clone();
        stats.connections = self.lanes.lanes.values().filter(|l| l.up().is_some()).count() as u64;
        stats.requests_in_flight = self.lanes.lanes.values().map(|l| l.in_flight.len() as u64).sum();
        stats
    }

    /// What the client does without, since the brokers are too old.
    pub fn degraded(&self) -> &[Error] {
        &self.degraded
    }

    // ---- inputs ----

    /// Takes what happened. `now` must not go backwards.
    pub fn handle_input(&mut self, now: Now, input: Input) {
        match input {
            Input::Accepted(conn) => self.accepted(conn),
            Input::Connected { conn, versions } => self.connected(now, conn, versions),
            Input::Response { conn, id, response, throttle } => {
                self.responded(now, conn, id, response, throttle)
            }
            Input::Sent { conn, id } => self.request_sent(now, conn, id),
            Input::Refused { conn, id, error } => self.refused(now, conn, id, &error),
            Input::Closed { conn, error, unanswered } => self.closed(now, conn, error, unanswered),
            Input::JobDone(done) => self.job_done(now, done),
            Input::Timeout => self.expire(now),
            Input::RoomAgain(machine) => self.give(now, machine, MachineInput::RoomAgain),
        }
        self.settle(now);
    }

    /// Rings no more timers than are due on entry: handlers that set timers to what is past must not keep each other
    /// busy for ever. What is still due then rings with the next input.
    fn expire(&mut self, now: Now) {
        for _ in 0..self.timers.due(now.time) {
            let Some(timer) = self.timers.pop_due(now.time) else { break };
            match timer {
                Timer::Queued(id) => self.queued_timeout(id),
                Timer::Conn(conn) => self.conn_timeout(now, conn),
                Timer::Reconnect(key) => self.reconnect(now.time, key),
                Timer::Throttle(key) => self.after_throttle(now.time, key),
                Timer::Idle(key) => self.idle_timeout(now, key),
                Timer::Metadata => self.ask_metadata(now),
                Timer::Coordinator(kind, key) => self.find_coordinator(now.time, kind, &key),
                Timer::CallRetry(id) => self.call_attempt(now, id),
                Timer::CallDeadline(id) => self.call_deadline(id),
                Timer::Alarm(id) => self.ring(id),
                Timer::Machine(id) => self.give(now, id, MachineInput::Timeout),
                Timer::Retire => self.end(now),
            }
        }
    }

    fn after_throttle(&mut self, now: Time, key: LaneKey) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.throttled_until = None;
        }
        self.kick(now, key);
    }

    /// Gives out answers and lets the machines speak until none has anything to say.
    fn settle(&mut self, now: Now) {
        loop {
            if let Some((owner, answer)) = self.answers.pop_front() {
                self.give_answer(now, owner, answer);
            } else if let Some(id) = self.machines.pop_dirty() {
                self.pump(now, id);
            } else if let Some(key) = self.unaddressed.pop_first() {
                self.broker_failed(now, key, &not_in_metadata());
            } else {
                break;
            }
        }
        self.plan_metadata(now);
        self.end_retired(now);
    }

    fn give_answer(&mut self, now: Now, owner: Owner, mut answer: Answer) {
        match owner {
            Owner::Metadata => self.metadata_answered(now, answer),
            Owner::Coordinator(kind, key) => self.coordinator_found(now, kind, &key, answer),
            Owner::Call(id) => self.call_answered(now, id, answer),
            Owner::Ask(id, tag) => {
                answer.tag = tag;
                self.give(now, id, MachineInput::Answer(Box::new(answer)));
            }
            Owner::Built(_) | Owner::Proof | Owner::Nobody => {}
        }
    }

    // ---- outputs ----

    /// The next order to the driver.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whether [`poll_action`](Self::poll_action) has something.
    pub(crate) fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    /// The next hint.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front().or_else(|| self.poll_trace().map(Event::Trace))
    }

    fn poll_trace(&mut self) -> Option<Trace> {
        self.traces.pop().or_else(|| self.metadata.traces.pop())
    }

    /// When [`Input::Timeout`] is due; may change with each input and call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    // ---- metadata ----

    /// What is known of a topic; one that is not known is asked for at once where it is [wanted](Self::want_topic).
    pub fn topic(&self, name: &str) -> TopicState {
        self.metadata.topic(name, &self.config)
    }

    /// Why nothing is known of a topic, where that should pass by itself.
    pub(crate) fn topic_trouble(&self, name: &str) -> Option<Error> {
        self.metadata.trouble(name)
    }

    /// Somebody needs the topic from now on.
    pub fn want_topic(&mut self, now: Now, name: &Str) {
        self.metadata.want(name);
        self.settle(now);
    }

    /// The controller has made the topic: under this id (zero where it tells none). `None` where it exists already.
    pub(crate) fn topic_made(&mut self, now: Now, name: &Str, id: Option<Uuid>) {
        if id.is_some_and(|id| self.metadata.made(name, id)) {
            self.topic_changed(now, name);
        }
        self.metadata.expect(name);
        self.settle(now);
    }

    /// The controller has deleted the topic that had this id (zero where it tells none).
    pub(crate) fn topic_deleted(&mut self, now: Now, name: &Str, id: Uuid) {
        if self.metadata.deleted(name, id) {
            self.topic_changed(now, name);
            self.settle(now);
        }
    }

    /// Nobody needs the topic for this reason any more.
    pub fn unwant_topic(&mut self, name: &str) {
        self.metadata.unwant(name);
    }

    /// Somebody waits for a partition that its topic is not known to have; [`Key::Topic`] tells when it may be there.
    pub(crate) fn want_partition(&mut self, now: Now, partition: &TopicPartition) {
        self.metadata.want_partition(partition.clone());
        self.settle(now);
    }

    pub(crate) fn unwant_partition(&mut self, partition: &TopicPartition) {
        self.metadata.unwant_partition(partition);
    }

    /// What is known of topics seems to be out of date.
    pub(crate) fn refresh_metadata(&mut self) {
        self.metadata.hint_stale();
    }

    fn plan_metadata(&mut self, now: Now) {
        if self.closed {
            return;
        }
        let begun = !self.calls.is_empty() || self.metadata.is_any_wanted();
        if begun && self.metadata.may_ask_now(now.time, &self.config) {
            return self.ask_metadata(now);
        }
        if !self.timers.is_set(&Timer::Metadata) || self.metadata.is_stale() {
            let due = self.metadata.due(&self.config, &mut self.random);
            self.timers.set_option(Timer::Metadata, due);
        }
    }

    fn ask_metadata(&mut self, now: Now) {
        let request = self.metadata.request(now.time, &self.config);
        let (target, timeout) = self.whom_to_ask(now.time);
        let is_sent_back = std::mem::take(&mut self.metadata.rebootstraps);
        let target = if is_sent_back { self.any_bootstrap() } else { target };
        let ask = Ask { tag: 0, target, lane: Lane::Other, request: request.into(), timeout };
        self.timers.stop(&Timer::Metadata);
        self.ask(now.time, Owner::Metadata, ask);
    }

    /// Which broker to ask for metadata, and how long to wait for it: others cannot be asked meanwhile.
    fn whom_to_ask(&self, now: Time) -> (Target, Duration) {
        let timeout = self.config.request_timeout;
        let are_all_down = self.metadata.cluster.nodes.keys().all(|id| self.has_fallen(Peer::Node(*id)));
        match self.metadata.whose_turn(self.talkative(now)) {
            Some(broker) if !self.has_fallen(Peer::Node(broker)) => (Target::node(broker), timeout),
            Some(broker) if !are_all_down => (Target::node(broker), timeout.min(SECOND_CHANCE)),
            _ => (Target::Any, timeout),
        }
    }

    fn any_bootstrap(&mut self) -> Target {
        self.stats.rebootstraps += 1;
        let at = self.random.below(self.config.bootstrap.len() as u64) as usize;
        Target::Peer(Peer::Bootstrap(at))
    }

    fn metadata_answered(&mut self, now: Now, answer: Answer) {
        let peer = answer.peer;
        let (response, peer) = match (answer.response_to::<MetadataRequest>(), peer) {
            (Ok(response), Some(peer)) => (response, peer),
            (Ok(_), None) => return self.plan_metadata_retry(),
            (Err(error), _) => {
                self.metadata.failed(now.time, peer);
                self.metadata.last_error = Some(error.clone());
                self.no_metadata(now, &error);
                return self.plan_metadata_retry();
            }
        };
        match self.metadata.apply(now.time, peer, response, &self.config) {
            Ok(changes) => {
                let gone = self.metadata.forget_gone(&self.config);
                for topic in changes.topics.into_iter().chain(gone) {
                    self.topic_changed(now, &topic);
                }
                self.check_addresses(now, Some(peer), |_| true);
                if !self.metadata.cluster.nodes.is_empty() && !self.metadata.rebootstraps {
                    self.close_bootstrap(now);
                }
                self.kick_idle(now.time);
            }
            Err(error) => self.part_from(now, peer, &error),
        }
        self.plan_metadata_retry();
    }

    /// A lane could not be connected while its broker's address was not known.
    fn kick_idle(&mut self, now: Time) {
        let idle = self.lanes.lanes.iter().filter(|(_, lane)| lane.link == lanes::LinkState::Idle);
        let idle: Vec<LaneKey> = idle.map(|(key, _)| *key).collect();
        for key in idle {
            if self.address_of(key.peer).is_some() && self.machines.want_lane(key) {
                self.kick(now, key);
            }
        }
    }

    fn plan_metadata_retry(&mut self) {
        let due = self.metadata.due(&self.config, &mut self.random);
        self.timers.set_option(Timer::Metadata, due);
    }

    fn topic_changed(&mut self, now: Now, topic: &Str) {
        self.announce(Event::Wake(Key::Topic(topic.clone())));
        self.tell_who_wants(now, topic);
    }

    fn hint(&mut self, now: Now, hint: Hint) {
        match hint {
            Hint::Refresh(_) => self.metadata.hint_stale(),
            Hint::Leader { topic, partition, leader, leader_epoch, node } => {
                if self.metadata.leader_hint(&topic, partition, leader, leader_epoch, node) {
                    self.topic_changed(now, &topic);
                }
            }
            Hint::NotCoordinator(kind, key) => self.forget_coordinator(now.time, kind, &key),
        }
    }

    /// A broker cannot be reached.
    fn broker_failed(&mut self, now: Now, key: LaneKey, error: &ConnectionError) {
        self.metadata.hint_stale();
        let error = Error::from(error.clone()).with_broker(self.broker_name(key.peer));
        if key.lane == Lane::Other {
            self.no_metadata(now, &error);
        }
        let down = || MachineInput::LaneDown(key, error.clone());
        match key.lane.owner() {
            Some(id) => self.give(now, id, down()),
            None => {
                self.give_all(now, |_| true, down);
                for group in self.coordinators.groups_looked_up() {
                    self.no_coordinator(now, CoordinatorKind::Group, &group, &error);
                }
            }
        }
        if let (Lane::Group(_), Some(broker)) = (key.lane, key.peer.node()) {
            self.coordinators.forget_broker(broker);
        }
    }

    /// No broker tells of topics for the moment.
    fn no_metadata(&mut self, now: Now, error: &Error) {
        let Some(since) = self.metadata.unanswered() else { return };
        let error = self.last_trouble().unwrap_or_else(|| error.clone()).with_api(ApiKey::Metadata);
        self.give_all(now, |_| true, || MachineInput::NoMetadata { since, error: error.clone() });
    }

    /// A coordinator cannot be found for the moment.
    pub(super) fn no_coordinator(&mut self, now: Now, kind: CoordinatorKind, key: &Str, error: &Error) {
        let input = || MachineInput::NoCoordinator(error.clone());
        self.give_all(now, |machine| machine.coordinator() == Some((kind, key)), input);
    }

    /// A broker hears of something that is over, if that costs no attempt to reach one that is gone.
    fn tell(&mut self, now: Now, ask: Ask) {
        let is_up = matches!(ask.target, Target::Peer(peer) if self.lanes.is_any_up(peer));
        if is_up && !self.closed {
            self.ask(now.time, Owner::Nobody, ask);
        }
    }

    /// Reports, once, what the client does without.
    pub(crate) fn announce_degraded(&mut self, error: Error) {
        if !self.degraded.contains(&error) {
            self.degraded.push(error.clone());
            self.announce(Event::Degraded(error));
        }
    }

    // ---- the end ----

    /// Ends everything at once: what is not written never will be, and every connection is told to end.
    pub fn close(&mut self, now: Now) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        self.give_all(now, |_| true, || MachineInput::ClientClosed);
        self.settle(now);
        let conns: Vec<ConnId> = self.lanes.conns.keys().copied().collect();
        conns.into_iter().for_each(|conn| self.close_conn(now, conn, ConnectionError::ClosedByClient));
    }

    /// Whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Nothing is owed to anyone: what a test asserts at the end, so that a leak shows.
    pub fn is_quiescent(&self) -> bool {
        self.responses.is_empty()
            && self
                .requests
                .values()
                .all(|r| matches!(r.owner, Owner::Metadata | Owner::Proof | Owner::Nobody))
            && self.machines.iter().all(|(_, machine)| machine.is_quiescent())
            && self.answers.is_empty()
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

/// A broker that is named as a leader or coordinator, and not among the brokers.
fn not_in_metadata() -> ConnectionError {
    ConnectionError::Unreachable("the broker is not in the cluster's metadata".into())
}

/// For [`CallSpec::code`]: a response whose errors the caller looks at itself.
pub(crate) fn no_code(_: &ResponseKind) -> kafka_proto::error_code::ErrorCode {
    kafka_proto::error_code::ErrorCode::None
}

#[cfg(test)]
mod tests;
