//! ListOffsets: where a partition begins and ends, and which offset a time has.

use kafka_proto::ErrorCode;
use kafka_proto::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};

use super::{Call, ClusterState, Reply};
use crate::broker::state::topics::Partition;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: ListOffsetsRequest) -> Reply {
    answer(&request, |topic, asked| {
        let epoch = asked.current_leader_epoch;
        let partition = cluster.led_partition(call.node, topic, asked.partition_index, epoch, false);
        match partition {
            Ok(partition) if call.version == 0 => old_style(partition, asked),
            Ok(partition) => find(partition, asked, call.version),
            Err(error) => failed(asked, error),
        }
    })
    .into()
}

pub(crate) fn refuse(request: &ListOffsetsRequest, _: i16, error: ErrorCode) -> ListOffsetsResponse {
    answer(request, |_, asked| failed(asked, error))
}

fn answer(
    request: &ListOffsetsRequest,
    mut partition: impl FnMut(&str, &ListOffsetsPartition) -> ListOffsetsPartitionResponse,
) -> ListOffsetsResponse {
    let topics = request.topics.iter().map(|topic| ListOffsetsTopicResponse {
        name: topic.name.clone(),
        partitions: topic.partitions.iter().map(|asked| partition(&topic.name, asked)).collect(),
        ..Default::default()
    });
    ListOffsetsResponse { topics: topics.collect(), ..Default::default() }
}

fn failed(asked: &ListOffsetsPartition, error: ErrorCode) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        error_code: error.code(),
        ..Default::default()
    }
}

/// Version 0 knows no timestamps of records; it lists where segments begin, and there is one segment.
fn old_style(partition: &Partition, asked: &ListOffsetsPartition) -> ListOffsetsPartitionResponse {
    let (start, end) = (partition.log.start_offset(), partition.high_watermark());
    let all = match asked.timestamp {
        LATEST => vec![end, start],
        EARLIEST => vec![start],
        time if partition.log.find_timestamp(0, end).is_some_and(|(first, _)| first <= time) => vec![start],
        _ => Vec::new(),
    };
    let count = usize::try_from(asked.max_num_offsets).unwrap_or_default();
    ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        old_style_offsets: all.into_iter().take(count).collect(),
        ..Default::default()
    }
}

fn find(partition: &Partition, asked: &ListOffsetsPartition, version: i16) -> ListOffsetsPartitionResponse {
    let log = &partition.log;
    let high_watermark = partition.high_watermark();
    let (timestamp, offset) = match asked.timestamp {
        LATEST => (-1, high_watermark),
        EARLIEST => (-1, log.start_offset()),
        MAX_TIMESTAMP if version >= 7 => log.latest_timestamp(high_watermark).unwrap_or((-1, -1)),
        EARLIEST_LOCAL if version >= 8 => (-1, log.start_offset()),
        // Nothing is tiered here.
        LATEST_TIERED if version >= 9 => (-1, -1),
        EARLIEST_PENDING_UPLOAD if version >= 11 => (-1, -1),
        time if time < 0 => return failed(asked, ErrorCode::UnsupportedVersion),
        time => log.find_timestamp(time, high_watermark).unwrap_or((-1, -1)),
    };
    let leader_epoch = match asked.timestamp {
        LATEST => partition.leader_epoch,
        _ if offset < 0 => -1,
        _ => log.epoch_at(offset),
    };
    ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        timestamp,
        offset,
        leader_epoch: if version >= 4 { leader_epoch } else { -1 },
        ..Default::default()
    }
}
