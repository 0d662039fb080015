//! Record batches (format v2) and message sets (v0 and v1): reading, writing, compression.
//!
//! Reading: [`batches`] cuts the content of a `records` field into [`Batch`]es, whose headers are parsed and whose
//! records are not touched; [`Batch::records`] decompresses if need be and gives a [`RecordSet`], a cursor whose
//! [`Record`]s are views into the batch, without an allocation a record.
//!
//! Writing: [`BatchBuilder`] encodes each record once into chunks of its own, or of a `ChunkPool`; [`BatchBody`] is what
//! becomes of it, to be compressed and sealed as often as needed.
//!
//! Nothing here panics on hostile bytes, or allocates more than they justify and the caller's cap allows.
//!
//! ```
//! use kafka_proto::records::{BatchBuilder, Compression, ProducerStamp, batches};
//!
//! let mut builder = BatchBuilder::new();
//! builder.append(1_700_000_000_000, Some(b"key"), Some(b"value"), &[])?;
//! let body = builder.finish().compress(Compression::None, None)?;
//! let sealed = body.seal(ProducerStamp::NONE); // what a Produce request carries
//!
//! for batch in batches(sealed.into_bytes()) {
//!     let batch = batch?;
//!     batch.verify_crc()?;
//!     let mut records = batch.records(1 << 20)?; // at most 1 MiB after decompression
//!     while let Some(record) = records.next_record() {
//!         assert_eq!(record?.value, Some(&b"value"[..]));
//!     }
//! }
//! # Ok::<(), kafka_proto::records::RecordsError>(())
//! ```

mod batch;
mod body;
mod builder;
mod chunks;
pub mod compression;
mod crc;
mod down_convert;
mod error;
mod header;
mod message_set;
mod record;
mod record_set;
mod varint;

pub use batch::{Batch, Batches, TimestampType, batches};
pub use body::{BatchBody, ProducerStamp};
pub use builder::BatchBuilder;
#[cfg(feature = "std")]
pub use chunks::ChunkPool;
pub use compression::Compression;
pub use crc::crc32c;
pub use error::RecordsError;
pub use header::BatchHeader;
pub use record::{ControlType, Header, HeaderView, Headers, Record};
pub use record_set::RecordSet;
