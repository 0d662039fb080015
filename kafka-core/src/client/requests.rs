//! Requests that are not answered yet.
//!
//! Invariants
//! * Each is in exactly one place: waiting for its coordinator, queued in a lane, or in flight.
//! * Each ends exactly once, by an answer or an error given to its owner, at its deadline at the latest.
//! * Only the way of a request changes after it was made: its lane, and that its body was handed out.

use crate::link::RequestId;
use crate::machine::{CoordinatorKind, Lane, LaneKey, MachineId, OpId, Shares, Target, Time};
use kafka_proto::{ApiKey, RequestKind, Str};
use rustc_hash::FxHashMap;

/// Who gets the answer.
#[derive(Debug, PartialEq)]
pub(super) enum Owner {
    Metadata,
    Coordinator(CoordinatorKind, Str),
    Call(OpId),
    /// A machine, by this tag.
    Ask(MachineId, u64),
    /// The machine that built it when it was handed out.
    Built(MachineId),
    /// Several that did.
    Shared(Box<Shares>),
    /// The lane itself: which cluster its connection leads to.
    Proof,
    /// Nobody: a broker is told that something of ours is over.
    Nobody,
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) owner: Owner,
    pub(super) target: Target,
    pub(super) lane: Lane,
    /// The lane it is in, once routed.
    pub(super) key: Option<LaneKey>,
    pub(super) api: ApiKey,
    /// Taken when handed out; a request that was built then never has one.
    pub(super) body: Option<RequestKind>,
    pub(super) asked: Time,
    pub(super) deadline: Time,
}

impl Owner {
    /// The machines that built the request.
    pub(super) fn builders(&self) -> impl Iterator<Item = MachineId> {
        let (one, several) = match self {
            Self::Built(machine) => (Some(*machine), None),
            Self::Shared(shares) => (None, Some(shares)),
            _ => (None, None),
        };
        one.into_iter().chain(several.into_iter().flat_map(|shares| shares.machines()))
    }

    /// Whether machines built the request.
    pub(super) fn has_built(&self) -> bool {
        matches!(self, Self::Built(_) | Self::Shared(_))
    }
}

impl Request {
    /// Nobody has begun to send it.
    pub(super) fn is_whole(&self) -> bool {
        self.body.is_some()
    }
}

#[derive(Debug, Default)]
pub(super) struct Requests {
    by_id: FxHashMap<RequestId, Request>,
}

impl Requests {
    pub(super) fn insert(&mut self, id: RequestId, request: Request) {
        self.by_id.insert(id, request);
    }

    pub(super) fn get(&self, id: RequestId) -> Option<&Request> {
        self.by_id.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (RequestId, &Request)> {
        self.by_id.iter().map(|(id, request)| (*id, request))
    }

    /// It goes by this lane now.
    pub(super) fn take_lane(&mut self, id: RequestId, key: LaneKey) {
        if let Some(request) = self.by_id.get_mut(&id) {
            request.key = Some(key);
        }
    }

    /// It is handed out now.
    pub(super) fn take_body(&mut self, id: RequestId) -> Option<RequestKind> {
        self.by_id.get_mut(&id)?.body.take()
    }

    pub(super) fn remove(&mut self, id: RequestId) -> Option<Request> {
        self.by_id.remove(&id)
    }
}
