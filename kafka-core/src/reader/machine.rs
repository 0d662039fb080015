//! The reader's machine: what is assigned, where each partition is, what waits for the application.
//!
//! It lives under the client's lock and does little there: requests are built from indexes by broker, answers come
//! [digested](super::digest), chunks go out unread. No call looks at all partitions but those that change all of them.
//!
//! Every change of a [`Cursor`] ends in [`ReaderMachine::update`], which alone decides in which queues and sets it stands.
//!
//! A chunk that is given up is kept until it is taken as [dropped](ReaderMachine::take_dropped): its drop gives memory back,
//! which calls a waker, and must not happen under the lock.
//!
//! Invariant: an assigned partition that is not paused always has a request under way, a timer, a lane or question waiting
//! to be polled, something waiting to be taken, or has told an error; or the budget is used up, its waker set, and the
//! application has something to take or has not asked for more.

use super::broker::Broker;
use super::budget::Budget;
use super::config::ReaderConfig;
use super::cursor::{Cursor, CursorId, Question, Stage, Want};
use super::delivery::{Chunk, Ticket};
use super::offsets::Asked;
use super::pressure::Pressure;
use super::session::last_fetch;
use crate::error::{Error, ErrorKind};
use crate::machine::{Hint, LaneKey, MachineId, Now, Time};
use crate::random::Random;
use crate::snapshot::{Topic, TopicPartition};
use crate::trace::Traces;
use kafka_proto::messages::fetch::FetchRequest;
use kafka_proto::{Str, Uuid};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// So many empty answers in a row make a quiet broker: by default it waits for some seconds by then.
const QUIET_ANSWERS: u32 = 4;

/// Where reading of a partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the first offset that the log has.
    First,
    /// At the end of the log.
    Last,
    /// At this offset.
    At {
        /// The offset. It cannot be negative.
        offset: i64,
        /// The leader epoch of the record before it, so that a truncation is noticed; -1 if unknown.
        leader_epoch: i32,
    },
    /// At the first record of this time or later, in ms since 1970; at the end where there is none. It cannot be negative.
    Time(i64),
    /// Only where the group has committed: what it has committed nothing of is an error, [`NoOffset`](ErrorKind::NoOffset). In a
    /// group only.
    Committed,
}

impl Start {
    /// Returns whether this is a place: a negative time would be the end, the beginning or something else to a broker.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] if the offset or time is negative, or the leader epoch is below -1.
    pub fn validate(self) -> Result<(), Error> {
        let problem = match self {
            Self::Time(..0) => "a time to read from cannot be negative",
            Self::At { offset: ..0, .. } => "an offset to read from cannot be negative",
            Self::At { leader_epoch: ..-1, .. } => "a leader epoch cannot be below -1",
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::Misuse(problem)))
    }
}

/// What [`ReaderMachine::take`] gives.
#[derive(Debug)]
pub enum Item {
    /// Records of one partition, to be walked.
    Chunk(Chunk),
    /// Something went wrong, told once. After [`OffsetOutOfRange`](ErrorKind::OffsetOutOfRange), [`NoOffset`](ErrorKind::NoOffset),
    /// [`Truncated`](ErrorKind::Truncated), [`Unsupported`](ErrorKind::Unsupported), [`TopicRecreated`](ErrorKind::TopicRecreated)
    /// and an error of a [`Walk`](super::Walk) the partition stops until it is sought or assigned again. Anything else, such as a missing
    /// permission or an unknown topic, is tried again at [`ReaderConfig::backoff_max`], and told again only after a success in between.
    Error(Error),
    /// Something that the application may want to know of, and that the reader dealt with: the position was reset as
    /// [`ReaderConfig::reset`] says, or a partition cannot be read for long although its trouble should pass.
    Notice(Error),
}

