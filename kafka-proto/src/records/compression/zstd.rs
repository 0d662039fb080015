//! Zstandard frames.
//!
//! Unpacking goes into one buffer, in one pass: a window of its own, which frames without a content size (the Java
//! client's) may claim to be 128 MiB, is not needed then. The buffer's size follows from the blocks, not from what the
//! frame claims. Contexts are kept per thread, as making one costs more than packing a small batch.

use std::cell::RefCell;
use std::io;

use bytes::Bytes;
use zstd::bulk::{Compressor, Decompressor};

use super::{Compression, RecordsError, unreadable, unwritable};

/// The level of the Java client.
const DEFAULT_LEVEL: i32 = 3;

thread_local! {
    static READER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    static WRITER: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

pub(super) fn decompress(packed: &[u8], limit: usize) -> Result<Vec<u8>, RecordsError> {
    let most = unpacked_bound(packed).ok_or_else(|| unreadable(Compression::Zstd, "a frame is broken"))?;
    let mut out = Vec::new();
    out.try_reserve_exact(most.min(limit)).map_err(|_| RecordsError::DecompressedTooLarge { limit })?;
    READER.with_borrow_mut(|reader| read(reader, packed, &mut out)).map_err(|error| {
        // Within the bound there is room for whatever the blocks hold, so only the cap can be too small.
        match error.to_string().contains("too small") && most > limit {
            true => RecordsError::DecompressedTooLarge { limit },
            false => unreadable(Compression::Zstd, error),
        }
    })?;
    if out.len() < out.capacity() / 4 * 3 {
        out.shrink_to_fit();
    }
    Ok(out)
}

fn read(reader: &mut Option<Decompressor<'static>>, packed: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
    let reader = match reader {
        Some(reader) => reader,
        None => reader.insert(Decompressor::new()?),
    };
    reader.decompress_to_buffer(packed, out)
}

pub(super) fn compress(pieces: &[Bytes], level: Option<i32>) -> Result<Vec<u8>, RecordsError> {
    let level = level.unwrap_or(DEFAULT_LEVEL).clamp(*zstd::compression_level_range().start(), 22);
    let written = WRITER.with_borrow_mut(|writer| write(writer, pieces, level));
    written.map_err(|error| unwritable(Compression::Zstd, error))
}

fn write(writer: &mut Option<Compressor<'static>>, pieces: &[Bytes], level: i32) -> io::Result<Vec<u8>> {
    let writer = match writer {
        Some(writer) => writer,
        None => writer.insert(Compressor::new(level)?),
    };
    writer.set_compression_level(level)?;
    let whole = match pieces {
        [one] => one.clone(),
        many => Bytes::from(many.concat()),
    };
    let mut out = Vec::with_capacity(zstd::zstd_safe::compress_bound(whole.len()));
    writer.compress_to_buffer(&whole, &mut out)?;
    out.shrink_to_fit();
    Ok(out)
}

const FRAME_MAGIC: u32 = 0xfd2f_b528;
/// Magic of frames without content, but for its lowest four bits.
const SKIPPABLE_MAGIC: u32 = 0x184d_2a50;
/// The most that a block can hold.
const MAX_BLOCK: usize = 128 * 1024;

/// The most that frames behind each other can unpack to; `None` if they are not whole, or there is none.
fn unpacked_bound(mut packed: &[u8]) -> Option<usize> {
    let mut most = 0usize;
    loop {
        let magic = u32::from_le_bytes(take(&mut packed)?);
        if magic == FRAME_MAGIC {
            most = most.saturating_add(frame_bound(&mut packed)?);
        } else if magic & !0xf == SKIPPABLE_MAGIC {
            let len = u32::from_le_bytes(take(&mut packed)?);
            packed = packed.get(len as usize..)?;
        } else {
            return None;
        }
        if packed.is_empty() {
            return Some(most);
        }
    }
}

/// `input` follows the magic; afterwards it follows the frame.
fn frame_bound(input: &mut &[u8]) -> Option<usize> {
    let [descriptor] = take(input)?;
    let single_segment = descriptor & 0x20 != 0;
    let window = if single_segment { 0 } else { 1 };
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let content_size = [usize::from(single_segment), 2, 4, 8][usize::from(descriptor >> 6)];
    *input = input.get(window + dictionary + content_size..)?;
    let mut most = 0usize;
    loop {
        let [a, b, c] = take(input)?;
        let head = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
        let size = head >> 3;
        let (packed, unpacked) = match head >> 1 & 3 {
            0 => (size, size),
            1 => (1, size.min(MAX_BLOCK)),
            2 => (size, MAX_BLOCK),
            _ => return None,
        };
        most = most.saturating_add(unpacked);
        *input = input.get(packed..)?;
        if head & 1 != 0 {
            break;
        }
    }
    let checksum = if descriptor & 4 != 0 { 4 } else { 0 };
    *input = input.get(checksum..)?;
    Some(most)
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*bytes)
}
