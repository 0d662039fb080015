//! The reader's machine: what is assigned, where each partition is, what waits for the application.
//!
//! It lives under the client's lock and does little there: requests are built from indexes by broker, answers come
//! [digested](super::digest), chunks go out unread. No call looks at all partitions but those that change all of them.
//!
//! Every change of a [`Cursor`] ends in [`ReaderMachine::update`], which has each part note where it stands.
//!
//! A chunk that is given up is kept until it is taken as [dropped](ReaderMachine::take_dropped): its drop gives memory back,
//! which calls a waker, and must not happen under the lock.
//!
//! Invariant: an assigned partition that is not paused always has a request under way, a timer, a lane or question waiting
//! to be polled, something waiting to be taken, or has reported an error; or the budget is used up, its waker set, and the
//! application has something to take or has not asked for more.

use super::brokers::Brokers;
use super::budget::Budget;
use super::chunk::Chunk;
use super::config::ReaderConfig;
use super::cursor::{Cursor, CursorId};
use super::deliveries::{Deliveries, Next};
use super::hints::Hints;
use super::partitions::Partitions;
use super::position::Want;
use super::questions::Questions;
use super::room::Room;
use super::timers::Timers;
use crate::error::{Error, ErrorKind};
use crate::machine::{Hint, MachineId};
use crate::message::Origin;
use crate::snapshot::TopicPartition;
use crate::tape::Tape;
use crate::trace::Traces;
use kafka_proto::Uuid;
use kafka_proto::messages::fetch::FetchRequest;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Where reading of a partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum Start {
    /// At the first offset that the log has.
    First,
    /// At the end of the log.
    Last,
    /// At this offset.
    At {
        /// The offset. It cannot be negative.
        offset: i64,
        /// The leader epoch of the record before it, if it is known: so that a truncation is noticed.
        leader_epoch: Option<i32>,
    },
    /// At the first record of this time or later, in ms since 1970; at the end where there is none. It cannot be negative.
    Time(i64),
    /// At the committed offset only. A partition of which the group has committed nothing stops with the error
    /// [`NoOffset`](crate::ErrorKind::NoOffset). Without a group it is an error of `build()`.
    Committed,
}

impl Start {
    /// Returns the place of an offset, of whose leader epoch nothing is known.
    pub const fn at(offset: i64) -> Self {
        Self::At { offset, leader_epoch: None }
    }

    /// Returns whether this is a place: a negative time would be the end, the beginning or something else to a broker.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] if the offset or time is negative, or the leader epoch.
    pub fn validate(self) -> Result<(), Error> {
        let problem = match self {
            Self::Time(..0) => "a time to read from cannot be negative",
            Self::At { offset: ..0, .. } => "an offset to read from cannot be negative",
            Self::At { leader_epoch: Some(..0), .. } => "a leader epoch cannot be negative",
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::Misuse(problem)))
    }
}

/// What [`ReaderMachine::take`] gives.
#[derive(Debug)]
pub(crate) enum Item {
    /// Records of one partition, to be walked.
    Chunk(Chunk),
    /// Something went wrong, reported once. After [`OffsetOutOfRange`](ErrorKind::OffsetOutOfRange), [`NoOffset`](ErrorKind::NoOffset),
    /// [`Truncated`](ErrorKind::Truncated), [`Unsupported`](ErrorKind::Unsupported), [`TopicRecreated`](ErrorKind::TopicRecreated)
    /// and an error of a [`Walk`](super::Walk) the partition stops until it is sought or assigned again. Anything else, such as a missing
    /// permission or an unknown topic, is tried again at [`ReaderConfig::backoff_max`], and reported again only after a success in between.
    Error(Error),
    /// Something that the application may want to know of, and that the reader dealt with: the position was reset as
    /// [`ReaderConfig::reset`] says, or a partition cannot be read for long although its trouble should pass.
    Notice(Error),
}

/// A reader without its handle: see the [module](super).
///
/// After any call, what the `poll_*` functions, [`lanes`](Self::lanes) and [`is_readable`](Self::is_readable) say may have changed.
#[derive(Debug)]
pub(crate) struct ReaderMachine {
    id: MachineId,
    pub(super) config: Arc<ReaderConfig>,
    assignment: u32,
    pub(super) partitions: Partitions,
    pub(super) brokers: Brokers,
    pub(super) questions: Questions,
    pub(super) timers: Timers,
    pub(super) hints: Hints,
    pub(super) deliveries: Deliveries,
    pub(super) room: Room,
    pub(super) traces: Traces,
}

