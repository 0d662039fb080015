//! The batches of a partition: open or sealed in its slot, waiting to be sent, in flight.
//!
//! Invariants
//! * Batches are handed out in the order in which they were opened: a batch that failed goes back to its place, and leaves
//!   before anything newer.
//! * What is in flight is taken out by the request it was sent in, once.
//! * The open batch leaves when it is due; so does all that is older.
//! * While work is done on the oldest batch nothing is sent.

use super::accumulator::Slot;
use super::batch::{Batch, Tickets};
use super::pending::Pending;
use crate::link::RequestId;
use crate::machine::Time;
use kafka_proto::Str;
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct BatchQueue {
    slot: Arc<Slot>,
    /// Taken out of the slot and to be sent, oldest first; retries stand here.
    waiting: VecDeque<Pending>,
    in_flight: VecDeque<InFlight>,
    /// The open batch, up to this number, is due to be sent.
    open_due: Option<u64>,
    /// The oldest batch is being compressed or split elsewhere.
    has_work: bool,
}

#[derive(Debug)]
struct InFlight {
    request: RequestId,
    pending: Pending,
}

impl BatchQueue {
    pub(super) fn new(slot: Arc<Slot>) -> Self {
        Self { slot, waiting: VecDeque::new(), in_flight: VecDeque::new(), open_due: None, has_work: false }
    }

    pub(super) fn topic(&self) -> &Str {
        &self.slot.topic
    }

    pub(super) fn partition(&self) -> i32 {
        self.slot.partition
    }

    // ---- what leaves ----

    /// Returns whether there is a batch that may leave as soon as the partition's state allows.
    pub(super) fn has_due(&self) -> bool {
        !self.waiting.is_empty() || self.slot.has_sealed() || self.is_open_due()
    }

    fn is_open_due(&self) -> bool {
        self.open_due.is_some_and(|due| self.slot.open_number().is_some_and(|open| open <= due))
    }

    /// Returns whether the next batch may be sent beside fewer than `limit` others.
    pub(super) fn may_send(&self, limit: usize) -> bool {
        !self.has_work && self.in_flight.len() < limit && !self.is_too_large()
    }

    /// Returns whether the next batch was sent before.
    pub(super) fn is_retrying(&self) -> bool {
        self.waiting.front().is_some_and(Pending::is_retry)
    }

    /// Returns whether the next batch has its sequence.
    pub(super) fn is_next_stamped(&self) -> bool {
        self.waiting.front().is_some_and(Pending::is_stamped)
    }

    fn is_too_large(&self) -> bool {
        self.waiting.front().is_some_and(Pending::is_too_large)
    }

    /// Takes the next batch that is due: a retry first.
    pub(super) fn next(&mut self) -> Option<Pending> {
        if let Some(pending) = self.waiting.pop_front() {
            return Some(pending);
        }
        let batch = self.slot.take(self.is_open_due())?;
        if self.open_due.is_some_and(|due| due <= batch.number) {
            self.open_due = None;
        }
        Some(Pending::new(batch))
    }

    /// Takes the next batch, whether it is due or not.
    pub(super) fn next_of_all(&mut self) -> Option<Pending> {
        self.waiting.pop_front().or_else(|| self.slot.take(true).map(Pending::new))
    }

    /// Puts a batch into its place.
    pub(super) fn put_back(&mut self, pending: Pending) {
        let at = self.waiting.partition_point(|p| p.number() < pending.number());
        self.waiting.insert(at, pending);
    }

    /// A batch was handed out in this request.
    pub(super) fn sent(&mut self, request: RequestId, pending: Pending) {
        self.in_flight.push_back(InFlight { request, pending });
    }

    /// Takes the batch that was handed out in this request.
    pub(super) fn take_sent(&mut self, request: RequestId) -> Option<Pending> {
        let at = self.in_flight.iter().position(|sent| sent.request == request)?;
        self.in_flight.remove(at).map(|sent| sent.pending)
    }

    // ---- the open batch ----

