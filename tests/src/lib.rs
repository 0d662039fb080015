//! An embedded Kafka broker and test tools.

#![forbid(unsafe_code)]

pub mod broker;
mod cluster_handle;
pub mod fuzz;
#[cfg(feature = "quickstart")]
pub mod quickstart;
pub mod real;
mod serve;
pub mod sim;

pub use cluster_handle::{Cluster, ClusterBuilder, StartError};

/// The programs of the README compile, and those that need no broker run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