/// A reader without its handle: see the [module](super).
///
/// After any call, what the `poll_*` functions, [`lanes`](Self::lanes) and [`is_readable`](Self::is_readable) say may have changed.
#[derive(Debug)]
pub struct ReaderMachine {
    pub(super) id: MachineId,
    pub(super) config: Arc<ReaderConfig>,
    pub(super) budget: Arc<Budget>,
    pub(super) random: Random,
    pub(super) assignment: u32,
    /// The number of the first of `cursors`.
    first: CursorId,
    cursors: Vec<Cursor>,
    pub(super) topics: BTreeMap<Str, TopicEntry>,
    pub(super) names: BTreeMap<Uuid, Str>,
    /// How many of the topics have no id, as far as is known.
    pub(super) without_id: usize,
    pub(super) brokers: BTreeMap<i32, Broker>,
    /// How many brokers serve partitions.
    pub(super) leaders: usize,
    pub(super) lanes: BTreeSet<LaneKey>,
    /// Fetches under way.
    pub(super) flights: usize,
    /// What waits for a leader.
    pub(super) unplaced: BTreeSet<CursorId>,
    /// What is to be asked, by broker.
    pub(super) pending: BTreeMap<(i32, Question), BTreeSet<CursorId>>,
    /// What was asked, by tag.
    pub(super) asks: BTreeMap<u64, Asked>,
    pub(super) last_tag: u64,
    pub(super) timers: BTreeSet<(Time, Timer)>,
    pub(super) hints: VecDeque<Hint>,
    /// Brokers whose fetch session is over, and the request that tells them so.
    pub(super) ended: VecDeque<(i32, FetchRequest)>,
    /// Partitions with something to take, by turn.
    pub(super) ready: BTreeMap<u64, CursorId>,
    /// Paused partitions that something waits for.
    pub(super) shelved: BTreeSet<CursorId>,
    pub(super) notices: VecDeque<Item>,
    /// To be dropped outside the lock.
    pub(super) dropped: Vec<Item>,
    pub(crate) traces: Traces,
    pub(super) out: Option<Out>,
    pub(super) turn: u64,
    /// The budget refused; nothing is fetched until it has room again, or [`end_starving`](Self::end_starving).
    pub(super) starved: bool,
    /// The application asked for more and there was nothing.
    pub(super) hungry: bool,
    pub(super) pressure: Pressure,
    /// How often a partition was looked at.
    pub(super) visits: u64,
}

#[derive(Debug, Default)]
pub(super) struct TopicEntry {
    pub(super) id: Uuid,
    /// The snapshot that was looked at last.
    pub(super) seen: Option<Arc<Topic>>,
    pub(super) partitions: BTreeMap<i32, CursorId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A partition is tried again.
    Cursor(CursorId),
    /// A broker is tried again.
    Broker(i32),
    /// A partition goes back to its leader.
    Replica(CursorId),
    /// What would go aside to a broker has waited long enough for its main fetch.
    Gather(i32),
    /// There is something to ask.
    Ask,
    /// What was given up has given its memory back.
    Budget,
}

/// The chunk that the application has.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) cursor: CursorId,
    pub(super) ticket: Arc<Ticket>,
    pub(super) end: i64,
}

impl ReaderMachine {
    /// A reader with nothing assigned. `id` tells its lanes from those of other readers of the client.
    pub fn new(id: MachineId, config: Arc<ReaderConfig>, budget: Arc<Budget>, seed: u64) -> Self {
        Self {
            id,
            config,
            budget,
            random: Random::new(seed),
            assignment: 0,
            first: 0,
            cursors: Vec::new(),
            topics: BTreeMap::new(),
            names: BTreeMap::new(),
            without_id: 0,
            brokers: BTreeMap::new(),
            leaders: 0,
            lanes: BTreeSet::new(),
            flights: 0,
            unplaced: BTreeSet::new(),
            pending: BTreeMap::new(),
            asks: BTreeMap::new(),
            last_tag: 0,
            timers: BTreeSet::new(),
            hints: VecDeque::new(),
            ended: VecDeque::new(),
            ready: BTreeMap::new(),
            shelved: BTreeSet::new(),
            notices: VecDeque::new(),
            dropped: Vec::new(),
            traces: Traces::default(),
            out: None,
            turn: 0,
            starved: false,
            hungry: false,
            pressure: Pressure::default(),
            visits: 0,
        }
    }

    /// Replaces all that is assigned. `assignment` goes with every message, so that a late commit is known.
    pub fn assign(&mut self, now: Now, assignment: u32, partitions: Vec<(TopicPartition, Start)>) {
        self.unassign_all(now);
        self.assignment = assignment;
        self.assign_more(partitions);
    }

