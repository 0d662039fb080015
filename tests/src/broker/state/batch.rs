//! A batch before and after it is appended: what a producer sent, what the log keeps, what a test may look at.

use crc::{CRC_32_ISO_HDLC, Crc};
use kafka_proto::records::{Batch, BatchHeader, Compression, RecordSet, TimestampType, batches};
use kafka_proto::wire::Records;
use kafka_proto::{Bytes, Str};

/// Nothing a broker takes decompresses to more; bombs end here.
pub(crate) const MAX_DECOMPRESSED: usize = 256 << 20;

/// Bytes of a batch before the records, in format 2.
const HEADER_LEN: usize = 61;

/// A batch that was checked and may be appended.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    pub(crate) batch: Batch,
    /// Offsets it takes.
    pub(crate) offsets: i64,
    pub(crate) min_timestamp: i64,
    pub(crate) max_timestamp: i64,
    /// Index of the first record without a key.
    pub(crate) keyless: Option<i32>,
}

/// A batch in the log.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) magic: u8,
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) header: BatchHeader,
    pub(crate) size: usize,
    /// Shared with the produce request it came in and with every answer it goes out with.
    pub(crate) records: Records,
}

impl Incoming {
    /// Gives the batch its place in a log; with `append_time`, every record gets that timestamp.
    pub(crate) fn stamp(self, base_offset: i64, leader_epoch: i32, append_time: Option<i64>) -> Entry {
        let last_offset = base_offset + self.offsets - 1;
        let mut header = self.batch.header().clone();
        let magic = self.batch.magic();
        // A message or wrapper of the old formats carries the offset of its last record.
        header.base_offset = if magic == 2 { base_offset } else { last_offset };
        header.partition_leader_epoch = leader_epoch;
        let max_timestamp = append_time.unwrap_or(self.max_timestamp);
        let records = if magic == 2 && (append_time.is_some() || header.max_timestamp != max_timestamp) {
            header.max_timestamp = max_timestamp;
            if append_time.is_some() {
                header.timestamp_type = TimestampType::LogAppendTime;
            }
            let body = Records::from(self.batch.as_bytes().slice(HEADER_LEN..));
            // The length is the one it came with, so it fits.
            header.seal(&body).unwrap_or_default()
        } else if let (1, Some(time)) = (magic, append_time) {
            header.timestamp_type = TimestampType::LogAppendTime;
            with_append_time(self.batch.as_bytes(), last_offset, time)
        } else {
            self.batch.with_offset(header.base_offset, leader_epoch)
        };
        header.max_timestamp = max_timestamp;
        Entry { magic, base_offset, last_offset, leader_epoch, header, size: records.len(), records }
    }
}

/// A message or wrapper of magic 1 with the broker's time and another offset.
///
/// int64 offset, int32 size, uint32 CRC-32 of all that follows it, int8 magic, int8 attributes, int64 time.
fn with_append_time(message: &Bytes, offset: i64, time: i64) -> Records {
    const LOG_APPEND_TIME: u8 = 0x08;
    let mut bytes = message.to_vec();
    bytes[..8].copy_from_slice(&offset.to_be_bytes());
    bytes[17] |= LOG_APPEND_TIME;
    bytes[18..26].copy_from_slice(&time.to_be_bytes());
    let crc = Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(&bytes[16..]);
    bytes[12..16].copy_from_slice(&crc.to_be_bytes());
    Bytes::from(bytes).into()
}

impl Entry {
    pub(crate) fn compression(&self) -> Compression {
        self.header.compression
    }

    /// The batch, parsed again.
    pub(crate) fn batch(&self) -> Option<Batch> {
        batches(self.records.clone().into_bytes()).next()?.ok()
    }

    /// Its records, decompressed; `None` if they cannot be read, which the check before appending rules out.
    pub(crate) fn record_set(&self) -> Option<RecordSet> {
        self.batch()?.records(MAX_DECOMPRESSED).ok()
    }

    /// Calls `visit` with each record's offset, timestamp and key.
    pub(crate) fn for_each_record(&self, mut visit: impl FnMut(i64, i64, Option<&[u8]>)) {
        let Some(mut records) = self.record_set() else { return };
        while let Some(Ok(record)) = records.next_record() {
            visit(record.offset, record.timestamp, record.key);
        }
    }

    /// Its records as a test sees them.
    pub(crate) fn stored_records(&self) -> Vec<StoredRecord> {
        let mut stored = Vec::new();
        let Some(mut records) = self.record_set() else { return stored };
        while let Some(Ok(record)) = records.next_record() {
            let headers = record.headers().filter_map(Result::ok).map(|header| StoredHeader {
                key: Str::from(String::from_utf8_lossy(header.key).into_owned()),
                value: header.value.map(Bytes::copy_from_slice),
            });
            stored.push(StoredRecord {
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key_bytes(),
                value: record.value_bytes(),
                headers: headers.collect(),
                leader_epoch: self.leader_epoch,
                producer_id: self.header.producer_id,
                producer_epoch: self.header.producer_epoch,
                sequence: record.sequence,
                compression: self.compression(),
            });
        }
        stored
    }
}

/// A record in a partition's log, for tests to check what a client really wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRecord {
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since 1970; -1 if it has none.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
    /// Its headers in order.
    pub headers: Vec<StoredHeader>,
    /// The leader epoch in which it was appended.
    pub leader_epoch: i32,
    /// The idempotent producer that wrote it, or -1.
    pub producer_id: i64,
    /// That producer's epoch, or -1.
    pub producer_epoch: i16,
    /// That producer's sequence number for the record.
    pub sequence: Option<i32>,
    /// How its batch is compressed.
    pub compression: Compression,
}

/// A header of a [`StoredRecord`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredHeader {
    /// The key.
    pub key: Str,
    /// The value.
    pub value: Option<Bytes>,
}
