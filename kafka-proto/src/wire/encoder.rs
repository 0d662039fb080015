//! Writes messages as bytes, or only counts them.

use super::records::join;
use alloc::{vec, vec::Vec};
use bytes::{Bytes, BytesMut};

/// From this size on, `bytes` and `records` become segments of their own instead of being copied.
pub const SHARE_FROM: usize = 4096;

/// Writes messages as bytes. Large payloads are not copied: they become segments between those of its own,
/// so that the whole can go into one vectored write.
#[derive(Debug, Default)]
pub struct Encoder {
    flexible: bool,
    /// Counts instead of writing. One type does both, so that the structures' code is there once.
    counting: bool,
    /// Bytes counted that would be copied, and that would be shared.
    counted: (usize, usize),
    segments: Vec<Bytes>,
    tail: BytesMut,
}

impl Encoder {
    /// An encoder without memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// An encoder with room for so many bytes, shared payloads not counted.
    #[inline(never)]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { tail: BytesMut::with_capacity(bytes), ..Self::default() }
    }

    /// An encoder that writes nothing and knows the length of what it would have written.
    #[inline(never)]
    pub(crate) fn counter(flexible: bool) -> Self {
        Self { flexible, counting: true, ..Self::default() }
    }

    /// Of a counter: bytes that an encoder copies into memory of its own.
    pub(crate) fn copied(&self) -> usize {
        self.counted.0
    }

    pub(crate) fn flexible(&self) -> bool {
        self.flexible
    }

    pub(crate) fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    /// Appends bytes as they are, such as a prefix.
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
    }

    /// Number of bytes written.
    pub fn len(&self) -> usize {
        let written = self.segments.iter().map(Bytes::len).sum::<usize>() + self.tail.len();
        written + self.counted.0 + self.counted.1
    }

    /// True where nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was written, in order; one segment where nothing was shared.
    pub fn into_segments(mut self) -> Vec<Bytes> {
        if self.segments.is_empty() {
            return vec![self.tail.freeze()];
        }
        self.cut();
        self.segments
    }

    /// What was written, in one piece; copies where there are several segments.
    #[inline(never)]
    pub fn into_bytes(self) -> Bytes {
        join(&self.into_segments())
    }

    fn cut(&mut self) {
        if !self.tail.is_empty() {
            self.segments.push(self.tail.split().freeze());
        }
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        if self.counting {
            self.counted.0 += bytes.len();
        } else {
            self.tail.extend_from_slice(bytes);
        }
    }

    /// Bytes that are owned, and need not be copied.
    pub(crate) fn shared(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARE_FROM {
            self.raw(bytes);
        } else if self.counting {
            self.counted.1 += bytes.len();
        } else {
            self.cut();
            self.segments.push(bytes.clone());
        }
    }

    pub(crate) fn uvarint(&mut self, mut value: u32) {
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
