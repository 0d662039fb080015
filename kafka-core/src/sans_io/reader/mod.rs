//! The reader's handle without any waiting.
//!
//! Invariants
//! * What is in hand goes out without the client, unless something urgent stands before it.
//! * Nothing that was fetched is dropped while the client is held: what is not read on is [put down](Reader::put_down) before.
//! * A revocation is answered by the call after the one that gave it out.

mod commits;
mod positions;
mod subscription;

use super::access::{Access, command};
use super::adding::add_reader;
use super::batch::Batch;
use crate::client::{Client, Input, Key};
use crate::error::{Error, Result};
use crate::machine::{MachineId, Now, Time};
use crate::message::Record;
use crate::reader::{Budget, Chunk, ReaderConfig, Walk};
use crate::reading::{self, Leaving, Mark, Marks, ReadFrom, ReaderItem, ReaderShared, ReaderSpec};
use crate::snapshot::TopicPartition;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

/// Reads records: of topics, of chosen partitions, or of those that its group assigns to it.
///
/// [`next`](Self::next) returns what there is and never waits. Heartbeats and fetches are the client's and need the program's loop
/// only. A reader that is dropped goes on in its client, and keeps its partitions: [`close`](Self::close) ends it.
#[derive(Debug)]
pub struct Reader {
    id: MachineId,
    config: Arc<ReaderConfig>,
    in_group: bool,
    commit_timeout: Duration,
    /// Something stands before the records in hand.
    urgent: Arc<AtomicBool>,
    budget: Arc<Budget>,
    /// The buffer has room again.
    room: Arc<Room>,
    walk: Option<Walk>,
    /// An assignment whose revocation the next call answers.
    revoking: Option<u32>,
    marks: Arc<Marks>,
    /// Where the mark of the partition in hand is.
    place: Option<usize>,
    /// The record in the application's hands: its place, and the mark it will have once it is handled.
    last: Option<(usize, Mark)>,
    closed: bool,
}

/// What a [`Reader`] gives out.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReaderEvent {
    /// A record.
    Record(Record),
    /// The group assigned partitions to this member, in addition to those it has. Partitions whose committed offsets cannot be had
    /// for the moment follow in an event of their own.
    #[non_exhaustive]
    Assigned {
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// Partitions must be given up. The next call of the reader gives them up: until then what is committed counts.
    #[non_exhaustive]
    Revoking {
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// The time at which the member loses them. What is not committed by then cannot be committed any more.
        deadline: Time,
    },
    /// Partitions were lost before they could be given up. Nothing of them can be committed any more.
    #[non_exhaustive]
    Lost {
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// The reason.
        error: Error,
    },
    /// Something that the reader dealt with: a position was reset as configured, a partition cannot be read for the moment, or the
    /// group is in a trouble that should pass and has lasted for some seconds.
    Notice(Error),
}

/// Notes that a reader's buffer has room again.
#[derive(Debug, Default)]
struct Room(AtomicBool);

impl Wake for Room {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl Reader {
    /// Creates a reader, which begins to read, or to join its group, at once.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), naming a setting that is out of its range or what cannot be read; or
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed), as the client is.
    pub fn new(client: impl Access, config: ReaderConfig, from: ReadFrom) -> Result<Self> {
        config.validate()?;
        from.validate()?;
        Self::of(client, ReaderSpec::new(config, from))
    }

    pub(crate) fn of(mut client: impl Access, spec: ReaderSpec) -> Result<Self> {
        let (now, config) = (client.now(), spec.config().clone());
        let in_group = spec.group().is_some();
        let commit_timeout = spec.group().map_or(Duration::ZERO, |group| group.commit_timeout);
        // What a closed client does not take is dropped outside the lock, assignors with it.
        let mut spec = Some(spec);
        let added = client.with(|client| {
            let spec = spec.take_if(|_| !client.is_closed())?;
            Some(add_reader(client, now, spec))
        });
        let (id, shared) = added.ok_or_else(super::closed)?;
        let ReaderShared { urgent, marks, budget, .. } = shared;
        let room = Arc::new(Room::default());
        budget.register(Waker::from(room.clone()));
        Ok(Self {
            id,
            config,
            in_group,
            commit_timeout,
            urgent,
            budget,
            room,
            walk: None,
            revoking: None,
            marks,
            place: None,
            last: None,
            closed: false,
        })
    }

    /// Returns the number of the reader, for [`Input::RoomAgain`].
    pub fn id(&self) -> MachineId {
        self.id
    }

    /// Returns what [`Event::Wake`](crate::sans_io::Event::Wake) names once [`next`](Self::next) may have something.
    pub fn key(&self) -> Key {
        Key::Machine(self.id)
    }

    /// Registers who is called when records that the program kept are dropped and the buffer has room again: the program then gives
    /// [`Input::RoomAgain`]. By default the reader notes it, and the next call of [`next`](Self::next) passes it on. Only a program
    /// whose records are dropped on other threads, while its loop sleeps, needs this. The waker may be called under any lock, and must
    /// do no more than schedule.
    pub fn on_room(&mut self, waker: Waker) {
        self.budget.register(waker);
    }

    // ---- reading ----

    /// Returns the next record, or what the group did; `None` where there is nothing for now, and once the reader is
    /// [closed](Self::close).
    ///
    /// # Errors
    /// Something went wrong with a partition, which the error names; the next call goes on with the others. The kinds are those of
    /// [`Reader::next_event`](crate::Reader::next_event).
    pub fn next(&mut self, mut client: impl Access) -> Option<Result<ReaderEvent>> {
        loop {
            if let Some(record) = self.next_record() {
                return Some(record.map(ReaderEvent::Record));
            }
            if let Some(event) = self.advance(&mut client)? {
                return Some(event);
            }
        }
    }

