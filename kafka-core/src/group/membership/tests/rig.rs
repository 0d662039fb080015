//! A membership, a clock and a cluster, and short ways to answer what the membership asks.

use crate::error::{ConnectionError, Error};
use crate::group::subscription::{Assignment, Subscription};
use crate::group::{CommitOffset, CommittedOffset, GroupConfig, GroupEvent, Membership};
use crate::machine::{Answer, Ask, CoordinatorKind, Hint, MachineId, Now, Peer, Target, Time};
use crate::snapshot::{Cluster, Partition, Topic, TopicPartition};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use kafka_proto::messages::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember};
use kafka_proto::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse};
use kafka_proto::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_proto::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
};
use kafka_proto::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use kafka_proto::{ApiKey, Bytes, Str, Uuid};
use kafka_proto::{RequestKind, ResponseKind};
use std::sync::Arc;
use std::time::Duration;

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// Any instant will do.
pub(super) fn some_instant() -> Time {
    Time::START + Duration::from_secs(1_000_000)
}

pub(super) struct Rig {
    pub(super) machine: Membership,
    pub(super) now: Time,
    pub(super) cluster: Cluster,
    /// The id of the topic under which the application read what it commits.
    pub(super) read_under: Uuid,
    /// Asked and not answered.
    pub(super) asks: Vec<Ask>,
}

impl Rig {
    pub(super) fn with(config: GroupConfig) -> Self {
        config.validate().unwrap();
        let mut cluster = Cluster::default();
        add_topic(&mut cluster, "t", 2);
        let machine = Membership::new(MachineId(7), Arc::new(config), 42);
        Self { machine, now: some_instant(), cluster, read_under: Uuid::ZERO, asks: Vec::new() }
    }

    /// Subscribed to `t`, which has two partitions.
    pub(super) fn new() -> Self {
        let mut rig = Self::with(GroupConfig::new("g"));
        rig.subscribe(&["t"]);
        rig
    }

    /// Sole member and leader, `t-0` and `t-1` assigned as number 1, `t-0` committed at 5.
    pub(super) fn stable() -> Self {
        let mut rig = Self::new();
        rig.become_stable();
        rig.events();
        rig
    }

    /// From Joining to Stable, as leader.
    pub(super) fn become_stable(&mut self) {
        self.answer(join_ok("m", 1, true, &["t"]));
        let given = self.asked::<SyncGroupRequest>(ApiKey::SyncGroup).assignments[0].assignment.clone();
        self.answer(sync_ok(given));
        self.answer(offsets(&[("t", 0, 5), ("t", 1, -1)]));
    }

    pub(super) fn now(&self) -> Now {
        Now { time: self.now, wall_ms: 0 }
    }

    pub(super) fn subscribe(&mut self, topics: &[&str]) {
        self.machine.subscribe(self.now(), topics.iter().map(|t| Str::from(*t)).collect());
        self.pump();
    }

    pub(super) fn pump(&mut self) {
        self.pump_asks();
        while let Some(call) = self.machine.poll_call(self.now(), &self.cluster) {
            self.machine.handle_called(self.now(), call.run());
            self.pump_asks();
        }
    }

    fn pump_asks(&mut self) {
        while let Some(ask) = self.machine.poll_ask(self.now(), &self.cluster) {
            let key = ask.request.api_key();
            assert!(self.asks.iter().all(|a| a.request.api_key() != key), "{key:?} asked while open");
            assert!(self.asks.iter().all(|a| a.tag != ask.tag));
            assert_eq!(ask.target, Target::Coordinator(CoordinatorKind::Group, "g".into()));
            self.asks.push(ask);
        }
    }

    /// Takes out the open ask of this API.
    pub(super) fn take(&mut self, key: ApiKey) -> Ask {
        let place = self.asks.iter().position(|a| a.request.api_key() == key);
        self.asks.swap_remove(place.unwrap_or_else(|| panic!("{key:?} is not asked, but {:?}", self.keys())))
    }

    /// The request of this API, which stays open.
    pub(super) fn asked<T: FromKind>(&self, key: ApiKey) -> T {
        let ask = self.asks.iter().find(|a| a.request.api_key() == key);
        let ask = ask.unwrap_or_else(|| panic!("{key:?} is not asked, but {:?}", self.keys()));
        T::from_kind(ask.request.clone())
    }

    pub(super) fn keys(&self) -> Vec<ApiKey> {
        self.asks.iter().map(|a| a.request.api_key()).collect()
    }

    /// Answers the open ask of the response's API.
    pub(super) fn answer(&mut self, response: ResponseKind) {
        let ask = self.take(response.api_key());
        self.give(ask, Ok(response));
    }

