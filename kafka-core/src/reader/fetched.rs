//! A fetch response made ready for the machine, in the connection's task and outside of the client's lock.
//!
//! Only the headers of batches are looked at. What comes out is small: a partition's answer is its marks, an error, or one
//! slice of the frame with the offset to go on with.

use super::position::OffsetAndEpoch;
use crate::link::Digested;
use crate::snapshot::Node;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::fetch::{FetchResponse, FetchableTopicResponse, NodeEndpoint, PartitionData};
use kafka_proto::wire::Records;
use kafka_proto::{Bytes, Str, Uuid, records};
use std::fmt;

/// A fetch response, digested.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Fetched {
    pub(super) error: i16,
    pub(super) session_id: i32,
    pub(super) topics: Vec<FetchedTopic>,
    pub(super) nodes: Vec<Node>,
    /// What all of it is a part of.
    #[cfg_attr(feature = "record", serde(skip))]
    frame: Bytes,
}

impl Fetched {
    /// Keeps the frame that the response came in.
    #[must_use]
    pub(crate) fn keeping(self, frame: Bytes) -> Self {
        Self { frame, ..self }
    }
}

impl Digested for Fetched {
    /// Its end gives memory back, which calls a waker.
    fn take_frame(&mut self) -> Bytes {
        std::mem::take(&mut self.frame)
    }
}

#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct FetchedTopic {
    /// Empty from version 13 on, where the id says which it is.
    pub(super) name: Str,
    #[cfg_attr(feature = "record", serde(with = "crate::tape::with::uuid"))]
    pub(super) id: Uuid,
    pub(super) partitions: Vec<FetchedPartition>,
}

#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct FetchedPartition {
    pub(super) partition: i32,
    pub(super) error: i16,
    pub(super) marks: Watermarks,
    /// The broker to read from instead (KIP-392).
    pub(super) preferred_replica: Option<i32>,
    /// The end of the last epoch that the logs have in common (KIP-595).
    pub(super) diverging: Option<OffsetAndEpoch>,
    /// The leader instead of it, reported with an error (KIP-595, KIP-951).
    pub(super) leader: Option<LeaderAndEpoch>,
    pub(super) data: Option<Data>,
    /// There are bytes, but not even one whole batch; it has so many (1 where not even that is known).
    pub(super) cut_off: Option<usize>,
}

/// A leader of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct LeaderAndEpoch {
    pub(super) id: i32,
    pub(super) epoch: i32,
}

/// Without its bytes.
impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, next_offset, leader_epoch, aborted, log_end, broken } = self;
        f.debug_struct("Data")
            .field("bytes", &bytes.len())
            .field("next_offset", next_offset)
            .field("leader_epoch", leader_epoch)
            .field("aborted", &aborted.len())
            .field("log_end", log_end)
            .field("broken", broken)
            .finish()
    }
}

/// The ends of a partition's log; -1 where not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Watermarks {
    pub(super) high: i64,
    pub(super) stable: i64,
    pub(super) log_start: i64,
}

impl Default for Watermarks {
    fn default() -> Self {
        Self { high: -1, stable: -1, log_start: -1 }
    }
}

/// What is there to deliver of one partition.
#[derive(Clone, Default)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Data {
    pub(super) bytes: Bytes,
    /// The offset after the whole batches; `None` if something is wrong with the very first.
    pub(super) next_offset: Option<i64>,
    /// The leader epoch of the last whole batch; -1 if unknown.
    pub(super) leader_epoch: i32,
    /// Aborted transactions by their first offsets, ascending: first offset and producer id.
    pub(super) aborted: Vec<(i64, i64)>,
    /// The end of the log, where the broker reported it.
    pub(super) log_end: Option<i64>,
    /// Behind the whole batches is something that is no batch; [`Walk`](super::Walk) reports it when it gets there.
    pub(super) broken: bool,
}

impl Fetched {
    /// Makes of all records what `change` makes of them, if it can.
    #[cfg(feature = "record")]
    pub(crate) fn change_records(&mut self, mut change: impl FnMut(&Bytes) -> Option<Bytes>) -> Option<()> {
        let partitions = self.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
        partitions.flat_map(|partition| &mut partition.data).try_for_each(|data| {
            data.bytes = change(&data.bytes)?;
            Some(())
        })
    }

