//! The Kafka wire protocol: every request and response in every version from 0.10 to 4.4, record batches and codecs.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod records;
pub mod wire;

pub use bytes::Bytes;
/// A string of the protocol: validated UTF-8 that is a slice of the buffer it was read from.
pub use bytestring::ByteString as Str;
