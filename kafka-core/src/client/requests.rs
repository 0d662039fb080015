//! Requests on their way: routed to a lane, handed out, answered, failed.
//!
//! Invariants
//! * Each request is in exactly one place: waiting for its coordinator, queued in a lane, or in flight.
//! * Each ends exactly once, by an answer or an error given to its owner, at its deadline at the latest.

use super::coordinators::find;
use super::lanes::{LaneState, LinkState, Proof, Rank};
use super::timers::Timer;
use super::{Client, Event, not_in_metadata};
use crate::error::{ConnectionError, Error, ErrorKind};
use crate::link::newest;
use crate::link::{Answered, ConnId, Payload, RequestId, Transmit};
use crate::machine::{
    Answer, Ask, CoordinatorKind, Failure, Lane, LaneKey, MachineId, MachineInput, Now, OpId, Peer, Target,
    Time,
};
use crate::snapshot::Node;
use crate::trace::Told;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::find_coordinator::{Coordinator, FindCoordinatorRequest};
use kafka_proto::messages::metadata::MetadataRequest;
use kafka_proto::{ApiKey, Str};
use kafka_proto::{RequestKind, ResponseKind};
use std::collections::BTreeSet;
use std::time::Duration;

/// From so many coordinators on those are forgotten that no member of a group needs.
const MANY_COORDINATORS: usize = 100;
/// The first version of Metadata that tells the cluster's id.
const CLUSTER_ID_SINCE: i16 = 2;

/// Who gets the answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Owner {
    Metadata,
    Coordinator(CoordinatorKind, Str),
    Call(OpId),
    /// A machine, by this tag.
    Ask(MachineId, u64),
    /// The machine that built it when it was handed out.
    Built(MachineId),
    /// The lane itself: which cluster its connection leads to.
    Proof,
    /// Nobody: a broker is told that something of ours is over.
    Nobody,
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) owner: Owner,
    pub(crate) target: Target,
    pub(crate) lane: Lane,
    /// The lane it is in, once routed.
    pub(crate) key: Option<LaneKey>,
    pub(crate) api: ApiKey,
    /// Taken when handed out.
    body: Option<RequestKind>,
    asked: Time,
    deadline: Time,
}

impl Client {
    /// Takes a request of a machine and sends it on its way.
    pub(super) fn ask(&mut self, now: Time, owner: Owner, ask: Ask) {
        let id = RequestId(self.next_id());
        let Ask { target, lane, request, timeout, .. } = ask;
        let deadline = now + timeout;
        let api = request.api_key();
        self.timers.set(Timer::Queued(id), deadline);
        let request =
            Request { owner, target, lane, key: None, api, body: Some(request), asked: now, deadline };
        self.requests.insert(id, request);
        self.route(now, id);
    }

    fn route(&mut self, now: Time, id: RequestId) {
        let Some(request) = self.requests.get(&id) else { return };
        let (target, lane) = (request.target.clone(), request.lane);
        let peer = match target {
            Target::Peer(peer) => Some(peer),
            Target::Any => self.any_broker(now),
            Target::Controller => {
                let known = self.metadata.cluster.controller;
                let known = known.filter(|c| self.metadata.cluster.nodes.contains_key(c));
                known.map(Peer::Node).or_else(|| self.any_broker(now))
            }
            Target::Coordinator(kind, key) => match self.coordinators.broker(kind, &key) {
                Some(broker) => Some(Peer::Node(broker)),
                None => return self.await_coordinator(now, id, kind, &key),
            },
        };
        match peer.filter(|peer| self.address_of(*peer).is_some()) {
            Some(peer) => self.enqueue(now, id, LaneKey { peer, lane }),
            None => {
                self.metadata.hint_stale();
                self.finish(id, None, Err(not_in_metadata().into()));
            }
        }
    }

    fn enqueue(&mut self, now: Time, id: RequestId, key: LaneKey) {
        if let Some(request) = self.requests.get_mut(&id) {
            request.key = Some(key);
        }
        self.lane(now, key).queue.push_back(id);
        self.kick(now, key);
    }

