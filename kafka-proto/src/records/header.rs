//! The 61 bytes before the records of a batch (format 2), as values.

use alloc::vec::Vec;

use bytes::Bytes;

use super::crc::Crc32c;
use super::{Compression, RecordsError, TimestampType};
use crate::wire::Records;

/// Length of the header of a batch in bytes.
pub(super) const HEADER_LEN: usize = 61;
/// Where the bytes under the checksum begin.
pub(super) const CRC_FROM: usize = 21;
/// Bytes before those that the length field counts.
pub(super) const LENGTH_END: usize = 12;

const CODEC_BITS: u8 = 0x07;
const LOG_APPEND_TIME: u8 = 0x08;
const TRANSACTIONAL: u8 = 0x10;
const CONTROL: u8 = 0x20;
const DELETE_HORIZON: u8 = 0x40;

/// The header of a record batch (format 2), without length and checksum, which follow from the records.
///
/// Producers need no more than [`BatchBody::seal`](super::BatchBody::seal); this is for brokers, proxies and tools
/// that write batches with offsets, holes or markers of their own. A batch that was read has one too
/// ([`Batch::header`](super::Batch::header)); formats 0 and 1 leave what they do not have at its default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the batch; the offset of a record is counted from it. 0 from a producer; not under the checksum.
    pub base_offset: i64,
    /// Leader epoch in which the batch was written, -1 if unknown; not under the checksum.
    pub partition_leader_epoch: i32,
    /// How the records are compressed.
    pub compression: Compression,
    /// Whose clock the timestamps are of.
    pub timestamp_type: TimestampType,
    /// Whether the batch belongs to a transaction.
    pub is_transactional: bool,
    /// Whether the batch holds markers for clients and brokers rather than records of an application.
    pub is_control: bool,
    /// Whether the base timestamp holds the delete horizon (KIP-534).
    pub has_delete_horizon: bool,
    /// Last offset of the batch, counted from the base; compaction keeps it.
    pub last_offset_delta: i32,
    /// What the timestamps of records count from, in milliseconds since 1970; or the delete horizon, from which they
    /// then count.
    pub base_timestamp: i64,
    /// The largest timestamp, in milliseconds since 1970; with log append time that of every record.
    pub max_timestamp: i64,
    /// The idempotent or transactional producer, -1 if there is none.
    pub producer_id: i64,
    /// Epoch of the producer, -1 if there is none.
    pub producer_epoch: i16,
    /// Sequence number of the batch's first offset, -1 if there is none.
    pub base_sequence: i32,
    /// How many records the batch holds.
    pub record_count: i32,
}

impl Default for BatchHeader {
    fn default() -> Self {
        BatchHeader {
            base_offset: 0,
            partition_leader_epoch: -1,
            compression: Compression::None,
            timestamp_type: TimestampType::CreateTime,
            is_transactional: false,
            is_control: false,
            has_delete_horizon: false,
            last_offset_delta: 0,
            base_timestamp: -1,
            max_timestamp: -1,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: 0,
        }
    }
}

impl BatchHeader {
    /// The batch of this header and these records (already compressed, if the header says so), with length and
    /// checksum. The records are not copied.
    ///
    /// # Errors
    /// [`RecordsError::TooLarge`] if the length field cannot hold the size.
    pub fn seal(&self, records: &Records) -> Result<Records, RecordsError> {
        let size = HEADER_LEN - LENGTH_END + records.len();
        let length = i32::try_from(size).map_err(|_| RecordsError::TooLarge)?;
        Ok(self.seal_with_length(length, records))
    }

    pub(super) fn seal_with_length(&self, length: i32, records: &Records) -> Records {
        let mut header = self.encode(length);
        let mut crc = Crc32c::default();
        crc.update(&header[CRC_FROM..]);
        records.segments().iter().for_each(|segment| crc.update(segment));
        header[17..CRC_FROM].copy_from_slice(&crc.finish().to_be_bytes());

        let mut segments = Vec::with_capacity(1 + records.segments().len());
        segments.push(Bytes::copy_from_slice(&header));
        segments.extend_from_slice(records.segments());
        segments.into()
    }

    /// The header with the checksum still 0.
    fn encode(&self, length: i32) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        out[8..12].copy_from_slice(&length.to_be_bytes());
        out[12..16].copy_from_slice(&self.partition_leader_epoch.to_be_bytes());
        out[16] = 2;
        out[21..23].copy_from_slice(&i16::from(self.attributes()).to_be_bytes());
        out[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        out[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        out[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        out[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        out[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        out[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        out[57..61].copy_from_slice(&self.record_count.to_be_bytes());
        out
    }

    fn attributes(&self) -> u8 {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        self.compression.code()
            | flag(self.timestamp_type == TimestampType::LogAppendTime, LOG_APPEND_TIME)
            | flag(self.is_transactional, TRANSACTIONAL)
            | flag(self.is_control, CONTROL)
            | flag(self.has_delete_horizon, DELETE_HORIZON)
    }

    /// Reads what follows the magic byte and the checksum; `base_offset` and `partition_leader_epoch` precede them.
    pub(super) fn decode(
        base_offset: i64,
        partition_leader_epoch: i32,
        mut rest: &[u8],
    ) -> Result<Self, RecordsError> {
        let input = &mut rest;
        // The upper byte of the attributes is unused, and ignored as Kafka does.
        let [_, attributes] = take(input)?;
        let flag = |bit: u8| attributes & bit != 0;
        let header = BatchHeader {
            base_offset,
            partition_leader_epoch,
            compression: Compression::from_code(attributes & CODEC_BITS)
                .ok_or(RecordsError::UnknownCompression(attributes & CODEC_BITS))?,
            timestamp_type: if flag(LOG_APPEND_TIME) {
                TimestampType::LogAppendTime
            } else {
                TimestampType::CreateTime
            },
            is_transactional: flag(TRANSACTIONAL),
            is_control: flag(CONTROL),
            has_delete_horizon: flag(DELETE_HORIZON),
            last_offset_delta: i32::from_be_bytes(take(input)?),
            base_timestamp: i64::from_be_bytes(take(input)?),
            max_timestamp: i64::from_be_bytes(take(input)?),
            producer_id: i64::from_be_bytes(take(input)?),
            producer_epoch: i16::from_be_bytes(take(input)?),
            base_sequence: i32::from_be_bytes(take(input)?),
            record_count: i32::from_be_bytes(take(input)?),
        };
        header.check()
    }

    /// What a reader relies on: no offset runs past the end, and the count is a count.
    fn check(self) -> Result<Self, RecordsError> {
        if self.record_count < 0 {
            return Err(RecordsError::Corrupt("the record count is negative"));
        }
        if self.base_offset.checked_add(i64::from(self.last_offset_delta)).is_none() {
            return Err(RecordsError::Corrupt("the last offset is out of range"));
        }
        Ok(self)
    }
}

/// The next `N` bytes.
#[inline(always)]
pub(super) fn take<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], RecordsError> {
    let (bytes, rest) = input.split_first_chunk::<N>().ok_or(RecordsError::Corrupt("a field is cut off"))?;
    *input = rest;
    Ok(*bytes)
}
