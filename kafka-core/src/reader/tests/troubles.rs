//! Errors of partitions and brokers: each told once, none a spin, none the end of the others.

use super::*;
use kafka_proto::ApiKey;

#[test]
fn a_missing_permission_is_told_once_and_comes_right_by_itself() {
    let mut rig = Rig::reading(2, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![failed(0, ErrorCode::TopicAuthorizationFailed), data(1, &[Batch::plain(0, 1)])]);
    let error = rig.take_error();
    assert_eq!(error.code(), Some(ErrorCode::TopicAuthorizationFailed));
    assert_eq!((error.context().topic.as_deref(), error.context().partition), (Some("t"), Some(0)));
    assert_eq!(rig.read(), [0], "the other partition goes on");
    for _ in 0..3 {
        rig.fetch(1);
        rig.brought(1, vec![failed(0, ErrorCode::TopicAuthorizationFailed)]);
        assert!(rig.take().is_none());
        rig.later(Duration::from_secs(2));
    }
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 1)])]);
    assert_eq!(rig.read(), [0]);
    rig.fetch(1);
    rig.brought(1, vec![failed(0, ErrorCode::TopicAuthorizationFailed)]);
    rig.take_error();
}

#[test]
fn passing_trouble_is_silent_and_lasting_trouble_is_noticed_once() {
    for code in [ErrorCode::KafkaStorageError, ErrorCode::ReplicaNotAvailable, ErrorCode::UnknownServerError]
    {
        let mut rig = Rig::reading(1, |_| ());
        let begin = rig.now.time;
        let mut waits = Vec::new();
        let mut told = 0;
        while rig.now.time - begin < Duration::from_secs(20) {
            rig.fetch(1);
            rig.brought(1, vec![failed(0, code)]);
            if rig.machine.is_readable() {
                assert!(rig.now.time - begin >= Duration::from_secs(5));
                assert_eq!(rig.take_notice().code(), Some(code));
                told += 1;
            }
            waits.push(rig.next_timer());
        }
        assert_eq!(told, 1);
        assert!(
            waits[0] <= Duration::from_millis(120) && waits[1] >= Duration::from_millis(160),
            "{waits:?}"
        );
        assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(1200)));
    }
}

#[test]
fn the_brokers_own_corrupt_copy_is_an_error_naming_the_offset() {
    let mut rig = Rig::reading(1, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![failed(0, ErrorCode::CorruptMessage)]);
    assert!(matches!(rig.take_error().kind(), ErrorKind::Corrupt { offset: 0, .. }));
    rig.next_timer();
    rig.fetch(1);
}

#[test]
fn a_codec_the_fetch_version_cannot_carry_is_unsupported() {
    let mut rig = Rig::reading(1, |_| ());
    rig.version = 4;
    rig.fetch(1);
    rig.brought(1, vec![failed(0, ErrorCode::UnsupportedCompressionType)]);
    assert!(matches!(rig.take_error().kind(), ErrorKind::Unsupported { feature: "zstd", .. }));
    assert!(rig.machine.is_quiescent());
}

#[test]
fn a_broker_that_cannot_be_used_is_told_once_and_tried_again() {
    let mut rig = Rig::reading(1, |_| ());
    for round in 0..3 {
        rig.fetch(1);
        let error = Error::of_code(ErrorCode::SaslAuthenticationFailed);
        rig.machine.handle_fetched(rig.now, &rig.cluster, 1, MAIN, Err(error));
        if round == 0 {
            let error = rig.take_error();
            assert_eq!(error.context().broker.as_deref(), Some("1 at host:9092"));
        }
        assert!(rig.take().is_none());
        rig.next_timer();
    }
    rig.fetch(1);
}

#[test]
fn an_error_of_the_whole_answer_waits() {
    let mut rig = Rig::reading(1, |_| ());
    rig.fetch(1);
    let error_code = ErrorCode::UnknownServerError.into();
    rig.respond(1, MAIN, FetchResponse { error_code, ..response(0, vec![]) });
    assert_eq!(rig.lanes(), []);
    rig.next_timer();
    assert_eq!(listed(&rig.fetch(1)), [(0, 0)]);
}

#[test]
fn old_brokers_cut_off_a_batch_and_the_limit_is_raised() {
    let mut rig = Rig::reading(1, |config| config.partition_max_bytes = 1024);
    rig.version = 2;
    let batch = Batch { value: 5000, ..Batch::plain(0, 1) };
    let size = batch.bytes().len();
    let plan = rig.fetch(1);
    assert_eq!(plan.request.topics[0].partitions[0].partition_max_bytes, 1024);
    let cut = PartitionData { records: Some(batch.bytes().slice(..1024).into()), ..data(0, &[]) };
    rig.brought(1, vec![cut]);
    let plan = rig.fetch(1);
    assert_eq!(plan.request.topics[0].partitions[0].partition_max_bytes as usize, size);
    assert!(plan.reservation.bytes() >= size);
    rig.brought(1, vec![data(0, &[batch])]);
    assert_eq!(rig.read(), [0]);
}

