//! Where records are encoded, each once, straight into the open batch of its partition.
//!
//! Appending takes the partition's own lock and no other. A batch that was opened or filled is told to the client after
//! that lock is released; the other way round the client, under its lock, may take a partition's lock to fetch batches.

use super::balancer::Partitions;
use super::batch::{Batch, BatchHead, Delivery, NUMBERS, SendError, Tickets};
use super::config::WriterConfig;
use super::memory::{Charge, Memory};
use crate::error::{Error, ErrorKind};
use crate::machine::{Now, Time};
use crate::message::Message;
use crate::random::Random;
use crate::snapshot::Topic;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard, RwLock};
use crate::tape::Tape;
use kafka_proto::Str;
use kafka_proto::records::{BatchBuilder, ChunkPool};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// What a batch takes besides its records.
const BATCH_OVERHEAD: usize = 61;
/// The part of the writer's memory that is kept for the next batches when nobody uses it.
const KEPT: usize = 8;
/// About what a record takes besides its value, for the sticky partition's count.
const RECORD_OVERHEAD: usize = 8;

#[derive(Debug)]
pub(crate) struct Accumulator {
    pub(crate) config: WriterConfig,
    pub(crate) memory: Memory,
    /// Through it the producer sees what callers do.
    pub(crate) tape: Tape,
    chunks: ChunkPool,
    // Hashed without a random seed; names of topics are the user's own.
    topics: RwLock<HashMap<Str, Arc<TopicSlots>, std::hash::BuildHasherDefault<std::hash::DefaultHasher>>>,
    closed: AtomicBool,
}

/// A topic as a writer uses it.
pub(crate) struct TopicSlots {
    pub(crate) name: Str,
    view: RwLock<Arc<View>>,
    sticky: Mutex<Sticky>,
}

/// A topic's partitions at a time. It is replaced, never changed, so that a balancer looks at it without a lock.
#[derive(Clone, Debug, Default)]
struct View {
    slots: Vec<Arc<Slot>>,
    available: Vec<i32>,
    /// Whether the cluster's brokers take headers (0.11+).
    headers: bool,
}

/// The partition that messages without a key go to, until about a batch was written to it (KIP-794).
#[derive(Debug)]
struct Sticky {
    partition: i32,
    bytes: usize,
    random: Random,
}

/// A partition's open batch, and those that are sealed and not yet taken.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) topic: Str,
    pub(crate) partition: i32,
    /// The partition's place in the producer's table.
    pub(crate) index: usize,
    queue: Mutex<Queue>,
    /// Through it the producer sees the batches.
    tape: Tape,
}

#[derive(Debug, Default)]
struct Queue {
    open: Option<Open>,
    sealed: VecDeque<Arc<Batch>>,
    next_number: u64,
    /// The size of batches that the broker takes, where it refused a larger one.
    limit: Option<usize>,
    /// Bytes of the records of the batch before: about as many are to be expected in the next.
    last_bytes: usize,
}

#[derive(Debug)]
struct Open {
    builder: BatchBuilder,
    number: u64,
    /// When its oldest record was sent.
    created: Time,
    /// Its first record had waited for long to be taken: its delivery timeout is over long before that of newer ones.
    is_late: bool,
    tickets: Arc<Tickets>,
    /// Memory charged for it: the capacity of its chunks.
    charged: Charge,
}

/// What an append did to its partition's batches.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Appended {
    /// A batch was begun: its linger begins.
    pub(crate) opened: bool,
    /// A batch was sealed, since it was full.
    pub(crate) filled: bool,
    /// The open batch is older than it was, by a record that had waited to be taken.
    pub(crate) aged: bool,
}

/// The slot that was picked, in the view it was picked from.
#[derive(Debug)]
pub(crate) struct Placed {
    view: Arc<View>,
    at: usize,
}

/// Where an append gets the time from, if it needs it.
pub(crate) trait Clock: Copy {
    /// Both clocks.
    fn now(self) -> Now;

