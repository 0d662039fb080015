//! Hand-written floors: what a codec cannot do without, with plain indexing (a short buffer panics), no allocation, no
//! errors. They check the CRC and move every byte that must be moved.

pub mod frames;
pub mod messages;
pub mod records;

#[inline(always)]
pub fn zz32(v: i32) -> u32 {
    ((v << 1) ^ (v >> 31)) as u32
}
#[inline(always)]
pub fn zz64(v: i64) -> u64 {
    ((v << 1) ^ (v >> 63)) as u64
}

#[inline(always)]
pub fn uvarint(b: &[u8], p: &mut usize) -> u64 {
    let x = b[*p];
    *p += 1;
    if x < 0x80 {
        return x as u64;
    }
    let y = b[*p];
    *p += 1;
    let mut v = (x & 0x7f) as u64 | ((y & 0x7f) as u64) << 7;
    if y < 0x80 {
        return v;
    }
    let mut shift = 14;
    loop {
        let x = b[*p];
        *p += 1;
        v |= ((x & 0x7f) as u64) << shift;
        if x < 0x80 || shift >= 63 {
            return v;
        }
        shift += 7;
    }
}

#[inline(always)]
pub fn svarint(b: &[u8], p: &mut usize) -> i64 {
    let v = uvarint(b, p);
    ((v >> 1) as i64) ^ -((v & 1) as i64)
}

#[inline(always)]
pub fn vlen(mut v: u64) -> usize {
    let mut n = 1;
    while v >= 0x80 {
        v >>= 7;
        n += 1;
    }
    n
}

#[inline(always)]
pub fn put(out: &mut [u8], p: &mut usize, mut v: u64) {
    while v >= 0x80 {
        out[*p] = v as u8 | 0x80;
        *p += 1;
        v >>= 7;
    }
    out[*p] = v as u8;
    *p += 1;
}

#[inline(always)]
pub fn put_slice(out: &mut [u8], p: &mut usize, s: &[u8]) {
    out[*p..*p + s.len()].copy_from_slice(s);
    *p += s.len();
}
