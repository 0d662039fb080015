//! Record batches and message sets, as users of the crate see them.

#![cfg(all(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd"))]

mod properties;
mod vectors;

/// A cap that no test comes near to unless it means to.
const CAP: usize = 64 << 20;
