//! The client's part of reading: a reader's partitions come from the application or from its group.
//!
//! Invariants
//! * What a group tells stands in the same queue as errors and before any further record.
//! * What keeps a reader from its records for longer than a grace is told, once: a topic that cannot be had, with a group or
//!   without; a coordinator that cannot be found or reached; no broker that could be asked for a topic.
//! * Once `Revoking` was answered nothing of that assignment is delivered, and commits of it are refused.

use super::lanes::LaneKey;
use super::machine::{Answer, Ask, CoordinatorKind, Lane, Now, Target};
use super::requests::Owner;
use super::timers::Timer;
use super::{Client, Event, Marks};
use crate::client::cluster::TopicPartition;
use crate::error::{Error, ErrorKind};
use crate::group::{AssignorAnswer, CommitOffset, CommittedOffset, GroupConfig, GroupEvent, Membership};
use crate::link::{ConnId, Payload, RequestId, Transmit};
use crate::reader::{Budget, Chunk, Fetched, Item, ReaderConfig, ReaderMachine, Start};
use crate::trouble::{Gravity, Trouble};
use kafka_proto::{ApiKey, Str};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What a reader reads.
#[derive(Clone, Debug)]
pub enum Subscription {
    /// All partitions of a topic, from here.
    Topic(Str, Start),
    /// These partitions, each from its place.
    Partitions(Vec<(TopicPartition, Start)>),
    /// What the group gives this member of these topics; what it has committed nothing of, from here.
    Group(Arc<GroupConfig>, Vec<Str>, Start),
}

impl Subscription {
    /// Where a partition begins of which nothing else is known.
    fn start(&self) -> Start {
        match self {
            Self::Topic(_, start) | Self::Group(.., start) => *start,
            Self::Partitions(_) => Start::First,
        }
    }
}

/// A reader before it is made.
#[derive(Clone, Debug)]
pub struct ReaderSpec {
    /// How it fetches.
    pub config: Arc<ReaderConfig>,
    /// What it reads.
    pub subscription: Subscription,
}

/// The next thing for a reader's application.
#[derive(Debug)]
pub enum ReaderItem {
    /// Records of one partition.
    Chunk(Chunk),
    /// Partitions were given to this member; with the number of the last assignment, in addition.
    Assigned {
        /// The number of the assignment.
        assignment: u32,
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// All partitions are to be given up; answer with `Client::reader_revoked`.
    Revoking {
        /// The number of the assignment.
        assignment: u32,
        /// By then they are lost.
        deadline: Instant,
    },
    /// All partitions were lost.
    Lost {
        /// The number of the assignment.
        assignment: u32,
        /// Why.
        error: Error,
    },
    /// Something that the application has to know.
    Error(Error),
    /// Something that it may want to know, and that was dealt with.
    Notice(Error),
}

#[derive(Debug)]
pub(super) struct Reading {
    machine: ReaderMachine,
    subscription: Subscription,
    /// How many partitions of [`Subscription::Topic`] were assigned.
    assigned: usize,
    /// Its metadata may have changed since.
    grows: bool,
    /// Topics of which the application was told that they cannot be had, or (`true`) cannot for the moment, which lasts.
    told: BTreeSet<(Str, bool)>,
    /// No broker tells of its topics.
    cut_off: Trouble,
    begun: Instant,
    /// The application was told that its marks are refused.
    told_refusal: bool,
    queue: VecDeque<ReaderItem>,
    /// Whether the queue holds something that goes before records; read by the handle without the lock.
    urgent: Arc<AtomicBool>,
    /// What the application has handled.
    marks: Arc<Marks>,
    budget: Arc<Budget>,
    wanted: Vec<Str>,
    closing: bool,
}

impl Client {
    pub(super) fn reader_machines(&self) -> impl Iterator<Item = (u32, &ReaderMachine)> {
        self.readings.iter().map(|(id, reading)| (*id, &reading.machine))
    }

    /// The settings of a reader of which nothing was said: as patient as the client.
    #[cfg(test)]
    pub(crate) fn reader_defaults(&self) -> (ReaderConfig, GroupConfig) {
        let defaults = crate::settings::draft::Defaults::default().inheriting(&self.config);
        (defaults.reader.config, defaults.group.config)
    }

