//! What follows from a change of a partition, and timers that are due. Each step can be repeated without harm.

use super::cursor::CursorId;
use super::machine::ReaderMachine;
use super::timers::Timer;
use crate::error::Error;
use crate::machine::{LaneKey, Now, Time};
use std::collections::BTreeSet;

impl ReaderMachine {
    /// Returns the brokers and lanes for which [`poll_fetch`](Self::poll_fetch) would give a request.
    pub(crate) fn lanes(&self) -> &BTreeSet<LaneKey> {
        self.brokers.lanes()
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Now) {
        while let Some(timer) = self.timers.pop_due(now.time) {
            match timer {
                Timer::Ask => {}
                Timer::Broker(id) => self.brokers.backoff_is_over(id),
                Timer::Gather(id) => self.brokers.gathering_is_over(id),
                Timer::Cursor(id) => {
                    if let Some(cursor) = self.partitions.get_mut(id) {
                        cursor.retry.is_due();
                    }
                    self.update(id);
                }
                Timer::Replica(id) => self.leave_replica(id),
                Timer::Budget => self.budget_freed(),
            }
        }
    }

    /// Has each part note where a partition stands after a change.
    pub(super) fn update(&mut self, id: CursorId) {
        let Some(cursor) = self.partitions.update(id) else { return };
        self.questions.update(id, cursor);
        self.brokers.update(id, cursor, &self.config);
        if self.deliveries.update(id, cursor) {
            self.end_needless_wait();
        }
    }

    /// Waits before the partition is tried again: longer with each failure in a row.
    pub(super) fn hold_off(&mut self, now: Now, id: CursorId) {
        let Some(cursor) = self.partitions.get_mut(id) else { return };
        self.timers.back_off(now.time, Timer::Cursor(id), &mut cursor.retry);
        self.update(id);
    }

    /// Waits for the maximum interval before the partition is tried again.
    pub(super) fn hold_off_long(&mut self, now: Now, id: CursorId) {
        let Some(cursor) = self.partitions.get_mut(id) else { return };
        self.timers.back_off_longest(now.time, Timer::Cursor(id), &mut cursor.retry);
        self.update(id);
    }

    /// The partition may be tried at once; the count of failures stays.
    pub(super) fn clear_retry(&mut self, id: CursorId) {
        if let Some(cursor) = self.partitions.get_mut(id) {
            self.timers.end_wait(Timer::Cursor(id), &mut cursor.retry);
        }
    }

    /// The partition is all right again.
    pub(super) fn recovered(&mut self, id: CursorId) {
        if let Some(cursor) = self.partitions.get_mut(id) {
            cursor.recover();
        }
    }

    /// Reports an error to the application, once until the partition has recovered.
    pub(super) fn report_once(&mut self, id: CursorId, error: Error) {
        let Some(cursor) = self.partitions.get_mut(id) else { return };
        cursor.report_once(error);
        self.update(id);
    }

    /// The partition has a trouble that should pass. If it lasts, it is reported: an unknown topic or partition
    /// as an error, anything else as a notice.
    pub(super) fn retry_later(&mut self, now: Now, id: CursorId, error: Error) {
        let Some(cursor) = self.partitions.get_mut(id) else { return };
        cursor.note_trouble(now.time, self.config.unknown_topic_grace, error);
        self.hold_off(now, id);
    }
}
