//! What a body may allocate: in proportion to its input, not to what the input says.
//!
//! The program that runs a body installs an allocator that counts, and hands its figures over as a [`Meter`].

use super::{Body, records};

/// Bytes that each byte of the input may take at a time. An element of an array takes a few bytes and becomes a structure
/// of some hundred; the bodies hold it decoded twice. The most that was seen is a quarter of this.
pub const FACTOR: usize = 256;
/// Bytes that a body takes for any input: buffers of codecs and of the connection.
pub const CONSTANT: usize = 256 << 10;

/// The figures of an allocator that counts.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    /// Begins a new peak; gives the bytes that are allocated now.
    pub reset: fn() -> usize,
    /// The most bytes that were allocated since.
    pub peak: fn() -> usize,
}

/// The most bytes that the body of a target may hold at a time for an input of this length.
pub fn limit(target: &str, input_len: usize) -> usize {
    // A large frame's buffer may run so far ahead of what has come.
    let ahead = match target {
        "link" => 1 << 20,
        // Room for a list is made for as many elements as it says, up to 1 MiB, before they are there; lists hold lists.
        "recording" => 4 << 20,
        _ => 0,
    };
    let unpacked = match target {
        "records" => 4,
        // Plain bytes, compressed again, unpacked again.
        "decompress" => 8,
        // Records made of them, a batch and message sets of these, and all of it read again.
        "rebuild" => 16,
        _ => 0,
    };
    FACTOR * input_len + CONSTANT + ahead + unpacked * records::CAP
}

/// Runs a body; gives the most bytes it held at a time.
///
/// # Panics
/// If that is more than [`limit`], and where the body does.
pub fn measured(target: &str, body: Body, input: &[u8], meter: Meter) -> usize {
    let before = (meter.reset)();
    body(input);
    let used = (meter.peak)().saturating_sub(before);
    let (len, limit) = (input.len(), limit(target, input.len()));
    assert!(used <= limit, "{target}: {len} bytes of input took {used} bytes of memory, more than {limit}");
    used
}

/// Runs the body of the target of this name; see [`measured`].
///
/// # Panics
/// If there is no such target, and as [`measured`].
pub fn measured_target(target: &str, input: &[u8], meter: Meter) {
    let body = super::TARGETS.iter().find(|(name, _)| *name == target);
    let (name, body) = body.unwrap_or_else(|| panic!("{target} is no target"));
    measured(name, *body, input, meter);
}