impl ReaderMachine {
    /// A reader with nothing assigned. `id` distinguishes its lanes from those of other readers of the client. Through `tape` it sees
    /// its budget, and how far walks have come.
    pub(crate) fn new(
        id: MachineId,
        config: Arc<ReaderConfig>,
        budget: Arc<Budget>,
        tape: Tape,
        seed: u64,
    ) -> Self {
        Self {
            id,
            timers: Timers::new(&config, seed),
            config,
            assignment: 0,
            partitions: Partitions::default(),
            brokers: Brokers::new(id),
            questions: Questions::default(),
            hints: Hints::default(),
            deliveries: Deliveries::new(tape.clone()),
            room: Room::new(budget, tape),
            traces: Traces::default(),
        }
    }

    /// Replaces all that is assigned. `assignment` goes with every message, so that a late commit is known.
    pub(crate) fn assign(&mut self, assignment: u32, partitions: Vec<(TopicPartition, Start)>) {
        self.unassign_all();
        self.assignment = assignment;
        self.assign_more(partitions);
    }

    /// Assigns further partitions; those that are assigned stay as they are.
    pub(crate) fn assign_more(&mut self, partitions: Vec<(TopicPartition, Start)>) {
        for (tp, start) in partitions {
            if let Some(id) = self.partitions.add(tp, self.config.partition_max_bytes) {
                self.begin(id, start);
            }
        }
    }

