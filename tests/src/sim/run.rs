//! One run: a cluster, its applications, what goes wrong, and the checks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kafka_core::runtime::Runtime;
use kafka_proto::ApiKey;

use super::asking::ask;
use super::chance::Chance;
use super::chaos::{Done, chaos};
use super::conduct::Known;
use super::executor::{Executor, Order, Stop};
use super::fault::FaultKind;
use super::history::TOPIC;
use super::members::member;
use super::network::Network;
use super::plan::{Plan, Settings};
use super::reading::read;
use super::remaking::{REMADE, read_remade, write_remade};
use super::report::{Failure, Report};
use super::runtime::{SimRuntime, TOLD_PORT};
use super::stage::Stage;
use super::subscribing::{choose, follow, make_topic, subscribe, write_subscribed};
use super::trace::Trace;
use super::writing::write;
use crate::broker::{ClusterConfig, ClusterState, NodeAddress, NodeId};

pub(super) const NODES: NodeId = 3;
/// Once all has healed everything ends within this time: the last writer, a session and a rebalance timeout, and handlers.
const TO_THE_END: Duration = Duration::from_secs(120);
/// Once the applications have ended nothing is left after this time.
const TO_SILENCE: Duration = Duration::from_secs(30);
const STEPS: u64 = 1_000_000;
/// At one in so many moments in which nobody has anything to do the clients are looked at.
const LOOKS: u64 = 4;

/// How a run is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// The report has the time line.
    pub trace: bool,
    /// Try only the first so many faults.
    pub faults: Option<u64>,
    /// The folder into which each client is recorded, with its payloads: `PLAN-SEED-CLIENT.rec`. It must be there.
    #[cfg(feature = "record")]
    pub record: Option<&'static std::path::Path>,
}

/// Runs a plan with a seed.
///
/// # Errors
/// An invariant does not hold, something did not end, or something panicked.
pub fn run(plan: Plan, seed: u64, options: Options) -> Result<Report, Box<Failure>> {
    let run = catch_unwind(AssertUnwindSafe(|| Run::new(plan, seed, options).run_to_end()));
    run.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or(panic.downcast_ref::<&str>().copied()).unwrap_or_default();
        let violation = format!("a panic: {said}");
        Err(Box::new(Failure::without_report(plan, seed, options.faults, violation)))
    })
}

struct Run {
    plan: Plan,
    seed: u64,
    stage: Stage,
    executor: Executor,
    chance: Chance,
    options: Options,
    faults: Arc<Mutex<Option<Done>>>,
}

impl Run {
    fn new(plan: Plan, seed: u64, options: Options) -> Run {
        let mut chance = Chance::new(seed);
        let settings = plan.settings(&mut chance);
        let partitions = 1 + chance.below(5) as i32;
        let release = settings.release;
        // Groups are everywhere, and moves of all coordinators cheap.
        let (ids, offsets_topic_partitions) = (chance.below(u64::MAX), 5);
        let config =
            ClusterConfig { seed: ids, release, offsets_topic_partitions, ..ClusterConfig::default() };
        let address = |id: NodeId| NodeAddress { id, host: format!("n{id}"), port: TOLD_PORT, rack: None };
        let mut cluster = ClusterState::new(config, (0..NODES).map(address));
        let made = cluster.create_topic(TOPIC, partitions, NODES as i16, &[]);
        debug_assert!(made.is_ok(), "{made:?}");
        if settings.remade {
            // As of the other topic.
            let _ = cluster.create_topic(REMADE, partitions, NODES as i16, &[]);
        }
        for node in (0..NODES).filter(|_| settings.is_mixed()) {
            let release = if chance.per_mille(500) { settings.newer } else { settings.release };
            // The node is one of the cluster's.
            let _ = cluster.set_release(node, release);
        }
        let known = known(&settings, &cluster, partitions);
        let mut network = Network::new(cluster, chance.fork(), settings.quality);
        network.watch.conduct.known = known;
        let runtime = SimRuntime::new(network, Trace::new(options.trace));
        let mut executor = Executor::new(runtime.clone(), chance.fork());
        if chance.per_mille(500) {
            executor.order = Order::Arrival;
        }
        let stage = Stage::new(runtime, settings, partitions);
        #[cfg(feature = "record")]
        let stage = stage.recorded(options.record.map(|folder| folder.join(format!("{plan}-{seed}"))));
        Run { plan, seed, stage, executor, chance, options, faults: Arc::default() }
    }

