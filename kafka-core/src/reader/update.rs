//! What follows from a change of a cursor or a broker: queues, sets, lanes and timers. Each step can be repeated without harm.

use super::broker::{Broker, set};
use super::cursor::CursorId;
use super::machine::{Item, ReaderMachine};
use super::session::{Asked, last_fetch};
use super::timers::Timer;
use crate::error::Error;
use crate::machine::{Lane, LaneKey, Now, Time};
use crate::trouble::Gravity;
use kafka_proto::error_code::ErrorCode;
use std::collections::BTreeSet;

impl ReaderMachine {
    /// The brokers and lanes for which [`poll_fetch`](Self::poll_fetch) would give a request.
    pub fn lanes(&self) -> &BTreeSet<LaneKey> {
        &self.lanes
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(timer) = self.timers.pop_due(now.time) {
            match timer {
                Timer::Ask => {}
                Timer::Broker(id) => {
                    if let Some(broker) = self.brokers.get_mut(&id) {
                        broker.retry.is_due();
                    }
                    self.refresh_lanes(id);
                }
                Timer::Gather(id) => {
                    if let Some(broker) = self.brokers.get_mut(&id) {
                        broker.gathers = None;
                    }
                    self.refresh_lanes(id);
                }
                Timer::Cursor(id) => {
                    if let Some(cursor) = self.partitions.get_mut(id) {
                        cursor.retry.is_due();
                    }
                    self.update(id);
                }
                Timer::Replica(id) => self.leave_replica(id),
                Timer::Budget => self.budget_freed(now),
            }
        }
    }

    /// Works out where a cursor stands after a change.
    pub(super) fn update(&mut self, id: CursorId) {
        let Some(cursor) = self.partitions.update(id) else { return };
        self.questions.update(id, cursor);
        self.update_home(id);
        self.update_wanted(id);
        self.update_ready(id);
    }

    fn update_home(&mut self, id: CursorId) {
        let Some(cursor) = self.partitions.get(id) else { return };
        let (old, new, old_turn) = (cursor.home, cursor.source(), cursor.turn);
        if old != new {
            let turn = self.next_turn();
            if let Some(cursor) = self.partitions.get_mut(id) {
                (cursor.home, cursor.turn) = (new, turn);
            }
            if let Some(old) = old {
                self.leave(old, id, old_turn);
            }
            if let Some(new) = new {
                self.join(new);
            }
        }
        let Some(cursor) = self.partitions.get(id) else { return };
        if let Some(home) = cursor.home {
            let is_guest = cursor.replica.is_some();
            if let Some(broker) = self.brokers.get_mut(&home) {
                set(&mut broker.guests, id, is_guest);
            }
        }
    }

    fn leave(&mut self, broker: i32, id: CursorId, turn: u64) {
        let Some(state) = self.brokers.get_mut(&broker) else { return };
        state.leave(id, turn);
        self.leaders -= usize::from(state.placed == 0);
        self.refresh_lanes(broker);
        self.end_unused_session(broker);
    }

    /// A broker keeps a fetch session until it needs the room for another: where nothing is served any more it is told.
    pub(super) fn end_unused_session(&mut self, broker: i32) {
        let Some(state) = self.brokers.get_mut(&broker).filter(|b| b.placed == 0 && b.main.is_none()) else {
            return;
        };
        self.ended.extend(state.session.end().map(|session| (broker, last_fetch(session))));
    }

    fn join(&mut self, broker: i32) {
        let state = self.brokers.entry(broker).or_default();
        self.leaders += usize::from(state.placed == 0);
        state.placed += 1;
        // Whether it is quiet about this one is not known.
        state.quiet = 0;
    }

