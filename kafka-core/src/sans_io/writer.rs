//! The writer's handle without any waiting.
//!
//! Invariants
//! * The application's balancer runs, and records are encoded, while the client is not held.
//! * The client is needed only where a batch was begun or filled, and where a topic is not known yet.

use super::access::{Access, ClockOf, command};
use super::adding::add_writer;
use super::closed;
use super::flushing::Flushing;
use crate::client::Key;
use crate::error::{Error, ErrorKind, Result};
use crate::machine::MachineId;
use crate::message::Message;
use crate::snapshot::TopicState;
use crate::writer::{
    self, Accumulator, Clock, Delivery, Placed, ProducerStats, Refused, SendError, Slot, TopicSlots,
    WriterConfig,
};
use kafka_proto::Str;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::OnceLock;

/// Writes messages: gathers them in batches, which the client sends to the leaders of their partitions.
///
/// [`try_send`](Self::try_send) never waits. The outcome of each message is in its [`Delivery`]: [`Delivery::try_get`] looks at it.
/// A writer that is dropped goes on in its client: [`end`](Self::end) ends it once everything was delivered.
pub struct Writer {
    id: MachineId,
    accumulator: Arc<Accumulator>,
    topic: OnceLock<Arc<TopicSlots>>,
}

/// `try_send` did not take the message; here it is again.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct TrySendError {
    /// The message.
    pub message: Box<Message>,
    /// Why it was not taken.
    pub reason: TrySendReason,
}

/// Why `try_send` did not take a message.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrySendReason {
    /// The writer's memory is full.
    #[error("the writer's buffer is full")]
    Full,
    /// The topic's partitions are not known yet; they were asked for.
    #[error("the topic's metadata is not known yet")]
    TopicPending,
    /// It will not be taken later either.
    #[error(transparent)]
    Failed(#[from] SendError),
}

impl Writer {
    /// Creates a writer. Nothing is asked of a broker before the first message.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming a setting that is out of its range, or two that contradict each other; or
    /// [`ErrorKind::Closed`], as the client is.
    pub fn new(client: impl Access, config: WriterConfig) -> Result<Self> {
        config.validate()?;
        Self::of(client, config)
    }

    pub(crate) fn of(mut client: impl Access, config: WriterConfig) -> Result<Self> {
        let now = client.now();
        // What a closed client does not take is dropped outside the lock, a balancer with it.
        let mut config = Some(config);
        let added = client.with(|client| {
            let config = config.take_if(|_| !client.is_closed())?;
            Some(add_writer(client, now, config))
        });
        let (id, accumulator) = added.ok_or_else(closed)?;
        Ok(Self { id, accumulator, topic: OnceLock::new() })
    }

    /// Returns the settings.
    pub fn config(&self) -> &WriterConfig {
        &self.accumulator.config
    }

    /// Returns what [`Event::Wake`](crate::sans_io::Event::Wake) names once the writer was closed.
    pub fn key(&self) -> Key {
        Key::Machine(self.id)
    }

    // ---- sending ----

    /// Takes a message into its partition's batch, if that needs no waiting. The batch leaves when it is full, when its broker has
    /// nothing else of this writer to do, or when the linger time is over.
    ///
    /// # Errors
    /// The message comes back, with the reason. Where that is [`Full`](TrySendReason::Full) or
    /// [`TopicPending`](TrySendReason::TopicPending) it may be taken once the loop has gone on.
    pub fn try_send(&self, mut client: impl Access, message: Message) -> Result<Delivery, TrySendError> {
        let reason = match self.learn_and_take(&mut client, &message) {
            Ok(delivery) => return Ok(delivery),
            Err(reason) => reason,
        };
        if reason == TrySendReason::Full {
            self.press(&mut client);
        }
        Err(TrySendError { message: Box::new(message), reason })
    }

    fn learn_and_take(&self, client: &mut impl Access, message: &Message) -> Result<Delivery, TrySendReason> {
        match self.try_take(client, message) {
            Err(TrySendReason::TopicPending) => {}
            result => return result,
        }
        if let Some(topic) = self.config().topic.as_ref().or(message.topic.as_ref()) {
            self.learn(client, topic)?;
        }
        self.try_take(client, message)
    }

    /// Takes the message if its topic is known and there is room.
    pub(crate) fn try_take(
        &self,
        client: &mut impl Access,
        message: &Message,
    ) -> Result<Delivery, TrySendReason> {
        let Known::Slots(slots) = self.known(message)? else { return Err(TrySendReason::TopicPending) };
        let slot = self.accumulator.balance(&slots, message)?;
        let (news, result) = self.append(ClockOf(client), &slots, &slot, message, 0);
        self.tell(client, news);
        match result {
            Ok(delivery) => Ok(delivery),
            Err(Refused::NoRoom(_)) => Err(TrySendReason::Full),
            Err(Refused::Error(error)) => Err(error.into()),
        }
    }