    pub(super) fn has_records(&self) -> bool {
        self.topics.iter().flat_map(|topic| &topic.partitions).any(|partition| partition.data.is_some())
    }
}

/// Walks the headers of a fetch response. Pure; to be called in the connection's task.
pub(crate) fn digest(response: FetchResponse) -> Fetched {
    Fetched {
        error: response.error_code,
        session_id: response.session_id,
        topics: response.responses.into_iter().map(topic).collect(),
        nodes: response.node_endpoints.into_iter().filter_map(node).collect(),
        frame: Bytes::new(),
    }
}

fn topic(topic: FetchableTopicResponse) -> FetchedTopic {
    let partitions = topic.partitions.into_iter().map(partition).collect();
    FetchedTopic { name: topic.topic, id: topic.topic_id, partitions }
}

fn node(node: NodeEndpoint) -> Option<Node> {
    // A node outlives the answer, whose frame a slice of it would keep in memory.
    let own = |text: &Str| Str::from(text.to_string());
    Node::told(node.node_id, &own(&node.host), node.port, node.rack.as_ref().map(own).as_ref())
}

/// A number that is -1 where there is none.
fn some<N: PartialOrd + From<i8>>(number: N) -> Option<N> {
    (number >= N::from(0)).then_some(number)
}

fn partition(p: PartitionData) -> FetchedPartition {
    let bytes = p.records.map(Records::into_bytes).unwrap_or_default();
    let (mut delivered, mut cut_off) = (None, None);
    if p.error_code == i16::from(ErrorCode::None) && !bytes.is_empty() {
        let aborted = p.aborted_transactions.unwrap_or_default();
        let mut aborted: Vec<_> = aborted.iter().map(|t| (t.first_offset, t.producer_id)).collect();
        aborted.sort_unstable(); // not every broker sorts them
        match data(bytes, aborted, some(p.high_watermark)) {
            Ok(data) => delivered = Some(data),
            Err(size) => cut_off = Some(size),
        }
    }
    let (diverging, leader) = (p.diverging_epoch, p.current_leader);
    FetchedPartition {
        partition: p.partition_index,
        error: p.error_code,
        marks: Watermarks {
            high: p.high_watermark,
            stable: p.last_stable_offset,
            log_start: p.log_start_offset,
        },
        preferred_replica: some(p.preferred_read_replica),
        diverging: some(diverging.epoch).map(|epoch| OffsetAndEpoch { offset: diverging.end_offset, epoch }),
        leader: some(leader.leader_id).map(|id| LeaderAndEpoch { id, epoch: leader.leader_epoch }),
        data: delivered,
        cut_off,
    }
}

/// Smaller than the offset after any batch.
const NO_BATCH: i64 = i64::MIN;

/// What can be delivered, or, where not even the first batch is whole, the size of it.
fn data(bytes: Bytes, aborted: Vec<(i64, i64)>, log_end: Option<i64>) -> Result<Data, usize> {
    let (mut next_offset, mut leader_epoch, mut broken) = (NO_BATCH, -1, false);
    for batch in records::batches(bytes.clone()) {
        let Ok(batch) = batch else {
            broken = true;
            break;
        };
        next_offset = next_offset.max(batch.next_offset());
        leader_epoch = batch.partition_leader_epoch();
    }
    let next_offset = (next_offset != NO_BATCH).then_some(next_offset);
    if next_offset.is_none() && !broken {
        return Err(first_size(&bytes));
    }
    Ok(Data { bytes, next_offset, leader_epoch, aborted, log_end, broken })
}

/// The size of the batch that the bytes begin with, as it says itself: it stands at byte 8 and does not count the 12 bytes
/// up to its own end.
fn first_size(bytes: &[u8]) -> usize {
    let size = bytes.get(8..).and_then(|rest| rest.first_chunk()).map(|size| i32::from_be_bytes(*size));
    size.and_then(|size| usize::try_from(size).ok()).map_or(1, |size| size.saturating_add(12))
}
