//! Writes messages as bytes, or only counts them.

use super::records::join;
use super::{
    EncodeError, EncodeErrorKind, Field, Fixed, Int, Ints, MAX_ARRAY_ELEMENTS, MAX_RUN, MAX_STRING_BYTES,
    PADDED, Records, Run, Sink, Struct, UnknownTags,
};
use crate::message::Facts;
use crate::{Str, VersionRange};
use alloc::{vec, vec::Vec};
use bytes::Bytes;

/// From this size on, `bytes` and `records` become segments of their own instead of being copied.
pub const SHARE_FROM: usize = 4096;

/// The least room that is asked for.
const ROOM: usize = 256;

/// Writes messages as bytes. Large payloads are not copied: they become segments between those of its own,
/// so that the whole can go into one vectored write.
#[derive(Debug, Default)]
pub struct Encoder {
    flexible: bool,
    /// Counts instead of writing: its own bytes are thrown away when there is no more room for them. One type does
    /// both, so that the structures' code is there once, and a full buffer is the only place where they differ.
    counting: bool,
    /// Own bytes that were thrown away.
    counted: usize,
    /// All that is copied. A `Vec`, as its appends are inlined.
    own: Vec<u8>,
    /// What is shared, and how many of the own bytes stand before it.
    shared: Vec<(usize, Bytes)>,
    shared_len: usize,
    /// The first one.
    error: Option<EncodeError>,
}

impl Encoder {
    /// An encoder without memory.
    pub const fn new() -> Self {
        Self::of(Vec::new(), false)
    }

    /// An encoder with room for so many bytes, shared payloads not counted.
    #[inline]
    pub fn with_capacity(bytes: usize) -> Self {
        Self::of(Vec::with_capacity(bytes), false)
    }

    /// How many bytes of the records are copied, since they are in pieces too small to be shared.
    pub(crate) fn copied_of(records: &Records) -> usize {
        records.segments().iter().map(Bytes::len).filter(|len| *len < SHARE_FROM).sum()
    }

    #[inline]
    const fn of(own: Vec<u8>, counting: bool) -> Self {
        Self { flexible: false, counting, counted: 0, own, shared: Vec::new(), shared_len: 0, error: None }
    }

    /// The number of bytes that something writes, which are not kept.
    #[inline(never)]
    pub(crate) fn count(
        write: &mut dyn FnMut(&mut Encoder) -> Result<(), EncodeError>,
    ) -> Result<usize, EncodeError> {
        let mut counter = Self::of(Vec::new(), true);
        write(&mut counter)?;
        Ok(counter.len())
    }

    /// Prepares for a message's fields. False, and an error, where the version is not known.
    #[inline(never)]
    pub(crate) fn begin(&mut self, facts: &Facts, version: i16) -> bool {
        self.flexible = facts.flexible(version);
        let VersionRange { min, max } = facts.versions;
        let known = facts.versions.contains(version);
        if !known {
            self.fail("", EncodeErrorKind::UnsupportedVersion { min, max });
        }
        known
    }

    /// The first error since the last call, as one of this message. Without one, all that was written is right.
    #[inline(never)]
    pub(crate) fn finish(&mut self, message: &'static str, version: i16) -> Result<(), EncodeError> {
        match self.error.take() {
            None => Ok(()),
            Some(error) => Err(error.of(message, version)),
        }
    }

    /// Puts a length before all that follows, until [`Encoder::end_frame`].
    pub(crate) fn begin_frame(&mut self) -> Place {
        let begin = self.place();
        self.raw(&[0; 4]);
        begin
    }

    /// Fills in the length that [`Encoder::begin_frame`] left open; gives it back if a frame cannot be that long.
    pub(crate) fn end_frame(&mut self, begin: &Place) -> Result<(), usize> {
        let len = (self.len() - begin.len).saturating_sub(4);
        let prefix = i32::try_from(len).map_err(|_| len)?.to_be_bytes();
        if let Some(open) = self.own.get_mut(begin.own..).and_then(|rest| rest.first_chunk_mut()) {
            *open = prefix;
        }
        Ok(())
    }

