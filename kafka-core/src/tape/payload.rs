//! Keys, values and headers in a recording: a length and a hash, unless the application wants them whole.
//!
//! The hash is keyed by a secret that is written nowhere, so that equal payloads of one recording can be recognized and none can be
//! guessed by trying.

use kafka_proto::Bytes;
use serde::{Deserialize, Serialize};
use std::hash::{DefaultHasher, Hasher};
use std::sync::OnceLock;

/// What a recording keeps of payloads.
#[derive(Clone)]
pub(crate) struct Privacy {
    secret: [u64; 2],
    is_whole: bool,
}

impl std::fmt::Debug for Privacy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Privacy").field("is_whole", &self.is_whole).finish_non_exhaustive()
    }
}

/// What a recording keeps of bytes that are not its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hidden {
    /// How many there are.
    pub(crate) len: u32,
    hash: [u8; 8],
}

impl Privacy {
    /// With payloads whole, or hashed with this secret.
    pub(crate) fn new(is_whole: bool, secret: [u64; 2]) -> Self {
        Self { secret, is_whole }
    }

    /// Returns whether payloads are written as they are.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Returns the length and the hash of bytes.
    pub(crate) fn hide(&self, bytes: &[u8]) -> Hidden {
        let mut hasher = DefaultHasher::new();
        self.secret.iter().for_each(|part| hasher.write_u64(*part));
        hasher.write(bytes);
        Hidden { len: bytes.len() as u32, hash: hasher.finish().to_le_bytes() }
    }
}

/// The longest bytes that a replay puts in the place of others: more than a frame can be.
const LONGEST: usize = 1 << 30;

/// Returns zeros in the place of bytes that a recording has the length of. All of them are slices of one block, which costs no memory
/// for as long as nothing looks at it.
pub(crate) fn stand_in(len: usize) -> Option<Bytes> {
    static SMALL: OnceLock<Bytes> = OnceLock::new();
    static LARGE: OnceLock<Bytes> = OnceLock::new();
    let (block, size) = if len <= 1 << 20 { (&SMALL, 1 << 20) } else { (&LARGE, LONGEST) };
    (len <= LONGEST).then(|| block.get_or_init(|| Bytes::from(vec![0; size])).slice(..len))
}