    /// Returns the number of the open batch.
    pub(super) fn open_number(&self) -> Option<u64> {
        self.slot.open_number()
    }

    /// Returns when the oldest record of the open batch was sent.
    pub(super) fn open_since(&self) -> Option<Time> {
        self.slot.open_since()
    }

    /// The open batch is due if its number is this one, or lower.
    pub(super) fn make_due(&mut self, number: u64) {
        self.open_due = self.open_due.max(Some(number));
    }

    /// Makes everything due that was written so far.
    pub(super) fn flush(&mut self) {
        self.open_due = self.slot.open_number().or(self.open_due);
    }

    /// New batches are filled up to this size; `None`: as large as the settings allow.
    pub(super) fn limit_batches(&self, bytes: Option<usize>) {
        self.slot.limit_batches(bytes);
    }

    // ---- work on the oldest batch ----

    /// Takes the next batch out of its slot, if it is not there already, and returns it.
    pub(super) fn peek(&mut self) -> Option<&Arc<Batch>> {
        let pending = self.next()?;
        self.waiting.push_front(pending);
        self.waiting.front().map(Pending::batch)
    }

    /// The oldest batch is worked on from now on.
    pub(super) fn begin_work(&mut self) {
        self.has_work = true;
    }

    /// Returns the oldest batch if it has to be split, and is not worked on yet; from now on it is.
    pub(super) fn begin_split(&mut self) -> Option<Arc<Batch>> {
        let oldest = self.waiting.front().filter(|oldest| oldest.is_too_large() && !self.has_work)?;
        self.has_work = true;
        Some(oldest.batch().clone())
    }

    pub(super) fn end_work(&mut self) {
        self.has_work = false;
    }

    /// Takes a batch that was worked on, unless it was given up meanwhile.
    pub(super) fn take_worked(&mut self, batch: &Arc<Batch>) -> Option<Pending> {
        let at = self.waiting.iter().position(|p| Arc::ptr_eq(p.batch(), batch))?;
        self.waiting.remove(at)
    }

    // ---- sequences of what waits ----

    /// Returns whether anything older than batch `number` is unresolved under a sequence of its own.
    pub(super) fn has_older(&self, number: u64) -> bool {
        self.in_flight.iter().any(|sent| sent.pending.number() < number)
            || self.waiting.iter().any(|p| p.number() < number && p.is_stamped())
    }

    /// Returns whether a broker may have, or get, a batch under a sequence behind that of batch `number`.
    pub(super) fn may_have_followed(&self, number: u64) -> bool {
        self.in_flight.iter().any(|sent| sent.pending.number() > number)
            || self.waiting.iter().any(|p| p.is_stamped() && p.may_be_written())
    }

    /// What waits gets new sequences.
    pub(super) fn drop_stamps(&mut self) {
        self.waiting.iter_mut().for_each(|p| p.set_stamp(None));
    }

    /// What waits gets new sequences, unless it may be written under those that it has.
    pub(super) fn drop_unwritten_stamps(&mut self) {
        self.waiting.iter_mut().filter(|p| !p.keeps_its_stamp()).for_each(|p| p.set_stamp(None));
    }

