//! Where reading begins, and what seeking, pausing and resets do to it.

use super::*;

const OK: i16 = 0;

#[test]
fn first_last_and_time_are_asked_of_the_leader_in_one_request() {
    let mut rig = Rig::with(|config| config.isolation = Isolation::ReadCommitted);
    rig.topic(&[(1, 5), (1, 6), (1, 7), (2, 8)]);
    let partitions = (0..).map(tp).zip([Start::First, Start::Last, Start::Time(99), Start::Last]).collect();
    rig.machine.assign(1, partitions);
    let (tag, request) = rig.ask_offsets();
    let asked = |request: &ListOffsetsRequest| -> Vec<_> {
        let partitions = request.topics.iter().flat_map(|t| &t.partitions);
        partitions.map(|p| (p.partition_index, p.current_leader_epoch, p.timestamp)).collect()
    };
    assert_eq!(asked(&request), [(0, 5, -2), (1, 6, -1), (2, 7, 99)]);
    assert_eq!((request.replica_id, request.isolation_level), (-1, 1));
    let (other, request) = rig.ask_offsets();
    assert_eq!(asked(&request), [(3, 8, -1)]);
    assert!(rig.ask().is_none());
    assert_eq!(rig.lanes(), []);

    rig.answer_offsets(tag, &[(0, OK, 10), (1, OK, 20), (2, OK, 15)]);
    assert_eq!(rig.lanes(), [(1, MAIN)]);
    assert_eq!(listed(&rig.fetch(1)), [(0, 10), (1, 20), (2, 15)]);
    rig.answer_offsets(other, &[(3, OK, 30)]);
    assert_eq!(listed(&rig.fetch(2)), [(3, 30)]);
}

#[test]
fn a_time_after_the_last_record_means_the_end() {
    let mut rig = Rig::new();
    rig.topic(&[(1, 5)]);
    rig.machine.assign(1, vec![(tp(0), Start::Time(99))]);
    let (tag, _) = rig.ask_offsets();
    rig.answer_offsets(tag, &[(0, OK, -1)]);
    let (tag, request) = rig.ask_offsets();
    assert_eq!(request.topics[0].partitions[0].timestamp, -1);
    rig.answer_offsets(tag, &[(0, OK, 8)]);
    assert_eq!(rig.machine.position(&tp(0)), Some(8));
}

#[test]
fn scenario_c20_an_answer_that_comes_after_a_seek_is_not_taken() {
    let mut rig = Rig::new();
    rig.topic(&[(1, 5)]);
    rig.machine.assign(1, vec![(tp(0), Start::Last)]);
    let (old, _) = rig.ask_offsets();
    rig.machine.seek(&tp(0), Start::First).unwrap();
    let (new, _) = rig.ask_offsets();
    rig.answer_offsets(old, &[(0, OK, 100)]);
    assert_eq!(rig.machine.position(&tp(0)), None);
    rig.answer_offsets(new, &[(0, OK, 3)]);
    assert_eq!(rig.machine.position(&tp(0)), Some(3));
}

#[test]
fn a_failed_question_is_asked_again_after_a_while() {
    let mut rig = Rig::new();
    rig.topic(&[(1, 5)]);
    rig.machine.assign(1, vec![(tp(0), Start::Last)]);
    for attempt in 0..6 {
        let (tag, _) = rig.ask_offsets();
        match attempt % 3 {
            0 => rig.answer_offsets(tag, &[(0, ErrorCode::OffsetNotAvailable.into(), -1)]),
            1 => rig.answer_offsets(tag, &[]),
            _ => rig.answer(tag, Err(Error::from(crate::error::ConnectionError::Refused))),
        }
        assert!(rig.ask().is_none(), "no spin");
        let wait = rig.next_timer();
        assert!(wait >= Duration::from_millis(80) && wait <= Duration::from_millis(1200), "{wait:?}");
    }
    assert!(rig.ask().is_some());
}

#[test]
fn where_only_committed_offsets_will_do_a_partition_without_one_is_an_error_of_its_own() {
    for reset in [Reset::Error, Reset::First] {
        let mut rig = Rig::with(|config| config.reset = reset);
        rig.topic(&[(1, 5), (1, 5)]);
        rig.assign([Start::At { offset: 40, leader_epoch: Some(3) }, Start::Committed]);
        assert_eq!(listed(&rig.fetch(1)), [(0, 40)]);
        let error = rig.take_error();
        assert_eq!((error.kind(), error.context().partition), (&ErrorKind::NoOffset, Some(1)));
        rig.machine.seek(&tp(1), at(7)).unwrap();
        assert_eq!(rig.machine.position(&tp(1)), Some(7));
    }
}

