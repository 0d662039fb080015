//! The brokers that partitions are fetched from, and the lanes by which something is to be fetched of them.
//!
//! Invariants
//! * A partition stands at the broker, and under the turn there, that its [`Placement`] has, and at no other.
//! * `leaders` counts the brokers that serve partitions.
//! * A lane stands in `lanes` if its broker wants a fetch by it, and fetches do not wait for room in the budget. Whatever changes
//!   one of these ends in [`Brokers::refresh`].
//! * A session of a broker that serves nothing any more, and by which no fetch is under way, is ended, and reported once.

mod broker;
mod long_poll;
mod promptness;
mod session;

use super::config::ReaderConfig;
use super::cursor::{Cursor, CursorId};
use super::timers::{Timer, Timers};
use crate::machine::{Lane, LaneKey, MachineId, Time};
use kafka_proto::Str;
use kafka_proto::messages::fetch::FetchRequest;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

pub(super) use broker::{Broker, MainFetch, NextFetch, SecondaryFetch};
pub(super) use session::{Asked, Heading, Member, Verdict};

/// One of the two fetches that can be under way at a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FetchKind {
    /// The one of the session, which the broker may park.
    Main,
    /// One beside it, of what would otherwise wait with it.
    Secondary,
}

/// Where a partition stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Placement {
    home: Option<i32>,
    /// What was fetched last has the last turn.
    turn: u64,
}

impl Placement {
    /// Returns the broker at which it stands.
    pub(super) fn home(self) -> Option<i32> {
        self.home
    }
}

#[derive(Debug)]
pub(super) struct Brokers {
    /// Whose lanes these are.
    reader: MachineId,
    brokers: BTreeMap<i32, Broker>,
    /// How many of them serve partitions.
    leaders: usize,
    lanes: BTreeSet<LaneKey>,
    /// The budget refused; nothing is fetched until it has room again.
    waits_for_room: bool,
    /// Brokers whose fetch session is over, and the request that reports it.
    ended: VecDeque<(i32, FetchRequest)>,
    last_turn: u64,
}

impl Brokers {
    pub(super) fn new(reader: MachineId) -> Self {
        Self {
            reader,
            brokers: BTreeMap::new(),
            leaders: 0,
            lanes: BTreeSet::new(),
            waits_for_room: false,
            ended: VecDeque::new(),
            last_turn: 0,
        }
    }

    pub(super) fn get(&self, id: i32) -> Option<&Broker> {
        self.brokers.get(&id)
    }

    /// A broker, for changes on which no lane depends.
    pub(super) fn get_mut(&mut self, id: i32) -> Option<&mut Broker> {
        self.brokers.get_mut(&id)
    }

    pub(super) fn lanes(&self) -> &BTreeSet<LaneKey> {
        &self.lanes
    }

    /// Returns which fetch goes by this lane, if it is one of the reader's.
    pub(super) fn kind_of(&self, lane: Lane) -> Option<FetchKind> {
        match lane {
            Lane::Fetch(reader) if reader == self.reader => Some(FetchKind::Main),
            Lane::FetchAside(reader) if reader == self.reader => Some(FetchKind::Secondary),
            _ => None,
        }
    }

    /// Returns whether such a fetch of a broker is to be built.
    pub(super) fn is_wanted(&self, id: i32, kind: FetchKind) -> bool {
        self.lanes.contains(&self.lane(id, kind))
    }

    fn lane(&self, id: i32, kind: FetchKind) -> LaneKey {
        let lane = match kind {
            FetchKind::Main => Lane::Fetch(self.reader),
            FetchKind::Secondary => Lane::FetchAside(self.reader),
        };
        LaneKey::node(id, lane)
    }

    /// Returns how many brokers serve partitions.
    pub(super) fn leaders(&self) -> usize {
        self.leaders
    }

    /// Returns the bytes that all answers under way may bring.
    pub(super) fn reserved(&self) -> usize {
        self.brokers.values().map(Broker::reserved).sum()
    }

