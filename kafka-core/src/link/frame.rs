//! Frames out of a stream of bytes: an int32 length, then so many bytes.
//!
//! Invariant: memory never runs ahead of the bytes at hand by more than `MAX_AHEAD`, except for a frame whose length
//! is within what the caller said it expects. A known frame is read straight into its own buffer.

use crate::error::ConnectionError;
use bytes::{Buf, Bytes, BytesMut};

/// Bytes that are read at once while no frame is known.
const READ_CHUNK: usize = 32 << 10;
/// How far a claimed length may run ahead of the bytes that have come.
const MAX_AHEAD: usize = 1 << 20;

/// Cuts the incoming bytes into frames.
#[derive(Debug)]
pub(super) struct FrameReader {
    /// Zeroed room; the first `filled` bytes have come.
    buffer: BytesMut,
    filled: usize,
    max_frame: usize,
}

impl FrameReader {
    pub(crate) fn new(max_frame: usize) -> Self {
        Self { buffer: BytesMut::new(), filled: 0, max_frame }
    }

    /// Where the next bytes of the socket go: never empty, never past the end of a large frame.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let want = match self.frame_length() {
            Some(length) if 4 + length > READ_CHUNK => {
                // A large frame gets a buffer of its own size, as fast as its bytes justify it.
                (4 + length).min(self.filled.max(READ_CHUNK) * 2 + MAX_AHEAD)
            }
            _ => READ_CHUNK,
        };
        let want = want.max(self.filled + 1);
        if self.buffer.len() < want {
            self.buffer.resize(want, 0);
        }
        &mut self.buffer[self.filled..want]
    }

    /// So many bytes were put into [`room`](Self::room).
    pub(crate) fn received(&mut self, len: usize) {
        self.filled = (self.filled + len).min(self.buffer.len());
    }

    /// The next whole frame, without its length.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Bytes>, ConnectionError> {
        let Some(claimed) = self.buffer[..self.filled].first_chunk::<4>().map(|b| i32::from_be_bytes(*b))
        else {
            return Ok(None);
        };
        let length = match usize::try_from(claimed) {
            Ok(length) if length <= self.max_frame && length >= 4 => length,
            _ => return Err(ConnectionError::FrameLength(i64::from(claimed))),
        };
        if self.filled < 4 + length {
            return Ok(None);
        }
        self.buffer.advance(4);
        let frame = self.buffer.split_to(length).freeze();
        self.filled -= 4 + length;
        Ok(Some(frame))
    }

    /// The bytes that have come and make no frame yet.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }

    fn frame_length(&self) -> Option<usize> {
        let claimed = self.buffer[..self.filled].first_chunk::<4>().map(|b| i32::from_be_bytes(*b))?;
        usize::try_from(claimed).ok().filter(|length| *length <= self.max_frame)
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
}
