//! Values of a recording as bytes.

use super::Privacy;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// What is kept of a value until it is written.
#[derive(Debug)]
pub(crate) enum Note {
    /// As it is written.
    Bytes(Vec<u8>),
    /// It holds records, which are looked at outside of all locks.
    Late(Box<dyn Late>),
}

/// A value that holds records.
pub(crate) trait Late: Debug + Send {
    fn write(&self, privacy: &Privacy) -> Vec<u8>;
}

impl Note {
    pub(crate) fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        Self::Bytes(write(value))
    }

    pub(crate) fn into_bytes(self, privacy: &Privacy) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Late(value) => value.write(privacy),
        }
    }
}

/// Returns the bytes of a value. None of them has a type that cannot be written.
pub(crate) fn write<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).unwrap_or_default()
}

/// Returns the value that these bytes are, all of them.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
    rest.is_empty().then_some(value)
}

/// Implements [`Visible`] for types without records.
macro_rules! visible {
    ($($of:ty),+ $(,)?) => {$(
        impl $crate::tape::Visible for $of {
            fn note(&self) -> $crate::tape::Note {
                $crate::tape::Note::of(self)
            }

            fn shown(bytes: &[u8]) -> Option<Self> {
                $crate::tape::read(bytes)
            }
        }
    )+};
}
pub(crate) use visible;

visible!(bool, i32, i64, usize, Option<bool>, Option<u64>, Option<usize>, Vec<u64>);
