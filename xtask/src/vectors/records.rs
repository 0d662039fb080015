//! Record batches and message sets, and checksums.

use kafka_proto::Bytes;
use kafka_proto::records::{
    Batch, Compression, ControlType, Record, RecordsError, TimestampType, batches, crc32c,
};
use serde_json::{Value, json};

use super::{hex_member, member};

type Result<T = ()> = std::result::Result<T, String>;

/// More than any vector's records take.
const CAP: usize = 64 << 20;

pub(super) fn check_crc32c(vector: &Value) -> Result {
    let expected = member(vector, "crc32c", Value::as_u64)?;
    let sum = u64::from(crc32c(&hex_member(vector, "hex")?));
    if sum == expected { Ok(()) } else { Err(format!("crc32c is {sum}, {expected} is right")) }
}

pub(super) fn check(vector: &Value) -> Result {
    let place = format!("magic {} {} {}", vector["magic"], vector["case"], vector["codec"]);
    let mut read = batches(Bytes::from(hex_member(vector, "hex")?));
    for (i, expected) in member(vector, "batches", Value::as_array)?.iter().enumerate() {
        let batch = read.next().ok_or_else(|| format!("{place}: batch {i} is missing"))?;
        let checked = batch.map_err(|e| e.to_string()).and_then(|batch| check_batch(&batch, expected));
        checked.map_err(|e| format!("{place}: batch {i}: {e}"))?;
    }
    if read.next().is_some() {
        return Err(format!("{place}: a batch too many"));
    }
    same("trailingBytes", &json!(read.trailing_bytes()), vector).map_err(|e| format!("{place}: {e}"))
}

/// The member of that name has to be the value; one that is not there may be anything.
fn same(name: &str, value: &Value, expected: &Value) -> Result {
    match expected.get(name) {
        Some(expected) if expected != value => Err(format!("{name} is {value}, {expected} is right")),
        _ => Ok(()),
    }
}

fn check_batch(batch: &Batch, expected: &Value) -> Result {
    for (name, value) in batch_fields(batch) {
        same(name, &value, expected)?;
    }
    // Of a wrapper in formats 0 and 1 only the records know the first offset.
    if batch.magic() == 2 || batch.compression() == Compression::None {
        same("baseOffset", &json!(batch.base_offset()), expected)?;
    }
    let Some(expected) = expected["records"].as_array() else { return Ok(()) };
    let records = read_records(batch).map_err(|e| e.to_string())?;
    for (i, (record, expected)) in records.iter().zip(expected).enumerate() {
        let names = ["offset", "timestamp", "keyHex", "valueHex", "headers", "sequence", "controlType"];
        names
            .iter()
            .try_for_each(|name| same(name, &record[name], expected))
            .map_err(|e| format!("record {i}: {e}"))?;
    }
    let (is, right) = (records.len(), expected.len());
    if is == right { Ok(()) } else { Err(format!("{is} records, {right} is right")) }
}

fn batch_fields(batch: &Batch) -> [(&'static str, Value); 17] {
    let timestamp_type = match batch.timestamp_type() {
        TimestampType::NoTimestamp => "NoTimestampType",
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    };
    [
        ("magic", json!(batch.magic())),
        ("sizeInBytes", json!(batch.size_in_bytes())),
        ("codec", json!(batch.compression().name())),
        ("crc", json!(batch.crc())),
        ("crcValid", json!(batch.verify_crc().is_ok())),
        ("timestampType", json!(timestamp_type)),
        ("lastOffset", json!(batch.last_offset())),
        ("baseTimestamp", json!(batch.base_timestamp())),
        ("maxTimestamp", json!(batch.max_timestamp())),
        ("recordCount", json!(batch.record_count())),
        ("partitionLeaderEpoch", json!(batch.partition_leader_epoch())),
        ("producerId", json!(batch.producer_id())),
        ("producerEpoch", json!(batch.producer_epoch())),
        ("baseSequence", json!(batch.base_sequence())),
        ("lastSequence", json!(batch.last_sequence())),
        ("isTransactional", json!(batch.is_transactional())),
        ("isControl", json!(batch.is_control())),
    ]
}

fn read_records(batch: &Batch) -> std::result::Result<Vec<Value>, RecordsError> {
    let mut records = batch.records(CAP)?;
    let mut read = Vec::new();
    while let Some(record) = records.next_record() {
        read.push(record_json(&record?)?);
    }
    Ok(read)
}

fn record_json(record: &Record<'_>) -> std::result::Result<Value, RecordsError> {
    let mut headers = record.headers();
    let mut pairs = Vec::new();
    while let Some(header) = headers.next_owned() {
        let header = header?;
        pairs.push(json!([&*header.key, hex(header.value.as_deref())]));
    }
    Ok(json!({
        "offset": record.offset,
        "timestamp": record.timestamp,
        "keyHex": hex(record.key),
        "valueHex": hex(record.value),
        "headers": pairs,
        "sequence": record.sequence,
        "controlType": record.control_type().map(control_name),
    }))
}

fn hex(bytes: Option<&[u8]>) -> Option<String> {
    bytes.map(|bytes| bytes.iter().map(|b| format!("{b:02x}")).collect())
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
