//! What the system, or the link, reported of a failure.

use kafka_proto::Str;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::Arc;

/// A text, and the [`io::Error`] that it comes from where the system reported one. Two are equal if their texts are.
#[derive(Clone)]
pub struct Cause {
    text: Str,
    io: Option<Arc<io::Error>>,
}

impl Cause {
    /// Adds the system's error, in other words than its own.
    pub(crate) fn reported_by(self, error: io::Error) -> Self {
        Self { io: Some(Arc::new(error)), ..self }
    }

    /// Returns the system's error, where there is one.
    pub fn io_error(&self) -> Option<&io::Error> {
        self.io.as_deref()
    }
}

/// As its text.
#[cfg(feature = "record")]
impl serde::Serialize for Cause {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(to)
    }
}

#[cfg(feature = "record")]
impl<'de> serde::Deserialize<'de> for Cause {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        serde::Deserialize::deserialize(from).map(|text| Self { text, io: None })
    }
}

impl From<&str> for Cause {
    fn from(text: &str) -> Self {
        Self { text: text.into(), io: None }
    }
}

impl From<String> for Cause {
    fn from(text: String) -> Self {
        Self { text: text.into(), io: None }
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self { text: error.to_string().into(), io: Some(Arc::new(error)) }
    }
}

impl Deref for Cause {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Cause {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Cause {}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}
