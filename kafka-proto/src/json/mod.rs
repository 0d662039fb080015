//! Messages as JSON, in the form of Kafka's own `JsonConverter`: names in camel case, the fields of the version and no
//! others, tagged fields only where they are not at their default, identifiers as 22 characters, bytes in base64.
//!
//! The structures' `write` and `read` name their fields, so JSON is one more sink and one more source: no code is
//! generated for it. Unknown tagged fields are not shown.

mod sink;
mod source;

use crate::wire::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind, Sink, Struct};
use crate::{Message, VersionRange};
use alloc::string::String;
use serde_json::Value;

pub(crate) fn to_json<T: Message + Struct>(message: &T, v: i16) -> Result<Value, EncodeError> {
    let mut sink = sink::JsonSink::default();
    match T::VERSIONS {
        range if range.contains(v) => message.write(&mut sink, v),
        VersionRange { min, max } => sink.fail("", EncodeErrorKind::UnsupportedVersion { min, max }),
    }
    sink.into_value().map_err(|e| e.of(T::NAME, v))
}

pub(crate) fn from_json<T: Message + Struct>(value: &Value, v: i16) -> Result<T, DecodeError> {
    let mut source = source::JsonSource::new(value);
    let mut message = T::default();
    match T::VERSIONS {
        range if range.contains(v) => message.read(&mut source, v),
        VersionRange { min, max } => {
            source.fail(DecodeError::new("", DecodeErrorKind::UnsupportedVersion { min, max }));
        }
    }
    source.finish().map_err(|e| e.of(T::NAME, v))?;
    Ok(message)
}

/// `throttle_time_ms` becomes `throttleTimeMs`.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut out = String::from(words.next().unwrap_or_default());
    for word in words {
        let mut chars = word.chars();
        out.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        out.push_str(chars.as_str());
    }
    out
}