    fn update_wanted(&mut self, id: CursorId) {
        let (threshold, isolation) = (self.config.partition_max_bytes, self.config.isolation);
        let Some(cursor) = self.partitions.get(id) else { return };
        let Some(home) = cursor.home else { return };
        let asked = cursor.wants_records(threshold).then(|| Asked::of(cursor));
        let turn = cursor.turn;
        let is_behind = asked.is_some() && cursor.is_behind(isolation);
        let is_due = asked.is_none() && cursor.will_want_records();
        let is_unvalidated = asked.is_some() && cursor.unvalidated && cursor.last_epoch >= 0;
        let Some(broker) = self.brokers.get_mut(&home) else { return };
        broker.want(id, turn, asked);
        set(&mut broker.behind, id, is_behind);
        set(&mut broker.due, id, is_due);
        set(&mut broker.unvalidated, id, is_unvalidated);
        self.refresh_lanes(home);
    }

    fn update_ready(&mut self, id: CursorId) {
        let turn = self.next_turn();
        let Some(cursor) = self.partitions.get_mut(id) else { return };
        let has_items = !cursor.queue.is_empty();
        let is_ready = has_items && !cursor.paused;
        let is_shelved = has_items && cursor.paused;
        match (cursor.ready, is_ready) {
            (None, true) => {
                cursor.ready = Some(turn);
                self.ready.insert(turn, id);
            }
            (Some(turn), false) => {
                cursor.ready = None;
                self.ready.remove(&turn);
                self.end_starving();
            }
            _ => {}
        }
        set(&mut self.shelved, id, is_shelved);
    }

    /// What was fetched last is fetched last the next time.
    pub(super) fn rotate(&mut self, id: CursorId) {
        let new = self.next_turn();
        let Some(cursor) = self.partitions.get_mut(id) else { return };
        let old = std::mem::replace(&mut cursor.turn, new);
        let Some(broker) = cursor.home.and_then(|home| self.brokers.get_mut(&home)) else { return };
        if broker.wanted.remove(&old).is_some() {
            broker.wanted.insert(new, id);
        }
    }

    pub(super) fn refresh_lanes(&mut self, id: i32) {
        let broker = self.brokers.get(&id).filter(|_| !self.starved);
        let main = broker.is_some_and(Broker::wants_main);
        let aside = broker.is_some_and(Broker::wants_aside);
        for (lane, is_in) in [(Lane::Fetch(self.id), main), (Lane::FetchAside(self.id), aside)] {
            if is_in {
                self.lanes.insert(LaneKey::node(id, lane));
            } else {
                self.lanes.remove(&LaneKey::node(id, lane));
            }
        }
    }

    pub(super) fn refresh_all_lanes(&mut self) {
        let ids: Vec<_> = self.brokers.keys().copied().collect();
        ids.into_iter().for_each(|id| self.refresh_lanes(id));
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

    /// Waits before the broker is asked for records again.
    pub(super) fn hold_off_broker(&mut self, now: Now, id: i32) {
        let Some(broker) = self.brokers.get_mut(&id) else { return };
        self.timers.back_off(now.time, Timer::Broker(id), &mut broker.retry);
        self.refresh_lanes(id);
    }

    /// Tells the application an error, once until the partition has recovered.
    pub(super) fn tell_once(&mut self, id: CursorId, error: Error) {
        let Some(cursor) = self.partitions.get_mut(id) else { return };
        if cursor.trouble.tell(Gravity::Stays) {
            let error = error.with_partition(&cursor.tp.topic, cursor.tp.partition);
            cursor.queue.push_back(Item::Error(error));
        }
        self.update(id);
    }

    /// The partition has a trouble that should pass. If it lasts, the application is told: an unknown topic or partition
    /// is an error then, anything else a notice.
    pub(super) fn struggle(&mut self, now: Now, id: CursorId, error: Error) {
        let grace = self.config.unknown_topic_grace;
        let Some(cursor) = self.partitions.get_mut(id) else { return };
        let is_unknown = error.code() == Some(ErrorCode::UnknownTopicOrPartition);
        if cursor.trouble.lasts(now.time, now.time, grace, Gravity::of(!is_unknown)) {
            let error = error.with_partition(&cursor.tp.topic, cursor.tp.partition);
            cursor.queue.push_back(if is_unknown { Item::Error(error) } else { Item::Notice(error) });
        }
        self.hold_off(now, id);
    }
}
