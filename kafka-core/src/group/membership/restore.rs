//! OffsetFetch: where the group stands in the partitions that were assigned.

use super::unrestored::{Failure, Restored};
use super::{Kind, Membership, State, Unrestored};
use crate::error::Error;
use crate::group::event::GroupEvent;
use crate::group::retry::{self, Verdict};
use crate::machine::{Ask, Time};
use crate::snapshot::{Cluster, TopicPartition};
use kafka_proto::messages::offset_fetch::OffsetFetchResponse;

impl Membership {
    /// These partitions are ours; they are reported when their offsets are known.
    pub(super) fn restore(&mut self, now: Time, partitions: Vec<TopicPartition>) {
        if partitions.is_empty() {
            return self.deliver(Vec::new());
        }
        self.state = State::Restoring;
        self.unrestored = Some(Unrestored::new(now, partitions));
    }

    /// When offsets must be asked for.
    pub(super) fn next_restore(&self) -> Option<Time> {
        let unrestored = self.unrestored.as_ref()?;
        let is_idle = self.awaits_offsets() && !self.requests.is_open(Kind::Restore);
        is_idle.then_some(unrestored.next_request())
    }

    /// When the partitions that are known are reported, though not all are.
    pub(super) fn next_delivery(&self) -> Option<Time> {
        self.unrestored.as_ref().filter(|_| self.awaits_offsets())?.next_delivery()
    }

    fn awaits_offsets(&self) -> bool {
        matches!(self.state, State::Restoring | State::Stable)
    }

    pub(super) fn ask_offsets(&mut self, now: Time, cluster: &Cluster) -> Option<Ask> {
        if self.next_restore().is_none_or(|at| at > now) {
            return None;
        }
        let request = self.unrestored.as_mut()?.request(&self.config.group_id, cluster);
        Some(self.requests.open(Kind::Restore, now, self.config.request_timeout, request))
    }

    pub(super) fn offsets_answered(
        &mut self,
        now: Time,
        cluster: &Cluster,
        result: Result<OffsetFetchResponse, Error>,
    ) {
        if !self.awaits_offsets() {
            return;
        }
        let Some(unrestored) = &mut self.unrestored else { return };
        let answered = match result {
            Ok(response) => unrestored.answered(response, &self.config.group_id, cluster),
            Err(error) => Err((retry::of_error(&error), error)),
        };
        match answered {
            Ok(failed) => {
                self.deliver_found(now, cluster);
                if !failed.is_empty() {
                    self.restore_failed(now, failed);
                }
            }
            Err(failure) => self.restore_failed(now, vec![failure]),
        }
    }

    /// Partitions whose offsets are known need not wait for others; only what should pass is waited for, for a moment.
    pub(super) fn deliver_found(&mut self, now: Time, cluster: &Cluster) {
        if !self.awaits_offsets() {
            return;
        }
        let is_new = matches!(self.state, State::Restoring);
        let Some(unrestored) = &mut self.unrestored else { return };
        let found = unrestored.take_found(now, is_new, cluster);
        if unrestored.is_complete() {
            self.unrestored = None;
        }
        if !found.is_empty() {
            self.deliver(found);
        }
    }

    fn restore_failed(&mut self, now: Time, failed: Vec<Failure>) {
        let lasts = self.unrestored.as_ref().is_some_and(|unrestored| unrestored.lasts(now));
        let mut is_refused = true;
        for (verdict, error) in failed {
            let error = error.with_group(&self.config.group_id);
            match verdict {
                Verdict::Refused => self.reports.report(error),
                Verdict::Retry { lookup } => {
                    is_refused = false;
                    if lookup {
                        self.hints.find_coordinator();
                    }
                    self.hints.mark_topic_stale(&error);
                    if lasts {
                        self.reports.report_lasting(error);
                    }
                }
                _ => return self.leave_restoring(now, verdict, error),
            }
        }
        if let Some(unrestored) = &mut self.unrestored {
            unrestored.retry_later(now, is_refused, self.config.join_backoff, &mut self.backoff);
        }
    }

    /// The coordinator does not count us as a member any more, or the group rebalances.
    fn leave_restoring(&mut self, now: Time, verdict: Verdict, error: Error) {
        self.unrestored = None;
        match self.state {
            State::Stable if verdict == Verdict::Rebalance => self.rebalance(now),
            State::Stable => self.expelled(now, verdict, error),
            _ => self.setback(now, verdict, error),
        }
    }

    /// Reports partitions with their offsets, of the assignment that the application holds or of a new one.
    fn deliver(&mut self, partitions: Restored) {
        let names = partitions.iter().map(|(partition, _)| partition.clone());
        if matches!(self.state, State::Stable)
            && let Some(assignment) = self.assignments.extend(names.clone())
        {
            return self.reports.push(GroupEvent::AssignedMore { assignment, partitions });
        }
        let assignment = self.assignments.begin(names);
        self.state = State::Stable;
        self.retries.reset();
        self.topics.assigned();
        let missing = self.unrestored.as_ref();
        self.reports.assigned(|topic| missing.is_some_and(|missing| missing.has_topic(topic)));
        let generation = self.generation.id();
        self.reports.push(GroupEvent::Assigned { assignment, generation, partitions });
    }
}
