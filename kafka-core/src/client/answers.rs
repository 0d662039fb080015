//! How requests end: answered, refused, failed, timed out, given up.

use super::Client;
use super::lane::LaneState;
use super::requests::Owner;
use super::timers::Timer;
use crate::error::{ConnectionError, Error, ErrorKind};
use crate::link::{Answered, ConnId, RequestId};
use crate::machine::{
    Answer, Failure, LaneKey, MachineId, MachineInput, Now, Peer, Shares, Target, Time, response,
};
use crate::trace::Told;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::{ApiKey, ResponseKind};
use std::time::Duration;

impl Client {
    pub(super) fn responded(
        &mut self,
        now: Now,
        conn: ConnId,
        id: RequestId,
        response: Answered,
        throttle: Duration,
    ) {
        if let Some((key, lane)) = self.lanes.by_conn(conn) {
            if !lane.answered(now.time, id) {
                return;
            }
            if lane.in_flight() == 0 {
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

    fn answered(&mut self, now: Now, id: RequestId, key: LaneKey, response: Answered) {
        let Some(request) = self.requests.remove(id) else { return };
        self.timers.stop(&Timer::Queued(id));
        self.stats.latency.record(now.time.duration_since(request.asked));
        match (request.owner, response) {
            (Owner::Built(machine), response) => {
                self.give(now, machine, MachineInput::Exchanged { id, key, result: Ok(response) });
            }
            (Owner::Shared(shares), response) => self.answered_in_parts(now, id, key, &shares, response),
            (owner, Answered::Plain(response)) => {
                if request.target == Target::Any {
                    self.note_refusal(now.time, key, refuses(&response));
                }
                let result = self.of_this_cluster(now, key, &owner, *response);
                self.answers.push_back((owner, Answer { tag: 0, peer: Some(key.peer), result }));
            }
            (owner, digested @ Answered::Digested(_)) => {
                let result = digested.plain().map(|response| *response);
                self.answers.push_back((owner, Answer { tag: 0, peer: Some(key.peer), result }));
            }
        }
    }

    /// Each of the machines that built a request together gets its part of the answer.
    fn answered_in_parts(
        &mut self,
        now: Now,
        id: RequestId,
        key: LaneKey,
        shares: &Shares,
        answer: Answered,
    ) {
        match answer.plain().and_then(|answer| response(*answer)) {
            Ok(produced) => shares.split(produced).for_each(|(machine, part)| {
                let result = Ok(Answered::Plain(Box::new(part.into())));
                self.give_and_pump(now, machine, MachineInput::Exchanged { id, key, result });
            }),
            Err(error) => self.fail_built(now, id, key, shares.machines(), &error, true),
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
                lane.proven();
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

    /// The broker asked for silence on this lane (KIP-219).
    fn throttle(&mut self, now: Time, key: LaneKey, throttle: Duration) {
        self.stats.throttled += 1;
        let (broker, lane) = (self.broker_name(key.peer), key.lane);
        self.outputs.trace(|| Told::Throttled {
            broker: broker.to_string(),
            lane: lane.to_string(),
            silence: throttle,
        });
        if let Some(lane) = self.lanes.get_mut(key) {
            let until = lane.throttle(now + throttle);
            self.timers.set(Timer::Throttle(key), until);
        }
    }

    /// Another broker is asked next where this one refused what any may serve: it may lag, and do so for ever.
    pub(super) fn note_refusal(&mut self, now: Time, key: LaneKey, is_refused: bool) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.note_refusal(now, is_refused);
        }
    }

    /// A lane that has more to send is told so, since its in-flight limit may have held it back.
    pub(super) fn after_response(&mut self, now: Now, key: LaneKey) {
        if self.lanes.get(key).is_some_and(LaneState::is_draining) {
            return self.close_drained(now, key);
        }
        let more = self.lanes.get(key).is_some_and(|lane| lane.queued() > 0) || self.machines.want_lane(key);
        if more {
            self.kick(now.time, key);
        }
    }

    /// The socket took a request that is not answered.
    pub(super) fn request_sent(&mut self, now: Now, conn: ConnId, id: RequestId) {
        let Some((key, lane)) = self.lanes.by_conn(conn) else { return };
        lane.sent(now.time, id);
        if lane.in_flight() == 0 {
            self.timers.stop(&Timer::Conn(conn));
        }
        let Some(request) = self.requests.remove(id) else { return };
        for machine in request.owner.builders() {
            self.give(now, machine, MachineInput::Sent(id));
        }
        self.after_response(now, key);
    }

    /// A request could not be encoded: nothing of it was sent, and the connection goes on.
    pub(super) fn refused(&mut self, now: Now, conn: ConnId, id: RequestId, error: &Error) {
        if let Some((key, lane)) = self.lanes.by_conn(conn) {
            lane.end_request(id);
            let error = error.clone().with_broker(self.broker_name(key.peer));
            self.fail_request(now, id, error, false);
        }
    }

    /// A request whose connection failed. What nobody began to send, and any broker can serve, goes to another one.
    pub(super) fn request_failed(&mut self, now: Now, id: RequestId, error: &ConnectionError, taken: bool) {
        let Some(request) = self.requests.get(id) else { return };
        let anywhere = request.is_whole() && request.target == Target::Any;
        if anywhere && now.time < request.deadline && self.has_hope() {
            return self.route_again(now.time, id);
        }
        let broker = request.key.map(|key| self.broker_name(key.peer));
        let error = Error::from(error.clone()).with_api(request.api).with_known_broker(broker);
        self.fail_request(now, id, error, taken);
    }

    fn fail_request(&mut self, now: Now, id: RequestId, error: Error, taken: bool) {
        let Some(request) = self.requests.get(id) else { return };
        let Some(key) = request.key.filter(|_| request.owner.has_built()) else {
            let peer = request.key.map(|key| key.peer);
            return self.finish(id, peer, Err(error));
        };
        let Some(request) = self.requests.remove(id) else { return };
        self.fail_built(now, id, key, request.owner.builders(), &error, taken);
    }

    /// Each of the machines that built a request hears that it failed.
    fn fail_built(
        &mut self,
        now: Now,
        id: RequestId,
        key: LaneKey,
        builders: impl Iterator<Item = MachineId>,
        error: &Error,
        is_taken: bool,
    ) {
        for machine in builders {
            let result = Err(Failure { error: error.clone(), is_taken });
            self.give(now, machine, MachineInput::Exchanged { id, key, result });
        }
    }

    /// A request waited for a connection until its deadline.
    pub(super) fn queued_timeout(&mut self, id: RequestId) {
        let Some(request) = self.requests.get(id) else { return };
        let (api, key) = (request.api, request.key);
        let after = request.deadline.duration_since(request.asked);
        let last = self.trouble_of(request);
        self.leave_queue(id, key);
        let peer = key.map(|key| key.peer);
        let broker = peer.map(|peer| self.broker_name(peer));
        let error = Error::new(ErrorKind::TimedOut { after, last }).with_api(api).with_known_broker(broker);
        self.finish(id, peer, Err(error));
    }

    /// It waits no longer, for its lane or its coordinator.
    fn leave_queue(&mut self, id: RequestId, key: Option<LaneKey>) {
        match key.and_then(|key| self.lanes.get_mut(key)) {
            Some(lane) => lane.remove(id),
            None => self.coordinators.unwait(id),
        }
    }

    /// Ends a request that was asked for by a machine.
    pub(super) fn finish(&mut self, id: RequestId, peer: Option<Peer>, result: Result<ResponseKind, Error>) {
        let Some(request) = self.requests.remove(id) else { return };
        self.timers.stop(&Timer::Queued(id));
        self.answers.push_back((request.owner, Answer { tag: 0, peer, result }));
    }

    /// Gives up what somebody has asked for who ends. What is in flight finds nobody.
    pub(super) fn cancel_requests(&mut self, of: impl Fn(&Owner) -> bool) {
        let waiting = self.requests.iter().filter(|(_, request)| request.is_whole() && of(&request.owner));
        let waiting: Vec<_> = waiting.map(|(id, request)| (id, request.key)).collect();
        for (id, key) in waiting {
            self.leave_queue(id, key);
            self.timers.stop(&Timer::Queued(id));
            self.requests.remove(id);
        }
    }
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
