//! What the producer's changes ask of the client, in the order in which it came up.
//!
//! Invariants
//! * A broker's produce lane is pulled once until all has been handed over, however many partitions became ready for it.
//! * Callers that wait for memory are alerted after batches were resolved, and once more when the writer ends.
//! * A writer that has ended reports what happened and asks for nothing.

use super::accumulator::Accumulator;
use super::batch::Tickets;
use super::work::{Job, Work};
use crate::error::Error;
use crate::machine::{Hint, Lane, LaneKey, Out};
use crate::trace::{Told, Traces};
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Effects {
    outs: VecDeque<Out>,
    /// Brokers whose produce lane was pulled since all was handed over.
    pulled: Vec<i32>,
    /// Memory was given back that callers may wait for.
    has_room: bool,
    traces: Traces,
}

impl Effects {
    /// Something is ready for this broker.
    pub(super) fn pull(&mut self, broker: i32) {
        if !self.pulled.contains(&broker) {
            self.pulled.push(broker);
            self.push(Out::Pull(LaneKey::node(broker, Lane::Produce)));
        }
    }

    /// Callers that wait for this batch are woken.
    pub(super) fn resolved(&mut self, tickets: Arc<Tickets>) {
        self.has_room = true;
        self.push(Out::Alert(tickets));
    }

    pub(super) fn hint(&mut self, hint: Hint) {
        self.push(Out::Hint(hint));
    }

    /// Work on a partition's oldest batch.
    pub(super) fn work(&mut self, partition: usize, work: Work) {
        self.push(Out::Work(Box::new(Job { partition, work })));
    }

    /// The writer goes on without idempotence, for this reason.
    pub(super) fn degraded(&mut self, reason: Error) {
        if !self.outs.iter().any(|out| matches!(out, Out::Degraded(_))) {
            self.push(Out::Degraded(reason));
        }
    }

    pub(super) fn trace(&mut self, told: impl FnOnce() -> Told) {
        self.traces.push(told);
    }

    fn push(&mut self, out: Out) {
        self.outs.push_back(out);
    }

    /// The writer ends: whatever it asked for is not needed any more.
    pub(super) fn end(&mut self) {
        self.outs.retain(|out| matches!(out, Out::Alert(_)));
        self.has_room = true;
    }

    /// Hands over the next of it.
    pub(super) fn pop(&mut self, accumulator: &Arc<Accumulator>) -> Option<Out> {
        if let Some(out) = self.outs.pop_front() {
            return Some(out);
        }
        self.pulled.clear();
        if std::mem::take(&mut self.has_room) {
            return Some(Out::Alert(accumulator.clone()));
        }
        self.traces.pop().map(Out::Trace)
    }
}

#[cfg(test)]
impl Effects {
    /// Takes the first of a kind out of what is to be handed over.
    pub(super) fn take(&mut self, is_it: impl Fn(&Out) -> bool) -> Option<Out> {
        let at = self.outs.iter().position(is_it)?;
        self.outs.remove(at)
    }

    pub(super) fn take_degraded(&mut self) -> Option<Error> {
        match self.take(|out| matches!(out, Out::Degraded(_)))? {
            Out::Degraded(error) => Some(error),
            _ => None,
        }
    }

    pub(super) fn take_hints(&mut self) -> Vec<Hint> {
        let hint = |out| if let Out::Hint(hint) = out { Some(hint) } else { None };
        let next = || self.take(|out| matches!(out, Out::Hint(_)));
        std::iter::from_fn(next).filter_map(hint).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::writer::WriterConfig;

    fn drain(effects: &mut Effects) -> Vec<Out> {
        let accumulator = Arc::new(Accumulator::new(WriterConfig::default()));
        std::iter::from_fn(|| effects.pop(&accumulator)).collect()
    }

    fn asked() -> Effects {
        let mut effects = Effects::default();
        [2, 1, 2].into_iter().for_each(|broker| effects.pull(broker));
        effects.degraded(Error::new(ErrorKind::Closed));
        effects.hint(Hint::Refresh("t".into()));
        effects
    }

    #[test]
    fn a_broker_is_pulled_once_and_nothing_is_handed_over_twice() {
        let mut effects = asked();
        effects.resolved(Arc::new(Tickets::new(0)));
        let outs = drain(&mut effects);
        use Out::{Alert, Degraded, Hint, Pull};
        let is_whole = matches!(&outs[..], [Pull(_), Pull(_), Degraded(_), Hint(_), Alert(_), Alert(_)]);
        assert!(is_whole, "{outs:?}");
        assert!(drain(&mut effects).is_empty());
        effects.pull(2);
        assert!(matches!(&drain(&mut effects)[..], [Pull(_)]), "what was handed over may be over");
    }

    #[test]
    fn a_writer_that_has_ended_wakes_who_waits_and_asks_for_nothing() {
        let mut effects = asked();
        effects.resolved(Arc::new(Tickets::new(0)));
        effects.end();
        assert!(matches!(&drain(&mut effects)[..], [Out::Alert(_), Out::Alert(_)]), "and who waits for room");
    }
}
