//! A Kafka client as state machines, and the layer that turns them into handles on any runtime.
//!
//! Programs use an adapter, which re-exports what they need: kafka-tokio, kafka-smol or kafka-blocking. What they hold is documented
//! here, once: [`Client`], [`Writer`], [`Reader`], [`Message`], [`Record`], [`Error`]. All of it is at the root of each adapter, by the same
//! names.
//!
//! | module | for |
//! |---|---|
//! | [`settings`] | every setting with default and Java's name |
//! | [`assignor`] | how a group shares out its partitions, and assignors of one's own |
//! | [`trace`] | the events for `tracing` |
//! | [`sans_io`] | the client by hand, without any runtime: state machines that a program's own loop drives |
//! | [`runtime`] | how to bring the client to another runtime |
//!
//! # Features
//!
//! | feature | what it does | default |
//! |---|---|---|
//! | `gzip`, `snappy`, `lz4` | the codec of this name | on |
//! | `zstd` | the codec zstd; needs a C compiler | on |
//! | `scram` | SCRAM-SHA-256 and SCRAM-SHA-512; connections do not use them yet | on |
//! | `tracing` | emits the events of [`trace`] for the crate `tracing` | off |
//! | `record` | `ClientBuilder::record`, which writes what a client does to a file | off |
//! | `workloads` | benchmarks of this repository only | off |

#![forbid(unsafe_code)]

mod address;
mod client;
mod config;
pub(crate) mod declare;
mod error;
mod front_door;
mod group;
#[cfg(all(test, shuttle))]
mod interleavings;
#[cfg(test)]
mod items;
mod link;
mod machine;
mod message;
pub(crate) mod random;
mod reader;
pub(crate) mod reading;
#[cfg(feature = "record")]
mod record;
#[cfg(feature = "record")]
#[allow(unreachable_pub)] // what is `pub` in it is so for tools of this repository
mod replay;
mod rt;
pub mod runtime;
pub mod sans_io;
mod sasl;
pub mod settings;
mod snapshot;
mod stats;
mod sync;
pub(crate) mod tape;
pub mod trace;
mod trouble;
mod unwind;
#[cfg(feature = "workloads")]
mod workloads;
mod writer;

pub use error::{Cause, ConnectionError, Context, Error, ErrorKind, Fate, Fault, Result};
pub use group::{Assignor, GroupConfig, assignor};
pub use kafka_proto::error_code::ErrorCode;
pub use kafka_proto::records::{Compression, Header};
pub use kafka_proto::{ApiKey, Bytes, Str, Uuid};
pub use message::{Message, Record};
pub use reader::{Isolation, ReaderConfig, RecordView, Reset, Start};
pub use reading::{Pattern, Subscription};
pub use rt::{
    Batch, Client, ClientBuilder, ClientCloseReport, CloseReport, ClusterDescription, Event, NewTopic,
    Reader, ReaderBuilder, ReaderCloseReport, TrySendError, TrySendReason, WriteErrors, Writer,
    WriterBuilder, WriterSink,
};
pub use settings::parse_properties;
pub use snapshot::{Node, Partition, Topic, TopicPartition};
pub use stats::{Histogram, Stats};
pub use writer::{
    Acks, Balancer, Delivered, Delivery, Idempotence, JavaDefault, Manual, Partitions, ProducerStats,
    RoundRobin, SendError, WriterConfig,
};

/// For this repository's own tools and tests: no promise is made about any of it.
#[doc(hidden)]
pub mod internal {
    pub use crate::group::subscription;
    pub use crate::reader::{Chunk, Walk};
    #[cfg(feature = "record")]
    pub use crate::replay::{Difference, Replay, Step, Stop, Unreadable, read_all};
    pub use crate::rt::Probe;
    #[cfg(feature = "scram")]
    pub use crate::sasl::scram;
    #[cfg(feature = "workloads")]
    pub use crate::workloads::{ALL, Workload};
    pub use crate::writer::{murmur2, murmur2_partition};
}
