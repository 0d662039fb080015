//! One partition of a writer as the client sends it: its batches, their sequences, its leader, its failures.
//!
//! The parts keep their own invariants. What stands here is what two of them have to agree on:
//! * A batch keeps its sequence for as long as it may have been written with it; without an identity no batch has one.
//! * A sequence is free again only where no batch behind it may have been written.
//! * A batch goes alone to a leader that may not know the producer, and so does one that is sent again.

use super::accumulator::Slot;
use super::failures::Failures;
use super::limit::BatchLimit;
use super::pending::Pending;
use super::placement::Placement;
use super::queue::BatchQueue;
use super::sequences::{Identity, Sequences};
use crate::error::Error;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct PartitionSender {
    pub(super) queue: BatchQueue,
    pub(super) placement: Placement,
    pub(super) failures: Failures,
    sequences: Sequences,
    /// Where the broker refused a batch for its size.
    batch_limit: Option<BatchLimit>,
    /// The topic was made anew with fewer partitions: there is no such partition any more.
    is_removed: bool,
}

impl PartitionSender {
    pub(super) fn new(slot: Arc<Slot>) -> Self {
        Self {
            queue: BatchQueue::new(slot),
            placement: Placement::default(),
            failures: Failures::default(),
            sequences: Sequences::default(),
            batch_limit: None,
            is_removed: false,
        }
    }

    /// The partition was removed and is there again, or another one of its number.
    pub(super) fn follow(&mut self, former: &Self) {
        self.sequences.follow(&former.sequences);
    }

    pub(super) fn remove(&mut self) {
        self.is_removed = true;
    }

    pub(super) fn is_removed(&self) -> bool {
        self.is_removed
    }

    // ---- sending ----

    /// Returns whether the next batch may be handed out, its backoff, leader and identity left aside.
    pub(super) fn may_send(&self, max_in_flight: usize) -> bool {
        // From a producer id that is new to it the broker takes any sequence (2.5+, KIP-360): were the first batch
        // refused, it would take the second before it. So the first one goes alone. Another leader may lack the records that
        // tell of the producer, after an unclean election: there as well, and only once the old leader has answered.
        let goes_alone = self.queue.is_retrying() || self.sequences.is_new_to(self.placement.leader());
        self.queue.may_send(if goes_alone { 1 } else { max_in_flight })
    }

    /// Gives a batch its sequence, in the order of being handed out.
    pub(super) fn stamp(&mut self, pending: &mut Pending) {
        if !pending.is_stamped() {
            pending.set_stamp(self.sequences.next(pending.batch().count()));
        }
    }

    /// Puts a batch back into its place.
    pub(super) fn put_back(&mut self, mut pending: Pending) {
        if self.identity().is_none() {
            pending.set_stamp(None);
        }
        self.queue.put_back(pending);
    }

    // ---- what is answered ----

    /// The broker took a batch.
    pub(super) fn acked(&mut self, pending: &Pending, broker: i32) {
        self.failures.succeeded();
        self.has_batch(pending, broker);
        if BatchLimit::acked(&mut self.batch_limit, pending.batch().body().len()) {
            self.limit_batches();
        }
    }

    /// The broker has a batch, and with it knows the producer.
    pub(super) fn has_batch(&mut self, pending: &Pending, broker: i32) {
        self.sequences.acknowledged(pending.stamp(), broker);
    }

    /// The broker refused a batch for its size: it goes back to its place, to be split.
    pub(super) fn refuse_size(&mut self, mut pending: Pending, error: Error) {
        self.give_up(&pending);
        BatchLimit::lower(&mut self.batch_limit, pending.batch().body().len());
        self.limit_batches();
        self.failures.note(error.clone());
        pending.refuse_size(error);
        self.put_back(pending);
    }

    fn limit_batches(&self) {
        self.queue.limit_batches(self.batch_limit.as_ref().map(BatchLimit::bytes));
    }

    /// A batch will not be sent again: what becomes of its sequence.
    pub(super) fn give_up(&mut self, pending: &Pending) {
        let Some(stamp) = pending.stamp() else { return };
        let is_used_up = || pending.may_be_written() || self.queue.may_have_followed(pending.number());
        if self.sequences.give_up(stamp, is_used_up) {
            // Nothing behind it is in the log either.
            self.queue.drop_stamps();
        }
    }

    // ---- identities ----

    pub(super) fn identity(&self) -> Option<Identity> {
        self.sequences.identity()
    }

    /// Returns whether the next batch has its sequence, or can get one of the present identity.
    pub(super) fn has_sequence(&self) -> bool {
        self.queue.is_next_stamped() || self.sequences.is_ready()
    }

    /// All that waits goes under this identity, from sequence 0 on. Returns what may be written under the one before, and so
    /// has to be given up.
    #[must_use]
    pub(super) fn begin(&mut self, identity: Identity) -> Vec<Pending> {
        self.sequences.begin(identity);
        self.queue.begin_anew()
    }

    /// The broker lost track of the sequences: all that waits goes under another identity. Returns what has to be given up.
    #[must_use]
    pub(super) fn lose_track(&mut self) -> Vec<Pending> {
        self.sequences.require_bump();
        self.queue.begin_anew()
    }

    /// The topic was deleted and made again: its new log knows nothing of what was sent to the old one. But what a broker may
    /// have executed, or may still execute, by the topic's name may be in the new log, whether it was answered or not: under
    /// another sequence it would be there twice.
    pub(super) fn recreated(&mut self) {
        self.sequences.recreated();
        self.queue.drop_unwritten_stamps();
        if self.batch_limit.take().is_some() {
            self.limit_batches();
        }
    }

    /// From now on batches go without producer id and sequence; those in flight, should they be sent again.
    pub(super) fn turn_sequences_off(&mut self) {
        self.sequences.turn_off();
        self.queue.drop_stamps();
    }
}

#[cfg(test)]
impl PartitionSender {
    pub(super) fn sequences_mut(&mut self) -> &mut Sequences {
        &mut self.sequences
    }
}
