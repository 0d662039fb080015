//! A writer as the client sends it: which partition may send what, to which broker, when.
//!
//! Invariants
//! * A partition that has a due batch and may send stands in its leader's ready queue, or waits for something that
//!   reschedules it: a backoff, a response, a compression, its leader, its identity.
//! * Nothing here visits all partitions but flush, close and a change of metadata.
//! * A batch is resolved exactly once, by its delivery timeout at the latest.

use super::accumulator::{Accumulator, Slot, TopicSlots};
use super::batch::Tickets;
use super::brokers::Brokers;
use super::config::{Acks, Idempotence};
use super::effects::Effects;
use super::encode::{BATCHES, Produce, ProduceBatch};
use super::partition::PartitionSender;
use super::pending::Pending;
use super::producer_id::ProducerId;
use super::sent::{SentBatch, SentRequest};
use super::sequences::Stamp;
use super::table::PartitionTable;
use super::timers::{OpenBatch, Timers};
use super::topics::{TopicChange, TopicEntry};
use super::work::{Work, Worked};
use crate::declare::checks::millis;
use crate::error::{Error, Fate};
use crate::link::RequestId;
use crate::machine::{Lane, LaneKey, Now, Pace, Shares, Time};
use crate::random::Random;
use crate::snapshot::{Cluster, Topic};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::records::Compression;
use kafka_proto::{ApiKey, Str, Uuid};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Batches up to this size are compressed by the connection's task; larger ones are a job of their own.
const PACK_INLINE: usize = 32 << 10;

#[derive(Debug)]
pub(crate) struct Producer {
    pub(super) accumulator: Arc<Accumulator>,
    pub(super) producer_id: ProducerId,
    pub(super) partitions: PartitionTable,
    pub(super) topics: BTreeMap<Str, TopicEntry>,
    pub(super) brokers: Brokers,
    pub(super) requests: FxHashMap<RequestId, SentRequest>,
    pub(super) timers: Timers,
    pub(super) random: Random,
    pub(super) pace: Pace,
    pub(super) effects: Effects,
    pub(super) stats: ProducerStats,
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

impl Producer {
    pub(crate) fn new(accumulator: Arc<Accumulator>, pace: Pace, seed: u64) -> Self {
        let idempotent =
            accumulator.config.acks == Acks::All && accumulator.config.idempotence != Idempotence::Off;
        Self {
            accumulator,
            producer_id: ProducerId::new(idempotent),
            partitions: PartitionTable::default(),
            topics: BTreeMap::new(),
            brokers: Brokers::default(),
            requests: FxHashMap::default(),
            timers: Timers::default(),
            random: Random::new(seed),
            pace,
            effects: Effects::default(),
            stats: ProducerStats::default(),
        }
    }

    pub(super) fn request_timeout(&self) -> Duration {
        self.pace.request_timeout
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
        let entry = self.topics.entry(topic.name.clone()).or_insert_with(|| TopicEntry::new(topic.id));
        let TopicChange { is_recreated, kept, removed } = entry.update(topic, self.partitions.len());
        let indexes = entry.indexes().to_vec();
        let formers: Vec<Option<usize>> = (kept..indexes.len()).map(|p| entry.former(p)).collect();
        let place = |partition| indexes[partition as usize];
        let slots = self.accumulator.update_topic(topic, headers, self.random.next(), place);
        if is_recreated {
            // Those behind are made below, and begin with new sequences anyway.
            indexes[..kept].iter().for_each(|index| self.partitions[*index].recreated());
        }
        removed.into_iter().for_each(|index| self.remove(now.time, index));
        for (partition, former) in (kept..).zip(formers) {
            if let Some(slot) = slots.slot(partition) {
                self.add(slot, former);
            }
        }
        for (partition, index) in topic.partitions.iter().zip(indexes) {
            self.set_leader(now.time, index, partition.leader);
        }
        slots
    }

