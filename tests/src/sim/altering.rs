//! Answers that brokers may give and the embedded one does not: its own, changed on their way.

use kafka_proto::messages::join_group::JoinGroupResponseMember;
use kafka_proto::messages::metadata::{MetadataResponse, MetadataResponsePartition, MetadataResponseTopic};
use kafka_proto::{ApiKey, Bytes, ErrorCode, ResponseKind, Str, Uuid};

/// APIs whose answers carry items with errors of their own.
pub(super) const WITH_ITEMS: &[ApiKey] =
    &[ApiKey::Metadata, ApiKey::OffsetFetch, ApiKey::OffsetCommit, ApiKey::Fetch, ApiKey::Produce];

/// A broker that does not know topic ids yet.
pub(super) fn without_ids(response: &mut ResponseKind) {
    if let ResponseKind::Metadata(response) = response {
        response.topics.iter_mut().for_each(|topic| topic.topic_id = Uuid::ZERO);
    }
}

/// A broker that has not heard of the latest changes: fewer partitions, or older leaders. Where it says that it is the only one
/// it would be believed.
pub(super) fn lagging(response: &mut ResponseKind, draw: u64) {
    let ResponseKind::Metadata(MetadataResponse { brokers, topics, .. }) = response else { return };
    if brokers.len() < 2 {
        return;
    }
    for topic in topics.iter_mut().filter(|topic| !topic.is_internal && !topic.partitions.is_empty()) {
        match draw % 2 {
            0 => topic.partitions.truncate(1 + draw as usize / 2 % topic.partitions.len()),
            _ => topic.partitions.iter_mut().for_each(of_the_epoch_before),
        }
    }
}

/// A broker that has not heard that a topic was made anew tells its id from before; not one that says that it is the only one.
pub(super) fn of_the_id_before(response: &mut ResponseKind, topic: &str, before: Uuid) {
    let ResponseKind::Metadata(MetadataResponse { brokers, topics, .. }) = response else { return };
    let of_name = topics.iter_mut().filter(|told| told.name.as_deref() == Some(topic));
    let known = of_name.filter(|told| brokers.len() > 1 && !told.topic_id.is_zero());
    known.for_each(|told| told.topic_id = before);
}

/// A topic has fewer partitions than it has.
pub(super) fn shrunk(response: &mut ResponseKind, topic: &str, draw: u64) {
    let ResponseKind::Metadata(response) = response else { return };
    let of_name = response.topics.iter_mut().filter(|told| told.name.as_deref() == Some(topic));
    of_name.for_each(|told| told.partitions.truncate(1 + (draw % 3) as usize));
}

fn of_the_epoch_before(partition: &mut MetadataResponsePartition) {
    let other = partition.isr_nodes.iter().find(|node| *node != partition.leader_id);
    if let Some(other) = other.filter(|_| partition.leader_epoch > 0) {
        partition.leader_id = other;
        partition.leader_epoch -= 1;
    }
}

/// One item has an error that passes, the others are as they are. What was asked is done all the same.
pub(super) fn with_a_bad_item(response: &mut ResponseKind, draw: u64) {
    match response {
        ResponseKind::Metadata(response) => bad_topic(&mut response.topics, draw),
        ResponseKind::OffsetFetch(response) => {
            let of_groups = response.groups.iter_mut().flat_map(|group| &mut group.topics);
            let of_groups = of_groups.flat_map(|topic| &mut topic.partitions).map(|p| &mut p.error_code);
            let items = response.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
            let mut items: Vec<&mut i16> = items.map(|p| &mut p.error_code).chain(of_groups).collect();
            if let Some(code) = one(&mut items, draw) {
                **code = ErrorCode::UnstableOffsetCommit.code();
            }
        }
        ResponseKind::OffsetCommit(response) => {
            let errors = [ErrorCode::CoordinatorLoadInProgress, ErrorCode::RequestTimedOut];
            let items = response.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
            if let Some(item) = one(&mut items.collect::<Vec<_>>(), draw) {
                item.error_code = drawn(&errors, draw);
            }
        }
        ResponseKind::Fetch(response) => {
            let errors = [
                ErrorCode::NotLeaderOrFollower,
                ErrorCode::UnknownLeaderEpoch,
                ErrorCode::OffsetNotAvailable,
                ErrorCode::KafkaStorageError,
                ErrorCode::UnknownTopicOrPartition,
            ];
            let items = response.responses.iter_mut().flat_map(|topic| &mut topic.partitions);
            if let Some(item) = one(&mut items.collect::<Vec<_>>(), draw) {
                item.error_code = drawn(&errors, draw);
                (item.high_watermark, item.records) = (-1, None);
            }
        }
        ResponseKind::Produce(response) => {
            // Those that leave open whether it was appended, as it was.
            let errors = [ErrorCode::RequestTimedOut, ErrorCode::NotEnoughReplicasAfterAppend];
            let items = response.responses.iter_mut().flat_map(|topic| &mut topic.partition_responses);
            if let Some(item) = one(&mut items.collect::<Vec<_>>(), draw) {
                item.error_code = drawn(&errors, draw);
                item.base_offset = -1;
            }
        }
        _ => {}
    }
}

