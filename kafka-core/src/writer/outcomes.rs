//! What became of a Produce request, batch by batch: acknowledged, sent again, given up.

use super::batch::{Batch, Outcome, SendError};
use super::limit::RequestLimit;
use super::partition::{Identity, Pending};
use super::producer::{IdentityState, Producer, Sent, TopicEntry};
use super::split::{Halves, can_split};
use super::verdict::{Verdict, verdict};
use crate::error::Fate;
use crate::error::{ConnectionError, Error, ErrorKind};
use crate::link::RequestId;
use crate::machine::{Hint, Now, Time};
use crate::snapshot::Node;
use crate::trace::Told;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::produce::{PartitionProduceResponse, ProduceResponse};
use kafka_proto::{ApiKey, Str, Uuid};
use std::sync::Arc;
use std::time::Duration;

impl Producer {
    /// A Produce request was answered.
    pub(crate) fn produced(&mut self, now: Now, id: RequestId, response: ProduceResponse) {
        let Some(sent) = self.requests.remove(&id) else { return };
        if let Some(queue) = self.brokers.get_mut(&sent.broker) {
            queue.last_error = None;
            RequestLimit::answered(&mut queue.request_limit, sent.bytes);
        }
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
                    self.answered(now.time, (index, sent.broker), pending, told);
                }
            }
        }
        let silent = Error::of_code(ErrorCode::UnknownServerError).with_api(ApiKey::Produce);
        self.ended(
            now,
            id,
            sent,
            &silent.with_detail(Str::from_static("the response lacks the partition")),
            true,
        );
    }

    /// A Produce request failed: `taken` tells whether the socket took all of it.
    pub(crate) fn failed(&mut self, now: Now, id: RequestId, error: &Error, taken: bool) {
        let Some(sent) = self.requests.remove(&id) else { return };
        // Also where the socket had not taken all of it: it may have been cut off for its size, half way.
        if sent.items.len() > 1 && ended_by_broker(error) {
            let queue = self.brokers.entry(sent.broker).or_default();
            RequestLimit::lower(&mut queue.request_limit, sent.bytes, now.time);
        }
        self.ended(now, id, sent, error, taken);
    }

    /// A Produce request that is not answered (acks of none) was taken by the socket.
    pub(crate) fn sent(&mut self, now: Now, id: RequestId) {
        let Some(sent) = self.requests.remove(&id) else { return };
        if let Some(queue) = self.brokers.get_mut(&sent.broker) {
            RequestLimit::answered(&mut queue.request_limit, sent.bytes);
        }
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
                self.retry(now.time, (*index, sent.broker), pending, error.clone());
            }
            self.schedule(now.time, *index);
        }
        self.lane_idle(now.time, sent.broker);
    }

    fn lane_idle(&mut self, now: Time, broker: i32) {
        let Some(queue) = self.brokers.get_mut(&broker) else { return };
        if queue.in_flight > 0 || !queue.ready.is_empty() {
            return;
        }
        for index in std::mem::take(&mut queue.gathering) {
            let partition = &mut self.partitions[index];
            partition.is_gathering = false;
            if let Some(number) = partition.slot.open_number() {
                self.make_due(now, index, number);
            }
        }
    }

    /// What a broker has told of a partition's batch.
    fn answered(
        &mut self,
        now: Time,
        (index, broker): (usize, i32),
        mut pending: Pending,
        told: PartitionProduceResponse,
    ) {
        let code = ErrorCode::from(told.error_code);
        let batch = pending.batch.clone();
        let error = || {
            let error =
                Error::of_code(code).with_api(ApiKey::Produce).with_partition(&batch.topic, batch.partition);
            match &told.error_message {
                Some(message) => error.with_detail(message.clone()),
                None => error,
            }
        };
        match verdict(code, pending.stamp.is_some()) {
            Verdict::Acked => {
                let partition = &mut self.partitions[index];
                (partition.failures, partition.last_error) = (0, None);
                partition.note_known(&pending, broker);
                partition.was_acked(&batch);
                let time = (told.log_append_time_ms >= 0).then_some(told.log_append_time_ms);
                self.acked(&batch, told.base_offset, time);
            }
            Verdict::Duplicate => {
                self.partitions[index].note_known(&pending, broker);
                self.acked(&batch, -1, None);
            }
            Verdict::Retry { appended, refresh } => {
                if refresh {
                    self.effects.hint(Hint::Refresh(batch.topic.clone()));
                }
                pending.maybe_written |= appended;
                self.retry(now, (index, broker), pending, error());
            }
            Verdict::OutOfOrder { .. } if self.partitions[index].has_older(batch.number) => {
                self.retry(now, (index, broker), pending, error());
            }
            Verdict::OutOfOrder { new_id } => {
                if new_id && self.partitions[index].identity.is_some() {
                    self.renew(self.partitions[index].identity);
                }
                self.partitions[index].needs_bump = true;
                self.begin_anew(index, &error());
                if pending.keeps_its_stamp() {
                    return self.give_up(index, &pending, error());
                }
                pending.stamp = None;
                self.retry(now, (index, broker), pending, error());
            }
            Verdict::NoSequences if self.may_do_without(&error()) => {
                self.retry(now, (index, broker), pending, error());
            }
            Verdict::NoSequences => self.give_up(index, &pending, error()),
            // The limit may have been lowered since it was appended: its halves, under other sequences, would be there twice.
            // And nobody waits for the halves of what was given up.
            Verdict::TooLarge
                if pending.keeps_its_stamp() || batch.tickets.is_resolved() || !can_split(&batch) =>
            {
                self.give_up(index, &pending, error());
            }
            Verdict::TooLarge => self.split_later(index, pending, error()),
            Verdict::Fail(fate_of) => {
                pending.maybe_written |= fate_of == Fate::PossiblyWritten;
                self.give_up(index, &pending, error());
            }
        }
    }

    /// A batch that is too large for the broker goes back to its place, to be split.
    fn split_later(&mut self, index: usize, pending: Pending, error: Error) {
        let partition = &mut self.partitions[index];
        partition.give_up(&pending);
        partition.was_too_large(&pending.batch);
        partition.last_error = Some(error.clone());
        partition.put_back(Pending { stamp: None, too_large: Some(error), ..pending });
    }

    /// A batch was split: it goes on as two, in its place (KIP-126), unless it was given up meanwhile.
    pub(super) fn went_in_two(&mut self, index: usize, batch: &Arc<Batch>, halves: Option<Box<Halves>>) {
        let queue = &mut self.partitions[index].queue;
        let at = queue.iter().position(|p| Arc::ptr_eq(&p.batch, batch));
        let Some(mut pending) = at.and_then(|at| queue.remove(at)) else { return };
        let error = pending.too_large.take().unwrap_or_else(|| Error::of_code(ErrorCode::MessageTooLarge));
        let Some(halves) = halves else { return self.give_up(index, &pending, error) };
        let Halves { at, first, second } = *halves;
        let (first, second) = (Arc::new(first), Arc::new(second));
        let outcome = Outcome::Split { at, first: first.tickets.clone(), second: second.tickets.clone() };
        if !batch.tickets.resolve(outcome) {
            return;
        }
        self.effects.resolved(batch.tickets.clone());
        self.stats.splits += 1;
        for batch in [second, first] {
            let half = Pending { maybe_written: pending.maybe_written, ..Pending::new(batch) };
            self.partitions[index].put_back(half);
        }
    }

    /// What is queued goes on under the next identity, or is given up where it may be in the log under its old one.
    pub(super) fn begin_anew(&mut self, index: usize, error: &Error) {
        for pending in self.partitions[index].forget_stamps() {
            let error = error.clone().with_partition(&pending.batch.topic, pending.batch.partition);
            self.resolve_failed(&pending.batch, error, Fate::PossiblyWritten);
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

    fn retry(&mut self, now: Time, (index, broker): (usize, i32), mut pending: Pending, error: Error) {
        pending.attempts += 1;
        let config = &self.accumulator.config;
        let expired = now >= pending.batch.created + config.delivery_timeout;
        let spent = config.max_attempts.is_some_and(|max| pending.attempts >= max);
        if pending.batch.tickets.is_resolved() || expired || spent || !may_retry(&error) {
            return self.give_up(index, &pending, error);
        }
        let wait = self.back_off(now, index, broker);
        self.effects.trace(|| Told::BatchRetried {
            topic: pending.batch.topic.clone(),
            partition: pending.batch.partition,
            attempt: pending.attempts,
            error: error.clone(),
            retry: wait,
        });
        let partition = &mut self.partitions[index];
        partition.last_error = Some(error);
        partition.put_back(pending);
    }

    /// How long a partition waits after a broker failed it. Batches that were in flight together fail together and wait
    /// once; what has another leader by now does not wait at all.
    fn back_off(&mut self, now: Time, index: usize, broker: i32) -> Duration {
        let partition = &mut self.partitions[index];
        if partition.leader.is_some_and(|leader| leader != broker) {
            return Duration::ZERO;
        }
        if let Some(until) = partition.backoff_until {
            return until.duration_since(now);
        }
        let attempt = partition.failures;
        partition.failures = partition.failures.saturating_add(1);
        let wait = self.random.backoff(attempt.min(10), self.retry_backoff.0, self.retry_backoff.1);
        partition.backoff_until = Some(now + wait);
        self.backoffs.insert((now + wait, index));
        wait
    }

    pub(super) fn end_backoff(&mut self, index: usize) {
        if let Some(until) = self.partitions[index].backoff_until.take() {
            self.backoffs.remove(&(until, index));
        }
    }

    pub(super) fn give_up(&mut self, index: usize, pending: &Pending, error: Error) {
        self.partitions[index].give_up(pending);
        let error = error.with_partition(&pending.batch.topic, pending.batch.partition);
        self.resolve_failed(&pending.batch, error, fate(pending.maybe_written));
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

    /// KIP-951: the answer told the new leaders; not of a topic that was deleted since, whose epochs mean nothing in the next one.
    fn hint_leaders(&mut self, sent: &Sent, response: &ProduceResponse) {
        for topic in &response.responses {
            for told in topic.partition_responses.iter().filter(|p| p.current_leader.leader_id >= 0) {
                let name = sent
                    .items
                    .iter()
                    .find(|i| i.0 == topic.name || (!i.1.is_zero() && i.1 == topic.topic_id));
                let Some((name, asked, ..)) = name else { continue };
                let present = self.topics.get(name).map_or(Uuid::ZERO, TopicEntry::id);
                if *asked != present && !asked.is_zero() {
                    continue;
                }
                let node =
                    response.node_endpoints.iter().find(|n| n.node_id == told.current_leader.leader_id);
                self.effects.hint(Hint::Leader {
                    topic: name.clone(),
                    partition: told.index,
                    leader: told.current_leader.leader_id,
                    leader_epoch: told.current_leader.leader_epoch,
                    node: node.and_then(|n| Node::told(n.node_id, &n.host, n.port, n.rack.as_ref())),
                });
            }
        }
    }
}

pub(super) fn fate(maybe_written: bool) -> Fate {
    if maybe_written { Fate::PossiblyWritten } else { Fate::NotWritten }
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
