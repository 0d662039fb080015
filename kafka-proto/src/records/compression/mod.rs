//! The codecs, each behind a feature of its name.
//!
//! Every reader stops at a cap and reserves no more than the packed bytes can possibly unpack to; every writer takes
//! its input in pieces. A codec that was left out of the build is an error when it is met.

#[cfg(any(feature = "lz4", feature = "snappy"))]
mod blocks;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(all(test, any(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd")))]
mod tests;
#[cfg(feature = "zstd")]
mod zstd;

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use super::RecordsError;

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, levels 1 to 9.
    Gzip,
    /// Snappy, in the framing of the Java client; no levels.
    Snappy,
    /// LZ4 frames; no levels here, it is always the fast variant.
    Lz4,
    /// Zstandard (KIP-110, brokers of 2.1 or later), levels -131072 to 22.
    Zstd,
}

impl Compression {
    /// All of them, in the order of their codes.
    pub const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    /// The code in a batch's attributes.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }

    /// The codec of a code.
    pub fn from_code(code: u8) -> Option<Self> {
        Compression::ALL.get(usize::from(code)).copied()
    }

    /// The codec of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Compression::ALL.into_iter().find(|compression| compression.name() == name)
    }

    /// Whether this build has the codec.
    pub const fn is_enabled(self) -> bool {
        match self {
            Compression::None => true,
            Compression::Gzip => cfg!(feature = "gzip"),
            Compression::Snappy => cfg!(feature = "snappy"),
            Compression::Lz4 => cfg!(feature = "lz4"),
            Compression::Zstd => cfg!(feature = "zstd"),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Unpacks what a batch of format `magic` holds; more than `limit` bytes are an error.
#[allow(unused_variables)] // by codecs that are left out
pub fn decompress(
    compression: Compression,
    magic: u8,
    packed: &Bytes,
    limit: usize,
) -> Result<Bytes, RecordsError> {
    match compression {
        Compression::None => Ok(packed.clone()),
        #[cfg(feature = "gzip")]
        Compression::Gzip => gzip::decompress(packed, limit).map(Bytes::from),
        #[cfg(feature = "snappy")]
        Compression::Snappy => snappy::decompress(packed, limit).map(Bytes::from),
        #[cfg(feature = "lz4")]
        Compression::Lz4 => lz4::decompress(packed, magic, limit).map(Bytes::from),
        #[cfg(feature = "zstd")]
        Compression::Zstd => zstd::decompress(packed, limit).map(Bytes::from),
        #[allow(unreachable_patterns)]
        disabled => Err(RecordsError::CompressionDisabled(disabled)),
    }
}

/// Packs pieces that follow each other, for a batch of format `magic`.
///
/// `level` is the codec's own; one that is out of its range is moved into it, and codecs without levels ignore it.
#[allow(unused_variables)] // by codecs that are left out
pub fn compress(
    compression: Compression,
    magic: u8,
    level: Option<i32>,
    pieces: &[Bytes],
) -> Result<Vec<u8>, RecordsError> {
    match compression {
        Compression::None => Ok(pieces.concat()),
        #[cfg(feature = "gzip")]
        Compression::Gzip => gzip::compress(pieces, level),
        #[cfg(feature = "snappy")]
        Compression::Snappy => snappy::compress(pieces),
        #[cfg(feature = "lz4")]
        Compression::Lz4 => lz4::compress(pieces, magic),
        #[cfg(feature = "zstd")]
        Compression::Zstd => zstd::compress(pieces, level),
        #[allow(unreachable_patterns)]
        disabled => Err(RecordsError::CompressionDisabled(disabled)),
    }
}

/// An error of a reader; what the codec says is kept as text.
#[allow(dead_code)] // without any codec
fn unreadable(compression: Compression, reason: impl alloc::string::ToString) -> RecordsError {
    RecordsError::Decompress { compression, reason: reason.to_string().into_boxed_str() }
}

/// An error of a writer.
#[allow(dead_code)] // without any codec
fn unwritable(compression: Compression, reason: impl alloc::string::ToString) -> RecordsError {
    RecordsError::Compress { compression, reason: reason.to_string().into_boxed_str() }
}
