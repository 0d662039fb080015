//! `xtask sim`: the client in the simulator, many seeds on all cores.

mod coverage;
mod mutants;
mod summary;
mod watchdog;

use std::error::Error;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use kafka_testkit::sim::{Failure, Options, Plan, Report};
use summary::Summary;
use watchdog::watched;

/// Run the client against the embedded cluster in virtual time; every choice comes from the seed.
#[derive(Debug, Args)]
pub(crate) struct Sim {
    /// How many seeds, each run with every plan; with --mutants with one plan each, in turn
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed. Default: 0; with --minutes one that was never run
    #[arg(long)]
    seed: Option<u64>,
    /// One plan: calm, flaky, rolling_restart, rebalance, slow_consumer, bulk, old_brokers, upgrade, outdated, unclean, suspended, keeping, remade. Default: all
    #[arg(long)]
    plan: Option<Plan>,
    /// Go on with more seeds for so many minutes
    #[arg(long, conflicts_with = "seeds")]
    minutes: Option<u64>,
    /// Print the time line of each run
    #[arg(long)]
    trace: bool,
    /// Try only the first so many faults of each run
    #[arg(long)]
    faults: Option<u64>,
    /// Record each client of each run into this folder, for `xtask replay`
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["mutants", "coverage"])]
    record: Option<PathBuf>,
    /// Plant bugs in the client, one after the other, and see how many seeds it takes to find each
    #[arg(long, conflicts_with_all = ["minutes", "trace", "faults"])]
    mutants: bool,
    /// Plant only the bug of this name
    #[arg(long, requires = "mutants")]
    mutant: Option<String>,
    /// Print which lines of kafka-core no seed has reached; needs `rustup component add llvm-tools`
    #[arg(long, conflicts_with_all = ["mutants", "trace"])]
    coverage: bool,
}

impl Sim {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        if self.mutants {
            return mutants::run(
                (self.first_seed(), self.seeds.unwrap_or(2000)),
                &self.plans(),
                self.mutant.as_deref(),
            );
        }
        if self.coverage {
            return coverage::run(&self.arguments());
        }
        let first = self.first_seed();
        println!("seeds from {first}");
        let started = Instant::now();
        let bar = self.bar();
        let summary = Mutex::new(Summary::default());
        let next = AtomicU64::new(0);
        on_all_cores(|| self.work((started, first), &next, &summary, &bar));
        bar.finish_and_clear();
        let summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
        summary.print(started.elapsed());
        summary.judge(self.plan.is_none() && self.faults.is_none())
    }

    fn first_seed(&self) -> u64 {
        let fresh = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() << 20;
        self.seed.unwrap_or_else(|| if self.minutes.is_some() { fresh() } else { 0 })
    }

    /// These options once more, for another xtask.
    fn arguments(&self) -> Vec<String> {
        let number =
            |name: &str, value: Option<u64>| value.map(|value| [format!("--{name}"), value.to_string()]);
        let plan = self.plan.map(|plan| ["--plan".to_owned(), plan.to_string()]);
        let numbers = [
            number("seeds", self.seeds),
            number("seed", self.seed),
            number("minutes", self.minutes),
            number("faults", self.faults),
            plan,
        ];
        numbers.into_iter().flatten().flatten().collect()
    }

    fn plans(&self) -> Vec<Plan> {
        self.plan.map_or_else(|| Plan::ALL.to_vec(), |plan| vec![plan])
    }

    fn bar(&self) -> ProgressBar {
        match self.minutes {
            Some(minutes) => bar(minutes * 60),
            None => bar(self.seeds.unwrap_or(1) * self.plans().len() as u64),
        }
    }

    fn work(
        &self,
        (started, first): (Instant, u64),
        next: &AtomicU64,
        summary: &Mutex<Summary>,
        bar: &ProgressBar,
    ) {
        let plans = self.plans();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let (seed, plan) = (number / plans.len() as u64, plans[(number % plans.len() as u64) as usize]);
            let over = match self.minutes {
                Some(minutes) => started.elapsed() >= Duration::from_secs(minutes * 60),
                None => seed >= self.seeds.unwrap_or(1),
            };
            if over {
                return;
            }
            let result = self.one(plan, first + seed);
            let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
            summary.add(plan, result, bar);
            match self.minutes {
                Some(_) => bar.set_position(started.elapsed().as_secs()),
                None => bar.inc(1),
            }
            bar.set_message(format!("{} runs, {} failed", summary.runs(), summary.failed()));
        }
    }

    fn one(&self, plan: Plan, seed: u64) -> Result<Report, Box<Failure>> {
        // For as long as the program runs.
        let record = self.record.clone().map(|folder| &*Box::leak(folder.into_boxed_path()));
        let options = Options { trace: self.trace, faults: self.faults, record };
        watched(plan, seed, options).map_err(|failure| match self.faults {
            None => shorter(failure, options),
            Some(_) => failure,
        })
    }
}

/// The same failure with as few faults as were found to be enough.
fn shorter(failure: Box<Failure>, options: Options) -> Box<Failure> {
    let (mut enough, mut too_few) = (failure.report.attempts, 0);
    let mut found = failure;
    while too_few < enough {
        let middle = too_few.midpoint(enough);
        match watched(found.plan, found.seed, Options { faults: Some(middle), record: None, ..options }) {
            Ok(_) => too_few = middle + 1,
            Err(failure) => (enough, found) = (middle, failure),
        }
    }
    found
}

fn on_all_cores(work: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(&work);
        }
    });
}

fn bar(length: u64) -> ProgressBar {
    // The template is constant and right.
    let style = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len} {msg}");
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
