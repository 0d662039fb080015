//! A coordinator in miniature: one group, no clock. Whoever does not answer a rebalance must be [kicked](Coordinator::kick) out.

use super::rig::code;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use kafka_proto::messages::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember};
use kafka_proto::messages::leave_group::LeaveGroupResponse;
use kafka_proto::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_proto::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
};
use kafka_proto::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use kafka_proto::{Bytes, Str};
use kafka_proto::{RequestKind, ResponseKind};
use std::collections::BTreeMap;

/// Whose request, and its tag.
pub(super) type From = (usize, u64);

#[derive(Default)]
pub(super) struct Coordinator {
    pub(super) generation: i32,
    phase: Phase,
    leader: Str,
    members: BTreeMap<Str, Joined>,
    ids: u32,
    pub(super) offsets: BTreeMap<(Str, i32), i64>,
    pub(super) replies: Vec<(From, ResponseKind)>,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Phase {
    #[default]
    Stable,
    Joining,
    Syncing,
}

struct Joined {
    metadata: Bytes,
    join: Option<From>,
    sync: Option<From>,
    assignment: Bytes,
}

impl Coordinator {
    pub(super) fn handle(&mut self, from: From, request: RequestKind) {
        match request {
            RequestKind::JoinGroup(request) => self.join(from, request),
            RequestKind::SyncGroup(request) => self.sync(from, request),
            RequestKind::Heartbeat(request) => {
                let error_code = code(self.beat(&request));
                self.replies.push((from, HeartbeatResponse { error_code, ..Default::default() }.into()));
            }
            RequestKind::OffsetCommit(request) => self.commit(from, request),
            RequestKind::OffsetFetch(request) => self.fetch(from, request),
            RequestKind::LeaveGroup(request) => {
                self.kick(&request.members[0].member_id);
                self.replies.push((from, LeaveGroupResponse::default().into()));
            }
            other => panic!("{other:?}"),
        }
    }

    fn join(&mut self, from: From, request: JoinGroupRequest) {
        if request.member_id.is_empty() {
            self.ids += 1;
            let member_id = Str::from(format!("member-{}", self.ids));
            let error_code = code(ErrorCode::MemberIdRequired);
            let answer = JoinGroupResponse { error_code, member_id, ..Default::default() };
            return self.replies.push((from, answer.into()));
        }
        let metadata = request.protocols[0].metadata.clone();
        let joined = Joined { metadata, join: Some(from), sync: None, assignment: Bytes::new() };
        self.members.insert(request.member_id, joined);
        self.phase = Phase::Joining;
        self.complete_join();
    }

    /// All have joined: the next generation begins.
    fn complete_join(&mut self) {
        if self.phase != Phase::Joining || self.members.values().any(|m| m.join.is_none()) {
            return;
        }
        let Some(leader) = self.members.keys().next().cloned() else { return };
        (self.phase, self.generation, self.leader) = (Phase::Syncing, self.generation + 1, leader);
        let all: Vec<JoinGroupResponseMember> = (self.members.iter())
            .map(|(id, m)| JoinGroupResponseMember {
                member_id: id.clone(),
                metadata: m.metadata.clone(),
                ..Default::default()
            })
            .collect();
        for (id, member) in &mut self.members {
            let answer = JoinGroupResponse {
                generation_id: self.generation,
                protocol_type: Some("consumer".into()),
                protocol_name: Some("range".into()),
                leader: self.leader.clone(),
                member_id: id.clone(),
                members: if *id == self.leader { all.clone() } else { Vec::new() },
                ..Default::default()
            };
            self.replies.push((member.join.take().unwrap(), answer.into()));
        }
    }

