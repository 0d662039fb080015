//! What became of a Produce request, batch by batch: acknowledged, sent again, given up.

use super::batch::{Batch, Outcome, SendError};
use super::pending::Pending;
use super::producer::Producer;
use super::sent::SentRequest;
use super::split::{Halves, can_split};
use super::timers::OpenBatch;
use super::topics::TopicEntry;
use super::verdict::{Verdict, verdict};
use crate::error::{ConnectionError, Error, ErrorKind, Fate};
use crate::link::RequestId;
use crate::machine::{Hint, Now, Time};
use crate::snapshot::{Cluster, Node};
use crate::trace::Told;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::produce::{PartitionProduceResponse, ProduceResponse};
use kafka_proto::{ApiKey, Str, Uuid};
use std::sync::Arc;
use std::time::Duration;

/// Which partition a batch is of, by its place in the table, and which broker it was sent to.
#[derive(Clone, Copy)]
struct SentTo {
    index: usize,
    broker: i32,
}

impl Producer {
    /// A Produce request was answered.
    pub(crate) fn produced(&mut self, now: Now, cluster: &Cluster, id: RequestId, response: ProduceResponse) {
        let Some(sent) = self.requests.remove(&id) else { return };
        self.brokers.answered(sent.broker, sent.bytes);
        self.hint_leaders(&sent, &response);
        let mut at = 0;
        for topic in response.responses {
            for answer in topic.partition_responses {
                let Some(found) = sent.find(at, &topic.name, topic.topic_id, answer.index) else { continue };
                at = found + 1;
                let to = SentTo { index: sent.batches[found].index, broker: sent.broker };
                if let Some(pending) = self.partitions[to.index].queue.take_sent(id) {
                    self.answered(now.time, cluster, to, pending, answer);
                }
            }
        }
        let silent = Error::of_code(ErrorCode::UnknownServerError).with_api(ApiKey::Produce);
        let silent = silent.with_broker(cluster.broker_name(sent.broker));
        let silent = silent.with_detail(Str::from_static("the response lacks the partition"));
        self.ended(now, id, sent, &silent, true);
    }

    /// A Produce request failed; `taken` is whether the socket took all of it.
    pub(crate) fn failed(&mut self, now: Now, id: RequestId, error: &Error, taken: bool) {
        let Some(sent) = self.requests.remove(&id) else { return };
        // Also where the socket had not taken all of it: it may have been cut off for its size, half way.
        if ended_by_broker(error) {
            self.brokers.closed_on(sent.broker, sent.bytes, sent.has_several(), now.time);
        }
        self.ended(now, id, sent, error, taken);
    }

    /// A Produce request that is not answered (acks of none) was taken by the socket.
    pub(crate) fn sent(&mut self, now: Now, id: RequestId) {
        let Some(sent) = self.requests.remove(&id) else { return };
        self.brokers.taken(sent.broker, sent.bytes);
        for batch in &sent.batches {
            if let Some(pending) = self.partitions[batch.index].queue.take_sent(id) {
                self.acked(pending.batch(), -1, None);
            }
        }
        let error = Error::new(ErrorKind::Closed);
        self.ended(now, id, sent, &error, true);
    }

    /// Whatever of a request was not answered failed; then its partitions, and an idle lane's, go on.
    fn ended(&mut self, now: Now, id: RequestId, sent: SentRequest, error: &Error, taken: bool) {
        self.brokers.request_ended(sent.broker);
        for batch in &sent.batches {
            let to = SentTo { index: batch.index, broker: sent.broker };
            if let Some(mut pending) = self.partitions[to.index].queue.take_sent(id) {
                pending.add_doubt(taken);
                self.retry(now.time, to, pending, error.clone());
            }
            self.schedule(now.time, to.index);
        }
        self.lane_idle(now.time, sent.broker);
    }

    fn lane_idle(&mut self, now: Time, broker: i32) {
        for index in self.brokers.take_gathered(broker) {
            let partition = &mut self.partitions[index];
            partition.placement.stop_gathering();
            if let Some(number) = partition.queue.open_number() {
                self.make_due(now, OpenBatch { index, number });
            }
        }
    }

