//! What holds for any records.

use kafka_proto::records::{
    Batch, BatchBody, BatchBuilder, ChunkPool, Compression, Header, ProducerStamp, RecordsError, batches,
};
use kafka_proto::{Bytes, Str};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::CAP;

/// A record that outlives its batch.
#[derive(Debug, Clone, PartialEq)]
struct Owned {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<Header>,
}

fn bytes(len: usize) -> impl Strategy<Value = Vec<u8>> {
    // Runs compress, noise does not.
    (vec(any::<u8>(), 0..len), any::<bool>()).prop_map(|(mut bytes, run)| {
        if run {
            let byte = bytes.first().copied().unwrap_or_default();
            bytes.fill(byte);
        }
        bytes
    })
}

fn header() -> impl Strategy<Value = Header> {
    ("\\PC{0,6}", option::of(bytes(40)))
        .prop_map(|(key, value)| Header { key: Str::from(key), value: value.map(Bytes::from) })
}

fn record(headers: usize) -> impl Strategy<Value = Owned> {
    let timestamp =
        prop_oneof![Just(1_700_000_000_000i64), 1_700_000_000_000i64..1_700_000_100_000, any::<i64>()];
    let size = prop_oneof![8 => 0usize..200, 1 => 200usize..3000, 1 => 60_000usize..80_000];
    let value = size.prop_flat_map(|size| bytes(size + 1));
    let headers = vec(header(), 0..=headers);
    (timestamp, option::of(bytes(30)), option::of(value), headers)
        .prop_map(|(timestamp, key, value, headers)| Owned { timestamp, key, value, headers })
}

fn records(headers: usize) -> impl Strategy<Value = Vec<Owned>> {
    vec(record(headers), 1..20)
}

fn body_of(records: &[Owned]) -> BatchBody {
    let mut builder = BatchBuilder::new();
    for (i, record) in records.iter().enumerate() {
        let index = builder
            .append(record.timestamp, record.key.as_deref(), record.value.as_deref(), &record.headers)
            .unwrap();
        assert_eq!(index as usize, i);
    }
    builder.finish()
}

fn read(batch: &Batch) -> Vec<Owned> {
    let mut records = batch.records(CAP).unwrap();
    let mut all = Vec::new();
    while let Some(record) = records.next_record() {
        let record = record.unwrap();
        assert_eq!(record.offset, batch.base_offset() + all.len() as i64);
        let mut headers = record.headers();
        all.push(Owned {
            timestamp: record.timestamp,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: std::iter::from_fn(|| headers.next_owned()).collect::<Result<_, _>>().unwrap(),
        });
    }
    all
}

