//! What the application is to be given, and in whose turn.
//!
//! Invariants
//! * A partition stands in `ready` under the [`Turn`] of its cursor, if it has something to take and is not paused;
//!   in `paused` if it has something to take and is paused.
//! * The application has one chunk at most. Its walk is ended before another item is taken, and whenever the partition is taken
//!   away, sought, or paused half way.
//! * What was given up is kept until it is taken by [`take_dropped`](Deliveries::take_dropped): its drop gives memory back,
//!   which calls a waker, and must not happen under the lock.

use super::chunk::Ticket;
use super::cursor::{Cursor, CursorId, set};
use super::machine::Item;
use super::position::OffsetAndEpoch;
use crate::tape::Tape;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// When a partition's turn is, where it has something to take.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turn(Option<u64>);

impl Turn {
    /// Returns whether it is to come.
    pub(super) fn is_to_come(self) -> bool {
        self.0.is_some()
    }
}

#[derive(Debug)]
pub(super) struct Deliveries {
    /// Through it the walk is seen.
    tape: Tape,
    /// What goes before records.
    notices: VecDeque<Item>,
    /// Partitions with something to take, by turn.
    ready: BTreeMap<u64, CursorId>,
    /// Paused partitions with something to take.
    paused: BTreeSet<CursorId>,
    last_turn: u64,
    taken: Option<Taken>,
    /// The application asked for more and there was nothing.
    is_awaited: bool,
    dropped: Vec<Item>,
}

/// The chunk that the application has.
#[derive(Debug)]
struct Taken {
    cursor: CursorId,
    ticket: Arc<Ticket>,
    end: i64,
}

impl Taken {
    fn position(&self, tape: &Tape) -> i64 {
        tape.see(|| self.ticket.position())
    }

    /// Returns whether the walk has more to return.
    fn is_left(&self, tape: &Tape) -> bool {
        self.position(tape) < self.end
    }
}

/// How far the walk of a chunk has come that was ended.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) cursor: CursorId,
    pub(super) place: OffsetAndEpoch,
    /// It met something that cannot be read.
    pub(super) has_failed: bool,
    /// It did not come to the end.
    pub(super) is_left: bool,
}

/// Where the next item is.
#[derive(Debug)]
pub(super) enum Next {
    /// It is this one, which belongs to no partition.
    Notice(Item),
    /// It is with this partition.
    Partition(CursorId),
    /// There is none.
    Nothing,
}

impl Deliveries {
    pub(super) fn new(tape: Tape) -> Self {
        Self {
            tape,
            notices: VecDeque::new(),
            ready: BTreeMap::new(),
            paused: BTreeSet::new(),
            last_turn: 0,
            taken: None,
            is_awaited: false,
            dropped: Vec::new(),
        }
    }

    /// Notes, after a change of a partition, whether it has something to take. Returns whether it had and has no more.
    pub(super) fn update(&mut self, id: CursorId, cursor: &mut Cursor) -> bool {
        let has_items = cursor.has_items();
        let is_ready = has_items && !cursor.is_paused();
        set(&mut self.paused, id, has_items && cursor.is_paused());
        match (cursor.turn.0, is_ready) {
            (None, true) => {
                self.last_turn += 1;
                cursor.turn = Turn(Some(self.last_turn));
                self.ready.insert(self.last_turn, id);
                false
            }
            (Some(turn), false) => {
                cursor.turn = Turn(None);
                self.ready.remove(&turn);
                true
            }
            _ => false,
        }
    }

    /// Reports something to the application before any further record.
    pub(super) fn notify(&mut self, notice: Item) {
        self.notices.push_back(notice);
    }

    /// Returns whether there is something to take.
    pub(super) fn is_readable(&self) -> bool {
        !self.ready.is_empty() || !self.notices.is_empty()
    }

    /// Returns whether the application waits and has nothing to take.
    pub(super) fn is_awaited(&self) -> bool {
        self.is_awaited && !self.is_readable()
    }

