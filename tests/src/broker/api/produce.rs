//! Produce: appends batches to the logs this node leads.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_proto::messages::produce::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, TopicProduceResponse,
};
use kafka_proto::{ErrorCode, Str, Uuid};

use super::{Call, ClusterState, NodeId, Reply};
use crate::broker::state::batch::Incoming;
use crate::broker::state::inspect::{CheckedRecords, Refusal};
use crate::broker::state::producers::Verdict;
use crate::broker::state::topic_config::TopicConfig;
use crate::broker::state::topics::{OFFSETS_TOPIC, Topic};
use crate::broker::waits::{WaitId, Waiting};

/// A produce request whose records wait for the followers.
#[derive(Debug)]
pub(crate) struct ProduceWait {
    response: ProduceResponse,
    pending: Vec<Pending>,
}

/// A partition of it.
#[derive(Debug, Clone)]
struct Pending {
    topic: Str,
    partition: i32,
    leader_epoch: i32,
    /// The high watermark that is waited for.
    required: i64,
}

/// Where records have come to lie.
struct Appended {
    base_offset: i64,
    append_time: i64,
    log_start_offset: i64,
    required: i64,
    leader_epoch: i32,
}

pub(crate) fn handle(
    cluster: &mut ClusterState,
    call: &Call,
    request: ProduceRequest,
    records: Vec<CheckedRecords>,
) -> Reply {
    if !matches!(request.acks, -1..=1) {
        return refuse(&request, call.version, ErrorCode::InvalidRequiredAcks).into();
    }
    let last = last_of_each(&request);
    let mut records = records.into_iter().enumerate();
    let (mut responses, mut pending, mut failed) = (Vec::new(), Vec::new(), false);
    for topic in &request.topic_data {
        let name = cluster.topic_name(&topic.name, topic.topic_id);
        let mut partitions = Vec::with_capacity(topic.partition_data.len());
        for partition in &topic.partition_data {
            let (at, checked) = records.next().unwrap_or_else(|| (usize::MAX, Ok(Vec::new())));
            if last.get(&(topic.name.clone(), topic.topic_id, partition.index)) != Some(&at) {
                continue;
            }
            let appended = match &name {
                Ok(name) => append(cluster, call, name, partition.index, request.acks, checked),
                Err(error) => Err((*error).into()),
            };
            if let (Ok(done), Ok(name)) = (&appended, &name) {
                pending.push(done.pending(name.clone(), partition.index));
            }
            failed |= appended.is_err();
            partitions.push(partition_response(partition.index, appended, call.version));
        }
        let topic = TopicProduceResponse {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partition_responses: partitions,
            ..Default::default()
        };
        responses.push(topic);
    }
    let mut response = ProduceResponse { responses, ..Default::default() };
    add_leaders(cluster, call, &request, &mut response);
    match request.acks {
        0 if cluster.config.oddities.answers_acks_of_none() => response.into(),
        0 if failed => Reply::Close,
        0 => Reply::NoAnswer,
        -1 => answer_when_replicated(cluster, call, response, pending, request.timeout_ms),
        _ => response.into(),
    }
}

/// Of what a request has of one partition Kafka appends, and answers, the last; the place of it in the request.
fn last_of_each(request: &ProduceRequest) -> BTreeMap<(Str, Uuid, i32), usize> {
    let partitions = request.topic_data.iter().flat_map(|topic| {
        topic.partition_data.iter().map(|partition| (topic.name.clone(), topic.topic_id, partition.index))
    });
    partitions.zip(0..).collect()
}

pub(crate) fn refuse(request: &ProduceRequest, version: i16, error: ErrorCode) -> ProduceResponse {
    let responses = request.topic_data.iter().map(|topic| {
        let partitions = topic.partition_data.iter();
        let refused = partitions.map(|p| partition_response(p.index, Err(error.into()), version)).collect();
        TopicProduceResponse {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partition_responses: refused,
            ..Default::default()
        }
    });
    ProduceResponse { responses: responses.collect(), ..Default::default() }
}