    fn sync(&mut self, from: From, request: SyncGroupRequest) {
        let error = self.check(&request.member_id, request.generation_id);
        let error = if self.phase == Phase::Joining { ErrorCode::RebalanceInProgress } else { error };
        if error != ErrorCode::None {
            let answer = SyncGroupResponse { error_code: code(error), ..Default::default() };
            return self.replies.push((from, answer.into()));
        }
        self.members.get_mut(&request.member_id).unwrap().sync = Some(from);
        if request.member_id == self.leader {
            for one in request.assignments {
                self.members.get_mut(&one.member_id).unwrap().assignment = one.assignment;
            }
            self.phase = Phase::Stable;
        }
        if self.phase == Phase::Stable {
            for member in self.members.values_mut() {
                if let Some(from) = member.sync.take() {
                    let assignment = member.assignment.clone();
                    let answer = SyncGroupResponse { assignment, ..Default::default() };
                    self.replies.push((from, answer.into()));
                }
            }
        }
    }

    fn check(&self, member: &Str, generation: i32) -> ErrorCode {
        match self.members.get(member) {
            None => ErrorCode::UnknownMemberId,
            Some(_) if generation != self.generation => ErrorCode::IllegalGeneration,
            Some(_) => ErrorCode::None,
        }
    }

    fn beat(&self, request: &HeartbeatRequest) -> ErrorCode {
        match self.check(&request.member_id, request.generation_id) {
            ErrorCode::None if self.phase != Phase::Stable => ErrorCode::RebalanceInProgress,
            error => error,
        }
    }

    fn commit(&mut self, from: From, request: OffsetCommitRequest) {
        let error = match self.check(&request.member_id, request.generation_id_or_member_epoch) {
            ErrorCode::None if self.phase == Phase::Syncing => ErrorCode::RebalanceInProgress,
            error => error,
        };
        let mut topics = Vec::new();
        for topic in request.topics {
            let mut partitions = Vec::new();
            for p in topic.partitions {
                if error == ErrorCode::None {
                    self.offsets.insert((topic.name.clone(), p.partition_index), p.committed_offset);
                }
                partitions.push(OffsetCommitResponsePartition {
                    partition_index: p.partition_index,
                    error_code: code(error),
                    ..Default::default()
                });
            }
            topics.push(OffsetCommitResponseTopic { name: topic.name, partitions, ..Default::default() });
        }
        self.replies.push((from, OffsetCommitResponse { topics, ..Default::default() }.into()));
    }

    fn fetch(&mut self, from: From, request: OffsetFetchRequest) {
        let group = &request.groups[0];
        let topics = group.topics.iter().flatten().map(|topic| OffsetFetchResponseTopics {
            name: topic.name.clone(),
            partitions: (topic.partition_indexes.iter())
                .map(|p| OffsetFetchResponsePartitions {
                    partition_index: p,
                    committed_offset: self.offsets.get(&(topic.name.clone(), p)).copied().unwrap_or(-1),
                    committed_leader_epoch: -1,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        });
        let group = OffsetFetchResponseGroup {
            group_id: group.group_id.clone(),
            topics: topics.collect(),
            ..Default::default()
        };
        self.replies.push((from, OffsetFetchResponse { groups: vec![group], ..Default::default() }.into()));
    }

    /// Takes a member out, as by its leave or the end of its session.
    pub(super) fn kick(&mut self, member: &Str) {
        let Some(gone) = self.members.remove(member) else { return };
        let error_code = code(ErrorCode::UnknownMemberId);
        if let Some(from) = gone.join {
            self.replies.push((from, JoinGroupResponse { error_code, ..Default::default() }.into()));
        }
        if let Some(from) = gone.sync {
            self.replies.push((from, SyncGroupResponse { error_code, ..Default::default() }.into()));
        }
        if !self.members.is_empty() {
            self.phase = Phase::Joining;
            for member in self.members.values_mut() {
                if let Some(from) = member.sync.take() {
                    let error_code = code(ErrorCode::RebalanceInProgress);
                    self.replies.push((from, SyncGroupResponse { error_code, ..Default::default() }.into()));
                }
            }
            self.complete_join();
        }
    }
}
