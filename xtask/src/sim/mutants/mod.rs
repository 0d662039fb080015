//! `xtask sim --mutants`: bugs are planted in the client, and the simulator has to find each.
//!
//! The sources have no bug in them: this plants all of the [`list`] in a copy of the workspace, each asleep, and builds an xtask of it.
//! That one wakes one bug after the other.

mod list;
#[cfg(not(mutants))]
mod planting;

use std::error::Error;

use kafka_testkit::sim::Plan;

#[cfg(not(mutants))]
pub(super) fn run(
    (first, seeds): (u64, u64),
    plans: &[Plan],
    only: Option<&str>,
) -> Result<(), Box<dyn Error>> {
    let mut cargo = planting::build()?;
    cargo.args(["sim", "--mutants", "--seed", &first.to_string(), "--seeds", &seeds.to_string()]);
    if let [plan] = plans {
        cargo.args(["--plan", plan.name()]);
    }
    cargo.args(only.iter().flat_map(|only| ["--mutant", only]));
    if cargo.status()?.success() { Ok(()) } else { Err("not all mutants were found".into()) }
}

#[cfg(mutants)]
pub(super) fn run(
    (first, seeds): (u64, u64),
    plans: &[Plan],
    only: Option<&str>,
) -> Result<(), Box<dyn Error>> {
    // A panic of a mutant is a find, not news.
    std::panic::set_hook(Box::new(|_| {}));
    println!("each seed is run with one of {} plans, in turn", plans.len());
    println!("\n| planted | what it does | seeds | plan | found by |\n|---|---|---|---|---|");
    let mut missed = Vec::new();
    for list::Bug { name, does, .. } in
        list::BUGS.iter().filter(|bug| only.is_none_or(|only| only == bug.name))
    {
        match hunt_true(name, (first, seeds), plans) {
            Some((number, failure)) => {
                let found = failure.violations.first().map(String::as_str).unwrap_or_default();
                let found: String = found.chars().take(110).collect();
                println!("| {name} | {does} | {} | {} | {found} |", number + 1, failure.plan);
            }
            None => {
                println!("| {name} | {does} | not within {seeds} | | |");
                missed.push(*name);
            }
        }
    }
    if missed.is_empty() { Ok(()) } else { Err(format!("not found: {}", missed.join(", ")).into()) }
}

/// As [`hunt`], but what fails without the bug as well is no find.
#[cfg(mutants)]
fn hunt_true(
    name: &'static str,
    (first, seeds): (u64, u64),
    plans: &[Plan],
) -> Option<(u64, kafka_testkit::sim::Failure)> {
    let mut begin = 0;
    loop {
        kafka_core::mutants::plant(Some(name));
        let (number, failure) = hunt(first, begin..seeds, plans)?;
        kafka_core::mutants::plant(None);
        let Err(real) = super::watched(failure.plan, failure.seed, Default::default()) else {
            return Some((number, failure));
        };
        println!("not planted: plan {}, seed {}: {:?}", real.plan, real.seed, real.violations);
        begin = number + 1;
    }
}

/// The first of the seeds that fails, and how.
#[cfg(mutants)]
fn hunt(
    first: u64,
    seeds: std::ops::Range<u64>,
    plans: &[Plan],
) -> Option<(u64, kafka_testkit::sim::Failure)> {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Mutex, PoisonError};

    use kafka_testkit::sim::{Failure, Options};

    let (next, end) = (AtomicU64::new(seeds.start), AtomicU64::new(seeds.end));
    let found: Mutex<Option<(u64, Failure)>> = Mutex::default();
    super::on_all_cores(|| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= end.load(Ordering::Relaxed) {
                return;
            }
            let plan = plans[(number % plans.len() as u64) as usize];
            let Err(failure) = super::watched(plan, first + number, Options::default()) else { continue };
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            if found.as_ref().is_none_or(|(least, _)| number < *least) {
                *found = Some((number, *failure));
            }
            end.fetch_min(number, Ordering::Relaxed);
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}
