//! From subscribing to the assignment.

use super::rig::*;
use crate::error::ErrorKind;
use crate::group::assignor::{Assignor, Member, Topics};
use crate::group::subscription::{Assignment, Subscription};
use crate::group::{GroupConfig, GroupEvent};
use crate::machine::{Hint, Lane, MachineId};
use crate::snapshot::{Cluster, TopicPartition};
use kafka_proto::ResponseKind;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::join_group::{JoinGroupRequest, JoinGroupResponseMember};
use kafka_proto::messages::offset_fetch::OffsetFetchRequest;
use kafka_proto::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use kafka_proto::{ApiKey, Bytes, Str, Uuid};
use std::sync::Arc;

const TRANSIENT: [ErrorCode; 3] =
    [ErrorCode::CoordinatorLoadInProgress, ErrorCode::CoordinatorNotAvailable, ErrorCode::NotCoordinator];

#[test]
fn a_first_join_names_the_settings_and_goes_on_with_the_id_it_is_given() {
    let mut rig = Rig::new();
    let join: JoinGroupRequest = rig.asked(ApiKey::JoinGroup);
    assert_eq!((join.session_timeout_ms, join.rebalance_timeout_ms), (45_000, 60_000));
    assert_eq!((&*join.group_id, &*join.member_id, &*join.protocol_type), ("g", "", "consumer"));
    assert_eq!(
        join.protocols.iter().map(|p| p.name.to_string()).collect::<Vec<_>>(),
        ["range", "roundrobin"]
    );
    assert_eq!(Subscription::decode(&join.protocols[0].metadata).unwrap().topics, ["t"]);
    assert_eq!(rig.asks[0].lane, Lane::Group(MachineId(7)));

    let ResponseKind::JoinGroup(mut answer) = join_error(ErrorCode::MemberIdRequired) else { panic!() };
    answer.member_id = "m-1".into();
    rig.answer(answer.into());
    assert_eq!(&*rig.asked::<JoinGroupRequest>(ApiKey::JoinGroup).member_id, "m-1");
    assert_eq!(rig.events(), []);
}

#[test]
fn a_sole_member_leads_assigns_restores_and_is_told() {
    let mut rig = Rig::new();
    rig.answer(join_ok("m", 9, true, &["t"]));
    let sync: SyncGroupRequest = rig.asked(ApiKey::SyncGroup);
    assert_eq!((sync.generation_id, &*sync.member_id), (9, "m"));
    assert_eq!(
        (sync.protocol_type.as_deref(), sync.protocol_name.as_deref()),
        (Some("consumer"), Some("range"))
    );
    let given = Assignment::decode(&sync.assignments[0].assignment).unwrap().partitions;
    assert_eq!(given, [TopicPartition::new("t", 0), TopicPartition::new("t", 1)]);

    rig.answer(sync_ok(sync.assignments[0].assignment.clone()));
    let fetch: OffsetFetchRequest = rig.asked(ApiKey::OffsetFetch);
    assert!(fetch.require_stable);
    let topics = fetch.groups[0].topics.clone().unwrap();
    assert_eq!((&*topics[0].name, topics[0].partition_indexes.to_vec()), ("t", vec![0, 1]));
    assert_eq!(rig.events(), []);

    rig.answer(offsets(&[("t", 0, 5), ("t", 1, -1)]));
    assert_eq!(rig.events(), [assigned(1, 9, &[("t", 0, Some(5)), ("t", 1, None)])]);
}

#[test]
fn a_follower_sends_no_assignment_and_nothing_means_no_partitions() {
    let mut rig = Rig::new();
    rig.answer(join_ok("m", 2, false, &["t"]));
    assert!(rig.asked::<SyncGroupRequest>(ApiKey::SyncGroup).assignments.is_empty());
    rig.answer(sync_ok(Bytes::new()));
    assert_eq!(rig.events(), [assigned(1, 2, &[])]);
    assert!(rig.asks.is_empty());
}