    /// The wall clock alone, in ms since the epoch.
    fn wall_ms(self) -> i64;

    /// Since when the record has waited to be taken, if it has.
    fn waited_since(self) -> Option<Time> {
        None
    }
}

/// The clock of a record that was sent at `since`, and had to wait to be taken.
#[derive(Clone, Copy)]
pub(crate) struct Waited<C> {
    pub(crate) clock: C,
    pub(crate) since: Time,
}

impl<C: Clock> Clock for Waited<C> {
    fn now(self) -> Now {
        self.clock.now()
    }

    fn wall_ms(self) -> i64 {
        self.clock.wall_ms()
    }

    fn waited_since(self) -> Option<Time> {
        Some(self.since)
    }
}

/// A time that stands still.
impl Clock for Now {
    fn now(self) -> Now {
        self
    }

    fn wall_ms(self) -> i64 {
        self.wall_ms
    }
}

/// A record was not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// So many bytes of memory are needed first.
    NoRoom(usize),
    /// It cannot be taken at all.
    Error(SendError),
}

impl Accumulator {
    #[cfg(any(test, feature = "workloads"))]
    pub(crate) fn new(config: WriterConfig) -> Self {
        Self::taped(config, Tape::default())
    }

    /// One that its producer sees through this tape.
    pub(crate) fn taped(config: WriterConfig, tape: Tape) -> Self {
        let memory = Memory::new(config.buffer_bytes);
        let chunks = ChunkPool::new(config.buffer_bytes / KEPT);
        Self { config, memory, tape, chunks, topics: RwLock::default(), closed: AtomicBool::new(false) }
    }

