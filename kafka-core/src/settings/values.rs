//! Values of properties as Java's clients write them.

use super::java::is_secret;
use crate::address::Address;
use crate::error::{Error, Result};
use crate::group::{Assignor, Range, RoundRobin};
use crate::reader::{Isolation, Reset};
use crate::writer::{self, Acks, Balancer, Idempotence, JavaDefault};
use kafka_proto::Str;
use kafka_proto::records::Compression;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// A type that a property can have.
pub(crate) trait Value: Sized {
    /// What is expected, for errors.
    const EXPECTED: &'static str;

    fn read(text: &str) -> Option<Self>;
}

/// The name out of a setting's own that is this property's. No generic code, since it is asked for every setting.
pub(crate) fn name_of(property: &str, names: &[&'static str]) -> Option<&'static str> {
    names.iter().find(|name| **name == property).copied()
}

/// Reads the value of a property.
pub(crate) fn read<T: Value>(property: &'static str, text: &str) -> Result<T> {
    T::read(text.trim()).ok_or_else(|| refused(property, text, T::EXPECTED))
}

/// Never shows what may be a secret.
fn refused(property: &'static str, text: &str, expected: &str) -> Error {
    match is_secret(property) {
        true => Error::config(property, format!("must be {expected}")),
        false => Error::config(property, format!("must be {expected}, not `{text}`")),
    }
}

/// Implements [`Value`] for types whose values are a few words, in any case.
macro_rules! words {
    ($type:ty, $expected:literal, { $($word:pat => $value:expr),+ $(,)? }) => {
        impl Value for $type {
            const EXPECTED: &'static str = $expected;

            fn read(text: &str) -> Option<Self> {
                match text.to_ascii_lowercase().as_str() {
                    $($word => Some($value),)+
                    _ => None,
                }
            }
        }
    };
}

words!(bool, "true or false", { "true" => true, "false" => false });
words!(Acks, "all, -1, 0 or 1", { "all" | "-1" => Self::All, "1" => Self::One, "0" => Self::None });
words!(Idempotence, "true or false", { "true" => Self::Required, "false" => Self::Off });
words!(Isolation, "read_uncommitted or read_committed", {
    "read_uncommitted" => Self::ReadUncommitted, "read_committed" => Self::ReadCommitted,
});
words!(Reset, "earliest, latest or none", {
    "earliest" => Self::First, "latest" => Self::Last, "none" => Self::Error,
});

impl Value for Duration {
    const EXPECTED: &'static str = "a whole number of milliseconds, 0 or more";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self::from_millis)
    }
}

/// Implements [`Value`] for numbers, and for those that need not be given.
macro_rules! numbers {
    ($($type:ty: $expected:literal),+) => {$(
        impl Value for $type {
            const EXPECTED: &'static str = $expected;

            fn read(text: &str) -> Option<Self> {
                FromStr::from_str(text).ok()
            }
        }
    )+};
}

numbers!(usize: "a whole number, 0 or more", u32: "a whole number, 0 to 4294967295", u64: "a whole number, 0 or more", i32: "a whole number of 32 bits");

impl<T: Value> Value for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn read(text: &str) -> Option<Self> {
        T::read(text).map(Some)
    }
}

impl Value for Str {
    const EXPECTED: &'static str = "a text";

    fn read(text: &str) -> Option<Self> {
        Some(text.into())
    }
}

impl Value for Vec<Address> {
    const EXPECTED: &'static str = "host:port, several separated by commas";

    fn read(text: &str) -> Option<Self> {
        Address::parse_list(text).ok()
    }
}

impl Value for Compression {
    const EXPECTED: &'static str = "none, gzip, snappy, lz4 or zstd";

    fn read(text: &str) -> Option<Self> {
        Self::from_name(&text.to_ascii_lowercase())
    }
}

impl Value for Arc<dyn Balancer> {
    const EXPECTED: &'static str = "empty, org.apache.kafka.clients.producer.RoundRobinPartitioner, or a balancer given by the builder's method";

    fn read(text: &str) -> Option<Self> {
        match class(text) {
            // The names of Java's default, which older versions had.
            "" | "DefaultPartitioner" | "UniformStickyPartitioner" => Some(Arc::new(JavaDefault)),
            "RoundRobinPartitioner" => Some(Arc::new(writer::RoundRobin::default())),
            _ => None,
        }
    }
}

impl Value for Vec<Arc<dyn Assignor>> {
    const EXPECTED: &'static str =
        "a list of range and roundrobin, or of Java's RangeAssignor and RoundRobinAssignor";

    fn read(text: &str) -> Option<Self> {
        let one = |name: &str| -> Option<Arc<dyn Assignor>> {
            match class(name.trim()) {
                "range" | "RangeAssignor" => Some(Arc::new(Range)),
                "roundrobin" | "RoundRobinAssignor" => Some(Arc::new(RoundRobin)),
                _ => None,
            }
        };
        text.split(',').map(one).collect()
    }
}

/// The name of a class without its package, whatever the package is called.
fn class(name: &str) -> &str {
    let name = name.strip_prefix("class ").unwrap_or(name);
    name.strip_prefix("org.apache.kafka.clients.").and_then(|rest| rest.rsplit('.').next()).unwrap_or(name)
}

/// What Java's value means here, where that is not the same; `None` where it says nothing but the default.
pub(crate) fn translated(property: &str, text: &str) -> Option<String> {
    let text = text.trim();
    match (property, text.parse::<i64>()) {
        // The attempts are the first one and the retries; the largest number is no limit.
        ("retries", Ok(retries)) if retries >= i64::from(i32::MAX) => None,
        ("retries", Ok(retries @ 0..)) => Some((retries + 1).to_string()),
        // Never.
        ("connections.max.idle.ms" | "metadata.max.age.ms", Ok(..0)) => Some(i32::MAX.to_string()),
        // The codec's own default.
        ("compression.gzip.level", Ok(-1)) => None,
        // Java's names of "nothing".
        ("client.rack" | "client.id", _) if text.is_empty() => None,
        ("partitioner.class", _) if text == "null" => None,
        ("group.instance.id", _) if text == "null" => None,
        _ => Some(text.to_owned()),
    }
}
