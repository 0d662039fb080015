//! Zigzag varints as records have them: at most 5 bytes for an int32, 10 for an int64.
//!
//! Reading takes one or two bytes inline, which covers nearly every field of a small record, and the rest out of line.

use super::RecordsError;

/// The most bytes an int32 takes.
pub(super) const MAX_VARINT: usize = 5;
/// The most bytes an int64 takes.
pub(super) const MAX_VARLONG: usize = 10;

#[inline(always)]
pub(super) fn read_varint(input: &mut &[u8]) -> Result<i32, RecordsError> {
    let raw = read::<MAX_VARINT>(input)? as u32;
    Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

#[inline(always)]
pub(super) fn read_varlong(input: &mut &[u8]) -> Result<i64, RecordsError> {
    let raw = read::<MAX_VARLONG>(input)?;
    Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

#[inline(always)]
fn read<const MAX: usize>(input: &mut &[u8]) -> Result<u64, RecordsError> {
    match *input {
        [a, rest @ ..] if *a < 0x80 => {
            *input = rest;
            Ok(u64::from(*a))
        }
        [a, b, rest @ ..] if *b < 0x80 => {
            *input = rest;
            Ok(u64::from(a & 0x7f) | u64::from(*b) << 7)
        }
        _ => read_long::<MAX>(input),
    }
}

#[cold]
#[inline(never)]
fn read_long<const MAX: usize>(input: &mut &[u8]) -> Result<u64, RecordsError> {
    let mut value = 0;
    for (i, byte) in input.iter().take(MAX).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if *byte < 0x80 {
            *input = &input[i + 1..];
            return Ok(value);
        }
    }
    Err(RecordsError::Corrupt(if input.len() < MAX { "a varint is cut off" } else { "a varint is too long" }))
}

#[inline(always)]
pub(super) fn varint_len(value: i32) -> usize {
    unsigned_len(u64::from(zigzag32(value)))
}

#[inline(always)]
fn unsigned_len(value: u64) -> usize {
    if value < 0x80 {
        return 1;
    }
    if value < 0x4000 { 2 } else { wide_len(value) }
}

/// Bytes of seven bits: the quotient by 7, rounded up, as a product (exact for 1 to 64 bits).
#[inline(always)]
fn wide_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    (bits * 9 + 64) / 64
}

#[inline(always)]
fn zigzag32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

#[inline(always)]
fn zigzag64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// A varint of up to 5 bytes in a register, ready to be stored or shifted behind another.
#[derive(Clone, Copy)]
pub(super) struct Packed {
    /// The bytes, the first one lowest; zero beyond `len`.
    pub(super) bytes: u64,
    pub(super) len: usize,
}

impl Packed {
    #[inline(always)]
    pub(super) fn new(value: i32) -> Self {
        Packed::unsigned(u64::from(zigzag32(value)))
    }

    /// Beyond 5 bytes only the length is right.
    #[inline(always)]
    pub(super) fn long(value: i64) -> Self {
        let raw = zigzag64(value);
        if raw < 1 << 35 { Packed::unsigned(raw) } else { Packed { bytes: 0, len: wide_len(raw) } }
    }

    /// The length of bytes, -1 for null.
    #[inline(always)]
    pub(super) fn length(bytes: Option<&[u8]>) -> Self {
        match bytes {
            Some(bytes) => Packed::unsigned((bytes.len() as u64) << 1),
            None => Packed { bytes: 1, len: 1 },
        }
    }

    #[inline(always)]
    pub(super) fn unsigned(raw: u64) -> Self {
        if raw < 0x80 {
            return Packed { bytes: raw, len: 1 };
        }
        if raw < 0x4000 {
            return Packed { bytes: raw & 0x7f | 0x80 | (raw & 0x3f80) << 1, len: 2 };
        }
        Packed::wide(raw)
    }

    /// Three bytes and more, without branches.
    #[inline]
    fn wide(raw: u64) -> Self {
        let len = wide_len(raw);
        let spread = raw & 0x7f
            | (raw & 0x3f80) << 1
            | (raw & 0x1f_c000) << 2
            | (raw & 0xfe0_0000) << 3
            | (raw & 0x7_f000_0000) << 4;
        let more = 0x80_8080_8080 & ((1 << (8 * (len - 1))) - 1);
        Packed { bytes: spread | more, len }
    }

    /// This and then that; at most 8 bytes together.
    #[inline(always)]
    pub(super) fn then(self, next: Packed) -> Self {
        Packed { bytes: self.bytes | next.bytes << ((8 * self.len) & 63), len: self.len + next.len }
    }
}

/// Writes a varlong of any length to the end of `out`.
pub(super) fn put_varlong(value: i64, out: &mut impl FnMut(u8)) {
    let mut raw = zigzag64(value);
    while raw >= 0x80 {
        out(raw as u8 | 0x80);
        raw >>= 7;
    }
    out(raw as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn check32(value: i32) {
        let packed = Packed::new(value);
        let bytes = packed.bytes.to_le_bytes();
        let mut plain = Vec::new();
        put_varlong(i64::from(value), &mut |byte| plain.push(byte));
        assert_eq!(plain, bytes[..packed.len]);
        assert_eq!(packed.len, varint_len(value));
        let mut input = &plain[..];
        assert_eq!(read_varint(&mut input), Ok(value));
        assert!(input.is_empty());
    }

    fn check64(value: i64) {
        let mut plain = Vec::new();
        put_varlong(value, &mut |byte| plain.push(byte));
        assert!(plain.len() <= MAX_VARLONG);
        let packed = Packed::long(value);
        assert_eq!(packed.len, plain.len());
        if packed.len <= MAX_VARINT {
            assert_eq!(plain, packed.bytes.to_le_bytes()[..packed.len]);
        }
        let mut input = &plain[..];
        assert_eq!(read_varlong(&mut input), Ok(value));
        assert!(input.is_empty());
        for end in 0..plain.len() {
            assert!(read_varlong(&mut &plain[..end]).is_err());
        }
    }

    #[test]
    fn every_length() {
        for bit in 0..64 {
            for value in [1u64 << bit, (1u64 << bit) - 1, !(1u64 << bit)] {
                check64(value as i64);
                check32(value as i32);
            }
        }
        assert_eq!(varint_len(i32::MIN), 5);
        assert_eq!(Packed::long(i64::MIN).len, 10);
    }

    #[test]
    fn too_long_is_an_error() {
        assert!(read_varint(&mut &[0xff, 0xff, 0xff, 0xff, 0xff, 0x01][..]).is_err());
        assert!(read_varlong(&mut &[0xff; 11][..]).is_err());
    }

    proptest! {
        #[test]
        fn round_trip(a: i32, b: i64) {
            check32(a);
            check64(b);
        }
    }
}
