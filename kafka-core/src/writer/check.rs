//! The writer's invariants of progress, for [`stuck`](crate::client::Client).

use super::producer::Producer;
use crate::machine::Time;

impl Producer {
    /// Returns what of the module's invariants does not hold, in words.
    pub(crate) fn stuck(&self, now: Time) -> impl Iterator<Item = String> {
        (0..self.partitions.len()).filter_map(move |index| {
            let why = self.stuck_partition(now, index)?;
            Some(format!("partition {}: {why}", self.partitions[index].queue.partition()))
        })
    }

    fn stuck_partition(&self, now: Time, index: usize) -> Option<&'static str> {
        let partition = &self.partitions[index];
        if self.timers.expiries.get(index).is_none() && partition.queue.oldest().is_some() {
            return Some("nothing ends its delivery timeout");
        }
        if partition.placement.is_ready() {
            let is_there = |broker, at| at == index && partition.placement.leader() == Some(broker);
            let stands = self.brokers.with_ready(is_there).next().is_some();
            return (!stands).then_some("it is ready and stands in no queue");
        }
        let waits = partition.queue.has_in_flight()
            || partition.placement.leader().is_none()
            || self.timers.backoffs.is_ahead(now, index)
            || self.producer_id.is_missing();
        let may_send = partition.may_send(self.producer_id.max_in_flight());
        let is_idle = partition.queue.has_due() && may_send && !waits;
        is_idle.then_some("it has a due batch, and waits for nothing")
    }

    /// Returns the brokers that something is ready for.
    pub(crate) fn busy_brokers(&self) -> impl Iterator<Item = i32> {
        // What moved on to another leader is dropped when its turn comes.
        self.brokers.with_ready(|broker, index| self.partitions[index].placement.is_ready_at(broker))
    }
}
