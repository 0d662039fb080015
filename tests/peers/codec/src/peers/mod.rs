//! One adapter for each crate. All do the same work on the same wire bytes and records.

use crate::data::Rec;
use crate::data::batch::Codec;
use crate::harness::Run;
use bytes::Bytes;

pub mod kacrab;
pub mod kafka_protocol;
pub mod krafka;
pub mod ours;
pub mod rskafka;

pub type Res<T> = Result<T, String>;

/// Reads a message of a version from its wire bytes and visits it.
pub type Decode = fn(&Bytes, i16) -> Res<u64>;

/// Something to encode again and again, with one output to validate.
pub struct Enc {
    pub run: Run,
    pub once: Vec<u8>,
}

pub struct Peer {
    pub name: &'static str,
    /// Decodes one batch, with its CRC checked, and visits every field of every record.
    pub decode: fn(&Bytes) -> Res<u64>,
    /// Encodes records into a batch that is ready to be sent.
    pub encode: fn(&[Rec], Codec) -> Res<Enc>,
    /// The newest MetadataResponse version it reads.
    pub metadata_version: i16,
    pub metadata_decode: Decode,
    /// Of a MetadataResponse; is given wire bytes to build its value from.
    pub metadata_encode: Option<fn(&Bytes, i16) -> Res<Enc>>,
    /// The newest FetchResponse version it reads.
    pub fetch_version: i16,
    /// Without looking at the records, where it can do that.
    pub fetch_lazy: Option<Decode>,
    /// With all records visited.
    pub fetch_full: Decode,
    /// The newest ProduceRequest version it writes.
    pub produce_version: i16,
    pub produce_records: fn(&[Vec<Rec>], i16) -> Res<Enc>,
    /// All frames of `data::heartbeat_responses`.
    pub heartbeat_decode: Option<fn(&Bytes) -> Res<u64>>,
    /// `data::FRAMES` request frames; `once` has one, of correlation id 7.
    pub heartbeat_encode: Option<fn() -> Res<Enc>>,
}

/// Ours first.
pub fn all() -> Vec<Peer> {
    vec![ours::peer(), kafka_protocol::peer(), kacrab::peer(), krafka::peer(), rskafka::peer()]
}

pub fn s<E: std::fmt::Debug>(e: E) -> String {
    format!("{e:?}").chars().take(160).collect()
}