fn bad_topic(topics: &mut [MetadataResponseTopic], draw: u64) {
    let Some(topic) = one(topics, draw) else { return };
    if draw.is_multiple_of(3) {
        topic.error_code = ErrorCode::LeaderNotAvailable.code();
        topic.partitions.clear();
    } else if let Some(partition) = one(&mut topic.partitions, draw / 3) {
        partition.error_code = ErrorCode::LeaderNotAvailable.code();
        partition.leader_id = -1;
    }
}

/// What members of other clients tell of themselves: ends early, is no list at all, or names nothing.
const ODD_BLOBS: &[&[u8]] = &[
    // Version 1, one topic, "t": cut off within.
    &[],
    &[0],
    &[0, 1, 0, 0],
    &[0, 1, 0, 0, 0, 1],
    &[0, 1, 0, 0, 0, 1, 0, 1],
    // More topics, or a longer one, than there are bytes.
    &[0, 1, 0x7f, 0xff, 0xff, 0xff, 0, 1, b't'],
    &[0, 0, 0, 0, 0, 1, 0x7f, 0xff, b't'],
    // Negative lengths.
    &[0, 0, 0xff, 0xff, 0xff, 0xfe],
    &[0, 0, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0],
    // No topics; a version of the future, and one that there is not.
    &[0, 3, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
    &[0x7f, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4],
    &[0xff, 0xff, 0, 0, 0, 0],
    b"{\"topics\": [\"t\"]}",
];

/// In the leader's list of the members there is one of another client, whose subscription says nothing that can be read.
pub(super) fn with_a_foreign_member(response: &mut ResponseKind, draw: u64) {
    let ResponseKind::JoinGroup(response) = response else { return };
    if response.members.is_empty() {
        return;
    }
    let blob = ODD_BLOBS[draw as usize % ODD_BLOBS.len()];
    // Before all others, or behind one of them: they go by their ids.
    let at = (draw / 13) as usize % (response.members.len() + 1);
    let before = at.checked_sub(1).map_or("", |at| &response.members[at].member_id);
    let foreign = JoinGroupResponseMember {
        member_id: Str::from(format!("{before}!")),
        metadata: Bytes::from_static(blob),
        ..JoinGroupResponseMember::default()
    };
    response.members.insert(at, foreign);
}

fn one<T>(items: &mut [T], draw: u64) -> Option<&mut T> {
    let count = items.len().max(1);
    items.get_mut((draw / 7) as usize % count)
}

fn drawn(errors: &[ErrorCode], draw: u64) -> i16 {
    errors[(draw / 11) as usize % errors.len()].code()
}

#[cfg(test)]
mod tests {
    use kafka_proto::messages::offset_commit::{
        OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
    };

    use super::*;

    #[test]
    fn one_item_is_bad_and_the_others_are_as_they_were() {
        for draw in 0..1000 {
            let partitions = vec![OffsetCommitResponsePartition::default(); 3];
            let topics = vec![OffsetCommitResponseTopic { partitions, ..Default::default() }; 2];
            let mut response = OffsetCommitResponse { topics, ..Default::default() }.into();
            with_a_bad_item(&mut response, draw);
            let ResponseKind::OffsetCommit(response) = response else { panic!("{response:?}") };
            let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
            assert_eq!(partitions.filter(|p| p.error_code != 0).count(), 1, "{draw}");
        }
    }

    #[test]
    fn who_knows_of_one_broker_only_does_not_lag() {
        let topic = MetadataResponseTopic { partitions: vec![Default::default(); 3], ..Default::default() };
        let response = MetadataResponse { topics: vec![topic], ..Default::default() };
        for draw in 0..10 {
            let mut lagging_one = response.clone().into();
            lagging(&mut lagging_one, draw);
            assert_eq!(lagging_one, response.clone().into());
        }
    }
}