    /// What a broker has answered of a partition's batch.
    fn answered(
        &mut self,
        now: Time,
        cluster: &Cluster,
        to: SentTo,
        mut pending: Pending,
        answer: PartitionProduceResponse,
    ) {
        let code = ErrorCode::from(answer.error_code);
        let SentTo { index, broker } = to;
        let batch = pending.batch().clone();
        let error = || {
            let error =
                Error::of_code(code).with_api(ApiKey::Produce).with_partition(&batch.topic, batch.partition);
            let error = error.with_broker(cluster.broker_name(broker));
            match &answer.error_message {
                Some(message) => error.with_detail(message.clone()),
                None => error,
            }
        };
        match verdict(code, pending.is_stamped()) {
            Verdict::Acked => {
                self.partitions[index].acked(&pending, broker);
                let time = (answer.log_append_time_ms >= 0).then_some(answer.log_append_time_ms);
                self.acked(&batch, answer.base_offset, time);
            }
            Verdict::Duplicate => {
                self.partitions[index].has_batch(&pending, broker);
                self.acked(&batch, -1, None);
            }
            Verdict::Retry { appended, refresh } => {
                if refresh {
                    self.effects.hint(Hint::Refresh(batch.topic.clone()));
                }
                pending.add_doubt(appended);
                self.retry(now, to, pending, error());
            }
            Verdict::OutOfOrder { .. } if self.partitions[index].queue.has_older(batch.number) => {
                self.retry(now, to, pending, error());
            }
            Verdict::OutOfOrder { new_id } => {
                if new_id {
                    self.producer_id.refused(self.partitions[index].identity());
                }
                let doubtful = self.partitions[index].lose_track();
                self.fail_doubtful(doubtful, &error());
                if pending.keeps_its_stamp() {
                    return self.give_up(index, &pending, error());
                }
                pending.set_stamp(None);
                self.retry(now, to, pending, error());
            }
            Verdict::NoSequences if self.may_do_without(&error()) => {
                self.retry(now, to, pending, error());
            }
            Verdict::NoSequences => self.give_up(index, &pending, error()),
            // The limit may have been lowered since it was appended: its halves, under other sequences, would be there twice.
            // And nobody waits for the halves of what was given up.
            Verdict::TooLarge
                if pending.keeps_its_stamp() || batch.tickets.is_resolved() || !can_split(&batch) =>
            {
                self.give_up(index, &pending, error());
            }
            Verdict::TooLarge => self.partitions[index].refuse_size(pending, error()),
            Verdict::Fail(fate) => {
                pending.add_doubt(fate == Fate::PossiblyWritten);
                self.give_up(index, &pending, error());
            }
        }
    }

    /// A batch was split: it goes on as two, in its place (KIP-126), unless it was given up meanwhile.
    pub(super) fn split_done(&mut self, index: usize, batch: &Arc<Batch>, halves: Option<Box<Halves>>) {
        let Some(mut pending) = self.partitions[index].queue.take_worked(batch) else { return };
        let error = pending.take_refusal();
        let Some(halves) = halves else { return self.give_up(index, &pending, error) };
        let Halves { at, first, second } = *halves;
        let (first, second) = (Arc::new(first), Arc::new(second));
        let outcome = Outcome::Split { at, first: first.tickets.clone(), second: second.tickets.clone() };
        if !batch.tickets.resolve(outcome) {
            return;
        }
        self.effects.resolved(batch.tickets.clone());
        self.stats.splits += 1;
        for half in [second, first] {
            self.partitions[index].put_back(pending.part(half));
        }
    }

    /// Fails what may be in the log under an identity that is not used any more.
    pub(super) fn fail_doubtful(&mut self, doubtful: Vec<Pending>, error: &Error) {
        for pending in doubtful {
            let batch = pending.batch();
            let error = error.clone().with_partition(&batch.topic, batch.partition);
            self.resolve_failed(batch, error, Fate::PossiblyWritten);
        }
    }

