//! Walks: what is returned, and where they stand.

use super::*;
use crate::message::Origin;
use crate::reader::fetched::Data;
use crate::reader::position::OffsetAndEpoch;
use kafka_proto::messages::fetch::AbortedTransaction;
use kafka_proto::records::Compression;

fn committed(config: &mut ReaderConfig) {
    config.isolation = Isolation::ReadCommitted;
}

fn aborted(of: &[(i64, i64)], batches: &[Batch]) -> PartitionData {
    let transaction = |(producer_id, first_offset): &(i64, i64)| AbortedTransaction {
        producer_id: *producer_id,
        first_offset: *first_offset,
        ..Default::default()
    };
    let aborted_transactions = Some(of.iter().map(transaction).collect());
    PartitionData { aborted_transactions, ..data(0, batches) }
}

#[test]
fn a_message_is_what_was_written_and_knows_where_it_comes_from() {
    let mut rig = Rig::reading(1, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 1)])]);
    let mut walk = rig.take_walk();
    let message = walk.next_record().unwrap().unwrap();
    assert_eq!(&*message.topic, "t");
    assert_eq!((message.partition, message.offset, message.timestamp), (0, 0, Some(1000)));
    assert_eq!(
        (message.key.as_deref(), message.value.as_deref()),
        (Some(&b"k0"[..]), Some(&b"vvvvvvvv"[..]))
    );
    assert_eq!(message.headers, [kafka_proto::records::Header::new("h", "1")]);
    let origin = message.origin;
    assert_eq!((origin.reader, origin.assignment, origin.leader_epoch), (READER, 1, 5));
    assert!(walk.next_record().is_none());
}

#[test]
fn scenario_c7_holes_and_empty_batches_move_the_position() {
    let mut rig = Rig::reading(1, |_| ());
    rig.fetch(1);
    let holed = Batch { deltas: vec![1, 4], last: 9, ..Batch::plain(0, 1) };
    let empty = Batch { deltas: vec![], last: 9, ..Batch::plain(10, 11) };
    rig.brought(1, vec![data(0, &[holed, empty])]);
    assert_eq!(rig.machine.position(&tp(0)), Some(20));
    let mut walk = rig.take_walk();
    assert_eq!(walk.next().unwrap().unwrap().offset(), 1);
    assert_eq!((walk.position(), rig.machine.consumed(&tp(0))), (2, Some(2)));
    assert_eq!(walk.next().unwrap().unwrap().offset(), 4);
    assert_eq!(walk.position(), 5);
    assert!(walk.next().is_none());
    assert_eq!((walk.position(), rig.machine.consumed(&tp(0))), (20, Some(20)));
    assert_eq!(listed(&rig.fetch(1)), [(0, 20)]);
}

#[test]
fn scenario_c8_records_before_the_position_are_not_returned() {
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4] {
        let mut rig = Rig::new();
        rig.topic(&[(1, 5)]);
        rig.assign([at(7)]);
        rig.fetch(1);
        let batch = Batch { compression, ..Batch::plain(0, 10) };
        rig.brought(1, vec![data(0, &[Batch::plain(0, 5), batch])]);
        assert_eq!(rig.read(), [7, 8, 9]);
    }
}

#[test]
fn message_sets_of_old_brokers_are_walked() {
    let mut builder = kafka_proto::records::BatchBuilder::new();
    for value in ["a", "b", "c"] {
        builder.append(5, None, Some(value.as_bytes()), &[]).unwrap();
    }
    let body = builder.finish();
    for compression in [Compression::None, Compression::Gzip] {
        for magic in [0, 1] {
            let set = body.compress(compression, None).unwrap().to_message_set(magic).unwrap();
            let mut rig = Rig::new();
            rig.version = 2;
            rig.topic(&[(1, -1)]);
            rig.assign([at(1)]);
            rig.fetch(1);
            rig.brought(1, vec![PartitionData { records: Some(set), ..data(0, &[]) }]);
            assert_eq!(rig.machine.position(&tp(0)), Some(3), "{compression:?} {magic}");
            assert_eq!(rig.read(), [1, 2]);
        }
    }
}

