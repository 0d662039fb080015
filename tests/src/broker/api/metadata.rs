//! Metadata: the nodes that are up, and of topics who leads which partition.

use std::collections::BTreeSet;

use kafka_proto::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_proto::{ErrorCode, Str, Uuid};

use super::{Call, ClusterState, NodeId, Reply};
use crate::broker::lag::Seen;
use crate::broker::release::Release;
use crate::broker::state::topics::{OFFSETS_TOPIC, Partition, Topic, invalid_name};

/// Operations a client may do on a topic, as a bit field; there is no authorization here, so all of them.
pub(super) const ALL_TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;
/// The same for the cluster.
pub(super) const ALL_CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: MetadataRequest) -> Reply {
    let may_create =
        cluster.config.auto_create_topics && (call.version < 4 || request.allow_auto_topic_creation);
    let all = match &request.topics {
        None => true,
        Some(topics) => topics.is_empty() && call.version == 0,
    };
    let mut topics = Vec::new();
    if all {
        let names: Vec<Str> = cluster.topics.iter().map(|topic| topic.name.clone()).collect();
        topics.extend(names.iter().map(|name| by_name(cluster, call.node, name, false)));
    } else {
        let asked = request.topics.iter().flatten();
        let distinct: BTreeSet<(Option<&Str>, Uuid)> =
            asked.map(|topic| (topic.name.as_ref(), topic.topic_id)).collect();
        for (name, id) in distinct {
            topics.push(match name {
                Some(name) => by_name(cluster, call.node, name, may_create),
                None => by_id(cluster, call.node, id),
            });
        }
    }
    for topic in &mut topics {
        if call.version >= 8 && request.include_topic_authorized_operations {
            topic.topic_authorized_operations = ALL_TOPIC_OPERATIONS;
        }
        // Before version 12 a name is always there.
        if call.version < 12 && topic.name.is_none() {
            topic.name = Some(Str::new());
        }
    }
    let mut response = MetadataResponse {
        brokers: brokers(cluster, call.node),
        cluster_id: Some(cluster.cluster_id.clone()),
        controller_id: cluster.controller().unwrap_or(-1),
        topics,
        ..Default::default()
    };
    if (8..=10).contains(&call.version) && request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = ALL_CLUSTER_OPERATIONS;
    }
    response.into()
}

pub(crate) fn refuse(request: &MetadataRequest, version: i16, error: ErrorCode) -> MetadataResponse {
    let refused = |topic: &MetadataRequestTopic| {
        let name = topic.name.clone().or_else(|| (version < 12).then(Str::new));
        failed(name, topic.topic_id, error)
    };
    let topics = request.topics.iter().flatten().map(refused).collect();
    MetadataResponse { topics, error_code: error.code(), ..Default::default() }
}

fn brokers(cluster: &ClusterState, asked: NodeId) -> Vec<MetadataResponseBroker> {
    let broker = |node: &super::Node| MetadataResponseBroker {
        node_id: node.address.id,
        host: Str::from(node.address.host.as_str()),
        port: i32::from(node.address.port),
        rack: node.address.rack.as_deref().map(Str::from),
        ..Default::default()
    };
    cluster.alive_as_seen_by(asked).iter().filter_map(|id| cluster.nodes.get(id)).map(broker).collect()
}

fn by_name(cluster: &mut ClusterState, asked: NodeId, name: &Str, may_create: bool) -> MetadataResponseTopic {
    if let Some(topic) = cluster.topics.get(name) {
        return described(cluster, asked, topic);
    }
    if invalid_name(name).is_some() {
        return failed(Some(name.clone()), Uuid::ZERO, ErrorCode::InvalidTopicException);
    }
    let mut error = ErrorCode::UnknownTopicOrPartition;
    if &**name == OFFSETS_TOPIC && may_create {
        cluster.ensure_offsets_topic();
    } else if may_create {
        let partitions = cluster.config.default_partitions;
        let replication = cluster.default_replication();
        let created = cluster.create_topic(name, partitions, replication, &[]);
        // The client asks again: the topic is there, but those who answer it hear of it a moment later.
        if created.is_ok() && cluster.config.release < Release::V2_8 {
            error = ErrorCode::LeaderNotAvailable;
        }
    }
    failed(Some(name.clone()), Uuid::ZERO, error)
}

fn by_id(cluster: &ClusterState, asked: NodeId, id: Uuid) -> MetadataResponseTopic {
    let topic = cluster.topics.name_of(id).and_then(|name| cluster.topics.get(name));
    match topic {
        Some(topic) => described(cluster, asked, topic),
        None => failed(None, id, ErrorCode::UnknownTopicId),
    }
}

fn failed(name: Option<Str>, topic_id: Uuid, error: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic { error_code: error.code(), name, topic_id, ..Default::default() }
}

fn described(cluster: &ClusterState, asked: NodeId, topic: &Topic) -> MetadataResponseTopic {
    let partitions = (0..).zip(&topic.partitions).map(|(index, partition)| {
        let seen = cluster.seen_by(asked, &topic.name, index).unwrap_or_else(|| Seen::now(partition));
        described_partition(cluster, index, partition, seen)
    });
    // A cluster whose nodes agree on an older release has no ids, whatever this node could tell.
    let has_ids = cluster.config.release >= Release::V2_8;
    MetadataResponseTopic {
        name: Some(topic.name.clone()),
        topic_id: if has_ids { topic.id } else { Uuid::ZERO },
        is_internal: topic.internal,
        partitions: partitions.collect(),
        ..Default::default()
    }
}

fn described_partition(
    cluster: &ClusterState,
    index: i32,
    partition: &Partition,
    seen: Seen,
) -> MetadataResponsePartition {
    let error = if seen.leader.is_some() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
    let is_down = |node: &NodeId| !cluster.is_alive(*node);
    MetadataResponsePartition {
        error_code: error.code(),
        partition_index: index,
        leader_id: seen.leader.unwrap_or(-1),
        leader_epoch: seen.leader_epoch,
        replica_nodes: partition.replicas.iter().copied().collect(),
        isr_nodes: partition.isr.iter().copied().collect(),
        offline_replicas: partition.replicas.iter().copied().filter(is_down).collect(),
        ..Default::default()
    }
}
