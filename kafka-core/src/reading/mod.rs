//! A reader as the client knows it: its partitions come from the application or from its group.
//!
//! Invariants
//! * What a group tells stands in the same queue as errors and before any further record.
//! * What keeps a reader from its records for longer than a grace is told, once: a topic that cannot be had, with a group or
//!   without; a coordinator that cannot be found or reached; no broker that could be asked for a topic.
//! * Once `Revoking` was answered nothing of that assignment is delivered, and commits of it are refused.
//! * It ends once: without a group when it is closed, in one when it has left.

mod commands;
mod marks;
#[cfg(feature = "record")]
mod recorded;
mod topics;
mod traces;

#[cfg(feature = "record")]
pub(crate) use commands::COMMANDS;
pub(crate) use commands::{
    Close, Commit, GetAssignment, GetOffsets, KnownOffsets, Leave, Leaving, Marked, Pause, Resume, Revoked,
    Seek, TakeItem,
};
#[cfg(test)]
pub(crate) use commands::{CountAssigned, Remove};
pub(crate) use marks::{Mark, Marks};

use crate::error::{Error, ErrorKind};
use crate::group::{AssignorAnswer, AssignorCall, CommittedOffset, GroupConfig, GroupEvent, Membership};
use crate::link::{Answered, BrokerVersions, Payload, RequestId};
use crate::machine::{
    Answer, Ask, CoordinatorKind, Cx, Done, Exchange, Failure, Lane, LaneKey, Machine, MachineId,
    MachineInput, Now, OpId, Out, Pace, Stuck, Target, Time, Work,
};
use crate::random::Random;
use crate::reader::{Budget, Chunk, Fetched, ReaderConfig, ReaderMachine, Start};
use crate::snapshot::TopicPartition;
use crate::tape::Tape;
use crate::trace::Traces;
use kafka_proto::{ApiKey, Str};
use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use topics::Topics;

/// What a reader reads.
#[derive(Clone, Debug)]
pub enum Subscription {
    /// All partitions of a topic, from this place.
    Topic(Str, Start),
    /// These partitions, each from its place.
    Partitions(Vec<(TopicPartition, Start)>),
    /// What the group assigns to this member of these topics: from what it has committed, else from this place.
    Group(Arc<GroupConfig>, Vec<Str>, Start),
}

