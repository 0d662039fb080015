//! Leaving, from every state.

use super::rig::*;
use crate::error::ErrorKind;
use crate::group::{GroupConfig, GroupEvent};
use crate::machine::{Lane, MachineId};
use kafka_proto::ApiKey;
use kafka_proto::ResponseKind;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::leave_group::LeaveGroupRequest;

#[test]
fn a_member_leaves_by_name_on_its_lane() {
    let mut rig = Rig::stable();
    rig.leave();
    let leave: LeaveGroupRequest = rig.asked(ApiKey::LeaveGroup);
    assert_eq!(&*leave.members[0].member_id, "m");
    assert_eq!(rig.asks[0].lane, Lane::Group(MachineId(7)));
    assert_eq!(rig.events(), []);
    rig.answer(left(ErrorCode::None));
    assert_eq!(rig.events(), [GroupEvent::Left]);
    assert!(rig.machine.is_quiescent() && rig.machine.topics().is_empty());
    assert_eq!(rig.machine.poll_timeout(), None);
}

#[test]
fn commits_go_before_leaving_and_heartbeats_go_on_meanwhile() {
    let mut rig = Rig::stable();
    let first = rig.commit(1, &[(0, 1)]);
    let second = rig.commit(1, &[(0, 2)]);
    rig.leave();
    let late = rig.commit(1, &[(0, 3)]);
    assert_eq!(rig.keys(), [ApiKey::OffsetCommit]);
    rig.answer(committed(&[(0, ErrorCode::CoordinatorLoadInProgress)]));
    rig.sleep(3 * SECOND);
    rig.answer(heartbeat(ErrorCode::RebalanceInProgress));
    rig.answer(committed(&[(0, ErrorCode::None)]));
    assert_eq!(rig.keys(), [ApiKey::LeaveGroup]);
    rig.answer(left(ErrorCode::None));
    let events = rig.events();
    let [GroupEvent::Committed { id: refused, result: Err(closed) }, rest @ ..] = &events[..] else {
        panic!()
    };
    assert!(*refused == late && *closed.kind() == ErrorKind::Closed);
    let done = |id| GroupEvent::Committed { id, result: Ok(()) };
    assert_eq!(rest, [done(first), done(second), GroupEvent::Left]);
}

#[test]
fn leaving_takes_no_longer_than_its_patience() {
    let mut rig = Rig::stable();
    rig.leave();
    rig.answer(left(ErrorCode::NotCoordinator));
    assert!(rig.told_to_look_up());
    rig.sleep(SECOND);
    rig.fail(ApiKey::LeaveGroup, lost());
    rig.sleep(4 * SECOND);
    assert_eq!(rig.events(), [GroupEvent::Left]);
    assert!(!rig.machine.is_quiescent(), "one is still open");
    rig.fail(ApiKey::LeaveGroup, lost());
    assert!(rig.machine.is_quiescent());
    assert_eq!(rig.events(), []);
}

#[test]
fn scenario_g11_leaving_overtakes_a_join_that_waits() {
    let mut rig = Rig::stable();
    rig.rebalance();
    rig.revoked(1);
    rig.leave();
    let leave = rig.take(ApiKey::LeaveGroup);
    assert_eq!(leave.lane, Lane::Other, "the join is parked on the group's lane");
    rig.give(leave, Ok(left(ErrorCode::None)));
    rig.answer(join_ok("m", 2, true, &["t"]));
    let events = rig.events();
    assert!(matches!(events[..], [GroupEvent::Revoking { .. }, GroupEvent::Left]), "{events:?}");
    assert!(rig.machine.is_quiescent());
}

#[test]
fn scenario_g11_an_assignment_that_arrives_while_leaving_is_not_told() {
    let mut rig = Rig::new();
    rig.answer(join_ok("m", 1, false, &["t"]));
    rig.leave();
    rig.answer(sync_ok(blob(&[("t", 0)])));
    assert_eq!(rig.keys(), [ApiKey::LeaveGroup]);
    rig.answer(left(ErrorCode::UnknownMemberId));
    assert_eq!(rig.events(), [GroupEvent::Left]);
}

