//! Encoding records into a batch (format 2).
//!
//! [`BatchBuilder`] writes each record once, into chunks that are never copied when the batch grows: each is as large as
//! all before it, up to [`MAX_CHUNK`], so that at most half of the capacity is idle. A record may begin in one chunk and
//! end in the next, so that no space is lost between them. What an append allocates is known before it ([`BatchBuilder::growth_for`]), which memory accounting relies on. The batch's header is made when
//! the batch is sealed.

use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

use super::body::BatchBody;
use super::header::HEADER_LEN;
use super::varint::{Scratch, varint_len, varlong_len};
use super::{Header, RecordsError};

/// Size of the first chunk in bytes: a lone small record costs no more.
const MIN_CHUNK: usize = 512;
/// Size of the largest chunk in bytes, unless one record needs more.
const MAX_CHUNK: usize = 64 * 1024;
/// The largest batch in bytes: what its length field can say, and a little less.
const MAX_BATCH: usize = i32::MAX as usize;

/// Builds the records of one batch (format 2).
///
/// The first record's timestamp is what the others count from. Nothing is allocated before the first record.
#[derive(Debug)]
pub struct BatchBuilder {
    chunk: Vec<u8>,
    full: Vec<Bytes>,
    /// What takes over as `chunk` while a record is written that does not fit.
    next: Vec<u8>,
    len: usize,
    capacity: usize,
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
            len: 0,
            capacity: 0,
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
        missing.max(self.capacity.clamp(MIN_CHUNK, MAX_CHUNK))
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
        if len.saturating_add(self.encoded_len()) > MAX_BATCH {
            return Err(RecordsError::TooLarge);
        }
        self.grow_for(len);
        self.write(&record);
        self.note(timestamp, len, offset_delta);
        Ok(self.count - 1)
    }

    /// Bytes of the batch so far, with the 61 of its header.
    #[inline]
    pub fn encoded_len(&self) -> usize {
        HEADER_LEN + self.len
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
        if !self.chunk.is_empty() {
            self.full.push(mem::take(&mut self.chunk).into());
        }
        BatchBody {
            records: self.full.into(),
            count: self.count,
            last_offset_delta: self.last_offset_delta.max(0),
            base_timestamp: self.base_timestamp.unwrap_or(-1),
            max_timestamp: if self.count > 0 { self.max_timestamp } else { -1 },
            plain_len: self.len,
            ..BatchBody::default()
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
        let mut length = 1 + varlong_len(timestamp_delta) + varint_len(offset_delta);
        length += bytes_len(key) + bytes_len(value) + varint_len(headers.len() as i32);
        if !headers.is_empty() {
            length = length.saturating_add(headers_len(headers));
        }
        Encoded { length, timestamp_delta, offset_delta, key, value, headers }
    }

    #[inline(always)]
    fn grow_for(&mut self, len: usize) {
        let growth = self.growth_for(len);
        if growth > 0 {
            self.grow(growth);
        }
    }

    #[cold]
    fn grow(&mut self, growth: usize) {
        let chunk = Vec::with_capacity(growth);
        self.capacity += chunk.capacity();
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            self.next = chunk;
        }
    }

    #[inline(always)]
    fn write(&mut self, record: &Encoded<'_>) {
        if self.chunk.capacity() - self.chunk.len() >= record.len() + Scratch::SIZE {
            record.write(&mut Roomy(&mut self.chunk));
        } else {
            self.write_tight(record);
        }
    }

    #[cold]
    fn write_tight(&mut self, record: &Encoded<'_>) {
        record.write(&mut Tight { chunk: &mut self.chunk, next: &mut self.next, full: &mut self.full });
    }

    #[inline(always)]
    fn note(&mut self, timestamp: i64, len: usize, offset_delta: i32) {
        self.base_timestamp = Some(self.base_timestamp.unwrap_or(timestamp));
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.len += len;
        self.count += 1;
        self.last_offset_delta = offset_delta;
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
    offset_delta: i32,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: &'a [Header],
}

impl Encoded<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        // A length beyond the format is refused by the caller, which compares the sum.
        varint_len(self.length as i32).saturating_add(self.length)
    }

    #[inline(always)]
    fn write(&self, out: &mut impl Sink) {
        let mut head = Scratch::new();
        head.varint(self.length as i32);
        head.byte(0); // attributes, unused
        head.varlong(self.timestamp_delta);
        head.varint(self.offset_delta);
        head.varint(length_field(self.key));
        out.scratch(&head);
        out.bytes(self.key.unwrap_or_default());
        let mut head = Scratch::new();
        head.varint(length_field(self.value));
        out.scratch(&head);
        out.bytes(self.value.unwrap_or_default());
        let mut head = Scratch::new();
        head.varint(self.headers.len() as i32);
        out.scratch(&head);
        self.headers.iter().for_each(|header| write_header(header, out));
    }
}

fn write_header(header: &Header, out: &mut impl Sink) {
    for bytes in [Some(header.key.as_bytes().as_ref()), header.value.as_deref()] {
        let mut head = Scratch::new();
        head.varint(length_field(bytes));
        out.scratch(&head);
        out.bytes(bytes.unwrap_or_default());
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

fn headers_len(headers: &[Header]) -> usize {
    let len = |header: &Header| bytes_len(Some(header.key.as_bytes())) + bytes_len(header.value.as_deref());
    headers.iter().map(len).fold(0, usize::saturating_add)
}

/// Where a record is written to.
trait Sink {
    fn scratch(&mut self, scratch: &Scratch);
    fn bytes(&mut self, bytes: &[u8]);
}

/// A chunk with room for the record and a scratch more, so that scratches can be copied whole.
struct Roomy<'a>(&'a mut Vec<u8>);

impl Sink for Roomy<'_> {
    #[inline(always)]
    fn scratch(&mut self, scratch: &Scratch) {
        let end = self.0.len() + scratch.len();
        self.0.extend_from_slice(scratch.space());
        self.0.truncate(end);
    }

    #[inline(always)]
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

/// A chunk that may become full within the record.
struct Tight<'a> {
    chunk: &'a mut Vec<u8>,
    next: &'a mut Vec<u8>,
    full: &'a mut Vec<Bytes>,
}

impl Sink for Tight<'_> {
    fn scratch(&mut self, scratch: &Scratch) {
        self.bytes(scratch.as_slice());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let room = self.chunk.capacity() - self.chunk.len();
        let (fits, rest) = bytes.split_at(room.min(bytes.len()));
        self.chunk.extend_from_slice(fits);
        if !rest.is_empty() {
            let full = mem::replace(self.chunk, mem::take(self.next));
            self.full.push(full.into());
            self.chunk.extend_from_slice(rest);
        }
    }
}
