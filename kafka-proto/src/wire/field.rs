//! How each Rust type of a field is read and written.

use super::{EncodeErrorKind, Fixed, Int, Ints, Records, Sink, Source, Uuid};
use crate::Str;
use alloc::vec::Vec;
use bytes::Bytes;

/// A type that fields have. It is read in place, where its default stands.
pub(crate) trait Field: Sized {
    /// The fewest bytes it takes in any version.
    const MIN: usize;
    /// Its default. A constant, which is copied as a whole: what is written in pieces stalls the processor that then moves it.
    const EMPTY: Self;

    fn put<S: Sink>(&self, s: &mut S, name: &'static str, v: i16);
    fn fill<R: Source>(&mut self, r: &mut R, name: &'static str, v: i16);
}

/// A type that may be null where the schema says so.
pub(crate) trait Nullable: Sized {
    const MIN: usize;

    fn put_option<S: Sink>(value: Option<&Self>, s: &mut S, name: &'static str, v: i16);
    /// Reads a value; null is an error where it is not `nullable`.
    fn fill_option<R: Source>(r: &mut R, name: &'static str, nullable: bool, v: i16) -> Option<Self>;
}

/// A structure of the schema; generated.
pub(crate) trait Struct: Sized {
    const MIN: usize;
    const DEFAULT: Self;

    fn write<S: Sink>(&self, s: &mut S, v: i16);
    /// Reads the fields of the version; the others are left alone.
    fn read<R: Source>(&mut self, r: &mut R, v: i16);
}

impl<T: Struct> Field for T {
    const MIN: usize = T::MIN;
    const EMPTY: Self = T::DEFAULT;

    #[inline]
    fn put<S: Sink>(&self, s: &mut S, name: &'static str, v: i16) {
        s.structure(name, self, v);
    }

    #[inline]
    fn fill<R: Source>(&mut self, r: &mut R, name: &'static str, v: i16) {
        r.structure(name, self, v);
    }
}

impl<T: Struct> Nullable for T {
    const MIN: usize = 1;

    fn put_option<S: Sink>(value: Option<&Self>, s: &mut S, name: &'static str, v: i16) {
        s.option(name, value, false, v);
    }

    fn fill_option<R: Source>(r: &mut R, name: &'static str, _: bool, v: i16) -> Option<Self> {
        r.option(name, false, v)
    }
}

impl<T: Nullable> Field for Option<T> {
    const MIN: usize = T::MIN;
    const EMPTY: Self = None;

    #[inline(never)]
    fn put<S: Sink>(&self, s: &mut S, name: &'static str, v: i16) {
        T::put_option(self.as_ref(), s, name, v);
    }

    #[inline(never)]
    fn fill<R: Source>(&mut self, r: &mut R, name: &'static str, v: i16) {
        *self = T::fill_option(r, name, true, v);
    }
}

macro_rules! fixed_field {
    ($($t:ty = $default:expr,)*) => {$(
        impl Field for $t {
            const MIN: usize = <$t as Fixed>::SIZE;
            const EMPTY: Self = $default;

            #[inline]
            fn put<S: Sink>(&self, s: &mut S, name: &'static str, _: i16) {
                s.fixed(name, *self);
            }

            #[inline]
            fn fill<R: Source>(&mut self, r: &mut R, name: &'static str, _: i16) {
                *self = r.fixed(name);
            }
        }
    )*};
}

fixed_field!(bool = false, i8 = 0, i16 = 0, u16 = 0, i32 = 0, u32 = 0, i64 = 0, f64 = 0.0, Uuid = Uuid::ZERO,);

/// Types that have a length before them. They stay calls: the code of each structure is small, and there are hundreds.
macro_rules! sized_field {
    ($t:ty, $method:ident) => {
        impl Nullable for $t {
            const MIN: usize = 1;

            fn put_option<S: Sink>(value: Option<&Self>, s: &mut S, name: &'static str, _: i16) {
                s.$method(name, value);
            }

            fn fill_option<R: Source>(r: &mut R, name: &'static str, nullable: bool, _: i16) -> Option<Self> {
                r.$method(name, nullable)
            }
        }

        impl Field for $t {
            const MIN: usize = 1;
            const EMPTY: Self = <$t>::new();

            #[inline(never)]
            fn put<S: Sink>(&self, s: &mut S, name: &'static str, _: i16) {
                s.$method(name, Some(self));
            }

            #[inline(never)]
            fn fill<R: Source>(&mut self, r: &mut R, name: &'static str, _: i16) {
                *self = r.$method(name, false).unwrap_or_default();
            }
        }
    };
}

sized_field!(Str, string);
sized_field!(Bytes, bytes);
sized_field!(Records, records);

impl<T: Int> Nullable for Ints<T> {
    const MIN: usize = 1;

    fn put_option<S: Sink>(value: Option<&Self>, s: &mut S, name: &'static str, _: i16) {
        s.ints(name, value);
    }

    fn fill_option<R: Source>(r: &mut R, name: &'static str, nullable: bool, _: i16) -> Option<Self> {
        let mut ints = Ints::new();
        r.ints(&mut ints, name, nullable).then_some(ints)
    }
}

impl<T: Int> Field for Ints<T> {
    const MIN: usize = 1;
    const EMPTY: Self = Ints::new();

    #[inline]
    fn put<S: Sink>(&self, s: &mut S, name: &'static str, _: i16) {
        s.ints(name, Some(self));
    }

    #[inline]
    fn fill<R: Source>(&mut self, r: &mut R, name: &'static str, _: i16) {
        r.ints(self, name, false);
    }
}

impl<T: Field> Nullable for Vec<T> {
    const MIN: usize = 1;

    fn put_option<S: Sink>(value: Option<&Self>, s: &mut S, name: &'static str, v: i16) {
        match value {
            Some(items) => s.array(name, items, v),
            None => s.null_array(name),
        }
    }

    fn fill_option<R: Source>(r: &mut R, name: &'static str, nullable: bool, v: i16) -> Option<Self> {
        let mut items = Vec::new();
        r.array(&mut items, name, nullable, v).then_some(items)
    }
}

impl<T: Field> Field for Vec<T> {
    const MIN: usize = 1;
    const EMPTY: Self = Vec::new();

    #[inline]
    fn put<S: Sink>(&self, s: &mut S, name: &'static str, v: i16) {
        s.array(name, self, v);
    }

    #[inline]
    fn fill<R: Source>(&mut self, r: &mut R, name: &'static str, v: i16) {
        r.array(self, name, false, v);
    }
}

/// Writes a field that only some versions may have null.
pub(crate) fn put_nullable<S: Sink, T: Nullable>(
    value: &Option<T>,
    s: &mut S,
    name: &'static str,
    nullable: bool,
    v: i16,
) {
    if value.is_none() && !nullable {
        return s.fail(name, EncodeErrorKind::Null);
    }
    value.put(s, name, v);
}

/// Reads a field that only some versions may have null.
pub(crate) fn fill_nullable<R: Source, T: Nullable>(
    value: &mut Option<T>,
    r: &mut R,
    name: &'static str,
    nullable: bool,
    v: i16,
) {
    *value = T::fill_option(r, name, nullable, v);
}
