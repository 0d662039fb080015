//! One member of a consumer group, classic protocol, eager: JoinGroup, SyncGroup, OffsetFetch, heartbeats, LeaveGroup.
//!
//! ```text
//! Idle ─subscribe→ Joining ─joined→ Syncing ─partitions→ Restoring ─offsets→ Stable ⇄ heartbeats
//!                   ↑  ↑      └leader→ Assigning ┘                             │
//!                   │  └──────── revoked, commits sent ── Revoking ←─rebalance─┤
//!                   └─────────── Lost ←── unknown member, generation over, session expired
//! any ─leave→ Leaving (commits first) → Idle
//! ```
//!
//! Invariants:
//! * Of each kind of request at most one is open. A step's answer counts only in the `turn` it was asked in.
//! * While subscribed, something is always open, timed, asked of an assignor, or waiting for the application.
//! * `pulse` is there exactly while the coordinator expects heartbeats of us: from SyncGroup's answer to the next JoinGroup.
//! * A step that is repeated waits: the more often it failed since the last assignment, the longer.
//! * What should pass by itself and lasts (steps, heartbeats, commits) is told once, until it is over.
//! * An assignment that was told is ended by `Revoking` + `revoked`, or `Lost`, before another is told.

mod calls;
mod commit;
mod heartbeat;
mod join;
mod leave;
mod restore;
mod revoke;
mod sync;
#[cfg(test)]
mod tests;

pub use self::calls::{AssignorAnswer, AssignorCall};

use self::heartbeat::Pulse;
use self::join::Round;
use self::restore::Unrestored;
use super::commits::{self, Commits};
use super::config::GroupConfig;
use super::event::{CommitOffset, GroupEvent};
use super::retry::{self, Backoff, Verdict};
use crate::error::Error;
use crate::machine::{Answer, Ask, CoordinatorKind, Hint, Lane, MachineId, Now, Target, Time};
use crate::snapshot::{Cluster, TopicPartition};
use crate::trouble::{Gravity, Trouble};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::heartbeat::HeartbeatRequest;
use kafka_proto::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use kafka_proto::messages::leave_group::LeaveGroupRequest;
use kafka_proto::messages::offset_commit::OffsetCommitRequest;
use kafka_proto::messages::offset_fetch::OffsetFetchRequest;
use kafka_proto::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use kafka_proto::{ApiKey, Request, Str};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// One member of a consumer group.
///
/// Any order of calls is valid. After each call poll calls, asks, hints and events until there are none, then the timeout.
#[derive(Debug)]
pub struct Membership {
    id: MachineId,
    config: Arc<GroupConfig>,
    backoff: Backoff,
    state: State,
    /// What the application subscribes to.
    subscribed: Vec<Str>,
    /// The same, and as leader what the others subscribe to.
    watched: Vec<Str>,
    member_id: Str,
    /// -1 outside of a generation.
    generation: i32,
    /// What the last JoinGroup subscribed to.
    joined: Vec<Str>,
    /// The assignor the group agreed on.
    protocol: Str,
    /// As leader: how many partitions each topic had when they were shared out.
    layout: Option<BTreeMap<Str, usize>>,
    /// Metadata changed since the layout was last looked at.
    layout_news: bool,
    /// Topics whose metadata was there to be had before the last assignment: those still missing do not exist.
    looked_for: BTreeSet<Str>,
    /// As leader: members whose subscriptions could not be read in the last round.
    unreadable: BTreeSet<Str>,
    held: Option<Held>,
    /// Partitions of the assignment of which the application was not told yet.
    unrestored: Option<Unrestored>,
    assignments: u32,
    pulse: Option<Pulse>,
    /// Failures of join, sync and restore in a row.
    failures: u32,
    /// Steps repeated without a pause since the last assignment.
    haste: u32,
    commits: Commits,
    open: Vec<Open>,
    next_tag: u64,
    turn: u64,
    hints: VecDeque<Hint>,
    events: VecDeque<GroupEvent>,
    reported: Vec<Error>,
    /// Of steps towards an assignment.
    trouble: Trouble,
    commit_trouble: Trouble,
    /// Assignors were asked in this turn, and have not answered.
    calling: bool,
}