    fn add(&mut self, slot: Arc<Slot>, former: Option<usize>) {
        debug_assert_eq!(slot.index, self.partitions.len());
        let mut sender = PartitionSender::new(slot);
        if let Some(former) = former {
            sender.follow(&self.partitions[former]);
        }
        self.partitions.push(sender);
    }

    /// A partition has ceased to exist; what it holds fails, and what comes for it.
    fn remove(&mut self, now: Time, index: usize) {
        self.partitions[index].remove();
        self.set_leader(now, index, None);
        self.fail_removed(index);
    }

    fn fail_removed(&mut self, index: usize) {
        let error = Error::of_code(ErrorCode::UnknownTopicOrPartition).with_api(ApiKey::Produce);
        let error = error.with_detail(Str::from_static("the topic was made anew with fewer partitions"));
        while let Some(pending) = self.partitions[index].queue.next_of_all() {
            self.give_up(index, &pending, error.clone());
        }
    }

    fn set_leader(&mut self, now: Time, index: usize, leader: Option<i32>) {
        if self.partitions[index].placement.move_to(leader) {
            // A new leader knows nothing of the old one's troubles.
            self.timers.backoffs.clear(index);
            self.schedule(now, index);
        }
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
        let Some(number) = partition.queue.open_number() else { return };
        let linger = self.accumulator.config.linger;
        let is_idle = partition.placement.leader().is_none_or(|leader| self.brokers.is_idle(leader));
        if is_idle
            || linger.is_zero()
            || self.accumulator.tape.see(|| self.accumulator.memory.is_pressed(index))
        {
            return partition.queue.make_due(number);
        }
        self.timers.lingering.push(now + linger, OpenBatch { index, number });
        if let Some(leader) = partition.placement.gather() {
            self.brokers.gather(leader, index);
        }
    }

    /// Sends everything that was written so far. Returns what has to be waited for.
    pub(crate) fn flush(&mut self, now: Now) -> Vec<Arc<Tickets>> {
        let mut tickets = Vec::new();
        for index in 0..self.partitions.len() {
            let queue = &mut self.partitions[index].queue;
            queue.flush();
            tickets.extend(queue.tickets());
            self.schedule(now.time, index);
        }
        tickets.retain(|tickets| !tickets.is_resolved());
        tickets
    }

    /// A caller waits for memory: what gathers leaves now.
    pub(crate) fn pressure(&mut self, now: Now) {
        self.timers.lingering.take_all().for_each(|batch| self.make_due(now.time, batch));
    }

    /// Ends all that is not resolved: what never left is not written.
    pub(crate) fn abort(&mut self, error: &Error) {
        self.accumulator.close();
        for index in 0..self.partitions.len() {
            while let Some(pending) = self.partitions[index].queue.next_of_all() {
                self.resolve_failed(pending.batch(), error.clone(), pending.fate());
            }
            let in_flight: Vec<_> = self.partitions[index].queue.in_flight().cloned().collect();
            for batch in in_flight {
                self.resolve_failed(&batch, error.clone(), Fate::PossiblyWritten);
            }
        }
    }

    pub(crate) fn is_quiescent(&self) -> bool {
        self.requests.is_empty() && self.partitions.iter().all(|p| p.queue.is_empty())
    }

    // ---- scheduling ----

    /// Puts the partition into its leader's ready queue if it has something to send and may.
    pub(super) fn schedule(&mut self, now: Time, index: usize) {
        let partition = &mut self.partitions[index];
        if partition.is_removed() {
            return self.fail_removed(index);
        }
        // A batch that is too large is split elsewhere before it is sent again.
        if let Some(batch) = partition.queue.begin_split() {
            return self.effects.work(index, Work::Split(batch));
        }
        let limit = self.producer_id.max_in_flight();
        let is_held = partition.placement.is_ready() || self.timers.backoffs.is_ahead(now, index);
        if is_held || !partition.may_send(limit) || !partition.queue.has_due() {
            return;
        }
        if partition.placement.leader().is_none() || !self.has_identity(index) || !self.is_packed(index) {
            return;
        }
        if let Some(leader) = self.partitions[index].placement.make_ready() {
            self.brokers.push_ready(leader, index);
            self.effects.pull(leader);
        }
    }

