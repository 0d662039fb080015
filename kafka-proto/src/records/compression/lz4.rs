//! LZ4 frames.
//!
//! Written as Kafka's own client does: independent blocks of 64 KiB, no checksums but that of the header. At format 0
//! Kafka computes that one over the wrong bytes (KIP-57), and so does this; it is not checked there. Read are linked
//! blocks, as other writers make them, and block checksums too. A content checksum is skipped, and reading stops at the end mark, as
//! Kafka does: the batch has a checksum of its own.

use bytes::Bytes;
use lz4_flex::block::{
    CompressTable, DecompressError, compress_into_with_table, decompress_into, decompress_into_with_dict,
    get_maximum_output_size,
};
use twox_hash::XxHash32;

use super::blocks::for_each_block;
use super::{Compression, RecordsError, unreadable, unwritable};
use crate::records::header::take;

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// Version 1, independent blocks, nothing optional.
const FLG: u8 = 0x60;
/// Blocks of at most 64 KiB.
const BD: u8 = 0x40;
const BLOCK: usize = 64 * 1024;
/// Set in the size of a block that is stored as it is.
const STORED: u32 = 0x8000_0000;
/// How far back linked blocks may point, in bytes.
const WINDOW: usize = 64 * 1024;
/// The most that LZ4 can unpack one byte to.
const MAX_RATIO: usize = 255;

const VERSION_BITS: u8 = 0xc0;
const VERSION_1: u8 = 0x40;
const INDEPENDENT: u8 = 0x20;
const BLOCK_CHECKSUMS: u8 = 0x10;
const CONTENT_SIZE: u8 = 0x08;
const CONTENT_CHECKSUM: u8 = 0x04;
/// A dictionary, and what has no meaning yet.
const UNSUPPORTED: u8 = 0x03;
/// The only bits of the block descriptor that have a meaning.
const BLOCK_SIZE: u8 = 0x70;

pub(super) fn decompress(packed: &[u8], magic: u8, limit: usize) -> Result<Vec<u8>, RecordsError> {
    let mut input = packed;
    let mut reader = Reader { frame: Frame::read(&mut input, magic)?, out: Vec::new(), limit };
    reader.reserve(input)?;
    while let Some((block, stored)) = reader.frame.next_block(&mut input)? {
        reader.unpack(block, stored)?;
    }
    Ok(reader.out)
}

/// What the header of a frame says.
struct Frame {
    linked: bool,
    block_checksums: bool,
    content_checksum: bool,
    max_block: usize,
}

impl Frame {
    fn read(input: &mut &[u8], magic: u8) -> Result<Self, RecordsError> {
        if take(input)? != MAGIC {
            return Err(corrupt("no frame begins here"));
        }
        let described = *input;
        let [flg, bd] = take(input)?;
        if flg & VERSION_BITS != VERSION_1 || flg & UNSUPPORTED != 0 || bd & !BLOCK_SIZE != 0 {
            return Err(corrupt("a version, dictionary or flag is not supported"));
        }
        if flg & CONTENT_SIZE != 0 {
            take::<8>(input)?;
        }
        let described = &described[..described.len() - input.len()];
        let [checksum] = take(input)?;
        if magic > 0 && checksum != header_checksum(described) {
            return Err(corrupt("the header checksum is wrong"));
        }
        let max_block = match bd >> 4 & 7 {
            size @ 4..=7 => 1 << (8 + 2 * size),
            _ => return Err(corrupt("the block size is not known")),
        };
        Ok(Frame {
            linked: flg & INDEPENDENT == 0,
            block_checksums: flg & BLOCK_CHECKSUMS != 0,
            content_checksum: flg & CONTENT_CHECKSUM != 0,
            max_block,
        })
    }

