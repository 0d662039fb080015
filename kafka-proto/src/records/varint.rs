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
pub(super) fn varlong_len(value: i64) -> usize {
    unsigned_len(zigzag64(value))
}

/// Bytes of seven bits: the quotient by 7, rounded up, as a product (exact for 1 to 64 bits).
#[inline(always)]
fn unsigned_len(value: u64) -> usize {
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

/// Bytes on the stack that varints are written into before they are copied out at once.
pub(super) struct Scratch {
    bytes: [u8; Scratch::SIZE],
    len: usize,
}

impl Scratch {
    /// A power of two with room for all that precedes a record's key.
    pub(super) const SIZE: usize = 32;
    const MASK: usize = Scratch::SIZE - 1;

    #[inline(always)]
    pub(super) fn new() -> Self {
        Scratch { bytes: [0; Scratch::SIZE], len: 0 }
    }

    #[inline(always)]
    pub(super) fn varint(&mut self, value: i32) {
        self.unsigned(u64::from(zigzag32(value)));
    }

    #[inline(always)]
    pub(super) fn varlong(&mut self, value: i64) {
        self.unsigned(zigzag64(value));
    }

    #[inline(always)]
    pub(super) fn byte(&mut self, byte: u8) {
        // The mask only tells the compiler what holds anyway: nobody writes more than SIZE bytes.
        self.bytes[self.len & Scratch::MASK] = byte;
        self.len += 1;
    }

    #[inline(always)]
    fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// All of the space, of which the first `len()` bytes count: copying a fixed size is cheaper than a variable one.
    #[inline(always)]
    pub(super) fn space(&self) -> &[u8; Scratch::SIZE] {
        &self.bytes
    }

    #[inline(always)]
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len.min(Scratch::SIZE)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check32(value: i32) {
        let mut scratch = Scratch::new();
        scratch.varint(value);
        assert_eq!(scratch.len(), varint_len(value));
        let mut input = scratch.as_slice();
        assert_eq!(read_varint(&mut input), Ok(value));
        assert!(input.is_empty());
    }

    fn check64(value: i64) {
        let mut scratch = Scratch::new();
        scratch.varlong(value);
        assert_eq!(scratch.len(), varlong_len(value));
        let mut input = scratch.as_slice();
        assert_eq!(read_varlong(&mut input), Ok(value));
        assert!(input.is_empty());
        for end in 0..scratch.len() {
            assert!(read_varlong(&mut &scratch.as_slice()[..end]).is_err());
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
        assert_eq!(varlong_len(i64::MIN), 10);
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
