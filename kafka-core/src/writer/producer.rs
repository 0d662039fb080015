//! A writer as the client sends it: which partition may send what, to which broker, when.
//!
//! Invariants
//! * A partition that has a due batch and may send stands in its leader's ready queue, or waits for something that
//!   reschedules it: a backoff, a response, a compression, its leader, its identity.
//! * Nothing here visits all partitions but flush, close and a change of metadata.
//! * A batch is resolved exactly once, by its delivery timeout at the latest.

use super::accumulator::{Accumulator, TopicSlots};
use super::batch::{Batch, Fate, Outcome, SendError};
use super::config::{Acks, Idempotence};
use super::encode::ProduceBatch;
use super::partition::{Identity, PartitionSender, Pending};
use super::verdict::{Verdict, verdict};
use crate::client::cluster::{Cluster, Topic};
use crate::client::config::ClientConfig;
use crate::client::machine::{Answer, Ask, Hint, Lane, Now, Target};
use crate::client::random::Random;
use crate::client::requests::unexpected;
use crate::error::{Error, ErrorKind};
use crate::link::{Produce, RequestId};
use kafka_proto::ResponseKind;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::init_producer_id::InitProducerIdRequest;
use kafka_proto::messages::produce::{PartitionProduceResponse, ProduceResponse};
use kafka_proto::records::{Compression, ProducerStamp};
use kafka_proto::{ApiKey, Str, Uuid};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Batches up to this size are compressed by the connection's task; larger ones are a job of their own.
const PACK_INLINE: usize = 32 << 10;
/// A broker remembers the last five batches of a producer for each partition.
const MAX_IN_FLIGHT_IDEMPOTENT: usize = 5;

#[derive(Debug)]
pub(crate) struct Producer {
    pub(crate) accumulator: Arc<Accumulator>,
    identity: IdentityState,
    partitions: Vec<PartitionSender>,
    topics: BTreeMap<Str, TopicEntry>,
    brokers: BTreeMap<i32, BrokerQueue>,
    requests: BTreeMap<RequestId, Sent>,
    /// Open batches by the end of their linger: all linger equally long, so this is in order.
    lingering: VecDeque<(Instant, usize, u64)>,
    /// Partitions by the end of the delivery timeout of a batch of theirs: likewise in order.
    expiring: VecDeque<(Instant, usize)>,
    backoffs: BTreeSet<(Instant, usize)>,
    random: Random,
    retry_backoff: (Duration, Duration),
    request_timeout: Duration,
    pub(crate) out: Out,
    pub(crate) stats: ProducerStats,
}

/// What came out, for the client to take.
#[derive(Debug, Default)]
pub(crate) struct Out {
    /// Brokers whose produce lane has something to send.
    pub(crate) kicks: BTreeSet<i32>,
    pub(crate) resolved: Vec<Arc<Batch>>,
    pub(crate) hints: Vec<Hint>,
    /// Batches to compress, by partition index.
    pub(crate) jobs: Vec<(usize, Arc<Batch>)>,
    /// What the writer does without, told once.
    pub(crate) degraded: Option<Error>,
}

/// Counters of a writer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerStats {
    /// Batches handed out, retries included.
    pub batches_sent: u64,
    /// Records acknowledged.
    pub records_acked: u64,
    /// Records that failed.
    pub records_failed: u64,
    /// Bytes of acknowledged batches, before compression.
    pub bytes_acked: u64,
    /// Batches sent again.
    pub retries: u64,
    /// Times the producer epoch was bumped.
    pub epoch_bumps: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum IdentityState {
    /// Retries may duplicate.
    Off,
    Wanted,
    Asked,
    /// Asked in vain; again at this time.
    Backoff(Instant, u32),
    Ready(Identity),
}

#[derive(Debug)]
struct TopicEntry {
    id: Uuid,
    first_index: Vec<usize>,
}

#[derive(Debug, Default)]
struct BrokerQueue {
    ready: VecDeque<usize>,
    /// Partitions with an open batch that leaves when the lane is idle, whatever its linger.
    gathering: Vec<(usize, u64)>,
    in_flight: usize,
}

#[derive(Debug)]
struct Sent {
    broker: i32,
    items: Vec<(Str, Uuid, i32, usize)>,
}