/// A message of an old format; what is 0 in it is 1.
fn old_message(magic: u8, attributes: u8, offset: i64, timestamp: i64, value: &[u8]) -> Vec<u8> {
    let mut body = vec![magic, attributes];
    if magic > 0 {
        body.extend(timestamp.to_be_bytes());
    }
    body.extend((-1i32).to_be_bytes());
    body.extend((value.len() as i32).to_be_bytes());
    body.extend(value);
    let mut crc = flate2::Crc::new();
    crc.update(&body);
    let size = (body.len() + 4) as i32;
    [&offset.to_be_bytes()[..], &size.to_be_bytes(), &crc.sum().to_be_bytes(), &body].concat()
}

/// A message around others, packed with gzip.
fn wrapper(magic: u8, attributes: u8, offset: i64, inner: &[Vec<u8>]) -> Vec<u8> {
    let plain = [Bytes::from(inner.concat())];
    let packed = kafka_proto::records::compression::compress(Compression::Gzip, magic, None, &plain).unwrap();
    old_message(magic, attributes | 1, offset, 99, &packed)
}

/// Offsets and timestamps of what a walk from offset `start` returns, and how it ended.
fn walked(start: i64, check_crcs: bool, batches: &[Vec<u8>]) -> (Vec<(i64, i64)>, bool) {
    let data = Data { bytes: batches.concat().into(), ..Data::default() };
    let origin = Origin { reader: READER, assignment: 1, topic_id: Uuid::ZERO, leader_epoch: -1 };
    let chunk = Chunk::new(&"t".into(), 0, origin, OffsetAndEpoch { offset: start, epoch: -1 }, data);
    let mut walk = Walk::new(chunk, &ReaderConfig { check_crcs, ..ReaderConfig::default() });
    let mut seen = Vec::new();
    while let Some(read) = walk.next_record() {
        let Ok(message) = read else { return (seen, false) };
        seen.push((message.offset, message.timestamp.unwrap_or(-1)));
    }
    (seen, true)
}

fn offsets((seen, is_whole): (Vec<(i64, i64)>, bool)) -> Option<Vec<i64>> {
    is_whole.then(|| seen.into_iter().map(|(offset, _)| offset).collect())
}

#[test]
fn case_j8_odd_offsets_of_wrappers_are_read_as_kafka_reads_them() {
    let inner = |magic, offsets: &[i64]| -> Vec<Vec<u8>> {
        offsets.iter().map(|offset| old_message(magic, 0, *offset, 5, b"v")).collect()
    };
    let read =
        |magic, offset, inner: &[Vec<u8>]| offsets(walked(0, true, &[wrapper(magic, 0, offset, inner)]));
    // Format 0 has its offsets inside, whatever stands outside.
    for outside in [0, 2, 7, 100] {
        assert_eq!(read(0, outside, &inner(0, &[5, 6, 7])), Some(vec![5, 6, 7]), "{outside}");
    }
    // Format 1 counts back from the wrapper's, but for 0; an offset that is larger than the last one stays so.
    assert_eq!(read(1, 7, &inner(1, &[0, 1, 2])), Some(vec![5, 6, 7]));
    assert_eq!(read(1, 0, &inner(1, &[0, 1, 2])), Some(vec![0, 1, 2]));
    assert_eq!(read(1, 7, &inner(1, &[0, 9, 10, 2])), Some(vec![5, 14, 15]));
    assert_eq!(read(1, 7, &inner(1, &[0, 1, i64::MIN + 2])), Some(vec![7]));
    assert_eq!(read(1, 1, &inner(1, &[0, 1, 2])), None);
    assert_eq!(read(1, -1, &inner(1, &[0, 1, 2])), None);
    // A format that there is not yet is read as 1.
    assert_eq!(read(1, 7, &inner(9, &[0, 1])), Some(vec![6, 7]));
}

#[test]
fn case_j9_messages_without_timestamps_get_none_from_their_wrapper() {
    let inner = [old_message(0, 0, 0, 0, b"v"), old_message(1, 0, 1, 5, b"v")];
    let append_time = wrapper(1, 0x08, 7, &inner);
    assert_eq!(walked(0, true, &[append_time]), (vec![(6, -1), (7, 99)], true));
    assert_eq!(walked(0, true, &[wrapper(1, 0, 7, &inner)]), (vec![(6, -1), (7, 5)], true));
    assert_eq!(walked(0, true, &[wrapper(0, 0, 7, &inner)]), (vec![(0, -1), (1, 5)], true));
}

