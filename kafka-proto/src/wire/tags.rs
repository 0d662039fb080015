//! Tagged fields that the schema does not know, kept as they came.
//!
//! Invariant: sorted by tag, no tag twice.

use alloc::{sync::Arc, vec::Vec};
use bytes::Bytes;

/// A tagged field that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownTag {
    /// Its number.
    pub tag: u32,
    /// Its content.
    pub value: Bytes,
}

/// Tagged fields of a structure that the schema does not know. They are written again as they were read.
/// One pointer, as there are none as a rule; and a shared one, as the code to drop it is smaller.
#[derive(Clone, Default, PartialEq, Eq)]
#[allow(clippy::rc_buffer, reason = "a thin pointer in each of many thousands of structures")]
pub struct UnknownTags(Option<Arc<Vec<UnknownTag>>>);

impl UnknownTags {
    /// No tags.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Sets a tag; one that is there is replaced.
    pub fn insert(&mut self, tag: u32, value: Bytes) {
        let tags = Arc::make_mut(self.0.get_or_insert_default());
        match tags.binary_search_by_key(&tag, |t| t.tag) {
            Ok(at) => tags[at].value = value,
            Err(at) => tags.insert(at, UnknownTag { tag, value }),
        }
    }

    /// The tags in ascending order.
    #[inline]
    pub fn as_slice(&self) -> &[UnknownTag] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    /// True where there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// Number of tags.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// The content of a tag.
    pub fn get(&self, tag: u32) -> Option<&Bytes> {
        let tags = self.as_slice();
        tags.binary_search_by_key(&tag, |t| t.tag).ok().and_then(|at| tags.get(at)).map(|t| &t.value)
    }
}

impl core::fmt::Debug for UnknownTags {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_map().entries(self.as_slice().iter().map(|t| (t.tag, &t.value))).finish()
    }
}
