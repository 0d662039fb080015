//! The Kafka wire protocol: every request and response in every version from 0.10 to 4.4, record batches and codecs.
//!
//! * [`messages`] has a module for each API with its structures; [`Message`] writes and reads them.
//! * [`RequestKind`] and [`ResponseKind`] hold a message of any API.
//! * [`records`] reads and writes record batches.
//! * [`frame`] puts length and header before a message.
//! * [`ApiKey`] tells versions and other facts about an API, [`ErrorCode`] what an error code means.

#![forbid(unsafe_code)]
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

#[cfg(feature = "serde")]
pub mod any;
mod api;
mod api_key;
#[cfg(test)]
mod arbitrary;
pub mod error_code;
pub mod frame;
#[cfg(feature = "serde")]
mod json;
mod kind;
#[macro_use]
mod message;
#[macro_use]
mod stored;
pub mod messages;
pub mod proxy;
pub mod records;
pub mod wire;

pub use api_key::ApiKey;
pub use bytes::Bytes;
/// A string of the protocol: validated UTF-8 that is a slice of the buffer it was read from.
pub use bytestring::ByteString as Str;
pub use error_code::ErrorCode;
pub use kind::{RequestKind, ResponseKind};
pub use message::{Message, Request, Response, VersionRange};
pub use stored::Prefixed;
pub use wire::Uuid;