    /// The broker that will answer soonest, as far as can be told; bootstrap addresses where no known broker is left.
    pub(super) fn any_broker(&mut self, now: Time) -> Option<Peer> {
        let known: Vec<Peer> = self.metadata.cluster.nodes.keys().copied().map(Peer::Node).collect();
        let mut candidates = known;
        if candidates.iter().all(|broker| self.has_fallen(*broker)) {
            if !candidates.is_empty() {
                self.stats.rebootstraps += 1;
            }
            candidates.extend(self.bootstrap());
        }
        // Equal ones are taken in turn, from a start that differs from client to client.
        let start = self.random.below(candidates.len() as u64) as usize;
        candidates.rotate_left(start);
        let rank = |broker: &Peer| {
            self.lanes.get(LaneKey { peer: *broker, lane: Lane::Other }).map_or(Rank::NEW, |l| l.rank(now))
        };
        candidates.into_iter().min_by_key(rank)
    }

    /// The last attempts to talk to a broker failed, or what is there is none.
    pub(super) fn has_fallen(&self, broker: Peer) -> bool {
        self.lanes.get(LaneKey { peer: broker, lane: Lane::Other }).is_some_and(LaneState::has_fallen)
    }

    /// The known brokers that can be asked now, be it in the hope that they are there again.
    pub(super) fn talkative(&self, now: Time) -> impl Iterator<Item = i32> + Clone {
        let is_talkative = move |broker: &i32| match self.lanes.get(LaneKey::node(*broker, Lane::Other)) {
            Some(lane) => lane.link != LinkState::Backoff && !lane.is_hopeless && !lane.is_muted(now),
            None => true,
        };
        self.metadata.cluster.nodes.keys().copied().filter(is_talkative)
    }

    /// Whether any broker, or bootstrap address, may yet turn out to be one.
    fn has_hope(&self) -> bool {
        let mut all = self.metadata.cluster.nodes.keys().copied().map(Peer::Node).chain(self.bootstrap());
        all.any(|broker| {
            self.lanes.get(LaneKey { peer: broker, lane: Lane::Other }).is_none_or(|l| !l.is_hopeless)
        })
    }

    fn await_coordinator(&mut self, now: Time, id: RequestId, kind: CoordinatorKind, key: &Str) {
        if self.coordinators.len() >= MANY_COORDINATORS {
            let used: BTreeSet<_> =
                self.machines.iter().filter_map(|(_, machine)| machine.coordinator()).collect();
            let is_used = |kind, key: &Str| used.contains(&(kind, key));
            self.coordinators.forget_unused(is_used);
        }
        let coordinator = self.coordinators.entry(kind, key);
        coordinator.waiting.push(id);
        if !std::mem::replace(&mut coordinator.looking, true) {
            self.find_coordinator(now, kind, key);
        }
    }

    pub(super) fn find_coordinator(&mut self, now: Time, kind: CoordinatorKind, key: &Str) {
        let ask = Ask {
            tag: 0,
            target: Target::Any,
            lane: Lane::Other,
            request: find(kind, key).into(),
            timeout: self.config.request_timeout,
        };
        self.ask(now, Owner::Coordinator(kind, key.clone()), ask);
    }

