//! Record batches and message sets, and the codecs in them.

use kafka_proto::Bytes;
use kafka_proto::records::{
    Batch, BatchBody, BatchBuilder, Compression, Header, HeaderView, ProducerStamp, Record, RecordSet,
    RecordsError, TimestampType, batches, compression,
};

/// What a batch may unpack to, in bytes.
pub(super) const CAP: usize = 1 << 20;
/// How many records of a batch are looked at.
const MAX_RECORDS: usize = 10_000;

/// The content of a `records` field: everything is walked.
pub fn records(data: &[u8]) {
    let mut batches = batches(Bytes::copy_from_slice(data));
    let mut seen = 0;
    for batch in batches.by_ref() {
        let Ok(batch) = batch else { continue };
        seen += batch.size_in_bytes();
        let _ = batch.verify_crc();
        look_at(&batch);
        if let Ok(mut records) = batch.records(CAP) {
            assert!(records.remaining_bytes() <= CAP.max(batch.size_in_bytes()), "the cap");
            walk(&mut records);
        }
    }
    assert!(seen + batches.trailing_bytes() <= data.len());
}

fn look_at(batch: &Batch) {
    let _ = (batch.next_offset(), batch.last_sequence(), batch.record_count(), format!("{batch:?}"));
    let moved = batch.with_offset(7, 3).into_bytes();
    let again =
        batches(moved).next().and_then(Result::ok).unwrap_or_else(|| panic!("{batch:?} with an offset"));
    assert_eq!(again.size_in_bytes(), batch.size_in_bytes());
    assert_eq!(again.verify_crc(), batch.verify_crc(), "an offset is not under the checksum");
}

fn walk(records: &mut RecordSet) {
    for _ in 0..MAX_RECORDS {
        let before = records.remaining_bytes();
        let Some(record) = records.next_record() else { break };
        let Ok(record) = record else {
            assert!(records.next_record().is_none(), "an error ends the walk");
            break;
        };
        assert_eq!(record.key_bytes().as_deref(), record.key);
        assert_eq!(record.value_bytes().as_deref(), record.value);
        let _ = (record.control_type(), record.sequence);
        assert!(record.headers().count() <= before);
        let mut headers = record.headers();
        while headers.next_owned().is_some() {}
        assert!(records.remaining_bytes() < before, "a record takes bytes");
    }
}

/// A record that outlives its batch.
#[derive(Debug, PartialEq)]
struct Owned {
    offset_delta: i32,
    timestamp: i64,
    key: Option<Bytes>,
    value: Option<Bytes>,
    headers: Vec<Header>,
}

impl Owned {
    /// `None` where a header is damaged or an offset is out of a batch's reach.
    fn of(record: &Record<'_>, base_offset: i64) -> Option<Self> {
        let owned = |h: HeaderView<'_>| {
            let value = h.value.map(Bytes::copy_from_slice);
            Some(Header { key: h.key_str()?.into(), value })
        };
        Some(Owned {
            offset_delta: i32::try_from(record.offset.checked_sub(base_offset)?).ok()?,
            timestamp: record.timestamp,
            key: record.key_bytes(),
            value: record.value_bytes(),
            headers: record.headers().map(|h| h.ok().and_then(owned)).collect::<Option<_>>()?,
        })
    }
}

/// Builds the records of each batch anew, compressed as the first byte says, and reads them again.
pub fn rebuild(data: &[u8]) {
    let Some((selected, rest)) = data.split_first() else { return };
    let compression = Compression::ALL[usize::from(*selected) % Compression::ALL.len()];
    for batch in batches(Bytes::copy_from_slice(rest)).filter_map(Result::ok).take(8) {
        let Some(records) = owned(&batch, CAP) else { continue };
        let body = build(&records, batch.base_timestamp());
        let body = body.compress(compression, None).unwrap_or_else(|error| panic!("{compression}: {error}"));
        check(&body, &records);
        down_convert(&body, &records);
    }
}

fn owned(batch: &Batch, cap: usize) -> Option<Vec<Owned>> {
    let mut records = batch.records(cap).ok()?;
    let mut all = Vec::new();
    while let Some(record) = records.next_record().filter(|_| all.len() < MAX_RECORDS) {
        all.push(Owned::of(&record.ok()?, batch.base_offset())?);
    }
    Some(all)
}

