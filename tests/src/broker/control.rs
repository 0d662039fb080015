//! What a test or an administrator does to a cluster from outside of the protocol, and what requests about
//! topics share with it: making and removing topics, stopping nodes, moving leaders, faults.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_proto::{ApiKey, Bytes, ErrorCode, Str, Uuid};

use super::config::NodeId;
use super::counters::Counters;
use super::dialect::Dialect;
use super::faults::{Fault, FaultRule};
use super::release::Release;
use super::state::batch::StoredRecord;
use super::state::groups::State;
use super::state::topic_config::{ConfigError, TopicConfig};
use super::state::topics::{OFFSETS_TOPIC, Partition, Topic, assign_replicas, invalid_name};
use super::waits::WaitId;
use super::{ClusterState, ConnKey, Now, Outcome};

/// Why something could not be done to a cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// There is no such node.
    #[error("there is no node {0}")]
    UnknownNode(NodeId),
    /// There is no such topic or partition.
    #[error("there is no partition {1} of topic {0:?}")]
    UnknownPartition(String, i32),
    /// Only a node that is up and in sync can lead.
    #[error("node {0} cannot lead: it is down, or not an in-sync replica")]
    CannotLead(NodeId),
    /// The topic cannot be made.
    #[error("topic {topic:?}: {error:?}{}", message.as_deref().map(|text| format!(": {text}")).unwrap_or_default())]
    Topic {
        /// The topic.
        topic: String,
        /// What CreateTopics would answer.
        error: ErrorCode,
        /// And its text.
        message: Option<String>,
    },
}

/// Why a request about a topic is refused.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TopicError {
    pub(crate) error: ErrorCode,
    pub(crate) message: Option<String>,
}

impl TopicError {
    pub(crate) fn new(error: ErrorCode, message: &str) -> TopicError {
        TopicError { error, message: Some(message.to_owned()) }
    }

    /// As a test is told.
    pub(crate) fn of(self, topic: &str) -> ControlError {
        ControlError::Topic { topic: topic.to_owned(), error: self.error, message: self.message }
    }
}

impl From<ConfigError> for TopicError {
    fn from(error: ConfigError) -> TopicError {
        TopicError::new(ErrorCode::InvalidConfig, &error.to_string())
    }
}

/// Where the partitions of a topic go.
pub(crate) enum Layout {
    Counts { partitions: i32, replication: i16 },
    Assigned(Vec<Vec<NodeId>>),
}

impl ClusterState {
    /// Makes a topic; settings by Kafka's names.
    ///
    /// # Errors
    /// As CreateTopics.
    pub fn create_topic(
        &mut self,
        name: &str,
        partitions: i32,
        replication: i16,
        configs: &[(String, String)],
    ) -> Result<(), ControlError> {
        let configs: Vec<_> =
            configs.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
        let topic = self.new_topic(name, Layout::Counts { partitions, replication }, &configs);
        self.topics.insert(topic.map_err(|error| error.of(name))?);
        Ok(())
    }

    /// Gives a topic more partitions.
    ///
    /// # Errors
    /// As CreatePartitions.
    pub fn grow_topic(&mut self, name: &str, partitions: i32) -> Result<(), ControlError> {
        let grown = self.add_partitions(name, partitions, None, false);
        grown.map_err(|e| ControlError::Topic { topic: name.to_owned(), error: e.error, message: e.message })
    }

    /// A topic that is not part of the cluster yet.
    pub(crate) fn new_topic(
        &mut self,
        name: &str,
        layout: Layout,
        configs: &[(String, Option<String>)],
    ) -> Result<Topic, TopicError> {
        if let Some(text) = invalid_name(name) {
            return Err(TopicError::new(ErrorCode::InvalidTopicException, &text));
        }
        if self.topics.get(name).is_some() {
            return Err(TopicError::new(
                ErrorCode::TopicAlreadyExists,
                &format!("Topic '{name}' already exists."),
            ));
        }
        let replicas = self.replicas(layout, self.topics.iter().count())?;
        let mut config = self.config.base_topic_config();
        for (name, value) in configs {
            config.set(name, value.as_deref())?;
        }
        let partitions =
            replicas.into_iter().map(|nodes| Partition::new(nodes, |node| self.is_alive(node))).collect();
        let id = self.dice.uuid();
        Ok(Topic { name: Str::from(name), id, internal: name == OFFSETS_TOPIC, config, partitions })
    }

