//! JoinGroup: asking to be a member, and as leader getting to know the others.
//!
//! Invariants:
//! * The leader sees each member id once, in order of the ids, whatever the coordinator lists.
//! * What another member sends costs that member its partitions at most, never the round.

use super::{Kind, Membership, State};
use crate::declare::checks::millis;
use crate::error::Error;
use crate::group::assignor::{Assignor, Member};
use crate::group::event::GroupEvent;
use crate::group::retry::{self, Verdict};
use crate::group::subscription::Subscription;
use crate::machine::{Ask, Hint, Time};
use crate::snapshot::Cluster;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember};
use kafka_proto::{ApiKey, Str};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The protocol type of consumers.
pub(super) const CONSUMER: &str = "consumer";

/// What the leader knows while it shares out partitions.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) members: Vec<Member>,
    pub(super) assignor: Arc<dyn Assignor>,
    /// The coordinator keeps the assignment it has (KIP-814).
    pub(super) skip: bool,
}

/// How long the leader waits for topics that it knows nothing of. They may not exist; should they turn up later, the
/// change of the layout makes the group rebalance.
const METADATA_WAIT: Duration = Duration::from_secs(2);

/// JoinGroup and SyncGroup are answered by the end of the rebalance; this much is for the way.
const LAPSE: Duration = Duration::from_secs(5);

impl Membership {
    pub(super) fn ask_join(&mut self, now: Time) -> Option<Ask> {
        if self.is_open(Kind::Join) || !self.subscription_is_current() {
            return None;
        }
        let State::Joining { at, offers } = &mut self.state else { return None };
        let protocols = offers.take_if(|_| *at <= now)?;
        let request = JoinGroupRequest {
            group_id: self.config.group_id.clone(),
            session_timeout_ms: millis(self.config.session_timeout),
            rebalance_timeout_ms: millis(self.config.rebalance_timeout),
            member_id: self.member_id.clone(),
            group_instance_id: self.config.instance_id.clone(),
            protocol_type: Str::from_static(CONSUMER),
            protocols,
            ..Default::default()
        };
        let timeout = self.round_timeout();
        Some(self.ask(Kind::Join, now, timeout, request))
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
            self.member_id = response.member_id.clone();
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

    fn join_succeeded(&mut self, now: Time, cluster: &Cluster, response: JoinGroupResponse) {
        let name = response.protocol_name.unwrap_or_default();
        let Some(assignor) = self.config.assignors.iter().find(|a| *a.name() == *name).cloned() else {
            let error = self.error(ApiKey::JoinGroup, ErrorCode::InconsistentGroupProtocol);
            let detail = format!("the group uses the assignor `{name}`");
            return self.setback(now, Verdict::Refused, error.with_detail(detail));
        };
        self.generation = response.generation_id;
        self.protocol = name;
        if response.leader != self.member_id {
            self.watch_own_topics();
            self.state = State::Syncing { assignments: Some(Vec::new()) };
            return;
        }
        let members = self.members(response.members);
        self.lead(now, cluster, Round { members, assignor, skip: response.skip_assignment });
    }

    /// One entry per member id, by id: assignments go out by id, so that the share of a second entry would be read by nobody.
    fn members(&mut self, listed: Vec<JoinGroupResponseMember>) -> Vec<Member> {
        let by_id: BTreeMap<Str, JoinGroupResponseMember> =
            listed.into_iter().map(|wire| (wire.member_id.clone(), wire)).collect();
        let known = std::mem::take(&mut self.unreadable);
        by_id.into_values().map(|wire| self.member(wire, &known)).collect()
    }

    /// A member whose blob cannot be read counts as one without a subscription. That is reported once while it lasts.
    fn member(&mut self, wire: JoinGroupResponseMember, known: &BTreeSet<Str>) -> Member {
        let subscription = Subscription::decode(&wire.metadata).unwrap_or_else(|error| {
            if !known.contains(&wire.member_id) {
                let detail = format!("member {} gets no partitions", wire.member_id);
                let error =
                    error.with_api(ApiKey::JoinGroup).with_group(&self.config.group_id).with_detail(detail);
                self.events.push_back(GroupEvent::Notice(error));
            }
            self.unreadable.insert(wire.member_id.clone());
            Subscription::default()
        });
        subscription.into_member(wire.member_id, wire.group_instance_id)
    }

    /// The leader needs the metadata of every member's topics.
    fn lead(&mut self, now: Time, cluster: &Cluster, round: Round) {
        let all: BTreeSet<&Str> =
            round.members.iter().flat_map(|m| &m.topics).chain(&self.subscribed).collect();
        self.watched = all.into_iter().cloned().collect();
        let missing = self.watched.iter().filter(|topic| cluster.topic(topic).is_none());
        self.hints.extend(missing.cloned().map(Hint::Refresh));
        let until = now + METADATA_WAIT.min(self.config.rebalance_timeout / 4);
        self.state = State::Assigning { round: Some(round), until };
    }
}
