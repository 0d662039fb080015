//! The topics of a reader: which it needs, what is in the way of them, and what the application was told of that.
//!
//! Invariants
//! * What changed of a topic is looked at once, and of the others nothing is.
//! * Without a group the partitions `0..assigned` of each topic that is subscribed to are the fetcher's.

use super::{ReaderItem, Reading};
use crate::error::Error;
use crate::machine::{Cx, Out, Time};
use crate::reader::Start;
use crate::snapshot::{Topic, TopicPartition, TopicState};
use crate::trouble::{Gravity, Trouble};
use kafka_proto::Str;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub(super) struct Topics {
    /// Those whose metadata the client keeps.
    wanted: BTreeSet<Str>,
    /// Those that the application subscribes to, by name or by its pattern.
    subscribed: BTreeMap<Str, Progress>,
    /// Those of them whose metadata may have changed since it was looked at.
    changed: BTreeSet<Str>,
    /// The metadata of any may have.
    is_any_changed: bool,
    /// Topics of which the application was told that they cannot be had, or (`true`) cannot for the moment, which lasts.
    told: BTreeSet<(Str, bool)>,
    begun: Time,
    /// No broker tells of them.
    cut_off: Trouble,
    /// Since when none has, as far as was heard.
    silent_since: Option<Time>,
}

/// How far the partitions of a topic are assigned.
#[derive(Clone, Copy, Debug)]
struct Progress {
    /// Where its first ones begin.
    start: Start,
    assigned: usize,
}

/// Since when a topic is subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Since the application said so: it begins where the application said.
    Subscribed,
    /// Since it turned up and matches the pattern: it begins with its first record.
    Later,
}

impl Topics {
    pub(super) fn new(now: Time) -> Self {
        Self {
            wanted: BTreeSet::new(),
            subscribed: BTreeMap::new(),
            changed: BTreeSet::new(),
            is_any_changed: true,
            told: BTreeSet::new(),
            begun: now,
            cut_off: Trouble::default(),
            silent_since: None,
        }
    }

    /// Subscribes to these topics, and no others. Returns those that go.
    pub(super) fn subscribe(&mut self, topics: &[Str], start: Start, origin: Origin) -> BTreeSet<Str> {
        let mut before = std::mem::take(&mut self.subscribed);
        let start = if origin == Origin::Later { Start::First } else { start };
        for topic in topics {
            let kept = before.remove(topic);
            if kept.is_none() {
                self.changed.insert(topic.clone());
            }
            self.subscribed.entry(topic.clone()).or_insert(kept.unwrap_or(Progress { start, assigned: 0 }));
        }
        self.told.retain(|(topic, _)| self.subscribed.contains_key(topic));
        self.changed.retain(|topic| self.subscribed.contains_key(topic));
        before.into_keys().collect()
    }

    /// Returns what is subscribed to.
    pub(super) fn subscribed(&self) -> impl Iterator<Item = &Str> {
        self.subscribed.keys()
    }

    /// The metadata of a topic may have changed.
    pub(super) fn changed(&mut self, topic: &Str) {
        self.is_any_changed = true;
        if self.subscribed.contains_key(topic) {
            self.changed.insert(topic.clone());
        }
    }

    /// Returns the partitions of a topic that are not assigned, and where they begin. They count as assigned from now on.
    fn grow(&mut self, topic: &Topic) -> Vec<(TopicPartition, Start)> {
        let Some(progress) = self.subscribed.get_mut(&topic.name) else { return Vec::new() };
        // What a partition has that is new to the reader came after the reader began.
        let start = if progress.assigned > 0 { Start::First } else { progress.start };
        let count = topic.partitions.len();
        let new = progress.assigned as i32..count as i32;
        progress.assigned = count.max(progress.assigned);
        new.map(|partition| (TopicPartition::new(topic.name.clone(), partition), start)).collect()
    }
}

impl Reading {
    /// Keeps the metadata of these topics, and of no others.
    pub(super) fn want(&mut self, topics: BTreeSet<Str>) {
        let old = std::mem::replace(&mut self.topics.wanted, topics);
        let new = &self.topics.wanted;
        self.outs.extend(new.difference(&old).cloned().map(Out::Want));
        self.outs.extend(old.difference(new).cloned().map(Out::Unwant));
    }

    /// A group needs the topics of its members.
    pub(super) fn want_topics(&mut self) {
        let Some(member) = &self.member else { return };
        let (wanted, topics) = (&self.topics.wanted, member.topics());
        if wanted.len() != topics.len() || topics.iter().any(|topic| !wanted.contains(topic)) {
            self.want(topics.iter().cloned().collect());
        }
    }

    /// Passes on that the metadata has changed: once, however many topics there are.
    pub(super) fn take_in_metadata(&mut self, cx: &Cx<'_>) {
        if !std::mem::take(&mut self.topics.is_any_changed) {
            return;
        }
        self.fetcher.metadata_changed(cx.now, cx.cluster);
        if let Some(member) = &mut self.member {
            member.metadata_changed(cx.now, cx.cluster);
        }
    }

    /// Looks at the topics whose metadata has changed: assigns their partitions where there is no group, and tells what is in the
    /// way. While partitions of a topic are assigned, they tell.
    pub(super) fn look_at_topics(&mut self, cx: &Cx<'_>) {
        if self.is_closing {
            return;
        }
        for name in std::mem::take(&mut self.topics.changed) {
            match cx.world.topic(&name) {
                TopicState::Known(topic) => {
                    self.topics.told.retain(|(told, _)| *told != name);
                    if self.member.is_none() {
                        let new = self.topics.grow(&topic);
                        self.fetcher.assign_more(new);
                    }
                }
                // It may be created, or the right be granted, yet.
                TopicState::Failed(error) => {
                    if !self.fetcher.has_topic(&name) && self.topics.told.insert((name, false)) {
                        self.push_item(ReaderItem::Error(error));
                    }
                }
                TopicState::Pending => self.report_pending(cx, &name),
            }
        }
    }

    fn report_pending(&mut self, cx: &Cx<'_>, name: &Str) {
        if let Some(error) = cx.world.lasting_trouble(name)
            && self.topics.told.insert((name.clone(), true))
        {
            self.push_item(ReaderItem::Notice(error));
        }
    }

    /// A broker that could have told of topics failed. A reader that waits for one is told if that lasts; a member of a group
    /// waits for its coordinator first.
    pub(super) fn no_metadata(&mut self, cx: &Cx<'_>, since: Time, error: &Error) {
        if self.topics.silent_since.replace(since) != Some(since) {
            self.topics.cut_off.is_over();
        }
        if self.member.is_some() {
            return;
        }
        let unknown = self.topics.wanted.iter().find(|topic| cx.cluster.topic(topic).is_none());
        let Some(topic) = unknown.cloned() else { return };
        let (since, grace) = (since.max(self.topics.begun), self.fetcher.grace());
        if self.topics.cut_off.lasts(cx.now.time, since, grace, Gravity::of(error.is_retriable())) {
            self.push_trouble(error.clone().with_topic(&topic));
        }
    }
}
