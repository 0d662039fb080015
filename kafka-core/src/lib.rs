//! A sans-IO Kafka client: the state machines and the runtime-neutral layer.

pub mod client;
pub mod error;
mod error_advice;
pub mod group;
pub mod link;
pub mod message;
pub mod reader;
pub mod rt;
pub mod stats;
mod trace;
pub mod writer;

pub use error::{Error, Result};
pub use kafka_proto::error_code::ErrorCode;
pub use kafka_proto::records::{Compression, Header};
pub use kafka_proto::{Bytes, Str, Uuid};
pub use message::Message;