    /// Large batches are compressed elsewhere before they are ready.
    fn is_packed(&mut self, index: usize) -> bool {
        let config = &self.accumulator.config;
        let (compression, level) = (config.compression, config.compression_level);
        if compression == Compression::None {
            return true;
        }
        let queue = &mut self.partitions[index].queue;
        let Some(batch) = queue.peek() else { return false };
        if batch.body().len() <= PACK_INLINE || self.accumulator.tape.see(|| batch.is_packed()) {
            return true;
        }
        let batch = batch.clone();
        queue.begin_work();
        self.effects.work(index, Work::Pack { batch, compression, level });
        false
    }

    /// A partition's work was done.
    pub(crate) fn work_done(&mut self, now: Now, index: usize, worked: Worked) {
        let Some(partition) = self.partitions.get_mut(index) else { return };
        partition.queue.end_work();
        if let Worked::Split(batch, halves) = worked {
            self.split_done(index, &batch, halves);
        }
        self.schedule(now.time, index);
    }

    pub(super) fn make_due(&mut self, now: Time, OpenBatch { index, number }: OpenBatch) {
        self.partitions[index].queue.make_due(number);
        self.schedule(now, index);
    }

    pub(super) fn reschedule_all(&mut self, now: Time) {
        (0..self.partitions.len()).for_each(|index| self.schedule(now, index));
    }

    // ---- requests ----

    pub(crate) fn is_ready_for(&self, broker: i32) -> bool {
        self.brokers.has_ready(broker)
    }

    /// Returns the next Produce request for a broker that takes this version: one batch per partition, in the order in which
    /// the partitions became ready, as many as there is room for, and one at least.
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
        let mut produce = Produce {
            acks: self.accumulator.config.acks.code(),
            timeout_ms: millis(self.pace.request_timeout),
            is_idempotent: !self.producer_id.is_off(),
            batches: Vec::new(),
            bytes: 0,
            most_bytes: self.most_bytes(broker),
        };
        self.fill(now, id, broker, &mut produce, None);
        (!produce.batches.is_empty()).then_some(produce)
    }

    /// Adds to another writer's Produce request for a broker what would be in this one's next, as far as it has room.
    pub(crate) fn join_produce(
        &mut self,
        now: Now,
        id: RequestId,
        broker: i32,
        produce: &mut Produce,
        shares: &mut Shares,
    ) {
        let most = produce.most_bytes.min(self.most_bytes(broker));
        // What one is refused the right to must not fail the other.
        let is_alike = produce.acks == self.accumulator.config.acks.code()
            && produce.is_idempotent != self.producer_id.is_off();
        if !is_alike || produce.bytes >= most {
            return;
        }
        if shares.is_blank() {
            produce
                .batches
                .iter()
                .for_each(|it| shares.note_first(it.topic(), it.topic_id(), it.partition()));
        }
        let (before, most_before) = (produce.bytes, std::mem::replace(&mut produce.most_bytes, most));
        self.fill(now, id, broker, produce, Some(shares));
        if produce.bytes == before {
            produce.most_bytes = most_before;
        }
    }

    fn most_bytes(&self, broker: i32) -> usize {
        let most = self.brokers.request_limit(broker).unwrap_or(usize::MAX);
        most.min(self.accumulator.config.request_bytes)
    }

