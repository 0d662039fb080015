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
//! The modules of the first list below are the steps: `impl Membership`, which goes from one [`State`] to the next and carries
//! results from one part to the other. Those of the second list are the parts. A part keeps its own invariants behind
//! private fields, and knows nothing of the whole.
//!
//! Invariants:
//! * While subscribed, something is always open, timed, asked of an assignor, or waiting for the application.
//! * The [`Session`] is there exactly while the coordinator expects heartbeats of us: from SyncGroup's answer to the next
//!   JoinGroup.
//! * What should pass by itself and lasts (steps, heartbeats, commits) is reported once, until it is over.
//! * An assignment that was reported is ended by `Revoking` + `revoked`, or `Lost`, before another is reported.

mod calls;
mod commit;
mod heartbeat;
mod join;
mod leave;
mod restore;
mod revoke;
mod sync;

mod assignments;
mod generation;
mod hints;
mod members;
mod partition_counts;
mod reports;
mod requests;
mod retries;
mod session;
mod topics;
mod unrestored;

#[cfg(test)]
mod tests;

pub(crate) use self::calls::{AssignorAnswer, AssignorCall};

use self::assignments::Assignments;
use self::calls::Round;
use self::generation::Generation;
use self::hints::Hints;
use self::members::UnreadableMembers;
use self::partition_counts::PartitionCounts;
use self::reports::Reports;
use self::requests::{Kind, Requests};
use self::retries::Retries;
use self::session::Session;
use self::topics::SubscribedTopics;
use self::unrestored::Unrestored;
use super::commits::Commits;
use super::config::GroupConfig;
use super::event::{CommitOffset, GroupEvent};
use super::retry::{Backoff, Verdict};
use crate::error::Error;
use crate::machine::{Answer, Ask, Hint, MachineId, Now, Time};
use crate::snapshot::Cluster;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::heartbeat::HeartbeatRequest;
use kafka_proto::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use kafka_proto::messages::leave_group::LeaveGroupRequest;
use kafka_proto::messages::offset_commit::OffsetCommitRequest;
use kafka_proto::messages::offset_fetch::OffsetFetchRequest;
use kafka_proto::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use kafka_proto::{ApiKey, Str};
use std::sync::Arc;

/// One member of a consumer group.
///
/// Any order of calls is valid. After each call poll calls, asks, hints and events until there are none, then the timeout.
#[derive(Debug)]
pub(crate) struct Membership {
    config: Arc<GroupConfig>,
    state: State,
    topics: SubscribedTopics,
    requests: Requests,
    generation: Generation,
    session: Option<Session>,
    /// As leader.
    unreadable: UnreadableMembers,
    /// As leader.
    partition_counts: PartitionCounts,
    unrestored: Option<Unrestored>,
    assignments: Assignments,
    commits: Commits,
    /// The pauses of all requests, from one random number generator.
    backoff: Backoff,
    retries: Retries,
    hints: Hints,
    reports: Reports,
}

#[derive(Debug)]
enum State {
    /// Not subscribed, left, or fenced.
    Idle,
    /// JoinGroup must be sent at this time, once the assignors have made their offers, or is open.
    Joining { at: Time, offers: Option<Vec<JoinGroupRequestProtocol>> },
    /// The leader waits for the metadata of all topics, then for its assignor, which has the round meanwhile.
    Assigning { round: Option<Round>, until: Time },
    /// SyncGroup must be sent, or is open (`None`).
    Syncing { assignments: Option<Vec<SyncGroupRequestAssignment>> },
    /// The offsets of the partitions are asked for; nothing was reported yet.
    Restoring,
    /// An assignment was reported. Offsets of some of its partitions may still be asked for.
    Stable,
    /// The application gives its partitions up; when it has, its commits are still waited for.
    Revoking { deadline: Time, answered: bool },
    /// Commits are waited for (`until` not set), then LeaveGroup must be sent at `at`, or is open.
    Leaving { until: Option<Time>, at: Time },
}