    pub(super) fn coordinator_found(&mut self, now: Now, kind: CoordinatorKind, key: &Str, answer: Answer) {
        let witness = answer.peer;
        let found = answer.response_to::<FindCoordinatorRequest>().and_then(|response| {
            let error = |code| Error::of_code(code).with_api(ApiKey::FindCoordinator).with_group(key);
            let coordinator = found_for(key, response.coordinators);
            let coordinator = coordinator.ok_or_else(|| error(ErrorCode::CoordinatorNotAvailable))?;
            match ErrorCode::from(coordinator.error_code) {
                ErrorCode::None if coordinator.node_id >= 0 => Ok(coordinator),
                ErrorCode::None => Err(error(ErrorCode::CoordinatorNotAvailable)),
                code => Err(error(code)),
            }
        });
        match found {
            Ok(found) => {
                self.learn_node(found.node_id, &found.host, found.port);
                self.check_addresses(now, witness, |broker| broker == found.node_id);
                let coordinator = self.coordinators.entry(kind, key);
                (coordinator.trouble, coordinator.told_by) = (None, witness);
                (coordinator.broker, coordinator.looking, coordinator.attempts) =
                    (Some(found.node_id), false, 0);
                for id in std::mem::take(&mut coordinator.waiting) {
                    self.route(now.time, id);
                }
            }
            Err(error) if error.is_retriable() => {
                self.no_coordinator(now, kind, key, &error);
                let coordinator = self.coordinators.entry(kind, key);
                coordinator.trouble = Some(error);
                let attempt = coordinator.attempts;
                coordinator.attempts += 1;
                if coordinator.waiting.is_empty() {
                    coordinator.looking = false;
                    return;
                }
                let wait =
                    self.random.backoff(attempt, self.config.retry_backoff, self.config.retry_backoff_max);
                self.timers.set(Timer::Coordinator(kind, key.clone()), now.time + wait);
            }
            Err(error) => {
                let coordinator = self.coordinators.entry(kind, key);
                coordinator.looking = false;
                for id in std::mem::take(&mut coordinator.waiting) {
                    self.finish(id, None, Err(error.clone()));
                }
            }
        }
    }

    /// A coordinator is none, or cannot be reached. Who told of it may lag: another broker is asked.
    pub(super) fn forget_coordinator(&mut self, now: Time, kind: CoordinatorKind, key: &Str) {
        if let Some(teller) = self.coordinators.forget(kind, key) {
            self.note_refusal(now, LaneKey { peer: teller, lane: Lane::Other }, true);
        }
    }

    /// Where a broker is to be found, as another API than Metadata tells it.
    fn learn_node(&mut self, id: i32, host: &Str, port: i32) {
        let nodes = &mut self.metadata.cluster.nodes;
        let rack = nodes.get(&id).and_then(|node| node.rack.as_ref());
        if let Some(node) = Node::told(id, host, port, rack) {
            nodes.insert(id, node);
        }
    }

    /// Returns the next request for a connection; `None` where there is none for now, until an
    /// [`Event::Wake`](super::Event::Wake) of [`Key::Conn`](super::Key::Conn). It must be handed to the connection's link.
    pub fn poll_transmit(&mut self, now: Now, conn: ConnId) -> Option<Transmit> {
        let transmit = self.next_transmit(now, conn);
        if transmit.is_none()
            && let Some((_, lane)) = self.lanes.by_conn(conn)
        {
            lane.announced = false;
        }
        self.settle(now);
        transmit
    }

    fn next_transmit(&mut self, now: Now, conn: ConnId) -> Option<Transmit> {
        let max_in_flight = self.config.max_in_flight;
        let (key, lane) = self.lanes.by_conn(conn)?;
        if lane.up() != Some(conn)
            || lane.is_draining
            || lane.is_muted(now.time)
            || lane.in_flight.len() >= max_in_flight
        {
            return None;
        }
        match lane.proof {
            Proof::NotNeeded => {}
            Proof::Wanted => return self.ask_for_proof(now, key, conn),
            Proof::Asked => return None,
        }
        while let Some(id) = self.lanes.get_mut(key)?.queue.pop_front() {
            if let Some(transmit) = self.hand_out(now, key, conn, id) {
                return Some(transmit);
            }
        }
        self.next_built(now, key, conn)
    }

    /// Asks a broker for nothing but its cluster's id.
    fn ask_for_proof(&mut self, now: Now, key: LaneKey, conn: ConnId) -> Option<Transmit> {
        let lane = self.lanes.get_mut(key)?;
        let version = lane.versions.as_ref()?.version(ApiKey::Metadata).filter(|v| *v >= CLUSTER_ID_SINCE);
        lane.proof = if version.is_some() { Proof::Asked } else { Proof::NotNeeded };
        let Some(version) = version else {
            return self.next_transmit(now, conn);
        };
        let id = RequestId(self.next_id());
        self.book(now.time, id, Owner::Proof, key, conn, ApiKey::Metadata, self.config.request_timeout);
        let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
        Some(Transmit { id, version, payload: Payload::Plain(Box::new(request.into())) })
    }

