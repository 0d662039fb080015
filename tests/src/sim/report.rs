//! What a run did and what it found.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::fault::FaultKind;
use super::plan::Plan;

/// What a run, or many, did.
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
    /// What was tried to make go wrong.
    pub attempts: u64,
    /// Faults by kind.
    pub faults: BTreeMap<FaultKind, u64>,
    /// What happened to requests: an error by API and name, other faults by their kind.
    pub happened: BTreeMap<String, u64>,
    /// Errors that applications saw, by their text.
    pub errors: BTreeMap<String, u64>,
    /// Requests that brokers got, by API.
    pub requests: BTreeMap<&'static str, u64>,
    /// What applications and clients did about it.
    pub reactions: BTreeMap<&'static str, u64>,
    /// The most requests on one connection in one virtual second.
    pub busiest: u64,
    /// The most requests of one client in one virtual second, by API.
    pub most: BTreeMap<&'static str, u64>,
}

impl Report {
    /// Adds what another run did.
    pub fn add(&mut self, other: Report) {
        self.time += other.time;
        self.steps += other.steps;
        self.attempts += other.attempts;
        self.busiest = self.busiest.max(other.busiest);
        for (api, most) in other.most {
            let known = self.most.entry(api).or_default();
            *known = most.max(*known);
        }
        merge(&mut self.faults, other.faults);
        merge(&mut self.happened, other.happened);
        merge(&mut self.errors, other.errors);
        merge(&mut self.requests, other.requests);
        merge(&mut self.reactions, other.reactions);
    }
}

fn merge<K: Ord>(to: &mut BTreeMap<K, u64>, from: BTreeMap<K, u64>) {
    from.into_iter().for_each(|(key, count)| *to.entry(key).or_default() += count);
}

/// A run that broke an invariant.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub struct Failure {
    /// The plan.
    pub plan: Plan,
    /// The seed.
    pub seed: u64,
    /// Only so many faults were tried.
    pub faults: Option<u64>,
    /// What was found.
    pub violations: Vec<String>,
    /// What the run did.
    pub report: Report,
}

impl Failure {
    /// A run that told nothing but this: it did not come to its end.
    #[must_use]
    pub fn without_report(plan: Plan, seed: u64, faults: Option<u64>, violation: String) -> Failure {
        Failure { plan, seed, faults, violations: vec![violation], report: Report::default() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { plan, seed, .. } = self;
        writeln!(f, "plan {plan}, seed {seed}:")?;
        self.violations.iter().try_for_each(|violation| writeln!(f, "  {violation}"))?;
        write!(f, "replay: cargo run --release -p xtask -- sim --plan {plan} --seed {seed}")?;
        self.faults.iter().try_for_each(|faults| write!(f, " --faults {faults}"))?;
        f.write_str(" --trace")
    }
}
