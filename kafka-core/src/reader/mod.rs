//! Reading: from fetch responses to records, with positions that are always right.
//!
//! Two sides. The [`ReaderMachine`] is under the client's lock: which partitions are asked for, of whom, from where on, and what
//! has come. A [`Walk`] is with the application, outside of the lock: it checks, decompresses and cuts up what was taken.
//! Between them goes a [`Chunk`], one partition's share of one answer, unread.
//!
//! | file | owns |
//! |---|---|
//! | `config` | settings |
//! | `budget` | the bytes that may be held |
//! | `pressure` | room for answers, and what happens without |
//! | `machine` | assignment, seeking, pausing, taking |
//! | `update` | what follows from a change; timers |
//! | `cursor`, `broker`, `session` | a partition, a broker, a fetch session |
//! | `placing` | leaders and replicas |
//! | `offsets` | ListOffsets, OffsetForLeaderEpoch |
//! | `fetching`, `answers`, `trouble` | fetch requests, their answers, errors |
//! | `fetched` | digesting an answer, in the connection's task |
//! | `delivery` | chunks and walks |

mod answers;
mod brokers;
mod budget;
mod check;
mod chunk;
mod config;
mod cursor;
mod deliveries;
mod delivery;
mod fetched;
mod fetching;
mod hints;
mod machine;
mod offsets;
mod partitions;
mod placing;
mod pressure;
mod questions;
mod queue;
mod room;
#[cfg(test)]
mod tests;
mod timers;
mod trouble;
mod update;

pub use budget::{Budget, Reservation};
pub use chunk::Chunk;
pub use config::{Isolation, ReaderConfig, Reset};
pub use delivery::{RecordView, Walk};
pub use fetched::{Fetched, digest};
pub use fetching::FetchPlan;
pub use machine::{Item, ReaderMachine, Start};
