//! The builder of writers.

use crate::error::Result;
use crate::rt::shared::Handle;
use crate::rt::writer::Writer;
use crate::writer::{Acks, Balancer, Idempotence, WriterConfig};
use kafka_proto::Str;
use kafka_proto::records::Compression;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// Makes a [`Writer`], or what an adapter makes of one.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it builds"]
pub struct WriterBuilder<W = Writer> {
    handle: Handle,
    config: WriterConfig,
    made: PhantomData<fn() -> W>,
}

impl<W: From<Writer>> WriterBuilder<W> {
    pub(in crate::rt) fn new(handle: Handle, topic: Option<Str>) -> Self {
        Self { handle, config: WriterConfig { topic, ..WriterConfig::default() }, made: PhantomData }
    }

    /// The same settings for another form of the handle.
    pub fn making<V: From<Writer>>(self) -> WriterBuilder<V> {
        WriterBuilder { handle: self.handle, config: self.config, made: PhantomData }
    }

    /// Which replicas must have a batch. Default all.
    pub fn acks(mut self, acks: Acks) -> Self {
        self.config.acks = acks;
        self
    }

    /// Whether the broker removes the duplicates of retries. Default where it can.
    pub fn idempotence(mut self, idempotence: Idempotence) -> Self {
        self.config.idempotence = idempotence;
        self
    }

    /// The codec of batches. Default none.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.config.compression = compression;
        self
    }

    /// The codec's level. Default its own.
    pub fn compression_level(mut self, level: i32) -> Self {
        self.config.compression_level = Some(level);
        self
    }

    /// The largest batch, in bytes before compression. Default 1,000,000.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.config.batch_bytes = bytes;
        self
    }

    /// The most messages of a batch. Default no limit.
    pub fn batch_messages(mut self, messages: u32) -> Self {
        self.config.batch_messages = messages;
        self
    }

    /// The largest request, in bytes before compression. Default 8 MiB.
    pub fn request_bytes(mut self, bytes: usize) -> Self {
        self.config.request_bytes = bytes;
        self
    }

    /// How long a record may wait for others while requests are in flight. Default 5 ms.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.config.linger = linger;
        self
    }

    /// The memory that undelivered records may take, in bytes. Default 32 MiB.
    pub fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.config.buffer_bytes = bytes;
        self
    }

    /// From `send` to the end of the delivery, whatever happens. Default 120 s.
    pub fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.config.delivery_timeout = timeout;
        self
    }

    /// How often a batch is sent at most. Default: as often as the delivery timeout allows.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.config.max_attempts = Some(attempts);
        self
    }

    /// Who picks the partition. Default [`JavaDefault`](crate::writer::JavaDefault).
    pub fn balancer(mut self, balancer: impl Balancer + 'static) -> Self {
        self.config.balancer = Arc::new(balancer);
        self
    }

    /// Makes the writer. Nothing is asked of a broker before the first message.
    ///
    /// # Errors
    /// A setting out of its range, by name.
    pub fn build(self) -> Result<W> {
        self.config.validate()?;
        Ok(Writer::new(self.handle, self.config).into())
    }
}