    fn hand_out(&mut self, now: Now, key: LaneKey, conn: ConnId, id: RequestId) -> Option<Transmit> {
        let versions = self.lanes.get(key)?.versions.as_ref()?;
        let request = self.requests.get_mut(&id)?;
        let (deadline, body) = (request.deadline, request.body.take()?);
        let version = versions.version_up_to(request.api, newest(&body));
        let Some(version) = version else {
            let error = Error::new(ErrorKind::Unsupported {
                feature: request.api.name(),
                needs: "a newer broker, or one that offers it on this listener",
            });
            let error = error.with_api(request.api).with_broker(self.broker_name(key.peer));
            self.timers.stop(&Timer::Queued(id));
            self.finish(id, Some(key.peer), Err(error));
            return None;
        };
        self.timers.stop(&Timer::Queued(id));
        self.handed_out(now.time, key, conn, id, deadline);
        Some(Transmit { id, version, payload: Payload::Plain(Box::new(body)) })
    }

    /// Books a request as in flight.
    pub(super) fn handed_out(
        &mut self,
        now: Time,
        key: LaneKey,
        conn: ConnId,
        id: RequestId,
        deadline: Time,
    ) {
        self.stats.requests += 1;
        let Some(lane) = self.lanes.get_mut(key) else { return };
        lane.in_flight.push_back((id, deadline));
        lane.last_used = now;
        // What was asked before may have more time.
        self.timers.set_earlier(Timer::Conn(conn), deadline);
    }

    /// Books a request that is built when it is handed out.
    #[expect(clippy::too_many_arguments, reason = "each is a part of the one fact that is booked")]
    pub(super) fn book(
        &mut self,
        now: Time,
        id: RequestId,
        owner: Owner,
        key: LaneKey,
        conn: ConnId,
        api: ApiKey,
        timeout: Duration,
    ) {
        let (target, lane, deadline) = (Target::Peer(key.peer), key.lane, now + timeout);
        let request = Request { owner, target, lane, key: Some(key), api, body: None, asked: now, deadline };
        self.requests.insert(id, request);
        self.handed_out(now, key, conn, id, deadline);
    }

    pub(super) fn responded(
        &mut self,
        now: Now,
        conn: ConnId,
        id: RequestId,
        response: Answered,
        throttle: Duration,
    ) {
        if let Some((key, lane)) = self.lanes.by_conn(conn) {
            if !lane.answered(id) {
                return;
            }
            lane.has_served = true;
            // Of a broker that has yet to tell its cluster an answer alone proves nothing.
            if lane.proof == Proof::NotNeeded {
                (lane.failures, lane.last_error) = (0, None);
            }
            lane.last_used = now.time;
            if lane.in_flight.is_empty() {
                self.timers.stop(&Timer::Conn(conn));
            }
            if !throttle.is_zero() {
                self.throttle(now.time, key, throttle);
            }
            self.stats.responses += 1;
            self.answered(now, id, key, response);
            self.after_response(now, key);
        }
    }

    /// The broker asked for silence on this lane (KIP-219).
    fn throttle(&mut self, now: Time, key: LaneKey, throttle: Duration) {
        self.stats.throttled += 1;
        let (broker, lane) = (self.broker_name(key.peer), key.lane);
        self.traces.push(|| Told::Throttled { broker, lane: lane.to_string(), silence: throttle });
        if let Some(lane) = self.lanes.get_mut(key) {
            // An answer that was under way beside another does not take back what that one has asked for.
            let until = lane.throttled_until.max(Some(now + throttle)).unwrap_or(now);
            lane.throttled_until = Some(until);
            self.timers.set(Timer::Throttle(key), until);
        }
    }

    /// A lane that has more to send is told so, since its in-flight limit may have held it back.
    pub(super) fn after_response(&mut self, now: Now, key: LaneKey) {
        if self.lanes.get(key).is_some_and(|l| l.is_draining) {
            return self.close_drained(now, key);
        }
        let more = self.lanes.get(key).is_some_and(|l| !l.queue.is_empty()) || self.machines.want_lane(key);
        if more {
            self.kick(now.time, key);
        }
    }

