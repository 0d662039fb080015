//! Bytes that Apache Kafka's own classes wrote (4.4.0; message sets by 3.9.1), against the values they stand for.

use std::io::Read;

use kafka_proto::Bytes;
use kafka_proto::records::{
    Batch, BatchBody, BatchBuilder, BatchHeader, Compression, ControlType, Header, ProducerStamp, Record,
    RecordsError, TimestampType, batches,
};
use kafka_proto::wire::Records;
use serde_json::Value;

use crate::CAP;

const MAGIC: [&[&[u8]]; 3] = [
    &[include_bytes!("../vectors/records/magic0.jsonl.gz")],
    &[include_bytes!("../vectors/records/magic1.jsonl.gz")],
    &[
        include_bytes!("../vectors/records/magic2.jsonl.gz"),
        include_bytes!("../vectors/edges/batches.jsonl.gz"),
    ],
];
const CRC32C: &[u8] = include_bytes!("../vectors/records/crc32c.jsonl.gz");

fn lines(packed: &[u8]) -> Vec<Value> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn hex(value: &Value) -> Bytes {
    let text = value.as_str().unwrap();
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// Every vector of a format, with its name for messages of failed tests.
fn cases(magic: usize) -> Vec<(String, Value, Bytes)> {
    let name = |line: &Value| format!("magic {magic} {} {}", line["case"], line["codec"]);
    let lines = MAGIC[magic].iter().flat_map(|packed| lines(packed));
    lines.map(|line| (name(&line), line.clone(), hex(&line["hex"]))).collect()
}

fn all_cases() -> impl Iterator<Item = (String, Value, Bytes)> {
    (0..3).flat_map(cases)
}

#[test]
fn every_field_and_record_is_read() {
    let mut count = 0;
    for (name, line, bytes) in all_cases() {
        let mut read = batches(bytes);
        for (i, expected) in line["batches"].as_array().unwrap().iter().enumerate() {
            let batch = read.next().unwrap_or_else(|| panic!("{name}: batch {i} is missing")).unwrap();
            check_batch(&format!("{name} batch {i}"), &batch, expected);
        }
        assert!(read.next().is_none(), "{name}: a batch too many");
        assert_eq!(read.trailing_bytes() as u64, line["trailingBytes"].as_u64().unwrap(), "{name}");
        count += 1;
    }
    assert_eq!(count, 133);
}

fn check_batch(name: &str, batch: &Batch, expected: &Value) {
    for (field, value) in batch_fields(batch) {
        // In a wrapper of formats 0 and 1 only the records know the first offset.
        let told = field != "baseOffset" || batch.magic() == 2 || batch.compression() == Compression::None;
        if let Some(expected) = expected.get(field).filter(|_| told) {
            assert_eq!(&value, expected, "{name} {field}");
        }
    }
    assert_eq!(batch.verify_crc().is_ok(), expected["crcValid"].as_bool().unwrap(), "{name}");
    if let Some(records) = expected["records"].as_array() {
        check_records(name, batch, records);
    }
    let wrapper = batch.magic() < 2 && batch.compression() != Compression::None;
    if wrapper && !expected["records"].is_null() {
        let first = batch.records(CAP).unwrap().next_record().unwrap().unwrap().offset;
        assert_eq!(Value::from(first), expected["baseOffset"], "{name}");
    }
}

/// The fields under the names that the vectors give them.
fn batch_fields(batch: &Batch) -> Vec<(&'static str, Value)> {
    let timestamp_type = match batch.timestamp_type() {
        TimestampType::NoTimestamp => "NoTimestampType",
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    };
    vec![
        ("magic", batch.magic().into()),
        ("sizeInBytes", batch.size_in_bytes().into()),
        ("codec", batch.compression().name().into()),
        ("crc", batch.crc().into()),
        ("timestampType", timestamp_type.into()),
        ("baseOffset", batch.base_offset().into()),
        ("lastOffset", batch.last_offset().into()),
        ("baseTimestamp", batch.base_timestamp().into()),
        ("maxTimestamp", batch.max_timestamp().into()),
        ("recordCount", batch.record_count().into()),
        ("partitionLeaderEpoch", batch.partition_leader_epoch().into()),
        ("producerId", batch.producer_id().into()),
        ("producerEpoch", batch.producer_epoch().into()),
        ("baseSequence", batch.base_sequence().into()),
        ("lastSequence", batch.last_sequence().into()),
        ("isTransactional", batch.is_transactional().into()),
        ("isControl", batch.is_control().into()),
        ("deleteHorizonMs", batch.delete_horizon_ms().into()),
    ]
}

fn check_records(name: &str, batch: &Batch, expected: &[Value]) {
    let mut records = batch.records(CAP).unwrap();
    for (i, expected) in expected.iter().enumerate() {
        let record =
            records.next_record().unwrap_or_else(|| panic!("{name}: record {i} is missing")).unwrap();
        check_record(&format!("{name} record {i}"), &record, expected);
    }
    assert!(records.next_record().is_none(), "{name}: a record too many");
    assert_eq!(records.remaining_bytes(), 0, "{name}");
}

fn check_record(name: &str, record: &Record<'_>, expected: &Value) {
    assert_eq!(Value::from(record.offset), expected["offset"], "{name}");
    assert_eq!(Value::from(record.timestamp), expected["timestamp"], "{name}");
    assert_eq!(record.key_bytes(), optional_hex(&expected["keyHex"]), "{name}");
    assert_eq!(record.value_bytes(), optional_hex(&expected["valueHex"]), "{name}");
    assert_eq!(record.key.map(<[u8]>::len), record.key_bytes().map(|key| key.len()), "{name}");
    assert_eq!(Value::from(record.sequence), expected["sequence"], "{name}");
    assert_eq!(Value::from(record.control_type().map(control_name)), expected["controlType"], "{name}");
    let none = Vec::new();
    assert_eq!(headers_of(record), headers_in(expected["headers"].as_array().unwrap_or(&none)), "{name}");
    assert_eq!(record.headers().len(), headers_of(record).len(), "{name}");
}

fn optional_hex(value: &Value) -> Option<Bytes> {
    (!value.is_null()).then(|| hex(value))
}

fn control_name(control: ControlType) -> &'static str {
    match control {
        ControlType::Abort => "ABORT",
        ControlType::Commit => "COMMIT",
        ControlType::LeaderChange => "LEADER_CHANGE",
        ControlType::SnapshotHeader => "SNAPSHOT_HEADER",
        ControlType::SnapshotFooter => "SNAPSHOT_FOOTER",
        ControlType::KRaftVersion => "KRAFT_VERSION",
        ControlType::KRaftVoters => "KRAFT_VOTERS",
        _ => "UNKNOWN",
    }
}

