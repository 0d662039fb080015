//! The content of a `records` field, as a rope.
//!
//! Owns no bytes of its own: a batch is sealed as its header and the chunks its records were written into, and goes
//! to the socket like that. Invariant: no segment is empty.

use alloc::vec::Vec;
use core::fmt;
use core::slice;

use bytes::{Bytes, BytesMut};

/// The content of a `records` field: record batches, in one or more segments that follow each other.
///
/// Cloning shares the bytes. Two are equal when they hold the same bytes, however these are cut into segments.
#[derive(Clone, Default)]
pub struct Records {
    segments: Segments,
}

#[derive(Clone, Default)]
enum Segments {
    #[default]
    Empty,
    One(Bytes),
    Many(Vec<Bytes>),
}

impl Records {
    /// No bytes.
    pub const fn new() -> Self {
        Records { segments: Segments::Empty }
    }

    /// How many bytes there are in all segments.
    pub fn len(&self) -> usize {
        self.segments().iter().map(Bytes::len).sum()
    }

    /// Whether there are no bytes at all.
    pub fn is_empty(&self) -> bool {
        matches!(self.segments, Segments::Empty)
    }

    /// The segments, none of them empty.
    pub fn segments(&self) -> &[Bytes] {
        match &self.segments {
            Segments::Empty => &[],
            Segments::One(bytes) => slice::from_ref(bytes),
            Segments::Many(segments) => segments,
        }
    }

    /// The bytes in one piece. Copies them only if there are several segments.
    pub fn into_bytes(self) -> Bytes {
        match self.segments {
            Segments::Empty => Bytes::new(),
            Segments::One(bytes) => bytes,
            Segments::Many(segments) => join(&segments),
        }
    }
}

/// Copies segments into one piece, unless there is one only.
pub(crate) fn join(segments: &[Bytes]) -> Bytes {
    if let [one] = segments {
        return one.clone();
    }
    let mut all = BytesMut::with_capacity(segments.iter().map(Bytes::len).sum());
    segments.iter().for_each(|segment| all.extend_from_slice(segment));
    all.freeze()
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Self {
        let segments = if bytes.is_empty() { Segments::Empty } else { Segments::One(bytes) };
        Records { segments }
    }
}

impl From<Vec<Bytes>> for Records {
    fn from(mut segments: Vec<Bytes>) -> Self {
        segments.retain(|segment| !segment.is_empty());
        if segments.len() > 1 {
            return Records { segments: Segments::Many(segments) };
        }
        segments.pop().unwrap_or_default().into()
    }
}

impl PartialEq for Records {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && bytes_of(self).eq(bytes_of(other))
    }
}

impl Eq for Records {}

fn bytes_of(records: &Records) -> impl Iterator<Item = &u8> {
    records.segments().iter().flatten()
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Records({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn equal_however_it_is_cut() {
        let one = Records::from(Bytes::from_static(b"abcdef"));
        let many = Records::from(vec![Bytes::from_static(b"ab"), Bytes::new(), Bytes::from_static(b"cdef")]);
        assert_eq!(one, many);
        assert_eq!(many.segments().len(), 2);
        assert_ne!(one, Records::from(Bytes::from_static(b"abcdeg")));
        assert_eq!(many.into_bytes(), one.into_bytes());
    }

    #[test]
    fn empty_has_no_segment() {
        assert!(Records::from(Bytes::new()).is_empty());
        assert!(Records::from(vec![Bytes::new()]).segments().is_empty());
    }
}
