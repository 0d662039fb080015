//! The handle that reads.

use super::shared::{DriverWaker, Handle, RoomWaker, closed};
use super::wait::{Ticketed, after, until};
use crate::client::Key;
use crate::error::{Error, ErrorKind, Result};
use crate::group::CommitOffset;
use crate::machine::MachineId;
use crate::message::Record;
use crate::reader::{Chunk, ReaderConfig, RecordView, Start, Walk};
use crate::reading::{self, Mark, Marks, ReaderItem, ReaderShared, ReaderSpec, Reading, Subscription};
use crate::snapshot::TopicPartition;
use kafka_proto::Str;
use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::time::Instant;

/// Reads records: of partitions it was told, or of those that its group gives it.
///
/// Rebalances are values in the stream ([`next_event`](Self::next_event)); [`fetch`](Self::fetch) and
/// [`read`](Self::read) answer them by themselves. Heartbeats do not depend on any call.
///
/// A [`Record`] shares the memory of all that was fetched with it. Messages that are kept should be
/// [detached](Record::detach): otherwise they fill the reader's buffer, and it can only fetch little at a time. It
/// [reports](ErrorKind::BufferKept) that as a notice and a `tracing` event.
pub struct Reader {
    handle: Handle,
    id: MachineId,
    config: Arc<ReaderConfig>,
    in_group: bool,
    commit_timeout: Duration,
    /// Something stands before the records in hand.
    urgent: Arc<AtomicBool>,
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

/// The next thing a reader has.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A record.
    Record(Record),
    /// The group gave these partitions to this member, in addition to those it has. Partitions whose committed offsets
    /// cannot be had for the moment follow in an event of their own.
    Assigned(Vec<TopicPartition>),
    /// The group is about to take all partitions back.
    Revoking(Revoking),
    /// The partitions were lost before they could be given up; nothing of them can be committed any more.
    Lost(Error),
    /// Something the application may want to know of, and that the reader dealt with: a position was reset as it was
    /// told to, a partition cannot be read for the moment, or the group is in a trouble that should pass and has lasted
    /// for some seconds.
    Notice(Error),
}

/// All partitions are to be given up. Finish and commit what is in hand; the reader's next call gives them up.
#[derive(Debug)]
#[non_exhaustive]
pub struct Revoking {
    /// By then they are lost, with what was not committed.
    pub deadline: Instant,
}

impl Reader {
    pub(super) fn new(handle: Handle, driver: &DriverWaker, spec: ReaderSpec) -> Self {
        let (now, config) = (handle.now(), spec.config.clone());
        let (in_group, commit_timeout) = match &spec.subscription {
            Subscription::Group(group, ..) => (true, group.commit_timeout),
            _ => (false, Duration::ZERO),
        };
        let shared = ReaderShared::new(&config);
        let ReaderShared { urgent, marks, budget } = shared.clone();
        let id = handle.with(|state| {
            let reading = |now, id, pace, seed| Reading::new(now, id, spec, shared, pace, seed);
            state.core.add(now, reading)
        });
        let waker =
            RoomWaker { shared: Arc::downgrade(handle.shared()), driver: driver.clone(), machine: id };
        budget.register(Waker::from(Arc::new(waker)));
        Self {
            handle,
            id,
            config,
            in_group,
            commit_timeout,
            urgent,
            walk: None,
            revoking: None,
            marks,
            place: None,
            last: None,
            closed: false,
        }
    }

