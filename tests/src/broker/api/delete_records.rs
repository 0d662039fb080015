//! DeleteRecords: moves the start of logs up.

use kafka_proto::ErrorCode;
use kafka_proto::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopicResult,
};

use super::{Call, ClusterState, Reply};

/// Stands for the high watermark.
const ALL: i64 = -1;

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: DeleteRecordsRequest) -> Reply {
    answer(&request, |topic, one| delete(cluster, call, topic, one)).into()
}

pub(crate) fn refuse(request: &DeleteRecordsRequest, _: i16, error: ErrorCode) -> DeleteRecordsResponse {
    answer(request, |_, _| Err(error))
}

fn answer(
    request: &DeleteRecordsRequest,
    mut delete: impl FnMut(&str, &DeleteRecordsPartition) -> Result<i64, ErrorCode>,
) -> DeleteRecordsResponse {
    let mut topics = Vec::new();
    for topic in &request.topics {
        let partition = |one: &DeleteRecordsPartition| {
            let deleted = delete(&topic.name, one);
            DeleteRecordsPartitionResult {
                partition_index: one.partition_index,
                low_watermark: deleted.unwrap_or(-1),
                error_code: deleted.err().unwrap_or(ErrorCode::None).code(),
                ..Default::default()
            }
        };
        topics.push(DeleteRecordsTopicResult {
            name: topic.name.clone(),
            partitions: topic.partitions.iter().map(partition).collect(),
            ..Default::default()
        });
    }
    DeleteRecordsResponse { topics, ..Default::default() }
}

fn delete(
    cluster: &mut ClusterState,
    call: &Call,
    topic: &str,
    one: &DeleteRecordsPartition,
) -> Result<i64, ErrorCode> {
    let release = cluster.config.release;
    let deletes = cluster.topics.get(topic).is_none_or(|topic| topic.config.delete && !topic.internal);
    let partition = cluster.led_partition(call.node, topic, one.partition_index, -1, false)?;
    if !deletes {
        return Err(ErrorCode::PolicyViolation);
    }
    let high_watermark = partition.high_watermark();
    let offset = if one.offset == ALL { high_watermark } else { one.offset };
    if offset < 0 || offset > high_watermark {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    Ok(partition.delete_before(offset, release))
}
