use super::*;

#[test]
fn records_get_offsets_and_a_leader_epoch() {
    let mut rig = Rig::new(1);
    assert_eq!((rig.put("t", "a"), rig.put("t", "b")), (0, 1));
    let log = rig.cluster.log("t", 0);
    assert_eq!(log.iter().map(|r| (r.offset, r.leader_epoch)).collect::<Vec<_>>(), [(0, 0), (1, 0)]);
    assert_eq!(log[1].value.as_deref(), Some(&b"b"[..]));
    assert_eq!(log[1].timestamp, 1_700_000_000_000);
}

#[test]
fn all_codecs_are_kept_as_they_came() {
    let mut rig = Rig::new(1);
    for codec in Compression::ALL {
        let records = batch(&[(None, "a", 1), (None, "b", 2)], codec, ProducerStamp::NONE);
        assert_eq!(error(rig.produce(0, "t", records).error_code), ErrorCode::None, "{codec:?}");
    }
    let log = rig.cluster.log("t", 0);
    assert_eq!(log.len(), 10);
    let codecs: Vec<_> = log.iter().step_by(2).map(|record| record.compression).collect();
    assert_eq!(codecs, Compression::ALL);
}

#[test]
fn acks_must_be_one_of_three() {
    let mut rig = Rig::new(1);
    let refused = produced(rig.call(0, 9, produce("t", 2, one("a"))));
    assert_eq!(error(refused.error_code), ErrorCode::InvalidRequiredAcks);
}

#[test]
fn acks_none_has_no_answer_and_an_error_closes_the_connection() {
    let mut rig = Rig::new(2);
    let conn = rig.conn();
    assert_eq!(rig.send(0, conn, 9, produce("t", 0, one("a"))), Outcome::NoAnswer);
    assert_eq!(rig.cluster.log("t", 0).len(), 1);
    assert_eq!(rig.send(1, conn, 9, produce("t", 0, one("a"))), Outcome::Close);
}

#[test]
fn only_the_leader_takes_records_and_says_who_it_is() {
    let mut rig = Rig::new(2);
    let refused = produced(rig.call(1, 9, produce("t", 1, one("a"))));
    assert_eq!(error(refused.error_code), ErrorCode::NotLeaderOrFollower);
    assert_eq!(refused.current_leader.leader_id, -1);
    let response = rig.call(1, 10, produce("t", 1, one("a")));
    assert_eq!((response.node_endpoints[0].node_id, response.node_endpoints[0].port), (0, 9000));
    let refused = produced(response);
    assert_eq!((refused.current_leader.leader_id, refused.current_leader.leader_epoch), (0, 0));
    let unknown = produced(rig.call(0, 9, produce("nope", 1, one("a"))));
    assert_eq!(error(unknown.error_code), ErrorCode::UnknownTopicOrPartition);
}

/// Kafka puts the partitions of a request into a map.
#[test]
fn of_two_batches_of_a_partition_the_last_is_taken() {
    let mut rig = Rig::new(1);
    let mut request = produce("t", 1, one("a"));
    request.topic_data.extend(produce("t", 1, one("b")).topic_data);
    let response = rig.call(0, 9, request);
    let answered: usize = response.responses.iter().map(|topic| topic.partition_responses.len()).sum();
    assert_eq!(answered, 1);
    let log = rig.cluster.log("t", 0);
    assert_eq!(log.iter().map(|r| r.value.as_deref()).collect::<Vec<_>>(), [Some(&b"b"[..])]);
}

#[test]
fn topic_ids_take_the_place_of_names() {
    let mut rig = Rig::new(1);
    let id = rig.cluster.topics.get("t").unwrap().id;
    let mut request = produce("", 1, one("a"));
    request.topic_data[0].topic_id = id;
    let response = rig.call(0, 13, request.clone());
    assert_eq!(response.responses[0].topic_id, id);
    assert_eq!(error(produced(response).error_code), ErrorCode::None);
    request.topic_data[0].topic_id.0[0] ^= 1;
    assert_eq!(error(produced(rig.call(0, 13, request)).error_code), ErrorCode::UnknownTopicId);
}