    /// Takes back all that was written since.
    pub(crate) fn back_to(&mut self, begin: &Place) {
        self.own.truncate(begin.own);
        self.shared.truncate(begin.shared);
        self.shared_len = begin.len - begin.own;
        self.error = None;
    }

    fn place(&self) -> Place {
        Place { own: self.own.len(), shared: self.shared.len(), len: self.len() }
    }

    /// Appends bytes as they are, such as a prefix.
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.copy(bytes);
    }

    /// Number of bytes written.
    pub fn len(&self) -> usize {
        self.own.len() + self.counted + self.shared_len
    }

    /// True where nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was written, in order, to be given to a vectored write: large payloads where they are, all else in pieces between
    /// them. With [`clear`](Self::clear) an encoder can be used again and again without allocating.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = 0;
        let shared = self.shared.iter().flat_map(move |(to, shared)| {
            let own = self.own.get(core::mem::replace(&mut from, *to)..*to);
            [own.unwrap_or_default(), &shared[..]]
        });
        let last = self.shared.last().map_or(0, |(to, _)| *to);
        let all = shared.chain(core::iter::once(self.own.get(last..).unwrap_or_default()));
        all.filter(|piece| !piece.is_empty())
    }

    /// Forgets what was written, and keeps the memory.
    pub fn clear(&mut self) {
        self.own.clear();
        self.shared.clear();
        (self.counted, self.shared_len, self.error) = (0, 0, None);
    }

    /// What was written, in order; one segment where nothing was shared.
    pub fn into_segments(mut self) -> Vec<Bytes> {
        self.take_segments()
    }

    /// The same, and the encoder is as good as new: to move it in order to consume it would take longer.
    pub(crate) fn take_segments(&mut self) -> Vec<Bytes> {
        let shared = core::mem::take(&mut self.shared);
        self.shared_len = 0;
        if shared.is_empty() && self.own.len() <= ROOM {
            // Room that is left over would be kept for as long as the bytes, with somebody to share it.
            let small = Bytes::copy_from_slice(&self.own);
            self.own.clear();
            return vec![small];
        }
        let own = Bytes::from(core::mem::take(&mut self.own));
        if shared.is_empty() {
            return vec![own];
        }
        let mut segments = Vec::with_capacity(2 * shared.len() + 1);
        let mut from = 0;
        for (to, shared) in shared {
            push(&mut segments, own.slice(from..to));
            push(&mut segments, shared);
            from = to;
        }
        push(&mut segments, own.slice(from..));
        segments
    }

    /// What was written, in one piece; copies where there are several segments.
    #[inline(never)]
    pub fn into_bytes(self) -> Bytes {
        join(&self.into_segments())
    }

    /// Appends bytes of a length that is known when this is compiled: no call.
    #[inline]
    fn raw(&mut self, bytes: &[u8]) {
        if self.own.capacity() - self.own.len() < bytes.len() {
            self.make_room(bytes.len());
        }
        self.own.extend_from_slice(bytes);
    }

    #[cold]
    #[inline(never)]
    fn make_room(&mut self, len: usize) {
        if self.counting {
            self.counted += self.own.len();
            self.own.clear();
        }
        self.own.reserve(len.max(ROOM));
    }

    /// Appends bytes of any length.
    fn copy(&mut self, bytes: &[u8]) {
        if self.counting {
            self.counted += bytes.len();
        } else {
            self.own.extend_from_slice(bytes);
        }
    }

    /// Bytes that are owned, and need not be copied.
    pub(crate) fn shared(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARE_FROM {
            return self.copy(bytes);
        }
        self.shared_len += bytes.len();
        if !self.counting {
            self.shared.push((self.own.len(), bytes.clone()));
        }
    }

    #[inline]
    pub(crate) fn uvarint(&mut self, value: u32) {
        if value < 0x80 {
            self.raw(&[value as u8]);
        } else {
            self.long_uvarint(value);
        }
    }

    #[inline(never)]
    fn long_uvarint(&mut self, value: u32) {
        let (bytes, len) = varint(value);
        self.copy(&bytes[..len]);
    }

    /// The length of anything but a classic string: int32, or in flexible versions an unsigned varint of one more.
    fn length(&mut self, name: &'static str, len: Option<usize>, max: usize) {
        match len {
            Some(len) if len > max => self.fail(name, EncodeErrorKind::TooLong { len, max }),
            Some(len) if self.flexible => self.uvarint(len as u32 + 1),
            Some(len) => self.raw(&(len as i32).to_be_bytes()),
            None if self.flexible => self.uvarint(0),
            None => self.raw(&(-1i32).to_be_bytes()),
        }
    }

    fn short_length(&mut self, name: &'static str, len: Option<usize>) {
        match len {
            Some(len) if len > MAX_STRING_BYTES => {
                self.fail(name, EncodeErrorKind::TooLong { len, max: MAX_STRING_BYTES });
            }
            Some(len) => self.raw(&(len as i16).to_be_bytes()),
            None => self.raw(&(-1i16).to_be_bytes()),
        }
    }

    pub(crate) fn classic_str(&mut self, name: &'static str, value: Option<&str>) {
        self.short_length(name, value.map(str::len));
        self.copy(value.unwrap_or_default().as_bytes());
    }

    /// Writes the number of elements; false after an error.
    #[inline(never)]
    fn begin_array(&mut self, name: &'static str, count: Option<usize>) -> bool {
        self.length(name, count, MAX_ARRAY_ELEMENTS);
        !self.failed()
    }

    /// Any integers; few of them that are inline are written by the caller, without a call.
    #[inline(never)]
    fn any_ints(&mut self, name: &'static str, wire: Option<&[u8]>, count: usize) {
        self.length(name, wire.map(|_| count), MAX_ARRAY_ELEMENTS);
        self.copy(wire.unwrap_or_default());
    }

    #[inline]
    fn failed(&self) -> bool {
        self.error.is_some()
    }

    /// Puts a name before the path of an error.
    #[cold]
    #[inline(never)]
    fn within(&mut self, name: &'static str) {
        self.error = self.error.take().map(|error| error.within(name));
    }

    fn put_tag(&mut self, tag: u32, value: &Bytes) {
        self.uvarint(tag);
        self.uvarint(value.len() as u32);
        self.copy(value);
    }

    /// Begins a tagged field, whose length is not known yet: most take one byte for it, which is left open.
    fn begin_tag(&mut self, tag: u32) -> Place {
        self.uvarint(tag);
        self.raw(&[0]);
        self.place()
    }

    fn end_tag(&mut self, begin: Place) {
        let (bytes, len) = varint((self.len() - begin.len) as u32);
        if self.counting {
            self.counted += len - 1;
            return;
        }
        self.own.splice(begin.own - 1..begin.own, bytes.into_iter().take(len));
        self.shared.iter_mut().skip(begin.shared).for_each(|(at, _)| *at += len - 1);
    }
}

