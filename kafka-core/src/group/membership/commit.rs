//! OffsetCommit: what may be committed, by whom it is carried, and what its answer means for the membership.

use super::{Kind, Membership, State};
use crate::declare::checks::millis;
use crate::error::{Error, ErrorKind};
use crate::group::commits;
use crate::group::event::{CommitOffset, GroupEvent};
use crate::group::retry::{self, Verdict};
use crate::machine::{Ask, Time};
use crate::snapshot::{Cluster, TopicPartition};
use crate::trouble::Gravity;
use kafka_proto::messages::offset_commit::{OffsetCommitRequest, OffsetCommitResponse};

impl Membership {
    pub(super) fn check_commit(&self, assignment: u32, offsets: &[CommitOffset]) -> Result<(), Error> {
        let group = &self.config.group_id;
        let open = match self.state {
            State::Stable | State::Revoking { answered: false, .. } => true,
            State::Leaving { .. } => return Err(Error::new(ErrorKind::Closed).with_group(group)),
            _ => false,
        };
        let held = self.held.as_ref().filter(|held| open && held.number == assignment);
        let held = held.ok_or_else(|| commits::stale(group))?;
        for offset in offsets {
            let TopicPartition { topic, partition } = &offset.partition;
            if !held.partitions.contains(&offset.partition) {
                return Err(commits::stale(group).with_partition(topic, *partition));
            }
            if offset.offset < 0 {
                let kind = ErrorKind::Misuse("a committed offset cannot be negative");
                return Err(Error::new(kind).with_group(group).with_partition(topic, *partition));
            }
        }
        Ok(())
    }

    pub(super) fn ask_commit(&mut self, now: Time, cluster: &Cluster) -> Option<Ask> {
        if self.is_open(Kind::Commit) || self.pulse.is_none() {
            return None;
        }
        let Some(topics) = self.commits.next_request(now, cluster) else {
            // Those that waited may have failed, for want of their topic.
            self.take_outcomes(now);
            return None;
        };
        self.tell_outcomes();
        let request = OffsetCommitRequest {
            group_id: self.config.group_id.clone(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.member_id.clone(),
            group_instance_id: self.config.instance_id.clone(),
            retention_time_ms: self.config.retention.map_or(-1, |time| millis(time).into()),
            topics,
            ..Default::default()
        };
        Some(self.ask(Kind::Commit, now, self.config.request_timeout, request))
    }

    pub(super) fn commit_answered(&mut self, now: Time, result: Result<OffsetCommitResponse, Error>) {
        let hurried = matches!(self.state, State::Revoking { .. } | State::Leaving { .. });
        let (of_held, since) = (self.commits.is_of_held(), self.commits.since().unwrap_or(now));
        let (verdict, error) = self.commits.answered(now, result, &mut self.backoff, hurried);
        self.take_outcomes(now);
        let Some(error) = error else { return self.commit_trouble.is_over() };
        if !of_held {
            return;
        }
        if matches!(verdict, Verdict::Retry { .. })
            && self.commit_trouble.lasts(now, since, retry::GRACE, Gravity::Passes)
        {
            self.events.push_back(GroupEvent::Notice(error.clone()));
        }
        match verdict {
            Verdict::Retry { lookup: true } => self.look_up(),
            Verdict::Retry { lookup: false } => self.doubt_topic(&error),
            Verdict::Rebalance => self.rebalance(now),
            Verdict::UnknownMember | Verdict::IllegalGeneration | Verdict::Fenced => {
                self.expelled(now, verdict, error);
            }
            _ => {}
        }
    }

    /// Hands on what became of commits, and goes on with what waited for them.
    pub(super) fn take_outcomes(&mut self, now: Time) {
        self.tell_outcomes();
        self.check_revocation(now);
        self.check_leaving(now);
    }

    pub(super) fn tell_outcomes(&mut self) {
        while let Some((id, result)) = self.commits.next_outcome() {
            self.events.push_back(GroupEvent::Committed { id, result });
        }
    }
}
