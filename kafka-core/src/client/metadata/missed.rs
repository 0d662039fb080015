//! Partitions that somebody waits for and that their topics are not known to have. A topic may have got them just now, and a
//! broker that lags does not tell of them: while one is missing, brokers are asked in their turns.

use crate::snapshot::{Cluster, TopicPartition};
use rustc_hash::FxHashMap;

#[derive(Debug, Default)]
pub(crate) struct Missed {
    /// With how many wait for each.
    partitions: FxHashMap<TopicPartition, usize>,
}

impl Missed {
    pub(crate) fn add(&mut self, partition: TopicPartition) {
        *self.partitions.entry(partition).or_default() += 1;
    }

    pub(crate) fn remove(&mut self, partition: &TopicPartition) {
        let Some(count) = self.partitions.get_mut(partition) else { return };
        *count -= 1;
        if *count == 0 {
            self.partitions.remove(partition);
        }
    }

    /// Whether one is still missing.
    pub(crate) fn is_any(&self, cluster: &Cluster) -> bool {
        self.partitions.keys().any(|tp| {
            cluster.topic(&tp.topic).is_some() && cluster.partition(&tp.topic, tp.partition).is_none()
        })
    }
}
