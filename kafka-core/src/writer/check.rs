//! The writer's invariants of progress, for [`stuck`](crate::client::Client).

use super::partition::PartitionSender;
use super::producer::{BrokerQueue, IdentityState, Producer};
use crate::machine::Time;

impl Producer {
    /// What of the module's invariants does not hold, in words.
    pub(crate) fn stuck(&self, now: Time) -> impl Iterator<Item = String> {
        (0..self.partitions.len()).filter_map(move |index| {
            let why = self.stuck_partition(now, index)?;
            Some(format!("partition {}: {why}", self.partitions[index].slot.partition))
        })
    }

    fn stuck_partition(&self, now: Time, index: usize) -> Option<&'static str> {
        let partition = &self.partitions[index];
        if partition.backoff_until.is_some_and(|until| !self.backoffs.contains(&(until, index))) {
            return Some("nothing ends its backoff");
        }
        if partition.expiry.is_none() && partition.oldest().is_some() {
            return Some("nothing ends its delivery timeout");
        }
        if partition.is_ready {
            let queue = partition.leader.and_then(|leader| self.brokers.get(&leader));
            let stands = queue.is_some_and(|queue| queue.ready.contains(&index));
            return (!stands).then_some("it is ready and stands in no queue");
        }
        let has_identity = matches!(self.identity, IdentityState::Off | IdentityState::Ready(_));
        let waits = !partition.in_flight.is_empty() || partition.leader.is_none() || !has_identity;
        let idle = partition.has_due() && partition.may_send(now, self.max_in_flight()) && !waits;
        idle.then_some("it has a due batch, and waits for nothing")
    }

    /// The brokers that something is ready for.
    pub(crate) fn busy_brokers(&self) -> impl Iterator<Item = i32> {
        let is_busy = |(broker, queue): &(&i32, &BrokerQueue)| {
            // What moved on to another leader is dropped when its turn comes.
            let ready =
                |partition: &PartitionSender| partition.is_ready && partition.leader == Some(**broker);
            queue.ready.iter().any(|index| ready(&self.partitions[*index]))
        };
        self.brokers.iter().filter(is_busy).map(|(broker, _)| *broker).collect::<Vec<_>>().into_iter()
    }
}
