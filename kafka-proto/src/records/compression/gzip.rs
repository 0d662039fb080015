//! gzip: one member, or several behind each other.
//!
//! As in Java's `GZIPInputStream`, with which Kafka reads: what follows a member and does not begin as another one is
//! ignored, and so is what is too short to be one. Of a header all is passed over but its own checksum; flags that mean nothing
//! yet are no reason to refuse it.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use flate2::write::GzEncoder;

use super::{Compression, RecordsError, unreadable, unwritable};
use crate::records::header::take;

/// The most that deflate can unpack one byte to.
const MAX_RATIO: usize = 1032;
/// Header and trailer of a member.
const SHORTEST: usize = 18;

/// The two magic bytes, and deflate, the only method there is.
const BEGIN: [u8; 3] = [0x1f, 0x8b, 8];
const HEADER_CHECKSUM: u8 = 0x02;
const EXTRA: u8 = 0x04;
const NAME: u8 = 0x08;
const COMMENT: u8 = 0x10;

pub(super) fn decompress(packed: &[u8], limit: usize) -> Result<Vec<u8>, RecordsError> {
    let mut out = Vec::with_capacity(size_hint(packed).min(limit));
    let mut rest = packed;
    pass_header(&mut rest)?;
    read_member(&mut rest, &mut out, limit)?;
    while rest.len() > SHORTEST && pass_header(&mut rest).is_ok() {
        read_member(&mut rest, &mut out, limit)?;
    }
    Ok(out)
}

fn pass_header(rest: &mut &[u8]) -> Result<(), RecordsError> {
    let whole = *rest;
    if take(rest)? != BEGIN {
        return Err(corrupt("no member begins here"));
    }
    let [flags, _time @ .., _extra_flags, _system] = take::<7>(rest)?;
    if flags & EXTRA != 0 {
        let len = u16::from_le_bytes(take(rest)?);
        *rest = rest.get(usize::from(len)..).ok_or(RecordsError::Corrupt("a field is cut off"))?;
    }
    for text in [NAME, COMMENT] {
        while flags & text != 0 && take(rest)? != [0] {}
    }
    if flags & HEADER_CHECKSUM != 0 {
        let mut crc = Crc::new();
        crc.update(&whole[..whole.len() - rest.len()]);
        if u16::from_le_bytes(take(rest)?) != crc.sum() as u16 {
            return Err(corrupt("the checksum of a header is wrong"));
        }
    }
    Ok(())
}

/// `rest` follows the header; afterwards it follows the member.
fn read_member(rest: &mut &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), RecordsError> {
    let start = out.len();
    let room = limit.saturating_sub(start) as u64;
    let mut content = DeflateDecoder::new(&mut *rest).take(room.saturating_add(1));
    content.read_to_end(out).map_err(|error| unreadable(Compression::Gzip, error))?;
    if out.len() > limit {
        return Err(RecordsError::DecompressedTooLarge { limit });
    }
    let mut crc = Crc::new();
    crc.update(&out[start..]);
    if u32::from_le_bytes(take(rest)?) != crc.sum() || u32::from_le_bytes(take(rest)?) != crc.amount() {
        return Err(corrupt("the checksum or size of a member is wrong"));
    }
    Ok(())
}

fn corrupt(reason: &str) -> RecordsError {
    unreadable(Compression::Gzip, reason)
}

/// The size that the stream claims in its last four bytes, if its bytes can hold as much.
fn size_hint(packed: &[u8]) -> usize {
    let claimed = packed.last_chunk().map_or(0, |size| u32::from_le_bytes(*size));
    (claimed as usize).min(packed.len().saturating_mul(MAX_RATIO))
}

pub(super) fn compress(pieces: &[Bytes], level: Option<i32>) -> Result<Vec<u8>, RecordsError> {
    let level = level.map_or(flate2::Compression::default(), |level| {
        flate2::Compression::new(level.clamp(1, 9).unsigned_abs())
    });
    let len: usize = pieces.iter().map(Bytes::len).sum();
    let mut writer = GzEncoder::new(Vec::with_capacity(len / 2), level);
    let written = pieces.iter().try_for_each(|piece| writer.write_all(piece));
    written.and_then(|()| writer.finish()).map_err(|error| unwritable(Compression::Gzip, error))
}
