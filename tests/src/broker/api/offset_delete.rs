//! OffsetDelete: forgets committed offsets of topics the group does not read.

use kafka_proto::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteResponse, OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
};
use kafka_proto::{ErrorCode, Str};

use super::{Call, ClusterState, Reply, code};
use crate::broker::state::groups::State;

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: OffsetDeleteRequest) -> Reply {
    let group = cluster.check_coordinator(call.node, &request.group_id).and_then(|()| {
        let group = cluster.groups.get(&request.group_id).ok_or(ErrorCode::GroupIdNotFound)?;
        let consumers = group.protocol_type.as_deref() == Some("consumer");
        if group.state != State::Empty && !consumers { Err(ErrorCode::NonEmptyGroup) } else { Ok(()) }
    });
    if let Err(error) = group {
        return refuse(&request, call.version, error).into();
    }
    let mut topics = Vec::new();
    for topic in &request.topics {
        let delete = |one: &OffsetDeleteRequestPartition| OffsetDeleteResponsePartition {
            partition_index: one.partition_index,
            error_code: code(delete(cluster, &request.group_id, &topic.name, one.partition_index)),
        };
        topics.push(OffsetDeleteResponseTopic {
            name: topic.name.clone(),
            partitions: topic.partitions.iter().map(delete).collect(),
        });
    }
    OffsetDeleteResponse { topics, ..Default::default() }.into()
}

pub(crate) fn refuse(_: &OffsetDeleteRequest, _: i16, error: ErrorCode) -> OffsetDeleteResponse {
    OffsetDeleteResponse { error_code: error.code(), ..Default::default() }
}

fn delete(cluster: &mut ClusterState, group: &str, topic: &Str, partition: i32) -> Result<(), ErrorCode> {
    cluster.topics.partition(topic, partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let group = cluster.groups.get_mut(group).ok_or(ErrorCode::GroupIdNotFound)?;
    if group.subscribes_to(topic) {
        return Err(ErrorCode::GroupSubscribedToTopic);
    }
    group.offsets.remove(&(topic.clone(), partition));
    Ok(())
}
