//! A Produce request that was handed out, until its end is known.

use kafka_proto::{Str, Uuid};

#[derive(Debug)]
pub(super) struct SentRequest {
    pub(super) broker: i32,
    /// The batches before compression, with those of others that were in it before.
    pub(super) bytes: usize,
    /// Other writers' batches were in it before.
    pub(super) is_shared: bool,
    pub(super) batches: Vec<SentBatch>,
}

/// Which partition a batch of a request is of.
#[derive(Debug)]
pub(super) struct SentBatch {
    pub(super) topic: Str,
    pub(super) topic_id: Uuid,
    pub(super) partition: i32,
    /// Its place in the producer's table.
    pub(super) index: usize,
}

impl SentBatch {
    /// Returns whether it is of this topic, which newer answers name by id and older ones by name.
    pub(super) fn is_of(&self, name: &Str, id: Uuid) -> bool {
        self.topic == *name || (!self.topic_id.is_zero() && self.topic_id == id)
    }
}

impl SentRequest {
    /// Returns whether it could have been smaller.
    pub(super) fn has_several(&self) -> bool {
        self.is_shared || self.batches.len() > 1
    }

    /// Returns where the batch of a partition stands; searches from `at` on first, as answers mostly stand in the order of the
    /// request.
    pub(super) fn find(&self, at: usize, name: &Str, id: Uuid, partition: i32) -> Option<usize> {
        let is_it = |batch: &SentBatch| batch.partition == partition && batch.is_of(name, id);
        let found = self.batches[at..].iter().position(is_it).map(|i| at + i);
        found.or_else(|| self.batches.iter().position(is_it))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(partitions: &[i32], topic_id: Uuid) -> SentRequest {
        let batch =
            |partition: &i32| SentBatch { topic: "t".into(), topic_id, partition: *partition, index: 0 };
        SentRequest { broker: 1, bytes: 0, is_shared: false, batches: partitions.iter().map(batch).collect() }
    }

    #[test]
    fn a_partition_is_found_wherever_it_stands() {
        let sent = request(&[4, 2, 7], Uuid::ZERO);
        let find = |at, partition| sent.find(at, &"t".into(), Uuid::ZERO, partition);
        assert_eq!(
            [find(0, 4), find(1, 2), find(2, 4), find(3, 7), find(1, 5)],
            [Some(0), Some(1), Some(0), Some(2), None]
        );
    }

    #[test]
    fn a_zero_id_names_no_topic() {
        let id = Uuid([7; 16]);
        let find = |sent: &SentRequest, name: &str, id| sent.find(0, &name.into(), id, 4);
        assert_eq!(find(&request(&[4], id), "", id), Some(0));
        assert_eq!(find(&request(&[4], Uuid::ZERO), "", Uuid::ZERO), None);
        assert_eq!(find(&request(&[4], id), "other", Uuid([9; 16])), None);
    }
}
