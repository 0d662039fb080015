use super::*;
use kafka_proto::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
};
use kafka_proto::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_proto::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};

fn commit(topic: &str, offset: i64, metadata: &str) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition {
        committed_offset: offset,
        committed_leader_epoch: 3,
        committed_metadata: Some(metadata.into()),
        ..Default::default()
    };
    let topics = vec![OffsetCommitRequestTopic {
        name: topic.into(),
        partitions: vec![partition],
        ..Default::default()
    }];
    OffsetCommitRequest { group_id: "g".into(), topics, ..Default::default() }
}

fn committed(response: OffsetCommitResponse) -> ErrorCode {
    error(response.topics[0].partitions[0].error_code)
}

fn ask(topics: Option<&[&str]>) -> OffsetFetchRequest {
    let topic = |name: &&str| OffsetFetchRequestTopics {
        name: (*name).into(),
        partition_indexes: [0].into(),
        ..Default::default()
    };
    let topics = topics.map(|topics| topics.iter().map(topic).collect());
    let group = OffsetFetchRequestGroup { group_id: "g".into(), topics, ..Default::default() };
    OffsetFetchRequest { groups: vec![group], ..Default::default() }
}

#[test]
fn what_is_committed_is_found_again() {
    let mut rig = Rig::new(1);
    assert_eq!(committed(rig.call(0, 9, commit("t", 42, "note"))), ErrorCode::None);
    let group = rig.call(0, 9, ask(Some(&["t"]))).groups[0].clone();
    let found = &group.topics[0].partitions[0];
    assert_eq!((found.committed_offset, found.committed_leader_epoch), (42, 3));
    assert_eq!(found.metadata.as_deref(), Some("note"));
    assert_eq!(rig.call(0, 9, ask(None)).groups[0].topics.len(), 1);
    assert_eq!(rig.cluster.committed("g", "t", 0), Some(42));

    let topic =
        OffsetFetchRequestTopic { name: "t".into(), partition_indexes: [0, 1].into(), ..Default::default() };
    let old = OffsetFetchRequest { group_id: "g".into(), topics: Some(vec![topic]), ..Default::default() };
    let response = rig.call(0, 5, old);
    let offsets: Vec<_> =
        response.topics[0].partitions.iter().map(|p| (p.committed_offset, p.error_code)).collect();
    assert_eq!(offsets, [(42, 0), (-1, 0)]);
}

#[test]
fn topic_ids_take_the_place_of_names() {
    let mut rig = Rig::new(1);
    let id = rig.cluster.topics.get("t").unwrap().id;
    let mut request = commit("", 5, "");
    request.topics[0].topic_id = id;
    assert_eq!(committed(rig.call(0, 10, request.clone())), ErrorCode::None);
    let mut asked = ask(Some(&[""]));
    asked.groups[0].topics.as_mut().unwrap()[0].topic_id = id;
    let response = rig.call(0, 10, asked);
    assert_eq!(response.groups[0].topics[0].partitions[0].committed_offset, 5);
    assert_eq!(rig.call(0, 10, ask(None)).groups[0].topics[0].topic_id, id);
    request.topics[0].topic_id.0[0] ^= 1;
    assert_eq!(committed(rig.call(0, 10, request)), ErrorCode::UnknownTopicId);
}

#[test]
fn unknown_topics_and_long_metadata_are_refused() {
    let mut rig = Rig::new(1);
    assert_eq!(committed(rig.call(0, 9, commit("nope", 1, ""))), ErrorCode::UnknownTopicOrPartition);
    let long = "x".repeat(4097);
    assert_eq!(committed(rig.call(0, 9, commit("t", 1, &long))), ErrorCode::OffsetMetadataTooLarge);
}

#[test]
fn only_members_of_the_generation_may_commit_while_there_are_members() {
    let mut rig = Rig::new(1);
    let stale =
        OffsetCommitRequest { generation_id_or_member_epoch: 1, member_id: "m".into(), ..commit("t", 1, "") };
    assert_eq!(committed(rig.call(0, 8, stale.clone())), ErrorCode::IllegalGeneration);
    assert_eq!(committed(rig.call(0, 9, stale)), ErrorCode::GroupIdNotFound);
    let joined = rig.call(0, 3, join());
    let own = |generation, member: &str| OffsetCommitRequest {
        generation_id_or_member_epoch: generation,
        member_id: member.into(),
        ..commit("t", 7, "")
    };
    let member = joined.member_id;
    assert_eq!(committed(rig.call(0, 8, own(1, &member))), ErrorCode::RebalanceInProgress);
    let sync = kafka_proto::messages::sync_group::SyncGroupRequest {
        group_id: "g".into(),
        generation_id: 1,
        member_id: member.clone(),
        ..Default::default()
    };
    rig.call(0, 3, sync);
    assert_eq!(committed(rig.call(0, 8, own(1, &member))), ErrorCode::None);
    assert_eq!(committed(rig.call(0, 8, own(2, &member))), ErrorCode::IllegalGeneration);
    assert_eq!(committed(rig.call(0, 8, own(1, "other"))), ErrorCode::UnknownMemberId);
    assert_eq!(committed(rig.call(0, 8, commit("t", 1, ""))), ErrorCode::UnknownMemberId);
}

fn join() -> kafka_proto::messages::join_group::JoinGroupRequest {
    use kafka_proto::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
    // A subscription to topic "t": version, one topic, no user data.
    let metadata = Bytes::from_static(&[0, 0, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff]);
    JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata, ..Default::default() }],
        ..Default::default()
    }
}

#[test]
fn offsets_of_a_topic_go_with_it_or_on_request_if_nobody_reads_it() {
    let mut rig = Rig::new(1);
    rig.topic("u", 1, &[]);
    rig.call(0, 9, commit("t", 1, ""));
    rig.call(0, 9, commit("u", 2, ""));
    rig.call(0, 3, join());
    let delete = |topic: &str| OffsetDeleteRequest {
        group_id: "g".into(),
        topics: vec![OffsetDeleteRequestTopic {
            name: topic.into(),
            partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
        }],
    };
    let kept = rig.call(0, 0, delete("t"));
    assert_eq!(error(kept.topics[0].partitions[0].error_code), ErrorCode::GroupSubscribedToTopic);
    let gone = rig.call(0, 0, delete("u"));
    assert_eq!(error(gone.topics[0].partitions[0].error_code), ErrorCode::None);
    assert_eq!((rig.cluster.committed("g", "t", 0), rig.cluster.committed("g", "u", 0)), (Some(1), None));
    rig.cluster.remove_topic("t");
    assert_eq!(rig.cluster.committed("g", "t", 0), None);
}

#[test]
fn offsets_survive_their_coordinator() {
    let mut rig = Rig::new(2);
    let coordinator = rig.cluster.ensure_coordinator("g");
    rig.call(coordinator, 9, commit("t", 9, ""));
    rig.cluster.kill(rig.now, coordinator).unwrap();
    let next = rig.cluster.ensure_coordinator("g");
    assert_ne!(next, coordinator);
    let found = rig.call(next, 9, ask(Some(&["t"])));
    assert_eq!(found.groups[0].topics[0].partitions[0].committed_offset, 9);
}
