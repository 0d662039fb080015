//! Settings in a recording, by their names.
//!
//! Invariant: a type of settings says here whether its values are kept. One that holds a secret is [`Kept`] as `None`, and a new type
//! does not compile before it is decided.

use super::draft::Declared;
use crate::address::Address;
use crate::group::{Assignor, GroupConfig, assignor};
use crate::reader::{Isolation, ReaderConfig, Reset};
use crate::snapshot::TopicPartition;
use crate::tape::{read, write};
use crate::writer::{Acks, Balancer, Idempotence, WriterConfig};
use kafka_proto::Str;
use kafka_proto::records::Compression;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// Names and values.
pub(crate) type Settings = Vec<(Cow<'static, str>, Vec<u8>)>;

/// A type that a setting can have.
pub(crate) trait Kept: Sized {
    /// Returns what a recording keeps; `None` for a secret, and for what only the application has.
    fn keep(&self) -> Option<Vec<u8>>;

    /// Returns the value that was kept; `None` where the bytes are none.
    fn kept(bytes: &[u8]) -> Option<Self>;
}

macro_rules! kept {
    ($($of:ty),+ $(,)?) => {$(
        impl Kept for $of {
            fn keep(&self) -> Option<Vec<u8>> {
                Some(write(self))
            }

            fn kept(bytes: &[u8]) -> Option<Self> {
                read(bytes)
            }
        }
    )+};
}

kept!(bool, u32, u64, usize, Duration, Str, Vec<Address>, Acks, Idempotence, Isolation, Reset);
kept!(Option<i32>, Option<u32>, Option<Str>, Option<Duration>);

impl Kept for Compression {
    fn keep(&self) -> Option<Vec<u8>> {
        Some(write(&Self::ALL.iter().position(|codec| codec == self)))
    }

    fn kept(bytes: &[u8]) -> Option<Self> {
        let at: Option<usize> = read(bytes)?;
        Self::ALL.get(at?).copied()
    }
}

/// It is called outside of the client only.
impl Kept for Arc<dyn Balancer> {
    fn keep(&self) -> Option<Vec<u8>> {
        None
    }

    fn kept(_: &[u8]) -> Option<Self> {
        None
    }
}

/// By their names: what they answered is an input of the client.
impl Kept for Vec<Arc<dyn Assignor>> {
    fn keep(&self) -> Option<Vec<u8>> {
        let names: Vec<&str> = self.iter().map(|assignor| assignor.name()).collect();
        Some(write(&names))
    }

    fn kept(bytes: &[u8]) -> Option<Self> {
        let names: Vec<String> = read(bytes)?;
        Some(names.into_iter().map(|name| Arc::new(Absent(name)) as Arc<dyn Assignor>).collect())
    }
}

/// In the place of an assignor of the program that was recorded.
#[derive(Debug)]
struct Absent(String);

impl Assignor for Absent {
    fn name(&self) -> &str {
        &self.0
    }

    fn assign(&self, members: &[assignor::Member], _: &assignor::Topics) -> Vec<Vec<TopicPartition>> {
        vec![Vec::new(); members.len()]
    }
}

impl WriterConfig {
    /// Returns what a recording keeps.
    pub(crate) fn note(&self) -> Vec<u8> {
        write(&self.keep())
    }

    /// Returns the settings that were kept.
    pub(crate) fn of_note(note: &[u8]) -> Option<Self> {
        Self::kept(&read(note)?)
    }
}

/// Returns what a recording keeps of a reader and its group.
pub(crate) fn keep_reader(
    config: &ReaderConfig,
    group: Option<&GroupConfig>,
) -> (Settings, Option<Settings>) {
    (config.keep(), group.map(Declared::keep))
}

/// Returns the settings that were kept.
pub(crate) fn kept_reader(
    (config, group): &(Settings, Option<Settings>),
) -> Option<(ReaderConfig, Option<GroupConfig>)> {
    let group = match group {
        Some(group) => Some(GroupConfig::kept(group)?),
        None => None,
    };
    Some((ReaderConfig::kept(config)?, group))
}