    /// Finds the next item. Of a partition it is to be [taken](Self::take_from).
    pub(super) fn next(&mut self) -> Next {
        if let Some(notice) = self.notices.pop_front() {
            return Next::Notice(notice);
        }
        match self.ready.pop_first() {
            Some((_, id)) => Next::Partition(id),
            None => {
                self.is_awaited = true;
                Next::Nothing
            }
        }
    }

    /// Takes an item of the partition whose turn it is.
    pub(super) fn take_from(&mut self, id: CursorId, cursor: &mut Cursor) -> Option<Item> {
        cursor.turn = Turn(None);
        let item = cursor.pop();
        if let Some(Item::Chunk(chunk)) = &item {
            self.taken = Some(Taken { cursor: id, ticket: Arc::clone(&chunk.ticket), end: chunk.end });
        }
        self.is_awaited = false;
        item
    }

    /// Returns whether a walk is under way.
    pub(super) fn has_walk(&self) -> bool {
        self.taken.is_some()
    }

    /// Returns whether a walk of such a partition has more to return.
    pub(super) fn has_walk_of(&self, is_one: impl Fn(CursorId) -> bool) -> bool {
        self.taken.as_ref().is_some_and(|taken| is_one(taken.cursor) && taken.is_left(&self.tape))
    }

    /// Returns where the walk of this partition is, if there is one that has more to return.
    pub(super) fn walked_to(&self, id: CursorId) -> Option<i64> {
        let walk = self.taken.as_ref().filter(|taken| taken.cursor == id && taken.is_left(&self.tape));
        walk.map(|taken| taken.position(&self.tape))
    }

    /// Ends the walk, and returns how far it has come.
    pub(super) fn end_walk(&mut self) -> Option<Walked> {
        let taken = self.taken.take()?;
        taken.ticket.revoke();
        let has_failed = self.tape.see(|| taken.ticket.has_failed());
        let is_left = has_failed || taken.is_left(&self.tape);
        let epoch = self.tape.see(|| taken.ticket.epoch());
        let place = OffsetAndEpoch { offset: taken.position(&self.tape), epoch };
        Some(Walked { cursor: taken.cursor, place, has_failed, is_left })
    }

    /// Ends the walk of this partition; how far it has come does not count any more.
    pub(super) fn give_up_walk(&mut self, id: CursorId) {
        if let Some(taken) = self.taken.take_if(|taken| taken.cursor == id) {
            taken.ticket.revoke();
        }
    }

    /// Ends the walk of this partition if it has more to return. Returns whether it has. How far it has come is known when it is
    /// [ended](Self::end_walk).
    pub(super) fn interrupt_walk(&mut self, id: CursorId) -> bool {
        let walk = self.taken.as_ref().filter(|taken| taken.cursor == id && taken.is_left(&self.tape));
        walk.inspect(|taken| taken.ticket.revoke()).is_some()
    }

    /// Takes the paused partitions that have something to take. Those that still have it are noted by their
    /// [update](Self::update).
    pub(super) fn take_paused(&mut self) -> BTreeSet<CursorId> {
        std::mem::take(&mut self.paused)
    }

    /// Keeps what was given up until it can be dropped.
    pub(super) fn give_up(&mut self, items: impl IntoIterator<Item = Item>) {
        self.dropped.extend(items);
    }

    #[cfg(test)]
    pub(super) fn has_notices(&self) -> bool {
        !self.notices.is_empty()
    }

    /// Takes what was given up.
    pub(super) fn take_dropped(&mut self) -> Vec<Item> {
        std::mem::take(&mut self.dropped)
    }

