//! The simulator for tests of applications: a cluster, a network and a clock that jumps, around the test's own code.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kafka_core::ClientBuilder;
use kafka_core::runtime::Runtime;

use super::chance::Chance;
use super::executor::{Executor, Stop};
use super::network::{Network, Quality};
use super::runtime::SimRuntime;
use super::task::Task;
use super::trace::Trace;
use crate::broker::{ClusterConfig, ClusterState, NodeAddress, NodeId};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Polls of tasks in a run, beyond which there is no end in sight.
const STEPS: u64 = 20_000_000;

/// What a simulation shall be like. Made by [`Simulation::builder`].
#[derive(Debug, Clone)]
pub struct SimulationBuilder {
    nodes: NodeId,
    seed: u64,
    topics: Vec<(String, i32)>,
    config: ClusterConfig,
    quality: Quality,
    limit: Duration,
    trace: bool,
}

impl SimulationBuilder {
    /// How many brokers. Default: 1.
    pub fn nodes(mut self, nodes: u8) -> Self {
        self.nodes = nodes.into();
        self
    }

    /// A topic with this many partitions and three replicas, or as many as there are nodes.
    pub fn topic(mut self, name: &str, partitions: i32) -> Self {
        self.topics.push((name.to_owned(), partitions));
        self
    }

    /// Decides every choice: the same seed gives the same run. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The release the brokers pose as, such as "2.8". Default: the newest.
    ///
    /// # Panics
    /// If there is no such release.
    pub fn kafka_version(mut self, release: &str) -> Self {
        self.config.release = release.parse().unwrap_or_else(|error| panic!("{error}"));
        self
    }