fn codec() -> impl Strategy<Value = Compression> {
    proptest::sample::select(Compression::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_written_is_read(records in records(4), codec in codec(), level in option::of(-10i32..30)) {
        let body = body_of(&records).compress(codec, level).unwrap();
        let stamp = ProducerStamp { producer_id: 7, producer_epoch: 2, base_sequence: i32::MAX - 3, transactional: true };
        let sealed = body.seal(stamp);
        prop_assert_eq!(sealed.len(), body.len());
        let batch = batches(sealed.into_bytes()).next().unwrap().unwrap();
        batch.verify_crc().unwrap();
        prop_assert_eq!(read(&batch), records.clone());
        prop_assert_eq!(batch.compression(), codec);
        prop_assert_eq!(batch.record_count(), Some(records.len() as u32));
        prop_assert_eq!(batch.max_timestamp(), records.iter().map(|record| record.timestamp).max().unwrap());
        prop_assert_eq!(batch.base_timestamp(), records[0].timestamp);
        prop_assert_eq!(batch.producer_id(), 7);
        prop_assert!(batch.is_transactional());
        let expected = (i32::MAX as i64 - 3 + records.len() as i64 - 1) % (1 << 31);
        prop_assert_eq!(i64::from(batch.last_sequence()), expected);
    }

    /// Memory accounting relies on it: sizes are told before, to the byte, and allocations are what was told.
    #[test]
    fn sizes_are_known_before(records in records(4)) {
        let mut builder = BatchBuilder::new();
        for record in &records {
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            let len = builder.record_len(record.timestamp, key, value, &record.headers);
            let (encoded, capacity) = (builder.encoded_len(), builder.capacity());
            let growth = builder.growth_for(len);
            builder.append(record.timestamp, key, value, &record.headers).unwrap();
            prop_assert_eq!(builder.encoded_len(), encoded + len);
            prop_assert_eq!(builder.capacity(), capacity + growth);
        }
        // No space is lost between chunks, and the last is at most as large as all before it, or the usual largest.
        let (encoded, capacity) = (builder.encoded_len(), builder.capacity());
        prop_assert!(capacity >= encoded - 61);
        prop_assert!(capacity <= (2 * encoded + 512).min(encoded + (64 << 10)));
        let body = builder.finish();
        prop_assert_eq!(body.len(), encoded);
        prop_assert_eq!(body.seal(ProducerStamp::NONE).len(), encoded);
    }

    #[test]
    fn chunks_do_not_show(records in records(2)) {
        // A base timestamp alone makes the builder another one; the sizes of chunks follow from the first record.
        let body = body_of(&records);
        let joined: Vec<u8> = body.as_records().segments().concat();
        let mut all = 0;
        let mut builder = BatchBuilder::new();
        for record in &records {
            all += builder.record_len(record.timestamp, record.key.as_deref(), record.value.as_deref(), &record.headers);
            builder.append(record.timestamp, record.key.as_deref(), record.value.as_deref(), &record.headers).unwrap();
        }
        prop_assert_eq!(all, joined.len());
        let mut again = body.records().unwrap();
        let mut count = 0;
        while let Some(record) = again.next_record() {
            record.unwrap();
            count += 1;
        }
        prop_assert_eq!(count, records.len());
    }

    /// Whatever was expected, and whatever stood in the chunks before.
    #[test]
    fn a_pool_and_what_is_expected_do_not_show(
        batches in vec((records(2), prop_oneof![Just(0usize), 0..1000usize, 0..200_000usize]), 1..5),
    ) {
        let pool = ChunkPool::new(300 << 10);
        for (records, expected) in batches {
            let mut builder = BatchBuilder::with_pool(&pool).expecting(expected);
            for Owned { timestamp, key, value, headers } in &records {
                let (key, value) = (key.as_deref(), value.as_deref());
                let growth = builder.growth_for(builder.record_len(*timestamp, key, value, headers));
                let capacity = builder.capacity();
                builder.append(*timestamp, key, value, headers).unwrap();
                prop_assert_eq!(builder.capacity(), capacity + growth);
            }
            let len = builder.encoded_len() - 61;
            if (len..=64 << 10).contains(&expected) {
                prop_assert_eq!(builder.capacity(), expected.next_power_of_two().max(512));
            }
            let (body, plain) = (builder.finish(), body_of(&records));
            prop_assert_eq!(body.as_records(), plain.as_records());
        }
        prop_assert!(pool.idle_bytes() <= 300 << 10);
    }

    #[test]
    fn old_brokers_get_message_sets(records in records(0), codec in codec(), magic in 0u8..2) {
        let body = body_of(&records).compress(codec, None).unwrap();
        let set = body.to_message_set(magic);
        if codec == Compression::Zstd {
            let error = RecordsError::CompressionNotSupported { compression: codec, magic };
            prop_assert_eq!(set, Err(error));
            return Ok(());
        }
        let mut read = Vec::new();
        for batch in batches(set.unwrap().into_bytes()) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            prop_assert_eq!(batch.compression(), codec);
            prop_assert_eq!(batch.magic(), magic);
            let mut records = batch.records(CAP).unwrap();
            while let Some(record) = records.next_record() {
                let record = record.unwrap();
                prop_assert_eq!(record.offset, read.len() as i64);
                read.push((record.timestamp, record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec)));
            }
            prop_assert_eq!(batch.next_offset(), read.len() as i64);
        }
        let timestamp = |record: &Owned| if magic == 0 { -1 } else { record.timestamp };
        let expected: Vec<_> =
            records.iter().map(|record| (timestamp(record), record.key.clone(), record.value.clone())).collect();
        prop_assert_eq!(read, expected);
    }

    /// The cap is exact: as much as there is may be asked for, and not a byte less.
    #[test]
    fn the_cap_is_exact(records in records(2), codec in codec()) {
        let plain = body_of(&records);
        let body = plain.compress(codec, None).unwrap();
        let batch = batches(body.seal(ProducerStamp::NONE).into_bytes()).next().unwrap().unwrap();
        let size = plain.len() - 61;
        prop_assert!(batch.records(size).is_ok());
        if codec != Compression::None {
            prop_assert_eq!(batch.records(size - 1).err(), Some(RecordsError::DecompressedTooLarge { limit: size - 1 }));
        }
    }

    #[test]
    fn noise_does_not_panic(noise in vec(any::<u8>(), 0..400), codec in codec(), magic in 0u8..3) {
        let _ = kafka_proto::records::compression::decompress(codec, magic, &Bytes::from(noise.clone()), 1 << 16);
        let mut batch = noise;
        if batch.len() > 61 {
            let size = batch.len() as i32 - 12;
            batch[8..12].copy_from_slice(&size.to_be_bytes());
            batch[16] = magic;
            batch[17 + 5 * usize::from(magic / 2)] &= 0xf8;
            batch[17 + 5 * usize::from(magic / 2)] |= codec.code();
        }
        for batch in batches(batch.into()).flatten() {
            if let Ok(mut records) = batch.records(1 << 16) {
                while let Some(Ok(record)) = records.next_record() {
                    let _ = record.headers().count();
                }
            }
        }
    }
}

