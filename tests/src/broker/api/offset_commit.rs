//! OffsetCommit: a member, or a client without membership, stores its positions.

use kafka_proto::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitResponse, OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
};
use kafka_proto::{ErrorCode, Str};

use super::{Call, ClusterState, Reply, code};
use crate::broker::prepared::own;
use crate::broker::state::groups::Identity;
use crate::broker::state::groups::offsets::Committed;

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: OffsetCommitRequest) -> Reply {
    if let Err(error) = may_commit(cluster, call, &request) {
        return refuse(&request, call.version, error).into();
    }
    let mut topics = Vec::new();
    for topic in &request.topics {
        let name = cluster.topic_name(&topic.name, topic.topic_id);
        let commit = |one: &OffsetCommitRequestPartition| OffsetCommitResponsePartition {
            partition_index: one.partition_index,
            error_code: code(name.clone().and_then(|name| commit(cluster, &request.group_id, &name, one))),
            ..Default::default()
        };
        topics.push(OffsetCommitResponseTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: topic.partitions.iter().map(commit).collect(),
            ..Default::default()
        });
    }
    OffsetCommitResponse { topics, ..Default::default() }.into()
}

pub(crate) fn refuse(request: &OffsetCommitRequest, _: i16, error: ErrorCode) -> OffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|one| OffsetCommitResponsePartition {
            partition_index: one.partition_index,
            error_code: error.code(),
            ..Default::default()
        });
        OffsetCommitResponseTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: partitions.collect(),
            ..Default::default()
        }
    });
    OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}

fn may_commit(
    cluster: &mut ClusterState,
    call: &Call,
    request: &OffsetCommitRequest,
) -> Result<(), ErrorCode> {
    cluster.check_coordinator(call.node, &request.group_id)?;
    let generation = request.generation_id_or_member_epoch;
    let exists = cluster.groups.get(&request.group_id).is_some();
    if !exists && generation >= 0 {
        return Err(if call.version >= 9 {
            ErrorCode::GroupIdNotFound
        } else {
            ErrorCode::IllegalGeneration
        });
    }
    cluster.groups.get_or_create(&request.group_id);
    let identity =
        Identity { member_id: request.member_id.clone(), instance_id: request.group_instance_id.clone() };
    let (group, mut tools) = cluster
        .groups
        .with(&mut cluster.timers, cluster.now.mono, &request.group_id)
        .ok_or(ErrorCode::UnknownMemberId)?;
    group.may_commit(&mut tools, &identity, generation)
}

fn commit(
    cluster: &mut ClusterState,
    group: &str,
    topic: &Str,
    one: &OffsetCommitRequestPartition,
) -> Result<(), ErrorCode> {
    cluster.topics.partition(topic, one.partition_index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let metadata = one.committed_metadata.as_deref().unwrap_or_default();
    if metadata.len() > cluster.config.offset_metadata_max_bytes {
        return Err(ErrorCode::OffsetMetadataTooLarge);
    }
    let committed = Committed {
        offset: one.committed_offset,
        leader_epoch: one.committed_leader_epoch,
        metadata: own(metadata),
    };
    let key = (own(topic), one.partition_index);
    cluster.groups.get_or_create(group).offsets.insert(key, committed);
    Ok(())
}
