//! Leaders that move, replicas, logs that were truncated, topics that were made anew.

use super::*;
use kafka_proto::messages::fetch::{EpochEndOffset, LeaderIdAndEpoch, NodeEndpoint};
use kafka_proto::messages::offset_for_leader_epoch::{
    EpochEndOffset as EpochEnd, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};
use std::collections::BTreeSet;

fn t() -> Str {
    Str::from_static("t")
}

fn led_by(leader_id: i32, leader_epoch: i32, code: ErrorCode) -> PartitionData {
    let current_leader = LeaderIdAndEpoch { leader_id, leader_epoch, ..Default::default() };
    PartitionData { current_leader, ..failed(0, code) }
}

#[test]
fn promise_16_a_told_leader_is_asked_at_once() {
    let mut rig = Rig::reading(1, |_| ());
    rig.version = 16;
    rig.fetch(1);
    let mut answer = response(77, vec![led_by(9, 6, ErrorCode::NotLeaderOrFollower)]);
    let node = NodeEndpoint { node_id: 9, host: Str::from_static("new"), port: 9099, ..Default::default() };
    answer.node_endpoints = vec![node];
    rig.respond(1, MAIN, answer);
    assert_eq!(rig.lanes(), [(9, MAIN)]);
    assert_eq!(rig.machine.poll_timeout(), None, "round trips only, no timer");
    let hints = rig.hints();
    let [Hint::Leader { partition: 0, leader: 9, leader_epoch: 6, node: Some(node), .. }] = &hints[..] else {
        panic!("{hints:?}")
    };
    assert_eq!((node.id, &*node.host, node.port), (9, "new", 9099));
    assert_eq!(listed(&rig.fetch(9)), [(0, 0)]);
}

#[test]
fn promise_16_new_metadata_ends_the_wait() {
    let mut rig = Rig::reading(1, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![failed(0, ErrorCode::NotLeaderOrFollower)]);
    assert_eq!((rig.lanes(), rig.hints()), (vec![], vec![Hint::Refresh(t())]));
    rig.topic(&[(1, 5)]);
    assert_eq!(rig.lanes(), [], "the same leader waits");
    rig.topic(&[(2, 6)]);
    assert_eq!(rig.lanes(), [(2, MAIN)]);
    assert_eq!(rig.machine.poll_timeout(), None);
}

#[test]
fn a_leader_that_cannot_be_reached_is_not_taken_from_an_error() {
    let mut rig = Rig::reading(1, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![led_by(9, 6, ErrorCode::NotLeaderOrFollower)]);
    assert_eq!((rig.lanes(), rig.hints()), (vec![], vec![Hint::Refresh(t())]));
}

#[test]
fn scenario_c16_moves_with_the_metadata_and_ahead_of_it_on_newer_epochs_only() {
    let mut rig = Rig::reading(1, |_| ());
    rig.topic(&[(2, 5)]);
    assert_eq!(rig.lanes(), [(2, MAIN)], "equal");
    rig.topic(&[(3, 6)]);
    assert_eq!(rig.lanes(), [(3, MAIN)], "fresh");
    rig.topic(&[(1, -1)]);
    assert_eq!(rig.lanes(), [(1, MAIN)], "a broker that knows no epochs");
    rig.fetch(1);
    rig.brought(1, vec![led_by(2, -1, ErrorCode::NotLeaderOrFollower)]);
    assert_eq!(rig.lanes(), [], "no epoch, no move");
    rig.topic(&[(1, 7)]);
    rig.fetch(1);
    rig.brought(1, vec![led_by(2, 7, ErrorCode::FencedLeaderEpoch)]);
    assert_eq!(rig.lanes(), [], "an equal epoch of an error must not make us go to and fro");
}

/// The metadata has its reasons, see `client::doubts`; the reader has no second rule.
#[test]
fn case_m1_where_metadata_goes_back_to_an_older_epoch_the_reader_does_too() {
    for (leader, epoch) in [(2, 4), (1, 0), (3, 0), (2, -1)] {
        let mut rig = Rig::reading(1, |_| ());
        rig.topic(&[(leader, epoch)]);
        assert_eq!(rig.lanes(), [(leader, MAIN)]);
        let plan = rig.fetch(leader);
        assert_eq!(plan.request.topics[0].partitions[0].current_leader_epoch, epoch);
        rig.brought(leader, vec![data(0, &[Batch::plain(0, 5)])]);
        assert_eq!(rig.read(), [0, 1, 2, 3, 4]);
    }
}