    /// Takes in a reader; its number.
    pub(crate) fn add_reader(
        &mut self,
        now: Now,
        spec: ReaderSpec,
        urgent: Arc<AtomicBool>,
        marks: Arc<Marks>,
    ) -> u32 {
        let id = self.machine_id();
        let budget = Budget::new(spec.config.buffer);
        let machine = ReaderMachine::new(id, spec.config, budget.clone(), self.random.next());
        let mut reading = Reading {
            machine,
            subscription: spec.subscription.clone(),
            assigned: 0,
            grows: true,
            told: BTreeSet::new(),
            cut_off: Trouble::default(),
            begun: now.instant,
            told_refusal: false,
            queue: VecDeque::new(),
            urgent,
            marks,
            budget,
            wanted: Vec::new(),
            closing: false,
        };
        match spec.subscription {
            Subscription::Topic(topic, _) => reading.wanted.push(topic),
            Subscription::Partitions(partitions) => {
                reading.wanted = partitions.iter().map(|(tp, _)| tp.topic.clone()).collect();
                reading.wanted.sort();
                reading.wanted.dedup();
                reading.machine.assign(now, 0, partitions);
            }
            Subscription::Group(config, topics, _) => {
                let mut membership = Membership::new(id, config, self.random.next());
                membership.subscribe(now, topics);
                self.memberships.insert(id, membership);
            }
        }
        reading.wanted.iter().for_each(|topic| self.metadata.want(topic));
        self.readings.insert(id, reading);
        self.dirty_readers.insert(id);
        self.settle(now);
        id
    }

    /// The byte budget of a reader, to which the handle ties its waker.
    pub(crate) fn reader_budget(&self, id: u32) -> Option<Arc<Budget>> {
        self.readings.get(&id).map(|r| r.budget.clone())
    }

    pub(super) fn reader_marks(&self, id: u32) -> Option<&Arc<Marks>> {
        self.readings.get(&id).map(|r| &r.marks)
    }

    pub(super) fn reader_subscription(&self, id: u32) -> Option<&Subscription> {
        self.readings.get(&id).map(|r| &r.subscription)
    }

    /// The next item for a reader's application.
    pub(crate) fn reader_take(&mut self, now: Now, id: u32) -> Option<ReaderItem> {
        let reading = self.readings.get_mut(&id)?;
        if let Some(item) = reading.queue.pop_front() {
            reading.urgent.store(!reading.queue.is_empty(), Ordering::Release);
            return Some(item);
        }
        let item = reading.machine.take(now).map(|item| match item {
            Item::Chunk(chunk) => ReaderItem::Chunk(chunk),
            Item::Error(error) => ReaderItem::Error(error),
            Item::Notice(error) => ReaderItem::Notice(error),
        });
        // Taking nothing changes things too: it ends the walk before, whose partition may then be fetched again.
        self.dirty_readers.insert(id);
        self.settle(now);
        item
    }

    /// The application answered a `Revoking`. What it has handled is committed first.
    pub(crate) fn reader_revoked(&mut self, now: Now, id: u32, assignment: u32) {
        self.commit_marks(now, id);
        if let Some(reading) = self.readings.get_mut(&id) {
            reading.machine.unassign_all(now);
        }
        if let Some(membership) = self.memberships.get_mut(&id) {
            membership.revoked(now, assignment);
        }
        self.dirty_readers.insert(id);
        self.settle(now);
    }

    /// Moves a partition's position.
    pub(crate) fn reader_seek(
        &mut self,
        now: Now,
        id: u32,
        partition: &TopicPartition,
        start: Start,
    ) -> Result<(), Error> {
        self.with_reader(now, id, |machine| machine.seek(now, partition, start))?
    }

    /// Delivers nothing of a partition until it is resumed.
    pub(crate) fn reader_pause(
        &mut self,
        now: Now,
        id: u32,
        partition: &TopicPartition,
    ) -> Result<(), Error> {
        self.with_reader(now, id, |machine| machine.pause(now, partition))?
    }

