//! The topics of a reader: which it needs, what is in the way of them, and what the application was told of that.

use super::{ReaderItem, Reading, Subscription};
use crate::error::Error;
use crate::machine::{Cx, Out, Time};
use crate::reader::Start;
use crate::snapshot::{TopicPartition, TopicState};
use crate::trouble::{Gravity, Trouble};
use kafka_proto::Str;
use std::collections::BTreeSet;

#[derive(Debug)]
pub(super) struct Topics {
    wanted: Vec<Str>,
    /// Their metadata may have changed since it was looked at.
    grows: bool,
    /// How many partitions of [`Subscription::Topic`] were assigned.
    assigned: usize,
    /// Topics of which the application was told that they cannot be had, or (`true`) cannot for the moment, which lasts.
    told: BTreeSet<(Str, bool)>,
    begun: Time,
    /// No broker tells of them.
    cut_off: Trouble,
    /// Since when none has, as far as was heard.
    silent_since: Option<Time>,
}

impl Topics {
    pub(super) fn new(now: Time) -> Self {
        Self {
            wanted: Vec::new(),
            grows: true,
            assigned: 0,
            told: BTreeSet::new(),
            begun: now,
            cut_off: Trouble::default(),
            silent_since: None,
        }
    }
}

impl Reading {
    /// Keeps the metadata of these topics, and of no others.
    pub(super) fn want(&mut self, topics: Vec<Str>) {
        let wanted = topics.iter().cloned().map(Out::Want).collect::<Vec<_>>();
        let old = std::mem::replace(&mut self.topics.wanted, topics);
        self.outs.extend(wanted.into_iter().chain(old.into_iter().map(Out::Unwant)));
    }

    /// A group needs the topics of its members.
    pub(super) fn want_topics(&mut self) {
        let Some(member) = &self.member else { return };
        if self.topics.wanted != member.topics() {
            self.want(member.topics().to_vec());
        }
    }

    pub(super) fn topic_changed(&mut self, cx: &Cx<'_>) {
        self.topics.grows = true;
        self.fetcher.metadata_changed(cx.now, cx.cluster);
        if let Some(member) = &mut self.member {
            member.metadata_changed(cx.now, cx.cluster);
        }
    }

    /// A reader of a whole topic gets its partitions once they are known, and later those that it grows by.
    pub(super) fn assign_topic(&mut self, cx: &Cx<'_>) {
        let Subscription::Topic(name, start) = &self.subscription else { return };
        if !self.topics.grows || self.is_closing {
            return;
        }
        let (name, start) = (name.clone(), *start);
        match cx.world.topic(&name) {
            TopicState::Known(topic) => {
                // What a partition has that is new to the reader came after the reader began.
                let start = if self.topics.assigned > 0 { Start::First } else { start };
                let count = topic.partitions.len();
                let new = self.topics.assigned as i32..count as i32;
                let new = new.map(|p| (TopicPartition::new(name.clone(), p), start)).collect();
                self.fetcher.assign_more(new);
                (self.topics.assigned, self.topics.grows) = (count.max(self.topics.assigned), false);
            }
            // It may be created, or the right be granted, yet.
            TopicState::Failed(_) if self.topics.assigned > 0 => {}
            TopicState::Failed(error) => {
                if self.topics.told.insert((name, false)) {
                    self.push_item(ReaderItem::Error(error));
                }
            }
            TopicState::Pending => self.report_pending(cx, &name),
        }
    }

    fn report_pending(&mut self, cx: &Cx<'_>, name: &Str) {
        if let Some(error) = cx.world.lasting_trouble(name)
            && self.topics.told.insert((name.clone(), true))
        {
            self.push_item(ReaderItem::Notice(error));
        }
    }

    /// Tells a member of topics that cannot be had, once until they can. While partitions of a topic are assigned, they tell.
    pub(super) fn report_missing(&mut self, cx: &Cx<'_>) {
        let Subscription::Group(_, topics, _) = &self.subscription else { return };
        if self.is_closing || !std::mem::replace(&mut self.topics.grows, false) {
            return;
        }
        for name in topics.clone() {
            match cx.world.topic(&name) {
                TopicState::Known(_) => self.topics.told.retain(|(told, _)| *told != name),
                TopicState::Failed(error) => {
                    let is_assigned = self.fetcher.assignment().any(|tp| tp.topic == name);
                    if !is_assigned && self.topics.told.insert((name, false)) {
                        self.push_item(ReaderItem::Error(error));
                    }
                }
                TopicState::Pending => self.report_pending(cx, &name),
            }
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
        let passes = error.is_retriable();
        if self.topics.cut_off.lasts(cx.now.time, since, grace, Gravity::of(passes)) {
            let error = error.clone().with_topic(&topic);
            self.push_item(if passes { ReaderItem::Notice(error) } else { ReaderItem::Error(error) });
        }
    }
}
