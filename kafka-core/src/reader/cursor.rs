//! One partition of a reader: where it is, who serves it, and what of it waits to be delivered.
//!
//! A cursor decides what a change means for itself. What follows from it for the rest of the reader is worked out in one place,
//! [`ReaderMachine::update`](super::machine), which gives it to each part; what a part has noted of the partition stands here, and can
//! be changed by that part only.
//!
//! Invariants
//! * The position is that of the next fetch, behind all that is queued; it is nothing while it is still to be found out.
//! * Nothing that was asked before a seek, a step back or a new leader counts any more.
//! * A partition that is halted goes on only where it is sought.

use super::brokers::{Asked, Placement};
use super::chunk::Chunk;
use super::config::Isolation;
use super::deliveries::{Turn, Walked};
use super::fetched::{Data, Watermarks};
use super::machine::Item;
use super::position::{OffsetAndEpoch, Stage, Want};
use super::questions::{Inquiry, Question};
use super::queue::Queue;
use super::source::{Replica, Source};
use super::timers::Retry;
use crate::error::{Error, ErrorKind};
use crate::machine::Time;
use crate::message::Origin;
use crate::snapshot::TopicPartition;
use crate::trouble::{Gravity, Trouble};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::{Str, Uuid};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// Numbers are never used again, so that an answer meant for an earlier assignment finds nothing.
pub(super) type CursorId = u64;

/// Puts a cursor into a set or takes it out.
pub(super) fn set(to: &mut BTreeSet<CursorId>, cursor: CursorId, is_in: bool) {
    if is_in {
        to.insert(cursor);
    } else {
        to.remove(&cursor);
    }
}

#[derive(Debug)]
pub(super) struct Cursor {
    tp: TopicPartition,

    stage: Stage,
    /// The next offset to fetch; nothing in [`Stage::Resolving`].
    position: i64,
    /// The leader epoch of what is right before the position; -1 if unknown.
    last_epoch: i32,
    /// What its position began as, if not as an offset: that means the same in another topic of the name.
    beginning: Option<Want>,
    /// The leader epoch changed, or came from outside: whether the log still has our position is to be checked.
    unvalidated: bool,
    /// How often in a row the position was reset, since a fetch had found one.
    resets: u32,
    /// Its topic was deleted: what was fetched of it can be delivered, but not fetched again.
    is_deleted: bool,

    source: Source,
    marks: Watermarks,
    /// The most that one answer brings of it.
    limit: usize,
    /// A secondary fetch of it is under way.
    in_secondary: bool,

    queue: Queue,
    is_paused: bool,
    /// What a walk under way left was paused; where it stopped is known when the next chunk is taken.
    walk_interrupted: bool,

    /// The trouble it is in since its last success.
    trouble: Trouble,
    pub(super) retry: Retry,

    // What the parts of the reader have noted.
    pub(super) placement: Placement,
    pub(super) turn: Turn,
    pub(super) inquiry: Inquiry,
}

impl Cursor {
    /// A partition that stands still until it [begins](Self::begin).
    pub(super) fn new(tp: TopicPartition, limit: usize) -> Self {
        Self {
            tp,
            stage: Stage::Halted,
            position: -1,
            last_epoch: -1,
            beginning: None,
            unvalidated: false,
            resets: 0,
            is_deleted: false,
            source: Source::default(),
            marks: Watermarks::default(),
            limit,
            in_secondary: false,
            queue: Queue::default(),
            is_paused: false,
            walk_interrupted: false,
            trouble: Trouble::default(),
            retry: Retry::default(),
            placement: Placement::default(),
            turn: Turn::default(),
            inquiry: Inquiry::default(),
        }
    }

    // ---- what it is, and what it needs ----

    pub(super) fn tp(&self) -> &TopicPartition {
        &self.tp
    }

    pub(super) fn topic(&self) -> &Str {
        &self.tp.topic
    }