    /// Any other setting of the cluster.
    pub fn configure(mut self, change: impl FnOnce(&mut ClusterConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// What bytes take from one end of a connection to the other: drawn between these, both included. Default: 1 ms.
    pub fn latency(mut self, least: Duration, most: Duration) -> Self {
        self.quality.latency = (least, most);
        self
    }

    /// What a connection carries in a millisecond in each direction, in bytes. Default: no limit.
    pub fn bandwidth(mut self, bytes_per_ms: u64) -> Self {
        self.quality.bytes_per_ms = bytes_per_ms;
        self
    }

    /// How often of a thousand a read, a write or an answer comes in pieces. Default: never.
    pub fn pieces(mut self, per_mille: u64) -> Self {
        self.quality.pieces = per_mille;
        self
    }

    /// The virtual time by which the application has ended. Default: a day.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// A run that fails prints its time line: connections, requests and answers, with their times. Default: no.
    pub fn trace(mut self, yes: bool) -> Self {
        self.trace = yes;
        self
    }

    /// Runs the application to its end and gives its output. What it has spawned and not ended is dropped then.
    ///
    /// # Panics
    /// If the application or a task of it panics; if it has not ended by the time limit, perhaps since it waits for what
    /// never comes; if a topic cannot be made; or if a client did what no client may do: sent a request that its broker does
    /// not take, or asked without end.
    pub fn run<F, A>(self, app: F) -> A::Output
    where
        F: FnOnce(Simulation) -> A,
        A: Future<Output: Send + 'static> + Send + 'static,
    {
        let mut chance = Chance::new(self.seed);
        let config = ClusterConfig { seed: chance.below(u64::MAX), ..self.config };
        let address = |id: NodeId| NodeAddress { id, host: format!("n{id}"), port: 9092, rack: None };
        let mut cluster = ClusterState::new(config, (0..self.nodes).map(address));
        for (topic, partitions) in &self.topics {
            let made = cluster.create_topic(topic, *partitions, self.nodes.min(3) as i16, &[]);
            made.unwrap_or_else(|error| panic!("{error}"));
        }
        let network = Network::new(cluster, chance.fork(), self.quality);
        let runtime = SimRuntime::new(network, Trace::new(self.trace));
        let executor = Executor::new(runtime.clone(), chance);
        let simulation = Simulation { runtime, nodes: self.nodes, work: Arc::default() };
        Running { executor, simulation: simulation.clone(), limit: self.limit }.finish(app(simulation))
    }
}

/// A cluster of brokers in virtual time, for tests of what an application does with a
/// [`Writer`](kafka_core::Writer) or a [`Reader`](kafka_core::Reader).
///
/// The application runs on a clock that jumps to the next event whenever nobody has anything to do: a test of a timeout of
/// an hour takes as long as the handful of messages that are exchanged within it. The client is the one that ships, the
/// brokers are the embedded ones, and every choice comes from the seed, so a test that fails fails again.
///
/// Whatever waits must wait by this clock: [`Simulation::sleep`], [`Simulation::within`], or a future of the client.
/// Timers and sockets of other runtimes do not move here.
///
/// # Example: a rebalance after a session timeout of 45 s, in milliseconds
///
/// ```
/// use kafka_core::Message;
/// use kafka_core::{Event, Reader};
/// use kafka_testkit::sim::{SimClient, Simulation};
/// use std::time::{Duration, Instant};
///
/// /// The application under test; it knows nothing of the simulation.
/// async fn next_order(reader: &mut Reader) -> String {
///     let order = reader.fetch().await.unwrap().unwrap();
///     reader.commit([&order]).await.unwrap();
///     String::from_utf8(order.value.unwrap().to_vec()).unwrap()
/// }
///
/// fn member(client: &SimClient) -> Reader {
///     let reader = client.reader("orders").group("billing");
///     reader.session_timeout(Duration::from_secs(45)).build().unwrap()
/// }
///
/// let begun = Instant::now();
/// let waited = Simulation::builder().nodes(3).topic("orders", 6).seed(7).run(|sim| async move {
///     let client = sim.client().connect().await.unwrap();
///     let writer = client.writer("orders").build().unwrap();
///     writer.write_all(["one", "two"].map(|order| Message::new(order).key("customer"))).await.unwrap();
///
///     // The first member handles an order; then its machine loses its network, and nobody hears of it.
///     let machine = sim.machine();
///     let mut first = member(&machine.client().connect().await.unwrap());
///     assert_eq!(next_order(&mut first).await, "one");
///     machine.cut_off(Duration::from_secs(3600));
///
///     // The second gets the partitions when the session of the first is over, and goes on where that one was.
///     let mut second = member(&client);
///     let begun = sim.elapsed();
///     assert_eq!(next_order(&mut second).await, "two");
///     sim.elapsed() - begun
/// });
/// assert!(waited > Duration::from_secs(40) && waited < Duration::from_secs(50), "{waited:?}");
/// assert!(begun.elapsed() < Duration::from_secs(10));
/// ```
#[derive(Debug, Clone)]
pub struct Simulation {
    pub(super) runtime: SimRuntime,
    pub(super) nodes: NodeId,
    work: Arc<Work>,
}

/// What the executor has to do.
#[derive(Debug, Default)]
struct Work {
    tasks: AtomicU64,
    polls: AtomicU64,
}

impl Simulation {
    /// The same with its clients on another machine.
    pub(super) fn on(&self, runtime: SimRuntime) -> Simulation {
        Simulation { runtime, ..self.clone() }
    }

    /// Says what the simulation shall be like.
    pub fn builder() -> SimulationBuilder {
        let latency = Duration::from_millis(1);
        SimulationBuilder {
            nodes: 1,
            seed: 0,
            topics: Vec::new(),
            config: ClusterConfig::default(),
            quality: Quality { latency: (latency, latency), pieces: 0, bytes_per_ms: u64::MAX },
            limit: DAY,
            trace: false,
        }
    }

    /// A new client of the cluster, as a process of its own would have it.
    pub fn client(&self) -> ClientBuilder<SimRuntime> {
        let addresses: Vec<String> = (0..self.nodes).map(|node| format!("n{node}:9092")).collect();
        self.client_of(&addresses.join(","))
    }

    /// A new client that begins with these addresses; node 2 is `n2:9092`.
    pub fn client_of(&self, addresses: &str) -> ClientBuilder<SimRuntime> {
        ClientBuilder::new(addresses).runtime(self.runtime.clone())
    }

    /// Virtual time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.runtime.elapsed()
    }

    /// Waits so long in virtual time.
    pub async fn sleep(&self, time: Duration) {
        self.runtime.sleep(time).await;
    }

    /// The future's output, or `None` where it was dropped because the time was over first.
    pub async fn within<T>(&self, time: Duration, future: impl Future<Output = T>) -> Option<T> {
        self.runtime.within(time, future).await
    }

    /// Polls the future so many times; `None` where it was dropped because it was not ready by then.
    pub async fn polled<T>(&self, times: u64, future: impl Future<Output = T>) -> Option<T> {
        self.runtime.polled(times, future).await
    }

    /// Waits until all that is under way at this moment of virtual time is done.
    pub async fn settle(&self) {
        self.sleep(Duration::from_nanos(1)).await;
    }

    /// Runs something beside the caller. It goes on where the [`Task`] is dropped; [`Task::abort`] ends it.
    pub fn spawn<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Task<T> {
        let (task, run) = Task::new(future);
        self.runtime.spawn(run);
        task
    }

    /// Tasks that have not ended: the application, what it spawned, and those of clients.
    pub fn tasks(&self) -> u64 {
        self.work.tasks.load(Ordering::Relaxed)
    }

    /// How often tasks were polled so far; what a client does that seems to do nothing.
    pub fn polls(&self) -> u64 {
        self.work.polls.load(Ordering::Relaxed)
    }
}

struct Running {
    executor: Executor,
    simulation: Simulation,
    limit: Duration,
}

impl Running {
    fn finish<T: Send + 'static>(mut self, app: impl Future<Output = T> + Send + 'static) -> T {
        let output = Arc::new(Mutex::new(None));
        let slot = output.clone();
        self.simulation.runtime.spawn(async move {
            let done = app.await;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
        });
        let take = || output.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut done = None;
        let work = self.simulation.work.clone();
        let ended = self.executor.run_until(self.limit, STEPS, |executor| {
            work.tasks.store(executor.tasks() as u64, Ordering::Relaxed);
            work.polls.store(executor.steps, Ordering::Relaxed);
            done = take();
            done.is_some()
        });
        self.check(ended);
        // There is an output where the run has ended.
        done.unwrap_or_else(|| panic!("the application gave nothing"))
    }

    fn check(&self, ended: Result<(), Stop>) {
        let now = self.simulation.elapsed();
        match ended {
            Ok(()) => {}
            Err(Stop::Time) => panic!("the application has not ended by {:?} of virtual time", self.limit),
            Err(Stop::Steps) => panic!("something runs without end at {now:?} of virtual time"),
        }
        let violations = std::mem::take(&mut self.simulation.runtime.world().net.watch.violations);
        assert!(violations.is_empty(), "{violations:#?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let trace = self.simulation.runtime.world().trace.take_text();
            if !trace.is_empty() {
                eprintln!("{trace}");
            }
        }
        // Tasks hold the world and the world holds tasks that were not begun.
        self.executor.clear();
    }
}
