//! Encoding records into a batch (format 2).
//!
//! [`BatchBuilder`] writes each record once, into chunks that are never copied when the batch grows: each is as large as
//! what is expected to come, or as all before it, up to [`MAX_CHUNK`], so that without an expectation at most half of the
//! capacity is idle. A record may begin in one chunk and end in the next, so that no space is lost between them. What an
//! append allocates is known before it ([`BatchBuilder::growth_for`]), which memory accounting relies on. The batch's
//! header is made when the batch is sealed.

use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

use super::body::BatchBody;
#[cfg(feature = "std")]
use super::chunks::ChunkPool;
use super::chunks::{MAX_CHUNK, MIN_CHUNK, Source};
use super::header::HEADER_LEN;
use super::varint::{MAX_VARINT, Packed, put_varlong, varint_len};
use super::{Compression, Header, RecordsError};
use crate::wire::Records;

/// How far behind a record's end registers are stored while it is written, at most.
const SLACK: usize = 8;
/// The largest batch in bytes: a chunk less than its length field can say, so that the chunks never exceed that.
const MAX_BATCH: usize = i32::MAX as usize - MAX_CHUNK;

/// Builds the records of one batch (format 2).
///
/// The first record's timestamp is what the others count from. Nothing is allocated before the first record.
#[derive(Debug)]
pub struct BatchBuilder {
    chunk: Vec<u8>,
    full: Vec<Bytes>,
    /// What takes over as `chunk` while a record is written that does not fit.
    next: Vec<u8>,
    /// Bytes of the chunks in `full`.
    full_len: usize,
    capacity: usize,
    source: Source,
    /// How many bytes of records the caller thinks there will be.
    expected: usize,
    count: u32,
    /// -1 before the first record.
    last_offset_delta: i32,
    base_timestamp: Option<i64>,
    max_timestamp: i64,
}

impl BatchBuilder {
    /// An empty batch.
    pub fn new() -> Self {
        BatchBuilder {
            chunk: Vec::new(),
            full: Vec::new(),
            next: Vec::new(),
            full_len: 0,
            capacity: 0,
            source: Source::default(),
            expected: 0,
            count: 0,
            last_offset_delta: -1,
            base_timestamp: None,
            max_timestamp: i64::MIN,
        }
    }

    /// An empty batch whose timestamps count from this one, in milliseconds since 1970: for those who write again what
    /// they read, with holes and a delete horizon.
    pub fn with_base_timestamp(base_timestamp: i64) -> Self {
        BatchBuilder { base_timestamp: Some(base_timestamp), ..BatchBuilder::new() }
    }

    /// An empty batch whose chunks come from a pool, and go back to it when nobody holds the sealed batch any more.
    #[cfg(feature = "std")]
    pub fn with_pool(pool: &ChunkPool) -> Self {
        BatchBuilder { source: Source::pool(pool), ..BatchBuilder::new() }
    }

    /// Tells how many bytes of records are to come, as far as that is known: chunks are then neither more nor larger
    /// than need be. More may come, and less.
    pub fn expecting(mut self, bytes: usize) -> Self {
        self.expected = bytes;
        self
    }

