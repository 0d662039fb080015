//! Writing: records gather in batches, batches go to the leaders of their partitions, tickets tell what became of them.

mod accumulator;
mod balancer;
mod batch;
mod brokers;
mod check;
mod commands;
mod config;
mod effects;
mod encode;
mod failures;
mod identity;
#[cfg(all(test, shuttle))]
mod interleavings;
mod limit;
mod machine;
mod memory;
mod outcomes;
mod partition;
mod pending;
mod placement;
mod producer;
mod producer_id;
mod queue;
#[cfg(feature = "record")]
mod recorded;
mod sent;
mod sequences;
mod split;
mod table;
mod timers;
mod timing;
mod topics;
mod tried;
mod verdict;
mod work;

pub(crate) use crate::error::Fate;
pub use balancer::{Balancer, JavaDefault, Manual, Partitions, RoundRobin, murmur2, murmur2_partition};
pub use batch::{Delivered, Delivery, SendError};
pub use config::{Acks, Idempotence, WriterConfig};
pub use producer::ProducerStats;

pub(crate) use accumulator::{Accumulator, Clock, Placed, Refused, Slot, TopicSlots, Waited};
#[cfg(any(all(test, shuttle), feature = "workloads"))]
pub(crate) use batch::Batch;
pub(crate) use batch::{Outcome, Tickets};
#[cfg(feature = "record")]
pub(crate) use commands::COMMANDS;
pub(crate) use commands::{Appended, Close, CloseInput, Flush, GetStats, LookFor, Orphan, Pressure, Slots};
#[cfg(feature = "workloads")]
pub(crate) use encode::{Produce, ProduceBatch};
pub(crate) use machine::Writing;
pub(crate) use memory::{Charge, Ticket};

#[cfg(test)]
mod tests;
