//! Snappy: the framing of snappy-java (which Kafka's own client writes), or one raw block (which others write).
//!
//! A frame is 8 bytes of magic, two int32 versions, then blocks with an int32 length before each. Streams may follow
//! each other; the magic cannot be mistaken for a length, as it would be negative. Fewer bytes at the end than a length has are
//! ignored, as snappy-java does. It does not look at the versions of the first header, nor at the second half of a later magic.

use bytes::Bytes;
use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::blocks::for_each_block;
use super::{Compression, RecordsError, unreadable, unwritable};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// Magic, version 1, oldest compatible version 1.
const HEADER: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
/// Further streams of older versions are refused.
const OLDEST: i32 = 1;
/// The bytes before each block.
const LENGTH: usize = 4;
/// What snappy-java packs at a time, in bytes.
const BLOCK: usize = 32 * 1024;
/// The most that Snappy can unpack one byte to: a copy of 64 bytes takes three.
const MAX_RATIO: usize = 22;

pub(super) fn decompress(packed: &[u8], limit: usize) -> Result<Vec<u8>, RecordsError> {
    let mut out = Vec::new();
    if packed.len() < HEADER.len() || !packed.starts_with(&MAGIC) {
        decompress_block(packed, &mut out, limit)?;
        return Ok(out);
    }
    let mut rest = &packed[HEADER.len()..];
    while rest.len() >= LENGTH {
        if rest.starts_with(&MAGIC[..LENGTH]) {
            pass_header(&mut rest)?;
        } else {
            decompress_block(next_block(&mut rest)?, &mut out, limit)?;
        }
    }
    Ok(out)
}

/// Passes over the header of another stream.
fn pass_header(rest: &mut &[u8]) -> Result<(), RecordsError> {
    let corrupt = |reason: &str| unreadable(Compression::Snappy, reason);
    let (header, after) =
        rest.split_first_chunk::<{ HEADER.len() }>().ok_or_else(|| corrupt("a header is cut off"))?;
    let [magic @ .., a, b, c, d, _, _, _, _] = header;
    if *magic == MAGIC && i32::from_be_bytes([*a, *b, *c, *d]) < OLDEST {
        return Err(corrupt("the version is not known"));
    }
    *rest = after;
    Ok(())
}

fn next_block<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], RecordsError> {
    let block = rest.split_first_chunk::<LENGTH>().and_then(|(len, after)| {
        let len = usize::try_from(i32::from_be_bytes(*len)).ok()?;
        after.split_at_checked(len)
    });
    let (block, after) = block.ok_or_else(|| unreadable(Compression::Snappy, "a block is cut off"))?;
    *rest = after;
    Ok(block)
}

fn decompress_block(block: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), RecordsError> {
    let len = decompress_len(block).map_err(|error| unreadable(Compression::Snappy, error))?;
    if len > block.len().saturating_mul(MAX_RATIO) {
        return Err(unreadable(Compression::Snappy, "a block claims more than its bytes can hold"));
    }
    if len > limit.saturating_sub(out.len()) {
        return Err(RecordsError::DecompressedTooLarge { limit });
    }
    let start = out.len();
    out.resize(start + len, 0);
    Decoder::new()
        .decompress(block, &mut out[start..])
        .map_err(|error| unreadable(Compression::Snappy, error))?;
    Ok(())
}

pub(super) fn compress(pieces: &[Bytes]) -> Result<Vec<u8>, RecordsError> {
    let len: usize = pieces.iter().map(Bytes::len).sum();
    let mut encoder = Encoder::new();
    let mut out = Vec::with_capacity(HEADER.len() + len / 2 + max_compress_len(len.min(BLOCK)));
    out.extend_from_slice(&HEADER);
    for_each_block(pieces, BLOCK, |block| compress_block(&mut encoder, block, &mut out))?;
    Ok(out)
}

fn compress_block(encoder: &mut Encoder, block: &[u8], out: &mut Vec<u8>) -> Result<(), RecordsError> {
    let start = out.len();
    out.resize(start + 4 + max_compress_len(block.len()), 0);
    let written = encoder.compress(block, &mut out[start + 4..]);
    let len = written.map_err(|error| unwritable(Compression::Snappy, error))?;
    out[start..start + 4].copy_from_slice(&(len as u32).to_be_bytes());
    out.truncate(start + 4 + len);
    Ok(())
}