/// A broker that lags, or a topic made anew whose epochs count from the beginning: metadata will tell.
#[test]
fn case_m1_an_epoch_that_the_leader_does_not_know_lets_ask_for_metadata() {
    let mut rig = Rig::reading(1, |_| ());
    for _ in 0..5 {
        rig.fetch(1);
        rig.brought(1, vec![failed(0, ErrorCode::UnknownLeaderEpoch)]);
        assert_eq!(rig.hints(), [Hint::Refresh(t())]);
        let wait = rig.next_timer();
        rig.later(wait);
    }
}

#[test]
fn an_answer_of_the_old_leader_is_not_taken_after_the_move() {
    let mut rig = Rig::reading(1, |_| ());
    rig.fetch(1);
    rig.topic(&[(2, 6)]);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 5)])]);
    assert!(rig.take().is_none());
    assert_eq!(listed(&rig.fetch(2)), [(0, 0)]);
}

#[test]
fn what_metadata_leaves_out_changes_nothing() {
    let mut rig = Rig::reading(2, |_| ());
    rig.topic(&[(1, 5)]);
    rig.cluster.topics.clear();
    rig.machine.metadata_changed(rig.now, &rig.cluster);
    assert_eq!(listed(&rig.fetch(1)), [(0, 0), (1, 0)]);
}

#[test]
fn a_partition_without_leader_waits_for_metadata() {
    let mut rig = Rig::reading(1, |_| ());
    rig.topic(&[(-1, 6)]);
    assert_eq!((rig.lanes(), rig.hints()), (vec![], vec![Hint::Refresh(t())]));
    rig.next_timer();
    assert!(rig.ask().is_none());
    assert_eq!(rig.hints(), [Hint::Refresh(t())]);
    rig.topic(&[(2, 7)]);
    assert_eq!(rig.lanes(), [(2, MAIN)]);
}

#[test]
fn truncation_told_by_a_fetch() {
    let diverging_epoch = EpochEndOffset { epoch: 4, end_offset: 2, ..Default::default() };
    let truncated = PartitionData { diverging_epoch, ..caught_up(0, 9) };
    for reset in [Reset::Error, Reset::Last] {
        let mut rig = Rig::reading(1, |config| config.reset = reset);
        rig.fetch(1);
        rig.brought(1, vec![data(0, &[Batch::plain(0, 4)])]);
        assert_eq!(rig.read(), [0, 1, 2, 3]);
        let plan = rig.fetch(1);
        assert_eq!(plan.request.topics[0].partitions[0].last_fetched_epoch, 5);
        rig.brought(1, vec![truncated.clone()]);
        if reset == Reset::Error {
            assert_eq!(rig.take_error().kind(), &ErrorKind::Truncated { to: 2 });
            assert_eq!(rig.lanes(), []);
            continue;
        }
        assert_eq!(rig.take_notice().kind(), &ErrorKind::Truncated { to: 2 });
        rig.next_timer();
        let plan = rig.fetch(1);
        assert_eq!(
            listed(&plan),
            [(0, 2)],
            "what both logs have is kept, the policy is for what cannot be known"
        );
        assert_eq!(plan.request.topics[0].partitions[0].last_fetched_epoch, 4);
    }
}

/// Batches of two leader epochs: 0 to 3 of 4, 4 to 7 of 5.
fn of_two_epochs() -> PartitionData {
    data(0, &[Batch { epoch: 4, ..Batch::plain(0, 4) }, Batch::plain(4, 8)])
}

fn last_epoch(plan: &FetchPlan) -> i32 {
    plan.request.topics[0].partitions[0].last_fetched_epoch
}

