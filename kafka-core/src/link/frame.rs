//! Frames out of a stream of bytes: an int32 length, then so many bytes.
//!
//! Small frames are cut out of a chunk that is read at once. A large one has a buffer of its own, which comes back when its
//! last slice is dropped, for the next large frame: new memory costs more than what is read into it.
//!
//! Invariants
//! * New memory never runs ahead of the bytes at hand by more than `MAX_AHEAD`.
//! * A frame's buffer is at most twice as large as the frame.
//! * No buffer is kept for longer than until the next small frame, nor beyond the end of the connection.

use crate::error::ConnectionError;
use bytes::{Buf, Bytes, BytesMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Bytes that are read at once while no large frame is known.
const READ_CHUNK: usize = 32 << 10;
/// How far a claimed length may run ahead of the bytes that have come.
const MAX_AHEAD: usize = 1 << 20;
/// The largest buffer that is kept for the next frame.
const MAX_SPARE: usize = 16 << 20;
/// How many are kept: while one is read the one before it is read into.
const SPARES: usize = 2;

/// Cuts the incoming bytes into frames.
#[derive(Debug)]
pub(super) struct FrameReader {
    /// Zeroed room; the first `filled` bytes have come.
    chunk: BytesMut,
    filled: usize,
    /// The large frame that is being read.
    large: Option<Large>,
    spare: Arc<Spare>,
    max_frame: usize,
}

/// A frame in a buffer of its own, its length included.
#[derive(Debug)]
struct Large {
    /// Room, whatever is in it; the first `filled` bytes have come.
    bytes: Vec<u8>,
    filled: usize,
    len: usize,
}

/// Buffers for the next large frames.
#[derive(Debug, Default)]
struct Spare(Mutex<Vec<Vec<u8>>>);

/// A whole large frame.
struct Whole {
    bytes: Vec<u8>,
    len: usize,
    home: Weak<Spare>,
}

impl FrameReader {
    pub(crate) fn new(max_frame: usize) -> Self {
        Self { chunk: BytesMut::new(), filled: 0, large: None, spare: Arc::default(), max_frame }
    }

    /// Where the next bytes of the socket go: never empty, never past the end of a large frame.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if let Some(large) = self.large.as_mut().filter(|large| !large.is_whole()) {
            return large.room();
        }
        let want = (self.filled / READ_CHUNK + 1) * READ_CHUNK;
        if self.chunk.len() < want {
            self.chunk.resize(want, 0);
        }
        &mut self.chunk[self.filled..want]
    }

    /// So many bytes were put into [`room`](Self::room).
    pub(crate) fn received(&mut self, len: usize) {
        match self.large.as_mut().filter(|large| !large.is_whole()) {
            Some(large) => large.filled = (large.filled + len).min(large.bytes.len()),
            None => self.filled = (self.filled + len).min(self.chunk.len()),
        }
    }

    /// The next whole frame, without its length.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Bytes>, ConnectionError> {
        if self.large.is_some() {
            return Ok(self.next_large());
        }
        let Some(claimed) = self.chunk[..self.filled].first_chunk::<4>().map(|b| i32::from_be_bytes(*b))
        else {
            return Ok(None);
        };
        let length = match usize::try_from(claimed) {
            Ok(length) if length <= self.max_frame && length >= 4 => length,
            _ => return Err(ConnectionError::FrameLength(i64::from(claimed))),
        };
        if self.filled < 4 + length {
            if 4 + length > READ_CHUNK {
                self.begin_large(4 + length);
            }
            return Ok(None);
        }
        self.chunk.advance(4);
        let frame = self.chunk.split_to(length).freeze();
        self.filled -= 4 + length;
        self.spare.give_up_one();
        Ok(Some(frame))
    }

    /// The bytes that have come and make no frame yet.
    pub(crate) fn pending(&self) -> &[u8] {
        match &self.large {
            Some(large) => &large.bytes[..large.filled],
            None => &self.chunk[..self.filled],
        }
    }

    /// What has come is the beginning of a large frame.
    fn begin_large(&mut self, len: usize) {
        let mut large = Large { bytes: self.spare.lend(len), filled: 0, len };
        large.grow(self.filled);
        large.bytes[..self.filled].copy_from_slice(&self.chunk[..self.filled]);
        large.filled = std::mem::take(&mut self.filled);
        self.large = Some(large);
    }

    fn next_large(&mut self) -> Option<Bytes> {
        let Large { bytes, len, .. } = self.large.take_if(|large| large.is_whole())?;
        Some(Bytes::from_owner(Whole { bytes, len, home: Arc::downgrade(&self.spare) }).slice(4..))
    }
}

impl Large {
    fn is_whole(&self) -> bool {
        self.filled == self.len
    }

    fn room(&mut self) -> &mut [u8] {
        // As fast as its bytes justify it.
        let want = self.len.min(self.filled.max(READ_CHUNK) * 2 + MAX_AHEAD);
        self.grow(want);
        let end = self.bytes.len().min(self.len);
        &mut self.bytes[self.filled..end]
    }

