//! The reader's work: from a fetch response to records.

use super::messages::batch;
use super::{sound, topic};
use crate::reader::{self, Chunk, ReaderConfig, Walk};
use kafka_proto::messages::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
use kafka_proto::{Bytes, Uuid};
use std::hint::black_box;

/// Partitions of the response, a batch each.
pub(super) const PARTITIONS: usize = 100;

/// The headers of the batches of a response are looked at.
pub(super) fn digest() -> Box<dyn FnMut()> {
    let bytes = batch(0);
    let partition = |index| PartitionData {
        partition_index: index,
        high_watermark: 1000,
        records: Some(bytes.clone().into()),
        ..Default::default()
    };
    let response = FetchResponse {
        responses: vec![FetchableTopicResponse {
            topic_id: Uuid([7; 16]),
            partitions: (0..PARTITIONS as i32).map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    Box::new(move || {
        black_box(reader::digest(response.clone()));
    })
}

/// The records of a batch, borrowed, with the checksum.
pub(super) fn walk() -> Box<dyn FnMut()> {
    let bytes = batch(0);
    Box::new(move || {
        let mut walk = new_walk(&bytes);
        let mut seen = 0;
        while let Some(record) = walk.next() {
            let record = sound(record);
            black_box((record.offset(), record.timestamp(), record.key(), record.value()));
            seen += 1;
        }
        assert_eq!(seen, super::RECORDS);
    })
}

/// The same as messages that own slices of the batch.
pub(super) fn walk_owned() -> Box<dyn FnMut()> {
    let bytes = batch(0);
    Box::new(move || {
        let mut walk = new_walk(&bytes);
        let mut seen = 0;
        while let Some(message) = walk.next_record() {
            black_box(sound(message));
            seen += 1;
        }
        assert_eq!(seen, super::RECORDS);
    })
}

fn new_walk(bytes: &Bytes) -> Walk {
    Walk::new(Chunk::of_bytes(&topic(), bytes.clone()), &ReaderConfig::default())
}
