//! Fetch: reads logs, waits for records, keeps incremental sessions (KIP-227).

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_proto::messages::fetch::{
    EpochEndOffset, FetchRequest, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint,
    PartitionData,
};
use kafka_proto::records::{Compression, batches};
use kafka_proto::wire::Records;
use kafka_proto::{Bytes, ErrorCode, Str, Uuid};

use super::{Call, ClusterState, NodeId, Reply};
use crate::broker::release::Release;
use crate::broker::state::convert;
use crate::broker::state::log::Slice;
use crate::broker::state::sessions::{Cached, FetchKey, Told, Wanted};
use crate::broker::waits::{WaitId, Waiting};

/// A fetch that waits for records.
#[derive(Debug)]
pub(crate) struct FetchWait {
    limits: Limits,
    context: Context,
    wanted: Vec<Wanted>,
    /// Bytes that are there to read, as far as it was looked.
    available: usize,
}

#[derive(Debug, Clone)]
struct Limits {
    min_bytes: usize,
    max_bytes: usize,
    read_committed: bool,
    /// Where the consumer is, if it says so.
    rack: Str,
}

/// What the request is in the life of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    Sessionless,
    /// Wants a session; gets one if there is room.
    New,
    Session(i32),
}

/// What was read for one partition.
struct Read {
    wanted: Wanted,
    data: PartitionData,
    bytes: usize,
}

impl Read {
    /// Something the client should know at once.
    fn is_urgent(&self) -> bool {
        self.data.error_code != 0
            || self.data.diverging_epoch != EpochEndOffset::default()
            || self.data.preferred_read_replica >= 0
    }
}

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: FetchRequest) -> Reply {
    let limits = Limits {
        min_bytes: usize::try_from(request.min_bytes).unwrap_or_default(),
        max_bytes: usize::try_from(request.max_bytes.min(cluster.config.fetch_max_bytes)).unwrap_or_default(),
        read_committed: request.isolation_level == 1,
        // Parked fetches outlive the request.
        rack: Str::from(&*request.rack_id),
    };
    let max_wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or_default());
    let (context, wanted) = match open_context(cluster, call, &request) {
        Ok(opened) => opened,
        Err(error) => {
            cluster.session_lost();
            return refuse(&request, call.version, error).into();
        }
    };
    let reads = read_all(cluster, call, &limits, &wanted);
    let available: usize = reads.iter().map(|read| read.bytes).sum();
    let urgent = reads.iter().any(Read::is_urgent);
    if max_wait.is_zero() || wanted.is_empty() || urgent || available >= limits.min_bytes {
        return respond(cluster, call, context, reads);
    }
    let until = cluster.now.mono + max_wait;
    let names: Vec<(Str, i32)> = wanted.iter().filter_map(|wanted| named(cluster, wanted)).collect();
    let wait = FetchWait { limits, context, wanted, available };
    let id = cluster.park(call.clone(), Waiting::Fetch(Box::new(wait)), Some(until));
    for (name, partition) in names {
        if let Some(partition) = cluster.topics.partition_mut(&name, partition) {
            partition.readers.insert(id);
        }
    }
    Reply::Parked
}

pub(crate) fn refuse(request: &FetchRequest, version: i16, error: ErrorCode) -> FetchResponse {
    if version >= 7 {
        return FetchResponse { error_code: error.code(), ..Default::default() };
    }
    let responses = request.topics.iter().map(|topic| FetchableTopicResponse {
        topic: topic.topic.clone(),
        partitions: topic.partitions.iter().map(|one| failed(one.partition, error)).collect(),
        ..Default::default()
    });
    FetchResponse { responses: responses.collect(), ..Default::default() }
}

/// Answers a fetch that has waited long enough, or need wait no longer.
pub(crate) fn finish(cluster: &mut ClusterState, id: WaitId, call: &Call, wait: FetchWait) -> Reply {
    forget(cluster, id, &wait);
    let reads = read_all(cluster, call, &wait.limits, &wait.wanted);
    respond(cluster, call, wait.context, reads)
}