    fn grow(&mut self, want: usize) {
        if self.bytes.len() < want {
            self.bytes.reserve_exact(want - self.bytes.len());
            self.bytes.resize(want, 0);
        }
    }
}

impl Spare {
    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A buffer for a frame of this length, perhaps an empty one. What is too large for it is given up.
    fn lend(&self, len: usize) -> Vec<u8> {
        let lent = self.lock().pop();
        lent.filter(|bytes| bytes.len() <= len * 2).unwrap_or_default()
    }

    fn give_up_one(&self) {
        self.lock().pop();
    }

    fn take_back(&self, bytes: Vec<u8>) {
        let mut spare = self.lock();
        if spare.len() < SPARES && bytes.capacity() <= MAX_SPARE {
            spare.push(bytes);
        }
    }
}

impl AsRef<[u8]> for Whole {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if let Some(home) = self.home.upgrade() {
            home.take_back(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(reader: &mut FrameReader, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = reader.room();
            let len = room.len().min(bytes.len());
            room[..len].copy_from_slice(&bytes[..len]);
            reader.received(len);
            bytes = &bytes[len..];
        }
    }

    #[test]
    fn frames_come_whole_whatever_the_pieces() {
        let mut stream = Vec::new();
        let sizes = [4usize, 5, 100_000, 4, 3_000_000, 70_000];
        for (i, size) in sizes.iter().enumerate() {
            stream.extend((*size as u32).to_be_bytes());
            stream.extend(std::iter::repeat_n(i as u8, *size));
        }
        for piece in [1usize, 7, 4096, 1 << 20] {
            if piece == 1 && stream.len() > 100_000 {
                continue;
            }
            let mut reader = FrameReader::new(8 << 20);
            let mut frames = Vec::new();
            for part in stream.chunks(piece) {
                push(&mut reader, part);
                while let Some(frame) = reader.next_frame().unwrap() {
                    frames.push(frame);
                }
            }
            assert_eq!(frames.len(), sizes.len());
            for (i, frame) in frames.iter().enumerate() {
                assert_eq!(frame.len(), sizes[i]);
                assert!(frame.iter().all(|b| *b == i as u8));
            }
            assert!(reader.pending().is_empty());
        }
    }

    #[test]
    fn a_claim_alone_allocates_little() {
        let mut reader = FrameReader::new(1 << 30);
        push(&mut reader, &(1i32 << 29).to_be_bytes());
        assert!(reader.room().len() <= 2 * READ_CHUNK + MAX_AHEAD);
        assert!(reader.next_frame().unwrap().is_none());
    }

    #[test]
    fn lengths_that_make_no_sense_are_errors() {
        for length in [-1i32, i32::MIN, 0, 3, 1 << 20] {
            let mut reader = FrameReader::new(1 << 10);
            push(&mut reader, &length.to_be_bytes());
            assert_eq!(reader.next_frame(), Err(ConnectionError::FrameLength(i64::from(length))));
        }
    }

    /// A frame of this many bytes, in pieces of 64 KiB.
    fn frame(reader: &mut FrameReader, length: usize, byte: u8) -> Bytes {
        let mut bytes = (length as u32).to_be_bytes().to_vec();
        bytes.resize(4 + length, byte);
        let mut frame = None;
        for piece in bytes.chunks(64 << 10) {
            assert!(frame.is_none());
            let mut left = piece;
            while !left.is_empty() {
                let room = reader.room();
                let len = room.len().min(left.len());
                room[..len].copy_from_slice(&left[..len]);
                reader.received(len);
                left = &left[len..];
                frame = reader.next_frame().unwrap();
            }
        }
        let frame = frame.unwrap();
        assert!(frame.len() == length && frame.iter().all(|b| *b == byte));
        frame
    }

    fn spares(reader: &FrameReader) -> usize {
        reader.spare.0.lock().unwrap().len()
    }

    #[test]
    fn the_buffer_of_a_large_frame_comes_back_with_its_last_slice() {
        let mut reader = FrameReader::new(8 << 20);
        let first = frame(&mut reader, 1 << 20, 1);
        let (slice, at) = (first.slice(5..9), first.as_ptr());
        drop(first);
        let other = frame(&mut reader, 1 << 20, 2);
        assert_eq!(&slice[..], [1; 4]);
        drop(slice);
        assert_eq!(spares(&reader), 1);
        // A smaller frame than before shows none of the bytes that were there.
        let third = frame(&mut reader, 600 << 10, 3);
        assert_eq!(third.as_ptr(), at);
        drop((third, other));
        assert_eq!(spares(&reader), 2);
    }

    #[test]
    fn no_buffer_is_kept_for_small_frames_or_after_the_end() {
        let mut reader = FrameReader::new(8 << 20);
        drop(frame(&mut reader, 4 << 20, 1));
        let small = frame(&mut reader, 100 << 10, 2);
        assert_eq!(spares(&reader), 0, "much too large a buffer is given up");
        drop(small);
        assert_eq!(spares(&reader), 1);
        frame(&mut reader, 10, 3);
        assert_eq!(spares(&reader), 0);
        let last = frame(&mut reader, 1 << 20, 4);
        drop(reader);
        assert!(last.iter().all(|b| *b == 4));
    }
}
