//! What an application does to its writer.

use super::accumulator::TopicSlots;
use super::batch::Tickets;
use super::machine::Writing;
use super::producer::ProducerStats;
use crate::error::Error;
use crate::machine::commands;
use kafka_proto::Str;
use std::sync::Arc;

/// Looks whether a topic is known, and does not wait.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct LookFor(pub(crate) Str);

/// Returns the slots of a topic whose snapshot is known.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Slots(pub(crate) Str);

/// A record was appended, and opened or filled a batch.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Appended {
    pub(crate) index: usize,
    pub(crate) opened: bool,
}

/// A caller waits for the writer's memory.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Pressure;

/// Sends everything written so far. Returns what has to be waited for.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Flush;

/// Takes no more messages, and sends what it took. Returns what has to be waited for.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct CloseInput;

/// Returns the counters.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct GetStats;

/// Gives up what is not delivered, with this error.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Close(pub(crate) Error);

/// The last handle was dropped.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Orphan;

commands! {
    Writing, all as COMMANDS;
    LookFor -> (): |command, writing, cx| writing.look_for(cx.now.time, command.0);
    Slots -> Option<Arc<TopicSlots>>: |command, writing, cx| writing.slots(cx, &command.0);
    Appended -> (): |command, writing, cx| {
        if let Some(producer) = writing.producer_mut() {
            producer.appended(cx.now, command.index, command.opened);
        }
    };
    Pressure -> (): |_command, writing, cx| {
        if let Some(producer) = writing.producer_mut() {
            producer.pressure(cx.now);
        }
    };
    Flush -> Vec<Arc<Tickets>>: |_command, writing, cx| writing.flush(cx.now);
    CloseInput -> Vec<Arc<Tickets>>: |_command, writing, cx| {
        writing.close_input();
        writing.flush(cx.now)
    };
    GetStats -> ProducerStats: |_command, writing, _cx| writing.stats().clone();
    Close -> (): |command, writing, _cx| writing.close(&command.0);
    Orphan -> (): |_command, writing, cx| writing.orphan(cx.now);
}
