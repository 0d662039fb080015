use super::*;

#[test]
fn a_fetch_waits_for_records_up_to_its_time() {
    let mut rig = Rig::new(1);
    let waiting = rig.park(0, 12, fetch("t", 0, 500));
    rig.put("t", "a");
    let data = fetched(rig.answer::<FetchRequest>(waiting).unwrap());
    assert_eq!(read(&data), [(0, "a".to_owned())]);
    assert_eq!(data.high_watermark, 1);

    let waiting = rig.park(0, 12, fetch("t", 1, 500));
    rig.sleep(499);
    assert!(rig.outcome(waiting).is_none());
    rig.sleep(1);
    assert!(read(&fetched(rig.answer::<FetchRequest>(waiting).unwrap())).is_empty());
}

#[test]
fn min_bytes_counts_what_comes_after_the_fetch_too() {
    let mut rig = Rig::new(1);
    let size = one("a").len() as i32;
    rig.put("t", "a");
    let request = FetchRequest { min_bytes: 2 * size + 1, ..fetch("t", 0, 10_000) };
    let waiting = rig.park(0, 12, request);
    rig.put("t", "b");
    assert!(rig.outcome(waiting).is_none());
    rig.put("t", "c");
    assert_eq!(read(&fetched(rig.answer::<FetchRequest>(waiting).unwrap())).len(), 3);
}

#[test]
fn one_produce_request_is_one_answer_to_a_reader_of_several_partitions() {
    let mut rig = Rig::new(1);
    rig.topic("p", 2, &[]);
    let mut request = fetch("p", 0, 10_000);
    let second = FetchPartition { partition: 1, ..request.topics[0].partitions[0].clone() };
    request.topics[0].partitions.push(second);
    let waiting = rig.park(0, 12, request);
    let mut writes = produce("p", 1, one("a"));
    let second = PartitionProduceData { index: 1, records: Some(one("b")), ..Default::default() };
    writes.topic_data[0].partition_data.push(second);
    rig.call(0, 9, writes);
    let response = rig.answer::<FetchRequest>(waiting).unwrap();
    assert_eq!(response.responses[0].partitions.iter().map(|p| read(p).len()).sum::<usize>(), 2);
}

#[test]
fn the_first_batch_comes_whole_and_the_limits_hold_for_the_rest() {
    let mut rig = Rig::new(1);
    let size = one("a").len();
    rig.fill("t", 4);
    for (limit, whole, bytes) in [(1, 1, size), (2 * size, 2, 2 * size), (2 * size + 5, 2, 2 * size + 5)] {
        let mut request = fetch("t", 0, 0);
        request.topics[0].partitions[0].partition_max_bytes = limit as i32;
        let data = fetched(rig.call(0, 12, request));
        assert_eq!((read(&data).len(), data.records.unwrap().len()), (whole, bytes), "{limit}");
        let request = FetchRequest { max_bytes: limit as i32, ..fetch("t", 0, 0) };
        assert_eq!(read(&fetched(rig.call(0, 12, request))).len(), whole);
    }
}

#[test]
fn the_limit_of_the_answer_holds_over_all_partitions() {
    let mut rig = Rig::new(1);
    rig.topic("p", 2, &[]);
    for index in 0..2 {
        let mut request = produce("p", 1, one("a"));
        request.topic_data[0].partition_data[0].index = index;
        rig.call(0, 9, request);
    }
    // What is left for the second does not hold its first batch: it gets nothing, and no part of it.
    let size = one("a").len();
    for max_bytes in [1, size as i32 + 5] {
        let mut request = FetchRequest { max_bytes, ..fetch("p", 0, 0) };
        let second = FetchPartition { partition: 1, ..request.topics[0].partitions[0].clone() };
        request.topics[0].partitions.push(second);
        let response = rig.call(0, 12, request);
        let bytes = |p: &PartitionData| p.records.as_ref().map_or(0, Records::len);
        let counts: Vec<_> = response.responses[0].partitions.iter().map(bytes).collect();
        assert_eq!(counts, [size, 0], "{max_bytes}");
    }
}

#[test]
fn before_version_three_a_batch_larger_than_the_limit_comes_cut() {
    let mut rig = Rig::of_release(1, "0.10.0");
    let mut builder = BatchBuilder::new();
    builder.append(1, None, Some(&[b'x'; 100]), &[]).unwrap();
    let set = builder.finish().to_message_set(1).unwrap();
    rig.call(0, 2, produce("t", 1, set.clone()));
    let mut request = fetch("t", 0, 0);
    request.topics[0].partitions[0].partition_max_bytes = 50;
    let data = fetched(rig.call(0, 2, request));
    assert_eq!(data.records.unwrap().into_bytes(), set.into_bytes().slice(..50));
}

#[test]
fn offsets_outside_of_the_log_are_refused() {
    let mut rig = Rig::new(1);
    rig.fill("t", 3);
    rig.cluster.topics.partition_mut("t", 0).unwrap().log.delete_before(1);
    for (offset, expected) in [
        (0, ErrorCode::OffsetOutOfRange),
        (1, ErrorCode::None),
        (3, ErrorCode::None),
        (4, ErrorCode::OffsetOutOfRange),
        (-1, ErrorCode::OffsetOutOfRange),
    ] {
        assert_eq!(error(rig.fetch_now(0, "t", offset).error_code), expected, "{offset}");
    }
    assert_eq!(rig.fetch_now(0, "t", 1).log_start_offset, 1);
}