    pub(crate) fn topic(&self, name: &str) -> Option<Arc<TopicSlots>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Takes over a topic's snapshot; new partitions get a slot at `index(partition)`.
    pub(crate) fn update_topic(
        &self,
        topic: &Topic,
        headers: bool,
        seed: u64,
        mut index: impl FnMut(i32) -> usize,
    ) -> Arc<TopicSlots> {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        let slots =
            topics.entry(topic.name.clone()).or_insert_with(|| Arc::new(TopicSlots::new(&topic.name, seed)));
        let mut view = View::clone(&slots.view());
        // Partitions become fewer only where the topic was made anew.
        view.slots.truncate(topic.partitions.len());
        for partition in view.slots.len()..topic.partitions.len() {
            let partition = partition as i32;
            let slot = Slot::new(&topic.name, partition, index(partition), self.tape.clone());
            view.slots.push(Arc::new(slot));
            self.memory.add_partition();
        }
        let led = (0..).zip(&topic.partitions).filter(|(_, p)| p.leader.is_some()).map(|(i, _)| i);
        view.available = led.collect();
        if view.available.is_empty() {
            view.available = (0..view.slots.len() as i32).collect();
        }
        view.headers = headers;
        *slots.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
        slots.clone()
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.memory.close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Returns the partition that the message names, or the one that the user's balancer picks, outside all locks.
    pub(crate) fn balance(&self, topic: &TopicSlots, message: &Message) -> Result<Placed, SendError> {
        let view = topic.view();
        if !message.headers.is_empty() && !view.headers {
            let kind = ErrorKind::Unsupported { feature: "record headers", needs: "Kafka 0.11" };
            return Err(SendError::not_written(Error::new(kind).with_topic(&topic.name)));
        }
        if let Some(named) = message.partition {
            return named_by_message(view, topic, named);
        }
        let sticky = match &message.key {
            None => {
                let bytes = message.value.as_ref().map_or(0, |v| v.len()) + RECORD_OVERHEAD;
                topic.sticky(&view, bytes, self.config.batch_bytes)
            }
            Some(_) => 0,
        };
        let count = view.slots.len() as i32;
        let partitions = Partitions { topic: &topic.name, count, available: &view.available, sticky };
        let picked = catch_unwind(AssertUnwindSafe(|| self.config.balancer.balance(message, &partitions)));
        let problem = match picked {
            Ok(Some(picked)) => match usize::try_from(picked).ok().filter(|at| *at < view.slots.len()) {
                Some(at) => return Ok(Placed { view, at }),
                None => format!("chose partition {picked} of {count}"),
            },
            Ok(None) => format!("chose none of {count} partitions; `Manual` needs messages that name theirs"),
            Err(_) => "panicked".into(),
        };
        Err(SendError::not_written(Error::new(ErrorKind::Balancer(problem)).with_topic(&topic.name)))
    }

    /// Encodes a record into its partition's batch; `None` where it needs memory that is not there. `granted` bytes of
    /// memory are the caller's already; what is not needed of them is given back.
    pub(crate) fn append(
        &self,
        clock: impl Clock,
        topic: &TopicSlots,
        slot: &Slot,
        message: &Message,
        granted: usize,
    ) -> (Appended, Result<Delivery, Refused>) {
        let granted = Charge { partition: slot.index, bytes: granted };
        let mut granted = Granted { memory: &self.memory, left: granted };
        let mut appended = Appended::default();
        let mut queue = slot.lock();
        // Under the lock: whoever closes looks into the queue afterwards.
        let result = match self.is_closed() {
            true => Err(Refused::Error(SendError::not_written(Error::new(ErrorKind::Closed)))),
            false => self.append_one(clock, topic, slot, &mut queue, message, &mut granted, &mut appended),
        };
        drop(queue);
        (appended, result)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one append, taken apart for borrowing")]
    fn append_one(
        &self,
        clock: impl Clock,
        topic: &TopicSlots,
        slot: &Slot,
        queue: &mut Queue,
        message: &Message,
        granted: &mut Granted<'_>,
        appended: &mut Appended,
    ) -> Result<Delivery, Refused> {
        let (key, value) = (message.key.as_deref(), message.value.as_deref());
        let waited_since = clock.waited_since();
        if let Some(open) = &mut queue.open {
            let timestamp = message.timestamp.unwrap_or_else(|| clock.wall_ms());
            let len = open.builder.record_len(timestamp, key, value, &message.headers);
            let full = open.builder.encoded_len() + len
                > queue.limit.unwrap_or(usize::MAX).min(self.config.batch_bytes)
                || open.builder.count() >= self.config.batch_messages
                || !open.may_join(waited_since, self.slack());
            if !full {
                appended.aged = waited_since.is_some_and(|since| open.age(since));
                return open.append(timestamp, message, len, granted);
            }
            queue.seal_open(&slot.topic);
            appended.filled = true;
        }
        let Now { time: now, wall_ms } = clock.now();
        let timestamp = message.timestamp.unwrap_or(wall_ms);
        let len = BatchBuilder::new().record_len(timestamp, key, value, &message.headers);
        self.check_size(topic, len + BATCH_OVERHEAD)?;
        let builder = self.builder(queue.last_bytes);
        let mut open = Open::new(slot, builder, queue.next_number, waited_since.unwrap_or(now));
        open.is_late = now.duration_since(open.created) > self.slack();
        // Where nothing goes in no batch is kept either: an empty one must not linger.
        let delivery = open.append(timestamp, message, len, granted)?;
        queue.open = Some(open);
        queue.next_number += NUMBERS;
        appended.opened = true;
        Ok(delivery)
    }

    /// What the records of one batch may differ in when they were sent, where some waited to be taken.
    fn slack(&self) -> Duration {
        self.config.delivery_timeout / 16
    }

    /// With large chunks for large batches, unless memory is short: then it grows as records come.
    fn builder(&self, expected: usize) -> BatchBuilder {
        let is_short = self.memory.used() > self.config.buffer_bytes / 2;
        BatchBuilder::with_pool(&self.chunks).expecting(if is_short { 0 } else { expected })
    }

    fn check_size(&self, topic: &TopicSlots, size: usize) -> Result<(), Refused> {
        let limit = self.config.batch_bytes;
        if size <= limit {
            return Ok(());
        }
        let setting = self.config.smallest_limit();
        let error = Error::new(ErrorKind::MessageTooLarge { size, limit, setting }).with_topic(&topic.name);
        Err(Refused::Error(SendError::not_written(error)))
    }
}

fn named_by_message(view: Arc<View>, topic: &TopicSlots, named: i32) -> Result<Placed, SendError> {
    match usize::try_from(named).ok().filter(|at| *at < view.slots.len()) {
        Some(at) => Ok(Placed { view, at }),
        None => {
            let error =
                Error::new(ErrorKind::InvalidMessage("the message names a partition that its topic lacks"));
            Err(SendError::not_written(error.with_partition(&topic.name, named)))
        }
    }
}

/// Memory that is given back unless it is used.
struct Granted<'a> {
    memory: &'a Memory,
    left: Charge,
}

impl Granted<'_> {
    fn take(&mut self, need: usize) -> bool {
        if self.left.bytes >= need {
            self.left.bytes -= need;
            return true;
        }
        let bytes = need - self.left.bytes;
        let fits = self.memory.try_reserve(Charge { bytes, ..self.left });
        if fits {
            self.left.bytes = 0;
        }
        fits
    }
}

