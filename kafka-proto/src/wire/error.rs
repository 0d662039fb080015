//! Errors of reading and writing: what is wrong, and where.

use alloc::{boxed::Box, string::String};
use core::fmt;

/// What a message's bytes got wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The input ends before the value does.
    #[error("{needed} bytes are needed, {remaining} are left")]
    Truncated {
        /// Bytes that the value takes.
        needed: usize,
        /// Bytes that are there.
        remaining: usize,
    },
    /// A null where the version does not allow one.
    #[error("null where a value is required")]
    Null,
    /// More elements than [`MAX_ARRAY_ELEMENTS`](super::MAX_ARRAY_ELEMENTS), or more than bytes are left.
    #[error("an array of {0} elements")]
    TooManyElements(usize),
    /// More tagged fields than [`MAX_TAGS`](super::MAX_TAGS).
    #[error("{0} tagged fields")]
    TooManyTags(usize),
    /// A string longer than 32,767 bytes.
    #[error("a string of {0} bytes")]
    StringTooLong(usize),
    /// A variable-length integer of more than five bytes.
    #[error("a variable-length integer does not end")]
    Varint,
    /// A version that is not known.
    #[error("versions {min} to {max} are known")]
    UnsupportedVersion {
        /// The oldest known version.
        min: i16,
        /// The newest known version.
        max: i16,
    },
    /// An API key that is not known.
    #[error("API key {0} is not known")]
    UnknownApi(i16),
    /// A type of a stored record, or a version of its frame, that is not known.
    #[error("{0} is not known")]
    UnknownType(u32),
    /// JSON of another form than the schema's.
    #[error("{0} is expected in JSON")]
    Json(&'static str),
}

/// Why a message cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeErrorKind {
    /// A version that is not known.
    #[error("versions {min} to {max} are known")]
    UnsupportedVersion {
        /// The oldest known version.
        min: i16,
        /// The newest known version.
        max: i16,
    },
    /// The field is set, and this version cannot carry it.
    #[error("is set, and this version cannot carry it")]
    UnsupportedField,
    /// The field is null, and this version cannot carry that.
    #[error("is null, and this version does not allow it")]
    Null,
    /// The value is longer than its length prefix can say.
    #[error("has a length of {len}, {max} is the most")]
    TooLong {
        /// Length of the value.
        len: usize,
        /// The most that can be written.
        max: usize,
    },
    /// Unknown tagged fields are set in a version that has no tagged fields.
    #[error("are set, and this version has no tagged fields")]
    NoTags,
    /// An unknown tagged field has the number of a known one.
    #[error("hold the known tag {0}")]
    TagCollision(u32),
}

/// A message cannot be read.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(Box<Located<DecodeErrorKind>>);

/// A message cannot be written.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EncodeError(Box<Located<EncodeErrorKind>>);

/// A kind of error and its place. Errors are rare: the path is only built when there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Located<K> {
    kind: K,
    message: &'static str,
    version: i16,
    /// From the top, with dots.
    field: String,
}

impl<K: fmt::Display> fmt::Display for Located<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.message.is_empty() {
            write!(f, "{} v{}: ", self.message, self.version)?;
        }
        if !self.field.is_empty() {
            write!(f, "{} ", self.field)?;
        }
        self.kind.fmt(f)
    }
}

impl<K> Located<K> {
    fn within(&mut self, outer: &str) {
        if outer.is_empty() {
            return;
        }
        if !self.field.is_empty() {
            self.field.insert(0, '.');
        }
        self.field.insert_str(0, outer);
    }
}

macro_rules! located {
    ($error:ident, $kind:ident) => {
        impl $error {
            #[cold]
            #[inline(never)]
            pub(crate) fn new(field: &str, kind: $kind) -> Self {
                Self(Box::new(Located { kind, message: "", version: 0, field: field.into() }))
            }

            /// Puts a field's name before the path.
            #[cold]
            #[inline(never)]
            pub(crate) fn within(mut self, outer: &str) -> Self {
                self.0.within(outer);
                self
            }

            /// Names the message and its version.
            #[cold]
            #[inline(never)]
            pub(crate) fn of(mut self, message: &'static str, version: i16) -> Self {
                self.0.message = message;
                self.0.version = version;
                self
            }

            /// What is wrong.
            pub fn kind(&self) -> &$kind {
                &self.0.kind
            }

            /// The message's name, such as `FetchResponse`; empty where none was being handled.
            pub fn message(&self) -> &'static str {
                self.0.message
            }

            /// The message's version.
            pub fn version(&self) -> i16 {
                self.0.version
            }

            /// The path of the field from the top, with dots; empty where the whole message is meant.
            pub fn field(&self) -> &str {
                &self.0.field
            }
        }

        impl fmt::Debug for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($error)).field(&format_args!("{}", self.0)).finish()
            }
        }
    };
}

located!(DecodeError, DecodeErrorKind);
located!(EncodeError, EncodeErrorKind);
