//! `xtask sim`: the client in the simulator, many seeds on all cores.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use kafka_testkit::sim::{Failure, Plan, Report, run};

/// Failures that are told of in full.
const TOLD: usize = 10;

/// Run the client against the embedded cluster in virtual time; every choice comes from the seed.
#[derive(Debug, Args)]
pub(crate) struct Sim {
    /// How many seeds of each plan
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// The first seed. Default: 0; with --minutes one that was never run
    #[arg(long)]
    seed: Option<u64>,
    /// One plan: calm, flaky, rolling_restart, rebalance, slow_consumer. Default: all
    #[arg(long)]
    plan: Option<Plan>,
    /// Go on with more seeds for so many minutes
    #[arg(long, conflicts_with = "seeds")]
    minutes: Option<u64>,
    /// Print the time line of each run
    #[arg(long)]
    trace: bool,
}

/// What all runs did together.
#[derive(Default)]
struct Summary {
    runs: u64,
    failures: Vec<Failure>,
    total: Report,
}

impl Sim {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let started = Instant::now();
        let first = self.first_seed();
        println!("seeds from {first}");
        let bar = self.bar();
        let summary = Mutex::new(Summary::default());
        let next = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(|| self.work((started, first), &next, &summary, &bar));
            }
        });
        bar.finish_and_clear();
        let summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
        summary.print(started.elapsed());
        match summary.failures.len() {
            0 => Ok(()),
            failed => Err(format!("{failed} of {} runs failed", summary.runs).into()),
        }
    }

    fn first_seed(&self) -> u64 {
        let fresh = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() << 20;
        self.seed.unwrap_or_else(|| if self.minutes.is_some() { fresh() } else { 0 })
    }

    fn plans(&self) -> Vec<Plan> {
        self.plan.map_or_else(|| Plan::ALL.to_vec(), |plan| vec![plan])
    }

    fn bar(&self) -> ProgressBar {
        let bar = match self.minutes {
            Some(minutes) => ProgressBar::new(minutes * 60),
            None => ProgressBar::new(self.seeds * self.plans().len() as u64),
        };
        // The template is constant and right.
        let style = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len} {msg}");
        bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
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
                None => seed >= self.seeds,
            };
            if over {
                return;
            }
            let result = run(plan, first + seed, self.trace);
            let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
            summary.add(result, bar);
            match self.minutes {
                Some(_) => bar.set_position(started.elapsed().as_secs()),
                None => bar.inc(1),
            }
            bar.set_message(format!("{} runs, {} failed", summary.runs, summary.failures.len()));
        }
    }
}

impl Summary {
    fn add(&mut self, result: Result<Report, Box<Failure>>, bar: &ProgressBar) {
        self.runs += 1;
        let report = match result {
            Ok(report) => report,
            Err(failure) => {
                if self.failures.len() < TOLD {
                    bar.suspend(|| println!("{}{failure}", failure.report.trace));
                }
                let report = failure.report.clone();
                self.failures.push(*failure);
                return self.count(report);
            }
        };
        if !report.trace.is_empty() {
            bar.suspend(|| println!("{}", report.trace));
        }
        self.count(report);
    }

    fn count(&mut self, report: Report) {
        let total = &mut self.total;
        total.time += report.time;
        total.steps += report.steps;
        add(&mut total.faults, report.faults);
        add(&mut total.errors, report.errors);
        add(&mut total.requests, report.requests);
        total.written += report.written;
        total.read += report.read;
        total.assignments += report.assignments;
        total.commits += report.commits;
        total.dropped += report.dropped;
        total.retries += report.retries;
        total.epoch_bumps += report.epoch_bumps;
    }

    fn print(&self, took: Duration) {
        let total = &self.total;
        println!(
            "{} runs, {:.1} virtual hours in {:.1} s, {} polls",
            self.runs,
            total.time.as_secs_f64() / 3600.0,
            took.as_secs_f64(),
            total.steps
        );
        println!(
            "written {}, read {}, assignments {}, commits {}, dropped futures {}, retries {}, epoch bumps {}",
            total.written,
            total.read,
            total.assignments,
            total.commits,
            total.dropped,
            total.retries,
            total.epoch_bumps
        );
        println!("faults: {:?}\nrequests: {:?}", total.faults, total.requests);
        println!("errors that applications saw: {:?}", total.errors);
    }
}

fn add<K: Ord>(to: &mut BTreeMap<K, u64>, from: BTreeMap<K, u64>) {
    from.into_iter().for_each(|(key, count)| *to.entry(key).or_default() += count);
}
