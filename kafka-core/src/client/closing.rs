//! The end of a client, which its writers and readers come to first: records are delivered, what was handled is committed,
//! groups are left.
//!
//! Invariants
//! * A client that is closed waits for its parts until the deadline of the call.
//! * A client that nobody holds any more waits for its members to leave their groups, for [`LINGER`] at most.

use super::machine::Now;
use super::promises::OpId;
use super::subscriptions::Subscription;
use super::timers::Timer;
use super::{Client, Event, Writers};
use crate::error::{Error, ErrorKind};
use crate::group::Membership;
use crate::writer::Tickets;
use kafka_proto::{ApiKey, Str};
use std::sync::Arc;
use std::time::Duration;

/// How long the groups are left after the last handle was dropped.
const LINGER: Duration = Duration::from_secs(5);

/// A reader on its way out of its group.
#[derive(Debug)]
pub(crate) struct Leaving {
    reader: u32,
    group: Str,
    /// Of what was handled and not committed yet.
    commits: Vec<OpId>,
}

impl Client {
    /// The writers take no more messages, and send what they took; what has to be waited for.
    pub(crate) fn close_writers(&mut self, now: Now) -> Vec<Arc<Tickets>> {
        let accumulators: Vec<_> = self.writers.values().map(|w| w.accumulator.clone()).collect();
        for accumulator in accumulators {
            accumulator.close();
            self.announce(Event::Memory(Writers(accumulator)));
        }
        let ids: Vec<u32> = self.writers.keys().copied().collect();
        ids.into_iter().flat_map(|id| self.writer_flush(now, id)).collect()
    }

    /// The readers commit what was handled and leave their groups; who has to be waited for.
    pub(crate) fn close_readers(&mut self, now: Now) -> Vec<Leaving> {
        let ids: Vec<u32> = self.reader_machines().map(|(id, _)| id).collect();
        ids.into_iter().filter_map(|id| self.begin_leaving(now, id)).collect()
    }

    fn begin_leaving(&mut self, now: Now, id: u32) -> Option<Leaving> {
        let group = match self.reader_subscription(id)? {
            Subscription::Group(config, ..) => Some(config.group_id.clone()),
            _ => None,
        };
        self.commit_marks(now, id);
        let open = self.marks_under_way(id).into_iter();
        let commits = open.map(|commit| self.expect_commit(id, commit)).collect();
        self.close_reader(now, id);
        Some(Leaving { reader: id, group: group?, commits })
    }

    /// Whether a reader is out of its group.
    pub(crate) fn has_left(&self, leaving: &Leaving) -> bool {
        !self.has_reader(leaving.reader)
    }

    /// What of a reader's end was not done in this time.
    pub(crate) fn not_left(&mut self, leaving: &Leaving, after: Duration) -> Option<Error> {
        let ended: Vec<_> = leaving.commits.iter().filter_map(|commit| self.take(*commit)).collect();
        let error = match self.has_left(leaving) {
            true => ended.into_iter().find_map(|ended: Result<(), Error>| ended.err())?,
            false => {
                Error::new(ErrorKind::TimedOut { after, last: self.last_trouble() }).api(ApiKey::LeaveGroup)
            }
        };
        Some(error.group(&leaving.group))
    }

    /// The last handle is gone. [`Event::Ended`] tells when the groups are left.
    pub(crate) fn retire(&mut self, now: Now) {
        self.is_retiring = true;
        self.timers.set(Timer::Retire, now.instant + LINGER);
        self.settle(now);
    }

    /// Ends a client that nobody holds, once it is a member of no group.
    pub(super) fn end_retired(&mut self, now: Now) {
        if self.is_retiring && !self.memberships.values().any(Membership::is_member) {
            self.end(now);
        }
    }

    pub(super) fn end(&mut self, now: Now) {
        self.is_retiring = false;
        self.timers.stop(&Timer::Retire);
        self.close(now);
        self.announce(Event::Ended);
    }
}