#[test]
fn a_batch_larger_than_all_limits_is_an_error_not_a_loop() {
    let mut rig = Rig::reading(1, |config| (config.partition_max_bytes, config.max_bytes) = (1024, 4096));
    rig.version = 2;
    let batch = Batch { value: 5000, ..Batch::plain(0, 1) };
    rig.fetch(1);
    let cut = PartitionData { records: Some(batch.bytes().slice(..1024).into()), ..data(0, &[]) };
    rig.brought(1, vec![cut]);
    let size = batch.bytes().len();
    assert_eq!(
        rig.take_error().kind(),
        &ErrorKind::MessageTooLarge { size, limit: 4096, setting: "max_bytes" }
    );
    assert!(rig.machine.is_quiescent());
}

#[test]
fn a_batch_that_is_cut_off_below_the_limit_is_asked_for_again() {
    let mut rig = Rig::reading(1, |config| (config.partition_max_bytes, config.max_bytes) = (4096, 4096));
    rig.version = 2;
    let batch = Batch { value: 300, ..Batch::plain(0, 1) };
    let mut told = 0;
    for _ in 0..20 {
        rig.fetch(1);
        let cut = PartitionData { records: Some(batch.bytes().slice(..200).into()), ..data(0, &[]) };
        rig.brought(1, vec![cut]);
        while let Some(item) = rig.take() {
            assert!(matches!(item, Item::Notice(_)), "{item:?}");
            told += 1;
        }
        assert_eq!(rig.lanes(), []);
        rig.next_timer();
    }
    assert_eq!(told, 1);
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[batch])]);
    assert_eq!(rig.read(), [0]);
}

#[test]
fn answers_that_nobody_asked_for_are_ignored() {
    let mut rig = Rig::reading(1, |_| ());
    rig.brought(1, vec![data(0, &[Batch::plain(0, 1)])]);
    rig.brought_aside(1, vec![data(0, &[Batch::plain(0, 1)])]);
    rig.brought(99, vec![data(0, &[Batch::plain(0, 1)])]);
    rig.answer_offsets(42, &[(0, 0, 5)]);
    rig.fetch(1);
    rig.brought(1, vec![data(5, &[Batch::plain(0, 1)]), data(-1, &[Batch::plain(0, 1)])]);
    assert!(rig.take().is_none());
    assert_eq!(rig.machine.position(&tp(0)), Some(0));
    rig.machine.handle_fetched(rig.now, &rig.cluster, 1, Lane::Other, Ok(Fetched::default()));
}

#[test]
fn batches_from_before_the_position_are_no_progress_and_no_spin() {
    let mut rig = Rig::new();
    rig.topic(&[(1, 5)]);
    rig.assign([at(10)]);
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 5)])]);
    assert!(rig.take().is_none());
    assert_eq!((rig.machine.position(&tp(0)), rig.lanes()), (Some(10), vec![]));
    rig.next_timer();
    rig.fetch(1);
}

#[test]
fn case_m5_an_error_of_a_partition_names_the_api_that_refused_it() {
    for code in [
        ErrorCode::TopicAuthorizationFailed,
        ErrorCode::CorruptMessage,
        ErrorCode::UnsupportedForMessageFormat,
        ErrorCode::OffsetOutOfRange,
        ErrorCode::Unknown(999),
    ] {
        let mut rig = Rig::reading(1, |_| ());
        rig.fetch(1);
        rig.brought(1, vec![failed(0, code)]);
        assert_eq!(rig.take_error().context().api, Some(ApiKey::Fetch), "{code}");
    }
    let mut rig = Rig::new();
    rig.topic(&[(1, 5)]);
    rig.machine.assign(1, vec![(tp(0), Start::First)]);
    let (tag, _) = rig.ask_offsets();
    rig.answer_offsets(tag, &[(0, ErrorCode::TopicAuthorizationFailed.into(), -1)]);
    assert_eq!(rig.take_error().context().api, Some(ApiKey::ListOffsets));
}

/// A broker may say that there is more and not give it (tiered storage, quotas): beside a partition that has an error, or is
/// paused, it was asked again each 15 ms.
#[test]
fn case_m5_a_bad_partition_makes_no_spin_of_the_fetches_of_another() {
    for is_paused in [false, true] {
        let mut rig = Rig::reading(2, |_| ());
        if is_paused {
            rig.machine.pause(&tp(1)).unwrap();
        }
        let (begin, mut fetches) = (rig.now.time, 0);
        while rig.now.time < begin + Duration::from_secs(20) {
            let plan = rig.fetch(1);
            rig.later(Duration::from_millis(plan.request.max_wait_ms as u64));
            let mut parts = vec![caught_up(0, 3)];
            if listed(&plan).contains(&(1, 0)) {
                parts.push(failed(1, ErrorCode::TopicAuthorizationFailed));
            }
            rig.brought(1, parts);
            rig.take();
            fetches += 1;
        }
        assert!((20..120).contains(&fetches), "{fetches} in 20 s");
    }
}

