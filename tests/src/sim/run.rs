//! One run: a cluster, its applications, what goes wrong, and the checks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kafka_core::rt::Runtime;
use kafka_proto::ApiKey;

use super::apps::{self, Stage};
use super::chance::Chance;
use super::chaos::{FaultKind, chaos};
use super::executor::{Executor, Stop};
use super::history::TOPIC;
use super::members::member;
use super::network::Network;
use super::plan::Plan;
use super::runtime::SimRuntime;
use super::trace::Trace;
use crate::broker::{ClusterConfig, ClusterState, NodeAddress, NodeId};

const NODES: NodeId = 3;
/// Once all has healed everything ends within this time: the longest delivery timeout, and then the longest session and
/// rebalance timeouts.
const TO_THE_END: Duration = Duration::from_secs(240);
/// Once the applications have ended nothing is left after this time.
const TO_SILENCE: Duration = Duration::from_secs(30);
const STEPS: u64 = 20_000_000;

/// What a run did.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    /// The hash of the time line: equal for equal plans and seeds.
    pub hash: u64,
    /// The time line, where it was asked for.
    pub trace: String,
    /// Virtual time from begin to end.
    pub time: Duration,
    /// How often a task was polled.
    pub steps: u64,
    /// Faults by kind.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Errors that applications saw, by their text.
    pub errors: BTreeMap<String, u64>,
    /// Requests that brokers got, by API.
    pub requests: BTreeMap<&'static str, u64>,
    /// Messages sent.
    pub written: u64,
    /// Messages read, by all readers.
    pub read: u64,
    /// Assignments that members got.
    pub assignments: u64,
    /// Committed offsets that changed.
    pub commits: u64,
    /// Futures dropped before they were ready, and deliveries nobody waited for.
    pub dropped: u64,
    /// Batches sent again.
    pub retries: u64,
    /// Epochs that writers took.
    pub epoch_bumps: u64,
}

/// A run that broke an invariant.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub struct Failure {
    /// The plan.
    pub plan: Plan,
    /// The seed.
    pub seed: u64,
    /// What was found.
    pub violations: Vec<String>,
    /// What the run did.
    pub report: Report,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { plan, seed, .. } = self;
        writeln!(f, "plan {plan}, seed {seed}:")?;
        self.violations.iter().try_for_each(|violation| writeln!(f, "  {violation}"))?;
        write!(f, "replay: cargo run --release -p xtask -- sim --plan {plan} --seed {seed} --trace")
    }
}

/// Runs a plan with a seed; with `trace` the report has the time line.
///
/// # Errors
/// An invariant does not hold, or something did not end.
pub fn run(plan: Plan, seed: u64, trace: bool) -> Result<Report, Box<Failure>> {
    Run::new(plan, seed, trace).run_to_end()
}

struct Run {
    plan: Plan,
    seed: u64,
    stage: Stage,
    executor: Executor,
    chance: Chance,
    faults: Arc<Mutex<Option<BTreeMap<FaultKind, u64>>>>,
}

impl Run {
    fn new(plan: Plan, seed: u64, trace: bool) -> Run {
        let settings = plan.settings();
        let mut chance = Chance::new(seed);
        let partitions = 1 + chance.below(5) as i32;
        let config = ClusterConfig { seed: chance.below(u64::MAX), ..ClusterConfig::default() };
        let address = |id: NodeId| NodeAddress { id, host: format!("n{id}"), port: 9092, rack: None };
        let mut cluster = ClusterState::new(config, (0..NODES).map(address));
        let made = cluster.create_topic(TOPIC, partitions, NODES as i16, &[]);
        debug_assert!(made.is_ok(), "{made:?}");
        let network = Network::new(cluster, chance.fork(), settings.quality);
        let runtime = SimRuntime::new(network, Trace::new(trace));
        let executor = Executor::new(runtime.clone(), chance.fork());
        let stage = Stage::new(runtime, settings, partitions);
        Run { plan, seed, stage, executor, chance, faults: Arc::default() }
    }

    fn run_to_end(mut self) -> Result<Report, Box<Failure>> {
        self.begin();
        let stage = self.stage.clone();
        let faults = self.faults.clone();
        let limit = stage.settings.healing + TO_THE_END;
        let ended = self.executor.run_until(limit, STEPS, |_| {
            check_commits(&stage);
            faults.lock().unwrap_or_else(PoisonError::into_inner).is_some()
        });
        match ended {
            Ok(()) => self.end(),
            Err(Stop::Time) => {
                self.stage.history().violation("I8: the applications do not come to an end".to_owned())
            }
            Err(Stop::Steps) => self.stage.history().violation("I14: there is no end of steps".to_owned()),
        }
        let world = self.stage.runtime.world();
        self.stage.history().check_log(
            &world.net.cluster,
            self.stage.partitions,
            self.stage.settings.healing,
        );
        drop(world);
        self.report()
    }