    fn replicas(&self, layout: Layout, first: usize) -> Result<Vec<Vec<NodeId>>, TopicError> {
        match layout {
            Layout::Assigned(replicas) => {
                for nodes in &replicas {
                    let distinct: BTreeSet<_> = nodes.iter().collect();
                    let known = nodes.iter().all(|node| self.nodes.contains_key(node));
                    if nodes.is_empty() || distinct.len() != nodes.len() || !known {
                        let text = "A replica assignment must name existing nodes, each once";
                        return Err(TopicError::new(ErrorCode::InvalidReplicaAssignment, text));
                    }
                }
                Ok(replicas)
            }
            Layout::Counts { partitions, .. } if partitions <= 0 => Err(TopicError::new(
                ErrorCode::InvalidPartitions,
                "Number of partitions must be larger than 0.",
            )),
            Layout::Counts { partitions, replication } => {
                let nodes: Vec<NodeId> = self.alive_nodes().map(|node| node.address.id).collect();
                let count = usize::try_from(replication).unwrap_or_default();
                if count == 0 || count > nodes.len() {
                    let text = format!(
                        "Replication factor: {replication} larger than available brokers: {}.",
                        nodes.len()
                    );
                    return Err(TopicError::new(ErrorCode::InvalidReplicationFactor, &text));
                }
                Ok(assign_replicas(&nodes, partitions, count, first))
            }
        }
    }

    /// Lets a topic grow to `count` partitions.
    pub(crate) fn add_partitions(
        &mut self,
        name: &str,
        count: i32,
        assigned: Option<Vec<Vec<NodeId>>>,
        validate_only: bool,
    ) -> Result<(), TopicError> {
        let unknown =
            || TopicError::new(ErrorCode::UnknownTopicOrPartition, "This server does not host this topic");
        let topic = self.topics.get(name).ok_or_else(unknown)?;
        let current = topic.partitions.len();
        let replication = topic.partitions.first().map_or(1, |first| first.replicas.len() as i16);
        let more = count - i32::try_from(current).unwrap_or(i32::MAX);
        if more <= 0 {
            let text = format!(
                "The topic {name} currently has {current} partition(s); {count} would not be an increase."
            );
            return Err(TopicError::new(ErrorCode::InvalidPartitions, &text));
        }
        if assigned.as_ref().is_some_and(|assigned| assigned.len() as i32 != more) {
            let text = "There must be an assignment for each new partition";
            return Err(TopicError::new(ErrorCode::InvalidReplicaAssignment, text));
        }
        let layout = assigned.map_or(Layout::Counts { partitions: more, replication }, Layout::Assigned);
        let replicas = self.replicas(layout, current)?;
        let new: Vec<_> =
            replicas.into_iter().map(|nodes| Partition::new(nodes, |node| self.is_alive(node))).collect();
        if let Some(topic) = self.topics.get_mut(name).filter(|_| !validate_only) {
            topic.partitions.extend(new);
        }
        Ok(())
    }

    /// Changes settings of a topic, all or none.
    pub(crate) fn alter_topic_config(
        &mut self,
        name: &str,
        validate_only: bool,
        change: impl FnOnce(&mut TopicConfig) -> Result<(), ConfigError>,
    ) -> Result<(), TopicError> {
        let unknown =
            || TopicError::new(ErrorCode::UnknownTopicOrPartition, "This server does not host this topic");
        let topic = self.topics.get_mut(name).ok_or_else(unknown)?;
        let mut config = topic.config.clone();
        change(&mut config)?;
        if !validate_only {
            topic.config = config;
        }
        Ok(())
    }

