//! What can be wrong with records.

use alloc::boxed::Box;

use super::Compression;

/// Why records could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// The size field of a batch is smaller than any batch. Where the next one begins is not known.
    #[error("a batch claims {size} bytes, fewer than its header has")]
    InvalidSize {
        /// The size field as it stands.
        size: i32,
    },
    /// The magic byte is none of 0, 1 and 2.
    #[error("record format {0} is not known")]
    UnsupportedMagic(i8),
    /// The checksum does not fit the bytes.
    #[error("checksum is {computed:08x}, the batch says {stored:08x}")]
    CrcMismatch {
        /// The checksum in the batch.
        stored: u32,
        /// The checksum of its bytes.
        computed: u32,
    },
    /// The bytes break the format. The text says where.
    #[error("records are corrupt: {0}")]
    Corrupt(&'static str),
    /// The attributes name a codec that Kafka does not have.
    #[error("compression codec {0} is not known")]
    UnknownCompression(u8),
    /// The codec was left out of this build.
    #[error("{0} needs a feature of kafka-proto that is off")]
    CompressionDisabled(Compression),
    /// A message set cannot hold what a record batch can: zstd.
    #[error("{compression} is not allowed in format {magic}")]
    CompressionNotSupported {
        /// The codec.
        compression: Compression,
        /// The record format, 0 or 1.
        magic: u8,
    },
    /// The compressed bytes are not what the codec wrote.
    #[error("{compression} cannot read the records: {reason}")]
    Decompress {
        /// The codec.
        compression: Compression,
        /// What the codec says.
        reason: Box<str>,
    },
    /// The codec failed to write.
    #[error("{compression} cannot write the records: {reason}")]
    Compress {
        /// The codec.
        compression: Compression,
        /// What the codec says.
        reason: Box<str>,
    },
    /// The records are larger than the caller allows, once decompressed.
    #[error("decompressed records exceed {limit} bytes")]
    DecompressedTooLarge {
        /// The caller's cap, in bytes.
        limit: usize,
    },
    /// A record or batch would be larger than the format's 32-bit sizes can say.
    #[error("the batch would exceed 2 GiB")]
    TooLarge,
    /// The record formats 0 and 1 have no headers (KIP-82 came with format 2).
    #[error("record headers need format 2, that is brokers of 0.11 or later")]
    HeadersNotSupported,
}