/// The fetch waits no longer.
pub(crate) fn forget(cluster: &mut ClusterState, id: WaitId, wait: &FetchWait) {
    for wanted in &wait.wanted {
        let Some((name, index)) = named(cluster, wanted) else { continue };
        if let Some(partition) = cluster.topics.partition_mut(&name, index) {
            partition.readers.remove(&id);
        }
    }
}

fn named(cluster: &ClusterState, wanted: &Wanted) -> Option<(Str, i32)> {
    let name = cluster.topic_name(&wanted.key.name, wanted.key.id).ok()?;
    Some((name, wanted.key.partition))
}

impl ClusterState {
    /// There are so many more bytes to read in a partition.
    pub(crate) fn wake_readers(&mut self, readers: &BTreeSet<WaitId>, bytes: usize) {
        if !self.config.oddities.wakes_fetches() {
            return;
        }
        for id in readers {
            let Some(wait) = self.wait_mut(*id) else { continue };
            let Waiting::Fetch(fetch) = &mut wait.waiting else { continue };
            fetch.available += bytes;
            if fetch.available >= fetch.limits.min_bytes {
                self.mark_ready(*id);
            }
        }
    }
}

fn open_context(
    cluster: &mut ClusterState,
    call: &Call,
    request: &FetchRequest,
) -> Result<(Context, Vec<Wanted>), ErrorCode> {
    let now = cluster.now.mono;
    let asked = || asked_for(request).collect::<Vec<_>>();
    if call.version < 7 {
        return Ok((Context::Sessionless, asked()));
    }
    let Some(node) = cluster.nodes.get_mut(&call.node) else { return Err(ErrorCode::UnknownServerError) };
    let id = request.session_id;
    if request.session_epoch <= 0 {
        node.sessions.remove(id);
        let context = if request.session_epoch == 0 { Context::New } else { Context::Sessionless };
        return Ok((context, asked()));
    }
    let session = node.sessions.get_mut(id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
    if session.epoch != request.session_epoch {
        return Err(ErrorCode::InvalidFetchSessionEpoch);
    }
    if session.uses_topic_ids != (call.version >= 13) {
        return Err(ErrorCode::FetchSessionTopicIdError);
    }
    session.update(asked());
    for forgotten in &request.forgotten_topics_data {
        for partition in forgotten.partitions.iter() {
            session.forget(&key(&forgotten.topic, forgotten.topic_id, partition));
        }
    }
    session.use_next_epoch(now);
    let wanted: Vec<Wanted> = session.partitions().map(|cached| cached.wanted.clone()).collect();
    if wanted.is_empty() {
        node.sessions.remove(id);
        return Ok((Context::Sessionless, wanted));
    }
    Ok((Context::Session(id), wanted))
}

/// A key of its own memory: sessions outlive the request.
fn key(topic: &str, id: Uuid, partition: i32) -> FetchKey {
    FetchKey { name: Str::from(topic), id, partition }
}

fn asked_for(request: &FetchRequest) -> impl Iterator<Item = Wanted> {
    request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(move |one| Wanted {
            key: key(&topic.topic, topic.topic_id, one.partition),
            current_leader_epoch: one.current_leader_epoch,
            fetch_offset: one.fetch_offset,
            last_fetched_epoch: one.last_fetched_epoch,
            max_bytes: one.partition_max_bytes,
        })
    })
}

/// Reads the partitions in their order until the limit is reached. From version 3 on the first batch found
/// comes whole, however large (KIP-74).
fn read_all(cluster: &mut ClusterState, call: &Call, limits: &Limits, wanted: &[Wanted]) -> Vec<Read> {
    let mut left = limits.max_bytes;
    let mut first_whole = call.version >= 3;
    let read = |wanted: &Wanted| {
        let read = read_partition(cluster, call, limits, wanted, left, first_whole);
        let (data, bytes) = read.unwrap_or_else(|error| (failed(wanted.key.partition, error), 0));
        first_whole &= bytes == 0;
        left = left.saturating_sub(bytes);
        Read { wanted: wanted.clone(), data, bytes }
    };
    wanted.iter().map(read).collect()
}

