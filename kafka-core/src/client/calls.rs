//! Calls of the application that are one request, retried until it is answered for good or the call's deadline.

use super::Client;
#[cfg(feature = "record")]
use super::door::What;
use super::entry::{enter, leave};
use super::promises::{Outcome, Promises};
use super::requests::{Owner, Request};
use super::timers::Timer;
use crate::error::{Error, ErrorKind};
use crate::machine::{Answer, Ask, Lane, LaneKey, Now, OpId, Target, Time};
use crate::trace::Told;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::{RequestKind, ResponseKind};
use std::time::Duration;

/// A call before it is made.
#[derive(Clone, Debug)]
pub(crate) struct CallSpec {
    /// Where it goes.
    pub target: Target,
    /// The request in the newest form of its API.
    pub request: RequestKind,
    /// From now to its end, retries included; `None` for the client's call timeout.
    pub timeout: Option<Duration>,
    /// The code in a response that decides whether it is asked again.
    pub code: fn(&ResponseKind) -> ErrorCode,
}

#[derive(Debug)]
pub(crate) struct Call {
    spec: CallSpec,
    started: Time,
    deadline: Time,
    attempts: u32,
    last: Option<Error>,
}

impl Outcome for Result<ResponseKind, Error> {
    fn promises(client: &mut Client) -> &mut Promises<Self> {
        &mut client.responses
    }

    /// Without its content, which came in as an input.
    #[cfg(feature = "record")]
    fn told(&self) -> String {
        match self {
            Ok(response) => response.api_key().name().to_owned(),
            Err(error) => format!("{error:?}"),
        }
    }

    fn give_up(client: &mut Client, id: OpId) {
        client.cancel_call(id);
    }
}

impl Client {
    /// Makes a call; [`Key::Op`](super::Key::Op) tells when its result can be taken.
    pub(crate) fn begin_call(&mut self, now: Now, spec: CallSpec) -> OpId {
        enter!(self, Some(now), {
            let CallSpec { target, request, timeout, .. } = spec.clone();
            What::Call { target, request: Box::new(request), timeout }
        });
        let id = self.next_op();
        self.responses.make(id);
        let deadline = now.time + spec.timeout.unwrap_or(self.config.call_timeout);
        let call = Call { spec, started: now.time, deadline, attempts: 0, last: None };
        self.calls.insert(id, call);
        self.timers.set(Timer::CallDeadline(id), deadline);
        self.call_attempt(now, id);
        self.settle(now);
        leave!(self, &id);
        id
    }

    /// The result of a call, once; the call is over then.
    #[cfg(test)]
    pub(crate) fn take_call(&mut self, id: OpId) -> Option<Result<ResponseKind, Error>> {
        self.take(id)
    }

    /// Nobody waits for the call any more. What was not sent yet is not sent.
    pub(crate) fn cancel_call(&mut self, id: OpId) {
        enter!(self, None, What::CancelCall(id));
        self.responses.forget(id);
        if self.calls.contains_key(&id) {
            self.end_call(id);
            self.cancel_requests(|owner| *owner == Owner::Call(id));
        }
        leave!(self, &());
    }

    /// The wait before attempt `attempt` of something, 0 being the first retry.
    pub(crate) fn backoff(&mut self, attempt: u32) -> Duration {
        enter!(self, None, What::Backoff(attempt));
        self.stats.retries += 1;
        let wait = self.random.backoff(attempt, self.config.retry_backoff, self.config.retry_backoff_max);
        leave!(self, &wait);
        wait
    }

    pub(super) fn call_attempt(&mut self, now: Now, id: OpId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.attempts += 1;
        let left = call.deadline.duration_since(now.time);
        let ask = Ask {
            tag: 0,
            target: call.spec.target.clone(),
            lane: Lane::Other,
            request: call.spec.request.clone(),
            timeout: left.min(self.config.request_timeout),
        };
        self.ask(now.time, Owner::Call(id), ask);
    }