impl Producer {
    pub(crate) fn new(accumulator: Arc<Accumulator>, config: &ClientConfig, seed: u64) -> Self {
        let idempotent =
            accumulator.config.acks == Acks::All && accumulator.config.idempotence != Idempotence::Off;
        Self {
            accumulator,
            identity: if idempotent { IdentityState::Wanted } else { IdentityState::Off },
            partitions: Vec::new(),
            topics: BTreeMap::new(),
            brokers: BTreeMap::new(),
            requests: BTreeMap::new(),
            lingering: VecDeque::new(),
            expiring: VecDeque::new(),
            backoffs: BTreeSet::new(),
            random: Random::new(seed),
            retry_backoff: (config.retry_backoff, config.retry_backoff_max),
            request_timeout: config.request_timeout,
            out: Out::default(),
            stats: ProducerStats::default(),
        }
    }

    // ---- topics ----

    pub(crate) fn uses(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = &Str> {
        self.topics.keys()
    }

    /// Takes over a topic's snapshot: new partitions, moved leaders.
    pub(crate) fn update_topic(&mut self, now: Now, topic: &Topic, headers: bool) -> Arc<TopicSlots> {
        let entry = self
            .topics
            .entry(topic.name.clone())
            .or_insert(TopicEntry { id: topic.id, first_index: Vec::new() });
        entry.id = topic.id;
        let known = entry.first_index.len();
        let mut next = self.partitions.len();
        let indexes = &mut entry.first_index;
        let slots = self.accumulator.update_topic(topic, headers, self.random.next(), |_| {
            indexes.push(next);
            next += 1;
            next - 1
        });
        let fresh: Vec<usize> = indexes[known..].to_vec();
        let all: Vec<usize> = indexes.clone();
        for (partition, index) in (known..).zip(fresh) {
            if let Some(slot) = slots.slot(partition) {
                debug_assert_eq!(index, self.partitions.len());
                self.partitions.push(PartitionSender::new(slot, None));
            }
        }
        for (told, index) in topic.partitions.iter().zip(all) {
            self.set_leader(now.instant, index, told.leader);
        }
        slots
    }

    fn set_leader(&mut self, now: Instant, index: usize, leader: Option<i32>) {
        let partition = &mut self.partitions[index];
        if partition.leader == leader {
            return;
        }
        partition.leader = leader;
        partition.is_ready = false;
        // A new leader knows nothing of the old one's troubles (PROMISES 16).
        self.end_backoff(index);
        self.schedule(now, index);
    }

    // ---- the application's side ----

    /// A record was appended: a batch of this partition was opened, or filled, or both.
    pub(crate) fn appended(&mut self, now: Now, index: usize, opened: bool) {
        if opened {
            self.expiring.push_back((now.instant + self.accumulator.config.delivery_timeout, index));
            self.opened(now.instant, index);
        }
        self.schedule(now.instant, index);
    }

    /// A lone batch on an idle lane leaves at once; while requests are in flight records gather, up to the linger.
    fn opened(&mut self, now: Instant, index: usize) {
        let partition = &mut self.partitions[index];
        let Some(number) = partition.slot.open_number() else { return };
        let linger = self.accumulator.config.linger;
        let broker = partition.leader.and_then(|leader| self.brokers.get(&leader));
        let idle = broker.is_none_or(|b| b.in_flight == 0 && b.ready.is_empty());
        if idle || linger.is_zero() || self.accumulator.memory.has_waiters() {
            partition.open_due = Some(number);
            return;
        }
        self.lingering.push_back((now + linger, index, number));
        if let Some(leader) = partition.leader {
            self.brokers.entry(leader).or_default().gathering.push((index, number));
        }
    }

    /// Everything that was written so far leaves; what has to be waited for.
    pub(crate) fn flush(&mut self, now: Now) -> Vec<Arc<Batch>> {
        let mut batches = Vec::new();
        for index in 0..self.partitions.len() {
            let partition = &mut self.partitions[index];
            partition.open_due = partition.slot.open_number().or(partition.open_due);
            batches.extend(partition.in_flight.iter().map(|(_, p)| p.batch.clone()));
            batches.extend(partition.queue.iter().map(|p| p.batch.clone()));
            batches.extend(partition.slot.batches());
            self.schedule(now.instant, index);
        }
        batches.retain(|batch| !batch.is_resolved());
        batches
    }

    /// Somebody waits for memory: what gathers leaves now.
    pub(crate) fn pressure(&mut self, now: Now) {
        for (_, index, number) in std::mem::take(&mut self.lingering) {
            self.make_due(now.instant, index, number);
        }
    }

    /// Ends all that is not resolved: what never left is not written.
    pub(crate) fn abort(&mut self, error: &Error) {
        self.accumulator.close();
        for index in 0..self.partitions.len() {
            let partition = &mut self.partitions[index];
            let mut left: Vec<Pending> = partition.queue.drain(..).collect();
            while let Some(batch) = partition.slot.take(true) {
                left.push(Pending { batch, stamp: None, attempts: 0, maybe_written: false });
            }
            let in_flight: Vec<Arc<Batch>> =
                partition.in_flight.iter().map(|(_, p)| p.batch.clone()).collect();
            for pending in left {
                self.resolve_failed(&pending.batch, error.clone(), fate(pending.maybe_written));
            }
            for batch in in_flight {
                self.resolve_failed(&batch, error.clone(), Fate::PossiblyWritten);
            }
        }
    }

    pub(crate) fn is_quiescent(&self) -> bool {
        self.requests.is_empty() && self.partitions.iter().all(|p| p.is_idle() && p.slot.batches().is_empty())
    }

    // ---- scheduling ----

    /// Puts the partition into its leader's ready queue if it has something to send and may.
    fn schedule(&mut self, now: Instant, index: usize) {
        let partition = &self.partitions[index];
        let limit = self.max_in_flight();
        if partition.is_ready || !partition.may_send(now, limit) || !partition.has_due() {
            return;
        }
        let Some(leader) = partition.leader else { return };
        if !self.has_identity(index) || !self.is_packed(index) {
            return;
        }
        self.partitions[index].is_ready = true;
        self.brokers.entry(leader).or_default().ready.push_back(index);
        self.out.kicks.insert(leader);
    }

    fn max_in_flight(&self) -> usize {
        match self.identity {
            // Without sequences the broker would take a newer batch before an older one that failed.
            IdentityState::Off => 1,
            _ => MAX_IN_FLIGHT_IDEMPOTENT,
        }
    }

    /// Whether the next batch has, or can get, its sequence.
    fn has_identity(&mut self, index: usize) -> bool {
        if self.identity == IdentityState::Off {
            return true;
        }
        let partition = &self.partitions[index];
        if partition.queue.front().is_some_and(|p| p.stamp.is_some()) {
            return true;
        }
        if partition.identity.is_some() && !partition.needs_bump {
            return true;
        }
        if partition.has_stamped() {
            return false;
        }
        let IdentityState::Ready(current) = self.identity else { return false };
        let fresh = if partition.identity == Some(current) { self.bump(current) } else { Some(current) };
        let Some(identity) = fresh else { return false };
        let partition = &mut self.partitions[index];
        (partition.identity, partition.next_sequence, partition.needs_bump) = (Some(identity), 0, false);
        true
    }

    /// The next epoch, which an idempotent producer without transactions may give itself (KIP-360); a new id after the last.
    fn bump(&mut self, current: Identity) -> Option<Identity> {
        self.stats.epoch_bumps += 1;
        if current.epoch == i16::MAX {
            self.identity = IdentityState::Wanted;
            return None;
        }
        let next = Identity { epoch: current.epoch + 1, ..current };
        self.identity = IdentityState::Ready(next);
        Some(next)
    }

    /// Large batches are compressed elsewhere before they are ready.
    fn is_packed(&mut self, index: usize) -> bool {
        if self.accumulator.config.compression == Compression::None {
            return true;
        }
        let partition = &mut self.partitions[index];
        let Some(pending) = partition.next() else { return false };
        let batch = pending.batch.clone();
        partition.queue.push_front(pending);
        let small = batch.body().is_none_or(|body| body.len() <= PACK_INLINE);
        if small || batch.is_packed() {
            return true;
        }
        partition.is_packing = true;
        self.out.jobs.push((index, batch));
        false
    }

    pub(crate) fn packed(&mut self, now: Now, index: usize) {
        if let Some(partition) = self.partitions.get_mut(index) {
            partition.is_packing = false;
            self.schedule(now.instant, index);
        }
    }

    fn make_due(&mut self, now: Instant, index: usize, number: u64) {
        let partition = &mut self.partitions[index];
        partition.open_due = partition.open_due.max(Some(number));
        self.schedule(now, index);
    }

    fn reschedule_all(&mut self, now: Instant) {
        (0..self.partitions.len()).for_each(|index| self.schedule(now, index));
    }

    // ---- requests ----

    pub(crate) fn is_ready_for(&self, broker: i32) -> bool {
        self.brokers.get(&broker).is_some_and(|b| !b.ready.is_empty())
    }

    /// The next Produce request for a broker: one batch a partition, in the order the partitions became ready.
    pub(crate) fn poll_produce(&mut self, now: Now, id: RequestId, broker: i32) -> Option<Produce> {
        let (mut batches, mut items, mut again, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
        let limit = self.max_in_flight();
        while bytes < self.accumulator.config.request_bytes {
            let Some(index) = self.brokers.get_mut(&broker).and_then(|b| b.ready.pop_front()) else { break };
            let partition = &mut self.partitions[index];
            if partition.leader != Some(broker) || !std::mem::replace(&mut partition.is_ready, false) {
                continue;
            }
            if !partition.may_send(now.instant, limit) {
                continue;
            }
            let Some(mut pending) = partition.next() else { continue };
            partition.stamp(&mut pending);
            let batch = pending.batch.clone();
            bytes += batch.body().map_or(0, |body| body.len());
            if pending.attempts > 0 {
                self.stats.retries += 1;
            }
            self.stats.batches_sent += 1;
            let topic_id = self.topics.get(&batch.topic).map_or(Uuid::ZERO, |t| t.id);
            items.push((batch.topic.clone(), topic_id, batch.partition, index));
            let stamp = producer_stamp(pending.stamp);
            batches.push(ProduceBatch::new(&self.accumulator, batch, topic_id, stamp));
            partition.in_flight.push_back((id, pending));
            again.push(index);
        }
        if batches.is_empty() {
            return None;
        }
        self.requests.insert(id, Sent { broker, items });
        self.brokers.entry(broker).or_default().in_flight += 1;
        again.into_iter().for_each(|index| self.schedule(now.instant, index));
        let timeout_ms = i32::try_from(self.request_timeout.as_millis()).unwrap_or(i32::MAX);
        Some(Produce { acks: self.accumulator.config.acks.code(), timeout_ms, batches })
    }

    /// A Produce request was answered.
    pub(crate) fn produced(&mut self, now: Now, id: RequestId, response: ProduceResponse) {
        let Some(sent) = self.requests.remove(&id) else { return };
        self.hint_leaders(&sent, &response);
        let mut at = 0;
        for topic in response.responses {
            for told in topic.partition_responses {
                let same = |item: &(Str, Uuid, i32, usize)| {
                    item.2 == told.index
                        && (item.0 == topic.name || (!item.1.is_zero() && item.1 == topic.topic_id))
                };
                // Answers mostly stand in the order of the request.
                let found = sent.items[at..].iter().position(same).map(|i| at + i);
                let Some(found) = found.or_else(|| sent.items.iter().position(same)) else { continue };
                at = found + 1;
                let index = sent.items[found].3;
                if let Some(pending) = self.partitions[index].landed(id) {
                    self.answered(now.instant, index, pending, told);
                }
            }
        }
        let silent = Error::broker(ErrorCode::UnknownServerError).api(ApiKey::Produce);
        self.ended(now, id, sent, &silent.detail(Str::from_static("the response lacks the partition")), true);
    }

    /// A Produce request failed: `taken` tells whether the socket took all of it.
    pub(crate) fn failed(&mut self, now: Now, id: RequestId, error: &Error, taken: bool) {
        let Some(sent) = self.requests.remove(&id) else { return };
        self.ended(now, id, sent, error, taken);
    }

    /// A Produce request that is not answered (acks of none) was taken by the socket.
    pub(crate) fn sent(&mut self, now: Now, id: RequestId) {
        let Some(sent) = self.requests.remove(&id) else { return };
        for (.., index) in &sent.items {
            if let Some(pending) = self.partitions[*index].landed(id) {
                self.acked(&pending.batch, -1, None);
            }
        }
        let error = Error::new(ErrorKind::Closed);
        self.ended(now, id, sent, &error, true);
    }

    /// Whatever of a request was not answered failed; then its partitions, and an idle lane's, go on.
    fn ended(&mut self, now: Now, id: RequestId, sent: Sent, error: &Error, taken: bool) {
        if let Some(broker) = self.brokers.get_mut(&sent.broker) {
            broker.in_flight = broker.in_flight.saturating_sub(1);
        }
        for (.., index) in &sent.items {
            if let Some(mut pending) = self.partitions[*index].landed(id) {
                pending.maybe_written |= taken;
                self.retry(now.instant, *index, pending, error.clone());
            }
            self.schedule(now.instant, *index);
        }
        self.lane_idle(now.instant, sent.broker);
    }

    fn lane_idle(&mut self, now: Instant, broker: i32) {
        let Some(queue) = self.brokers.get_mut(&broker) else { return };
        if queue.in_flight > 0 || !queue.ready.is_empty() {
            return;
        }
        for (index, number) in std::mem::take(&mut queue.gathering) {
            self.make_due(now, index, number);
        }
    }

    fn answered(&mut self, now: Instant, index: usize, mut pending: Pending, told: PartitionProduceResponse) {
        let code = ErrorCode::from(told.error_code);
        let batch = pending.batch.clone();
        let error = || {
            let error = Error::broker(code).api(ApiKey::Produce).partition(&batch.topic, batch.partition);
            match &told.error_message {
                Some(message) => error.detail(message.clone()),
                None => error,
            }
        };
        match verdict(code, self.identity != IdentityState::Off) {
            Verdict::Acked => {
                let partition = &mut self.partitions[index];
                partition.failures = 0;
                let time = (told.log_append_time_ms >= 0).then_some(told.log_append_time_ms);
                self.acked(&batch, told.base_offset, time);
            }
            Verdict::Duplicate => self.acked(&batch, -1, None),
            Verdict::Retry { appended, refresh } => {
                if refresh {
                    self.out.hints.push(Hint::Refresh(batch.topic.clone()));
                }
                pending.maybe_written |= appended;
                self.retry(now, index, pending, error());
            }
            Verdict::OutOfOrder { .. } if self.partitions[index].has_older(batch.number) => {
                self.retry(now, index, pending, error());
            }
            Verdict::OutOfOrder { new_id } => {
                if new_id && self.partitions[index].identity.is_some() {
                    self.renew(self.partitions[index].identity);
                }
                (pending.stamp, pending.maybe_written) = (None, false);
                self.partitions[index].lost_track();
                self.retry(now, index, pending, error());
            }
            Verdict::Fail(fate_of) => {
                pending.maybe_written |= fate_of == Fate::PossiblyWritten;
                self.give_up(index, &pending, error());
            }
        }
    }

    /// The broker does not accept the producer id any more.
    fn renew(&mut self, refused: Option<Identity>) {
        if let IdentityState::Ready(current) = self.identity
            && Some(current) == refused
        {
            self.identity = IdentityState::Wanted;
        }
    }

    fn retry(&mut self, now: Instant, index: usize, mut pending: Pending, error: Error) {
        pending.attempts += 1;
        let config = &self.accumulator.config;
        let expired = now >= pending.batch.created + config.delivery_timeout;
        let spent = config.max_attempts.is_some_and(|max| pending.attempts >= max);
        if pending.batch.is_resolved() || expired || spent || !may_retry(&error) {
            return self.give_up(index, &pending, error);
        }
        let partition = &mut self.partitions[index];
        let attempt = partition.failures;
        partition.failures = partition.failures.saturating_add(1);
        partition.put_back(pending);
        let wait = self.random.backoff(attempt.min(10), self.retry_backoff.0, self.retry_backoff.1);
        self.begin_backoff(index, now + wait);
    }

    fn begin_backoff(&mut self, index: usize, until: Instant) {
        self.end_backoff(index);
        self.partitions[index].backoff_until = Some(until);
        self.backoffs.insert((until, index));
    }

    fn end_backoff(&mut self, index: usize) {
        if let Some(until) = self.partitions[index].backoff_until.take() {
            self.backoffs.remove(&(until, index));
        }
    }

    fn give_up(&mut self, index: usize, pending: &Pending, error: Error) {
        self.partitions[index].give_up(pending);
        let error = error.partition(&pending.batch.topic, pending.batch.partition);
        self.resolve_failed(&pending.batch, error, fate(pending.maybe_written));
    }

    fn acked(&mut self, batch: &Arc<Batch>, base_offset: i64, log_append_time: Option<i64>) {
        if self.resolve(batch, Outcome::Acked { base_offset, log_append_time }) {
            self.stats.records_acked += u64::from(batch.count());
            self.stats.bytes_acked += batch.body().map_or(0, |b| b.len() as u64);
        }
    }

    fn resolve_failed(&mut self, batch: &Arc<Batch>, error: Error, fate: Fate) {
        if self.resolve(batch, Outcome::Failed(SendError { fate, error })) {
            self.stats.records_failed += u64::from(batch.count());
        }
    }

    fn resolve(&mut self, batch: &Arc<Batch>, outcome: Outcome) -> bool {
        let first = batch.resolve(outcome);
        if first {
            self.accumulator.memory.release(batch.charged());
            self.out.resolved.push(batch.clone());
        }
        first
    }

    /// KIP-951: the answer told the new leaders.
    fn hint_leaders(&mut self, sent: &Sent, response: &ProduceResponse) {
        for topic in &response.responses {
            for told in topic.partition_responses.iter().filter(|p| p.current_leader.leader_id >= 0) {
                let name = sent
                    .items
                    .iter()
                    .find(|i| i.0 == topic.name || (!i.1.is_zero() && i.1 == topic.topic_id));
                let Some((name, ..)) = name else { continue };
                let node =
                    response.node_endpoints.iter().find(|n| n.node_id == told.current_leader.leader_id);
                self.out.hints.push(Hint::Leader {
                    topic: name.clone(),
                    partition: told.index,
                    leader: told.current_leader.leader_id,
                    leader_epoch: told.current_leader.leader_epoch,
                    node: node.and_then(|n| {
                        let port = u16::try_from(n.port).ok()?;
                        let (host, rack) = (n.host.clone(), n.rack.clone());
                        Some(crate::client::cluster::Node { id: n.node_id, host, port, rack })
                    }),
                });
            }
        }
    }

    // ---- identity ----

    /// Asks for a producer id as soon as there is something to send under it.
    pub(crate) fn poll_ask(&mut self) -> Option<Ask> {
        if self.identity != IdentityState::Wanted || self.partitions.is_empty() {
            return None;
        }
        self.identity = IdentityState::Asked;
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            ..InitProducerIdRequest::default()
        };
        Some(Ask {
            tag: 0,
            target: Target::Any,
            lane: Lane::Other,
            request: request.into(),
            timeout: self.request_timeout,
        })
    }

    pub(crate) fn handle_answer(&mut self, now: Now, answer: Answer) {
        let attempt = match self.identity {
            IdentityState::Backoff(_, attempt) => attempt,
            _ => 0,
        };
        let error = match answer.result {
            Ok(ResponseKind::InitProducerId(response)) => match ErrorCode::from(response.error_code) {
                ErrorCode::None => {
                    let (id, epoch) = (response.producer_id, response.producer_epoch);
                    self.identity = IdentityState::Ready(Identity { id, epoch });
                    return self.reschedule_all(now.instant);
                }
                code => Error::broker(code).api(ApiKey::InitProducerId),
            },
            Ok(other) => unexpected(&other),
            Err(error) => error,
        };
        if error.is_retriable() {
            let wait = self.random.backoff(attempt, self.retry_backoff.0, self.retry_backoff.1);
            self.identity = IdentityState::Backoff(now.instant + wait, attempt + 1);
            return;
        }
        self.without_identity(now, error);
    }

    /// The cluster gives no producer ids: it is too old, or the user has no right to them.
    fn without_identity(&mut self, now: Now, error: Error) {
        let too_old = matches!(error.kind(), ErrorKind::Unsupported { .. });
        if too_old && self.accumulator.config.idempotence == Idempotence::IfSupported {
            let kind = ErrorKind::Unsupported { feature: "idempotent writing", needs: "Kafka 0.11" };
            let told = Error::new(kind).detail(Str::from_static("retries may duplicate records"));
            self.out.degraded = Some(told);
            self.identity = IdentityState::Off;
            return self.reschedule_all(now.instant);
        }
        // What waits cannot be sent; whatever comes later asks again.
        self.identity = IdentityState::Wanted;
        for index in 0..self.partitions.len() {
            while let Some(pending) = self.partitions[index].next() {
                self.give_up(index, &pending, error.clone());
            }
            while let Some(batch) = self.partitions[index].slot.take(true) {
                self.resolve_failed(&batch, error.clone(), Fate::NotWritten);
            }
        }
    }

    // ---- time ----

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let linger = self.lingering.front().map(|(at, ..)| *at);
        let expiry = self.expiring.front().map(|(at, _)| *at);
        let backoff = self.backoffs.first().map(|(at, _)| *at);
        let identity = match self.identity {
            IdentityState::Backoff(at, _) => Some(at),
            _ => None,
        };
        [linger, expiry, backoff, identity].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Now) {
        let now = now.instant;
        while let Some((_, index, number)) = pop_if(&mut self.lingering, |(at, ..)| *at <= now) {
            self.make_due(now, index, number);
        }
        while let Some((at, index)) = self.backoffs.first().copied().filter(|(at, _)| *at <= now) {
            self.backoffs.remove(&(at, index));
            self.partitions[index].backoff_until = None;
            self.schedule(now, index);
        }
        while let Some((_, index)) = pop_if(&mut self.expiring, |(at, _)| *at <= now) {
            self.expire(now, index);
        }
        if let IdentityState::Backoff(at, _) = self.identity
            && at <= now
        {
            self.identity = IdentityState::Wanted;
        }
    }