    fn answered(&mut self, now: Now, id: RequestId, key: LaneKey, response: Answered) {
        let Some(request) = self.requests.remove(&id) else { return };
        self.timers.stop(&Timer::Queued(id));
        self.stats.latency.record(now.time.duration_since(request.asked));
        match (request.owner, response) {
            (Owner::Built(machine), response) => {
                self.give(now, machine, MachineInput::Exchanged { id, key, result: Ok(response) });
            }
            (owner, Answered::Plain(response)) => {
                if request.target == Target::Any {
                    self.note_refusal(now.time, key, refuses(&response));
                }
                let result = self.of_this_cluster(now, key, &owner, *response);
                self.answers.push_back((owner, Answer { tag: 0, peer: Some(key.peer), result }));
            }
            (owner, Answered::Fetched(_)) => {
                let error = Error::new(ErrorKind::Decode("a fetch response to another request".into()));
                self.answers.push_back((owner, Answer { tag: 0, peer: Some(key.peer), result: Err(error) }));
            }
        }
    }

    /// Another broker is asked next where this one refused what any may serve: it may lag, and do so for ever.
    pub(super) fn note_refusal(&mut self, now: Time, key: LaneKey, is_refused: bool) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.refused_at = is_refused.then_some(now);
        }
    }

    /// No call shall be answered by a cluster that another address led to.
    fn of_this_cluster(
        &mut self,
        now: Now,
        key: LaneKey,
        owner: &Owner,
        response: ResponseKind,
    ) -> Result<ResponseKind, Error> {
        let ResponseKind::Metadata(metadata) = &response else { return Ok(response) };
        let Err(error) = self.metadata.check_cluster(metadata) else {
            if let Some(lane) = self.lanes.get_mut(key).filter(|_| *owner == Owner::Proof) {
                lane.proof = Proof::NotNeeded;
                (lane.failures, lane.last_error) = (0, None);
            }
            return Ok(response);
        };
        // The metadata's own answer is looked at where it is applied.
        if *owner == Owner::Metadata {
            return Ok(response);
        }
        self.part_from(now, key.peer, &error);
        Err(Error::from(error).with_api(ApiKey::Metadata).with_broker(self.broker_name(key.peer)))
    }

    /// A request could not be encoded: nothing of it was sent, and the connection goes on.
    pub(super) fn refused(&mut self, now: Now, conn: ConnId, id: RequestId, error: &Error) {
        if let Some((key, lane)) = self.lanes.by_conn(conn) {
            lane.answered(id);
            let error = error.clone().with_broker(self.broker_name(key.peer));
            self.fail_request(now, id, error, false);
        }
    }

    /// A request whose connection failed. What nobody began to send, and any broker can serve, goes to another one.
    pub(super) fn request_failed(&mut self, now: Now, id: RequestId, error: &ConnectionError, taken: bool) {
        let Some(request) = self.requests.get(&id) else { return };
        let anywhere = request.body.is_some() && request.target == Target::Any;
        if anywhere && now.time < request.deadline && self.has_hope() {
            return self.route_again(now.time, id);
        }
        let broker = request.key.map(|key| self.broker_name(key.peer));
        let mut error = Error::from(error.clone()).with_api(request.api);
        if let Some(broker) = broker {
            error = error.with_broker(broker);
        }
        self.fail_request(now, id, error, taken);
    }

    /// Where all that could serve it are down it waits for the first that comes back, or its deadline.
    fn route_again(&mut self, now: Time, id: RequestId) {
        let Some(peer) = self.any_broker(now) else { return };
        let Some(lane) = self.requests.get(&id).map(|r| r.lane) else { return };
        self.enqueue(now, id, LaneKey { peer, lane });
    }

    fn fail_request(&mut self, now: Now, id: RequestId, error: Error, taken: bool) {
        let Some(request) = self.requests.get(&id) else { return };
        let key = request.key;
        match (request.owner.clone(), key) {
            (Owner::Built(machine), Some(key)) => {
                self.requests.remove(&id);
                let result = Err(Failure { error, is_taken: taken });
                self.give(now, machine, MachineInput::Exchanged { id, key, result });
            }
            _ => self.finish(id, key.map(|key| key.peer), Err(error)),
        }
    }

    /// A request waited for a connection until its deadline.
    pub(super) fn queued_timeout(&mut self, id: RequestId) {
        let Some(request) = self.requests.get(&id) else { return };
        let key = request.key;
        let after = request.deadline.duration_since(request.asked);
        let last = self.trouble_of(request);
        if let Some(lane) = key.and_then(|key| self.lanes.get_mut(key)) {
            lane.queue.retain(|queued| *queued != id);
        } else {
            self.coordinators.unwait(id);
        }
        let error = Error::new(ErrorKind::TimedOut { after, last }).with_api(request_api(&self.requests, id));
        self.finish(id, key.map(|key| key.peer), Err(error));
    }

    /// Ends a request that was asked for by a machine.
    pub(super) fn finish(&mut self, id: RequestId, peer: Option<Peer>, result: Result<ResponseKind, Error>) {
        let Some(request) = self.requests.remove(&id) else { return };
        self.timers.stop(&Timer::Queued(id));
        self.answers.push_back((request.owner, Answer { tag: 0, peer, result }));
    }

    /// The socket took a request that is not answered.
    pub(super) fn request_sent(&mut self, now: Now, conn: ConnId, id: RequestId) {
        let Some((key, lane)) = self.lanes.by_conn(conn) else { return };
        lane.answered(id);
        lane.last_used = now.time;
        if lane.in_flight.is_empty() {
            self.timers.stop(&Timer::Conn(conn));
        }
        let Some(request) = self.requests.remove(&id) else { return };
        if let Owner::Built(machine) = request.owner {
            self.give(now, machine, MachineInput::Sent(id));
        }
        self.after_response(now, key);
    }

    /// `host:port` and id of a broker, for errors.
    pub(super) fn broker_name(&self, peer: Peer) -> String {
        match (peer, self.address_of(peer)) {
            (Peer::Node(id), Some(address)) => format!("{id} at {address}"),
            (Peer::Node(id), None) => id.to_string(),
            (_, Some(address)) => address.to_string(),
            (Peer::Bootstrap(at), None) => format!("bootstrap address {at}"),
        }
    }

    /// Gives up what a machine that ends has asked for.
    pub(super) fn cancel_requests(&mut self, of: impl Fn(&Owner) -> bool) {
        let ids: Vec<RequestId> =
            self.requests.iter().filter(|(_, r)| of(&r.owner)).map(|(id, _)| *id).collect();
        for id in ids {
            let Some(request) = self.requests.get(&id) else { continue };
            if request.body.is_none() {
                // In flight: the answer finds nobody.
                continue;
            }
            match request.key.and_then(|key| self.lanes.get_mut(key)) {
                Some(lane) => lane.queue.retain(|queued| *queued != id),
                None => self.coordinators.unwait(id),
            }
            self.timers.stop(&Timer::Queued(id));
            self.requests.remove(&id);
        }
    }

    pub(super) fn announce(&mut self, event: Event) {
        self.events.push_back(event);
    }
}

/// What an answer says of a key. Before version 4 it is of one key, which it does not name.
fn found_for(key: &Str, told: Vec<Coordinator>) -> Option<Coordinator> {
    let is_nameless = told.len() == 1 && told[0].key.is_empty();
    told.into_iter().find(|one| is_nameless || one.key == *key)
}

/// Whether an answer says that another broker may know better.
fn refuses(response: &ResponseKind) -> bool {
    let codes = match response {
        ResponseKind::FindCoordinator(r) => r.coordinators.iter().map(|one| one.error_code).collect(),
        ResponseKind::InitProducerId(r) => vec![r.error_code],
        ResponseKind::Metadata(r) => vec![r.error_code],
        _ => Vec::new(),
    };
    codes.into_iter().any(|code| ErrorCode::from(code).is_retriable())
}

fn request_api(requests: &std::collections::BTreeMap<RequestId, Request>, id: RequestId) -> ApiKey {
    requests.get(&id).map_or(ApiKey::Metadata, |r| r.api)
}
