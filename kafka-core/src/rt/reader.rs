//! The handle that reads.

use super::shared::{BudgetWaker, DriverWaker, Handle, closed};
use super::wait::{Alarm, after, until};
use crate::client::cluster::TopicPartition;
use crate::client::machine::Now;
use crate::client::{ReaderItem, ReaderSpec, Subscription};
use crate::error::{Error, ErrorKind, Result};
use crate::group::CommitOffset;
use crate::message::Message;
use crate::reader::{Chunk, ReaderConfig, RecordView, Start, Walk};
use kafka_proto::{Str, Uuid};
use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// The clock is looked at once in so many messages.
const CLOCK_EVERY: u32 = 64;

/// They are numbered from 1.
const NO_ASSIGNMENT: u32 = 0;

/// Reads messages: of partitions it was told, or of those that its group gives it.
///
/// Rebalances are values in the stream ([`next`](Self::next)); [`fetch_message`](Self::fetch_message) and
/// [`read_message`](Self::read_message) answer them by themselves. Heartbeats do not depend on any call.
pub struct Reader {
    handle: Handle,
    id: u32,
    config: Arc<ReaderConfig>,
    in_group: bool,
    commit_timeout: Duration,
    /// Something stands before the records in hand.
    urgent: Arc<AtomicBool>,
    walk: Option<Walk>,
    /// An assignment whose revocation the next call answers.
    revoking: Option<u32>,
    auto: AutoCommit,
    closed: bool,
}

/// The next thing a reader has.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message.
    Message(Message),
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

/// What will be committed without a call.
#[derive(Debug)]
struct AutoCommit {
    interval: Duration,
    assignment: u32,
    /// The position after the last message that was handled, by partition.
    marks: BTreeMap<TopicPartition, Position>,
    /// The message in the application's hands.
    last: Option<Mark>,
    /// When the marks are due, once there are some.
    due: Option<Instant>,
    alarm: Option<Pin<Box<Alarm>>>,
    count: u32,
}

#[derive(Debug)]
struct Mark {
    topic: Str,
    partition: i32,
    position: Position,
}

/// What can be committed: the next offset, the leader epoch of the record before it, and the id of the topic it was read of.
type Position = (i64, i32, Uuid);

impl Reader {
    pub(super) fn new(handle: Handle, budget: &DriverWaker, spec: ReaderSpec, interval: Duration) -> Self {
        let urgent = Arc::new(AtomicBool::new(false));
        let now = handle.now();
        let config = spec.config.clone();
        let (in_group, commit_timeout) = match &spec.subscription {
            Subscription::Group(group, _) => (true, group.commit_timeout),
            _ => (false, Duration::ZERO),
        };
        let id = handle.with(|state| state.core.add_reader(now, spec, urgent.clone()));
        if let Some(shared) = handle.with(|state| state.core.reader_budget(id)) {
            let waker = BudgetWaker(Arc::downgrade(handle.shared()), budget.clone());
            shared.register(Waker::from(Arc::new(waker)));
        }
        let auto = AutoCommit {
            interval,
            assignment: NO_ASSIGNMENT,
            marks: BTreeMap::new(),
            last: None,
            due: None,
            alarm: None,
            count: 0,
        };
        Self {
            handle,
            id,
            config,
            in_group,
            commit_timeout,
            urgent,
            walk: None,
            revoking: None,
            auto,
            closed: false,
        }
    }

    /// The next message, or what the group did. `None` once the reader is closed.
    ///
    /// A [`Event::Revoking`] is answered by the next call: until then the partitions are this member's, and what is
    /// committed counts.
    ///
    /// # Errors
    /// Something went wrong with a partition, which the error names; the next call goes on with the others.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next message; revocations are given up at once, and losses passed over. `None` once the reader is closed.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn fetch_message(&mut self) -> Result<Option<Message>> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    /// The next message; the one before it counts as handled, and is committed within the auto-commit interval, when
    /// partitions are given up and when the reader is closed. Without a group as [`fetch_message`](Self::fetch_message).
    ///
    /// # Errors
    /// As [`next`](Self::next).
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn read_message(&mut self) -> Result<Option<Message>> {
        self.handled();
        let message = poll_fn(|cx| self.poll_message(cx)).await?;
        if let Some(message) = &message {
            self.hand_over(message);
        }
        Ok(message)
    }

