//! What is too heavy for the client's lock: compressing a batch, and parting one. It is run anywhere else; its result comes
//! back by [`Producer::work_done`](super::producer::Producer::work_done).
//!
//! Invariant: a partition has one piece of work at a time, on its oldest batch, and sends nothing until that is done.

use super::batch::Batch;
use super::encode::pack;
#[cfg(feature = "record")]
use super::recorded;
use super::split::{Halves, split};
use crate::machine::{self, Done};
use kafka_proto::records::Compression;
use std::sync::Arc;

/// Work on a partition's oldest batch, as the client knows it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) partition: usize,
    pub(super) work: Work,
}

#[derive(Debug)]
pub(super) struct JobDone {
    pub(super) partition: usize,
    pub(super) worked: Worked,
}

impl machine::Work for Job {
    fn run(self: Box<Self>) -> Box<dyn Done> {
        Box::new(JobDone { partition: self.partition, worked: self.work.run() })
    }

    #[cfg(feature = "record")]
    fn redo(self: Box<Self>, note: &[u8]) -> Option<Box<dyn Done>> {
        let worked = recorded::redo(self.work, note)?;
        Some(Box::new(JobDone { partition: self.partition, worked }))
    }
}

impl Done for JobDone {
    #[cfg(feature = "record")]
    fn note(&self) -> Vec<u8> {
        recorded::note(&self.worked)
    }
}

/// One piece of work.
#[derive(Debug)]
pub(crate) enum Work {
    Pack { batch: Arc<Batch>, compression: Compression, level: Option<i32> },
    Split(Arc<Batch>),
}

/// Its result.
#[derive(Debug)]
pub(crate) enum Worked {
    /// The compressed form is kept in the batch.
    Packed,
    /// `None` where there is nothing to part.
    Split(Arc<Batch>, Option<Box<Halves>>),
}

impl Work {
    pub(crate) fn run(self) -> Worked {
        match self {
            Self::Pack { batch, compression, level } => {
                // A failure is kept in the batch as well, and met again when it is encoded.
                let _ = pack(&batch, compression, level);
                Worked::Packed
            }
            Self::Split(batch) => {
                let halves = split(&batch).map(Box::new);
                Worked::Split(batch, halves)
            }
        }
    }
}