#[test]
fn case_j10_checksums_inside_a_wrapper_are_compared() {
    for magic in [0, 1] {
        let mut inner: Vec<_> = (0..3).map(|offset| old_message(magic, 0, offset, 5, b"v")).collect();
        inner[1][12] ^= 1;
        let set = [wrapper(magic, 0, 2, &inner)];
        assert_eq!(walked(0, true, &set), (vec![(0, if magic == 0 { -1 } else { 5 })], false));
        assert_eq!(walked(0, false, &set).0.len(), 3, "where nobody wants them compared");
        // What is passed over has none.
        assert_eq!(offsets(walked(2, true, &set)), Some(vec![2]));
    }
}

#[test]
fn case_j11_a_batch_may_lie_about_its_last_offset() {
    let of = |last, deltas: &[i32]| {
        Batch { last, deltas: deltas.to_vec(), ..Batch::plain(10, 11) }.bytes().to_vec()
    };
    assert_eq!(offsets(walked(0, true, &[of(0, &[0, 1, 2])])), Some(vec![10, 11, 12]));
    assert_eq!(offsets(walked(0, true, &[of(-1, &[0, 1])])), Some(vec![10, 11]));
    assert_eq!(offsets(walked(0, true, &[of(i32::MIN, &[0])])), Some(vec![10]));
    let next = Batch::plain(12, 14).bytes().to_vec();
    assert_eq!(offsets(walked(0, true, &[of(9, &[0]), next.clone()])), Some(vec![10, 12, 13]));
    assert_eq!(offsets(walked(0, true, &[of(0, &[0, 2]), next])), Some(vec![10, 12, 13]));
    // It goes on behind the batch all the same.
    let mut rig = Rig::reading(1, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch { last: -5, ..Batch::plain(0, 1) }])]);
    assert_eq!(rig.read(), [0]);
    assert_eq!(listed(&rig.fetch(1)), [(0, 1)]);
}

#[test]
fn case_j12_offsets_that_go_back_are_passed_over() {
    let of =
        |deltas: &[i32]| Batch { deltas: deltas.to_vec(), last: 9, ..Batch::plain(10, 11) }.bytes().to_vec();
    assert_eq!(offsets(walked(0, true, &[of(&[0, 3, 1, 2, 3, 4])])), Some(vec![10, 13, 14]));
    assert_eq!(offsets(walked(0, true, &[of(&[-3, 0])])), Some(vec![7, 10]));
    assert_eq!(offsets(walked(9, true, &[of(&[-3, 0])])), Some(vec![10]));
    // Also at the end of a batch that another one follows, and where nothing else is left of a chunk.
    let next = Batch::plain(20, 22).bytes().to_vec();
    assert_eq!(offsets(walked(0, true, &[of(&[5, 0]), next])), Some(vec![15, 20, 21]));
    assert_eq!(offsets(walked(50, true, &[of(&[5, 0])])), Some(vec![]));
    let old = |offset| old_message(1, 0, offset, 5, b"v");
    assert_eq!(offsets(walked(0, true, &[old(4), old(3), old(4), old(5)])), Some(vec![4, 5]));
    let set = wrapper(1, 0, 7, &[old(0), old(2), old(1)]);
    assert_eq!(offsets(walked(0, true, &[set, old(8)])), Some(vec![6, 8]));
}

#[test]
fn case_j12_what_is_passed_over_must_be_whole() {
    let mut batch = Batch { deltas: vec![3, 0], last: 9, ..Batch::plain(10, 11) }.bytes().to_vec();
    // The last record ends with its header's value "1", of which one byte is told.
    let end = batch.len();
    batch[end - 2] = 1;
    let sum = kafka_proto::records::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(walked(0, true, &[batch]), (vec![(13, 1003)], false));
}

