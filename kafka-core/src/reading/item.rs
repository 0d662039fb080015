//! What a reader gives to its application, and what both share.

use super::marks::Marks;
use crate::error::Error;
use crate::machine::Time;
use crate::reader::{Budget, Chunk, ReaderConfig};
use crate::snapshot::TopicPartition;
use crate::tape::Tape;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The next thing for a reader's application.
#[derive(Debug)]
pub(crate) enum ReaderItem {
    /// Records of one partition.
    Chunk(Chunk),
    /// Partitions were given to this member; with the number of the last assignment, in addition.
    Assigned {
        /// The number of the assignment.
        assignment: u32,
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// All partitions are to be given up; answer with `Revoked`.
    Revoking {
        /// The number of the assignment.
        assignment: u32,
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// The time at which the member loses them.
        deadline: Time,
    },
    /// All partitions were lost.
    Lost {
        /// The number of the assignment.
        assignment: u32,
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// Why.
        error: Error,
    },
    /// Something that the application has to know.
    Error(Error),
    /// Something that it may want to know, and that was dealt with.
    Notice(Error),
}

/// What a reader shares with its handle, so that a record costs no lock of the client.
#[derive(Clone, Debug)]
pub(crate) struct ReaderShared {
    /// Something goes before the records in hand.
    pub(crate) urgent: Arc<AtomicBool>,
    /// What the application has handled.
    pub(crate) marks: Arc<Marks>,
    /// The bytes that it may hold.
    pub(crate) budget: Arc<Budget>,
    /// Through it the reader in the client sees what its handle does.
    pub(crate) tape: Tape,
}

impl ReaderShared {
    pub(crate) fn new(config: &ReaderConfig, tape: Tape) -> Self {
        Self {
            urgent: Arc::default(),
            marks: Arc::new(Marks::new(config.auto_commit_interval)),
            budget: Budget::new(config.buffer),
            tape,
        }
    }
}