#[test]
fn case_m5_a_partition_that_an_answer_lacks_is_asked_for_again_in_silence() {
    let mut rig = Rig::new();
    rig.topic(&[(1, 5), (1, 5)]);
    rig.assign([]);
    rig.machine.assign(1, vec![(tp(0), Start::First), (tp(1), Start::First)]);
    let begin = rig.now.time;
    let (tag, _) = rig.ask_offsets();
    rig.answer_offsets(tag, &[(1, 0, 40)]);
    assert_eq!(rig.machine.position(&tp(1)), Some(40), "the other goes on");
    while rig.now.time < begin + Duration::from_secs(5) {
        assert!(rig.take().is_none());
        assert!(rig.next_timer() <= Duration::from_millis(1200));
        let (tag, request) = rig.ask_offsets();
        assert_eq!(request.topics[0].partitions.len(), 1);
        rig.answer_offsets(tag, &[(1, 0, 50), (2, 0, 60)]);
    }
    let notice = rig.take_notice();
    assert_eq!((notice.context().api, notice.context().partition), (Some(ApiKey::ListOffsets), Some(0)));
    assert_eq!(notice.code(), Some(ErrorCode::UnknownServerError));
    rig.next_timer();
    let (tag, _) = rig.ask_offsets();
    rig.answer_offsets(tag, &[(0, 0, 7)]);
    assert_eq!(rig.machine.position(&tp(0)), Some(7));
}

/// What is not tried again by itself is nothing to be quick for: fetches beside it waited for half a second at most, for ever.
#[test]
fn case_m5_an_idle_reader_rests_beside_a_partition_that_is_not_read() {
    for is_paused in [true, false] {
        let mut rig = Rig::reading(2, |_| ());
        if is_paused {
            rig.machine.pause(&tp(1)).unwrap();
        }
        let (begin, mut fetches) = (rig.now.time, 0);
        while rig.now.time < begin + Duration::from_secs(60) {
            let plan = rig.fetch(1);
            fetches += 1;
            if listed(&plan).iter().any(|(p, _)| *p == 1) {
                rig.respond(
                    1,
                    MAIN,
                    response(0, vec![caught_up(0, 0), failed(1, ErrorCode::OffsetOutOfRange)]),
                );
                rig.take_error();
                continue;
            }
            rig.later(Duration::from_millis(plan.request.max_wait_ms as u64));
            rig.respond(1, MAIN, response(0, vec![caught_up(0, 0)]));
            rig.take();
        }
        assert!(fetches <= 16, "{fetches} fetches");
    }
}

/// A broker whose ListOffsets names what its Fetch refuses: that went round without a wait, with a notice each time.
#[test]
fn case_m5_a_position_that_is_named_and_refused_again_and_again_makes_no_spin() {
    for reset in [Reset::First, Reset::Last, Reset::Time(7)] {
        let mut rig = Rig::reading(1, |config| config.reset = reset);
        let (begin, mut rounds, mut told) = (rig.now.time, 0, 0);
        while rig.now.time < begin + Duration::from_secs(60) {
            if let Some(ask) = rig.ask() {
                rig.answer_offsets(ask.tag, &[(0, 0, 3)]);
            } else if !rig.lanes().is_empty() {
                rounds += 1;
                rig.fetch(1);
                rig.brought(1, vec![failed(0, ErrorCode::OffsetOutOfRange)]);
            } else {
                rig.next_timer();
            }
            told += usize::from(rig.take().is_some());
        }
        assert!((20..120).contains(&rounds), "{rounds} a minute");
        assert_eq!(told, 1);
        // What it answers well ends the row.
        while rig.lanes().is_empty() {
            match rig.ask() {
                Some(ask) => rig.answer_offsets(ask.tag, &[(0, 0, 3)]),
                None => _ = rig.next_timer(),
            }
        }
        rig.fetch(1);
        rig.brought(1, vec![data(0, &[Batch::plain(3, 5)])]);
        assert_eq!(rig.read(), [3, 4]);
        rig.fetch(1);
        rig.brought(1, vec![failed(0, ErrorCode::OffsetOutOfRange)]);
        rig.take_notice();
        assert!(rig.ask().is_some(), "at once");
    }
}

