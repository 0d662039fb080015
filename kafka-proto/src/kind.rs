//! A request or response of any API.

use crate::api_key::{ApiKey, for_each_api};
use crate::message::{self, Message};
use crate::messages;
use crate::wire::{DecodeError, Decoder, EncodeError, Encoder, Struct};

macro_rules! kind {
    ($(#[$doc:meta])* $kind:ident: $($module:ident $key:ident $message:ident;)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        #[allow(clippy::large_enum_variant, reason = "lives for the time of one call; a box each would cost more")]
        #[non_exhaustive]
        pub enum $kind {
            $(#[doc = concat!("[`", stringify!($key), "`](ApiKey::", stringify!($key), ")")]
            $key(messages::$module::$message),)*
        }

        impl $kind {
            /// The message of an API with every field at its default.
            pub fn default_of(key: ApiKey) -> Self {
                match key {
                    $(ApiKey::$key => Self::$key(Default::default()),)*
                }
            }

            /// The API it belongs to.
            pub fn api_key(&self) -> ApiKey {
                match self {
                    $(Self::$key(_) => ApiKey::$key,)*
                }
            }

            /// Writes the message, without a header.
            ///
            /// # Errors
            /// As [`Message::encode`].
            pub fn encode(&self, out: &mut Encoder, version: i16) -> Result<(), EncodeError> {
                match self {
                    $(Self::$key(m) => m.encode(out, version),)*
                }
            }

            /// The exact number of bytes that [`encode`](Self::encode) writes.
            ///
            /// # Errors
            /// As [`Message::encode`].
            pub fn encoded_len(&self, version: i16) -> Result<usize, EncodeError> {
                match self {
                    $(Self::$key(m) => m.encoded_len(version),)*
                }
            }

            /// Reads the message, without a header. Bytes behind it are left in `input`.
            ///
            /// # Errors
            /// As [`Message::decode`].
            pub fn decode(key: ApiKey, input: &mut Decoder<'_>, version: i16) -> Result<Self, DecodeError> {
                Self::decode_with((), key, input, version).map(|((), kind)| kind)
            }

            /// Reads the message, and returns something beside it: to move the largest message of all once more
            /// takes longer than to read a small one.
            pub(crate) fn decode_with<T>(
                beside: T,
                key: ApiKey,
                input: &mut Decoder<'_>,
                version: i16,
            ) -> Result<(T, Self), DecodeError> {
                match key {
                    $(ApiKey::$key => {
                        let mut message = Struct::DEFAULT;
                        message::decode_into(&mut message, input, version)?;
                        Ok((beside, Self::$key(message)))
                    })*
                }
            }

            /// As [`Message::to_json`].
            ///
            /// # Errors
            /// As there.
            #[cfg(feature = "serde")]
            pub fn to_json(&self, version: i16) -> Result<serde_json::Value, EncodeError> {
                match self {
                    $(Self::$key(m) => m.to_json(version),)*
                }
            }

            /// As [`Message::from_json`].
            ///
            /// # Errors
            /// As there.
            #[cfg(feature = "serde")]
            pub fn from_json(key: ApiKey, value: &serde_json::Value, version: i16) -> Result<Self, DecodeError> {
                match key {
                    $(ApiKey::$key => Message::from_json(value, version).map(Self::$key),)*
                }
            }
        }

        $(impl From<messages::$module::$message> for $kind {
            fn from(message: messages::$module::$message) -> Self {
                Self::$key(message)
            }
        }

        impl TryFrom<$kind> for messages::$module::$message {
            type Error = $kind;

            /// Gives the value back where it is of another API.
            fn try_from(kind: $kind) -> Result<Self, $kind> {
                if let $kind::$key(message) = kind { Ok(message) } else { Err(kind) }
            }
        })*
    };
}

macro_rules! kinds {
    ($($module:ident $key:ident $request:ident $response:ident;)*) => {
        kind!(/// A request of any API.
            RequestKind: $($module $key $request;)*);
        kind!(/// A response of any API.
            ResponseKind: $($module $key $response;)*);
    };
}

for_each_api!(kinds);