    /// Removes a topic, its records and what groups have committed for it.
    pub(crate) fn remove_topic(&mut self, name: &str) {
        let Some(topic) = self.topics.remove(name) else { return };
        for group in self.groups.iter_mut() {
            group.offsets.retain(|(committed, _), _| committed != name);
        }
        for partition in &topic.partitions {
            partition.readers.iter().chain(&partition.writers).for_each(|id| self.mark_ready(*id));
        }
    }

    /// Makes the internal topic whose leaders coordinate groups, once it is needed.
    pub(crate) fn ensure_offsets_topic(&mut self) {
        if self.topics.get(OFFSETS_TOPIC).is_none() {
            let configs = [("cleanup.policy".to_owned(), "compact".to_owned())];
            // As the only topic with replicas on all nodes it cannot fail while a node is up.
            let partitions = self.config.offsets_topic_partitions.max(1);
            let _ = self.create_topic(OFFSETS_TOPIC, partitions, self.default_replication(), &configs);
        }
    }

    pub(crate) fn default_replication(&self) -> i16 {
        let alive = i16::try_from(self.alive_nodes().count()).unwrap_or(i16::MAX);
        self.config.default_replication.clamp(1, alive.max(1))
    }

    /// Stops a node as if its power had failed: connections close, partitions get other leaders where an
    /// in-sync replica is up. Logs stay.
    ///
    /// # Errors
    /// [`ControlError::UnknownNode`].
    pub fn kill(&mut self, now: Now, id: NodeId) -> Result<(), ControlError> {
        self.set_now(now);
        let node = self.nodes.get_mut(&id).ok_or(ControlError::UnknownNode(id))?;
        node.alive = false;
        node.muted = false;
        node.view = None;
        node.sessions.clear();
        let gone: Vec<ConnKey> =
            self.conns.iter().filter(|(_, conn)| conn.node == id).map(|(conn, _)| *conn).collect();
        for conn in gone {
            self.disconnected(conn);
            self.push(conn, Outcome::Close);
        }
        let alive: BTreeSet<NodeId> = self.alive_nodes().map(|node| node.address.id).collect();
        let release = self.config.release;
        self.elect(|config, partition| {
            partition.node_down(id, |node| alive.contains(&node), config.unclean_leader_election, release)
        });
        Ok(())
    }

    /// Starts a node that was stopped; it keeps no connection and no fetch session, but its logs. It leads
    /// what nobody else leads.
    ///
    /// # Errors
    /// [`ControlError::UnknownNode`].
    pub fn restart(&mut self, now: Now, id: NodeId) -> Result<(), ControlError> {
        self.set_now(now);
        let node = self.nodes.get_mut(&id).ok_or(ControlError::UnknownNode(id))?;
        node.alive = true;
        let alive: Vec<NodeId> = self.alive_nodes().map(|node| node.address.id).collect();
        let release = self.config.release;
        self.elect(|config, partition| {
            let unclean = config.unclean_leader_election;
            let changed = partition.node_up(id, unclean, release);
            // Replicas that came back while nobody led can follow now.
            alive.iter().filter(|node| **node != id).for_each(|node| {
                partition.node_up(*node, false, release);
            });
            changed
        });
        Ok(())
    }

    /// The release the cluster poses as.
    pub fn release(&self) -> Release {
        self.config.release
    }

    /// The release a node poses as: which versions of which APIs it takes.
    pub fn release_of(&self, id: NodeId) -> Release {
        self.nodes.get(&id).map_or(self.config.release, |node| node.release)
    }

    /// What a node takes and lists: its release, as far as the vendor offers it.
    pub fn dialect_of(&self, id: NodeId) -> Dialect {
        Dialect { release: self.release_of(id), oddities: self.config.oddities }
    }

