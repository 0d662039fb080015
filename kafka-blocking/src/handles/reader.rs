//! The handle that reads, without `async`.

use crate::park::{block_on, block_until};
use kafka_core as rt;
use kafka_core::{Batch, Error, ErrorKind, Event, Record, Result, Start, TopicPartition};
use std::future::Future;
use std::time::{Duration, Instant};

/// Reads records: of partitions it was told, or of those that its group gives it.
///
/// Everything is as at [`rt::Reader`], except that methods wait where those there are futures; and those whose names end
/// in `_within` wait so long at most.
#[derive(Debug)]
pub struct Reader(rt::Reader);

impl From<rt::Reader> for Reader {
    fn from(reader: rt::Reader) -> Self {
        Self(reader)
    }
}

impl Reader {
    /// The next record, or what the group did. `None` once the reader is closed. See [`rt::Reader::next_event`].
    ///
    /// # Errors
    /// Something went wrong with a partition, which the error names; the next call goes on with the others.
    pub fn next_event(&mut self) -> Result<Option<Event>> {
        block_on(self.0.next_event())
    }

    /// As [`next_event`](Self::next_event).
    ///
    /// # Errors
    /// As there; [`ErrorKind::TimedOut`] where nothing came in time, and nothing is lost then.
    pub fn next_event_within(&mut self, timeout: Duration) -> Result<Option<Event>> {
        within(timeout, self.0.next_event())
    }

    /// The next record; revocations are given up at once, losses and notices skipped. `None` once the reader is closed. See
    /// [`rt::Reader::fetch`].
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event).
    pub fn fetch(&mut self) -> Result<Option<Record>> {
        block_on(self.0.fetch())
    }

    /// As [`fetch`](Self::fetch).
    ///
    /// # Errors
    /// As [`next_event_within`](Self::next_event_within).
    pub fn fetch_within(&mut self, timeout: Duration) -> Result<Option<Record>> {
        within(timeout, self.0.fetch())
    }

    /// The next record; the one before it counts as handled, and is committed within the auto-commit interval. See
    /// [`rt::Reader::read`].
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event).
    pub fn read(&mut self) -> Result<Option<Record>> {
        block_on(self.0.read())
    }

    /// As [`read`](Self::read).
    ///
    /// # Errors
    /// As [`next_event_within`](Self::next_event_within).
    pub fn read_within(&mut self, timeout: Duration) -> Result<Option<Record>> {
        within(timeout, self.0.read())
    }

    /// The records that [`fetch`](Self::fetch) gives, until the reader is closed.
    pub fn records(&mut self) -> Records<'_> {
        Records(self)
    }

    /// The records that were fetched together, borrowed: the fastest way to read. See [`rt::Reader::next_batch`].
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event).
    pub fn next_batch(&mut self) -> Result<Option<Batch<'_>>> {
        block_on(self.0.next_batch())
    }

    /// Commits the positions after these records, the highest of each partition; waits until it is done.
    ///
    /// # Errors
    /// As [`rt::Reader::commit`].
    pub fn commit<'a>(&self, records: impl IntoIterator<Item = &'a Record>) -> Result<()> {
        block_on(self.0.commit(records))
    }

    /// Marks records as handled, for a commit within the auto-commit interval. See [`rt::Reader::mark`].
    ///
    /// # Errors
    /// As [`rt::Reader::mark`].
    pub fn mark<'a>(&mut self, records: impl IntoIterator<Item = &'a Record>) -> Result<()> {
        self.0.mark(records)
    }

    /// Moves a partition's position. See [`rt::Reader::seek`].
    ///
    /// # Errors
    /// The partition is not this reader's.
    pub fn seek(&mut self, partition: &TopicPartition, start: Start) -> Result<()> {
        self.0.seek(partition, start)
    }

    /// Delivers nothing of a partition until [`resume`](Self::resume).
    ///
    /// # Errors
    /// The partition is not this reader's.
    pub fn pause(&mut self, partition: &TopicPartition) -> Result<()> {
        self.0.pause(partition)
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// The partition is not this reader's.
    pub fn resume(&mut self, partition: &TopicPartition) -> Result<()> {
        self.0.resume(partition)
    }

    /// The end of a partition's log that replicas agree on, as far as it was told.
    pub fn high_watermark(&self, partition: &TopicPartition) -> Option<i64> {
        self.0.high_watermark(partition)
    }

    /// Commits what `read` has handed out, leaves the group and ends; gives up at the deadline.
    ///
    /// # Errors
    /// As [`rt::Reader::close`].
    pub fn close(&mut self, deadline: Duration) -> Result<()> {
        block_on(self.0.close(deadline))
    }
}

fn within<T>(timeout: Duration, future: impl Future<Output = Result<T>>) -> Result<T> {
    let late = || Err(Error::new(ErrorKind::TimedOut { after: timeout, last: None }));
    match Instant::now().checked_add(timeout) {
        Some(until) => block_until(until, future).unwrap_or_else(late),
        None => block_on(future),
    }
}

/// Iterates over records, see [`Reader::records`].
#[derive(Debug)]
pub struct Records<'a>(&'a mut Reader);

impl Iterator for Records<'_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Result<Record>> {
        self.0.fetch().transpose()
    }
}
