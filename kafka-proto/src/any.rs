//! Messages by name, for tools that learn only when they run what they deal with.

use crate::message::{Message, VersionRange};
use crate::messages::for_each_message;
use crate::wire::{DecodeError, Decoder, EncodeError, Encoder};
use alloc::boxed::Box;
use core::any::Any;
use core::fmt;
use serde_json::Value;

/// A message of any type.
pub trait AnyMessage: fmt::Debug + Any {
    /// Its type.
    fn message_type(&self) -> &'static MessageType;

    /// As [`Message::encode`].
    ///
    /// # Errors
    /// As there.
    fn encode(&self, out: &mut Encoder, version: i16) -> Result<(), EncodeError>;

    /// As [`Message::encoded_len`].
    ///
    /// # Errors
    /// As there.
    fn encoded_len(&self, version: i16) -> Result<usize, EncodeError>;

    /// As [`Message::to_json`].
    ///
    /// # Errors
    /// As there.
    fn to_json(&self, version: i16) -> Result<Value, EncodeError>;

    /// True where `other` is of the same type and equal.
    fn equals(&self, other: &dyn AnyMessage) -> bool;
}

type Decoded = Result<Box<dyn AnyMessage>, DecodeError>;

/// A type of message: its facts, and how to make one.
pub struct MessageType {
    /// Kafka's name, such as `FetchRequest` or `OffsetCommitValue`.
    pub name: &'static str,
    /// Versions that can be written and read.
    pub versions: VersionRange,
    /// The first version with compact lengths and tagged fields.
    pub flexible_since: Option<i16>,
    decode: fn(&mut Decoder<'_>, i16) -> Decoded,
    from_json: fn(&Value, i16) -> Decoded,
}

impl MessageType {
    /// The type with a name.
    pub fn by_name(name: &str) -> Option<&'static MessageType> {
        MessageType::ALL.iter().find(|t| t.name == name)
    }

    /// As [`Message::decode`].
    ///
    /// # Errors
    /// As there.
    pub fn decode(&self, input: &mut Decoder<'_>, version: i16) -> Result<Box<dyn AnyMessage>, DecodeError> {
        (self.decode)(input, version)
    }

    /// As [`Message::from_json`].
    ///
    /// # Errors
    /// As there.
    pub fn from_json(&self, value: &Value, version: i16) -> Result<Box<dyn AnyMessage>, DecodeError> {
        (self.from_json)(value, version)
    }
}

impl fmt::Debug for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.versions)
    }
}

const fn message_type<T: Message + AnyMessage>() -> MessageType {
    MessageType {
        name: T::NAME,
        versions: T::VERSIONS,
        flexible_since: T::FLEXIBLE_SINCE,
        decode: |input, version| Ok(Box::new(T::decode(input, version)?)),
        from_json: |value, version| Ok(Box::new(T::from_json(value, version)?)),
    }
}

macro_rules! any {
    ($($module:ident $t:ident;)*) => {
        impl MessageType {
            /// Every type there is.
            pub const ALL: &[MessageType] = &[$(message_type::<crate::messages::$module::$t>(),)*];
        }

        $(impl AnyMessage for crate::messages::$module::$t {
            fn message_type(&self) -> &'static MessageType {
                const { &message_type::<crate::messages::$module::$t>() }
            }

            fn encode(&self, out: &mut Encoder, version: i16) -> Result<(), EncodeError> {
                Message::encode(self, out, version)
            }

            fn encoded_len(&self, version: i16) -> Result<usize, EncodeError> {
                Message::encoded_len(self, version)
            }

            fn to_json(&self, version: i16) -> Result<Value, EncodeError> {
                Message::to_json(self, version)
            }

            fn equals(&self, other: &dyn AnyMessage) -> bool {
                (other as &dyn Any).downcast_ref::<Self>() == Some(self)
            }
        })*
    };
}

for_each_message!(any);
