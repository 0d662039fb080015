//! A writer as the client sends it: which partition may send what, to which broker, when.
//!
//! Invariants
//! * A partition that has a due batch and may send stands in its leader's ready queue, or waits for something that
//!   reschedules it: a backoff, a response, a compression, its leader, its identity.
//! * Nothing here visits all partitions but flush, close and a change of metadata.
//! * A batch is resolved exactly once, by its delivery timeout at the latest.

use super::accumulator::{Accumulator, TopicSlots};
use super::batch::{Batch, Tickets};
use super::config::{Acks, Idempotence};
use super::effects::Effects;
use super::encode::{BATCHES, ProduceBatch};
use super::limit::RequestLimit;
use super::outcomes::fate;
use super::partition::{Identity, PartitionSender, Pending};
use super::table::PartitionTable;
use super::work::{Work, Worked};
use crate::declare::checks::millis;
use crate::error::{Error, Fate};
use crate::link::{Produce, RequestId};
use crate::machine::{Lane, LaneKey, Now, Pace, Time};
use crate::random::Random;
use crate::snapshot::{Cluster, Topic};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::records::{Compression, ProducerStamp};
use kafka_proto::{ApiKey, Str, Uuid};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Batches up to this size are compressed by the connection's task; larger ones are a job of their own.
const PACK_INLINE: usize = 32 << 10;
/// A broker remembers the last five batches of a producer for each partition.
const MAX_IN_FLIGHT_IDEMPOTENT: usize = 5;

#[derive(Debug)]
pub(crate) struct Producer {
    pub(crate) accumulator: Arc<Accumulator>,
    pub(super) identity: IdentityState,
    /// How often in a row a producer id was asked for in vain.
    pub(super) identity_failures: u32,
    pub(super) partitions: PartitionTable,
    pub(super) topics: BTreeMap<Str, TopicEntry>,
    pub(super) brokers: BTreeMap<i32, BrokerQueue>,
    pub(super) requests: BTreeMap<RequestId, Sent>,
    /// Open batches by the end of their linger: all linger equally long, so this is in order.
    pub(super) lingering: VecDeque<(Time, usize, u64)>,
    /// Partitions by when their oldest batch is to be looked at; each is there once at most.
    pub(super) expiring: BTreeSet<(Time, usize)>,
    pub(super) backoffs: BTreeSet<(Time, usize)>,
    pub(super) random: Random,
    pub(super) retry_backoff: (Duration, Duration),
    pub(super) request_timeout: Duration,
    /// Why there is no identity yet, as far as was told.
    pub(super) trouble: Option<Error>,
    pub(super) effects: Effects,
    pub(crate) stats: ProducerStats,
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
    /// Batches that were too large for the broker and went on as two.
    pub splits: u64,
    /// Times the producer epoch was bumped.
    pub epoch_bumps: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum IdentityState {
    /// Retries may duplicate.
    Off,
    Wanted,
    Asked,
    /// Asked in vain; again at this time.
    Backoff(Time),
    Ready(Identity),
}

#[derive(Debug)]
pub(super) struct TopicEntry {
    id: Uuid,
    first_index: Vec<usize>,
    /// The last sender of each partition that ceased to exist, by partition.
    buried: BTreeMap<usize, usize>,
}

impl TopicEntry {
    pub(super) fn id(&self) -> Uuid {
        self.id
    }
}

#[derive(Debug, Default)]
pub(super) struct BrokerQueue {
    pub(super) ready: VecDeque<usize>,
    /// Partitions with an open batch that leaves when the lane is idle, whatever its linger; each is there once at most.
    pub(super) gathering: Vec<usize>,
    pub(super) in_flight: usize,
    /// Where it closed connections on requests.
    pub(super) request_limit: Option<RequestLimit>,
    /// Why its lane is down.
    pub(super) last_error: Option<Error>,
}

#[derive(Debug)]
pub(super) struct Sent {
    pub(super) broker: i32,
    /// The batches before compression.
    pub(super) bytes: usize,
    pub(super) items: Vec<(Str, Uuid, i32, usize)>,
}

impl Producer {
    pub(crate) fn new(accumulator: Arc<Accumulator>, pace: Pace, seed: u64) -> Self {
        let idempotent =
            accumulator.config.acks == Acks::All && accumulator.config.idempotence != Idempotence::Off;
        Self {
            accumulator,
            identity: if idempotent { IdentityState::Wanted } else { IdentityState::Off },
            identity_failures: 0,
            partitions: PartitionTable::default(),
            topics: BTreeMap::new(),
            brokers: BTreeMap::new(),
            requests: BTreeMap::new(),
            lingering: VecDeque::new(),
            expiring: BTreeSet::new(),
            backoffs: BTreeSet::new(),
            random: Random::new(seed),
            retry_backoff: (pace.retry_backoff, pace.retry_backoff_max),
            request_timeout: pace.request_timeout,
            trouble: None,
            effects: Effects::default(),
            stats: ProducerStats::default(),
        }
    }

