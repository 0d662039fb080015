//! Where a message is written to: an encoder of bytes, or JSON.
//!
//! Each structure has one generic `write` that names its fields; what becomes of them is the sink's affair.

use super::{
    EncodeError, EncodeErrorKind, Encoder, Field, Fixed, Int, Ints, MAX_ARRAY_ELEMENTS, MAX_STRING_BYTES,
    Records, UnknownTags,
};
use crate::Str;
use bytes::Bytes;

type Result<T = ()> = core::result::Result<T, EncodeError>;

/// A receiver of named values. `None` is null.
pub(crate) trait Sink: Sized {
    fn fixed<T: Fixed>(&mut self, name: &'static str, value: T);
    fn string(&mut self, name: &'static str, value: Option<&Str>) -> Result;
    /// A string that keeps its int16 length in flexible versions.
    fn classic(&mut self, name: &'static str, value: Option<&Str>) -> Result;
    fn bytes(&mut self, name: &'static str, value: Option<&Bytes>) -> Result;
    fn records(&mut self, name: &'static str, value: Option<&Records>) -> Result;
    fn ints<T: Int>(&mut self, name: &'static str, value: Option<&Ints<T>>) -> Result;
    fn array<T: Field>(&mut self, name: &'static str, value: Option<&[T]>, v: i16) -> Result;
    fn structure(&mut self, name: &'static str, write: impl FnOnce(&mut Self) -> Result) -> Result;
    /// A structure that may be null. Its marker is another one inside a tagged field.
    fn option<T: Field>(&mut self, name: &'static str, value: Option<&T>, tagged: bool, v: i16) -> Result;

    /// Begins the tagged fields of a structure: `set` says which of the known ones, by number, follow.
    fn begin_tags(&mut self, set: &[bool], unknown: &UnknownTags) -> Result;
    /// One of the known tagged fields, in ascending order, set or not.
    fn tag<T: Field>(
        &mut self,
        set: bool,
        tag: u32,
        name: &'static str,
        value: &T,
        unknown: &UnknownTags,
        v: i16,
    ) -> Result;
    /// Ends the tagged fields, of which `known` numbers have been told.
    fn end_tags(&mut self, known: u32, unknown: &UnknownTags);

    /// The end of a structure whose schema has no tagged fields.
    fn no_tags(&mut self, unknown: &UnknownTags) -> Result {
        self.begin_tags(&[], unknown)?;
        self.end_tags(0, unknown);
        Ok(())
    }
}

impl Sink for Encoder {
    #[inline]
    fn fixed<T: Fixed>(&mut self, _: &'static str, value: T) {
        self.raw(value.to_be().as_ref());
    }

    fn string(&mut self, name: &'static str, value: Option<&Str>) -> Result {
        let bytes = value.map(text);
        if self.flexible() {
            length(self, name, bytes.map(<[u8]>::len), MAX_STRING_BYTES)?;
        } else {
            short_length(self, name, bytes.map(<[u8]>::len))?;
        }
        self.raw(bytes.unwrap_or_default());
        Ok(())
    }

    fn classic(&mut self, name: &'static str, value: Option<&Str>) -> Result {
        short_length(self, name, value.map(|s| s.len()))?;
        self.raw(value.map(text).unwrap_or_default());
        Ok(())
    }

    fn bytes(&mut self, name: &'static str, value: Option<&Bytes>) -> Result {
        length(self, name, value.map(Bytes::len), i32::MAX as usize)?;
        value.into_iter().for_each(|bytes| self.shared(bytes));
        Ok(())
    }

    fn records(&mut self, name: &'static str, value: Option<&Records>) -> Result {
        length(self, name, value.map(Records::len), i32::MAX as usize)?;
        value.into_iter().flat_map(Records::segments).for_each(|bytes| self.shared(bytes));
        Ok(())
    }

    #[inline]
    fn ints<T: Int>(&mut self, name: &'static str, value: Option<&Ints<T>>) -> Result {
        length(self, name, value.map(Ints::len), MAX_ARRAY_ELEMENTS)?;
        let Some(ints) = value else { return Ok(()) };
        match ints.as_padded() {
            Some((bytes, len)) => self.raw_padded(bytes, len),
            None => self.raw(ints.as_wire()),
        }
        Ok(())
    }

    fn array<T: Field>(&mut self, name: &'static str, value: Option<&[T]>, v: i16) -> Result {
        length(self, name, value.map(<[T]>::len), MAX_ARRAY_ELEMENTS)?;
        value
            .unwrap_or_default()
            .iter()
            .try_for_each(|item| item.put(self, "", v))
            .map_err(|e| e.within(name))
    }

    fn structure(&mut self, name: &'static str, write: impl FnOnce(&mut Self) -> Result) -> Result {
        write(self).map_err(|e| e.within(name))
    }

    fn option<T: Field>(&mut self, name: &'static str, value: Option<&T>, tagged: bool, v: i16) -> Result {
        match (value, tagged) {
            (None, true) => self.uvarint(0),
            (None, false) => self.raw(&[0xff]),
            (Some(_), _) => self.raw(&[1]),
        }
        value.map_or(Ok(()), |value| value.put(self, name, v))
    }

    fn begin_tags(&mut self, set: &[bool], unknown: &UnknownTags) -> Result {
        if self.flexible() {
            self.uvarint((set.iter().filter(|set| **set).count() + unknown.len()) as u32);
        } else if !unknown.is_empty() {
            return Err(EncodeError::new("unknown_tags", EncodeErrorKind::NoTags));
        }
        Ok(())
    }

    fn tag<T: Field>(
        &mut self,
        set: bool,
        tag: u32,
        name: &'static str,
        value: &T,
        unknown: &UnknownTags,
        v: i16,
    ) -> Result {
        if let Some(kept) = unknown.get(tag) {
            if set {
                return Err(EncodeError::new("unknown_tags", EncodeErrorKind::TagCollision(tag)));
            }
            put_tag(self, tag, kept);
        }
        if set {
            let mut size = Encoder::counter(true);
            value.put(&mut size, name, v)?;
            self.uvarint(tag);
            self.uvarint(size.len() as u32);
            value.put(self, name, v)?;
        }
        Ok(())
    }

    #[inline]
    fn no_tags(&mut self, unknown: &UnknownTags) -> Result {
        if !unknown.is_empty() {
            self.begin_tags(&[], unknown)?;
            self.end_tags(0, unknown);
        } else if self.flexible() {
            self.raw(&[0]);
        }
        Ok(())
    }

    fn end_tags(&mut self, known: u32, unknown: &UnknownTags) {
        for kept in unknown.as_slice().iter().filter(|kept| kept.tag >= known) {
            put_tag(self, kept.tag, &kept.value);
        }
    }
}

fn put_tag(out: &mut Encoder, tag: u32, value: &Bytes) {
    out.uvarint(tag);
    out.uvarint(value.len() as u32);
    out.raw(value);
}

/// The length of anything but a classic string: int32, or in flexible versions an unsigned varint of one more.
#[inline]
fn length(out: &mut Encoder, name: &'static str, len: Option<usize>, max: usize) -> Result {
    match len {
        Some(len) if len > max => return Err(EncodeError::new(name, EncodeErrorKind::TooLong { len, max })),
        Some(len) if out.flexible() => out.uvarint(len as u32 + 1),
        Some(len) => out.raw(&(len as i32).to_be_bytes()),
        None if out.flexible() => out.uvarint(0),
        None => out.raw(&(-1i32).to_be_bytes()),
    }
    Ok(())
}

fn short_length(out: &mut Encoder, name: &'static str, len: Option<usize>) -> Result {
    let len = match len {
        Some(len) => i16::try_from(len)
            .map_err(|_| EncodeError::new(name, EncodeErrorKind::TooLong { len, max: MAX_STRING_BYTES }))?,
        None => -1,
    };
    out.raw(&len.to_be_bytes());
    Ok(())
}

fn text(value: &Str) -> &[u8] {
    (**value).as_bytes()
}