    /// Nothing is left once the applications have ended.
    fn end(&mut self) {
        let limit = self.stage.runtime.elapsed() + TO_SILENCE;
        if self.executor.run_until(limit, STEPS, |executor| executor.tasks() == 0).is_err() {
            let tasks = self.executor.tasks();
            self.stage.history().violation(format!("{tasks} tasks are left"));
        }
        let open = self.stage.runtime.world().net.open();
        if open > 0 {
            self.stage.history().violation(format!("{open} connections are left"));
        }
    }

    fn begin(&mut self) {
        let (stage, faults) = (self.stage.clone(), self.faults.clone());
        let chance = self.chance.fork();
        self.stage.runtime.spawn(async move {
            let done = play(stage, chance).await;
            *faults.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
        });
    }

    fn report(self) -> Result<Report, Box<Failure>> {
        let mut world = self.stage.runtime.world();
        let mut history = self.stage.history();
        let api = |(code, count): (&i16, &u64)| (ApiKey::from_code(*code).map_or("?", ApiKey::name), *count);
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        let report = Report {
            hash: world.trace.hash(),
            trace: world.trace.take_text(),
            time: world.now,
            steps: self.executor.steps,
            faults,
            errors: std::mem::take(&mut history.errors),
            requests: world.net.requests.iter().map(api).collect(),
            written: history.written.len() as u64,
            read: history.read,
            assignments: history.assigned,
            commits: history.commits,
            dropped: history.dropped,
            retries: history.retries,
            epoch_bumps: history.epoch_bumps,
        };
        let violations = std::mem::take(&mut history.violations);
        if violations.is_empty() {
            return Ok(report);
        }
        Err(Box::new(Failure { plan: self.plan, seed: self.seed, violations, report }))
    }
}

fn check_commits(stage: &Stage) {
    let mut world = stage.runtime.world();
    if std::mem::take(&mut world.net.committed) {
        stage.history().check_commits(&world.net.cluster, stage.partitions);
    }
}

/// The applications, from the first to the last.
async fn play(stage: Stage, mut chance: Chance) -> BTreeMap<FaultKind, u64> {
    let client = stage.client(&mut chance);
    let mut writing = Vec::new();
    let mut writers = Vec::new();
    for number in 0..stage.settings.writers {
        let (writer, idempotent) = apps::writer(&stage, &client, &mut chance);
        for half in 0..2 {
            let task =
                apps::write(stage.clone(), writer.clone(), idempotent, number * 2 + half, chance.fork());
            writing.push(stage.spawn(task));
        }
        writers.push(writer);
    }
    let mut reading = Vec::new();
    for _ in 0..stage.settings.readers {
        reading.push(stage.spawn(apps::read(stage.clone(), client.clone(), chance.fork())));
    }
    for _ in 0..stage.settings.members {
        reading.push(stage.spawn(member(stage.clone(), chance.fork())));
    }
    let faults = chaos(stage.clone(), NODES, chance.fork()).await;
    for join in writing {
        join.wait().await;
    }
    stage.runtime.note(format_args!("the writers are done"));
    for writer in writers {
        writer.flush().await;
        let (left, stats) = (writer.buffered_bytes(), writer.stats());
        let report = writer.close(Duration::from_secs(5)).await;
        let mut history = stage.history();
        history.retries += stats.retries;
        history.epoch_bumps += stats.epoch_bumps;
        if left > 0 || !report.is_clean() {
            history.violation(format!("{left} bytes are left in a flushed writer: {report:?}"));
        }
    }
    set_ends(&stage);
    for join in reading {
        join.wait().await;
    }
    stage.runtime.note(format_args!("the readers are done"));
    client.close(Duration::from_secs(5)).await;
    faults
}

/// From now on nobody writes.
fn set_ends(stage: &Stage) {
    let world = stage.runtime.world();
    let end = |partition| world.net.cluster.offsets(TOPIC, partition).map_or(0, |(_, high, _)| high);
    stage.history().ends = Some((0..stage.partitions).map(end).collect());
}