    /// Looks for a topic, which stays asked for, so that a later look finds it.
    fn learn(&self, client: &mut impl Access, topic: &Str) -> Result<Arc<TopicSlots>, TrySendReason> {
        let now = client.now();
        let state = client.with(|client| {
            if client.is_closed() {
                return TopicState::Failed(closed());
            }
            client.command(now, self.id, writer::LookFor(topic.clone()));
            client.topic(topic)
        });
        match state {
            TopicState::Known(_) => self.slots(client, topic).ok_or(TrySendReason::TopicPending),
            TopicState::Pending => Err(TrySendReason::TopicPending),
            TopicState::Failed(error) => Err(SendError::not_written(error).into()),
        }
    }

    // ---- the steps of a send, for a handle that waits between them ----

    /// The topic of a message, the writer's or its own: exactly one of the two.
    pub(crate) fn known(&self, message: &Message) -> Result<Known<'_>, SendError> {
        let problem = match (&self.config().topic, &message.topic) {
            (Some(topic), None) => match self.topic.get() {
                Some(slots) => return Ok(Known::Slots(Slots::Own(slots))),
                None => return Ok(Known::Not(topic.clone())),
            },
            (None, Some(topic)) => match self.accumulator.topic(topic) {
                Some(slots) => return Ok(Known::Slots(Slots::Other(slots))),
                None => return Ok(Known::Not(topic.clone())),
            },
            (Some(_), Some(_)) => "both the writer and the message name a topic",
            (None, None) => "neither the writer nor the message names a topic",
        };
        let error = Error::new(ErrorKind::InvalidMessage(problem));
        Err(SendError::not_written(message.topic.iter().fold(error, Error::with_topic)))
    }

    /// The slots of a topic that the client knows.
    pub(crate) fn slots(&self, client: &mut impl Access, topic: &Str) -> Option<Arc<TopicSlots>> {
        let slots = command(client, self.id, writer::Slots(topic.clone()))??;
        if self.config().topic.is_some() {
            let _ = self.topic.set(slots.clone());
        }
        Some(slots)
    }

    /// Picks the partition of a message.
    pub(crate) fn balance(&self, slots: &TopicSlots, message: &Message) -> Result<Placed, SendError> {
        self.accumulator.balance(slots, message)
    }

    /// Appends under the partition's lock, and returns what the client must then be [told](Self::tell).
    pub(crate) fn append(
        &self,
        clock: impl Clock,
        slots: &TopicSlots,
        slot: &Slot,
        message: &Message,
        granted: usize,
    ) -> (Option<writer::Appended>, Result<Delivery, Refused>) {
        let (appended, result) = self.accumulator.append(clock, slots, slot, message, granted);
        let is_news = appended.opened || appended.filled || appended.aged;
        (is_news.then_some(writer::Appended { index: slot.index, opened: appended.opened }), result)
    }

    /// A batch was begun or filled.
    pub(crate) fn tell(&self, client: &mut impl Access, news: Option<writer::Appended>) {
        if let Some(appended) = news {
            command(client, self.id, appended);
        }
    }

    /// Somebody waits for room.
    pub(crate) fn press(&self, client: &mut impl Access) {
        command(client, self.id, writer::Pressure);
    }

    pub(crate) fn accumulator(&self) -> &Arc<Accumulator> {
        &self.accumulator
    }

    pub(crate) fn id(&self) -> MachineId {
        self.id
    }

    // ---- flushing and the end ----

    /// Sends everything that was taken so far. [`Flushing::report`] tells when each of it was acknowledged or given up.
    pub fn flush(&self, mut client: impl Access) -> Flushing {
        Flushing::new(command(&mut client, self.id, writer::Flush).unwrap_or_default())
    }

    /// Takes no more messages and sends what was taken. [`Flushing::report`] tells when each of it was acknowledged or given up; what
    /// is not by the time that the program waits, it [gives up](Self::abort).
    pub fn close(&self, mut client: impl Access) -> Flushing {
        Flushing::new(command(&mut client, self.id, writer::CloseInput).unwrap_or_default())
    }

    /// Gives up what is not delivered: each message ends as not written, or as possibly written.
    pub fn abort(&self, mut client: impl Access) {
        command(&mut client, self.id, writer::Close(closed()));
    }

    /// Ends the writer once what it took was delivered or given up, while the loop goes on.
    pub fn end(&self, mut client: impl Access) {
        command(&mut client, self.id, writer::Orphan);
    }

    /// Returns the counters since the writer was made; the final ones once it is closed.
    pub fn stats(&self, mut client: impl Access) -> ProducerStats {
        command(&mut client, self.id, writer::GetStats).unwrap_or_default()
    }

    /// Returns the bytes of memory that undelivered records take now.
    pub fn buffered_bytes(&self) -> usize {
        self.accumulator.memory.used()
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topic = &self.config().topic;
        f.debug_struct("Writer").field("id", &self.id.0).field("topic", topic).finish_non_exhaustive()
    }
}

/// Whether a topic's partitions are known.
pub(crate) enum Known<'a> {
    Slots(Slots<'a>),
    Not(Str),
}

/// A topic's partitions.
pub(crate) enum Slots<'a> {
    /// Of the one topic of the writer.
    Own(&'a TopicSlots),
    /// Of one of several.
    Other(Arc<TopicSlots>),
}

impl Deref for Slots<'_> {
    type Target = TopicSlots;

    fn deref(&self) -> &TopicSlots {
        match self {
            Slots::Own(slots) => slots,
            Slots::Other(slots) => slots,
        }
    }
}
