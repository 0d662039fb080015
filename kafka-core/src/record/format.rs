//! The file of a recording.
//!
//! | bytes | |
//! |---|---|
//! | 8 | `KAFKAREC` |
//! | 1 | the version of this format |
//! | block | the [`Head`] |
//! | blocks | entries, each behind its length in 4 bytes |
//! | block | an empty one: the end |
//!
//! A block is its length and its CRC-32C, 4 bytes each, little-endian, then as many bytes. What is in it is in postcard's format.
//!
//! Invariants
//! * Whatever the bytes are, reading does not panic, and allocates no more than there are bytes, and a few MiB.
//! * What is cut off in the middle of a block is noticed, and so is any other change of a byte.

use crate::client::door::{Outcome, What};
use crate::machine::{Now, Time};
use crate::settings::recorded::Settings;
use crate::tape::{read, write};
use kafka_proto::Bytes;
use kafka_proto::records::crc32c;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::time::Duration;

const MAGIC: [u8; 8] = *b"KAFKAREC";
const VERSION: u8 = 1;
/// From this size on a block is written.
const BLOCK: usize = 64 << 10;

/// What a recording begins with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The version of the library that wrote it.
    pub(crate) library: String,
    /// Keys, values and headers are as they were.
    pub(crate) is_whole: bool,
    /// Of the client.
    pub(crate) settings: Settings,
}

impl Head {
    pub(crate) fn new(is_whole: bool, settings: Settings) -> Self {
        Self { library: env!("CARGO_PKG_VERSION").to_owned(), is_whole, settings }
    }
}

/// An entry as it is in the file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Since the last entry that has a time.
    pub(crate) now: Option<Since>,
    pub(crate) what: What,
    pub(crate) seen: Vec<Bytes>,
    pub(crate) outcome: Outcome,
    pub(crate) deadline: Option<Option<Time>>,
}

/// The time between two entries: of two threads the one that looked at the clock first may come second.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Since {
    nanos: i64,
    wall_ms: i64,
}

impl Since {
    pub(crate) fn between(earlier: Now, later: Now) -> Self {
        let nanos = |time: Time| time.since_start().as_nanos() as i64;
        let nanos = nanos(later.time).wrapping_sub(nanos(earlier.time));
        Self { nanos, wall_ms: later.wall_ms.wrapping_sub(earlier.wall_ms) }
    }

    pub(crate) fn after(self, earlier: Now) -> Now {
        let nanos = Duration::from_nanos(self.nanos.unsigned_abs());
        let time = if self.nanos < 0 { earlier.time - nanos } else { earlier.time + nanos };
        Now { time, wall_ms: earlier.wall_ms.wrapping_add(self.wall_ms) }
    }
}

/// Writes a recording, block by block.
#[derive(Debug)]
pub(crate) struct Blocks<W> {
    out: W,
    block: Vec<u8>,
    /// Something could not be written: nothing more is.
    has_failed: bool,
    /// Why, until it is told.
    failure: Option<io::Error>,
}

impl<W: Write> Blocks<W> {
    pub(crate) fn begin(mut out: W, head: &Head) -> io::Result<Self> {
        out.write_all(&MAGIC)?;
        out.write_all(&[VERSION])?;
        write_block(&mut out, &write(head))?;
        Ok(Self { out, block: Vec::new(), has_failed: false, failure: None })
    }

    pub(crate) fn add(&mut self, kept: &Kept) {
        let bytes = write(kept);
        self.block.extend((bytes.len() as u32).to_le_bytes());
        self.block.extend(bytes);
        if self.block.len() >= BLOCK {
            self.flush();
        }
    }

    pub(crate) fn flush(&mut self) {
        if !self.block.is_empty() {
            self.put();
        }
    }

    /// Writes what is left and the mark of the end.
    pub(crate) fn end(&mut self) {
        self.flush();
        self.put();
    }

    fn put(&mut self) {
        let block = std::mem::take(&mut self.block);
        if !self.has_failed {
            self.failure = write_block(&mut self.out, &block).err();
            self.has_failed = self.failure.is_some();
        }
    }

