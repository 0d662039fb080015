//! Commits of what was marked, by a member of a group whose coordinator takes them or not.

use super::*;
use crate::client::cluster::TopicPartition;
use crate::error::Error;
use crate::group::CommitOffset;
use kafka_proto::messages::heartbeat::HeartbeatResponse;
use kafka_proto::messages::join_group::{JoinGroupResponse, JoinGroupResponseMember};
use kafka_proto::messages::leave_group::LeaveGroupResponse;
use kafka_proto::messages::list_offsets::ListOffsetsResponse;
use kafka_proto::messages::offset_commit::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_proto::messages::offset_fetch::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use kafka_proto::messages::sync_group::SyncGroupResponse;
use std::cell::RefCell;
use std::rc::Rc;

type Log = Rc<RefCell<Vec<(Duration, i64)>>>;

/// A member of group g that has t-0; commits answered with what `code` says at a time.
fn member(code: impl Fn(Duration) -> ErrorCode + 'static) -> (Net, u32, Arc<Marks>, Log) {
    let mut net = Net::connected();
    let begin = net.now.instant;
    let log = Log::default();
    let commits = log.clone();
    // t-0 has no leader, so that no fetches are made.
    net.script = Some(Box::new(move |now, _, request| match request {
        RequestKind::Metadata(_) => {
            let broker = |id: i32| MetadataResponseBroker {
                node_id: id,
                host: "broker".into(),
                port: 9000 + id,
                ..Default::default()
            };
            let brokers = (1..=3).map(broker).collect();
            let topics = vec![topic("t", -1, 0)];
            MetadataResponse { brokers, topics, cluster_id: Some("c".into()), ..Default::default() }.into()
        }
        RequestKind::FindCoordinator(r) => {
            let mut found = coordinator(ErrorCode::None);
            found.coordinators[0].key = r.coordinator_keys[0].clone();
            found.into()
        }
        RequestKind::JoinGroup(r) => {
            let own = JoinGroupResponseMember {
                member_id: "m".into(),
                metadata: r.protocols[0].metadata.clone(),
                ..Default::default()
            };
            JoinGroupResponse {
                generation_id: 1,
                protocol_type: Some("consumer".into()),
                protocol_name: Some(r.protocols[0].name.clone()),
                leader: "m".into(),
                member_id: "m".into(),
                members: vec![own],
                ..Default::default()
            }
            .into()
        }
        RequestKind::SyncGroup(r) => {
            let assignment = r.assignments[0].assignment.clone();
            SyncGroupResponse { assignment, ..Default::default() }.into()
        }
        RequestKind::Heartbeat(_) => HeartbeatResponse::default().into(),
        RequestKind::ListOffsets(_) => ListOffsetsResponse::default().into(),
        RequestKind::OffsetFetch(r) => {
            let partition = OffsetFetchResponsePartitions {
                committed_offset: 0,
                committed_leader_epoch: -1,
                ..Default::default()
            };
            let asked = &r.groups[0].topics.as_ref().unwrap()[0];
            let topic = OffsetFetchResponseTopics {
                name: asked.name.clone(),
                topic_id: asked.topic_id,
                partitions: vec![partition],
                ..Default::default()
            };
            let group =
                OffsetFetchResponseGroup { group_id: "g".into(), topics: vec![topic], ..Default::default() };
            OffsetFetchResponse { groups: vec![group], ..Default::default() }.into()
        }
        RequestKind::OffsetCommit(r) => {
            let topic = &r.topics[0];
            let at = now - begin;
            commits.borrow_mut().push((at, topic.partitions[0].committed_offset));
            let partition =
                OffsetCommitResponsePartition { error_code: code(at).code(), ..Default::default() };
            let topic = OffsetCommitResponseTopic {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                partitions: vec![partition],
                ..Default::default()
            };
            OffsetCommitResponse { topics: vec![topic], ..Default::default() }.into()
        }
        RequestKind::LeaveGroup(_) => LeaveGroupResponse::default().into(),
        other => panic!("{other:?}"),
    }));
    let (reader, group) = net.client.reader_defaults();
    let spec = ReaderSpec {
        config: Arc::new(reader),
        subscription: Subscription::Group(
            Arc::new(GroupConfig { group_id: "g".into(), ..group }),
            vec!["t".into()],
        ),
    };
    let marks = Arc::new(Marks::new(Duration::from_secs(5)));
    let id = net.client.add_reader(net.now, spec, Arc::default(), marks.clone());
    net.settle();
    net.run_for(Duration::from_secs(5));
    let mut given = false;
    while let Some(item) = net.client.reader_take(net.now, id) {
        given |= matches!(item, ReaderItem::Assigned { .. });
    }
    assert!(given);
    marks.begin(1);
    (net, id, marks, log)
}

