//! What all runs did together.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use indicatif::ProgressBar;
use kafka_testkit::sim::{Failure, Plan, Report, lacking};

/// Failures that are told of in full.
const TOLD: u64 = 10;

#[derive(Default)]
pub(super) struct Summary {
    /// Runs and failures by plan.
    plans: BTreeMap<Plan, (u64, u64)>,
    total: Report,
}

impl Summary {
    pub(super) fn runs(&self) -> u64 {
        self.plans.values().map(|(runs, _)| runs).sum()
    }

    pub(super) fn failed(&self) -> u64 {
        self.plans.values().map(|(_, failed)| failed).sum()
    }

    pub(super) fn add(&mut self, plan: Plan, result: Result<Report, Box<Failure>>, bar: &ProgressBar) {
        let told = self.failed() < TOLD;
        let (runs, failed) = self.plans.entry(plan).or_default();
        *runs += 1;
        let report = match result {
            Ok(report) => {
                if !report.trace.is_empty() {
                    bar.suspend(|| println!("{}", report.trace));
                }
                report
            }
            Err(failure) => {
                *failed += 1;
                if told {
                    bar.suspend(|| println!("{}{failure}", failure.report.trace));
                }
                failure.report
            }
        };
        self.total.add(report);
    }

    pub(super) fn print(&self, took: Duration) {
        let (total, took) = (&self.total, took.as_secs_f64());
        let hours = total.time.as_secs_f64() / 3600.0;
        println!("{} runs, {hours:.1} virtual hours in {took:.1} s, {} polls", self.runs(), total.steps);
        let plans =
            self.plans.iter().map(|(plan, (runs, failed))| format!("{plan} {runs} ({failed} failed)"));
        println!("plans: {}", plans.collect::<Vec<_>>().join(", "));
        list("faults", total.faults.iter().map(|(kind, count)| (format!("{kind:?}"), *count)));
        list("what happened to requests", &total.happened);
        list("reactions", &total.reactions);
        list("requests", &total.requests);
        list("errors that applications saw", &total.errors);
        println!("requests on one connection in one virtual second: up to {}", total.busiest);
        list("requests of one client in one virtual second, at most", &total.most);
    }

    /// Fails where a run failed, or where all together saw too little: `all` plans in full.
    pub(super) fn judge(&self, all: bool) -> Result<(), Box<dyn Error>> {
        let seeds = self.plans.values().map(|(runs, _)| *runs).min().unwrap_or(0);
        let lacking = if all { lacking(&self.total, seeds) } else { Vec::new() };
        lacking.iter().for_each(|lack| println!("too little: {lack}"));
        match (self.failed(), lacking.len()) {
            (0, 0) => Ok(()),
            (0, lacking) => Err(format!("{lacking} things came up too seldom").into()),
            (failed, _) => Err(format!("{failed} of {} runs failed", self.runs()).into()),
        }
    }
}

fn list<K: ToString, V: Debug>(what: &str, counts: impl IntoIterator<Item = (K, V)>) {
    let counts = counts.into_iter().map(|(key, count)| format!("{} {count:?}", key.to_string()));
    println!("{what}: {}", counts.collect::<Vec<_>>().join(", "));
}
