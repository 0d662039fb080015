//! Giving partitions up: by consent in a rebalance, or losing them.
//!
//! Invariant: what cannot succeed is not waited for while others wait. Commits for a topic that does not exist are sent once
//! more, and fail.

use super::{Membership, State};
use crate::error::{Error, ErrorKind};
use crate::group::event::GroupEvent;
use crate::group::retry::Verdict;
use crate::machine::Time;

impl Membership {
    /// The group rebalances: the application is asked to give up what it has.
    pub(super) fn rebalance(&mut self, now: Time) {
        let calm = self.pulse.as_ref().map_or(now, |pulse| pulse.calm);
        match self.state {
            State::Stable => self.revoke(now, calm),
            State::Restoring => self.rejoin(now),
            _ => {}
        }
    }

    /// `since` is the earliest time at which the coordinator may have begun to count.
    pub(super) fn revoke(&mut self, now: Time, since: Time) {
        match &self.held {
            Some(held) if !held.partitions.is_empty() => {
                let timeout = self.config.rebalance_timeout;
                let deadline = (since + timeout).max(now + timeout / 2);
                self.state = State::Revoking { deadline, answered: false };
                self.commits.hurry(now);
                self.events.push_back(GroupEvent::Revoking { assignment: held.number, deadline });
            }
            _ => {
                self.held = None;
                self.rejoin(now);
            }
        }
    }

    pub(super) fn check_revocation(&mut self, now: Time) {
        let State::Revoking { deadline, answered } = self.state else { return };
        if answered && (self.commits.is_idle() || deadline <= now) {
            self.held = None;
            self.commits.end();
            self.tell_outcomes();
            self.rejoin(now);
        } else if deadline <= now {
            let kind = ErrorKind::TimedOut { after: self.config.rebalance_timeout, last: None };
            let detail = "the application did not call the reader, which would have given its partitions up";
            self.lose(Error::new(kind).with_group(&self.config.group_id).with_detail(detail));
            self.rejoin(now);
        }
    }

    /// The assignment is gone without the application's consent; what it has given up already is not told as lost.
    pub(super) fn lose(&mut self, error: Error) {
        let given_up = matches!(self.state, State::Revoking { answered: true, .. });
        let held = self.held.take().filter(|_| !given_up);
        self.commits.end();
        self.tell_outcomes();
        if let Some(held) = held.filter(|held| !held.partitions.is_empty()) {
            self.events.push_back(GroupEvent::Lost { assignment: held.number, error });
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
