//! A reader as the client knows it: its partitions come from the application or from its group.
//!
//! Invariants
//! * What a group tells stands in the same queue as errors and before any further record.
//! * What keeps a reader from its records for longer than a grace is told, once: a topic that cannot be had, with a group or
//!   without; topics that cannot be listed for a pattern; a coordinator that cannot be found or reached; no broker that could be asked
//!   for a topic.
//! * Once `Revoking` was answered nothing of that assignment is delivered, and commits of it are refused.
//! * Of a topic or partition that is not subscribed to any more nothing is delivered: without a group from the change on, in one from
//!   the answer to `Revoking` on.
//! * It ends once: without a group when it is closed, in one when it has left.

mod changes;
mod commands;
mod item;
mod marks;
mod member;
mod pattern;
#[cfg(feature = "record")]
mod recorded;
mod resolver;
mod subscription;
mod tag;
mod topics;
mod traces;

#[cfg(feature = "record")]
pub(crate) use commands::COMMANDS;
pub(crate) use commands::{
    Assign, Close, Commit, GetAssignment, GetOffsets, GetSubscription, GetTopics, KnownOffsets, Leave,
    Leaving, Marked, Pause, Resume, Revoked, Seek, Subscribe, TakeItem,
};
#[cfg(test)]
pub(crate) use commands::{CountAssigned, Remove};
pub(crate) use item::{ReaderItem, ReaderShared};
pub(crate) use marks::{Mark, Marks};
pub use pattern::Pattern;
pub use subscription::{ReadFrom, Subscription};

use crate::error::{Error, ErrorKind};
use crate::group::{AssignorAnswer, GroupConfig, Membership};
use crate::link::{Answered, BrokerVersions, Payload, RequestId};
use crate::machine::{
    Answer, Ask, Built, CoordinatorKind, Cx, Done, Failure, Lane, LaneKey, Machine, MachineId, MachineInput,
    Now, OpId, Out, Pace, Stuck, Target, Time,
};
use crate::random::Random;
use crate::reader::{Fetch, Fetched, ReaderConfig, ReaderMachine};
use crate::tape::Tape;
use crate::trace::Traces;
use kafka_proto::{ApiKey, Str};
use resolver::{Matched, Resolver};
use rustc_hash::FxHashMap;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tag::Tag;
use topics::Topics;

/// A reader before it is made.
#[derive(Clone, Debug)]
pub(crate) struct ReaderSpec {
    /// How it fetches.
    config: Arc<ReaderConfig>,
    /// What it reads. Its assignors are named.
    from: ReadFrom,
}

impl ReaderSpec {
    /// Asks the assignors of a group for their names, which must not happen under a lock.
    pub(crate) fn new(config: ReaderConfig, from: ReadFrom) -> Self {
        Self { config: Arc::new(config), from: from.named() }
    }

    pub(crate) fn config(&self) -> &Arc<ReaderConfig> {
        &self.config
    }

    pub(crate) fn group(&self) -> Option<&Arc<GroupConfig>> {
        self.from.group()
    }
}

#[derive(Debug)]
pub(crate) struct Reading {
    fetcher: ReaderMachine,
    member: Option<Membership>,
    from: ReadFrom,
    topics: Topics,
    resolver: Resolver,
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
    /// By the membership's number of the commit: many may be under way.
    awaited: FxHashMap<u64, Awaited>,
    request_timeout: Duration,
    retry_backoff_max: Duration,
    is_closing: bool,
    has_ended: bool,
    /// Something happened since it was asked what it wants.
    has_news: bool,
    outs: VecDeque<Out>,
    traces: Traces,
}

/// Who waits for a commit.
#[derive(Debug, Default)]
struct Awaited {
    call: Option<OpId>,
    /// Those who close the reader, of whom a second one may follow one that gave up.
    closings: Vec<OpId>,
}

impl Awaited {
    fn into_ops(self) -> impl Iterator<Item = OpId> {
        self.closings.into_iter().chain(self.call)
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
        let grace = spec.config.unknown_topic_grace;
        let fetcher = ReaderMachine::new(id, spec.config, budget, tape.clone(), random.next());
        let member = spec.from.group().map(|group| Membership::new(id, group.clone(), random.next()));
        let mut reading = Self {
            fetcher,
            member,
            from: spec.from,
            topics: Topics::new(now.time),
            resolver: Resolver::new(pace, grace, random.next()),
            items: VecDeque::new(),
            urgent,
            marks,
            tape,
            marks_due: None,
            told_refusal: false,
            awaited: FxHashMap::default(),
            request_timeout: pace.request_timeout,
            retry_backoff_max: pace.retry_backoff_max,
            is_closing: false,
            has_ended: false,
            has_news: true,
            outs: VecDeque::new(),
            traces: Traces::default(),
        };
        reading.begin(now);
        reading
    }

