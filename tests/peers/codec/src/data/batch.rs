//! Batches as the Java client writes them, which all decode; and the check of batches that others wrote.

use bytes::Bytes;

use super::{BASE_TS, Rec};
use crate::floor::records::{encode_records as floor_encode_records, walk_records as floor_walk_records};

/// Completes a batch whose records stand behind the 61 bytes of its header.
pub fn batch_header(out: &mut [u8], base_offset: i64, codec: i16, recs: &[Rec], body: usize) {
    let max_ts = BASE_TS + recs.iter().map(|r| r.ts_delta).max().unwrap_or(0);
    out[0..8].copy_from_slice(&base_offset.to_be_bytes());
    out[8..12].copy_from_slice(&((49 + body) as i32).to_be_bytes());
    out[12..16].copy_from_slice(&0i32.to_be_bytes());
    out[16] = 2;
    out[21..23].copy_from_slice(&codec.to_be_bytes());
    out[23..27].copy_from_slice(&(recs.len() as i32 - 1).to_be_bytes());
    out[27..35].copy_from_slice(&BASE_TS.to_be_bytes());
    out[35..43].copy_from_slice(&max_ts.to_be_bytes());
    out[43..51].copy_from_slice(&(-1i64).to_be_bytes());
    out[51..53].copy_from_slice(&(-1i16).to_be_bytes());
    out[53..57].copy_from_slice(&(-1i32).to_be_bytes());
    out[57..61].copy_from_slice(&(recs.len() as i32).to_be_bytes());
    let crc = crc32c::crc32c(&out[21..61 + body]);
    out[17..21].copy_from_slice(&crc.to_be_bytes());
}

pub fn raw_records(recs: &[Rec]) -> Vec<u8> {
    let cap: usize = recs
        .iter()
        .map(|r| {
            r.key.len()
                + r.value.len()
                + 40
                + r.headers.iter().map(|(k, v)| k.len() + v.len() + 10).sum::<usize>()
        })
        .sum();
    let mut out = vec![0; cap];
    let n = floor_encode_records(recs, &mut out);
    out.truncate(n);
    out
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Codec {
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}
pub const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

/// Compress as the Java client does: gzip level 6, xerial snappy in 32 KiB blocks, LZ4 frame of
/// independent 64 KiB blocks without checksums or content size, zstd level 3.
pub fn java_compress(codec: Codec, raw: &[u8]) -> Vec<u8> {
    use std::io::Write;
    match codec {
        Codec::None => raw.to_vec(),
        Codec::Gzip => {
            let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
            e.write_all(raw).unwrap();
            e.finish().unwrap()
        }
        Codec::Snappy => {
            let mut out = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01".to_vec();
            for c in raw.chunks(32 * 1024) {
                let b = snap::raw::Encoder::new().compress_vec(c).unwrap();
                out.extend_from_slice(&(b.len() as u32).to_be_bytes());
                out.extend_from_slice(&b);
            }
            out
        }
        Codec::Lz4 => {
            use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
            let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
            let mut e = FrameEncoder::with_frame_info(info, Vec::new());
            e.write_all(raw).unwrap();
            e.finish().unwrap()
        }
        Codec::Zstd => zstd::stream::encode_all(raw, 3).unwrap(),
    }
}

pub fn wire_batch(codec: Codec, recs: &[Rec], base_offset: i64) -> Bytes {
    let body = java_compress(codec, &raw_records(recs));
    let mut out = vec![0; 61 + body.len()];
    out[61..].copy_from_slice(&body);
    batch_header(&mut out, base_offset, codec as i16, recs, body.len());
    Bytes::from(out)
}

/// Decode a batch some peer encoded, independently of that peer, and return what it holds.
/// Errors say what is wrong with it from a broker's point of view.
pub fn check_encoded(b: &[u8], want: u64, n: usize) -> Result<usize, String> {
    use std::io::Read;
    let len = i32::from_be_bytes(b[8..12].try_into().unwrap()) as usize;
    if b.len() != 12 + len {
        return Err(format!("batchLength {len} but {} bytes follow it", b.len() - 12));
    }
    if crc32c::crc32c(&b[21..]) != u32::from_be_bytes(b[17..21].try_into().unwrap()) {
        return Err("wrong CRC".into());
    }
    let count = i32::from_be_bytes(b[57..61].try_into().unwrap()) as usize;
    if count != n {
        return Err(format!("record count {count}"));
    }
    let body = &b[61..];
    let raw = match b[22] & 7 {
        0 => body.to_vec(),
        1 => {
            let mut v = vec![];
            flate2::read::GzDecoder::new(body).read_to_end(&mut v).map_err(|e| e.to_string())?;
            v
        }
        2 => {
            if body.starts_with(b"\x82SNAPPY\x00") {
                let mut v = vec![];
                let mut rest = &body[16..];
                while !rest.is_empty() {
                    let n = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
                    v.extend(
                        snap::raw::Decoder::new()
                            .decompress_vec(&rest[4..4 + n])
                            .map_err(|e| e.to_string())?,
                    );
                    rest = &rest[4 + n..];
                }
                v
            } else {
                snap::raw::Decoder::new().decompress_vec(body).map_err(|e| e.to_string())?
            }
        }
        3 => {
            let mut v = vec![];
            lz4_flex::frame::FrameDecoder::new(body)
                .read_to_end(&mut v)
                .map_err(|e| format!("not an LZ4 frame: {e}"))?;
            v
        }
        4 => zstd::stream::decode_all(body).map_err(|e| e.to_string())?,
        c => return Err(format!("codec {c}")),
    };
    let got = floor_walk_records(&raw, count);
    if got != want {
        return Err("records differ".into());
    }
    Ok(b.len())
}
