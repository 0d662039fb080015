//! What the producer's changes ask of the client, collected until the machine is polled.
//!
//! Invariants
//! * A broker's produce lane is pulled once per poll, however many partitions became ready for it.
//! * Callers that wait for memory are alerted after batches were resolved, and once more when the writer ends.
//! * A writer that has ended reports what happened and asks for nothing.

use super::accumulator::Accumulator;
use super::batch::Tickets;
use super::work::{Job, Work};
use crate::error::Error;
use crate::machine::{Ask, Hint, Lane, LaneKey, Out};
use crate::trace::{Told, Traces};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Brokers whose produce lane has something to send.
    pulls: BTreeSet<i32>,
    resolved: Vec<Arc<Tickets>>,
    hints: Vec<Hint>,
    jobs: Vec<Job>,
    degraded: Option<Error>,
    traces: Traces,
    has_ended: bool,
}

impl Effects {
    /// Something is ready for this broker.
    pub(super) fn pull(&mut self, broker: i32) {
        self.pulls.insert(broker);
    }

    /// Callers that wait for this batch are woken.
    pub(super) fn resolved(&mut self, tickets: Arc<Tickets>) {
        self.resolved.push(tickets);
    }

    pub(super) fn hint(&mut self, hint: Hint) {
        self.hints.push(hint);
    }

    /// Work on a partition's oldest batch.
    pub(super) fn work(&mut self, partition: usize, work: Work) {
        self.jobs.push(Job { partition, work });
    }

    /// The writer goes on without idempotence, for this reason.
    pub(super) fn degraded(&mut self, reason: Error) {
        self.degraded = Some(reason);
    }

    pub(super) fn trace(&mut self, told: impl FnOnce() -> Told) {
        self.traces.push(told);
    }

    /// The writer ends: whatever it asked for is not needed any more.
    pub(super) fn end(&mut self) {
        let Self { resolved, traces, .. } = std::mem::take(self);
        *self = Self { resolved, traces, has_ended: true, ..Self::default() };
    }

    /// Hands everything over to the client, the request `ask` as well.
    pub(super) fn drain(
        &mut self,
        ask: Option<Ask>,
        accumulator: &Arc<Accumulator>,
        outs: &mut VecDeque<Out>,
    ) {
        let Self { pulls, resolved, hints, jobs, degraded, mut traces, has_ended } = std::mem::take(self);
        outs.extend(std::iter::from_fn(|| traces.pop()).map(Out::Trace));
        outs.extend(jobs.into_iter().map(|job| Out::Work(Box::new(job))));
        let may_have_room = has_ended || !resolved.is_empty();
        outs.extend(resolved.into_iter().map(|batch| Out::Alert(batch)));
        outs.extend(may_have_room.then(|| Out::Alert(accumulator.clone())));
        outs.extend(degraded.map(Out::Degraded));
        outs.extend(ask.map(Out::Ask));
        let pulls = pulls.into_iter();
        outs.extend(pulls.map(|broker| Out::Pull(LaneKey::node(broker, Lane::Produce))));
        outs.extend(hints.into_iter().map(Out::Hint));
    }
}

#[cfg(test)]
impl Effects {
    pub(super) fn pop_work(&mut self) -> Option<(usize, Work)> {
        self.jobs.pop().map(|job| (job.partition, job.work))
    }

    pub(super) fn take_degraded(&mut self) -> Option<Error> {
        self.degraded.take()
    }

    pub(super) fn take_hints(&mut self) -> Vec<Hint> {
        std::mem::take(&mut self.hints)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::writer::WriterConfig;

    fn drain(effects: &mut Effects) -> Vec<Out> {
        let (accumulator, mut outs) = (Arc::new(Accumulator::new(WriterConfig::default())), VecDeque::new());
        effects.drain(None, &accumulator, &mut outs);
        outs.into()
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
        let is_whole = matches!(&outs[..], [Alert(_), Alert(_), Degraded(_), Pull(_), Pull(_), Hint(_)]);
        assert!(is_whole, "{outs:?}");
        assert!(drain(&mut effects).is_empty());
    }

    #[test]
    fn a_writer_that_has_ended_wakes_who_waits_and_asks_for_nothing() {
        let mut effects = asked();
        effects.end();
        assert!(matches!(&drain(&mut effects)[..], [Out::Alert(_)]), "who waits for room");
    }
}
