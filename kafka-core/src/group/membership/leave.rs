//! Leaving: commits first, then LeaveGroup, neither for longer than its time.

use super::{Kind, Membership, State};
use crate::error::Error;
use crate::group::event::GroupEvent;
use crate::group::retry::{self, Verdict};
use crate::machine::{Ask, Lane, Now, Time};
use kafka_proto::Str;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity};
use std::time::Duration;

/// How long LeaveGroup is tried. After that the session ends by itself.
const PATIENCE: Duration = Duration::from_secs(5);

impl Membership {
    /// Gives the membership up: commits that were made are sent, within their deadlines, then LeaveGroup, then
    /// [`GroupEvent::Left`] is reported, at the latest 5 s after the last commit. A static member sends no LeaveGroup,
    /// so that it may come back (KIP-345). A JoinGroup that waits at the coordinator is overtaken on another connection.
    pub(crate) fn leave(&mut self, now: Now) {
        self.topics.unsubscribe();
        match self.state {
            State::Leaving { .. } => {}
            State::Idle => self.finish_leaving(now.time),
            _ => {
                self.state = State::Leaving { until: None, at: now.time };
                self.commits.hurry(now.time);
                self.check_leaving(now.time);
            }
        }
    }

    /// Returns whether LeaveGroup can be sent, and has a member to name.
    pub(super) fn may_leave(&self) -> bool {
        let is_open = self.requests.is_open(Kind::Leave);
        !is_open && self.generation.is_member() && self.config.instance_id.is_none()
    }

    pub(super) fn ask_leave(&mut self, now: Time) -> Option<Ask> {
        let due = matches!(self.state, State::Leaving { until: Some(_), at } if at <= now);
        if !due || !self.may_leave() {
            return None;
        }
        let request = LeaveGroupRequest {
            group_id: self.config.group_id.clone(),
            members: vec![MemberIdentity {
                member_id: self.generation.member_id().clone(),
                reason: Some(Str::from_static("the consumer was closed")),
                ..Default::default()
            }],
            ..Default::default()
        };
        let behind_a_join = [Kind::Join, Kind::Sync].iter().any(|kind| self.requests.is_open(*kind));
        let timeout = PATIENCE.min(self.config.request_timeout);
        let ask = self.requests.open(Kind::Leave, now, timeout, request);
        Some(if behind_a_join { Ask { lane: Lane::Other, ..ask } } else { ask })
    }

    pub(super) fn leave_answered(&mut self, now: Time, result: Result<LeaveGroupResponse, Error>) {
        let verdict = match result {
            Ok(response) => {
                let ours = response.members.iter().filter(|m| m.member_id == *self.generation.member_id());
                let members = ours.map(|m| m.error_code);
                let codes = std::iter::once(response.error_code).chain(members);
                let verdicts = codes.map(|code| retry::of_code(ErrorCode::from(code)));
                verdicts.max_by_key(|v| matches!(v, Verdict::Retry { .. })).unwrap_or(Verdict::Fine)
            }
            Err(error) => retry::of_error(&error),
        };
        let Verdict::Retry { lookup } = verdict else { return self.finish_leaving(now) };
        if lookup {
            self.hints.find_coordinator();
        }
        let pause = self.retries.pause(&mut self.backoff);
        if let State::Leaving { at, .. } = &mut self.state {
            *at = now + pause;
        }
        self.check_leaving(now);
    }

    /// Goes on from commits to LeaveGroup, and to the end when there is no member to name or the time is over.
    pub(super) fn check_leaving(&mut self, now: Time) {
        let State::Leaving { until, at } = &mut self.state else { return };
        if until.is_none() && self.commits.is_idle() {
            (*until, *at) = (Some(now + PATIENCE), now);
            self.session = None;
        }
        let Some(until) = *until else { return };
        let id_may_come = self.requests.is_open(Kind::Join);
        let static_member = self.config.instance_id.is_some();
        if until <= now || static_member || !(self.generation.is_member() || id_may_come) {
            self.finish_leaving(now);
        }
    }

    pub(super) fn finish_leaving(&mut self, now: Time) {
        self.rejoin(now);
        self.assignments.end();
        self.state = State::Idle;
        self.generation.forget_member();
        self.commits.abort();
        self.topics.follow();
        self.report_outcomes();
        self.reports.push(GroupEvent::Left);
        if self.topics.is_subscribed() {
            self.rejoin(now);
        }
    }
}