    /// Returns the next of the records in hand, without the client; `None` where there is none, and where something else stands
    /// before it: then [`next`](Self::next) has it. This is all that a record costs: no lock, and no allocation.
    #[inline]
    pub fn next_record(&mut self) -> Option<Result<Record>> {
        if !self.has_in_hand() {
            return None;
        }
        self.walk.as_mut()?.next_record()
    }

    /// Returns the next record. The one before it counts as handled, and is committed within the auto-commit interval, when
    /// partitions are given up and when the reader is closed. Revocations are given up at once, losses and notices skipped. `None` is
    /// as at [`next`](Self::next).
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn read(&mut self, mut client: impl Access) -> Option<Result<Record>> {
        self.handled(&mut client);
        loop {
            if let Some(record) = self.next_record() {
                return Some(record.inspect(|record| self.hand_over(record)));
            }
            if let Some(Err(error)) = self.advance(&mut client)? {
                return Some(Err(error));
            }
        }
    }

    /// Returns the records that were fetched together, borrowed; `None` as at [`next`](Self::next). Events of the group are skipped and
    /// revocations given up at once.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn next_batch(&mut self, mut client: impl Access) -> Option<Result<Batch<'_>>> {
        while !self.has_batch() {
            if let Some(Err(error)) = self.advance(&mut client)? {
                return Some(Err(error));
            }
        }
        Some(Ok(self.batch()))
    }

    /// One look into the client: `None` where it has nothing, `Some(None)` where there may be records in hand now.
    fn advance(&mut self, client: &mut impl Access) -> Option<Option<Result<ReaderEvent>>> {
        self.put_down();
        let now = client.now();
        let found = client.with(|client| self.ask(client, now))?;
        Some(self.take_in(found))
    }

    /// Whether the records in hand come next: not before something urgent, nor once a revocation was told, which the next
    /// call answers.
    #[inline]
    fn has_in_hand(&self) -> bool {
        self.revoking.is_none() && !self.urgent.load(Ordering::Acquire)
    }

    pub(crate) fn has_batch(&self) -> bool {
        self.has_in_hand() && self.walk.as_ref().is_some_and(|walk| !walk.is_done())
    }

    pub(crate) fn batch(&mut self) -> Batch<'_> {
        Batch::new(&mut self.walk)
    }

    // The three steps by which the client is asked: before, with, and after it.

    /// Drops what is not read on.
    pub(crate) fn put_down(&mut self) {
        let is_over = self.revoking.is_some();
        self.walk.take_if(|walk| is_over || walk.is_done());
    }

    /// What the client has for the application. It must have been [put down](Self::put_down) what is not read on.
    pub(crate) fn ask(&mut self, client: &mut Client, now: Now) -> Option<ReaderItem> {
        if self.closed {
            return None;
        }
        if self.room.0.swap(false, Ordering::AcqRel) {
            client.handle_input(now, Input::RoomAgain(self.id));
        }
        if let Some(assignment) = self.revoking.take() {
            client.command(now, self.id, reading::Revoked { assignment });
            self.forget_marks();
        }
        client.command(now, self.id, reading::TakeItem).flatten()
    }

    /// Takes in what the client had: records come into the hand, anything else is returned.
    pub(crate) fn take_in(&mut self, item: ReaderItem) -> Option<Result<ReaderEvent>> {
        Some(Ok(match item {
            ReaderItem::Chunk(chunk) => {
                self.begin(chunk);
                return None;
            }
            ReaderItem::Assigned { assignment, partitions } => {
                self.marks.begin(assignment);
                ReaderEvent::Assigned { partitions }
            }
            ReaderItem::Revoking { assignment, partitions, deadline } => {
                self.revoking = Some(assignment);
                ReaderEvent::Revoking { partitions, deadline }
            }
            ReaderItem::Lost { partitions, error, .. } => {
                self.forget_marks();
                ReaderEvent::Lost { partitions, error }
            }
            ReaderItem::Error(error) => return Some(Err(error)),
            ReaderItem::Notice(error) => ReaderEvent::Notice(error),
        }))
    }

    fn begin(&mut self, chunk: Chunk) {
        self.marks.begin(chunk.assignment());
        self.place = None;
        self.walk = Some(Walk::new(chunk, &self.config));
    }

    // ---- the end ----

    /// Commits what is marked and what [`read`](Self::read) handed out, leaves the group and ends, while the loop goes on;
    /// [`has_ended`](Self::has_ended) tells when that is done.
    pub fn close(&mut self, mut client: impl Access) {
        if self.closed {
            return;
        }
        self.handled(&mut client);
        self.leave(client);
    }

    /// The same, of which the program wants to know how it ends; `None` without a group.
    pub(crate) fn begin_close(&mut self, mut client: impl Access) -> Option<Leaving> {
        self.handled(&mut client);
        (self.closed, self.walk) = (true, None);
        command(&mut client, self.id, reading::Leave).flatten()
    }

    /// The same for an application that is gone: what it has in its hands does not count as handled.
    pub(crate) fn leave(&mut self, mut client: impl Access) {
        if !std::mem::replace(&mut self.closed, true) {
            self.walk = None;
            command(&mut client, self.id, reading::Close);
        }
    }

    /// Returns whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Returns whether nothing is left of the reader in its client: it was closed and has left its group, or the client is closed.
    pub fn has_ended(&self, client: &Client) -> bool {
        !client.has(self.id)
    }
}
