//! Heartbeats, rebalances and losing the membership.

use super::rig::*;
use crate::error::{Error, ErrorKind};
use crate::group::{GroupConfig, GroupEvent};
use kafka_proto::ApiKey;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::heartbeat::HeartbeatRequest;
use kafka_proto::messages::join_group::JoinGroupRequest;
use std::time::Duration;

fn member_id(rig: &Rig) -> String {
    rig.asked::<JoinGroupRequest>(ApiKey::JoinGroup).member_id.to_string()
}

#[test]
fn heartbeats_go_every_three_seconds_and_depend_on_nothing_but_time() {
    let mut rig = Rig::stable();
    for _ in 0..100 {
        assert!(rig.asks.is_empty());
        rig.sleep(3 * SECOND);
        let beat: HeartbeatRequest = rig.asked(ApiKey::Heartbeat);
        assert_eq!((beat.generation_id, &*beat.member_id), (1, "m"));
        rig.answer(heartbeat(ErrorCode::None));
    }
    assert_eq!(rig.events(), []);
}

#[test]
fn a_heartbeat_that_is_due_within_a_third_of_its_interval_goes_with_what_woke_the_client() {
    let mut rig = Rig::stable();
    rig.sleep(SECOND);
    rig.machine.heartbeat_if_due_soon(rig.now);
    rig.sleep(SECOND);
    assert!(rig.asks.is_empty(), "the second before was too early");
    rig.machine.heartbeat_if_due_soon(rig.now);
    rig.sleep(Duration::ZERO);
    rig.answer(heartbeat(ErrorCode::None));
    rig.sleep(2 * SECOND);
    assert!(rig.asks.is_empty());
    rig.sleep(SECOND);
    assert_eq!(rig.keys(), [ApiKey::Heartbeat], "an interval after the early one");
}

#[test]
fn nothing_beats_while_a_join_or_sync_is_open() {
    let mut rig = Rig::new();
    rig.sleep(40 * SECOND);
    assert_eq!(rig.keys(), [ApiKey::JoinGroup]);
    rig.answer(join_ok("m", 1, false, &["t"]));
    rig.sleep(40 * SECOND);
    assert_eq!(rig.keys(), [ApiKey::SyncGroup]);
}

#[test]
fn a_rebalance_is_asked_of_the_application_and_heartbeats_go_on_meanwhile() {
    let mut rig = Rig::stable();
    let calm = rig.now;
    rig.rebalance();
    let events = rig.events();
    let [GroupEvent::Revoking { assignment: 1, deadline }] = events[..] else { panic!("{events:?}") };
    assert_eq!(deadline, calm + MINUTE, "the coordinator may count from the last quiet heartbeat on");
    for _ in 0..5 {
        rig.sleep(3 * SECOND);
        rig.answer(heartbeat(ErrorCode::RebalanceInProgress));
    }
    assert_eq!(rig.events(), [], "asked once");
    rig.revoked(2);
    assert!(rig.asks.is_empty(), "of another assignment");
    rig.revoked(1);
    assert_eq!((rig.keys(), member_id(&rig)), (vec![ApiKey::JoinGroup], "m".to_owned()));
    rig.answer(join_ok("m", 2, false, &["t"]));
    rig.answer(sync_ok(blob(&[("t", 1)])));
    rig.answer(offsets(&[("t", 1, 3)]));
    assert_eq!(rig.events(), [assigned(2, 2, &[("t", 1, Some(3))])]);
}

#[test]
fn without_an_answer_by_the_deadline_the_partitions_are_lost() {
    let mut rig = Rig::stable();
    rig.rebalance();
    for _ in 0..18 {
        rig.sleep(3 * SECOND);
        rig.answer(heartbeat(ErrorCode::RebalanceInProgress));
    }
    assert_eq!(rig.events().len(), 1);
    rig.sleep(3 * SECOND);
    let events = rig.events();
    assert!(
        matches!(&events[..], [GroupEvent::Lost { assignment: 1, error }]
        if matches!(error.kind(), ErrorKind::TimedOut { .. })),
        "{events:?}"
    );
    rig.revoked(1);
    assert_eq!(rig.keys(), [ApiKey::JoinGroup]);
}

#[test]
fn an_assignment_without_partitions_is_given_up_without_asking() {
    let mut rig = Rig::new();
    rig.answer(join_ok("m", 1, false, &["t"]));
    rig.answer(sync_ok(blob(&[])));
    rig.events();
    rig.rebalance();
    assert_eq!(rig.keys(), [ApiKey::JoinGroup]);
    assert_eq!(rig.events(), []);
}

#[test]
fn a_rebalance_while_offsets_are_fetched_joins_at_once() {
    let mut rig = Rig::new();
    rig.answer(join_ok("m", 1, false, &["t"]));
    rig.answer(sync_ok(blob(&[("t", 0)])));
    rig.rebalance();
    let late = rig.take(ApiKey::OffsetFetch);
    assert_eq!(rig.keys(), [ApiKey::JoinGroup]);
    rig.give(late, Ok(offsets(&[("t", 0, 1)])));
    assert_eq!(rig.events(), [], "the answer is of a generation that is over");
}

