//! Batches in the content of a `records` field: where each begins and ends, and what its header says.
//!
//! A batch of formats 0 and 1 is one message, or one wrapper with compressed messages inside. Formats may follow each
//! other in one field, as old segments are served.

use bytes::Bytes;

use super::crc::{compare, crc32, crc32c};
use super::header::{BatchHeader, CRC_FROM, HEADER_LEN, LENGTH_END, take};
use super::{Compression, RecordSet, RecordsError, compression, message_set};
use crate::wire::Records;

/// Where the magic byte is, in every format.
const MAGIC_AT: usize = 16;
/// Where the last offset, counted from the first, is in format 2.
const LAST_OFFSET_DELTA_AT: usize = 23;
/// The smallest size field of all: of a message of format 0.
const MIN_SIZE: i32 = 14;

/// Whose clock the timestamps of a batch are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// Format 0 has no timestamps.
    NoTimestamp,
    /// The producer's, or what its application gave.
    CreateTime,
    /// The broker's, when it appended the batch.
    LogAppendTime,
}

/// Cuts the content of a `records` field into batches, of whatever formats.
///
/// Only headers are read. A cut-off batch at the end is no error, it is what brokers send when a limit is reached:
/// the iteration ends, and [`Batches::trailing_bytes`] tells that something is left.
pub fn batches(records: Bytes) -> Batches {
    Batches { rest: records }
}

/// The batches of a `records` field; see [`batches`].
///
/// After an error the iteration goes on with the next batch, except after [`RecordsError::InvalidSize`] and
/// [`RecordsError::UnsupportedMagic`], which end it.
#[derive(Debug, Clone)]
pub struct Batches {
    rest: Bytes,
}

impl Batches {
    /// Bytes not consumed yet; once the iteration has ended those of a cut-off batch.
    pub fn trailing_bytes(&self) -> usize {
        self.rest.len()
    }

    /// Returns the offset after the batch that comes next, as its header says, also where the batch cannot be read. The header
    /// may be part of the damage then.
    pub fn claimed_end(&self) -> Option<i64> {
        let base = i64::from_be_bytes(*self.rest.first_chunk()?);
        let last_offset_delta = match self.rest.get(MAGIC_AT)? {
            0 | 1 => 0,
            _ => i32::from_be_bytes(*self.rest.get(LAST_OFFSET_DELTA_AT..)?.first_chunk()?),
        };
        base.checked_add(i64::from(last_offset_delta.max(-1)) + 1)
    }

    /// The size of the batch that comes next, or `None` if it is not whole.
    fn next_size(&self) -> Result<Option<usize>, RecordsError> {
        let Some(size) = self.rest.get(8..).and_then(|b| b.first_chunk()).map(|b| i32::from_be_bytes(*b))
        else {
            return Ok(None);
        };
        if size < MIN_SIZE {
            return Err(RecordsError::InvalidSize { size });
        }
        match self.rest.get(MAGIC_AT) {
            Some(0..=2) => Ok(Some(size as usize + LENGTH_END).filter(|size| *size <= self.rest.len())),
            Some(magic) => Err(RecordsError::UnsupportedMagic(*magic as i8)),
            None => Ok(None),
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, RecordsError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.next_size() {
            Ok(Some(size)) => Some(Batch::parse(self.rest.split_to(size))),
            Ok(None) => None,
            Err(error) => {
                self.rest.clear();
                Some(Err(error))
            }
        }
    }
}

impl core::iter::FusedIterator for Batches {}

/// One record batch: its header, and its bytes as they came.
#[derive(Debug, Clone)]
pub struct Batch {
    bytes: Bytes,
    magic: u8,
    crc: u32,
    header: BatchHeader,
}

impl Batch {
    /// `bytes` are exactly one batch.
    fn parse(bytes: Bytes) -> Result<Self, RecordsError> {
        let mut input = &bytes[..];
        let base_offset = i64::from_be_bytes(take(&mut input)?);
        let size = i32::from_be_bytes(take(&mut input)?);
        let word = take(&mut input)?;
        let [magic] = take(&mut input)?;
        if magic < 2 {
            let header = message_set::header(base_offset, size, magic, input)?;
            return Ok(Batch { magic, crc: u32::from_be_bytes(word), header, bytes });
        }
        if bytes.len() < HEADER_LEN {
            return Err(RecordsError::Corrupt("a batch is smaller than its header"));
        }
        let crc = u32::from_be_bytes(take(&mut input)?);
        let header = BatchHeader::decode(base_offset, i32::from_be_bytes(word), input)?;
        Ok(Batch { bytes, magic, crc, header })
    }

    /// The format: 0, 1 or 2.
    pub fn magic(&self) -> u8 {
        self.magic
    }

    /// All fields of the header.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The offset that the batch begins with, whether or not compaction left a record there.
    ///
    /// In a compressed batch of formats 0 and 1 it is known only to the records inside; then this is the last one.
    pub fn base_offset(&self) -> i64 {
        self.header.base_offset
    }

    /// The offset that the batch ends with, whether or not compaction left a record there.
    pub fn last_offset(&self) -> i64 {
        self.header.base_offset + i64::from(self.header.last_offset_delta)
    }