    /// A node gets another release than the cluster, as in the middle of an upgrade; what the cluster does is still that of
    /// its own release. A node is stopped for that in reality: connections that stay do not hear of it.
    ///
    /// # Errors
    /// [`ControlError::UnknownNode`].
    pub fn set_release(&mut self, id: NodeId, release: Release) -> Result<(), ControlError> {
        self.nodes.get_mut(&id).ok_or(ControlError::UnknownNode(id))?.release = release;
        Ok(())
    }

    /// How many nodes there are, up or not.
    pub fn node_count(&self) -> NodeId {
        NodeId::try_from(self.nodes.len()).unwrap_or(NodeId::MAX)
    }

    /// Whether a node is up.
    pub fn is_up(&self, id: NodeId) -> bool {
        self.is_alive(id)
    }

    /// Makes another in-sync replica the leader, in a new leader epoch.
    ///
    /// # Errors
    /// If there is no such partition, or the node cannot lead it.
    pub fn move_leader(
        &mut self,
        now: Now,
        topic: &str,
        partition: i32,
        to: NodeId,
    ) -> Result<(), ControlError> {
        self.set_now(now);
        let (alive, release) = (self.is_alive(to), self.config.release);
        let led = self.topics.partition_mut(topic, partition);
        let led = led.ok_or_else(|| ControlError::UnknownPartition(topic.to_owned(), partition))?;
        if !alive || !led.isr.contains(&to) {
            return Err(ControlError::CannotLead(to));
        }
        let before = led.leader_epoch;
        led.move_to(to, release);
        if led.leader_epoch != before {
            let (readers, writers) = (led.readers.clone(), led.writers.clone());
            let moved = if topic == OFFSETS_TOPIC { vec![partition] } else { Vec::new() };
            self.leaders_changed(&readers, &writers, &moved);
        }
        Ok(())
    }

    /// Makes a replica the leader that lacks the last `lost` records, or up to a batch more, in a new leader epoch: an unclean
    /// election. What it lacks is gone, acknowledged or not.
    ///
    /// # Errors
    /// If there is no such partition, or the node is down, no replica of it, or its leader, which lacks nothing.
    pub fn elect_unclean(
        &mut self,
        now: Now,
        topic: &str,
        partition: i32,
        to: NodeId,
        lost: i64,
    ) -> Result<(), ControlError> {
        self.set_now(now);
        let (alive, release) = (self.is_alive(to), self.config.release);
        let led = self.topics.partition_mut(topic, partition);
        let led = led.ok_or_else(|| ControlError::UnknownPartition(topic.to_owned(), partition))?;
        if !alive || !led.replicas.contains(&to) || led.leader == Some(to) {
            return Err(ControlError::CannotLead(to));
        }
        led.elect_unclean(to, lost, release);
        let (readers, writers) = (led.readers.clone(), led.writers.clone());
        self.leaders_changed(&readers, &writers, &[]);
        Ok(())
    }

    /// What unclean elections have cost a partition: the offsets from the first on, below the second, of each of them.
    pub fn lost(&self, topic: &str, partition: i32) -> &[(i64, i64)] {
        self.topics.partition(topic, partition).map_or(&[], |partition| &partition.lost)
    }

    /// A node's fetch sessions go one epoch ahead of what their clients know: the next request of each is refused with
    /// INVALID_FETCH_SESSION_EPOCH, and so is every later one that goes on counting from its own.
    ///
    /// # Errors
    /// [`ControlError::UnknownNode`].
    pub fn skip_session_epochs(&mut self, now: Now, id: NodeId) -> Result<(), ControlError> {
        self.set_now(now);
        let node = self.nodes.get_mut(&id).ok_or(ControlError::UnknownNode(id))?;
        node.sessions.skip_epochs(now.mono);
        Ok(())
    }

