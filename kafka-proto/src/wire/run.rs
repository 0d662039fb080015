//! Values of fixed length that follow each other, read and written as one.

use super::{Fixed, Sink, Source};

/// More bytes than the longest run has: as many values as tuples have here, each a UUID.
pub(super) const MAX_RUN: usize = 8 * 16;

/// A tuple of values of fixed length.
pub(crate) trait Run: Copy + Default {
    /// Bytes of each.
    const SIZES: &'static [usize];
    /// Bytes of all.
    const SIZE: usize;

    /// Reads from the first `SIZE` bytes; `None` where there are fewer.
    fn from_be(bytes: &[u8]) -> Option<Self>;
    /// Writes to the first `SIZE` bytes.
    fn put_be(self, bytes: &mut [u8; MAX_RUN]);
    /// For sources that have no bytes: value by value.
    #[cfg_attr(not(feature = "serde"), allow(dead_code, reason = "for the JSON form only"))]
    fn get_each<R: Source>(r: &mut R, names: &'static [&'static str]) -> Self;
    /// For sinks that have no bytes.
    #[cfg_attr(not(feature = "serde"), allow(dead_code, reason = "for the JSON form only"))]
    fn put_each<S: Sink>(self, s: &mut S, names: &'static [&'static str]);
}

macro_rules! run {
    ($($t:ident $value:ident)*) => {
        impl<$($t: Fixed),*> Run for ($($t,)*) {
            const SIZES: &'static [usize] = &[$($t::SIZE),*];
            const SIZE: usize = 0 $(+ $t::SIZE)*;

            #[inline]
            fn from_be(bytes: &[u8]) -> Option<Self> {
                $(
                    let $value = $t::from_be(bytes)?;
                    let bytes = bytes.get($t::SIZE..)?;
                )*
                let _ = bytes;
                Some(($($value,)*))
            }

            #[inline]
            fn put_be(self, bytes: &mut [u8; MAX_RUN]) {
                let ($($value,)*) = self;
                let mut at = 0;
                $(
                    bytes[at..at + $t::SIZE].copy_from_slice($value.to_be().as_ref());
                    at += $t::SIZE;
                )*
                debug_assert_eq!(at, Self::SIZE);
            }

            fn get_each<R: Source>(r: &mut R, names: &'static [&'static str]) -> Self {
                let mut names = names.iter().copied();
                ($(r.fixed::<$t>(names.next().unwrap_or_default()),)*)
            }

            fn put_each<S: Sink>(self, s: &mut S, names: &'static [&'static str]) {
                let ($($value,)*) = self;
                let mut names = names.iter().copied();
                $(s.fixed(names.next().unwrap_or_default(), $value);)*
            }
        }
    };
}

run!(A a B b);
run!(A a B b C c);
run!(A a B b C c D d);
run!(A a B b C c D d E e);
run!(A a B b C c D d E e F f);
run!(A a B b C c D d E e F f G g);
run!(A a B b C c D d E e F f G g H h);