    /// Returns whether all of them have answered without records so often that they wait for long.
    pub(super) fn are_quiet(&self) -> bool {
        self.brokers.values().all(Broker::is_quiet)
    }

    /// Returns whether no fetch is under way or wanted, and no end of a session is to be reported.
    #[cfg(test)]
    pub(super) fn are_idle(&self) -> bool {
        self.lanes.is_empty() && self.ended.is_empty() && !self.brokers.values().any(Broker::is_fetching)
    }

    // ---- partitions ----

    /// Notes, after a change of a partition, where it stands and what is wanted of it.
    pub(super) fn update(&mut self, id: CursorId, cursor: &mut Cursor, config: &ReaderConfig) {
        let home = cursor.source().broker();
        if cursor.placement.home != home {
            self.move_home(id, cursor, home);
        }
        let Some(home) = home else { return };
        if let Some(broker) = self.brokers.get_mut(&home) {
            broker.update(id, cursor, config);
            self.refresh(home);
        }
    }

    fn move_home(&mut self, id: CursorId, cursor: &mut Cursor, home: Option<i32>) {
        let placement = Placement { home, turn: self.next_turn() };
        let before = std::mem::replace(&mut cursor.placement, placement);
        if let Some(old) = before.home {
            self.leave(old, id, before.turn);
        }
        if let Some(home) = home {
            let broker = self.brokers.entry(home).or_default();
            self.leaders += usize::from(broker.is_unused());
            broker.join();
        }
    }

    fn leave(&mut self, broker: i32, id: CursorId, turn: u64) {
        let Some(state) = self.brokers.get_mut(&broker) else { return };
        state.leave(id, turn);
        self.leaders -= usize::from(state.is_unused());
        self.refresh(broker);
        self.end_unused_session(broker);
    }

    /// What was fetched last is fetched last the next time.
    pub(super) fn rotate(&mut self, id: CursorId, cursor: &mut Cursor) {
        let new = self.next_turn();
        let old = std::mem::replace(&mut cursor.placement.turn, new);
        if let Some(broker) = cursor.placement.home.and_then(|home| self.brokers.get_mut(&home)) {
            broker.rotate(id, old, new);
        }
    }

    fn next_turn(&mut self) -> u64 {
        self.last_turn += 1;
        self.last_turn
    }

    /// A topic was deleted and created again. A session knows its partitions by id, and would ask for those of the old topic
    /// indefinitely. What was asked before is of the old topic, also where it was asked by name.
    pub(super) fn topic_recreated(&mut self, topic: &Str, ids: &[CursorId]) {
        self.brokers.values_mut().for_each(|broker| broker.topic_recreated(topic, ids));
    }

    /// All partitions are taken away. What is under way goes on, and its answers find nothing.
    pub(super) fn clear(&mut self) {
        self.leaders = 0;
        self.brokers.values_mut().for_each(Broker::clear);
        self.lanes.clear();
        for (id, broker) in &mut self.brokers {
            self.ended.extend(broker.end_unused_session().map(|last| (*id, last)));
        }
    }

    // ---- fetches ----

    pub(super) fn send_main(&mut self, id: i32, fetch: MainFetch) {
        if let Some(broker) = self.brokers.get_mut(&id) {
            broker.send_main(fetch);
            self.refresh(id);
        }
    }

    /// The main fetch is over, and with it the wait for it.
    pub(super) fn end_main(&mut self, id: i32, timers: &mut Timers) -> Option<MainFetch> {
        let broker = self.brokers.get_mut(&id)?;
        let fetch = broker.end_main()?;
        if let Some(at) = broker.end_gathering() {
            timers.stop(at, Timer::Gather(id));
        }
        self.refresh(id);
        Some(fetch)
    }

    pub(super) fn send_secondary(&mut self, id: i32, fetch: SecondaryFetch) {
        if let Some(broker) = self.brokers.get_mut(&id) {
            broker.send_secondary(fetch);
            self.refresh(id);
        }
    }

