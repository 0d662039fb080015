//! The times of a writer: linger, backoff, delivery timeout. One deadline comes out, for the client's one timer.

use super::producer::Producer;
use crate::error::{Error, ErrorKind, Fate};
use crate::machine::{Now, Time};
use kafka_proto::ApiKey;

impl Producer {
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        [self.timers.next(), self.producer_id.poll_timeout()].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Now) {
        let now = now.time;
        while let Some(batch) = self.timers.lingering.pop_due(now) {
            self.make_due(now, batch);
        }
        while let Some(index) = self.timers.backoffs.pop_due(now) {
            self.schedule(now, index);
        }
        while let Some(index) = self.timers.expiries.pop_due(now) {
            self.expire(now, index);
            self.watch_expiry(now, index);
        }
        self.producer_id.handle_timeout(now);
    }

    /// Sees to it that the partition's oldest batch is looked at when its delivery timeout is over.
    pub(super) fn watch_expiry(&mut self, now: Time, index: usize) {
        if self.timers.expiries.get(index).is_some() {
            return;
        }
        let Some(oldest) = self.partitions[index].queue.oldest() else { return };
        let at = oldest + self.accumulator.config.delivery_timeout;
        self.timers.expiries.set(index, at.max(now));
    }

    /// A record that waited to be taken may be the first whose delivery timeout is over.
    pub(super) fn watch_late(&mut self, now: Time, index: usize) {
        let Some(since) = self.partitions[index].queue.open_since() else { return };
        let at = (since + self.accumulator.config.delivery_timeout).max(now);
        if self.timers.expiries.is_ahead(at, index) {
            self.timers.expiries.set(index, at);
        }
    }

    /// Fails the batches of a partition whose delivery timeout is over.
    fn expire(&mut self, now: Time, index: usize) {
        let after = self.accumulator.config.delivery_timeout;
        let is_overdue = |created: Time| created + after <= now;
        self.partitions[index].queue.pull_overdue(is_overdue);
        let error = self.timed_out(index);
        while let Some(pending) = self.partitions[index].queue.take_overdue(is_overdue) {
            self.give_up(index, &pending, error.clone());
        }
        let in_flight = self.partitions[index].queue.in_flight().filter(|batch| is_overdue(batch.created));
        for batch in in_flight.cloned().collect::<Vec<_>>() {
            // Its response, if it comes, settles the sequence; the caller is answered now.
            self.resolve_failed(&batch, error.clone(), Fate::PossiblyWritten);
        }
        self.schedule(now, index);
    }

    fn timed_out(&self, index: usize) -> Error {
        let partition = &self.partitions[index];
        let (after, last) = (self.accumulator.config.delivery_timeout, self.obstacle(partition));
        Error::new(ErrorKind::TimedOut { after, last })
            .with_api(ApiKey::Produce)
            .with_partition(partition.queue.topic(), partition.queue.partition())
    }
}
