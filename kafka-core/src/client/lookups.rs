//! Looking up coordinators: for requests that go to one, and again once it is not there.

use super::Client;
use super::requests::Owner;
use super::timers::Timer;
use crate::error::{Error, Result};
use crate::link::RequestId;
use crate::machine::{Answer, Ask, CoordinatorKind, Lane, LaneKey, Now, Target, Time};
use crate::snapshot::Node;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_proto::{ApiKey, Str};
use std::collections::BTreeSet;

/// From so many coordinators on those are forgotten that no member of a group needs.
const MANY_COORDINATORS: usize = 100;

impl Client {
    pub(super) fn await_coordinator(&mut self, now: Time, id: RequestId, kind: CoordinatorKind, key: &Str) {
        if self.coordinators.len() >= MANY_COORDINATORS {
            let used: BTreeSet<_> =
                self.machines.iter().filter_map(|(_, machine)| machine.coordinator()).collect();
            let is_used = |kind, key: &Str| used.contains(&(kind, key));
            self.coordinators.forget_unused(is_used);
        }
        if self.coordinators.wait(kind, key, id) {
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
        match answer.response_to::<FindCoordinatorRequest>().and_then(|response| told_of(key, response)) {
            Ok(found) => {
                let known = self.metadata.cluster().nodes.get(&found.node_id);
                let rack = known.and_then(|node| node.rack.as_ref());
                if let Some(node) = Node::told(found.node_id, &found.host, found.port, rack) {
                    self.learn_node(now.time, node);
                }
                self.check_addresses(now, witness, |broker| broker == found.node_id);
                let waiting = self.coordinators.found(kind, key, found.node_id, witness);
                waiting.into_iter().for_each(|id| self.route(now.time, id));
            }
            Err(error) if error.is_retriable() => {
                self.no_coordinator(now, kind, key, &error);
                if let Some(attempt) = self.coordinators.not_found(kind, key, error) {
                    let (min, max) = (self.config.retry_backoff, self.config.retry_backoff_max);
                    let wait = self.random.backoff(attempt, min, max);
                    self.timers.set(Timer::Coordinator(kind, key.clone()), now.time + wait);
                }
            }
            Err(error) => {
                let waiting = self.coordinators.refused(kind, key);
                waiting.into_iter().for_each(|id| self.finish(id, None, Err(error.clone())));
            }
        }
    }

    /// A coordinator is none, or cannot be reached. Who told of it may lag: another broker is asked.
    pub(super) fn forget_coordinator(&mut self, now: Time, kind: CoordinatorKind, key: &Str) {
        if let Some(teller) = self.coordinators.forget(kind, key) {
            self.note_refusal(now, LaneKey { peer: teller, lane: Lane::Other }, true);
        }
    }
}

fn find(kind: CoordinatorKind, key: &Str) -> FindCoordinatorRequest {
    FindCoordinatorRequest {
        key_type: match kind {
            CoordinatorKind::Group => 0,
            CoordinatorKind::Transaction => 1,
        },
        coordinator_keys: vec![key.clone()],
        ..FindCoordinatorRequest::default()
    }
}

/// The coordinator of a key, as an answer tells it.
fn told_of(key: &Str, response: FindCoordinatorResponse) -> Result<Coordinator> {
    let error = |code| Error::of_code(code).with_api(ApiKey::FindCoordinator).with_group(key);
    let coordinator = found_for(key, response.coordinators);
    let coordinator = coordinator.ok_or_else(|| error(ErrorCode::CoordinatorNotAvailable))?;
    match ErrorCode::from(coordinator.error_code) {
        ErrorCode::None if coordinator.node_id >= 0 => Ok(coordinator),
        ErrorCode::None => Err(error(ErrorCode::CoordinatorNotAvailable)),
        code => Err(error(code)),
    }
}

/// What an answer says of a key. Before version 4 it is of one key, which it does not name.
fn found_for(key: &Str, told: Vec<Coordinator>) -> Option<Coordinator> {
    let is_nameless = told.len() == 1 && told[0].key.is_empty();
    told.into_iter().find(|one| is_nameless || one.key == *key)
}