#[test]
fn what_a_walk_left_is_fetched_again_with_the_epoch_of_what_was_read() {
    for (read, epoch) in [(1, 4), (4, 4), (5, 5), (7, 5)] {
        let mut rig = Rig::reading(1, |_| ());
        rig.fetch(1);
        rig.brought(1, vec![of_two_epochs()]);
        let mut walk = rig.take_walk();
        (0..read).for_each(|offset| assert_eq!(walk.next().unwrap().unwrap().offset(), offset));
        drop(walk);
        assert!(rig.take().is_none());
        let plan = rig.fetch(1);
        assert_eq!((listed(&plan), last_epoch(&plan)), (vec![(0, read)], epoch), "after {read}");
    }
}

/// A truncation is told also where the walk that it happened under is given up above it.
#[test]
fn a_truncation_under_a_walk_is_not_forgotten() {
    let diverging_epoch = EpochEndOffset { epoch: 4, end_offset: 5, ..Default::default() };
    let truncated = || vec![PartitionData { diverging_epoch: diverging_epoch.clone(), ..caught_up(0, 9) }];
    for reset in [Reset::Error, Reset::First] {
        let mut rig = Rig::reading(1, |config| config.reset = reset);
        rig.fetch(1);
        rig.brought(1, vec![of_two_epochs()]);
        let mut walk = rig.take_walk();
        for _ in 0..7 {
            walk.next().unwrap().unwrap();
        }
        rig.fetch(1);
        rig.brought(1, truncated());
        drop(walk);
        assert!(rig.take().is_none(), "where the walk was is looked at again");
        if rig.lanes().is_empty() {
            rig.next_timer();
        }
        let plan = rig.fetch(1);
        assert_eq!((listed(&plan), last_epoch(&plan)), (vec![(0, 7)], 5));
        rig.brought(1, truncated());
        match reset {
            Reset::Error => assert_eq!(rig.take_error().kind(), &ErrorKind::Truncated { to: 5 }),
            _ => assert_eq!(rig.take_notice().kind(), &ErrorKind::Truncated { to: 5 }),
        }
        assert_eq!(rig.machine.position(&tp(0)), Some(if reset == Reset::Error { 7 } else { 5 }));
    }
}

/// As above, where the fetch does not tell: the epoch is asked for again.
#[test]
fn what_a_walk_left_is_validated_by_brokers_that_are_to_be_asked() {
    let mut rig = Rig::reading(1, |_| ());
    rig.version = 11;
    rig.fetch(1);
    rig.brought(1, vec![of_two_epochs()]);
    let mut walk = rig.take_walk();
    for _ in 0..2 {
        walk.next().unwrap().unwrap();
    }
    drop(walk);
    assert!(rig.take().is_none());
    assert!(rig.machine.poll_fetch(rig.now, 1, MAIN, 11).is_none());
    let RequestKind::OffsetForLeaderEpoch(request) = rig.ask().unwrap().request else { panic!() };
    assert_eq!(request.topics[0].partitions[0].leader_epoch, 4);
}

fn validating(reset: Reset) -> (Rig, u64) {
    let mut rig = Rig::with(|config| config.reset = reset);
    rig.version = 11;
    rig.topic(&[(1, 5)]);
    rig.assign([Start::At { offset: 40, leader_epoch: Some(3) }]);
    assert!(rig.machine.poll_fetch(rig.now, 1, MAIN, 11).is_none());
    assert!(
        rig.machine.poll_timeout().is_some_and(|at| at <= rig.now.time),
        "whoever does not ask is called"
    );
    let ask = rig.ask().unwrap();
    let RequestKind::OffsetForLeaderEpoch(request) = ask.request else { panic!("{:?}", ask.request) };
    let partition = &request.topics[0].partitions[0];
    assert_eq!((partition.current_leader_epoch, partition.leader_epoch, request.replica_id), (5, 3, -1));
    (rig, ask.tag)
}

fn epoch_end(rig: &mut Rig, tag: u64, error: ErrorCode, leader_epoch: i32, end_offset: i64) {
    let end =
        EpochEnd { error_code: error.into(), partition: 0, leader_epoch, end_offset, ..Default::default() };
    let topic = OffsetForLeaderTopicResult { topic: t(), partitions: vec![end], ..Default::default() };
    let response = OffsetForLeaderEpochResponse { topics: vec![topic], ..Default::default() };
    rig.answer(tag, Ok(response.into()));
}

