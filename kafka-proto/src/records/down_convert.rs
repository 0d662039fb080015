//! Writing message sets (formats 0 and 1) for brokers that do not know batches yet.

use alloc::vec::Vec;

use bytes::Bytes;

use super::crc::crc32;
use super::{BatchBody, Compression, Record, RecordsError, compression};
use crate::wire::Records;

/// Bytes of a message apart from key and value.
fn overhead(magic: u8) -> usize {
    if magic == 0 { 26 } else { 34 }
}

/// Messages with offsets from 0, in a wrapper with the last offset if the body is compressed.
pub(super) fn to_message_set(body: &BatchBody, magic: u8) -> Result<Records, RecordsError> {
    if magic > 1 {
        return Err(RecordsError::UnsupportedMagic(magic as i8));
    }
    let compression = body.compression();
    if compression == Compression::Zstd {
        return Err(RecordsError::CompressionNotSupported { compression, magic });
    }
    let set = Bytes::from(plain_set(body, magic)?);
    if compression == Compression::None || set.is_empty() {
        return Ok(set.into());
    }
    let packed = compression::compress(compression, magic, body.level, &[set])?;
    let wrapper = Message {
        offset: i64::from(body.last_offset_delta),
        timestamp: body.max_timestamp(),
        key: None,
        value: Some(&packed),
    };
    let mut out = Vec::with_capacity(overhead(magic) + packed.len());
    wrapper.write(magic, compression, &mut out)?;
    Ok(Bytes::from(out).into())
}

fn plain_set(body: &BatchBody, magic: u8) -> Result<Vec<u8>, RecordsError> {
    let mut records = body.records()?;
    let mut out = Vec::with_capacity(body.uncompressed_len() + body.count() as usize * overhead(magic));
    while let Some(record) = records.next_record() {
        let record = record?;
        if !record.headers().is_empty() {
            return Err(RecordsError::HeadersNotSupported);
        }
        Message::of(&record).write(magic, Compression::None, &mut out)?;
    }
    Ok(out)
}

struct Message<'a> {
    offset: i64,
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    fn of(record: &Record<'a>) -> Self {
        Message { offset: record.offset, timestamp: record.timestamp, key: record.key, value: record.value }
    }

    fn write(&self, magic: u8, compression: Compression, out: &mut Vec<u8>) -> Result<(), RecordsError> {
        out.extend_from_slice(&self.offset.to_be_bytes());
        let size_at = out.len();
        out.extend_from_slice(&[0; 8]); // size and checksum
        out.extend_from_slice(&[magic, compression.code()]);
        if magic == 1 {
            out.extend_from_slice(&self.timestamp.to_be_bytes());
        }
        put_bytes(self.key, out)?;
        put_bytes(self.value, out)?;
        let (size, crc) = (out.len() - size_at - 4, crc32([&out[size_at + 8..]]));
        let size = i32::try_from(size).map_err(|_| RecordsError::TooLarge)?;
        out[size_at..size_at + 4].copy_from_slice(&size.to_be_bytes());
        out[size_at + 4..size_at + 8].copy_from_slice(&crc.to_be_bytes());
        Ok(())
    }
}

fn put_bytes(bytes: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), RecordsError> {
    let len = bytes.map_or(Ok(-1), |bytes| i32::try_from(bytes.len()));
    out.extend_from_slice(&len.map_err(|_| RecordsError::TooLarge)?.to_be_bytes());
    out.extend_from_slice(bytes.unwrap_or_default());
    Ok(())
}