    /// Batches of a partition whose delivery timeout is over.
    fn expire(&mut self, now: Instant, index: usize) {
        let after = self.accumulator.config.delivery_timeout;
        let due = |batch: &Batch| batch.created + after <= now;
        let partition = &mut self.partitions[index];
        let old: Vec<Arc<Batch>> = partition.slot.batches().into_iter().filter(|b| due(b)).collect();
        for _ in &old {
            if let Some(batch) = partition.slot.take(true) {
                partition.put_back(Pending { batch, stamp: None, attempts: 0, maybe_written: false });
            }
        }
        let topic = partition.slot.topic.clone();
        let number = partition.slot.partition;
        let leaderless = partition.leader.is_none();
        let last = leaderless.then(|| Error::broker(ErrorCode::LeaderNotAvailable).partition(&topic, number));
        let error =
            Error::new(ErrorKind::TimedOut { after, last }).api(ApiKey::Produce).partition(&topic, number);
        while let Some(pending) = pop_if(&mut self.partitions[index].queue, |p| due(&p.batch)) {
            self.give_up(index, &pending, error.clone());
        }
        let late: Vec<Arc<Batch>> = self.partitions[index]
            .in_flight
            .iter()
            .map(|(_, p)| p.batch.clone())
            .filter(|b| due(b))
            .collect();
        for batch in late {
            // Its response, if it comes, settles the sequence; the caller is told now.
            self.resolve_failed(&batch, error.clone(), Fate::PossiblyWritten);
        }
        self.schedule(now, index);
    }

