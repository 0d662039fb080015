//! Commits of what was marked, by a member of a group whose coordinator takes them or not.

use super::*;
use crate::client::lane::LinkState;
use crate::error::Error;
use crate::group::CommitOffset;
use crate::machine::CoordinatorKind;
use crate::reading::{self, Subscription};
use crate::snapshot::TopicPartition;
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

pub(super) type Log = Rc<RefCell<Vec<(Duration, i64)>>>;
/// The topics of each JoinGroup.
pub(super) type Joins = Rc<RefCell<Vec<Vec<Str>>>>;

/// A member of group g that has t-0; commits answered with what `code` says at a time.
fn member(code: impl Fn(Duration) -> ErrorCode + 'static) -> (Net, MachineId, Arc<Marks>, Log) {
    member_of(&Rc::new(RefCell::new(vec![topic("t", -1, 0)])), move |at, _| code(at))
}

/// The same of these topics; the code may depend on the id of the topic.
fn member_of(
    topics: &Rc<RefCell<Vec<MetadataResponseTopic>>>,
    code: impl Fn(Duration, Uuid) -> ErrorCode + 'static,
) -> (Net, MachineId, Arc<Marks>, Log) {
    let names: Vec<Str> = topics.borrow().iter().filter_map(|topic| topic.name.clone()).collect();
    let (mut net, id, marks, log, _) = in_group(topics, names.into(), code);
    let mut given = false;
    while let Some(item) = net.client.reader_take(net.now, id) {
        given |= matches!(item, ReaderItem::Assigned { .. });
    }
    assert!(given);
    marks.begin(1);
    (net, id, marks, log)
}

/// The topics of each JoinGroup, in words.
pub(super) fn joined_with(joins: &Joins) -> Vec<String> {
    joins.borrow().iter().map(|topics| topics.join(" ")).collect()
}

/// A member that subscribes to this, after 5 s, and what it joined with.
pub(super) fn in_group(
    topics: &Rc<RefCell<Vec<MetadataResponseTopic>>>,
    subscription: Subscription,
    code: impl Fn(Duration, Uuid) -> ErrorCode + 'static,
) -> (Net, MachineId, Arc<Marks>, Log, Joins) {
    let mut net = Net::connected();
    let joins = Joins::default();
    let joined = joins.clone();
    let topics = topics.clone();
    let begin = net.now.time;
    let log = Log::default();
    let commits = log.clone();
    // The partitions have no leader, so that no fetches are made.
    net.script = Some(Box::new(move |now, _, request| match request {
        RequestKind::Metadata(_) => {
            let broker = |id: i32| MetadataResponseBroker {
                node_id: id,
                host: "broker".into(),
                port: 9000 + id,
                ..Default::default()
            };
            let brokers = (1..=3).map(broker).collect();
            let topics = topics.borrow().clone();
            MetadataResponse { brokers, topics, cluster_id: Some("c".into()), ..Default::default() }.into()
        }
        RequestKind::FindCoordinator(r) => {
            let mut found = coordinator(ErrorCode::None);
            found.coordinators[0].key = r.coordinator_keys[0].clone();
            found.into()
        }
        RequestKind::JoinGroup(r) => {
            let subscription = crate::group::subscription::Subscription::decode(&r.protocols[0].metadata);
            joined.borrow_mut().push(subscription.unwrap().topics);
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
            let topics = r.groups[0].topics.iter().flatten().map(|asked| OffsetFetchResponseTopics {
                name: asked.name.clone(),
                topic_id: asked.topic_id,
                partitions: vec![partition.clone()],
                ..Default::default()
            });
            let topics = topics.collect();
            let group = OffsetFetchResponseGroup { group_id: "g".into(), topics, ..Default::default() };
            OffsetFetchResponse { groups: vec![group], ..Default::default() }.into()
        }
        RequestKind::OffsetCommit(r) => {
            let at = now - begin;
            let topics = r.topics.iter().map(|topic| {
                commits.borrow_mut().push((at, topic.partitions[0].committed_offset));
                let error_code = code(at, topic.topic_id).code();
                let partition = OffsetCommitResponsePartition { error_code, ..Default::default() };
                OffsetCommitResponseTopic {
                    name: topic.name.clone(),
                    topic_id: topic.topic_id,
                    partitions: vec![partition],
                    ..Default::default()
                }
            });
            OffsetCommitResponse { topics: topics.collect(), ..Default::default() }.into()
        }
        RequestKind::LeaveGroup(_) => LeaveGroupResponse::default().into(),
        other => panic!("{other:?}"),
    }));
    let (reader, group) = net.client.reader_defaults();
    let group = Arc::new(GroupConfig { group_id: "g".into(), ..group });
    let spec = ReaderSpec::new(reader, ReadFrom::Group(group, subscription, crate::reader::Start::First));
    let marks = Arc::new(Marks::new(Duration::from_secs(5)));
    let id = net.client.add_reader(net.now, spec, Arc::default(), marks.clone());
    net.settle();
    net.run_for(Duration::from_secs(5));
    (net, id, marks, log, joins)
}

fn mark(net: &mut Net, id: MachineId, marks: &Marks, offset: i64) {
    mark_of(net, id, marks, ("t", Uuid([1; 16])), offset);
}

fn mark_of(net: &mut Net, id: MachineId, marks: &Marks, (name, topic_id): (&str, Uuid), offset: i64) {
    let place = marks.place(TopicPartition::new(name, 0));
    if marks.set(place, (offset, 0, topic_id)) {
        net.client.command(net.now, id, reading::Marked);
    }
}

