//! What the quickstart examples of the adapters share: arguments, messages, the ledger that finds what was lost, doubled,
//! damaged or out of order, progress bars and the table at the end. The examples themselves only drive their client.

mod args;
mod ledger;
mod messages;
mod progress;
mod report;
mod run;
mod usage;

pub use args::{AcksArg, Args, Codec};
pub use run::{Run, Uncommitted, all_ok, run};

use std::io;

/// Why a quickstart did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The client says so.
    #[error("{}\n  what to do: {}", .0, .0.advice())]
    Client(#[from] kafka_core::Error),
    /// A message was not acknowledged.
    #[error("a message was not acknowledged: {}\n  what to do: {}", .0, .0.error.advice())]
    Send(#[from] kafka_core::SendError),
    /// The embedded cluster could not be started.
    #[error("the embedded cluster cannot start: {0}")]
    Cluster(#[from] crate::StartError),
    /// The topic exists with another number of partitions.
    #[error(
        "topic `{topic}` exists with {found} partitions, not {wanted}: say --partitions {found}, or another --topic"
    )]
    Partitions {
        /// The topic.
        topic: String,
        /// How many it has.
        found: usize,
        /// How many it should have.
        wanted: usize,
    },
    /// A message that was read is not what was written.
    #[error("the message at {partition}/{offset} is not what was written")]
    Damaged {
        /// Its partition.
        partition: i32,
        /// Its offset.
        offset: i64,
    },
    /// A message is in the log twice, or not where it was acknowledged.
    #[error("message {id} is at {first} and at {second} (partition/offset)")]
    Doubled {
        /// The message's number.
        id: u64,
        /// Where it was acknowledged, or read first.
        first: String,
        /// Where it was read.
        second: String,
    },
    /// Two messages of a key came in the wrong order.
    #[error("message {later} of a key was read before its message {earlier}")]
    Order {
        /// The message that was written first.
        earlier: u64,
        /// The message that was read first.
        later: u64,
    },
    /// Messages that were acknowledged are not in the log.
    #[error("{count} acknowledged messages were not read; the first is {first}")]
    Lost {
        /// How many.
        count: u64,
        /// The number of the first.
        first: u64,
    },
    /// The sums over all keys and values differ.
    #[error("the checksum of what was written is {written:016x}, of what was read {read:016x}")]
    Checksum {
        /// Of what was written.
        written: u64,
        /// Of what was read.
        read: u64,
    },
    /// A runtime, thread or task could not be started, or did not end as it should.
    #[error("the runtime: {0}")]
    Runtime(#[from] io::Error),
}
