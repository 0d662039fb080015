//! The bytes of a message: a reader and a writer of Kafka's primitive types, and the values that are more than primitive.
//!
//! * Strings, byte arrays, records and large integer arrays are slices of the input ([`Bytes`](bytes::Bytes)); nothing is copied.
//! * No length of the input is believed: an allocation is never larger than the bytes at hand justify.
//! * An error names the message, its version and the path of the field. Reader and writer keep the first one and go on
//!   with values that have no meaning: the generated code has no exit for each field.

mod decoder;
mod encoder;
mod error;
mod field;
mod fixed;
mod ints;
mod lossy;
mod records;
mod run;
mod sink;
mod source;
mod tags;
#[cfg(test)]
mod tests;
mod uuid;

pub use decoder::Decoder;
pub use encoder::{Encoder, SHARE_FROM};
pub use error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};
pub use fixed::Int;
pub use ints::{Int8s, Int16s, Int32s, Int64s, Ints, IntsIter};
pub use lossy::lossy;
pub use records::Records;
pub use tags::{UnknownTag, UnknownTags};
pub use uuid::{ParseUuidError, Uuid};

pub(crate) use field::{Field, Struct, fill_nullable, put_nullable};
pub(crate) use fixed::Fixed;
#[cfg(feature = "serde")]
pub(crate) use fixed::JsonScalar;
use ints::{INLINE, PADDED};
use run::MAX_RUN;
pub(crate) use run::Run;
pub(crate) use sink::Sink;
pub(crate) use source::Source;

/// More elements in one array are refused, as Kafka does from 4.4 on.
pub const MAX_ARRAY_ELEMENTS: usize = 1_000_000;
/// More tagged fields in one structure are refused.
pub const MAX_TAGS: usize = 10_000;
/// The longest string, in bytes, in any version.
pub const MAX_STRING_BYTES: usize = i16::MAX as usize;

/// What a generated file needs.
#[allow(unused_imports, reason = "no file needs all of it")]
pub(crate) mod prelude {
    pub(crate) use super::{
        DecodeError, EncodeError, Field, Int8s, Int16s, Int32s, Int64s, Records, Sink, Source, Struct,
        UnknownTags, Uuid, fill_nullable, put_nullable,
    };
    pub(crate) use crate::Str;
    pub(crate) use alloc::vec::Vec;
    pub(crate) use bytes::Bytes;
}
