//! gzip: one member, or several behind each other.
//!
//! As in Java's `GZIPInputStream`, with which Kafka reads: what follows a member and does not begin as another one is
//! ignored, and so is what is too short to be one.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;

use super::{Compression, RecordsError, unreadable, unwritable};

/// The most that deflate can unpack one byte to.
const MAX_RATIO: usize = 1032;
/// Header and trailer of a member.
const SHORTEST: usize = 18;

pub(super) fn decompress(packed: &[u8], limit: usize) -> Result<Vec<u8>, RecordsError> {
    let mut out = Vec::with_capacity(size_hint(packed).min(limit));
    let mut rest = packed;
    read_member(&mut GzDecoder::new(&mut rest), &mut out, limit)?;
    while rest.len() > SHORTEST {
        let mut member = GzDecoder::new(&mut rest);
        if member.header().is_none() {
            break;
        }
        read_member(&mut member, &mut out, limit)?;
    }
    Ok(out)
}

fn read_member(member: &mut impl Read, out: &mut Vec<u8>, limit: usize) -> Result<(), RecordsError> {
    let room = limit.saturating_sub(out.len()) as u64;
    let mut member = member.take(room.saturating_add(1));
    member.read_to_end(out).map_err(|error| unreadable(Compression::Gzip, error))?;
    if out.len() > limit {
        return Err(RecordsError::DecompressedTooLarge { limit });
    }
    Ok(())
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