    /// Ends a pause.
    pub(crate) fn reader_resume(
        &mut self,
        now: Now,
        id: u32,
        partition: &TopicPartition,
    ) -> Result<(), Error> {
        self.with_reader(now, id, |machine| machine.resume(now, partition))?
    }

    /// Looks at a reader's machine.
    pub(crate) fn reader_machine(&self, id: u32) -> Option<&ReaderMachine> {
        self.readings.get(&id).map(|r| &r.machine)
    }

    fn with_reader<T>(
        &mut self,
        now: Now,
        id: u32,
        f: impl FnOnce(&mut ReaderMachine) -> T,
    ) -> Result<T, Error> {
        let reading = self.readings.get_mut(&id).ok_or_else(|| Error::new(ErrorKind::Closed))?;
        let result = f(&mut reading.machine);
        self.dirty_readers.insert(id);
        self.settle(now);
        Ok(result)
    }

    /// Commits offsets for a reader's group; the number by which the outcome is taken.
    pub(crate) fn reader_commit(
        &mut self,
        now: Now,
        id: u32,
        assignment: u32,
        offsets: Vec<CommitOffset>,
        deadline: Instant,
    ) -> Result<u64, Error> {
        let Some(inner) = self.commit_by_call(now, id, assignment, offsets, deadline) else {
            return Err(Error::new(ErrorKind::Misuse("a reader without a group has nowhere to commit to")));
        };
        let commit = self.expect_commit(id, inner);
        self.dirty_readers.insert(id);
        self.settle(now);
        Ok(commit)
    }

    /// Somebody will take the outcome of a membership's commit.
    pub(super) fn expect_commit(&mut self, id: u32, inner: u64) -> u64 {
        let commit = self.next_id();
        self.commits.insert((id, inner), commit);
        self.commit_results.insert(commit, None);
        commit
    }

    /// The outcome of a commit, once.
    pub(crate) fn take_commit(&mut self, commit: u64) -> Option<Result<(), Error>> {
        self.commit_results.get(&commit)?.as_ref()?;
        self.commit_results.remove(&commit).flatten()
    }

    /// Nobody waits for a commit's outcome any more; it goes its way.
    pub(crate) fn forget_commit(&mut self, commit: u64) {
        self.commit_results.remove(&commit);
    }

    /// Stops reading; with a group, commits what was handled and leaves it. [`Event::ReaderClosed`] tells when that is done.
    pub(crate) fn close_reader(&mut self, now: Now, id: u32) {
        self.commit_marks(now, id);
        let Some(reading) = self.readings.get_mut(&id) else { return };
        reading.closing = true;
        reading.machine.unassign_all(now);
        match self.memberships.get_mut(&id) {
            Some(membership) => membership.leave(now),
            None => self.remove_reader(now, id),
        }
        self.dirty_readers.insert(id);
        self.settle(now);
    }

    /// Whether a reader is still there.
    pub(crate) fn has_reader(&self, id: u32) -> bool {
        self.readings.contains_key(&id)
    }

    pub(crate) fn remove_reader(&mut self, now: Now, id: u32) {
        if let Some(membership) = self.memberships.remove(&id) {
            self.discard(membership);
        }
        if let Some(reading) = self.readings.get_mut(&id) {
            reading.machine.end(now);
        }
        self.end_sessions(now, id);
        self.timers.stop(&Timer::Reader(id));
        self.timers.stop(&Timer::Group(id));
        self.timers.stop(&Timer::Marks(id));
        self.cancel_requests(
            |owner| matches!(owner, Owner::Reader(reader, _) | Owner::Group(reader, _) if *reader == id),
        );
        self.drop_lanes(now, |lane| {
            matches!(lane, Lane::Fetch(reader) | Lane::FetchAside(reader) | Lane::Group(reader) if reader == id)
        });
        if let Some(reading) = self.readings.remove(&id) {
            reading.wanted.iter().for_each(|topic| self.metadata.unwant(topic));
            self.discard(reading);
            self.announce(Event::ReaderClosed(id));
        }
        let lost: Vec<(u32, u64)> =
            self.commits.keys().filter(|(reader, _)| *reader == id).copied().collect();
        for key in lost {
            self.commit_ended(now, key, Err(Error::new(ErrorKind::Closed)));
        }
    }

    // ---- the machines ----

