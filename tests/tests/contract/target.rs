//! Where the suite runs: an embedded cluster, or the real one that `KAFKA_BOOTSTRAP_SERVERS` names.
//!
//! `CLUSTER` names a real cluster that xtask started: its release is known then, and its brokers can be killed.
//! Otherwise `KAFKA_VERSION` may tell the release; without it the newest is assumed.

use crate::adapter::Adapter;
use crate::handles::{Client, ClientBuilder};
use kafka_core::NewTopic;
use kafka_testkit::broker::Profile;
use kafka_testkit::real::{Cache, LaunchError, RealCluster, Version};
use kafka_testkit::{Cluster, ClusterBuilder};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What not every release has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Feature {
    CreateTopics,
    HeadersAndIdempotence,
    Zstd,
}

impl Feature {
    fn since(self) -> &'static str {
        match self {
            Self::CreateTopics => "0.10.1.0",
            Self::HeadersAndIdempotence => "0.11.0.0",
            Self::Zstd => "2.1.0",
        }
    }
}

/// A cluster to test with.
#[derive(Debug)]
pub(crate) enum Target {
    Embedded(Cluster),
    Real { bootstrap: String, version: Version, steered: Option<RealCluster> },
}

/// Tests that stop brokers run alone on a real cluster.
static BROKERS: RwLock<()> = RwLock::new(());

/// What a test holds while it runs.
#[derive(Debug)]
pub(crate) enum Turn {
    Shared(#[expect(dead_code, reason = "held")] RwLockReadGuard<'static, ()>),
    Alone(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'static, ()>),
}

impl Turn {
    pub(crate) fn take(alone: bool) -> Self {
        if alone {
            Self::Alone(BROKERS.write().unwrap_or_else(PoisonError::into_inner))
        } else {
            Self::Shared(BROKERS.read().unwrap_or_else(PoisonError::into_inner))
        }
    }
}

impl Target {
    /// The real cluster if there is one, else an embedded one of so many nodes.
    pub(crate) fn new(nodes: usize) -> Self {
        match std::env::var("KAFKA_BOOTSTRAP_SERVERS") {
            Ok(bootstrap) => Self::real(bootstrap),
            Err(_) => Self::Embedded(embedded(Cluster::builder(), nodes)),
        }
    }

    /// An embedded cluster that plays a vendor's.
    pub(crate) fn of_vendor(vendor: Profile, nodes: usize) -> Self {
        Self::Embedded(embedded(Cluster::builder().profile(vendor), nodes))
    }

    fn real(bootstrap: String) -> Self {
        let steered = std::env::var("CLUSTER").ok();
        let steered = steered.map(|name| RealCluster::open(&Cache::from_env(), &name).expect("CLUSTER"));
        let told = std::env::var("KAFKA_VERSION").ok().map(|v| v.parse().expect("KAFKA_VERSION"));
        let version = steered.as_ref().map(RealCluster::version).or(told).unwrap_or(Version::NEWEST);
        Self::Real { bootstrap, version, steered }
    }

    pub(crate) fn bootstrap(&self) -> String {
        match self {
            Self::Embedded(cluster) => cluster.bootstrap(),
            Self::Real { bootstrap, .. } => bootstrap.clone(),
        }
    }

    /// The embedded cluster, for tests that look inside.
    pub(crate) fn embedded(&self) -> &Cluster {
        match self {
            Self::Embedded(cluster) => cluster,
            Self::Real { .. } => panic!("this test needs the embedded cluster"),
        }
    }

    pub(crate) fn has(&self, feature: Feature) -> bool {
        self.at_least(feature.since())
    }

    pub(crate) fn at_least(&self, version: &str) -> bool {
        match self {
            Self::Embedded(_) => true,
            Self::Real { version: real, .. } => *real >= version.parse().expect("a version"),
        }
    }

    /// A client that finds a new topic, and gives up, sooner than by default.
    pub(crate) async fn client<A: Adapter>(&self) -> Client {
        self.builder::<A>().connect().await.expect("connect")
    }

    /// A client that soon looks for what is new.
    pub(crate) async fn curious_client<A: Adapter>(&self) -> Client {
        let builder = self.builder::<A>().metadata_max_age(Duration::from_millis(300));
        builder.connect().await.expect("connect")
    }

    fn builder<A: Adapter>(&self) -> ClientBuilder<A::Runtime> {
        A::client(&self.bootstrap()).allow_auto_topic_creation(!self.has(Feature::CreateTopics))
    }

    /// Makes a topic of its own for a test.
    pub(crate) async fn topic(&self, client: &Client, name: &str, partitions: i32) -> String {
        self.topic_with(client, name, partitions, &[]).await
    }

    pub(crate) async fn topic_with(
        &self,
        client: &Client,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> String {
        let name = unique(name);
        if !self.has(Feature::CreateTopics) {
            client.topic(name.clone()).await.expect("the broker makes the topic");
            return name;
        }
        let brokers = client.describe_cluster().await.expect("describe").brokers.len().min(3);
        let mut topic = NewTopic::new(name.clone(), partitions).replication_factor(brokers as i16);
        for (key, value) in configs {
            topic = topic.config(*key, *value);
        }
        client.create_topic(topic).await.expect("create");
        name
    }

    /// Starts the brokers again that a test which failed has left dead.
    pub(crate) fn heal(&self) {
        let Self::Real { steered: Some(cluster), .. } = self else { return };
        for id in 1..=cluster.info().brokers {
            match cluster.restart(id) {
                Ok(()) | Err(LaunchError::BrokerRunning(_)) => {}
                Err(error) => panic!("broker {id}: {error}"),
            }
        }
    }

    /// Whether brokers can be stopped here.
    pub(crate) fn can_lose_a_broker(&self) -> bool {
        match self {
            Self::Embedded(cluster) => cluster.nodes().count() >= 3,
            Self::Real { steered, .. } => steered.as_ref().is_some_and(|c| c.info().brokers >= 3),
        }
    }

    pub(crate) fn kill(&self, node: i32) {
        match self {
            Self::Embedded(cluster) => cluster.kill(node).expect("kill"),
            Self::Real { steered, .. } => {
                steered.as_ref().expect("CLUSTER").kill(node as u16).expect("kill");
            }
        }
    }

    pub(crate) fn restart(&self, node: i32) {
        match self {
            Self::Embedded(cluster) => cluster.restart(node).expect("restart"),
            Self::Real { steered, .. } => {
                steered.as_ref().expect("CLUSTER").restart(node as u16).expect("restart");
            }
        }
    }
}

fn embedded(builder: ClusterBuilder, nodes: usize) -> Cluster {
    // Short sessions, so that tests need not wait for long ones.
    let short = |config: &mut kafka_testkit::broker::ClusterConfig| {
        config.group_min_session_timeout = Duration::from_millis(100);
    };
    builder.nodes(nodes).configure(short).start().expect("an embedded cluster")
}

/// A name that no other run and no other test uses.
pub(crate) fn unique(name: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{name}-{:x}-{}-{count}", since.as_millis(), std::process::id())
}

/// Ends a test that the target cannot run, saying why.
macro_rules! skip {
    ($($why:tt)*) => {{
        println!("SKIPPED: {}", format_args!($($why)*));
        return;
    }};
}
pub(crate) use skip;

/// Longer than anything here takes, shorter than patience.
pub(crate) const LONG: Duration = Duration::from_secs(30);