    pub(super) fn request_timeout(&self) -> Duration {
        self.request_timeout
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
        let entry = self.topics.entry(topic.name.clone()).or_insert(TopicEntry {
            id: topic.id,
            first_index: Vec::new(),
            buried: BTreeMap::new(),
        });
        let is_new = entry.id != topic.id && !entry.id.is_zero() && !topic.id.is_zero();
        // A broker that tells no id tells of no other topic.
        if !topic.id.is_zero() {
            entry.id = topic.id;
        }
        let gone = entry.first_index.split_off(topic.partitions.len().min(entry.first_index.len()));
        let known = entry.first_index.len();
        entry.buried.extend((known..).zip(gone.iter().copied()));
        let mut next = self.partitions.len();
        let indexes = &mut entry.first_index;
        let slots = self.accumulator.update_topic(topic, headers, self.random.next(), |_| {
            indexes.push(next);
            next += 1;
            next - 1
        });
        let fresh: Vec<usize> = indexes[known..].to_vec();
        let all: Vec<usize> = indexes.clone();
        let before: Vec<Option<usize>> = (known..all.len()).map(|p| entry.buried.get(&p).copied()).collect();
        if is_new {
            // Those behind are made below, and begin with new sequences anyway.
            all[..known].iter().for_each(|at| self.partitions[*at].recreated());
        }
        gone.into_iter().for_each(|index| self.bury(now.time, index));
        for ((partition, index), before) in (known..).zip(fresh).zip(before) {
            if let Some(slot) = slots.slot(partition) {
                debug_assert_eq!(index, self.partitions.len());
                let mut sender = PartitionSender::new(slot, None);
                if let Some(before) = before {
                    sender.succeed(&self.partitions[before]);
                }
                self.partitions.push(sender);
            }
        }
        for (told, index) in topic.partitions.iter().zip(all) {
            self.set_leader(now.time, index, told.leader);
        }
        slots
    }

    /// A partition has ceased to exist; what it holds fails, and what comes for it.
    fn bury(&mut self, now: Time, index: usize) {
        self.partitions[index].is_gone = true;
        self.set_leader(now, index, None);
        self.give_up_gone(index);
    }

    fn give_up_gone(&mut self, index: usize) {
        let error = Error::of_code(ErrorCode::UnknownTopicOrPartition).with_api(ApiKey::Produce);
        let error = error.with_detail(Str::from_static("the topic was made anew with fewer partitions"));
        let partition = &mut self.partitions[index];
        while let Some(batch) = partition.slot.take(true) {
            partition.put_back(Pending::new(batch));
        }
        while let Some(pending) = self.partitions[index].queue.pop_front() {
            self.give_up(index, &pending, error.clone());
        }
    }

    pub(super) fn set_leader(&mut self, now: Time, index: usize, leader: Option<i32>) {
        let partition = &mut self.partitions[index];
        if partition.leader == leader {
            return;
        }
        partition.leader = leader;
        partition.is_ready = false;
        // A new leader knows nothing of the old one's troubles.
        self.end_backoff(index);
        self.schedule(now, index);
    }

    // ---- the application's side ----

    /// A record was appended: a batch of this partition was opened, filled, or is older than it was.
    pub(crate) fn appended(&mut self, now: Now, index: usize, opened: bool) {
        if opened {
            self.watch_expiry(now.time, index);
            self.opened(now.time, index);
        }
        self.watch_late(now.time, index);
        self.schedule(now.time, index);
    }

