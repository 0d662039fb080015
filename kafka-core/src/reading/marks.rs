//! What a reader's application has handled, and its commit without a call.
//!
//! Invariants
//! * A message is handled once the application marks it or asks for the one after it, never before.
//! * What is handled is committed within the interval of its first mark by the machine's timer, whatever the application does.
//! * Marks belong to one assignment and do not outlive it. Until then what could not be committed stays marked.
//! * A commit by a call takes the place of marks that are not above it.
//! * That the group refuses to take them is told, once until it takes some.
//! * The handle takes the client's lock once in an interval, to set the timer; not for each message.

use super::{ReaderItem, Reading};
use crate::error::{Error, ErrorKind};
use crate::group::CommitOffset;
use crate::machine::{Cx, OpId, Out, Time};
use crate::snapshot::TopicPartition;
use crate::sync::{Mutex, MutexGuard};
use kafka_proto::Uuid;
use rustc_hash::FxHashMap;
use std::sync::PoisonError;
use std::time::Duration;

/// They are numbered from 1.
const NO_ASSIGNMENT: u32 = 0;

/// What the handle marks and the client commits.
#[derive(Debug)]
pub(crate) struct Marks {
    interval: Duration,
    state: Mutex<State>,
}

/// The offset after the last message that was handled, with the leader epoch of that message, and the id of the topic it was read of.
pub(crate) type Mark = (i64, i32, Uuid);

#[derive(Debug)]
struct State {
    assignment: u32,
    /// The timer is set.
    is_armed: bool,
    by_partition: FxHashMap<TopicPartition, usize>,
    places: Vec<Place>,
    /// In the order of being sent.
    under_way: Vec<UnderWay>,
}

/// What is handled of one partition.
#[derive(Debug)]
struct Place {
    partition: TopicPartition,
    /// `None` where nothing was handled since the last commit.
    mark: Option<Mark>,
    /// The last one that was marked since the application sought, committed or not.
    highest: Option<Mark>,
}

/// A commit that has not ended.
#[derive(Debug)]
struct UnderWay {
    /// The membership's number.
    commit: u64,
    assignment: u32,
    offsets: Vec<CommitOffset>,
}

