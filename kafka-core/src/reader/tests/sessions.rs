//! Fetch sessions, the fetch aside, fairness.

use super::*;

fn heading(plan: &FetchPlan) -> (i32, i32) {
    (plan.request.session_id, plan.request.session_epoch)
}

#[test]
fn a_session_says_only_what_changed() {
    let mut rig = Rig::reading(3, |_| ());
    let plan = rig.fetch(1);
    assert_eq!((heading(&plan), listed(&plan).len()), ((0, 0), 3));
    rig.brought(1, vec![data(1, &[Batch::plain(0, 2)])]);
    let plan = rig.fetch(1);
    assert_eq!((heading(&plan), listed(&plan)), ((77, 1), vec![(1, 2)]));
    rig.brought(1, vec![]);
    rig.later(Duration::from_millis(500));
    let plan = rig.fetch(1);
    assert_eq!((heading(&plan), listed(&plan), forgotten(&plan)), ((77, 2), vec![], vec![]));
    rig.machine.pause(&tp(2)).unwrap();
    rig.brought(1, vec![]);
    let plan = rig.fetch(1);
    assert_eq!((heading(&plan), listed(&plan), forgotten(&plan)), ((77, 3), vec![], vec![2]));
    rig.machine.resume(&tp(2)).unwrap();
    rig.brought(1, vec![]);
    let plan = rig.fetch(1);
    assert_eq!((heading(&plan), listed(&plan), forgotten(&plan)), ((77, 4), vec![(2, 0)], vec![]));
}

#[test]
fn what_a_request_says_of_a_partition() {
    let mut rig = Rig::with(|config| config.rack = Str::from_static("r1"));
    rig.topic(&[(1, 5)]);
    rig.assign([Start::At { offset: 9, leader_epoch: Some(4) }]);
    let plan = rig.fetch(1);
    let partition = &plan.request.topics[0].partitions[0];
    assert_eq!((partition.current_leader_epoch, partition.last_fetched_epoch), (5, 4));
    assert_eq!((partition.fetch_offset, partition.partition_max_bytes), (9, 1 << 20));
    assert_eq!((plan.request.max_wait_ms, plan.request.min_bytes, plan.version), (500, 1, 12));
    assert_eq!((plan.request.replica_id, &*plan.request.rack_id), (-1, "r1"));
    assert_eq!(plan.timeout, Duration::from_millis(30_500));
    assert!(plan.request.max_bytes as usize <= plan.reservation.bytes());
}

#[test]
fn scenario_c18_a_broker_without_sessions_gets_full_fetches() {
    let mut rig = Rig::reading(2, |_| ());
    for round in 0..3 {
        let plan = rig.fetch(1);
        assert_eq!((heading(&plan), listed(&plan).len()), ((0, 0), 2), "{round}");
        rig.respond(1, MAIN, response(0, vec![data(0, &[Batch::plain(round, round + 1)]), caught_up(1, 0)]));
    }
}

#[test]
fn scenario_c18_a_lost_session_begins_anew_at_once_but_not_for_ever() {
    let mut rig = Rig::reading(2, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 1)])]);
    rig.fetch(1);
    let refusal = |code: ErrorCode| FetchResponse { error_code: code.into(), ..response(0, vec![]) };
    rig.respond(1, MAIN, refusal(ErrorCode::FetchSessionIdNotFound));
    let plan = rig.fetch(1);
    assert_eq!((heading(&plan), listed(&plan)), ((0, 0), vec![(1, 0), (0, 1)]));
    rig.respond(1, MAIN, refusal(ErrorCode::FetchSessionTopicIdError));
    assert_eq!(rig.lanes(), [], "the second time in a row waits");
    rig.next_timer();
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(1, 2)])]);
    assert_eq!(heading(&rig.fetch(1)), (77, 1));
    rig.respond(1, MAIN, refusal(ErrorCode::InvalidFetchSessionEpoch));
    assert_eq!(heading(&rig.fetch(1)), (77, 0), "the old one is closed");
}