fn headers_of(record: &Record<'_>) -> Vec<Header> {
    let mut headers = record.headers();
    std::iter::from_fn(|| headers.next_owned()).collect::<Result<_, _>>().unwrap()
}

fn headers_in(expected: &[Value]) -> Vec<Header> {
    let header =
        |value: &Value| Header { key: value[0].as_str().unwrap().into(), value: optional_hex(&value[1]) };
    expected.iter().map(header).collect()
}

/// Without compression the bytes follow from the values. Log append time hides the records' own timestamps.
#[test]
fn uncompressed_batches_are_written_to_the_same_bytes() {
    let mut count = 0;
    for (name, _, bytes) in cases(2) {
        for batch in batches(bytes).map(Result::unwrap) {
            let hidden = batch.timestamp_type() == TimestampType::LogAppendTime;
            if batch.compression() != Compression::None || hidden || batch.verify_crc().is_err() {
                continue;
            }
            assert!(rewritten(&batch).into_bytes() == batch.as_bytes(), "{name}");
            count += 1;
        }
    }
    assert!(count > 20, "only {count} batches");
}

fn rewritten(batch: &Batch) -> Records {
    let mut builder = BatchBuilder::with_base_timestamp(batch.base_timestamp());
    let mut records = batch.records(CAP).unwrap();
    while let Some(record) = records.next_record() {
        let record = record.unwrap();
        let offset_delta = (record.offset - batch.base_offset()) as i32;
        builder
            .append_at(offset_delta, record.timestamp, record.key, record.value, &headers_of(&record))
            .unwrap();
    }
    batch.header().seal(builder.finish().as_records()).unwrap()
}

/// As a producer has it: no holes, offsets from 0. Then the shorter way makes the same bytes too.
#[test]
fn producer_batches_are_sealed_to_the_same_bytes() {
    let mut count = 0;
    for (name, line, bytes) in cases(2) {
        let Some(Ok(batch)) = batches(bytes).next() else { continue };
        if line["codec"] == "none" && is_from_producer(&batch) {
            let stamp = ProducerStamp {
                producer_id: batch.producer_id(),
                producer_epoch: batch.producer_epoch(),
                base_sequence: batch.base_sequence(),
                transactional: batch.is_transactional(),
            };
            assert!(appended(&batch).seal(stamp).into_bytes() == batch.as_bytes(), "{name}");
            count += 1;
        }
    }
    assert!(count >= 7, "only {count} batches");
}

fn is_from_producer(batch: &Batch) -> bool {
    let Some(first) =
        batch.records(CAP).unwrap().next_record().and_then(Result::ok).map(|first| first.timestamp)
    else {
        return false;
    };
    let plain = BatchHeader {
        is_transactional: batch.is_transactional(),
        last_offset_delta: batch.header().record_count - 1,
        base_timestamp: first,
        max_timestamp: batch.max_timestamp(),
        producer_id: batch.producer_id(),
        producer_epoch: batch.producer_epoch(),
        base_sequence: batch.base_sequence(),
        record_count: batch.header().record_count,
        ..BatchHeader::default()
    };
    batch.verify_crc().is_ok() && *batch.header() == plain
}