    /// Ends the walk under way, and forgets all partitions and notices.
    pub(super) fn clear(&mut self) {
        if let Some(taken) = self.taken.take() {
            taken.ticket.revoke();
        }
        self.ready.clear();
        self.paused.clear();
        self.notices.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::machine::MachineId;
    use crate::message::Origin;
    use crate::reader::fetched::Data;
    use crate::snapshot::TopicPartition;
    use kafka_proto::{Str, Uuid};

    fn notice() -> Item {
        Item::Notice(Error::new(ErrorKind::Closed))
    }

    fn cursor(items: usize) -> Cursor {
        let mut cursor = Cursor::new(TopicPartition::new(Str::from_static("t"), 0), 1);
        cursor.begin_at(5, 3);
        (0..items).for_each(|_| cursor.notify(ErrorKind::Closed.into()));
        cursor
    }

    fn turn(deliveries: &mut Deliveries) -> CursorId {
        match deliveries.next() {
            Next::Partition(id) => id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn partitions_take_turns() {
        let mut deliveries = Deliveries::new(Tape::default());
        let mut cursors = [2, 1].map(cursor);
        for (id, cursor) in (0..).zip(&mut cursors) {
            assert!(!deliveries.update(id, cursor));
        }
        for expected in [0, 1, 0] {
            let id = turn(&mut deliveries);
            let cursor = &mut cursors[id as usize];
            assert!(deliveries.take_from(id, cursor).is_some());
            deliveries.update(id, cursor);
            assert_eq!(id, expected);
        }
        assert!(!deliveries.is_readable() && !deliveries.is_awaited());
        assert!(matches!(deliveries.next(), Next::Nothing));
        assert!(deliveries.is_awaited());
    }

    #[test]
    fn a_paused_partition_has_no_turn() {
        let (mut deliveries, mut cursor) = (Deliveries::new(Tape::default()), cursor(1));
        deliveries.update(7, &mut cursor);
        cursor.pause(false);
        assert!(deliveries.update(7, &mut cursor), "nothing is left to take");
        assert!(!deliveries.is_readable());
        assert_eq!(deliveries.take_paused().into_iter().collect::<Vec<_>>(), [7]);
        cursor.resume();
        deliveries.update(7, &mut cursor);
        assert_eq!((turn(&mut deliveries), deliveries.take_paused().len()), (7, 0));
    }

    #[test]
    fn what_is_awaited_is_so_until_something_is_to_be_taken() {
        let mut deliveries = Deliveries::new(Tape::default());
        assert!(matches!(deliveries.next(), Next::Nothing));
        deliveries.notify(notice());
        assert!(deliveries.is_readable() && !deliveries.is_awaited());
        assert!(matches!(deliveries.next(), Next::Notice(_)));
        assert!(deliveries.is_awaited(), "a notice is no record");
        deliveries.update(1, &mut cursor(1));
        let id = turn(&mut deliveries);
        deliveries.take_from(id, &mut cursor(1));
        assert!(!deliveries.is_awaited());
    }

    #[test]
    fn a_walk_is_ended_once() {
        let (mut deliveries, mut cursor) = (Deliveries::new(Tape::default()), cursor(0));
        let data = Data { next_offset: Some(9), ..Data::default() };
        let origin = Origin { reader: MachineId(1), assignment: 1, topic_id: Uuid::ZERO, leader_epoch: -1 };
        assert!(cursor.accept(data, origin));
        deliveries.update(4, &mut cursor);
        let id = turn(&mut deliveries);
        deliveries.take_from(id, &mut cursor);
        assert!(deliveries.has_walk() && !deliveries.interrupt_walk(3) && deliveries.interrupt_walk(4));
        assert_eq!((deliveries.walked_to(3), deliveries.walked_to(4)), (None, Some(5)));
        deliveries.give_up_walk(3);
        let walked = deliveries.end_walk().unwrap();
        assert_eq!((walked.cursor, walked.place), (4, OffsetAndEpoch { offset: 5, epoch: 3 }));
        assert!(walked.is_left && !walked.has_failed);
        assert!(deliveries.end_walk().is_none() && !deliveries.has_walk());
    }
}
