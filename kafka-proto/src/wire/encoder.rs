//! Writes messages as bytes, or only counts them.

use super::records::join;
use alloc::{vec, vec::Vec};
use bytes::Bytes;

/// From this size on, `bytes` and `records` become segments of their own instead of being copied.
pub const SHARE_FROM: usize = 4096;

/// Writes messages as bytes. Large payloads are not copied: they become segments between those of its own,
/// so that the whole can go into one vectored write.
#[derive(Debug, Default)]
pub struct Encoder {
    flexible: bool,
    /// Counts instead of writing. One type does both, so that the structures' code is there once.
    counting: bool,
    /// Bytes counted that would be copied.
    counted: usize,
    /// All that is copied. A `Vec`, as its appends are inlined.
    own: Vec<u8>,
    /// What is shared, and how many of the own bytes stand before it.
    shared: Vec<(usize, Bytes)>,
    shared_len: usize,
}

impl Encoder {
    /// An encoder without memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// An encoder with room for so many bytes, shared payloads not counted.
    #[inline(never)]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { own: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// An encoder that writes nothing and knows the length of what it would have written.
    #[inline(never)]
    pub(crate) fn counter(flexible: bool) -> Self {
        Self { flexible, counting: true, ..Self::default() }
    }

    /// Of a counter: bytes that an encoder copies into memory of its own.
    pub(crate) fn copied(&self) -> usize {
        self.counted
    }

    #[inline]
    pub(crate) fn flexible(&self) -> bool {
        self.flexible
    }

    /// Puts a length before all that follows: to be called first, and [`Encoder::end_frame`] last.
    pub(crate) fn begin_frame(&mut self) {
        self.raw(&[0; 4]);
    }

    /// Fills in the length that [`Encoder::begin_frame`] left open; gives it back if a frame cannot be that long.
    pub(crate) fn end_frame(&mut self) -> Result<(), usize> {
        let len = self.len().saturating_sub(4);
        let prefix = i32::try_from(len).map_err(|_| len)?.to_be_bytes();
        if let Some(open) = self.own.first_chunk_mut() {
            *open = prefix;
        }
        Ok(())
    }

    pub(crate) fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    /// Appends bytes as they are, such as a prefix.
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.raw(bytes);
    }

    /// Number of bytes written.
    pub fn len(&self) -> usize {
        self.own.len() + self.counted + self.shared_len
    }

    /// True where nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was written, in order; one segment where nothing was shared.
    pub fn into_segments(self) -> Vec<Bytes> {
        let own = Bytes::from(self.own);
        if self.shared.is_empty() {
            return vec![own];
        }
        let mut segments = Vec::with_capacity(2 * self.shared.len() + 1);
        let mut from = 0;
        for (to, shared) in self.shared {
            push(&mut segments, own.slice(from..to));
            push(&mut segments, shared);
            from = to;
        }
        push(&mut segments, own.slice(from..));
        segments
    }

    /// What was written, in one piece; copies where there are several segments.
    #[inline(never)]
    pub fn into_bytes(self) -> Bytes {
        join(&self.into_segments())
    }

    #[inline]
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        if self.counting {
            self.counted += bytes.len();
        } else {
            self.own.extend_from_slice(bytes);
        }
    }

    /// Appends `len` of the bytes, by storing all: that takes no call to copy.
    #[inline]
    pub(crate) fn raw_padded<const N: usize>(&mut self, bytes: &[u8; N], len: usize) {
        if self.counting {
            self.counted += len;
        } else {
            let end = self.own.len() + len;
            self.own.extend_from_slice(bytes);
            self.own.truncate(end);
        }
    }

    /// Bytes that are owned, and need not be copied.
    pub(crate) fn shared(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARE_FROM {
            return self.raw(bytes);
        }
        self.shared_len += bytes.len();
        if !self.counting {
            self.shared.push((self.own.len(), bytes.clone()));
        }
    }

    #[inline]
    pub(crate) fn uvarint(&mut self, value: u32) {
        if value < 0x80 {
            self.raw(&[value as u8]);
        } else {
            self.long_uvarint(value);
        }
    }

    #[inline(never)]
    fn long_uvarint(&mut self, mut value: u32) {
        let mut bytes = [0; 5];
        let mut len = 0;
        for byte in &mut bytes {
            len += 1;
            *byte = value as u8 | 0x80;
            value >>= 7;
            if value == 0 {
                *byte &= 0x7f;
                break;
            }
        }
        self.raw(&bytes[..len]);
    }
}

fn push(segments: &mut Vec<Bytes>, segment: Bytes) {
    if !segment.is_empty() {
        segments.push(segment);
    }
}
