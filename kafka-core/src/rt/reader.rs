//! The handle that reads.

use super::shared::{DriverWaker, Handle, RoomWaker, Shared};
use super::wait::{EndWait, Ticketed, after, until};
use crate::error::{Error, Result};
use crate::message::Record;
use crate::reader::Start;
use crate::reading::{Leaving, ReaderItem, ReaderSpec, Subscription};
use crate::sans_io::{self, Batch, ReaderCloseReport, ReaderEvent, not_left};
use crate::snapshot::TopicPartition;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::time::Instant;

/// Reads records: of topics, of chosen partitions, or of those that its group gives it.
///
/// Topics are named, or matched by a [`Pattern`](crate::Pattern), whose topics are looked for at the beginning and again whenever
/// metadata comes of age (`metadata_max_age`; Java: `metadata.max.age.ms`). A topic that turns up later is read from its first record,
/// as are partitions that a topic grows by. One that is deleted is told as an error, and leaves the pattern. In a group the member
/// subscribes to the names that match, and rejoins when they change; while none matches it is a member without partitions, as in Java,
/// and without a group the reader waits. That is no error. [`subscribe`](Self::subscribe) changes what is read.
///
/// Rebalances are values in the stream ([`next_event`](Self::next_event)); [`fetch`](Self::fetch) and
/// [`read`](Self::read) answer them by themselves. Heartbeats do not depend on any call.
///
/// A [`Record`] shares the memory of all that was fetched with it. Messages that are kept should be
/// [detached](Record::detach): otherwise they fill the reader's buffer, and it can only fetch little at a time. It
/// [reports](crate::ErrorKind::BufferKept) that as a notice and a `tracing` event.
pub struct Reader {
    handle: Handle,
    hand: sans_io::Reader,
    /// Since it was closed, in a group.
    leaving: Option<Promised>,
}

/// The next thing a reader has.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A record.
    Record(Record),
    /// The group assigned partitions to this member, in addition to those it has. Partitions whose committed offsets cannot be had
    /// for the moment follow in an event of their own.
    #[non_exhaustive]
    Assigned {
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// The group takes partitions back. Finish and commit what is in hand of them: the reader's next call gives them up.
    #[non_exhaustive]
    Revoking {
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// The time at which the member loses them. What is not committed by then cannot be committed any more.
        deadline: Instant,
    },
    /// Partitions were lost before they could be given up; nothing of them can be committed any more.
    #[non_exhaustive]
    Lost {
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// The reason.
        error: Error,
    },
    /// Something the application may want to know of, and that the reader dealt with: a position was reset as it was
    /// told to, a partition cannot be read for the moment, or the group is in a trouble that should pass and has lasted
    /// for some seconds.
    Notice(Error),
}

impl Reader {
    pub(super) fn new(handle: Handle, driver: &DriverWaker, spec: ReaderSpec) -> Result<Self> {
        let mut hand = sans_io::Reader::of(&*handle, spec)?;
        let shared = Arc::downgrade(handle.shared());
        let waker = RoomWaker { shared, driver: driver.clone(), machine: hand.id() };
        hand.on_room(Waker::from(Arc::new(waker)));
        Ok(Self { handle, hand, leaving: None })
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
    /// [`OffsetOutOfRange`](crate::ErrorKind::OffsetOutOfRange), [`NoOffset`](crate::ErrorKind::NoOffset),
    /// [`Truncated`](crate::ErrorKind::Truncated), [`Unsupported`](crate::ErrorKind::Unsupported),
    /// [`Corrupt`](crate::ErrorKind::Corrupt), [`MessageTooLarge`](crate::ErrorKind::MessageTooLarge) and
    /// [`TopicRecreated`](crate::ErrorKind::TopicRecreated).
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
        self.hand.handled(&mut &*self.handle);
        let record = poll_fn(|cx| self.poll_fetch(cx)).await?;
        if let Some(record) = &record {
            self.hand.hand_over(record);
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
        Ok(more.then(|| self.hand.batch()))
    }

    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool>> {
        while !self.hand.has_batch() {
            match self.poll_item(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Ok(false)),
                Poll::Ready(Some(item)) => {
                    if let Some(Err(error)) = self.hand.take_in(item) {
                        return Poll::Ready(Err(error));
                    }
                }
            }
        }
        Poll::Ready(Ok(true))
    }

