use super::*;
use kafka_proto::Str;
use kafka_proto::messages::heartbeat::HeartbeatRequest;
use kafka_proto::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use kafka_proto::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use kafka_proto::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse};

const JOIN: i16 = 7;

fn join(member: &str) -> JoinGroupRequest {
    join_with(member, &["range"])
}

fn join_with(member: &str, protocols: &[&str]) -> JoinGroupRequest {
    let protocol = |name: &&str| JoinGroupRequestProtocol {
        name: (*name).into(),
        metadata: Bytes::from_static(b"m"),
        ..Default::default()
    };
    JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 20_000,
        member_id: member.into(),
        protocol_type: "consumer".into(),
        protocols: protocols.iter().map(protocol).collect(),
        ..Default::default()
    }
}

fn sync(joined: &JoinGroupResponse, assignments: &[(&str, &'static str)]) -> SyncGroupRequest {
    let assignment = |(member, part): &(&str, &'static str)| SyncGroupRequestAssignment {
        member_id: (*member).into(),
        assignment: Bytes::from_static(part.as_bytes()),
        ..Default::default()
    };
    SyncGroupRequest {
        group_id: "g".into(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        protocol_type: Some("consumer".into()),
        protocol_name: joined.protocol_name.clone(),
        assignments: assignments.iter().map(assignment).collect(),
        ..Default::default()
    }
}

fn beat(member: &str, generation_id: i32) -> HeartbeatRequest {
    HeartbeatRequest { group_id: "g".into(), generation_id, member_id: member.into(), ..Default::default() }
}

fn leave(member: &str) -> LeaveGroupRequest {
    let members = vec![MemberIdentity { member_id: member.into(), ..Default::default() }];
    LeaveGroupRequest { group_id: "g".into(), members, ..Default::default() }
}

impl Rig {
    /// The member id a first join is told.
    fn member_id(&mut self) -> Str {
        let told = self.call(0, JOIN, join(""));
        assert_eq!(error(told.error_code), ErrorCode::MemberIdRequired);
        told.member_id
    }

    fn beat(&mut self, member: &str, generation: i32) -> ErrorCode {
        error(self.call(0, 4, beat(member, generation)).error_code)
    }

    fn joined(&mut self, parked: Parked) -> JoinGroupResponse {
        self.answer::<JoinGroupRequest>(parked).expect("the join is answered")
    }

    /// A stable group of one.
    fn alone(&mut self) -> JoinGroupResponse {
        let member = self.member_id();
        let joined = self.call(0, JOIN, join(&member));
        assert_eq!(error(joined.error_code), ErrorCode::None);
        let synced = self.call(0, 5, sync(&joined, &[(&member, "all")]));
        assert_eq!(synced.assignment, "all");
        joined
    }

    /// A stable group of two: the leader, then the follower.
    fn pair(&mut self) -> (JoinGroupResponse, JoinGroupResponse) {
        let (first, second) = (self.alone().member_id, self.member_id());
        let waiting = self.park(0, JOIN, join(&second));
        let leader = self.call(0, JOIN, join(&first));
        let follower = self.joined(waiting);
        let waiting = self.park(0, 5, sync(&follower, &[]));
        let assignments = [(&*first, "one"), (&*second, "two")];
        assert_eq!(self.call(0, 5, sync(&leader, &assignments)).assignment, "one");
        assert_eq!(self.answer::<SyncGroupRequest>(waiting).unwrap().assignment, "two");
        (leader, follower)
    }
}

#[test]
fn a_first_join_is_told_its_id_and_comes_back_with_it() {
    let mut rig = Rig::new(1);
    let member = rig.member_id();
    assert!(member.starts_with("tester-"));
    let joined = rig.call(0, JOIN, join(&member));
    assert_eq!((error(joined.error_code), joined.generation_id), (ErrorCode::None, 1));
    assert_eq!((&joined.leader, joined.members.len()), (&member, 1));
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    // Older versions join at once.
    let mut old = Rig::new(1);
    assert_eq!(error(old.call(0, 3, join("")).error_code), ErrorCode::None);
}

#[test]
fn two_members_share_a_generation_and_only_the_leader_sees_all() {
    let mut rig = Rig::new(1);
    let (leader, follower) = rig.pair();
    assert_eq!((leader.generation_id, follower.generation_id), (2, 2));
    assert_eq!((leader.members.len(), follower.members.len()), (2, 0));
    assert_eq!(follower.leader, leader.member_id);
    assert_eq!(rig.beat(&leader.member_id, 2), ErrorCode::None);
    assert_eq!(rig.beat(&follower.member_id, 1), ErrorCode::IllegalGeneration);
    assert_eq!(rig.beat("stranger", 2), ErrorCode::UnknownMemberId);
}

#[test]
fn members_hear_of_a_rebalance_by_their_heartbeat() {
    let mut rig = Rig::new(1);
    let first = rig.alone().member_id;
    let second = rig.member_id();
    let waiting = rig.park(0, JOIN, join(&second));
    assert_eq!(rig.beat(&first, 1), ErrorCode::RebalanceInProgress);
    rig.call(0, JOIN, join(&first));
    assert_eq!(rig.joined(waiting).generation_id, 2);
}

#[test]
fn who_does_not_join_again_in_time_is_out() {
    let mut rig = Rig::new(1);
    let first = rig.alone().member_id;
    let second = rig.member_id();
    let waiting = rig.park(0, JOIN, join(&second));
    for _ in 0..3 {
        rig.sleep(6_000);
        assert_eq!(rig.beat(&first, 1), ErrorCode::RebalanceInProgress);
    }
    assert!(rig.outcome(waiting).is_none());
    rig.sleep(2_000);
    let joined = rig.joined(waiting);
    assert_eq!((joined.generation_id, joined.members.len()), (2, 1));
    assert_eq!(rig.beat(&first, 2), ErrorCode::UnknownMemberId);
}

#[test]
fn who_is_not_heard_of_is_out_after_the_session_timeout() {
    let mut rig = Rig::new(1);
    let (leader, follower) = rig.pair();
    rig.sleep(9_000);
    assert_eq!(rig.beat(&leader.member_id, 2), ErrorCode::None);
    rig.sleep(1_000);
    assert_eq!(rig.beat(&leader.member_id, 2), ErrorCode::RebalanceInProgress);
    let alone = rig.call(0, JOIN, join(&leader.member_id));
    assert_eq!((alone.generation_id, alone.members.len()), (3, 1));
    assert_eq!(rig.beat(&follower.member_id, 3), ErrorCode::UnknownMemberId);
}

#[test]
fn a_member_id_that_is_not_used_is_forgotten() {
    let mut rig = Rig::new(1);
    let member = rig.member_id();
    rig.sleep(10_000);
    assert_eq!(error(rig.call(0, JOIN, join(&member)).error_code), ErrorCode::UnknownMemberId);
}

#[test]
fn leaving_rebalances_the_others_and_the_last_one_empties_the_group() {
    let mut rig = Rig::new(1);
    let (leader, follower) = rig.pair();
    let left = rig.call(0, 4, leave(&follower.member_id));
    assert_eq!(error(left.members[0].error_code), ErrorCode::None);
    let again = rig.call(0, 4, leave(&follower.member_id));
    assert_eq!(error(again.members[0].error_code), ErrorCode::UnknownMemberId);
    assert_eq!(rig.beat(&leader.member_id, 2), ErrorCode::RebalanceInProgress);
    rig.call(0, 4, leave(&leader.member_id));
    assert_eq!(rig.cluster.groups.get("g").unwrap().state.name(), "Empty");
}

#[test]
fn a_protocol_that_all_can_do_is_chosen_by_vote() {
    let mut rig = Rig::new(1);
    let first = rig.member_id();
    rig.call(0, JOIN, join_with(&first, &["sticky", "range", "roundrobin"]));
    let second = rig.member_id();
    let third = rig.member_id();
    let a = rig.park(0, JOIN, join_with(&second, &["roundrobin", "range"]));
    let b = rig.park(0, JOIN, join_with(&third, &["roundrobin", "range"]));
    let leader = rig.call(0, JOIN, join_with(&first, &["sticky", "range", "roundrobin"]));
    assert_eq!(leader.protocol_name.as_deref(), Some("roundrobin"));
    assert_eq!(rig.joined(a).protocol_name, rig.joined(b).protocol_name);
    let stranger = rig.call(0, JOIN, join_with("", &["other"]));
    assert_eq!(error(stranger.error_code), ErrorCode::InconsistentGroupProtocol);
    let other_type = JoinGroupRequest { protocol_type: "connect".into(), ..join("") };
    assert_eq!(error(rig.call(0, JOIN, other_type).error_code), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(error(rig.call(0, JOIN, join_with("", &[])).error_code), ErrorCode::InconsistentGroupProtocol);
}

#[test]
fn session_timeouts_are_bounded_and_groups_may_be_full() {
    let mut rig = Rig::configured(1, |config| config.group_max_size = 1);
    for session_timeout_ms in [5_999, 1_800_001, -1] {
        let refused = rig.call(0, JOIN, JoinGroupRequest { session_timeout_ms, ..join("") });
        assert_eq!(error(refused.error_code), ErrorCode::InvalidSessionTimeout);
    }
    rig.alone();
    assert_eq!(error(rig.call(0, JOIN, join("")).error_code), ErrorCode::GroupMaxSizeReached);
    let nameless = JoinGroupRequest { group_id: "".into(), ..join("") };
    assert_eq!(error(rig.call(0, JOIN, nameless).error_code), ErrorCode::InvalidGroupId);
}

#[test]
fn a_rebalance_while_syncing_sends_everyone_back() {
    let mut rig = Rig::new(1);
    let first = rig.alone().member_id;
    let second = rig.member_id();
    let waiting = rig.park(0, JOIN, join(&second));
    rig.call(0, JOIN, join(&first));
    let follower = rig.joined(waiting);
    let syncing = rig.park(0, 5, sync(&follower, &[]));
    let third = rig.member_id();
    rig.park(0, JOIN, join(&third));
    let answer: SyncGroupResponse = rig.answer::<SyncGroupRequest>(syncing).unwrap();
    assert_eq!(error(answer.error_code), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_sync_must_fit_the_generation_and_the_protocol() {
    let mut rig = Rig::new(1);
    let joined = rig.alone();
    let mut late = sync(&joined, &[]);
    assert_eq!(rig.call(0, 5, late.clone()).assignment, "all");
    late.generation_id = 0;
    assert_eq!(error(rig.call(0, 5, late.clone()).error_code), ErrorCode::IllegalGeneration);
    late.generation_id = 1;
    late.protocol_name = Some("other".into());
    assert_eq!(error(rig.call(0, 5, late.clone()).error_code), ErrorCode::InconsistentGroupProtocol);
    late.member_id = "stranger".into();
    assert_eq!(error(rig.call(0, 5, late).error_code), ErrorCode::UnknownMemberId);
}

#[test]
fn a_leader_that_never_assigns_is_dropped() {
    let mut rig = Rig::new(1);
    let first = rig.alone().member_id;
    let second = rig.member_id();
    let waiting = rig.park(0, JOIN, join(&second));
    rig.call(0, JOIN, join(&first));
    let follower = rig.joined(waiting);
    let syncing = rig.park(0, 5, sync(&follower, &[]));
    for _ in 0..2 {
        rig.sleep(8_000);
        assert_eq!(rig.beat(&first, 2), ErrorCode::None);
    }
    assert!(rig.outcome(syncing).is_none());
    rig.sleep(4_000);
    let answer = rig.answer::<SyncGroupRequest>(syncing).unwrap();
    assert_eq!(error(answer.error_code), ErrorCode::RebalanceInProgress);
    assert_eq!(rig.beat(&first, 2), ErrorCode::UnknownMemberId);
}

#[test]
fn a_follower_that_joins_again_gets_its_generation_a_leader_a_new_one() {
    let mut rig = Rig::new(1);
    let (leader, follower) = rig.pair();
    assert_eq!(rig.call(0, JOIN, join(&follower.member_id)).generation_id, 2);
    let waiting = rig.park(0, JOIN, join(&leader.member_id));
    assert_eq!(rig.call(0, JOIN, join(&follower.member_id)).generation_id, 3);
    assert_eq!(rig.joined(waiting).generation_id, 3);
}

#[test]
fn the_first_rebalance_can_wait_for_more_members() {
    let mut rig = Rig::configured(1, |config| config.group_initial_rebalance_delay = Duration::from_secs(3));
    let (first, second) = (rig.member_id(), rig.member_id());
    let a = rig.park(0, JOIN, join(&first));
    rig.sleep(2_000);
    let b = rig.park(0, JOIN, join(&second));
    rig.sleep(1_000);
    let (a, b) = (rig.joined(a), rig.joined(b));
    assert_eq!((a.generation_id, b.generation_id), (1, 1));
    assert_eq!(a.members.len() + b.members.len(), 2);
}

#[test]
fn only_the_coordinator_answers() {
    let mut rig = Rig::new(3);
    let coordinator = rig.cluster.ensure_coordinator("g");
    for node in 0..3 {
        let answer = rig.call(node, 4, beat("m", 1));
        let expected =
            if node == coordinator { ErrorCode::UnknownMemberId } else { ErrorCode::NotCoordinator };
        assert_eq!(error(answer.error_code), expected);
    }
}

#[test]
fn a_new_coordinator_knows_the_last_stable_generation() {
    let mut rig = Rig::new(1);
    let member = rig.alone().member_id;
    let newcomer = rig.member_id();
    let waiting = rig.park(0, JOIN, join(&newcomer));
    rig.cluster.kill(rig.now, 0).unwrap();
    assert_eq!(rig.outcome(waiting), Some(Outcome::Close));
    rig.cluster.restart(rig.now, 0).unwrap();
    assert_eq!(rig.beat(&member, 1), ErrorCode::None);
    assert_eq!(error(rig.call(0, JOIN, join(&newcomer)).error_code), ErrorCode::UnknownMemberId);
    rig.sleep(10_000);
    assert_eq!(rig.beat(&member, 1), ErrorCode::UnknownMemberId);
}

mod static_members {
    use super::*;

    fn join_as(instance: &str, member: &str) -> JoinGroupRequest {
        JoinGroupRequest { group_instance_id: Some(instance.into()), ..join(member) }
    }

    fn stable(rig: &mut Rig) -> JoinGroupResponse {
        let joined = rig.call(0, JOIN, join_as("i", ""));
        assert_eq!(error(joined.error_code), ErrorCode::None);
        let request = SyncGroupRequest {
            group_instance_id: Some("i".into()),
            ..sync(&joined, &[(&joined.member_id, "part")])
        };
        assert_eq!(rig.call(0, 5, request).assignment, "part");
        joined
    }

    #[test]
    fn come_back_under_their_name_without_a_rebalance() {
        let mut rig = Rig::new(1);
        let before = stable(&mut rig);
        let after = rig.call(0, 9, join_as("i", ""));
        assert_eq!((error(after.error_code), after.generation_id), (ErrorCode::None, before.generation_id));
        assert_ne!(after.member_id, before.member_id);
        assert!(after.skip_assignment);
        let fenced = HeartbeatRequest { group_instance_id: Some("i".into()), ..beat(&before.member_id, 1) };
        assert_eq!(error(rig.call(0, 4, fenced).error_code), ErrorCode::FencedInstanceId);
        let request = SyncGroupRequest { group_instance_id: Some("i".into()), ..sync(&after, &[]) };
        assert_eq!(rig.call(0, 5, request).assignment, "part");
    }

    #[test]
    fn of_old_clients_are_not_made_to_assign_again() {
        let mut rig = Rig::new(1);
        let before = stable(&mut rig);
        let after = rig.call(0, JOIN, join_as("i", ""));
        assert_eq!(after.leader, before.member_id);
        assert!(after.members.is_empty());
    }

    #[test]
    fn stay_until_their_session_ends() {
        let mut rig = Rig::new(1);
        stable(&mut rig);
        rig.sleep(9_999);
        assert_eq!(rig.cluster.groups.get("g").unwrap().members.len(), 1);
        rig.sleep(1);
        assert_eq!(rig.cluster.groups.get("g").unwrap().members.len(), 0);
    }
}