    /// Assigns further partitions; those that are assigned stay as they are.
    pub fn assign_more(&mut self, partitions: Vec<(TopicPartition, Start)>) {
        for (tp, start) in partitions {
            let id = self.first + self.cursors.len() as CursorId;
            let entry = self.topics.entry(tp.topic.clone()).or_insert_with(|| {
                self.without_id += 1;
                TopicEntry::default()
            });
            if entry.partitions.contains_key(&tp.partition) {
                continue; // the first one counts
            }
            entry.partitions.insert(tp.partition, id);
            self.cursors.push(Cursor::new(tp, Stage::Halted, self.config.partition_max_bytes));
            self.begin(id, start);
        }
    }

    /// Takes everything away: from now on nothing of it is delivered, not even by a [`Walk`](super::Walk) under way.
    pub fn unassign_all(&mut self, _now: Now) {
        if let Some(out) = self.out.take() {
            out.ticket.revoke();
        }
        self.first += self.cursors.len() as CursorId;
        self.dropped.extend(self.cursors.drain(..).flat_map(|cursor| cursor.queue));
        self.topics.clear();
        self.names.clear();
        self.without_id = 0;
        self.leaders = 0;
        self.unplaced.clear();
        self.pending.clear();
        self.hints.clear();
        self.ready.clear();
        self.shelved.clear();
        self.notices.clear();
        self.timers.retain(|(_, timer)| matches!(timer, Timer::Broker(_)));
        self.brokers.values_mut().for_each(Broker::clear);
        self.lanes.clear();
        let brokers: Vec<i32> = self.brokers.keys().copied().collect();
        brokers.into_iter().for_each(|broker| self.end_unused_session(broker));
    }

    /// The reader ends: takes everything away, and ends all fetch sessions, whatever is under way in them.
    pub fn end(&mut self, now: Now) {
        self.unassign_all(now);
        for (id, broker) in &mut self.brokers {
            self.ended.extend(broker.session.end().map(|session| (*id, last_fetch(session))));
        }
    }

    /// Goes on at another position; what was fetched before is dropped. It revives a partition that an error has stopped.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] if the partition is not assigned, or the offset or time is negative.
    pub fn seek(&mut self, _now: Now, tp: &TopicPartition, start: Start) -> Result<(), Error> {
        let id = self.assigned(tp)?;
        let refused = |error: Error| error.with_partition(&tp.topic, tp.partition);
        start.validate().map_err(refused)?;
        if start == Start::Committed {
            return Err(refused(Error::new(ErrorKind::Misuse("what was committed is no place to seek to"))));
        }
        if let Some(out) = self.out.take_if(|out| out.cursor == id) {
            out.ticket.revoke();
        }
        self.clear_retry(id);
        let limit = self.config.partition_max_bytes;
        if let Some(cursor) = self.cursor_mut(id) {
            let dropped = cursor.clear_queue();
            (cursor.cut, cursor.aside, cursor.asked, cursor.limit) = (false, false, None, limit);
            cursor.resets = 0;
            cursor.recover();
            self.dropped.extend(dropped);
        }
        self.begin(id, start);
        Ok(())
    }

    /// Delivers nothing more of the partition, not even by a [`Walk`](super::Walk) under way, until it is resumed; then it
    /// goes on after the last record that was returned.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] if the partition is not assigned.
    pub fn pause(&mut self, _now: Now, tp: &TopicPartition) -> Result<(), Error> {
        let id = self.assigned(tp)?;
        let is_cut = self.out.as_ref().is_some_and(|out| {
            let is_cut = out.cursor == id && out.ticket.position() < out.end;
            if is_cut {
                out.ticket.revoke();
            }
            is_cut
        });
        if let Some(cursor) = self.cursor_mut(id) {
            cursor.paused = true;
            cursor.cut |= is_cut;
        }
        self.update(id);
        Ok(())
    }

    /// Delivers a paused partition again; does nothing to others.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] if the partition is not assigned.
    pub fn resume(&mut self, _now: Now, tp: &TopicPartition) -> Result<(), Error> {
        let id = self.assigned(tp)?;
        if let Some(cursor) = self.cursor_mut(id) {
            cursor.paused = false;
        }
        self.update(id);
        Ok(())
    }

