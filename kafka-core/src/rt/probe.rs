//! A look into a client from outside, for the simulator: whether it is still there, and what it says of itself.

use super::shared::Shared;
use std::sync::{Arc, Weak};

/// Sees a client without keeping it alive.
#[derive(Clone, Debug)]
pub struct Probe(Weak<Shared>);

impl Probe {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self(Arc::downgrade(shared))
    }

    /// Whether nothing is left of the client.
    pub fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }

    /// What of the client's own invariants does not hold, in words. To be asked when none of its tasks is about to run.
    pub fn stuck(&self) -> Vec<String> {
        let Some(shared) = self.0.upgrade() else { return Vec::new() };
        let now = shared.now();
        shared.with(|state| if state.is_shut_down() { Vec::new() } else { state.core.stuck(now) })
    }
}
