//! Positions: where the reader is in each partition, and where it is told to be.

use super::Reader;
use crate::error::Result;
use crate::reader::Start;
use crate::reading::{self, KnownOffsets};
use crate::sans_io::access::{Access, command};
use crate::sans_io::closed;
use crate::snapshot::TopicPartition;

impl Reader {
    /// Moves the position of these partitions, of one or many. What was fetched from the old position is not delivered any more.
    ///
    /// # Errors
    /// A partition is not this reader's, or `start` is no place to begin at. Nothing is moved then.
    pub fn seek<'a>(
        &mut self,
        mut client: impl Access,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
        start: Start,
    ) -> Result<()> {
        let seek = reading::Seek { partitions: owned(partitions), start };
        let moved = command(&mut client, self.id, seek).ok_or_else(closed)??;
        self.marks.sought(&moved);
        self.drop_walk_of(&moved);
        Ok(())
    }

    /// Delivers nothing of these partitions, of one or many, until [`resume`](Self::resume). What is in hand of them comes later.
    ///
    /// # Errors
    /// A partition is not this reader's. Nothing is paused then.
    pub fn pause<'a>(
        &mut self,
        mut client: impl Access,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<()> {
        let paused =
            command(&mut client, self.id, reading::Pause(owned(partitions))).ok_or_else(closed)??;
        self.drop_walk_of(&paused);
        Ok(())
    }

    /// Ends the pause of these partitions, of one or many; one that is not paused stays as it is.
    ///
    /// # Errors
    /// A partition is not this reader's. Nothing is resumed then.
    pub fn resume<'a>(
        &mut self,
        mut client: impl Access,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<()> {
        command(&mut client, self.id, reading::Resume(owned(partitions))).ok_or_else(closed)?
    }

    /// Returns the offset after the last record that was returned of a partition; `None` while it is not known.
    pub fn position(&self, client: impl Access, partition: &TopicPartition) -> Option<i64> {
        self.offsets_known(client, partition)?.position
    }

    /// Returns how many offsets of a partition are left to read, as of the last answer: up to the high watermark, or with
    /// read-committed isolation up to the first open transaction.
    pub fn lag(&self, client: impl Access, partition: &TopicPartition) -> Option<i64> {
        self.offsets_known(client, partition)?.lag
    }

    /// Returns the end of a partition's log that replicas agree on, as of the last answer.
    pub fn high_watermark(&self, client: impl Access, partition: &TopicPartition) -> Option<i64> {
        self.offsets_known(client, partition)?.high_watermark
    }

    /// Returns the first offset of a partition's log, as of the last answer (0.11+).
    pub fn log_start(&self, client: impl Access, partition: &TopicPartition) -> Option<i64> {
        self.offsets_known(client, partition)?.log_start
    }

    fn offsets_known(&self, mut client: impl Access, partition: &TopicPartition) -> Option<KnownOffsets> {
        command(&mut client, self.id, reading::GetOffsets(partition.clone()))
    }

    pub(super) fn drop_walk_of(&mut self, partitions: &[TopicPartition]) {
        self.walk.take_if(|walk| {
            partitions.iter().any(|tp| tp.partition == walk.partition() && tp.topic == *walk.topic())
        });
    }
}

fn owned<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> Vec<TopicPartition> {
    partitions.into_iter().cloned().collect()
}
