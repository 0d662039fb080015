//! One partition of a writer as the client sends it: order, sequences, retries.
//!
//! Invariants
//! * The log order of acknowledged batches is their order of being opened: a batch that failed goes back to its place,
//!   and nothing newer is sent before what failed is resolved.
//! * A batch keeps its sequence for as long as it may have been written with it.
//! * A partition that was gone, as far as metadata told, goes on under a bumped epoch.
//! * A sequence that may be used up by a batch that was given up is never used again: the epoch is bumped first.

use super::accumulator::Slot;
use super::batch::Batch;
use super::limit::BatchLimit;
use crate::error::Error;
use crate::link::RequestId;
use crate::machine::Time;
use std::collections::VecDeque;
use std::sync::Arc;

/// The producer id and epoch a batch is sent under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// A batch that was taken out of its slot.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) batch: Arc<Batch>,
    /// Under which identity, and with which base sequence, it was sent.
    pub(crate) stamp: Option<(Identity, i32)>,
    pub(crate) attempts: u32,
    /// A request with it was taken by a socket and its end is not known: once so, always so, whatever it is sent under later.
    pub(crate) maybe_written: bool,
    /// The broker's refusal of its size: it is split before it is sent again.
    pub(crate) too_large: Option<Error>,
}

impl Pending {
    pub(crate) fn new(batch: Arc<Batch>) -> Self {
        Self { batch, stamp: None, attempts: 0, maybe_written: false, too_large: None }
    }

    /// Whether it may be in the log under its stamp, or come to be: under another one it would be there twice.
    pub(crate) fn keeps_its_stamp(&self) -> bool {
        self.stamp.is_some() && self.maybe_written
    }
}

#[derive(Debug)]
pub(crate) struct PartitionSender {
    pub(crate) slot: Arc<Slot>,
    pub(crate) leader: Option<i32>,
    /// Taken out of the slot and to be sent, oldest first; retries stand here.
    pub(crate) queue: VecDeque<Pending>,
    pub(crate) in_flight: VecDeque<(RequestId, Pending)>,
    /// The open batch, up to this number, is due to be sent.
    pub(crate) open_due: Option<u64>,
    /// It stands in its leader's ready queue.
    pub(crate) is_ready: bool,
    /// It stands among those that leave when the leader's lane is idle.
    pub(crate) is_gathering: bool,
    /// When its oldest batch is to be looked at.
    pub(crate) expiry: Option<Time>,
    /// Its oldest batch is being compressed or split elsewhere.
    pub(crate) has_work: bool,
    /// Nothing is sent before.
    pub(crate) backoff_until: Option<Time>,
    pub(crate) failures: u32,
    /// Why its last batch has to be sent again.
    pub(crate) last_error: Option<Error>,
    pub(crate) identity: Option<Identity>,
    /// The producer id under which a batch was acknowledged last, and the broker that did.
    pub(crate) known_to: Option<(i64, i32)>,
    pub(crate) next_sequence: i32,
    /// The next new batch needs a newer identity than this one.
    pub(crate) needs_bump: bool,
    /// Where the broker refused a batch for its size.
    batch_limit: Option<BatchLimit>,
    /// The topic was made anew with fewer partitions: there is no such partition any more.
    pub(crate) is_gone: bool,
}

impl PartitionSender {
    pub(crate) fn new(slot: Arc<Slot>, leader: Option<i32>) -> Self {
        Self {
            slot,
            leader,
            queue: VecDeque::new(),
            in_flight: VecDeque::new(),
            open_due: None,
            is_ready: false,
            is_gathering: false,
            expiry: None,
            has_work: false,
            backoff_until: None,
            failures: 0,
            last_error: None,
            identity: None,
            known_to: None,
            next_sequence: 0,
            needs_bump: false,
            batch_limit: None,
            is_gone: false,
        }
    }

    /// Whether there is a batch that may leave as soon as the partition's state allows.
    pub(crate) fn has_due(&self) -> bool {
        !self.queue.is_empty()
            || self.slot.has_sealed()
            || self.open_due.is_some_and(|due| self.slot.open_number().is_some_and(|open| open <= due))
    }

