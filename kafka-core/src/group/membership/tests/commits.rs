//! Commits through the machine.

use super::rig::*;
use crate::error::{Error, ErrorKind};
use crate::group::GroupEvent;
use crate::machine::Hint;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::join_group::JoinGroupRequest;
use kafka_proto::messages::offset_commit::OffsetCommitRequest;
use kafka_proto::{ApiKey, ResponseKind, Uuid};

fn done(id: u64) -> GroupEvent {
    GroupEvent::Committed { id, result: Ok(()) }
}

/// The ids and kinds of failed commits.
fn failures(events: &[GroupEvent]) -> Vec<(u64, ErrorKind)> {
    let one = |e: &GroupEvent| match e {
        GroupEvent::Committed { id, result: Err(error) } => Some((*id, error.kind().clone())),
        _ => None,
    };
    events.iter().filter_map(one).collect()
}

/// Partitions and offsets of the open commit.
fn asked(rig: &Rig) -> Vec<(i32, i64)> {
    let request: OffsetCommitRequest = rig.asked(ApiKey::OffsetCommit);
    let partitions = request.topics.iter().flat_map(|t| &t.partitions);
    partitions.map(|p| (p.partition_index, p.committed_offset)).collect()
}

#[test]
fn a_commit_carries_member_generation_epoch_and_note() {
    let mut rig = Rig::stable();
    let id = rig.commit(1, &[(0, 6)]);
    let request: OffsetCommitRequest = rig.asked(ApiKey::OffsetCommit);
    assert_eq!((request.generation_id_or_member_epoch, &*request.member_id), (1, "m"));
    let partition = &request.topics[0].partitions[0];
    assert_eq!((partition.committed_offset, partition.committed_leader_epoch), (6, 3));
    assert_eq!(partition.committed_metadata.as_deref(), Some("note"));
    assert_eq!(request.retention_time_ms, -1);
    rig.answer(committed(&[(0, ErrorCode::None)]));
    assert_eq!(rig.events(), [done(id)]);
}

#[test]
fn one_is_on_its_way_and_the_newest_of_those_that_wait_goes_next() {
    let mut rig = Rig::stable();
    let first = rig.commit(1, &[(0, 1)]);
    let more = [rig.commit(1, &[(0, 2)]), rig.commit(1, &[(1, 7)]), rig.commit(1, &[(0, 3)])];
    assert_eq!(asked(&rig), [(0, 1)]);
    rig.answer(committed(&[(0, ErrorCode::None)]));
    assert_eq!(rig.events(), [done(first)]);
    assert_eq!(asked(&rig), [(0, 3), (1, 7)]);
    rig.answer(committed(&[(0, ErrorCode::None), (1, ErrorCode::None)]));
    assert_eq!(rig.events(), more.map(done));
    assert!(rig.asks.is_empty());
}

#[test]
fn an_older_commit_that_is_tried_again_does_not_overtake_a_newer_one() {
    let mut rig = Rig::stable();
    let old = rig.commit(1, &[(0, 1), (1, 1)]);
    let new = rig.commit(1, &[(0, 2)]);
    rig.fail(ApiKey::OffsetCommit, lost());
    assert!(rig.told_to_look_up());
    assert!(rig.asks.is_empty());
    rig.sleep(200 * MS);
    assert_eq!(asked(&rig), [(0, 2), (1, 1)]);
    rig.answer(committed(&[(0, ErrorCode::None), (1, ErrorCode::None)]));
    assert_eq!(rig.events(), [done(old), done(new)]);
}

#[test]
fn scenario_g16_a_commit_is_tried_again_while_the_coordinator_moves() {
    for error in [
        ErrorCode::NotCoordinator,
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::RequestTimedOut,
    ] {
        let mut rig = Rig::stable();
        let id = rig.commit(1, &[(0, 6)]);
        for _ in 0..2 {
            rig.answer(committed(&[(0, error)]));
            let moved = matches!(error, ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable);
            assert_eq!(rig.told_to_look_up(), moved);
            rig.sleep(SECOND);
        }
        rig.answer(committed(&[(0, ErrorCode::None)]));
        assert_eq!(rig.events(), [done(id)]);
    }
}

#[test]
fn a_partition_the_answer_leaves_out_is_not_committed() {
    let mut rig = Rig::stable();
    let id = rig.commit(1, &[(0, 6), (1, 6)]);
    rig.answer(committed(&[(0, ErrorCode::None)]));
    rig.sleep(SECOND);
    assert_eq!(asked(&rig), [(1, 6)], "and the other is not sent again");
    rig.answer(committed(&[(1, ErrorCode::None)]));
    assert_eq!(rig.events(), [done(id)]);
}