    pub(super) fn end_secondary(&mut self, id: i32) -> Option<SecondaryFetch> {
        let fetch = self.brokers.get_mut(&id)?.end_secondary()?;
        self.refresh(id);
        Some(fetch)
    }

    /// The secondary fetch had nothing. If the main one is due, it is waited for, for a moment, so that the next one is of all:
    /// two fetches that end together would otherwise go on side by side indefinitely.
    pub(super) fn gather(&mut self, id: i32, now: Time, max_wait: Duration, timers: &mut Timers) {
        if let Some(until) = self.brokers.get_mut(&id).and_then(|broker| broker.gather(now, max_wait)) {
            timers.start(until, Timer::Gather(id));
            self.refresh(id);
        }
    }

    /// The main fetch did not come within the time that it was waited for.
    pub(super) fn gathering_is_over(&mut self, id: i32) {
        if let Some(broker) = self.brokers.get_mut(&id) {
            broker.end_gathering();
            self.refresh(id);
        }
    }

    /// Waits before the broker is asked for records again: longer with each failure in a row.
    pub(super) fn back_off(&mut self, id: i32, now: Time, timers: &mut Timers) {
        if let Some(broker) = self.brokers.get_mut(&id) {
            timers.back_off(now, Timer::Broker(id), broker.retry());
            self.refresh(id);
        }
    }

    /// The wait before it is asked again is over.
    pub(super) fn backoff_is_over(&mut self, id: i32) {
        if let Some(broker) = self.brokers.get_mut(&id) {
            broker.retry().is_due();
            self.refresh(id);
        }
    }

    // ---- room for answers ----

    pub(super) fn waits_for_room(&self) -> bool {
        self.waits_for_room
    }

    /// The budget refused.
    pub(super) fn wait_for_room(&mut self) {
        self.waits_for_room = true;
        self.refresh_all();
    }

    /// There is room again, or a fetch need not wait for it any more.
    pub(super) fn stop_waiting_for_room(&mut self) {
        if std::mem::take(&mut self.waits_for_room) {
            self.refresh_all();
        }
    }

    fn refresh_all(&mut self) {
        let ids: Vec<_> = self.brokers.keys().copied().collect();
        ids.into_iter().for_each(|id| self.refresh(id));
    }

    fn refresh(&mut self, id: i32) {
        let broker = self.brokers.get(&id).filter(|_| !self.waits_for_room);
        let main = broker.is_some_and(Broker::wants_main);
        let secondary = broker.is_some_and(Broker::wants_secondary);
        for (kind, is_wanted) in [(FetchKind::Main, main), (FetchKind::Secondary, secondary)] {
            let lane = self.lane(id, kind);
            if is_wanted {
                self.lanes.insert(lane);
            } else {
                self.lanes.remove(&lane);
            }
        }
    }

    // ---- ends of sessions ----

    /// A broker keeps a fetch session until it needs the room for another. Where nothing is served any more, that is
    /// reported to it.
    pub(super) fn end_unused_session(&mut self, id: i32) {
        let last = self.brokers.get_mut(&id).and_then(Broker::end_unused_session);
        self.ended.extend(last.map(|last| (id, last)));
    }

    /// Ends all sessions, whatever is under way in them.
    pub(super) fn end_sessions(&mut self) {
        for (id, broker) in &mut self.brokers {
            self.ended.extend(broker.end_session().map(|last| (*id, last)));
        }
    }

