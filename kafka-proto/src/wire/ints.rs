//! Arrays of integers without an allocation each.
//!
//! Invariant: the bytes are whole big endian elements, as on the wire.

use super::Int;
use alloc::vec::Vec;
use bytes::Bytes;
use core::{fmt, marker::PhantomData};

/// Bytes that fit inline.
pub(super) const INLINE: usize = 23;
/// The same with what tells how many of them count.
pub(super) const PADDED: usize = INLINE + 1;

/// An array of integers: up to 23 bytes of them inline, more as a slice of the input they were read from.
#[derive(Clone)]
pub struct Ints<T>(Repr, PhantomData<T>);

/// An array of `int8`.
pub type Int8s = Ints<i8>;
/// An array of `int16`.
pub type Int16s = Ints<i16>;
/// An array of `int32`: partitions, brokers.
pub type Int32s = Ints<i32>;
/// An array of `int64`.
pub type Int64s = Ints<i64>;

#[derive(Clone)]
enum Repr {
    Inline(Padded),
    Shared(Bytes),
}

/// Up to `INLINE` bytes, what is behind them has no meaning, and in the last place how many they are. Whole words, as
/// a processor stalls when it moves words that were written just before in other pieces.
#[derive(Clone, Copy)]
#[repr(align(8))]
struct Padded([[u8; 8]; 3]);

impl Padded {
    const EMPTY: Self = Self([[0; 8]; 3]);

    #[inline]
    fn new(bytes: &[u8; PADDED], len: usize) -> Self {
        let mut words = [[0; 8]; 3];
        words.as_flattened_mut().copy_from_slice(bytes);
        let last = u64::from_le_bytes(words[2]) & (u64::MAX >> 8) | (len as u64) << 56;
        words[2] = last.to_le_bytes();
        Self(words)
    }

    #[inline]
    fn len(&self) -> usize {
        usize::from(self.0[2][7])
    }
}

impl<T: Int> Ints<T> {
    /// An empty array.
    pub const fn new() -> Self {
        Self(Repr::Inline(Padded::EMPTY), PhantomData)
    }

    /// Takes wire bytes; `share` makes a `Bytes` of them where they are too many for inline.
    pub(crate) fn from_wire(bytes: &[u8], share: impl FnOnce() -> Bytes) -> Self {
        let repr = if bytes.len() <= INLINE {
            let mut inline = [0; PADDED];
            inline[..bytes.len()].copy_from_slice(bytes);
            Repr::Inline(Padded::new(&inline, bytes.len()))
        } else {
            Repr::Shared(share())
        };
        Self(repr, PhantomData)
    }

    /// Becomes the first `len` of these bytes, at most `INLINE`.
    #[inline]
    pub(super) fn set_padded(&mut self, bytes: &[u8; PADDED], len: usize) {
        let padded = Padded::new(bytes, len);
        match &mut self.0 {
            // Nearly always so, and then there is nothing to be dropped.
            Repr::Inline(old) => *old = padded,
            shared => *shared = Repr::Inline(padded),
        }
    }

    /// Where the elements are inline: their bytes with what is behind them, and how many count.
    #[inline]
    pub(super) fn as_padded(&self) -> Option<(&[u8; PADDED], usize)> {
        match &self.0 {
            Repr::Inline(padded) => Some((padded.0.as_flattened().first_chunk()?, padded.len())),
            Repr::Shared(_) => None,
        }
    }

    #[inline]
    pub(crate) fn as_wire(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline(padded) => padded.0.as_flattened().get(..padded.len()).unwrap_or_default(),
            Repr::Shared(bytes) => bytes,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.as_wire().len() / T::SIZE
    }

    /// True where there is no element.
    pub fn is_empty(&self) -> bool {
        self.as_wire().is_empty()
    }

    /// The element at `index`, by value.
    pub fn get(&self, index: usize) -> Option<T> {
        T::from_be(self.as_wire().get(index.checked_mul(T::SIZE)?..)?)
    }

    /// True where an element equals `value`.
    pub fn contains(&self, value: T) -> bool {
        self.iter().any(|x| x == value)
    }

    /// The elements in order, by value.
    pub fn iter(&self) -> IntsIter<'_, T> {
        IntsIter { bytes: self.as_wire(), element: PhantomData }
    }

    /// The elements in a vector.
    pub fn to_vec(&self) -> Vec<T> {
        self.iter().collect()
    }
}

impl<T: Int> Default for Ints<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Int> PartialEq for Ints<T> {
    fn eq(&self, other: &Self) -> bool {
        self.as_wire() == other.as_wire()
    }
}

impl<T: Int> Eq for Ints<T> {}

impl<T: Int> PartialEq<[T]> for Ints<T> {
    fn eq(&self, other: &[T]) -> bool {
        self.iter().eq(other.iter().copied())
    }
}

impl<T: Int> PartialEq<Vec<T>> for Ints<T> {
    fn eq(&self, other: &Vec<T>) -> bool {
        *self == **other
    }
}

impl<T: Int, const N: usize> PartialEq<[T; N]> for Ints<T> {
    fn eq(&self, other: &[T; N]) -> bool {
        *self == *other.as_slice()
    }
}

impl<T: Int> fmt::Debug for Ints<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: Int> From<&[T]> for Ints<T> {
    fn from(values: &[T]) -> Self {
        values.iter().copied().collect()
    }
}

impl<T: Int> From<Vec<T>> for Ints<T> {
    fn from(values: Vec<T>) -> Self {
        values.into_iter().collect()
    }
}

impl<T: Int, const N: usize> From<[T; N]> for Ints<T> {
    fn from(values: [T; N]) -> Self {
        values.into_iter().collect()
    }
}

impl<T: Int> FromIterator<T> for Ints<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let values = values.into_iter();
        let mut inline = [0; PADDED];
        let mut len = 0;
        let mut heap = Vec::new();
        for value in values {
            let value = value.to_be();
            let value = value.as_ref();
            match inline[..INLINE].get_mut(len..len + value.len()) {
                Some(place) if heap.is_empty() => {
                    place.copy_from_slice(value);
                    len += value.len();
                }
                _ => {
                    if heap.is_empty() {
                        heap.extend_from_slice(&inline[..len]);
                    }
                    heap.extend_from_slice(value);
                }
            }
        }
        let repr = match heap.is_empty() {
            true => Repr::Inline(Padded::new(&inline, len)),
            false => Repr::Shared(heap.into()),
        };
        Self(repr, PhantomData)
    }
}

impl<'a, T: Int> IntoIterator for &'a Ints<T> {
    type Item = T;
    type IntoIter = IntsIter<'a, T>;

    fn into_iter(self) -> IntsIter<'a, T> {
        self.iter()
    }
}

/// The elements of [`Ints`], by value.
#[derive(Debug, Clone)]
pub struct IntsIter<'a, T> {
    bytes: &'a [u8],
    element: PhantomData<T>,
}

impl<T: Int> Iterator for IntsIter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        let (first, rest) = self.bytes.split_at_checked(T::SIZE)?;
        self.bytes = rest;
        T::from_be(first)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.bytes.len() / T::SIZE;
        (left, Some(left))
    }
}

impl<T: Int> ExactSizeIterator for IntsIter<'_, T> {}

const _: () = assert!(size_of::<Int32s>() <= 32);
