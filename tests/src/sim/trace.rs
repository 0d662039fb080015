//! The time line of a run: a hash of it always, its text where that is asked for.
//!
//! The hash does not depend on the machine: neither on its byte order nor on addresses or the sizes of pieces written.

use std::fmt::{self, Write};
use std::time::Duration;

/// FNV-1a over every line.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    text: Option<String>,
}

impl Trace {
    pub(crate) fn new(keep: bool) -> Trace {
        Trace { hash: 0xcbf2_9ce4_8422_2325, text: keep.then(String::new) }
    }

    pub(crate) fn line(&mut self, now: Duration, what: fmt::Arguments<'_>) {
        // Writing to this never fails.
        let micros = now.as_micros();
        let _ = writeln!(self, "{:>5}.{:06} {what}", micros / 1_000_000, micros % 1_000_000);
    }

    /// Whether the text is kept, so that details are worth their making.
    pub(crate) fn is_kept(&self) -> bool {
        self.text.is_some()
    }

    /// A line of the text alone.
    pub(crate) fn detail(&mut self, what: fmt::Arguments<'_>) {
        if let Some(text) = &mut self.text {
            let _ = writeln!(text, "{:12} {what}", "");
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn take_text(&mut self) -> String {
        self.text.take().unwrap_or_default()
    }
}

impl Write for Trace {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.hash = checksum(self.hash, part.as_bytes());
        if let Some(text) = &mut self.text {
            text.push_str(part);
        }
        Ok(())
    }
}

/// FNV-1a.
fn checksum(begin: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(begin, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// What a frame is like, in one number: as FNV-1a, but of eight bytes at a time.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(PRIME).rotate_left(29);
    checksum(words.fold(bytes.len() as u64, mix), rest)
}

const PRIME: u64 = 0x0100_0000_01b3;