    /// As [`next_event`](Self::next_event), for those who poll.
    pub fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>>> {
        loop {
            if let Some(record) = self.hand.next_record() {
                return Poll::Ready(record.map(|record| Some(Event::Record(record))));
            }
            let item = match self.poll_item(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Ok(None)),
                Poll::Ready(Some(item)) => item,
            };
            if let Some(event) = self.hand.take_in(item) {
                return Poll::Ready(event.map(|event| Some(self.event(event))));
            }
        }
    }

    /// The event, with the runtime's time.
    fn event(&self, event: ReaderEvent) -> Event {
        match event {
            ReaderEvent::Record(record) => Event::Record(record),
            ReaderEvent::Assigned { partitions } => Event::Assigned { partitions },
            ReaderEvent::Revoking { partitions, deadline } => {
                Event::Revoking { partitions, deadline: self.handle.instant(deadline) }
            }
            ReaderEvent::Lost { partitions, error } => Event::Lost { partitions, error },
            ReaderEvent::Notice(error) => Event::Notice(error),
        }
    }

    /// As [`fetch`](Self::fetch), for those who poll.
    #[inline]
    pub fn poll_fetch(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Record>>> {
        // What is in hand goes out by the shortest way: a message is large, and each call between moves it once.
        if let Some(record) = self.hand.next_record() {
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

    /// The next item of the client; where there is none the waker is kept, under the same lock.
    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<ReaderItem>> {
        if self.hand.is_closed() {
            return Poll::Ready(None);
        }
        self.hand.put_down();
        let (now, hand) = (self.handle.now(), &mut self.hand);
        self.handle.shared().poll(cx, |state, wait| {
            if let Some(item) = hand.ask(&mut state.core, now) {
                return Poll::Ready(Some(item));
            }
            if state.is_shut_down() || hand.has_ended(&state.core) {
                return Poll::Ready(None);
            }
            state.wait(hand.key(), wait);
            Poll::Pending
        })
    }

    // ---- commits ----

    /// Commits the positions after these records, the highest of each partition; waits until it is done.
    ///
    /// # Errors
    /// [`StaleCommit`](crate::ErrorKind::StaleCommit) where a record is of another reader or of an assignment that has ended:
    /// nothing was sent then; also for partitions whose topic was deleted and made again since the record was read. Else
    /// what the coordinator said.
    ///
    /// # Cancel safety
    /// Dropping it does not take the commit back.
    pub async fn commit<'a>(&self, records: impl IntoIterator<Item = &'a Record>) -> Result<()> {
        let Some(commit) = self.hand.commit(&*self.handle, records)? else { return Ok(()) };
        Ticketed::new(self.handle.shared(), commit.id()).await
    }

    /// Marks these records and all before them in their partitions as handled: they are committed within the auto-commit
    /// interval, when partitions are given up, and when the reader or the client is closed or the reader dropped. Marks of
    /// a topic that is deleted and made again meanwhile are dropped.
    ///
    /// # Errors
    /// [`StaleCommit`](crate::ErrorKind::StaleCommit) where a record is of another reader or of an assignment that has ended;
    /// [`Misuse`](crate::ErrorKind::Misuse) without a group. Nothing is marked then.
    pub fn mark<'a>(&mut self, records: impl IntoIterator<Item = &'a Record>) -> Result<()> {
        self.hand.mark(&*self.handle, records)
    }

    // ---- what is read ----

    /// Reads these topics from now on, in the place of those before: one, several, or all that a [`Pattern`](crate::Pattern) matches.
    ///
    /// Without a group, partitions that stay keep their position, their pause and what was fetched of them; of the others nothing is
    /// delivered any more. New topics begin where the reader was told to begin.
    ///
    /// In a group the member rejoins with the new topics. It gives up all its partitions first: they are
    /// [revoked](Event::Revoking), and what was handled of them is committed as in any rebalance.
    ///
    /// ```
    /// # use kafka_core::{Reader, Result};
    /// use kafka_core::Pattern;
    ///
    /// # fn example(reader: &mut Reader) -> Result<()> {
    /// reader.subscribe(["orders", "payments"])?;
    /// reader.subscribe(Pattern::new("orders-.*")?)
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Misuse`](crate::ErrorKind::Misuse) for a reader of chosen partitions, which [`assign`](Self::assign) changes;
    /// [`Config`](crate::ErrorKind::Config) where no topic is named, or one without a name; [`Closed`](crate::ErrorKind::Closed)
    /// after the end. Nothing changes then.
    ///
    /// # Cancel safety
    /// It waits for nothing: once it returns, the change is made, and a group hears of it by itself.
    pub fn subscribe(&mut self, topics: impl Into<Subscription>) -> Result<()> {
        self.hand.subscribe(&*self.handle, topics)
    }

    /// Reads these partitions from now on, in the place of those before. Those that stay keep their position, whatever is said here, their
    /// pause and what was fetched of them; of those that go nothing is delivered any more. Without any, nothing is read until
    /// others are assigned.
    ///
    /// ```
    /// # use kafka_core::{Reader, Result};
    /// use kafka_core::{Start, TopicPartition};
    ///
    /// # fn example(reader: &mut Reader) -> Result<()> {
    /// let partitions = [0, 3].map(|partition| TopicPartition::new("orders", partition));
    /// reader.assign(partitions.map(|partition| (partition, Start::Last)))
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Misuse`](crate::ErrorKind::Misuse) for a reader of topics, which [`subscribe`](Self::subscribe) changes, and for a negative
    /// offset or time; [`Config`](crate::ErrorKind::Config) for a negative partition, a topic without a name, or [`Start::Committed`];
    /// [`Closed`](crate::ErrorKind::Closed) after the end. Nothing changes then.
    ///
    /// # Cancel safety
    /// It waits for nothing: once it returns, the change is made.
    pub fn assign(&mut self, partitions: impl IntoIterator<Item = (TopicPartition, Start)>) -> Result<()> {
        self.hand.assign(&*self.handle, partitions)
    }

    /// Returns the topics or the pattern that the reader was told, by [`subscribe`](Self::subscribe) last; `None` for a reader of chosen
    /// partitions, and once it has ended.
    pub fn subscription(&self) -> Option<Subscription> {
        self.hand.subscription(&*self.handle)
    }

    /// Returns the partitions that are read: all of the topics, those chosen, or those that the group assigned. Without a group it
    /// follows a change at once, as far as the topics are known.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.hand.assignment(&*self.handle)
    }

    // ---- positions ----

    /// Moves the position of these partitions, of one or many; what was fetched from the old one is not delivered any more.
    ///
    /// ```
    /// # use kafka_core::{Reader, Result};
    /// use kafka_core::{Start, TopicPartition};
    ///
    /// # fn example(reader: &mut Reader) -> Result<()> {
    /// reader.seek(&TopicPartition::new("orders", 0), Start::at(42))?;
    /// let all = reader.assignment();
    /// reader.seek(&all, Start::First)
    /// # }
    /// ```
    ///
    /// # Errors
    /// A partition is not this reader's, or `start` is no place to begin at. Nothing is moved then.
    pub fn seek<'a>(
        &mut self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
        start: Start,
    ) -> Result<()> {
        self.hand.seek(&*self.handle, partitions, start)
    }

    /// Delivers nothing of these partitions, of one or many, until [`resume`](Self::resume); what is in hand of them comes later.
    ///
    /// # Errors
    /// A partition is not this reader's. Nothing is paused then.
    pub fn pause<'a>(&mut self, partitions: impl IntoIterator<Item = &'a TopicPartition>) -> Result<()> {
        self.hand.pause(&*self.handle, partitions)
    }

    /// Ends the pause of these partitions, of one or many; one that is not paused stays as it is.
    ///
    /// # Errors
    /// A partition is not this reader's. Nothing is resumed then.
    pub fn resume<'a>(&mut self, partitions: impl IntoIterator<Item = &'a TopicPartition>) -> Result<()> {
        self.hand.resume(&*self.handle, partitions)
    }

    /// Returns the offset after the last record that was returned of a partition; `None` while it is not known.
    pub fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.hand.position(&*self.handle, partition)
    }

    /// Returns how many offsets of a partition are left to read, as of the last answer: up to the high watermark, or with
    /// read-committed isolation up to the first open transaction. `None` while it is not known.
    pub fn lag(&self, partition: &TopicPartition) -> Option<i64> {
        self.hand.lag(&*self.handle, partition)
    }

    /// Returns the end of a partition's log that replicas agree on, as of the last answer.
    pub fn high_watermark(&self, partition: &TopicPartition) -> Option<i64> {
        self.hand.high_watermark(&*self.handle, partition)
    }

    /// Returns the first offset of a partition's log, as of the last answer (0.11+).
    pub fn log_start(&self, partition: &TopicPartition) -> Option<i64> {
        self.hand.log_start(&*self.handle, partition)
    }

    // ---- the end ----

    /// Commits what `read` has handed out and the application came back from, leaves the group and ends; waits for that
    /// until `timeout` has passed, and returns what could not be done by then. Called again, it goes on waiting.
    ///
    /// # Cancel safety
    /// A dropped future leaves the reader closing.
    pub async fn close(&mut self, timeout: Duration) -> ReaderCloseReport {
        if !self.hand.is_closed() {
            let leaving = self.hand.begin_close(&*self.handle);
            self.leaving = leaving.map(|leaving| Promised::new(self.handle.shared(), leaving));
        }
        let (now, shared, id) = (self.handle.now(), self.handle.shared(), self.hand.id());
        let Some(Promised { leaving, .. }) = &self.leaving else { return ReaderCloseReport::default() };
        let _ = until(shared, after(now, timeout), EndWait::new(&self.handle, &[id])).await;
        let group = self.handle.with(|state| not_left(&mut state.core, id, leaving, timeout));
        ReaderCloseReport { group }
    }
}

/// A reader on its way out of its group, with what its commits have promised, which is given up on drop.
struct Promised {
    leaving: Leaving,
    _commits: Vec<Ticketed<Result<()>>>,
}

impl Promised {
    fn new(shared: &Arc<Shared>, leaving: Leaving) -> Self {
        let commits = leaving.commits.iter().map(|op| Ticketed::new(shared, *op)).collect();
        Self { leaving, _commits: commits }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.hand.leave(&*self.handle);
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("id", &self.hand.id().0).finish_non_exhaustive()
    }
}
