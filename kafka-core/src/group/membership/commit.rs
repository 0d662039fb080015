//! OffsetCommit: what may be committed, which generation carries it, and what its answer means for the membership.

use super::{Kind, Membership, State};
use crate::declare::checks::millis;
use crate::error::{Error, ErrorKind};
use crate::group::commits::{self, CommitFailure};
use crate::group::event::{CommitOffset, GroupEvent};
use crate::group::retry::Verdict;
use crate::machine::{Ask, Time};
use crate::snapshot::Cluster;
use kafka_proto::messages::offset_commit::{OffsetCommitRequest, OffsetCommitResponse};

impl Membership {
    pub(super) fn check_commit(&self, assignment: u32, offsets: &[CommitOffset]) -> Result<(), Error> {
        let group = &self.config.group_id;
        match self.state {
            State::Stable | State::Revoking { answered: false, .. } => {
                self.assignments.check_commit(assignment, offsets, group)
            }
            State::Leaving { .. } => Err(Error::new(ErrorKind::Closed).with_group(group)),
            _ => Err(commits::stale(group)),
        }
    }

    pub(super) fn ask_commit(&mut self, now: Time, cluster: &Cluster) -> Option<Ask> {
        if self.requests.is_open(Kind::Commit) || self.session.is_none() {
            return None;
        }
        let Some(topics) = self.commits.next_request(now, cluster) else {
            // Those that waited may have failed, for want of their topic.
            self.take_outcomes(now);
            return None;
        };
        self.report_outcomes();
        let request = OffsetCommitRequest {
            group_id: self.config.group_id.clone(),
            generation_id_or_member_epoch: self.generation.id(),
            member_id: self.generation.member_id().clone(),
            group_instance_id: self.config.instance_id.clone(),
            retention_time_ms: self.config.retention.map_or(-1, |time| millis(time).into()),
            topics,
            ..Default::default()
        };
        Some(self.requests.open(Kind::Commit, now, self.config.request_timeout, request))
    }

    pub(super) fn commit_answered(&mut self, now: Time, result: Result<OffsetCommitResponse, Error>) {
        let hurried = matches!(self.state, State::Revoking { .. } | State::Leaving { .. });
        let failure = self.commits.answered(now, result, &mut self.backoff, hurried);
        self.take_outcomes(now);
        let Some(CommitFailure { verdict, error, is_lasting }) = failure else { return };
        if is_lasting {
            self.reports.push(GroupEvent::Notice(error.clone()));
        }
        match verdict {
            Verdict::Retry { lookup: true } => self.hints.find_coordinator(),
            Verdict::Retry { lookup: false } => self.hints.mark_topic_stale(&error),
            Verdict::Rebalance => self.rebalance(now),
            Verdict::UnknownMember | Verdict::IllegalGeneration | Verdict::Fenced => {
                self.expelled(now, verdict, error);
            }
            _ => {}
        }
    }

    /// Reports what became of commits, and goes on with what waited for them.
    pub(super) fn take_outcomes(&mut self, now: Time) {
        self.report_outcomes();
        self.check_revocation(now);
        self.check_leaving(now);
    }

    pub(super) fn report_outcomes(&mut self) {
        while let Some((id, result)) = self.commits.next_outcome() {
            self.reports.push(GroupEvent::Committed { id, result });
        }
    }
}