    /// How many bytes this record would take if it were appended next.
    #[inline]
    pub fn record_len(
        &self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> usize {
        self.encode(self.last_offset_delta.wrapping_add(1), timestamp, key, value, headers).len()
    }

    /// Bytes of new chunks that appending `record_len` bytes would allocate; 0 if they fit.
    #[inline]
    pub fn growth_for(&self, record_len: usize) -> usize {
        let missing = record_len.saturating_sub(self.chunk.capacity() - self.chunk.len());
        if missing == 0 {
            return 0;
        }
        missing.max(self.next_chunk())
    }

    /// Size of the next chunk if no record needs more: a power of two, so that pools have few sizes.
    fn next_chunk(&self) -> usize {
        let expected = self.expected.saturating_sub(self.capacity).min(MAX_CHUNK);
        let size = match expected {
            0 => 1 << self.capacity.max(1).ilog2(),
            _ => expected.next_power_of_two(),
        };
        size.clamp(MIN_CHUNK, MAX_CHUNK)
    }

    /// Writes one record with the next offset; gives its index in the batch. Timestamps are milliseconds since 1970.
    ///
    /// # Errors
    /// [`RecordsError::TooLarge`] if the batch would exceed 2 GiB or 2^31 offsets. The batch is then as it was.
    #[inline]
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<u32, RecordsError> {
        let offset_delta = self.last_offset_delta.checked_add(1).ok_or(RecordsError::TooLarge)?;
        self.append_at(offset_delta, timestamp, key, value, headers)
    }

    /// Like [`BatchBuilder::append`], with the offset (counted from the batch's) given: batches may have holes.
    ///
    /// # Errors
    /// [`RecordsError::TooLarge`] if the batch would exceed 2 GiB. The batch is then as it was.
    #[inline]
    pub fn append_at(
        &mut self,
        offset_delta: i32,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<u32, RecordsError> {
        let record = self.encode(offset_delta, timestamp, key, value, headers);
        let len = record.len();
        let room = self.chunk.capacity() - self.chunk.len();
        match record.head() {
            Some(head) if len <= room.saturating_sub(SLACK) => record.write_roomy(head, &mut self.chunk),
            _ => self.append_tight(offset_delta, timestamp, key, value, headers)?,
        }
        self.base_timestamp = Some(self.base_timestamp.unwrap_or(timestamp));
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.last_offset_delta = offset_delta;
        self.count += 1;
        Ok(self.count - 1)
    }

    /// Bytes of the batch so far, with the 61 of its header.
    #[inline]
    pub fn encoded_len(&self) -> usize {
        HEADER_LEN + self.full_len + self.chunk.len()
    }

    /// Bytes that are allocated for records.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many records there are.
    #[inline]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The largest timestamp so far, in milliseconds since 1970; `None` without records.
    pub fn max_timestamp(&self) -> Option<i64> {
        (self.count > 0).then_some(self.max_timestamp)
    }

    /// No more records.
    pub fn finish(mut self) -> BatchBody {
        let plain_len = self.full_len + self.chunk.len();
        let last = self.source.share(mem::take(&mut self.chunk));
        let records = if self.full.is_empty() {
            Records::from(last)
        } else {
            self.full.push(last);
            self.full.into()
        };
        BatchBody {
            records,
            count: self.count,
            last_offset_delta: self.last_offset_delta.max(0),
            base_timestamp: self.base_timestamp.unwrap_or(-1),
            max_timestamp: if self.count > 0 { self.max_timestamp } else { -1 },
            plain_len,
            compression: Compression::None,
            level: None,
        }
    }

    #[inline(always)]
    fn encode<'a>(
        &self,
        offset_delta: i32,
        timestamp: i64,
        key: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
        headers: &'a [Header],
    ) -> Encoded<'a> {
        let timestamp_delta = timestamp.wrapping_sub(self.base_timestamp.unwrap_or(timestamp));
        let offset_delta = Packed::new(offset_delta);
        let timestamp = Packed::long(timestamp_delta);
        let (key_len, value_len) = (Packed::length(key), Packed::length(value));
        let mut length = 1 + timestamp.len + offset_delta.len + key_len.len + value_len.len;
        length += key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        length = length.saturating_add(if headers.is_empty() { 1 } else { headers_len(headers) });
        Encoded { length, timestamp_delta, timestamp, offset_delta, key_len, key, value_len, value, headers }
    }

    /// Where the record does not fit into the chunk, or so closely that care is needed.
    #[cold]
    #[inline(never)]
    fn append_tight(
        &mut self,
        offset_delta: i32,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<(), RecordsError> {
        // Encoded anew, as otherwise the caller could not keep it in registers.
        let record = self.encode(offset_delta, timestamp, key, value, headers);
        let len = record.len();
        // Checked here alone: what fits into a chunk was within the limit when the chunk was made.
        if len.saturating_add(self.encoded_len()) > MAX_BATCH {
            return Err(RecordsError::TooLarge);
        }
        let growth = self.growth_for(len);
        if growth > 0 {
            self.grow(growth);
        }
        let BatchBuilder { chunk, next, full, full_len, source, .. } = self;
        record.write(&mut Tight { chunk, next, full, full_len, source });
        Ok(())
    }

    fn grow(&mut self, growth: usize) {
        let chunk = self.source.chunk(growth);
        self.capacity += chunk.capacity();
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            self.next = chunk;
        }
    }
}

impl Default for BatchBuilder {
    fn default() -> Self {
        BatchBuilder::new()
    }
}

/// A record as it will stand in its batch.
struct Encoded<'a> {
    /// What the record's own length field says.
    length: usize,
    timestamp_delta: i64,
    /// The same, if it takes no more than 5 bytes.
    timestamp: Packed,
    offset_delta: Packed,
    key_len: Packed,
    key: Option<&'a [u8]>,
    value_len: Packed,
    value: Option<&'a [u8]>,
    headers: &'a [Header],
}

