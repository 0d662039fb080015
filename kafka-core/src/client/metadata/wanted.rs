//! The topics and partitions that machines and calls need, and what of them was asked for.
//!
//! Invariant: topics that no request has named yet, and those that the request under way names, are needed, or were when it left.

use super::missed::Missed;
use crate::snapshot::{Cluster, TopicPartition};
use kafka_proto::Str;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// With how many need each.
    topics: BTreeMap<Str, usize>,
    /// Those of them that no request has named yet.
    news: BTreeSet<Str>,
    /// Those that the request under way names.
    asked: BTreeSet<Str>,
    missed: Missed,
}

impl Wanted {
    /// Adds a need. Returns whether it is the first of its topic.
    pub(super) fn add(&mut self, topic: &Str) -> bool {
        let count = self.topics.entry(topic.clone()).or_default();
        *count += 1;
        *count == 1
    }

    /// Takes a need back. Returns whether it was the last of its topic.
    pub(super) fn remove(&mut self, topic: &str) -> bool {
        let Some(count) = self.topics.get_mut(topic) else { return false };
        *count -= 1;
        let was_last = *count == 0;
        if was_last {
            self.topics.remove(topic);
            self.news.remove(topic);
        }
        was_last
    }

    pub(super) fn contains(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Str> {
        self.topics.keys()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    // ---- requests ----

    /// A topic has to be named by a request soon. Returns whether it is needed.
    pub(super) fn add_news(&mut self, topic: &str) -> bool {
        let is_needed = self.contains(topic);
        if is_needed {
            self.news.insert(Str::from(topic));
        }
        is_needed
    }

    pub(super) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// A request leaves that names all of them.
    pub(super) fn ask(&mut self) {
        self.news.clear();
        self.asked = self.topics.keys().cloned().collect();
    }

    /// Returns whether the request under way names the topic.
    pub(super) fn is_asked(&self, topic: &str) -> bool {
        self.asked.contains(topic)
    }

    /// The request was answered: what it had named.
    pub(super) fn take_asked(&mut self) -> BTreeSet<Str> {
        std::mem::take(&mut self.asked)
    }

    // ---- partitions ----

    pub(super) fn add_partition(&mut self, partition: TopicPartition) {
        self.missed.add(partition);
    }

    pub(super) fn remove_partition(&mut self, partition: &TopicPartition) {
        self.missed.remove(partition);
    }

    /// Returns whether a partition that somebody waits for is missing.
    pub(super) fn lacks_partition(&self, cluster: &Cluster) -> bool {
        self.missed.is_any(cluster)
    }
}