    /// What waits gets new sequences. Takes what may be written under those that it has: sent under others it would be there
    /// twice.
    #[must_use]
    pub(super) fn begin_anew(&mut self) -> Vec<Pending> {
        let waiting = std::mem::take(&mut self.waiting);
        let (doubtful, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(Pending::keeps_its_stamp);
        self.waiting = rest.into();
        self.drop_stamps();
        doubtful
    }

    // ---- delivery timeouts ----

    /// Returns when the oldest unresolved record was sent.
    pub(super) fn oldest(&self) -> Option<Time> {
        let in_flight = self.in_flight.iter().map(|sent| sent.pending.batch());
        let in_flight = in_flight.filter(|batch| !batch.tickets.is_resolved()).map(|batch| batch.created);
        let waiting = self.waiting.iter().enumerate().filter(|(at, p)| may_expire(*at, p));
        let waiting = waiting.map(|(_, p)| p.batch().created);
        in_flight.chain(waiting).chain(self.slot.oldest()).min()
    }

    /// Takes batches out of the slot for as long as one of those there is overdue.
    pub(super) fn pull_overdue(&mut self, is_overdue: impl Fn(Time) -> bool) {
        while self.slot.oldest().is_some_and(&is_overdue) {
            let Some(batch) = self.slot.take(true) else { break };
            self.put_back(Pending::new(batch));
        }
    }

    /// Takes an overdue batch that waits.
    pub(super) fn take_overdue(&mut self, is_overdue: impl Fn(Time) -> bool) -> Option<Pending> {
        let mut waiting = self.waiting.iter().enumerate();
        let at = waiting.position(|(at, p)| may_expire(at, p) && is_overdue(p.batch().created))?;
        self.waiting.remove(at)
    }

    // ---- all of it ----

    pub(super) fn has_in_flight(&self) -> bool {
        !self.in_flight.is_empty()
    }

    pub(super) fn in_flight(&self) -> impl Iterator<Item = &Arc<Batch>> {
        self.in_flight.iter().map(|sent| sent.pending.batch())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_empty() && self.slot.tickets().is_empty()
    }

    /// Returns what all of the batches wait for.
    pub(super) fn tickets(&self) -> impl Iterator<Item = Arc<Tickets>> {
        let waiting = self.waiting.iter().map(Pending::batch);
        self.in_flight().chain(waiting).map(|batch| batch.tickets.clone()).chain(self.slot.tickets())
    }
}

/// Sequences are given up in their order: a batch behind others has to wait for them, unless it has none yet.
fn may_expire(at: usize, pending: &Pending) -> bool {
    at == 0 || !pending.is_stamped()
}

#[cfg(test)]
mod tests {
    use super::BatchQueue;
    use crate::error::{Error, ErrorKind};
    use crate::link::RequestId;
    use crate::machine::{Now, Time};
    use crate::message::Message;
    use crate::writer::WriterConfig;
    use crate::writer::accumulator::{Accumulator, TopicSlots};
    use crate::writer::pending::Pending;
    use crate::writer::sequences::{Identity, Sequences, Stamp};
    use std::sync::Arc;
    use std::time::Duration;

    struct Rig {
        accumulator: Accumulator,
        slots: Arc<TopicSlots>,
        queue: BatchQueue,
        sequences: Sequences,
    }

    impl Rig {
        /// A queue of batches of one record.
        fn new() -> Self {
            let accumulator = Accumulator::new(WriterConfig { batch_messages: 1, ..WriterConfig::default() });
            let topic = crate::writer::tests::topic(1, Some(1));
            let slots = accumulator.update_topic(&topic, true, 1, |partition| partition as usize);
            let queue = BatchQueue::new(slots.slot(0).unwrap());
            let mut sequences = Sequences::default();
            sequences.begin(Identity { id: 7, epoch: 0 });
            Self { accumulator, slots, queue, sequences }
        }

        /// A record is sent at each of these seconds; all but the last batch are sealed.
        fn with<const N: usize>(seconds: [u64; N]) -> Self {
            let rig = Self::new();
            for second in seconds {
                let now = Now { time: at(second), wall_ms: 0 };
                let slot = rig.slots.slot(0).unwrap();
                let (_, taken) = rig.accumulator.append(now, &rig.slots, &slot, &Message::new("v"), 0);
                drop(taken.unwrap());
            }
            rig
        }

        fn next(&mut self) -> Pending {
            let mut pending = self.queue.next_of_all().unwrap();
            pending.set_stamp(self.stamp());
            pending
        }

        fn stamp(&mut self) -> Option<Stamp> {
            self.sequences.next(1)
        }
    }

    fn at(seconds: u64) -> Time {
        Time::START + Duration::from_secs(seconds)
    }