#[test]
fn scenario_c18_nothing_is_fetched_where_nothing_is_wanted() {
    let mut rig = Rig::reading(2, |_| ());
    rig.fetch(1);
    rig.machine.pause(&tp(0)).unwrap();
    rig.machine.pause(&tp(1)).unwrap();
    rig.brought(1, vec![]);
    assert_eq!((rig.lanes(), rig.machine.poll_timeout()), (vec![], None));
    let plan = rig.machine.poll_fetch(rig.now, 1, MAIN, 12);
    assert!(plan.is_none());
}

#[test]
fn scenario_c18_a_moved_partition_is_forgotten() {
    let mut rig = Rig::reading(2, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![caught_up(0, 0), caught_up(1, 0)]);
    rig.topic(&[(1, 5), (2, 6)]);
    let plan = rig.fetch(1);
    assert_eq!((listed(&plan), forgotten(&plan)), (vec![], vec![1]));
    assert_eq!(listed(&rig.fetch(2)), [(1, 0)]);
}

#[test]
fn a_broker_that_does_not_wait_is_not_asked_in_a_spin() {
    let mut rig = Rig::reading(1, |_| ());
    let mut waits = 0;
    for _ in 0..20 {
        if rig.lanes().is_empty() {
            rig.next_timer();
            waits += 1;
        }
        rig.fetch(1);
        rig.brought(1, vec![]);
    }
    assert!(waits >= 15, "{waits}");
    rig.next_timer();
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 1)])]);
    assert_eq!(rig.lanes(), [(1, MAIN)]);
}

#[test]
fn after_a_lost_connection_the_session_is_new_and_positions_stay() {
    let mut rig = Rig::reading(2, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 3)])]);
    rig.fetch(1);
    rig.lost(1, MAIN);
    assert_eq!(rig.lanes(), []);
    assert_eq!(rig.hints(), [Hint::Refresh(Str::from_static("t"))]);
    let first = rig.next_timer();
    assert!(first >= Duration::from_millis(80) && first <= Duration::from_millis(120), "{first:?}");
    let plan = rig.fetch(1);
    assert_eq!((heading(&plan), listed(&plan)), ((77, 0), vec![(1, 0), (0, 3)]));
    rig.lost(1, MAIN);
    assert!(rig.next_timer() >= Duration::from_millis(160));
}

#[test]
fn topics_go_by_id_from_version_13_on_if_all_ids_are_known() {
    let id = Uuid([3; 16]);
    let mut rig = Rig::new();
    rig.version = 16;
    rig.topic(&[(1, 5), (1, 5)]);
    rig.assign([at(0), at(0)]);
    let plan = rig.fetch(1);
    assert_eq!((plan.version, &*plan.request.topics[0].topic), (12, "t"));
    rig.brought(1, vec![caught_up(0, 0), caught_up(1, 0)]);

    rig.topic_with_id(id, &[(1, 5), (1, 5)]);
    let plan = rig.fetch(1);
    assert_eq!((plan.version, heading(&plan), listed(&plan).len()), (16, (77, 0), 2));
    assert_eq!((plan.request.topics[0].topic_id, plan.request.topics[0].topic.is_empty()), (id, true));
    let mut answer = response(78, vec![data(0, &[Batch::plain(0, 2)])]);
    (answer.responses[0].topic, answer.responses[0].topic_id) = (Str::new(), id);
    rig.respond(1, MAIN, answer);
    assert_eq!(rig.read(), [0, 1]);
    assert_eq!(heading(&rig.fetch(1)), (78, 1));
}