    /// Whether the partition is paused.
    #[cfg(test)]
    pub fn is_paused(&self, tp: &TopicPartition) -> bool {
        self.find(tp).is_some_and(|cursor| cursor.paused)
    }

    /// The next thing for the application. A chunk taken before counts as worked on as far as its walk came: what the walk did not
    /// return comes again.
    pub fn take(&mut self, _now: Now) -> Option<Item> {
        self.settle();
        if let Some(notice) = self.notices.pop_front() {
            return Some(notice);
        }
        let Some((_, id)) = self.ready.pop_first() else {
            self.hungry = true;
            self.end_starving();
            return None;
        };
        let cursor = self.cursor_mut(id)?;
        cursor.ready = None;
        let item = cursor.pop();
        if let Some(Item::Chunk(chunk)) = &item {
            self.out = Some(Out { cursor: id, ticket: Arc::clone(&chunk.ticket), end: chunk.end });
        }
        self.hungry = false;
        self.update(id);
        item
    }

    /// Whether [`take`](Self::take) has something to give.
    pub fn is_readable(&self) -> bool {
        !self.ready.is_empty() || !self.notices.is_empty()
    }

    /// Whether the brokers have waited in vain so often that the client seldom wakes.
    pub(crate) fn is_quiet(&self) -> bool {
        self.brokers.values().all(|broker| broker.placed == 0 || broker.trusted_quiet() >= QUIET_ANSWERS)
    }

    /// Whether nothing is under way, waits to be taken, or will happen by itself.
    #[cfg(test)]
    pub fn is_quiescent(&self) -> bool {
        self.flights == 0
            && self.asks.is_empty()
            && self.pending.is_empty()
            && self.unplaced.is_empty()
            && self.lanes.is_empty()
            && self.timers.is_empty()
            && self.hints.is_empty()
            && self.ended.is_empty()
            && !self.is_readable()
    }

    /// The budget has room again.
    pub fn budget_freed(&mut self, _now: Now) {
        if std::mem::take(&mut self.starved) {
            self.refresh_all_lanes();
        }
    }

    /// How long a trouble that should pass is not told.
    pub(crate) fn grace(&self) -> Duration {
        self.config.unknown_topic_grace
    }

    /// The topics of what is assigned; the client keeps their metadata.
    #[cfg(test)]
    pub fn topics(&self) -> Vec<Str> {
        self.topics.keys().cloned().collect()
    }

    /// What is assigned.
    pub fn assignment(&self) -> impl Iterator<Item = &TopicPartition> {
        self.cursors.iter().map(|cursor| &cursor.tp)
    }

    /// The next offset to fetch; `None` while it is not known.
    #[cfg(test)]
    pub fn position(&self, tp: &TopicPartition) -> Option<i64> {
        self.find(tp).map(|cursor| cursor.position).filter(|position| *position >= 0)
    }

    /// The offset after the last record that was returned to the application; `None` while it is not known.
    #[cfg(test)]
    pub fn consumed(&self, tp: &TopicPartition) -> Option<i64> {
        let id = self.id_of(tp)?;
        match &self.out {
            Some(out) if out.cursor == id && out.ticket.position() < out.end => Some(out.ticket.position()),
            _ => self.cursor(id).map(Cursor::undelivered).filter(|position| *position >= 0),
        }
    }

    /// The end of what is replicated, as the last answer told; with read-committed isolation use [`lag`](Self::lag).
    pub fn high_watermark(&self, tp: &TopicPartition) -> Option<i64> {
        self.find(tp).map(|cursor| cursor.marks.high).filter(|offset| *offset >= 0)
    }

    /// The first offset of the log, as the last answer told (0.11+).
    #[cfg(test)]
    pub fn log_start(&self, tp: &TopicPartition) -> Option<i64> {
        self.find(tp).map(|cursor| cursor.marks.log_start).filter(|offset| *offset >= 0)
    }

    /// How many offsets are left to read, as far as the last answer told: up to the high watermark, or with read-committed isolation
    /// up to the first open transaction.
    #[cfg(test)]
    pub fn lag(&self, tp: &TopicPartition) -> Option<i64> {
        let end = self.find(tp)?.end(self.config.isolation);
        let consumed = self.consumed(tp)?;
        (end >= 0).then(|| (end - consumed).max(0))
    }