    /// Whether the next batch may be handed out now, its leader and identity left aside.
    pub(crate) fn may_send(&self, now: Time, max_in_flight: usize) -> bool {
        if self.has_work || self.is_too_large() || self.backoff_until.is_some_and(|until| now < until) {
            return false;
        }
        let retrying = self.queue.front().is_some_and(|p| p.attempts > 0);
        // From a producer id that is new to it the broker takes any sequence (2.5+, KIP-360): were the first batch
        // refused, it would take the second before it. So the first one goes alone. Another leader may lack the records that
        // tell of the producer, after an unclean election: there as well, and only once the old leader has answered.
        let limit = if retrying || self.is_new_to_leader() { 1 } else { max_in_flight };
        self.in_flight.len() < limit
    }

    fn is_new_to_leader(&self) -> bool {
        self.identity.is_some_and(|identity| {
            self.known_to.zip(self.leader).is_none_or(|(known, leader)| known != (identity.id, leader))
        })
    }

    /// The broker has this batch, and with it the producer. Before a bump the batch may be in the log of a topic that was
    /// deleted since; the next log knows nothing of the producer.
    pub(crate) fn note_known(&mut self, pending: &Pending, broker: i32) {
        if !self.needs_bump {
            self.known_to = pending.stamp.map(|(identity, _)| (identity.id, broker));
        }
    }

    /// The broker refused a batch for its size.
    pub(crate) fn was_too_large(&mut self, batch: &Batch) {
        BatchLimit::lower(&mut self.batch_limit, batch.body().len());
        self.limit_batches();
    }

    /// The broker took a batch.
    pub(crate) fn was_acked(&mut self, batch: &Batch) {
        if BatchLimit::acked(&mut self.batch_limit, batch.body().len()) {
            self.limit_batches();
        }
    }

    fn limit_batches(&self) {
        self.slot.limit_batches(self.batch_limit.as_ref().map(BatchLimit::bytes));
    }

    /// Whether the next batch is to be split first.
    pub(crate) fn is_too_large(&self) -> bool {
        self.queue.front().is_some_and(|p| p.too_large.is_some())
    }

    /// Takes the next batch: a retry first.
    pub(crate) fn next(&mut self) -> Option<Pending> {
        if let Some(pending) = self.queue.pop_front() {
            return Some(pending);
        }
        let open = self.open_due.is_some_and(|due| self.slot.open_number().is_some_and(|n| n <= due));
        let batch = self.slot.take(open)?;
        if self.open_due.is_some_and(|due| due <= batch.number) {
            self.open_due = None;
        }
        Some(Pending::new(batch))
    }

    /// Puts a batch back into its place.
    pub(crate) fn put_back(&mut self, mut pending: Pending) {
        if self.identity.is_none() {
            pending.stamp = None;
        }
        let at = self.queue.partition_point(|p| p.batch.number < pending.batch.number);
        self.queue.insert(at, pending);
    }

    pub(crate) fn landed(&mut self, request: RequestId) -> Option<Pending> {
        let at = self.in_flight.iter().position(|(id, _)| *id == request)?;
        self.in_flight.remove(at).map(|(_, pending)| pending)
    }

    /// Gives a batch its sequence, in the order of being handed out.
    pub(crate) fn stamp(&mut self, pending: &mut Pending) {
        let (Some(identity), None) = (self.identity, pending.stamp) else { return };
        pending.stamp = Some((identity, self.next_sequence));
        self.next_sequence = add_sequence(self.next_sequence, pending.batch.count());
    }

    /// Whether anything older than batch `number` is unresolved.
    pub(crate) fn has_older(&self, number: u64) -> bool {
        self.in_flight.iter().any(|(_, p)| p.batch.number < number)
            || self.queue.iter().any(|p| p.batch.number < number && p.stamp.is_some())
    }

