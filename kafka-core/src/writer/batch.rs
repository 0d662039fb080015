//! A batch on its way, and the tickets that wait for it.
//!
//! A ticket is the batch and an index in it: the delivery of a record allocates nothing of its own. The outcome is set
//! once; whoever waits is woken outside all locks. Wakers are cloned and dropped outside the tickets' lock as well: a task
//! that ends with its waker may hold deliveries of the same batch.

use super::memory::Charge;
use crate::error::{Error, ErrorKind, Fate};
use crate::machine::Time;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::unwind::wake_all;
use kafka_proto::Str;
use kafka_proto::records::BatchBody;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker, ready};

/// Where a record was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// The partition.
    pub partition: i32,
    /// The offset; `None` where the broker does not report it (acks of none, a duplicate of long ago).
    pub offset: Option<i64>,
    /// The time the broker gave it, in ms since the epoch, where the topic has log append time.
    pub log_append_time: Option<i64>,
}

/// A record was not acknowledged: why, and what became of it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}: {error}", match .fate { Fate::NotWritten => "not written", Fate::PossiblyWritten => "possibly written" })]
#[non_exhaustive]
pub struct SendError {
    /// Whether the record may be in the log.
    pub fate: Fate,
    /// Why.
    #[source]
    pub error: Error,
}

impl SendError {
    pub(crate) fn not_written(error: Error) -> Self {
        Self { fate: Fate::NotWritten, error }
    }
}

/// Why, without what became of the record: for programs that give up on any error.
impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        error.error
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Acked {
        base_offset: i64,
        log_append_time: Option<i64>,
    },
    Failed(SendError),
    /// The batch was too large and goes on in two: records below `at` in the first, the others in the second.
    Split {
        at: u32,
        first: Arc<Tickets>,
        second: Arc<Tickets>,
    },
}

/// The distance between the numbers of two batches.
pub(crate) const NUMBERS: u64 = 1 << 24;

/// What the records of a batch wait for. It outlives the batch's bytes, so that a delivery nobody looks at holds none.
pub(crate) struct Tickets {
    pub(crate) partition: i32,
    records: AtomicU32,
    /// Looked at by each delivery, so without a lock.
    outcome: OnceLock<Outcome>,
    /// By place, which each waiter keeps in mind; `None` where one has left.
    waiters: Mutex<Vec<Option<Waker>>>,
}

/// What a batch is, besides its records.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchHead {
    /// In the order of the partition's batches.
    pub(super) number: u64,
    /// How many numbers are its own, for the parts it may be split into.
    pub(super) span: u64,
    /// When its oldest record was sent.
    pub(super) created: Time,
    /// What of the writer's memory it holds.
    pub(super) charged: Charge,
}

/// A batch that takes no more records.
pub(crate) struct Batch {
    pub(crate) topic: Str,
    pub(crate) partition: i32,
    pub(crate) number: u64,
    pub(crate) span: u64,
    pub(crate) created: Time,
    pub(crate) charged: Charge,
    pub(crate) tickets: Arc<Tickets>,
    body: BatchBody,
    packed: OnceLock<Result<BatchBody, Error>>,
}

impl Batch {
    pub(super) fn new(topic: Str, head: BatchHead, tickets: Arc<Tickets>, body: BatchBody) -> Self {
        let BatchHead { number, span, created, charged } = head;
        let partition = tickets.partition;
        Self { topic, partition, number, span, created, charged, tickets, body, packed: OnceLock::new() }
    }

    pub(crate) fn body(&self) -> &BatchBody {
        &self.body
    }

    pub(crate) fn count(&self) -> u32 {
        self.body.count()
    }

    /// The compressed form, made by the first who asks and kept for retries.
    pub(crate) fn packed(
        &self,
        pack: impl FnOnce(&BatchBody) -> Result<BatchBody, Error>,
    ) -> Result<&BatchBody, Error> {
        self.packed.get_or_init(|| pack(&self.body)).as_ref().map_err(Clone::clone)
    }

    pub(crate) fn is_packed(&self) -> bool {
        self.packed.get().is_some()
    }
}

/// Without its records.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, number, span, created, charged, body, .. } = self;
        f.debug_struct("Batch")
            .field("topic", topic)
            .field("partition", partition)
            .field("number", number)
            .field("span", span)
            .field("created", created)
            .field("charged", &charged.bytes)
            .field("records", &body.count())
            .field("bytes", &body.len())
            .finish()
    }
}

impl Tickets {
    pub(crate) fn new(partition: i32) -> Self {
        Self { partition, records: AtomicU32::new(0), outcome: OnceLock::new(), waiters: Mutex::default() }
    }

    /// How many records there are.
    pub(crate) fn count(&self) -> u32 {
        self.records.load(Ordering::Relaxed)
    }

    pub(crate) fn set_count(&self, count: u32) {
        self.records.store(count, Ordering::Relaxed);
    }

