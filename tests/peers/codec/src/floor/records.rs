//! Floors of record batches.

use super::*;
use crate::data::batch::batch_header;
use crate::data::{Rec, touch, touch_position};

/// The practical floor: parse lengths with plain safe slice indexing (bounds checked, so a short
/// buffer panics rather than reads past it), touch keys, values and headers, allocate nothing.
pub fn walk_records(b: &[u8], count: usize) -> u64 {
    let mut p = 0;
    let mut acc = 0u64;
    for _ in 0..count {
        let len = svarint(b, &mut p) as usize;
        let end = p + len;
        p += 1; // attributes
        let ts = svarint(b, &mut p);
        acc = touch_position(acc, ts, svarint(b, &mut p));
        let k = svarint(b, &mut p);
        if k >= 0 {
            let k = k as usize;
            acc = touch(acc, &b[p..p + k]);
            p += k;
        }
        let v = svarint(b, &mut p);
        if v >= 0 {
            let v = v as usize;
            acc = touch(acc, &b[p..p + v]);
            p += v;
        }
        let h = svarint(b, &mut p);
        for _ in 0..h {
            let k = svarint(b, &mut p) as usize;
            acc = touch(acc, &b[p..p + k]);
            p += k;
            let v = svarint(b, &mut p);
            if v >= 0 {
                let v = v as usize;
                acc = touch(acc, &b[p..p + v]);
                p += v;
            }
        }
        debug_assert_eq!(p, end);
        p = end;
    }
    acc
}

/// Floor over a whole uncompressed v2 batch.
pub fn walk_batch(b: &[u8]) -> u64 {
    let len = i32::from_be_bytes(b[8..12].try_into().unwrap()) as usize;
    let b = &b[..12 + len];
    assert_eq!(b[16], 2);
    let want = u32::from_be_bytes(b[17..21].try_into().unwrap());
    assert_eq!(crc32c::crc32c(&b[21..]), want, "crc");
    let count = i32::from_be_bytes(b[57..61].try_into().unwrap()) as usize;
    walk_records(&b[61..], count)
}

/// Floor for the record section: sizes computed, then written by safe indexing into `out`, which
/// must be large enough. Returns the bytes written.
pub fn encode_records(recs: &[Rec], out: &mut [u8]) -> usize {
    let mut p = 0;
    for r in recs {
        let mut len = 1
            + vlen(zz64(r.ts_delta))
            + vlen(zz32(r.offset_delta) as u64)
            + vlen(zz32(r.key.len() as i32) as u64)
            + r.key.len()
            + vlen(zz32(r.value.len() as i32) as u64)
            + r.value.len()
            + vlen(zz32(r.headers.len() as i32) as u64);
        for (k, v) in &r.headers {
            len += vlen(zz32(k.len() as i32) as u64) + k.len();
            len += vlen(zz32(v.len() as i32) as u64) + v.len();
        }
        put(out, &mut p, zz32(len as i32) as u64);
        out[p] = 0;
        p += 1;
        put(out, &mut p, zz64(r.ts_delta));
        put(out, &mut p, zz32(r.offset_delta) as u64);
        put(out, &mut p, zz32(r.key.len() as i32) as u64);
        put_slice(out, &mut p, &r.key);
        put(out, &mut p, zz32(r.value.len() as i32) as u64);
        put_slice(out, &mut p, &r.value);
        put(out, &mut p, zz32(r.headers.len() as i32) as u64);
        for (k, v) in &r.headers {
            put(out, &mut p, zz32(k.len() as i32) as u64);
            put_slice(out, &mut p, k.as_bytes());
            put(out, &mut p, zz32(v.len() as i32) as u64);
            put_slice(out, &mut p, v);
        }
    }
    p
}

/// Floor: one uncompressed v2 batch with CRC into a buffer that is large enough.
pub fn encode_batch(recs: &[Rec], out: &mut [u8]) -> usize {
    let body = encode_records(recs, &mut out[61..]);
    batch_header(out, 0, 0, recs, body);
    61 + body
}
