//! The newest form of a request made into what an older version can carry, and answers lifted to the newest form.
//!
//! Invariant: no request leaves with a zero topic id in the place of a topic's name.
//!
//! Only what moved between fields is here; a field that a version merely lacks is dropped or refused by the codec.

use crate::error::{Error, ErrorKind};
use kafka_proto::Str;
use kafka_proto::messages::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_proto::messages::list_offsets::{ListOffsetsRequest, ListOffsetsResponse};
use kafka_proto::messages::metadata::MetadataResponse;
use kafka_proto::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestTopic, OffsetFetchResponse, OffsetFetchResponseGroup,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use kafka_proto::{RequestKind, ResponseKind};

/// The newest version that can carry a request: where the id of a topic is missing, the last one that names topics.
/// Brokers may know topic ids in commits and not in metadata, and a topic may not be known at all.
pub(crate) fn newest(request: &RequestKind) -> i16 {
    let lacks_id = match request {
        RequestKind::OffsetCommit(request) => request.topics.iter().any(|t| t.topic_id.is_zero()),
        RequestKind::OffsetFetch(request) => {
            let topics = request.groups.iter().flat_map(|group| group.topics.iter().flatten());
            topics.into_iter().any(|t| t.topic_id.is_zero())
        }
        _ => false,
    };
    if lacks_id { OFFSETS_BY_NAME } else { i16::MAX }
}

/// The last version of OffsetCommit and of OffsetFetch that names topics.
const OFFSETS_BY_NAME: i16 = 9;

/// Fits a request to the version of its connection.
///
/// # Errors
/// [`ErrorKind::Unsupported`] where the version cannot carry what is asked for.
pub(crate) fn fit(request: &mut RequestKind, version: i16) -> Result<(), Error> {
    match request {
        RequestKind::FindCoordinator(request) if version < 4 => find_coordinator(request, version)?,
        RequestKind::OffsetFetch(request) if version < 8 => offset_fetch(request, version),
        RequestKind::ListOffsets(request) => list_offsets(request, version)?,
        RequestKind::Metadata(request) => {
            request.allow_auto_topic_creation |= version < 4;
            if version == 0 && request.topics.is_none() {
                request.topics = Some(Vec::new());
            }
        }
        RequestKind::LeaveGroup(request) if version < 3 => {
            if let Some(member) = request.members.pop() {
                request.member_id = member.member_id;
            }
            request.members.clear();
        }
        RequestKind::DeleteTopics(request) if version < 6 => {
            request.topic_names = request.topics.drain(..).filter_map(|t| t.name).collect();
        }
        RequestKind::OffsetForLeaderEpoch(_) if version < 3 => {
            return Err(unsupported("the end of a leader epoch", "Kafka 2.3"));
        }
        RequestKind::JoinGroup(request) if version < 5 && request.group_instance_id.is_some() => {
            return Err(unsupported("static membership", "Kafka 2.3"));
        }
        _ => {}
    }
    Ok(())
}

/// Lifts a response to the newest form.
pub(crate) fn lift(response: &mut ResponseKind, version: i16) {
    match response {
        ResponseKind::FindCoordinator(response) if version < 4 => lift_find_coordinator(response),
        ResponseKind::OffsetFetch(response) if version < 8 => lift_offset_fetch(response),
        ResponseKind::ListOffsets(response) if version < 1 => lift_list_offsets(response),
        ResponseKind::Metadata(response) if version < 9 => without_epochs(response),
        _ => {}
    }
}

fn unsupported(feature: &'static str, needs: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported { feature, needs })
}

fn find_coordinator(request: &mut FindCoordinatorRequest, version: i16) -> Result<(), Error> {
    if version < 1 && request.key_type != 0 {
        return Err(unsupported("transactions", "Kafka 0.11"));
    }
    request.key = request.coordinator_keys.pop().unwrap_or_default();
    request.coordinator_keys.clear();
    Ok(())
}