/// Where a frame begins, or the content of a tagged field.
pub(crate) struct Place {
    own: usize,
    shared: usize,
    len: usize,
}

/// An unsigned varint: the bytes, and how many of them count.
fn varint(mut value: u32) -> ([u8; 5], usize) {
    let mut bytes = [0; 5];
    let mut len = 0;
    for byte in &mut bytes {
        len += 1;
        *byte = value as u8 | 0x80;
        value >>= 7;
        if value == 0 {
            *byte &= 0x7f;
            break;
        }
    }
    (bytes, len)
}

fn push(segments: &mut Vec<Bytes>, segment: Bytes) {
    if !segment.is_empty() {
        segments.push(segment);
    }
}

fn text(value: &Str) -> &[u8] {
    (**value).as_bytes()
}

impl Sink for Encoder {
    #[cold]
    #[inline(never)]
    fn fail(&mut self, name: &'static str, kind: EncodeErrorKind) {
        if self.error.is_none() {
            self.error = Some(EncodeError::new(name, kind));
        }
    }

    #[inline]
    fn fixed<T: Fixed>(&mut self, _: &'static str, value: T) {
        self.raw(value.to_be().as_ref());
    }

    #[inline]
    fn run<T: Run>(&mut self, _: &'static [&'static str], values: T) {
        let mut bytes = [0; MAX_RUN];
        values.put_be(&mut bytes);
        self.raw(&bytes[..T::SIZE]);
    }

    fn string(&mut self, name: &'static str, value: Option<&Str>) {
        let bytes = value.map(text);
        if self.flexible {
            self.length(name, bytes.map(<[u8]>::len), MAX_STRING_BYTES);
        } else {
            self.short_length(name, bytes.map(<[u8]>::len));
        }
        self.copy(bytes.unwrap_or_default());
    }

    fn classic(&mut self, name: &'static str, value: Option<&Str>) {
        self.classic_str(name, value.map(|text| &**text));
    }

    fn bytes(&mut self, name: &'static str, value: Option<&Bytes>) {
        self.length(name, value.map(Bytes::len), i32::MAX as usize);
        value.into_iter().for_each(|bytes| self.shared(bytes));
    }

    fn records(&mut self, name: &'static str, value: Option<&Records>) {
        self.length(name, value.map(Records::len), i32::MAX as usize);
        value.into_iter().flat_map(Records::segments).for_each(|bytes| self.shared(bytes));
    }

    #[inline]
    fn ints<T: Int>(&mut self, name: &'static str, value: Option<&Ints<T>>) {
        match value.and_then(Ints::as_padded) {
            // Length and integers at once, and what is behind them is taken back: that takes no call to copy.
            Some((padded, len)) if self.flexible => {
                let mut bytes = [0; 1 + PADDED];
                bytes[0] = (len / T::SIZE) as u8 + 1;
                bytes[1..].copy_from_slice(padded);
                self.raw(&bytes);
                self.own.truncate(self.own.len() - (PADDED - len));
            }
            _ => self.any_ints(name, value.map(Ints::as_wire), value.map_or(0, Ints::len)),
        }
    }

    fn array<T: Field>(&mut self, name: &'static str, items: &[T], v: i16) {
        if self.begin_array(name, Some(items.len())) {
            for item in items {
                item.put(self, "", v);
                if self.failed() {
                    return self.within(name);
                }
            }
        }
    }

    fn null_array(&mut self, name: &'static str) {
        self.begin_array(name, None);
    }

    #[inline]
    fn structure<T: Struct>(&mut self, name: &'static str, value: &T, v: i16) {
        if self.failed() {
            return;
        }
        value.write(self, v);
        if self.failed() {
            self.within(name);
        }
    }

    fn option<T: Struct>(&mut self, name: &'static str, value: Option<&T>, tagged: bool, v: i16) {
        match (value, tagged) {
            (None, true) => self.uvarint(0),
            (None, false) => self.raw(&[0xff]),
            (Some(_), _) => self.raw(&[1]),
        }
        if let Some(value) = value {
            self.structure(name, value, v);
        }
    }

    fn begin_tags(&mut self, set: &[bool], unknown: &UnknownTags) {
        if self.flexible {
            self.uvarint((set.iter().filter(|set| **set).count() + unknown.len()) as u32);
        } else if !unknown.is_empty() {
            self.fail("unknown_tags", EncodeErrorKind::NoTags);
        }
    }

    #[inline]
    fn tag(&mut self, set: bool, tag: u32, unknown: &UnknownTags, write: impl FnOnce(&mut Self)) {
        if let Some(kept) = unknown.get(tag) {
            if set {
                self.fail("unknown_tags", EncodeErrorKind::TagCollision(tag));
            }
            self.put_tag(tag, kept);
        }
        if set {
            let begin = self.begin_tag(tag);
            write(self);
            self.end_tag(begin);
        }
    }

    fn end_tags(&mut self, known: u32, unknown: &UnknownTags) {
        for kept in unknown.as_slice().iter().filter(|kept| kept.tag >= known) {
            self.put_tag(kept.tag, &kept.value);
        }
    }

    #[inline]
    fn no_tags(&mut self, unknown: &UnknownTags) {
        if !unknown.is_empty() {
            self.begin_tags(&[], unknown);
            self.end_tags(0, unknown);
        } else if self.flexible {
            self.raw(&[0]);
        }
    }
}