/// One busy partition among a hundred idle ones, whose fetch is parked for ever.
#[test]
fn one_busy_partition_among_a_hundred_idle_ones_keeps_its_rate() {
    let mut rig = Rig::reading(101, |config| config.partition_max_bytes = 1024);
    rig.fetch(1);
    rig.brought(1, (1..=100).map(|p| caught_up(p, 0)).chain([data(0, &[batch(0)])]).collect());
    assert_eq!(listed(&rig.fetch(1)), [], "its buffer is full: the others only, parked");
    for round in 0..50 {
        assert_eq!(rig.lanes(), []);
        assert_eq!(rig.read(), [round]);
        assert_eq!(rig.lanes(), [(1, ASIDE)], "at once");
        let plan = rig.aside(1);
        assert_eq!((heading(&plan), listed(&plan)), ((0, -1), vec![(0, round + 1)]));
        // The main fetch was to come back soon, as there was this partition's record to be read.
        assert_eq!(plan.request.max_wait_ms, if round == 0 { 15 } else { 500 });
        rig.later(Duration::from_millis(20));
        rig.brought_aside(1, vec![data(0, &[batch(round + 1)])]);
    }
    // Together again once the parked fetch is back.
    rig.read();
    rig.brought(1, vec![]);
    let plan = rig.fetch(1);
    assert_eq!((heading(&plan), listed(&plan), forgotten(&plan)), ((77, 2), vec![(0, 51)], vec![]));

    fn batch(offset: i64) -> Batch {
        Batch { value: 1024, ..Batch::plain(offset, offset + 1) }
    }
}

/// Two partitions are at their end, and fetches of both wait for something new, beside each other; the third was full and has been
/// read: it must not wait for long.
#[test]
fn fetches_of_ends_hold_up_no_partition_that_has_more() {
    let mut rig = Rig::reading(3, |config| config.partition_max_bytes = 1024);
    let big = |offset| Batch { value: 1024, ..Batch::plain(offset, offset + 1) };
    rig.fetch(1);
    rig.brought(1, vec![caught_up(0, 0), data(1, &[big(0)]), data(2, &[big(0)])]);
    let waits: Vec<i32> = (0..8)
        .map(|_| {
            let wait = rig.fetch(1).request.max_wait_ms;
            rig.later(Duration::from_millis(wait as u64));
            rig.brought(1, vec![]);
            wait
        })
        .collect();
    assert_eq!(waits, [15, 31, 62, 125, 250, 500, 500, 500], "the application has not read on yet");
    assert!(rig.fetch(1).request.max_wait_ms == 500);
    assert_eq!([rig.read(), rig.read()], [[0], [0]]);
    let aside = rig.aside(1);
    assert_eq!(listed(&aside), [(1, 1), (2, 1)]);
    rig.brought_aside(1, vec![caught_up(1, 1), data(2, &[big(1)])]);
    let aside = rig.aside(1);
    assert_eq!((listed(&aside), aside.request.max_wait_ms), (vec![(1, 1)], 15));
}

#[test]
fn a_fetch_that_has_records_to_bring_needs_no_fetch_aside() {
    let mut rig = Rig::reading(2, |config| config.partition_max_bytes = 1024);
    let big = |offset| Batch { value: 1024, ..Batch::plain(offset, offset + 1) };
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[big(0)]), data(1, &[Batch::plain(0, 1)])]);
    assert_eq!(listed(&rig.fetch(1)), [(1, 1)]);
    assert_eq!(rig.read(), [0]);
    assert_eq!(
        rig.lanes(),
        [],
        "the main fetch is of a partition that is behind, so it will be back at once"
    );
    rig.brought(1, vec![data(1, &[Batch::plain(1, 2)])]);
    assert_eq!(listed(&rig.fetch(1)), [(0, 1), (1, 2)]);
}

