//! Values of a fixed number of bytes, big endian.

use super::Uuid;

/// A value that always takes `SIZE` bytes.
pub(crate) trait Fixed: Copy + Default {
    const SIZE: usize;
    type Bytes: AsRef<[u8]>;

    fn to_be(self) -> Self::Bytes;
    /// Reads the first `SIZE` bytes; `None` where there are fewer.
    fn from_be(bytes: &[u8]) -> Option<Self>;
    #[cfg_attr(not(feature = "serde"), allow(dead_code, reason = "for the JSON form only"))]
    fn to_json(self) -> JsonScalar;
    #[cfg_attr(not(feature = "serde"), allow(dead_code, reason = "for the JSON form only"))]
    fn from_json(value: JsonScalar) -> Option<Self>;
}

/// The forms a fixed value has in JSON.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(not(feature = "serde"), allow(dead_code, reason = "for the JSON form only"))]
pub(crate) enum JsonScalar {
    Bool(bool),
    Int(i64),
    Float(f64),
    Uuid(Uuid),
}

macro_rules! fixed_int {
    ($($t:ty)*) => {$(
        impl Fixed for $t {
            const SIZE: usize = size_of::<$t>();
            type Bytes = [u8; size_of::<$t>()];

            #[inline]
            fn to_be(self) -> Self::Bytes {
                self.to_be_bytes()
            }

            #[inline]
            fn from_be(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk().map(|b| <$t>::from_be_bytes(*b))
            }

            fn to_json(self) -> JsonScalar {
                JsonScalar::Int(self.into())
            }

            fn from_json(value: JsonScalar) -> Option<Self> {
                if let JsonScalar::Int(n) = value { n.try_into().ok() } else { None }
            }
        }
    )*};
}

fixed_int!(i8 i16 u16 i32 u32 i64);

impl Fixed for bool {
    const SIZE: usize = 1;
    type Bytes = [u8; 1];

    #[inline]
    fn to_be(self) -> [u8; 1] {
        [self.into()]
    }

    #[inline]
    fn from_be(bytes: &[u8]) -> Option<Self> {
        bytes.first().map(|b| *b != 0)
    }

    fn to_json(self) -> JsonScalar {
        JsonScalar::Bool(self)
    }

    fn from_json(value: JsonScalar) -> Option<Self> {
        if let JsonScalar::Bool(b) = value { Some(b) } else { None }
    }
}

impl Fixed for f64 {
    const SIZE: usize = 8;
    type Bytes = [u8; 8];

    #[inline]
    fn to_be(self) -> [u8; 8] {
        self.to_be_bytes()
    }

    #[inline]
    fn from_be(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().map(|b| f64::from_be_bytes(*b))
    }

    fn to_json(self) -> JsonScalar {
        JsonScalar::Float(self)
    }

    fn from_json(value: JsonScalar) -> Option<Self> {
        match value {
            JsonScalar::Float(x) => Some(x),
            JsonScalar::Int(n) => Some(n as f64),
            _ => None,
        }
    }
}

impl Fixed for Uuid {
    const SIZE: usize = 16;
    type Bytes = [u8; 16];

    #[inline]
    fn to_be(self) -> [u8; 16] {
        self.0
    }

    #[inline]
    fn from_be(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().map(|b| Uuid(*b))
    }

    fn to_json(self) -> JsonScalar {
        JsonScalar::Uuid(self)
    }

    fn from_json(value: JsonScalar) -> Option<Self> {
        if let JsonScalar::Uuid(u) = value { Some(u) } else { None }
    }
}

/// An element of [`Ints`](super::Ints): a signed integer of 1, 2, 4 or 8 bytes.
#[allow(private_bounds, reason = "sealed: the wire has these four only")]
pub trait Int: Fixed + Eq + core::fmt::Debug {}

impl Int for i8 {}
impl Int for i16 {}
impl Int for i32 {}
impl Int for i64 {}