fn build(records: &[Owned], base_timestamp: i64) -> BatchBody {
    let mut builder = BatchBuilder::with_base_timestamp(base_timestamp);
    let mut next = 0;
    for Owned { offset_delta, timestamp, key, value, headers } in records {
        let (key, value) = (key.as_deref(), value.as_deref());
        let (len, capacity) = (builder.encoded_len(), builder.capacity());
        let told = builder.record_len(*timestamp, key, value, headers);
        let growth = builder.growth_for(told);
        let appended = builder.append_at(*offset_delta, *timestamp, key, value, headers);
        appended.unwrap_or_else(|error| panic!("{error}: {key:?} {value:?}"));
        // What is told is for the next offset.
        if *offset_delta == next {
            assert_eq!(builder.encoded_len(), len + told);
            assert_eq!(builder.capacity(), capacity + growth);
        }
        next = offset_delta.wrapping_add(1);
    }
    builder.finish()
}

fn check(body: &BatchBody, records: &[Owned]) {
    let sealed = body.seal(ProducerStamp::NONE).into_bytes();
    assert_eq!(sealed.len(), body.len());
    let batch = one_batch(sealed);
    assert_eq!(batch.verify_crc(), Ok(()));
    assert_eq!(batch.record_count(), Some(records.len() as u32));
    assert_eq!(batch.timestamp_type(), TimestampType::CreateTime);
    // Timestamps may take more bytes than they took.
    assert_eq!(owned(&batch, 4 * CAP).as_deref(), Some(records), "{batch:?}");
}

fn one_batch(bytes: Bytes) -> Batch {
    let mut batches = batches(bytes);
    let batch = batches.next().and_then(Result::ok).unwrap_or_else(|| panic!("no batch"));
    assert!(batches.next().is_none() && batches.trailing_bytes() == 0);
    batch
}

/// Message sets keep keys and values.
fn down_convert(body: &BatchBody, records: &[Owned]) {
    for magic in [0, 1] {
        let Ok(set) = body.to_message_set(magic) else { continue };
        let mut read = Vec::new();
        for batch in batches(set.into_bytes()) {
            let batch = batch.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(batch.verify_crc(), Ok(()));
            let mut inner = batch.records(usize::MAX).unwrap_or_else(|error| panic!("{error}"));
            while let Some(record) = inner.next_record() {
                let record = record.unwrap_or_else(|error| panic!("{error}"));
                read.push((record.key_bytes(), record.value_bytes()));
            }
        }
        let expected: Vec<_> = records.iter().map(|r| (r.key.clone(), r.value.clone())).collect();
        assert_eq!(read, expected);
    }
}

/// An input for [`decompress`].
pub fn decompress_seed(codec: Compression, magic: u8, packed: &[u8]) -> Vec<u8> {
    [&[codec.code().saturating_sub(1), magic][..], packed].concat()
}

/// Packed bytes; the first byte of the input says of which codec, the second of which format the batch is.
pub fn decompress(data: &[u8]) {
    let [codec, magic, packed @ ..] = data else { return };
    let codec = Compression::ALL[1 + usize::from(*codec) % 4];
    let magic = magic % 3;
    let packed = Bytes::copy_from_slice(packed);
    let unpack = |limit| compression::decompress(codec, magic, &packed, limit);
    if let Ok(some) = unpack(100) {
        assert!(some.len() <= 100);
    }
    let Ok(plain) = unpack(CAP) else { return };
    assert!(plain.len() <= CAP);
    assert_eq!(unpack(plain.len()).as_ref(), Ok(&plain), "{codec}: a cap of its size");
    if let Some(limit) = plain.len().checked_sub(1) {
        assert_eq!(unpack(limit), Err(RecordsError::DecompressedTooLarge { limit }), "{codec}");
    }
    let again = compression::compress(codec, magic, None, std::slice::from_ref(&plain));
    let again = again.unwrap_or_else(|error| panic!("{codec}: {error}"));
    let again = compression::decompress(codec, magic, &again.into(), plain.len());
    assert_eq!(again.ok(), Some(plain), "{codec}");
}