#[test]
fn a_partition_in_the_fetch_aside_is_not_in_the_main_one_too() {
    let mut rig = Rig::reading(2, |_| ());
    rig.fetch(1);
    rig.machine.seek(&tp(0), at(5)).unwrap();
    rig.later(Duration::from_millis(100));
    assert_eq!(rig.aside(1).request.max_wait_ms, 384, "a little less than the main one has left");
    rig.brought(1, vec![data(1, &[Batch::plain(0, 1)])]);
    let plan = rig.fetch(1);
    assert_eq!((listed(&plan), forgotten(&plan)), (vec![(1, 1)], vec![0]));
    rig.lost(1, ASIDE);
    rig.brought(1, vec![]);
    assert_eq!(rig.lanes(), []);
    rig.next_timer();
    assert_eq!(listed(&rig.fetch(1)), [(0, 5)]);
}

/// Answers that nothing, each as late as it may be; how long each fetch may wait.
fn quiet(rig: &mut Rig, fetches: usize) -> Vec<i32> {
    let mut waits = Vec::new();
    for _ in 0..fetches {
        let wait = rig.fetch(1).request.max_wait_ms;
        waits.push(wait);
        rig.later(Duration::from_millis(wait as u64));
        rig.brought(1, vec![]);
    }
    waits
}

#[test]
fn a_broker_may_wait_longer_while_nothing_comes() {
    let mut rig = Rig::reading(1, |_| ());
    assert_eq!(quiet(&mut rig, 7), [500, 1000, 2000, 4000, 8000, 8000, 8000]);
    let plan = rig.fetch(1);
    assert_eq!(plan.timeout, Duration::from_secs(38));
    rig.brought(1, vec![data(0, &[Batch::plain(0, 1)])]);
    rig.read();
    // There was said to be more, so the broker was not to wait.
    rig.fetch(1);
    rig.brought(1, vec![caught_up(0, 1)]);
    assert_eq!(quiet(&mut rig, 2), [500, 1000]);
}

/// A record comes so long after the fetch has left; how long that may wait, and how long it took from the record to the answer.
fn one_record(rig: &mut Rig, offset: i64, after: Duration, answers_early: bool) -> (i32, Duration) {
    let plan = rig.fetch(1);
    let wait = Duration::from_millis(plan.request.max_wait_ms as u64);
    rig.later(after);
    let late = if answers_early { Duration::ZERO } else { wait - after };
    rig.later(late);
    let record = [Batch::plain(offset, offset + 1)];
    rig.brought(1, vec![PartitionData { high_watermark: offset + 1, ..data(0, &record) }]);
    rig.read();
    (plan.request.max_wait_ms, late)
}

/// Some brokers find out about a record only when the fetch's time is over.
#[test]
fn case_c5_a_broker_that_answers_only_at_the_end_of_its_wait_waits_no_longer() {
    for first in [100, 240] {
        let mut rig = Rig::reading(1, |_| ());
        // It is known before it was given more time.
        one_record(&mut rig, 0, Duration::from_millis(first), false);
        for (offset, wait) in [(1, 375), (2, 312)] {
            assert_eq!(quiet(&mut rig, 4), [wait; 4]);
            assert!(!rig.machine.is_quiet());
            assert_eq!(one_record(&mut rig, offset, Duration::from_millis(first), false).0, wait);
        }
        for offset in 3..6 {
            assert_eq!(quiet(&mut rig, 100), [500; 100]);
            assert!(!rig.machine.is_quiet());
            assert_eq!(one_record(&mut rig, offset, Duration::from_millis(first), false).0, 500);
        }
    }
    // Or by the first one that came while it had more.
    let mut rig = Rig::reading(1, |_| ());
    quiet(&mut rig, 7);
    assert_eq!(one_record(&mut rig, 0, Duration::from_secs(1), false), (8000, Duration::from_secs(7)));
    assert_eq!(quiet(&mut rig, 4), [375; 4]);
}