impl Membership {
    /// Creates a member that does nothing until it [subscribes](Self::subscribe). `id` is its lane, `seed` the source of its
    /// jitter.
    pub(crate) fn new(id: MachineId, config: Arc<GroupConfig>, seed: u64) -> Self {
        let group = || config.group_id.clone();
        Self {
            state: State::Idle,
            topics: SubscribedTopics::default(),
            requests: Requests::new(id, group()),
            generation: Generation::none(),
            session: None,
            unreadable: UnreadableMembers::default(),
            partition_counts: PartitionCounts::default(),
            unrestored: None,
            assignments: Assignments::default(),
            commits: Commits::new(group()),
            backoff: Backoff::new(&config, seed),
            retries: Retries::default(),
            hints: Hints::new(group()),
            reports: Reports::new(group()),
            config,
        }
    }

    /// Joins the group for these topics, or changes them, which makes the group rebalance. Without topics it is a member that gets no
    /// partitions.
    pub(crate) fn subscribe(&mut self, now: Now, topics: Vec<Str>) {
        let is_leader = self.partition_counts.is_noted() || matches!(self.state, State::Assigning { .. });
        self.topics.subscribe(topics, is_leader);
        match self.state {
            State::Idle => self.rejoin(now.time),
            State::Restoring if !self.topics.is_current() => self.rejoin(now.time),
            State::Stable if !self.topics.is_current() => self.revoke(now.time, now.time),
            _ => {}
        }
    }

    /// Returns whether it has stopped for good, since its instance id belongs to another member, until it subscribes anew.
    pub(crate) fn has_stopped(&self) -> bool {
        self.topics.is_subscribed() && matches!(self.state, State::Idle)
    }

    /// Returns the id of the group.
    pub(crate) fn group(&self) -> &Str {
        &self.config.group_id
    }

    /// Returns the topics whose metadata the client must keep: this member's, and as leader also the other members'.
    pub(crate) fn topics(&self) -> &[Str] {
        self.topics.group()
    }

    /// Takes in that the cluster's metadata changed. A leader whose topics have got another number of partitions makes the
    /// group rebalance.
    pub(crate) fn metadata_changed(&mut self, now: Now, cluster: &Cluster) {
        self.partition_counts.metadata_changed();
        self.check_partition_counts(now.time, cluster);
    }

    /// Returns the next request, if one is due. May change after any other call and with time.
    #[must_use]
    pub(crate) fn poll_ask(&mut self, now: Now, cluster: &Cluster) -> Option<Ask> {
        let at = now.time;
        self.check_partition_counts(at, cluster);
        self.deliver_found(at, cluster);
        self.ask_leave(at)
            .or_else(|| self.ask_heartbeat(at))
            .or_else(|| self.ask_commit(at, cluster))
            .or_else(|| self.ask_join(at))
            .or_else(|| self.ask_sync(at))
            .or_else(|| self.ask_offsets(at, cluster))
    }

    /// Takes the answer to a request. An unknown tag is ignored.
    pub(crate) fn handle_answer(&mut self, now: Now, cluster: &Cluster, answer: Answer) {
        let Some((kind, sent)) = self.requests.close(answer.tag) else { return };
        let at = now.time;
        match kind {
            Kind::Join => self.join_answered(at, cluster, answer.response_to::<JoinGroupRequest>()),
            Kind::Sync => self.sync_answered(at, answer.response_to::<SyncGroupRequest>()),
            Kind::Restore => {
                self.offsets_answered(at, cluster, answer.response_to::<OffsetFetchRequest>());
            }
            Kind::Heartbeat => {
                self.heartbeat_answered(at, sent, answer.response_to::<HeartbeatRequest>());
            }
            Kind::Commit => self.commit_answered(at, answer.response_to::<OffsetCommitRequest>()),
            Kind::Leave => self.leave_answered(at, answer.response_to::<LeaveGroupRequest>()),
        }
    }

