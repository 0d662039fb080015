//! Zstandard frames.
//!
//! Unpacking goes into one buffer, in one pass: a window of its own, which frames without a content size (the Java
//! client's) may claim to be 128 MiB, is not needed then. The buffer's size follows from the blocks, not from what the
//! frame claims. Contexts are kept per thread, as making one costs more than packing a small batch.
//!
//! A frame that is cut off is an error where it is the first one, but behind a whole one it ends the content, with what its
//! bytes give: so reads zstd-jni, with which Kafka reads. No bytes at all are no content.

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
    let (whole, most) = whole_frames(packed);
    let (frames, rest) = packed.split_at(whole);
    let mut out = decompress_whole(frames, most, limit)?;
    if rest.is_empty() {
        return Ok(out);
    }
    if frames.is_empty() || !begins_a_frame(rest) {
        return Err(broken());
    }
    if let Some(rest) = rest.strip_prefix(&FRAME_MAGIC.to_le_bytes()) {
        let more = decompress_cut_off(rest, limit - out.len()).map_err(|error| match error {
            RecordsError::DecompressedTooLarge { .. } => RecordsError::DecompressedTooLarge { limit },
            error => error,
        });
        out.extend_from_slice(&more?);
    }
    Ok(out)
}

fn broken() -> RecordsError {
    unreadable(Compression::Zstd, "a frame is broken")
}

/// Of whole frames that unpack to so many bytes at most.
fn decompress_whole(packed: &[u8], most: usize, limit: usize) -> Result<Vec<u8>, RecordsError> {
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
/// Frames with a larger window are refused by zstd, unless it is told otherwise.
const MAX_WINDOW: u64 = 128 << 20;
/// The kinds of blocks: stored, one byte many times, and packed.
const RAW: u32 = 0;
const REPEATED: u32 = 1;
const PACKED: u32 = 2;
/// Of a frame without size and checksum, whose blocks may refer to whatever stands before them in it.
const MENDED_HEADER: [u8; 6] = [0x28, 0xb5, 0x2f, 0xfd, 0, 0xa0];

/// The length of the whole frames that the bytes begin with, and the most that they can unpack to.
fn whole_frames(packed: &[u8]) -> (usize, usize) {
    let (mut rest, mut most) = (packed, 0usize);
    while !rest.is_empty() {
        let mut after = rest;
        let Some(frame) = whole_frame(&mut after) else { break };
        (rest, most) = (after, most.saturating_add(frame));
    }
    (packed.len() - rest.len(), most)
}

/// The most that the next frame can unpack to; `None` if it is not whole, or none.
fn whole_frame(input: &mut &[u8]) -> Option<usize> {
    let magic = u32::from_le_bytes(take(input)?);
    if magic == FRAME_MAGIC {
        return frame_bound(input);
    }
    if magic & !0xf != SKIPPABLE_MAGIC {
        return None;
    }
    let len = u32::from_le_bytes(take(input)?);
    *input = input.get(len as usize..)?;
    Some(0)
}

/// What stands before the blocks of a frame.
struct FrameHeader {
    content_size: Option<u64>,
    /// The most that a block may have.
    max_block: usize,
    has_checksum: bool,
    /// It needs a dictionary, more memory than zstd grants, or what is not known yet.
    is_unsupported: bool,
}

impl FrameHeader {
    /// `input` follows the magic; afterwards it follows the header.
    fn read(input: &mut &[u8]) -> Option<Self> {
        let [descriptor] = take(input)?;
        let single_segment = descriptor & 0x20 != 0;
        let window = if single_segment { None } else { Some(window_size(take(input)?)) };
        let dictionary = number(input, [0, 1, 2, 4][usize::from(descriptor & 3)])?;
        let size_len = [usize::from(single_segment), 2, 4, 8][usize::from(descriptor >> 6)];
        let size = number(input, size_len)?.saturating_add(if size_len == 2 { 256 } else { 0 });
        let window = window.unwrap_or(size);
        Some(Self {
            content_size: (size_len > 0).then_some(size),
            max_block: window.min(MAX_BLOCK as u64) as usize,
            has_checksum: descriptor & 0x04 != 0,
            is_unsupported: descriptor & 0x08 != 0 || dictionary != 0 || window > MAX_WINDOW,
        })
    }
}

fn window_size([descriptor]: [u8; 1]) -> u64 {
    let base = 1u64 << (10 + (descriptor >> 3));
    base + base / 8 * u64::from(descriptor & 7)
}

/// A number of so many bytes, at most eight.
fn number(input: &mut &[u8], len: usize) -> Option<u64> {
    let (bytes, rest) = input.split_at_checked(len)?;
    *input = rest;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// `input` follows the magic; afterwards it follows the frame.
fn frame_bound(input: &mut &[u8]) -> Option<usize> {
    let FrameHeader { has_checksum, .. } = FrameHeader::read(input)?;
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
    let checksum = if has_checksum { 4 } else { 0 };
    *input = input.get(checksum..)?;
    Some(most)
}

/// What there is of a frame that is cut off somewhere behind its magic.
fn decompress_cut_off(mut input: &[u8], limit: usize) -> Result<Vec<u8>, RecordsError> {
    let Some(header) = FrameHeader::read(&mut input) else { return Ok(Vec::new()) };
    let frame = mended(&header, input)?;
    let (_, most) = whole_frames(&frame);
    let content = decompress_whole(&frame, most, limit)?;
    if header.content_size.is_some_and(|size| content.len() as u64 > size) {
        return Err(broken());
    }
    Ok(content)
}

/// A whole frame of those blocks that a frame which is cut off still has; nothing, where it has none.
fn mended(header: &FrameHeader, mut blocks: &[u8]) -> Result<Vec<u8>, RecordsError> {
    if header.is_unsupported {
        return Err(broken());
    }
    let mut frame = MENDED_HEADER.to_vec();
    let mut last_block = None;
    while let Some([a, b, c]) = take(&mut blocks) {
        let head = u32::from_le_bytes([a, b, c, 0]);
        let (is_last, kind, size) = (head & 1 != 0, head >> 1 & 3, (head >> 3) as usize);
        if size > header.max_block {
            return Err(broken());
        }
        let there = match kind {
            RAW => size.min(blocks.len()),
            REPEATED => 1,
            PACKED => size,
            _ => return Err(broken()),
        };
        let Some((content, rest)) = blocks.split_at_checked(there) else { break };
        let size = if kind == RAW { there } else { size };
        last_block = Some(frame.len());
        frame.extend_from_slice(&(kind << 1 | (size as u32) << 3).to_le_bytes()[..3]);
        frame.extend_from_slice(content);
        blocks = rest;
        if is_last {
            break;
        }
    }
    let Some(last) = last_block else { return Ok(Vec::new()) };
    frame[last] |= 1;
    Ok(frame)
}

/// Whether the bytes, or as many of them as there are, are the magic of a frame.
fn begins_a_frame(bytes: &[u8]) -> bool {
    let told = &bytes[..bytes.len().min(4)];
    let frame = FRAME_MAGIC.to_le_bytes();
    let skippable = SKIPPABLE_MAGIC.to_le_bytes();
    let is_skippable = told.iter().zip(skippable).enumerate().all(|(at, (byte, magic))| {
        let meant = if at == 0 { byte & 0xf0 } else { *byte };
        meant == magic
    });
    frame.starts_with(told) || is_skippable
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*bytes)
}