    /// Why it ended before its time, once.
    pub(crate) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }
}

fn write_block(out: &mut impl Write, block: &[u8]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(8 + block.len());
    bytes.extend((block.len() as u32).to_le_bytes());
    bytes.extend(crc32c(block).to_le_bytes());
    bytes.extend(block);
    out.write_all(&bytes)
}

/// Why a recording cannot be read, or not further.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// The file does not begin as one.
    #[error("this is no recording")]
    NoRecording,
    /// It is of another version.
    #[error("the recording has format {found}, and this program reads format {expected}")]
    Version {
        /// The file's.
        found: u8,
        /// The program's.
        expected: u8,
    },
    /// It ends in the middle: the program was killed, or a part of the file is missing.
    #[error("the recording is whole up to byte {at} only: it is cut off or damaged there")]
    CutOff {
        /// So many bytes are whole.
        at: u64,
    },
    /// Bytes were changed.
    #[error("the block at byte {at} is damaged")]
    Damaged {
        /// Where.
        at: u64,
    },
    /// The file cannot be read.
    #[error("the recording cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// Reads a recording.
#[derive(Debug)]
pub(crate) struct Reading<R> {
    input: R,
    at: u64,
    block: Bytes,
    has_ended: bool,
}

impl<R: Read> Reading<R> {
    pub(crate) fn begin(mut input: R) -> Result<(Self, Head), Unreadable> {
        let mut start = [0; MAGIC.len() + 1];
        input.read_exact(&mut start).map_err(|_| Unreadable::NoRecording)?;
        match start.split_last() {
            Some((&VERSION, magic)) if *magic == MAGIC => {}
            Some((&found, magic)) if *magic == MAGIC => {
                return Err(Unreadable::Version { found, expected: VERSION });
            }
            _ => return Err(Unreadable::NoRecording),
        }
        let mut reading = Self { input, at: start.len() as u64, block: Bytes::new(), has_ended: false };
        let at = reading.at;
        let head = reading.next_block()?;
        let head = read(&head).ok_or(Unreadable::Damaged { at })?;
        Ok((reading, head))
    }

    /// How many bytes were read.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Returns the next entry; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Kept>, Unreadable> {
        if self.has_ended {
            return Ok(None);
        }
        let at = self.at;
        if self.block.is_empty() {
            self.block = self.next_block()?;
            self.has_ended = self.block.is_empty();
            if self.has_ended {
                return Ok(None);
            }
        }
        let entry = self.split_entry().and_then(|entry| read(&entry));
        entry.map(Some).ok_or(Unreadable::Damaged { at })
    }

    fn split_entry(&mut self) -> Option<Bytes> {
        let (len, rest) = self.block.split_first_chunk()?;
        let len = u32::from_le_bytes(*len) as usize;
        if len > rest.len() {
            return None;
        }
        let entry = self.block.slice(4..4 + len);
        self.block = self.block.slice(4 + len..);
        Some(entry)
    }

    fn next_block(&mut self) -> Result<Bytes, Unreadable> {
        let at = self.at;
        let mut start = [0; 8];
        self.read_whole(&mut start)?;
        let [len, crc] =
            [0, 4].map(|at| u32::from_le_bytes([start[at], start[at + 1], start[at + 2], start[at + 3]]));
        let mut block = Vec::new();
        let read = (&mut self.input).take(len.into()).read_to_end(&mut block)?;
        if read < len as usize {
            return Err(Unreadable::CutOff { at });
        }
        if crc32c(&block) != crc {
            return Err(Unreadable::Damaged { at });
        }
        self.at = at + 8 + u64::from(len);
        Ok(block.into())
    }

    fn read_whole(&mut self, into: &mut [u8]) -> Result<(), Unreadable> {
        self.input.read_exact(into).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Unreadable::CutOff { at: self.at },
            _ => error.into(),
        })
    }
}

#[cfg(test)]
mod tests;
