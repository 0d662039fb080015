//! The delivery side: a [`Chunk`] is what one answer brought of one partition, a [`Walk`] goes through it record by record.
//!
//! Both belong to the reader's handle and are used outside of the client's lock. They share a [`Ticket`] with the machine: the
//! machine ends a walk by it (revoked, paused, sought), and reads from it how far the application got.
//!
//! Invariant: [`Walk::position`] is the offset after the last record returned, or after the last batch once that is finished,
//! whatever was left in the batch: holes, empty batches, markers and aborted records move it too. It never goes back, and no
//! record is returned whose offset is not above that of the one before.

use super::chunk::{Chunk, Ticket};
use super::config::{Isolation, ReaderConfig};
use crate::error::{Error, ErrorKind};
use crate::message::{self, Origin};
use kafka_proto::Str;
use kafka_proto::records::{self, Batch, Batches, ControlType, Headers, Record, RecordSet, RecordsError};
use std::sync::Arc;

/// A record on its way to the application: a view, without copies.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    topic: &'a Str,
    partition: i32,
    leader_epoch: i32,
    record: Record<'a>,
}

impl<'a> RecordView<'a> {
    /// The topic.
    pub fn topic(&self) -> &'a Str {
        self.topic
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The offset.
    pub fn offset(&self) -> i64 {
        self.record.offset
    }

    /// Ms since the epoch; `None` where the record has none.
    pub fn timestamp(&self) -> Option<i64> {
        Some(self.record.timestamp).filter(|timestamp| *timestamp != NO_TIMESTAMP)
    }

    /// The key; `None` is not the same as an empty one.
    pub fn key(&self) -> Option<&'a [u8]> {
        self.record.key
    }

    /// The value; `None` is a tombstone, not the same as an empty value.
    pub fn value(&self) -> Option<&'a [u8]> {
        self.record.value
    }

    /// The headers, read when they are asked for.
    pub fn headers(&self) -> Headers<'a> {
        self.record.headers()
    }

    /// The leader epoch of the record's batch; -1 if unknown.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// Key and value as slices that keep the batch alive.
    #[inline(always)] // as its caller
    fn to_record(self, origin: Origin) -> Result<message::Record, RecordsError> {
        let mut headers = self.record.headers();
        let mut owned = Vec::with_capacity(headers.size_hint().0);
        while let Some(header) = headers.next_owned() {
            owned.push(header?);
        }
        Ok(message::Record {
            topic: self.topic.clone(),
            partition: self.partition,
            offset: self.record.offset,
            key: self.record.key_bytes(),
            value: self.record.value_bytes(),
            headers: owned,
            timestamp: self.timestamp(),
            origin,
        })
    }
}

/// What the wire has where a record has no timestamp.
const NO_TIMESTAMP: i64 = -1;

/// A way through a chunk, one record after the other.
///
/// Batches are checked and decompressed when the walk comes to them. Not returned are: records before the position that was asked
/// for or of an offset that was returned already, markers, and with [`Isolation::ReadCommitted`] records of aborted transactions.
///
/// An error ends the walk, with the position at what could not be read; the partition then stops until it is sought.
#[derive(Debug)]
pub struct Walk {
    topic: Str,
    partition: i32,
    origin: Origin,
    end: i64,
    ticket: Arc<Ticket>,
    batches: Batches,
    open: Option<Open>,
    aborts: Option<Aborts>,
    /// Records before it are passed over: before what was asked for, or of an offset that was returned or passed.
    floor: i64,
    position: i64,
    check_crcs: bool,
    max_decompressed: usize,
    log_end: Option<i64>,
    done: bool,
}

/// The batch that the walk is in.
#[derive(Debug)]
struct Open {
    records: RecordSet,
    next: i64,
    leader_epoch: i32,
}

impl Walk {
    /// A walk from the beginning of a chunk.
    pub fn new(chunk: Chunk, config: &ReaderConfig) -> Self {
        let Chunk { topic, partition, origin, start, end, data, ticket } = chunk;
        let committed = config.isolation == Isolation::ReadCommitted;
        Self {
            topic,
            partition,
            origin,
            end,
            ticket,
            batches: records::batches(data.bytes),
            open: None,
            aborts: committed
                .then(|| Aborts { coming: data.aborted.into_iter().rev().collect(), open: Vec::new() }),
            floor: start,
            position: start,
            check_crcs: config.check_crcs,
            max_decompressed: config.max_decompressed,
            log_end: data.log_end,
            done: false,
        }
    }