#[test]
fn a_first_join_is_waited_for_to_know_whom_to_take_out() {
    for required in [true, false] {
        let mut rig = Rig::new();
        rig.leave();
        assert_eq!(rig.keys(), [ApiKey::JoinGroup]);
        let ResponseKind::JoinGroup(mut answer) = join_ok("m", 1, true, &["t"]) else { panic!() };
        if required {
            answer.error_code = code(ErrorCode::MemberIdRequired);
        }
        rig.answer(answer.into());
        assert_eq!(&*rig.asked::<LeaveGroupRequest>(ApiKey::LeaveGroup).members[0].member_id, "m");
        rig.answer(left(ErrorCode::None));
        assert_eq!(rig.events(), [GroupEvent::Left]);
    }
    let mut rig = Rig::new();
    rig.leave();
    rig.sleep(5 * SECOND);
    assert_eq!(rig.events(), [GroupEvent::Left], "but not for ever");
}

#[test]
fn who_never_joined_has_left_at_once() {
    let mut rig = Rig::with(GroupConfig::new("g"));
    rig.leave();
    assert_eq!(rig.events(), [GroupEvent::Left]);
    let mut rig = Rig::new();
    rig.fail(ApiKey::JoinGroup, lost());
    rig.leave();
    assert_eq!(rig.events(), [GroupEvent::Left]);
}

#[test]
fn a_static_member_says_nothing() {
    let mut config = GroupConfig::new("g");
    config.instance_id = Some("i".into());
    let mut rig = Rig::with(config);
    rig.subscribe(&["t"]);
    rig.become_stable();
    rig.events();
    rig.leave();
    assert_eq!(rig.events(), [GroupEvent::Left]);
    assert!(rig.asks.is_empty());
}

#[test]
fn leaving_twice_is_leaving_once_and_coming_back_is_possible() {
    let mut rig = Rig::stable();
    rig.leave();
    rig.leave();
    rig.subscribe(&["t"]);
    rig.answer(left(ErrorCode::None));
    assert_eq!(rig.events(), [GroupEvent::Left]);
    rig.become_stable();
    assert_eq!(rig.events(), [assigned(2, 1, &[("t", 0, Some(5)), ("t", 1, None)])]);
}

#[test]
fn an_expelled_member_that_is_leaving_has_left() {
    let mut rig = Rig::stable();
    let id = rig.commit(1, &[(0, 1)]);
    rig.leave();
    rig.answer(committed(&[(0, ErrorCode::UnknownMemberId)]));
    let events = rig.events();
    assert!(
        matches!(&events[..], [GroupEvent::Committed { id: i, result: Err(_) }, GroupEvent::Left] if *i == id),
        "{events:?}"
    );
}

#[test]
fn nobody_out_there_is_no_reason_to_hang() {
    let mut rig = Rig::stable();
    rig.commit_within(2 * SECOND, 1, &[(0, 1)]);
    rig.leave();
    rig.sleep(2 * SECOND);
    assert!(matches!(rig.events()[..], [GroupEvent::Committed { result: Err(_), .. }]));
    rig.sleep(5 * SECOND);
    assert_eq!(rig.events(), [GroupEvent::Left]);
    rig.fail(ApiKey::OffsetCommit, lost());
    rig.fail(ApiKey::LeaveGroup, lost());
    assert!(rig.machine.is_quiescent());
}

/// A coordinator that lets several members go in one answer tells of each.
#[test]
fn case_m5_what_is_said_of_another_member_does_not_hold_us_back() {
    use kafka_proto::messages::leave_group::{LeaveGroupResponse, MemberResponse};
    let said = |id: &str, error: ErrorCode| MemberResponse {
        member_id: id.into(),
        error_code: code(error),
        ..Default::default()
    };
    let mut rig = Rig::stable();
    rig.leave();
    let others = [said("n", ErrorCode::CoordinatorLoadInProgress), said("", ErrorCode::NotCoordinator)];
    let members = others.into_iter().chain([said("m", ErrorCode::None)]).collect();
    rig.answer(LeaveGroupResponse { members, ..Default::default() }.into());
    assert_eq!(rig.events(), [GroupEvent::Left]);
}