fn read_partition(
    cluster: &mut ClusterState,
    call: &Call,
    limits: &Limits,
    wanted: &Wanted,
    left: usize,
    first_whole: bool,
) -> Result<(PartitionData, usize), ErrorCode> {
    let name = cluster.topic_name(&wanted.key.name, wanted.key.id)?;
    // Since KIP-392 a follower serves consumers as well.
    let followers_too = call.version >= 11 && cluster.config.release >= Release::V2_4;
    let elsewhere = cluster.replica_near(call.node, &name, wanted.key.partition, &limits.rack);
    let elsewhere = elsewhere.filter(|_| followers_too);
    let zstd_only = cluster.topics.get(&name).is_some_and(|topic| topic.config.compression == "zstd");
    let (index, epoch) = (wanted.key.partition, wanted.current_leader_epoch);
    let seen =
        cluster.seen_by(call.node, &name, index).filter(|_| cluster.is_deposed(call.node, &name, index));
    let partition = cluster.led_partition(call.node, &name, index, epoch, followers_too)?;
    if zstd_only && call.version < 10 {
        return Err(ErrorCode::UnsupportedCompressionType);
    }
    let high_watermark = partition.high_watermark();
    // Who was replaced and does not know it has heard of nothing since.
    let high_watermark = seen.map_or(high_watermark, |seen| seen.high_watermark.min(high_watermark));
    let log = &partition.log;
    let offset = wanted.fetch_offset;
    let mut data = PartitionData {
        partition_index: index,
        high_watermark,
        records: Some(Records::default()),
        ..Default::default()
    };
    if call.version >= 4 {
        data.last_stable_offset = high_watermark;
        data.aborted_transactions = limits.read_committed.then(Vec::new);
    }
    if call.version >= 5 {
        data.log_start_offset = log.start_offset();
    }
    if wanted.last_fetched_epoch >= 0 {
        let (epoch, end_offset) = log.end_of_epoch(wanted.last_fetched_epoch);
        if epoch < 0 || end_offset < 0 {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        if epoch < wanted.last_fetched_epoch || end_offset < offset {
            data.diverging_epoch = EpochEndOffset { epoch, end_offset, ..Default::default() };
            return Ok((data, 0));
        }
    }
    if offset < log.start_offset() || offset > log.end_offset() {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    if let Some(replica) = elsewhere {
        data.preferred_read_replica = replica;
        return Ok((data, 0));
    }
    let max_bytes = left.min(usize::try_from(wanted.max_bytes).unwrap_or_default());
    if max_bytes > 0 || first_whole {
        let slice = log.read(offset, high_watermark, max_bytes, first_whole);
        // Only consumers before version 3 get a part of a batch and nothing else.
        if call.version < 3 || slice.entries.first().is_some_and(|first| first.size <= slice.bytes) {
            data.records = Some(records(&slice, offset, call.version)?);
        }
    }
    let bytes = data.records.as_ref().map_or(0, Records::len);
    Ok((data, bytes))
}

/// The bytes of a slice in a format that the request's version can read. What is converted begins at the offset, and with
/// a whole message, which may be larger than the compressed batch: cut off at the limit, it would otherwise never get on.
fn records(slice: &Slice<'_>, from: i64, version: i16) -> Result<Records, ErrorCode> {
    let newest = match version {
        0 | 1 => 0,
        2 | 3 => 1,
        _ => 2,
    };
    if slice.entries.iter().all(|entry| entry.magic <= newest) {
        return Ok(slice.segments().into());
    }
    if slice.has(Compression::Zstd) {
        return Err(ErrorCode::UnsupportedCompressionType);
    }
    let mut segments: Vec<Bytes> = Vec::new();
    for entry in &slice.entries {
        if entry.magic <= newest {
            segments.extend_from_slice(entry.records.segments());
        } else {
            segments.extend(convert::down(entry, from, newest)?);
        }
    }
    let converted = Records::from(segments);
    if version >= 3 || converted.len() <= slice.bytes {
        return Ok(converted);
    }
    let converted = converted.into_bytes();
    let first =
        batches(converted.clone()).next().and_then(Result::ok).map_or(0, |batch| batch.size_in_bytes());
    Ok(converted.slice(..slice.bytes.max(first)).into())
}

fn failed(partition_index: i32, error: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index,
        error_code: error.code(),
        high_watermark: -1,
        records: Some(Records::default()),
        ..Default::default()
    }
}

fn respond(cluster: &mut ClusterState, call: &Call, context: Context, reads: Vec<Read>) -> Reply {
    let mut response = FetchResponse::default();
    let reads = match context {
        Context::Sessionless => reads,
        Context::New => {
            response.session_id = create_session(cluster, call, &reads);
            reads
        }
        Context::Session(id) => {
            response.session_id = id;
            only_news(cluster, call, id, reads)
        }
    };
    let mut leaders = BTreeSet::new();
    for mut read in reads {
        if call.version >= 12 {
            add_leader(cluster, call.node, &mut read, &mut leaders);
        }
        let key = read.wanted.key;
        match response.responses.last_mut() {
            Some(last) if last.topic == key.name && last.topic_id == key.id => {
                last.partitions.push(read.data)
            }
            _ => response.responses.push(FetchableTopicResponse {
                topic: key.name,
                topic_id: key.id,
                partitions: vec![read.data],
                ..Default::default()
            }),
        }
    }
    if call.version >= 16 {
        response.node_endpoints = endpoints(cluster, &leaders);
    }
    response.into()
}

fn told(read: &Read) -> Option<Told> {
    let well = read.data.error_code == 0;
    well.then_some(Told {
        high_watermark: read.data.high_watermark,
        log_start_offset: read.data.log_start_offset,
    })
}

fn create_session(cluster: &mut ClusterState, call: &Call, reads: &[Read]) -> i32 {
    let cached: Vec<Cached> =
        reads.iter().map(|read| Cached { wanted: read.wanted.clone(), told: told(read) }).collect();
    let (now, ids) = (cluster.now.mono, call.version >= 13);
    let Some(node) = cluster.nodes.get_mut(&call.node).filter(|_| !cached.is_empty()) else { return 0 };
    node.sessions.create(now, &mut cluster.dice, ids, cached).unwrap_or_default()
}

/// Leaves out what the client knows already.
fn only_news(cluster: &mut ClusterState, call: &Call, id: i32, reads: Vec<Read>) -> Vec<Read> {
    let session = cluster.nodes.get_mut(&call.node).and_then(|node| node.sessions.get_mut(id));
    let Some(session) = session else { return reads };
    let is_news = |read: &Read| {
        let has_news = read.bytes > 0 || read.is_urgent();
        session.tell(&read.wanted.key, told(read), has_news)
    };
    let mut is_news = is_news;
    reads.into_iter().filter(|read| is_news(read)).collect()
}

/// Tells who leads where the client was wrong about it (KIP-595, KIP-951).
fn add_leader(cluster: &ClusterState, asked: NodeId, read: &mut Read, leaders: &mut BTreeSet<NodeId>) {
    let error = ErrorCode::from(read.data.error_code);
    if !matches!(error, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch) {
        return;
    }
    let Some((name, index)) = named(cluster, &read.wanted) else { return };
    let Some(seen) = cluster.seen_by(asked, &name, index) else { return };
    read.data.current_leader = LeaderIdAndEpoch {
        leader_id: seen.leader.unwrap_or(-1),
        leader_epoch: seen.leader_epoch,
        ..Default::default()
    };
    leaders.extend(seen.leader);
}

fn endpoints(cluster: &ClusterState, leaders: &BTreeSet<NodeId>) -> Vec<NodeEndpoint> {
    let nodes = leaders.iter().filter_map(|id| cluster.nodes.get(id));
    let endpoint = |node: &super::Node| NodeEndpoint {
        node_id: node.address.id,
        host: Str::from(node.address.host.as_str()),
        port: i32::from(node.address.port),
        rack: node.address.rack.as_deref().map(Str::from),
        ..Default::default()
    };
    nodes.map(endpoint).collect()
}