fn append(
    cluster: &mut ClusterState,
    call: &Call,
    name: &Str,
    index: i32,
    acks: i16,
    checked: CheckedRecords,
) -> Result<Appended, Refusal> {
    let (release, wall_ms) = (cluster.config.release, cluster.now.wall_ms);
    if &**name == OFFSETS_TOPIC {
        return Err(Refusal::new(ErrorCode::InvalidTopicException, "Cannot append to an internal topic"));
    }
    cluster.led_partition(call.node, name, index, -1, false)?;
    let deposed = cluster.is_deposed(call.node, name, index);
    let Some(topic) = cluster.topics.get_mut(name) else {
        return Err(ErrorCode::UnknownTopicOrPartition.into());
    };
    let Topic { config, partitions, .. } = topic;
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    let Some(partition) = partitions.get_mut(index) else {
        return Err(ErrorCode::UnknownTopicOrPartition.into());
    };
    if acks == -1 && (partition.isr.len() as i64) < config.min_insync_replicas {
        return Err(ErrorCode::NotEnoughReplicas.into());
    }
    let incoming = checked?;
    if deposed {
        // It appends to a log that will be cut off, and waits for followers that it has no more.
        return Ok(Appended { required: i64::MAX, ..appended(partition) });
    }
    for batch in &incoming {
        check_topic_rules(batch, config, wall_ms)?;
    }
    for batch in &incoming {
        if let Verdict::Duplicate { base_offset, append_time } = partition.producers.check(batch, release)? {
            let required = base_offset + batch.offsets;
            return Ok(Appended { base_offset, append_time, required, ..appended(partition) });
        }
    }
    let append_time = config.log_append_time.then_some(wall_ms);
    let (epoch, before) = (partition.leader_epoch, partition.log.size_in_bytes());
    let base_offset = partition.log.append(incoming, epoch, append_time);
    let new = partition.log.entries_from(base_offset);
    new.for_each(|entry| partition.producers.remember(entry, append_time, release));
    let done = Appended { base_offset, append_time: append_time.unwrap_or(-1), ..appended(partition) };
    let (bytes, readable) =
        (partition.log.size_in_bytes() - before, partition.high_watermark() > base_offset);
    if readable {
        let readers = partition.readers.clone();
        cluster.wake_readers(&readers, bytes);
    }
    Ok(done)
}

fn appended(partition: &crate::broker::state::topics::Partition) -> Appended {
    Appended {
        base_offset: -1,
        append_time: -1,
        log_start_offset: partition.log.start_offset(),
        required: partition.log.end_offset(),
        leader_epoch: partition.leader_epoch,
    }
}

impl Appended {
    fn pending(&self, topic: Str, partition: i32) -> Pending {
        Pending { topic, partition, leader_epoch: self.leader_epoch, required: self.required }
    }
}

/// Size, keys and timestamps, as the topic wants them.
fn check_topic_rules(batch: &Incoming, config: &TopicConfig, wall_ms: i64) -> Result<(), Refusal> {
    if batch.batch.size_in_bytes() as i64 > config.max_message_bytes {
        let text = format!("The record batch is larger than max.message.bytes, {}", config.max_message_bytes);
        return Err(Refusal::new(ErrorCode::MessageTooLarge, &text));
    }
    if config.compact
        && let Some(index) = batch.keyless
    {
        let text = "Compacted topic cannot accept message without key";
        return Err(Refusal::of_record(ErrorCode::InvalidRecord, text, index));
    }
    if config.log_append_time || batch.min_timestamp < 0 {
        return Ok(());
    }
    let too_old = wall_ms.saturating_sub(batch.min_timestamp) > config.timestamp_before_max_ms;
    let too_new = batch.max_timestamp.saturating_sub(wall_ms) > config.timestamp_after_max_ms;
    if too_old || too_new {
        let text = "One or more records have been rejected due to invalid timestamp";
        return Err(Refusal {
            records: out_of_bounds(batch, config, wall_ms),
            ..Refusal::new(ErrorCode::InvalidTimestamp, text)
        });
    }
    Ok(())
}

fn out_of_bounds(batch: &Incoming, config: &TopicConfig, wall_ms: i64) -> Vec<i32> {
    let mut indexes = Vec::new();
    let Ok(mut records) = batch.batch.records(crate::broker::state::batch::MAX_DECOMPRESSED) else {
        return indexes;
    };
    let mut index = 0;
    while let Some(Ok(record)) = records.next_record() {
        let too_old = wall_ms.saturating_sub(record.timestamp) > config.timestamp_before_max_ms;
        if too_old || record.timestamp.saturating_sub(wall_ms) > config.timestamp_after_max_ms {
            indexes.push(index);
        }
        index += 1;
    }
    indexes
}

fn partition_response(
    index: i32,
    appended: Result<Appended, Refusal>,
    version: i16,
) -> PartitionProduceResponse {
    match appended {
        Ok(done) => PartitionProduceResponse {
            index,
            base_offset: done.base_offset,
            log_append_time_ms: done.append_time,
            log_start_offset: done.log_start_offset,
            ..Default::default()
        },
        Err(refusal) => {
            let text = refusal.message.as_deref().map(Str::from).filter(|_| version >= 8);
            let record_error = |index: &i32| BatchIndexAndErrorMessage {
                batch_index: *index,
                batch_index_error_message: text.clone(),
                ..Default::default()
            };
            PartitionProduceResponse {
                index,
                error_code: refusal.error.code(),
                base_offset: -1,
                log_start_offset: -1,
                record_errors: refusal.records.iter().map(record_error).collect(),
                error_message: text.clone(),
                ..Default::default()
            }
        }
    }
}

