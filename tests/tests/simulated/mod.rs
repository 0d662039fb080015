//! What both suites of scenarios begin with: times, and a cluster of three.

use kafka_testkit::sim::{Simulation, SimulationBuilder};
use std::time::Duration;

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Three nodes and the topic `t`.
pub(crate) fn three_nodes(partitions: i32) -> SimulationBuilder {
    Simulation::builder().nodes(3).topic("t", partitions)
}