    pub(super) fn pump_reading(&mut self, now: Now, id: u32) {
        self.pump_membership(now, id);
        self.assign_topic(id);
        self.report_missing(id);
        self.want_topics(id);
        self.pump_machine(now, id);
    }

    fn pump_machine(&mut self, now: Now, id: u32) {
        let Some(reading) = self.readings.get_mut(&id) else { return };
        let mut asks = Vec::new();
        let mut hints = Vec::new();
        while let Some(ask) = reading.machine.poll_ask(now, &self.metadata.cluster) {
            asks.push(ask);
        }
        while let Some(hint) = reading.machine.poll_hint() {
            hints.push(hint);
        }
        let lanes: Vec<LaneKey> = reading.machine.lanes().iter().copied().collect();
        let (timeout, readable) = (reading.machine.poll_timeout(), reading.machine.is_readable());
        let dropped = reading.machine.take_dropped();
        self.traces.append(std::mem::take(&mut reading.machine.traces));
        if !dropped.is_empty() {
            self.discard(dropped);
        }
        self.timers.set_option(Timer::Reader(id), timeout);
        if readable {
            self.announce(Event::Readable(id));
        }
        for ask in asks {
            self.ask(now.instant, Owner::Reader(id, ask.tag), ask);
        }
        for key in lanes {
            self.kick(now.instant, key);
        }
        for hint in hints {
            self.hint(now, hint);
        }
        self.end_sessions(now, id);
    }

    /// Tells brokers of fetch sessions that are over, if that costs no attempt to reach one that is gone; a broker that is not
    /// told finds out by itself. It goes beside the reader's own lane, where a fetch may be parked.
    fn end_sessions(&mut self, now: Now, id: u32) {
        let Some(reading) = self.readings.get_mut(&id) else { return };
        let ended: Vec<_> = std::iter::from_fn(|| reading.machine.poll_ended_session()).collect();
        for (broker, request) in ended {
            if !self.closed && self.lanes.is_any_up(broker) {
                let (target, timeout) = (Target::Broker(broker), self.config.request_timeout);
                let ask = Ask { tag: 0, target, lane: Lane::Other, request: request.into(), timeout };
                self.ask(now.instant, Owner::Nobody, ask);
            }
        }
    }

    fn pump_membership(&mut self, now: Now, id: u32) {
        let Some(membership) = self.memberships.get_mut(&id) else { return };
        let (mut asks, mut events, mut hints) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(ask) = membership.poll_ask(now, &self.metadata.cluster) {
            asks.push(ask);
        }
        while let Some(event) = membership.poll_event() {
            events.push(event);
        }
        while let Some(hint) = membership.poll_hint() {
            hints.push(hint);
        }
        let call = membership.poll_call(now, &self.metadata.cluster);
        self.timers.set_option(Timer::Group(id), membership.poll_timeout());
        if let Some(call) = call {
            self.announce(Event::Assignor(id, call));
        }
        hints.into_iter().for_each(|hint| self.hint(now, hint));
        for ask in asks {
            self.ask(now.instant, Owner::Group(id, ask.tag), ask);
        }
        events.into_iter().for_each(|event| self.group_event(now, id, event));
    }

    fn group_event(&mut self, now: Now, id: u32, event: GroupEvent) {
        if let Some(Subscription::Group(group, ..)) = self.readings.get(&id).map(|r| &r.subscription) {
            self.traces.group(&group.group_id, &event);
        }
        let item = match event {
            GroupEvent::Assigned { assignment, partitions, .. } => {
                let Some(reading) = self.readings.get_mut(&id) else { return };
                let (names, starts) = starts(partitions, reading.subscription.start());
                reading.machine.assign(now, assignment, starts);
                ReaderItem::Assigned { assignment, partitions: names }
            }
            GroupEvent::AssignedMore { assignment, partitions } => {
                let Some(reading) = self.readings.get_mut(&id) else { return };
                let (names, starts) = starts(partitions, reading.subscription.start());
                reading.machine.assign_more(starts);
                ReaderItem::Assigned { assignment, partitions: names }
            }
            GroupEvent::Revoking { assignment, deadline } => ReaderItem::Revoking { assignment, deadline },
            GroupEvent::Lost { assignment, error } => {
                if let Some(reading) = self.readings.get_mut(&id) {
                    reading.machine.unassign_all(now);
                }
                ReaderItem::Lost { assignment, error }
            }
            GroupEvent::Committed { id: commit, result } => {
                return self.commit_ended(now, (id, commit), result);
            }
            GroupEvent::Failed(error) => ReaderItem::Error(error),
            GroupEvent::Notice(error) => ReaderItem::Notice(error),
            GroupEvent::Left => return self.remove_reader(now, id),
        };
        self.push_item(id, item);
    }

