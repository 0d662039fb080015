//! What the client tells `tracing`, behind the feature of that name.
//!
//! All events have the target `kafka`. Names, levels and fields are kept from release to release; what is new is added.
//! Nothing secret is in them: no keys, values, headers or credentials, only names and numbers that brokers log as well.
//! They are rare: none is told a record or a request that went well.
//!
//! A subscriber is code of the application, which may use the client itself. So the machines only keep what they tell;
//! it leaves the client as [`Trace`]s, which are emitted once the client's lock is released.
//!
//! | event | level | fields | when |
//! |---|---|---|---|
//! | `connected` | DEBUG | `broker`, `lane` | a connection is set up |
//! | `connection_lost` | INFO | `broker`, `lane`, `error`, `retry_ms` | one could not be made, or broke; not where the client closed it |
//! | `call_retried` | DEBUG | `api`, `attempt`, `error`, `retry_ms` | a call of the application is to be asked again |
//! | `batch_retried` | DEBUG | `topic`, `partition`, `attempt`, `error`, `retry_ms` | a batch is to be sent again |
//! | `batch_failed` | WARN | `topic`, `partition`, `records`, `fate`, `error` | a batch was given up, and its sends end with the error |
//! | `leader_moved` | INFO | `topic`, `partition`, `leader`, `leader_epoch` | another broker leads a partition, or none (-1) |
//! | `throttled` | INFO | `broker`, `lane`, `ms` | a broker asked for silence |
//! | `assigned` | INFO | `group`, `assignment`, `generation`, `partitions` | a member has so many partitions |
//! | `assigned_more` | INFO | `group`, `assignment`, `partitions` | so many more, whose offsets are known only now |
//! | `revoking` | INFO | `group`, `assignment` | they are to be given up |
//! | `lost` | WARN | `group`, `assignment`, `error` | they were lost |
//! | `join_failed` | WARN | `group`, `error` | a group cannot be joined for the moment |
//! | `group_notice` | WARN | `group`, `error` | a member cannot be given partitions, or a trouble lasts |
//! | `buffer_kept` | WARN | `error` | messages that the application keeps take up a reader's buffer |
//! | `degraded` | WARN | `error` | the brokers are too old for something; once |

#![cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "nobody listens"))]

use crate::error::{ConnectionError, Error, Fate};
use kafka_proto::{ApiKey, Str};
use std::time::Duration;

/// One event, to be emitted outside of all locks.
#[derive(Debug)]
pub struct Trace(Told);

impl Trace {
    pub(crate) fn degraded(error: Error) -> Self {
        Self(Told::Degraded(error))
    }

    /// Gives the event to the subscriber, whose code runs now. Does nothing without the feature `tracing`.
    pub fn emit(self) {
        emit(self.0);
    }
}

/// The events of one machine that were not taken yet. Nothing is kept while there is no subscriber.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    #[cfg(feature = "tracing")]
    told: std::collections::VecDeque<Told>,
}

#[cfg(feature = "tracing")]
impl Traces {
    pub(crate) fn push(&mut self, told: impl FnOnce() -> Told) {
        // The one question that no subscriber is asked for.
        if tracing::level_filters::LevelFilter::current() != tracing::level_filters::LevelFilter::OFF {
            self.told.push_back(told());
        }
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.told.append(&mut other.told);
    }

    pub(crate) fn pop(&mut self) -> Option<Trace> {
        self.told.pop_front().map(Trace)
    }
}

#[cfg(not(feature = "tracing"))]
impl Traces {
    pub(crate) fn push(&mut self, _: impl FnOnce() -> Told) {}

    pub(crate) fn append(&mut self, _: Self) {}

    pub(crate) fn pop(&mut self) -> Option<Trace> {
        None
    }
}

/// What the machines tell.
#[derive(Debug)]
pub(crate) enum Told {
    Connected { broker: String, lane: String },
    ConnectionLost { broker: String, lane: String, error: ConnectionError, retry: Duration },
    CallRetried { api: ApiKey, attempt: u32, error: Error, retry: Duration },
    BatchRetried { topic: Str, partition: i32, attempt: u32, error: Error, retry: Duration },
    BatchFailed { topic: Str, partition: i32, records: u32, fate: Fate, error: Error },
    LeaderMoved { topic: Str, partition: i32, leader: i32, leader_epoch: i32 },
    Throttled { broker: String, lane: String, silence: Duration },
    Group(Str, GroupTold),
    BufferKept(Error),
    Degraded(Error),
}

#[derive(Debug)]
pub(crate) enum GroupTold {
    Assigned { assignment: u32, generation: i32, partitions: usize },
    AssignedMore { assignment: u32, partitions: usize },
    Revoking { assignment: u32 },
    Lost { assignment: u32, error: Error },
    JoinFailed { error: Error },
    Notice { error: Error },
}

/// An event whose name is its message too, since not every subscriber shows names. Nothing at all without the feature.
macro_rules! event {
    ($level:ident, $name:literal, $($fields:tt)*) => {{
        #[cfg(feature = "tracing")]
        tracing::event!(name: $name, target: "kafka", tracing::Level::$level, $($fields)*, $name);
    }};
}

fn emit(told: Told) {
    match told {
        Told::Connected { broker, lane } => event!(DEBUG, "connected", broker, lane),
        Told::ConnectionLost { broker, lane, error, retry } => {
            event!(INFO, "connection_lost", broker, lane, %error, retry_ms = ms(retry));
        }
        Told::CallRetried { api, attempt, error, retry } => {
            event!(DEBUG, "call_retried", api = api.name(), attempt, %error, retry_ms = ms(retry));
        }
        Told::BatchRetried { topic, partition, attempt, error, retry } => {
            let topic: &str = &topic;
            event!(DEBUG, "batch_retried", topic, partition, attempt, %error, retry_ms = ms(retry));
        }
        Told::BatchFailed { topic, partition, records, fate, error } => {
            let topic: &str = &topic;
            event!(WARN, "batch_failed", topic, partition, records, fate = ?fate, %error);
        }
        Told::LeaderMoved { topic, partition, leader, leader_epoch } => {
            let topic: &str = &topic;
            event!(INFO, "leader_moved", topic, partition, leader, leader_epoch);
        }
        Told::Throttled { broker, lane, silence } => {
            event!(INFO, "throttled", broker, lane, ms = ms(silence));
        }
        Told::Group(group, told) => emit_group(&group, told),
        Told::BufferKept(error) => event!(WARN, "buffer_kept", %error),
        Told::Degraded(error) => event!(WARN, "degraded", %error),
    }
}

fn emit_group(group: &str, told: GroupTold) {
    match told {
        GroupTold::Assigned { assignment, generation, partitions } => {
            event!(INFO, "assigned", group, assignment, generation, partitions);
        }
        GroupTold::AssignedMore { assignment, partitions } => {
            event!(INFO, "assigned_more", group, assignment, partitions);
        }
        GroupTold::Revoking { assignment } => event!(INFO, "revoking", group, assignment),
        GroupTold::Lost { assignment, error } => event!(WARN, "lost", group, assignment, %error),
        GroupTold::JoinFailed { error } => event!(WARN, "join_failed", group, %error),
        GroupTold::Notice { error } => event!(WARN, "group_notice", group, %error),
    }
}

#[cfg(feature = "tracing")]
fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(all(test, feature = "tracing"))]
mod tests;
