//! As leader: how many partitions each topic had when they were assigned (Java's `assignmentSnapshot`).
//!
//! Invariants:
//! * The counts are there exactly from the assignor's call to the next rebalance.
//! * They are compared with the cluster's metadata once for each change of it.

use crate::snapshot::Cluster;
use kafka_proto::Str;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct PartitionCounts {
    counts: Option<BTreeMap<Str, usize>>,
    /// The cluster's metadata changed since it was compared.
    is_unchecked: bool,
}

impl PartitionCounts {
    /// The partitions of these topics are assigned now.
    pub(super) fn note(&mut self, topics: &[Str], cluster: &Cluster) {
        self.counts = Some(counts(topics, cluster));
        self.is_unchecked = false;
    }

    /// The group rebalances.
    pub(super) fn forget(&mut self) {
        self.counts = None;
    }

    pub(super) fn is_noted(&self) -> bool {
        self.counts.is_some()
    }

    pub(super) fn metadata_changed(&mut self) {
        self.is_unchecked = true;
    }

    /// Returns whether there are counts that have not been compared with the cluster's metadata.
    pub(super) fn is_unchecked(&self) -> bool {
        self.is_unchecked && self.is_noted()
    }

    /// Returns whether topics have other numbers of partitions by now.
    pub(super) fn check(&mut self, cluster: &Cluster) -> bool {
        self.is_unchecked = false;
        self.counts.as_ref().is_some_and(|known| *known != counts(known.keys(), cluster))
    }
}

fn counts<'a>(topics: impl IntoIterator<Item = &'a Str>, cluster: &Cluster) -> BTreeMap<Str, usize> {
    let count = |name: &Str| cluster.topic(name).map_or(0, |topic| topic.partitions.len());
    topics.into_iter().map(|name| (name.clone(), count(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Partition, Topic};

    /// A cluster whose topic `t` has this many partitions.
    fn cluster(partitions: usize) -> Cluster {
        let partition = Partition {
            leader: Some(1),
            leader_epoch: Some(0),
            replicas: vec![],
            isr: vec![],
            offline: vec![],
        };
        let (name, partitions) = (Str::from("t"), vec![partition; partitions]);
        let topic = Topic { name: name.clone(), id: Default::default(), is_internal: false, partitions };
        let mut cluster = Cluster::default();
        cluster.topics.insert(name, topic.into());
        cluster
    }

    #[test]
    fn counts_are_compared_once_for_each_change_of_the_metadata() {
        let mut counts = PartitionCounts::default();
        counts.metadata_changed();
        assert!(!counts.is_unchecked(), "there is nothing to compare");
        counts.note(&["t".into(), "missing".into()], &cluster(2));
        assert!(counts.is_noted() && !counts.is_unchecked());
        for (partitions, changed) in [(2, false), (3, true), (0, true)] {
            counts.metadata_changed();
            assert!(counts.is_unchecked());
            assert_eq!(counts.check(&cluster(partitions)), changed);
            assert!(!counts.is_unchecked());
        }
        counts.metadata_changed();
        counts.forget();
        assert!(!counts.is_unchecked() && !counts.check(&cluster(3)));
    }
}
