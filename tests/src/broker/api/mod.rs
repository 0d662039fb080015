//! What each API does, a file each. A handler reads the request, asks or changes the state, and answers; the
//! rules that outlive a request are in [`super::state`].

mod alter_configs;
pub(crate) mod api_versions;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
pub(crate) mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_groups;
mod list_offsets;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
pub(crate) mod produce;
mod sync_group;

use kafka_proto::{ErrorCode, RequestKind, ResponseKind, Str, Uuid};

use super::config::NodeId;
use super::prepared::{Arrived, Call};
use super::release::Release;
use super::state::groups::GroupAnswer;
use super::state::topics::{OFFSETS_TOPIC, Partition, java_hash};
use super::{ClusterState, Node};

/// What a handler did with a request.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "lives for the time of one call")]
pub(crate) enum Reply {
    /// The answer.
    Now(ResponseKind),
    /// Done, and no answer is expected.
    NoAnswer,
    /// The connection must be closed.
    Close,
    /// It waits; the answer comes later.
    Parked,
}

impl<R: Into<ResponseKind>> From<R> for Reply {
    fn from(response: R) -> Reply {
        Reply::Now(response.into())
    }
}

macro_rules! apis {
    ($($variant:ident => $module:ident,)*) => {
        /// Executes a request.
        pub(crate) fn handle(cluster: &mut ClusterState, arrived: Arrived) -> Reply {
            let call = &arrived.call;
            match arrived.request {
                RequestKind::Produce(request) => produce::handle(cluster, call, request, arrived.records),
                $(RequestKind::$variant(request) => $module::handle(cluster, call, request),)*
                _ => Reply::Close,
            }
        }

        /// The answer that refuses a request altogether, every topic, partition and group in it.
        pub(crate) fn refuse(request: &RequestKind, version: i16, error: ErrorCode) -> Option<ResponseKind> {
            Some(match request {
                RequestKind::Produce(request) => produce::refuse(request, version, error).into(),
                $(RequestKind::$variant(request) => $module::refuse(request, version, error).into(),)*
                _ => return None,
            })
        }

        /// Tells the client how long it is throttled.
        pub(crate) fn set_throttle(response: &mut ResponseKind, throttle_ms: i32) {
            match response {
                ResponseKind::Produce(response) => response.throttle_time_ms = throttle_ms,
                $(ResponseKind::$variant(response) => response.throttle_time_ms = throttle_ms,)*
                _ => {}
            }
        }
    };
}

apis! {
    Fetch => fetch,
    ListOffsets => list_offsets,
    Metadata => metadata,
    OffsetCommit => offset_commit,
    OffsetFetch => offset_fetch,
    FindCoordinator => find_coordinator,
    JoinGroup => join_group,
    Heartbeat => heartbeat,
    LeaveGroup => leave_group,
    SyncGroup => sync_group,
    DescribeGroups => describe_groups,
    ListGroups => list_groups,
    ApiVersions => api_versions,
    CreateTopics => create_topics,
    DeleteTopics => delete_topics,
    DeleteRecords => delete_records,
    InitProducerId => init_producer_id,
    OffsetForLeaderEpoch => offset_for_leader_epoch,
    DescribeConfigs => describe_configs,
    AlterConfigs => alter_configs,
    IncrementalAlterConfigs => incremental_alter_configs,
    CreatePartitions => create_partitions,
    DeleteGroups => delete_groups,
    OffsetDelete => offset_delete,
    DescribeCluster => describe_cluster,
}

/// Whether the client has not asked for an answer.
pub(crate) fn expects_no_answer(request: &RequestKind) -> bool {
    matches!(request, RequestKind::Produce(request) if request.acks == 0)
}

/// The answer of the group machine as a response.
pub(crate) fn group_answer(answer: GroupAnswer, version: i16) -> ResponseKind {
    match answer {
        GroupAnswer::Joined(joined) => join_group::response(joined, version).into(),
        GroupAnswer::Synced(synced) => sync_group::response(synced).into(),
    }
}

fn code(result: Result<(), ErrorCode>) -> i16 {
    result.err().unwrap_or(ErrorCode::None).code()
}

impl ClusterState {
    /// The name of the topic a request means: by name in older versions, by id in newer ones.
    fn topic_name(&self, name: &Str, id: Uuid) -> Result<Str, ErrorCode> {
        if id.is_zero() {
            return Ok(name.clone());
        }
        self.topics.name_of(id).cloned().ok_or(ErrorCode::UnknownTopicId)
    }

    /// The partition, if this node may serve it and the client's idea of the leader is not out of date.
    fn led_partition(
        &mut self,
        node: NodeId,
        topic: &str,
        index: i32,
        client_epoch: i32,
        followers_too: bool,
    ) -> Result<&mut Partition, ErrorCode> {
        let seen = self.seen_by(node, topic, index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let partition = self.topics.partition_mut(topic, index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if !partition.replicas.contains(&node) {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        if client_epoch >= 0 && client_epoch < seen.leader_epoch {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if client_epoch > seen.leader_epoch {
            return Err(ErrorCode::UnknownLeaderEpoch);
        }
        if seen.leader != Some(node) && !(followers_too && seen.leader.is_some()) {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        Ok(partition)
    }

    pub(crate) fn alive_nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(|node| node.alive)
    }

    pub(crate) fn is_alive(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|node| node.alive)
    }

    /// The node that decides about topics: the first that is up.
    fn controller(&self) -> Option<NodeId> {
        self.alive_nodes().next().map(|node| node.address.id)
    }

    /// Before KRaft only the controller itself takes requests that change topics.
    fn check_controller(&self, node: NodeId) -> Result<(), ErrorCode> {
        let any_node = self.config.release >= Release::V3_3;
        if any_node || self.controller() == Some(node) { Ok(()) } else { Err(ErrorCode::NotController) }
    }

    /// The partition of the offsets topic that a group belongs to.
    pub(crate) fn group_partition(&self, group: &str) -> i32 {
        (java_hash(group) & i32::MAX) % self.config.offsets_topic_partitions.max(1)
    }

    /// The node that coordinates a group; `None` while nobody does.
    pub fn coordinator(&mut self, group: &str) -> Option<NodeId> {
        self.ensure_offsets_topic();
        self.topics.partition(OFFSETS_TOPIC, self.group_partition(group))?.leader
    }

    /// Whether this node coordinates the group.
    fn check_coordinator(&mut self, node: NodeId, group: &str) -> Result<(), ErrorCode> {
        if group.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        match self.coordinator(group) {
            None => Err(ErrorCode::CoordinatorNotAvailable),
            Some(leader) if leader != node => Err(ErrorCode::NotCoordinator),
            Some(_) => Ok(()),
        }
    }
}