    /// The offset to go on with after this batch: behind its first offset at least, should it claim to end before it.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().max(self.header.base_offset).saturating_add(1)
    }

    /// Leader epoch in which the batch was written; -1 if unknown, and in formats 0 and 1.
    pub fn partition_leader_epoch(&self) -> i32 {
        self.header.partition_leader_epoch
    }

    /// How the records are compressed.
    pub fn compression(&self) -> Compression {
        self.header.compression
    }

    /// Whose clock the timestamps are of.
    pub fn timestamp_type(&self) -> TimestampType {
        self.header.timestamp_type
    }

    /// The field as it stands, in milliseconds since 1970: the delete horizon where there is one. -1 if unknown.
    pub fn base_timestamp(&self) -> i64 {
        self.header.base_timestamp
    }

    /// The largest timestamp of the records, in milliseconds since 1970; -1 in format 0.
    pub fn max_timestamp(&self) -> i64 {
        self.header.max_timestamp
    }

    /// The idempotent or transactional producer that wrote the batch; -1 if there is none.
    pub fn producer_id(&self) -> i64 {
        self.header.producer_id
    }

    /// The epoch of the producer; -1 if there is none.
    pub fn producer_epoch(&self) -> i16 {
        self.header.producer_epoch
    }

    /// The sequence number of the batch's first offset; -1 if there is none.
    pub fn base_sequence(&self) -> i32 {
        self.header.base_sequence
    }

    /// The sequence number of the batch's last offset; -1 if there is none. After 2^31-1 follows 0.
    pub fn last_sequence(&self) -> i32 {
        sequence_at(self.header.base_sequence, self.header.last_offset_delta).unwrap_or(-1)
    }

    /// How many records there are; `None` in a compressed batch of formats 0 and 1, which does not say.
    pub fn record_count(&self) -> Option<u32> {
        let told = self.magic == 2 || self.header.compression == Compression::None;
        told.then_some(self.header.record_count as u32)
    }

    /// Whether the batch belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.header.is_transactional
    }

    /// Whether the batch holds markers that no application is to see, such as the end of a transaction.
    pub fn is_control(&self) -> bool {
        self.header.is_control
    }

    /// From when on compaction may delete the batch's tombstones and markers (KIP-534), in milliseconds since 1970.
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        self.header.has_delete_horizon.then_some(self.header.base_timestamp)
    }

    /// The checksum that the batch carries.
    pub fn crc(&self) -> u32 {
        self.crc
    }

    /// How many bytes the batch has, compressed as it is, header included.
    pub fn size_in_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The batch as it came.
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Compares the checksum with the bytes.
    ///
    /// # Errors
    /// [`RecordsError::CrcMismatch`].
    pub fn verify_crc(&self) -> Result<(), RecordsError> {
        let computed = match self.magic {
            2 => crc32c(self.bytes.get(CRC_FROM..).unwrap_or_default()),
            _ => crc32([self.bytes.get(MAGIC_AT..).unwrap_or_default()]),
        };
        compare(self.crc, computed)
    }

    /// The records, decompressed if need be. Does not look at the checksum: see [`Batch::verify_crc`].
    ///
    /// # Errors
    /// [`RecordsError::DecompressedTooLarge`] if decompressing them takes more than `max_decompressed` bytes, and
    /// whatever else the codec finds wrong. Broken records show when the cursor comes to them.
    pub fn records(&self, max_decompressed: usize) -> Result<RecordSet, RecordsError> {
        if self.magic < 2 {
            return message_set::records(self, max_decompressed);
        }
        let mut records = self.bytes.slice(HEADER_LEN..);
        // Without records there may be nothing packed at all.
        let is_packed = self.header.record_count > 0 || !records.is_empty();
        if self.header.compression != Compression::None && is_packed {
            records =
                compression::decompress(self.header.compression, self.magic, &records, max_decompressed)?;
        }
        Ok(RecordSet::of_batch(records, &self.header))
    }

    /// The batch with another base offset and leader epoch, as a broker gives it when it appends the batch. Neither is
    /// under the checksum; the rest of the bytes is shared. Formats 0 and 1 have no leader epoch.
    pub fn with_offset(&self, base_offset: i64, partition_leader_epoch: i32) -> Records {
        let mut head = [0; MAGIC_AT];
        head.copy_from_slice(&self.bytes[..MAGIC_AT]);
        head[..8].copy_from_slice(&base_offset.to_be_bytes());
        if self.magic == 2 {
            head[LENGTH_END..].copy_from_slice(&partition_leader_epoch.to_be_bytes());
        }
        alloc::vec![Bytes::copy_from_slice(&head), self.bytes.slice(MAGIC_AT..)].into()
    }
}

/// The sequence number of a record, if the batch has one: after 2^31-1 follows 0.
#[inline(always)]
pub(super) fn sequence_at(base_sequence: i32, offset_delta: i32) -> Option<i32> {
    (base_sequence >= 0).then_some(base_sequence.wrapping_add(offset_delta) & i32::MAX)
}