    pub(super) fn fail(&mut self, key: ApiKey, error: Error) {
        let ask = self.take(key);
        self.give(ask, Err(error));
    }

    pub(super) fn give(&mut self, ask: Ask, result: Result<ResponseKind, Error>) {
        let answer = Answer { tag: ask.tag, peer: Some(Peer::Node(1)), result };
        self.machine.handle_answer(self.now(), &self.cluster, answer);
        self.pump();
    }

    /// Lets time pass; all timers fire when they are due.
    pub(super) fn sleep(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..10_000 {
            match self.machine.poll_timeout() {
                Some(at) if at <= end => {
                    self.now = self.now.max(at);
                    self.machine.handle_timeout(self.now());
                    self.pump();
                }
                _ => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("the timer stands still");
    }

    pub(super) fn events(&mut self) -> Vec<GroupEvent> {
        std::iter::from_fn(|| self.machine.poll_event()).collect()
    }

    pub(super) fn hints(&mut self) -> Vec<Hint> {
        std::iter::from_fn(|| self.machine.poll_hint()).collect()
    }

    pub(super) fn told_to_look_up(&mut self) -> bool {
        self.hints().contains(&Hint::NotCoordinator(CoordinatorKind::Group, "g".into()))
    }

    pub(super) fn revoked(&mut self, assignment: u32) {
        self.machine.revoked(self.now(), assignment);
        self.pump();
    }

    pub(super) fn leave(&mut self) {
        self.machine.leave(self.now());
        self.pump();
    }

    /// Commits offsets of `t` with a minute's time.
    pub(super) fn commit(&mut self, assignment: u32, offsets: &[(i32, i64)]) -> u64 {
        self.commit_within(MINUTE, assignment, offsets)
    }

    pub(super) fn commit_within(&mut self, time: Duration, assignment: u32, offsets: &[(i32, i64)]) -> u64 {
        let topic_id = self.read_under;
        let each = |(p, offset): &(i32, i64)| CommitOffset {
            partition: TopicPartition::new("t", *p),
            offset: *offset,
            leader_epoch: 3,
            topic_id,
            metadata: Some("note".into()),
        };
        let offsets = offsets.iter().map(each).collect();
        let id = self.machine.commit(self.now(), assignment, offsets, self.now + time, &self.cluster);
        self.pump();
        id
    }

    pub(super) fn metadata_changed(&mut self) {
        self.machine.metadata_changed(self.now(), &self.cluster);
        self.pump();
    }

    /// The rebalance is told by a heartbeat.
    pub(super) fn rebalance(&mut self) {
        self.sleep(3 * SECOND);
        self.answer(heartbeat(ErrorCode::RebalanceInProgress));
    }
}

pub(super) fn add_topic(cluster: &mut Cluster, name: &str, partitions: usize) {
    let partition = Partition {
        leader: Some(1),
        leader_epoch: Some(3),
        replicas: vec![1],
        isr: vec![1],
        offline: vec![],
    };
    let topic = Topic {
        name: name.into(),
        id: Default::default(),
        is_internal: false,
        partitions: vec![partition; partitions],
    };
    cluster.topics.insert(name.into(), Arc::new(topic));
}

pub(super) trait FromKind {
    fn from_kind(kind: RequestKind) -> Self;
}

macro_rules! from_kind {
    ($($variant:ident $request:ident),*) => {$(
        impl FromKind for $request {
            fn from_kind(kind: RequestKind) -> Self {
                match kind {
                    RequestKind::$variant(request) => request,
                    other => panic!("{other:?}"),
                }
            }
        }
    )*};
}

from_kind!(
    JoinGroup JoinGroupRequest,
    SyncGroup SyncGroupRequest,
    Heartbeat HeartbeatRequest,
    LeaveGroup LeaveGroupRequest,
    OffsetCommit OffsetCommitRequest,
    OffsetFetch OffsetFetchRequest
);

pub(super) fn lost() -> Error {
    ConnectionError::Lost("reset".into()).into()
}

pub(super) fn code(code: ErrorCode) -> i16 {
    code.code()
}

pub(super) fn join_error(error: ErrorCode) -> ResponseKind {
    JoinGroupResponse { error_code: code(error), ..Default::default() }.into()
}

pub(super) fn subscription(topics: &[&str]) -> Bytes {
    let topics = topics.iter().map(|t| Str::from(*t)).collect();
    Subscription { topics, ..Subscription::default() }.encode()
}

/// A generation whose only member is this one; `range`.
pub(super) fn join_ok(member: &str, generation: i32, leads: bool, topics: &[&str]) -> ResponseKind {
    let own = JoinGroupResponseMember {
        member_id: member.into(),
        metadata: subscription(topics),
        ..Default::default()
    };
    JoinGroupResponse {
        generation_id: generation,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        leader: if leads { member } else { "another" }.into(),
        member_id: member.into(),
        members: if leads { vec![own] } else { vec![] },
        ..Default::default()
    }
    .into()
}

pub(super) fn blob(partitions: &[(&str, i32)]) -> Bytes {
    let partitions = partitions.iter().map(|(t, p)| TopicPartition::new(*t, *p)).collect();
    Assignment { partitions, user_data: None }.encode()
}

pub(super) fn sync_ok(assignment: Bytes) -> ResponseKind {
    SyncGroupResponse { assignment, ..Default::default() }.into()
}

pub(super) fn sync_error(error: ErrorCode) -> ResponseKind {
    SyncGroupResponse { error_code: code(error), ..Default::default() }.into()
}

pub(super) fn heartbeat(error: ErrorCode) -> ResponseKind {
    HeartbeatResponse { error_code: code(error), ..Default::default() }.into()
}

pub(super) fn left(error: ErrorCode) -> ResponseKind {
    LeaveGroupResponse { error_code: code(error), ..Default::default() }.into()
}

/// Committed offsets, -1 for none, each with the epoch 3.
pub(super) fn offsets(list: &[(&str, i32, i64)]) -> ResponseKind {
    let list: Vec<_> = list.iter().map(|(t, p, o)| (*t, *p, *o, ErrorCode::None)).collect();
    offsets_with(&list, ErrorCode::None)
}

pub(super) fn offsets_with(list: &[(&str, i32, i64, ErrorCode)], group: ErrorCode) -> ResponseKind {
    let topic = |(name, partition, offset, error): &(&str, i32, i64, ErrorCode)| OffsetFetchResponseTopics {
        name: (*name).into(),
        partitions: vec![OffsetFetchResponsePartitions {
            partition_index: *partition,
            committed_offset: *offset,
            committed_leader_epoch: 3,
            metadata: Some("".into()),
            error_code: code(*error),
            ..Default::default()
        }],
        ..Default::default()
    };
    let group = OffsetFetchResponseGroup {
        group_id: "g".into(),
        topics: list.iter().map(topic).collect(),
        error_code: code(group),
        ..Default::default()
    };
    OffsetFetchResponse { groups: vec![group], ..Default::default() }.into()
}

pub(super) fn committed(list: &[(i32, ErrorCode)]) -> ResponseKind {
    let partition = |(p, error): &(i32, ErrorCode)| OffsetCommitResponsePartition {
        partition_index: *p,
        error_code: code(*error),
        ..Default::default()
    };
    let partitions = list.iter().map(partition).collect();
    let topic = OffsetCommitResponseTopic { name: "t".into(), partitions, ..Default::default() };
    OffsetCommitResponse { topics: vec![topic], ..Default::default() }.into()
}

pub(super) fn assigned(number: u32, generation: i32, partitions: &[(&str, i32, Option<i64>)]) -> GroupEvent {
    GroupEvent::Assigned { assignment: number, generation, partitions: restored(partitions) }
}

pub(super) fn assigned_more(assignment: u32, partitions: &[(&str, i32, Option<i64>)]) -> GroupEvent {
    GroupEvent::AssignedMore { assignment, partitions: restored(partitions) }
}

fn restored(partitions: &[(&str, i32, Option<i64>)]) -> Vec<(TopicPartition, Option<CommittedOffset>)> {
    let one = |(t, p, offset): &(&str, i32, Option<i64>)| {
        let committed =
            offset.map(|offset| CommittedOffset { offset, leader_epoch: 3, metadata: Some("".into()) });
        (TopicPartition::new(*t, *p), committed)
    };
    partitions.iter().map(one).collect()
}

/// The error code that an event tells, for `Lost`, `Failed` and a failed commit.
pub(super) fn told(event: &GroupEvent) -> Option<ErrorCode> {
    match event {
        GroupEvent::Lost { error, .. } | GroupEvent::Failed(error) | GroupEvent::Notice(error) => {
            error.code()
        }
        GroupEvent::Committed { result: Err(error), .. } => error.code(),
        _ => None,
    }
}

/// The topic `t` has this id from now on.
pub(super) fn set_topic_id(cluster: &mut Cluster, id: u8) {
    let topic = cluster.topics.get_mut("t").map(Arc::make_mut).unwrap();
    topic.id = Uuid([id; 16]);
}