#[test]
fn scenario_t12_aborted_batches_are_filtered_in_every_codec() {
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4] {
        let mut rig = Rig::reading(1, committed);
        rig.fetch(1);
        let bad = Batch { compression, ..Batch::transactional(0, 3, 9) };
        let good = Batch { compression, ..Batch::transactional(4, 6, 9) };
        let batches = [bad, Batch::marker(3, 9, 0), good, Batch::marker(6, 9, 1), Batch::plain(7, 8)];
        rig.brought(1, vec![aborted(&[(9, 0)], &batches)]);
        assert_eq!(rig.read(), [4, 5, 7], "{compression:?}");
        assert_eq!(rig.machine.consumed(&tp(0)), Some(8));
    }
}

#[test]
fn read_uncommitted_returns_aborted_records_but_no_markers() {
    let mut rig = Rig::reading(1, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::transactional(0, 3, 9), Batch::marker(3, 9, 0)])]);
    assert_eq!(rig.read(), [0, 1, 2]);
    assert_eq!(rig.machine.consumed(&tp(0)), Some(4));
}

#[test]
fn scenario_t9_the_list_of_aborted_transactions_may_be_out_of_order() {
    let mut rig = Rig::reading(1, committed);
    rig.fetch(1);
    let batches = [
        Batch::transactional(0, 2, 1),
        Batch::transactional(2, 4, 2),
        Batch::transactional(4, 6, 3),
        Batch::marker(6, 1, 0),
        Batch::marker(7, 2, 0),
        Batch::marker(8, 3, 1),
        Batch::transactional(9, 11, 1),
    ];
    rig.brought(1, vec![aborted(&[(2, 2), (1, 9), (1, 0)], &batches)]);
    assert_eq!(rig.read(), [4, 5]);
    assert_eq!(rig.machine.consumed(&tp(0)), Some(11));
}

#[test]
fn scenario_t10_only_its_own_abort_marker_ends_an_aborted_transaction() {
    let mut rig = Rig::reading(1, committed);
    rig.fetch(1);
    let batches = [
        Batch::marker(0, 1, 1), // of an earlier transaction
        Batch::transactional(1, 3, 1),
        Batch::marker(3, 2, 0),
        Batch::marker(4, 1, 1), // cannot be, but does not open the filter
        Batch::transactional(5, 7, 1),
        Batch::marker(7, 1, 0),
        Batch::transactional(8, 9, 1),
    ];
    rig.brought(1, vec![aborted(&[(1, 0)], &batches)]);
    assert_eq!(rig.read(), [8]);
}

#[test]
fn scenario_c11_a_poison_record_names_its_offset_and_nothing_behind_it_is_skipped() {
    let mut rig = Rig::reading(1, |config| config.check_crcs = false);
    rig.fetch(1);
    let mut bytes = Batch::plain(0, 4).bytes().to_vec();
    // The second record says that it is longer than the batch.
    let key = bytes.windows(2).position(|b| b == b"k1").unwrap();
    bytes[key - 5] = 0x7e;
    bytes.extend_from_slice(&Batch::plain(4, 6).bytes());
    rig.brought(1, vec![PartitionData { records: Some(Bytes::from(bytes).into()), ..data(0, &[]) }]);
    let mut walk = rig.take_walk();
    assert_eq!(walk.next().unwrap().unwrap().offset(), 0);
    let error = walk.next().unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Corrupt { offset: 1, .. }), "{error:?}");
    assert_eq!(error.context().partition, Some(0));
    assert!(walk.next().is_none());
    // It stops there until it is sought.
    assert!(rig.take().is_none());
    assert_eq!((rig.machine.position(&tp(0)), rig.lanes()), (Some(1), vec![]));
    rig.machine.seek(&tp(0), at(2)).unwrap();
    assert_eq!(listed(&rig.fetch(1)), [(0, 2)]);
}

#[test]
fn scenario_c12_what_cannot_be_decompressed_is_told_once_without_a_spin() {
    let mut rig = Rig::reading(1, |config| config.check_crcs = false);
    rig.fetch(1);
    let mut bytes = Batch { compression: Compression::Gzip, ..Batch::plain(0, 4) }.bytes().to_vec();
    bytes[61] ^= 0xff;
    rig.brought(1, vec![PartitionData { records: Some(Bytes::from(bytes).into()), ..data(0, &[]) }]);
    let mut walk = rig.take_walk();
    assert!(matches!(walk.next().unwrap().unwrap_err().kind(), ErrorKind::Corrupt { offset: 0, .. }));
    assert!(walk.next().is_none());
    assert!(rig.take().is_none());
    assert_eq!(rig.lanes(), []);
    assert!(rig.machine.is_quiescent());
}

