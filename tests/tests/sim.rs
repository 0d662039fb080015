//! The client in the simulator: the same seed gives the same run, and seeds of each plan find nothing.
//! More of them: `cargo run --release -p xtask -- sim`.

use std::env;
use std::process::Command;

use kafka_testkit::sim::{Options, Plan, run};

/// Of each plan; without optimisation each takes ten times as long.
const SEEDS: u64 = if cfg!(debug_assertions) { 8 } else { 200 };
/// Set in a process that was started to tell its hashes.
const CHILD: &str = "KAFKA_SIM_TELLS_HASHES";

fn seeds(plan: Plan) {
    for seed in 0..SEEDS {
        if let Err(failure) = run(plan, seed, Options::default()) {
            panic!("{failure}");
        }
    }
}

fn hash(plan: Plan, seed: u64) -> u64 {
    run(plan, seed, Options::default()).unwrap_or_else(|failure| panic!("{failure}")).hash
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let traced = Options { trace: true, ..Options::default() };
    for plan in [Plan::Calm, Plan::Flaky] {
        let [first, second, other] =
            [7, 7, 8].map(|seed| run(plan, seed, traced).unwrap_or_else(|f| panic!("{f}")));
        let differs = first.trace.lines().zip(second.trace.lines()).find(|(one, two)| one != two);
        assert_eq!(differs, None, "{plan}");
        assert!(first.trace == second.trace && first.hash == second.hash, "{plan}");
        assert_ne!(first.hash, other.hash, "{plan}");
        assert_eq!(first.hash, hash(plan, 7), "keeping the text changes nothing");
    }
}

/// Other addresses, another environment, other threads: the time lines are the same, as told by their hashes.
#[test]
fn the_same_seed_gives_the_same_run_in_another_process() {
    let hashes: Vec<String> =
        Plan::ALL.iter().map(|plan| format!("{plan} {:016x}", hash(*plan, 3))).collect();
    if env::var_os(CHILD).is_some() {
        return println!("hashes: {}", hashes.join(", "));
    }
    let own = env::current_exe().unwrap();
    let name = "the_same_seed_gives_the_same_run_in_another_process";
    let output = Command::new(own)
        .args(["--exact", name, "--nocapture", "--test-threads", "1"])
        .env_clear()
        .env(CHILD, "x".repeat(5000))
        .env("LANG", "tr_TR.UTF-8")
        .env("TZ", "Asia/Kathmandu")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains(&format!("hashes: {}", hashes.join(", "))), "{told}\nhere: {hashes:?}");
}

/// Seeds that once found something. What they do changes with the client, so each has a test of its own beside them where what
/// it found can be said in one.
#[test]
fn seeds_that_found_something() {
    let found = [
        // A record that became ready while its idle connection closed waited for the next one; a machine was suspended for
        // longer than faults last.
        (Plan::Rebalance, &[302, 698, 1995, 5_000_195][..]),
        // A broker that converts for old consumers gave the same beginning of a batch for ever, or cut off a message that is
        // larger than its compressed batch; five requests were in flight to a leader that knows no sequences.
        (Plan::Upgrade, &[416, 1670, 5_000_056]),
        // A batch that a leader had appended was split when the next attempt was told that it is too large.
        (Plan::RollingRestart, &[9_000_312]),
        // A commit that its member had given up arrived after the member had begun again.
        (Plan::SlowConsumer, &[9096]),
    ];
    for (plan, seeds) in found {
        for seed in seeds {
            run(plan, *seed, Options::default()).unwrap_or_else(|failure| panic!("{failure}"));
        }
    }
}

#[test]
fn calm() {
    seeds(Plan::Calm);
}

#[test]
fn flaky() {
    seeds(Plan::Flaky);
}

#[test]
fn rolling_restart() {
    seeds(Plan::RollingRestart);
}

#[test]
fn rebalance() {
    seeds(Plan::Rebalance);
}

#[test]
fn slow_consumer() {
    seeds(Plan::SlowConsumer);
}

#[test]
fn bulk() {
    seeds(Plan::Bulk);
}

#[test]
fn old_brokers() {
    seeds(Plan::OldBrokers);
}

#[test]
fn upgrade() {
    seeds(Plan::Upgrade);
}

#[test]
fn outdated() {
    seeds(Plan::Outdated);
}

#[test]
fn unclean() {
    seeds(Plan::Unclean);
}

#[test]
fn suspended() {
    seeds(Plan::Suspended);
}

#[test]
fn keeping() {
    seeds(Plan::Keeping);
}

#[test]
fn remade() {
    seeds(Plan::Remade);
}