    fn run_to_end(mut self) -> Result<Report, Box<Failure>> {
        self.begin();
        let stage = self.stage.clone();
        let faults = self.faults.clone();
        let limit = stage.settings.settled() + TO_THE_END;
        let looked = self.stage.clone();
        let mut moments = 0;
        self.executor.on_idle = Some(Box::new(move || {
            moments += 1;
            if moments % LOOKS == 0 {
                looked.check_clients();
            }
        }));
        let ended = self.executor.run_until(limit, STEPS, |_| {
            check_commits(&stage);
            faults.lock().unwrap_or_else(PoisonError::into_inner).is_some()
        });
        match ended {
            Ok(()) => self.end(),
            Err(Stop::Time) => {
                let mut history = self.stage.history();
                let open = format!("{:?}, {:?}", history.groups_open(), history.subscribed.open());
                history.violation(format!("I8: the applications do not come to an end: {open}"));
            }
            Err(Stop::Steps) => self.stage.history().violation("I14: there is no end of steps".to_owned()),
        }
        let world = self.stage.runtime.world();
        self.stage.history().check_log(
            &world.net.cluster,
            self.stage.partitions,
            self.stage.settings.settled(),
        );
        let wrong = self.stage.history().remade.check_log(&world.net.cluster);
        wrong.into_iter().for_each(|what| self.stage.violation(what));
        drop(world);
        self.check_calm();
        self.report()
    }

    /// Where nothing goes wrong nobody sees an error, and no connection breaks.
    fn check_calm(&self) {
        let mut history = self.stage.history();
        let (errors, failures) = (&history.errors, history.connection_failures());
        if self.stage.settings.faults.is_empty() && (!errors.is_empty() || failures > 0) {
            let seen = format!("errors {errors:?}, {failures} connections failed");
            history.violation(format!("I12: nothing went wrong, and there are {seen}"));
        }
    }

    /// Nothing is left once the applications have ended.
    fn end(&mut self) {
        let limit = self.stage.runtime.elapsed() + TO_SILENCE;
        if self.executor.run_until(limit, STEPS, |executor| executor.tasks() == 0).is_err() {
            let tasks = self.executor.tasks();
            self.stage.history().violation(format!("{tasks} tasks are left"));
        }
        let (open, timers) = {
            let world = self.stage.runtime.world();
            (world.net.open(), world.timers.wakes())
        };
        let left =
            [(open, "connections"), (timers, "timers"), (self.stage.clients_left(), "clients in memory")];
        for (count, what) in left.into_iter().filter(|(count, _)| *count > 0) {
            self.stage.violation(format!("{count} {what} are left"));
        }
    }

    fn begin(&mut self) {
        let (stage, faults) = (self.stage.clone(), self.faults.clone());
        let (chance, most) = (self.chance.fork(), self.options.faults.unwrap_or(u64::MAX));
        let order = self.executor.order;
        self.stage.runtime.note(format_args!("release {}, tasks by {order:?}", stage.settings.release));
        self.stage.runtime.spawn(async move {
            let done = play(stage, most, chance).await;
            *faults.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
        });
    }