    /// A leader may have been unknown; the metadata knows better.
    pub(crate) fn metadata_changed(&mut self, now: Now, cluster: &Cluster, topic: &Str, headers: bool) {
        match cluster.topic(topic) {
            Some(topic) => {
                self.update_topic(now, topic, headers);
            }
            None => {
                let indexes = self.topics.get(topic).map(|t| t.first_index.clone()).unwrap_or_default();
                indexes.into_iter().for_each(|index| self.set_leader(now.instant, index, None));
            }
        }
    }
}

fn pop_if<T>(queue: &mut VecDeque<T>, due: impl FnOnce(&T) -> bool) -> Option<T> {
    if queue.front().is_some_and(due) { queue.pop_front() } else { None }
}

fn fate(maybe_written: bool) -> Fate {
    if maybe_written { Fate::PossiblyWritten } else { Fate::NotWritten }
}

fn producer_stamp(stamp: Option<(Identity, i32)>) -> ProducerStamp {
    match stamp {
        None => ProducerStamp::NONE,
        Some((identity, base_sequence)) => ProducerStamp {
            producer_id: identity.id,
            producer_epoch: identity.epoch,
            base_sequence,
            transactional: false,
        },
    }
}

/// A request that could not be encoded fails the same way again; whatever else went wrong may heal.
fn may_retry(error: &Error) -> bool {
    !matches!(error.kind(), ErrorKind::Encode(_) | ErrorKind::Unsupported { .. } | ErrorKind::Closed)
}
