//! What a writer can be told, with its defaults.

use super::balancer::{Balancer, JavaDefault};
use crate::client::config::positive;
use crate::error::{Error, Result};
use kafka_proto::Str;
use kafka_proto::records::Compression;
use std::sync::Arc;
use std::time::Duration;

/// Which replicas must have a batch before it counts as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acks {
    /// All in-sync replicas (-1).
    #[default]
    All,
    /// The leader alone (1): lost when it fails before others have copied.
    One,
    /// None (0): the broker does not answer, so nothing is known but that the socket took the bytes.
    None,
}

impl Acks {
    pub(crate) fn code(self) -> i16 {
        match self {
            Self::All => -1,
            Self::One => 1,
            Self::None => 0,
        }
    }
}

/// Whether the broker removes duplicates that retries make (KIP-98).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idempotence {
    /// Where the broker can (0.11+) and acks is all; on older ones retries may duplicate, which is told once. From the first
    /// leader on that cannot, as in a cluster that is being upgraded, a writer does without.
    #[default]
    IfSupported,
    /// An error where the leader cannot.
    Required,
    /// Off.
    Off,
}

/// The settings of a writer; made by [`WriterBuilder`](crate::rt::WriterBuilder).
#[derive(Clone, Debug)]
pub struct WriterConfig {
    /// The topic of all messages; `None` where each message names its own.
    pub topic: Option<Str>,
    /// Which replicas must have a batch.
    pub acks: Acks,
    /// Whether retries may duplicate.
    pub idempotence: Idempotence,
    /// The codec of batches.
    pub compression: Compression,
    /// Its level; `None` for the codec's own default.
    pub compression_level: Option<i32>,
    /// The largest batch, in bytes before compression.
    pub batch_bytes: usize,
    /// The most messages of a batch.
    pub batch_messages: u32,
    /// The largest request, in bytes before compression.
    pub request_bytes: usize,
    /// How long a record may wait for others while requests are in flight.
    pub linger: Duration,
    /// The memory that all records take that are not delivered yet, in bytes. Of several partitions one gets more only while
    /// it holds no more than remains free: half of it at most.
    pub buffer_bytes: usize,
    /// From `send` to the end of the delivery, whatever happens.
    pub delivery_timeout: Duration,
    /// How often a batch is sent at most (Java's `retries`, plus one); `None` for no limit but the delivery timeout.
    pub max_attempts: Option<u32>,
    /// Who picks the partition.
    pub balancer: Arc<dyn Balancer>,
}

impl Default for WriterConfig {
    fn default() -> Self {
        Self {
            topic: None,
            acks: Acks::All,
            idempotence: Idempotence::IfSupported,
            compression: Compression::None,
            compression_level: None,
            batch_bytes: 1_000_000,
            batch_messages: u32::MAX,
            request_bytes: 8 << 20,
            linger: Duration::from_millis(5),
            buffer_bytes: 32 << 20,
            delivery_timeout: Duration::from_secs(120),
            max_attempts: None,
            balancer: Arc::new(JavaDefault),
        }
    }
}

impl WriterConfig {
    /// Whether all settings are within their ranges and fit each other.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config), naming the setting.
    pub fn validate(&self) -> Result<()> {
        if self.topic.as_ref().is_some_and(|t| t.is_empty()) {
            return Err(Error::config("topic", "must not be empty"));
        }
        if !(1024..=i32::MAX as usize / 2).contains(&self.batch_bytes) {
            return Err(Error::config("batch_bytes", "must be between 1 KiB and 1 GiB"));
        }
        if self.batch_messages == 0 {
            return Err(Error::config("batch_messages", "must be at least 1"));
        }
        if self.request_bytes < self.batch_bytes {
            return Err(Error::config("request_bytes", "must not be smaller than batch_bytes"));
        }
        if self.buffer_bytes < self.batch_bytes {
            return Err(Error::config("buffer_bytes", "must not be smaller than batch_bytes"));
        }
        positive("delivery_timeout", self.delivery_timeout)?;
        if self.linger >= self.delivery_timeout {
            return Err(Error::config("linger", "must be shorter than delivery_timeout"));
        }
        if self.max_attempts == Some(0) {
            return Err(Error::config("max_attempts", "must be at least 1"));
        }
        if self.idempotence == Idempotence::Required && self.acks != Acks::All {
            return Err(Error::config("idempotence", "needs acks of all replicas"));
        }
        Ok(())
    }
}