    /// The next record, or what the group did. `None` once the reader is closed.
    ///
    /// A [`Event::Revoking`] is answered by the next call: until then the partitions are this member's, and what is
    /// committed counts.
    ///
    /// It waits indefinitely, also while no broker can be reached.
    ///
    /// # Errors
    /// Something went wrong with a partition, which the error names; the next call goes on with the others. A missing topic
    /// or permission is retried, and reported again only after a success in between.
    ///
    /// These stop their partition until it is [sought](Self::seek) or assigned again:
    /// [`OffsetOutOfRange`](ErrorKind::OffsetOutOfRange), [`NoOffset`](ErrorKind::NoOffset),
    /// [`Truncated`](ErrorKind::Truncated), [`Unsupported`](ErrorKind::Unsupported), [`Corrupt`](ErrorKind::Corrupt),
    /// [`MessageTooLarge`](ErrorKind::MessageTooLarge) and [`TopicRecreated`](ErrorKind::TopicRecreated).
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn next_event(&mut self) -> Result<Option<Event>> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// The next record; revocations are given up at once, losses and [notices](Event::Notice) skipped. `None` once the
    /// reader is closed. An application that has to know why nothing comes calls [`next_event`](Self::next_event).
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event).
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn fetch(&mut self) -> Result<Option<Record>> {
        poll_fn(|cx| self.poll_fetch(cx)).await
    }

    /// The next record; the one before it counts as handled, and is committed within the auto-commit interval, when
    /// partitions are given up and when the reader is closed. Without a group as [`fetch`](Self::fetch).
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event).
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn read(&mut self) -> Result<Option<Record>> {
        self.handled();
        let record = poll_fn(|cx| self.poll_fetch(cx)).await?;
        if let Some(record) = &record {
            self.hand_over(record);
        }
        Ok(record)
    }

    /// The records that were fetched together, borrowed: the fastest way to read. `None` once the reader is closed.
    /// Revocations are given up at once.
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event).
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn next_batch(&mut self) -> Result<Option<Batch<'_>>> {
        let more = poll_fn(|cx| self.poll_batch(cx)).await?;
        Ok(more.then_some(Batch { reader: self }))
    }

    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool>> {
        loop {
            if self.has_in_hand() && self.walk.as_ref().is_some_and(|walk| !walk.is_done()) {
                return Poll::Ready(Ok(true));
            }
            match self.poll_item(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Ok(false)),
                Poll::Ready(Some(ReaderItem::Chunk(chunk))) => self.begin(chunk),
                Poll::Ready(Some(ReaderItem::Revoking { assignment, .. })) => {
                    self.revoking = Some(assignment)
                }
                Poll::Ready(Some(ReaderItem::Error(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(Some(_)) => {}
            }
        }
    }

    /// As [`next_event`](Self::next_event), for those who poll.
    pub fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>>> {
        loop {
            if self.has_in_hand()
                && let Some(record) = self.next_in_hand()
            {
                return Poll::Ready(record.map(|record| Some(Event::Record(record))));
            }
            let event = match self.poll_item(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Ok(None)),
                Poll::Ready(Some(item)) => item,
            };
            return Poll::Ready(Ok(Some(match event {
                ReaderItem::Chunk(chunk) => {
                    self.begin(chunk);
                    continue;
                }
                ReaderItem::Assigned { partitions, .. } => Event::Assigned(partitions),
                ReaderItem::Revoking { assignment, deadline } => {
                    self.revoking = Some(assignment);
                    Event::Revoking(Revoking { deadline: self.handle.instant(deadline) })
                }
                ReaderItem::Lost { error, .. } => Event::Lost(error),
                ReaderItem::Error(error) => return Poll::Ready(Err(error)),
                ReaderItem::Notice(error) => Event::Notice(error),
            })));
        }
    }

    /// As [`fetch`](Self::fetch), for those who poll.
    #[inline]
    pub fn poll_fetch(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Record>>> {
        // What is in hand goes out by the shortest way: a message is large, and each call between moves it once.
        if self.has_in_hand()
            && let Some(walk) = &mut self.walk
            && let Some(record) = walk.next_record()
        {
            return Poll::Ready(record.map(Some));
        }
        self.poll_fetch_out_of_hand(cx)
    }

    fn poll_fetch_out_of_hand(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Record>>> {
        loop {
            match self.poll_event(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(None)) => return Poll::Ready(Ok(None)),
                Poll::Ready(Ok(Some(Event::Record(record)))) => return Poll::Ready(Ok(Some(record))),
                // The next turn answers a revocation.
                Poll::Ready(Ok(Some(_))) => {}
            }
        }
    }

    /// Whether the records in hand come next: not before something urgent, nor once a revocation was told, which the next
    /// call answers.
    #[inline]
    fn has_in_hand(&self) -> bool {
        self.revoking.is_none() && !self.urgent.load(Ordering::Acquire)
    }

    /// The next record of the records in hand.
    fn next_in_hand(&mut self) -> Option<Result<Record>> {
        let walk = self.walk.as_mut()?;
        let record = walk.next_record();
        if record.is_none() {
            self.walk = None;
        }
        record
    }

    fn begin(&mut self, chunk: Chunk) {
        self.marks.begin(chunk.assignment());
        self.place = None;
        self.walk = Some(Walk::new(chunk, &self.config));
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<ReaderItem>> {
        if self.closed {
            return Poll::Ready(None);
        }
        let now = self.handle.now();
        let (id, revoked) = (self.id, self.revoking.take());
        if revoked.is_some() {
            self.walk = None;
        }
        let item = self.handle.with(|state| {
            if let Some(assignment) = revoked {
                state.core.command(now, id, reading::Revoked { assignment });
            }
            if let Some(item) = state.core.command(now, id, reading::TakeItem).flatten() {
                return Poll::Ready(Some(item));
            }
            if state.is_shut_down() || !state.core.has(id) {
                return Poll::Ready(None);
            }
            state.wait(Key::Machine(id), cx);
            Poll::Pending
        });
        if revoked.is_some() || matches!(item, Poll::Ready(Some(ReaderItem::Lost { .. }))) {
            self.forget_marks();
        }
        if let Poll::Ready(Some(ReaderItem::Assigned { assignment, .. })) = &item {
            self.marks.begin(*assignment);
        }
        item
    }

    // ---- commits ----

    /// Commits the positions after these records, the highest of each partition; waits until it is done.
    ///
    /// # Errors
    /// [`ErrorKind::StaleCommit`] where a record is of another reader or of an assignment that has ended: nothing was
    /// sent then; also for partitions whose topic was deleted and made again since the record was read. Else what the
    /// coordinator said.
    ///
    /// # Cancel safety
    /// Dropping it does not take the commit back.
    pub async fn commit<'a>(&self, records: impl IntoIterator<Item = &'a Record>) -> Result<()> {
        let Some((assignment, offsets)) = self.offsets_of(records)? else { return Ok(()) };
        self.commit_offsets(assignment, offsets).await
    }

    /// Marks these records and all before them in their partitions as handled: they are committed within the auto-commit
    /// interval, when partitions are given up, and when the reader or the client is closed or the reader dropped. Marks of
    /// a topic that is deleted and made again meanwhile are dropped.
    ///
    /// # Errors
    /// [`ErrorKind::StaleCommit`] where a record is of another reader or of an assignment that has ended;
    /// [`ErrorKind::Misuse`] without a group. Nothing is marked then.
    pub fn mark<'a>(&mut self, records: impl IntoIterator<Item = &'a Record>) -> Result<()> {
        if !self.in_group {
            return Err(Error::new(ErrorKind::Misuse("a reader without a group has nowhere to commit to")));
        }
        let Some((assignment, offsets)) = self.offsets_of(records)? else { return Ok(()) };
        if !self.marks.is_of(assignment) {
            return Err(Error::new(ErrorKind::StaleCommit));
        }
        for CommitOffset { partition, offset, leader_epoch, topic_id, .. } in offsets {
            self.set_mark(self.marks.place(partition), (offset, leader_epoch, topic_id));
        }
        Ok(())
    }

    async fn commit_offsets(&self, assignment: u32, offsets: Vec<CommitOffset>) -> Result<()> {
        let now = self.handle.now();
        let deadline = now.time + self.commit_timeout;
        let commit = reading::Commit { assignment, offsets, deadline };
        let commit = self.handle.command(self.id, commit).ok_or_else(closed)??;
        Ticketed::new(self.handle.shared(), commit).await
    }

    fn offsets_of<'a>(
        &self,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<Option<(u32, Vec<CommitOffset>)>> {
        let mut highest: BTreeMap<TopicPartition, Mark> = BTreeMap::new();
        let mut assignment = None;
        for record in records {
            let stale = || Err(Error::new(ErrorKind::StaleCommit));
            let Record { topic, partition, offset, origin, .. } = record;
            let is_ours = origin.reader == self.id;
            if !is_ours || *assignment.get_or_insert(origin.assignment) != origin.assignment {
                return stale();
            }
            let position = (offset.saturating_add(1), origin.leader_epoch, origin.topic_id);
            let mark = highest.entry(TopicPartition::new(topic.clone(), *partition)).or_insert(position);
            // Offsets of a topic and of the one that was made in its place cannot be compared.
            *mark = if mark.2 == position.2 { (*mark).max(position) } else { position };
        }
        Ok(assignment.map(|assignment| (assignment, highest.into_iter().map(commit_offset).collect())))
    }

    /// The message that was read last counts as handled.
    fn handled(&mut self) {
        if let Some((place, mark)) = self.last.take() {
            self.set_mark(place, mark);
        }
    }

    fn set_mark(&self, place: usize, mark: Mark) {
        if self.marks.set(place, mark) {
            self.handle.command(self.id, reading::Marked);
        }
    }

    fn hand_over(&mut self, record: &Record) {
        if !self.in_group {
            return;
        }
        let Record { topic, partition, offset, origin, .. } = record;
        let partition = || TopicPartition::new(topic.clone(), *partition);
        let place = *self.place.get_or_insert_with(|| self.marks.place(partition()));
        self.last = Some((place, (offset.saturating_add(1), origin.leader_epoch, origin.topic_id)));
    }

    /// The assignment is over.
    fn forget_marks(&mut self) {
        self.marks.forget();
        (self.place, self.last) = (None, None);
    }

    // ---- positions ----

    /// Moves a partition's position; what was fetched from the old one is not delivered any more.
    ///
    /// ```
    /// # use kafka_core::{Result, reader::Start, rt::Reader};
    /// use kafka_core::snapshot::TopicPartition;
    ///
    /// # fn example(reader: &mut Reader) -> Result<()> {
    /// reader.seek(&TopicPartition::new("orders", 0), Start::First)
    /// # }
    /// ```
    ///
    /// # Errors
    /// The partition is not this reader's.
    pub fn seek(&mut self, partition: &TopicPartition, start: Start) -> Result<()> {
        self.drop_walk_of(partition);
        let seek = reading::Seek { partition: partition.clone(), start };
        self.handle.command(self.id, seek).ok_or_else(closed)?
    }

    /// Delivers nothing of a partition until [`resume`](Self::resume); what is in hand of it comes later.
    ///
    /// # Errors
    /// The partition is not this reader's.
    pub fn pause(&mut self, partition: &TopicPartition) -> Result<()> {
        self.handle.command(self.id, reading::Pause(partition.clone())).ok_or_else(closed)??;
        self.drop_walk_of(partition);
        Ok(())
    }

    /// Ends a pause; one that is not paused stays as it is.
    ///
    /// # Errors
    /// The partition is not this reader's.
    pub fn resume(&mut self, partition: &TopicPartition) -> Result<()> {
        self.handle.command(self.id, reading::Resume(partition.clone())).ok_or_else(closed)?
    }

    /// The end of a partition's log that replicas agree on, as far as it was told; lag is this less the position.
    pub fn high_watermark(&self, partition: &TopicPartition) -> Option<i64> {
        self.handle.command(self.id, reading::HighWatermark(partition.clone()))?
    }

    fn drop_walk_of(&mut self, partition: &TopicPartition) {
        self.walk.take_if(|w| w.partition() == partition.partition && *w.topic() == partition.topic);
    }

    // ---- the end ----

    /// Commits what `read` has handed out and the application came back from, leaves the group and ends; waits for that
    /// until the deadline.
    ///
    /// # Errors
    /// The group was not left by then. It goes on being left in the background, while the client lives.
    pub async fn close(&mut self, deadline: Duration) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        self.handled();
        (self.closed, self.walk) = (true, None);
        let now = self.handle.now();
        self.handle.command(self.id, reading::Close);
        let (handle, id) = (&self.handle, self.id);
        let left = poll_fn(|cx| {
            handle.with(|state| {
                if state.is_shut_down() || !state.core.has(id) {
                    return Poll::Ready(());
                }
                state.wait(Key::Machine(id), cx);
                Poll::Pending
            })
        });
        match until(self.handle.shared(), after(now, deadline), left).await {
            Some(()) => Ok(()),
            None => Err(Error::new(ErrorKind::TimedOut { after: deadline, last: None })),
        }
    }
}