    /// Takes partitions away: from now on nothing of them is delivered, not even by a [`Walk`](super::Walk) under way. The others stay
    /// as they are.
    pub(crate) fn unassign<'a>(&mut self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        let found = partitions.into_iter().filter_map(|tp| self.partitions.id_of(tp));
        let ids: BTreeSet<CursorId> = found.collect();
        ids.iter().for_each(|id| self.withdraw(*id));
        self.partitions.remove(&ids);
    }

    /// Has each part forget a partition.
    fn withdraw(&mut self, id: CursorId) {
        self.deliveries.give_up_walk(id);
        self.clear_retry(id);
        self.leave_replica(id);
        if let Some(cursor) = self.partitions.get_mut(id) {
            self.deliveries.give_up(cursor.withdraw());
        }
        self.update(id);
    }

    /// Takes everything away: from now on nothing of it is delivered, not even by a [`Walk`](super::Walk) under way.
    pub(crate) fn unassign_all(&mut self) {
        self.deliveries.clear();
        self.deliveries.give_up(self.partitions.clear());
        self.questions.clear();
        self.hints.clear();
        self.timers.keep_brokers();
        self.brokers.clear();
    }

    /// The reader ends: takes everything away, and ends all fetch sessions, whatever is under way in them.
    pub(crate) fn end(&mut self) {
        self.unassign_all();
        self.brokers.end_sessions();
    }

    /// Goes on at another position; what was fetched before is dropped. It revives a partition that an error has stopped.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] if the partition is not assigned, or the offset or time is negative.
    pub(crate) fn seek(&mut self, tp: &TopicPartition, start: Start) -> Result<(), Error> {
        let id = self.assigned(tp)?;
        let refused = |error: Error| error.with_partition(&tp.topic, tp.partition);
        start.validate().map_err(refused)?;
        if start == Start::Committed {
            return Err(refused(Error::new(ErrorKind::Misuse("what was committed is no place to seek to"))));
        }
        self.deliveries.give_up_walk(id);
        self.clear_retry(id);
        if let Some(cursor) = self.partitions.get_mut(id) {
            self.deliveries.give_up(cursor.leave_position(self.config.partition_max_bytes));
        }
        self.begin(id, start);
        Ok(())
    }

    /// Delivers nothing more of the partition, not even by a [`Walk`](super::Walk) under way, until it is resumed; then it
    /// goes on after the last record that was returned.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] if the partition is not assigned.
    pub(crate) fn pause(&mut self, tp: &TopicPartition) -> Result<(), Error> {
        let id = self.assigned(tp)?;
        let is_interrupted = self.deliveries.interrupt_walk(id);
        if let Some(cursor) = self.partitions.get_mut(id) {
            cursor.pause(is_interrupted);
        }
        self.update(id);
        Ok(())
    }

    /// Delivers a paused partition again; does nothing to others.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] if the partition is not assigned.
    pub(crate) fn resume(&mut self, tp: &TopicPartition) -> Result<(), Error> {
        let id = self.assigned(tp)?;
        if let Some(cursor) = self.partitions.get_mut(id) {
            cursor.resume();
        }
        self.update(id);
        Ok(())
    }

    /// Returns whether the partition is paused.
    #[cfg(test)]
    pub(crate) fn is_paused(&self, tp: &TopicPartition) -> bool {
        self.partitions.find(tp).is_some_and(Cursor::is_paused)
    }

    /// The next thing for the application. A chunk taken before counts as worked on as far as its walk came: what the walk did not
    /// return comes again.
    pub(crate) fn take(&mut self) -> Option<Item> {
        self.settle();
        match self.deliveries.next() {
            Next::Notice(notice) => Some(notice),
            Next::Partition(id) => {
                let item = self.deliveries.take_from(id, self.partitions.get_mut(id)?);
                self.update(id);
                item
            }
            Next::Nothing => {
                self.end_needless_wait();
                None
            }
        }
    }

    /// Returns whether [`take`](Self::take) has something to give.
    pub(crate) fn is_readable(&self) -> bool {
        self.deliveries.is_readable()
    }

    /// Returns whether the brokers have waited in vain so often that the client seldom wakes.
    pub(crate) fn is_quiet(&self) -> bool {
        self.brokers.are_quiet()
    }

    /// Returns whether nothing is under way, waits to be taken, or will happen by itself.
    #[cfg(test)]
    pub(crate) fn is_quiescent(&self) -> bool {
        self.brokers.are_idle()
            && self.questions.is_empty()
            && !self.partitions.has_leaderless()
            && self.timers.is_empty()
            && self.hints.is_empty()
            && !self.is_readable()
    }

    /// The budget has room again.
    pub(crate) fn budget_freed(&mut self) {
        self.brokers.stop_waiting_for_room();
    }

    /// Returns how long a trouble that should pass is not reported.
    pub(crate) fn grace(&self) -> Duration {
        self.config.unknown_topic_grace
    }

    /// The topics of what is assigned; the client keeps their metadata.
    #[cfg(test)]
    pub(crate) fn topics(&self) -> Vec<kafka_proto::Str> {
        self.partitions.topics().cloned().collect()
    }

    /// Checks that a partition is assigned.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] if it is not.
    pub(crate) fn check_assigned(&self, tp: &TopicPartition) -> Result<(), Error> {
        self.assigned(tp).map(drop)
    }

    /// Returns whether partitions of a topic are assigned.
    pub(crate) fn has_topic(&self, topic: &str) -> bool {
        self.partitions.of_topic(topic).next().is_some()
    }

    /// Returns whether something of a topic is still to be taken, or a partition has not reported that it cannot be read.
    pub(crate) fn is_owed(&self, topic: &str) -> bool {
        let cursors = self.partitions.of_topic(topic).filter_map(|id| self.partitions.get(id));
        let mut owed = cursors.map(|cursor| cursor.has_items() || !cursor.has_reported());
        owed.any(|is_owed| is_owed) || self.deliveries.has_walk_of(|id| self.is_of(id, topic))
    }

    fn is_of(&self, id: CursorId, topic: &str) -> bool {
        self.partitions.get(id).is_some_and(|cursor| cursor.topic() == topic)
    }

    /// What is assigned.
    pub(crate) fn assignment(&self) -> impl Iterator<Item = &TopicPartition> {
        self.partitions.iter().map(|(_, cursor)| cursor.tp())
    }

    /// The next offset to fetch; `None` while it is not known.
    #[cfg(test)]
    pub(crate) fn position(&self, tp: &TopicPartition) -> Option<i64> {
        self.partitions.find(tp).map(Cursor::position).filter(|position| *position >= 0)
    }

    /// The offset after the last record that was returned to the application; `None` while it is not known.
    pub(crate) fn consumed(&self, tp: &TopicPartition) -> Option<i64> {
        let id = self.partitions.id_of(tp)?;
        let undelivered = || self.partitions.get(id).map(Cursor::undelivered);
        self.deliveries.walked_to(id).or_else(|| undelivered().filter(|position| *position >= 0))
    }

    /// Returns the end of what is replicated, as of the last answer; with read-committed isolation use [`lag`](Self::lag).
    pub(crate) fn high_watermark(&self, tp: &TopicPartition) -> Option<i64> {
        self.partitions.find(tp).map(|cursor| cursor.marks().high).filter(|offset| *offset >= 0)
    }

    /// Returns the first offset of the log, as of the last answer (0.11+).
    pub(crate) fn log_start(&self, tp: &TopicPartition) -> Option<i64> {
        self.partitions.find(tp).map(|cursor| cursor.marks().log_start).filter(|offset| *offset >= 0)
    }

    /// Returns how many offsets are left to read, as of the last answer: up to the high watermark, or with read-committed isolation
    /// up to the first open transaction.
    pub(crate) fn lag(&self, tp: &TopicPartition) -> Option<i64> {
        let end = self.partitions.find(tp)?.end(self.config.isolation);
        let consumed = self.consumed(tp)?;
        (end >= 0).then(|| (end - consumed).max(0))
    }

    /// Takes what is to be reported to `tracing`.
    pub(crate) fn take_traces(&mut self) -> Traces {
        std::mem::take(&mut self.traces)
    }

    /// What concerns the client's metadata.
    #[must_use]
    pub(crate) fn poll_hint(&mut self) -> Option<Hint> {
        self.hints.pop()
    }

    /// Takes a broker that may forget a fetch session of this reader, and the request that says so. Its answer is not waited for.
    #[must_use]
    pub(crate) fn poll_ended_session(&mut self) -> Option<(i32, FetchRequest)> {
        self.brokers.pop_ended()
    }

    /// Takes what was given up and is to be dropped outside of all locks.
    #[must_use]
    pub(crate) fn take_dropped(&mut self) -> Vec<Item> {
        self.deliveries.take_dropped()
    }

    /// How often a partition was looked at since the beginning: what its calls cost, for tests.
    #[cfg(test)]
    pub(crate) fn visits(&self) -> u64 {
        self.partitions.visits()
    }

    /// The walk of the last chunk is over: what it did not return comes again.
    fn settle(&mut self) {
        let Some(walked) = self.deliveries.end_walk() else { return };
        let Some(cursor) = self.partitions.get_mut(walked.cursor) else { return };
        self.deliveries.give_up(cursor.end_walk(&walked));
        self.update(walked.cursor);
    }

    fn begin(&mut self, id: CursorId, start: Start) {
        if let Err(error) = start.validate() {
            return self.halt(id, error);
        }
        let Some(cursor) = self.partitions.get_mut(id) else { return };
        match start {
            Start::First => cursor.begin(Want::First),
            Start::Last => cursor.begin(Want::Last),
            Start::Time(ms) => cursor.begin(Want::Time(ms)),
            Start::At { offset, leader_epoch } => cursor.begin_at(offset, leader_epoch.unwrap_or(-1)),
            Start::Committed => return self.halt(id, ErrorKind::NoOffset.into()),
        }
        self.update(id);
    }

    /// Returns what records of a topic have as their origin, but for the leader epoch.
    pub(super) fn origin(&self, topic_id: Uuid) -> Origin {
        Origin { reader: self.id, assignment: self.assignment, topic_id, leader_epoch: -1 }
    }

    /// There is a proven cause for not having a position: does what the policy says, and reports it.
    pub(super) fn reset(&mut self, id: CursorId, cause: impl Into<Error>) {
        let want = Want::of_reset(self.config.reset);
        let Some(cursor) = self.partitions.get_mut(id) else { return };
        cursor.reset(want, cause.into());
        self.update(id);
    }

    fn assigned(&self, tp: &TopicPartition) -> Result<CursorId, Error> {
        let error = || Error::new(ErrorKind::Misuse("the partition is not assigned to this reader"));
        self.partitions.id_of(tp).ok_or_else(|| error().with_partition(&tp.topic, tp.partition))
    }
}