#[test]
fn scenario_g16_a_coordinator_that_moves_is_never_told_while_joining() {
    for error in TRANSIENT {
        let mut rig = Rig::new();
        let moved = error != ErrorCode::CoordinatorLoadInProgress;
        rig.answer(join_error(error));
        assert_eq!(rig.told_to_look_up(), moved, "{error:?}");
        assert!(rig.asks.is_empty(), "there is a pause");
        rig.sleep(200 * MS);
        rig.answer(join_ok("m", 1, true, &["t"]));

        rig.answer(sync_error(error));
        assert_eq!(rig.told_to_look_up(), moved);
        rig.sleep(400 * MS);
        assert_eq!(&*rig.asked::<JoinGroupRequest>(ApiKey::JoinGroup).member_id, "m");
        rig.answer(join_ok("m", 2, false, &["t"]));
        rig.answer(sync_ok(blob(&[("t", 0)])));

        rig.answer(offsets_with(&[], error));
        assert_eq!(rig.told_to_look_up(), moved);
        rig.sleep(200 * MS);
        rig.answer(offsets(&[("t", 0, 1)]));
        assert_eq!(rig.events(), [assigned(1, 2, &[("t", 0, Some(1))])]);
    }
}

#[test]
fn scenario_g17_a_broken_connection_makes_the_coordinator_be_looked_up() {
    let mut rig = Rig::new();
    for _ in 0..5 {
        rig.fail(ApiKey::JoinGroup, lost());
        assert!(rig.told_to_look_up());
        rig.sleep(1200 * MS);
    }
    rig.become_stable();
    assert_eq!(rig.events().len(), 1);
}

#[test]
fn pauses_grow_from_a_tenth_of_a_second_to_one() {
    let mut rig = Rig::new();
    let mut pauses = Vec::new();
    for _ in 0..8 {
        rig.answer(join_error(ErrorCode::CoordinatorLoadInProgress));
        let at = rig.machine.poll_timeout().unwrap();
        pauses.push((at - rig.now).as_millis());
        rig.sleep(at - rig.now);
    }
    assert!((80..=120).contains(&pauses[0]) && (640..=1000).contains(&pauses[3]), "{pauses:?}");
    assert!(pauses.iter().all(|p| *p <= 1000) && pauses[7] >= 800, "{pauses:?}");
}

#[test]
fn an_unknown_member_joins_as_a_new_one_but_does_not_spin() {
    let mut rig = Rig::new();
    rig.answer(join_ok("m", 1, true, &["t"]));
    rig.answer(sync_error(ErrorCode::UnknownMemberId));
    assert_eq!(&*rig.asked::<JoinGroupRequest>(ApiKey::JoinGroup).member_id, "");
    for _ in 0..3 {
        rig.answer(join_error(ErrorCode::UnknownMemberId));
    }
    assert!(rig.asks.is_empty(), "by now there is a pause");
    rig.sleep(200 * MS);
    assert_eq!(rig.keys(), [ApiKey::JoinGroup]);
    assert_eq!(rig.events(), []);
}

#[test]
fn scenario_g4_a_rebalance_between_join_and_sync_loses_nothing() {
    for error in [ErrorCode::RebalanceInProgress, ErrorCode::IllegalGeneration] {
        let mut rig = Rig::new();
        rig.answer(join_ok("m", 1, false, &["t"]));
        assert!(matches!(rig.commit(1, &[(0, 1)]), 1), "a commit between join and sync is refused");
        assert!(!rig.keys().contains(&ApiKey::OffsetCommit));
        rig.answer(sync_error(error));
        assert_eq!(&*rig.asked::<JoinGroupRequest>(ApiKey::JoinGroup).member_id, "m");
        rig.become_stable();
        let events = rig.events();
        assert!(
            matches!(&events[0], GroupEvent::Committed { id: 1, result: Err(e) } if *e.kind() == ErrorKind::StaleCommit)
        );
        assert_eq!(events[1], assigned(1, 1, &[("t", 0, Some(5)), ("t", 1, None)]));
    }
}

#[test]
fn missing_rights_are_told_once_and_tried_again_rarely() {
    let mut rig = Rig::new();
    for _ in 0..3 {
        rig.answer(join_error(ErrorCode::GroupAuthorizationFailed));
        rig.sleep(4 * SECOND);
        assert!(rig.asks.is_empty());
        rig.sleep(SECOND);
    }
    rig.answer(join_error(ErrorCode::GroupMaxSizeReached));
    rig.sleep(5 * SECOND);
    let told: Vec<_> = rig.events().iter().map(told).collect();
    assert_eq!(told, [Some(ErrorCode::GroupAuthorizationFailed), Some(ErrorCode::GroupMaxSizeReached)]);
    rig.become_stable();
    assert_eq!(rig.events().len(), 1);
}

