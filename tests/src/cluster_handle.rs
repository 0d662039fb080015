//! The embedded cluster as a test holds it: started in a few milliseconds, stopped by dropping it.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafka_proto::{ApiKey, ErrorCode};

use crate::broker::{
    ClusterConfig, ClusterState, ControlError, Counters, Fault, FaultRule, NodeAddress, NodeId, Now, Profile,
    Release, StoredRecord, UnknownRelease,
};
use crate::serve::Front;

const HOST: &str = "127.0.0.1";

/// Why a cluster could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The release to pose as is not known.
    #[error(transparent)]
    Release(#[from] UnknownRelease),
    /// A cluster needs a node.
    #[error("a cluster needs between 1 and 100 nodes, not {0}")]
    Nodes(usize),
    /// A port is taken or cannot be had.
    #[error("cannot listen on port {port} of {HOST}")]
    Listen {
        /// The port; 0 where any would have done.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// A topic cannot be made.
    #[error(transparent)]
    Topic(#[from] ControlError),
    /// A thread cannot be started.
    #[error("cannot start a thread")]
    Thread(#[from] io::Error),
}

/// What a cluster shall be like. Made by [`Cluster::builder`].
#[derive(Debug, Clone)]
pub struct ClusterBuilder {
    nodes: usize,
    port: Option<u16>,
    release: Result<Release, UnknownRelease>,
    seed: Option<u64>,
    topics: Vec<TopicSpec>,
    config: ClusterConfig,
}

#[derive(Debug, Clone)]
struct TopicSpec {
    name: String,
    partitions: i32,
    replication: Option<i16>,
    configs: Vec<(String, String)>,
}

impl ClusterBuilder {
    /// How many nodes. Default: 1.
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// The port of node 0; the others follow. Default: any free ones.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The release to pose as, such as "2.8". Default: the newest.
    pub fn kafka_version(mut self, release: &str) -> Self {
        self.release = release.parse();
        self
    }

    /// The vendor to play, with its release. Other settings so far are replaced, oddities among them.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.config = ClusterConfig::profile(profile);
        self.release = Ok(profile.release());
        self
    }

    /// A topic with this many partitions and three replicas, or as many as there are nodes.
    pub fn topic(self, name: &str, partitions: i32) -> Self {
        self.topic_with(name, partitions, None, &[])
    }

    /// A topic with a number of replicas and settings by Kafka's names.
    pub fn topic_with(
        mut self,
        name: &str,
        partitions: i32,
        replication: Option<i16>,
        configs: &[(&str, &str)],
    ) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let configs = configs.iter().map(own).collect();
        self.topics.push(TopicSpec { name: name.to_owned(), partitions, replication, configs });
        self
    }

    /// Whether topics are made when a client asks for them. Default: no.
    pub fn auto_create_topics(mut self, yes: bool) -> Self {
        self.config.auto_create_topics = yes;
        self
    }

    /// Where the ids of the cluster, its topics and members come from, to have the same ones again.
    /// Default: other ones at each start.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Any other setting; the release and the seed are what [`ClusterBuilder::kafka_version`] and
    /// [`ClusterBuilder::seed`] say.
    pub fn configure(mut self, change: impl FnOnce(&mut ClusterConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Starts the cluster.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(self) -> Result<Cluster, StartError> {
        let mut config = self.config;
        config.release = self.release?;
        config.seed = self.seed.unwrap_or_else(new_seed);
        if !(1..=100).contains(&self.nodes) {
            return Err(StartError::Nodes(self.nodes));
        }
        let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
        for (id, offset) in (0..self.nodes as NodeId).zip(0..) {
            let port = self.port.map_or(0, |base| base.saturating_add(offset));
            let failed = |source| StartError::Listen { port, source };
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(failed)?;
            let port = listener.local_addr().map_err(failed)?.port();
            addresses.push(NodeAddress { id, host: HOST.to_owned(), port, rack: None });
            listeners.push((id, listener));
        }
        let mut cluster = ClusterState::new(config, addresses.clone());
        for topic in &self.topics {
            let replication = topic.replication.unwrap_or(self.nodes.min(3) as i16);
            cluster.create_topic(&topic.name, topic.partitions, replication, &topic.configs)?;
        }
        Ok(Cluster { front: Front::start(cluster, listeners)?, addresses })
    }
}

/// A Kafka cluster in this process, on loopback. Dropping it closes all connections and ends its threads.
///
/// ```
/// use kafka_testkit::Cluster;
///
/// let cluster = Cluster::builder().nodes(3).topic("orders", 6).start().unwrap();
/// let bootstrap = cluster.bootstrap(); // hand this to any Kafka client
/// assert_eq!(bootstrap.split(',').count(), 3);
/// ```
#[derive(Debug)]
pub struct Cluster {
    front: Front,
    addresses: Vec<NodeAddress>,
}

impl Cluster {
    /// Says what the cluster shall be like.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder {
            nodes: 1,
            port: None,
            release: Ok(Release::NEWEST),
            seed: None,
            topics: Vec::new(),
            config: ClusterConfig::default(),
        }
    }

    /// The addresses of all nodes, `host:port` with commas between.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self.addresses.iter().map(address).collect();
        addresses.join(",")
    }

    /// The address of one node, `host:port`.
    pub fn address_of(&self, node: NodeId) -> Option<String> {
        self.addresses.iter().find(|known| known.id == node).map(address)
    }

    /// The numbers of the nodes.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.addresses.iter().map(|address| address.id)
    }

    /// Does anything [`ClusterState`] can do: let topics grow and change, delete and compact records, stall replication,
    /// look into groups, ...
    pub fn with<R>(&self, change: impl FnOnce(&mut ClusterState, Now) -> R) -> R {
        self.front.with(change)
    }

    /// Makes a topic with three replicas, or as many as there are nodes.
    ///
    /// # Errors
    /// As CreateTopics.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<(), ControlError> {
        let replication = self.addresses.len().min(3) as i16;
        self.with(|cluster, _| cluster.create_topic(name, partitions, replication, &[]))
    }

    /// Stops a node as if its power had failed: connections are cut, the port refuses new ones
    /// (and is given to no other socket), and other nodes take over what it led. Its logs stay.
    ///
    /// # Errors
    /// [`ControlError::UnknownNode`].
    pub fn kill(&self, node: NodeId) -> Result<(), ControlError> {
        self.with(|cluster, now| cluster.kill(now, node))?;
        self.front.close_node(node);
        Ok(())
    }

    /// Starts a node that was stopped, on the same port.
    ///
    /// # Errors
    /// [`ControlError::UnknownNode`] in an [`io::Error`], or what the system says if the port was taken.
    pub fn restart(&self, node: NodeId) -> io::Result<()> {
        self.front.open_node(node)?;
        self.with(|cluster, now| cluster.restart(now, node)).map_err(io::Error::other)
    }

    /// Makes another in-sync replica the leader of a partition.
    ///
    /// # Errors
    /// If there is no such partition or the node cannot lead it.
    pub fn move_leader(&self, topic: &str, partition: i32, to: NodeId) -> Result<(), ControlError> {
        self.with(|cluster, now| cluster.move_leader(now, topic, partition, to))
    }

    /// The node that leads a partition.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<NodeId> {
        self.with(|cluster, _| cluster.leader(topic, partition))
    }

    /// The next request of this API is answered with an error and not executed.
    pub fn fail_next(&self, api: ApiKey, error: ErrorCode) {
        self.fail_times(api, error, 1);
    }

    /// The next `times` requests of this API are answered with an error and not executed.
    pub fn fail_times(&self, api: ApiKey, error: ErrorCode, times: u32) {
        self.with(|cluster, _| cluster.fail_next(api, error, times));
    }

    /// The next `times` requests of this API are executed that much later.
    pub fn delay_next(&self, api: ApiKey, delay: Duration, times: u32) {
        self.with(|cluster, _| cluster.delay_next(api, delay, times));
    }

    /// The answers to the next `times` requests of this API ask the client to pause this long.
    pub fn throttle_next(&self, api: ApiKey, pause: Duration, times: u32) {
        self.inject(FaultRule { api: Some(api), node: None, times, fault: Fault::Throttle(pause) });
    }

    /// Adds any fault.
    pub fn inject(&self, rule: FaultRule) {
        self.with(|cluster, _| cluster.inject(rule));
    }

    /// A node takes requests and leaves them lying, until [`Cluster::unmute`].
    ///
    /// # Errors
    /// [`ControlError::UnknownNode`].
    pub fn mute(&self, node: NodeId) -> Result<(), ControlError> {
        self.with(|cluster, _| cluster.mute(node))
    }

    /// A muted node does what it was asked meanwhile, and goes on.
    ///
    /// # Errors
    /// [`ControlError::UnknownNode`].
    pub fn unmute(&self, node: NodeId) -> Result<(), ControlError> {
        self.with(|cluster, now| cluster.unmute(now, node))
    }

    /// Everything in the log of a partition.
    pub fn log(&self, topic: &str, partition: i32) -> Vec<StoredRecord> {
        self.with(|cluster, _| cluster.log(topic, partition))
    }

    /// The offset a group has committed.
    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        self.with(|cluster, _| cluster.committed(group, topic, partition))
    }

    /// What the cluster was asked so far.
    pub fn counters(&self) -> Counters {
        self.with(|cluster, _| cluster.counters().clone())
    }

    /// How many requests of an API the cluster has had.
    pub fn requests(&self, api: ApiKey) -> u64 {
        self.with(|cluster, _| cluster.counters().requests(api))
    }
}

/// Differs between starts and between processes: a client must not take one cluster for another.
fn new_seed() -> u64 {
    static STARTS: AtomicU64 = AtomicU64::new(0);
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let start = STARTS.fetch_add(1, Ordering::Relaxed) << 32 | u64::from(std::process::id());
    (since_epoch.as_nanos() as u64).wrapping_add(start.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn address(node: &NodeAddress) -> String {
    format!("{}:{}", node.host, node.port)
}