#[test]
fn truncation_asked_for_where_the_fetch_does_not_tell() {
    let (mut rig, tag) = validating(Reset::Error);
    epoch_end(&mut rig, tag, ErrorCode::None, 3, 50);
    assert_eq!(listed(&rig.fetch(1)), [(0, 40)]);

    let (mut rig, tag) = validating(Reset::Error);
    epoch_end(&mut rig, tag, ErrorCode::None, 3, 30);
    assert_eq!(rig.take_error().kind(), &ErrorKind::Truncated { to: 30 });

    let (mut rig, tag) = validating(Reset::First);
    epoch_end(&mut rig, tag, ErrorCode::None, 2, 30);
    assert_eq!(rig.take_notice().kind(), &ErrorKind::Truncated { to: 30 });
    assert_eq!(rig.machine.position(&tp(0)), Some(30));

    let (mut rig, tag) = validating(Reset::Error);
    epoch_end(&mut rig, tag, ErrorCode::None, -1, -1);
    assert_eq!(rig.take_error().kind(), &ErrorKind::OffsetOutOfRange { offset: 40 });

    let (mut rig, tag) = validating(Reset::Error);
    let error = Error::new(ErrorKind::Unsupported { feature: "it", needs: "more" });
    rig.answer(tag, Err(error));
    assert_eq!(listed(&rig.fetch(1)), [(0, 40)]);
}

#[test]
fn scenario_c15_a_leader_that_changes_under_an_epoch_request_makes_no_loop() {
    let (mut rig, tag) = validating(Reset::Error);
    epoch_end(&mut rig, tag, ErrorCode::FencedLeaderEpoch, -1, -1);
    assert!(rig.ask().is_none(), "waits");
    rig.topic(&[(2, 6)]);
    assert!(rig.machine.poll_fetch(rig.now, 2, MAIN, 11).is_none());
    let ask = rig.ask().expect("anew, of the new leader");
    assert_eq!(ask.target, crate::machine::Target::node(2));
    rig.topic(&[(3, 7)]);
    epoch_end(&mut rig, ask.tag, ErrorCode::None, 3, 10);
    assert!(rig.take().is_none(), "an answer of the leader before");
    assert!(rig.machine.poll_fetch(rig.now, 3, MAIN, 11).is_none());
    let tag = rig.ask().unwrap().tag;
    epoch_end(&mut rig, tag, ErrorCode::None, 3, 50);
    assert_eq!(listed(&rig.fetch(3)), [(0, 40)]);
    assert!(rig.ask().is_none());
}

fn at_replica() -> Rig {
    let mut rig = Rig::reading(1, |config| config.rack = Str::from_static("r3"));
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 2)])]);
    rig.fetch(1);
    rig.brought(1, vec![PartitionData { preferred_read_replica: 3, ..caught_up(0, 9) }]);
    assert_eq!(rig.lanes(), [(3, MAIN)]);
    assert_eq!(listed(&rig.fetch(3)), [(0, 2)]);
    rig
}

#[test]
fn scenario_c1_back_from_the_replica_without_duplicates() {
    let mut rig = at_replica();
    rig.brought(3, vec![data(0, &[Batch::plain(2, 5)])]);
    assert_eq!(listed(&rig.fetch(3)), [(0, 5)]);
    rig.brought(3, vec![data(0, &[Batch::plain(5, 6)])]);
    assert_eq!(rig.next_timer(), Duration::from_secs(300));
    assert_eq!(rig.lanes(), [(1, MAIN)]);
    assert_eq!(listed(&rig.fetch(1)), [(0, 6)]);
    assert_eq!(rig.read_everything(), [0, 1, 2, 3, 4, 5]);
}

/// Fetches of a broker that nothing comes of; how long each may wait.
fn quiet_at(rig: &mut Rig, broker: i32, fetches: usize) -> Vec<i32> {
    let mut waits = Vec::new();
    for _ in 0..fetches {
        let wait = rig.fetch(broker).request.max_wait_ms;
        waits.push(wait);
        rig.later(Duration::from_millis(wait as u64));
        rig.brought(broker, vec![]);
    }
    waits
}

