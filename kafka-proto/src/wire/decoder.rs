//! Reads messages from bytes.

use super::{
    DecodeError, DecodeErrorKind, Field, Fixed, INLINE, Int, Ints, MAX_ARRAY_ELEMENTS, MAX_STRING_BYTES,
    MAX_TAGS, Records, Source, UnknownTags,
};
use crate::Str;
use alloc::{string::String, vec::Vec};
use bytes::Bytes;

type Result<T> = core::result::Result<T, DecodeError>;

/// No array gets more room than this before its elements have been seen.
const RESERVE: usize = 1_000;

/// A position in bytes that are being read. Strings, byte arrays and records are slices of the input.
///
/// A message may end before the input does, as Kafka allows; [`remaining`](Decoder::remaining) tells.
#[derive(Debug)]
pub struct Decoder<'a> {
    input: &'a Bytes,
    rest: &'a [u8],
    flexible: bool,
}

impl<'a> Decoder<'a> {
    /// Begins at the first byte.
    pub fn new(input: &'a Bytes) -> Self {
        Self { input, rest: input, flexible: false }
    }

    /// Bytes that have not been read.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    #[inline]
    fn take(&mut self, len: usize, name: &'static str) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(truncated(name, len, self.rest.len())),
        }
    }

    fn share(&self, slice: &'a [u8]) -> Bytes {
        if slice.is_empty() { Bytes::new() } else { self.input.slice_ref(slice) }
    }

    #[inline]
    pub(crate) fn uvarint(&mut self, name: &'static str) -> Result<u32> {
        match *self.rest {
            [byte, ref rest @ ..] if byte < 0x80 => {
                self.rest = rest;
                Ok(u32::from(byte))
            }
            _ => self.long_uvarint(name),
        }
    }

    #[inline(never)]
    fn long_uvarint(&mut self, name: &'static str) -> Result<u32> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.fixed::<i8>(name)? as u8;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::new(name, DecodeErrorKind::Varint))
    }

    /// A length or count: int32, or in flexible versions an unsigned varint of one more. `None` is null.
    #[inline]
    fn length(&mut self, name: &'static str, nullable: bool) -> Result<Option<usize>> {
        let len = if self.flexible {
            self.uvarint(name)?.checked_sub(1)
        } else {
            u32::try_from(self.fixed::<i32>(name)?).ok()
        };
        not_null(len.map(|n| n as usize), name, nullable)
    }

    fn short_length(&mut self, name: &'static str, nullable: bool) -> Result<Option<usize>> {
        let len = usize::try_from(self.fixed::<i16>(name)?).ok();
        not_null(len, name, nullable)
    }

    fn text(&mut self, name: &'static str, len: Option<usize>) -> Result<Option<Str>> {
        let Some(len) = len else { return Ok(None) };
        if len > MAX_STRING_BYTES {
            return Err(DecodeError::new(name, DecodeErrorKind::StringTooLong(len)));
        }
        let slice = self.take(len, name)?;
        let text = Str::try_from(self.share(slice));
        // Java replaces bad bytes, so brokers may hold and send such names.
        Ok(Some(text.unwrap_or_else(|_| Str::from(String::from_utf8_lossy(slice).into_owned()))))
    }

    fn one_tag(
        &mut self,
        names: &[&'static str],
        read: &mut impl FnMut(&mut Self, u32) -> Result<bool>,
        unknown: &mut UnknownTags,
    ) -> Result<()> {
        let tag = self.uvarint("tag")?;
        let name = names.get(tag as usize).copied().unwrap_or("tag");
        let size = self.uvarint(name)? as usize;
        let value = self.take(size, name)?;
        let after = core::mem::replace(&mut self.rest, value);
        let known = read(self, tag)?;
        self.rest = after;
        if !known {
            unknown.insert(tag, self.share(value));
        }
        Ok(())
    }
}

