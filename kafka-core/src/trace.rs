//! What the client tells `tracing`, behind the feature of that name.
//!
//! All events have the target `kafka`. Names, levels and fields are kept from release to release; what is new is added.
//! Nothing secret is in them: no keys, values, headers or credentials, only names and numbers that brokers log as well.
//! They are rare: none is told a record or a request that went well.
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
//! | `degraded` | WARN | `error` | the brokers are too old for something; once |

#![cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "nobody listens"))]

use crate::client::cluster::Topic;
use crate::client::machine::Lane;
use crate::error::{ConnectionError, Error};
use crate::group::GroupEvent;
use crate::writer::Fate;
use kafka_proto::ApiKey;
use std::time::Duration;

/// An event whose name is its message too, since not every subscriber shows names. Nothing at all without the feature.
macro_rules! event {
    ($level:ident, $name:literal, $($fields:tt)*) => {
        #[cfg(feature = "tracing")]
        tracing::event!(name: $name, target: "kafka", tracing::Level::$level, $($fields)*, $name);
    };
}

pub(crate) fn connected(broker: &str, lane: Lane) {
    event!(DEBUG, "connected", broker, lane = ?lane);
}

pub(crate) fn connection_lost(broker: &str, lane: Lane, error: &ConnectionError, retry: Duration) {
    event!(INFO, "connection_lost", broker, lane = ?lane, %error, retry_ms = ms(retry));
}

pub(crate) fn call_retried(api: ApiKey, attempt: u32, error: &Error, retry: Duration) {
    event!(DEBUG, "call_retried", api = api.name(), attempt, %error, retry_ms = ms(retry));
}

pub(crate) fn batch_retried(topic: &str, partition: i32, attempt: u32, error: &Error, retry: Duration) {
    event!(DEBUG, "batch_retried", topic, partition, attempt, %error, retry_ms = ms(retry));
}

pub(crate) fn batch_failed(topic: &str, partition: i32, records: u32, fate: Fate, error: &Error) {
    event!(WARN, "batch_failed", topic, partition, records, fate = ?fate, %error);
}

/// Of each partition whose leader or its epoch is another than before; `old` is the topic before, if it was known.
pub(crate) fn leaders(old: Option<&Topic>, new: &Topic) {
    if !cfg!(feature = "tracing") {
        return;
    }
    for (index, partition) in (0..).zip(&new.partitions) {
        let before = old.and_then(|old| old.partitions.get(index));
        let moved =
            before.is_some_and(|b| (b.leader, b.leader_epoch) != (partition.leader, partition.leader_epoch));
        if moved {
            leader_moved(&new.name, index as i32, partition.leader.unwrap_or(-1), partition.leader_epoch);
        }
    }
}

pub(crate) fn leader_moved(topic: &str, partition: i32, leader: i32, leader_epoch: i32) {
    event!(INFO, "leader_moved", topic, partition, leader, leader_epoch);
}

pub(crate) fn throttled(broker: &str, lane: Lane, silence: Duration) {
    event!(INFO, "throttled", broker, lane = ?lane, ms = ms(silence));
}

pub(crate) fn group(group: &str, event: &GroupEvent) {
    match event {
        GroupEvent::Assigned { assignment, generation, partitions } => {
            event!(INFO, "assigned", group, assignment, generation, partitions = partitions.len());
        }
        GroupEvent::AssignedMore { assignment, partitions } => {
            event!(INFO, "assigned_more", group, assignment, partitions = partitions.len());
        }
        GroupEvent::Revoking { assignment, .. } => {
            event!(INFO, "revoking", group, assignment);
        }
        GroupEvent::Lost { assignment, error } => {
            event!(WARN, "lost", group, assignment, %error);
        }
        GroupEvent::Failed(error) => {
            event!(WARN, "join_failed", group, %error);
        }
        GroupEvent::Notice(error) => {
            event!(WARN, "group_notice", group, %error);
        }
        GroupEvent::Committed { .. } | GroupEvent::Left => {}
    }
}

pub(crate) fn degraded(error: &Error) {
    event!(WARN, "degraded", %error);
}

#[cfg(feature = "tracing")]
fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(all(test, feature = "tracing"))]
mod tests;
