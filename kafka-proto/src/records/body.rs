//! What a builder made: the records of a batch, to be compressed and sealed.

use bytes::Bytes;

use super::header::{HEADER_LEN, LENGTH_END};
use super::{BatchHeader, Compression, RecordSet, RecordsError, compression, down_convert};
use crate::wire::Records;

/// Format of the batches made here.
const MAGIC: u8 = 2;

/// The records of a batch, encoded and perhaps compressed, without header. Immutable; cloning shares the bytes.
#[derive(Debug, Clone)]
pub struct BatchBody {
    pub(super) records: Records,
    pub(super) count: u32,
    pub(super) last_offset_delta: i32,
    pub(super) base_timestamp: i64,
    pub(super) max_timestamp: i64,
    /// Bytes of the records before compression.
    pub(super) plain_len: usize,
    pub(super) compression: Compression,
    pub(super) level: Option<i32>,
}

/// What a producer puts into a batch's header when it seals it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerStamp {
    /// The producer's id, from InitProducerId; -1 for none.
    pub producer_id: i64,
    /// The producer's epoch; -1 for none.
    pub producer_epoch: i16,
    /// The sequence number of the first record; -1 for none.
    pub base_sequence: i32,
    /// Whether the batch is part of a transaction.
    pub transactional: bool,
}

impl ProducerStamp {
    /// A producer that is not idempotent.
    pub const NONE: ProducerStamp =
        ProducerStamp { producer_id: -1, producer_epoch: -1, base_sequence: -1, transactional: false };
}

impl Default for ProducerStamp {
    fn default() -> Self {
        ProducerStamp::NONE
    }
}

impl BatchBody {
    /// A body of records that are encoded as a builder encodes them, and not compressed. Nothing is checked.
    pub fn of_records(records: Bytes, count: u32, base_timestamp: i64, max_timestamp: i64) -> Self {
        Self {
            count,
            last_offset_delta: i32::try_from(count).unwrap_or(i32::MAX) - 1,
            base_timestamp,
            max_timestamp,
            plain_len: records.len(),
            compression: Compression::None,
            level: None,
            records: records.into(),
        }
    }

    /// How many records there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The timestamp that the others count from, in milliseconds since 1970; -1 without records.
    pub fn base_timestamp(&self) -> i64 {
        self.base_timestamp
    }

    /// The largest timestamp, in milliseconds since 1970; -1 without records.
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// How the records are compressed.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Size of the batch once it is sealed, with the 61 bytes of its header.
    #[allow(clippy::len_without_is_empty)] // a batch never is empty: there is its header
    pub fn len(&self) -> usize {
        HEADER_LEN + self.records.len()
    }

    /// Size of the sealed batch if it were not compressed.
    pub fn uncompressed_len(&self) -> usize {
        HEADER_LEN + self.plain_len
    }

    /// The same records, compressed (anew). This costs time and is pure, so that it can be done anywhere.
    ///
    /// `level` is the codec's own; one out of range is moved into it, codecs without levels ignore it.
    ///
    /// # Errors
    /// [`RecordsError::CompressionDisabled`] if the build lacks the codec, [`RecordsError::Compress`] if it fails.
    pub fn compress(&self, compression: Compression, level: Option<i32>) -> Result<BatchBody, RecordsError> {
        let plain = self.plain()?;
        let records = match compression {
            Compression::None => plain,
            _ => Bytes::from(compression::compress(compression, MAGIC, level, plain.segments())?).into(),
        };
        if records.len() > i32::MAX as usize - HEADER_LEN {
            return Err(RecordsError::TooLarge);
        }
        let BatchBody { count, last_offset_delta, base_timestamp, max_timestamp, plain_len, .. } = *self;
        Ok(BatchBody {
            records,
            count,
            last_offset_delta,
            base_timestamp,
            max_timestamp,
            plain_len,
            compression,
            level,
        })
    }

    /// The batch as it goes to a broker. The records are not copied; the checksum is computed in one pass.
    pub fn seal(&self, stamp: ProducerStamp) -> Records {
        let header = self.header(stamp);
        // Builder and compress() keep the size within the field.
        header.seal_with_length((HEADER_LEN - LENGTH_END + self.records.len()) as i32, &self.records)
    }

    /// The header that [`BatchBody::seal`] writes: for brokers and tools that change it and use [`BatchHeader::seal`].
    pub fn header(&self, stamp: ProducerStamp) -> BatchHeader {
        BatchHeader {
            compression: self.compression,
            is_transactional: stamp.transactional,
            last_offset_delta: self.last_offset_delta,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: stamp.producer_id,
            producer_epoch: stamp.producer_epoch,
            base_sequence: stamp.base_sequence,
            record_count: self.count as i32,
            ..BatchHeader::default()
        }
    }

    /// The encoded records, compressed as they are, without header.
    pub fn as_records(&self) -> &Records {
        &self.records
    }

    /// The records once more, say to split a batch that a broker finds too large. Offsets count from 0. Copies the
    /// records into one piece, or decompresses them.
    ///
    /// # Errors
    /// Those of the codec.
    pub fn records(&self) -> Result<RecordSet, RecordsError> {
        Ok(RecordSet::of_batch(self.plain()?.into_bytes(), &self.header(ProducerStamp::NONE)))
    }

    /// The records as a message set of format 0 or 1, compressed like this body: for brokers before 0.11.
    ///
    /// # Errors
    /// [`RecordsError::HeadersNotSupported`] if a record has headers, [`RecordsError::CompressionNotSupported`] if the
    /// body is compressed with zstd, [`RecordsError::UnsupportedMagic`] if `magic` is neither 0 nor 1.
    pub fn to_message_set(&self, magic: u8) -> Result<Records, RecordsError> {
        down_convert::to_message_set(self, magic)
    }

    fn plain(&self) -> Result<Records, RecordsError> {
        if self.compression == Compression::None {
            return Ok(self.records.clone());
        }
        let packed = self.records.clone().into_bytes();
        Ok(compression::decompress(self.compression, MAGIC, &packed, self.plain_len)?.into())
    }
}