/// Dropped after the partition's lock is released, so that who is next in line can be woken at once.
impl Drop for Granted<'_> {
    fn drop(&mut self) {
        if self.left.bytes > 0 {
            self.memory.release(self.left);
            self.memory.wake();
        }
    }
}

impl fmt::Debug for TopicSlots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicSlots({})", self.name)
    }
}

impl TopicSlots {
    fn new(name: &Str, seed: u64) -> Self {
        let sticky = Sticky { partition: -1, bytes: 0, random: Random::new(seed) };
        Self { name: name.clone(), view: RwLock::default(), sticky: Mutex::new(sticky) }
    }

    pub(crate) fn slot(&self, partition: usize) -> Option<Arc<Slot>> {
        self.view().slots.get(partition).cloned()
    }

    /// Whether the message names a partition that the topic is not known to have.
    pub(crate) fn lacks(&self, message: &Message) -> bool {
        let count = || self.view().slots.len();
        message.partition.and_then(|partition| usize::try_from(partition).ok()).is_some_and(|p| p >= count())
    }

    fn view(&self) -> Arc<View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lock_sticky(&self) -> MutexGuard<'_, Sticky> {
        self.sticky.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sticky partition for a record of about so many bytes.
    fn sticky(&self, view: &View, bytes: usize, batch_bytes: usize) -> i32 {
        let mut sticky = self.lock_sticky();
        let full = sticky.bytes + bytes > batch_bytes;
        if full || view.available.binary_search(&sticky.partition).is_err() {
            sticky.turn(&view.available);
        }
        sticky.bytes += bytes;
        sticky.partition
    }
}

impl Sticky {
    /// Another of the available partitions, if there is one, without a look at all of them.
    fn turn(&mut self, available: &[i32]) {
        self.bytes = 0;
        let current = available.binary_search(&self.partition).ok().filter(|_| available.len() > 1);
        let others = available.len() - usize::from(current.is_some());
        let mut pick = self.random.below(others as u64) as usize;
        pick += usize::from(current.is_some_and(|current| pick >= current));
        self.partition = available.get(pick).copied().unwrap_or(0);
    }
}

