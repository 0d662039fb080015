//! Reads messages from bytes.
//!
//! Invariant: once there is an error, no bytes are left, so that every value is its default, no array has an element and
//! nothing is allocated.

use super::lossy::lossy;
use super::{
    DecodeError, DecodeErrorKind, Field, Fixed, INLINE, Int, Ints, MAX_ARRAY_ELEMENTS, MAX_STRING_BYTES,
    MAX_TAGS, PADDED, Records, Run, Source, Struct, UnknownTags,
};
use crate::message::Facts;
use crate::{Str, VersionRange};
use alloc::vec::Vec;
use bytes::Bytes;

/// No array gets more room than this beyond the elements that have been seen.
const RESERVE: usize = 1_000;

/// A position in bytes that are being read. Strings, byte arrays and records are slices of the input.
///
/// A message may end before the input does, as Kafka allows; [`remaining`](Decoder::remaining) tells.
#[derive(Debug)]
pub struct Decoder<'a> {
    input: &'a Bytes,
    rest: &'a [u8],
    flexible: bool,
    /// The first one.
    error: Option<DecodeError>,
}

impl<'a> Decoder<'a> {
    /// Begins at the first byte.
    pub fn new(input: &'a Bytes) -> Self {
        Self { input, rest: input, flexible: false, error: None }
    }

    /// Bytes that have not been read; none after an error.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Prepares for a message's fields. False, and an error, where the version is not known.
    #[inline(never)]
    pub(crate) fn begin(&mut self, facts: &Facts, version: i16) -> bool {
        self.flexible = facts.flexible(version);
        let VersionRange { min, max } = facts.versions;
        let known = facts.versions.contains(version);
        if !known {
            self.fail("", DecodeErrorKind::UnsupportedVersion { min, max });
        }
        known
    }

    /// The first error since the last call, as one of this message. Without one, all that was read is right.
    #[inline(never)]
    pub(crate) fn finish(&mut self, message: &'static str, version: i16) -> Result<(), DecodeError> {
        match self.error.take() {
            None => Ok(()),
            Some(error) => Err(error.of(message, version)),
        }
    }

    #[cold]
    #[inline(never)]
    fn fail(&mut self, name: &'static str, kind: DecodeErrorKind) {
        self.rest = &[];
        if self.error.is_none() {
            self.error = Some(DecodeError::new(name, kind));
        }
    }

    #[cold]
    #[inline(never)]
    fn truncated(&mut self, name: &'static str, needed: usize) {
        self.fail(name, DecodeErrorKind::Truncated { needed, remaining: self.rest.len() });
    }

    /// Tells which value of a run does not fit.
    #[cold]
    #[inline(never)]
    fn truncated_run(&mut self, names: &[&'static str], sizes: &[usize]) {
        for (name, size) in names.iter().zip(sizes) {
            match self.rest.get(*size..) {
                Some(rest) => self.rest = rest,
                None => return self.truncated(name, *size),
            }
        }
    }

    /// Puts a name before the path of an error.
    #[cold]
    #[inline(never)]
    fn within(&mut self, name: &'static str) {
        self.error = self.error.take().map(|error| error.within(name));
    }

    #[inline]
    fn failed(&self) -> bool {
        self.error.is_some()
    }

    #[inline]
    fn take(&mut self, len: usize, name: &'static str) -> &'a [u8] {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                taken
            }
            None => {
                self.truncated(name, len);
                &[]
            }
        }
    }

    fn share(&self, slice: &'a [u8]) -> Bytes {
        if slice.is_empty() { Bytes::new() } else { self.input.slice_ref(slice) }
    }

    #[inline]
    pub(crate) fn uvarint(&mut self, name: &'static str) -> u32 {
        match *self.rest {
            [byte, ref rest @ ..] if byte < 0x80 => {
                self.rest = rest;
                u32::from(byte)
            }
            _ => self.long_uvarint(name),
        }
    }