    fn fill(
        &mut self,
        now: Now,
        id: RequestId,
        broker: i32,
        produce: &mut Produce,
        mut shares: Option<&mut Shares>,
    ) {
        let is_shared = shares.is_some();
        let mut request = SentRequest { broker, bytes: 0, is_shared, batches: Vec::new() };
        while produce.has_room() {
            let Some(index) = self.pop_ready(now.time, broker) else { break };
            let Some(pending) = self.partitions[index].queue.next() else { continue };
            let bytes = produce.bytes + pending.batch().body().len();
            let is_full = bytes > produce.most_bytes && !produce.batches.is_empty();
            let (name, partition) = (&pending.batch().topic, pending.batch().partition);
            let topic_id = self.topic_id(name);
            let cannot_join = |shares: &mut &mut Shares| !shares.add(name, topic_id, partition);
            if is_full || shares.as_mut().is_some_and(cannot_join) {
                self.keep_first(index, pending);
                break;
            }
            produce.bytes = bytes;
            produce.batches.push(self.hand_out(id, index, topic_id, pending, &mut request.batches));
        }
        if request.batches.is_empty() {
            return;
        }
        request.bytes = produce.bytes;
        request.batches.iter().for_each(|batch| self.schedule(now.time, batch.index));
        self.requests.insert(id, request);
        self.brokers.request_sent(broker);
    }

    fn topic_id(&self, name: &Str) -> Uuid {
        self.topics.get(name).map_or(Uuid::ZERO, TopicEntry::id)
    }

    /// Takes the first partition out of the broker's ready queue that may still send.
    fn pop_ready(&mut self, now: Time, broker: i32) -> Option<usize> {
        let limit = self.producer_id.max_in_flight();
        while let Some(index) = self.brokers.pop_ready(broker) {
            let partition = &mut self.partitions[index];
            // Since it became ready a batch before it may have been given up, and its sequence with it.
            if partition.placement.take_turn(broker)
                && !self.timers.backoffs.is_ahead(now, index)
                && partition.may_send(limit)
                && self.has_identity(index)
            {
                return Some(index);
            }
        }
        None
    }

    /// A batch is part of a request: it has its sequence from now on, and is in flight.
    fn hand_out(
        &mut self,
        id: RequestId,
        index: usize,
        topic_id: Uuid,
        mut pending: Pending,
        sent: &mut Vec<SentBatch>,
    ) -> ProduceBatch {
        let partition = &mut self.partitions[index];
        partition.stamp(&mut pending);
        self.stats.retries += u64::from(pending.is_retry());
        self.stats.batches_sent += 1;
        let (batch, stamp) = (pending.batch().clone(), Stamp::header(pending.stamp()));
        partition.queue.sent(id, pending);
        sent.push(SentBatch { topic: batch.topic.clone(), topic_id, partition: batch.partition, index });
        ProduceBatch::new(&self.accumulator, batch, topic_id, stamp)
    }

    /// A batch for which a request has no room is in the next one.
    fn keep_first(&mut self, index: usize, pending: Pending) {
        let partition = &mut self.partitions[index];
        partition.put_back(pending);
        if let Some(leader) = partition.placement.make_ready() {
            self.brokers.push_ready_first(leader, index);
        }
    }

    /// A lane that this writer may depend on is down: an expiry that follows tells why.
    pub(crate) fn lane_failed(&mut self, key: LaneKey, error: &Error) {
        match (key.lane, key.peer.node()) {
            (Lane::Produce, Some(broker)) => self.brokers.lane_failed(broker, error),
            (Lane::Produce, None) => {}
            _ => self.producer_id.note(error.clone()),
        }
    }

    /// Returns what keeps a partition's batches back.
    pub(super) fn obstacle(&self, partition: &PartitionSender) -> Option<Error> {
        let Some(leader) = partition.placement.leader() else {
            return Some(Error::of_code(ErrorCode::LeaderNotAvailable));
        };
        let last = partition.failures.last().or_else(|| self.brokers.last_error(leader));
        last.or_else(|| self.producer_id.last_error()).cloned()
    }

    /// A leader may have been unknown; the metadata knows better.
    pub(crate) fn metadata_changed(&mut self, now: Now, cluster: &Cluster, topic: &Str, headers: bool) {
        match cluster.topic(topic) {
            Some(topic) => {
                self.update_topic(now, topic, headers);
            }
            None => {
                let indexes = self.topics.get(topic).map(|t| t.indexes().to_vec()).unwrap_or_default();
                indexes.into_iter().for_each(|index| self.set_leader(now.time, index, None));
            }
        }
    }
}
