//! Troubles that last, of one topic or of the whole group.

use super::rig::*;
use crate::group::{GroupConfig, GroupEvent};
use kafka_proto::ApiKey;
use kafka_proto::ResponseKind;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::offset_fetch::OffsetFetchRequest;

/// A follower that was assigned `t-0` and `u-0`, and asks for their offsets.
fn restoring_two_topics() -> Rig {
    let mut rig = Rig::with(GroupConfig::new("g"));
    add_topic(&mut rig.cluster, "u", 1);
    rig.subscribe(&["t", "u"]);
    rig.answer(join_ok("m", 1, false, &["t", "u"]));
    rig.answer(sync_ok(blob(&[("t", 0), ("u", 0)])));
    rig
}

fn u_failed(error: ErrorCode) -> ResponseKind {
    offsets_with(&[("t", 0, 4, ErrorCode::None), ("u", 0, -1, error)], ErrorCode::None)
}

/// The partitions that the open OffsetFetch asks for.
fn asked_offsets(rig: &Rig) -> Vec<(String, Vec<i32>)> {
    let fetch: OffsetFetchRequest = rig.asked(ApiKey::OffsetFetch);
    let topics = fetch.groups[0].topics.clone().unwrap();
    topics.iter().map(|t| (t.name.to_string(), t.partition_indexes.to_vec())).collect()
}

#[test]
fn case_m5_one_bad_topic_does_not_stall_the_others() {
    let denied = ErrorCode::TopicAuthorizationFailed;
    let mut rig = restoring_two_topics();
    rig.answer(u_failed(denied));
    let events = rig.events();
    assert_eq!(events[0], assigned(1, 1, &[("t", 0, Some(4))]));
    assert!(matches!(&events[1..], [GroupEvent::Failed(e)]
        if e.code() == Some(denied) && e.context().topic.as_deref() == Some("u")));
    rig.commit(1, &[(0, 5)]);
    rig.answer(committed(&[(0, ErrorCode::None)]));
    for _ in 0..3 {
        rig.sleep(5 * SECOND);
        rig.answer(heartbeat(ErrorCode::None));
        assert_eq!(asked_offsets(&rig), [("u".to_owned(), vec![0])]);
        rig.answer(offsets_with(&[("u", 0, -1, denied)], ErrorCode::None));
    }
    assert_eq!(rig.events().len(), 1, "the commit, and nothing is told again");
    rig.sleep(5 * SECOND);
    rig.answer(offsets(&[("u", 0, 7)]));
    let [GroupEvent::AssignedMore { assignment: 1, partitions }] = &rig.events()[..] else { panic!() };
    assert_eq!((&*partitions[0].0.topic, partitions[0].1.as_ref().map(|c| c.offset)), ("u", Some(7)));
    assert!(!rig.keys().contains(&ApiKey::OffsetFetch));
}

#[test]
fn case_m5_what_should_pass_is_waited_for_a_moment_and_told_when_it_lasts() {
    for (error, is_error) in [
        (ErrorCode::UnknownTopicId, true),
        (ErrorCode::UnknownTopicOrPartition, true),
        (ErrorCode::UnstableOffsetCommit, false),
    ] {
        let mut rig = restoring_two_topics();
        let (mut asked, mut events) = (0, Vec::new());
        for _ in 0..600 {
            rig.sleep(100 * MS);
            if rig.keys().contains(&ApiKey::Heartbeat) {
                rig.answer(heartbeat(ErrorCode::None));
            }
            if rig.keys().contains(&ApiKey::OffsetFetch) {
                asked += 1;
                rig.answer(u_failed(error));
            }
            events.extend(rig.events());
        }
        assert_eq!(events[0], assigned(1, 1, &[("t", 0, Some(4))]), "{error:?}");
        match &events[1..] {
            [GroupEvent::Failed(e)] => assert!(is_error && e.code() == Some(error)),
            [GroupEvent::Notice(e)] => assert!(!is_error && e.code() == Some(error)),
            other => panic!("{error:?}: {other:?}"),
        }
        assert!(asked < 30, "{error:?}: asked {asked} times in a minute");
    }
}