impl Marks {
    pub(crate) fn new(interval: Duration) -> Self {
        let state = State {
            assignment: NO_ASSIGNMENT,
            is_armed: false,
            by_partition: FxHashMap::default(),
            places: Vec::new(),
            under_way: Vec::new(),
        };
        Self { interval, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Messages of this assignment come from now on.
    pub(crate) fn begin(&self, assignment: u32) {
        self.lock().assignment = assignment;
    }

    /// The assignment is over: nothing of it can be committed any more, and no message of it marked.
    pub(crate) fn forget(&self) {
        let mut state = self.lock();
        state.assignment = NO_ASSIGNMENT;
        state.by_partition.clear();
        state.places.clear();
    }

    pub(crate) fn is_of(&self, assignment: u32) -> bool {
        self.lock().assignment == assignment
    }

    /// Where a partition's mark is, until the marks are [forgotten](Self::forget).
    pub(crate) fn place(&self, partition: TopicPartition) -> usize {
        let State { by_partition, places, .. } = &mut *self.lock();
        *by_partition.entry(partition).or_insert_with_key(|partition| {
            places.push(Place { partition: partition.clone(), mark: None, highest: None });
            places.len() - 1
        })
    }

    /// Marks the messages before this offset as handled, unless later ones are already. Returns whether the timer must be set.
    #[must_use]
    pub(crate) fn set(&self, place: usize, mark: Mark) -> bool {
        let State { places, is_armed, .. } = &mut *self.lock();
        let Some(place) = places.get_mut(place) else { return false };
        if place.highest.is_some_and(|highest| is_before(mark, highest)) {
            return false;
        }
        (place.mark, place.highest) = (Some(mark), Some(mark));
        !std::mem::replace(is_armed, true)
    }

    /// The application sought: what it handles next counts, be it before what it has handled.
    pub(crate) fn sought(&self, partitions: &[TopicPartition]) {
        let mut state = self.lock();
        for partition in partitions {
            state.place_of(partition).into_iter().for_each(|place| place.highest = None);
        }
    }

    /// What was handled since the last time, and the assignment it is of. The next mark sets the timer anew.
    fn take(&self) -> Option<(u32, Vec<CommitOffset>)> {
        let State { assignment, is_armed, places, .. } = &mut *self.lock();
        *is_armed = false;
        let taken = places.iter_mut().filter_map(|place| {
            let mark = place.mark.take()?;
            Some(place.offset(mark))
        });
        let taken: Vec<CommitOffset> = taken.collect();
        (!taken.is_empty()).then_some((*assignment, taken))
    }

    /// These offsets are committed by a call. The marks that they take the place of.
    fn supersede(&self, offsets: &[CommitOffset]) -> Vec<CommitOffset> {
        let mut state = self.lock();
        let mut superseded = Vec::new();
        for new in offsets {
            let is_covered = |offset: i64, id: Uuid| offset <= new.offset && id == new.topic_id;
            superseded.extend(state.place_of(&new.partition).and_then(|place| {
                let mark = place.mark.take_if(|(offset, _, id)| is_covered(*offset, *id))?;
                Some(place.offset(mark))
            }));
            for old in &mut state.under_way {
                old.offsets
                    .retain(|old| old.partition != new.partition || !is_covered(old.offset, old.topic_id));
            }
        }
        superseded
    }

    /// What is under way of the same partitions was marked before, and is not marked again, whatever becomes of it.
    fn sent(&self, commit: u64, assignment: u32, offsets: Vec<CommitOffset>) {
        let mut state = self.lock();
        let is_newer = |old: &CommitOffset| offsets.iter().any(|new| new.partition == old.partition);
        state.under_way.iter_mut().for_each(|old| old.offsets.retain(|old| !is_newer(old)));
        state.under_way.push(UnderWay { commit, assignment, offsets });
    }

    /// The commits that have not ended, as far as nothing newer takes their place.
    fn under_way(&self) -> Vec<u64> {
        let state = self.lock();
        let open = state.under_way.iter().filter(|it| !it.offsets.is_empty());
        open.map(|it| it.commit).collect()
    }

    /// A commit has ended; `None` if it was not one of marks. What was not committed is marked again, where nothing newer
    /// is, and the answer is whether the timer must be set.
    fn ended(&self, commit: u64, is_done: bool) -> Option<bool> {
        let mut state = self.lock();
        let at = state.under_way.iter().position(|it| it.commit == commit)?;
        let UnderWay { assignment, offsets, .. } = state.under_way.remove(at);
        if is_done || assignment != state.assignment {
            return Some(false);
        }
        for CommitOffset { partition, offset, leader_epoch, topic_id, .. } in offsets {
            if let Some(place) = state.place_of(&partition) {
                place.mark.get_or_insert((offset, leader_epoch, topic_id));
            }
        }
        Some(!std::mem::replace(&mut state.is_armed, true))
    }
}

impl State {
    fn place_of(&mut self, partition: &TopicPartition) -> Option<&mut Place> {
        self.places.get_mut(*self.by_partition.get(partition)?)
    }
}

impl Place {
    fn offset(&self, (offset, leader_epoch, topic_id): Mark) -> CommitOffset {
        CommitOffset { partition: self.partition.clone(), offset, leader_epoch, topic_id, metadata: None }
    }
}

/// Whether a mark is one of earlier messages. Those of a log that was truncated have a later epoch.
fn is_before((offset, epoch, topic_id): Mark, highest: Mark) -> bool {
    topic_id == highest.2 && offset < highest.0 && epoch <= highest.1
}

impl Reading {
    /// There is a first mark since the last commit.
    pub(super) fn marked(&mut self, cx: &Cx<'_>) {
        self.marks_due = Some(cx.now.time + self.marks.interval);
    }

    /// Commits what the application has handled. The outcome is not waited for.
    pub(super) fn commit_marks(&mut self, cx: &Cx<'_>) {
        self.marks_due = None;
        let Some((assignment, offsets)) = self.tape.see(|| self.marks.take()) else { return };
        let Some(config) = self.from.group() else { return };
        let deadline = cx.now.time + config.commit_timeout;
        let Some(member) = &mut self.member else { return };
        let commit = member.commit(cx.now, assignment, offsets.clone(), deadline, cx.cluster);
        self.marks.sent(commit, assignment, offsets);
    }

    /// Returns a promise for each commit of marks that has not ended and that no call waits for.
    pub(super) fn promise_marks(&mut self, cx: &mut Cx<'_>) -> Vec<OpId> {
        let mut open = self.tape.see(|| self.marks.under_way());
        open.retain(|commit| self.awaited.get(commit).is_none_or(|awaited| awaited.call.is_none()));
        let promise = |commit| {
            let op = cx.promises.promise();
            self.awaited.entry(commit).or_default().closings.push(op);
            op
        };
        open.into_iter().map(promise).collect()
    }

    /// The application commits by a call.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] without a group.
    pub(super) fn commit(
        &mut self,
        cx: &mut Cx<'_>,
        assignment: u32,
        offsets: Vec<CommitOffset>,
        deadline: Time,
    ) -> Result<OpId, Error> {
        let Some(member) = &mut self.member else {
            return Err(Error::new(ErrorKind::Misuse("a reader without a group has nowhere to commit to")));
        };
        let superseded = self.tape.see(|| self.marks.supersede(&offsets));
        let commit = member.commit(cx.now, assignment, offsets, deadline, cx.cluster);
        if !superseded.is_empty() {
            self.marks.sent(commit, assignment, superseded);
        }
        let op = cx.promises.promise();
        self.awaited.entry(commit).or_default().call = Some(op);
        Ok(op)
    }

    /// A commit has ended.
    pub(super) fn committed(&mut self, cx: &Cx<'_>, commit: u64, result: Result<(), Error>) {
        let waiting: Vec<OpId> = self.awaited.remove(&commit).unwrap_or_default().into_ops().collect();
        self.marks_ended(cx, commit, &result, !waiting.is_empty());
        self.outs.extend(waiting.into_iter().map(|op| Out::Done(op, result.clone())));
    }

    /// Where nobody waits for its outcome it was one of marks, and is looked at here.
    fn marks_ended(&mut self, cx: &Cx<'_>, commit: u64, result: &Result<(), Error>, is_waited_for: bool) {
        // What an assignment that is over, or a deleted topic, has left can never be committed.
        let is_over = |error: &Error| matches!(error.kind(), ErrorKind::StaleCommit | ErrorKind::Closed);
        let is_done = result.as_ref().map_or_else(is_over, |()| true);
        let Some(is_to_be_set) = self.tape.see(|| self.marks.ended(commit, is_done)) else { return };
        if is_to_be_set {
            let wait = self.marks.interval.max(self.retry_backoff_max);
            self.marks_due = Some(cx.now.time + wait);
        }
        match result {
            Ok(()) => self.marks_refused(None),
            // What should pass is told by the membership.
            Err(error) if is_done || is_waited_for || error.is_retriable() => {}
            Err(error) => self.marks_refused(Some(error)),
        }
    }

    /// Tells, once until some are taken, that what the application has marked is refused.
    fn marks_refused(&mut self, error: Option<&Error>) {
        let was_told = std::mem::replace(&mut self.told_refusal, error.is_some());
        if let Some(error) = error.filter(|_| !was_told) {
            self.push_item(ReaderItem::Error(error.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tp(partition: i32) -> TopicPartition {
        TopicPartition::new("t", partition)
    }

    /// Partition, offset, leader epoch.
    type Taken = (i32, i64, i32);

    fn taken(marks: &Marks) -> Option<(u32, Vec<Taken>)> {
        let (assignment, offsets) = marks.take()?;
        let offsets = offsets.into_iter().map(|o| (o.partition.partition, o.offset, o.leader_epoch));
        Some((assignment, offsets.collect()))
    }

    #[test]
    fn case_f6_the_timer_is_set_once_in_an_interval() {
        let marks = Marks::new(Duration::ZERO);
        marks.begin(1);
        let (one, two) = (marks.place(tp(1)), marks.place(tp(2)));
        assert_eq!(marks.place(tp(1)), one);
        assert!(marks.set(one, (5, 3, Uuid::ZERO)));
        assert!(!marks.set(two, (9, -1, Uuid::ZERO)) && !marks.set(one, (6, 4, Uuid::ZERO)));
        assert_eq!(taken(&marks), Some((1, vec![(1, 6, 4), (2, 9, -1)])));
        assert_eq!(taken(&marks), None);
        assert!(marks.set(two, (10, -1, Uuid::ZERO)));
        assert_eq!(taken(&marks), Some((1, vec![(2, 10, -1)])));
    }

    /// Found by the simulator: the committed offset went back.
    #[test]
    fn what_failed_is_not_marked_again_after_a_newer_mark_was_committed() {
        for newer_ends_first in [true, false] {
            let marks = Marks::new(Duration::ZERO);
            marks.begin(1);
            let (one, two) = (marks.place(tp(1)), marks.place(tp(2)));
            let _ = marks.set(one, (5, 3, Uuid::ZERO));
            let _ = marks.set(two, (7, 3, Uuid::ZERO));
            let (assignment, older) = marks.take().unwrap();
            marks.sent(1, assignment, older);
            let _ = marks.set(one, (6, 3, Uuid::ZERO));
            let (assignment, newer) = marks.take().unwrap();
            marks.sent(2, assignment, newer);
            let ends = if newer_ends_first { [(2, true), (1, false)] } else { [(1, false), (2, true)] };
            ends.into_iter().for_each(|(commit, is_done)| _ = marks.ended(commit, is_done));
            assert_eq!(taken(&marks), Some((1, vec![(2, 7, 3)])), "the other partition's counts again");
        }
    }

    /// Workers may end in another order than they began.
    #[test]
    fn a_mark_of_an_earlier_message_takes_none_back_unless_the_application_sought() {
        let marks = Marks::new(Duration::ZERO);
        marks.begin(1);
        let one = marks.place(tp(1));
        assert!(marks.set(one, (10, 3, Uuid::ZERO)));
        assert!(!marks.set(one, (3, 3, Uuid::ZERO)));
        assert_eq!(taken(&marks), Some((1, vec![(1, 10, 3)])));
        assert!(!marks.set(one, (4, 3, Uuid::ZERO)), "nor once it was committed");
        assert_eq!(taken(&marks), None);
        assert!(marks.set(one, (5, 4, Uuid::ZERO)), "the log was truncated");
        assert!(!marks.set(one, (6, 4, Uuid([1; 16]))), "the topic was made anew");
        assert_eq!(taken(&marks), Some((1, vec![(1, 6, 4)])));
        marks.sought(&[tp(1), tp(2)]);
        assert!(marks.set(one, (1, 3, Uuid([1; 16]))));
        assert_eq!(taken(&marks), Some((1, vec![(1, 1, 3)])));
    }

    #[test]
    fn case_f6_nothing_is_left_of_an_assignment_that_is_over() {
        let marks = Marks::new(Duration::ZERO);
        marks.begin(1);
        let one = marks.place(tp(1));
        assert!(marks.set(one, (5, 3, Uuid::ZERO)));
        marks.forget();
        assert!(!marks.is_of(1));
        assert!(!marks.set(one, (6, 3, Uuid::ZERO)), "the place is gone");
        assert_eq!(taken(&marks), None);
        marks.begin(2);
        let two = marks.place(tp(2));
        assert!(marks.set(two, (1, 0, Uuid::ZERO)));
        assert_eq!(taken(&marks), Some((2, vec![(2, 1, 0)])));
    }
}
