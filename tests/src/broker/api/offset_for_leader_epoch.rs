//! OffsetForLeaderEpoch: where a leader's epoch ended, for clients to notice a truncated log (KIP-320).

use kafka_proto::ErrorCode;
use kafka_proto::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
};

use super::{Call, ClusterState, Reply};

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: OffsetForLeaderEpochRequest) -> Reply {
    answer(&request, |topic, asked| {
        let epoch = asked.current_leader_epoch;
        let partition = cluster.led_partition(call.node, topic, asked.partition, epoch, false)?;
        Ok(partition.log.end_of_epoch(asked.leader_epoch))
    })
    .into()
}

pub(crate) fn refuse(
    request: &OffsetForLeaderEpochRequest,
    _: i16,
    error: ErrorCode,
) -> OffsetForLeaderEpochResponse {
    answer(request, |_, _| Err(error))
}

fn answer(
    request: &OffsetForLeaderEpochRequest,
    mut end: impl FnMut(&str, &OffsetForLeaderPartition) -> Result<(i32, i64), ErrorCode>,
) -> OffsetForLeaderEpochResponse {
    let mut topics = Vec::new();
    for topic in &request.topics {
        let partition = |asked: &OffsetForLeaderPartition| {
            let found = end(&topic.topic, asked);
            let (leader_epoch, end_offset) = found.unwrap_or((-1, -1));
            EpochEndOffset {
                error_code: found.err().unwrap_or(ErrorCode::None).code(),
                partition: asked.partition,
                leader_epoch,
                end_offset,
                ..Default::default()
            }
        };
        topics.push(OffsetForLeaderTopicResult {
            topic: topic.topic.clone(),
            partitions: topic.partitions.iter().map(partition).collect(),
            ..Default::default()
        });
    }
    OffsetForLeaderEpochResponse { topics, ..Default::default() }
}
