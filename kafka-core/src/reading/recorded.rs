//! A reader in a recording: what it reads, and by which settings.

use super::{Pattern, ReadFrom, ReaderSpec, Subscription};
use crate::group::CommitOffset;
use crate::reader::Start;
use crate::settings::recorded::{Settings, keep_reader, kept_reader};
use crate::snapshot::TopicPartition;
use crate::tape::{read, visible, write};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

visible!(Option<(u32, Vec<CommitOffset>)>, Vec<CommitOffset>);

/// What it reads, without the settings of its group.
#[derive(Serialize, Deserialize)]
enum Reads {
    Topics(Subscription, Start),
    Partitions(Vec<(TopicPartition, Start)>),
    Group(Subscription, Start),
}

type Kept = ((Settings, Option<Settings>), Reads);

impl ReaderSpec {
    /// Returns what a recording keeps.
    pub(crate) fn note(&self) -> Vec<u8> {
        let (group, reads) = match self.from.clone() {
            ReadFrom::Topics(subscription, start) => (None, Reads::Topics(subscription, start)),
            ReadFrom::Partitions(partitions) => (None, Reads::Partitions(partitions)),
            ReadFrom::Group(group, subscription, start) => (Some(group), Reads::Group(subscription, start)),
        };
        let kept: Kept = (keep_reader(&self.config, group.as_deref()), reads);
        write(&kept)
    }

    /// Returns the reader that was kept; `None` where the bytes are none.
    pub(crate) fn of_note(note: &[u8]) -> Option<Self> {
        let (settings, reads): Kept = read(note)?;
        let (config, group) = kept_reader(&settings)?;
        let from = match (reads, group) {
            (Reads::Topics(subscription, start), _) => ReadFrom::Topics(subscription, start),
            (Reads::Partitions(partitions), _) => ReadFrom::Partitions(partitions),
            (Reads::Group(subscription, start), Some(group)) => {
                ReadFrom::Group(Arc::new(group), subscription, start)
            }
            (Reads::Group(..), None) => return None,
        };
        Some(Self::new(config, from))
    }
}

/// A pattern is its text.
impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(text).map_err(D::Error::custom)
    }
}
