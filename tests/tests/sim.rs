//! The client in the simulator: the same seed gives the same run, and some seeds of each plan.
//! More of them: `cargo run --release -p xtask -- sim`.

use kafka_testkit::sim::{Options, Plan, run};

fn runs(plan: Plan, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        if let Err(failure) = run(plan, seed, Options::default()) {
            panic!("{failure}");
        }
    }
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
    }
}

#[test]
fn calm() {
    runs(Plan::Calm, 0..4);
}

#[test]
fn flaky() {
    runs(Plan::Flaky, 0..2);
}

#[test]
fn rolling_restart() {
    runs(Plan::RollingRestart, 0..2);
}

#[test]
fn rebalance() {
    runs(Plan::Rebalance, 0..2);
}

#[test]
fn old_brokers() {
    runs(Plan::OldBrokers, 0..2);
}

#[test]
fn slow_consumer() {
    runs(Plan::SlowConsumer, 0..2);
}