    /// A stamped batch will not be sent again: what becomes of its sequence.
    pub(crate) fn give_up(&mut self, pending: &Pending) {
        let Some((identity, sequence)) = pending.stamp else { return };
        if self.identity != Some(identity) {
            return;
        }
        let newer_in_flight = self.in_flight.iter().any(|(_, p)| p.batch.number > pending.batch.number);
        let newer_maybe = self.queue.iter().any(|p| p.stamp.is_some() && p.maybe_written);
        let used_up = pending.maybe_written || newer_in_flight || newer_maybe;
        if used_up {
            self.needs_bump = true;
            return;
        }
        // It is surely not in the log, nor is anything after it: its sequence is free again.
        self.next_sequence = sequence;
        self.queue.iter_mut().for_each(|p| p.stamp = None);
    }

    /// All that is queued begins anew under the next identity; but what was written under its old one, or may come to be, must
    /// not be sent under another, or it is there twice: it is given back, to be given up.
    #[must_use]
    pub(crate) fn forget_stamps(&mut self) -> Vec<Pending> {
        let queue = std::mem::take(&mut self.queue);
        let (doubtful, rest): (Vec<_>, Vec<_>) = queue.into_iter().partition(Pending::keeps_its_stamp);
        self.queue = rest.into_iter().map(|p| Pending { stamp: None, ..p }).collect();
        doubtful
    }

    /// The topic was deleted and made again: its new log knows nothing of what was sent to the old one. But what a broker may
    /// have executed, or may still execute, by the topic's name may be in the new log, whether it was answered or not: under
    /// another sequence it would be there twice.
    pub(crate) fn recreated(&mut self) {
        self.needs_bump = true;
        if self.batch_limit.take().is_some() {
            self.limit_batches();
        }
        self.queue.iter_mut().filter(|p| !p.keeps_its_stamp()).for_each(|p| p.stamp = None);
        self.known_to = None;
    }

    /// The partition was gone and is there again, or another one of its number: its broker may know the sequences of the former
    /// sender, and take those of this one for duplicates.
    pub(crate) fn succeed(&mut self, former: &Self) {
        self.identity = former.identity;
        self.needs_bump = former.identity.is_some();
    }

    /// From now on batches go without producer id and sequence; those in flight, should they be sent again.
    pub(crate) fn forget_identity(&mut self) {
        self.identity = None;
        self.queue.iter_mut().for_each(|p| p.stamp = None);
    }

    /// When the oldest unresolved record was sent.
    pub(crate) fn oldest(&self) -> Option<Time> {
        let in_flight = self
            .in_flight
            .iter()
            .filter(|(_, p)| !p.batch.tickets.is_resolved())
            .map(|(_, p)| p.batch.created);
        let queued = (0..self.queue.len()).filter(|at| self.may_expire(*at));
        let queued = queued.map(|at| self.queue[at].batch.created);
        in_flight.chain(queued).chain(self.slot.oldest()).min()
    }

    /// Takes a batch that waits in vain.
    pub(crate) fn take_expired(&mut self, due: impl Fn(Time) -> bool) -> Option<Pending> {
        let is_due = |at: &usize| self.may_expire(*at) && due(self.queue[*at].batch.created);
        let at = (0..self.queue.len()).find(is_due)?;
        self.queue.remove(at)
    }

    /// Sequences are given up in their order: what stands behind others has to wait for them, unless it has none yet.
    fn may_expire(&self, at: usize) -> bool {
        at == 0 || self.queue[at].stamp.is_none()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty()
    }
}

/// Sequences wrap from 2^31 - 1 to 0.
pub(crate) fn add_sequence(sequence: i32, count: u32) -> i32 {
    ((i64::from(sequence) + i64::from(count)) & i64::from(i32::MAX)) as i32
}

#[cfg(test)]
mod tests {
    use super::add_sequence;

    #[test]
    fn scenario_p11_sequences_wrap_to_zero_and_never_below() {
        assert_eq!(add_sequence(i32::MAX - 2, 2), i32::MAX);
        assert_eq!(add_sequence(i32::MAX - 2, 3), 0);
        assert_eq!(add_sequence(i32::MAX, 1), 0);
        assert_eq!(add_sequence(i32::MAX, 10), 9);
    }
}
