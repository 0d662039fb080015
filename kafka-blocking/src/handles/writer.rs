//! The handle that writes, without `async`.

use crate::park::block_on;
use kafka_core as rt;
use kafka_core::{
    CloseReport, Delivered, Message, ProducerStats, SendError, TrySendError, WriteErrors, WriterConfig,
};
use std::time::Duration;

/// Writes messages: gathers them in batches, sends these to the leaders of their partitions, and tells what became of each.
///
/// Everything is as at [`rt::Writer`], except that methods wait where those there are futures. Clones write through the
/// same batches, from as many threads as you like.
#[derive(Clone, Debug)]
pub struct Writer(rt::Writer);

/// What becomes of one record; dropping it does the record no harm.
#[derive(Debug)]
#[must_use = "a delivery tells whether the record was written"]
pub struct Delivery(rt::Delivery);

impl From<rt::Writer> for Writer {
    fn from(writer: rt::Writer) -> Self {
        Self(writer)
    }
}

impl Writer {
    /// The settings.
    pub fn config(&self) -> &WriterConfig {
        self.0.config()
    }

    /// Takes a message into its partition's batch; waits only for room in the writer's memory, and for the topic's
    /// metadata where that is not known yet. See [`rt::Writer::send`].
    ///
    /// # Errors
    /// The message was not taken, so it is not written.
    pub fn send(&self, message: Message) -> Result<Delivery, SendError> {
        block_on(self.0.send(message)).map(Delivery)
    }

    /// As [`send`](Self::send), of many messages: they stay in order within their partitions.
    pub fn send_all(&self, messages: impl IntoIterator<Item = Message>) -> Vec<Result<Delivery, SendError>> {
        block_on(self.0.send_all(messages)).into_iter().map(|sent| sent.map(Delivery)).collect()
    }

    /// Takes the message only if that needs no waiting.
    ///
    /// # Errors
    /// The message comes back, with the reason.
    pub fn try_send(&self, message: Message) -> Result<Delivery, TrySendError> {
        self.0.try_send(message).map(Delivery)
    }

    /// Writes a message and waits until it is acknowledged or given up.
    ///
    /// # Errors
    /// As [`rt::Writer::write`].
    pub fn write(&self, message: Message) -> Result<Delivered, SendError> {
        block_on(self.0.write(message))
    }

    /// Writes messages and waits until each is acknowledged or given up.
    ///
    /// # Errors
    /// [`WriteErrors`] with the outcome of each message, if any failed.
    pub fn write_all(
        &self,
        messages: impl IntoIterator<Item = Message>,
    ) -> Result<Vec<Delivered>, WriteErrors> {
        block_on(self.0.write_all(messages))
    }

    /// Sends everything that was taken so far, and waits until each of it is acknowledged or given up.
    pub fn flush(&self) {
        block_on(self.0.flush());
    }

    /// Takes no more messages, delivers what was taken, and gives up what is not delivered by then. All clones are closed.
    pub fn close(&self, deadline: Duration) -> CloseReport {
        block_on(self.0.close(deadline))
    }

    /// Counters since the writer was made.
    pub fn stats(&self) -> ProducerStats {
        self.0.stats()
    }

    /// The bytes of memory that undelivered records take now.
    pub fn buffered_bytes(&self) -> usize {
        self.0.buffered_bytes()
    }
}

impl Delivery {
    /// Waits until the record is acknowledged or given up, which the delivery timeout bounds.
    ///
    /// # Errors
    /// It was not, or perhaps not, written: [`SendError::fate`].
    pub fn wait(self) -> Result<Delivered, SendError> {
        match self.0.try_get() {
            Some(result) => result,
            None => block_on(self.0),
        }
    }

    /// What became of it, if that is known already.
    pub fn try_get(&self) -> Option<Result<Delivered, SendError>> {
        self.0.try_get()
    }

    /// The partition the record goes to.
    pub fn partition(&self) -> i32 {
        self.0.partition()
    }
}
