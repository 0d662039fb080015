//! Reading: from fetch responses to records, with positions that are always right.
//!
//! Two sides. The [`ReaderMachine`] is under the client's lock: which partitions are asked for, of which brokers, from where on, and
//! what has come. A [`Walk`] is with the application, outside of the lock: it checks, decompresses and cuts up what was taken.
//! Between them goes a [`Chunk`], one partition's share of one answer, unread.
//!
//! The machine consists of parts, each of which keeps its own state and knows nothing of the machine:
//!
//! | file | owns |
//! |---|---|
//! | `partitions` | what is assigned: partitions by number and by name, topics and their ids, what waits for a leader |
//! | `brokers` | the brokers, the partitions at each, their fetch sessions and fetches under way, the lanes |
//! | `questions` | what is asked by ListOffsets and OffsetForLeaderEpoch |
//! | `deliveries` | what the application is to be given, its walk, what is to be dropped |
//! | `room`, `budget` | the bytes that may be held |
//! | `timers` | waits before something is tried again, and other times |
//! | `hints` | what is to be said about metadata |
//! | `cursor` | one partition: its place (`position`), who serves it (`source`), what is queued of it (`queue`) |
//!
//! The machine asks them and carries results from one to another:
//!
//! | file | does |
//! |---|---|
//! | `machine` | assignment, seeking, pausing, taking |
//! | `update` | what follows from a change; timers that are due |
//! | `placing` | leaders and replicas |
//! | `offsets` | ListOffsets, OffsetForLeaderEpoch |
//! | `fetching`, `pressure` | fetch requests, and what happens where there is no room for their answers |
//! | `answers`, `trouble` | the answers of fetches, errors |
//!
//! The rest: `config` has the settings, `exchange` is a fetch as a link carries it out, `fetched` digests an answer in the
//! connection's task, `chunk` is what goes to the application, `delivery` how it walks through it.

mod answers;
mod brokers;
mod budget;
mod check;
mod chunk;
mod config;
mod cursor;
mod deliveries;
mod delivery;
mod exchange;
mod fetched;
mod fetching;
mod hints;
mod machine;
mod offsets;
mod partitions;
mod placing;
mod position;
mod pressure;
mod questions;
mod queue;
mod room;
mod source;
#[cfg(test)]
mod tests;
mod timers;
mod trouble;
mod update;

pub(crate) use budget::Budget;
#[cfg(test)]
pub(crate) use budget::Reservation;
pub use chunk::Chunk;
pub use config::{Isolation, ReaderConfig, Reset};
pub use delivery::{RecordView, Walk};
pub(crate) use exchange::Fetch;
pub(crate) use fetched::Fetched;
#[cfg(any(test, feature = "workloads"))]
pub(crate) use fetched::digest;
#[cfg(test)]
pub(crate) use fetching::FetchPlan;
pub use machine::Start;
pub(crate) use machine::{Item, ReaderMachine};