    fn retry(&mut self, now: Time, to: SentTo, mut pending: Pending, error: Error) {
        let attempt = pending.count_attempt();
        let config = &self.accumulator.config;
        let expired = now >= pending.batch().created + config.delivery_timeout;
        let spent = config.max_attempts.is_some_and(|max| attempt >= max);
        if pending.batch().tickets.is_resolved() || expired || spent || !may_retry(&error) {
            return self.give_up(to.index, &pending, error);
        }
        let wait = self.back_off(now, to);
        self.effects.trace(|| Told::BatchRetried {
            topic: pending.batch().topic.clone(),
            partition: pending.batch().partition,
            attempt,
            error: error.clone(),
            retry: wait,
        });
        let partition = &mut self.partitions[to.index];
        partition.failures.note(error);
        partition.put_back(pending);
    }

    /// How long a partition waits after a broker failed it. Batches that were in flight together fail together and wait
    /// once; what has another leader by now does not wait at all.
    fn back_off(&mut self, now: Time, SentTo { index, broker }: SentTo) -> Duration {
        let partition = &mut self.partitions[index];
        if partition.placement.leader().is_some_and(|leader| leader != broker) {
            return Duration::ZERO;
        }
        if let Some(until) = self.timers.backoffs.get(index) {
            return until.duration_since(now);
        }
        let wait = partition.failures.wait(&mut self.random, &self.pace);
        self.timers.backoffs.set(index, now + wait);
        wait
    }

    pub(super) fn give_up(&mut self, index: usize, pending: &Pending, error: Error) {
        self.partitions[index].give_up(pending);
        let batch = pending.batch();
        let error = error.with_partition(&batch.topic, batch.partition);
        self.resolve_failed(batch, error, pending.fate());
    }

    fn acked(&mut self, batch: &Arc<Batch>, base_offset: i64, log_append_time: Option<i64>) {
        if self.resolve(batch, Outcome::Acked { base_offset, log_append_time }) {
            self.stats.records_acked += u64::from(batch.count());
            self.stats.bytes_acked += batch.body().len() as u64;
        }
    }

    pub(super) fn resolve_failed(&mut self, batch: &Arc<Batch>, error: Error, fate: Fate) {
        if self.resolve(batch, Outcome::Failed(SendError { fate, error: error.clone() })) {
            let (topic, partition, records) = (batch.topic.clone(), batch.partition, batch.count());
            self.effects.trace(|| Told::BatchFailed { topic, partition, records, fate, error });
            self.stats.records_failed += u64::from(records);
        }
    }

    fn resolve(&mut self, batch: &Arc<Batch>, outcome: Outcome) -> bool {
        let first = batch.tickets.resolve(outcome);
        if first {
            self.accumulator.memory.release(batch.charged);
            self.effects.resolved(batch.tickets.clone());
        }
        first
    }

    /// KIP-951: the answer named the new leaders; not of a topic that was deleted since, whose epochs mean nothing in the next one.
    fn hint_leaders(&mut self, sent: &SentRequest, response: &ProduceResponse) {
        for topic in &response.responses {
            for answer in topic.partition_responses.iter().filter(|p| p.current_leader.leader_id >= 0) {
                let asked = sent.batches.iter().find(|batch| batch.is_of(&topic.name, topic.topic_id));
                let Some(asked) = asked else { continue };
                let present = self.topics.get(&asked.topic).map_or(Uuid::ZERO, TopicEntry::id);
                if asked.topic_id != present && !asked.topic_id.is_zero() {
                    continue;
                }
                let leader = &answer.current_leader;
                let node = response.node_endpoints.iter().find(|n| n.node_id == leader.leader_id);
                self.effects.hint(Hint::Leader {
                    topic: asked.topic.clone(),
                    partition: answer.index,
                    leader: leader.leader_id,
                    leader_epoch: leader.leader_epoch,
                    node: node.and_then(|n| Node::told(n.node_id, &n.host, n.port, n.rack.as_ref())),
                });
            }
        }
    }
}

/// The broker, or what stands before it, closed the connection instead of answering: the request may have been too large for it.
fn ended_by_broker(error: &Error) -> bool {
    use ConnectionError::{ClosedAfterSetup, ClosedUnanswered, Lost};
    matches!(error.kind(), ErrorKind::Connection(Lost(_) | ClosedUnanswered | ClosedAfterSetup))
}

/// A request that could not be encoded fails the same way again; whatever else went wrong may heal.
fn may_retry(error: &Error) -> bool {
    !matches!(error.kind(), ErrorKind::Encode(_) | ErrorKind::Unsupported { .. } | ErrorKind::Closed)
}