fn appended(batch: &Batch) -> BatchBody {
    let mut builder = BatchBuilder::new();
    let mut records = batch.records(CAP).unwrap();
    while let Some(record) = records.next_record() {
        let record = record.unwrap();
        builder.append(record.timestamp, record.key, record.value, &headers_of(&record)).unwrap();
    }
    builder.finish()
}

/// Message sets: what Kafka stores in formats 0 and 1 is what a body is converted to.
#[test]
fn message_sets_are_written_to_the_same_bytes() {
    let mut count = 0;
    for (name, line, bytes) in (0..2).flat_map(cases) {
        let whole = batches(bytes.clone()).all(|batch| batch.is_ok_and(|batch| batch.verify_crc().is_ok()));
        if line["codec"] != "none" || line["trailingBytes"] != 0 || !whole {
            continue;
        }
        let read: Vec<Batch> = batches(bytes.clone()).map(Result::unwrap).collect();
        // A producer's set counts from 0, has no holes and the producer's time.
        let from_producer = read.iter().enumerate().all(|(i, batch)| batch.base_offset() == i as i64)
            && read.iter().all(|batch| batch.timestamp_type() != TimestampType::LogAppendTime);
        let one_format = read.iter().all(|batch| batch.magic() == read[0].magic());
        if !from_producer || !one_format {
            continue;
        }
        let mut builder = BatchBuilder::new();
        for batch in &read {
            let mut records = batch.records(CAP).unwrap();
            let record = records.next_record().unwrap().unwrap();
            builder.append(record.timestamp, record.key, record.value, &[]).unwrap();
        }
        let set = builder.finish().to_message_set(read[0].magic()).unwrap();
        assert!(set.into_bytes() == bytes, "{name}");
        count += 1;
    }
    assert!(count >= 4, "only {count} sets");
}

#[test]
fn appending_brokers_change_only_what_is_not_under_the_checksum() {
    for (name, _, bytes) in all_cases() {
        for batch in batches(bytes).map(Result::unwrap) {
            let moved = batches(batch.with_offset(1 << 40, 77).into_bytes()).next().unwrap().unwrap();
            assert_eq!(moved.base_offset(), 1 << 40, "{name}");
            assert_eq!(moved.partition_leader_epoch(), if batch.magic() == 2 { 77 } else { -1 }, "{name}");
            assert_eq!(moved.verify_crc(), batch.verify_crc(), "{name}");
        }
    }
}

#[test]
fn a_broken_batch_does_not_hide_the_next() {
    let mut count = 0;
    for (_, _, bytes) in all_cases().filter(|(_, line, _)| line["case"] == "crc_wrong") {
        let checked: Vec<bool> = batches(bytes).map(|batch| batch.unwrap().verify_crc().is_ok()).collect();
        assert_eq!(checked.first(), Some(&false));
        assert_eq!(checked.last(), Some(&true));
        count += 1;
    }
    assert!(count >= 3);
}

/// A batch whose header says zstd, in a format that has no zstd.
#[test]
fn zstd_is_no_codec_of_message_sets() {
    let (_, _, bytes) = cases(1).into_iter().find(|(_, line, _)| line["codec"] == "gzip").unwrap();
    let mut bytes = bytes.to_vec();
    bytes[17] = 4;
    let error = batches(bytes.into()).next().unwrap().unwrap_err();
    assert_eq!(error, RecordsError::CompressionNotSupported { compression: Compression::Zstd, magic: 1 });
}

/// CRC-32C, by way of a batch that consists of nothing but the bytes.
#[test]
fn checksums() {
    for line in lines(CRC32C) {
        let bytes = hex(&line["hex"]);
        assert_eq!(Value::from(kafka_proto::records::crc32c(&bytes)), line["crc32c"]);
    }
}

fn walk(bytes: Bytes) -> usize {
    let mut found = 0;
    for batch in batches(bytes) {
        let Ok(batch) = batch else { continue };
        let _ = batch.verify_crc();
        let Ok(mut records) = batch.records(1 << 20) else { continue };
        while let Some(record) = records.next_record() {
            let Ok(record) = record else { break };
            found += record.headers().filter(Result::is_ok).count() + 1;
            let _ = (record.key_bytes(), record.value_bytes(), record.control_type());
        }
    }
    found
}

/// The long vectors are thinned out: their bytes are much the same.
fn stride(len: usize) -> usize {
    len / 300 + 1
}

#[test]
fn no_prefix_panics() {
    for (_, _, bytes) in all_cases() {
        for end in (0..bytes.len()).step_by(stride(bytes.len())) {
            walk(bytes.slice(..end));
        }
    }
}

#[test]
fn no_flipped_byte_panics() {
    for (_, _, bytes) in all_cases() {
        for at in (0..bytes.len()).step_by(stride(bytes.len())) {
            for flip in [0xff, 0x01, 0x80] {
                let mut broken = bytes.to_vec();
                broken[at] ^= flip;
                walk(broken.into());
            }
        }
    }
}