    /// A lone batch on an idle lane leaves at once; while requests are in flight records gather, up to the linger.
    fn opened(&mut self, now: Time, index: usize) {
        let partition = &mut self.partitions[index];
        let Some(number) = partition.slot.open_number() else { return };
        let linger = self.accumulator.config.linger;
        let broker = partition.leader.and_then(|leader| self.brokers.get(&leader));
        let idle = broker.is_none_or(|b| b.in_flight == 0 && b.ready.is_empty());
        if idle || linger.is_zero() || self.accumulator.memory.is_pressed(index) {
            partition.open_due = Some(number);
            return;
        }
        self.lingering.push_back((now + linger, index, number));
        if let Some(leader) = partition.leader.filter(|_| !partition.is_gathering) {
            partition.is_gathering = true;
            self.brokers.entry(leader).or_default().gathering.push(index);
        }
    }

    /// Everything that was written so far leaves; what has to be waited for.
    pub(crate) fn flush(&mut self, now: Now) -> Vec<Arc<Tickets>> {
        let mut tickets = Vec::new();
        for index in 0..self.partitions.len() {
            let partition = &mut self.partitions[index];
            partition.open_due = partition.slot.open_number().or(partition.open_due);
            tickets.extend(partition.in_flight.iter().map(|(_, p)| p.batch.tickets.clone()));
            tickets.extend(partition.queue.iter().map(|p| p.batch.tickets.clone()));
            tickets.extend(partition.slot.tickets());
            self.schedule(now.time, index);
        }
        tickets.retain(|tickets| !tickets.is_resolved());
        tickets
    }

    /// Somebody waits for memory: what gathers leaves now.
    pub(crate) fn pressure(&mut self, now: Now) {
        for (_, index, number) in std::mem::take(&mut self.lingering) {
            self.make_due(now.time, index, number);
        }
    }