fn lift_find_coordinator(response: &mut FindCoordinatorResponse) {
    let FindCoordinatorResponse { throttle_time_ms, error_code, error_message, node_id, host, port, .. } =
        std::mem::take(response);
    let coordinator =
        Coordinator { node_id, host, port, error_code, error_message, ..Coordinator::default() };
    *response =
        FindCoordinatorResponse { throttle_time_ms, coordinators: vec![coordinator], ..Default::default() };
}

fn offset_fetch(request: &mut OffsetFetchRequest, version: i16) {
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
}

fn lift_offset_fetch(response: &mut OffsetFetchResponse) {
    let topics = std::mem::take(&mut response.topics).into_iter().map(|topic| OffsetFetchResponseTopics {
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
    *response = OffsetFetchResponse {
        throttle_time_ms: response.throttle_time_ms,
        groups: vec![group],
        ..Default::default()
    };
}

/// Special timestamps below -2 came later: a broker would take them for a time long ago.
fn list_offsets(request: &mut ListOffsetsRequest, version: i16) -> Result<(), Error> {
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
    Ok(())
}

fn lift_list_offsets(response: &mut ListOffsetsResponse) {
    for partition in response.topics.iter_mut().flat_map(|t| &mut t.partitions) {
        partition.offset = std::mem::take(&mut partition.old_style_offsets).get(0).unwrap_or(-1);
        partition.timestamp = -1;
    }
}

/// Brokers below 2.4, which answer with Metadata below 9, may tell leader epochs that are not those of the leaders (KAFKA-9212).
fn without_epochs(response: &mut MetadataResponse) {
    for partition in response.topics.iter_mut().flat_map(|t| &mut t.partitions) {
        partition.leader_epoch = -1;
    }
}

/// [`fit`], for tests.
///
/// # Errors
/// As there.
#[cfg(test)]
pub(crate) fn fitted(mut request: RequestKind, version: i16) -> Result<RequestKind, Error> {
    fit(&mut request, version).map(|()| request)
}

/// [`lift`], for tests.
#[cfg(test)]
pub(crate) fn lifted(mut response: ResponseKind, version: i16) -> ResponseKind {
    lift(&mut response, version);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_proto::messages::offset_fetch::{
        OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponsePartition,
        OffsetFetchResponseTopic,
    };

    #[test]
    fn case_m2_epochs_of_old_metadata_are_not_kept() {
        use kafka_proto::messages::metadata::{MetadataResponsePartition, MetadataResponseTopic};
        let partition = MetadataResponsePartition { leader_epoch: 7, leader_id: 1, ..Default::default() };
        let topic = MetadataResponseTopic { partitions: vec![partition; 2], ..Default::default() };
        let told = MetadataResponse { topics: vec![topic], ..Default::default() };
        for (version, kept) in [(0, -1), (6, -1), (7, -1), (8, -1), (9, 7), (13, 7)] {
            let ResponseKind::Metadata(lifted) = super::lifted(told.clone().into(), version) else {
                panic!()
            };
            let epochs: Vec<i32> = lifted.topics[0].partitions.iter().map(|p| p.leader_epoch).collect();
            assert_eq!(epochs, [kept, kept], "{version}");
            assert_eq!(lifted.topics[0].partitions[0].leader_id, 1);
        }
    }

    /// A recording keeps an answer in the newest version that carries it, so one that is lifted must fit into one.
    #[test]
    fn a_lifted_answer_fits_into_one_version() {
        use kafka_proto::messages::find_coordinator::FindCoordinatorResponse;
        use kafka_proto::messages::list_offsets::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
        use kafka_proto::wire::{Decoder, Encoder};
        let old = ListOffsetsPartitionResponse { old_style_offsets: vec![42].into(), ..Default::default() };
        let listed =
            ListOffsetsTopicResponse { name: "t".into(), partitions: vec![old], ..Default::default() };
        let partition = OffsetFetchResponsePartition { committed_offset: 7, ..Default::default() };
        let fetched =
            OffsetFetchResponseTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
        let told: [ResponseKind; 3] = [
            ListOffsetsResponse { topics: vec![listed], ..Default::default() }.into(),
            OffsetFetchResponse { topics: vec![fetched], ..Default::default() }.into(),
            FindCoordinatorResponse { node_id: 1, host: "h".into(), port: 9092, ..Default::default() }.into(),
        ];
        for told in told {
            let (api, lifted) = (told.api_key(), super::lifted(told, 0));
            let fits = |version| {
                let mut out = Encoder::new();
                let written = lifted.encode(&mut out, version).map(|()| out.into_bytes());
                let again =
                    written.ok().map(|bytes| ResponseKind::decode(api, &mut Decoder::new(&bytes), version));
                again.is_some_and(|again| again.is_ok_and(|again| again == lifted))
            };
            assert!(api.versions().iter().any(fits), "{lifted:?}");
        }
    }

    /// Below version 3 an answer may lack the epoch, which reads as a log that has nothing of ours, or be refused.
    #[test]
    fn case_m5_positions_are_checked_only_where_the_answer_can_tell() {
        use kafka_proto::messages::offset_for_leader_epoch::OffsetForLeaderEpochRequest;
        for version in 0..=4 {
            let fitted = super::fitted(OffsetForLeaderEpochRequest::default().into(), version);
            let is_refused = matches!(fitted, Err(e) if matches!(e.kind(), ErrorKind::Unsupported { .. }));
            assert_eq!(is_refused, version < 3, "{version}");
        }
    }

    /// Before version 8 a request and an answer are of one group, which the answer does not name.
    #[test]
    fn offsets_are_fetched_from_brokers_that_know_one_group_a_request() {
        let topic = OffsetFetchRequestTopics {
            name: "t".into(),
            partition_indexes: [2, 5].into_iter().collect(),
            ..Default::default()
        };
        let group =
            OffsetFetchRequestGroup { group_id: "g".into(), topics: Some(vec![topic]), ..Default::default() };
        let newest = OffsetFetchRequest { groups: vec![group], require_stable: true, ..Default::default() };
        for version in 0..8 {
            let fitted = super::fitted(newest.clone().into(), version).unwrap();
            let RequestKind::OffsetFetch(request) = fitted else { panic!("{version}") };
            assert_eq!((&*request.group_id, request.require_stable), ("g", version == 7), "{version}");
            let [topic] = &request.topics.as_ref().unwrap()[..] else { panic!("{version}") };
            assert_eq!((&*topic.name, topic.partition_indexes.to_vec()), ("t", vec![2, 5]));
            assert!(request.groups.is_empty(), "what the version cannot carry");
        }
    }

    #[test]
    fn their_answers_are_lifted_with_every_error() {
        let partition = |partition_index, committed_offset, error_code| OffsetFetchResponsePartition {
            partition_index,
            committed_offset,
            committed_leader_epoch: 4,
            metadata: Some("note".into()),
            error_code,
            ..Default::default()
        };
        let topic = OffsetFetchResponseTopic {
            name: "t".into(),
            partitions: vec![partition(2, 9, 0), partition(5, -1, 88)],
            ..Default::default()
        };
        let old = OffsetFetchResponse { topics: vec![topic], error_code: 14, ..Default::default() };
        let ResponseKind::OffsetFetch(lifted) = super::lifted(old.into(), 7) else { panic!() };
        let [group] = &lifted.groups[..] else { panic!("{lifted:?}") };
        assert_eq!((group.error_code, group.group_id.is_empty()), (14, true));
        let partitions = group.topics[0].partitions.iter();
        let partitions: Vec<_> = partitions
            .map(|p| (p.partition_index, p.committed_offset, p.committed_leader_epoch, p.error_code))
            .collect();
        assert_eq!(partitions, [(2, 9, 4, 0), (5, -1, 4, 88)]);
    }
}
