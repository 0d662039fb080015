//! Real Apache Kafka, any release from 0.10.0 to 4.4, on this machine for the length of a test.
//!
//! ```no_run
//! use kafka_testkit::real::RealCluster;
//!
//! # fn main() -> Result<(), kafka_testkit::real::LaunchError> {
//! let cluster = RealCluster::builder().version("4.4.0").brokers(3).start()?;
//! println!("{}", cluster.bootstrap()); // 127.0.0.1:19100,127.0.0.1:19101,127.0.0.1:19102
//! cluster.kill(2)?;
//! cluster.restart(2)?;
//! # Ok(())
//! # } // the cluster goes with its value
//! ```
//!
//! What it needs: Java 17 or newer, and Maven for the jars, once a release (or an unpacked distribution, see
//! [`Builder::home`]). A release's first start also records a class archive; later ones take about a second.
//!
//! Everything lies in one [`Cache`] folder:
//!
//! ```text
//! jars/4.4.0/            what Maven brought
//! ready/4.4.0-.../       formatted log folder (KRaft) and class archive: what makes starts quick
//! run/NAME/cluster       release, mode, brokers and ports of a cluster
//! run/NAME/1/            one process: command, pid, log, server.properties, data
//! ```
//!
//! Invariants:
//! * The files are the truth. A second process sees and steers a cluster by its folder alone; a pid counts only
//!   while the process of that number names the folder on its command line.
//! * A cluster that belongs to a [`RealCluster`] does not outlive it, even if its process is killed: a small
//!   shell waits for the end of a pipe (`reaper`) and ends the brokers.
//! * Each cluster has a block of [`Ports::SIZE`] ports for itself.

mod builder;
mod cache;
mod cluster;
mod config;
mod error;
mod jars;
mod java;
mod launch;
mod node;
mod ports;
mod prepare;
mod probe;
mod reaper;
mod version;

#[cfg(test)]
mod tests;

pub use builder::{Builder, Progress};
pub use cache::{Cache, ClusterInfo, ProcessInfo};
pub use cluster::RealCluster;
pub use error::LaunchError;
pub use ports::Ports;
pub use version::{Mode, Version};
