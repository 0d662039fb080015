//! Messages that are kept in bytes fields and in records, with what stands before them there.

use crate::message::Message;
use crate::wire::{DecodeError, Decoder, EncodeError, Encoder, Source};
use bytes::Bytes;

/// A message with its version before it as an int16: the consumer protocol, control records, principals.
pub trait Prefixed: Message {
    /// Version and message.
    ///
    /// # Errors
    /// As [`Message::encode`].
    fn encode_prefixed(&self, version: i16) -> Result<Bytes, EncodeError> {
        store(self, version, begin_int16(version))
    }

    /// Reads a version and the message. One of a newer version is read as the newest that is known, and bytes behind it
    /// are ignored, for newer versions only append. The version is returned as it was read.
    ///
    /// # Errors
    /// If the bytes are not such a message.
    fn decode_prefixed(bytes: &Bytes) -> Result<(i16, Self), DecodeError> {
        let mut input = Decoder::new(bytes);
        let version = int16(&mut input, "version", Self::NAME)?;
        let message = Self::decode(&mut input, version.min(Self::VERSIONS.max))?;
        Ok((version, message))
    }
}

pub(crate) fn int16(
    input: &mut Decoder<'_>,
    field: &'static str,
    name: &'static str,
) -> Result<i16, DecodeError> {
    let int = input.fixed(field);
    input.finish(name, 0)?;
    Ok(int)
}

/// An encoder with an int16 written.
pub(crate) fn begin_int16(int: i16) -> Encoder {
    let mut out = Encoder::new();
    out.put_slice(&int.to_be_bytes());
    out
}

/// Version of the frame of metadata records: 0 was the one of Kafka 2.8, a preview.
const FRAME_VERSION: u32 = 1;

/// Type and version of a metadata record; the frame's version is checked.
pub(crate) fn metadata_frame(input: &mut Decoder<'_>) -> Result<(i16, i16), DecodeError> {
    let mut frame = [0; 3];
    for (number, field) in frame.iter_mut().zip(["frame_version", "type", "version"]) {
        *number = input.uvarint(field);
    }
    input.finish("", 0)?;
    let [frame, kind, version] = frame;
    if frame != FRAME_VERSION {
        return Err(unknown_type("frame_version", frame));
    }
    let small = |number: u32, field| i16::try_from(number).map_err(|_| unknown_type(field, number));
    Ok((small(kind, "type")?, small(version, "version")?))
}

/// An encoder with a metadata frame written.
pub(crate) fn begin_metadata(kind: i16, version: i16) -> Encoder {
    let mut out = Encoder::new();
    for number in [FRAME_VERSION, kind as u32, version as u32] {
        out.uvarint(number);
    }
    out
}

/// Writes a message that is stored, behind what has been written before it.
pub(crate) fn store<T: Message>(message: &T, version: i16, mut out: Encoder) -> Result<Bytes, EncodeError> {
    message.encode(&mut out, version)?;
    Ok(out.into_bytes())
}

pub(crate) fn unknown_type(field: &'static str, number: u32) -> DecodeError {
    DecodeError::new(field, crate::wire::DecodeErrorKind::UnknownType(number))
}

/// Makes a message one with an int16 version before it.
macro_rules! prefixed {
    ($t:ident) => {
        impl $crate::stored::Prefixed for $t {}
    };
}

/// The records of a coordinator's topic: name, type, key, value.
macro_rules! records {
    ($($name:ident $kind:literal $key:ident $value:ident;)*) => {
        /// The key of a record: its type as an int16, then the key itself.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub enum Key {
            $(#[doc = concat!("Type ", stringify!($kind), ".")] $name($key),)*
        }

        impl Key {
            /// The number of the type.
            pub fn kind(&self) -> i16 {
                match self {
                    $(Key::$name(_) => $kind,)*
                }
            }

            /// Type and key.
            ///
            /// # Errors
            /// As [`Message::encode`](crate::Message::encode).
            pub fn encode(&self) -> Result<Bytes, EncodeError> {
                match self {
                    $(Key::$name(key) => $crate::stored::store(key, 0, $crate::stored::begin_int16($kind)),)*
                }
            }

            /// Reads type and key.
            ///
            /// # Errors
            /// If the type is not known or the bytes are not such a key.
            pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
                let mut input = $crate::wire::Decoder::new(bytes);
                match $crate::stored::int16(&mut input, "type", "Key")? {
                    $($kind => $crate::Message::decode(&mut input, 0).map(Key::$name),)*
                    kind => Err($crate::stored::unknown_type("type", kind as u32)),
                }
            }
        }

        /// The value of a record: its version as an int16, then the value itself.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub enum Value {
            $(#[doc = concat!("Type ", stringify!($kind), ".")] $name($value),)*
        }

        impl Value {
            /// Version and value.
            ///
            /// # Errors
            /// As [`Message::encode`](crate::Message::encode).
            pub fn encode(&self, version: i16) -> Result<Bytes, EncodeError> {
                match self {
                    $(Value::$name(value) => $crate::stored::store(value, version, $crate::stored::begin_int16(version)),)*
                }
            }

            /// Reads version and value of a record whose key is of this type.
            ///
            /// # Errors
            /// If the type or version is not known or the bytes are not such a value.
            pub fn decode(kind: i16, bytes: &Bytes) -> Result<(i16, Self), DecodeError> {
                let mut input = $crate::wire::Decoder::new(bytes);
                let version = $crate::stored::int16(&mut input, "version", "Value")?;
                let value = match kind {
                    $($kind => Value::$name($crate::Message::decode(&mut input, version)?),)*
                    kind => return Err($crate::stored::unknown_type("type", kind as u32)),
                };
                Ok((version, value))
            }
        }
    };
}

/// The records of a metadata log: name, type, message.
macro_rules! metadata {
    ($($name:ident $kind:literal $record:ident;)*) => {
        /// A record of the log: version of the frame, type and version as unsigned varints, then the record itself.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub enum Record {
            $(#[doc = concat!("Type ", stringify!($kind), ".")] $name($record),)*
        }

        impl Record {
            /// The number of the type.
            pub fn kind(&self) -> i16 {
                match self {
                    $(Record::$name(_) => $kind,)*
                }
            }

            /// Frame and record.
            ///
            /// # Errors
            /// As [`Message::encode`](crate::Message::encode).
            pub fn encode(&self, version: i16) -> Result<Bytes, EncodeError> {
                match self {
                    $(Record::$name(record) => $crate::stored::store(record, version, $crate::stored::begin_metadata($kind, version)),)*
                }
            }

            /// Reads frame and record, and returns the record's version too.
            ///
            /// # Errors
            /// If the frame, type or version is not known or the bytes are not such a record.
            pub fn decode(bytes: &Bytes) -> Result<(i16, Self), DecodeError> {
                let mut input = $crate::wire::Decoder::new(bytes);
                let (kind, version) = $crate::stored::metadata_frame(&mut input)?;
                let record = match kind {
                    $($kind => Record::$name($crate::Message::decode(&mut input, version)?),)*
                    kind => return Err($crate::stored::unknown_type("type", kind as u32)),
                };
                Ok((version, record))
            }
        }
    };
}