    #[test]
    fn what_failed_goes_back_to_its_place_and_leaves_first() {
        let mut rig = Rig::with([0, 0, 0, 0]);
        let [first, second, third] = [(); 3].map(|()| rig.next());
        let numbers = [&first, &second, &third].map(Pending::number);
        [third, first, second].into_iter().for_each(|pending| rig.queue.put_back(pending));
        assert!(rig.queue.is_next_stamped());
        assert_eq!([(); 3].map(|()| rig.queue.next().unwrap().number()), numbers);
    }

    #[test]
    fn the_open_batch_leaves_once_it_is_due() {
        let mut rig = Rig::with([0]);
        assert!(!rig.queue.has_due() && rig.queue.next().is_none() && !rig.queue.is_empty());
        let number = rig.queue.open_number().unwrap();
        rig.queue.make_due(number);
        assert!(rig.queue.has_due() && rig.queue.next().is_some());
        assert!(!rig.queue.has_due() && rig.queue.is_empty());
    }

    #[test]
    fn what_is_in_flight_is_taken_by_its_request_once() {
        let mut rig = Rig::with([0, 0, 0]);
        for request in [1, 2] {
            let pending = rig.next();
            rig.queue.sent(RequestId(request), pending);
        }
        assert!(rig.queue.may_send(3) && !rig.queue.may_send(2));
        let second = rig.queue.take_sent(RequestId(2)).unwrap();
        assert!(rig.queue.take_sent(RequestId(2)).is_none() && rig.queue.has_older(second.number()));
        let first = rig.queue.take_sent(RequestId(1)).unwrap();
        assert!(!rig.queue.has_in_flight() && !rig.queue.may_have_followed(first.number()));
    }

    #[test]
    fn nothing_is_sent_while_the_oldest_batch_is_worked_on() {
        let mut rig = Rig::with([0, 0]);
        let mut pending = rig.next();
        pending.refuse_size(Error::new(ErrorKind::Closed));
        rig.queue.put_back(pending);
        assert!(!rig.queue.may_send(5), "it is too large");
        let batch = rig.queue.begin_split().unwrap();
        assert!(rig.queue.begin_split().is_none() && !rig.queue.may_send(5), "it is split once");
        rig.queue.end_work();
        assert!(rig.queue.take_worked(&batch).is_some() && rig.queue.take_worked(&batch).is_none());
        assert!(rig.queue.may_send(5));
    }

    #[test]
    fn what_may_be_written_keeps_its_sequence_or_is_given_back() {
        let mut rig = Rig::with([0, 0, 0]);
        let (unwritten, mut doubtful) = (rig.next(), rig.next());
        doubtful.add_doubt(true);
        let number = doubtful.number();
        [unwritten, doubtful].into_iter().for_each(|pending| rig.queue.put_back(pending));
        rig.queue.drop_unwritten_stamps();
        assert!(!rig.queue.is_next_stamped() && rig.queue.has_older(u64::MAX));
        let given_back: Vec<u64> = rig.queue.begin_anew().iter().map(Pending::number).collect();
        assert_eq!(given_back, [number]);
        assert!(!rig.queue.has_older(u64::MAX) && rig.queue.next().is_some());
    }

    /// Sequences are given up in their order.
    #[test]
    fn a_batch_with_a_sequence_expires_behind_those_before_it() {
        let mut rig = Rig::with([5, 1, 2, 3]);
        let [first, second, third] = [(); 3].map(|()| rig.next());
        let (oldest, next) = (first.number(), third.number());
        [first, second, third].into_iter().for_each(|pending| rig.queue.put_back(pending));
        assert_eq!(rig.queue.oldest(), Some(at(3)), "of the first, and of the open batch");
        assert!(rig.queue.take_overdue(|created| created < at(5)).is_none());
        assert_eq!(rig.queue.take_overdue(|created| created <= at(5)).unwrap().number(), oldest);
        rig.queue.pull_overdue(|created| created <= at(3));
        assert_eq!(rig.queue.oldest(), Some(at(1)), "it is the first now");
        let overdue = [(); 3].map(|()| rig.queue.take_overdue(|_| true).map(|pending| pending.number()));
        assert_eq!((overdue[1], overdue[2].is_some(), rig.queue.is_empty()), (Some(next), true, true));
    }
}