    /// Stops reading; in a group, commits what was handled and leaves it.
    fn close(&mut self, cx: &Cx<'_>) {
        self.commit_marks(cx);
        self.is_closing = true;
        self.resolver.end();
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
        self.resolver.end();
        self.fetcher.end();
        self.tell_ended_sessions();
        let waiting = self.awaited.drain().flat_map(|(_, awaited)| awaited.into_ops());
        self.outs.extend(waiting.map(|op| Out::Done(op, Err(Error::new(ErrorKind::Closed)))));
        self.outs.push_back(Out::End);
    }

    // ---- what comes out ----

    fn pump(&mut self, cx: &mut Cx<'_>) {
        self.take_in_metadata(cx);
        self.pump_resolver(cx);
        self.pump_member(cx);
        self.look_at_topics(cx);
        self.want_topics();
        self.pump_fetcher(cx);
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

    /// Something is in the way that should pass by itself, or not.
    fn push_trouble(&mut self, error: Error) {
        let passes = error.is_retriable();
        self.push_item(if passes { ReaderItem::Notice(error) } else { ReaderItem::Error(error) });
    }

    // ---- what goes in ----

    fn answered(&mut self, cx: &Cx<'_>, answer: Answer) {
        let tag = Tag::from(answer.tag);
        let answer = Answer { tag: tag.number(), ..answer };
        match (tag, &mut self.member) {
            (Tag::Member(_), Some(member)) => member.handle_answer(cx.now, cx.cluster, answer),
            (Tag::Member(_), None) => {}
            (Tag::Resolver(_), _) => self.listed(cx, answer),
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
        let result = result.map_err(|failure| failure.error).and_then(Answered::digested::<Fetched>);
        let result = result.map(|fetched| *fetched);
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
            (Lane::Fetch(_), Some(broker), _) => self.fetcher.unreachable(cx.now, cx.cluster, broker, error),
            (Lane::Group(_), _, Some(member)) => member.unreachable(cx.now, &error),
            _ => {}
        }
    }

    fn work_done(&mut self, cx: &Cx<'_>, done: Box<dyn Done>) {
        match (done as Box<dyn Any>).downcast::<AssignorAnswer>() {
            Ok(answer) => {
                if let Some(member) = &mut self.member {
                    member.handle_called(cx.now, *answer);
                }
            }
            Err(done) => {
                if let Ok(matched) = done.downcast::<Matched>() {
                    self.matched(cx, *matched);
                }
            }
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
            MachineInput::TopicChanged(topic) => self.topics.changed(&topic),
            MachineInput::LaneDown(key, error) => self.lane_down(cx, key, error),
            MachineInput::NoCoordinator(error) => {
                if let Some(member) = &mut self.member {
                    member.unreachable(cx.now, &error);
                }
            }
            MachineInput::NoMetadata { since, error } => self.no_metadata(cx, since, &error),
            MachineInput::WorkDone(done) => self.work_done(cx, done),
            MachineInput::RoomAgain => self.fetcher.budget_freed(),
            MachineInput::ClientClosed => self.end(),
            MachineInput::Sent(_) => {}
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
        let all = [self.fetcher.poll_timeout(), member, self.marks_due, self.resolver.poll_timeout()];
        all.into_iter().flatten().min()
    }

    fn wants(&self, key: LaneKey) -> bool {
        self.fetcher.lanes().contains(&key)
    }

    fn build(&mut self, cx: &mut Cx<'_>, _: RequestId, key: LaneKey, to: &BrokerVersions) -> Option<Built> {
        // Even where it gives none: positions may have to be checked first.
        self.has_news = true;
        let (broker, version) = (key.peer.node()?, to.version(ApiKey::Fetch)?);
        let plan = self.fetcher.poll_fetch(cx.now, broker, key.lane, version)?;
        let payload = Payload::Built(Box::new(Fetch::new(plan.request, plan.reservation)));
        let (version, timeout) = (plan.version, plan.timeout);
        Some(Built { version, payload, timeout, has_room: false })
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
        let fetcher = self.fetcher.stuck().chain(self.fetcher.over_budget());
        Stuck {
            found: fetcher.chain(self.stuck_subscription()).collect(),
            lanes: self.fetcher.lanes().iter().copied().collect(),
            needs_metadata: self.fetcher.waits_for_a_leader(),
        }
    }
}
