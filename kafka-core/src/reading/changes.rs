//! What a reader subscribes to, and changes of it: by the application, or since other topics match its pattern.
//!
//! Invariants
//! * Without a group, what stays subscribed to keeps its position, its pause and what was fetched of it.
//! * In a group nothing is assigned or taken away here: the group rebalances, and says what is assigned.
//! * A topic that matched stays until it is neither listed nor believed to be there any more, so that one broker which has not heard
//!   of it changes nothing.

use super::Reading;
use super::resolver::{Found, Listed, Matched};
use super::subscription::{ReadFrom, Subscription};
use super::tag::Tag;
use super::topics::Origin;
use crate::error::{Error, ErrorKind};
use crate::machine::{Answer, Ask, Cx, Hint, Now, Out};
use crate::reader::Start;
use crate::snapshot::TopicPartition;
use kafka_proto::Str;
use std::collections::BTreeSet;

impl Reading {
    /// Begins with what it was made for.
    pub(super) fn begin(&mut self, now: Now) {
        match &self.from {
            ReadFrom::Partitions(partitions) => {
                let partitions = partitions.clone();
                self.want(partitions.iter().map(|(tp, _)| tp.topic.clone()).collect());
                self.fetcher.assign(0, partitions);
            }
            ReadFrom::Topics(subscription, _) | ReadFrom::Group(_, subscription, _) => {
                let subscription = subscription.clone();
                self.follow(now, subscription);
            }
        }
    }

    fn follow(&mut self, now: Now, subscription: Subscription) {
        match subscription {
            Subscription::Topics(topics) => {
                self.resolver.end();
                self.set_topics(now, topics, Origin::Subscribed);
            }
            Subscription::Pattern(pattern) => self.resolver.begin(now.time, pattern),
        }
    }

    // ---- by the application ----

    /// Reads other topics from now on; of a pattern at first those of the topics that it has which are `kept`. Returns the
    /// partitions that went at once.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] where partitions were chosen, [`ErrorKind::Closed`] after the end.
    pub(super) fn subscribe(
        &mut self,
        cx: &Cx<'_>,
        subscription: Subscription,
        kept: Vec<Str>,
    ) -> Result<Vec<TopicPartition>, Error> {
        self.check_open()?;
        self.from.subscribe(subscription.clone())?;
        let before: Vec<TopicPartition> = self.fetcher.assignment().cloned().collect();
        if self.member.is_none() && matches!(subscription, Subscription::Pattern(_)) {
            self.set_topics(cx.now, kept, Origin::Subscribed);
        }
        self.follow(cx.now, subscription);
        Ok(before.into_iter().filter(|tp| self.fetcher.check_assigned(tp).is_err()).collect())
    }

    /// Reads other partitions from now on. Returns those that went.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] where topics are subscribed to, [`ErrorKind::Closed`] after the end.
    pub(super) fn assign(
        &mut self,
        partitions: Vec<(TopicPartition, Start)>,
    ) -> Result<Vec<TopicPartition>, Error> {
        self.check_open()?;
        self.from.check_assignable()?;
        let stays: BTreeSet<&TopicPartition> = partitions.iter().map(|(tp, _)| tp).collect();
        let gone: Vec<TopicPartition> =
            self.fetcher.assignment().filter(|tp| !stays.contains(tp)).cloned().collect();
        self.fetcher.unassign(&gone);
        self.want(partitions.iter().map(|(tp, _)| tp.topic.clone()).collect());
        self.from = ReadFrom::Partitions(partitions.clone());
        self.fetcher.assign_more(partitions);
        Ok(gone)
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.is_closing { Err(Error::new(ErrorKind::Closed)) } else { Ok(()) }
    }

    // ---- by a pattern ----

    pub(super) fn pump_resolver(&mut self, cx: &Cx<'_>) {
        if self.resolver.has_unlisted() {
            self.drop_deleted(cx);
        }
        let ask = self.resolver.poll_ask(cx.now.time);
        self.outs.extend(ask.map(|ask| Out::Ask(Ask { tag: Tag::Resolver(ask.tag).into(), ..ask })));
    }

    /// A broker has listed its topics, or did not.
    pub(super) fn listed(&mut self, cx: &Cx<'_>, answer: Answer) {
        match self.resolver.answered(cx.now.time, answer) {
            Listed::Work(work) => self.outs.push_back(Out::Work(work)),
            Listed::Trouble(error) => self.push_trouble(error),
            Listed::Nothing(garbage) => {
                self.outs.extend(garbage.map(|garbage| Out::Garbage(garbage)));
            }
        }
    }

    /// The names of an answer were matched.
    pub(super) fn matched(&mut self, cx: &Cx<'_>, matched: Matched) {
        let Some(Found { topics, is_first }) = self.resolver.matched(cx.now.time, matched) else { return };
        if !is_first && self.member.as_ref().is_some_and(|member| member.has_stopped()) {
            return;
        }
        let before = self.topics.subscribed().filter(|_| !is_first || self.member.is_none());
        let unlisted: BTreeSet<Str> = before.filter(|topic| !topics.contains(*topic)).cloned().collect();
        self.outs.extend(unlisted.iter().cloned().map(|topic| Out::Hint(Hint::Refresh(topic))));
        let origin = if is_first { Origin::Subscribed } else { Origin::Later };
        self.set_topics(cx.now, topics.into_iter().chain(unlisted.iter().cloned()), origin);
        self.resolver.set_unlisted(unlisted);
    }

    /// What was not listed goes once it is believed to be gone. Without a group, what was fetched of it and what is in its way is told
    /// first, as of any topic that is deleted.
    fn drop_deleted(&mut self, cx: &Cx<'_>) {
        let (fetcher, is_alone) = (&self.fetcher, self.member.is_none());
        let is_gone =
            |topic: &Str| cx.cluster.topic(topic).is_none() && !(is_alone && fetcher.is_owed(topic));
        let gone = self.resolver.take_unlisted(is_gone);
        if !gone.is_empty() {
            let left: Vec<Str> = self.topics.subscribed().filter(|t| !gone.contains(*t)).cloned().collect();
            self.set_topics(cx.now, left, Origin::Later);
        }
    }

    // ---- either way ----

    /// Reads these topics, and no others.
    fn set_topics(&mut self, now: Now, topics: impl IntoIterator<Item = Str>, origin: Origin) {
        let topics: Vec<Str> = topics.into_iter().collect();
        let gone = self.topics.subscribe(&topics, self.from.start(), origin);
        match &mut self.member {
            Some(member) => member.subscribe(now, topics),
            None => {
                let of_gone = |tp: &&TopicPartition| gone.contains(&tp.topic);
                let partitions: Vec<TopicPartition> =
                    self.fetcher.assignment().filter(of_gone).cloned().collect();
                self.fetcher.unassign(&partitions);
                self.want(topics.into_iter().collect());
            }
        }
    }

    /// What of the invariants of a subscription does not hold, in words.
    pub(super) fn stuck_subscription(&self) -> Option<String> {
        let has_pattern = matches!(self.from.subscription(), Some(Subscription::Pattern(_)));
        let is_lost = has_pattern && !self.is_closing && !self.resolver.is_active();
        is_lost.then(|| "a pattern is not resolved".to_owned())
    }
}
