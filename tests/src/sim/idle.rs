//! An idle client does nothing: a minute of virtual time, with every request and every poll of a task counted.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::time::Duration;

use kafka_core::runtime::Runtime;
use kafka_core::{Client, ClientBuilder, Manual, Message, Reset, Writer};
use kafka_proto::ApiKey;

use super::chance::Chance;
use super::executor::{Executor, Stop};
use super::network::{Network, Quality, Wires};
use super::runtime::SimRuntime;
use super::trace::Trace;
use crate::broker::{ClusterConfig, ClusterState, NodeAddress, NodeId};

const NODES: NodeId = 3;
const TOPIC: &str = "idle";
/// By then everything is connected, joined and read.
const SETTLED: Duration = Duration::from_secs(15);
const MINUTE: Duration = Duration::from_secs(60);
const LATENCY: Duration = Duration::from_millis(1);
const HEARTBEATS: Duration = Duration::from_secs(3);
const LONG_POLL: Duration = Duration::from_millis(500);
const REFRESHES: Duration = Duration::from_secs(20);

/// Three nodes, six partitions, and a network that delays everything equally and cuts nothing in pieces.
fn world() -> (SimRuntime, Executor) {
    let mut chance = Chance::new(1);
    let address = |id: NodeId| NodeAddress { id, host: format!("n{id}"), port: 9092, rack: None };
    let mut cluster = ClusterState::new(ClusterConfig::default(), (0..NODES).map(address));
    cluster.create_topic(TOPIC, 6, 3, &[]).unwrap();
    let quality = Quality { latency: (LATENCY, LATENCY), pieces: 0, bytes_per_ms: u64::MAX };
    let runtime = SimRuntime::new(Network::new(cluster, chance.fork(), quality), Trace::new(false));
    (runtime.clone(), Executor::new(runtime, chance))
}

fn client(runtime: &SimRuntime) -> Client {
    let client = ClientBuilder::<SimRuntime>::new("n0:9092,n1:9092,n2:9092").runtime(runtime.clone()).seed(1);
    client.metadata_max_age(REFRESHES).build().unwrap()
}

/// Writes a message to each partition, so that there are connections to all nodes.
async fn written(client: &Client) -> Writer {
    let writer = client.writer(TOPIC).balancer(Manual).build().unwrap();
    let messages = (0..6).map(|partition| Message::new("x").partition(partition));
    writer.write_all(messages).await.unwrap();
    writer
}

/// What a minute took.
#[derive(Debug)]
struct Minute {
    requests: BTreeMap<ApiKey, u64>,
    polls: u64,
}

/// Starts the application, lets it settle, and counts what then happens in a minute.
fn minute(
    (runtime, mut executor): (SimRuntime, Executor),
    app: impl Future<Output = ()> + Send + 'static,
) -> Minute {
    runtime.spawn(app);
    let asked = || runtime.world().net.watch.requests.clone();
    let mut pass = |until| assert_eq!(executor.run_until(until, 1_000_000, |_| false), Err(Stop::Time));
    pass(SETTLED);
    let (before, polls) = (asked(), executor.steps);
    executor.run_until(SETTLED + MINUTE, 1_000_000, |_| false).unwrap_err();
    let more = |(code, count): (i16, u64)| {
        let count = count - before.get(&code).copied().unwrap_or(0);
        (count > 0).then(|| (ApiKey::from_code(code).unwrap(), count))
    };
    let minute =
        Minute { requests: asked().into_iter().filter_map(more).collect(), polls: executor.steps - polls };
    println!("{minute:?}");
    minute
}

impl Minute {
    fn count(&self, api: ApiKey) -> u64 {
        self.requests.get(&api).copied().unwrap_or(0)
    }
}

/// A request by a timer is four polls: the driver's when it is due, the connection's that sends it, the connection's that
/// gets the answer, the driver's that sets the next timer.
const BY_TIMER: u64 = 4;
/// A fetch is two: the connection gets the answer, and is told that there is something to send.
const BY_ANSWER: u64 = 2;

/// An attempt to connect is five: the driver's, three of its task, which looks the name up and connects, and the driver's.
const BY_KNOCK: u64 = 5;

#[test]
fn a_writer_refreshes_metadata_only() {
    let (runtime, executor) = world();
    let client = client(&runtime);
    let minute = minute((runtime, executor), async move {
        let _writer = written(&client).await;
        pending::<()>().await;
    });
    assert_eq!(minute.requests, BTreeMap::from([(ApiKey::Metadata, 3)]));
    assert!(minute.polls <= 3 * BY_TIMER, "{minute:?}");
}

#[test]
fn a_member_beats_and_polls_and_refreshes_only() {
    let (runtime, executor) = world();
    let client = client(&runtime);
    let minute = minute((runtime, executor), async move {
        let _writer = written(&client).await;
        let reader = client.reader(TOPIC).group("g").reset(Reset::First);
        let mut reader = reader.heartbeat_interval(HEARTBEATS).max_wait(LONG_POLL).build().unwrap();
        loop {
            reader.fetch().await.unwrap().unwrap();
        }
    });
    let apis: Vec<ApiKey> = minute.requests.keys().copied().collect();
    assert_eq!(apis, [ApiKey::Fetch, ApiKey::Metadata, ApiKey::Heartbeat]);
    let (fetches, beats) = (minute.count(ApiKey::Fetch), minute.count(ApiKey::Heartbeat));
    assert_eq!(minute.count(ApiKey::Metadata), 3);
    // A fetch that returns shortly before one is due takes it along.
    assert!((19..=29).contains(&beats), "{minute:?}");
    // The brokers' waits have grown to 8 s by then.
    assert!((3 * 7..=3 * 8).contains(&fetches), "{minute:?}");
    assert!(minute.polls <= fetches * BY_ANSWER + (beats + 3) * BY_TIMER, "{minute:?}");
}

/// All brokers are gone: the client knocks at each about once a second, its longest backoff.
#[test]
fn a_client_without_brokers_knocks_as_often_as_its_backoff_says() {
    let (runtime, executor) = world();
    let client = client(&runtime);
    let world = runtime.clone();
    let minute = minute((runtime, executor), async move {
        let writer = written(&client).await;
        for node in 0..NODES {
            let mut world = world.world();
            world.net.refuse(node, Duration::MAX);
            world.reset_node(node);
        }
        let _delivery = writer.send(Message::new("y").partition(0)).await.unwrap();
        pending::<()>().await;
    });
    assert_eq!(minute.requests, BTreeMap::new());
    // By the addresses it was given, as the nodes it knows, and to write to one of them; a backoff is cut by a fifth at most.
    let knocks = (2 * 3 + 1) * 60 * 10 / 8;
    assert!(minute.polls <= knocks * BY_KNOCK, "{minute:?}");
}