#[derive(Debug)]
enum State {
    /// Not subscribed, left, or fenced.
    Idle,
    /// JoinGroup is to be sent at this time, once the assignors have said what to offer, or is open.
    Joining { at: Time, offers: Option<Vec<JoinGroupRequestProtocol>> },
    /// The leader waits for the metadata of all topics, then for its assignor, which has the round meanwhile.
    Assigning { round: Option<Round>, until: Time },
    /// SyncGroup is to be sent, or is open (`None`).
    Syncing { assignments: Option<Vec<SyncGroupRequestAssignment>> },
    /// The offsets of the partitions are asked for; nothing was told yet.
    Restoring,
    /// An assignment was told. Offsets of some of its partitions may still be asked for.
    Stable,
    /// The application gives its partitions up; when it has, its commits are still waited for.
    Revoking { deadline: Time, answered: bool },
    /// Commits are waited for (`until` not set), then LeaveGroup is to be sent at `at`, or is open.
    Leaving { until: Option<Time>, at: Time },
}

/// The assignment the application was told of.
#[derive(Debug)]
struct Held {
    number: u32,
    partitions: BTreeSet<TopicPartition>,
}

#[derive(Debug)]
struct Open {
    tag: u64,
    kind: Kind,
    turn: u64,
    sent: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Join,
    Sync,
    Restore,
    Heartbeat,
    Commit,
    Leave,
}

/// So many steps may be repeated without a pause before an assignment is reached.
const HASTE: u32 = 3;

impl Membership {
    /// A member that does nothing until it [subscribes](Self::subscribe). `id` is its lane, `seed` the source of its jitter.
    pub fn new(id: MachineId, config: Arc<GroupConfig>, seed: u64) -> Self {
        Self {
            id,
            backoff: Backoff::new(&config, seed),
            commits: Commits::new(config.group_id.clone()),
            config,
            state: State::Idle,
            subscribed: Vec::new(),
            watched: Vec::new(),
            member_id: Str::default(),
            generation: -1,
            joined: Vec::new(),
            protocol: Str::default(),
            layout: None,
            layout_news: false,
            looked_for: BTreeSet::new(),
            unreadable: BTreeSet::new(),
            held: None,
            unrestored: None,
            assignments: 0,
            pulse: None,
            failures: 0,
            haste: 0,
            open: Vec::new(),
            next_tag: 0,
            turn: 0,
            hints: VecDeque::new(),
            events: VecDeque::new(),
            reported: Vec::new(),
            trouble: Trouble::default(),
            commit_trouble: Trouble::default(),
            calling: false,
        }
    }

    /// Joins the group for these topics, or changes them, which makes the group rebalance. No topics: as [`leave`](Self::leave).
    pub fn subscribe(&mut self, now: Now, topics: Vec<Str>) {
        let mut seen = BTreeSet::new();
        self.subscribed = topics.into_iter().filter(|t| seen.insert(t.clone())).collect();
        if self.subscribed.is_empty() {
            return self.leave(now);
        }
        if self.layout.is_some() || matches!(self.state, State::Assigning { .. }) {
            let new = self.subscribed.iter().filter(|t| !self.watched.contains(t));
            self.watched.extend(new.cloned().collect::<Vec<_>>());
        } else {
            self.watch_own_topics();
        }
        match self.state {
            State::Idle => self.rejoin(now.time),
            State::Restoring if !self.subscription_is_current() => self.rejoin(now.time),
            State::Stable if !self.subscription_is_current() => self.revoke(now.time, now.time),
            _ => {}
        }
    }

    /// The id of the group.
    pub(crate) fn group(&self) -> &Str {
        &self.config.group_id
    }

    /// The topics whose metadata the client must keep: this member's, and as leader also the other members'.
    pub fn topics(&self) -> &[Str] {
        &self.watched
    }

    /// The cluster's metadata changed. A leader whose topics have got another number of partitions makes the group rebalance.
    pub fn metadata_changed(&mut self, now: Now, cluster: &Cluster) {
        self.layout_news = true;
        self.check_layout(now.time, cluster);
    }

    /// The next request, if one is due. May change after any other call and with time.
    #[must_use]
    pub fn poll_ask(&mut self, now: Now, cluster: &Cluster) -> Option<Ask> {
        let at = now.time;
        self.check_layout(at, cluster);
        self.deliver_found(at, cluster);
        self.ask_leave(at)
            .or_else(|| self.ask_heartbeat(at))
            .or_else(|| self.ask_commit(at, cluster))
            .or_else(|| self.ask_join(at))
            .or_else(|| self.ask_sync(at))
            .or_else(|| self.ask_offsets(at, cluster))
    }