    fn push_item(&mut self, id: u32, item: ReaderItem) {
        let Some(reading) = self.readings.get_mut(&id) else { return };
        if reading.closing {
            // Nobody will answer: what is to be given up is given up.
            return;
        }
        // A revocation that was not seen yet is overtaken by the loss of its partitions.
        if let ReaderItem::Lost { assignment, .. } = &item {
            let lost = *assignment;
            reading
                .queue
                .retain(|i| !matches!(i, ReaderItem::Revoking { assignment, .. } if *assignment == lost));
        }
        reading.queue.push_back(item);
        reading.urgent.store(true, Ordering::Release);
        self.announce(Event::Readable(id));
    }

    /// Tells, once until some are taken, that what the application has marked is refused.
    pub(super) fn marks_refused(&mut self, id: u32, error: Option<&Error>) {
        let Some(reading) = self.readings.get_mut(&id) else { return };
        let was_told = std::mem::replace(&mut reading.told_refusal, error.is_some());
        if let Some(error) = error.filter(|_| !was_told) {
            self.push_item(id, ReaderItem::Error(error.clone()));
        }
    }

    fn commit_ended(&mut self, now: Now, key: (u32, u64), result: Result<(), Error>) {
        self.marks_ended(now, key, &result, self.commits.contains_key(&key));
        let Some(commit) = self.commits.remove(&key) else { return };
        if let Some(slot) = self.commit_results.get_mut(&commit) {
            *slot = Some(result);
            self.announce(Event::Committed(commit));
        }
    }

    /// A reader of a whole topic gets its partitions once they are known, and later those that it grows by.
    fn assign_topic(&mut self, id: u32) {
        let Some(reading) = self.readings.get_mut(&id).filter(|r| r.grows && !r.closing) else { return };
        let Subscription::Topic(name, start) = &reading.subscription else { return };
        let (name, start) = (name.clone(), *start);
        match self.metadata.topic(&name, &self.config) {
            super::TopicState::Known(topic) => {
                // What a partition has that is new to the reader came after the reader began.
                let start = if reading.assigned > 0 { Start::First } else { start };
                let count = topic.partitions.len();
                let new = reading.assigned as i32..count as i32;
                let new = new.map(|p| (TopicPartition::new(name.clone(), p), start)).collect();
                reading.machine.assign_more(new);
                (reading.assigned, reading.grows) = (count.max(reading.assigned), false);
            }
            // It may be created, or the right be granted, yet.
            super::TopicState::Failed(_) if reading.assigned > 0 => {}
            super::TopicState::Failed(error) => {
                if reading.told.insert((name, false)) {
                    self.push_item(id, ReaderItem::Error(error));
                }
            }
            super::TopicState::Pending => {
                let lasting = self.metadata.lasting_trouble(&name, &self.config);
                if let Some(error) = lasting.filter(|_| reading.told.insert((name, true))) {
                    self.push_item(id, ReaderItem::Notice(error));
                }
            }
        }
    }

    /// Tells a member of topics that cannot be had, once until they can. While partitions of a topic are assigned, they tell.
    fn report_missing(&mut self, id: u32) {
        let Some(reading) = self.readings.get_mut(&id).filter(|r| r.grows && !r.closing) else { return };
        let Subscription::Group(_, topics, _) = &reading.subscription else { return };
        let mut items = Vec::new();
        for name in topics {
            match self.metadata.topic(name, &self.config) {
                super::TopicState::Known(_) => {
                    reading.told.retain(|(told, _)| told != name);
                }
                super::TopicState::Failed(error) => {
                    let is_assigned = reading.machine.assignment().any(|tp| tp.topic == *name);
                    if !is_assigned && reading.told.insert((name.clone(), false)) {
                        items.push(ReaderItem::Error(error));
                    }
                }
                super::TopicState::Pending => {
                    let lasting = self.metadata.lasting_trouble(name, &self.config);
                    let lasting = lasting.filter(|_| reading.told.insert((name.clone(), true)));
                    items.extend(lasting.map(ReaderItem::Notice));
                }
            }
        }
        reading.grows = false;
        items.into_iter().for_each(|item| self.push_item(id, item));
    }