#[test]
fn settings_and_protocols_the_group_refuses_are_told() {
    for error in
        [ErrorCode::InconsistentGroupProtocol, ErrorCode::InvalidSessionTimeout, ErrorCode::InvalidGroupId]
    {
        let mut rig = Rig::new();
        rig.answer(join_error(error));
        let events = rig.events();
        assert_eq!(events.iter().map(told).collect::<Vec<_>>(), [Some(error)]);
        assert!(matches!(&events[0], GroupEvent::Failed(e) if e.context().group.as_deref() == Some("g")));
    }
}

#[test]
fn a_taken_over_instance_id_ends_the_membership() {
    let mut config = GroupConfig::new("g");
    config.instance_id = Some("i".into());
    let mut rig = Rig::with(config);
    rig.subscribe(&["t"]);
    assert_eq!(rig.asked::<JoinGroupRequest>(ApiKey::JoinGroup).group_instance_id.as_deref(), Some("i"));
    rig.become_stable();
    rig.events();
    rig.sleep(3 * SECOND);
    rig.answer(heartbeat(ErrorCode::FencedInstanceId));
    let events = rig.events();
    assert!(
        matches!(&events[..], [GroupEvent::Lost { assignment: 1, .. }, GroupEvent::Failed(_)]),
        "{events:?}"
    );
    assert!(rig.machine.is_quiescent() && rig.machine.poll_timeout().is_none());
    rig.sleep(MINUTE);
    assert!(rig.asks.is_empty());
}

#[test]
fn scenario_g18_a_cut_assignment_is_an_error_and_never_fewer_partitions() {
    let mut rig = Rig::new();
    rig.answer(join_ok("m", 1, false, &["t"]));
    rig.answer(sync_ok(blob(&[("t", 0), ("t", 1)]).slice(..15)));
    assert!(matches!(&rig.events()[..], [GroupEvent::Failed(e)] if matches!(e.kind(), ErrorKind::Decode(_))));
    rig.sleep(5 * SECOND);
    assert_eq!(rig.keys(), [ApiKey::JoinGroup]);
}

/// What the leader, `m`, hands out when the group has these members besides.
fn handed_out(others: Vec<JoinGroupResponseMember>) -> Vec<(String, Vec<i32>)> {
    let mut rig = Rig::new();
    add_topic(&mut rig.cluster, "t", 4);
    let ResponseKind::JoinGroup(mut answer) = join_ok("m", 1, true, &["t"]) else { panic!() };
    answer.members.extend(others);
    rig.answer(answer.into());
    let sync: SyncGroupRequest = rig.asked(ApiKey::SyncGroup);
    let each = |a: &SyncGroupRequestAssignment| {
        let partitions = Assignment::decode(&a.assignment).unwrap().partitions;
        (a.member_id.to_string(), partitions.iter().map(|p| p.partition).collect())
    };
    sync.assignments.iter().map(each).collect()
}

fn other(id: &str, metadata: Bytes) -> JoinGroupResponseMember {
    JoinGroupResponseMember { member_id: id.into(), metadata, ..Default::default() }
}

#[test]
fn case_d2_a_member_that_is_listed_twice_gets_one_share() {
    let t = || subscription(&["t"]);
    let fair = [("m".to_owned(), vec![0, 1]), ("n".to_owned(), vec![2, 3])];
    assert_eq!(handed_out(vec![other("n", t()), other("n", t())]), fair, "another one, side by side");
    assert_eq!(handed_out(vec![other("n", t()), other("m", t())]), fair, "the leader, and apart");
    assert_eq!(handed_out(vec![other("n", t()), other("m", t()), other("n", t())]), fair, "both");
    let changed = handed_out(vec![other("n", subscription(&["u"])), other("n", t())]);
    assert_eq!(changed, fair, "its latest subscription counts");
}