impl Slot {
    fn new(topic: &Str, partition: i32, index: usize, tape: Tape) -> Self {
        Self { topic: topic.clone(), partition, index, queue: Mutex::default(), tape }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The oldest sealed batch; with `open` also the open one, sealed by this.
    pub(crate) fn take(&self, open: bool) -> Option<Arc<Batch>> {
        self.tape.see(|| {
            let mut queue = self.lock();
            if queue.sealed.is_empty() && open {
                queue.seal_open(&self.topic);
            }
            queue.sealed.pop_front()
        })
    }

    /// Batches are filled up to this size from now on; `None` where nothing smaller than the setting is known to be needed. A record
    /// that is larger has a batch of its own.
    pub(crate) fn limit_batches(&self, bytes: Option<usize>) {
        self.lock().limit = bytes;
    }

    /// What the batches that were not taken wait for, sealed and open.
    pub(crate) fn tickets(&self) -> Vec<Arc<Tickets>> {
        self.tape.see(|| {
            let queue = self.lock();
            let open = queue.open.as_ref().map(|o| o.tickets.clone());
            queue.sealed.iter().map(|b| b.tickets.clone()).chain(open).collect()
        })
    }

    /// When the oldest record that was not taken was sent. One that waited may be older than those before it.
    pub(crate) fn oldest(&self) -> Option<Time> {
        self.tape.see(|| {
            let queue = self.lock();
            let open = queue.open.as_ref().map(|o| o.created);
            queue.sealed.iter().map(|b| b.created).chain(open).min()
        })
    }

    /// When the oldest record of the open batch was sent.
    pub(crate) fn open_since(&self) -> Option<Time> {
        self.tape.see(|| self.lock().open.as_ref().map(|o| o.created))
    }

    pub(crate) fn has_sealed(&self) -> bool {
        self.tape.see(|| !self.lock().sealed.is_empty())
    }

    /// The number of the open batch, if there is one.
    pub(crate) fn open_number(&self) -> Option<u64> {
        self.tape.see(|| self.lock().open.as_ref().map(|o| o.number))
    }
}

impl std::ops::Deref for Placed {
    type Target = Slot;

    fn deref(&self) -> &Slot {
        &self.view.slots[self.at]
    }
}

impl Open {
    fn new(slot: &Slot, builder: BatchBuilder, number: u64, created: Time) -> Self {
        let tickets = Arc::new(Tickets::new(slot.partition));
        let charged = Charge { partition: slot.index, bytes: 0 };
        Self { builder, number, created, is_late: false, tickets, charged }
    }

    /// Whether a record, which may have waited since then, can share the batch's delivery timeout.
    fn may_join(&self, waited_since: Option<Time>, slack: Duration) -> bool {
        match waited_since {
            None => !self.is_late,
            Some(since) => since.max(self.created).duration_since(since.min(self.created)) <= slack,
        }
    }

    /// A record of then joins; whether the batch is older by that.
    fn age(&mut self, since: Time) -> bool {
        let is_older = since < self.created;
        self.created = self.created.min(since);
        is_older
    }

    /// Takes a record whose length is known.
    fn append(
        &mut self,
        timestamp: i64,
        message: &Message,
        len: usize,
        granted: &mut Granted<'_>,
    ) -> Result<Delivery, Refused> {
        let growth = self.builder.growth_for(len);
        if growth > 0 && !granted.take(growth) {
            return Err(Refused::NoRoom(growth));
        }
        self.charged.bytes += growth;
        let (key, value) = (message.key.as_deref(), message.value.as_deref());
        match self.builder.append(timestamp, key, value, &message.headers) {
            Ok(index) => {
                self.tickets.set_count(index + 1);
                Ok(Delivery::new(self.tickets.clone(), index))
            }
            Err(error) => {
                let error = Error::new(ErrorKind::Encode(error.to_string()));
                Err(Refused::Error(SendError::not_written(error)))
            }
        }
    }
}

impl Queue {
    fn seal_open(&mut self, topic: &Str) {
        let Some(Open { builder, number, created, tickets, charged, .. }) = self.open.take() else { return };
        self.last_bytes = builder.encoded_len() - BATCH_OVERHEAD;
        let head = BatchHead { number, span: NUMBERS, created, charged };
        let batch = Batch::new(topic.clone(), head, tickets, builder.finish());
        self.sealed.push_back(Arc::new(batch));
    }
}
