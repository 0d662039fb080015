//! What an administrator does to topics, and time to their logs, on a test's request rather than a client's.

use super::ClusterState;
use super::config::NodeId;
use super::control::ControlError;
use super::state::topic_config::TopicConfig;

impl ClusterState {
    /// Lets a topic grow to this many partitions.
    ///
    /// # Errors
    /// As CreatePartitions.
    pub fn create_partitions(&mut self, topic: &str, count: i32) -> Result<(), ControlError> {
        self.add_partitions(topic, count, None, false).map_err(|error| error.of(topic))
    }

    /// Changes settings of a topic by Kafka's names, all or none; one without a value goes back to its default.
    ///
    /// # Errors
    /// As IncrementalAlterConfigs.
    pub fn alter_topic(
        &mut self,
        topic: &str,
        settings: &[(&str, Option<&str>)],
    ) -> Result<(), ControlError> {
        let change =
            |config: &mut TopicConfig| settings.iter().try_for_each(|(name, value)| config.set(name, *value));
        self.alter_topic_config(topic, false, change).map_err(|error| error.of(topic))
    }

    /// Removes a topic, its records and what groups have committed for it. One that is made anew under the same name has
    /// another id.
    ///
    /// # Errors
    /// [`ControlError::UnknownPartition`].
    pub fn delete_topic(&mut self, topic: &str) -> Result<(), ControlError> {
        if self.topics.get(topic).is_none() {
            return Err(ControlError::UnknownPartition(topic.to_owned(), 0));
        }
        self.remove_topic(topic);
        self.settle();
        Ok(())
    }

    /// Removes the records of a partition before an offset, at most up to its high watermark; the first offset that is left.
    ///
    /// # Errors
    /// [`ControlError::UnknownPartition`].
    pub fn delete_records(&mut self, topic: &str, partition: i32, before: i64) -> Result<i64, ControlError> {
        let release = self.config.release;
        let log = self.topics.partition_mut(topic, partition);
        let log = log.ok_or_else(|| ControlError::UnknownPartition(topic.to_owned(), partition))?;
        Ok(log.delete_before(before.min(log.high_watermark()), release))
    }

    /// Applies `retention.ms` and `retention.bytes` of all topics now; it also happens every few minutes.
    pub fn enforce_retention(&mut self) {
        let (now, release) = (self.now.wall_ms, self.config.release);
        for (config, partition) in self.topics.partitions_mut().filter(|(config, _)| config.delete) {
            let oldest = (config.retention_ms >= 0).then(|| now.saturating_sub(config.retention_ms));
            let max_bytes = u64::try_from(config.retention_bytes).ok();
            let bound = partition.high_watermark();
            partition.log.enforce_retention(oldest, max_bytes, bound);
            let start = partition.log.start_offset();
            partition.producers.forget_before(start, release);
        }
    }

    /// Compacts a partition: of each key only the latest record stays.
    ///
    /// # Errors
    /// [`ControlError::UnknownPartition`].
    pub fn compact(&mut self, topic: &str, partition: i32) -> Result<(), ControlError> {
        let compacted = self.topics.partition_mut(topic, partition);
        compacted.ok_or_else(|| ControlError::UnknownPartition(topic.to_owned(), partition))?.compact();
        Ok(())
    }

    /// Clients are told another host for a node from now on; the one it had, if there is such a node.
    pub fn rename(&mut self, node: NodeId, host: &str) -> Option<String> {
        let node = self.nodes.get_mut(&node)?;
        Some(std::mem::replace(&mut node.address.host, host.to_owned()))
    }
}