    pub(super) fn partition(&self) -> i32 {
        self.tp.partition
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    pub(super) fn position(&self) -> i64 {
        self.position
    }

    /// Returns the leader epoch of what is right before the position; -1 if unknown.
    pub(super) fn last_epoch(&self) -> i32 {
        self.last_epoch
    }

    pub(super) fn marks(&self) -> Watermarks {
        self.marks
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Returns whether it is to be read, and has no leader to be read from.
    pub(super) fn is_leaderless(&self) -> bool {
        self.source.leader().is_none() && !self.retry.is_waiting() && self.stage != Stage::Halted
    }

    /// Returns what is to be asked, and of which broker.
    pub(super) fn question(&self) -> Option<(i32, Question)> {
        let question = match self.stage {
            Stage::Resolving(_) => Question::Offset,
            Stage::Validating => Question::Epoch,
            Stage::Fetching | Stage::Halted => return None,
        };
        if self.retry.is_waiting() || self.inquiry.is_asked() {
            return None;
        }
        Some((self.source.leader()?, question))
    }

    /// Returns whether it is to be part of the next fetch: less is waiting than one answer may bring.
    pub(super) fn wants_records(&self, threshold: usize) -> bool {
        self.stage == Stage::Fetching
            && !self.is_paused
            && !self.walk_interrupted
            && !self.in_secondary
            && !self.retry.is_waiting()
            && self.queue.bytes() < threshold
    }

    /// Returns whether it is to be part of fetches soon: once the application has read on, or its wait is over.
    pub(super) fn will_want_records(&self) -> bool {
        self.stage != Stage::Halted && !self.is_paused
    }

    /// Returns whether the broker is known to have more than what was fetched.
    pub(super) fn is_behind(&self, isolation: Isolation) -> bool {
        self.position < self.end(isolation)
    }

    /// Returns the end of what can be read, as far as it is known; else -1.
    pub(super) fn end(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadCommitted if self.marks.stable >= 0 => self.marks.stable,
            _ => self.marks.high,
        }
    }

    // ---- where it is ----

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

    /// Is about to begin elsewhere: what was fetched, asked and met before counts no more. Returns what was fetched.
    #[must_use = "chunks are not dropped under the lock"]
    pub(super) fn leave_position(&mut self, limit: usize) -> VecDeque<Item> {
        (self.walk_interrupted, self.in_secondary, self.limit, self.resets) = (false, false, limit, 0);
        self.inquiry.forget();
        self.recover();
        self.queue.take()
    }

    /// It is taken away: nothing is wanted of it any more, and nobody serves it.
    #[must_use = "chunks are not dropped under the lock"]
    pub(super) fn withdraw(&mut self) -> VecDeque<Item> {
        self.stage = Stage::Halted;
        self.inquiry.forget();
        self.source = Source::default();
        self.queue.take()
    }

    /// There is a proven cause for not having a position. Goes where the policy says, or nowhere.
    pub(super) fn reset(&mut self, want: Option<Want>, cause: Error) {
        match want {
            Some(want) => {
                self.begin(want);
                self.notify(cause);
            }
            None => self.halt(cause),
        }
    }

    /// Counts a reset. Returns how many there were in a row before it.
    pub(super) fn count_reset(&mut self) -> u32 {
        let before = self.resets;
        self.resets = before.saturating_add(1);
        before
    }

    /// A fetch found the position: resets were none in a row.
    pub(super) fn position_is_found(&mut self) {
        self.resets = 0;
    }

    /// An error ends its reading until it is sought.
    pub(super) fn halt(&mut self, error: Error) {
        self.stage = Stage::Halted;
        self.report(error);
    }

    /// ListOffsets brought an offset. Returns false if one was needed and this is none.
    pub(super) fn resolve(&mut self, offset: i64) -> bool {
        match self.stage {
            // No record is of that time or later: the next one will be.
            Stage::Resolving(Want::Time(_)) if offset < 0 => self.stage = Stage::Resolving(Want::Last),
            Stage::Resolving(_) if offset < 0 => return false,
            Stage::Resolving(_) => {
                (self.stage, self.position, self.last_epoch) = (Stage::Fetching, offset, -1);
                self.recover();
            }
            _ => {}
        }
        true
    }

    /// Returns whether the log may have been truncated below the position, as far as epochs can tell.
    pub(super) fn is_unvalidated(&self) -> bool {
        self.unvalidated && self.last_epoch >= 0
    }

    /// The position is about to be checked, by the next fetch or before it by a question. Returns whether that is to be asked.
    pub(super) fn check_position(&mut self, by_question: bool) -> bool {
        self.unvalidated = false;
        let is_asked = by_question && !self.source.is_replica();
        if is_asked {
            self.stage = Stage::Validating;
        }
        is_asked
    }

    /// The log still has the position.
    pub(super) fn validated(&mut self) {
        (self.stage, self.unvalidated) = (Stage::Fetching, false);
    }

    /// What was fetched from here on is to be fetched again. The log may have been truncated meanwhile.
    fn go_back_to(&mut self, place: OffsetAndEpoch) {
        (self.position, self.last_epoch) = (place.offset, place.epoch);
        self.inquiry.forget();
        self.unvalidated |= place.epoch < self.source.epoch();
    }

    /// Goes back to the end of what both logs have: no other position is better. Returns what was fetched, or `None` where it is there
    /// already: then the leader sent us here itself, and what it says of its epochs leads nowhere, so that it is asked without.
    pub(super) fn go_back_to_end(&mut self, end: OffsetAndEpoch) -> Option<VecDeque<Item>> {
        let position = self.undelivered().min(end.offset).max(0);
        if position == self.position {
            self.last_epoch = -1;
            return None;
        }
        let dropped = self.take_back();
        (self.stage, self.position) = (Stage::Fetching, position);
        self.last_epoch = if position == end.offset { end.epoch } else { -1 };
        Some(dropped)
    }

    /// Its topic was deleted and created again. Where nothing was read yet, nothing is lost: the id before may have been a lagging
    /// broker's.
    pub(super) fn topic_recreated(&mut self, old: Uuid, new: Uuid) {
        // The epochs of the new topic count from the beginning.
        self.source.forget();
        self.in_secondary = false;
        self.inquiry.forget();
        let was_fetched = std::mem::take(&mut self.marks) != Watermarks::default();
        match self.beginning.filter(|_| !was_fetched && self.stage != Stage::Halted) {
            Some(want) => self.begin(want),
            None => {
                self.is_deleted = true;
                self.halt(Error::new(ErrorKind::TopicRecreated { old, new }));
            }
        }
    }

    /// Returns the broker that serves it.
    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// Goes to a replica that its leader named.
    pub(super) fn visit(&mut self, replica: Replica) {
        self.source.visit(replica);
    }

    /// Goes back to its leader.
    pub(super) fn leave_replica(&mut self) -> Option<Replica> {
        self.source.leave_replica()
    }

    /// Its leader is another one, or leads in another epoch.
    pub(super) fn set_leader(&mut self, leader: Option<i32>, epoch: i32) {
        self.unvalidated |= epoch > self.source.epoch();
        self.source.set_leader(leader, epoch);
        self.inquiry.forget();
        if self.stage == Stage::Validating {
            (self.stage, self.unvalidated) = (Stage::Fetching, true);
        }
    }

    // ---- what fetches bring ----

    pub(super) fn set_in_secondary(&mut self, in_secondary: bool) {
        self.in_secondary = in_secondary;
    }

    pub(super) fn is_in_secondary(&self) -> bool {
        self.in_secondary
    }

    /// Notes the ends of the log. Returns whether they have moved.
    pub(super) fn note_marks(&mut self, marks: Watermarks) -> bool {
        std::mem::replace(&mut self.marks, marks) != marks
    }

    /// Takes what a fetch brought. Returns false if all of it is from before the position.
    pub(super) fn accept(&mut self, data: Data, origin: Origin) -> bool {
        let start = OffsetAndEpoch { offset: self.position, epoch: self.last_epoch };
        let next = data.next_offset.unwrap_or(start.offset);
        if next <= start.offset && !data.broken {
            return false;
        }
        if data.broken {
            // The walk reports it, as soon as it is there.
            self.stage = Stage::Halted;
        }
        self.recover();
        (self.position, self.last_epoch) = (next.max(start.offset), data.leader_epoch);
        let chunk = Chunk::new(&self.tp.topic, self.tp.partition, origin, start, data);
        self.queue.push(Item::Chunk(chunk));
        true
    }

    /// Raises the limit for a batch of this size. Returns false if it should have fitted.
    pub(super) fn raise_limit(&mut self, size: usize, most: usize) -> bool {
        let limit = self.limit;
        self.limit = limit.saturating_mul(2).max(size).min(most);
        size > limit
    }

    // ---- what is delivered of it ----

    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Pauses it. A walk that was interrupted by this is over when the next chunk is taken.
    pub(super) fn pause(&mut self, has_interrupted: bool) {
        self.is_paused = true;
        self.walk_interrupted |= has_interrupted;
    }

    pub(super) fn resume(&mut self) {
        self.is_paused = false;
    }

    /// Returns whether it waits for the end of a walk that was interrupted.
    pub(super) fn is_walk_interrupted(&self) -> bool {
        self.walk_interrupted
    }

    /// The walk of its chunk is over. What that did not return comes again. Returns what is not to be delivered any more.
    #[must_use = "chunks are not dropped under the lock"]
    pub(super) fn end_walk(&mut self, walked: &Walked) -> VecDeque<Item> {
        self.walk_interrupted = false;
        if !walked.is_left {
            return VecDeque::new();
        }
        if self.is_deleted {
            // What it left is nowhere to be had: in the topic of that name now the position means nothing.
            return self.queue.take_chunks();
        }
        let dropped = self.take_back();
        self.go_back_to(walked.place);
        self.stage = if walked.has_failed { Stage::Halted } else { Stage::Fetching };
        dropped
    }

    /// Returns the first offset that was fetched and not taken, or else the one to be fetched.
    pub(super) fn undelivered(&self) -> i64 {
        self.queue.first_chunk().map_or(self.position, |chunk| chunk.start)
    }

    pub(super) fn has_items(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        self.queue.pop()
    }

    /// Gives up everything.
    #[must_use = "chunks are not dropped under the lock"]
    pub(super) fn into_items(mut self) -> VecDeque<Item> {
        self.queue.take()
    }

    /// Gives up the chunks that wait, to be fetched again.
    #[must_use = "chunks are not dropped under the lock"]
    pub(super) fn drop_buffered(&mut self) -> VecDeque<Item> {
        let first = self.queue.first_chunk();
        let start = first.map(|chunk| OffsetAndEpoch { offset: chunk.start, epoch: chunk.ticket.epoch() });
        let may_be_had_again = |place: &OffsetAndEpoch| place.offset != self.position && !self.is_deleted;
        let Some(start) = start.filter(may_be_had_again) else { return VecDeque::new() };
        let dropped = self.take_back();
        self.go_back_to(start);
        self.stage = Stage::Fetching;
        dropped
    }

    /// Gives up what waits, to be had again: what was to be reported will be met again, and is news then.
    fn take_back(&mut self) -> VecDeque<Item> {
        let dropped = self.queue.take();
        if dropped.iter().any(|item| !matches!(item, Item::Chunk(_))) {
            self.trouble.is_over();
        }
        dropped
    }

    // ---- its troubles ----

    /// Forgets past failures.
    pub(super) fn recover(&mut self) {
        self.retry.recover();
        self.trouble.is_over();
    }

    /// Reports an error, once until it has recovered.
    pub(super) fn report_once(&mut self, error: Error) {
        if self.trouble.tell(Gravity::Stays) {
            self.report(error);
        }
    }

    /// Returns whether it stands still, or has reported that it is in a trouble which does not pass.
    pub(super) fn has_reported(&self) -> bool {
        self.stage == Stage::Halted || self.trouble.is_told_to_stay()
    }

    /// Notes a trouble that should pass. If it lasts for longer than `grace`, it is reported: an unknown topic or partition as an error,
    /// anything else as a notice.
    pub(super) fn note_trouble(&mut self, now: Time, grace: Duration, error: Error) {
        let is_unknown = error.code() == Some(ErrorCode::UnknownTopicOrPartition);
        if !self.trouble.lasts(now, now, grace, Gravity::of(!is_unknown)) {
            return;
        }
        if is_unknown {
            self.report(error);
        } else {
            self.notify(error);
        }
    }

    fn report(&mut self, error: Error) {
        self.queue.push(Item::Error(error.with_partition(&self.tp.topic, self.tp.partition)));
    }

    /// Reports, behind what was fetched, something that was dealt with.
    pub(super) fn notify(&mut self, error: Error) {
        self.queue.push(Item::Notice(error.with_partition(&self.tp.topic, self.tp.partition)));
    }
}

impl Asked {
    /// What is asked of a partition as it is now.
    pub(super) fn of(cursor: &Cursor) -> Self {
        Self {
            offset: cursor.position,
            leader_epoch: cursor.source.epoch(),
            last_epoch: cursor.last_epoch,
            limit: cursor.limit,
        }
    }
}