/// The fields that damage is put into: whether the batch can still tell where it ends, and what is told.
#[test]
fn case_r1_one_seek_passes_a_damaged_batch() {
    const SIZE: usize = 11; // the last byte of it
    const MAGIC: usize = 16;
    const ATTRIBUTES: usize = 22;
    const LAST_DELTA: usize = 23;
    const VALUE: usize = 300;
    let damaged = |at: usize, bit: u8, compression| {
        let mut bytes = Batch { compression, ..Batch::plain(3, 503) }.bytes().to_vec();
        bytes[at] ^= bit;
        bytes
    };
    let behind = || Batch { deltas: vec![5], last: 9, ..Batch::plain(503, 504) }.bytes();
    for (at, bit, followed, next) in [
        (VALUE, 1, true, Some(503)),
        (VALUE, 1, false, Some(503)),
        // It seems to end far behind the next one, or behind the log, or before its own beginning.
        (LAST_DELTA, 0x40, true, Some(503)),
        (LAST_DELTA, 0x40, false, None),
        (LAST_DELTA, 0x80, true, Some(503)),
        (ATTRIBUTES, 7, false, Some(503)),
        (MAGIC, 0x40, true, Some(503)),
        (SIZE - 3, 0x80, true, Some(503)),
    ] {
        for compression in [Compression::None, Compression::Gzip] {
            let mut rig = Rig::reading(1, |_| ());
            rig.fetch(1);
            let mut bytes = Batch::plain(0, 3).bytes().to_vec();
            bytes.extend_from_slice(&damaged(at, bit, compression));
            if followed {
                bytes.extend_from_slice(&behind());
            }
            let part =
                PartitionData { high_watermark: 513, records: Some(bytes.into_records()), ..data(0, &[]) };
            rig.brought(1, vec![part]);
            let mut walk = rig.take_walk();
            (0..3).for_each(|_| assert!(walk.next().unwrap().is_ok()));
            let error = walk.next().unwrap().unwrap_err();
            let ErrorKind::Corrupt { offset: 3, next: told, .. } = *error.kind() else { panic!("{error:?}") };
            assert_eq!(told, next, "byte {at}");
            let Some(next) = next else { continue };
            assert!(error.to_string().contains("the next batch begins at 503"), "{error}");
            rig.machine.seek(&tp(0), super::at(next)).unwrap();
            assert!(rig.take().is_none());
            assert_eq!(listed(&rig.fetch(1)), [(0, 503)]);
            rig.brought(1, vec![data(0, &[Batch::plain(503, 504)])]);
            assert_eq!(rig.read(), [503]);
        }
    }
}

/// Damage inside of a batch whose checksum is right or not looked at; a codec that does not exist; too much of it.
#[test]
fn case_r1_the_end_is_told_whatever_is_wrong_with_the_batch() {
    let plain = |compression| Batch { compression, ..Batch::plain(0, 4) }.bytes().to_vec();
    let mut broken = plain(Compression::Gzip);
    broken[75] ^= 0xff;
    let mut unknown = plain(Compression::None);
    unknown[22] |= 7;
    let mut count = plain(Compression::None);
    count[60] = 9;
    let bomb = Batch { compression: Compression::Gzip, value: 20_000, ..Batch::plain(0, 4) }.bytes().to_vec();
    let mut negative = plain(Compression::None);
    negative[57] |= 0x80;
    for bytes in [broken, unknown, count, negative, bomb] {
        let mut rig = Rig::reading(1, |c| (c.check_crcs, c.max_decompressed) = (false, 10_000));
        rig.fetch(1);
        let records = Some(bytes.into_records());
        rig.brought(1, vec![PartitionData { high_watermark: 4, records, ..data(0, &[]) }]);
        let mut walk = rig.take_walk();
        let error = std::iter::from_fn(|| walk.next().map(|r| r.err())).flatten().next().unwrap();
        assert!(matches!(error.kind(), ErrorKind::Corrupt { next: Some(4), .. }), "{error:?}");
    }
}

