//! Small, fixed pieces of the client's own work on the hot path, for the micro benchmarks and the check of instructions.
//!
//! Behind a feature that users have no use for. Each is the production code alone: no socket, no clock, no other thread.

mod connection;
mod messages;
mod reading;
mod writing;

use crate::message::Message;
use kafka_proto::{Bytes, Str};

/// How many records a batch of these has.
const RECORDS: usize = 1000;
/// Bytes of a record's value.
const VALUE: usize = 100;
/// Timestamps count from here, in ms since the epoch.
const TIME: i64 = 1_700_000_000_000;

/// A piece of work.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// What it is called in tables.
    pub name: &'static str,
    /// What one run handles [`count`](Self::count) of.
    pub unit: &'static str,
    /// How many units one run handles.
    pub count: usize,
    /// Makes it ready; each call of what comes back is one run.
    pub prepare: fn() -> Box<dyn FnMut()>,
}

/// All of them.
pub const ALL: [Workload; 11] = [
    workload("append", "records", RECORDS, writing::append),
    workload("seal", "batches", writing::PARTITIONS, writing::seal),
    workload("dispatch", "responses", connection::RESPONSES, connection::dispatch),
    workload("digest", "partitions", reading::PARTITIONS, reading::digest),
    workload("walk", "records", RECORDS, reading::walk),
    workload("walk, owned", "records", RECORDS, reading::walk_owned),
    workload("encode records", "records", RECORDS, messages::encode_records),
    workload("decode records", "records", RECORDS, messages::decode_records),
    workload("decode records, 1 header", "records", RECORDS, messages::decode_headers),
    workload("encode Metadata", "partitions", messages::PARTITIONS, messages::encode_metadata),
    workload("decode Metadata", "partitions", messages::PARTITIONS, messages::decode_metadata),
];

const fn workload(
    name: &'static str,
    unit: &'static str,
    count: usize,
    prepare: fn() -> Box<dyn FnMut()>,
) -> Workload {
    Workload { name, unit, count, prepare }
}

/// Panics, with the error: a workload that fails measures nothing.
fn sound<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{error:?}"))
}

fn topic() -> Str {
    Str::from_static("orders")
}

/// Messages with keys and values that differ, always the same ones.
fn messages() -> Vec<Message> {
    let mut random = crate::random::Random::new(42);
    let mut text = |len: usize| -> Bytes { (0..len).map(|_| b'0' + random.below(64) as u8).collect() };
    (0..RECORDS)
        .map(|i| {
            let mut message = Message::new(text(VALUE)).key(text(10));
            message.timestamp = Some(TIME + (i / 10) as i64);
            message
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_runs_again_and_again() {
        for workload in super::ALL {
            let mut run = (workload.prepare)();
            (0..3).for_each(|_| run());
        }
    }
}
