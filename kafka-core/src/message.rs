//! What an application writes, and what it reads.

use crate::machine::MachineId;
use kafka_proto::records::Header;
use kafka_proto::{Bytes, Str, Uuid};
use std::time::{Duration, SystemTime};

/// A message to write.
///
/// `None` as value is a tombstone, which is not the same as an empty value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The topic; only where the writer has none.
    pub topic: Option<Str>,
    /// The partition that it goes to. Default: the writer's balancer picks one.
    pub partition: Option<i32>,
    /// The key; messages with equal keys go to the same partition.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers, in order; names may repeat (0.11+, KIP-82).
    pub headers: Vec<Header>,
    /// Milliseconds since the epoch. Default: the time of the call; for one of several messages of a call, no earlier than when
    /// its batch was begun.
    pub timestamp: Option<i64>,
}

/// A record that was read.
///
/// # Memory
/// Key, value and headers are slices of what was fetched with the record, or of its decompressed batch. Nothing is copied, but a
/// record that is kept, or a clone of its key alone, keeps all of that in memory: by default up to 16 MiB. Uncompressed bytes
/// also stay counted in the reader's [`buffer_bytes`](crate::ReaderBuilder::buffer_bytes). Records that are kept for longer
/// than it takes to handle them should be [detached](Self::detach).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The topic.
    pub topic: Str,
    /// The partition.
    pub partition: i32,
    /// Its offset in the partition.
    pub offset: i64,
    /// Ms since the epoch: when it was made, or appended, as the topic is set up. A record in the format before 0.10 has none.
    pub timestamp: Option<i64>,
    /// The key.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers, in order; names may repeat.
    pub headers: Vec<Header>,
    /// What a commit of it has to know.
    pub(crate) origin: Origin,
}

/// Which reader and which of its assignments a record came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) reader: MachineId,
    pub(crate) assignment: u32,
    /// The topic's id when the record was read; zero where it was not known.
    pub(crate) topic_id: Uuid,
    pub(crate) leader_epoch: i32,
}

impl Record {
    /// A record that no reader has read, for tests of what handles records: without key, value and headers, which are set
    /// afterwards. It cannot be committed.
    pub fn new(topic: impl Into<Str>, partition: i32, offset: i64) -> Self {
        let origin = Origin { reader: MachineId(0), assignment: 0, topic_id: Uuid::ZERO, leader_epoch: -1 };
        let topic = topic.into();
        Self {
            topic,
            partition,
            offset,
            timestamp: None,
            key: None,
            value: None,
            headers: Vec::new(),
            origin,
        }
    }

    /// Returns its [`timestamp`](Self::timestamp) as a time.
    pub fn time(&self) -> Option<SystemTime> {
        self.timestamp.and_then(time_of)
    }

    /// Copies key, value and headers into memory of their own, so that the record keeps nothing else alive. It can still be
    /// committed.
    #[must_use]
    pub fn detach(self) -> Self {
        let copy = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
        let header = |header: &Header| Header {
            key: Str::from(header.key.to_string()),
            value: header.value.as_ref().map(copy),
        };
        Self {
            key: self.key.as_ref().map(copy),
            value: self.value.as_ref().map(copy),
            headers: self.headers.iter().map(header).collect(),
            ..self
        }
    }
}

/// What was read, to be written elsewhere: key, value, headers and time are kept; the writer, or whoever sets them, decides on topic
/// and partition.
impl From<Record> for Message {
    fn from(record: Record) -> Self {
        let Record { key, value, headers, timestamp, .. } = record;
        Self { key, value, headers, timestamp, ..Self::default() }
    }
}

impl Message {
    /// A message with a value.
    pub fn new(value: impl Into<Bytes>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    /// A message without a value, which deletes its key on a compacted topic.
    pub fn tombstone(key: impl Into<Bytes>) -> Self {
        Self { key: Some(key.into()), ..Self::default() }
    }

    /// Sets the key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the topic.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<Str>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// Sets the partition that the message goes to, so that no balancer is asked.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Sets the timestamp, in ms since the epoch.
    #[must_use]
    pub fn timestamp(mut self, ms: i64) -> Self {
        self.timestamp = Some(ms);
        self
    }

    /// Sets the timestamp, to the millisecond.
    #[must_use]
    pub fn time(self, time: SystemTime) -> Self {
        self.timestamp(ms_of(time))
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, key: impl Into<Str>, value: impl Into<Bytes>) -> Self {
        self.headers.push(Header { key: key.into(), value: Some(value.into()) });
        self
    }
}

/// Returns the time so many ms after the epoch, or before it; `None` where this machine has none so far away.
fn time_of(ms: i64) -> Option<SystemTime> {
    let distance = Duration::from_millis(ms.unsigned_abs());
    if ms < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    }
}

/// Returns the ms from the epoch to a time, rounded down.
fn ms_of(time: SystemTime) -> i64 {
    let ms = |distance: Duration| i64::try_from(distance.as_millis()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => ms(after),
        Err(before) => -ms(before.duration() + Duration::from_nanos(999_999)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_to_the_millisecond() {
        for ms in [0, 1, -1, 1_700_000_000_123, -62_135_596_800_000] {
            let message = Message::new("x").time(time_of(ms).expect("a time"));
            assert_eq!(message.timestamp, Some(ms));
            let record = Record { timestamp: Some(ms), ..Record::new("t", 0, 0) };
            assert_eq!(record.time(), time_of(ms));
        }
        let between = SystemTime::UNIX_EPOCH + Duration::from_micros(1_999);
        assert_eq!(Message::new("x").time(between).timestamp, Some(1));
        let before = SystemTime::UNIX_EPOCH - Duration::from_micros(1);
        assert_eq!(Message::new("x").time(before).timestamp, Some(-1));
        assert_eq!(Record::new("t", 0, 0).time(), None);
    }

    #[test]
    fn what_was_read_is_forwarded_without_its_place() {
        let mut record = Record::new("from", 3, 70);
        record.key = Some("k".into());
        record.value = Some("v".into());
        record.timestamp = Some(1_000);
        record.headers.push(Header::new("h", "1"));
        let expected = Message::new("v").key("k").timestamp(1_000).header("h", "1");
        assert_eq!(Message::from(record.clone()), expected);
        assert_eq!(Message::from(record.detach()), expected);
        let tombstone = Record { key: Some("k".into()), ..Record::new("from", 3, 71) };
        assert_eq!(Message::from(tombstone).topic("to"), Message::tombstone("k").topic("to"));
    }
}