    /// The topic.
    pub fn topic(&self) -> &Str {
        &self.topic
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The assignment that the chunk belongs to.
    pub fn assignment(&self) -> u32 {
        self.origin.assignment
    }

    /// The offset to go on with: after the last record returned, or after the last batch once that is finished.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Returns whether nothing more will come of it. Where only holes and markers are left, that shows at the next call.
    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.done || !self.ticket.is_live()
    }

    /// The next record, or `None` at the end of the chunk, after an error, or when the partition was revoked, paused or
    /// sought since; and where the rest of a batch is passed over, with more to come at the next call.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] naming the position and the next batch, or [`ErrorKind::Unsupported`] for a codec that was left out of this
    /// build.
    #[inline]
    #[allow(clippy::should_implement_trait)] // a record borrows from the walk
    pub fn next(&mut self) -> Option<Result<RecordView<'_>, Error>> {
        if let Err(error) = self.advance()? {
            return Some(Err(error));
        }
        // The borrow of the record goes out, so the fields are taken one by one.
        let Self { open, ticket, floor, position, done, topic, partition, batches, log_end, .. } = self;
        let Open { records, next, leader_epoch } = open.as_mut()?;
        match records.next_record_from(*floor)? {
            Ok(record) => {
                *floor = record.offset.saturating_add(1);
                *position = (*position).max(*floor);
                ticket.move_to(*position);
                let leader_epoch = *leader_epoch;
                Some(Ok(RecordView { topic, partition: *partition, leader_epoch, record }))
            }
            Err(error) => {
                *done = true;
                ticket.fail();
                let next = behind_damage(batches, *log_end, *position, Some(*next));
                Some(Err(Problem::from(error).error(*position, next).with_partition(topic, *partition)))
            }
        }
    }

    /// The next record as one of its own, whose key and value are slices of the batch, which they keep alive.
    ///
    /// # Errors
    /// As [`Walk::next`].
    #[inline(always)] // what it gives is large, and copied where it is not
    pub fn next_record(&mut self) -> Option<Result<message::Record, Error>> {
        let origin = self.origin;
        let before = self.position;
        let (error, offset) = loop {
            match self.next() {
                Some(Ok(record)) => {
                    let origin = Origin { leader_epoch: record.leader_epoch, ..origin };
                    match record.to_record(origin) {
                        Ok(record) => return Some(Ok(record)),
                        Err(error) => break (error, record.offset()),
                    }
                }
                Some(Err(error)) => return Some(Err(error)),
                None => {}
            }
            if self.is_done() {
                return None;
            }
        };
        // It was not delivered.
        self.set_position(offset.max(before));
        let claimed = self.open.as_ref().map(|open| open.next);
        Some(Err(self.fail(error, claimed)))
    }

    /// Goes on to the next record that is to be returned, opening batches as need be.
    #[inline]
    fn advance(&mut self) -> Option<Result<(), Error>> {
        if self.is_done() {
            return None;
        }
        match &self.open {
            Some(open) if has_next(&open.records, self.floor) => Some(Ok(())),
            _ => self.open_next(),
        }
    }

    fn open_next(&mut self) -> Option<Result<(), Error>> {
        loop {
            if let Some(open) = self.open.take() {
                self.set_position(self.position.max(open.next));
            }
            let claimed = self.batches.claimed_end().filter(|end| *end > self.position);
            let opened = match self.batches.next() {
                None => {
                    self.set_position(self.position.max(self.end));
                    self.done = true;
                    return None;
                }
                Some(batch) => batch.and_then(|batch| self.open(batch)),
            };
            if let Err(error) = opened {
                return Some(Err(self.fail(error, claimed)));
            }
            match &self.open {
                _ if !self.ticket.is_live() => return None,
                Some(open) if has_next(&open.records, self.floor) => return Some(Ok(())),
                _ => {}
            }
        }
    }

    /// Makes the batch the open one, or passes over it if nothing of it is to be returned.
    fn open(&mut self, batch: Batch) -> Result<(), RecordsError> {
        if self.check_crcs {
            batch.verify_crc()?;
        }
        self.ticket.open(batch.partition_leader_epoch());
        let is_aborted = match &mut self.aborts {
            Some(aborts) => aborts.look_at(&batch, self.max_decompressed),
            None => false,
        };
        if batch.is_control() || is_aborted || batch.record_count() == Some(0) {
            self.set_position(self.position.max(batch.next_offset()));
            return Ok(());
        }
        let mut records = batch.records(self.max_decompressed)?;
        if self.check_crcs {
            records = records.checking_crcs();
        }
        self.open = Some(Open {
            records: if batch.base_offset() < self.floor { pass_over(records, self.floor) } else { records },
            next: batch.next_offset(),
            leader_epoch: batch.partition_leader_epoch(),
        });
        Ok(())
    }

    fn set_position(&mut self, position: i64) {
        self.position = position;
        self.ticket.move_to(position);
    }

    /// Ends the walk at a batch that says that it ends before `claimed`.
    #[cold]
    fn fail(&mut self, error: RecordsError, claimed: Option<i64>) -> Error {
        self.done = true;
        self.ticket.fail();
        let next = behind_damage(&self.batches, self.log_end, self.position, claimed);
        Problem::from(error).error(self.position, next).with_partition(&self.topic, self.partition)
    }
}