/// Replicas of 2.4 to 3.3 do not find out about records before a fetch's time is over, and leaders of 2.4 to 3.1 do not before
/// it is whether to send a reader to one.
#[test]
fn case_c5_reading_from_replicas_waits_no_longer_than_it_was_told() {
    let mut rig = at_replica();
    rig.brought(3, vec![data(0, &[Batch::plain(2, 9)])]);
    rig.read_everything();
    for lease in 0..3 {
        let asked = if lease == 0 { 20 } else { 590 };
        assert_eq!(quiet_at(&mut rig, 3, asked), vec![500; asked]);
        while rig.lanes() != [(1, MAIN)] {
            rig.next_timer();
        }
        // The leader waits as long as it may, and sends the partition back.
        assert_eq!(rig.fetch(1).request.max_wait_ms, 500);
        rig.later(Duration::from_millis(500));
        rig.brought(1, vec![PartitionData { preferred_read_replica: 3, ..caught_up(0, 9) }]);
    }
}

#[test]
fn case_c5_what_comes_to_a_quiet_leader_does_not_find_a_long_wait() {
    let mut rig = Rig::with(|_| ());
    rig.topic(&[(1, 5), (2, 5), (1, 5)]);
    rig.assign([at(0); 3]);
    assert_eq!(quiet_at(&mut rig, 1, 4), [500, 1000, 2000, 4000]);
    rig.topic(&[(1, 5), (1, 6), (1, 5)]);
    assert_eq!(quiet_at(&mut rig, 1, 2), [500, 1000]);
    // Another redirect than the first one is no quiet answer either.
    rig.fetch(1);
    rig.later(Duration::from_secs(2));
    rig.brought(1, vec![PartitionData { preferred_read_replica: 3, ..caught_up(2, 0) }]);
    rig.fetch(1);
    rig.brought(1, vec![caught_up(1, 0)]);
    assert_eq!(quiet_at(&mut rig, 1, 2), [500, 1000]);
    // One to where the partition is led is none at all.
    rig.fetch(1);
    rig.later(Duration::from_secs(2));
    rig.brought(1, vec![PartitionData { preferred_read_replica: 1, ..caught_up(1, 0) }]);
    assert_eq!(rig.fetch(1).request.max_wait_ms, 4000);
}

#[test]
fn a_replica_that_fails_is_left_for_the_leader() {
    let mut rig = at_replica();
    rig.lost(3, MAIN);
    assert_eq!(rig.lanes(), [(1, MAIN)], "the leader at once");

    let mut rig = at_replica();
    rig.brought(3, vec![failed(0, ErrorCode::OffsetOutOfRange)]);
    assert!(rig.take_walk().next().is_some());
    assert_eq!(rig.lanes(), [], "proves nothing");
    rig.next_timer();
    assert_eq!(rig.lanes(), [(1, MAIN)]);

    let mut rig = at_replica();
    rig.brought(3, vec![failed(0, ErrorCode::NotLeaderOrFollower)]);
    rig.next_timer();
    assert_eq!(rig.lanes(), [(1, MAIN)]);
}

#[test]
fn a_replica_nobody_knows_is_not_visited() {
    let mut rig = Rig::reading(1, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![PartitionData { preferred_read_replica: 8, ..caught_up(0, 9) }]);
    assert_eq!((rig.lanes(), rig.hints()), (vec![], vec![Hint::Refresh(t())]));
    rig.next_timer();
    assert_eq!(rig.lanes(), [(1, MAIN)]);
}

/// It is of no use to try again: the partition has stopped.
fn is_recreated(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::TopicRecreated { .. }) && !error.is_retriable()
}

