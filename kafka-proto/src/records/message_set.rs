//! Reading message sets (formats 0 and 1).
//!
//! A message is its own batch. A compressed one is a wrapper: its value is a message set, one level deep. Its offset is
//! that of the last message inside; inside, format 0 has absolute offsets, format 1 offsets relative to the first.

use bytes::Bytes;

use super::crc::{compare, crc32};
use super::header::{BatchHeader, LENGTH_END, take};
use super::record::Headers;
use super::{Batch, Compression, Record, RecordSet, RecordsError, TimestampType, compression};

const CODEC_BITS: u8 = 0x07;
const LOG_APPEND_TIME: u8 = 0x08;

/// The smallest size field of a format: all fields there, key and value null.
fn min_size(magic: u8) -> usize {
    if magic == 0 { 14 } else { 22 }
}

/// What the header of a message says; `rest` follows the magic byte.
pub(super) fn header(
    offset: i64,
    size: i32,
    magic: u8,
    mut rest: &[u8],
) -> Result<BatchHeader, RecordsError> {
    if (size as usize) < min_size(magic) {
        return Err(RecordsError::Corrupt("a message is smaller than its header"));
    }
    let head = MessageHead::read(magic, &mut rest)?;
    let record_count = if head.compression == Compression::None { 1 } else { 0 };
    Ok(BatchHeader {
        base_offset: offset,
        compression: head.compression,
        timestamp_type: head.timestamp_type,
        base_timestamp: head.timestamp,
        max_timestamp: head.timestamp,
        record_count,
        ..BatchHeader::default()
    })
}

/// Attributes and timestamp of a message.
struct MessageHead {
    compression: Compression,
    timestamp_type: TimestampType,
    timestamp: i64,
}

impl MessageHead {
    fn read(magic: u8, input: &mut &[u8]) -> Result<Self, RecordsError> {
        let [attributes] = take(input)?;
        let codec = attributes & CODEC_BITS;
        let compression = Compression::from_code(codec).ok_or(RecordsError::UnknownCompression(codec))?;
        if compression == Compression::Zstd {
            return Err(RecordsError::CompressionNotSupported { compression, magic });
        }
        let timestamp_type = match magic {
            0 => TimestampType::NoTimestamp,
            _ if attributes & LOG_APPEND_TIME != 0 => TimestampType::LogAppendTime,
            _ => TimestampType::CreateTime,
        };
        let timestamp = if magic == 0 { -1 } else { i64::from_be_bytes(take(input)?) };
        Ok(MessageHead { compression, timestamp_type, timestamp })
    }

    /// The timestamp in a wrapper that has this append time; in format 0 there is none.
    fn timestamp_in(&self, append_time: Option<i64>) -> i64 {
        let append_time = append_time.filter(|_| self.timestamp_type != TimestampType::NoTimestamp);
        append_time.unwrap_or(self.timestamp)
    }
}

/// The records of a batch of format 0 or 1.
pub(super) fn records(batch: &Batch, max_decompressed: usize) -> Result<RecordSet, RecordsError> {
    let compression = batch.compression();
    if compression == Compression::None {
        return Ok(RecordSet::of_messages(batch.as_bytes().clone(), Messages::default()));
    }
    let packed = wrapped(batch)?;
    let data = compression::decompress(compression, batch.magic(), &packed, max_decompressed)?;
    let last =
        last_inner_offset(&data).ok_or(RecordsError::Corrupt("a compressed message holds no message"))?;
    let messages = Messages {
        base_offset: inner_base_offset(batch, last)?,
        append_time: (batch.timestamp_type() == TimestampType::LogAppendTime)
            .then_some(batch.max_timestamp()),
        is_inner: true,
        check_crcs: false,
    };
    Ok(RecordSet::of_messages(data, messages))
}

/// The value of a wrapper.
fn wrapped(batch: &Batch) -> Result<Bytes, RecordsError> {
    let bytes = batch.as_bytes();
    let key_at = LENGTH_END + min_size(batch.magic()) - 8;
    let mut input = bytes.get(key_at..).unwrap_or_default();
    read_bytes(&mut input)?;
    let value = read_bytes(&mut input)?.ok_or(RecordsError::Corrupt("a compressed message has no value"))?;
    Ok(bytes.slice_ref(value))
}

fn last_inner_offset(mut set: &[u8]) -> Option<i64> {
    let mut last = None;
    while let Some(Ok((offset, _))) = next_entry(&mut set) {
        last = Some(offset);
    }
    last
}