/// What was thought of a broker because of one record must not keep an idle client awake for ever.
#[test]
fn case_c5_a_late_answer_by_chance_is_forgotten_where_nothing_more_comes() {
    let mut rig = Rig::reading(1, |_| ());
    one_record(&mut rig, 0, Duration::from_millis(495), true);
    assert_eq!(quiet(&mut rig, 4), [375; 4]);
    assert_eq!(quiet(&mut rig, 6), [375, 1000, 2000, 4000, 8000, 8000]);
    assert!(rig.machine.is_quiet());
    // Once more, and it is doubted for longer; by three in a row it is known.
    one_record(&mut rig, 1, Duration::from_millis(7995), true);
    assert_eq!(quiet(&mut rig, 17), [312; 17]);
    assert_eq!(quiet(&mut rig, 2), [1000, 2000]);
    one_record(&mut rig, 2, Duration::from_millis(3995), true);
    assert_eq!(quiet(&mut rig, 200), [500; 200]);
    assert!(!rig.machine.is_quiet());
}

/// Records that come by the clock, so that the first one meets the very end of a wait.
#[test]
fn case_c5_records_by_the_clock_are_no_late_answers() {
    for (period, records) in [(500, 50), (1000, 33), (1500, 25), (5000, 8)] {
        let mut rig = Rig::reading(1, |_| ());
        one_record(&mut rig, 0, Duration::from_millis(500), true);
        let (mut left, mut offset) = (period, 1);
        for _ in 0..100 {
            let plan = rig.fetch(1);
            let wait = plan.request.max_wait_ms as u64;
            rig.later(Duration::from_millis(wait.min(left)));
            if wait >= left {
                let record = [Batch::plain(offset, offset + 1)];
                rig.brought(1, vec![PartitionData { high_watermark: offset + 1, ..data(0, &record) }]);
                rig.read();
                (left, offset) = (period, offset + 1);
            } else {
                rig.brought(1, vec![]);
                left -= wait;
            }
        }
        assert!(offset >= records, "{period} ms: {offset} records in a hundred fetches");
        quiet(&mut rig, 12);
        assert_eq!(quiet(&mut rig, 5), [8000; 5], "{period} ms");
    }
}

/// While the application has records of another partition, waits are so short that each ends at once or at its end.
#[test]
fn case_c5_a_record_within_a_short_wait_tells_nothing_of_the_broker() {
    let mut rig = Rig::reading(2, |_| ());
    rig.fetch(1);
    let all_of = |partition, batch| PartitionData { high_watermark: 1, ..data(partition, &[batch]) };
    rig.brought(1, vec![all_of(1, Batch { value: 1 << 20, ..Batch::plain(0, 1) }), caught_up(0, 0)]);
    let plan = rig.fetch(1);
    assert_eq!(plan.request.max_wait_ms, 15);
    rig.later(Duration::from_millis(10));
    rig.brought(1, vec![all_of(0, Batch::plain(0, 1))]);
    rig.read_everything();
    assert_eq!(quiet(&mut rig, 3), [500, 1000, 2000]);
}

#[test]
fn case_c5_short_waits_grow_at_such_a_broker_too() {
    let mut rig = Rig::reading(2, |_| ());
    one_record(&mut rig, 0, Duration::from_millis(100), false);
    rig.fetch(1);
    rig.brought(1, vec![data(1, &[Batch { value: 1 << 20, ..Batch::plain(0, 1) }]), caught_up(0, 1)]);
    assert_eq!(quiet(&mut rig, 7), [15, 31, 62, 125, 250, 500, 500]);
}

#[test]
fn case_c5_a_broker_that_answers_early_may_wait_longer() {
    let mut rig = Rig::reading(1, |_| ());
    one_record(&mut rig, 0, Duration::from_millis(200), true);
    assert_eq!(quiet(&mut rig, 3), [500, 1000, 2000]);
    // By chance a record came at the very end; the next one shows that it was chance.
    one_record(&mut rig, 1, Duration::from_millis(3995), true);
    assert_eq!(quiet(&mut rig, 3), [375; 3]);
    one_record(&mut rig, 2, Duration::from_millis(250), true);
    assert_eq!(quiet(&mut rig, 3), [500, 1000, 2000]);
    // What was there at once proves nothing.
    one_record(&mut rig, 3, Duration::from_millis(3995), true);
    one_record(&mut rig, 4, Duration::from_millis(2), true);
    assert_eq!(quiet(&mut rig, 3), [375; 3]);
    // Nor does an answer that brought no record.
    let mut rig = Rig::reading(1, |_| ());
    assert_eq!(quiet(&mut rig, 3), [500, 1000, 2000]);
    rig.fetch(1);
    rig.later(Duration::from_secs(4));
    rig.brought(1, vec![caught_up(0, 0)]);
    assert_eq!(quiet(&mut rig, 3), [500, 1000, 2000]);
}