    /// The records that were fetched together, borrowed: the fastest way to read. `None` once the reader is closed.
    /// Revocations are given up at once.
    ///
    /// # Errors
    /// As [`next`](Self::next).
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

    /// As [`next`](Self::next), for those who poll.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>>> {
        loop {
            if self.has_in_hand()
                && let Some(message) = self.next_in_hand()
            {
                return Poll::Ready(message.map(|m| Some(Event::Message(m))));
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
                    Event::Revoking(Revoking { deadline })
                }
                ReaderItem::Lost { error, .. } => Event::Lost(error),
                ReaderItem::Error(error) => return Poll::Ready(Err(error)),
                ReaderItem::Notice(error) => Event::Notice(error),
            })));
        }
    }

    /// As [`fetch_message`](Self::fetch_message), for those who poll.
    #[inline]
    pub fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>>> {
        // What is in hand goes out by the shortest way: a message is large, and each call between moves it once.
        if self.has_in_hand()
            && let Some(walk) = &mut self.walk
            && let Some(message) = walk.next_message()
        {
            return Poll::Ready(message.map(Some));
        }
        self.poll_message_out_of_hand(cx)
    }

    fn poll_message_out_of_hand(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>>> {
        loop {
            match self.poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(None)) => return Poll::Ready(Ok(None)),
                Poll::Ready(Ok(Some(Event::Message(message)))) => return Poll::Ready(Ok(Some(message))),
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

    /// The next message of the records in hand.
    fn next_in_hand(&mut self) -> Option<Result<Message>> {
        let walk = self.walk.as_mut()?;
        let message = walk.next_message();
        if message.is_none() {
            self.walk = None;
        }
        message
    }

    fn begin(&mut self, chunk: Chunk) {
        self.auto.assignment = chunk.assignment();
        self.walk = Some(Walk::new(chunk, &self.config));
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<ReaderItem>> {
        if self.closed {
            return Poll::Ready(None);
        }
        let now = self.handle.now();
        let (id, revoked) = (self.id, self.revoking.take());
        if revoked.is_some() {
            self.commit_marks();
            self.walk = None;
            self.auto.forget();
        }
        let item = self.handle.with(|state| {
            if let Some(assignment) = revoked {
                state.core.reader_revoked(now, id, assignment);
            }
            if let Some(item) = state.core.reader_take(now, id) {
                return Poll::Ready(Some(item));
            }
            if state.is_shut_down() || !state.core.has_reader(id) {
                return Poll::Ready(None);
            }
            state.await_reader(id, cx);
            Poll::Pending
        });
        match &item {
            Poll::Pending => self.commit_when_due(cx),
            Poll::Ready(Some(ReaderItem::Assigned { assignment, .. })) => self.auto.assignment = *assignment,
            Poll::Ready(Some(ReaderItem::Lost { .. })) => self.auto.forget(),
            Poll::Ready(_) => {}
        }
        item
    }

    // ---- commits ----

    /// Commits the positions after these messages, the highest of each partition; waits until it is done.
    ///
    /// # Errors
    /// [`ErrorKind::StaleCommit`] where a message is of another reader or of an assignment that has ended: nothing was
    /// sent then; also for partitions whose topic was deleted and made again since the message was read. Else what the
    /// coordinator said.
    ///
    /// # Cancel safety
    /// Dropping it does not take the commit back.
    pub async fn commit_messages<'a>(&self, messages: impl IntoIterator<Item = &'a Message>) -> Result<()> {
        let Some((assignment, offsets)) = self.offsets_of(messages)? else { return Ok(()) };
        self.commit_offsets(assignment, offsets).await
    }

    /// Marks these messages and all before them in their partitions as handled: they are committed within the auto-commit
    /// interval by the reader's next calls, when partitions are given up, and when the reader is closed or dropped. Marks of
    /// a topic that is deleted and made again meanwhile are dropped.
    ///
    /// # Errors
    /// [`ErrorKind::StaleCommit`] where a message is of another reader or of an assignment that has ended;
    /// [`ErrorKind::Misuse`] without a group. Nothing is marked then.
    pub fn mark<'a>(&mut self, messages: impl IntoIterator<Item = &'a Message>) -> Result<()> {
        if !self.in_group {
            return Err(Error::new(ErrorKind::Misuse("a reader without a group has nowhere to commit to")));
        }
        let Some((assignment, offsets)) = self.offsets_of(messages)? else { return Ok(()) };
        if assignment != self.auto.assignment {
            return Err(Error::new(ErrorKind::StaleCommit));
        }
        for CommitOffset { partition, offset, leader_epoch, topic_id, .. } in offsets {
            self.auto.marks.insert(partition, (offset, leader_epoch, topic_id));
        }
        self.begin_interval();
        self.commit_in_passing();
        Ok(())
    }

    async fn commit_offsets(&self, assignment: u32, offsets: Vec<CommitOffset>) -> Result<()> {
        let now = self.handle.now();
        let commit = self.handle.with(|state| {
            let deadline = now.instant + self.commit_timeout;
            state.core.reader_commit(now, self.id, assignment, offsets, deadline)
        })?;
        CommitWait { handle: &self.handle, commit }.await
    }

    fn offsets_of<'a>(
        &self,
        messages: impl IntoIterator<Item = &'a Message>,
    ) -> Result<Option<(u32, Vec<CommitOffset>)>> {
        let mut highest: BTreeMap<TopicPartition, Position> = BTreeMap::new();
        let mut assignment = None;
        for message in messages {
            let stale = || Err(Error::new(ErrorKind::StaleCommit));
            let Some(origin) = message.origin.filter(|o| o.reader == self.id) else { return stale() };
            if *assignment.get_or_insert(origin.assignment) != origin.assignment {
                return stale();
            }
            let (Some(topic), Some(partition), Some(offset)) =
                (&message.topic, message.partition, message.offset)
            else {
                return stale();
            };
            let position = (offset + 1, origin.leader_epoch, origin.topic_id);
            let mark = highest.entry(TopicPartition::new(topic.clone(), partition)).or_insert(position);
            // Offsets of a topic and of the one that was made in its place cannot be compared.
            *mark = if mark.2 == position.2 { (*mark).max(position) } else { position };
        }
        Ok(assignment.map(|assignment| (assignment, highest.into_iter().map(commit_offset).collect())))
    }

    /// The message that was read last counts as handled.
    fn handled(&mut self) {
        if let Some(mark) = self.auto.last.take() {
            let partition = TopicPartition::new(mark.topic, mark.partition);
            self.auto.marks.insert(partition, mark.position);
            self.begin_interval();
        }
        self.commit_in_passing();
    }

    /// Commits what is due; the clock is looked at now and then.
    fn commit_in_passing(&mut self) {
        self.auto.count += 1;
        if self.auto.count >= CLOCK_EVERY {
            self.auto.count = 0;
            let now = self.handle.now().instant;
            if self.auto.due.is_some_and(|due| due <= now) {
                self.commit_marks();
            }
        }
    }

    fn begin_interval(&mut self) {
        if self.auto.due.is_none() {
            self.auto.due = Some(self.handle.now().instant + self.auto.interval);
        }
    }

    fn hand_over(&mut self, message: &Message) {
        let (Some(topic), Some(partition), Some(offset)) =
            (&message.topic, message.partition, message.offset)
        else {
            return;
        };
        if self.in_group {
            let (leader_epoch, topic_id) =
                message.origin.map_or((-1, Uuid::ZERO), |o| (o.leader_epoch, o.topic_id));
            let position = (offset + 1, leader_epoch, topic_id);
            self.auto.last = Some(Mark { topic: topic.clone(), partition, position });
        }
        if mutant!("commit_covers_unhandled") {
            self.handled();
        }
    }

    /// Sends what was handled; its outcome is not waited for, and a failed one is made good by the next.
    fn commit_marks(&mut self) {
        self.auto.due = None;
        self.auto.alarm = None;
        if self.auto.marks.is_empty() || !self.in_group {
            return;
        }
        let offsets = std::mem::take(&mut self.auto.marks).into_iter().map(commit_offset).collect();
        let now = self.handle.now();
        let (id, assignment) = (self.id, self.auto.assignment);
        let deadline = now.instant + self.commit_timeout;
        self.handle.with(|state| {
            if let Ok(commit) = state.core.reader_commit(now, id, assignment, offsets, deadline) {
                state.core.forget_commit(commit);
            }
        });
    }

    /// While there is nothing to read the marks must not wait for the next message.
    fn commit_when_due(&mut self, cx: &mut Context<'_>) {
        let Some(due) = self.auto.due else { return };
        let shared = self.handle.shared().clone();
        let alarm = self.auto.alarm.get_or_insert_with(|| Box::pin(Alarm::new(&shared, due)));
        if alarm.as_mut().poll(cx).is_ready() {
            self.commit_marks();
        }
    }

    // ---- positions ----

    /// Moves a partition's position; what was fetched from the old one is not delivered any more.
    ///
    /// # Errors
    /// The partition is not this reader's.
    pub fn seek(&mut self, partition: &TopicPartition, start: Start) -> Result<()> {
        self.drop_walk_of(partition);
        let now = self.handle.now();
        self.handle.with(|state| state.core.reader_seek(now, self.id, partition, start))
    }

    /// Delivers nothing of a partition until [`resume`](Self::resume); what is in hand of it comes later.
    ///
    /// # Errors
    /// The partition is not this reader's.
    pub fn pause(&mut self, partition: &TopicPartition) -> Result<()> {
        let now = self.handle.now();
        self.handle.with(|state| state.core.reader_pause(now, self.id, partition))?;
        self.drop_walk_of(partition);
        Ok(())
    }

    /// Ends a pause; one that is not paused stays as it is.
    ///
    /// # Errors
    /// The partition is not this reader's.
    pub fn resume(&mut self, partition: &TopicPartition) -> Result<()> {
        let now = self.handle.now();
        self.handle.with(|state| state.core.reader_resume(now, self.id, partition))
    }

    /// The end of a partition's log that replicas agree on, as far as it was told; lag is this less the position.
    pub fn high_watermark(&self, partition: &TopicPartition) -> Option<i64> {
        self.handle.with(|state| state.core.reader_machine(self.id)?.high_watermark(partition))
    }

    fn drop_walk_of(&mut self, partition: &TopicPartition) {
        self.walk.take_if(|w| w.partition() == partition.partition && *w.topic() == partition.topic);
    }

    // ---- the end ----

    /// Commits what `read_message` has handed out and the application came back from, leaves the group and ends;
    /// gives up at the deadline.
    ///
    /// # Errors
    /// The group was not left by then: the others wait for the session timeout.
    pub async fn close(&mut self, deadline: Duration) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        self.handled();
        self.commit_marks();
        (self.closed, self.walk) = (true, None);
        let now = self.handle.now();
        self.handle.with(|state| state.core.close_reader(now, self.id));
        let (handle, id) = (&self.handle, self.id);
        let left = poll_fn(|cx| {
            handle.with(|state| {
                if state.is_shut_down() || !state.core.has_reader(id) {
                    return Poll::Ready(());
                }
                state.await_reader(id, cx);
                Poll::Pending
            })
        });
        match until(self.handle.shared(), after(now, deadline), left).await {
            Some(()) => Ok(()),
            None => {
                let now = self.handle.now();
                self.handle.with(|state| state.core.remove_reader(now, self.id));
                Err(Error::new(ErrorKind::TimedOut { after: deadline, last: None }))
            }
        }
    }
}

