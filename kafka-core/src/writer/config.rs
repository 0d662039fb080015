//! What a writer can be told, with its defaults.

use super::balancer::{Balancer, JavaDefault};
use crate::error::Result;
use crate::settings::draft::Draft;
use crate::settings::pairs;
use kafka_proto::Str;
use kafka_proto::records::Compression;
use std::sync::Arc;
use std::time::Duration;

/// Which replicas must have a batch before it counts as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
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
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
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

/// The settings of a writer; [`declare`](crate::declare) says how they are declared.
#[doc(hidden)]
#[macro_export]
macro_rules! writer_settings {
    ($then:path) => {
        $then! {
            /// The settings of a writer; made by [`WriterBuilder`](crate::WriterBuilder).
            #[derive(Clone, Debug)]
            struct WriterConfig of Writer, drafted as writer;

            elsewhere writer() {
                /// The topic of all messages; `None` where each message names its own.
                topic: Option<Str> = [None, "none"], "", [by $crate::declare::checks::not_empty], [];
            }
            method acks(acks: Acks) {
                /// The replicas that must have a batch before it counts as written.
                acks: Acks = [Acks::All], "", [], ["acks"];
            }
            method idempotence(idempotence: Idempotence) {
                /// Whether the broker removes the duplicates of retries. Where it is required, `acks` must be those of all replicas.
                idempotence: Idempotence = [Idempotence::IfSupported], "", [], ["enable.idempotence"];
            }
            method compression(compression: Compression) {
                /// The codec of batches.
                compression: Compression = [Compression::None], "", [], ["compression.type"];
            }
            method compression_level(level: i32 as Some(level)) {
                /// The codec's level: 1 to 9 for gzip, -131072 to 22 for zstd. The other codecs have none.
                compression_level: Option<i32> = [None, "the codec's"], "", [], ["compression.gzip.level", "compression.zstd.level"];
            }
            method batch_bytes(bytes: usize) {
                /// The largest batch, before compression. As a default it is no larger than `request_bytes` and `buffer_bytes`.
                batch_bytes: usize = [1_000_000, "1,000,000"], "bytes", [1 KiB to 1 GiB], ["batch.size"];
            }
            method batch_messages(messages: u32) {
                /// The most messages of a batch.
                batch_messages: u32 = [u32::MAX, "no limit"], "messages", [from 1], [];
            }
            method request_bytes(bytes: usize) {
                /// The largest request, before compression.
                request_bytes: usize = [8 MiB], "bytes", [from 1 KiB], ["max.request.size"];
            }
            method linger(linger: Duration) {
                /// The time that a record may wait for others while requests are in flight. It is shorter than `delivery_timeout`.
                linger: Duration = [5 ms], "time", [time or zero], ["linger.ms"];
            }
            method buffer_bytes(bytes: usize) {
                /// The memory for all records that are not delivered yet. With more than one partition, none can hold more than
                /// remains free: half of it at most.
                buffer_bytes: usize = [32 MiB], "bytes", [from 1 KiB], ["buffer.memory"];
            }
            method delivery_timeout(timeout: Duration) {
                /// The time from `send` to the end of the delivery, whatever happens.
                delivery_timeout: Duration = [120 s], "time", [time], ["delivery.timeout.ms"];
            }
            method max_attempts(attempts: u32 as Some(attempts)) {
                /// The most times that a batch is sent: one more than Java's `retries`. `None` for as often as the delivery
                /// timeout allows.
                max_attempts: Option<u32> = [None, "no limit"], "attempts", [from 1], ["retries"];
            }
            method balancer(balancer: impl Balancer + 'static as Arc::new(balancer)) {
                /// Picks the partition of each message.
                balancer: Arc<dyn Balancer> = [Arc::new(JavaDefault), "`JavaDefault`"], "", [], ["partitioner.class"];
            }
        }
    };
}

writer_settings!(crate::declare::declare);

impl WriterConfig {
    /// Returns whether all settings are within their ranges and fit each other.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config), naming the setting, or both that do not fit each other.
    pub fn validate(&self) -> Result<()> {
        Draft::whole(self.clone()).finish(pairs::writer).map(drop)
    }

    /// Returns the name of the setting that keeps batches from being larger.
    pub(super) fn smallest_limit(&self) -> &'static str {
        match self.batch_bytes {
            bytes if bytes == self.request_bytes => "request_bytes",
            bytes if bytes == self.buffer_bytes => "buffer_bytes",
            _ => "batch_bytes",
        }
    }
}