#[test]
fn case_m5_partitions_that_wait_for_their_offsets_go_with_their_assignment() {
    let mut rig = restoring_two_topics();
    rig.answer(u_failed(ErrorCode::TopicAuthorizationFailed));
    rig.events();
    rig.rebalance();
    assert!(matches!(rig.events()[..], [GroupEvent::Revoking { assignment: 1, .. }]));
    rig.sleep(10 * SECOND);
    assert!(!rig.keys().contains(&ApiKey::OffsetFetch));
    rig.revoked(1);
    rig.answer(join_ok("m", 2, false, &["t", "u"]));
    rig.answer(sync_ok(blob(&[("u", 0)])));
    rig.answer(offsets(&[("u", 0, 7)]));
    assert_eq!(rig.events(), [assigned(2, 2, &[("u", 0, Some(7))])]);
}

/// Answers whatever is asked for so many seconds: this API with this error, the others well. How often it was asked.
fn fail_for(rig: &mut Rig, key: ApiKey, error: ErrorCode, seconds: u32) -> u32 {
    let mut asked = 0;
    for _ in 0..seconds * 20 {
        for open in rig.keys() {
            asked += u32::from(open == key);
            rig.answer(match open {
                ApiKey::JoinGroup if key == open => join_error(error),
                ApiKey::SyncGroup if key == open => sync_error(error),
                ApiKey::OffsetFetch if key == open => offsets_with(&[], error),
                ApiKey::Heartbeat if key == open => heartbeat(error),
                ApiKey::OffsetCommit if key == open => committed(&[(0, error)]),
                ApiKey::JoinGroup => join_ok("m", 1, false, &["t"]),
                ApiKey::SyncGroup => sync_ok(blob(&[("t", 0)])),
                ApiKey::OffsetFetch => offsets(&[("t", 0, 4)]),
                ApiKey::Heartbeat => heartbeat(ErrorCode::None),
                other => panic!("{other:?}"),
            });
        }
        rig.sleep(50 * MS);
    }
    asked
}

fn notices(rig: &mut Rig) -> Vec<Option<ErrorCode>> {
    let notice = |event: &GroupEvent| match event {
        GroupEvent::Notice(error) => Some(error.code()),
        _ => None,
    };
    rig.events().iter().filter_map(notice).collect()
}

#[test]
fn case_g_c_a_step_that_fails_for_long_is_reported_once_and_not_hurried() {
    let steps = [
        (ApiKey::JoinGroup, ErrorCode::CoordinatorNotAvailable),
        (ApiKey::JoinGroup, ErrorCode::UnknownMemberId),
        (ApiKey::SyncGroup, ErrorCode::NotCoordinator),
        (ApiKey::SyncGroup, ErrorCode::RebalanceInProgress),
        (ApiKey::SyncGroup, ErrorCode::IllegalGeneration),
        (ApiKey::OffsetFetch, ErrorCode::UnstableOffsetCommit),
        (ApiKey::OffsetFetch, ErrorCode::CoordinatorLoadInProgress),
    ];
    for (key, error) in steps {
        let mut rig = Rig::new();
        fail_for(&mut rig, key, error, 4);
        assert_eq!(notices(&mut rig), [], "{key:?} {error:?}: it may pass");
        let asked = fail_for(&mut rig, key, error, 596);
        assert_eq!(notices(&mut rig), [Some(error)], "{key:?} {error:?}");
        assert!((100..800).contains(&asked), "{key:?} {error:?}: asked {asked} times in ten minutes");
        fail_for(&mut rig, ApiKey::LeaveGroup, error, 20);
        assert!(matches!(rig.events()[..], [GroupEvent::Assigned { .. }]), "{key:?} {error:?}");
    }
}

#[test]
fn case_g_c_what_fails_again_after_it_was_well_is_reported_again() {
    let mut rig = Rig::new();
    for _ in 0..2 {
        fail_for(&mut rig, ApiKey::SyncGroup, ErrorCode::RebalanceInProgress, 20);
        assert_eq!(notices(&mut rig), [Some(ErrorCode::RebalanceInProgress)]);
        fail_for(&mut rig, ApiKey::LeaveGroup, ErrorCode::None, 20);
        rig.sleep(3 * SECOND);
        rig.answer(heartbeat(ErrorCode::UnknownMemberId));
        rig.events();
    }
}

