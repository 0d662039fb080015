//! A reader in a recording: what it reads, and by which settings.

use super::{ReaderSpec, Subscription};
use crate::group::CommitOffset;
use crate::reader::Start;
use crate::settings::recorded::{Settings, keep_reader, kept_reader};
use crate::snapshot::TopicPartition;
use crate::tape::{read, visible, write};
use kafka_proto::Str;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

visible!(Option<(u32, Vec<CommitOffset>)>, Vec<CommitOffset>);

/// What it reads, without the settings of its group.
#[derive(Serialize, Deserialize)]
enum Reads {
    Topic(Str, Start),
    Partitions(Vec<(TopicPartition, Start)>),
    Group(Vec<Str>, Start),
}

type Kept = ((Settings, Option<Settings>), Reads);

impl ReaderSpec {
    /// Returns what a recording keeps.
    pub(crate) fn note(&self) -> Vec<u8> {
        let (group, reads) = match self.subscription.clone() {
            Subscription::Topic(topic, start) => (None, Reads::Topic(topic, start)),
            Subscription::Partitions(partitions) => (None, Reads::Partitions(partitions)),
            Subscription::Group(group, topics, start) => (Some(group), Reads::Group(topics, start)),
        };
        let kept: Kept = (keep_reader(&self.config, group.as_deref()), reads);
        write(&kept)
    }

    /// Returns the reader that was kept; `None` where the bytes are none.
    pub(crate) fn of_note(note: &[u8]) -> Option<Self> {
        let (settings, reads): Kept = read(note)?;
        let (config, group) = kept_reader(&settings)?;
        let subscription = match (reads, group) {
            (Reads::Topic(topic, start), _) => Subscription::Topic(topic, start),
            (Reads::Partitions(partitions), _) => Subscription::Partitions(partitions),
            (Reads::Group(topics, start), Some(group)) => Subscription::Group(Arc::new(group), topics, start),
            (Reads::Group(..), None) => return None,
        };
        Some(Self { config: Arc::new(config), subscription })
    }
}