#[test]
fn a_wrong_checksum_is_an_error_where_checksums_are_compared() {
    let mut bytes = Batch::plain(0, 4).bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    for check_crcs in [true, false] {
        let mut rig = Rig::reading(1, |config| config.check_crcs = check_crcs);
        rig.fetch(1);
        rig.brought(1, vec![PartitionData { records: Some(bytes.clone().into_records()), ..data(0, &[]) }]);
        let mut walk = rig.take_walk();
        assert_eq!(walk.next().unwrap().is_err(), check_crcs);
    }
}

#[test]
fn a_decompression_bomb_is_an_error() {
    let mut rig = Rig::reading(1, |config| config.max_decompressed = 10_000);
    rig.fetch(1);
    let bomb = Batch { compression: Compression::Gzip, value: 20_000, ..Batch::plain(0, 1) };
    rig.brought(1, vec![data(0, &[bomb])]);
    let error = rig.take_walk().next().unwrap().unwrap_err();
    assert!(error.to_string().contains("10000"), "{error}");
}

#[test]
fn bytes_that_are_no_batch_are_told_after_what_can_be_read() {
    let mut rig = Rig::reading(1, |_| ());
    rig.fetch(1);
    let mut bytes = Batch::plain(0, 2).bytes().to_vec();
    bytes.extend_from_slice(&[0xff; 100]);
    rig.brought(1, vec![PartitionData { records: Some(bytes.into_records()), ..data(0, &[]) }]);
    assert_eq!(rig.lanes(), [], "it would only come again");
    let mut walk = rig.take_walk();
    assert_eq!(walk.next().unwrap().unwrap().offset(), 0);
    assert_eq!(walk.next().unwrap().unwrap().offset(), 1);
    assert!(matches!(walk.next().unwrap().unwrap_err().kind(), ErrorKind::Corrupt { offset: 2, .. }));
    assert!(rig.take().is_none());
    assert!(rig.machine.is_quiescent());
}

#[test]
fn scenario_c26_nothing_is_returned_after_a_revocation() {
    let mut rig = Rig::reading(2, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 4)]), data(1, &[Batch::plain(0, 4)])]);
    let mut walk = rig.take_walk();
    assert_eq!(walk.next().unwrap().unwrap().offset(), 0);
    rig.machine.unassign_all();
    assert!(walk.next().is_none());
    assert!(!rig.machine.is_readable());
    assert!(rig.take().is_none());
    drop(walk);
    assert!(rig.machine.poll_ended_session().is_some());
    assert!(rig.machine.is_quiescent());
}

#[test]
fn scenario_c23_an_old_walk_does_not_disturb_the_new_assignment() {
    let mut rig = Rig::reading(1, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 4)])]);
    let mut old = rig.take_walk();
    assert_eq!(old.next().unwrap().unwrap().offset(), 0);
    rig.assign([at(1)]);
    assert_eq!(listed(&rig.fetch(1)), [(0, 1)]);
    rig.brought(1, vec![data(0, &[Batch::plain(1, 4)])]);
    assert!(old.next().is_none());
    drop(old);
    assert_eq!(rig.read(), [1, 2, 3]);
    assert!(rig.take().is_none());
    assert_eq!(rig.machine.consumed(&tp(0)), Some(4));
}

#[test]
fn scenario_c10_what_a_walk_did_not_return_comes_again_first() {
    let mut rig = Rig::reading(1, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 4)])]);
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(4, 8)])]);
    let mut walk = rig.take_walk();
    assert_eq!(walk.next().unwrap().unwrap().offset(), 0);
    drop(walk);
    assert!(rig.take().is_none(), "4 to 7 must not overtake 1 to 3");
    assert_eq!(listed(&rig.fetch(1)), [(0, 1)]);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 4)])]);
    assert_eq!(rig.read(), [1, 2, 3]);
}

trait IntoRecords {
    fn into_records(self) -> kafka_proto::wire::Records;
}

impl IntoRecords for Vec<u8> {
    fn into_records(self) -> kafka_proto::wire::Records {
        Bytes::from(self).into()
    }
}
