//! The two byte sinks: one counts, one writes.

use super::records::join;
use alloc::{vec, vec::Vec};
use bytes::{Bytes, BytesMut};

/// From this size on, `bytes` and `records` become segments of their own instead of being copied.
pub const SHARE_FROM: usize = 4096;

/// What the byte sinks differ in.
pub(crate) trait Out {
    fn flexible(&self) -> bool;
    fn raw(&mut self, bytes: &[u8]);
    /// Bytes that are owned, and need not be copied.
    fn shared(&mut self, bytes: &Bytes);

    #[inline]
    fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.raw(&[value as u8 | 0x80]);
            value >>= 7;
        }
        self.raw(&[value as u8]);
    }
}

/// Counts the bytes that an [`Encoder`] would write.
#[derive(Debug)]
pub(crate) struct Counter {
    flexible: bool,
    copied: usize,
    shared: usize,
}

impl Counter {
    pub(crate) fn new(flexible: bool) -> Self {
        Self { flexible, copied: 0, shared: 0 }
    }

    /// All bytes.
    pub(crate) fn len(&self) -> usize {
        self.copied + self.shared
    }

    /// Bytes that the encoder copies into memory of its own.
    pub(crate) fn copied(&self) -> usize {
        self.copied
    }
}

impl Out for Counter {
    #[inline]
    fn flexible(&self) -> bool {
        self.flexible
    }

    #[inline]
    fn raw(&mut self, bytes: &[u8]) {
        self.copied += bytes.len();
    }

    #[inline]
    fn shared(&mut self, bytes: &Bytes) {
        match bytes.len() < SHARE_FROM {
            true => self.copied += bytes.len(),
            false => self.shared += bytes.len(),
        }
    }

    #[inline]
    fn uvarint(&mut self, value: u32) {
        self.copied += (32 - (value | 1).leading_zeros()).div_ceil(7) as usize;
    }
}

/// Writes messages as bytes. Large payloads are not copied: they become segments between those of its own,
/// so that the whole can go into one vectored write.
#[derive(Debug, Default)]
pub struct Encoder {
    flexible: bool,
    segments: Vec<Bytes>,
    tail: BytesMut,
}

impl Encoder {
    /// An encoder without memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// An encoder with room for so many bytes, shared payloads not counted.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { tail: BytesMut::with_capacity(bytes), ..Self::default() }
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
        self.segments.iter().map(Bytes::len).sum::<usize>() + self.tail.len()
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
    pub fn into_bytes(self) -> Bytes {
        join(&self.into_segments())
    }

    fn cut(&mut self) {
        if !self.tail.is_empty() {
            self.segments.push(self.tail.split().freeze());
        }
    }
}

impl Out for Encoder {
    #[inline]
    fn flexible(&self) -> bool {
        self.flexible
    }

    #[inline]
    fn raw(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
    }

    #[inline]
    fn shared(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARE_FROM {
            self.raw(bytes);
        } else {
            self.cut();
            self.segments.push(bytes.clone());
        }
    }
}
