//! The codec's work.

use super::{RECORDS, messages, sound};
use kafka_proto::messages::metadata::{MetadataResponse, MetadataResponsePartition, MetadataResponseTopic};
use kafka_proto::records::{BatchBuilder, ChunkPool, Header, ProducerStamp, batches};
use kafka_proto::wire::{Decoder, Encoder};
use kafka_proto::{Bytes, Message, Str, Uuid};
use std::hint::black_box;

/// Partitions of the Metadata response, ten a topic.
pub(super) const PARTITIONS: usize = 1000;
/// The response's version.
const VERSION: i16 = 13;

/// A sealed batch, in one piece; each record has so many headers.
pub(super) fn batch(headers: usize) -> Bytes {
    let headers = vec![Header::new("trace-id", "0123456789abcdef"); headers];
    let mut builder = BatchBuilder::new();
    for message in messages() {
        let timestamp = message.timestamp.unwrap_or(super::TIME);
        sound(builder.append(timestamp, message.key.as_deref(), message.value.as_deref(), &headers));
    }
    builder.finish().seal(ProducerStamp::NONE).into_bytes()
}

/// Records are encoded and sealed, in chunks that are used again.
pub(super) fn encode_records() -> Box<dyn FnMut()> {
    let (messages, chunks) = (messages(), ChunkPool::new(1 << 20));
    let expected = batch(0).len();
    Box::new(move || {
        let mut builder = BatchBuilder::with_pool(&chunks).expecting(expected);
        for message in black_box(&messages) {
            let timestamp = message.timestamp.unwrap_or(super::TIME);
            sound(builder.append(timestamp, message.key.as_deref(), message.value.as_deref(), &[]));
        }
        black_box(builder.finish().seal(ProducerStamp::NONE));
    })
}

/// Checksum, and every field of every record.
pub(super) fn decode_records() -> Box<dyn FnMut()> {
    let bytes = batch(0);
    Box::new(move || decode(black_box(&bytes)))
}

/// The same with a header a record.
pub(super) fn decode_headers() -> Box<dyn FnMut()> {
    let bytes = batch(1);
    Box::new(move || decode(black_box(&bytes)))
}

fn decode(bytes: &Bytes) {
    let mut seen = 0;
    for batch in batches(bytes.clone()) {
        let batch = sound(batch);
        sound(batch.verify_crc());
        let mut records = sound(batch.records(1 << 20));
        while let Some(record) = records.next_record() {
            let record = sound(record);
            black_box((record.offset, record.timestamp, record.key, record.value));
            for header in record.headers() {
                black_box(sound(header));
            }
            seen += 1;
        }
    }
    assert_eq!(seen, RECORDS);
}

/// A Metadata response to bytes.
pub(super) fn encode_metadata() -> Box<dyn FnMut()> {
    let response = metadata();
    Box::new(move || {
        black_box(encode(black_box(&response)));
    })
}

/// A Metadata response from bytes.
pub(super) fn decode_metadata() -> Box<dyn FnMut()> {
    let bytes = encode(&metadata());
    Box::new(move || {
        let response = sound(MetadataResponse::decode(&mut Decoder::new(black_box(&bytes)), VERSION));
        assert_eq!(response.topics.len(), PARTITIONS / 10);
    })
}

fn encode(response: &MetadataResponse) -> Bytes {
    let mut out = Encoder::new();
    sound(response.encode(&mut out, VERSION));
    out.into_bytes()
}

fn metadata() -> MetadataResponse {
    let partition = |index: i32| MetadataResponsePartition {
        partition_index: index,
        leader_id: index % 3,
        leader_epoch: 5,
        replica_nodes: [0, 1, 2].into_iter().collect(),
        isr_nodes: [0, 1, 2].into_iter().collect(),
        ..Default::default()
    };
    let topic = |number: usize| MetadataResponseTopic {
        name: Some(Str::from(format!("orders-{number:05}"))),
        topic_id: Uuid([number as u8; 16]),
        partitions: (0..10).map(partition).collect(),
        ..Default::default()
    };
    MetadataResponse { topics: (0..PARTITIONS / 10).map(topic).collect(), ..Default::default() }
}
