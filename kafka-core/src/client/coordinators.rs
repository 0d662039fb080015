//! Which broker coordinates a group or transactional id, and who waits to know.

use crate::error::Error;
use crate::link::RequestId;
use crate::machine::{CoordinatorKind, Peer};
use kafka_proto::Str;
use kafka_proto::messages::find_coordinator::FindCoordinatorRequest;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(crate) struct Coordinators {
    known: BTreeMap<(CoordinatorKind, Str), Coordinator>,
}

#[derive(Debug, Default)]
pub(crate) struct Coordinator {
    pub(crate) broker: Option<i32>,
    /// Who said so.
    pub(crate) told_by: Option<Peer>,
    /// A lookup is under way, or waits for its backoff.
    pub(crate) looking: bool,
    pub(crate) attempts: u32,
    /// Why the last lookup found none.
    pub(crate) trouble: Option<Error>,
    pub(crate) waiting: Vec<RequestId>,
}

impl Coordinators {
    pub(crate) fn entry(&mut self, kind: CoordinatorKind, key: &Str) -> &mut Coordinator {
        self.known.entry((kind, key.clone())).or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Forgets what nobody waits for and is not `used`; it can be looked up again.
    pub(crate) fn forget_unused(&mut self, is_used: impl Fn(CoordinatorKind, &Str) -> bool) {
        self.known.retain(|(kind, key), c| c.looking || !c.waiting.is_empty() || is_used(*kind, key));
    }

    pub(crate) fn broker(&self, kind: CoordinatorKind, key: &Str) -> Option<i32> {
        self.known.get(&(kind, key.clone()))?.broker
    }

    /// Why a coordinator is not found.
    pub(crate) fn trouble(&self, kind: CoordinatorKind, key: &Str) -> Option<Error> {
        self.known.get(&(kind, key.clone()))?.trouble.clone()
    }

    /// The coordinator is not, or no longer, there. Who had said that it is.
    pub(crate) fn forget(&mut self, kind: CoordinatorKind, key: &Str) -> Option<Peer> {
        let coordinator = self.known.get_mut(&(kind, key.clone()))?;
        coordinator.broker = None;
        coordinator.told_by.take()
    }

    /// A broker cannot be reached: whoever it coordinates is looked up anew.
    pub(crate) fn forget_broker(&mut self, broker: i32) {
        for coordinator in self.known.values_mut().filter(|c| c.broker == Some(broker)) {
            coordinator.broker = None;
        }
    }

    /// The groups whose coordinators are being looked up.
    pub(crate) fn groups_looked_up(&self) -> Vec<Str> {
        let group = |((kind, key), c): (&(CoordinatorKind, Str), &Coordinator)| {
            (c.looking && *kind == CoordinatorKind::Group).then(|| key.clone())
        };
        self.known.iter().filter_map(group).collect()
    }

    /// A request no longer waits.
    pub(crate) fn unwait(&mut self, id: RequestId) {
        for coordinator in self.known.values_mut() {
            coordinator.waiting.retain(|w| *w != id);
        }
    }
}

pub(crate) fn find(kind: CoordinatorKind, key: &Str) -> FindCoordinatorRequest {
    FindCoordinatorRequest {
        key_type: match kind {
            CoordinatorKind::Group => 0,
            CoordinatorKind::Transaction => 1,
        },
        coordinator_keys: vec![key.clone()],
        ..FindCoordinatorRequest::default()
    }
}