/// Tells who leads what this node does not (KIP-951).
fn add_leaders(
    cluster: &ClusterState,
    call: &Call,
    request: &ProduceRequest,
    response: &mut ProduceResponse,
) {
    if call.version < 10 {
        return;
    }
    let mut leaders: BTreeSet<NodeId> = BTreeSet::new();
    for (asked, topic) in request.topic_data.iter().zip(&mut response.responses) {
        let Ok(name) = cluster.topic_name(&asked.name, asked.topic_id) else { continue };
        for answer in &mut topic.partition_responses {
            let Some(seen) = cluster.seen_by(call.node, &name, answer.index) else { continue };
            if answer.error_code == ErrorCode::NotLeaderOrFollower.code() {
                answer.current_leader = LeaderIdAndEpoch {
                    leader_id: seen.leader.unwrap_or(-1),
                    leader_epoch: seen.leader_epoch,
                    ..Default::default()
                };
                leaders.extend(seen.leader);
            }
        }
    }
    let nodes = leaders.iter().filter_map(|id| cluster.nodes.get(id));
    response.node_endpoints = nodes
        .map(|node| NodeEndpoint {
            node_id: node.address.id,
            host: Str::from(node.address.host.as_str()),
            port: i32::from(node.address.port),
            rack: node.address.rack.as_deref().map(Str::from),
            ..Default::default()
        })
        .collect();
}

fn answer_when_replicated(
    cluster: &mut ClusterState,
    call: &Call,
    response: ProduceResponse,
    pending: Vec<Pending>,
    timeout_ms: i32,
) -> Reply {
    let waiting: Vec<Pending> = pending.into_iter().filter(|one| !one.is_settled(cluster)).collect();
    if waiting.is_empty() {
        return response.into();
    }
    let deadline = cluster.now.mono + Duration::from_millis(u64::try_from(timeout_ms).unwrap_or_default());
    let wait = ProduceWait { response, pending: waiting.clone() };
    let id = cluster.park(call.clone(), Waiting::Produce(Box::new(wait)), Some(deadline));
    for one in waiting {
        if let Some(partition) = cluster.topics.partition_mut(&one.topic, one.partition) {
            partition.writers.insert(id);
        }
    }
    Reply::Parked
}

impl Pending {
    /// Replicated, or never to be by this leader.
    fn is_settled(&self, cluster: &ClusterState) -> bool {
        self.outcome(cluster) != Err(ErrorCode::RequestTimedOut)
    }

    fn outcome(&self, cluster: &ClusterState) -> Result<(), ErrorCode> {
        let partition = cluster.topics.partition(&self.topic, self.partition);
        let partition = partition.ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if partition.leader_epoch != self.leader_epoch || partition.leader.is_none() {
            Err(ErrorCode::NotLeaderOrFollower)
        } else if partition.high_watermark() >= self.required {
            Ok(())
        } else {
            Err(ErrorCode::RequestTimedOut)
        }
    }
}

impl ClusterState {
    /// Replication went on, or a leader changed: answers the produce requests that need wait no longer.
    pub(crate) fn wake_writers(&mut self, writers: &BTreeSet<WaitId>) {
        for id in writers {
            let Some(wait) = self.wait_mut(*id) else { continue };
            let Waiting::Produce(produce) = &wait.waiting else { continue };
            let pending = produce.pending.clone();
            if pending.iter().all(|one| one.is_settled(self)) {
                self.mark_ready(*id);
            }
        }
    }
}

/// Answers a produce request that has waited.
pub(crate) fn finish(cluster: &mut ClusterState, id: WaitId, wait: ProduceWait) -> Reply {
    let mut response = wait.response;
    for one in wait.pending {
        let outcome = one.outcome(cluster);
        if let Some(partition) = cluster.topics.partition_mut(&one.topic, one.partition) {
            partition.writers.remove(&id);
        }
        let Err(error) = outcome else { continue };
        let topics = response.responses.iter_mut();
        let mut named = topics.filter(|topic| {
            topic.name == one.topic || cluster.topics.name_of(topic.topic_id) == Some(&one.topic)
        });
        let answer = named.find_map(|topic| {
            topic.partition_responses.iter_mut().find(|answer| answer.index == one.partition)
        });
        if let Some(answer) = answer {
            answer.error_code = error.code();
            answer.base_offset = -1;
            answer.log_append_time_ms = -1;
            answer.log_start_offset = -1;
        }
    }
    response.into()
}