    #[inline(never)]
    fn long_uvarint(&mut self, name: &'static str) -> u32 {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.fixed::<i8>(name) as u8;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return value;
            }
        }
        self.fail(name, DecodeErrorKind::Varint);
        0
    }

    /// A length or count: int32, or in flexible versions an unsigned varint of one more. `None` is null, which any negative
    /// number means.
    fn length(&mut self, name: &'static str, nullable: bool) -> Option<usize> {
        let len =
            if self.flexible { self.uvarint(name).wrapping_sub(1) as i32 } else { self.fixed::<i32>(name) };
        self.not_null(usize::try_from(len).ok(), name, nullable)
    }

    fn short_length(&mut self, name: &'static str, nullable: bool) -> Option<usize> {
        let len = usize::try_from(self.fixed::<i16>(name)).ok();
        self.not_null(len, name, nullable)
    }

    fn not_null<T>(&mut self, value: Option<T>, name: &'static str, nullable: bool) -> Option<T> {
        if value.is_none() && !nullable {
            self.fail(name, DecodeErrorKind::Null);
        }
        value
    }

    /// Number of elements, which is no more than there are bytes: each takes one at least.
    #[inline(never)]
    fn count(&mut self, name: &'static str, nullable: bool) -> Option<usize> {
        let count = self.length(name, nullable)?;
        if count > self.rest.len() || count > MAX_ARRAY_ELEMENTS {
            self.fail(name, DecodeErrorKind::TooManyElements(count));
            return None;
        }
        Some(count)
    }

    fn text(&mut self, name: &'static str, len: Option<usize>) -> Option<Str> {
        let len = len?;
        if len > MAX_STRING_BYTES {
            self.fail(name, DecodeErrorKind::StringTooLong(len));
            return None;
        }
        let slice = self.take(len, name);
        Some(Str::try_from(self.share(slice)).unwrap_or_else(|_| lossy(slice)))
    }

    #[inline(never)]
    fn any_ints<T: Int>(&mut self, value: &mut Ints<T>, name: &'static str, nullable: bool) -> bool {
        let Some(count) = self.count(name, nullable) else { return false };
        let (len, padded) = (count * T::SIZE, self.rest.first_chunk::<PADDED>());
        let slice = self.take(len, name);
        if let Some(padded) = padded.filter(|_| len <= INLINE) {
            value.set_padded(padded, len);
            return true;
        }
        *value = Ints::from_wire(slice, || self.share(slice));
        true
    }

    #[inline(never)]
    fn some_tags(
        &mut self,
        names: &'static [&'static str],
        read: &mut dyn FnMut(&mut Self, u32) -> bool,
    ) -> UnknownTags {
        let mut unknown = UnknownTags::new();
        let count = self.uvarint("tags") as usize;
        if count > MAX_TAGS {
            self.fail("tags", DecodeErrorKind::TooManyTags(count));
            return unknown;
        }
        for _ in 0..count {
            self.one_tag(names, read, &mut unknown);
            if self.failed() {
                break;
            }
        }
        unknown
    }

    /// As Kafka does it: a known field ends where it ends, whatever size was told.
    fn one_tag(
        &mut self,
        names: &[&'static str],
        read: &mut dyn FnMut(&mut Self, u32) -> bool,
        unknown: &mut UnknownTags,
    ) {
        let tag = self.uvarint("tag");
        let name = names.get(tag as usize).copied().unwrap_or("tag");
        let size = self.uvarint(name) as usize;
        if self.failed() || read(self, tag) {
            return;
        }
        let value = self.take(size, name);
        if !self.failed() {
            unknown.insert(tag, self.share(value));
        }
    }
}

impl Source for Decoder<'_> {
    #[inline]
    fn fixed<T: Fixed>(&mut self, name: &'static str) -> T {
        match T::from_be(self.rest) {
            Some(value) => {
                self.rest = self.rest.get(T::SIZE..).unwrap_or_default();
                value
            }
            None => {
                self.truncated(name, T::SIZE);
                T::default()
            }
        }
    }

    #[inline]
    fn run<T: Run>(&mut self, names: &'static [&'static str]) -> T {
        match T::from_be(self.rest) {
            Some(values) => {
                self.rest = self.rest.get(T::SIZE..).unwrap_or_default();
                values
            }
            None => {
                self.truncated_run(names, T::SIZES);
                T::default()
            }
        }
    }

    fn string(&mut self, name: &'static str, nullable: bool) -> Option<Str> {
        let len = if self.flexible { self.length(name, nullable) } else { self.short_length(name, nullable) };
        self.text(name, len)
    }

    fn classic(&mut self, name: &'static str, nullable: bool) -> Option<Str> {
        let len = self.short_length(name, nullable);
        self.text(name, len)
    }

    fn bytes(&mut self, name: &'static str, nullable: bool) -> Option<Bytes> {
        let len = self.length(name, nullable)?;
        let slice = self.take(len, name);
        Some(self.share(slice))
    }

    fn records(&mut self, name: &'static str, nullable: bool) -> Option<Records> {
        self.bytes(name, nullable).map(Records::from)
    }

    /// Few integers, with enough behind them that a copy of fixed length takes no call, are read here.
    #[inline]
    fn ints<T: Int>(&mut self, value: &mut Ints<T>, name: &'static str, nullable: bool) -> bool {
        if let [n @ 1..0x80, rest @ ..] = self.rest
            && self.flexible
            && let len = (usize::from(*n) - 1) * T::SIZE
            && len <= INLINE
            && let Some(padded) = rest.first_chunk::<PADDED>()
        {
            self.rest = rest.get(len..).unwrap_or_default();
            value.set_padded(padded, len);
            return true;
        }
        self.any_ints(value, name, nullable)
    }

    /// Elements are read where they stay.
    fn array<T: Field>(&mut self, items: &mut Vec<T>, name: &'static str, nullable: bool, v: i16) -> bool {
        *items = Vec::new();
        let Some(count) = self.count(name, nullable) else { return false };
        if count == 0 {
            return true;
        }
        items.reserve_exact(count.min(self.rest.len() / T::MIN.max(1)).min(RESERVE));
        for _ in 0..count {
            items.push(T::EMPTY);
            let Some(item) = items.last_mut() else { break };
            item.fill(self, "", v);
            if self.failed() {
                self.within(name);
                break;
            }
        }
        true
    }

    #[inline]
    fn structure<T: Struct>(&mut self, name: &'static str, value: &mut T, v: i16) {
        if self.failed() {
            return;
        }
        value.read(self, v);
        if self.failed() {
            self.within(name);
        }
    }

    fn option<T: Struct>(&mut self, name: &'static str, tagged: bool, v: i16) -> Option<T> {
        let present = if tagged { self.uvarint(name) as i32 > 0 } else { self.fixed::<i8>(name) >= 0 };
        if !present {
            return None;
        }
        let mut value = T::DEFAULT;
        self.structure(name, &mut value, v);
        Some(value)
    }

    #[inline]
    fn tags(
        &mut self,
        names: &'static [&'static str],
        read: &mut dyn FnMut(&mut Self, u32) -> bool,
    ) -> UnknownTags {
        if !self.flexible {
            return UnknownTags::new();
        }
        if let [0, rest @ ..] = self.rest {
            self.rest = rest;
            return UnknownTags::new();
        }
        self.some_tags(names, read)
    }
}