#[test]
fn a_broker_that_waits_for_more_than_anything_waits_no_longer_than_it_was_told() {
    let mut rig = Rig::reading(1, |config| config.min_bytes = 2);
    assert_eq!(quiet(&mut rig, 4), [500; 4]);
    let mut rig = Rig::reading(1, |config| config.max_wait = Duration::from_secs(20));
    assert_eq!(quiet(&mut rig, 3), [20_000; 3]);
}

#[test]
fn a_broker_that_never_waits_so_long_is_not_held_off() {
    let mut rig = Rig::reading(1, |_| ());
    for _ in 0..10 {
        rig.fetch(1);
        rig.later(Duration::from_millis(500));
        rig.brought(1, vec![]);
    }
    assert_eq!(rig.lanes(), [(1, MAIN)]);
}

#[test]
fn a_fetch_aside_waits_no_longer_than_it_was_told() {
    let mut rig = Rig::reading(2, |_| ());
    quiet(&mut rig, 4);
    assert_eq!(rig.fetch(1).request.max_wait_ms, 8000);
    rig.machine.seek(&tp(0), at(5)).unwrap();
    assert_eq!(rig.aside(1).request.max_wait_ms, 500);
}

#[test]
fn two_fetches_that_end_together_become_one() {
    let mut rig = Rig::reading(2, |_| ());
    rig.fetch(1);
    rig.machine.seek(&tp(0), at(5)).unwrap();
    rig.later(Duration::from_millis(100));
    rig.aside(1);
    rig.later(Duration::from_millis(384));
    rig.brought_aside(1, vec![]);
    assert_eq!(rig.lanes(), [], "the main one will be back in a moment");
    rig.later(Duration::from_millis(16));
    rig.brought(1, vec![]);
    assert_eq!(listed(&rig.fetch(1)), [(0, 5)]);
    assert_eq!(rig.lanes(), []);
}

#[test]
fn a_fetch_that_is_late_is_waited_for_a_moment_only() {
    let mut rig = Rig::reading(2, |_| ());
    rig.fetch(1);
    rig.machine.seek(&tp(0), at(5)).unwrap();
    rig.aside(1);
    rig.later(Duration::from_millis(484));
    rig.brought_aside(1, vec![]);
    assert_eq!(rig.lanes(), []);
    assert!(rig.next_timer() <= Duration::from_millis(32));
    rig.aside(1);
    rig.later(Duration::from_secs(2));
    rig.brought_aside(1, vec![]);
    assert_eq!(rig.lanes(), [(1, ASIDE)], "no longer");
}

