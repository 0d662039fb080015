//! The client in a simulator: production code of `kafka-core` on a seeded executor with virtual time and network,
//! against the embedded broker.
//!
//! [`Simulation`] is for tests of what applications do: a cluster and a clock around the test's own code. [`run`] has
//! applications, faults and checks of its own.
//!
//! What holds here:
//! * One thread; every choice comes from the seed: whether ready tasks go on in the order of their waking or in any, how long
//!   bytes take, how many of them a read or write takes, what goes wrong and when. The same plan and seed give the same trace,
//!   byte for byte.
//! * Time stands still while any task is ready, and then jumps to the next event.
//! * Nothing here decides what the client decides: applications are written with the handles that users have.

mod altering;
mod asking;
mod chance;
mod chaos;
mod conduct;
mod control;
mod coverage;
mod errors;
mod executor;
mod fault;
mod guise;
mod happening;
mod history;
#[cfg(test)]
mod idle;
mod members;
mod names;
mod network;
mod plan;
mod reading;
mod remaking;
mod report;
mod run;
mod runtime;
mod script;
mod simulation;
mod stage;
mod subscribing;
mod task;
mod trace;
mod watch;
mod writing;

pub use control::{Machine, SimClient};
pub use coverage::lacking;
pub use fault::FaultKind;
pub use plan::{Plan, UnknownPlan};
pub use report::{Failure, Report};
pub use run::{Options, run};
pub use runtime::{SimRuntime, SimStream};
pub use script::Asked;
pub use simulation::{Simulation, SimulationBuilder};
pub use task::Task;
