//! The handle that writes.

use super::shared::{ForMany, Handle};
use super::streams::WriterSink;
use super::wait::{Settled, TopicWait, after, partition as partition_wait, until};
use crate::error::{Error, ErrorKind};
use crate::machine::Time;
use crate::message::Message;
use crate::sans_io::{self, ClockOf, CloseReport, Known, Slots, TrySendError, TrySendReason, closed};
use crate::snapshot::TopicPartition;
use crate::writer::{
    Accumulator, Charge, Delivered, Delivery, Placed, ProducerStats, Refused, SendError, Slot, Ticket,
    TopicSlots, Waited, WriterConfig,
};
use kafka_proto::Str;
use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Writes messages: gathers them in batches, sends these to the leaders of their partitions, and tells what became of each.
///
/// Clones write through the same batches and keep one order. By default it writes to all in-sync replicas, idempotently.
#[derive(Clone)]
pub struct Writer {
    inner: Arc<Inner>,
}

struct Inner {
    handle: Handle,
    hand: sans_io::Writer,
}

/// Some messages of a call were not acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{} of {} messages failed; the first: {}", failed(.results), .results.len(), first(.results))]
#[non_exhaustive]
pub struct WriteErrors {
    /// The outcome of each message, in their order.
    pub results: Vec<Result<Delivered, SendError>>,
}

/// Why the first of them failed, without what became of the others.
impl From<WriteErrors> for Error {
    fn from(errors: WriteErrors) -> Self {
        let first = errors.results.into_iter().find_map(Result::err);
        first.map_or_else(closed, Error::from)
    }
}

fn failed(results: &[Result<Delivered, SendError>]) -> usize {
    results.iter().filter(|r| r.is_err()).count()
}

fn first(results: &[Result<Delivered, SendError>]) -> String {
    results.iter().find_map(|r| r.as_ref().err()).map(ToString::to_string).unwrap_or_default()
}

impl Writer {
    pub(super) fn new(handle: Handle, config: WriterConfig) -> Result<Self, Error> {
        let hand = sans_io::Writer::of(&*handle, config)?;
        Ok(Self { inner: Arc::new(Inner { handle, hand }) })
    }

    /// The settings.
    pub fn config(&self) -> &WriterConfig {
        self.inner.hand.config()
    }

    /// Takes a message into its partition's batch and gives a [`Delivery`] that tells what becomes of it. Waits only for
    /// room in the writer's memory, and for the topic's metadata where that is not known yet; both end with the delivery timeout.
    /// A partition that the message names, and that its topic is not known to have, is waited for as long as an unknown topic,
    /// within the same delivery timeout.
    ///
    /// # Errors
    /// The message was not taken, so it is not written.
    ///
    /// # Cancel safety
    /// A future that is dropped before it was ready has taken nothing.
    pub async fn send(&self, message: Message) -> Result<Delivery, SendError> {
        self.send_one(&message, &mut BTreeMap::new()).await
    }

    /// As [`send`](Self::send), of many messages: they stay in order within their partitions. The results are in the
    /// order of the messages. The next message is asked for when the one before it was taken or refused, and its delivery
    /// timeout begins then. A topic that does not come is waited for once, not for each of its messages.
    ///
    /// # Cancel safety
    /// A future that is dropped before it was ready has taken some of the messages: the first ones.
    pub async fn send_all(
        &self,
        messages: impl IntoIterator<Item = Message>,
    ) -> Vec<Result<Delivery, SendError>> {
        let mut messages = messages.into_iter();
        let mut results = Vec::with_capacity(messages.size_hint().0);
        let mut missing = BTreeMap::new();
        while let Some(message) = self.send_at_once(&mut messages, &mut results) {
            results.push(self.send_one(&message, &mut missing).await);
        }
        results
    }

    /// Sends a message, unless its topic is one of those that did not come.
    async fn send_one(
        &self,
        message: &Message,
        missing: &mut BTreeMap<Str, SendError>,
    ) -> Result<Delivery, SendError> {
        let mut patience = Patience::default();
        let slots = match self.inner.hand.known(message)? {
            Known::Slots(slots) => slots,
            Known::Not(topic) => {
                if let Some(error) = missing.get(&topic) {
                    return Err(error.clone());
                }
                let learned = self.inner.learn(&topic, &mut patience).await;
                Slots::Other(learned.inspect_err(|error| {
                    missing.insert(topic, error.clone());
                })?)
            }
        };
        let slot = self.inner.place(&slots, message, &mut patience).await?;
        self.inner.send_to(&slots, &slot, message, patience).await
    }