#[test]
fn case_g_a_blobs_that_end_early_cost_nothing_or_their_own_member() {
    let hex = |bytes: &'static [u8]| Bytes::from_static(bytes);
    let fair = [("m".to_owned(), vec![0, 1]), ("n".to_owned(), vec![2, 3])];
    let sarama = hex(&[0, 1, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(handed_out(vec![other("n", sarama)]), fair, "version 1 without owned partitions");
    assert_eq!(handed_out(vec![other("n", hex(&[0, 0, 0, 0, 0, 1, 0, 1, b't']))]), fair, "without user data");

    let alone = [("m".to_owned(), vec![0, 1, 2, 3]), ("n".to_owned(), vec![])];
    for unreadable in [Bytes::new(), hex(&[0]), subscription(&["t"]).slice(..7), hex(&[0xff; 6])] {
        assert_eq!(handed_out(vec![other("n", unreadable)]), alone);
    }
}

#[test]
fn case_g_a_a_blob_that_cannot_be_read_is_reported_once_naming_its_member() {
    let mut rig = Rig::new();
    let joined = |bad: &[&str]| {
        let ResponseKind::JoinGroup(mut answer) = join_ok("m", 1, true, &["t"]) else { panic!() };
        answer.members.extend(bad.iter().map(|id| other(id, subscription(&["t"]).slice(..7))));
        ResponseKind::from(answer)
    };
    let mut reported = |bad: &[&str]| {
        rig.answer(joined(bad));
        rig.answer(sync_error(ErrorCode::RebalanceInProgress));
        rig.sleep(2 * SECOND);
        let told = |event: &GroupEvent| match event {
            GroupEvent::Notice(error) if matches!(error.kind(), ErrorKind::Decode(_)) => {
                Some(error.to_string())
            }
            GroupEvent::Notice(error) if error.code() == Some(ErrorCode::RebalanceInProgress) => None,
            other => panic!("{other:?}"),
        };
        rig.events().iter().filter_map(told).collect::<Vec<_>>().join(" ")
    };
    let first = reported(&["n"]);
    assert!(first.contains("member n") && first.contains("(group g"), "{first}");
    assert_eq!(reported(&["n"]), "");
    let second = reported(&["n", "o"]);
    assert!(second.contains("member o") && !second.contains("member n"), "{second}");
    assert_eq!(reported(&[]), "");
    assert!(reported(&["n"]).contains("member n"), "it was away, or well, in between");
}

#[test]
fn a_partition_nobody_subscribed_to_is_refused() {
    let mut rig = Rig::new();
    rig.answer(join_ok("m", 1, false, &["t"]));
    rig.answer(sync_ok(blob(&[("t", 0), ("other", 0)])));
    let events = rig.events();
    assert!(matches!(&events[..], [GroupEvent::Failed(e)] if e.context().topic.as_deref() == Some("other")));
}

#[test]
fn the_leader_waits_for_metadata_of_the_others_topics() {
    let mut rig = Rig::new();
    rig.answer(join_ok("m", 1, true, &["t", "new"]));
    assert!(rig.asks.is_empty());
    assert_eq!(rig.machine.topics(), ["new", "t"]);
    assert_eq!(rig.hints(), [Hint::Refresh("new".into())]);
    add_topic(&mut rig.cluster, "new", 1);
    rig.metadata_changed();
    let sync: SyncGroupRequest = rig.asked(ApiKey::SyncGroup);
    assert_eq!(Assignment::decode(&sync.assignments[0].assignment).unwrap().partitions.len(), 3);
}

#[test]
fn the_leader_does_not_wait_for_ever_for_a_topic_that_does_not_exist() {
    let mut rig = Rig::new();
    rig.answer(join_ok("m", 1, true, &["t", "never"]));
    rig.sleep(2 * SECOND);
    let sync: SyncGroupRequest = rig.asked(ApiKey::SyncGroup);
    assert_eq!(Assignment::decode(&sync.assignments[0].assignment).unwrap().partitions.len(), 2);
    rig.answer(sync_ok(blob(&[("t", 0)])));
    rig.answer(offsets(&[("t", 0, 0)]));
    rig.events();

    add_topic(&mut rig.cluster, "never", 1);
    rig.metadata_changed();
    assert!(matches!(rig.events()[..], [GroupEvent::Revoking { assignment: 1, .. }]), "it came after all");
}

#[test]
fn case_g_b_a_deleted_topic_that_is_still_subscribed_adds_no_wait() {
    let mut rig = Rig::with(GroupConfig::new("g"));
    add_topic(&mut rig.cluster, "u", 1);
    rig.subscribe(&["t", "u"]);
    rig.answer(join_ok("m", 1, true, &["t", "u"]));
    for generation in 2..4 {
        rig.answer(sync_ok(blob(&[("t", 0)])));
        rig.answer(offsets(&[("t", 0, 1)]));
        rig.cluster.topics.remove("u");
        rig.rebalance();
        rig.revoked(generation - 1);
        rig.answer(join_ok("m", generation as i32, true, &["t", "u"]));
        assert_eq!(rig.keys(), [ApiKey::SyncGroup], "at once, generation {generation}");
    }
    rig.answer(sync_error(ErrorCode::RebalanceInProgress));
    rig.answer(join_ok("m", 5, true, &["t", "u", "new"]));
    assert!(rig.keys().is_empty(), "what it never looked for is waited for");
}

#[test]
fn scenario_g21_a_static_leader_told_to_skip_sends_an_empty_assignment() {
    let mut rig = Rig::new();
    let ResponseKind::JoinGroup(mut answer) = join_ok("m", 1, true, &["t"]) else { panic!() };
    answer.skip_assignment = true;
    rig.answer(answer.into());
    assert!(rig.asked::<SyncGroupRequest>(ApiKey::SyncGroup).assignments.is_empty());
    rig.answer(sync_ok(blob(&[("t", 1)])));
    rig.answer(offsets(&[("t", 1, 8)]));
    assert_eq!(rig.events(), [assigned(1, 1, &[("t", 1, Some(8))])]);
    add_topic(&mut rig.cluster, "t", 3);
    rig.metadata_changed();
    assert!(matches!(rig.events()[..], [GroupEvent::Revoking { .. }]), "it leads all the same");
}

#[test]
fn an_unstable_offset_is_waited_for_and_a_missing_one_is_not_none() {
    let mut rig = Rig::new();
    rig.answer(join_ok("m", 1, false, &["t"]));
    rig.answer(sync_ok(blob(&[("t", 0), ("t", 1)])));
    let unstable = ErrorCode::UnstableOffsetCommit;
    rig.answer(offsets_with(&[("t", 0, 4, ErrorCode::None), ("t", 1, -1, unstable)], ErrorCode::None));
    rig.sleep(200 * MS);
    rig.answer(offsets(&[("t", 0, 4)]));
    assert!(rig.asks.is_empty());
    assert_eq!(rig.hints(), [Hint::Refresh("t".into())]);
    rig.sleep(400 * MS);
    rig.fail(ApiKey::OffsetFetch, lost());
    assert_eq!(rig.events(), []);
    rig.sleep(SECOND);
    assert_eq!(rig.events(), [assigned(1, 1, &[("t", 0, Some(4))])]);
    rig.answer(offsets(&[("t", 1, 6)]));
    assert_eq!(rig.events(), [assigned_more(1, &[("t", 1, Some(6))])]);
}

/// One partition's offset is told at once. Of the other one something that passes is said, and then nothing that can be used.
#[test]
fn case_m5_an_offset_that_was_told_is_held_up_for_a_moment_at_most() {
    type Answer = fn(&mut Rig);
    let loading: Answer = |rig| rig.answer(offsets_with(&[], ErrorCode::CoordinatorLoadInProgress));
    let is_lost: Answer = |rig| rig.fail(ApiKey::OffsetFetch, lost());
    let unstable: Answer =
        |rig| rig.answer(offsets_with(&[("t", 1, -1, ErrorCode::UnstableOffsetCommit)], ErrorCode::None));
    let silent: Answer = |_| ();
    for answer in [loading, is_lost, unstable, silent] {
        let mut rig = Rig::new();
        rig.answer(join_ok("m", 1, false, &["t"]));
        rig.answer(sync_ok(blob(&[("t", 0), ("t", 1)])));
        let found = [("t", 0, 4, ErrorCode::None), ("t", 1, -1, ErrorCode::UnstableOffsetCommit)];
        rig.answer(offsets_with(&found, ErrorCode::None));
        for _ in 0..9 {
            rig.sleep(100 * MS);
            if rig.keys().contains(&ApiKey::OffsetFetch) {
                answer(&mut rig);
            }
            assert_eq!(rig.events(), []);
        }
        rig.sleep(100 * MS);
        assert_eq!(rig.events(), [assigned(1, 1, &[("t", 0, Some(4))])]);
        rig.sleep(SECOND);
        rig.answer(offsets(&[("t", 1, 6)]));
        assert_eq!(rig.events(), [assigned_more(1, &[("t", 1, Some(6))])]);
    }
}

/// What was found waits, and the topic is made anew meanwhile.
#[test]
fn case_d1_offsets_that_wait_for_others_are_not_of_a_topic_made_anew() {
    let mut rig = Rig::with(GroupConfig::new("g"));
    set_topic_id(&mut rig.cluster, 1);
    add_topic(&mut rig.cluster, "u", 1);
    rig.subscribe(&["t", "u"]);
    rig.answer(join_ok("m", 1, false, &["t", "u"]));
    rig.answer(sync_ok(blob(&[("t", 0), ("u", 0)])));
    let found = [("t", 0, 4, ErrorCode::None), ("u", 0, -1, ErrorCode::UnstableOffsetCommit)];
    rig.answer(offsets_with(&found, ErrorCode::None));
    set_topic_id(&mut rig.cluster, 2);
    rig.sleep(200 * MS);
    rig.answer(offsets(&[("u", 0, 7)]));
    assert_eq!(rig.events(), [assigned(1, 1, &[("u", 0, Some(7))])]);
    rig.sleep(SECOND);
    rig.answer(offsets(&[("t", 0, -1)]));
    assert_eq!(rig.events(), [assigned_more(1, &[("t", 0, None)])]);
}

/// They would be positions in the new topic, whose first records nobody would read.
#[test]
fn case_d1_offsets_asked_for_before_a_topic_was_made_anew_are_not_of_the_new_one() {
    let (old, new) = (Uuid([1; 16]), Uuid([2; 16]));
    for (by_id, is_anew) in [(false, false), (false, true), (true, true)] {
        let mut rig = Rig::with(GroupConfig::new("g"));
        set_topic_id(&mut rig.cluster, 1);
        rig.cluster.names = [(old, "t".into()), (new, "t".into())].into_iter().collect();
        add_topic(&mut rig.cluster, "u", 1);
        rig.subscribe(&["t", "u"]);
        rig.answer(join_ok("m", 1, true, &["t", "u"]));
        let given = rig.asked::<SyncGroupRequest>(ApiKey::SyncGroup).assignments[0].assignment.clone();
        rig.answer(sync_ok(given));
        if is_anew {
            set_topic_id(&mut rig.cluster, 2);
            rig.metadata_changed();
        }
        let mut said = offsets(&[("t", 0, 5), ("t", 1, 7), ("u", 0, 9)]);
        if let ResponseKind::OffsetFetch(said) = &mut said {
            let of_t = said.groups[0].topics.iter_mut().filter(|topic| by_id && topic.name == "t");
            of_t.for_each(|topic| (topic.name, topic.topic_id) = (Str::new(), old));
        }
        rig.answer(said);
        let mut given = vec![("t", 0, Some(5)), ("t", 1, Some(7)), ("u", 0, Some(9))];
        if is_anew {
            assert_eq!(rig.events(), []);
            rig.sleep(200 * MS);
            rig.answer(offsets(&[("t", 0, -1), ("t", 1, 1), ("u", 0, 9)]));
            given = vec![("t", 0, None), ("t", 1, Some(1)), ("u", 0, Some(9))];
        }
        assert_eq!(rig.events(), [assigned(1, 1, &given)], "by id: {by_id}");
    }
}

#[test]
fn missing_rights_for_a_topic_are_told_naming_it_and_tried_again() {
    let mut rig = Rig::new();
    rig.answer(join_ok("m", 1, false, &["t"]));
    rig.answer(sync_ok(blob(&[("t", 0)])));
    let denied = ErrorCode::TopicAuthorizationFailed;
    for _ in 0..2 {
        rig.answer(offsets_with(&[("t", 0, -1, denied)], ErrorCode::None));
        rig.sleep(3 * SECOND);
        rig.answer(heartbeat(ErrorCode::None));
        rig.sleep(2 * SECOND);
    }
    let events = rig.events();
    assert!(matches!(&events[..], [GroupEvent::Failed(e)]
        if e.code() == Some(denied) && e.context().topic.as_deref() == Some("t") && e.context().partition == Some(0)));
}

#[test]
fn a_changed_subscription_rejoins_wherever_the_machine_is() {
    let mut rig = Rig::new();
    add_topic(&mut rig.cluster, "u", 1);
    rig.subscribe(&["t", "u"]);
    assert_eq!(rig.keys(), [ApiKey::JoinGroup], "one at a time");
    rig.answer(join_ok("m", 1, false, &["t"]));
    rig.answer(sync_ok(blob(&[("t", 0)])));
    let join: JoinGroupRequest = rig.asked(ApiKey::JoinGroup);
    assert_eq!(Subscription::decode(&join.protocols[0].metadata).unwrap().topics, ["t", "u"]);
    rig.answer(join_ok("m", 2, false, &["t", "u"]));
    rig.answer(sync_ok(blob(&[("u", 0)])));
    rig.answer(offsets(&[("u", 0, 1)]));
    assert_eq!(rig.events(), [assigned(1, 2, &[("u", 0, Some(1))])]);

    rig.subscribe(&["u", "t"]);
    assert_eq!(rig.events(), [], "the same topics");
    rig.subscribe(&["t"]);
    assert!(matches!(rig.events()[..], [GroupEvent::Revoking { assignment: 1, .. }]));
    rig.revoked(1);
    assert_eq!(rig.keys(), [ApiKey::JoinGroup]);
}

#[test]
fn a_leader_rejoins_when_a_topic_grows_and_a_follower_does_not() {
    for leads in [true, false] {
        let mut rig = Rig::new();
        rig.answer(join_ok("m", 1, leads, &["t"]));
        rig.answer(sync_ok(blob(&[("t", 0)])));
        rig.answer(offsets(&[("t", 0, 1)]));
        rig.events();
        rig.metadata_changed();
        assert_eq!(rig.events(), [], "nothing has changed");
        add_topic(&mut rig.cluster, "t", 3);
        rig.metadata_changed();
        assert_eq!(rig.events().len(), usize::from(leads));
    }
}

#[test]
fn a_topic_that_grows_during_sync_is_noticed_afterwards() {
    let mut rig = Rig::new();
    rig.answer(join_ok("m", 1, true, &["t"]));
    add_topic(&mut rig.cluster, "t", 3);
    rig.metadata_changed();
    rig.answer(sync_ok(blob(&[("t", 0)])));
    assert_eq!(rig.keys(), [ApiKey::JoinGroup]);
    assert_eq!(rig.events(), []);
}

type Assign = fn(&[Member]) -> Vec<Vec<TopicPartition>>;

#[derive(Debug)]
struct Bad(Assign);

impl Assignor for Bad {
    fn name(&self) -> &str {
        "range"
    }

    fn assign(&self, members: &[Member], _: &Topics) -> Vec<Vec<TopicPartition>> {
        self.0(members)
    }
}

#[test]
fn a_bad_assignor_is_an_error_and_not_an_assignment() {
    let bad: [Assign; 5] = [
        |_| panic!("on purpose"),
        |_| vec![],
        |m| vec![vec![TopicPartition::new("t", 2)]; m.len()],
        |m| vec![vec![TopicPartition::new("t", 0); 2]; m.len()],
        |m| vec![vec![TopicPartition::new(Str::from_static("none"), 0)]; m.len()],
    ];
    for assign in bad {
        let mut config = GroupConfig::new("g");
        config.assignors = vec![Arc::new(Bad(assign))];
        let mut rig = Rig::with(config);
        rig.subscribe(&["t"]);
        rig.answer(join_ok("m", 1, true, &["t"]));
        let events = rig.events();
        assert!(matches!(&events[..], [GroupEvent::Failed(e)] if matches!(e.kind(), ErrorKind::Assignor(_))));
        assert!(rig.asks.is_empty());
    }
}

#[test]
fn an_answer_nobody_asked_for_changes_nothing() {
    let mut rig = Rig::new();
    let mut ask = rig.take(ApiKey::JoinGroup);
    ask.tag += 1000;
    rig.give(ask.clone(), Ok(join_ok("m", 1, true, &["t"])));
    assert!(rig.asks.is_empty() && rig.events().is_empty());
    ask.tag -= 1000;
    rig.give(ask.clone(), Ok(heartbeat(ErrorCode::None)));
    assert!(matches!(&rig.events()[..], [GroupEvent::Failed(e)] if matches!(e.kind(), ErrorKind::Decode(_))));
    rig.cluster = Cluster::default();
}

#[test]
fn a_leader_that_subscribes_again_keeps_the_others_topics_in_view() {
    let mut rig = Rig::new();
    add_topic(&mut rig.cluster, "u", 1);
    rig.answer(join_ok("m", 1, true, &["t", "u"]));
    rig.answer(sync_ok(blob(&[("t", 0)])));
    rig.answer(offsets(&[("t", 0, 1)]));
    rig.events();
    rig.subscribe(&["t"]);
    rig.metadata_changed();
    assert_eq!(rig.machine.topics(), ["t", "u"]);
    assert_eq!(rig.events(), [], "nothing has changed");
}
