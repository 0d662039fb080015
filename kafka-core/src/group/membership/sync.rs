//! SyncGroup: the leader hands out what its assignor made, every member gets its part.

use super::join::{CONSUMER, Round};
use super::{Kind, Membership, State, unexpected};
use crate::client::cluster::{Cluster, TopicPartition};
use crate::client::machine::Ask;
use crate::error::{Error, ErrorKind};
use crate::group::assignor::{Assignor, Member, Topics};
use crate::group::retry::{self, Verdict};
use crate::group::subscription::Assignment;
use kafka_proto::ResponseKind;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use kafka_proto::{ApiKey, Bytes, Str};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

impl Membership {
    pub(super) fn ask_sync(&mut self, now: Instant, cluster: &Cluster) -> Option<Ask> {
        self.share_out(now, cluster);
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
        Some(self.ask(Kind::Sync, now, timeout, request.into()))
    }

    /// The leader's part, once the metadata is there.
    fn share_out(&mut self, now: Instant, cluster: &Cluster) {
        let State::Assigning { round, until } = &self.state else { return };
        if *until > now && self.watched.iter().any(|topic| cluster.topic(topic).is_none()) {
            return;
        }
        match assignments(round, &Topics::of(cluster, &self.watched)) {
            Ok(assignments) => {
                self.layout = Some(layout(&self.watched, cluster));
                self.layout_news = false;
                self.state = State::Syncing { assignments: Some(assignments) };
            }
            Err(error) => {
                let error = error.group(&self.config.group_id);
                self.setback(now, Verdict::Refused, error);
            }
        }
    }

    pub(super) fn sync_answered(&mut self, now: Instant, result: Result<ResponseKind, Error>) {
        if matches!(self.state, State::Leaving { .. }) {
            return self.check_leaving(now);
        }
        let (verdict, error) = match result {
            Ok(ResponseKind::SyncGroup(response)) => match ErrorCode::from(response.error_code) {
                ErrorCode::None => return self.synced(now, &response.assignment),
                code => (retry::of_code(code), self.error(ApiKey::SyncGroup, code)),
            },
            Ok(_) => (Verdict::Refused, unexpected(ApiKey::SyncGroup)),
            Err(error) => (retry::of_error(&error), error),
        };
        self.setback(now, verdict, error);
    }

    fn synced(&mut self, now: Instant, blob: &Bytes) {
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
                let error = error.api(ApiKey::SyncGroup).group(&self.config.group_id);
                self.setback(now, Verdict::Refused, error);
            }
        }
    }

    /// As leader: whether topics have other numbers of partitions than when they were shared out.
    pub(super) fn check_layout(&mut self, now: Instant, cluster: &Cluster) {
        let Some(known) = self.layout.as_ref().filter(|_| self.layout_news) else { return };
        if !matches!(self.state, State::Stable | State::Restoring { .. }) {
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

/// What the assignor says, as it goes to the coordinator.
fn assignments(round: &Round, topics: &Topics) -> Result<Vec<SyncGroupRequestAssignment>, Error> {
    if round.skip {
        return Ok(Vec::new());
    }
    // The assignor may be the application's: its panic must not take the client along.
    let given = catch_unwind(AssertUnwindSafe(|| round.assignor.assign(&round.members, topics)));
    let given = given.map_err(|_| "panicked".to_owned());
    let checked = given.and_then(|given| check(&round.members, &given, topics).map(|()| given));
    let problem = |p| bad_assignor(&*round.assignor, p);
    let each = |(member, partitions): (&Member, Vec<TopicPartition>)| SyncGroupRequestAssignment {
        member_id: member.id.clone(),
        assignment: Assignment { partitions, user_data: None }.encode(),
        ..Default::default()
    };
    Ok(round.members.iter().zip(checked.map_err(problem)?).map(each).collect())
}

/// An assignor did what it must not.
pub(super) fn bad_assignor(assignor: &dyn Assignor, problem: impl Display) -> Error {
    Error::new(ErrorKind::Assignor(format!("`{}` {problem}", assignor.name())))
}

/// Each partition exists, goes to one member, and to one that wants it.
fn check(members: &[Member], given: &[Vec<TopicPartition>], topics: &Topics) -> Result<(), String> {
    if members.len() != given.len() {
        return Err(format!("made {} lists for {} members", given.len(), members.len()));
    }
    let mut taken = BTreeSet::new();
    for (member, partitions) in members.iter().zip(given) {
        for one @ TopicPartition { topic, partition } in partitions {
            let exists = usize::try_from(*partition).is_ok_and(|p| p < topics.count(topic));
            if !exists || !member.topics.contains(topic) {
                return Err(format!("gave {topic}-{partition} to {}, which cannot have it", member.id));
            }
            if !taken.insert(one) {
                return Err(format!("gave {topic}-{partition} to two members"));
            }
        }
    }
    Ok(())
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
            Err(Error::new(ErrorKind::Decode(problem.to_owned())).partition(&p.topic, p.partition))
        }
    }
}
