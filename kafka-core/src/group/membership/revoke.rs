//! Giving partitions up: by consent in a rebalance, or losing them.
//!
//! Invariant: what cannot succeed is not waited for while others wait. Commits for a topic that does not exist are sent once
//! more, and fail.

use super::{Membership, Session, State};
use crate::error::{Error, ErrorKind};
use crate::group::event::GroupEvent;
use crate::group::retry::Verdict;
use crate::machine::Time;

impl Membership {
    /// The group rebalances: the application is asked to give up what it has.
    pub(super) fn rebalance(&mut self, now: Time) {
        let calm = self.session.as_ref().map_or(now, Session::calm);
        match self.state {
            State::Stable => self.revoke(now, calm),
            State::Restoring => self.rejoin(now),
            _ => {}
        }
    }

    /// `since` is the earliest time at which the coordinator may have begun to count.
    pub(super) fn revoke(&mut self, now: Time, since: Time) {
        let Some(assignment) = self.assignments.to_give_up() else {
            self.assignments.end();
            return self.rejoin(now);
        };
        let timeout = self.config.rebalance_timeout;
        let deadline = (since + timeout).max(now + timeout / 2);
        self.state = State::Revoking { deadline, answered: false };
        self.commits.hurry(now);
        self.reports.push(GroupEvent::Revoking { assignment, deadline });
    }

    pub(super) fn check_revocation(&mut self, now: Time) {
        let State::Revoking { deadline, answered } = self.state else { return };
        if answered && (self.commits.is_idle() || deadline <= now) {
            self.assignments.end();
            self.commits.end();
            self.report_outcomes();
            self.rejoin(now);
        } else if deadline <= now {
            let kind = ErrorKind::TimedOut { after: self.config.rebalance_timeout, last: None };
            let detail = "the application did not call the reader, which would have given its partitions up";
            self.lose(Error::new(kind).with_group(&self.config.group_id).with_detail(detail));
            self.rejoin(now);
        }
    }

    /// The assignment is gone without the application's consent; what it has given up already is not reported as lost.
    pub(super) fn lose(&mut self, error: Error) {
        let given_up = matches!(self.state, State::Revoking { answered: true, .. });
        let assignment = self.assignments.end().filter(|_| !given_up);
        self.commits.end();
        self.report_outcomes();
        if let Some(assignment) = assignment {
            self.reports.push(GroupEvent::Lost { assignment, error });
        }
    }

    /// The coordinator does not count us as a member of this generation any more.
    pub(super) fn expelled(&mut self, now: Time, verdict: Verdict, error: Error) {
        if matches!(self.state, State::Leaving { .. }) {
            return self.finish_leaving(now);
        }
        self.lose(error.clone());
        self.setback(now, verdict, error);
    }
}