/// Why a walk cannot go on.
enum Problem {
    Corrupt(String),
    /// A feature is not compiled in.
    Missing(&'static str),
}

impl Problem {
    #[cold]
    fn error(self, offset: i64, next: Option<i64>) -> Error {
        match self {
            Self::Corrupt(problem) => Error::new(ErrorKind::Corrupt { offset, next, problem }),
            Self::Missing(feature) => {
                let needs = "the feature of that name of this library";
                let error = Error::new(ErrorKind::Unsupported { feature, needs });
                match next {
                    Some(next) => error
                        .with_detail(format!("records at offset {offset}, the next batch begins at {next}")),
                    None => error,
                }
            }
        }
    }
}

impl From<RecordsError> for Problem {
    #[cold]
    fn from(error: RecordsError) -> Self {
        match error {
            RecordsError::CompressionDisabled(compression) => Self::Missing(compression.name()),
            error => Self::Corrupt(error.to_string()),
        }
    }
}

/// Returns the first offset behind a damaged batch. What the batch claims may be part of the damage, so it counts only where
/// it does not reach beyond the next batch or the end of the log.
#[cold]
fn behind_damage(rest: &Batches, log_end: Option<i64>, position: i64, claimed: Option<i64>) -> Option<i64> {
    let following = rest.clone().next().and_then(Result::ok).filter(|batch| batch.base_offset() > position);
    let limit = following.as_ref().map(Batch::base_offset).or(log_end);
    let claimed = claimed.filter(|next| *next >= position && limit.is_none_or(|limit| *next <= limit));
    // Wrappers of the old formats have their last offset only.
    claimed.or_else(|| following.filter(|batch| batch.magic() >= 2).map(|batch| batch.base_offset()))
}

/// Returns whether [`RecordSet::next_record_from`] may give something, and goes on if it does not.
#[inline]
fn has_next(records: &RecordSet, floor: i64) -> bool {
    match records.remaining_records() {
        // Left-over bytes are an error, which the next call reports.
        Some(count) => count > 0 || records.remaining_bytes() > 0,
        None => has_next_message(records, floor),
    }
}

/// In the old formats only reading shows it.
#[cold]
fn has_next_message(records: &RecordSet, floor: i64) -> bool {
    records.clone().next_record_from(floor).is_some()
}

/// The first fetched batch may begin before the offset asked for.
#[cold]
fn pass_over(mut records: RecordSet, floor: i64) -> RecordSet {
    let mut ahead = records.clone();
    while let Some(Ok(record)) = ahead.next_record()
        && record.offset < floor
        && record.headers().all(|header| header.is_ok())
    {
        records.next_record();
    }
    records
}

/// Which producers' records are of aborted transactions, at the point where the walk is.
#[derive(Debug)]
struct Aborts {
    /// First offset and producer id of aborted transactions ahead, descending.
    coming: Vec<(i64, i64)>,
    /// The producers whose aborted transactions are open here.
    open: Vec<i64>,
}

impl Aborts {
    /// Moves on to this batch. Returns whether its records are of an aborted transaction.
    fn look_at(&mut self, batch: &Batch, max_decompressed: usize) -> bool {
        while let Some((_, producer)) = self.coming.pop_if(|(first, _)| *first <= batch.last_offset()) {
            if !self.open.contains(&producer) {
                self.open.push(producer);
            }
        }
        if batch.is_control() {
            // Only its own abort marker ends a transaction; a commit marker may be of an earlier one.
            if is_abort(batch, max_decompressed) {
                self.open.retain(|producer| *producer != batch.producer_id());
            }
            return false;
        }
        batch.is_transactional() && self.open.contains(&batch.producer_id())
    }
}

fn is_abort(batch: &Batch, max_decompressed: usize) -> bool {
    let Ok(mut records) = batch.records(max_decompressed) else { return false };
    matches!(records.next_record(), Some(Ok(record)) if record.control_type() == Some(ControlType::Abort))
}
