//! One partition of a reader: where it is, who serves it, and what of it waits to be delivered.
//!
//! A cursor holds and answers; what follows from a change is worked out in one place, [`ReaderMachine::update`](super::machine).

use super::config::{Isolation, Reset};
use super::delivery::Chunk;
use super::fetched::Watermarks;
use super::machine::Item;
use super::timers::Retry;
use crate::machine::Time;
use crate::snapshot::TopicPartition;
use crate::trouble::Trouble;
use kafka_proto::Str;
use std::collections::{BTreeSet, VecDeque};

/// Numbers are never used again, so that an answer meant for an earlier assignment finds nobody.
pub(super) type CursorId = u64;

/// Puts a cursor into a set or takes it out.
pub(super) fn set(to: &mut BTreeSet<CursorId>, cursor: CursorId, is_in: bool) {
    if is_in {
        to.insert(cursor);
    } else {
        to.remove(&cursor);
    }
}

/// What a queued chunk costs beside its bytes, so that many small ones do not count as nothing.
const CHUNK_OVERHEAD: usize = 256;

/// A place in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OffsetAndEpoch {
    pub(super) offset: i64,
    /// The leader epoch of what is right before the offset; -1 if unknown.
    pub(super) epoch: i32,
}

#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) tp: TopicPartition,
    pub(super) stage: Stage,
    pub(super) paused: bool,
    /// The next offset to fetch; nothing in [`Stage::Resolving`].
    pub(super) position: i64,
    /// The leader epoch of what is right before the position; -1 if unknown.
    pub(super) last_epoch: i32,
    /// What its position began as, if not as an offset: that means the same in another topic of the name.
    beginning: Option<Want>,
    pub(super) leader: Option<i32>,
    pub(super) leader_epoch: i32,
    pub(super) replica: Option<Replica>,
    pub(super) marks: Watermarks,
    /// The most that one answer brings of it.
    pub(super) limit: usize,
    pub(super) queue: VecDeque<Item>,
    pub(super) queued: usize,
    pub(super) retry: Retry,
    /// The trouble it is in since its last success.
    pub(super) trouble: Trouble,
    /// How often in a row the position was reset, since a fetch had found one.
    pub(super) resets: u32,
    /// The leader epoch changed, or came from outside: whether the log still has our position is to be checked.
    pub(super) unvalidated: bool,
    /// What a walk under way left was paused; where it stopped is known when the next chunk is taken.
    pub(super) walk_interrupted: bool,
    /// Its topic was deleted: what was fetched of it can be delivered, but not fetched again.
    pub(super) is_deleted: bool,

    // Where `ReaderMachine::update` has it registered.
    pub(super) home: Option<i32>,
    pub(super) turn: u64,
    pub(super) ready: Option<u64>,
    pub(super) pending: Option<(i32, Question)>,
    // What is under way.
    pub(super) asked: Option<u64>,
    pub(super) in_secondary: bool,
}

/// What a cursor needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// A position, by ListOffsets.
    Resolving(Want),
    /// To know that the log was not truncated below its position, by OffsetForLeaderEpoch.
    Validating,
    /// Records.
    Fetching,
    /// The application: an error was told, or will be at the end of the last chunk, and only seeking helps.
    Halted,
}

/// A position by what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    First,
    Last,
    Time(i64),
}

impl Want {
    /// As ListOffsets puts it.
    pub(super) fn timestamp(self) -> i64 {
        match self {
            Self::First => -2,
            Self::Last => -1,
            Self::Time(ms) => ms,
        }
    }

    pub(super) fn of_reset(reset: Reset) -> Option<Self> {
        match reset {
            Reset::Error => None,
            Reset::First => Some(Self::First),
            Reset::Last => Some(Self::Last),
            Reset::Time(ms) => Some(Self::Time(ms)),
        }
    }
}

/// What can be asked about a cursor's position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Question {
    Offset,
    Epoch,
}

/// The replica that the leader sent us to (KIP-392).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Replica {
    pub(super) id: i32,
    pub(super) until: Time,
}

impl Cursor {
    pub(super) fn new(tp: TopicPartition, stage: Stage, limit: usize) -> Self {
        Self {
            tp,
            stage,
            paused: false,
            position: -1,
            last_epoch: -1,
            beginning: None,
            leader: None,
            leader_epoch: -1,
            replica: None,
            marks: Watermarks::default(),
            limit,
            queue: VecDeque::new(),
            queued: 0,
            retry: Retry::default(),
            trouble: Trouble::default(),
            resets: 0,
            unvalidated: false,
            walk_interrupted: false,
            is_deleted: false,
            home: None,
            turn: 0,
            ready: None,
            pending: None,
            asked: None,
            in_secondary: false,
        }
    }

    pub(super) fn topic(&self) -> &Str {
        &self.tp.topic
    }

    /// The broker to fetch from.
    pub(super) fn source(&self) -> Option<i32> {
        self.replica.map(|replica| replica.id).or(self.leader)
    }

    /// Returns whether it is to be read, and has no leader to be read from.
    pub(super) fn is_leaderless(&self) -> bool {
        self.leader.is_none() && !self.retry.is_waiting() && self.stage != Stage::Halted
    }