/// A lasting trouble was noticed, and then turned out to be one that no waiting heals.
#[test]
fn what_became_worse_than_what_was_told_is_told_again() {
    let fails_partition = |rig: &mut Rig, code| rig.brought(1, vec![failed(0, code)]);
    let fails_broker = |rig: &mut Rig, code| {
        rig.machine.handle_fetched(rig.now, &rig.cluster, 1, MAIN, Err(Error::of_code(code)));
    };
    type Fail = fn(&mut Rig, ErrorCode);
    let cases: [(Fail, ErrorCode); 3] = [
        (fails_partition, ErrorCode::TopicAuthorizationFailed),
        (fails_partition, ErrorCode::CorruptMessage),
        (fails_broker, ErrorCode::SaslAuthenticationFailed),
    ];
    for (fail, worse) in cases {
        let mut rig = Rig::reading(1, |_| ());
        let mut told = Vec::new();
        for (code, seconds) in
            [(ErrorCode::KafkaStorageError, 20), (worse, 20), (ErrorCode::KafkaStorageError, 20)]
        {
            let begin = rig.now.time;
            while rig.now.time - begin < Duration::from_secs(seconds) {
                rig.fetch(1);
                fail(&mut rig, code);
                told.extend(
                    std::iter::from_fn(|| rig.take()).map(|item| (matches!(item, Item::Error(_)), code)),
                );
                rig.next_timer();
            }
        }
        assert_eq!(told, [(false, ErrorCode::KafkaStorageError), (true, worse)]);
    }
}

/// An error waits behind records that the application has in hand, and gives back by a pause.
#[test]
fn an_error_behind_records_that_are_given_back_is_told_later() {
    for pauses in [false, true] {
        let mut rig = Rig::reading(1, |_| ());
        rig.fetch(1);
        rig.brought(1, vec![data(0, &[Batch::plain(0, 5)])]);
        rig.fetch(1);
        rig.brought(1, vec![failed(0, ErrorCode::TopicAuthorizationFailed)]);
        let mut walk = rig.take_walk();
        assert!(walk.next().is_some());
        if pauses {
            rig.machine.pause(&tp(0)).unwrap();
            assert!(rig.take().is_none());
            rig.machine.resume(&tp(0)).unwrap();
        } else {
            while walk.next().is_some() {}
        }
        let (mut told, begin) = (0, rig.now.time);
        while rig.now.time < begin + Duration::from_secs(60) {
            if rig.machine.lanes().contains(&LaneKey::node(1, MAIN)) {
                rig.fetch(1);
                rig.brought(1, vec![failed(0, ErrorCode::TopicAuthorizationFailed)]);
            }
            while let Some(item) = rig.take() {
                assert!(matches!(item, Item::Error(_)), "{item:?}");
                told += 1;
            }
            rig.next_timer();
        }
        assert_eq!(told, 1, "pauses: {pauses}");
    }
}

fn diverging(epoch: i32, end_offset: i64) -> PartitionData {
    let mut partition = failed(0, ErrorCode::None);
    (partition.diverging_epoch.epoch, partition.diverging_epoch.end_offset) = (epoch, end_offset);
    partition
}

/// What a leader says of its epochs leads to the place where the reader is. Without them it can be read.
#[test]
fn a_truncation_to_the_position_is_told_once_and_then_not_asked_for() {
    let mut rig = Rig::with(|config| config.reset = Reset::Last);
    rig.topic(&[(1, 5)]);
    rig.assign([Start::At { offset: 9, leader_epoch: Some(4) }]);
    let mut told = 0;
    for _ in 0..10 {
        while !rig.machine.lanes().contains(&LaneKey::node(1, MAIN)) {
            rig.next_timer();
        }
        let plan = rig.fetch(1);
        if plan.request.topics.iter().flat_map(|t| &t.partitions).all(|p| p.last_fetched_epoch < 0) {
            rig.brought(1, vec![data(0, &[Batch::plain(5, 6)])]);
            break;
        }
        rig.brought(1, vec![diverging(3, 5)]);
        while let Some(item) = rig.take() {
            assert!(matches!(item, Item::Notice(_)), "{item:?}");
            told += 1;
        }
    }
    assert_eq!((told, rig.read_everything()), (1, vec![5]));
}

/// The end of an epoch that is none says that the logs have nothing in common: it is no position.
#[test]
fn a_truncation_without_an_end_is_a_reset() {
    let mut rig = Rig::with(|config| config.reset = Reset::Last);
    rig.topic(&[(1, 5)]);
    rig.assign([Start::At { offset: 9, leader_epoch: Some(4) }]);
    rig.fetch(1);
    rig.brought(1, vec![diverging(3, -1)]);
    let Some(Item::Notice(error)) = rig.take() else { panic!("silence") };
    assert_eq!(*error.kind(), ErrorKind::OffsetOutOfRange { offset: 9 });
    let (_, request) = rig.ask_offsets();
    assert_eq!(request.topics[0].partitions[0].timestamp, -1, "the end, as the reset says");
}
