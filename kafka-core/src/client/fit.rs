//! The newest form of a request made into what an older version can carry, and answers lifted to the newest form.
//!
//! Only what moved between fields is here; a field that a version merely lacks is dropped or refused by the codec.

use crate::error::{Error, ErrorKind};
use kafka_proto::Str;
use kafka_proto::messages::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_proto::messages::list_offsets::{ListOffsetsRequest, ListOffsetsResponse};
use kafka_proto::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestTopic, OffsetFetchResponse, OffsetFetchResponseGroup,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use kafka_proto::{RequestKind, ResponseKind};

/// Fits a request to the version of its connection.
///
/// # Errors
/// [`ErrorKind::Unsupported`] where the version cannot carry what is asked for.
pub(crate) fn fit(request: RequestKind, version: i16) -> Result<RequestKind, Error> {
    Ok(match request {
        RequestKind::FindCoordinator(request) if version < 4 => find_coordinator(request, version)?.into(),
        RequestKind::OffsetFetch(request) if version < 8 => offset_fetch(request, version).into(),
        RequestKind::ListOffsets(request) => list_offsets(request, version)?.into(),
        RequestKind::Metadata(mut request) => {
            request.allow_auto_topic_creation |= version < 4;
            if version == 0 && request.topics.is_none() {
                request.topics = Some(Vec::new());
            }
            request.into()
        }
        RequestKind::LeaveGroup(mut request) if version < 3 => {
            if let Some(member) = request.members.pop() {
                request.member_id = member.member_id;
            }
            request.members.clear();
            request.into()
        }
        RequestKind::DeleteTopics(mut request) if version < 6 => {
            request.topic_names = request.topics.drain(..).filter_map(|t| t.name).collect();
            request.into()
        }
        RequestKind::JoinGroup(request) if version < 5 && request.group_instance_id.is_some() => {
            return Err(unsupported("static membership", "Kafka 2.3"));
        }
        other => other,
    })
}

/// Lifts a response to the newest form.
pub(crate) fn lift(response: ResponseKind, version: i16) -> ResponseKind {
    match response {
        ResponseKind::FindCoordinator(response) if version < 4 => lift_find_coordinator(response).into(),
        ResponseKind::OffsetFetch(response) if version < 8 => lift_offset_fetch(response).into(),
        ResponseKind::ListOffsets(response) if version < 1 => lift_list_offsets(response).into(),
        other => other,
    }
}

fn unsupported(feature: &'static str, needs: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported { feature, needs })
}

fn find_coordinator(
    mut request: FindCoordinatorRequest,
    version: i16,
) -> Result<FindCoordinatorRequest, Error> {
    if version < 1 && request.key_type != 0 {
        return Err(unsupported("transactions", "Kafka 0.11"));
    }
    request.key = request.coordinator_keys.pop().unwrap_or_default();
    request.coordinator_keys.clear();
    Ok(request)
}

fn lift_find_coordinator(response: FindCoordinatorResponse) -> FindCoordinatorResponse {
    let FindCoordinatorResponse { throttle_time_ms, error_code, error_message, node_id, host, port, .. } =
        response;
    let coordinator =
        Coordinator { node_id, host, port, error_code, error_message, ..Coordinator::default() };
    FindCoordinatorResponse { throttle_time_ms, coordinators: vec![coordinator], ..Default::default() }
}

fn offset_fetch(mut request: OffsetFetchRequest, version: i16) -> OffsetFetchRequest {
    if let Some(group) = request.groups.pop() {
        request.group_id = group.group_id;
        request.topics = group.topics.map(|topics| {
            let topic =
                |t: kafka_proto::messages::offset_fetch::OffsetFetchRequestTopics| OffsetFetchRequestTopic {
                    name: t.name,
                    partition_indexes: t.partition_indexes,
                    ..Default::default()
                };
            topics.into_iter().map(topic).collect()
        });
    }
    request.groups.clear();
    request.require_stable &= version >= 7;
    request
}

fn lift_offset_fetch(response: OffsetFetchResponse) -> OffsetFetchResponse {
    let topics = response.topics.into_iter().map(|topic| OffsetFetchResponseTopics {
        name: topic.name,
        partitions: topic
            .partitions
            .into_iter()
            .map(|p| OffsetFetchResponsePartitions {
                partition_index: p.partition_index,
                committed_offset: p.committed_offset,
                committed_leader_epoch: p.committed_leader_epoch,
                metadata: p.metadata,
                error_code: p.error_code,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    let group = OffsetFetchResponseGroup {
        group_id: Str::new(),
        topics: topics.collect(),
        error_code: response.error_code,
        ..Default::default()
    };
    OffsetFetchResponse {
        throttle_time_ms: response.throttle_time_ms,
        groups: vec![group],
        ..Default::default()
    }
}

/// Special timestamps below -2 came later: a broker would take them for a time long ago.
fn list_offsets(mut request: ListOffsetsRequest, version: i16) -> Result<ListOffsetsRequest, Error> {
    if version < 2 {
        request.isolation_level = 0;
    }
    let partitions = || request.topics.iter().flat_map(|t| &t.partitions);
    for (timestamp, since, feature, needs) in [
        (-3, 7, "the offset of the largest timestamp", "Kafka 3.0"),
        (-4, 8, "the earliest local offset", "Kafka 3.5"),
        (-5, 9, "the latest tiered offset", "Kafka 3.9"),
        (-6, 11, "the earliest offset pending upload", "Kafka 4.2"),
    ] {
        if version < since && partitions().any(|p| p.timestamp == timestamp) {
            return Err(unsupported(feature, needs));
        }
    }
    if version == 0 && partitions().any(|p| p.timestamp >= 0) {
        return Err(unsupported("offsets by time", "Kafka 0.10.1"));
    }
    Ok(request)
}

fn lift_list_offsets(mut response: ListOffsetsResponse) -> ListOffsetsResponse {
    for partition in response.topics.iter_mut().flat_map(|t| &mut t.partitions) {
        partition.offset = partition.old_style_offsets.get(0).unwrap_or(-1);
        partition.timestamp = -1;
    }
    response
}