    /// What became of a request. An unknown tag is passed over.
    pub fn handle_answer(&mut self, now: Now, cluster: &Cluster, answer: Answer) {
        let Some(place) = self.open.iter().position(|o| o.tag == answer.tag) else { return };
        let Open { kind, turn, sent, .. } = self.open.swap_remove(place);
        let at = now.time;
        if kind == Kind::Commit {
            return self.commit_answered(at, answer.response_to::<OffsetCommitRequest>());
        }
        if turn != self.turn {
            return;
        }
        match kind {
            Kind::Join => self.join_answered(at, cluster, answer.response_to::<JoinGroupRequest>()),
            Kind::Sync => self.sync_answered(at, answer.response_to::<SyncGroupRequest>()),
            Kind::Restore => {
                self.offsets_answered(at, cluster, answer.response_to::<OffsetFetchRequest>());
            }
            Kind::Heartbeat => {
                self.heartbeat_answered(at, sent, answer.response_to::<HeartbeatRequest>());
            }
            Kind::Leave => self.leave_answered(at, answer.response_to::<LeaveGroupRequest>()),
            Kind::Commit => {}
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        let at = now.time;
        self.commits.expire(at);
        self.take_outcomes(at);
        self.check_session(at);
        self.check_revocation(at);
        self.check_leaving(at);
        self.put_off_beat(at);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) and poll again. May change after any other call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let step = match &self.state {
            State::Joining { .. } | State::Assigning { .. } if self.calling => None,
            State::Joining { at, .. } if !self.is_open(Kind::Join) => Some(*at),
            State::Assigning { until, .. } => Some(*until),
            State::Revoking { deadline, .. } => Some(*deadline),
            State::Leaving { until: Some(until), at } if self.may_leave() => Some((*until).min(*at)),
            State::Leaving { until: Some(until), .. } => Some(*until),
            _ => None,
        };
        let steps = [step, self.next_restore(), self.next_delivery(), self.next_beat()];
        steps.into_iter().chain([self.session_end(), self.commits.next_timeout()]).flatten().min()
    }

    /// What the client should know of coordinators and topics. May change after any call.
    #[must_use]
    pub fn poll_hint(&mut self) -> Option<Hint> {
        self.hints.pop_front()
    }