#[test]
fn promise_04_out_of_range_stops_by_default() {
    let mut rig = Rig::reading(2, |_| ());
    rig.fetch(1);
    let other = PartitionData { high_watermark: 1, ..data(1, &[Batch::plain(0, 1)]) };
    rig.brought(1, vec![failed(0, ErrorCode::OffsetOutOfRange), other]);
    let error = rig.take_error();
    assert_eq!(error.kind(), &ErrorKind::OffsetOutOfRange { offset: 0 });
    assert_eq!(error.context().partition, Some(0));
    let plan = rig.fetch(1);
    assert_eq!((listed(&plan), forgotten(&plan)), (vec![(1, 1)], vec![0]));
    rig.machine.seek(&tp(0), at(6)).unwrap();
    assert_eq!(listed(&rig.aside(1)), [(0, 6)]);
}

#[test]
fn promise_04_a_reset_is_told_and_follows_what_was_read() {
    let mut rig = Rig::reading(1, |config| config.reset = Reset::Last);
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 2)])]);
    rig.fetch(1);
    rig.brought(1, vec![failed(0, ErrorCode::OffsetOutOfRange)]);
    assert_eq!(rig.read(), [0, 1]);
    assert_eq!(rig.take_notice().kind(), &ErrorKind::OffsetOutOfRange { offset: 2 });
    let (tag, request) = rig.ask_offsets();
    assert_eq!(request.topics[0].partitions[0].timestamp, -1);
    rig.answer_offsets(tag, &[(0, OK, 50)]);
    assert_eq!(listed(&rig.fetch(1)), [(0, 50)]);
}

#[test]
fn promise_04_no_other_error_resets() {
    for code in [
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::OffsetNotAvailable,
        ErrorCode::KafkaStorageError,
        ErrorCode::UnknownServerError,
        ErrorCode::FencedLeaderEpoch,
        ErrorCode::TopicAuthorizationFailed,
        ErrorCode::CorruptMessage,
    ] {
        let mut rig = Rig::reading(1, |config| config.reset = Reset::First);
        rig.fetch(1);
        rig.brought(1, vec![failed(0, code)]);
        assert_eq!(rig.machine.position(&tp(0)), Some(0), "{code:?}");
        assert!(rig.ask().is_none());
        assert_eq!(rig.lanes(), []);
        rig.next_timer();
        // The session has it as it is.
        let plan = rig.fetch(1);
        assert_eq!((listed(&plan), forgotten(&plan)), (vec![], vec![]), "{code:?}");
        rig.brought(1, vec![data(0, &[Batch::plain(0, 1)])]);
        assert_eq!(rig.machine.position(&tp(0)), Some(1));
    }
}

#[test]
fn scenario_c3_resume_without_pause_does_nothing() {
    let mut rig = Rig::reading(1, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 4)])]);
    let mut walk = rig.take_walk();
    walk.next().unwrap().unwrap();
    rig.machine.resume(&tp(0)).unwrap();
    assert_eq!(offsets(&mut walk), [1, 2, 3]);
}

#[test]
fn scenario_c4_seek_pause_resume_goes_on_at_the_sought_position() {
    let mut rig = Rig::reading(1, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 4)])]);
    let mut walk = rig.take_walk();
    walk.next().unwrap().unwrap();
    rig.machine.seek(&tp(0), at(2)).unwrap();
    rig.machine.pause(&tp(0)).unwrap();
    assert!(walk.next().is_none());
    assert!(rig.take().is_none());
    assert_eq!((rig.machine.position(&tp(0)), rig.lanes()), (Some(2), vec![]));
    rig.machine.resume(&tp(0)).unwrap();
    assert_eq!(listed(&rig.fetch(1)), [(0, 2)]);
}

#[test]
fn scenario_c6_pause_with_a_walk_and_buffered_and_in_flight_data() {
    let mut rig = Rig::reading(1, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 4)])]);
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(4, 6)])]);
    let plan = rig.fetch(1);
    assert_eq!(listed(&plan), [(0, 6)]);
    let mut walk = rig.take_walk();
    assert_eq!(walk.next().unwrap().unwrap().offset(), 0);
    assert_eq!(walk.next().unwrap().unwrap().offset(), 1);

    rig.machine.pause(&tp(0)).unwrap();
    rig.machine.pause(&tp(0)).unwrap();
    assert!(rig.machine.is_paused(&tp(0)));
    assert!(walk.next().is_none());
    rig.brought(1, vec![data(0, &[Batch::plain(6, 8)])]);
    assert!(!rig.machine.is_readable());
    assert!(rig.take().is_none());

    rig.machine.resume(&tp(0)).unwrap();
    let mut all = rig.read_everything();
    while all.last() != Some(&7) {
        let from = listed(&rig.fetch(1))[0].1;
        assert_eq!(Some(from), Some(all.last().map_or(2, |last| last + 1)));
        let batches = [Batch::plain(0, 4), Batch::plain(4, 6), Batch::plain(6, 8)];
        rig.brought(1, vec![data(0, &batches)]);
        all.extend(rig.read_everything());
    }
    assert_eq!(all, [2, 3, 4, 5, 6, 7]);
}

#[test]
fn what_is_buffered_survives_a_pause() {
    let mut rig = Rig::reading(2, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 4)]), data(1, &[Batch::plain(0, 2)])]);
    rig.machine.pause(&tp(0)).unwrap();
    assert_eq!(rig.read_everything(), [0, 1]);
    rig.machine.resume(&tp(0)).unwrap();
    assert_eq!(rig.read_everything(), [0, 1, 2, 3]);
}