#[test]
fn what_was_fetched_last_goes_last() {
    let mut rig = Rig::reading(3, |_| ());
    rig.version = 4;
    let mut first = Vec::new();
    for round in 0..6 {
        let plan = rig.fetch(1);
        let (partition, offset) = listed(&plan)[0];
        first.push(partition);
        rig.brought(1, vec![data(partition, &[Batch::plain(offset, offset + 1)])]);
        assert_eq!(listed(&plan).len(), 3, "{round}");
    }
    assert_eq!(first, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn chunks_are_taken_from_partitions_in_turn() {
    let mut rig = Rig::reading(2, |_| ());
    for offset in 0..3 {
        rig.fetch(1);
        rig.brought(1, vec![data(0, &[Batch::plain(offset, offset + 1)])]);
    }
    rig.fetch(1);
    rig.brought(1, vec![data(1, &[Batch::plain(0, 1)])]);
    let mut order = Vec::new();
    while rig.machine.is_readable() {
        let mut walk = rig.take_walk();
        order.push(walk.partition());
        offsets(&mut walk);
    }
    assert_eq!(order, [0, 1, 0, 0]);
}

#[test]
fn scenario_c21_an_assignment_that_ends_under_a_parked_fetch_frees_its_lanes_when_that_is_back() {
    let mut rig = Rig::reading(2, |_| ());
    rig.fetch(1);
    rig.machine.unassign_all();
    assert!(!rig.machine.is_quiescent());
    rig.brought(1, vec![data(0, &[Batch::plain(0, 2)])]);
    assert_eq!(ended(&mut rig), [(1, 77)]);
    assert!(rig.machine.is_quiescent());
    assert!(rig.take().is_none());
    rig.assign([at(3)]);
    let plan = rig.fetch(1);
    assert_eq!((heading(&plan), listed(&plan)), ((0, 0), vec![(0, 3)]));
}

/// The sessions that brokers are told to forget.
fn ended(rig: &mut Rig) -> Vec<(i32, i32)> {
    let all = std::iter::from_fn(|| rig.machine.poll_ended_session());
    let each = |(broker, request): (i32, kafka_proto::messages::fetch::FetchRequest)| {
        assert_eq!((request.session_epoch, request.topics.len(), request.max_wait_ms), (-1, 0, 0));
        (broker, request.session_id)
    };
    all.map(each).collect()
}

#[test]
fn a_session_ends_with_the_last_partition_at_its_broker() {
    let mut rig = Rig::new();
    rig.topic(&[(1, 5), (1, 5), (2, 5)]);
    rig.assign([at(0), at(0), at(0)]);
    rig.fetch(1);
    rig.brought(1, vec![]);
    rig.fetch(2);
    rig.respond(2, MAIN, response(88, vec![data(2, &[Batch::plain(0, 1)])]));
    rig.topic(&[(1, 5), (3, 6), (2, 5)]);
    assert_eq!(ended(&mut rig), [], "broker 1 serves another");
    rig.machine.pause(&tp(2)).unwrap();
    assert_eq!(ended(&mut rig), [], "paused is not gone");
    rig.topic(&[(1, 5), (3, 6), (3, 6)]);
    assert_eq!(ended(&mut rig), [(2, 88)]);
    // One that is under way is waited for, unless the reader ends.
    rig.fetch(1);
    rig.topic(&[(3, 6), (3, 6), (3, 6)]);
    assert_eq!(ended(&mut rig), []);
    rig.brought(1, vec![]);
    assert_eq!(ended(&mut rig), [(1, 77)]);
    rig.fetch(3);
    rig.respond(3, MAIN, response(99, vec![data(0, &[Batch::plain(0, 1)])]));
    rig.fetch(3);
    rig.machine.end();
    assert_eq!(ended(&mut rig), [(3, 99)]);
    rig.lost(3, MAIN);
    assert_eq!(ended(&mut rig), [], "once");
}

#[test]
fn a_broker_without_sessions_is_told_of_no_end() {
    let mut rig = Rig::reading(1, |_| ());
    rig.version = 4;
    rig.fetch(1);
    rig.respond(1, MAIN, response(0, vec![data(0, &[Batch::plain(0, 1)])]));
    rig.machine.end();
    assert_eq!(ended(&mut rig), []);
}

#[test]
fn a_new_assignment_does_not_wait_for_the_parked_fetch_of_the_old_one() {
    let mut rig = Rig::reading(2, |_| ());
    rig.fetch(1);
    rig.assign([at(3)]);
    assert_eq!(listed(&rig.aside(1)), [(0, 3)]);
    rig.brought_aside(1, vec![data(0, &[Batch::plain(3, 4)])]);
    assert_eq!(rig.read(), [3]);
}