/// What is added to the offsets inside. Some producers leave the wrapper's offset at 0: then they count from there.
fn inner_base_offset(wrapper: &Batch, last_inner: i64) -> Result<i64, RecordsError> {
    if wrapper.magic() == 0 || wrapper.base_offset() == 0 {
        return Ok(0);
    }
    if wrapper.base_offset() < last_inner {
        return Err(RecordsError::Corrupt("a compressed message has a smaller offset than the last inside"));
    }
    // What overflows here does so again where it is added, and the last message has the wrapper's offset.
    Ok(wrapper.base_offset().wrapping_sub(last_inner))
}

/// How to read the messages of a set.
#[derive(Debug, Clone, Default)]
pub(super) struct Messages {
    base_offset: i64,
    /// The wrapper's log append time, which holds for all inside.
    append_time: Option<i64>,
    is_inner: bool,
    check_crcs: bool,
}

impl Messages {
    /// What is no wrapper has its checksum looked at already.
    pub(super) fn check_crcs(&mut self) {
        self.check_crcs = self.is_inner;
    }

    /// The next message of this offset or a later one; `None` at the end, and where the rest is no whole message. Of those
    /// before it only the heads are looked at.
    pub(super) fn read_from<'a>(
        &self,
        from: i64,
        source: &'a Bytes,
        input: &mut &'a [u8],
    ) -> Option<Result<Record<'a>, RecordsError>> {
        loop {
            let read = next_entry(input)?.and_then(|(offset, message)| {
                let offset = self.base_offset.wrapping_add(offset);
                let (head, body) = self.read_head(message)?;
                let is_meant = offset >= from;
                is_meant.then(|| self.read_message(source, offset, message, head, body)).transpose()
            });
            if let Some(read) = read.transpose() {
                return Some(read);
            }
        }
    }

    /// `input` begins with the checksum. Returns what follows the head too.
    fn read_head<'a>(&self, mut input: &'a [u8]) -> Result<(MessageHead, &'a [u8]), RecordsError> {
        let [_, _, _, _, magic] = take(&mut input)?;
        // Inside a wrapper Kafka takes whatever is not 0 for 1.
        let head = MessageHead::read(magic.min(1), &mut input)?;
        if self.is_inner && head.compression != Compression::None {
            return Err(RecordsError::Corrupt("a compressed message is inside another"));
        }
        Ok((head, input))
    }

    fn read_message<'a>(
        &self,
        source: &'a Bytes,
        offset: i64,
        message: &'a [u8],
        head: MessageHead,
        mut body: &'a [u8],
    ) -> Result<Record<'a>, RecordsError> {
        if self.check_crcs {
            verify_crc(message)?;
        }
        Ok(Record {
            offset,
            timestamp: head.timestamp_in(self.append_time),
            key: read_bytes(&mut body)?,
            value: read_bytes(&mut body)?,
            sequence: None,
            headers: Headers { count: 0, rest: &[], source },
            is_control: false,
        })
    }
}

fn verify_crc(mut message: &[u8]) -> Result<(), RecordsError> {
    let stored = u32::from_be_bytes(take(&mut message)?);
    compare(stored, crc32([message]))
}

/// Offset and bytes (from the checksum on) of the next entry of a set; `None` if there is no whole one.
fn next_entry<'a>(input: &mut &'a [u8]) -> Option<Result<(i64, &'a [u8]), RecordsError>> {
    let (head, rest) = input.split_first_chunk::<LENGTH_END>()?;
    let (offset, size) = head.split_first_chunk::<8>()?;
    let size = i32::from_be_bytes(*size.first_chunk()?);
    if size < min_size(0) as i32 {
        return Some(Err(RecordsError::InvalidSize { size }));
    }
    let (message, rest) = rest.split_at_checked(size as usize)?;
    *input = rest;
    Some(Ok((i64::from_be_bytes(*offset), message)))
}

/// An int32 length and so many bytes; a negative length is null.
fn read_bytes<'a>(input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, RecordsError> {
    let len = i32::from_be_bytes(take(input)?);
    if len < 0 {
        return Ok(None);
    }
    let (bytes, rest) =
        input.split_at_checked(len as usize).ok_or(RecordsError::Corrupt("bytes are cut off"))?;
    *input = rest;
    Ok(Some(bytes))
}
