//! SyncGroup: the leader hands out what its assignor made, every member gets its part.

use super::join::CONSUMER;
use super::{Kind, Membership, Session, State};
use crate::error::{Error, ErrorKind};
use crate::group::retry::{self, Verdict};
use crate::group::subscription::Assignment;
use crate::machine::{Ask, Time};
use crate::snapshot::{Cluster, TopicPartition};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use kafka_proto::{ApiKey, Bytes, Str};

impl Membership {
    pub(super) fn ask_sync(&mut self, now: Time) -> Option<Ask> {
        if self.requests.is_open(Kind::Sync) {
            return None;
        }
        let State::Syncing { assignments } = &mut self.state else { return None };
        let assignments = assignments.take()?;
        let request = SyncGroupRequest {
            group_id: self.config.group_id.clone(),
            generation_id: self.generation.id(),
            member_id: self.generation.member_id().clone(),
            group_instance_id: self.config.instance_id.clone(),
            protocol_type: Some(Str::from_static(CONSUMER)),
            protocol_name: Some(self.generation.protocol().clone()),
            assignments,
            ..Default::default()
        };
        let timeout = self.round_timeout();
        Some(self.requests.open(Kind::Sync, now, timeout, request))
    }

    pub(super) fn sync_answered(&mut self, now: Time, result: Result<SyncGroupResponse, Error>) {
        if matches!(self.state, State::Leaving { .. }) {
            return self.check_leaving(now);
        }
        let (verdict, error) = match result {
            Ok(response) => match ErrorCode::from(response.error_code) {
                ErrorCode::None => return self.synced(now, &response.assignment),
                code => (retry::of_code(code), self.error(ApiKey::SyncGroup, code)),
            },
            Err(error) => (retry::of_error(&error), error),
        };
        self.setback(now, verdict, error);
    }

    fn synced(&mut self, now: Time, blob: &Bytes) {
        if !self.topics.is_current() {
            let at = self.retries.soon(now, &mut self.backoff);
            return self.rejoin(at);
        }
        match assigned(blob, self.topics.joined()) {
            Ok(partitions) => {
                self.session = Some(Session::begin(now, &self.config));
                self.restore(now, partitions);
            }
            Err(error) => {
                let error = error.with_api(ApiKey::SyncGroup).with_group(&self.config.group_id);
                self.setback(now, Verdict::Refused, error);
            }
        }
    }

    /// As leader: a topic that has another number of partitions than when they were assigned makes the group rebalance.
    pub(super) fn check_partition_counts(&mut self, now: Time, cluster: &Cluster) {
        let is_assigned = matches!(self.state, State::Stable | State::Restoring);
        if !is_assigned || !self.partition_counts.is_unchecked() {
            return;
        }
        let changed = self.partition_counts.check(cluster);
        if !changed || !self.config.watch_partitions {
            return;
        }
        match self.state {
            State::Stable => self.revoke(now, now),
            _ => self.rejoin(now),
        }
    }
}

/// What we were given, in order.
fn assigned(blob: &Bytes, joined: &[Str]) -> Result<Vec<TopicPartition>, Error> {
    let mut partitions = Assignment::decode(blob)?.partitions;
    partitions.sort();
    partitions.dedup();
    match partitions.iter().find(|p| p.partition < 0 || !joined.contains(&p.topic)) {
        None => Ok(partitions),
        Some(p) => {
            let problem = "the leader assigned a partition that was not subscribed to";
            Err(Error::new(ErrorKind::Decode(problem.to_owned())).with_partition(&p.topic, p.partition))
        }
    }
}
