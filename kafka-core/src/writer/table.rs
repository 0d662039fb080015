//! The partitions of a writer, by their index. Tests count how often one is looked at: what a call costs must not depend
//! on how many there are.

use super::partition::PartitionSender;
use std::ops::{Index, IndexMut};

#[derive(Debug, Default)]
pub(super) struct PartitionTable {
    all: Vec<PartitionSender>,
    #[cfg(test)]
    visits: std::cell::Cell<u64>,
}

impl PartitionTable {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn push(&mut self, partition: PartitionSender) {
        self.all.push(partition);
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut PartitionSender> {
        self.visited(1);
        self.all.get_mut(index)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &PartitionSender> {
        self.visited(self.all.len());
        self.all.iter()
    }

    #[cfg(test)]
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut PartitionSender> {
        self.all.iter_mut()
    }

    /// How often a partition was looked at.
    #[cfg(test)]
    pub(super) fn visits(&self) -> u64 {
        self.visits.get()
    }

    #[cfg(test)]
    fn visited(&self, partitions: usize) {
        self.visits.set(self.visits.get() + partitions as u64);
    }

    #[cfg(not(test))]
    #[inline]
    fn visited(&self, _: usize) {}
}

impl Index<usize> for PartitionTable {
    type Output = PartitionSender;

    #[inline]
    fn index(&self, index: usize) -> &PartitionSender {
        self.visited(1);
        &self.all[index]
    }
}

impl IndexMut<usize> for PartitionTable {
    #[inline]
    fn index_mut(&mut self, index: usize) -> &mut PartitionSender {
        self.visited(1);
        &mut self.all[index]
    }
}
