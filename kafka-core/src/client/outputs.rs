//! What leaves the client state machine and was not taken yet.

use super::io::{Action, Event};
use crate::error::Error;
use crate::trace::{Told, Traces};
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct Outputs {
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
    traces: Traces,
    degraded: Vec<Error>,
}

impl Outputs {
    /// Orders something from the driver.
    pub(super) fn order(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub(super) fn announce(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(super) fn trace(&mut self, told: impl FnOnce() -> Told) {
        self.traces.push(told);
    }

    /// Reports, once, what the client does without.
    pub(super) fn degrade(&mut self, error: Error) {
        if !self.degraded.contains(&error) {
            self.degraded.push(error.clone());
            self.announce(Event::Degraded(error));
        }
    }

    pub(super) fn degraded(&self) -> &[Error] {
        &self.degraded
    }

    pub(super) fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    pub(super) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Returns the next event; traces come after all others.
    pub(super) fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front().or_else(|| self.traces.pop().map(Event::Trace))
    }
}