impl Source for Decoder<'_> {
    #[inline]
    fn fixed<T: Fixed>(&mut self, name: &'static str) -> Result<T> {
        match T::from_be(self.rest) {
            Some(value) => {
                self.rest = self.rest.get(T::SIZE..).unwrap_or_default();
                Ok(value)
            }
            None => Err(truncated(name, T::SIZE, self.rest.len())),
        }
    }

    fn string(&mut self, name: &'static str, nullable: bool) -> Result<Option<Str>> {
        let len =
            if self.flexible { self.length(name, nullable)? } else { self.short_length(name, nullable)? };
        self.text(name, len)
    }

    fn classic(&mut self, name: &'static str, nullable: bool) -> Result<Option<Str>> {
        let len = self.short_length(name, nullable)?;
        self.text(name, len)
    }

    fn bytes(&mut self, name: &'static str, nullable: bool) -> Result<Option<Bytes>> {
        let Some(len) = self.length(name, nullable)? else { return Ok(None) };
        let slice = self.take(len, name)?;
        Ok(Some(self.share(slice)))
    }

    fn records(&mut self, name: &'static str, nullable: bool) -> Result<Option<Records>> {
        Ok(self.bytes(name, nullable)?.map(Records::from))
    }

    #[inline]
    fn ints<T: Int>(&mut self, name: &'static str, nullable: bool) -> Result<Option<Ints<T>>> {
        let Some(count) = self.length(name, nullable)? else { return Ok(None) };
        check_count(name, count, self.rest.len())?;
        let (len, padded) = (count * T::SIZE, self.rest.first_chunk());
        let slice = self.take(len, name)?;
        // A copy of fixed length takes no call.
        if let Some(padded) = padded.filter(|_| len <= INLINE) {
            return Ok(Some(Ints::from_padded(padded, len)));
        }
        Ok(Some(Ints::from_wire(slice, || self.share(slice))))
    }

    fn array<T: Field>(&mut self, name: &'static str, nullable: bool, v: i16) -> Result<Option<Vec<T>>> {
        let Some(count) = self.length(name, nullable)? else { return Ok(None) };
        check_count(name, count, self.rest.len())?;
        let mut items = Vec::with_capacity(count.min(self.rest.len() / T::MIN.max(1)).min(RESERVE));
        for _ in 0..count {
            items.push(T::get(self, "", v).map_err(|e| e.within(name))?);
        }
        Ok(Some(items))
    }

    fn structure<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        read(self).map_err(|e| e.within(name))
    }

    fn option<T: Field>(&mut self, name: &'static str, tagged: bool, v: i16) -> Result<Option<T>> {
        let present = if tagged { self.uvarint(name)? as i32 > 0 } else { self.fixed::<i8>(name)? >= 0 };
        if present { T::get(self, name, v).map(Some) } else { Ok(None) }
    }

    #[inline]
    fn tags(
        &mut self,
        names: &[&'static str],
        read: impl FnMut(&mut Self, u32) -> Result<bool>,
    ) -> Result<UnknownTags> {
        if !self.flexible {
            return Ok(UnknownTags::new());
        }
        if let [0, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(UnknownTags::new());
        }
        self.some_tags(names, read)
    }
}

impl Decoder<'_> {
    #[inline(never)]
    fn some_tags(
        &mut self,
        names: &[&'static str],
        mut read: impl FnMut(&mut Self, u32) -> Result<bool>,
    ) -> Result<UnknownTags> {
        let mut unknown = UnknownTags::new();
        let count = self.uvarint("tags")? as usize;
        if count > MAX_TAGS {
            return Err(DecodeError::new("tags", DecodeErrorKind::TooManyTags(count)));
        }
        for _ in 0..count {
            self.one_tag(names, &mut read, &mut unknown)?;
        }
        Ok(unknown)
    }
}

/// An array cannot have more elements than there are bytes: each takes one at least.
#[inline]
fn check_count(name: &'static str, count: usize, remaining: usize) -> Result<()> {
    if count > remaining || count > MAX_ARRAY_ELEMENTS {
        return Err(DecodeError::new(name, DecodeErrorKind::TooManyElements(count)));
    }
    Ok(())
}

#[inline]
fn not_null<T>(value: Option<T>, name: &'static str, nullable: bool) -> Result<Option<T>> {
    if value.is_none() && !nullable {
        return Err(DecodeError::new(name, DecodeErrorKind::Null));
    }
    Ok(value)
}

#[cold]
#[inline(never)]
fn truncated(name: &'static str, needed: usize, remaining: usize) -> DecodeError {
    DecodeError::new(name, DecodeErrorKind::Truncated { needed, remaining })
}