    /// Keeps the metadata of what the reader and its group need, and of nothing else.
    fn want_topics(&mut self, id: u32) {
        let Some(membership) = self.memberships.get(&id) else { return };
        let Some(reading) = self.readings.get_mut(&id) else { return };
        if reading.wanted == membership.topics() {
            return;
        }
        let topics = membership.topics().to_vec();
        topics.iter().for_each(|topic| self.metadata.want(topic));
        let old = std::mem::replace(&mut reading.wanted, topics);
        old.iter().for_each(|topic| self.metadata.unwant(topic));
    }

    pub(super) fn reader_timeout(&mut self, now: Now, id: u32) {
        if let Some(reading) = self.readings.get_mut(&id) {
            reading.machine.handle_timeout(now);
            self.dirty_readers.insert(id);
        }
    }

    pub(super) fn group_timeout(&mut self, now: Now, id: u32) {
        if let Some(membership) = self.memberships.get_mut(&id) {
            membership.handle_timeout(now);
            self.dirty_readers.insert(id);
        }
    }

    pub(super) fn reader_answered(&mut self, now: Now, id: u32, answer: Answer) {
        if let Some(reading) = self.readings.get_mut(&id) {
            reading.machine.handle_answer(now, &self.metadata.cluster, answer);
            if let Some(membership) = self.memberships.get_mut(&id).filter(|_| reading.machine.is_quiet()) {
                membership.beat_early(now.instant);
            }
            self.dirty_readers.insert(id);
        }
    }

    pub(super) fn assignor_answered(&mut self, now: Now, id: u32, answer: AssignorAnswer) {
        if let Some(membership) = self.memberships.get_mut(&id) {
            membership.handle_called(now, answer);
            self.dirty_readers.insert(id);
        }
    }

    pub(super) fn group_answered(&mut self, now: Now, id: u32, answer: Answer) {
        if let Some(membership) = self.memberships.get_mut(&id) {
            membership.handle_answer(now, &self.metadata.cluster, answer);
            self.dirty_readers.insert(id);
        }
    }

    pub(super) fn topic_changed_for_readers(&mut self, now: Now, topic: &Str) {
        for (id, reading) in self.readings.iter_mut().filter(|(_, r)| r.wanted.contains(topic)) {
            reading.machine.metadata_changed(now, &self.metadata.cluster);
            reading.grows = true;
            if let Some(membership) = self.memberships.get_mut(id) {
                membership.metadata_changed(now, &self.metadata.cluster);
            }
            self.dirty_readers.insert(*id);
        }
    }

    /// A reader's lane to a broker is down.
    pub(super) fn reader_cut_off(&mut self, now: Now, id: u32, broker: i32, error: Error) {
        if let Some(reading) = self.readings.get_mut(&id) {
            reading.machine.unreachable(now, broker, error);
            self.dirty_readers.insert(id);
        }
    }

    /// A broker that could have told of topics failed. Readers that wait for one are told if that lasts; a member of a group
    /// waits for its coordinator first, which [tells](Self::group_cut_off).
    pub(super) fn readers_cut_off(&mut self, now: Now, error: &Error) {
        let Some(unanswered) = self.metadata.unanswered() else { return };
        let error = self.last_trouble().unwrap_or_else(|| error.clone()).api(ApiKey::Metadata);
        let passes = error.is_retriable();
        let (gravity, item) = match passes {
            true => (Gravity::Passes, ReaderItem::Notice as fn(Error) -> ReaderItem),
            false => (Gravity::Stays, ReaderItem::Error as fn(Error) -> ReaderItem),
        };
        let mut told = Vec::new();
        for (id, reading) in &mut self.readings {
            let is_lone = !matches!(reading.subscription, Subscription::Group(..));
            let unknown = reading.wanted.iter().find(|topic| self.metadata.cluster.topic(topic).is_none());
            let Some(topic) = unknown.filter(|_| is_lone) else { continue };
            let (since, grace) = (unanswered.max(reading.begun), reading.machine.grace());
            if reading.cut_off.lasts(now.instant, since, grace, gravity) {
                told.push((*id, error.clone().topic(topic)));
            }
        }
        told.into_iter().for_each(|(id, error)| self.push_item(id, item(error)));
    }