impl AutoCommit {
    /// The assignment is over: nothing of it can be committed any more, and no message of it marked.
    fn forget(&mut self) {
        self.marks.clear();
        self.assignment = NO_ASSIGNMENT;
        (self.last, self.due, self.alarm) = (None, None, None);
    }
}

fn commit_offset((partition, (offset, leader_epoch, topic_id)): (TopicPartition, Position)) -> CommitOffset {
    CommitOffset { partition, offset, leader_epoch, topic_id, metadata: None }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.closed {
            self.commit_marks();
            let now: Now = self.handle.now();
            self.handle.with(|state| state.core.close_reader(now, self.id));
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("id", &self.id).finish_non_exhaustive()
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

struct CommitWait<'a> {
    handle: &'a Handle,
    commit: u64,
}

impl Future for CommitWait<'_> {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.handle.with(|state| match state.core.take_commit(self.commit) {
            Some(result) => Poll::Ready(result),
            None if state.is_shut_down() => Poll::Ready(Err(closed())),
            None => {
                state.await_commit(self.commit, cx);
                Poll::Pending
            }
        })
    }
}

impl Drop for CommitWait<'_> {
    fn drop(&mut self) {
        self.handle.with(|state| {
            state.core.forget_commit(self.commit);
            state.forget_commit(self.commit);
        });
    }
}