    /// Takes a broker whose session is over, and the request that reports it.
    pub(super) fn pop_ended(&mut self) -> Option<(i32, FetchRequest)> {
        self.ended.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::TopicPartition;
    use kafka_proto::{ErrorCode, Uuid};

    const ID: CursorId = 5;

    fn brokers() -> (Brokers, ReaderConfig) {
        (Brokers::new(MachineId(7)), ReaderConfig::default())
    }

    fn cursor(leader: i32) -> Cursor {
        let mut cursor = Cursor::new(TopicPartition::new(Str::from_static("t"), 0), 1000);
        cursor.begin_at(0, -1);
        cursor.set_leader(Some(leader), 0);
        cursor
    }

    /// Sends a main fetch to broker 1 that names this partition.
    fn send(brokers: &mut Brokers, cursor: &Cursor) -> Heading {
        let broker = brokers.get_mut(1).unwrap();
        let heading = broker.begin_main(12, false);
        let (topic, partition) = (cursor.topic().clone(), cursor.partition());
        let _ = broker
            .name(vec![(ID, Member { topic, topic_id: Uuid::ZERO, partition, asked: Asked::of(cursor) })]);
        let (sent_at, wait) = (Time::START, Duration::from_millis(500));
        brokers.send_main(1, MainFetch { heading, sent_at, wait, may_park: true, reserved: 10 });
        heading
    }

    fn wanted(brokers: &Brokers, id: i32) -> (bool, bool) {
        (brokers.is_wanted(id, FetchKind::Main), brokers.is_wanted(id, FetchKind::Secondary))
    }

    #[test]
    fn a_lane_stands_where_something_is_wanted() {
        let ((mut brokers, config), mut cursor) = (brokers(), cursor(1));
        brokers.update(ID, &mut cursor, &config);
        assert_eq!((wanted(&brokers, 1), brokers.leaders()), ((true, false), 1));
        cursor.set_leader(Some(2), 1);
        brokers.update(ID, &mut cursor, &config);
        assert_eq!((wanted(&brokers, 1), wanted(&brokers, 2)), ((false, false), (true, false)));
        assert_eq!((brokers.leaders(), cursor.placement.home()), (1, Some(2)));
        cursor.pause(false);
        brokers.update(ID, &mut cursor, &config);
        assert!(brokers.lanes().is_empty() && brokers.are_idle());
        brokers.clear();
        assert_eq!(brokers.leaders(), 0);
    }

    #[test]
    fn nothing_is_fetched_without_room() {
        let (mut brokers, config) = brokers();
        brokers.update(ID, &mut cursor(1), &config);
        brokers.wait_for_room();
        brokers.update(6, &mut cursor(2), &config);
        assert!(brokers.lanes().is_empty());
        brokers.stop_waiting_for_room();
        assert_eq!(brokers.lanes().len(), 2);
    }

    #[test]
    fn what_is_wanted_while_a_fetch_may_be_parked_goes_beside_it() {
        let ((mut brokers, config), mut cursor) = (brokers(), cursor(1));
        let mut timers = Timers::new(&config, 1);
        brokers.update(ID, &mut cursor, &config);
        send(&mut brokers, &cursor);
        assert_eq!((wanted(&brokers, 1), brokers.reserved()), ((false, false), 10));
        brokers.update(6, &mut self::cursor(1), &config);
        assert_eq!(wanted(&brokers, 1), (false, true));

        let end = Time::START + Duration::from_millis(499);
        brokers.gather(1, end, config.max_wait, &mut timers);
        assert_eq!((wanted(&brokers, 1), timers.is_empty()), ((false, false), false));
        assert!(brokers.end_main(1, &mut timers).is_some());
        assert_eq!((wanted(&brokers, 1), timers.is_empty()), ((true, false), true));
    }

    #[test]
    fn a_session_is_ended_once_nothing_needs_it() {
        let ((mut brokers, config), mut cursor) = (brokers(), cursor(1));
        brokers.update(ID, &mut cursor, &config);
        let heading = send(&mut brokers, &cursor);
        cursor.set_leader(Some(2), 1);
        brokers.update(ID, &mut cursor, &config);
        assert!(brokers.pop_ended().is_none(), "a fetch is under way in it");
        brokers.end_main(1, &mut Timers::new(&config, 1));
        brokers.get_mut(1).unwrap().session_answered(heading, ErrorCode::None, 77);
        brokers.end_unused_session(1);
        assert_eq!(brokers.pop_ended().map(|(id, last)| (id, last.session_id)), Some((1, 77)));
        brokers.end_unused_session(1);
        assert!(brokers.pop_ended().is_none());
    }
}