    pub(super) fn call_answered(&mut self, now: Now, id: OpId, answer: Answer) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let error = match answer.result {
            Ok(response) => match (call.spec.code)(&response) {
                code if code.is_retriable() || code == ErrorCode::NotController => Error::of_code(code),
                _ => return self.call_done(id, Ok(response)),
            },
            // Who names a broker decides whom to ask next.
            Err(error) if error.is_retriable() && !matches!(call.spec.target, Target::Peer(_)) => error,
            Err(error) => return self.call_done(id, Err(error)),
        };
        if error.code().is_some_and(|c| c == ErrorCode::NotController || c.refreshes_metadata()) {
            self.metadata.hint_stale();
        }
        let (target, is_refused) = (call.spec.target.clone(), error.code().is_some());
        let attempt = call.attempts - 1;
        self.stats.retries += 1;
        let wait = self.random.backoff(attempt, self.config.retry_backoff, self.config.retry_backoff_max);
        let (api, attempt) = (call.spec.request.api_key(), call.attempts);
        self.outputs.trace(|| Told::CallRetried { api, attempt, error: error.clone(), retry: wait });
        call.last = Some(error);
        self.timers.set(Timer::CallRetry(id), now.time + wait);
        match (target, answer.peer) {
            (Target::Coordinator(kind, key), _) => self.forget_coordinator(now.time, kind, &key),
            (Target::Any, Some(peer)) if is_refused => {
                self.note_refusal(now.time, LaneKey { peer, lane: Lane::Other }, true);
            }
            _ => {}
        }
    }

    pub(super) fn call_deadline(&mut self, id: OpId) {
        let Some(call) = self.calls.get(&id) else { return };
        let met = call.last.clone().or_else(|| self.trouble_of_call(id));
        let after = call.deadline.duration_since(call.started);
        let error = match met {
            Some(fatal) if !fatal.is_retriable() => fatal,
            met => {
                let last = self.more_telling(&call.spec.target, met);
                let asked = self.request_of(id).and_then(|request| request.key);
                let error = Error::new(ErrorKind::TimedOut { after, last });
                let error = error.with_api(call.spec.request.api_key());
                error.with_known_broker(asked.map(|key| self.broker_name(key.peer)))
            }
        };
        self.cancel_requests(|owner| *owner == Owner::Call(id));
        self.call_done(id, Err(error));
    }

    /// The request of a call that is not answered. There is one at a time.
    fn request_of(&self, id: OpId) -> Option<&Request> {
        self.requests.iter().find(|(_, request)| request.owner == Owner::Call(id)).map(|(_, request)| request)
    }

    /// A symptom gives way to what tells more, where another broker could have served the call.
    fn more_telling(&self, target: &Target, met: Option<Error>) -> Option<Error> {
        let is_symptom = *target == Target::Any && met.as_ref().is_some_and(Error::is_symptom);
        let trouble = self.last_trouble().filter(|trouble| is_symptom && !trouble.is_symptom());
        trouble.or(met)
    }

    fn trouble_of_call(&self, id: OpId) -> Option<Error> {
        match self.request_of(id) {
            Some(request) => self.trouble_of(request),
            None => self.trouble_before(&self.calls.get(&id)?.spec.target),
        }
    }

    /// What stands in the way of a request: the failure of its lane, else the most telling one of any.
    pub(super) fn trouble_of(&self, request: &Request) -> Option<Error> {
        let Some(key) = request.key.filter(|_| request.target != Target::Any) else {
            return self.trouble_before(&request.target);
        };
        let error = self.lanes.get(key)?.last_error()?.clone();
        Some(Error::from(error).with_broker(self.broker_name(key.peer)))
    }

    /// What keeps requests to a target from being sent at all.
    fn trouble_before(&self, target: &Target) -> Option<Error> {
        let lookup = match target {
            Target::Coordinator(kind, key) => self.coordinators.trouble(*kind, key),
            _ => None,
        };
        lookup.or_else(|| self.last_trouble())
    }

    /// The most telling failure of any connection: what most likely stood in the way of a call that was never answered.
    pub(crate) fn last_trouble(&self) -> Option<Error> {
        let lanes = self.lanes.iter().filter(|(key, _)| key.lane == Lane::Other);
        let failed = lanes.filter_map(|(key, lane)| Some((key, lane.last_error()?)));
        match failed.max_by_key(|(_, error)| error.telling()) {
            Some((key, error)) => Some(Error::from(error.clone()).with_broker(self.broker_name(key.peer))),
            None => self.metadata.last_error().cloned(),
        }
    }

    fn call_done(&mut self, id: OpId, result: Result<ResponseKind, Error>) {
        self.end_call(id);
        self.keep(id, result);
    }

    fn end_call(&mut self, id: OpId) {
        self.calls.remove(&id);
        self.timers.stop(&Timer::CallDeadline(id));
        self.timers.stop(&Timer::CallRetry(id));
    }
}
