use super::*;
use kafka_proto::records::TimestampType;

fn set(values: &[&str], codec: Compression, magic: u8) -> Records {
    let mut builder = BatchBuilder::new();
    for (time, value) in (100..).zip(values) {
        builder.append(time, Some(b"k"), Some(value.as_bytes()), &[]).unwrap();
    }
    builder.finish().compress(codec, None).unwrap().to_message_set(magic).unwrap()
}

fn magics(data: &PartitionData) -> Vec<u8> {
    batches(data.records.clone().unwrap().into_bytes()).map(|batch| batch.unwrap().magic()).collect()
}

const CODECS: [Compression; 4] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4];

#[test]
fn an_old_broker_keeps_messages_and_gives_each_its_offset() {
    for codec in CODECS {
        let mut rig = Rig::of_release(1, "0.10.2");
        for base in [0, 3] {
            let written = produced(rig.call(0, 2, produce("t", 1, set(&["a", "b", "c"], codec, 1))));
            assert_eq!(
                (error(written.error_code), written.base_offset),
                (ErrorCode::None, base),
                "{codec:?}"
            );
        }
        let data = fetched(rig.call(0, 3, fetch("t", 0, 0)));
        assert!(magics(&data).iter().all(|magic| *magic == 1));
        let found = read(&data);
        assert_eq!(
            found.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(),
            [0, 1, 2, 3, 4, 5],
            "{codec:?}"
        );
        assert_eq!(found[4].1, "b");
        assert_eq!(rig.cluster.log("t", 0)[4].timestamp, 101);
    }
}

#[test]
fn a_flipped_byte_of_an_old_message_is_refused_wherever_it_is() {
    const CRC_AT: usize = 12;
    let mut rig = Rig::of_release(1, "0.10.2");
    let whole = set(&["a"], Compression::None, 1).into_bytes();
    for at in CRC_AT..whole.len() {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 0x40;
        let refused = produced(rig.call(0, 2, produce("t", 1, Bytes::from(bytes).into())));
        assert_ne!(error(refused.error_code), ErrorCode::None, "byte {at}");
    }
    assert!(rig.cluster.log("t", 0).is_empty());
}

#[test]
fn an_old_broker_turns_older_messages_into_its_own() {
    let mut rig = Rig::of_release(1, "0.10.2");
    for codec in CODECS {
        let written = produced(rig.call(0, 1, produce("t", 1, set(&["a", "b"], codec, 0))));
        assert_eq!(error(written.error_code), ErrorCode::None);
    }
    assert_eq!(rig.cluster.log("t", 0).len(), 8);
    let as_kept = fetched(rig.call(0, 2, fetch("t", 0, 0)));
    assert!(magics(&as_kept).iter().all(|magic| *magic == 1));
    let older = fetched(rig.call(0, 1, fetch("t", 0, 0)));
    assert!(magics(&older).iter().all(|magic| *magic == 0));
    assert_eq!(read(&older), read(&as_kept));
}

#[test]
fn messages_become_batches_on_newer_brokers() {
    for (version, magic) in [(0, 0), (1, 0), (2, 1)] {
        let mut rig = Rig::of_release(1, "2.8");
        for codec in CODECS {
            let written = produced(rig.call(0, version, produce("t", 1, set(&["a", "b"], codec, magic))));
            assert_eq!(error(written.error_code), ErrorCode::None);
        }
        let data = fetched(rig.call(0, 11, fetch("t", 0, 0)));
        assert_eq!(magics(&data), [2; 4]);
        assert_eq!(read(&data).len(), 8);
        let log = rig.cluster.log("t", 0);
        let codecs: Vec<_> = log.iter().step_by(2).map(|record| record.compression).collect();
        assert_eq!(codecs, CODECS);
        assert_eq!(log[1].timestamp, if magic == 0 { -1 } else { 101 });
    }
}

#[test]
fn old_consumers_get_messages_they_can_read() {
    let mut rig = Rig::of_release(1, "2.8");
    for codec in CODECS {
        rig.produce(0, "t", batch(&[(Some("k"), "a", 7), (None, "b", 8)], codec, ProducerStamp::NONE));
    }
    let newest = read(&fetched(rig.call(0, 4, fetch("t", 0, 0))));
    assert_eq!(newest.len(), 8);
    for (version, magic) in [(0, 0), (1, 0), (2, 1), (3, 1)] {
        let data = fetched(rig.call(0, version, fetch("t", 0, 0)));
        assert!(magics(&data).iter().all(|found| *found == magic), "version {version}");
        assert_eq!(read(&data), newest);
    }
    rig.produce(0, "t", batch(&[(None, "z", 1)], Compression::Zstd, ProducerStamp::NONE));
    let refused = fetched(rig.call(0, 3, fetch("t", 8, 0)));
    assert_eq!(error(refused.error_code), ErrorCode::UnsupportedCompressionType);
}

#[test]
fn an_old_consumer_gets_on_within_a_batch_that_exceeds_its_limit() {
    let mut rig = Rig::of_release(1, "2.8");
    let records: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|value| (None, value, 1)).to_vec();
    for codec in [Compression::None, Compression::Gzip] {
        rig.produce(0, "t", batch(&records, codec, ProducerStamp::NONE));
    }
    for offset in 0..16 {
        // Room for two messages of the eight of a batch.
        let mut request = fetch("t", offset, 0);
        request.topics[0].partitions[0].partition_max_bytes = 80;
        let data = fetched(rig.call(0, 2, request));
        assert_eq!(
            batches(data.records.unwrap().into_bytes()).next().unwrap().unwrap().base_offset(),
            offset
        );
    }
}

#[test]
fn an_old_consumer_gets_a_message_whole_that_was_kept_smaller() {
    let mut rig = Rig::of_release(1, "2.8");
    let value = "x".repeat(300);
    rig.produce(0, "t", batch(&[(None, value.as_str(), 1)], Compression::Gzip, ProducerStamp::NONE));
    let data = fetched(rig.call(0, 2, fetch("t", 0, 0)));
    assert_eq!(read(&data), [(0, value)]);
}

#[test]
fn a_topic_of_zstd_is_closed_to_those_who_do_not_know_it() {
    let mut rig = Rig::new(1);
    rig.topic("z", 1, &[("compression.type", "zstd")]);
    let refused = fetched(rig.call(0, 9, fetch("z", 0, 0)));
    assert_eq!(error(refused.error_code), ErrorCode::UnsupportedCompressionType);
    assert_eq!(error(fetched(rig.call(0, 10, fetch("z", 0, 0))).error_code), ErrorCode::None);
}

#[test]
fn messages_with_log_append_time_say_so() {
    let mut rig = Rig::of_release(1, "0.10.2");
    rig.topic("l", 1, &[("message.timestamp.type", "LogAppendTime")]);
    for codec in CODECS {
        rig.call(0, 2, produce("l", 1, set(&["a", "b"], codec, 1)));
    }
    let data = fetched(rig.call(0, 3, fetch("l", 0, 0)));
    for batch in batches(data.records.clone().unwrap().into_bytes()) {
        let batch = batch.unwrap();
        assert_eq!(
            (batch.timestamp_type(), batch.max_timestamp()),
            (TimestampType::LogAppendTime, rig.now.wall_ms)
        );
    }
    assert_eq!(read(&data).len(), 8);
    assert!(rig.cluster.log("l", 0).iter().all(|record| record.timestamp == rig.now.wall_ms));
}