    fn waiters(&self) -> MutexGuard<'_, Vec<Option<Waker>>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_resolved(&self) -> bool {
        self.outcome.get().is_some()
    }

    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        self.outcome.get()
    }

    /// Sets the outcome; whether it was the first.
    pub(crate) fn resolve(&self, outcome: Outcome) -> bool {
        self.outcome.set(outcome).is_ok()
    }

    /// The outcome, or the waker is kept until there is one, in the place that `place` then names.
    pub(crate) fn poll_outcome(&self, place: &mut Option<usize>, cx: &mut Context<'_>) -> Poll<&Outcome> {
        if let Some(outcome) = self.outcome.get() {
            return Poll::Ready(outcome);
        }
        // Whoever resolves takes the lock afterwards, to wake: the outcome is seen here, or the waker there.
        if place.is_some_and(|place| self.has_waker(place, cx.waker())) {
            return Poll::Pending;
        }
        // Before the lock, as it is code of others.
        let waker = cx.waker().clone();
        let mut waiters = self.waiters();
        if let Some(outcome) = self.outcome.get() {
            return Poll::Ready(outcome);
        }
        let stale = match place.and_then(|place| waiters.get_mut(place)) {
            Some(waiter) => waiter.replace(waker),
            None => {
                *place = Some(waiters.len());
                waiters.push(Some(waker));
                None
            }
        };
        drop(waiters);
        drop(stale);
        Poll::Pending
    }

    fn has_waker(&self, place: usize, waker: &Waker) -> bool {
        let waiters = self.waiters();
        waiters.get(place).and_then(Option::as_ref).is_some_and(|kept| kept.will_wake(waker))
    }

    /// Who waited in this place does so no more.
    pub(crate) fn leave(&self, place: usize) {
        let mut waiters = self.waiters();
        let stale = waiters.get_mut(place).and_then(Option::take);
        while waiters.pop_if(|waiter| waiter.is_none()).is_some() {}
        drop(waiters);
        drop(stale);
    }

    /// Wakes whoever waits; called outside all locks, once there is an outcome.
    pub(crate) fn wake(&self) {
        let waiters = std::mem::take(&mut *self.waiters());
        wake_all(waiters.into_iter().flatten());
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tickets({})", self.partition)
    }
}

/// The delivery of one record: a future, and a ticket that may be dropped without any harm to the record.
///
/// # Cancel safety
/// Dropping it changes nothing of the record's way.
#[derive(Debug)]
#[must_use = "a delivery tells whether the record was written"]
pub struct Delivery {
    tickets: Arc<Tickets>,
    index: u32,
    /// Where its waker is kept.
    place: Option<usize>,
}

impl Delivery {
    pub(crate) fn new(tickets: Arc<Tickets>, index: u32) -> Self {
        Self { tickets, index, place: None }
    }

    /// The partition the record goes to.
    pub fn partition(&self) -> i32 {
        self.tickets.partition
    }

    /// What became of it, if that is known already.
    pub fn try_get(&self) -> Option<Result<Delivered, SendError>> {
        let (mut tickets, mut index) = (&self.tickets, self.index);
        loop {
            match tickets.outcome.get()? {
                Outcome::Split { at, first, second } => (tickets, index) = part(index, *at, first, second),
                outcome => return Some(result(tickets, index, outcome)),
            }
        }
    }

    /// Goes on waiting in the part of a batch that was split.
    fn follow(&mut self, tickets: Arc<Tickets>, index: u32) {
        self.leave();
        (self.tickets, self.index) = (tickets, index);
    }

    fn leave(&mut self) {
        if let Some(place) = self.place.take() {
            self.tickets.leave(place);
        }
    }
}

/// Which part of a batch that was split has the record, and where in it.
fn part<'a>(
    index: u32,
    at: u32,
    first: &'a Arc<Tickets>,
    second: &'a Arc<Tickets>,
) -> (&'a Arc<Tickets>, u32) {
    if index < at { (first, index) } else { (second, index - at) }
}

fn result(tickets: &Tickets, index: u32, outcome: &Outcome) -> Result<Delivered, SendError> {
    match outcome {
        Outcome::Acked { base_offset, log_append_time } => {
            let offset = (*base_offset >= 0).then(|| base_offset + i64::from(index));
            Ok(Delivered { partition: tickets.partition, offset, log_append_time: *log_append_time })
        }
        Outcome::Failed(error) => Err(error.clone()),
        Outcome::Split { .. } => Err(SendError::not_written(Error::new(ErrorKind::Closed))),
    }
}

impl Future for Delivery {
    type Output = Result<Delivered, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let this = &mut *self;
            let outcome = ready!(this.tickets.poll_outcome(&mut this.place, cx));
            let Outcome::Split { at, first, second } = outcome else {
                return Poll::Ready(result(&this.tickets, this.index, outcome));
            };
            let (tickets, index) = part(this.index, *at, first, second);
            let tickets = tickets.clone();
            this.follow(tickets, index);
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.leave();
    }
}