#[test]
fn promise_18_a_topic_made_anew_is_an_error_and_its_old_position_is_not_used() {
    let mut rig = Rig::new();
    rig.topic_with_id(Uuid([1; 16]), &[(1, 5), (1, 5)]);
    rig.machine.assign(1, vec![(tp(0), at(50)), (tp(1), Start::Last)]);
    let (tag, _) = rig.ask_offsets();
    rig.topic_with_id(Uuid([2; 16]), &[(2, 0), (2, 0)]);
    let error = rig.take_error();
    assert_eq!((is_recreated(&error), error.context().partition), (true, Some(0)));
    assert!(rig.take().is_none(), "partition 1 had no position yet");
    rig.answer_offsets(tag, &[(1, 0, 99)]);
    assert_eq!((rig.machine.position(&tp(1)), rig.lanes()), (None, vec![]));
    let (tag, _) = rig.ask_offsets();
    rig.answer_offsets(tag, &[(1, 0, 3)]);
    rig.machine.seek(&tp(0), at(0)).unwrap();
    rig.version = 13;
    let plan = rig.fetch(2);
    assert_eq!((listed(&plan), plan.request.topics[0].topic_id), (vec![(0, 0), (1, 3)], Uuid([2; 16])));
}

/// Found by the simulator, remade 461372202: the session kept the old topic's partition, since its position was the same again.
#[test]
fn a_session_forgets_a_topic_that_was_made_anew() {
    let mut rig = Rig::new();
    rig.version = 13;
    rig.topic_with_id(Uuid([1; 16]), &[(1, 0)]);
    rig.assign([at(0)]);
    rig.fetch(1);
    rig.brought(1, vec![caught_up(0, 0)]);
    rig.fetch(1);
    rig.topic_with_id(Uuid([2; 16]), &[(1, 0)]);
    rig.take_error();
    rig.machine.seek(&tp(0), at(0)).unwrap();
    rig.brought(1, vec![]);
    let plan = rig.fetch(1);
    assert_eq!((listed(&plan), plan.request.topics[0].topic_id), (vec![(0, 0)], Uuid([2; 16])));
    assert_eq!(plan.request.session_epoch, 0, "of a new session");
}

/// Found by the simulator, outdated 777060: the first answer was a lagging broker's.
#[test]
fn an_id_that_no_leader_knew_costs_nothing() {
    let mut rig = Rig::with(|config| config.reset = Reset::Last);
    rig.topic_with_id(Uuid([1; 16]), &[(1, 5); 4]);
    rig.machine.assign(1, vec![(tp(0), Start::First), (tp(1), Start::Last), (tp(2), at(7))]);
    let (tag, _) = rig.ask_offsets();
    rig.answer_offsets(tag, &[(0, 0, 0), (1, 0, 30)]);
    rig.version = 13;
    rig.fetch(1);
    rig.brought(1, (0..3).map(|p| failed(p, ErrorCode::UnknownTopicId)).collect());
    rig.topic_with_id(Uuid([2; 16]), &[(1, 5); 4]);
    let error = rig.take_error();
    assert_eq!((is_recreated(&error), error.context().partition), (true, Some(2)));
    assert!(rig.take().is_none(), "an offset may be one of the topic before, what it stands for is not");
    let (tag, _) = rig.ask_offsets();
    rig.answer_offsets(tag, &[(0, 0, 3), (1, 0, 31)]);
    let plan = rig.fetch(1);
    assert_eq!((listed(&plan), plan.request.topics[0].topic_id), (vec![(0, 3), (1, 31)], Uuid([2; 16])));
    // Once its leader had it, it is this one.
    rig.brought(1, vec![caught_up(0, 3), caught_up(1, 31)]);
    rig.topic_with_id(Uuid([3; 16]), &[(1, 5); 4]);
    assert!(is_recreated(&rig.take_error()));
    assert!(is_recreated(&rig.take_error()));
}

#[test]
fn case_d1_a_message_carries_the_id_of_the_topic_it_was_read_of() {
    let ids = |rig: &mut Rig| {
        let mut walk = rig.take_walk();
        let message = std::iter::from_fn(|| walk.next_record());
        message.map(|m| m.unwrap().origin.topic_id).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    let (old, new) = (Uuid([1; 16]), Uuid([2; 16]));
    let mut rig = Rig::new();
    rig.topic_with_id(old, &[(1, 5), (1, 5)]);
    rig.assign([at(0), at(0)]);
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 3)]), data(1, &[Batch::plain(0, 3)])]);
    assert_eq!(ids(&mut rig), [old]);
    rig.topic_with_id(new, &[(2, 0), (2, 0)]);
    assert_eq!(ids(&mut rig), [old], "what came before it is told first");
    rig.take_error();
    rig.take_error();
    rig.machine.seek(&tp(0), at(0)).unwrap();
    rig.fetch(2);
    rig.brought(2, vec![data(0, &[Batch::plain(0, 3)])]);
    assert_eq!(ids(&mut rig), [new]);
}