    /// The node that leads a partition; `None` if nobody does or there is no such partition.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<NodeId> {
        self.topics.partition(topic, partition)?.leader
    }

    /// Followers of a partition stop to fetch: the high watermark stays where it is, writes with acks=all
    /// wait, and what is written from now on is lost if the leader goes.
    ///
    /// # Errors
    /// [`ControlError::UnknownPartition`].
    pub fn stall_replication(&mut self, topic: &str, partition: i32) -> Result<(), ControlError> {
        let stalled = self.topics.partition_mut(topic, partition);
        let stalled = stalled.ok_or_else(|| ControlError::UnknownPartition(topic.to_owned(), partition))?;
        stalled.stalled_at = stalled.stalled_at.or(Some(stalled.log.end_offset()));
        Ok(())
    }

    /// Followers of a partition go on to fetch, but the leader does not hear of it: as [`ClusterState::stall_replication`], and
    /// yet nothing is lost if the leader goes. Writes that wait are told that they failed then, although their records stay.
    ///
    /// # Errors
    /// [`ControlError::UnknownPartition`].
    pub fn stall_acknowledgement(&mut self, topic: &str, partition: i32) -> Result<(), ControlError> {
        self.stall_replication(topic, partition)?;
        if let Some(partition) = self.topics.partition_mut(topic, partition) {
            partition.followers_have_all = true;
        }
        Ok(())
    }

    /// Followers catch up.
    ///
    /// # Errors
    /// [`ControlError::UnknownPartition`].
    pub fn resume_replication(&mut self, now: Now, topic: &str, partition: i32) -> Result<(), ControlError> {
        self.set_now(now);
        let stalled = self.topics.partition_mut(topic, partition);
        let stalled = stalled.ok_or_else(|| ControlError::UnknownPartition(topic.to_owned(), partition))?;
        let before = stalled.high_watermark();
        (stalled.stalled_at, stalled.followers_have_all) = (None, false);
        let bytes = stalled.log.bytes_between(before, stalled.high_watermark());
        let (readers, writers) = (stalled.readers.clone(), stalled.writers.clone());
        self.wake_readers(&readers, bytes);
        self.wake_writers(&writers);
        self.settle();
        Ok(())
    }

    /// Lets `elect` look at every partition, and tells those who wait at partitions whose leader changed.
    fn elect(&mut self, mut elect: impl FnMut(&TopicConfig, &mut Partition) -> bool) {
        let (mut readers, mut writers, mut coordinators) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for topic in self.topics.iter_mut() {
            for (index, partition) in (0..).zip(&mut topic.partitions) {
                let changed = elect(&topic.config, partition);
                // A smaller ISR may be all that acks=all was waiting for.
                writers.extend(&partition.writers);
                if changed {
                    readers.extend(&partition.readers);
                    if topic.internal {
                        coordinators.push(index);
                    }
                }
            }
        }
        self.leaders_changed(&readers, &writers, &coordinators);
    }

    fn leaders_changed(
        &mut self,
        readers: &BTreeSet<WaitId>,
        writers: &BTreeSet<WaitId>,
        coordinators: &[i32],
    ) {
        readers.iter().for_each(|id| self.mark_ready(*id));
        self.wake_writers(writers);
        let partitions = self.config.offsets_topic_partitions.max(1);
        let moved = |group: &str| {
            let partition = (super::state::topics::java_hash(group) & i32::MAX) % partitions;
            coordinators.contains(&partition)
        };
        self.groups.coordinator_moved(&mut self.timers, self.now.mono, moved);
        self.settle();
    }

    /// A node takes requests and leaves them lying, until [`ClusterState::unmute`].
    ///
    /// # Errors
    /// [`ControlError::UnknownNode`].
    pub fn mute(&mut self, id: NodeId) -> Result<(), ControlError> {
        self.nodes.get_mut(&id).ok_or(ControlError::UnknownNode(id))?.muted = true;
        Ok(())
    }

    /// A muted node does what it has been asked meanwhile, and goes on.
    ///
    /// # Errors
    /// [`ControlError::UnknownNode`].
    pub fn unmute(&mut self, now: Now, id: NodeId) -> Result<(), ControlError> {
        self.set_now(now);
        self.nodes.get_mut(&id).ok_or(ControlError::UnknownNode(id))?.muted = false;
        for wait in self.unmuted(id) {
            self.expire_wait(wait);
            self.settle();
        }
        Ok(())
    }

    /// Adds a fault; the oldest that fits a request happens to it.
    pub fn inject(&mut self, rule: FaultRule) {
        self.faults.add(rule);
    }

    /// The next `times` requests of this API are answered with an error and not executed.
    pub fn fail_next(&mut self, api: ApiKey, error: ErrorCode, times: u32) {
        self.inject(FaultRule { api: Some(api), node: None, times, fault: Fault::Error(error) });
    }

    /// The next `times` requests of this API are executed that much later.
    pub fn delay_next(&mut self, api: ApiKey, delay: Duration, times: u32) {
        self.inject(FaultRule { api: Some(api), node: None, times, fault: Fault::Delay(delay) });
    }

    /// Withdraws all faults that have not happened yet.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// How many fault rules are not used up.
    pub fn faults_left(&self) -> usize {
        self.faults.left()
    }

    /// Every open connection to a node is closed when it asks for the next thing.
    pub fn close_on_next_request(&mut self, id: NodeId) {
        self.conns
            .values_mut()
            .filter(|conn| conn.node == id)
            .for_each(|conn| conn.close_on_next_request = true);
    }

    /// What the cluster was asked so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Everything in the log of a partition, as a consumer with the right to see all would read it.
    pub fn log(&self, topic: &str, partition: i32) -> Vec<StoredRecord> {
        let Some(partition) = self.topics.partition(topic, partition) else { return Vec::new() };
        let start = partition.log.start_offset();
        let records = partition.log.entries().flat_map(|entry| entry.stored_records());
        records.filter(|record| record.offset >= start).collect()
    }

    /// The value of the record at an offset of a partition.
    pub(crate) fn value_at(&self, topic: &str, partition: i32, offset: i64) -> Option<Bytes> {
        let entries = self.topics.partition(topic, partition)?.log.entries_from(offset);
        let mut records = entries.take(1).flat_map(|entry| entry.stored_records());
        records.find(|record| record.offset == offset)?.value
    }

    /// First offset, high watermark and end of a partition's log.
    pub fn offsets(&self, topic: &str, partition: i32) -> Option<(i64, i64, i64)> {
        let partition = self.topics.partition(topic, partition)?;
        Some((partition.log.start_offset(), partition.high_watermark(), partition.log.end_offset()))
    }

    /// The offset a group has committed.
    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let group = self.groups.get(group)?;
        group.offsets.get(&(Str::from(topic), partition)).map(|committed| committed.offset)
    }

    /// The generation of a group whose members have all joined and wait for their leader to share out, and their ids.
    pub fn joined(&self, group: &str) -> Option<(i32, Vec<String>)> {
        let group = self.groups.get(group).filter(|group| group.state == State::CompletingRebalance)?;
        Some((group.generation, group.members.iter().map(|member| member.id.to_string()).collect()))
    }

    /// The id of a topic.
    pub fn topic_id(&self, topic: &str) -> Option<Uuid> {
        self.topics.get(topic).map(|topic| topic.id)
    }

    /// The names of the topics, internal ones left out.
    pub fn topic_names(&self) -> Vec<String> {
        let topics = self.topics.iter().filter(|topic| !topic.internal);
        topics.map(|topic| topic.name.to_string()).collect()
    }

    /// How many fetch sessions a node remembers.
    pub fn fetch_sessions(&self, id: NodeId) -> usize {
        self.nodes.get(&id).map_or(0, |node| node.sessions.len())
    }
}
