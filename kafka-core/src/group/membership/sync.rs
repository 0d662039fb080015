//! SyncGroup: the leader hands out what its assignor made, every member gets its part.

use super::join::CONSUMER;
use super::{Kind, Membership, State};
use crate::error::{Error, ErrorKind};
use crate::group::retry::{self, Verdict};
use crate::group::subscription::Assignment;
use crate::machine::{Ask, Time};
use crate::snapshot::{Cluster, TopicPartition};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use kafka_proto::{ApiKey, Bytes, Str};
use std::collections::BTreeMap;

impl Membership {
    pub(super) fn ask_sync(&mut self, now: Time) -> Option<Ask> {
        if self.is_open(Kind::Sync) {
            return None;
        }
        let State::Syncing { assignments } = &mut self.state else { return None };
        let assignments = assignments.take()?;
        let request = SyncGroupRequest {
            group_id: self.config.group_id.clone(),
            generation_id: self.generation,
            member_id: self.member_id.clone(),
            group_instance_id: self.config.instance_id.clone(),
            protocol_type: Some(Str::from_static(CONSUMER)),
            protocol_name: Some(self.protocol.clone()),
            assignments,
            ..Default::default()
        };
        let timeout = self.round_timeout();
        Some(self.ask(Kind::Sync, now, timeout, request))
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
        if !self.subscription_is_current() {
            let at = self.soon(now);
            return self.rejoin(at);
        }
        match assigned(blob, &self.joined) {
            Ok(partitions) => {
                self.start_pulse(now);
                self.restore(now, partitions);
            }
            Err(error) => {
                let error = error.with_api(ApiKey::SyncGroup).with_group(&self.config.group_id);
                self.setback(now, Verdict::Refused, error);
            }
        }
    }

    pub(super) fn note_layout(&mut self, cluster: &Cluster) {
        self.layout = Some(layout(&self.watched, cluster));
        self.layout_news = false;
    }

    /// As leader: whether topics have other numbers of partitions than when they were shared out.
    pub(super) fn check_layout(&mut self, now: Time, cluster: &Cluster) {
        let Some(known) = self.layout.as_ref().filter(|_| self.layout_news) else { return };
        if !matches!(self.state, State::Stable | State::Restoring) {
            return;
        }
        let changed = *known != layout(known.keys(), cluster);
        self.layout_news = false;
        if !changed || !self.config.watch_partitions {
            return;
        }
        match self.state {
            State::Stable => self.revoke(now, now),
            _ => self.rejoin(now),
        }
    }
}

fn layout<'a>(topics: impl IntoIterator<Item = &'a Str>, cluster: &Cluster) -> BTreeMap<Str, usize> {
    let count = |name: &Str| cluster.topic(name).map_or(0, |topic| topic.partitions.len());
    topics.into_iter().map(|name| (name.clone(), count(name))).collect()
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
