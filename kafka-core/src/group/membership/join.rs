//! JoinGroup: asking to be a member, and as leader getting to know the others.

use super::calls::Round;
use super::{Kind, Membership, State};
use crate::declare::checks::millis;
use crate::error::Error;
use crate::group::assignor::Assignor;
use crate::group::event::GroupEvent;
use crate::group::retry::{self, Verdict};
use crate::machine::{Ask, Time};
use crate::snapshot::Cluster;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::join_group::{JoinGroupRequest, JoinGroupResponse};
use kafka_proto::{ApiKey, Str};
use std::sync::Arc;
use std::time::Duration;

/// The protocol type of consumers.
pub(super) const CONSUMER: &str = "consumer";

/// How long the leader waits for topics without metadata. They may not exist; should they turn up later, their number of
/// partitions has changed, which makes the group rebalance.
const METADATA_WAIT: Duration = Duration::from_secs(2);

/// JoinGroup and SyncGroup are answered by the end of the rebalance; this much is for the way.
const LAPSE: Duration = Duration::from_secs(5);

impl Membership {
    pub(super) fn ask_join(&mut self, now: Time) -> Option<Ask> {
        let State::Joining { at, offers } = &mut self.state else { return None };
        if *at > now || self.requests.is_open(Kind::Join) || !self.topics.is_current() {
            return None;
        }
        let protocols = offers.take()?;
        let request = JoinGroupRequest {
            group_id: self.config.group_id.clone(),
            session_timeout_ms: millis(self.config.session_timeout),
            rebalance_timeout_ms: millis(self.config.rebalance_timeout),
            member_id: self.generation.member_id().clone(),
            group_instance_id: self.config.instance_id.clone(),
            protocol_type: Str::from_static(CONSUMER),
            protocols,
            ..Default::default()
        };
        let timeout = self.round_timeout();
        Some(self.requests.open(Kind::Join, now, timeout, request))
    }

    /// How long a request may take that waits for the other members.
    pub(super) fn round_timeout(&self) -> Duration {
        let config = &self.config;
        // Brokers before 0.10.1 use the session timeout as rebalance timeout.
        (config.rebalance_timeout.max(config.session_timeout) + LAPSE).max(config.request_timeout)
    }

    pub(super) fn join_answered(
        &mut self,
        now: Time,
        cluster: &Cluster,
        result: Result<JoinGroupResponse, Error>,
    ) {
        let response = match result {
            Ok(response) => response,
            Err(error) => return self.join_failed(now, retry::of_error(&error), error),
        };
        let code = ErrorCode::from(response.error_code);
        let verdict = retry::of_code(code);
        if matches!(verdict, Verdict::Fine | Verdict::MemberIdRequired) {
            self.generation.set_member_id(response.member_id.clone());
        }
        match self.state {
            State::Leaving { .. } => self.check_leaving(now),
            _ if verdict == Verdict::Fine => self.join_succeeded(now, cluster, response),
            _ => self.join_failed(now, verdict, self.error(ApiKey::JoinGroup, code)),
        }
    }

    fn join_failed(&mut self, now: Time, verdict: Verdict, error: Error) {
        match self.state {
            State::Leaving { .. } => self.check_leaving(now),
            _ => self.setback(now, verdict, error),
        }
    }

    fn join_succeeded(&mut self, now: Time, cluster: &Cluster, mut response: JoinGroupResponse) {
        let name = response.protocol_name.take().unwrap_or_default();
        let Some(assignor) = self.config.assignors.iter().find(|a| *a.name() == *name).cloned() else {
            let error = self.error(ApiKey::JoinGroup, ErrorCode::InconsistentGroupProtocol);
            let detail = format!("the group uses the assignor `{name}`");
            return self.setback(now, Verdict::Refused, error.with_detail(detail));
        };
        self.generation.begin(response.generation_id, name);
        if response.leader != *self.generation.member_id() {
            self.topics.follow();
            self.state = State::Syncing { assignments: Some(Vec::new()) };
            return;
        }
        self.lead(now, cluster, response, assignor);
    }

    /// The leader needs the metadata of every member's topics.
    fn lead(
        &mut self,
        now: Time,
        cluster: &Cluster,
        response: JoinGroupResponse,
        assignor: Arc<dyn Assignor>,
    ) {
        let (members, unreadable) = self.unreadable.read(response.members);
        for error in unreadable {
            self.reports.push(GroupEvent::Notice(error.with_group(&self.config.group_id)));
        }
        self.topics.lead(&members);
        self.hints.refresh(self.topics.missing(cluster));
        let until = now + METADATA_WAIT.min(self.config.rebalance_timeout / 4);
        let round = Round::new(members, assignor, response.skip_assignment);
        self.state = State::Assigning { round: Some(round), until };
    }
}