#[test]
fn case_g_c_heartbeats_and_commits_that_fail_for_long_are_reported_once() {
    for error in [ErrorCode::CoordinatorNotAvailable, ErrorCode::NotCoordinator] {
        let mut rig = Rig::stable();
        for _ in 0..2 {
            fail_for(&mut rig, ApiKey::Heartbeat, error, 20);
            assert_eq!(notices(&mut rig), [Some(error)], "heartbeats");
            fail_for(&mut rig, ApiKey::LeaveGroup, error, 10);
        }
        let mut rig = Rig::stable();
        rig.commit(1, &[(0, 1)]);
        fail_for(&mut rig, ApiKey::OffsetCommit, error, 20);
        assert_eq!(notices(&mut rig), [Some(error)], "commits");
    }
}

// ---- one bad item costs itself only ----

#[test]
fn case_m5_a_code_of_the_coordinator_in_the_place_of_one_partition_is_its_own() {
    for error in [ErrorCode::NotCoordinator, ErrorCode::CoordinatorNotAvailable] {
        let mut rig = restoring_two_topics();
        rig.hints();
        rig.answer(u_failed(error));
        assert!(rig.told_to_look_up());
        for _ in 0..20 {
            rig.sleep(100 * MS);
            if rig.keys().contains(&ApiKey::OffsetFetch) {
                rig.answer(u_failed(error));
            }
        }
        assert_eq!(rig.events(), [assigned(1, 1, &[("t", 0, Some(4))])], "{error:?}");
    }
}

#[test]
fn case_m5_an_error_of_a_partition_that_was_not_asked_for_is_nobodys() {
    for error in [ErrorCode::UnknownMemberId, ErrorCode::FencedInstanceId, ErrorCode::RebalanceInProgress] {
        let mut rig = restoring_two_topics();
        let (t, u) = (("t", 0, 4, ErrorCode::None), ("u", 0, 5, ErrorCode::None));
        rig.answer(offsets_with(&[("x", 0, -1, error), t, ("t", 7, -1, error), u], ErrorCode::None));
        assert_eq!(rig.events(), [assigned(1, 1, &[("t", 0, Some(4)), ("u", 0, Some(5))])], "{error:?}");
    }
}

#[test]
fn case_m5_a_refusal_is_told_once_also_where_the_others_come_later() {
    let mut rig = restoring_two_topics();
    let denied = ErrorCode::TopicAuthorizationFailed;
    let unstable = ("t", 0, -1, ErrorCode::UnstableOffsetCommit);
    rig.answer(offsets_with(&[unstable, ("u", 0, -1, denied)], ErrorCode::None));
    assert!(matches!(&rig.events()[..], [GroupEvent::Failed(e)] if e.code() == Some(denied)));
    rig.sleep(200 * MS);
    rig.answer(u_failed(denied));
    assert_eq!(rig.events(), [assigned(1, 1, &[("t", 0, Some(4))])]);
}

#[test]
fn case_m5_each_of_many_refused_topics_is_told() {
    let names: Vec<String> = (0..40).map(|n| format!("t{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut rig = Rig::with(GroupConfig::new("g"));
    names.iter().for_each(|name| add_topic(&mut rig.cluster, name, 1));
    rig.subscribe(&names);
    rig.answer(join_ok("m", 1, false, &names));
    rig.answer(sync_ok(blob(&names.iter().map(|name| (*name, 0)).collect::<Vec<_>>())));
    let denied = names.iter().map(|name| (*name, 0, -1, ErrorCode::TopicAuthorizationFailed));
    rig.answer(offsets_with(&denied.collect::<Vec<_>>(), ErrorCode::None));
    let told = rig.events().iter().filter(|event| matches!(event, GroupEvent::Failed(_))).count();
    assert_eq!(told, names.len());
}
