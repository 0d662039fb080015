//! What all messages have in common.

use crate::ApiKey;
use crate::kind::{RequestKind, ResponseKind};
use crate::wire::{DecodeError, Decoder, EncodeError, Encoder, Struct};
use core::fmt;

/// Versions from `min` to `max`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VersionRange {
    /// The oldest.
    pub min: i16,
    /// The newest.
    pub max: i16,
}

impl VersionRange {
    /// True where `version` is one of them.
    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// Versions that both have.
    pub fn intersect(self, other: VersionRange) -> Option<VersionRange> {
        let both = VersionRange { min: self.min.max(other.min), max: self.max.min(other.max) };
        (both.min <= both.max).then_some(both)
    }

    /// All of them, oldest first.
    pub fn iter(self) -> core::ops::RangeInclusive<i16> {
        self.min..=self.max
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.min, self.max)
    }
}

/// A message: it has versions, and a form in bytes for each.
///
/// End a literal with `..Default::default()`: fields that newer versions bring are added without a breaking change.
pub trait Message: Sized + Default {
    /// Kafka's name of the message.
    const NAME: &'static str;
    /// Versions that can be written and read.
    const VERSIONS: VersionRange;
    /// The first version with compact lengths and tagged fields.
    const FLEXIBLE_SINCE: Option<i16>;

    /// Writes the message.
    ///
    /// # Errors
    /// If the version is not known or cannot carry a field that is set (fields that Kafka calls ignorable are left out).
    fn encode(&self, out: &mut Encoder, version: i16) -> Result<(), EncodeError>;

    /// The exact number of bytes that [`encode`](Message::encode) writes.
    ///
    /// # Errors
    /// As `encode`.
    fn encoded_len(&self, version: i16) -> Result<usize, EncodeError>;

    /// Reads the message. Bytes behind it are left in `input`.
    ///
    /// # Errors
    /// If the version is not known or the bytes are not such a message.
    fn decode(input: &mut Decoder<'_>, version: i16) -> Result<Self, DecodeError>;

    /// The message as JSON, in the form of Kafka's `JsonConverter`. Unknown tagged fields are not shown.
    ///
    /// # Errors
    /// As [`encode`](Message::encode).
    #[cfg(feature = "serde")]
    fn to_json(&self, version: i16) -> Result<serde_json::Value, EncodeError>;

    /// Reads what [`to_json`](Message::to_json) wrote. Fields that the version does not have are ignored, unless they
    /// are tagged ones of another version.
    ///
    /// # Errors
    /// If the version is not known, or a field is missing or of another form.
    #[cfg(feature = "serde")]
    fn from_json(value: &serde_json::Value, version: i16) -> Result<Self, DecodeError>;
}

/// A request.
pub trait Request: Message + Into<RequestKind> {
    /// Its API.
    const KEY: ApiKey;
    /// What answers it.
    type Response: Response;
}

/// A response.
pub trait Response: Message + TryFrom<ResponseKind, Error = ResponseKind> {
    /// Its API.
    const KEY: ApiKey;
}

/// What is known of a message's versions.
pub(crate) struct Facts {
    pub(crate) versions: VersionRange,
    pub(crate) flexible_since: Option<i16>,
}

impl Facts {
    pub(crate) fn flexible(&self, v: i16) -> bool {
        self.flexible_since.is_some_and(|since| v >= since)
    }
}

/// The facts as one constant, so that no code that is there for each message has to look at them.
pub(crate) trait Known: Message {
    const FACTS: &'static Facts = &Facts { versions: Self::VERSIONS, flexible_since: Self::FLEXIBLE_SINCE };
}

impl<T: Message> Known for T {}

pub(crate) fn encode<T: Message + Struct>(message: &T, out: &mut Encoder, v: i16) -> Result<(), EncodeError> {
    if out.begin(T::FACTS, v) {
        message.write(out, v);
    }
    out.finish(T::NAME, v)
}

pub(crate) fn encoded_len<T: Message + Struct>(message: &T, v: i16) -> Result<usize, EncodeError> {
    Encoder::count(&mut |out| encode(message, out, v))
}

pub(crate) fn decode<T: Message + Struct>(input: &mut Decoder<'_>, v: i16) -> Result<T, DecodeError> {
    let mut message = T::default();
    decode_into(&mut message, input, v)?;
    Ok(message)
}

/// Reads the message where its default stands.
pub(crate) fn decode_into<T: Message + Struct>(
    message: &mut T,
    input: &mut Decoder<'_>,
    v: i16,
) -> Result<(), DecodeError> {
    if input.begin(T::FACTS, v) {
        message.read(input, v);
    }
    input.finish(T::NAME, v)
}

/// The default of structures, whose fields' defaults are a constant.
macro_rules! default {
    ($($t:ident),*) => {
        $(impl Default for $t {
            fn default() -> Self {
                Self::DEFAULT
            }
        })*
    };
}

/// Makes a structure a message: name, first and last version, first flexible version.
macro_rules! message {
    ($t:ident, $min:literal, $max:literal, $flexible:expr) => {
        impl $crate::Message for $t {
            const NAME: &'static str = stringify!($t);
            const VERSIONS: $crate::VersionRange = $crate::VersionRange { min: $min, max: $max };
            const FLEXIBLE_SINCE: Option<i16> = $flexible;

            fn encode(&self, out: &mut $crate::wire::Encoder, version: i16) -> Result<(), EncodeError> {
                $crate::message::encode(self, out, version)
            }

            fn encoded_len(&self, version: i16) -> Result<usize, EncodeError> {
                $crate::message::encoded_len(self, version)
            }

            fn decode(input: &mut $crate::wire::Decoder<'_>, version: i16) -> Result<Self, DecodeError> {
                $crate::message::decode(input, version)
            }

            #[cfg(feature = "serde")]
            fn to_json(&self, version: i16) -> Result<serde_json::Value, EncodeError> {
                $crate::json::to_json(self, version)
            }

            #[cfg(feature = "serde")]
            fn from_json(value: &serde_json::Value, version: i16) -> Result<Self, DecodeError> {
                $crate::json::from_json(value, version)
            }
        }
    };
}

/// Makes two messages an API pair.
macro_rules! rpc {
    ($key:ident, $request:ident, $response:ident) => {
        impl $crate::Request for $request {
            const KEY: $crate::ApiKey = $crate::ApiKey::$key;
            type Response = $response;
        }

        impl $crate::Response for $response {
            const KEY: $crate::ApiKey = $crate::ApiKey::$key;
        }
    };
}