fn commit_offset((partition, (offset, leader_epoch, topic_id)): (TopicPartition, Mark)) -> CommitOffset {
    CommitOffset { partition, offset, leader_epoch, topic_id, metadata: None }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.closed {
            self.handle.command(self.id, reading::Close);
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("id", &self.id.0).finish_non_exhaustive()
    }
}

/// Records of one partition that were fetched together, see [`Reader::next_batch`].
#[derive(Debug)]
pub struct Batch<'a> {
    reader: &'a mut Reader,
}

impl Batch<'_> {
    /// The topic.
    pub fn topic(&self) -> Option<&Str> {
        self.reader.walk.as_ref().map(Walk::topic)
    }

    /// The partition.
    pub fn partition(&self) -> Option<i32> {
        self.reader.walk.as_ref().map(Walk::partition)
    }

    /// The offset after the last record that was given out.
    pub fn position(&self) -> Option<i64> {
        self.reader.walk.as_ref().map(Walk::position)
    }

    /// The next record, borrowed; `None` at the end, and when the partition was taken away, paused or sought meanwhile.
    ///
    /// # Errors
    /// A batch is damaged.
    #[expect(clippy::should_implement_trait, reason = "it lends what it gives")]
    pub fn next(&mut self) -> Option<Result<RecordView<'_>>> {
        self.reader.walk.as_mut()?.next()
    }
}
