//! Which broker coordinates a group or transactional id, and who waits to know.
//!
//! Invariant: a request waits only while its coordinator is looked up.

use crate::error::Error;
use crate::link::RequestId;
use crate::machine::{CoordinatorKind, Peer};
use kafka_proto::Str;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Coordinators {
    known: BTreeMap<(CoordinatorKind, Str), Coordinator>,
}

#[derive(Debug, Default)]
struct Coordinator {
    broker: Option<i32>,
    /// Who said so.
    told_by: Option<Peer>,
    /// A lookup is under way, or waits for its backoff.
    is_looked_up: bool,
    /// Lookups in a row that found none.
    attempts: u32,
    /// Why the last lookup found none.
    trouble: Option<Error>,
    waiting: Vec<RequestId>,
}

impl Coordinators {
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Forgets what nobody waits for and is not `used`; it can be looked up again.
    pub(super) fn forget_unused(&mut self, is_used: impl Fn(CoordinatorKind, &Str) -> bool) {
        self.known.retain(|(kind, key), c| c.is_looked_up || !c.waiting.is_empty() || is_used(*kind, key));
    }

    /// A request waits for a coordinator. Whether a lookup has to begin for it.
    #[must_use]
    pub(super) fn wait(&mut self, kind: CoordinatorKind, key: &Str, id: RequestId) -> bool {
        let coordinator = self.known.entry((kind, key.clone())).or_default();
        coordinator.waiting.push(id);
        !std::mem::replace(&mut coordinator.is_looked_up, true)
    }

    /// A lookup was answered with a broker. The requests that waited for it.
    pub(super) fn found(
        &mut self,
        kind: CoordinatorKind,
        key: &Str,
        broker: i32,
        witness: Option<Peer>,
    ) -> Vec<RequestId> {
        let coordinator = self.known.entry((kind, key.clone())).or_default();
        let waiting = std::mem::take(&mut coordinator.waiting);
        *coordinator = Coordinator { broker: Some(broker), told_by: witness, ..Coordinator::default() };
        waiting
    }

    /// A lookup found none for the moment. How many did so before it, where somebody waits for the next one.
    pub(super) fn not_found(&mut self, kind: CoordinatorKind, key: &Str, error: Error) -> Option<u32> {
        let coordinator = self.known.entry((kind, key.clone())).or_default();
        coordinator.trouble = Some(error);
        let before = coordinator.attempts;
        coordinator.attempts += 1;
        coordinator.is_looked_up = !coordinator.waiting.is_empty();
        coordinator.is_looked_up.then_some(before)
    }

    /// A lookup was refused for good. The requests that waited for it.
    pub(super) fn refused(&mut self, kind: CoordinatorKind, key: &Str) -> Vec<RequestId> {
        let coordinator = self.known.entry((kind, key.clone())).or_default();
        coordinator.is_looked_up = false;
        std::mem::take(&mut coordinator.waiting)
    }

    pub(super) fn broker(&self, kind: CoordinatorKind, key: &Str) -> Option<i32> {
        self.known.get(&(kind, key.clone()))?.broker
    }

    /// Why a coordinator is not found.
    pub(super) fn trouble(&self, kind: CoordinatorKind, key: &Str) -> Option<Error> {
        self.known.get(&(kind, key.clone()))?.trouble.clone()
    }

    /// The coordinator is not, or no longer, there. Who had said that it is.
    pub(super) fn forget(&mut self, kind: CoordinatorKind, key: &Str) -> Option<Peer> {
        let coordinator = self.known.get_mut(&(kind, key.clone()))?;
        coordinator.broker = None;
        coordinator.told_by.take()
    }

    /// A broker cannot be reached: whoever it coordinates is looked up anew.
    pub(super) fn forget_broker(&mut self, broker: i32) {
        for coordinator in self.known.values_mut().filter(|c| c.broker == Some(broker)) {
            coordinator.broker = None;
        }
    }

    /// The groups whose coordinators are being looked up.
    pub(super) fn groups_looked_up(&self) -> Vec<Str> {
        let group = |((kind, key), c): (&(CoordinatorKind, Str), &Coordinator)| {
            (c.is_looked_up && *kind == CoordinatorKind::Group).then(|| key.clone())
        };
        self.known.iter().filter_map(group).collect()
    }

    /// A request no longer waits.
    pub(super) fn unwait(&mut self, id: RequestId) {
        for coordinator in self.known.values_mut() {
            coordinator.waiting.retain(|w| *w != id);
        }
    }
}