#[test]
fn an_unknown_topic_is_an_error_after_the_grace_period_and_comes_right_by_itself() {
    let mut rig = Rig::new();
    rig.machine.assign(1, vec![(tp(0), at(0))]);
    assert_eq!(rig.machine.topics(), [t()]);
    assert!(rig.ask().is_none());
    for _ in 0..20 {
        rig.next_timer();
        assert!(rig.ask().is_none() && !rig.machine.is_readable(), "no broker has said anything");
    }
    rig.hints();
    rig.cluster.refusals.insert(t(), ErrorCode::UnknownTopicOrPartition);
    let begin = rig.now.time;
    let mut hints = 0;
    while !rig.machine.is_readable() {
        hints += rig.hints().len();
        rig.next_timer();
        assert!(rig.ask().is_none());
    }
    let waited = rig.now.time - begin;
    assert!(waited >= Duration::from_secs(5) && waited < Duration::from_secs(7), "{waited:?}");
    assert!((5..20).contains(&hints), "{hints}");
    let error = rig.take_error();
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));
    for _ in 0..10 {
        rig.next_timer();
        assert!(rig.ask().is_none() && rig.take().is_none(), "told once");
    }
    rig.topic(&[(1, 0)]);
    assert_eq!(rig.lanes(), [(1, MAIN)]);
}

/// Partition 0 has five records of the first topic to be taken; then it is made anew.
fn fetched_of_the_first_topic() -> Rig {
    let mut rig = Rig::new();
    rig.topic_with_id(Uuid([1; 16]), &[(1, 5), (1, 5)]);
    rig.assign([at(0), at(0)]);
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 3), Batch::plain(3, 5)])]);
    rig
}

fn make_anew(rig: &mut Rig) {
    rig.topic_with_id(Uuid([2; 16]), &[(2, 0), (2, 0)]);
}

/// A pause cuts a walk off, which goes on where it was later; but not in another topic.
#[test]
fn case_d1_what_a_walk_left_of_a_deleted_topic_is_not_looked_for_in_the_next_one() {
    for read in [0, 1, 3, 4] {
        let mut rig = fetched_of_the_first_topic();
        let mut walk = rig.take_walk();
        (0..read).for_each(|_| _ = walk.next().unwrap().unwrap());
        make_anew(&mut rig);
        rig.machine.pause(&tp(0)).unwrap();
        drop(walk);
        assert_eq!(rig.take_error().context().partition, Some(1));
        assert!(rig.take().is_none(), "it is paused");
        rig.machine.resume(&tp(0)).unwrap();
        assert_eq!(rig.lanes(), [], "no position of the old topic is read from");
        let error = rig.take_error();
        assert_eq!((is_recreated(&error), error.context().partition), (true, Some(0)));
        rig.machine.seek(&tp(0), at(0)).unwrap();
        assert_eq!(listed(&rig.fetch(2)), [(0, 0)]);
    }
}

/// As above, where memory is short: what is paused is given up otherwise, to be fetched again.
#[test]
fn case_d1_what_is_paused_of_a_deleted_topic_does_not_give_way() {
    let mut rig = fetched_of_the_first_topic();
    rig.machine.pause(&tp(0)).unwrap();
    make_anew(&mut rig);
    rig.take_error();
    rig.machine.seek(&tp(1), at(0)).unwrap();
    let all = rig.budget.reserve_between(1, usize::MAX).unwrap();
    assert!(rig.machine.poll_fetch(rig.now, 2, MAIN, 12).is_none());
    drop(all);
    rig.machine.budget_freed();
    assert_eq!(listed(&rig.fetch(2)), [(1, 0)]);
    rig.machine.resume(&tp(0)).unwrap();
    assert_eq!(rig.read(), [0, 1, 2, 3, 4]);
    assert!(is_recreated(&rig.take_error()));
    assert_eq!(rig.machine.position(&tp(0)), Some(5));
}

