//! The times of a writer: linger, backoff, delivery timeout. One deadline comes out, for the client's one timer.

use super::batch::Batch;
use super::partition::Pending;
use super::producer::{IdentityState, Producer};
use crate::error::Fate;
use crate::error::{Error, ErrorKind};
use crate::machine::{Now, Time};
use kafka_proto::ApiKey;
use std::collections::VecDeque;
use std::sync::Arc;

impl Producer {
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        let linger = self.lingering.front().map(|(at, ..)| *at);
        let expiry = self.expiring.first().map(|(at, _)| *at);
        let backoff = self.backoffs.first().map(|(at, _)| *at);
        let identity = match self.identity {
            IdentityState::Backoff(at) => Some(at),
            _ => None,
        };
        [linger, expiry, backoff, identity].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Now) {
        let now = now.time;
        while let Some((_, index, number)) = pop_if(&mut self.lingering, |(at, ..)| *at <= now) {
            self.make_due(now, index, number);
        }
        while let Some((at, index)) = self.backoffs.first().copied().filter(|(at, _)| *at <= now) {
            self.backoffs.remove(&(at, index));
            self.partitions[index].backoff_until = None;
            self.schedule(now, index);
        }
        while let Some((at, index)) = self.expiring.first().copied().filter(|(at, _)| *at <= now) {
            self.expiring.remove(&(at, index));
            self.partitions[index].expiry = None;
            self.expire(now, index);
            self.watch_expiry(now, index);
        }
        if let IdentityState::Backoff(at) = self.identity
            && at <= now
        {
            self.identity = IdentityState::Wanted;
        }
    }

    /// Sees to it that the partition's oldest batch is looked at when its delivery timeout is over.
    pub(super) fn watch_expiry(&mut self, now: Time, index: usize) {
        let partition = &mut self.partitions[index];
        if partition.expiry.is_some() {
            return;
        }
        let Some(oldest) = partition.oldest() else { return };
        let at = (oldest + self.accumulator.config.delivery_timeout).max(now);
        partition.expiry = Some(at);
        self.expiring.insert((at, index));
    }

    /// A record that waited to be taken may be the first whose delivery timeout is over.
    pub(super) fn watch_late(&mut self, now: Time, index: usize) {
        let partition = &mut self.partitions[index];
        let Some(since) = partition.slot.open_since() else { return };
        let at = (since + self.accumulator.config.delivery_timeout).max(now);
        if let Some(expiry) = partition.expiry.filter(|expiry| at < *expiry) {
            self.expiring.remove(&(expiry, index));
            self.expiring.insert((at, index));
            partition.expiry = Some(at);
        }
    }

    /// Batches of a partition whose delivery timeout is over.
    fn expire(&mut self, now: Time, index: usize) {
        let after = self.accumulator.config.delivery_timeout;
        let due = |created: Time| created + after <= now;
        let partition = &mut self.partitions[index];
        while partition.slot.oldest().is_some_and(due) {
            let Some(batch) = partition.slot.take(true) else { break };
            partition.put_back(Pending::new(batch));
        }
        let topic = partition.slot.topic.clone();
        let number = partition.slot.partition;
        let last = self.trouble_of(&self.partitions[index]);
        let error = Error::new(ErrorKind::TimedOut { after, last })
            .with_api(ApiKey::Produce)
            .with_partition(&topic, number);
        while let Some(pending) = self.partitions[index].take_expired(due) {
            self.give_up(index, &pending, error.clone());
        }
        let late: Vec<Arc<Batch>> = self.partitions[index]
            .in_flight
            .iter()
            .map(|(_, p)| p.batch.clone())
            .filter(|b| due(b.created))
            .collect();
        for batch in late {
            // Its response, if it comes, settles the sequence; the caller is told now.
            self.resolve_failed(&batch, error.clone(), Fate::PossiblyWritten);
        }
        self.schedule(now, index);
    }
}

fn pop_if<T>(queue: &mut VecDeque<T>, due: impl FnOnce(&T) -> bool) -> Option<T> {
    if queue.front().is_some_and(due) { queue.pop_front() } else { None }
}