    /// Ends all that is not resolved: what never left is not written.
    pub(crate) fn abort(&mut self, error: &Error) {
        self.accumulator.close();
        for index in 0..self.partitions.len() {
            let partition = &mut self.partitions[index];
            let mut left: Vec<Pending> = partition.queue.drain(..).collect();
            while let Some(batch) = partition.slot.take(true) {
                left.push(Pending::new(batch));
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
        self.requests.is_empty() && self.partitions.iter().all(|p| p.is_idle() && p.slot.tickets().is_empty())
    }

    // ---- scheduling ----

    /// Puts the partition into its leader's ready queue if it has something to send and may.
    pub(super) fn schedule(&mut self, now: Time, index: usize) {
        let partition = &self.partitions[index];
        if partition.is_gone {
            return self.give_up_gone(index);
        }
        let limit = self.max_in_flight();
        if partition.is_too_large() && !partition.has_work {
            return self.split_next(index);
        }
        if partition.is_ready || !partition.may_send(now, limit) || !partition.has_due() {
            return;
        }
        let Some(leader) = partition.leader else { return };
        if !self.has_identity(index) || !self.is_packed(index) {
            return;
        }
        self.partitions[index].is_ready = true;
        self.brokers.entry(leader).or_default().ready.push_back(index);
        self.effects.pull(leader);
    }

    pub(super) fn max_in_flight(&self) -> usize {
        match self.identity {
            // Without sequences the broker would take a newer batch before an older one that failed.
            IdentityState::Off => 1,
            _ => MAX_IN_FLIGHT_IDEMPOTENT,
        }
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
        let small = batch.body().len() <= PACK_INLINE;
        if small || batch.is_packed() {
            return true;
        }
        partition.has_work = true;
        let config = &self.accumulator.config;
        let (compression, level) = (config.compression, config.compression_level);
        self.effects.work(index, Work::Pack { batch, compression, level });
        false
    }

    /// A batch that is too large is split elsewhere before it is sent again.
    fn split_next(&mut self, index: usize) {
        let partition = &mut self.partitions[index];
        let Some(pending) = partition.queue.front() else { return };
        self.effects.work(index, Work::Split(pending.batch.clone()));
        partition.has_work = true;
    }

    /// A partition's work was done.
    pub(crate) fn work_done(&mut self, now: Now, index: usize, worked: Worked) {
        let Some(partition) = self.partitions.get_mut(index) else { return };
        partition.has_work = false;
        if let Worked::Split(batch, halves) = worked {
            self.went_in_two(index, &batch, halves);
        }
        self.schedule(now.time, index);
    }

    pub(super) fn make_due(&mut self, now: Time, index: usize, number: u64) {
        let partition = &mut self.partitions[index];
        partition.open_due = partition.open_due.max(Some(number));
        self.schedule(now, index);
    }

    pub(super) fn reschedule_all(&mut self, now: Time) {
        (0..self.partitions.len()).for_each(|index| self.schedule(now, index));
    }

    // ---- requests ----

    pub(crate) fn is_ready_for(&self, broker: i32) -> bool {
        self.brokers.get(&broker).is_some_and(|b| !b.ready.is_empty())
    }

    /// The next Produce request for a broker that takes this version: one batch a partition, in the order the partitions
    /// became ready, as many as there is room for, and one at least.
    pub(crate) fn poll_produce(
        &mut self,
        now: Now,
        id: RequestId,
        broker: i32,
        version: i16,
    ) -> Option<Produce> {
        if version < BATCHES && !self.do_without_sequences(broker) {
            return None;
        }
        let (mut batches, mut items, mut again, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
        let limit = self.max_in_flight();
        let most = self.brokers.get(&broker).and_then(|queue| queue.request_limit.as_ref());
        let most = most.map_or(usize::MAX, RequestLimit::bytes).min(self.accumulator.config.request_bytes);
        while bytes < most {
            let Some(index) = self.brokers.get_mut(&broker).and_then(|b| b.ready.pop_front()) else { break };
            let partition = &mut self.partitions[index];
            if partition.leader != Some(broker) || !std::mem::replace(&mut partition.is_ready, false) {
                continue;
            }
            // Since it became ready a batch before it may have been given up, and its sequence with it.
            if !partition.may_send(now.time, limit) || !self.has_identity(index) {
                continue;
            }
            let partition = &mut self.partitions[index];
            let Some(mut pending) = partition.next() else { continue };
            let batch = pending.batch.clone();
            let with_it = bytes + batch.body().len();
            if with_it > most && !batches.is_empty() {
                self.keep_first(index, pending);
                break;
            }
            bytes = with_it;
            partition.stamp(&mut pending);
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
        self.requests.insert(id, Sent { broker, bytes, items });
        self.brokers.entry(broker).or_default().in_flight += 1;
        again.into_iter().for_each(|index| self.schedule(now.time, index));
        let timeout_ms = millis(self.request_timeout);
        Some(Produce { acks: self.accumulator.config.acks.code(), timeout_ms, batches })
    }

    /// A batch for which a request has no room is in the next one.
    fn keep_first(&mut self, index: usize, pending: Pending) {
        let partition = &mut self.partitions[index];
        partition.put_back(pending);
        partition.is_ready = true;
        if let Some(queue) = partition.leader.and_then(|leader| self.brokers.get_mut(&leader)) {
            queue.ready.push_front(index);
        }
    }

    /// A lane that this writer may depend on is down: what an expiry that follows is to tell.
    pub(crate) fn lane_failed(&mut self, key: LaneKey, error: &Error) {
        match key.lane {
            Lane::Produce => {
                let broker = key.peer.node().and_then(|broker| self.brokers.get_mut(&broker));
                if let Some(queue) = broker {
                    queue.last_error = Some(error.clone());
                }
            }
            _ => self.trouble = Some(error.clone()),
        }
    }

    /// What keeps a partition's batches back.
    pub(super) fn trouble_of(&self, partition: &PartitionSender) -> Option<Error> {
        let Some(leader) = partition.leader else {
            return Some(Error::of_code(ErrorCode::LeaderNotAvailable));
        };
        let lane = self.brokers.get(&leader).and_then(|queue| queue.last_error.clone());
        let waits = !matches!(self.identity, IdentityState::Ready(_) | IdentityState::Off);
        let identity = self.trouble.clone().filter(|_| waits);
        partition.last_error.clone().or(lane).or(identity)
    }

    /// A leader may have been unknown; the metadata knows better.
    pub(crate) fn metadata_changed(&mut self, now: Now, cluster: &Cluster, topic: &Str, headers: bool) {
        match cluster.topic(topic) {
            Some(topic) => {
                self.update_topic(now, topic, headers);
            }
            None => {
                let indexes = self.topics.get(topic).map(|t| t.first_index.clone()).unwrap_or_default();
                indexes.into_iter().for_each(|index| self.set_leader(now.time, index, None));
            }
        }
    }
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
