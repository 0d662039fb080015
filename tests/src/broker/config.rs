//! What a cluster is made with; nothing here changes while it runs.

use std::time::Duration;

use super::oddities::Oddities;
use super::release::Release;
use super::state::topic_config::TopicConfig;

/// The number of a node within its cluster, from 0.
pub type NodeId = i32;

/// Settings of a cluster. `Default` gives one of the newest release with Kafka's own limits.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// The release the cluster poses as. Default: the newest.
    pub release: Release,
    /// What sets the cluster apart from that release. Default: nothing. See also [`super::Profile`].
    pub oddities: Oddities,
    /// Where topic ids, member ids and session ids come from. Default: 0.
    pub seed: u64,
    /// Whether Metadata requests make the topics they name. Default: false.
    pub auto_create_topics: bool,
    /// Partitions of a topic that asks for the default. Default: 1.
    pub default_partitions: i32,
    /// Replicas of a topic that asks for the default, at most the number of nodes. Default: 3.
    pub default_replication: i16,
    /// Topic settings for topics that do not say otherwise, by Kafka's names. Default: none.
    pub topic_defaults: Vec<(String, String)>,
    /// The shortest session timeout a group member may ask for. Default: 6 s.
    pub group_min_session_timeout: Duration,
    /// The longest session timeout a group member may ask for. Default: 30 min.
    pub group_max_session_timeout: Duration,
    /// Members a group may have. Default: no limit.
    pub group_max_size: usize,
    /// How long the first rebalance of an empty group waits for more members. Default: 0 (Kafka: 3 s).
    pub group_initial_rebalance_delay: Duration,
    /// Longest metadata string of a committed offset, in bytes. Default: 4,096.
    pub offset_metadata_max_bytes: usize,
    /// Fetch sessions a node remembers. Default: 1,000.
    pub fetch_session_slots: usize,
    /// How long a fetch session is safe from being replaced by a newer one. Default: 2 min.
    pub fetch_session_min_idle: Duration,
    /// Largest fetch response, in bytes, whatever the client asks for. Default: 55 MiB.
    pub fetch_max_bytes: i32,
    /// Whether leaders send consumers to a replica in their rack (2.4+), as with Kafka's RackAwareReplicaSelector. Default: no.
    pub rack_aware_replicas: bool,
    /// How often retention is applied. Default: 5 min.
    pub retention_check_interval: Duration,
    /// Partitions of the internal topic that decides which node coordinates a group. Default: 50.
    pub offsets_topic_partitions: i32,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        ClusterConfig {
            release: Release::NEWEST,
            oddities: Oddities::default(),
            seed: 0,
            auto_create_topics: false,
            default_partitions: 1,
            default_replication: 3,
            topic_defaults: Vec::new(),
            group_min_session_timeout: Duration::from_secs(6),
            group_max_session_timeout: Duration::from_secs(30 * 60),
            group_max_size: usize::MAX,
            group_initial_rebalance_delay: Duration::ZERO,
            offset_metadata_max_bytes: 4096,
            fetch_session_slots: 1000,
            fetch_session_min_idle: Duration::from_secs(120),
            fetch_max_bytes: 55 * 1024 * 1024,
            rack_aware_replicas: false,
            retention_check_interval: Duration::from_secs(300),
            offsets_topic_partitions: 50,
        }
    }
}

impl ClusterConfig {
    /// The settings of a topic that sets nothing itself.
    pub(crate) fn base_topic_config(&self) -> TopicConfig {
        TopicConfig::of_release(self.release).with_valid(&self.topic_defaults)
    }
}

/// Where clients find a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddress {
    /// The node's number.
    pub id: NodeId,
    /// The host that is told to clients.
    pub host: String,
    /// The port that is told to clients.
    pub port: u16,
    /// The rack that is told to clients, if any.
    pub rack: Option<String>,
}
