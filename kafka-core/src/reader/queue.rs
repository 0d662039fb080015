//! What waits to be delivered of one partition: chunks, and what is to be reported at their place.
//!
//! Invariant: `bytes` is what the chunks cost that are in the queue.

use super::chunk::Chunk;
use super::machine::Item;
use std::collections::VecDeque;

/// What a queued chunk costs beside its bytes, so that many small ones do not count as nothing.
const CHUNK_OVERHEAD: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
}

impl Queue {
    pub(super) fn push(&mut self, item: Item) {
        if let Item::Chunk(chunk) = &item {
            self.bytes += cost(chunk);
        }
        self.items.push_back(item);
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        if let Item::Chunk(chunk) = &item {
            self.bytes -= cost(chunk);
        }
        Some(item)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns what the chunks cost.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn first_chunk(&self) -> Option<&Chunk> {
        self.items.iter().find_map(|item| match item {
            Item::Chunk(chunk) => Some(chunk),
            _ => None,
        })
    }

    /// Takes the chunks, and keeps what is to be reported.
    #[must_use = "chunks are not dropped under the lock"]
    pub(super) fn take_chunks(&mut self) -> VecDeque<Item> {
        let (chunks, reports) = self.take().into_iter().partition(|item| matches!(item, Item::Chunk(_)));
        self.items = reports;
        chunks
    }

    /// Takes everything.
    #[must_use = "chunks are not dropped under the lock"]
    pub(super) fn take(&mut self) -> VecDeque<Item> {
        self.bytes = 0;
        std::mem::take(&mut self.items)
    }
}

fn cost(chunk: &Chunk) -> usize {
    chunk.size_in_bytes() + CHUNK_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::machine::MachineId;
    use crate::message::Origin;
    use crate::reader::fetched::Data;
    use crate::reader::position::OffsetAndEpoch;
    use kafka_proto::{Bytes, Str, Uuid};

    fn chunk(offset: i64, bytes: usize) -> Item {
        let origin = Origin { reader: MachineId(1), assignment: 1, topic_id: Uuid::ZERO, leader_epoch: -1 };
        let start = OffsetAndEpoch { offset, epoch: -1 };
        let data = Data { bytes: Bytes::from(vec![0; bytes]), ..Data::default() };
        Item::Chunk(Chunk::new(&Str::from_static("t"), 0, origin, start, data))
    }

    fn error() -> Item {
        Item::Error(Error::new(ErrorKind::Closed))
    }

    #[test]
    fn bytes_are_those_of_the_chunks_in_it() {
        let mut queue = Queue::default();
        for item in [error(), chunk(5, 10), chunk(6, 0)] {
            queue.push(item);
        }
        assert_eq!(queue.bytes(), 10 + 2 * CHUNK_OVERHEAD);
        assert_eq!(queue.first_chunk().map(|chunk| chunk.start), Some(5));
        assert!(matches!(queue.pop(), Some(Item::Error(_))));
        assert_eq!(queue.bytes(), 10 + 2 * CHUNK_OVERHEAD);
        assert!(matches!(queue.pop(), Some(Item::Chunk(_))));
        assert_eq!(queue.bytes(), CHUNK_OVERHEAD);
        assert_eq!((queue.take().len(), queue.bytes(), queue.is_empty()), (1, 0, true));
    }

    #[test]
    fn chunks_go_and_reports_stay() {
        let mut queue = Queue::default();
        for item in [chunk(5, 1), error(), chunk(6, 1)] {
            queue.push(item);
        }
        assert_eq!((queue.take_chunks().len(), queue.bytes()), (2, 0));
        assert!(matches!(queue.pop(), Some(Item::Error(_))) && queue.is_empty());
    }
}
