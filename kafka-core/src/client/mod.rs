//! The cluster brain: one for all writers, readers, groups and calls of a client.
//!
//! In: [`Client::handle_input`] and the application's calls. Out: [`Client::poll_action`] (low-rate orders to the driver),
//! [`Client::poll_transmit`] (requests, by connection), [`Client::poll_event`] (hints that something is to be had; the data
//! itself is pulled) and [`Client::poll_timeout`]. It holds no socket, clock, thread or dice; the same inputs give the
//! same outputs on every machine. Any order of calls is valid.
//!
//! This file only merges: each machine has its own, and asks through [`machine`](crate::machine).

mod alarms;
mod answers;
mod calls;
mod check;
mod closing;
mod connections;
mod coordinators;
#[cfg(feature = "record")]
pub(crate) mod door;
mod entry;
mod io;
mod lane;
mod lanes;
mod lookups;
mod machines;
mod metadata;
mod outputs;
mod promises;
mod refresh;
mod requests;
mod routing;
mod timers;
mod transmits;

pub(crate) use alarms::Rung;
pub(crate) use calls::CallSpec;
pub use io::{Action, Event, Garbage, Input, Job, JobDone, Key, Notify};
pub(crate) use promises::Outcome;

use crate::config::ClientConfig;
use crate::error::{ConnectionError, Error};
use crate::machine::{Answer, Ask, CoordinatorKind, Lane, LaneKey, MachineInput, Now, OpId, Target, Time};
use crate::random::Random;
use crate::snapshot::{Cluster, TopicPartition, TopicState};
use crate::stats::Stats;
use crate::tape::Tape;
use calls::Call;
use coordinators::Coordinators;
#[cfg(feature = "record")]
use door::{Door, What};
use entry::{enter, leave};
use kafka_proto::{ResponseKind, Str, Uuid};
use lanes::Lanes;
use machines::Machines;
use metadata::Metadata;
use outputs::Outputs;
use promises::Promises;
use requests::{Owner, Requests};
use rustc_hash::FxHashMap;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use timers::{Timer, Timers};

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
    requests: Requests,
    coordinators: Coordinators,
    calls: FxHashMap<OpId, Call>,
    responses: Promises<Result<ResponseKind, Error>>,
    alarms: Promises<Rung>,
    committed: Promises<Result<(), Error>>,
    machines: Machines,
    /// Answers that were not given to their owners yet.
    answers: VecDeque<(Owner, Answer)>,
    /// Lanes to brokers whose address nobody tells.
    unaddressed: BTreeSet<LaneKey>,
    outputs: Outputs,
    last_id: u64,
    /// The jobs that were ordered so far.
    jobs: u64,
    /// Through it machines see what is not under the client's lock.
    tape: Tape,
    #[cfg(feature = "record")]
    door: Option<Box<Door>>,
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
            requests: Requests::default(),
            coordinators: Coordinators::default(),
            calls: FxHashMap::default(),
            responses: Promises::default(),
            alarms: Promises::default(),
            committed: Promises::default(),
            machines: Machines::default(),
            answers: VecDeque::new(),
            unaddressed: BTreeSet::new(),
            outputs: Outputs::default(),
            last_id: 0,
            jobs: 0,
            tape: Tape::default(),
            #[cfg(feature = "record")]
            door: None,
            is_retiring: false,
            closed: false,
            stats: Stats::default(),
        }
    }

    /// What machines see through.
    pub(crate) fn tape(&self) -> &Tape {
        &self.tape
    }

    /// The settings.
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// What is known of the cluster.
    pub fn cluster(&self) -> &Cluster {
        self.metadata.cluster()
    }

    /// Counters and gauges since the beginning.
    pub fn stats(&self) -> Stats {
        let mut stats = self.stats.clone();
        (stats.connections, stats.requests_in_flight) = self.lanes.gauges();
        stats
    }

    /// What the client does without, since the brokers are too old.
    pub fn degraded(&self) -> &[Error] {
        self.outputs.degraded()
    }

    // ---- inputs ----

    /// Takes what happened. `now` must not go backwards.
    pub fn handle_input(&mut self, now: Now, input: Input) {
        enter!(self, Some(now), What::input(&input));
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
        leave!(self, &());
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
                Timer::Machine(id) => self.machine_timeout(now, id),
                Timer::Retire => self.end(now),
            }
        }
    }

    fn after_throttle(&mut self, now: Time, key: LaneKey) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.end_throttle();
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
            Owner::Built(_) | Owner::Shared(_) | Owner::Proof | Owner::Nobody => {}
        }
    }

    // ---- outputs ----

    /// The next order to the driver.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        let action = self.outputs.next_action();
        #[cfg(feature = "record")]
        self.tell_action(action.as_ref());
        action
    }

    /// Whether [`poll_action`](Self::poll_action) has something.
    pub(crate) fn has_actions(&self) -> bool {
        self.outputs.has_actions()
    }

    /// The next hint.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.outputs.next_event().or_else(|| self.metadata.pop_trace().map(Event::Trace));
        #[cfg(feature = "record")]
        self.tell_event(event.as_ref());
        event
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
        enter!(self, Some(now), What::WantTopic(name.clone()));
        self.metadata.want(name);
        self.settle(now);
        leave!(self, &());
    }

    /// The controller has made the topic: under this id (zero where it tells none). `None` where it exists already.
    pub(crate) fn topic_made(&mut self, now: Now, name: &Str, id: Option<Uuid>) {
        enter!(self, Some(now), What::topic_made(name, id));
        if id.is_some_and(|id| self.metadata.made(name, id)) {
            self.topic_changed(now, name);
        }
        self.metadata.expect(name);
        self.settle(now);
        leave!(self, &());
    }

    /// The controller has deleted the topic that had this id (zero where it tells none).
    pub(crate) fn topic_deleted(&mut self, now: Now, name: &Str, id: Uuid) {
        enter!(self, Some(now), What::TopicDeleted { name: name.clone(), id: id.0 });
        if self.metadata.deleted(name, id) {
            self.topic_changed(now, name);
            self.settle(now);
        }
        leave!(self, &());
    }

    /// Nobody needs the topic for this reason any more.
    pub fn unwant_topic(&mut self, name: &str) {
        enter!(self, None, What::UnwantTopic(name.into()));
        self.metadata.unwant(name);
        leave!(self, &());
    }

    /// Somebody waits for a partition that its topic is not known to have; [`Key::Topic`] tells when it may be there.
    pub(crate) fn want_partition(&mut self, now: Now, partition: &TopicPartition) {
        enter!(self, Some(now), What::WantPartition(partition.clone()));
        self.metadata.want_partition(partition.clone());
        self.settle(now);
        leave!(self, &());
    }

    pub(crate) fn unwant_partition(&mut self, partition: &TopicPartition) {
        enter!(self, None, What::UnwantPartition(partition.clone()));
        self.metadata.unwant_partition(partition);
        leave!(self, &());
    }

    /// What is known of topics seems to be out of date.
    pub(crate) fn refresh_metadata(&mut self) {
        enter!(self, None, What::RefreshMetadata);
        self.metadata.hint_stale();
        leave!(self, &());
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
        self.outputs.degrade(error);
    }

    // ---- the end ----

    /// Ends everything at once: what is not written never will be, and every connection is told to end.
    pub fn close(&mut self, now: Now) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        enter!(self, Some(now), What::Close);
        self.give_all(now, |_| true, || MachineInput::ClientClosed);
        self.settle(now);
        self.timers.stop(&Timer::Metadata);
        self.lanes
            .conns()
            .into_iter()
            .for_each(|conn| self.close_conn(now, conn, ConnectionError::ClosedByClient));
        leave!(self, &());
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
                .iter()
                .all(|(_, r)| matches!(r.owner, Owner::Metadata | Owner::Proof | Owner::Nobody))
            && !self.machines.any(|machine| !machine.is_quiescent())
            && self.answers.is_empty()
    }

    pub(super) fn announce(&mut self, event: Event) {
        self.outputs.announce(event);
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