impl Subscription {
    /// Returns whether it can be read.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a topic without a name or a partition below zero, and for a setting of the group that is out of its
    /// range; what [`Start::validate`] says of a place.
    pub fn validate(&self) -> Result<(), Error> {
        let named = |topic: &Str| match topic.is_empty() {
            true => Err(Error::config("topic", "must not be empty")),
            false => Ok(()),
        };
        match self {
            Self::Topic(topic, start) => named(topic).and(start.validate()),
            Self::Partitions(partitions) => partitions.iter().try_for_each(|(of, start)| {
                if of.partition < 0 {
                    return Err(Error::config("partition", "must not be negative"));
                }
                named(&of.topic).and(start.validate())
            }),
            Self::Group(group, topics, start) => {
                topics.iter().try_for_each(named).and(group.validate()).and(start.validate())
            }
        }
    }

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
pub(crate) struct ReaderSpec {
    /// How it fetches.
    pub config: Arc<ReaderConfig>,
    /// What it reads.
    pub subscription: Subscription,
}

/// The next thing for a reader's application.
#[derive(Debug)]
pub(crate) enum ReaderItem {
    /// Records of one partition.
    Chunk(Chunk),
    /// Partitions were given to this member; with the number of the last assignment, in addition.
    Assigned {
        /// The number of the assignment.
        assignment: u32,
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// All partitions are to be given up; answer with `Revoked`.
    Revoking {
        /// The number of the assignment.
        assignment: u32,
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// By then they are lost.
        deadline: Time,
    },
    /// All partitions were lost.
    Lost {
        /// The number of the assignment.
        assignment: u32,
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// Why.
        error: Error,
    },
    /// Something that the application has to know.
    Error(Error),
    /// Something that it may want to know, and that was dealt with.
    Notice(Error),
}

/// What a reader shares with its handle, so that a record costs no lock of the client.
#[derive(Clone, Debug)]
pub(crate) struct ReaderShared {
    /// Something goes before the records in hand.
    pub(crate) urgent: Arc<AtomicBool>,
    /// What the application has handled.
    pub(crate) marks: Arc<Marks>,
    /// The bytes that it may hold.
    pub(crate) budget: Arc<Budget>,
    /// Through it the reader in the client sees what its handle does.
    pub(crate) tape: Tape,
}

impl ReaderShared {
    pub(crate) fn new(config: &ReaderConfig, tape: Tape) -> Self {
        Self {
            urgent: Arc::default(),
            marks: Arc::new(Marks::new(config.auto_commit_interval)),
            budget: Budget::new(config.buffer),
            tape,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Reading {
    fetcher: ReaderMachine,
    member: Option<Membership>,
    subscription: Subscription,
    topics: Topics,
    /// What goes before records.
    items: VecDeque<ReaderItem>,
    urgent: Arc<AtomicBool>,
    marks: Arc<Marks>,
    /// Through it the marks are seen.
    tape: Tape,
    /// When what is marked is committed.
    marks_due: Option<Time>,
    /// The application was told that its marks are refused.
    told_refusal: bool,
    /// Commits that somebody waits for, by the membership's number.
    commits: BTreeMap<u64, OpId>,
    request_timeout: Duration,
    retry_backoff_max: Duration,
    is_closing: bool,
    has_ended: bool,
    /// Something happened since it was asked what it wants.
    has_news: bool,
    outs: VecDeque<Out>,
    traces: Traces,
}

/// A question to the application's assignors.
impl Work for AssignorCall {
    fn run(self: Box<Self>) -> Box<dyn Done> {
        Box::new((*self).run())
    }

    #[cfg(feature = "record")]
    fn redo(self: Box<Self>, note: &[u8]) -> Option<Box<dyn Done>> {
        AssignorAnswer::of_note(note).map(|answer| Box::new(answer) as _)
    }
}

impl Done for AssignorAnswer {
    #[cfg(feature = "record")]
    fn note(&self) -> Vec<u8> {
        AssignorAnswer::note(self)
    }
}

impl Reading {
    pub(crate) fn new(
        now: Now,
        id: MachineId,
        spec: ReaderSpec,
        shared: ReaderShared,
        pace: Pace,
        seed: u64,
    ) -> Self {
        let mut random = Random::new(seed);
        let ReaderShared { urgent, marks, budget, tape } = shared;
        let mut reading = Self {
            fetcher: ReaderMachine::new(id, spec.config, budget, tape.clone(), random.next()),
            member: None,
            subscription: spec.subscription.clone(),
            topics: Topics::new(now.time),
            items: VecDeque::new(),
            urgent,
            marks,
            tape,
            marks_due: None,
            told_refusal: false,
            commits: BTreeMap::new(),
            request_timeout: pace.request_timeout,
            retry_backoff_max: pace.retry_backoff_max,
            is_closing: false,
            has_ended: false,
            has_news: true,
            outs: VecDeque::new(),
            traces: Traces::default(),
        };
        match spec.subscription {
            Subscription::Topic(topic, _) => reading.want(vec![topic]),
            Subscription::Partitions(partitions) => {
                let mut topics: Vec<Str> = partitions.iter().map(|(tp, _)| tp.topic.clone()).collect();
                topics.sort();
                topics.dedup();
                reading.want(topics);
                reading.fetcher.assign(0, partitions);
            }
            Subscription::Group(config, topics, _) => {
                let mut member = Membership::new(id, config, random.next());
                member.subscribe(now, topics);
                reading.member = Some(member);
            }
        }
        reading
    }

    /// Stops reading; in a group, commits what was handled and leaves it.
    fn close(&mut self, cx: &Cx<'_>) {
        self.commit_marks(cx);
        self.is_closing = true;
        self.fetcher.unassign_all();
        match &mut self.member {
            Some(member) => member.leave(cx.now),
            None => self.end(),
        }
    }

    /// Ends at once.
    fn end(&mut self) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        self.member = None;
        self.fetcher.end();
        self.tell_ended_sessions();
        for op in std::mem::take(&mut self.commits).into_values() {
            self.outs.push_back(Out::Done(op, Err(Error::new(ErrorKind::Closed))));
        }
        self.outs.push_back(Out::End);
    }

    // ---- what comes out ----

    fn pump(&mut self, cx: &mut Cx<'_>) {
        self.pump_member(cx);
        self.assign_topic(cx);
        self.report_missing(cx);
        self.want_topics();
        self.pump_fetcher(cx);
    }

    fn pump_member(&mut self, cx: &mut Cx<'_>) {
        let Some(member) = &mut self.member else { return };
        let asks = std::iter::from_fn(|| member.poll_ask(cx.now, cx.cluster));
        self.outs.extend(asks.map(|ask| Out::Ask(Ask { tag: Tag::Member(ask.tag).into(), ..ask })));
        let events: Vec<GroupEvent> = std::iter::from_fn(|| member.poll_event()).collect();
        self.outs.extend(std::iter::from_fn(|| member.poll_hint()).map(Out::Hint));
        let call = member.poll_call(cx.now, cx.cluster);
        self.outs.extend(call.map(|call| Out::Work(Box::new(call))));
        events.into_iter().for_each(|event| self.group_event(cx, event));
    }

    fn pump_fetcher(&mut self, cx: &mut Cx<'_>) {
        let fetcher = &mut self.fetcher;
        let asks = std::iter::from_fn(|| fetcher.poll_ask(cx.now, cx.cluster));
        self.outs.extend(asks.map(|ask| Out::Ask(Ask { tag: Tag::Fetcher(ask.tag).into(), ..ask })));
        self.outs.extend(std::iter::from_fn(|| fetcher.poll_hint()).map(Out::Hint));
        self.outs.extend(fetcher.lanes().iter().map(|key| Out::Pull(*key)));
        let dropped = fetcher.take_dropped();
        if !dropped.is_empty() {
            self.outs.push_back(Out::Garbage(Box::new(dropped)));
        }
        self.traces.append(fetcher.take_traces());
        self.outs.extend(std::iter::from_fn(|| self.traces.pop()).map(Out::Trace));
        if self.fetcher.is_readable() {
            self.outs.push_back(Out::Wake);
        }
        self.tell_ended_sessions();
    }

    /// Brokers hear of fetch sessions that are over; one that does not finds out by itself. It goes beside the reader's own
    /// lane, where a fetch may be parked.
    fn tell_ended_sessions(&mut self) {
        let (fetcher, timeout) = (&mut self.fetcher, self.request_timeout);
        let ended = std::iter::from_fn(|| fetcher.poll_ended_session());
        self.outs.extend(ended.map(|(broker, request)| {
            let target = Target::node(broker);
            Out::Tell(Ask { tag: 0, target, lane: Lane::Other, request: request.into(), timeout })
        }));
    }

    fn group_event(&mut self, cx: &mut Cx<'_>, event: GroupEvent) {
        let without = self.subscription.start();
        if let Subscription::Group(group, ..) = &self.subscription {
            self.traces.group(&group.group_id, &event);
        }
        let item = match event {
            GroupEvent::Assigned { assignment, partitions, .. } => {
                let (names, starts) = starts(partitions, without);
                self.fetcher.assign(assignment, starts);
                ReaderItem::Assigned { assignment, partitions: names }
            }
            GroupEvent::AssignedMore { assignment, partitions } => {
                let (names, starts) = starts(partitions, without);
                self.fetcher.assign_more(starts);
                ReaderItem::Assigned { assignment, partitions: names }
            }
            GroupEvent::Revoking { assignment, deadline } => {
                let partitions = self.fetcher.assignment().cloned().collect();
                ReaderItem::Revoking { assignment, partitions, deadline }
            }
            GroupEvent::Lost { assignment, error } => {
                let partitions = self.fetcher.assignment().cloned().collect();
                self.fetcher.unassign_all();
                ReaderItem::Lost { assignment, partitions, error }
            }
            GroupEvent::Committed { id, result } => return self.committed(cx, id, result),
            GroupEvent::Failed(error) => ReaderItem::Error(error),
            GroupEvent::Notice(error) => ReaderItem::Notice(error),
            GroupEvent::Left => return self.end(),
        };
        self.push_item(item);
    }

    fn push_item(&mut self, item: ReaderItem) {
        if self.is_closing {
            // Nobody will answer: what is to be given up is given up.
            return;
        }
        // A revocation that was not seen yet is overtaken by the loss of its partitions.
        if let ReaderItem::Lost { assignment, .. } = &item {
            let lost = *assignment;
            self.items
                .retain(|i| !matches!(i, ReaderItem::Revoking { assignment, .. } if *assignment == lost));
        }
        self.items.push_back(item);
        self.urgent.store(true, Ordering::Release);
        self.outs.push_back(Out::Wake);
    }

    // ---- what goes in ----

    fn answered(&mut self, cx: &Cx<'_>, answer: Answer) {
        let tag = Tag::from(answer.tag);
        let answer = Answer { tag: tag.number(), ..answer };
        match (tag, &mut self.member) {
            (Tag::Member(_), Some(member)) => member.handle_answer(cx.now, cx.cluster, answer),
            (Tag::Member(_), None) => {}
            (Tag::Fetcher(_), member) => {
                self.fetcher.handle_answer(cx.now, cx.cluster, answer);
                if let Some(member) = member.as_mut().filter(|_| self.fetcher.is_quiet()) {
                    member.heartbeat_if_due_soon(cx.now.time);
                }
            }
        }
    }

    fn fetched(&mut self, cx: &Cx<'_>, key: LaneKey, result: Result<Answered, Failure>) {
        let Some(broker) = key.peer.node() else { return };
        let result: Result<Fetched, Error> = match result {
            Ok(Answered::Fetched(fetched)) => Ok(*fetched),
            Ok(Answered::Plain(_)) => Err(Error::new(ErrorKind::Decode("no response to a fetch".into()))),
            Err(failure) => Err(failure.error),
        };
        self.fetcher.handle_fetched(cx.now, cx.cluster, broker, key.lane, result);
    }

    fn timeout(&mut self, cx: &Cx<'_>) {
        let is_due = |at: Option<Time>| at.is_some_and(|at| at <= cx.now.time);
        if is_due(self.fetcher.poll_timeout()) {
            self.fetcher.handle_timeout(cx.now);
        }
        if let Some(member) = self.member.as_mut().filter(|member| is_due(member.poll_timeout())) {
            member.handle_timeout(cx.now);
        }
        if is_due(self.marks_due) {
            self.commit_marks(cx);
        }
    }

    fn lane_down(&mut self, cx: &Cx<'_>, key: LaneKey, error: Error) {
        match (key.lane, key.peer.node(), &mut self.member) {
            (Lane::Fetch(_), Some(broker), _) => self.fetcher.unreachable(cx.now, broker, error),
            (Lane::Group(_), _, Some(member)) => member.unreachable(cx.now, &error),
            _ => {}
        }
    }
}

impl Machine for Reading {
    fn handle(&mut self, cx: &mut Cx<'_>, input: MachineInput) {
        self.has_news = true;
        match input {
            MachineInput::Answer(answer) => self.answered(cx, *answer),
            MachineInput::Exchanged { key, result, .. } => self.fetched(cx, key, result),
            MachineInput::Timeout => self.timeout(cx),
            MachineInput::TopicChanged(_) => self.topic_changed(cx),
            MachineInput::LaneDown(key, error) => self.lane_down(cx, key, error),
            MachineInput::NoCoordinator(error) => {
                if let Some(member) = &mut self.member {
                    member.unreachable(cx.now, &error);
                }
            }
            MachineInput::NoMetadata { since, error } => self.no_metadata(cx, since, &error),
            MachineInput::WorkDone(done) => {
                let answer = (done as Box<dyn Any>).downcast::<AssignorAnswer>();
                if let (Some(member), Ok(answer)) = (&mut self.member, answer) {
                    member.handle_called(cx.now, *answer);
                }
            }
            MachineInput::RoomAgain => self.fetcher.budget_freed(),
            MachineInput::Sent(_) | MachineInput::ClientClosed => {}
        }
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Option<Out> {
        if self.outs.is_empty() && !self.has_ended && std::mem::take(&mut self.has_news) {
            self.pump(cx);
        }
        self.outs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        let member = self.member.as_ref().and_then(Membership::poll_timeout);
        [self.fetcher.poll_timeout(), member, self.marks_due].into_iter().flatten().min()
    }

    fn wants(&self, key: LaneKey) -> bool {
        self.fetcher.lanes().contains(&key)
    }

    fn build(
        &mut self,
        cx: &mut Cx<'_>,
        _: RequestId,
        key: LaneKey,
        to: &BrokerVersions,
    ) -> Option<Exchange> {
        // Even where it gives none: positions may have to be checked first.
        self.has_news = true;
        let (broker, version) = (key.peer.node()?, to.version(ApiKey::Fetch)?);
        let plan = self.fetcher.poll_fetch(cx.now, broker, key.lane, version)?;
        let payload = Payload::Fetch(Box::new(plan.request), plan.reservation);
        Some(Exchange { api: ApiKey::Fetch, version: plan.version, payload, timeout: plan.timeout })
    }

    fn is_leaving(&self) -> bool {
        self.member.as_ref().is_some_and(Membership::is_member)
    }

    fn coordinator(&self) -> Option<(CoordinatorKind, &Str)> {
        self.member.as_ref().map(|member| (CoordinatorKind::Group, member.group()))
    }

    fn is_quiescent(&self) -> bool {
        true
    }

    fn stuck(&self, _: Time) -> Stuck {
        Stuck {
            found: self.fetcher.stuck().chain(self.fetcher.over_budget()).collect(),
            lanes: self.fetcher.lanes().iter().copied().collect(),
            needs_metadata: self.fetcher.waits_for_a_leader(),
        }
    }
}

/// Who of the two has asked.
#[derive(Clone, Copy)]
enum Tag {
    Fetcher(u64),
    Member(u64),
}

impl Tag {
    fn number(self) -> u64 {
        match self {
            Self::Fetcher(number) | Self::Member(number) => number,
        }
    }
}

impl From<Tag> for u64 {
    fn from(tag: Tag) -> Self {
        tag.number() << 1 | Self::from(matches!(tag, Tag::Member(_)))
    }
}

impl From<u64> for Tag {
    fn from(tag: u64) -> Self {
        if tag & 1 == 0 { Self::Fetcher(tag >> 1) } else { Self::Member(tag >> 1) }
    }
}

/// Partitions, and where reading of each begins.
fn starts(
    restored: Vec<(TopicPartition, Option<CommittedOffset>)>,
    without: Start,
) -> (Vec<TopicPartition>, Vec<(TopicPartition, Start)>) {
    let at = |c: CommittedOffset| Start::At {
        offset: c.offset,
        leader_epoch: Some(c.leader_epoch).filter(|epoch| *epoch >= 0),
    };
    let names = restored.iter().map(|(tp, _)| tp.clone()).collect();
    (names, restored.into_iter().map(|(tp, committed)| (tp, committed.map_or(without, at))).collect())
}
