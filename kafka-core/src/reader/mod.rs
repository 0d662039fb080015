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
mod broker;
mod budget;
mod check;
mod config;
mod cursor;
mod delivery;
mod fetched;
mod fetching;
mod machine;
mod offsets;
mod placing;
mod pressure;
mod promptness;
mod session;
#[cfg(test)]
mod tests;
mod trouble;
mod update;

pub use budget::{Budget, Reservation};
pub use config::{Isolation, ReaderConfig, Reset};
pub use delivery::{Chunk, RecordView, Walk};
pub use fetched::{Fetched, digest};
#[cfg(test)]
pub use fetching::FetchPlan;
pub use machine::{Item, ReaderMachine, Start};
