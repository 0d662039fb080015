//! A record and its headers, as views into the batch.

use bytes::Bytes;

use super::RecordsError;
use super::header::take;
use super::varint::read_varint;
use crate::Str;
use crate::wire::lossy;

/// One record, as a view into its batch.
///
/// Key and value are borrowed; [`Record::key_bytes`] and [`Record::value_bytes`] make them owned without copying.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// Position of the record in its partition.
    pub offset: i64,
    /// In milliseconds since 1970; -1 if there is none. See [`Batch::timestamp_type`](super::Batch::timestamp_type).
    pub timestamp: i64,
    /// The key; `None` is not the same as an empty one.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone, not the same as an empty value.
    pub value: Option<&'a [u8]>,
    /// The number that the idempotent producer gave the record, if it was one.
    pub sequence: Option<i32>,
    pub(super) headers: Headers<'a>,
    pub(super) is_control: bool,
}

impl<'a> Record<'a> {
    /// The headers, read when they are asked for.
    #[inline]
    pub fn headers(&self) -> Headers<'a> {
        self.headers
    }

    /// The key as a slice of the batch's buffer, which it keeps alive.
    #[inline]
    pub fn key_bytes(&self) -> Option<Bytes> {
        self.key.map(|key| self.headers.source.slice_ref(key))
    }

    /// The value as a slice of the batch's buffer, which it keeps alive.
    #[inline]
    pub fn value_bytes(&self) -> Option<Bytes> {
        self.value.map(|value| self.headers.source.slice_ref(value))
    }

    /// Which marker this is; `None` outside of control batches and where the key is not one.
    pub fn control_type(&self) -> Option<ControlType> {
        let mut key = self.key.filter(|_| self.is_control)?;
        let version = i16::from_be_bytes(take(&mut key).ok()?);
        let code = i16::from_be_bytes(take(&mut key).ok()?);
        (version >= 0).then(|| ControlType::from_code(code))
    }
}

impl core::fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut out = f.debug_struct("Record");
        out.field("offset", &self.offset).field("timestamp", &self.timestamp);
        out.field("key", &self.key).field("value", &self.value).field("sequence", &self.sequence);
        out.field("headers", &self.headers.len()).finish()
    }
}

/// What a record of a control batch says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ControlType {
    /// The producer's transaction was aborted.
    Abort,
    /// The producer's transaction was committed.
    Commit,
    /// KRaft: a new leader.
    LeaderChange,
    /// KRaft: start of a snapshot.
    SnapshotHeader,
    /// KRaft: end of a snapshot.
    SnapshotFooter,
    /// KRaft: the version of the quorum's protocol (KIP-853).
    KRaftVersion,
    /// KRaft: the voters (KIP-853).
    KRaftVoters,
    /// Added after this was written; to be ignored.
    Unknown(i16),
}

impl ControlType {
    fn from_code(code: i16) -> Self {
        match code {
            0 => ControlType::Abort,
            1 => ControlType::Commit,
            2 => ControlType::LeaderChange,
            3 => ControlType::SnapshotHeader,
            4 => ControlType::SnapshotFooter,
            5 => ControlType::KRaftVersion,
            6 => ControlType::KRaftVoters,
            other => ControlType::Unknown(other),
        }
    }
}

/// A header that a record is written with, or that outlives its batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Header {
    /// The key; records may have several headers of one key.
    pub key: Str,
    /// The value; `None` is not the same as an empty one.
    pub value: Option<Bytes>,
}

impl Header {
    /// A header with a value.
    pub fn new(key: impl Into<Str>, value: impl Into<Bytes>) -> Self {
        Header { key: key.into(), value: Some(value.into()) }
    }
}

/// A header as a view into its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderView<'a> {
    /// The key as it stands; Kafka means it to be UTF-8 but does not check it.
    pub key: &'a [u8],
    /// The value; `None` is not the same as an empty one.
    pub value: Option<&'a [u8]>,
}

impl<'a> HeaderView<'a> {
    /// The key as text, or `None` if it is not UTF-8.
    pub fn key_str(&self) -> Option<&'a str> {
        core::str::from_utf8(self.key).ok()
    }
}

/// The headers of a record, each read when the iterator comes to it.
///
/// An error ends the iteration: the bytes do not hold as many headers as they say, or more.
#[derive(Clone, Copy)]
pub struct Headers<'a> {
    pub(super) count: u32,
    pub(super) rest: &'a [u8],
    pub(super) source: &'a Bytes,
}

impl<'a> Headers<'a> {
    /// How many headers are left, as the record says.
    #[inline]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether no header is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The next header, owned: a slice of the batch's buffer, which it keeps alive. A key that is not UTF-8 is replaced
    /// lossily.
    pub fn next_owned(&mut self) -> Option<Result<Header, RecordsError>> {
        let source = self.source;
        self.next().map(|header| header.map(|header| owned(source, header)))
    }

    fn read(&mut self) -> Result<HeaderView<'a>, RecordsError> {
        let key = read_bytes(&mut self.rest)?.ok_or(RecordsError::Corrupt("a header key is null"))?;
        let value = read_bytes(&mut self.rest)?;
        if self.count == 1 && !self.rest.is_empty() {
            return Err(RecordsError::Corrupt("bytes are left behind the headers of a record"));
        }
        Ok(HeaderView { key, value })
    }
}

fn owned(source: &Bytes, header: HeaderView<'_>) -> Header {
    let key = Str::try_from(source.slice_ref(header.key)).unwrap_or_else(|_| lossy(header.key));
    Header { key, value: header.value.map(|value| source.slice_ref(value)) }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Result<HeaderView<'a>, RecordsError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.count == 0 {
            return None;
        }
        let header = self.read();
        self.count = if header.is_ok() { self.count - 1 } else { 0 };
        Some(header)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // A header takes two bytes at least, so that nobody reserves more than the bytes justify.
        (self.len().min(self.rest.len() / 2), Some(self.len()))
    }
}

impl core::iter::FusedIterator for Headers<'_> {}

impl core::fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

/// A varint length and so many bytes; a negative length is null.
#[inline(always)]
pub(super) fn read_bytes<'a>(input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, RecordsError> {
    let len = read_varint(input)?;
    if len < 0 {
        return Ok(None);
    }
    let (bytes, rest) =
        input.split_at_checked(len as usize).ok_or(RecordsError::Corrupt("bytes are cut off"))?;
    *input = rest;
    Ok(Some(bytes))
}