#[test]
fn case_d1_what_was_asked_before_a_topic_was_made_anew_is_not_of_the_new_one() {
    // The id is known from the beginning, or comes with an upgrade while fetches are under way.
    for is_known in [true, false] {
        let mut rig = Rig::new();
        let old = Uuid([1; 16]);
        rig.topic_with_id(if is_known { old } else { Uuid::ZERO }, &[(1, 5), (1, 5)]);
        rig.assign([at(0), at(0)]);
        rig.fetch(1);
        rig.brought(1, vec![caught_up(0, 0), caught_up(1, 0)]);
        assert_eq!(rig.fetch(1).version, 12, "by name");
        rig.machine.seek(&tp(1), at(7)).unwrap();
        assert_eq!(listed(&rig.aside(1)), [(1, 7)]);
        rig.topic_with_id(old, &[(1, 5), (1, 5)]);
        rig.topic_with_id(Uuid([2; 16]), &[(1, 0), (1, 0)]);
        rig.take_error();
        rig.take_error();
        rig.machine.seek(&tp(0), at(0)).unwrap();
        rig.machine.seek(&tp(1), at(7)).unwrap();
        rig.brought_aside(1, vec![data(1, &[Batch::plain(7, 9)])]);
        rig.brought(1, vec![data(0, &[Batch::plain(0, 3)])]);
        assert!(rig.take().is_none(), "{is_known}");
        assert_eq!(listed(&rig.fetch(1)).len(), 2, "both are asked for anew");
    }
}

#[test]
fn case_d1_the_ends_of_a_deleted_topic_are_not_those_of_the_next_one() {
    let mut rig = fetched_of_the_first_topic();
    rig.read();
    assert_eq!(rig.machine.high_watermark(&tp(0)), Some(1_000_000));
    make_anew(&mut rig);
    rig.take_error();
    rig.take_error();
    for seek in [at(0), Start::First] {
        rig.machine.seek(&tp(0), seek).unwrap();
        let told =
            (rig.machine.high_watermark(&tp(0)), rig.machine.log_start(&tp(0)), rig.machine.lag(&tp(0)));
        assert_eq!(told, (None, None, None));
    }
}

/// To be sent on is no success: otherwise nothing grows, and nothing is ever told.
#[test]
fn case_c5_a_replica_that_is_named_again_and_again_in_vain_is_told_once() {
    let codes = [ErrorCode::NotLeaderOrFollower, ErrorCode::KafkaStorageError, ErrorCode::OffsetOutOfRange];
    for (replica, code) in codes.map(|code| (3, code)).into_iter().chain([(8, ErrorCode::None)]) {
        let mut rig = Rig::reading(1, |config| config.rack = Str::from_static("r3"));
        let (begin, mut fetches, mut told) = (rig.now.time, 0, Vec::new());
        while rig.now.time < begin + Duration::from_secs(60) {
            match rig.lanes().first().copied() {
                Some((1, _)) => {
                    rig.fetch(1);
                    rig.brought(
                        1,
                        vec![PartitionData { preferred_read_replica: replica, ..caught_up(0, 9) }],
                    );
                }
                Some((3, _)) => {
                    rig.fetch(3);
                    rig.brought(3, vec![failed(0, code)]);
                }
                _ => _ = rig.next_timer(),
            }
            fetches += 1;
            while let Some(item) = rig.take() {
                told.push(item);
            }
        }
        assert!(fetches < 300, "{replica} {code}: {fetches} a minute");
        assert!(matches!(&told[..], [Item::Notice(_)]), "{replica} {code}: {told:?}");
        // It heals by itself.
        while !matches!(rig.lanes()[..], [(1, _)]) {
            rig.next_timer();
        }
        rig.fetch(1);
        rig.brought(1, vec![data(0, &[Batch::plain(0, 2)])]);
        assert_eq!(rig.read(), [0, 1]);
    }
}