fn mark(net: &mut Net, id: u32, marks: &Marks, offset: i64) {
    let place = marks.place(TopicPartition::new("t", 0));
    if marks.set(place, (offset, 0, Uuid([1; 16]))) {
        net.client.reader_marked(net.now, id);
    }
}

/// The application commits an offset of t-0 itself, and waits for the answer.
fn commit_by_call(net: &mut Net, id: u32, offset: i64) -> Result<(), Error> {
    let (partition, topic_id) = (TopicPartition::new("t", 0), Uuid([1; 16]));
    let offset = CommitOffset { partition, offset, leader_epoch: 0, topic_id, metadata: None };
    let deadline = net.now.instant + Duration::from_secs(30);
    let commit = net.client.reader_commit(net.now, id, 1, vec![offset], deadline).unwrap();
    net.settle();
    net.client.take_commit(commit).unwrap()
}

fn told(net: &mut Net, id: u32) -> Vec<ReaderItem> {
    let now = net.now;
    let items = std::iter::from_fn(|| net.client.reader_take(now, id));
    // t-0 has no leader, which is told too.
    let of_commit = |item: &ReaderItem| match item {
        ReaderItem::Error(e) | ReaderItem::Notice(e) => e.context().api == Some(ApiKey::OffsetCommit),
        _ => true,
    };
    items.filter(of_commit).collect()
}

#[test]
fn case_g_c_marks_that_are_refused_are_told_once() {
    for code in [
        ErrorCode::TopicAuthorizationFailed,
        ErrorCode::GroupAuthorizationFailed,
        ErrorCode::InvalidCommitOffsetSize,
    ] {
        let (mut net, id, marks, log) = member(move |_| code);
        let mut all = Vec::new();
        for offset in 1..20 {
            mark(&mut net, id, &marks, offset);
            net.run_for(Duration::from_secs(6));
            all.extend(told(&mut net, id));
        }
        assert!(log.borrow().len() > 10, "{:?}", log.borrow());
        assert_eq!(all.len(), 1, "{code}: {all:?}");
    }
}

#[test]
fn case_f6_what_was_marked_is_committed_once_the_group_takes_it() {
    for code in [ErrorCode::CoordinatorLoadInProgress, ErrorCode::GroupAuthorizationFailed] {
        let (mut net, id, marks, log) =
            member(move |at| if at < Duration::from_secs(150) { code } else { ErrorCode::None });
        mark(&mut net, id, &marks, 10);
        net.run_for(Duration::from_secs(300));
        let last = log.borrow().last().copied();
        assert!(
            last.is_some_and(|(at, offset)| at >= Duration::from_secs(150) && offset == 10),
            "{code} {last:?}"
        );
    }
}

#[test]
fn case_u2_what_was_refused_is_committed_at_the_end() {
    let (mut net, id, marks, log) = member(move |at| {
        if at < Duration::from_secs(150) { ErrorCode::GroupAuthorizationFailed } else { ErrorCode::None }
    });
    mark(&mut net, id, &marks, 10);
    net.run_for(Duration::from_secs(200));
    net.client.close_reader(net.now, id);
    net.settle();
    let last = log.borrow().last().copied();
    assert!(last.is_some_and(|(at, offset)| at >= Duration::from_secs(150) && offset == 10), "{last:?}");
}

#[test]
fn a_mark_does_not_take_back_what_was_committed_since() {
    let (mut net, id, marks, log) = member(|_| ErrorCode::None);
    mark(&mut net, id, &marks, 10);
    assert!(commit_by_call(&mut net, id, 20).is_ok());
    net.run_for(Duration::from_secs(20));
    assert_eq!(log.borrow().last().unwrap().1, 20, "{:?}", log.borrow());
}

#[test]
fn a_mark_that_was_overtaken_by_a_commit_that_failed_counts_again() {
    for (first, second, last) in [(10, 20, 10), (30, 20, 30)] {
        let (mut net, id, marks, log) = member(move |at| {
            if at < Duration::from_secs(20) { ErrorCode::GroupAuthorizationFailed } else { ErrorCode::None }
        });
        mark(&mut net, id, &marks, first);
        assert!(commit_by_call(&mut net, id, second).is_err());
        net.run_for(Duration::from_secs(40));
        assert_eq!(log.borrow().last().unwrap().1, last, "{:?}", log.borrow());
        net.run_for(Duration::from_secs(40));
        let commits = log.borrow().len();
        net.run_for(Duration::from_secs(40));
        assert_eq!(log.borrow().len(), commits, "it is done");
    }
}