#[test]
fn headers_do_not_fit_into_message_sets() {
    let mut builder = BatchBuilder::new();
    builder.append(0, None, None, &[Header::new("a", "b")]).unwrap();
    let body = builder.finish();
    assert_eq!(body.to_message_set(1), Err(RecordsError::HeadersNotSupported));
    assert_eq!(body.to_message_set(2), Err(RecordsError::UnsupportedMagic(2)));
}

/// 32 MiB of zeros, packed into little, must not be unpacked against the caller's will.
#[test]
fn bombs_are_refused() {
    let mut builder = BatchBuilder::new();
    builder.append(0, None, Some(&vec![0; 32 << 20]), &[]).unwrap();
    let body = builder.finish();
    for codec in Compression::ALL.into_iter().skip(1) {
        let packed = body.compress(codec, None).unwrap();
        assert!(packed.len() < body.len() / 20, "{codec}");
        let batch = batches(packed.seal(ProducerStamp::NONE).into_bytes()).next().unwrap().unwrap();
        let error = RecordsError::DecompressedTooLarge { limit: 1 << 20 };
        assert_eq!(batch.records(1 << 20).err(), Some(error), "{codec}");
        assert!(batch.records(64 << 20).is_ok(), "{codec}");
    }
}

#[test]
fn an_empty_body_is_a_batch_without_records() {
    let body = BatchBuilder::new().finish();
    let batch = batches(body.seal(ProducerStamp::NONE).into_bytes()).next().unwrap().unwrap();
    batch.verify_crc().unwrap();
    assert_eq!((batch.size_in_bytes(), batch.record_count(), batch.next_offset()), (61, Some(0), 1));
    assert!(batch.records(0).unwrap().next_record().is_none());
}

#[test]
fn an_empty_body_is_so_in_every_codec() {
    let body = BatchBuilder::new().finish();
    for codec in Compression::ALL {
        let packed = body.compress(codec, None).unwrap();
        let batch = batches(packed.seal(ProducerStamp::NONE).into_bytes()).next().unwrap().unwrap();
        assert!(batch.records(0).unwrap().next_record().is_none(), "{codec}");
        assert!(packed.records().unwrap().next_record().is_none(), "{codec}");
    }
}
