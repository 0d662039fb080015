//! A batch on its way, and the tickets that wait for it.
//!
//! A ticket is the batch and an index in it: the delivery of a record allocates nothing of its own. The outcome is set
//! once; whoever waits is woken outside all locks.

use super::memory::Charge;
use crate::error::{Error, ErrorKind};
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Mutex, MutexGuard};
use kafka_proto::Str;
use kafka_proto::records::BatchBody;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

/// Where a record was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// The partition.
    pub partition: i32,
    /// The offset; -1 where the broker does not tell (acks of none, a duplicate of long ago).
    pub offset: i64,
    /// The time the broker gave it, in ms since the epoch, where the topic has log append time.
    pub log_append_time: Option<i64>,
}

/// What is known of a record that was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is not in the log and never will be.
    NotWritten,
    /// It may be in the log: a request with it was sent, and not answered.
    PossiblyWritten,
}

/// A record was not acknowledged: why, and what became of it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}: {error}", match .fate { Fate::NotWritten => "not written", Fate::PossiblyWritten => "possibly written" })]
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
    state: Mutex<State>,
}

/// A batch that takes no more records.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) topic: Str,
    pub(crate) partition: i32,
    /// In the order of the partition's batches.
    pub(crate) number: u64,
    /// How many numbers are its own, for the parts it may be split into.
    pub(crate) span: u64,
    pub(crate) created: Instant,
    /// What of the writer's memory it holds.
    pub(crate) charged: Charge,
    pub(crate) tickets: Arc<Tickets>,
    body: BatchBody,
    packed: OnceLock<Result<BatchBody, Error>>,
}

#[derive(Default)]
struct State {
    outcome: Option<Outcome>,
    /// By ticket: a record's index, or a number beyond all of them.
    waiters: Vec<(u64, Waker)>,
}

impl Batch {
    pub(crate) fn new(
        topic: Str,
        open: (u64, Instant, Charge),
        tickets: Arc<Tickets>,
        body: BatchBody,
    ) -> Self {
        let (number, created, charged) = open;
        let partition = tickets.partition;
        Self {
            topic,
            partition,
            number,
            span: NUMBERS,
            created,
            charged,
            tickets,
            body,
            packed: OnceLock::new(),
        }
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

impl Tickets {
    pub(crate) fn new(partition: i32) -> Self {
        Self { partition, records: AtomicU32::new(0), state: Mutex::default() }
    }

    /// How many records there are.
    pub(crate) fn count(&self) -> u32 {
        self.records.load(Ordering::Relaxed)
    }

    pub(crate) fn set_count(&self, count: u32) {
        self.records.store(count, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outcome(&self) -> Option<Outcome> {
        self.lock().outcome.clone()
    }

    pub(crate) fn is_resolved(&self) -> bool {
        self.lock().outcome.is_some()
    }

    /// Sets the outcome; whether it was the first.
    pub(crate) fn resolve(&self, outcome: Outcome) -> bool {
        let mut state = self.lock();
        let first = state.outcome.is_none();
        if first {
            state.outcome = Some(outcome);
        }
        first
    }

    /// The outcome, or the ticket's waker is kept until there is one.
    pub(crate) fn poll_outcome(&self, ticket: u64, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut state = self.lock();
        if let Some(outcome) = &state.outcome {
            return Poll::Ready(outcome.clone());
        }
        match state.waiters.iter_mut().find(|(waiting, _)| *waiting == ticket) {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => state.waiters.push((ticket, cx.waker().clone())),
        }
        Poll::Pending
    }

    pub(crate) fn forget_waiter(&self, ticket: u64) {
        let mut state = self.lock();
        if !state.waiters.is_empty() {
            state.waiters.retain(|(waiting, _)| *waiting != ticket);
        }
    }

    /// Wakes whoever waits; called outside all locks.
    pub(crate) fn wake(&self) {
        let waiters = std::mem::take(&mut self.lock().waiters);
        waiters.into_iter().for_each(|(_, waker)| waker.wake());
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
}

impl Delivery {
    pub(crate) fn new(tickets: Arc<Tickets>, index: u32) -> Self {
        Self { tickets, index }
    }

    /// The partition the record goes to.
    pub fn partition(&self) -> i32 {
        self.tickets.partition
    }

    /// What became of it, if that is known already.
    pub fn try_get(&self) -> Option<Result<Delivered, SendError>> {
        let mut here = Self::new(self.tickets.clone(), self.index);
        loop {
            let outcome = here.tickets.outcome()?;
            match here.follow(outcome) {
                Some(result) => return Some(result),
                None => continue,
            }
        }
    }

    /// The result; `None` where the record went on in another batch, which this delivery then is of.
    fn follow(&mut self, outcome: Outcome) -> Option<Result<Delivered, SendError>> {
        let Outcome::Split { at, first, second } = outcome else { return Some(self.result(&outcome)) };
        if self.index < at {
            self.tickets = first;
        } else {
            (self.tickets, self.index) = (second, self.index - at);
        }
        None
    }

    fn result(&self, outcome: &Outcome) -> Result<Delivered, SendError> {
        match outcome {
            Outcome::Acked { base_offset, log_append_time } => {
                let offset = if *base_offset < 0 { -1 } else { base_offset + i64::from(self.index) };
                let log_append_time = *log_append_time;
                Ok(Delivered { partition: self.tickets.partition, offset, log_append_time })
            }
            Outcome::Failed(error) => Err(error.clone()),
            Outcome::Split { .. } => Err(SendError::not_written(Error::new(ErrorKind::Closed))),
        }
    }
}

impl Future for Delivery {
    type Output = Result<Delivered, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let outcome = ready!(self.tickets.poll_outcome(u64::from(self.index), cx));
            if let Some(result) = self.follow(outcome) {
                return Poll::Ready(result);
            }
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.tickets.forget_waiter(u64::from(self.index));
    }
}
