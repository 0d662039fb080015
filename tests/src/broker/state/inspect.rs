//! What a broker checks in the records of a produce request before it looks at the partition.
//!
//! Needs no state, so it runs outside of the cluster's lock: checksums, decompression, every record.
//!
//! What holds here: checksums are computed by other crates than the client's own, so that an error of the code
//! that both sides share cannot cancel itself out.

use crc::{CRC_32_ISO_HDLC, Crc};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::records::{Batch, Compression, RecordsError, batches};
use kafka_proto::wire::Records;

use super::batch::{Incoming, MAX_DECOMPRESSED};
use super::convert;
use crate::broker::dialect::Dialect;
use crate::broker::release::Release;

/// The checksum of the old message formats.
const CRC_32: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// The batches of one partition of a produce request, or why they are refused.
pub(crate) type CheckedRecords = Result<Vec<Incoming>, Refusal>;

/// Why records are not taken.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) error: ErrorCode,
    pub(crate) message: Option<String>,
    /// The records it is about, by index in the batch.
    pub(crate) records: Vec<i32>,
}

impl Refusal {
    pub(crate) fn new(error: ErrorCode, message: &str) -> Refusal {
        Refusal { error, message: Some(message.to_owned()), records: Vec::new() }
    }

    pub(crate) fn of_record(error: ErrorCode, message: &str, index: i32) -> Refusal {
        Refusal { records: vec![index], ..Refusal::new(error, message) }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(error: ErrorCode) -> Refusal {
        Refusal { error, message: None, records: Vec::new() }
    }
}

impl From<RecordsError> for Refusal {
    fn from(error: RecordsError) -> Refusal {
        Refusal::new(ErrorCode::CorruptMessage, &error.to_string())
    }
}

/// Checks what a produce request of `version` brings, and turns it into the format the release stores.
pub(crate) fn inspect(records: Option<&Records>, version: i16, dialect: Dialect) -> CheckedRecords {
    let Dialect { release, oddities } = dialect;
    let bytes = records.cloned().unwrap_or_default().into_bytes();
    let mut parsed = batches(bytes);
    let mut sent = Vec::new();
    for batch in parsed.by_ref() {
        let batch = batch?;
        check_format(&batch, version, release)?;
        check_crc(&batch)?;
        if !oddities.takes(batch.compression()) {
            let text = "Compression is not supported";
            return Err(Refusal::new(ErrorCode::UnsupportedForMessageFormat, text));
        }
        sent.push(batch);
    }
    if parsed.trailing_bytes() > 0 {
        return Err(Refusal::new(ErrorCode::CorruptMessage, "The last batch is cut off"));
    }
    if version >= 3 && sent.len() != 1 {
        let text = "A produce request of version 3 or newer must hold exactly one record batch per partition";
        return Err(invalid_record(release, text));
    }
    let stored = release.message_format();
    if sent.iter().any(|batch| batch.magic() != stored) {
        sent = convert::to_format(&sent, stored)?;
    }
    sent.into_iter().map(|batch| check_batch(batch, release)).collect()
}

/// INVALID_RECORD, or what stood for it before 2.4.
fn invalid_record(release: Release, message: &str) -> Refusal {
    let error = if release >= Release::V2_4 { ErrorCode::InvalidRecord } else { ErrorCode::CorruptMessage };
    Refusal::new(error, message)
}

/// Compares the checksum with the bytes it stands for: CRC-32C from byte 21 on in format 2, CRC-32 from the magic
/// byte on before.
fn check_crc(batch: &Batch) -> Result<(), Refusal> {
    let bytes = batch.as_bytes();
    let (stored, computed) = match batch.magic() {
        2 => (bytes.get(17..21), crc32c::crc32c(bytes.get(21..).unwrap_or_default())),
        _ => (bytes.get(12..16), CRC_32.checksum(bytes.get(16..).unwrap_or_default())),
    };
    if stored == Some(&computed.to_be_bytes()[..]) {
        return Ok(());
    }
    Err(Refusal::new(ErrorCode::CorruptMessage, "Record is corrupt: its checksum does not match"))
}

fn check_format(batch: &Batch, version: i16, release: Release) -> Result<(), Refusal> {
    if (batch.magic() == 2) != (version >= 3) {
        let text = format!("Produce version {version} cannot carry records of magic {}", batch.magic());
        return Err(invalid_record(release, &text));
    }
    if batch.compression() == Compression::Zstd && version < 7 {
        let text = "Produce requests of this version cannot use zstd";
        return Err(Refusal::new(ErrorCode::UnsupportedCompressionType, text));
    }
    if batch.is_control() {
        return Err(invalid_record(release, "Clients may not write control records"));
    }
    if batch.magic() == 2 && batch.base_offset() != 0 {
        return Err(invalid_record(release, "The base offset of a batch must be 0"));
    }
    if batch.producer_id() >= 0 && (batch.producer_epoch() < 0 || batch.base_sequence() < 0) {
        return Err(invalid_record(release, "An idempotent batch needs an epoch and a sequence number"));
    }
    Ok(())
}

/// Walks the records: offsets from 0 without holes, as many as the header says, nothing broken.
fn check_batch(batch: Batch, release: Release) -> Result<Incoming, Refusal> {
    // The records of a message or wrapper count from 0 as well: its own offset is that of the last one inside.
    let mut records = batch.records(MAX_DECOMPRESSED)?;
    let (mut count, mut keyless) = (0, None);
    let (mut min_timestamp, mut max_timestamp) = (i64::MAX, -1);
    while let Some(record) = records.next_record() {
        let record = record?;
        let single = batch.magic() < 2 && batch.compression() == Compression::None;
        if record.offset != count && !single {
            let error = invalid_record(release, "The offsets of a batch must count from 0 without holes");
            return Err(Refusal { records: vec![count as i32], ..error });
        }
        if record.key.is_none() && keyless.is_none() {
            keyless = Some(count as i32);
        }
        min_timestamp = min_timestamp.min(record.timestamp);
        max_timestamp = max_timestamp.max(record.timestamp);
        count += 1;
    }
    if batch.magic() == 2 && count != i64::from(batch.header().last_offset_delta) + 1 {
        return Err(invalid_record(release, "The number of records is not what the header says"));
    }
    if count == 0 {
        return Err(invalid_record(release, "A batch must hold at least one record"));
    }
    Ok(Incoming { batch, offsets: count, min_timestamp, max_timestamp, keyless })
}
