//! Errors in a recording.
//!
//! Invariant: what is read nests no deeper than errors do, whatever the bytes say.

use super::{Error, Inner};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cell::Cell;
use std::sync::Arc;

/// An error of a call holds the last one that was met, which may have been one of a call.
const DEEPEST: u8 = 8;

thread_local! {
    static DEPTH: Cell<u8> = const { Cell::new(0) };
}

/// As what it holds.
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Error {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let depth = DEPTH.get();
        if depth == DEEPEST {
            return Err(D::Error::custom("errors that nest too deep"));
        }
        DEPTH.set(depth + 1);
        let inner = Inner::deserialize(from);
        DEPTH.set(depth);
        inner.map(|inner| Self(Arc::new(inner)))
    }
}