#[test]
fn the_first_partition_at_fault_is_named_and_others_are_committed() {
    let mut rig = Rig::stable();
    let both = rig.commit(1, &[(0, 6), (1, 6)]);
    rig.answer(committed(&[(0, ErrorCode::None), (1, ErrorCode::OffsetMetadataTooLarge)]));
    let events = rig.events();
    let [GroupEvent::Committed { id, result: Err(error) }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((*id, error.code()), (both, Some(ErrorCode::OffsetMetadataTooLarge)));
    assert_eq!((error.context().topic.as_deref(), error.context().partition), (Some("t"), Some(1)));
    assert_eq!(error.context().group.as_deref(), Some("g"));
}

#[test]
fn scenario_g7_a_deadline_that_passes_harms_neither_heartbeats_nor_later_commits() {
    let mut rig = Rig::stable();
    let first = rig.commit_within(SECOND, 1, &[(0, 1)]);
    let later = rig.commit(1, &[(0, 2)]);
    rig.sleep(SECOND);
    assert!(matches!(failures(&rig.events())[..], [(id, ErrorKind::TimedOut { .. })] if id == first));
    rig.sleep(2 * SECOND);
    rig.answer(heartbeat(ErrorCode::None));
    assert_eq!(asked(&rig), [(0, 1)], "the newer must not overtake it");
    rig.fail(ApiKey::OffsetCommit, lost());
    rig.sleep(SECOND);
    assert_eq!(asked(&rig), [(0, 2)]);
    rig.answer(committed(&[(0, ErrorCode::None)]));
    assert_eq!(rig.events(), [done(later)]);
}

#[test]
fn a_deadline_tells_the_last_error() {
    let mut rig = Rig::stable();
    rig.commit_within(SECOND, 1, &[(0, 1)]);
    rig.answer(committed(&[(0, ErrorCode::NotCoordinator)]));
    rig.sleep(500 * MS);
    rig.fail(ApiKey::OffsetCommit, lost());
    rig.sleep(SECOND);
    let kinds = failures(&rig.events());
    assert!(
        matches!(&kinds[..], [(_, ErrorKind::TimedOut { last: Some(e), .. })] if *e == lost()),
        "{kinds:?}"
    );
    rig.fail(ApiKey::OffsetCommit, lost());
    rig.sleep(2 * SECOND);
    assert!(!rig.keys().contains(&ApiKey::OffsetCommit), "nobody wants it any more");
}

#[test]
fn scenario_g5_promise_03_a_commit_of_an_assignment_that_ended_is_refused_and_sends_nothing() {
    let mut rig = Rig::stable();
    let foreign = rig.commit(9, &[(0, 1)]);
    rig.rebalance();
    rig.revoked(1);
    rig.events().clear();
    let revoked = rig.commit(1, &[(0, 1)]);
    rig.become_stable();
    let old = rig.commit(1, &[(0, 1)]);
    let kinds = failures(&rig.events());
    assert_eq!(kinds, [(revoked, ErrorKind::StaleCommit), (old, ErrorKind::StaleCommit)]);
    assert!(foreign < revoked && rig.asks.is_empty());
    rig.commit(2, &[(0, 1)]);
    assert_eq!(rig.keys(), [ApiKey::OffsetCommit]);
}

#[test]
fn a_commit_of_a_partition_one_does_not_have_or_of_no_offset_is_refused() {
    let mut rig = Rig::stable();
    rig.commit(1, &[(0, 1), (5, 1)]);
    rig.commit(1, &[(0, -2)]);
    let empty = rig.commit(1, &[]);
    let events = rig.events();
    assert!(matches!(failures(&events)[..], [(_, ErrorKind::StaleCommit), (_, ErrorKind::Misuse(_))]));
    assert_eq!(events[2], done(empty));
    assert!(rig.asks.is_empty());
}

#[test]
fn promise_09_a_commit_made_while_revoking_is_sent_before_the_partitions_are_given_up() {
    let mut rig = Rig::stable();
    rig.rebalance();
    let id = rig.commit(1, &[(0, 9)]);
    rig.revoked(1);
    assert_eq!(rig.keys(), [ApiKey::OffsetCommit], "no join yet");
    rig.answer(committed(&[(0, ErrorCode::CoordinatorLoadInProgress)]));
    rig.sleep(SECOND);
    rig.answer(committed(&[(0, ErrorCode::None)]));
    assert_eq!(rig.keys(), [ApiKey::JoinGroup]);
    assert_eq!(rig.events()[1..], [done(id)]);
}

#[test]
fn a_commit_that_hangs_while_revoking_does_not_cost_the_membership() {
    let mut rig = Rig::stable();
    rig.rebalance();
    let id = rig.commit_within(10 * MINUTE, 1, &[(0, 9)]);
    rig.revoked(1);
    for _ in 0..40 {
        if rig.keys().contains(&ApiKey::Heartbeat) {
            rig.answer(heartbeat(ErrorCode::RebalanceInProgress));
        }
        rig.sleep(2 * SECOND);
    }
    assert!(rig.keys().contains(&ApiKey::JoinGroup));
    rig.fail(ApiKey::OffsetCommit, lost());
    let events = rig.events();
    assert_eq!(failures(&events), [(id, ErrorKind::StaleCommit)]);
    assert!(!events.iter().any(|e| matches!(e, GroupEvent::Lost { .. })), "it was given up, not lost");
}

#[test]
fn scenario_g8_a_commit_of_an_unknown_member_makes_it_join_at_once() {
    for (error, id) in [(ErrorCode::UnknownMemberId, ""), (ErrorCode::IllegalGeneration, "m")] {
        let mut rig = Rig::stable();
        let first = rig.commit(1, &[(0, 1)]);
        let second = rig.commit(1, &[(0, 2)]);
        rig.answer(committed(&[(0, error)]));
        let events = rig.events();
        assert_eq!(failures(&events), [(first, ErrorKind::Broker(error)), (second, ErrorKind::StaleCommit)]);
        assert!(
            matches!(&events[2..], [GroupEvent::Lost { assignment: 1, error: e }] if e.code() == Some(error))
        );
        assert_eq!(rig.keys(), [ApiKey::JoinGroup]);
        assert_eq!(&*rig.asked::<JoinGroupRequest>(ApiKey::JoinGroup).member_id, id);
    }
}

#[test]
fn scenario_g10_a_commit_that_fails_in_a_rebalance_starts_one_and_reading_goes_on_after_it() {
    let mut rig = Rig::stable();
    let id = rig.commit(1, &[(0, 1)]);
    rig.answer(committed(&[(0, ErrorCode::RebalanceInProgress)]));
    let events = rig.events();
    assert_eq!(failures(&events), [(id, ErrorKind::Broker(ErrorCode::RebalanceInProgress))]);
    assert!(matches!(events[1], GroupEvent::Revoking { assignment: 1, .. }));
    rig.revoked(1);
    rig.become_stable();
    assert_eq!(rig.events(), [assigned(2, 1, &[("t", 0, Some(5)), ("t", 1, None)])]);
}

#[test]
fn scenario_g4_the_late_answer_to_an_old_commit_does_not_touch_the_new_assignment() {
    for error in [
        ErrorCode::IllegalGeneration,
        ErrorCode::UnknownMemberId,
        ErrorCode::RebalanceInProgress,
        ErrorCode::FencedInstanceId,
    ] {
        let mut rig = Rig::stable();
        let old = rig.commit(1, &[(0, 1)]);
        rig.sleep(3 * SECOND);
        rig.answer(heartbeat(ErrorCode::IllegalGeneration));
        rig.become_stable();
        rig.events();
        let new = rig.commit(2, &[(0, 2)]);
        assert_eq!(asked(&rig), [(0, 1)], "one at a time");
        rig.answer(committed(&[(0, error)]));
        assert_eq!(asked(&rig), [(0, 2)]);
        rig.answer(committed(&[(0, ErrorCode::None)]));
        let events = rig.events();
        assert_eq!(failures(&events), [(old, ErrorKind::StaleCommit)]);
        assert_eq!(events[1..], [done(new)]);
    }
}

#[test]
fn a_commit_that_arrived_although_the_assignment_was_lost_meanwhile_is_done() {
    let mut rig = Rig::stable();
    let id = rig.commit(1, &[(0, 1)]);
    rig.sleep(3 * SECOND);
    rig.fail(ApiKey::Heartbeat, lost());
    rig.sleep(45 * SECOND);
    rig.events();
    rig.answer(committed(&[(0, ErrorCode::None)]));
    assert_eq!(rig.events(), [done(id)]);
}

#[test]
fn missing_rights_fail_the_commit_and_nothing_else() {
    let mut rig = Rig::stable();
    rig.commit(1, &[(0, 1)]);
    rig.fail(ApiKey::OffsetCommit, Error::of_code(ErrorCode::GroupAuthorizationFailed));
    let events = rig.events();
    assert_eq!(events.iter().map(told).collect::<Vec<_>>(), [Some(ErrorCode::GroupAuthorizationFailed)]);
    assert!(rig.asks.is_empty());
}

#[test]
fn a_topic_the_coordinator_does_not_know_is_looked_at_again() {
    let mut rig = Rig::stable();
    set_topic_id(&mut rig.cluster, 1);
    rig.hints();
    rig.commit(1, &[(0, 1), (1, 1)]);
    for error in [ErrorCode::UnknownTopicId, ErrorCode::UnknownTopicOrPartition] {
        rig.answer(committed(&[(0, error), (1, error)]));
        assert_eq!(rig.hints(), [Hint::Refresh("t".into())]);
        rig.sleep(SECOND);
    }
}

#[test]
fn case_g_b_a_commit_for_a_deleted_topic_does_not_hold_the_rebalance_up() {
    for error in [ErrorCode::UnknownTopicOrPartition, ErrorCode::UnknownTopicId] {
        let mut rig = Rig::stable();
        set_topic_id(&mut rig.cluster, 1);
        rig.rebalance();
        let id = rig.commit(1, &[(0, 6), (1, 6)]);
        rig.revoked(1);
        rig.answer(committed(&[(0, ErrorCode::None), (1, error)]));
        assert_eq!(rig.keys(), [ApiKey::JoinGroup], "{error:?}: at once");
        let events = rig.events();
        let [.., GroupEvent::Committed { id: of, result: Err(e) }] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!((*of, e.code(), e.context().partition), (id, Some(error), Some(1)));

        let mut rig = Rig::stable();
        set_topic_id(&mut rig.cluster, 1);
        rig.sleep(2950 * MS);
        let id = rig.commit(1, &[(0, 6)]);
        rig.answer(committed(&[(0, error)]));
        rig.sleep(50 * MS);
        rig.answer(heartbeat(ErrorCode::RebalanceInProgress));
        rig.revoked(1);
        rig.answer(committed(&[(0, error)]));
        assert_eq!(rig.keys(), [ApiKey::JoinGroup], "{error:?}: what failed before is sent a last time");
        assert_eq!(failures(&rig.events()), [(id, ErrorKind::Broker(error))]);
    }
}

#[test]
fn case_g_b_a_commit_for_a_deleted_topic_does_not_hold_the_leave_up() {
    let mut rig = Rig::stable();
    set_topic_id(&mut rig.cluster, 1);
    let id = rig.commit(1, &[(0, 6)]);
    rig.answer(committed(&[(0, ErrorCode::UnknownTopicOrPartition)]));
    rig.leave();
    rig.answer(committed(&[(0, ErrorCode::UnknownTopicOrPartition)]));
    assert_eq!(rig.keys(), [ApiKey::LeaveGroup]);
    assert_eq!(failures(&rig.events()), [(id, ErrorKind::Broker(ErrorCode::UnknownTopicOrPartition))]);
}

#[test]
fn case_g_b_what_may_pass_is_still_waited_for_while_revoking() {
    let mut rig = Rig::stable();
    rig.rebalance();
    rig.commit(1, &[(0, 6)]);
    rig.revoked(1);
    rig.answer(committed(&[(0, ErrorCode::NotCoordinator)]));
    assert!(rig.keys().is_empty(), "no join yet");
}

#[test]
fn case_d1_an_offset_of_a_deleted_topic_is_not_committed_to_the_one_made_in_its_place() {
    let made_anew = |events: &[GroupEvent]| match failures(events)[..] {
        [(id, ErrorKind::StaleCommit)] => id,
        ref other => panic!("{other:?}"),
    };
    let mut rig = Rig::stable();
    (rig.read_under, _) = (Uuid([1; 16]), set_topic_id(&mut rig.cluster, 2));
    let id = rig.commit(1, &[(0, 10)]);
    assert!(rig.asks.is_empty(), "known at once");
    assert_eq!(made_anew(&rig.events()), id);

    set_topic_id(&mut rig.cluster, 1);
    let id = rig.commit(1, &[(0, 10)]);
    let request: OffsetCommitRequest = rig.asked(ApiKey::OffsetCommit);
    assert_eq!(request.topics[0].topic_id, Uuid([1; 16]));
    rig.answer(committed(&[(0, ErrorCode::UnknownTopicOrPartition)]));
    set_topic_id(&mut rig.cluster, 2);
    rig.sleep(SECOND);
    assert!(rig.asks.is_empty(), "known when it is to be sent again");
    assert_eq!(made_anew(&rig.events()), id);

    rig.rebalance();
    rig.commit(1, &[(0, 10)]);
    rig.revoked(1);
    assert_eq!(rig.keys(), [ApiKey::JoinGroup], "it holds nobody up");
}

#[test]
fn case_d1_what_was_read_of_the_new_topic_is_committed_beside_it() {
    let mut rig = Rig::stable();
    set_topic_id(&mut rig.cluster, 1);
    rig.read_under = Uuid([1; 16]);
    let first = rig.commit(1, &[(1, 1)]);
    rig.read_under = Uuid([2; 16]);
    let new = rig.commit(1, &[(0, 3)]);
    rig.read_under = Uuid([1; 16]);
    let old = rig.commit(1, &[(0, 10), (1, 10)]);
    set_topic_id(&mut rig.cluster, 2);
    rig.answer(committed(&[(1, ErrorCode::None)]));
    assert_eq!(asked(&rig), [(0, 3)]);
    let request: OffsetCommitRequest = rig.asked(ApiKey::OffsetCommit);
    assert_eq!(request.topics[0].topic_id, Uuid([2; 16]));
    rig.answer(committed(&[(0, ErrorCode::None)]));
    let events = rig.events();
    assert_eq!(failures(&events), [(old, ErrorKind::StaleCommit)]);
    assert!(events.contains(&done(first)) && events.contains(&done(new)));
}

/// Found by the simulator, plan remade: it was sent again under the id of the topic made anew.
#[test]
fn case_d1_an_offset_of_no_known_id_keeps_the_one_it_was_committed_under() {
    let mut rig = Rig::stable();
    set_topic_id(&mut rig.cluster, 1);
    let id = rig.commit(1, &[(0, 10)]);
    let request: OffsetCommitRequest = rig.asked(ApiKey::OffsetCommit);
    assert_eq!(request.topics[0].topic_id, Uuid([1; 16]));
    let waiting = rig.commit(1, &[(1, 7)]);
    rig.answer(committed(&[(0, ErrorCode::UnknownTopicId)]));
    set_topic_id(&mut rig.cluster, 2);
    rig.sleep(SECOND);
    assert!(rig.asks.is_empty(), "neither that one nor what waited behind it");
    let stale = failures(&rig.events());
    assert_eq!(stale, [(id, ErrorKind::StaleCommit), (waiting, ErrorKind::StaleCommit)]);
}

/// Found by the simulator, remade 5500069. Java gives such a commit up as well.
#[test]
fn case_d1_without_ids_what_was_gone_once_may_be_another_topic_later() {
    let mut rig = Rig::stable();
    set_topic_id(&mut rig.cluster, 0);
    let id = rig.commit(1, &[(0, 10), (1, 10)]);
    rig.answer(committed(&[
        (0, ErrorCode::UnknownTopicOrPartition),
        (1, ErrorCode::CoordinatorLoadInProgress),
    ]));
    rig.sleep(SECOND);
    assert_eq!(asked(&rig), [(1, 10)], "the other one is sent again");
    rig.answer(committed(&[(1, ErrorCode::None)]));
    assert_eq!(failures(&rig.events()), [(id, ErrorKind::Broker(ErrorCode::UnknownTopicOrPartition))]);
}

#[test]
fn case_d1_without_ids_offsets_are_committed_by_name() {
    for (read_under, is) in [(0, 0), (0, 2), (1, 0)] {
        let mut rig = Rig::stable();
        (rig.read_under, _) = (Uuid([read_under; 16]), set_topic_id(&mut rig.cluster, is));
        let id = rig.commit(1, &[(0, 10)]);
        rig.answer(committed(&[(0, ErrorCode::None)]));
        assert_eq!(rig.events(), [done(id)], "{read_under} {is}");
    }
}

/// Below version 10 a topic has no id: what the answer says of one without a name is of no partition of ours.
#[test]
fn case_m5_a_nameless_item_of_an_answer_is_of_no_topic() {
    use kafka_proto::messages::offset_commit::OffsetCommitResponseTopic;
    for (said, nameless) in [
        (ErrorCode::TopicAuthorizationFailed, ErrorCode::None),
        (ErrorCode::None, ErrorCode::TopicAuthorizationFailed),
    ] {
        let mut rig = Rig::stable();
        let id = rig.commit(1, &[(0, 6)]);
        let ResponseKind::OffsetCommit(mut answer) = committed(&[(0, said)]) else { panic!() };
        let ResponseKind::OffsetCommit(other) = committed(&[(0, nameless)]) else { panic!() };
        let topics = other.topics.into_iter();
        let nameless = topics.map(|t| OffsetCommitResponseTopic { name: "".into(), ..t });
        answer.topics.extend(nameless);
        rig.answer(answer.into());
        let [GroupEvent::Committed { id: told, result }] = &rig.events()[..] else { panic!() };
        assert_eq!((*told, result.is_ok()), (id, said == ErrorCode::None));
    }
}