#[test]
fn scenario_c24_consumed_is_after_the_last_record_returned() {
    let mut rig = Rig::reading(1, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 2), Batch::plain(2, 4)])]);
    assert_eq!((rig.machine.position(&tp(0)), rig.machine.consumed(&tp(0))), (Some(4), Some(0)));
    let mut walk = rig.take_walk();
    assert_eq!(rig.machine.consumed(&tp(0)), Some(0));
    for offset in 0..4 {
        assert_eq!(walk.next().unwrap().unwrap().offset(), offset);
        assert_eq!(rig.machine.consumed(&tp(0)), Some(offset + 1));
    }
}

#[test]
fn scenario_c27_lag_reaches_zero_at_an_open_transaction() {
    for (isolation, lag) in [(Isolation::ReadCommitted, 0), (Isolation::ReadUncommitted, 6)] {
        let mut rig = Rig::reading(1, |config| config.isolation = isolation);
        let plan = rig.fetch(1);
        assert_eq!(plan.request.isolation_level, i8::from(isolation == Isolation::ReadCommitted));
        let part = data(0, &[Batch::plain(0, 4)]);
        rig.brought(1, vec![PartitionData { high_watermark: 10, last_stable_offset: 4, ..part }]);
        assert_eq!(rig.machine.high_watermark(&tp(0)), Some(10));
        assert_eq!(rig.machine.log_start(&tp(0)), Some(0));
        assert_eq!(rig.machine.lag(&tp(0)), Some(lag + 4));
        rig.read();
        assert_eq!(rig.machine.lag(&tp(0)), Some(lag));
    }
}

#[test]
fn scenario_c13_errors_and_empty_answers_move_no_position() {
    let mut rig = Rig::reading(1, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 3)])]);
    rig.fetch(1);
    rig.brought(1, vec![caught_up(0, 3)]);
    rig.fetch(1);
    rig.brought(1, vec![failed(0, ErrorCode::UnknownServerError)]);
    assert_eq!(rig.machine.position(&tp(0)), Some(3));
    assert_eq!(rig.read_everything(), [0, 1, 2]);
    assert_eq!(rig.machine.consumed(&tp(0)), Some(3));
}

/// ListOffsets has other meanings for negative times: -1 is the end, -2 the beginning, -3 the largest timestamp.
#[test]
fn case_d5_a_time_before_1970_is_never_asked_for() {
    for start in [Start::Time(-1), Start::Time(-3), Start::Time(i64::MIN), at(-1), at(-7)] {
        let mut rig = Rig::with(|config| config.reset = Reset::First);
        rig.topic(&[(1, 5)]);
        rig.assign([start]);
        assert!(matches!(rig.take_error().kind(), ErrorKind::Misuse(_)), "{start:?}");
        assert!(rig.ask().is_none() && rig.lanes().is_empty());
        // It has stopped until it is sought.
        assert!(rig.machine.seek(&tp(0), start).is_err());
        rig.machine.seek(&tp(0), at(3)).unwrap();
        assert!(rig.ask().is_none());
        assert_eq!(listed(&rig.fetch(1)), [(0, 3)]);
    }
    let epoch = Start::At { offset: 5, leader_epoch: Some(-1) };
    assert!(epoch.validate().is_err());
    for start in [Start::Time(0), at(0), at(i64::MAX), Start::Committed, Start::First, Start::Last] {
        assert!(start.validate().is_ok());
    }
}

#[test]
fn misuse_is_an_error() {
    let mut rig = Rig::reading(1, |_| ());
    for result in [
        rig.machine.seek(&tp(9), Start::First),
        rig.machine.pause(&tp(9)),
        rig.machine.resume(&tp(9)),
        rig.machine.seek(&tp(0), at(-5)),
        rig.machine.seek(&tp(0), Start::Time(-5)),
    ] {
        assert!(matches!(result.unwrap_err().kind(), ErrorKind::Misuse(_)));
    }
    assert_eq!(rig.machine.position(&tp(0)), Some(0));
    rig.machine.assign(2, vec![(tp(0), at(1)), (tp(0), at(2))]);
    assert_eq!((rig.machine.position(&tp(0)), rig.machine.topics().len()), (Some(1), 1));
}

#[test]
fn a_seek_beside_a_parked_fetch_does_not_wait_for_it() {
    let mut rig = Rig::reading(2, |_| ());
    rig.fetch(1);
    rig.machine.seek(&tp(1), at(40)).unwrap();
    assert_eq!(listed(&rig.aside(1)), [(1, 40)]);
    rig.brought_aside(1, vec![data(1, &[Batch::plain(40, 42)])]);
    // The parked fetch still answers for the old position.
    rig.brought(1, vec![data(1, &[Batch::plain(0, 2)])]);
    assert_eq!(rig.read_everything(), [40, 41]);
    let plan = rig.fetch(1);
    assert_eq!(listed(&plan), [(1, 42)]);
}
