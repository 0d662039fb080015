//! A Kafka client as state machines, and the layer that turns them into handles on any runtime.
//!
//! Programs use an adapter, which re-exports all of this: kafka-tokio, kafka-smol or kafka-blocking. What they hold is
//! documented here, once: [`rt::Client`], [`rt::Writer`], [`rt::Reader`], [`Message`], [`Error`].
//!
//! | module | for |
//! |---|---|
//! | [`rt`] | the handles and their builders, [`rt::NewTopic`], [`rt::Event`]; [`rt::Runtime`], what an adapter supplies |
//! | [`error`] | the one error: what, where, whose fault, what to do |
//! | [`settings`] | every setting with default and Java's name |
//! | [`stats`], [`trace`] | counters, and the events for `tracing` |
//! | [`writer`], [`reader`], [`group`] | settings, balancers, assignors, and the machines themselves |
//! | [`snapshot`] | topics and partitions: [`TopicPartition`] |
//! | [`client`], [`link`] | the cluster's machine and a connection's, for those who own the loop themselves |
//!
//! # Without a runtime
//!
//! [`client::Client`] takes [`client::Input`]s with the time, and gives [`client::Action`]s, requests by connection, hints and
//! one deadline; [`link::link`] makes bytes of requests and responses of bytes. Neither has a socket, a clock, a thread or dice, so
//! the same inputs give the same outputs on every machine. Any order of calls is valid.
//!
//! # Features
//!
//! `gzip`, `snappy`, `lz4`, `zstd` (all on by default; `zstd` needs a C compiler) and `tracing` (off).

#![forbid(unsafe_code)]

pub mod address;
pub mod client;
pub mod config;

pub(crate) mod declare;
pub mod error;
mod front_door;
pub mod group;
#[cfg(all(test, shuttle))]
mod interleavings;
#[cfg(test)]
mod items;
pub mod link;
pub mod machine;
pub mod message;
pub(crate) mod random;
pub mod reader;
pub(crate) mod reading;
pub mod rt;
pub mod sans_io;
pub mod sasl;
pub mod settings;
pub mod snapshot;
pub mod stats;
mod sync;
pub mod trace;
mod trouble;
#[cfg(feature = "workloads")]
#[doc(hidden)]
pub mod workloads;
pub mod writer;

pub use error::{ConnectionError, Error, ErrorKind, Fault, Result};
pub use group::{Assignor, CommitOffset, GroupConfig};
pub use kafka_proto::error_code::ErrorCode;
pub use kafka_proto::records::{Compression, Header};
pub use kafka_proto::{Bytes, Str, Uuid};
pub use message::{Message, Record};
pub use reader::{Isolation, ReaderConfig, RecordView, Reset, Start};
pub use rt::{
    Batch, Client, ClientCloseReport, CloseReport, ClusterDescription, Event, NewTopic, Reader,
    ReaderBuilder, Revoking, Runtime, TrySendError, TrySendReason, WriteErrors, Writer, WriterBuilder,
    WriterSink,
};
pub use settings::parse_properties;
pub use snapshot::{Node, Partition, Topic, TopicPartition};
pub use stats::Stats;
pub use writer::{
    Acks, Balancer, Delivered, Delivery, Fate, Idempotence, JavaDefault, Manual, ProducerStats, RoundRobin,
    SendError, WriterConfig,
};