    /// Takes what needs no waiting; gives the first message that does.
    fn send_at_once(
        &self,
        messages: &mut impl Iterator<Item = Message>,
        results: &mut Vec<Result<Delivery, SendError>>,
    ) -> Option<Message> {
        let (hand, handle) = (&self.inner.hand, &self.inner.handle);
        let mut client = ForMany::new(handle);
        for message in messages {
            if message.partition.is_some()
                && matches!(hand.known(&message), Ok(Known::Slots(slots)) if slots.lacks(&message))
            {
                return Some(message);
            }
            match hand.try_take(&mut client, &message) {
                Ok(delivery) => results.push(Ok(delivery)),
                Err(TrySendReason::Failed(error)) => results.push(Err(error)),
                Err(TrySendReason::Full | TrySendReason::TopicPending) => return Some(message),
            }
        }
        None
    }

    /// Takes the message only if that needs no waiting.
    ///
    /// # Errors
    /// The message comes back, with the reason.
    pub fn try_send(&self, message: Message) -> Result<Delivery, TrySendError> {
        self.inner.hand.try_send(&*self.inner.handle, message)
    }

    /// Writes a message and waits until it is acknowledged or given up.
    ///
    /// # Errors
    /// As [`send`](Self::send), and why it was given up.
    ///
    /// # Cancel safety
    /// What was taken before the future was dropped is written all the same.
    pub async fn write(&self, message: Message) -> Result<Delivered, SendError> {
        self.send(message).await?.await
    }

    /// Writes messages and waits until each is acknowledged or given up. They are taken as by [`send_all`](Self::send_all).
    ///
    /// # Errors
    /// [`WriteErrors`] with the outcome of each message, if any failed.
    ///
    /// # Cancel safety
    /// What was taken before the future was dropped is written all the same.
    pub async fn write_all(
        &self,
        messages: impl IntoIterator<Item = Message>,
    ) -> Result<Vec<Delivered>, WriteErrors> {
        let deliveries = self.send_all(messages).await;
        let mut results = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            results.push(match delivery {
                Ok(delivery) => delivery.await,
                Err(error) => Err(error),
            });
        }
        if results.iter().any(Result::is_err) {
            return Err(WriteErrors { results });
        }
        Ok(results.into_iter().filter_map(Result::ok).collect())
    }

    /// Sends everything that was taken so far, and waits until each of it is acknowledged or given up.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing of what is on its way.
    pub async fn flush(&self) {
        Settled::new(self.inner.hand.flush(&*self.inner.handle)).await;
    }

    /// Takes no more messages, delivers what was taken, and gives up what is not delivered by then. All clones are closed.
    pub async fn close(&self, timeout: Duration) -> CloseReport {
        let Inner { handle, hand } = &*self.inner;
        let now = handle.now();
        let batches = hand.close(&**handle);
        let all = Settled::new(batches.clone());
        let _ = until(handle.shared(), after(now, timeout), all).await;
        hand.abort(&**handle);
        // By now each has its outcome; those that failed before are told as well.
        Settled::new(batches).await
    }

    /// The writer as a sink: it is ready again while records are on their way, flushed when all of them are acknowledged,
    /// and fails with the first record that was not.
    pub fn sink(&self) -> WriterSink {
        WriterSink::new(self.clone())
    }

    /// Sends everything that was taken so far without waiting for it.
    pub(super) fn begin_flush(&self) {
        let _ = self.inner.hand.flush(&*self.inner.handle);
    }

    /// Counters since the writer was made; the final ones once it is closed.
    pub fn stats(&self) -> ProducerStats {
        self.inner.hand.stats(&*self.inner.handle)
    }

    /// The bytes of memory that undelivered records take now.
    pub fn buffered_bytes(&self) -> usize {
        self.inner.hand.buffered_bytes()
    }
}

