//! OffsetFetch: what a group has committed.

use std::collections::BTreeMap;

use kafka_proto::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchResponse, OffsetFetchResponseGroup,
    OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_proto::{ErrorCode, Str, Uuid};

use super::{Call, ClusterState, Reply};
use crate::broker::state::groups::offsets::Committed;

/// What stands for an offset that was never committed.
fn none() -> Committed {
    Committed { offset: -1, leader_epoch: -1, metadata: Str::new() }
}

/// A topic with the partitions asked for.
type Asked = (Str, Uuid, Vec<i32>);

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: OffsetFetchRequest) -> Reply {
    if call.version >= 8 {
        let groups = request.groups.iter().map(|group| group_offsets(cluster, call, group)).collect();
        return OffsetFetchResponse { groups, ..Default::default() }.into();
    }
    if let Err(error) = cluster.check_coordinator(call.node, &request.group_id) {
        return refuse(&request, call.version, error).into();
    }
    let asked = request.topics.as_ref().map(|topics| {
        topics
            .iter()
            .map(|t| (t.name.clone(), Uuid::ZERO, t.partition_indexes.to_vec()))
            .collect::<Vec<Asked>>()
    });
    let found = find(cluster, &request.group_id, asked, false);
    let topics = found.into_iter().map(|(name, _, partitions)| OffsetFetchResponseTopic {
        name,
        partitions: partitions
            .into_iter()
            .map(|(index, found)| old_partition(call.version, index, found))
            .collect(),
        ..Default::default()
    });
    OffsetFetchResponse { topics: topics.collect(), ..Default::default() }.into()
}

pub(crate) fn refuse(request: &OffsetFetchRequest, version: i16, error: ErrorCode) -> OffsetFetchResponse {
    if version >= 8 {
        let groups = request.groups.iter().map(|group| failed_group(group, error)).collect();
        return OffsetFetchResponse { groups, ..Default::default() };
    }
    // Versions 0 and 1 have no error but those of the partitions.
    let topics = request.topics.iter().flatten().map(|topic| OffsetFetchResponseTopic {
        name: topic.name.clone(),
        partitions: topic
            .partition_indexes
            .iter()
            .map(|index| old_partition(version, index, Err(error)))
            .collect(),
        ..Default::default()
    });
    OffsetFetchResponse { topics: topics.collect(), error_code: error.code(), ..Default::default() }
}

fn group_offsets(
    cluster: &mut ClusterState,
    call: &Call,
    group: &OffsetFetchRequestGroup,
) -> OffsetFetchResponseGroup {
    if let Err(error) = cluster.check_coordinator(call.node, &group.group_id) {
        return failed_group(group, error);
    }
    let asked = group.topics.as_ref().map(|topics| {
        let asked = topics.iter().map(|t| (t.name.clone(), t.topic_id, t.partition_indexes.to_vec()));
        asked.collect::<Vec<Asked>>()
    });
    let found = find(cluster, &group.group_id, asked, call.version >= 10);
    let partition = |(partition_index, found): FoundPartition| {
        let error = found.as_ref().err().copied().unwrap_or(ErrorCode::None);
        let found = found.unwrap_or_else(|_| none());
        OffsetFetchResponsePartitions {
            partition_index,
            committed_offset: found.offset,
            committed_leader_epoch: found.leader_epoch,
            metadata: Some(found.metadata),
            error_code: error.code(),
            ..Default::default()
        }
    };
    let topics = found.into_iter().map(|(name, topic_id, partitions)| OffsetFetchResponseTopics {
        name,
        topic_id,
        partitions: partitions.into_iter().map(partition).collect(),
        ..Default::default()
    });
    OffsetFetchResponseGroup {
        group_id: group.group_id.clone(),
        topics: topics.collect(),
        ..Default::default()
    }
}

type FoundPartition = (i32, Result<Committed, ErrorCode>);
type Found = (Str, Uuid, Vec<FoundPartition>);

/// The committed offsets of the partitions asked for, or of all.
fn find(cluster: &ClusterState, group: &str, asked: Option<Vec<Asked>>, by_id: bool) -> Vec<Found> {
    let group = cluster.groups.get(group);
    let Some(asked) = asked else {
        let mut all: BTreeMap<Str, Vec<FoundPartition>> = BTreeMap::new();
        for ((topic, partition), committed) in group.iter().flat_map(|group| &group.offsets) {
            all.entry(topic.clone()).or_default().push((*partition, Ok(committed.clone())));
        }
        let id = |name: &Str| cluster.topics.get(name).map_or(Uuid::ZERO, |topic| topic.id);
        return all
            .into_iter()
            .map(|(name, found)| (name.clone(), if by_id { id(&name) } else { Uuid::ZERO }, found))
            .collect();
    };
    let committed = |name: &Str, partition: i32| {
        let found = group.and_then(|group| group.offsets.get(&(name.clone(), partition)));
        found.cloned().unwrap_or_else(none)
    };
    let topic = |(name, id, partitions): Asked| {
        let known = cluster.topic_name(&name, id);
        let found = |partition: i32| (partition, known.clone().map(|known| committed(&known, partition)));
        (name.clone(), id, partitions.into_iter().map(found).collect())
    };
    asked.into_iter().map(topic).collect()
}

fn failed_group(group: &OffsetFetchRequestGroup, error: ErrorCode) -> OffsetFetchResponseGroup {
    OffsetFetchResponseGroup {
        group_id: group.group_id.clone(),
        error_code: error.code(),
        ..Default::default()
    }
}

fn old_partition(
    version: i16,
    partition_index: i32,
    found: Result<Committed, ErrorCode>,
) -> OffsetFetchResponsePartition {
    let error = found.as_ref().err().copied().unwrap_or(ErrorCode::None);
    let found = found.unwrap_or_else(|_| none());
    OffsetFetchResponsePartition {
        partition_index,
        committed_offset: found.offset,
        committed_leader_epoch: if version >= 5 { found.leader_epoch } else { -1 },
        metadata: Some(found.metadata),
        error_code: error.code(),
        ..Default::default()
    }
}