#[test]
fn a_changed_bit_is_noticed() {
    let mut rig = Rig::new(1);
    let mut bytes = one("value").into_bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let refused = rig.produce(0, "t", Bytes::from(bytes).into());
    assert_eq!(error(refused.error_code), ErrorCode::CorruptMessage);
    assert!(rig.cluster.log("t", 0).is_empty());
}

#[test]
fn a_flipped_byte_is_refused_wherever_it_is() {
    const CRC_AT: usize = 17;
    let mut rig = Rig::new(1);
    let whole = batch(&[(Some("k"), "a", 1), (None, "b", 2)], Compression::Lz4, ProducerStamp::NONE);
    let whole = whole.into_bytes();
    for at in CRC_AT..whole.len() {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 0x10;
        let refused = rig.produce(0, "t", Bytes::from(bytes).into());
        assert_ne!(error(refused.error_code), ErrorCode::None, "byte {at}");
    }
    assert!(rig.cluster.log("t", 0).is_empty());
    assert_eq!(error(rig.produce(0, "t", whole.into()).error_code), ErrorCode::None);
}

#[test]
fn exactly_one_batch_is_taken_and_only_of_magic_two() {
    let mut rig = Rig::new(1);
    let two = [one("a").into_bytes(), one("b").into_bytes()].concat();
    for records in [Records::default(), Bytes::from(two).into()] {
        assert_eq!(error(rig.produce(0, "t", records).error_code), ErrorCode::InvalidRecord);
    }
    let mut builder = BatchBuilder::new();
    builder.append(1, None, Some(b"v"), &[]).unwrap();
    let old = builder.finish().to_message_set(1).unwrap();
    assert_eq!(error(rig.produce(0, "t", old).error_code), ErrorCode::InvalidRecord);
}

#[test]
fn a_batch_cut_short_is_corrupt() {
    let mut rig = Rig::new(1);
    let bytes = one("value").into_bytes();
    let cut = bytes.slice(..bytes.len() - 1);
    assert_eq!(error(rig.produce(0, "t", cut.into()).error_code), ErrorCode::CorruptMessage);
}

#[test]
fn the_header_must_count_right() {
    use kafka_proto::records::BatchHeader;
    let mut rig = Rig::new(1);
    let records = Records::from(one("a").into_bytes().slice(61..));
    let header =
        BatchHeader { record_count: 1, last_offset_delta: 4, base_timestamp: 0, ..BatchHeader::default() };
    let wrong = header.seal(&records).unwrap();
    assert_eq!(error(rig.produce(0, "t", wrong).error_code), ErrorCode::InvalidRecord);
    let control = BatchHeader { is_control: true, last_offset_delta: 0, ..header };
    let control = control.seal(&records).unwrap();
    assert_eq!(error(rig.produce(0, "t", control).error_code), ErrorCode::InvalidRecord);
}

#[test]
fn size_is_bounded_by_the_topic() {
    let mut rig = Rig::new(1);
    rig.topic("small", 1, &[("max.message.bytes", "100")]);
    let refused = rig.produce(0, "small", one(&"x".repeat(100)));
    assert_eq!(error(refused.error_code), ErrorCode::MessageTooLarge);
    assert_eq!(error(rig.produce(0, "small", one("x")).error_code), ErrorCode::None);
}

#[test]
fn timestamps_are_bounded_by_the_topic_and_the_wrong_ones_named() {
    let mut rig = Rig::new(1);
    let now = rig.now.wall_ms;
    rig.topic(
        "b",
        1,
        &[("message.timestamp.before.max.ms", "1000"), ("message.timestamp.after.max.ms", "1000")],
    );
    let records = [(None, "a", now), (None, "b", now - 5000), (None, "c", now), (None, "d", now + 5000)];
    let refused = rig.produce(0, "b", batch(&records, Compression::None, ProducerStamp::NONE));
    assert_eq!(error(refused.error_code), ErrorCode::InvalidTimestamp);
    assert_eq!(refused.record_errors.iter().map(|e| e.batch_index).collect::<Vec<_>>(), [1, 3]);
    // Since 4.0 an hour ahead is too much, without being asked (KIP-1030).
    let ahead = batch(&[(None, "a", now + 2 * 3_600_000)], Compression::None, ProducerStamp::NONE);
    assert_eq!(error(rig.produce(0, "t", ahead.clone()).error_code), ErrorCode::InvalidTimestamp);
    let mut old = Rig::of_release(1, "3.9");
    assert_eq!(error(old.produce(0, "t", ahead).error_code), ErrorCode::None);
}