    /// The next block and whether it is stored as it is; `None` at the end mark.
    fn next_block<'a>(&self, input: &mut &'a [u8]) -> Result<Option<(&'a [u8], bool)>, RecordsError> {
        let size = u32::from_le_bytes(take(input)?);
        let (len, stored) = ((size & !STORED) as usize, size & STORED != 0);
        if len == 0 {
            if self.content_checksum {
                take::<4>(input)?;
            }
            return Ok(None);
        }
        if len > self.max_block {
            return Err(corrupt("a block is larger than the header says"));
        }
        let (block, rest) = input.split_at_checked(len).ok_or_else(|| corrupt("a block is cut off"))?;
        *input = rest;
        if self.block_checksums && u32::from_le_bytes(take(input)?) != XxHash32::oneshot(0, block) {
            return Err(corrupt("the checksum of a block is wrong"));
        }
        Ok(Some((block, stored)))
    }
}

struct Reader {
    frame: Frame,
    out: Vec<u8>,
    limit: usize,
}

impl Reader {
    /// Room for all blocks, as far as their sizes justify it.
    fn reserve(&mut self, mut input: &[u8]) -> Result<(), RecordsError> {
        let unchecked = Frame { block_checksums: false, ..self.frame };
        let mut most = 0usize;
        while let Ok(Some((block, _))) = unchecked.next_block(&mut input) {
            most = most.saturating_add(self.most_of(block));
            if self.frame.block_checksums {
                input = input.get(4..).unwrap_or_default();
            }
        }
        self.out.try_reserve_exact(most.min(self.limit)).map_err(|_| self.too_large())
    }

    /// The most bytes that a block can unpack to.
    fn most_of(&self, block: &[u8]) -> usize {
        self.frame.max_block.min(block.len() * MAX_RATIO)
    }

    fn unpack(&mut self, block: &[u8], stored: bool) -> Result<(), RecordsError> {
        let start = self.out.len();
        let allowed = self.limit - start;
        if stored {
            if block.len() > allowed {
                return Err(self.too_large());
            }
            self.out.extend_from_slice(block);
            return Ok(());
        }
        let most = self.most_of(block);
        self.out.resize(start + most.min(allowed), 0);
        let (done, room) = self.out.split_at_mut(start);
        let unpacked = match self.frame.linked {
            true => decompress_into_with_dict(block, room, &done[start.saturating_sub(WINDOW)..]),
            false => decompress_into(block, room),
        };
        match unpacked {
            Ok(len) => self.out.truncate(start + len),
            Err(DecompressError::OutputTooSmall { .. }) if most > allowed => return Err(self.too_large()),
            Err(error) => return Err(unreadable(Compression::Lz4, error)),
        }
        Ok(())
    }

    fn too_large(&self) -> RecordsError {
        RecordsError::DecompressedTooLarge { limit: self.limit }
    }
}

fn corrupt(reason: &str) -> RecordsError {
    unreadable(Compression::Lz4, reason)
}

fn header_checksum(described: &[u8]) -> u8 {
    (XxHash32::oneshot(0, described) >> 8) as u8
}

pub(super) fn compress(pieces: &[Bytes], magic: u8) -> Result<Vec<u8>, RecordsError> {
    let len: usize = pieces.iter().map(Bytes::len).sum();
    let mut table = CompressTable::default();
    let mut out = Vec::with_capacity(32 + len / 2 + get_maximum_output_size(len.min(BLOCK)));
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[FLG, BD]);
    // Format 0: over the magic bytes too, where only flags belong.
    let checksum = header_checksum(if magic == 0 { &out } else { &[FLG, BD] });
    out.push(checksum);
    for_each_block(pieces, BLOCK, |block| compress_block(&mut table, block, &mut out))?;
    out.extend_from_slice(&[0; 4]);
    Ok(out)
}

fn compress_block(table: &mut CompressTable, block: &[u8], out: &mut Vec<u8>) -> Result<(), RecordsError> {
    let start = out.len();
    out.resize(start + 4 + get_maximum_output_size(block.len()), 0);
    let packed = compress_into_with_table(block, &mut out[start + 4..], table);
    let mut size = packed.map_err(|error| unwritable(Compression::Lz4, error))? as u32;
    let mut end = start + 4 + size as usize;
    if size as usize >= block.len() {
        size = block.len() as u32 | STORED;
        end = start + 4 + block.len();
        out[start + 4..end].copy_from_slice(block);
    }
    out[start..start + 4].copy_from_slice(&size.to_le_bytes());
    out.truncate(end);
    Ok(())
}