    /// What is to be asked, and of whom.
    pub(super) fn question(&self) -> Option<(i32, Question)> {
        let question = match self.stage {
            Stage::Resolving(_) => Question::Offset,
            Stage::Validating => Question::Epoch,
            Stage::Fetching | Stage::Halted => return None,
        };
        if self.retry.is_waiting() || self.asked.is_some() {
            return None;
        }
        Some((self.leader?, question))
    }

    /// Whether it is to be part of the next fetch: less is waiting than one answer may bring.
    pub(super) fn wants_records(&self, threshold: usize) -> bool {
        self.stage == Stage::Fetching
            && !self.paused
            && !self.walk_interrupted
            && !self.in_secondary
            && !self.retry.is_waiting()
            && self.queued < threshold
    }

    /// Whether it is to be part of fetches soon: once the application has read on, or its wait is over.
    pub(super) fn will_want_records(&self) -> bool {
        self.stage != Stage::Halted && !self.paused
    }

    /// Whether the broker is known to have more than what was fetched.
    pub(super) fn is_behind(&self, isolation: Isolation) -> bool {
        self.position < self.end(isolation)
    }

    /// The end of what can be read, as far as it is known; else -1.
    pub(super) fn end(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadCommitted if self.marks.stable >= 0 => self.marks.stable,
            _ => self.marks.high,
        }
    }

    /// The first offset that was fetched and not taken, or else the one to be fetched.
    pub(super) fn undelivered(&self) -> i64 {
        self.first_chunk().map_or(self.position, |chunk| chunk.start)
    }

    fn first_chunk(&self) -> Option<&Chunk> {
        self.queue.iter().find_map(|item| match item {
            Item::Chunk(chunk) => Some(chunk),
            _ => None,
        })
    }

    /// What was fetched from here on is to be fetched again. The log may have been truncated meanwhile.
    pub(super) fn go_back_to(&mut self, position: i64, epoch: i32) {
        (self.position, self.last_epoch, self.asked) = (position, epoch, None);
        self.unvalidated |= epoch < self.leader_epoch;
    }

    /// Goes on at a position that is to be found out.
    pub(super) fn begin(&mut self, want: Want) {
        self.beginning = Some(want);
        self.go_to(Stage::Resolving(want), -1, -1);
    }

    /// Goes on at an offset.
    pub(super) fn begin_at(&mut self, offset: i64, epoch: i32) {
        self.beginning = None;
        self.go_to(Stage::Fetching, offset, epoch);
    }

    fn go_to(&mut self, stage: Stage, position: i64, epoch: i32) {
        (self.stage, self.position, self.last_epoch) = (stage, position, epoch);
        (self.unvalidated, self.is_deleted) = (epoch >= 0, false);
    }

    /// What to begin with in another topic of the name, if nothing was read of this one: no leader had it by its id.
    pub(super) fn beginning_anew(&self) -> Option<Want> {
        let was_fetched = self.marks != Watermarks::default();
        self.beginning.filter(|_| !was_fetched && self.stage != Stage::Halted)
    }

    /// Forgets past failures.
    pub(super) fn recover(&mut self) {
        self.retry.recover();
        self.trouble.is_over();
    }

    pub(super) fn push_chunk(&mut self, chunk: Chunk) {
        self.queued += cost(&chunk);
        self.queue.push_back(Item::Chunk(chunk));
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.queue.pop_front()?;
        if let Item::Chunk(chunk) = &item {
            self.queued -= cost(chunk);
        }
        Some(item)
    }

    /// Gives up the chunks that wait, to be fetched again.
    #[must_use = "chunks are not dropped under the lock"]
    pub(super) fn drop_buffered(&mut self) -> VecDeque<Item> {
        let start = self.first_chunk().map(|chunk| (chunk.start, chunk.ticket.epoch()));
        let may_be_had_again = |place: &(i64, i32)| place.0 != self.position && !self.is_deleted;
        let Some((position, epoch)) = start.filter(may_be_had_again) else {
            return VecDeque::new();
        };
        let dropped = self.take_back();
        self.go_back_to(position, epoch);
        self.stage = Stage::Fetching;
        dropped
    }

    /// Gives up what waits, to be had again: what was to be told will be met again, and is news then.
    #[must_use = "chunks are not dropped under the lock"]
    pub(super) fn take_back(&mut self) -> VecDeque<Item> {
        let dropped = self.clear_queue();
        if dropped.iter().any(|item| !matches!(item, Item::Chunk(_))) {
            self.trouble.is_over();
        }
        dropped
    }

    /// Gives up the chunks that wait, and keeps what is to be told.
    #[must_use = "chunks are not dropped under the lock"]
    pub(super) fn drop_chunks(&mut self) -> VecDeque<Item> {
        let is_chunk = |item: &Item| matches!(item, Item::Chunk(_));
        let (chunks, told) = self.clear_queue().into_iter().partition(is_chunk);
        self.queue = told;
        chunks
    }

    #[must_use = "chunks are not dropped under the lock"]
    pub(super) fn clear_queue(&mut self) -> VecDeque<Item> {
        self.queued = 0;
        std::mem::take(&mut self.queue)
    }
}

fn cost(chunk: &Chunk) -> usize {
    chunk.size_in_bytes() + CHUNK_OVERHEAD
}