impl Inner {
    async fn learn(&self, topic: &Str, patience: &mut Patience) -> Result<Arc<TopicSlots>, SendError> {
        let deadline = patience.begin(self) + self.hand.config().delivery_timeout;
        // It keeps the topic wanted until the writer itself does.
        let mut wait = pin!(TopicWait::new(self.handle.shared(), topic, deadline));
        wait.as_mut().await.map_err(SendError::not_written)?;
        let slots = self.hand.slots(&mut &*self.handle, topic);
        slots.ok_or_else(|| SendError::not_written(closed()))
    }

    /// The partition of a message. One that it names, and that its topic is not known to have, may be new: it is waited for as long
    /// as a topic is.
    async fn place(
        &self,
        slots: &TopicSlots,
        message: &Message,
        patience: &mut Patience,
    ) -> Result<Placed, SendError> {
        let refused = match self.hand.balance(slots, message) {
            Err(error) if slots.lacks(message) => error,
            result => return result,
        };
        let config = self.hand.config();
        let (Some(topic), Some(partition)) =
            (config.topic.as_ref().or(message.topic.as_ref()), message.partition)
        else {
            return Err(refused);
        };
        let named = TopicPartition::new(topic.clone(), partition);
        let needs = || !self.hand.accumulator().is_closed();
        let (shared, deadline) = (self.handle.shared(), patience.begin(self) + config.delivery_timeout);
        let wait = partition_wait(shared, &named, Some(self.hand.id()), needs);
        let is_there = until(shared, deadline, wait).await.unwrap_or(false);
        // Nothing is waited for any more.
        if self.hand.accumulator().is_closed() || self.handle.with(|state| state.is_shut_down()) {
            return Err(SendError::not_written(closed()));
        }
        if is_there { self.hand.balance(slots, message) } else { Err(refused) }
    }

    async fn send_to(
        &self,
        slots: &TopicSlots,
        slot: &Slot,
        message: &Message,
        mut patience: Patience,
    ) -> Result<Delivery, SendError> {
        let mut granted = 0;
        let mut client = &*self.handle;
        loop {
            let clock = ClockOf(&client);
            let (news, taken) = match patience.since {
                Some(since) => self.hand.append(Waited { clock, since }, slots, slot, message, granted),
                None => self.hand.append(clock, slots, slot, message, granted),
            };
            self.hand.tell(&mut client, news);
            match taken {
                Ok(delivery) => return Ok(delivery),
                Err(Refused::Error(error)) => return Err(error),
                Err(Refused::NoRoom(need)) => {
                    granted = self.wait_for_room(slot, need, &mut patience).await?;
                }
            }
        }
    }

    /// The bytes that were granted: none where the writer was closed.
    async fn wait_for_room(
        &self,
        slot: &Slot,
        need: usize,
        patience: &mut Patience,
    ) -> Result<usize, SendError> {
        let since = patience.begin(self);
        let accumulator = self.hand.accumulator();
        let memory = &accumulator.memory;
        let place = memory.enqueue(Charge { partition: slot.index, bytes: need });
        let mut ticket = MemoryTicket { accumulator, place: Some(place) };
        self.hand.press(&mut &*self.handle);
        let timeout = self.hand.config().delivery_timeout;
        let granted = poll_fn(|cx| memory.poll_granted(place, cx));
        match until(self.handle.shared(), since + timeout, granted).await {
            Some(()) => {
                ticket.place = None;
                Ok(memory.taken(place))
            }
            None => {
                let error = Error::new(ErrorKind::TimedOut { after: timeout, last: None });
                Err(SendError::not_written(
                    error.with_detail(Str::from_static("the writer's buffer is full")),
                ))
            }
        }
    }
}

/// Since when a message waits, if it does: metadata, room and the answer share one delivery timeout.
#[derive(Default)]
struct Patience {
    since: Option<Time>,
}

impl Patience {
    /// The message has to wait: from now on, or since it had to for the first time.
    fn begin(&mut self, inner: &Inner) -> Time {
        *self.since.get_or_insert_with(|| inner.handle.now().time)
    }
}

struct MemoryTicket<'a> {
    accumulator: &'a Accumulator,
    place: Option<Ticket>,
}

impl Drop for MemoryTicket<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.accumulator.memory.leave(place);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What was taken is still delivered, for as long as the client lives.
        self.hand.end(&*self.handle);
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("id", &self.inner.hand.id().0)
            .field("topic", &self.config().topic)
            .finish_non_exhaustive()
    }
}