#[test]
fn a_stale_or_future_leader_epoch_is_refused_and_the_leader_named() {
    let mut rig = Rig::new(2);
    rig.cluster.move_leader(rig.now, "t", 0, 1).unwrap();
    let with_epoch = |epoch| {
        let mut request = fetch("t", 0, 0);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        request
    };
    let fenced = fetched(rig.call(1, 12, with_epoch(0)));
    assert_eq!(error(fenced.error_code), ErrorCode::FencedLeaderEpoch);
    assert_eq!((fenced.current_leader.leader_id, fenced.current_leader.leader_epoch), (1, 1));
    assert_eq!(error(fetched(rig.call(1, 12, with_epoch(2))).error_code), ErrorCode::UnknownLeaderEpoch);
    assert_eq!(error(fetched(rig.call(1, 12, with_epoch(1))).error_code), ErrorCode::None);
}

#[test]
fn followers_serve_consumers_of_version_eleven_and_newer() {
    let mut rig = Rig::new(2);
    rig.put("t", "a");
    assert_eq!(read(&rig.fetch_now(1, "t", 0)).len(), 1);
    let older = fetched(rig.call(1, 10, fetch("t", 0, 0)));
    assert_eq!(error(older.error_code), ErrorCode::NotLeaderOrFollower);
    rig.cluster.create_topic("single", 1, 1, &[]).unwrap();
    let leader = rig.cluster.leader("single", 0).unwrap();
    let mut request = fetch("", 0, 0);
    request.topics[0].topic_id = rig.cluster.topics.get("single").unwrap().id;
    let response = rig.call(1 - leader, 16, request);
    assert_eq!(response.node_endpoints[0].node_id, leader);
    assert_eq!(error(fetched(response).error_code), ErrorCode::NotLeaderOrFollower);
}

#[test]
fn a_leader_change_answers_who_waits() {
    let mut rig = Rig::new(2);
    let waiting = rig.park(0, 10, fetch("t", 0, 60_000));
    rig.cluster.move_leader(rig.now, "t", 0, 1).unwrap();
    let data = fetched(rig.answer::<FetchRequest>(waiting).unwrap());
    assert_eq!(error(data.error_code), ErrorCode::NotLeaderOrFollower);
}

#[test]
fn a_log_that_took_another_turn_is_told() {
    let mut rig = Rig::new(2);
    rig.fill("t", 2);
    rig.cluster.stall_replication("t", 0).unwrap();
    (0..2).for_each(|_| drop(produced(rig.call(0, 9, produce("t", 1, one("lost"))))));
    rig.cluster.kill(rig.now, 0).unwrap();
    rig.put("t", "b");
    let mut request = fetch("t", 4, 0);
    request.topics[0].partitions[0].last_fetched_epoch = 0;
    let data = fetched(rig.call(1, 12, request));
    assert_eq!(error(data.error_code), ErrorCode::None);
    assert_eq!((data.diverging_epoch.epoch, data.diverging_epoch.end_offset), (0, 2));
    assert!(read(&data).is_empty());
}

#[test]
fn read_committed_gets_a_list_of_aborted_transactions() {
    let mut rig = Rig::new(1);
    rig.put("t", "a");
    let plain = rig.fetch_now(0, "t", 0);
    assert_eq!((plain.last_stable_offset, plain.aborted_transactions), (1, None));
    let data = fetched(rig.call(0, 12, FetchRequest { isolation_level: 1, ..fetch("t", 0, 0) }));
    assert_eq!(data.aborted_transactions, Some(Vec::new()));
    assert_eq!(read(&data).len(), 1);
}

#[test]
fn nothing_above_the_high_watermark_is_given_out() {
    let mut rig = Rig::new(2);
    rig.put("t", "a");
    rig.cluster.stall_replication("t", 0).unwrap();
    let _ = rig.call(0, 9, produce("t", 1, one("b")));
    let data = rig.fetch_now(0, "t", 0);
    assert_eq!((read(&data).len(), data.high_watermark), (1, 1));
    let waiting = rig.park(0, 12, fetch("t", 1, 60_000));
    rig.cluster.resume_replication(rig.now, "t", 0).unwrap();
    assert_eq!(read(&fetched(rig.answer::<FetchRequest>(waiting).unwrap())).len(), 1);
}

#[test]
fn unknown_topic_ids_are_told_apart_from_unknown_partitions() {
    let mut rig = Rig::new(1);
    let id = rig.cluster.topics.get("t").unwrap().id;
    let mut request = fetch("", 0, 0);
    request.topics[0].topic_id = id;
    request.topics[0].partitions[0].partition = 9;
    assert_eq!(
        error(fetched(rig.call(0, 13, request.clone())).error_code),
        ErrorCode::UnknownTopicOrPartition
    );
    request.topics[0].topic_id.0[3] ^= 1;
    assert_eq!(error(fetched(rig.call(0, 13, request)).error_code), ErrorCode::UnknownTopicId);
}

#[test]
fn a_deleted_topic_answers_who_waits() {
    let mut rig = Rig::new(1);
    let waiting = rig.park(0, 12, fetch("t", 0, 60_000));
    let request = kafka_proto::messages::delete_topics::DeleteTopicsRequest {
        topic_names: vec!["t".into()],
        ..Default::default()
    };
    rig.call(0, 5, request);
    let data = fetched(rig.answer::<FetchRequest>(waiting).unwrap());
    assert_eq!(error(data.error_code), ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn who_hangs_up_leaves_nothing_behind() {
    let mut rig = Rig::new(1);
    let waiting = rig.park(0, 12, fetch("t", 0, 500));
    rig.cluster.disconnected(waiting.conn);
    assert!(rig.cluster.topics.partition("t", 0).unwrap().readers.is_empty());
    rig.put("t", "a");
    rig.sleep(1000);
    assert!(rig.outcome(waiting).is_none());
}
