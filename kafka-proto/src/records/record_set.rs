//! The records of a batch, one after the other.
//!
//! [`RecordSet`] owns the (decompressed) bytes and a position, so that it can be kept between calls; a record borrows
//! from it and is parsed when it is asked for. Nothing is allocated a record.

use bytes::Bytes;

use super::batch::sequence_at;
use super::header::BatchHeader;
use super::message_set::Messages;
use super::record::{Headers, read_bytes};
use super::varint::{read_varint, read_varlong};
use super::{Record, RecordsError, TimestampType};

/// The records of a batch: a cursor that owns their bytes.
///
/// An error ends it. In format 2 it also is an error if bytes are left behind the last record.
#[derive(Debug, Clone)]
pub struct RecordSet {
    data: Bytes,
    position: usize,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Batch(BatchForm),
    Messages(Messages),
}

/// What the records of a format 2 batch count from.
#[derive(Debug, Clone)]
struct BatchForm {
    remaining: u32,
    base_offset: i64,
    base_timestamp: i64,
    /// Log append time: the timestamp of all.
    append_time: Option<i64>,
    base_sequence: i32,
    is_control: bool,
}

impl RecordSet {
    pub(super) fn of_batch(data: Bytes, header: &BatchHeader) -> Self {
        let form = BatchForm {
            remaining: header.record_count as u32,
            base_offset: header.base_offset,
            base_timestamp: header.base_timestamp,
            append_time: (header.timestamp_type == TimestampType::LogAppendTime)
                .then_some(header.max_timestamp),
            base_sequence: header.base_sequence,
            is_control: header.is_control,
        };
        RecordSet { data, position: 0, form: Form::Batch(form) }
    }

    pub(super) fn of_messages(data: Bytes, messages: Messages) -> Self {
        RecordSet { data, position: 0, form: Form::Messages(messages) }
    }

    /// The next record.
    #[inline]
    pub fn next_record(&mut self) -> Option<Result<Record<'_>, RecordsError>> {
        self.next_record_from(i64::MIN)
    }

    /// The next record of this offset or a later one. Records before it are passed over, wherever in the batch they stand.
    #[inline]
    pub fn next_record_from(&mut self, offset: i64) -> Option<Result<Record<'_>, RecordsError>> {
        // Written out here, and again where it is rare: a function of its own costs a record 5 % more instructions.
        let mut input = self.data.get(self.position..)?;
        let record = match &mut self.form {
            Form::Batch(form) if form.remaining == 0 => {
                let left = core::mem::replace(&mut self.position, usize::MAX) < self.data.len();
                return left.then_some(Err(RecordsError::Corrupt("bytes are left behind the last record")));
            }
            Form::Batch(form) => form.read(&self.data, &mut input),
            Form::Messages(messages) => messages.read_from(offset, &self.data, &mut input)?,
        };
        self.position = match record {
            Ok(_) => self.data.len() - input.len(),
            Err(_) => usize::MAX,
        };
        if let Ok(early) = &record
            && early.offset < offset
        {
            return pass_over(early, offset, &self.data, &mut self.position, &mut self.form);
        }
        Some(record)
    }

    /// Has the checksums of messages inside a compressed one (formats 0 and 1) compared as they are read. The wrapper's own
    /// checksum says nothing of them where a broker has packed them anew. Elsewhere records have no checksums.
    #[must_use]
    pub fn checking_crcs(mut self) -> Self {
        if let Form::Messages(messages) = &mut self.form {
            messages.check_crcs();
        }
        self
    }

    /// How many (decompressed) bytes are not read yet: an upper bound of what the records left can take.
    #[inline]
    pub fn remaining_bytes(&self) -> usize {
        self.data.len().saturating_sub(self.position)
    }

    /// How many records are left, as the batch says; `None` in formats 0 and 1, which do not.
    #[inline]
    pub fn remaining_records(&self) -> Option<u32> {
        match &self.form {
            Form::Batch(form) => Some(form.remaining),
            Form::Messages(_) => None,
        }
    }
}

impl BatchForm {
    #[inline(always)]
    fn read<'a>(&mut self, source: &'a Bytes, input: &mut &'a [u8]) -> Result<Record<'a>, RecordsError> {
        let length = read_varint(input)?;
        let (mut body, rest) = usize::try_from(length)
            .ok()
            .and_then(|length| input.split_at_checked(length))
            .ok_or(RecordsError::Corrupt("a record is cut off"))?;
        *input = rest;
        self.remaining -= 1;
        self.read_body(source, &mut body)
    }

    #[inline(always)]
    fn read_body<'a>(&self, source: &'a Bytes, body: &mut &'a [u8]) -> Result<Record<'a>, RecordsError> {
        // The record's own attributes are unused.
        let (_, rest) = body.split_first().ok_or(RecordsError::Corrupt("a record is empty"))?;
        *body = rest;
        let timestamp_delta = read_varlong(body)?;
        let offset_delta = read_varint(body)?;
        let key = read_bytes(body)?;
        let value = read_bytes(body)?;
        Ok(Record {
            offset: self.base_offset.wrapping_add(i64::from(offset_delta)),
            timestamp: self.append_time.unwrap_or(self.base_timestamp.wrapping_add(timestamp_delta)),
            key,
            value,
            sequence: sequence_at(self.base_sequence, offset_delta),
            headers: read_headers(source, body)?,
            is_control: self.is_control,
        })
    }
}

/// Goes on to a record of this offset or a later one. What nobody gets to see must be whole all the same.
#[cold]
#[inline(never)]
fn pass_over<'a>(
    early: &Record<'a>,
    offset: i64,
    data: &'a Bytes,
    position: &mut usize,
    form: &mut Form,
) -> Option<Result<Record<'a>, RecordsError>> {
    let mut passed = early.headers().try_for_each(|header| header.map(drop));
    loop {
        if let Err(error) = passed {
            *position = usize::MAX;
            return Some(Err(error));
        }
        let mut input = data.get(*position..)?;
        let record = match form {
            Form::Batch(form) if form.remaining == 0 => {
                let left = core::mem::replace(position, usize::MAX) < data.len();
                return left.then_some(Err(RecordsError::Corrupt("bytes are left behind the last record")));
            }
            Form::Batch(form) => form.read(data, &mut input),
            Form::Messages(messages) => messages.read_from(offset, data, &mut input)?,
        };
        *position = if record.is_ok() { data.len() - input.len() } else { usize::MAX };
        match record {
            Ok(record) if record.offset < offset => {
                passed = record.headers().try_for_each(|header| header.map(drop));
            }
            record => return Some(record),
        }
    }
}

/// The count; the headers themselves are read on demand.
#[inline(always)]
fn read_headers<'a>(source: &'a Bytes, body: &mut &'a [u8]) -> Result<Headers<'a>, RecordsError> {
    if let [0] = body {
        return Ok(Headers { count: 0, rest: &[], source });
    }
    let count = read_varint(body)?;
    if count < 0 || count as usize > body.len() {
        return Err(RecordsError::Corrupt("the header count is impossible"));
    }
    if count == 0 && !body.is_empty() {
        return Err(RecordsError::Corrupt("bytes are left behind a record"));
    }
    Ok(Headers { count: count as u32, rest: body, source })
}