    /// What concerns the client's metadata.
    #[must_use]
    pub fn poll_hint(&mut self) -> Option<Hint> {
        self.hints.pop_front()
    }

    /// A broker that may forget a fetch session of this reader, and the request that says so; nobody waits for its answer.
    #[must_use]
    pub fn poll_ended_session(&mut self) -> Option<(i32, FetchRequest)> {
        self.ended.pop_front()
    }

    /// What was given up and is to be dropped outside of all locks.
    #[must_use]
    pub fn take_dropped(&mut self) -> Vec<Item> {
        std::mem::take(&mut self.dropped)
    }

    /// How often a partition was looked at since the beginning: what its calls cost, for tests.
    #[cfg(test)]
    pub fn visits(&self) -> u64 {
        self.visits
    }

    /// The walk of the last chunk is over: what it did not return comes again.
    fn settle(&mut self) {
        let Some(out) = self.out.take() else { return };
        out.ticket.revoke();
        let (position, has_failed) = (out.ticket.position(), out.ticket.has_failed());
        let Some(cursor) = self.cursor_mut(out.cursor) else { return };
        cursor.cut = false;
        let is_left = has_failed || position < out.end;
        if is_left && cursor.is_deleted {
            // What it left is nowhere to be had: in the topic of that name now the position means nothing.
            let dropped = cursor.drop_chunks();
            self.dropped.extend(dropped);
        } else if is_left {
            let dropped = cursor.take_back();
            cursor.go_back_to(position, out.ticket.epoch());
            cursor.stage = if has_failed { Stage::Halted } else { Stage::Fetching };
            self.dropped.extend(dropped);
        }
        self.update(out.cursor);
    }

    fn begin(&mut self, id: CursorId, start: Start) {
        if let Err(error) = start.validate() {
            return self.halt(id, error);
        }
        let Some(cursor) = self.cursor_mut(id) else { return };
        match start {
            Start::First => cursor.begin(Want::First),
            Start::Last => cursor.begin(Want::Last),
            Start::Time(ms) => cursor.begin(Want::Time(ms)),
            Start::At { offset, leader_epoch } => cursor.begin_at(offset, leader_epoch),
            Start::Committed => return self.halt(id, ErrorKind::NoOffset.into()),
        }
        self.update(id);
    }

    /// There is a proven cause for not having a position: does what the policy says, and tells.
    pub(super) fn reset(&mut self, id: CursorId, cause: impl Into<Error>) {
        let want = Want::of_reset(self.config.reset);
        let Some(cursor) = self.cursor_mut(id) else { return };
        let error = cause.into().with_partition(&cursor.tp.topic, cursor.tp.partition);
        match want {
            Some(want) => {
                cursor.begin(want);
                cursor.queue.push_back(Item::Notice(error));
            }
            None => {
                cursor.stage = Stage::Halted;
                cursor.queue.push_back(Item::Error(error));
            }
        }
        self.update(id);
    }

    pub(super) fn numbered(&self) -> impl Iterator<Item = (CursorId, &Cursor)> {
        (self.first..).zip(&self.cursors)
    }

    pub(super) fn cursor(&self, id: CursorId) -> Option<&Cursor> {
        self.cursors.get(usize::try_from(id.checked_sub(self.first)?).ok()?)
    }

    pub(super) fn cursor_mut(&mut self, id: CursorId) -> Option<&mut Cursor> {
        self.cursors.get_mut(usize::try_from(id.checked_sub(self.first)?).ok()?)
    }

    pub(super) fn lookup(&self, topic: &str, partition: i32) -> Option<CursorId> {
        self.topics.get(topic)?.partitions.get(&partition).copied()
    }

    fn id_of(&self, tp: &TopicPartition) -> Option<CursorId> {
        self.lookup(&tp.topic, tp.partition)
    }

    fn find(&self, tp: &TopicPartition) -> Option<&Cursor> {
        self.cursor(self.id_of(tp)?)
    }

    fn assigned(&self, tp: &TopicPartition) -> Result<CursorId, Error> {
        let error = || Error::new(ErrorKind::Misuse("the partition is not assigned to this reader"));
        self.id_of(tp).ok_or_else(|| error().with_partition(&tp.topic, tp.partition))
    }

    pub(super) fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }
}
