//! Consumer groups: the membership machine, commits, and how partitions are shared out.
//!
//! [`Membership`] is one member of a group by the classic protocol, pure: it asks through the client
//! ([`Ask`](crate::machine::Ask)) and reports with [`GroupEvent`]s. [`assignor`] holds what a leader computes, [`subscription`]
//! the bytes in which members and leader talk to each other.

pub mod assignor;
mod commits;
mod config;
mod event;
mod membership;
mod retry;
pub mod subscription;

pub use assignor::Assignor;
pub(crate) use assignor::{Range, RoundRobin};
pub use config::GroupConfig;
pub(crate) use event::{CommitOffset, CommittedOffset, GroupEvent};
pub(crate) use membership::{AssignorAnswer, AssignorCall, Membership};
