//! How each Rust type of a field is read and written.

use super::{
    DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind, Fixed, Int, Ints, Records, Sink, Source, Uuid,
};
use crate::Str;
use alloc::vec::Vec;
use bytes::Bytes;

type Written = Result<(), EncodeError>;

/// A type that fields have.
pub(crate) trait Field: Sized {
    /// The fewest bytes it takes in any version.
    const MIN: usize;

    fn put<S: Sink>(&self, s: &mut S, name: &'static str, v: i16) -> Written;
    fn get<R: Source>(r: &mut R, name: &'static str, v: i16) -> Result<Self, DecodeError>;
}

/// A type that may be null where the schema says so.
pub(crate) trait Nullable: Sized {
    const MIN: usize;

    fn put_nullable<S: Sink>(value: Option<&Self>, s: &mut S, name: &'static str, v: i16) -> Written;
    /// Reads a value; null is an error where it is not `nullable`.
    fn get_nullable<R: Source>(
        r: &mut R,
        name: &'static str,
        v: i16,
        nullable: bool,
    ) -> Result<Option<Self>, DecodeError>;
}

/// A structure of the schema; generated.
pub(crate) trait Struct: Sized {
    const MIN: usize;

    fn write<S: Sink>(&self, s: &mut S, v: i16) -> Written;
    fn read<R: Source>(r: &mut R, v: i16) -> Result<Self, DecodeError>;
}

impl<T: Struct> Field for T {
    const MIN: usize = T::MIN;

    #[inline]
    fn put<S: Sink>(&self, s: &mut S, name: &'static str, v: i16) -> Written {
        s.structure(name, |s| self.write(s, v))
    }

    #[inline]
    fn get<R: Source>(r: &mut R, name: &'static str, v: i16) -> Result<Self, DecodeError> {
        r.structure(name, |r| T::read(r, v))
    }
}

impl<T: Struct> Nullable for T {
    const MIN: usize = 1;

    fn put_nullable<S: Sink>(value: Option<&Self>, s: &mut S, name: &'static str, v: i16) -> Written {
        s.option(name, value, false, v)
    }

    fn get_nullable<R: Source>(
        r: &mut R,
        name: &'static str,
        v: i16,
        _: bool,
    ) -> Result<Option<Self>, DecodeError> {
        r.option(name, false, v)
    }
}

impl<T: Nullable> Field for Option<T> {
    const MIN: usize = T::MIN;

    fn put<S: Sink>(&self, s: &mut S, name: &'static str, v: i16) -> Written {
        T::put_nullable(self.as_ref(), s, name, v)
    }

    fn get<R: Source>(r: &mut R, name: &'static str, v: i16) -> Result<Self, DecodeError> {
        T::get_nullable(r, name, v, true)
    }
}

macro_rules! fixed_field {
    ($($t:ty)*) => {$(
        impl Field for $t {
            const MIN: usize = <$t as Fixed>::SIZE;

            #[inline]
            fn put<S: Sink>(&self, s: &mut S, name: &'static str, _: i16) -> Written {
                s.fixed(name, *self);
                Ok(())
            }

            #[inline]
            fn get<R: Source>(r: &mut R, name: &'static str, _: i16) -> Result<Self, DecodeError> {
                r.fixed(name)
            }
        }
    )*};
}

fixed_field!(bool i8 i16 u16 i32 u32 i64 f64 Uuid);

/// Types that have a length before them.
macro_rules! sized_field {
    ($t:ty, $method:ident $(, $g:ident: $bound:ident)?) => {
        impl<$($g: $bound)?> Nullable for $t {
            const MIN: usize = 1;

            fn put_nullable<S: Sink>(value: Option<&Self>, s: &mut S, name: &'static str, _: i16) -> Written {
                s.$method(name, value)
            }

            fn get_nullable<R: Source>(
                r: &mut R, name: &'static str, _: i16, nullable: bool,
            ) -> Result<Option<Self>, DecodeError> {
                r.$method(name, nullable)
            }
        }

        impl<$($g: $bound)?> Field for $t {
            const MIN: usize = 1;

            fn put<S: Sink>(&self, s: &mut S, name: &'static str, _: i16) -> Written {
                s.$method(name, Some(self))
            }

            fn get<R: Source>(r: &mut R, name: &'static str, _: i16) -> Result<Self, DecodeError> {
                present(r.$method(name, false)?, name)
            }
        }
    };
}

sized_field!(Str, string);
sized_field!(Bytes, bytes);
sized_field!(Records, records);
sized_field!(Ints<T>, ints, T: Int);

impl<T: Field> Nullable for Vec<T> {
    const MIN: usize = 1;

    fn put_nullable<S: Sink>(value: Option<&Self>, s: &mut S, name: &'static str, v: i16) -> Written {
        s.array(name, value.map(Vec::as_slice), v)
    }

    fn get_nullable<R: Source>(
        r: &mut R,
        name: &'static str,
        v: i16,
        nullable: bool,
    ) -> Result<Option<Self>, DecodeError> {
        r.array(name, nullable, v)
    }
}

impl<T: Field> Field for Vec<T> {
    const MIN: usize = 1;

    fn put<S: Sink>(&self, s: &mut S, name: &'static str, v: i16) -> Written {
        s.array(name, Some(self), v)
    }

    fn get<R: Source>(r: &mut R, name: &'static str, v: i16) -> Result<Self, DecodeError> {
        present(r.array(name, false, v)?, name)
    }
}

/// A nullable structure in a tagged field, where the null marker is a varint.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "the consumer group's stored records have the only one")]
pub(crate) struct TaggedOption<T>(pub(crate) T);

impl<T: Struct> Field for TaggedOption<&Option<T>> {
    const MIN: usize = 1;

    fn put<S: Sink>(&self, s: &mut S, name: &'static str, v: i16) -> Written {
        s.option(name, self.0.as_ref(), true, v)
    }

    fn get<R: Source>(_: &mut R, name: &'static str, _: i16) -> Result<Self, DecodeError> {
        Err(DecodeError::new(name, DecodeErrorKind::Null))
    }
}

fn present<T>(value: Option<T>, name: &'static str) -> Result<T, DecodeError> {
    value.ok_or_else(|| DecodeError::new(name, DecodeErrorKind::Null))
}

/// Writes a string that has an int16 length in every version.
pub(crate) fn put_classic<S: Sink>(s: &mut S, name: &'static str, value: &Option<Str>) -> Written {
    s.classic(name, value.as_ref())
}

/// Reads a string that has an int16 length in every version.
pub(crate) fn get_classic<R: Source>(r: &mut R, name: &'static str) -> Result<Option<Str>, DecodeError> {
    r.classic(name, true)
}

/// Checks that a field that only some versions may have null is not null in another.
pub(crate) fn some<'a, T>(
    nullable: bool,
    value: &'a Option<T>,
    name: &'static str,
) -> Result<&'a Option<T>, EncodeError> {
    if value.is_none() && !nullable {
        return Err(EncodeError::new(name, EncodeErrorKind::Null));
    }
    Ok(value)
}

/// Whether to write a field that only some versions have; a set one that would get lost is an error.
pub(crate) fn supports(version: bool, name: &'static str, default: bool) -> Result<bool, EncodeError> {
    if !version && !default {
        return Err(EncodeError::new(name, EncodeErrorKind::UnsupportedField));
    }
    Ok(version)
}

/// Whether to write a tagged field: where it is not at its default.
pub(crate) fn tagged(version: bool, name: &'static str, default: bool) -> Result<bool, EncodeError> {
    Ok(supports(version, name, default)? && !default)
}