    /// Does what is due by now.
    pub(crate) fn handle_timeout(&mut self, now: Now) {
        let at = now.time;
        self.commits.expire(at);
        self.take_outcomes(at);
        self.check_session(at);
        self.check_revocation(at);
        self.check_leaving(at);
        self.postpone_heartbeat(at);
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout) and poll again. May change after any other call.
    #[must_use]
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        let step = match &self.state {
            State::Joining { .. } | State::Assigning { .. } if self.requests.is_calling() => None,
            State::Joining { at, .. } if !self.requests.is_open(Kind::Join) => Some(*at),
            State::Assigning { until, .. } => Some(*until),
            State::Revoking { deadline, .. } => Some(*deadline),
            State::Leaving { until: Some(until), at } if self.may_leave() => Some((*until).min(*at)),
            State::Leaving { until: Some(until), .. } => Some(*until),
            _ => None,
        };
        let steps = [step, self.next_restore(), self.next_delivery(), self.next_heartbeat()];
        steps.into_iter().chain([self.session_end(), self.commits.next_timeout()]).flatten().min()
    }

    /// Returns the next hint on coordinators and topics. May change after any call.
    #[must_use]
    pub(crate) fn poll_hint(&mut self) -> Option<Hint> {
        self.hints.pop()
    }

    /// Returns the next event. May change after any call.
    #[must_use]
    pub(crate) fn poll_event(&mut self) -> Option<GroupEvent> {
        self.reports.pop()
    }

    /// The application has given up the partitions of this assignment: its answer to [`GroupEvent::Revoking`]. Commits made
    /// before are sent first. At any other time it does nothing.
    pub(crate) fn revoked(&mut self, now: Now, assignment: u32) {
        let ours = self.assignments.is_held(assignment);
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
    pub(crate) fn commit(
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

    /// Returns whether nothing is open and nothing will happen by itself: never subscribed, left, or fenced.
    #[cfg(test)]
    pub(crate) fn is_quiescent(&self) -> bool {
        matches!(self.state, State::Idle) && self.requests.is_idle()
    }

    /// A step towards an assignment failed.
    fn setback(&mut self, now: Time, verdict: Verdict, error: Error) {
        let at = match verdict {
            Verdict::Fenced => return self.stop(now, error),
            Verdict::Refused => {
                self.reports.report(error);
                now + self.config.join_backoff
            }
            Verdict::Retry { lookup } => {
                if lookup {
                    self.hints.find_coordinator();
                }
                self.reports.step_failed(now, error);
                now + self.retries.pause(&mut self.backoff)
            }
            _ => {
                if verdict == Verdict::UnknownMember {
                    self.generation.forget_member();
                }
                self.reports.step_failed(now, error);
                self.retries.soon(now, &mut self.backoff)
            }
        };
        self.rejoin(at);
    }

    fn rejoin(&mut self, at: Time) {
        self.state = State::Joining { at, offers: None };
        self.requests.begin_turn();
        self.generation.end();
        self.session = None;
        self.partition_counts.forget();
        self.unrestored = None;
    }

    /// The coordinator cannot be found or reached for the moment, so that what was asked of it waits.
    pub(crate) fn unreachable(&mut self, now: Now, error: &Error) {
        if !matches!(self.state, State::Idle | State::Stable | State::Leaving { .. }) {
            self.reports.step_failed(now.time, error.clone());
        }
    }

    /// Our instance id belongs to another now.
    fn stop(&mut self, now: Time, error: Error) {
        self.rejoin(now);
        self.state = State::Idle;
        self.generation.forget_member();
        self.lose(error.clone());
        self.reports.push(GroupEvent::Failed(error));
    }

    /// Returns whether the coordinator gave this member an id.
    pub(crate) fn is_member(&self) -> bool {
        self.generation.is_member()
    }

    fn error(&self, api: ApiKey, code: ErrorCode) -> Error {
        Error::of_code(code).with_api(api).with_group(&self.config.group_id)
    }
}