impl Encoded<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        // A length beyond the format is refused by the caller, which compares the sum.
        varint_len(self.length as i32).saturating_add(self.length)
    }

    /// All that precedes the key, in two registers; `None` in the rare case that it does not fit.
    #[inline(always)]
    fn head(&self) -> Option<[Packed; 2]> {
        const ATTRIBUTES: Packed = Packed { bytes: 0, len: 1 };
        let first = Packed::unsigned((self.length as u64) << 1).then(ATTRIBUTES).then(self.timestamp);
        let second = self.offset_delta.then(self.key_len);
        let fits = self.timestamp.len <= MAX_VARINT && first.len <= 8 && second.len <= 8;
        if fits { Some([first, second]) } else { None }
    }

    /// Into a chunk with room for the record and `SLACK` bytes more, so that registers can be stored whole: then they
    /// need no loop and no call to copy.
    #[inline(always)]
    fn write_roomy(&self, [first, second]: [Packed; 2], out: &mut Vec<u8>) {
        put_packed(first, out);
        put_packed(second, out);
        put_bytes(self.key.unwrap_or_default(), out);
        put_packed(self.value_len, out);
        put_bytes(self.value.unwrap_or_default(), out);
        if self.headers.is_empty() {
            out.push(0);
        } else {
            write_headers(self.headers, out);
        }
    }

    fn write(&self, out: &mut Tight<'_>) {
        out.varlong(self.length as i64);
        out.bytes(&[0]); // attributes, unused
        out.varlong(self.timestamp_delta);
        out.packed(self.offset_delta);
        out.sized(self.key);
        out.sized(self.value);
        out.varlong(self.headers.len() as i64);
        for header in self.headers {
            out.sized(Some(header.key.as_bytes()));
            out.sized(header.value.as_deref());
        }
    }
}

fn write_headers(headers: &[Header], out: &mut Vec<u8>) {
    put_packed(Packed::new(headers.len() as i32), out);
    for header in headers {
        put_packed(Packed::length(Some(header.key.as_bytes())), out);
        put_bytes(header.key.as_bytes(), out);
        let value = header.value.as_deref();
        put_packed(Packed::length(value), out);
        put_bytes(value.unwrap_or_default(), out);
    }
}

/// Appends the bytes that count, by storing all of them.
#[inline(always)]
fn put_packed(packed: Packed, out: &mut Vec<u8>) {
    let end = out.len() + packed.len;
    out.extend_from_slice(&packed.bytes.to_le_bytes());
    out.truncate(end);
}

/// Appends bytes; 8 to 16 of them as two registers that may overlap, which takes no call to copy.
#[inline(always)]
fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) if bytes.len() <= 16 => {
            let overlap = 16 - bytes.len();
            out.extend_from_slice(first);
            out.truncate(out.len() - overlap);
            out.extend_from_slice(last);
        }
        _ => out.extend_from_slice(bytes),
    }
}

#[inline(always)]
fn length_field(bytes: Option<&[u8]>) -> i32 {
    bytes.map_or(-1, |bytes| bytes.len() as i32)
}

#[inline(always)]
fn bytes_len(bytes: Option<&[u8]>) -> usize {
    varint_len(length_field(bytes)) + bytes.map_or(0, <[u8]>::len)
}

/// The headers with their count.
fn headers_len(headers: &[Header]) -> usize {
    let len = |header: &Header| bytes_len(Some(header.key.as_bytes())) + bytes_len(header.value.as_deref());
    headers.iter().map(len).fold(varint_len(headers.len() as i32), usize::saturating_add)
}

/// A chunk that may become full within the record.
struct Tight<'a> {
    chunk: &'a mut Vec<u8>,
    next: &'a mut Vec<u8>,
    full: &'a mut Vec<Bytes>,
    full_len: &'a mut usize,
    source: &'a Source,
}

impl Tight<'_> {
    fn varlong(&mut self, value: i64) {
        put_varlong(value, &mut |byte| self.bytes(&[byte]));
    }

    fn packed(&mut self, packed: Packed) {
        let bytes = packed.bytes.to_le_bytes();
        self.bytes(bytes.get(..packed.len).unwrap_or_default());
    }

    fn sized(&mut self, bytes: Option<&[u8]>) {
        self.varlong(i64::from(length_field(bytes)));
        self.bytes(bytes.unwrap_or_default());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let room = self.chunk.capacity() - self.chunk.len();
        let (fits, rest) = bytes.split_at(room.min(bytes.len()));
        self.chunk.extend_from_slice(fits);
        if !rest.is_empty() {
            let full = mem::replace(self.chunk, mem::take(self.next));
            *self.full_len += full.len();
            self.full.push(self.source.share(full));
            self.chunk.extend_from_slice(rest);
        }
    }
}