#[test]
fn log_append_time_replaces_all_timestamps() {
    let mut rig = Rig::new(1);
    rig.topic("l", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let records = batch(&[(None, "a", 1), (None, "b", 2)], Compression::Gzip, ProducerStamp::NONE);
    let written = rig.produce(0, "l", records);
    assert_eq!(written.log_append_time_ms, rig.now.wall_ms);
    let data = rig.fetch_now(0, "l", 0);
    assert_eq!(read(&data).len(), 2);
    assert!(rig.cluster.log("l", 0).iter().all(|record| record.timestamp == rig.now.wall_ms));
}

#[test]
fn a_compacted_topic_wants_keys() {
    let mut rig = Rig::new(1);
    rig.topic("c", 1, &[("cleanup.policy", "compact")]);
    let records = batch(&[(Some("k"), "a", 1), (None, "b", 2)], Compression::None, ProducerStamp::NONE);
    let refused = rig.produce(0, "c", records);
    assert_eq!(error(refused.error_code), ErrorCode::InvalidRecord);
    assert_eq!(refused.record_errors[0].batch_index, 1);
}

#[test]
fn zstd_needs_version_seven() {
    let mut rig = Rig::of_release(1, "2.8");
    let records = batch(&[(None, "a", 1)], Compression::Zstd, ProducerStamp::NONE);
    let refused = produced(rig.call(0, 6, produce("t", 1, records.clone())));
    assert_eq!(error(refused.error_code), ErrorCode::UnsupportedCompressionType);
    assert_eq!(error(produced(rig.call(0, 7, produce("t", 1, records))).error_code), ErrorCode::None);
}

#[test]
fn internal_topics_are_closed_to_clients() {
    let mut rig = Rig::new(1);
    rig.cluster.ensure_offsets_topic();
    let refused = rig.produce(0, "__consumer_offsets", one("a"));
    assert_eq!(error(refused.error_code), ErrorCode::InvalidTopicException);
}

#[test]
fn too_few_in_sync_replicas_refuse_acks_all() {
    let mut rig = Rig::new(2);
    rig.topic("m", 1, &[("min.insync.replicas", "2")]);
    let leader = rig.cluster.leader("m", 0).unwrap();
    assert_eq!(error(rig.produce(leader, "m", one("a")).error_code), ErrorCode::None);
    rig.cluster.kill(rig.now, 1 - leader).unwrap();
    assert_eq!(error(rig.produce(leader, "m", one("a")).error_code), ErrorCode::NotEnoughReplicas);
    let acked_by_one = produced(rig.call(leader, 9, produce("m", 1, one("a"))));
    assert_eq!(error(acked_by_one.error_code), ErrorCode::None);
}

#[test]
fn acks_all_waits_for_followers_up_to_its_timeout() {
    let mut rig = Rig::new(2);
    rig.cluster.stall_replication("t", 0).unwrap();
    let waiting = rig.park(0, 9, produce("t", -1, one("a")));
    assert_eq!(rig.cluster.offsets("t", 0), Some((0, 0, 1)));
    rig.cluster.resume_replication(rig.now, "t", 0).unwrap();
    let answer = produced(rig.answer::<ProduceRequest>(waiting).unwrap());
    assert_eq!((error(answer.error_code), answer.base_offset), (ErrorCode::None, 0));

    rig.cluster.stall_replication("t", 0).unwrap();
    let waiting = rig.park(0, 9, produce("t", -1, one("b")));
    rig.sleep(999);
    assert!(rig.outcome(waiting).is_none());
    rig.sleep(1);
    let answer = produced(rig.answer::<ProduceRequest>(waiting).unwrap());
    assert_eq!((error(answer.error_code), answer.base_offset), (ErrorCode::RequestTimedOut, -1));
}

#[test]
fn a_leader_that_goes_fails_what_waits_for_its_followers() {
    let mut rig = Rig::new(3);
    rig.cluster.stall_replication("t", 0).unwrap();
    let waiting = rig.park(0, 9, produce("t", -1, one("a")));
    rig.cluster.move_leader(rig.now, "t", 0, 1).unwrap();
    let answer = produced(rig.answer::<ProduceRequest>(waiting).unwrap());
    assert_eq!(error(answer.error_code), ErrorCode::NotLeaderOrFollower);
    assert!(rig.cluster.log("t", 0).is_empty());
}

mod idempotence {
    use super::*;

    fn write(rig: &mut Rig, pid: i64, epoch: i16, sequence: i32, count: usize) -> (ErrorCode, i64) {
        let written = rig.produce(0, "t", stamped(pid, epoch, sequence, count));
        (error(written.error_code), written.base_offset)
    }

    #[test]
    fn sequences_must_follow_each_other() {
        let mut rig = Rig::new(1);
        assert_eq!(write(&mut rig, 1, 0, 0, 3), (ErrorCode::None, 0));
        assert_eq!(write(&mut rig, 1, 0, 3, 1), (ErrorCode::None, 3));
        assert_eq!(write(&mut rig, 1, 0, 5, 1).0, ErrorCode::OutOfOrderSequenceNumber);
        assert_eq!(write(&mut rig, 1, 0, 4, 1), (ErrorCode::None, 4));
        // Another producer counts for itself.
        assert_eq!(write(&mut rig, 2, 0, 0, 1), (ErrorCode::None, 5));
    }

    #[test]
    fn one_of_the_last_five_batches_is_acknowledged_again_at_its_offset() {
        let mut rig = Rig::new(1);
        for number in 0..6 {
            write(&mut rig, 1, 0, number * 2, 2);
        }
        assert_eq!(write(&mut rig, 1, 0, 2, 2), (ErrorCode::None, 2));
        assert_eq!(write(&mut rig, 1, 0, 10, 2), (ErrorCode::None, 10));
        assert_eq!(write(&mut rig, 1, 0, 0, 2).0, ErrorCode::OutOfOrderSequenceNumber);
        assert_eq!(rig.cluster.log("t", 0).len(), 12);
    }

    #[test]
    fn sequences_wrap_to_zero() {
        let mut rig = Rig::new(1);
        assert_eq!(write(&mut rig, 1, 0, i32::MAX - 1, 4), (ErrorCode::None, 0));
        assert_eq!(write(&mut rig, 1, 0, i32::MAX - 1, 4), (ErrorCode::None, 0));
        assert_eq!(write(&mut rig, 1, 0, 2, 1), (ErrorCode::None, 4));
        let sequences: Vec<_> = rig.cluster.log("t", 0).iter().map(|r| r.sequence.unwrap()).collect();
        assert_eq!(sequences, [i32::MAX - 1, i32::MAX, 0, 1, 2]);
    }

    #[test]
    fn a_newer_epoch_begins_at_zero_and_fences_the_older() {
        let mut rig = Rig::new(1);
        write(&mut rig, 1, 0, 0, 1);
        assert_eq!(write(&mut rig, 1, 1, 1, 1).0, ErrorCode::OutOfOrderSequenceNumber);
        assert_eq!(write(&mut rig, 1, 1, 0, 1), (ErrorCode::None, 1));
        assert_eq!(write(&mut rig, 1, 0, 1, 1).0, ErrorCode::InvalidProducerEpoch);
    }

    #[test]
    fn an_unknown_producer_may_begin_anywhere_only_on_newer_brokers() {
        assert_eq!(write(&mut Rig::new(1), 1, 0, 7, 1), (ErrorCode::None, 0));
        let mut old = Rig::of_release(1, "1.1");
        let answer = produced(old.call(0, 5, produce("t", -1, stamped(1, 0, 7, 1))));
        assert_eq!(error(answer.error_code), ErrorCode::UnknownProducerId);
    }

    #[test]
    fn what_was_cut_off_by_an_election_may_be_written_again() {
        let mut rig = Rig::new(2);
        write(&mut rig, 1, 0, 0, 1);
        rig.cluster.stall_replication("t", 0).unwrap();
        let _ = produced(rig.call(0, 9, produce("t", 1, stamped(1, 0, 1, 1))));
        rig.cluster.kill(rig.now, 0).unwrap();
        let again = rig.produce(1, "t", stamped(1, 0, 1, 1));
        assert_eq!((error(again.error_code), again.base_offset), (ErrorCode::None, 1));
    }
}