/// The application commits an offset of t-0 itself, and waits for the answer.
fn commit_by_call(net: &mut Net, id: MachineId, offset: i64) -> Result<(), Error> {
    let (partition, topic_id) = (TopicPartition::new("t", 0), Uuid([1; 16]));
    let offset = CommitOffset { partition, offset, leader_epoch: 0, topic_id, metadata: None };
    let deadline = net.now.time + Duration::from_secs(30);
    let commit = net.client.reader_commit(net.now, id, 1, vec![offset], deadline).unwrap();
    net.settle();
    net.client.take(commit).unwrap()
}

fn told(net: &mut Net, id: MachineId) -> Vec<ReaderItem> {
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
    net.client.command(net.now, id, reading::Close);
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

/// Marks of several topics go in one commit. One topic was made anew, so that its mark is given up; another is refused for a while.
#[test]
fn case_d1_a_mark_of_a_deleted_topic_does_not_take_others_with_it() {
    let [old, new, other] = [1, 2, 9].map(|id| Uuid([id; 16]));
    let named = |name, topic_id| MetadataResponseTopic { topic_id, ..topic(name, -1, 0) };
    for is_anew in [false, true] {
        let topics = Rc::new(RefCell::new(vec![named("t", old), named("u", other)]));
        let (mut net, id, marks, commits) = member_of(&topics, move |at, topic_id| {
            let is_refused = topic_id == other && at < Duration::from_secs(30);
            if is_refused { ErrorCode::TopicAuthorizationFailed } else { ErrorCode::None }
        });
        mark_of(&mut net, id, &marks, ("t", old), 10);
        mark_of(&mut net, id, &marks, ("u", other), 20);
        if is_anew {
            topics.borrow_mut()[0] = named("t", new);
            net.ask_anew();
        }
        net.run_for(Duration::from_secs(20));
        let told: Vec<ReaderItem> = std::iter::from_fn(|| net.client.reader_take(net.now, id)).collect();
        let code = ErrorCode::TopicAuthorizationFailed;
        let refused =
            told.iter().filter(|item| matches!(item, ReaderItem::Error(e) if e.code() == Some(code)));
        assert_eq!(refused.count(), 1, "{told:?}");
        net.run_for(Duration::from_secs(20));
        let committed =
            commits.borrow().iter().filter(|(at, offset)| *offset == 20 && at.as_secs() >= 30).count();
        assert_eq!(committed, 1, "made anew: {is_anew}");
        assert_eq!(commits.borrow().iter().any(|(_, offset)| *offset == 10), !is_anew);
    }
}

/// The report of a client's end tells of commits whose answers were still to come when it began, and not of those that newer marks
/// took the place of.
#[test]
fn case_u2_what_was_under_way_at_the_end_is_reported() {
    for (is_under_way, is_replaced) in [(false, false), (true, false), (true, true)] {
        let (mut net, id, marks, _) = member(move |at| match is_replaced && at > Duration::from_secs(15) {
            true => ErrorCode::None,
            false => ErrorCode::GroupAuthorizationFailed,
        });
        mark(&mut net, id, &marks, 10);
        if is_under_way {
            net.silent.insert(9002);
            net.run_for(Duration::from_secs(12));
        }
        if is_replaced {
            mark(&mut net, id, &marks, 11);
        }
        let leaving = net.client.reader_leave(net.now, id).unwrap();
        if is_under_way {
            net.silent.clear();
            let conns: Vec<crate::link::ConnId> = net.unanswered.keys().copied().collect();
            conns.into_iter().for_each(|conn| net.end(conn, ConnectionError::Lost("reset".into())));
        }
        net.settle();
        net.run_for(Duration::from_secs(30));
        assert!(!net.client.has(id));
        let ended = leaving.commits.iter().filter_map(|commit| net.client.take(*commit));
        let error = ended.collect::<Vec<Result<(), Error>>>().into_iter().find_map(Result::err);
        assert_eq!(error.is_none(), is_replaced, "under way: {is_under_way}: {error:?}");
    }
}

#[test]
fn nothing_is_kept_of_groups_that_nobody_needs() {
    let (mut net, _, _, _) = member(|_| ErrorCode::None);
    for at in 0..500 {
        let group = Str::from(format!("group {at}"));
        net.call_of(Target::Coordinator(CoordinatorKind::Group, group), Duration::from_secs(1));
        net.run_for(Duration::from_secs(1));
    }
    assert!(net.client.coordinators.len() <= 100, "{}", net.client.coordinators.len());
    assert_eq!(net.client.coordinators.broker(CoordinatorKind::Group, &Str::from("g")), Some(2));
}

/// The connection is being closed for another reason when the member goes.
#[test]
fn nothing_is_kept_of_the_connections_of_a_member_that_is_gone() {
    let (mut net, id, _, _) = member(|_| ErrorCode::None);
    let lane =
        |net: &Net| net.client.lanes.get(LaneKey::node(2, Lane::Group(id))).map(|lane| lane.link().clone());
    net.silent.insert(9002);
    while !matches!(lane(&net), Some(LinkState::Closing(..))) {
        net.now.time = net.client.poll_timeout().unwrap();
        net.input(Input::Timeout);
        while net.transmit() {}
    }
    net.client.command(net.now, id, reading::Remove);
    net.settle();
    net.run_for(Duration::from_secs(100));
    assert!(lane(&net).is_none());
}
