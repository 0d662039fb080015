//! What the fuzz targets of `fuzz/` do with their input, compiled and tested with the rest of the project.
//!
//! Each body takes any bytes. It panics where an invariant is broken: what was read can be written, and is then read as
//! the same; lengths told beforehand are exact; caps hold. That memory stays in proportion to the input is watched from
//! outside, by an allocator that counts: see [`memory`].

pub mod corpus;
mod frames;
mod link;
pub mod memory;
mod messages;
#[cfg(feature = "record")]
mod recording;
mod records;
mod stored;
mod survival;

pub use frames::frames;
pub use link::{link, link_seed};
pub use messages::{message_seed, request, response};
#[cfg(feature = "record")]
pub use recording::{recording, recording_seed};
pub use records::{decompress, decompress_seed, rebuild, records};
pub use stored::{STORED_KINDS, consumer_protocol, stored};

/// A body: it gets the input, and panics where an invariant is broken.
pub type Body = fn(&[u8]);

/// Every target with its body; the schema's grammar has its own, in xtask.
pub const TARGETS: &[(&str, Body)] = &[
    ("request", request),
    ("response", response),
    ("frames", frames),
    ("stored", stored),
    ("consumer_protocol", consumer_protocol),
    ("records", records),
    ("rebuild", rebuild),
    ("decompress", decompress),
    ("link", link),
    #[cfg(feature = "record")]
    ("recording", recording),
];