    /// What happened. May change after any call.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<GroupEvent> {
        self.events.pop_front()
    }

    /// The application has given up the partitions of this assignment: its answer to [`GroupEvent::Revoking`]. Commits made
    /// before are sent first. At any other time it does nothing.
    pub fn revoked(&mut self, now: Now, assignment: u32) {
        let ours = self.held.as_ref().is_some_and(|held| held.number == assignment);
        if let State::Revoking { answered, .. } = &mut self.state
            && ours
        {
            *answered = true;
            self.check_revocation(now.time);
        }
    }

    /// Commits offsets of the partitions of an assignment. Returns an id; the outcome comes as [`GroupEvent::Committed`]. An
    /// offset without a topic id belongs to the topic that has the name in `cluster`.
    ///
    /// Commits are sent in order, one request at a time; those that wait go together. Until `deadline` they are tried again
    /// after errors that pass. A commit of an assignment that has ended is refused with [`ErrorKind::StaleCommit`](crate::ErrorKind::StaleCommit) and never sent.
    pub fn commit(
        &mut self,
        now: Now,
        assignment: u32,
        offsets: Vec<CommitOffset>,
        deadline: Time,
        cluster: &Cluster,
    ) -> u64 {
        let id = match self.check_commit(assignment, &offsets) {
            Ok(()) => self.commits.add(now.time, offsets, deadline, cluster),
            Err(error) => self.commits.refuse(error),
        };
        self.take_outcomes(now.time);
        id
    }

    /// Whether nothing is open and nothing will happen by itself: never subscribed, left, or fenced.
    #[cfg(test)]
    pub fn is_quiescent(&self) -> bool {
        matches!(self.state, State::Idle) && self.open.is_empty()
    }

    /// A step towards an assignment failed.
    fn setback(&mut self, now: Time, verdict: Verdict, error: Error) {
        let at = match verdict {
            Verdict::Fenced => return self.stop(now, error),
            Verdict::Refused => {
                self.report(error);
                now + self.config.join_backoff
            }
            Verdict::Retry { lookup } => {
                if lookup {
                    self.look_up();
                }
                self.struggle(now, error);
                now + self.pause()
            }
            _ => {
                if verdict == Verdict::UnknownMember {
                    self.member_id = Str::default();
                }
                self.struggle(now, error);
                self.soon(now)
            }
        };
        self.rejoin(at);
    }

    fn rejoin(&mut self, at: Time) {
        self.state = State::Joining { at, offers: None };
        self.calling = false;
        self.generation = -1;
        self.pulse = None;
        self.layout = None;
        self.unrestored = None;
        self.turn += 1;
    }

    /// The coordinator cannot be found or reached for the moment, so that what was asked of it waits.
    pub fn unreachable(&mut self, now: Now, error: &Error) {
        if !matches!(self.state, State::Idle | State::Stable | State::Leaving { .. }) {
            self.struggle(now.time, error.clone());
        }
    }

    /// A step towards an assignment failed, or may have; it is told if that lasts.
    fn struggle(&mut self, now: Time, error: Error) {
        let passes = retry::of_error(&error) != Verdict::Refused;
        if self.trouble.lasts(now, now, retry::GRACE, Gravity::of(passes)) {
            let error = error.with_group(&self.config.group_id);
            match passes {
                true => self.events.push_back(GroupEvent::Notice(error)),
                false => self.report(error),
            }
        }
    }

    /// Our instance id belongs to another now.
    fn stop(&mut self, now: Time, error: Error) {
        self.rejoin(now);
        self.state = State::Idle;
        self.member_id = Str::default();
        self.lose(error.clone());
        self.events.push_back(GroupEvent::Failed(error));
    }

    /// Now, unless that was the answer too often of late.
    fn soon(&mut self, now: Time) -> Time {
        self.haste += 1;
        if self.haste <= HASTE { now } else { now + self.pause() }
    }

    fn pause(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.backoff.pause(self.failures - 1)
    }

    /// Tells an error, once until the next assignment.
    fn report(&mut self, error: Error) {
        self.report_as(GroupEvent::Failed, error);
    }

    /// Tells a trouble that should pass, if it has lasted for a while; an unknown topic is an error then, anything else a notice.
    fn report_lasting(&mut self, now: Time, since: Time, error: Error) {
        if now >= since + retry::GRACE {
            let is_unknown = commits::is_of_unknown_topic(&error);
            self.report_as(if is_unknown { GroupEvent::Failed } else { GroupEvent::Notice }, error);
        }
    }

    fn report_as(&mut self, event: fn(Error) -> GroupEvent, error: Error) {
        let known = |e: &Error| e.kind() == error.kind() && e.context().topic == error.context().topic;
        // Of topics there are only so many; texts of other errors may be any.
        let has_room = error.context().topic.is_some() || self.reported.len() < 16;
        if !self.reported.iter().any(known) && has_room {
            self.reported.push(error.clone());
            self.events.push_back(event(error));
        }
    }

    /// Whether the coordinator knows it, as far as was told.
    pub(crate) fn is_member(&self) -> bool {
        !self.member_id.is_empty()
    }

    fn look_up(&mut self) {
        let hint = Hint::NotCoordinator(CoordinatorKind::Group, self.config.group_id.clone());
        if !self.hints.contains(&hint) {
            self.hints.push_back(hint);
        }
    }

    /// A topic that the coordinator does not know may have been made anew, under another id.
    fn doubt_topic(&mut self, error: &Error) {
        let topic = error.context().topic.clone().filter(|_| commits::is_of_unknown_topic(error));
        let hint = topic.map(Hint::Refresh).filter(|hint| !self.hints.contains(hint));
        self.hints.extend(hint);
    }

    fn subscription_is_current(&self) -> bool {
        let sorted = |topics: &[Str]| topics.iter().cloned().collect::<BTreeSet<_>>();
        sorted(&self.joined) == sorted(&self.subscribed)
    }

    fn watch_own_topics(&mut self) {
        self.watched.clone_from(&self.subscribed);
    }

    fn is_open(&self, kind: Kind) -> bool {
        self.open.iter().any(|o| o.kind == kind)
    }

    fn ask(&mut self, kind: Kind, now: Time, timeout: Duration, request: impl Request) -> Ask {
        self.next_tag += 1;
        let tag = self.next_tag;
        self.open.push(Open { tag, kind, turn: self.turn, sent: now });
        let target = Target::Coordinator(CoordinatorKind::Group, self.config.group_id.clone());
        Ask { tag, target, lane: Lane::Group(self.id), request: request.into(), timeout }
    }

    fn error(&self, api: ApiKey, code: ErrorCode) -> Error {
        Error::of_code(code).with_api(api).with_group(&self.config.group_id)
    }
}