#[test]
fn an_expelled_member_loses_its_partitions_and_joins_at_once() {
    for (error, id) in [(ErrorCode::UnknownMemberId, ""), (ErrorCode::IllegalGeneration, "m")] {
        let mut rig = Rig::stable();
        rig.sleep(3 * SECOND);
        rig.answer(heartbeat(error));
        let events = rig.events();
        assert!(
            matches!(&events[..], [GroupEvent::Lost { assignment: 1, error: e }] if e.code() == Some(error))
        );
        assert_eq!((rig.keys(), member_id(&rig)), (vec![ApiKey::JoinGroup], id.to_owned()));
        rig.become_stable();
        assert_eq!(rig.events(), [assigned(2, 1, &[("t", 0, Some(5)), ("t", 1, None)])]);
    }
}

#[test]
fn scenario_g16_a_moving_coordinator_is_not_told_by_heartbeats() {
    for error in
        [ErrorCode::NotCoordinator, ErrorCode::CoordinatorNotAvailable, ErrorCode::CoordinatorLoadInProgress]
    {
        let mut rig = Rig::stable();
        rig.sleep(3 * SECOND);
        for _ in 0..5 {
            rig.answer(heartbeat(error));
            assert_eq!(rig.told_to_look_up(), error != ErrorCode::CoordinatorLoadInProgress);
            rig.sleep(SECOND);
        }
        rig.answer(heartbeat(ErrorCode::None));
        assert_eq!(rig.events(), []);
    }
}

#[test]
fn a_session_without_any_answer_ends_as_lost() {
    let mut rig = Rig::stable();
    rig.sleep(3 * SECOND);
    rig.answer(heartbeat(ErrorCode::None));
    rig.sleep(3 * SECOND);
    rig.fail(ApiKey::Heartbeat, lost());
    assert!(rig.told_to_look_up());
    rig.sleep(41 * SECOND);
    assert_eq!(rig.events(), []);
    rig.sleep(SECOND);
    let events = rig.events();
    let [GroupEvent::Lost { assignment: 1, error }] = &events[..] else { panic!("{events:?}") };
    assert!(matches!(error.kind(), ErrorKind::TimedOut { last: Some(last), .. } if *last == lost()));
    assert_eq!(member_id(&rig), "m", "the coordinator may still know us");
    rig.fail(ApiKey::Heartbeat, lost());
    rig.become_stable();
    assert_eq!(rig.events().len(), 1);
    rig.sleep(3 * SECOND);
    assert_eq!(rig.keys(), [ApiKey::Heartbeat]);
}

#[test]
fn the_session_counts_from_when_a_heartbeat_was_sent_not_answered() {
    let mut rig = Rig::stable();
    rig.sleep(3 * SECOND);
    let sent = rig.now;
    rig.sleep(10 * SECOND);
    rig.answer(heartbeat(ErrorCode::None));
    rig.fail(ApiKey::Heartbeat, lost());
    assert_eq!(rig.machine.session_end(), Some(sent + 45 * SECOND));
}

#[test]
fn a_heartbeat_is_given_up_early_enough_for_another() {
    let mut rig = Rig::stable();
    rig.sleep(3 * SECOND);
    assert_eq!(rig.take(ApiKey::Heartbeat).timeout, 15 * SECOND);
    let mut config = GroupConfig::new("g");
    (config.session_timeout, config.heartbeat_interval) = (6 * SECOND, 4 * SECOND);
    let mut rig = Rig::with(config);
    rig.subscribe(&["t"]);
    rig.become_stable();
    rig.sleep(4 * SECOND);
    assert_eq!(rig.take(ApiKey::Heartbeat).timeout, 4 * SECOND);
}

#[test]
fn missing_rights_are_told_once_and_the_session_goes_its_way() {
    let mut rig = Rig::stable();
    rig.sleep(3 * SECOND);
    while rig.keys() == [ApiKey::Heartbeat] {
        rig.fail(ApiKey::Heartbeat, Error::of_code(ErrorCode::GroupAuthorizationFailed));
        rig.sleep(1100 * MS);
    }
    let events = rig.events();
    assert!(matches!(&events[..], [GroupEvent::Failed(_), GroupEvent::Lost { .. }]), "{events:?}");
}

#[test]
fn what_was_given_up_is_not_lost_as_well() {
    let mut rig = Rig::stable();
    rig.rebalance();
    rig.commit(1, &[(0, 1)]);
    rig.revoked(1);
    rig.events();
    rig.sleep(3 * SECOND);
    rig.answer(heartbeat(ErrorCode::IllegalGeneration));
    assert_eq!(rig.events(), [], "the commit is still on its way");
    assert!(rig.keys().contains(&ApiKey::JoinGroup));
}