    /// A broker has told of topics.
    pub(super) fn readers_in_touch(&mut self) {
        self.readings.values_mut().for_each(|reading| reading.cut_off.is_over());
    }

    /// The coordinator of this group cannot be found for the moment.
    pub(super) fn group_cut_off(&mut self, now: Now, kind: CoordinatorKind, group: &Str, error: &Error) {
        let is_member = |reading: &Reading| match &reading.subscription {
            Subscription::Group(config, ..) => kind == CoordinatorKind::Group && config.group_id == *group,
            _ => false,
        };
        let readers = self.readings.iter().filter(|(_, reading)| is_member(reading));
        let readers: Vec<u32> = readers.map(|(id, _)| *id).collect();
        readers.into_iter().for_each(|id| self.member_cut_off(now, id, error));
    }

    /// A member's coordinator cannot be found or reached for the moment.
    pub(super) fn member_cut_off(&mut self, now: Now, id: u32, error: &Error) {
        if let Some(membership) = self.memberships.get_mut(&id) {
            membership.unreachable(now, error);
            self.dirty_readers.insert(id);
        }
    }

    pub(super) fn budget_freed(&mut self, now: Now) {
        for (id, reading) in &mut self.readings {
            reading.machine.budget_freed(now);
            self.dirty_readers.insert(*id);
        }
    }

    // ---- fetches ----

    pub(super) fn reading_wants(&self, _: Instant, id: u32, key: LaneKey) -> bool {
        self.readings.get(&id).is_some_and(|r| r.machine.lanes().contains(&key))
    }

    pub(super) fn next_fetch(&mut self, now: Now, key: LaneKey, conn: ConnId) -> Option<Transmit> {
        let (Lane::Fetch(reader) | Lane::FetchAside(reader)) = key.1 else { return None };
        let version = self.lanes.get(key)?.versions.as_ref()?.version(ApiKey::Fetch)?;
        // Even where it gives none: positions may have to be checked first.
        self.dirty_readers.insert(reader);
        let reading = self.readings.get_mut(&reader)?;
        let plan = reading.machine.poll_fetch(now, &self.metadata.cluster, key.0, key.1, version)?;
        let id = RequestId(self.next_id());
        self.book(now.instant, id, Owner::Fetch(reader), key, conn, ApiKey::Fetch, plan.timeout);
        Some(Transmit {
            id,
            version: plan.version,
            payload: Payload::Fetch(Box::new(plan.request), plan.reservation),
        })
    }

    pub(super) fn fetched(&mut self, now: Now, reader: u32, key: LaneKey, result: Result<Fetched, Error>) {
        if let Some(reading) = self.readings.get_mut(&reader) {
            reading.machine.handle_fetched(now, &self.metadata.cluster, key.0, key.1, result);
            self.dirty_readers.insert(reader);
        }
    }
}

/// Partitions, and where reading of each begins.
fn starts(
    restored: Vec<(TopicPartition, Option<CommittedOffset>)>,
    without: Start,
) -> (Vec<TopicPartition>, Vec<(TopicPartition, Start)>) {
    let at = |c: CommittedOffset| Start::At { offset: c.offset, leader_epoch: c.leader_epoch.max(-1) };
    let names = restored.iter().map(|(tp, _)| tp.clone()).collect();
    (names, restored.into_iter().map(|(tp, committed)| (tp, committed.map_or(without, at))).collect())
}

pub(super) type Commits = BTreeMap<(u32, u64), u64>;
pub(super) type CommitResults = BTreeMap<u64, Option<Result<(), Error>>>;