    fn report(self) -> Result<Report, Box<Failure>> {
        let mut world = self.stage.runtime.world();
        let mut history = self.stage.history();
        let api = |(code, count): (&i16, &u64)| (ApiKey::from_code(*code).map_or("?", ApiKey::name), *count);
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        if self.executor.order == Order::Arrival {
            history.count("runs by arrival", 1);
        }
        history.count("lost fetch sessions", world.net.cluster.counters().lost_sessions());
        world.net.watch.counts.iter().for_each(|(what, count)| history.count(what, *count));
        let report = Report {
            hash: world.trace.hash(),
            trace: world.trace.take_text(),
            time: world.now,
            steps: self.executor.steps,
            attempts: faults.attempts,
            faults: faults.done,
            happened: world.net.cluster.counters().happened().clone(),
            errors: std::mem::take(&mut history.errors),
            requests: world.net.watch.requests.iter().map(api).collect(),
            reactions: history.reactions(),
            busiest: world.net.watch.busiest,
            most: world.net.watch.most.iter().map(api).collect(),
        };
        let mut violations = std::mem::take(&mut history.violations);
        violations.extend(world.net.watch.violations.drain(..).take(20));
        if violations.is_empty() {
            return Ok(report);
        }
        let (plan, seed, faults) = (self.plan, self.seed, self.options.faults);
        Err(Box::new(Failure { plan, seed, faults, violations, report }))
    }
}

fn known(settings: &Settings, cluster: &ClusterState, partitions: i32) -> Option<Known> {
    let may = |kind| settings.faults.contains(&kind);
    Some(Known {
        id: cluster.topic_id(TOPIC)?,
        partitions,
        has_epochs: !may(FaultKind::Outdate) && !may(FaultKind::Estrange),
        has_partitions: !may(FaultKind::Lagging),
    })
}

fn check_commits(stage: &Stage) {
    let mut world = stage.runtime.world();
    if let Some(commit) = world.net.committed.take() {
        let counts = (stage.settings.groups, stage.partitions);
        let mut history = stage.history();
        history.check_commits(&world.net.cluster, counts, commit);
        let wrong = history.remade.check_commits(&world.net.cluster);
        wrong.into_iter().for_each(|what| history.violation(what));
        if stage.settings.subscribing {
            let wrong = history.subscribed.check_commits(&world.net.cluster);
            wrong.into_iter().for_each(|what| history.violation(what));
        }
    }
}

/// The applications, from the first to the last.
async fn play(stage: Stage, most: u64, mut chance: Chance) -> Done {
    let client = stage.client(&mut chance);
    let mut writing = vec![stage.spawn(ask(stage.clone(), chance.fork()))];
    for _ in 0..stage.settings.writers {
        writing.push(stage.spawn(write(stage.clone(), client.clone(), chance.fork())));
    }
    let mut reading = Vec::new();
    if stage.settings.remade {
        writing.push(stage.spawn(write_remade(stage.clone(), chance.fork())));
        for _ in 0..stage.settings.remade_members {
            reading.push(stage.spawn(read_remade(stage.clone(), chance.fork())));
        }
    }
    if stage.settings.subscribing {
        make_topic(&stage, &mut chance);
        writing.push(stage.spawn(write_subscribed(stage.clone(), chance.fork())));
        for _ in 0..2 {
            reading.push(stage.spawn(subscribe(stage.clone(), chance.fork())));
            reading.push(stage.spawn(follow(stage.clone(), chance.fork())));
        }
        reading.push(stage.spawn(choose(stage.clone(), chance.fork())));
    }
    for _ in 0..stage.settings.readers {
        reading.push(stage.spawn(read(stage.clone(), client.clone(), chance.fork())));
    }
    for group in 0..stage.settings.groups {
        for at in 0..stage.settings.members {
            let stage = stage.on(1 + group as u32 * stage.settings.members + at);
            reading.push(stage.spawn(member(stage.clone(), group, chance.fork())));
        }
    }
    let faults = chaos(stage.clone(), NODES, most, chance.fork()).await;
    for join in writing {
        join.wait().await;
    }
    stage.runtime.note(format_args!("the writers are done"));
    set_ends(&stage);
    for join in reading {
        join.wait().await;
    }
    stage.runtime.note(format_args!("the readers are done"));
    stage.history().client(&client.stats());
    let time = Duration::from_secs(5);
    stage.by("the close of a client", time, client.close(time)).await;
    faults
}

/// From now on nobody writes.
fn set_ends(stage: &Stage) {
    let world = stage.runtime.world();
    let end = |partition| world.net.cluster.offsets(TOPIC, partition).map_or(0, |(_, high, _)| high);
    stage.history().ends = Some((0..stage.partitions).map(end).collect());
}
