//! A request that several machines have built together: which of its partitions are whose.
//!
//! Invariants
//! * A partition stands in one request once, so each partition of the answer belongs to one machine.
//! * Parts of an answer are in the order in which the machines joined, whatever the order of the answer.

use super::MachineId;
use crate::link::Produce;
use kafka_proto::messages::produce::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use kafka_proto::{Str, Uuid};
use rustc_hash::FxHashMap;

/// The first version in which a request can carry whatever batch a machine has (zstd, KIP-110), so that one machine's batch cannot
/// fail another's.
pub(crate) const SHARED_SINCE: i16 = 7;

/// What of a request is whose.
#[derive(Debug, PartialEq)]
pub(crate) struct Shares {
    /// Topics stand in the request by their ids.
    by_id: bool,
    /// The machines in the order in which they joined, and how many batches there were then.
    joined: Vec<(MachineId, usize)>,
    /// The place in `joined` of whose it is.
    partitions: FxHashMap<(TopicKey, i32), usize>,
    indexed: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum TopicKey {
    Id(Uuid),
    Name(Str),
}

impl Shares {
    /// A request that a machine has built alone.
    pub(crate) fn new(version: i16, first: MachineId, produce: &Produce) -> Self {
        let (by_id, joined) = (version >= Produce::IDS_SINCE, vec![(first, produce.batches.len())]);
        Self { by_id, joined, partitions: FxHashMap::default(), indexed: 0 }
    }

    /// Returns whether a batch can be added: its partition has none yet, and its topic can be named as the others are.
    pub(crate) fn takes(&mut self, produce: &Produce, name: &Str, id: Uuid, partition: i32) -> bool {
        self.index(produce);
        let is_named = !self.by_id || !id.is_zero();
        is_named && !self.partitions.contains_key(&(self.key(name, id), partition))
    }

    /// A machine may have added batches.
    pub(crate) fn may_have_joined(&mut self, machine: MachineId, produce: &Produce) {
        let (before, now) = (self.joined.last().map_or(0, |(_, end)| *end), produce.batches.len());
        if now > before {
            self.joined.push((machine, now));
        }
    }

    /// The request is as it will be sent. Returns whether it is of several machines.
    pub(crate) fn finish(&mut self, produce: &Produce) -> bool {
        let is_of_several = self.joined.len() > 1;
        if is_of_several {
            self.index(produce);
        }
        is_of_several
    }

    fn index(&mut self, produce: &Produce) {
        while let Some(batch) = produce.batches.get(self.indexed) {
            let owner = self.joined.partition_point(|(_, end)| *end <= self.indexed);
            let key = self.key(batch.topic(), batch.topic_id());
            self.partitions.insert((key, batch.partition()), owner);
            self.indexed += 1;
        }
    }

    fn key(&self, name: &Str, id: Uuid) -> TopicKey {
        if self.by_id { TopicKey::Id(id) } else { TopicKey::Name(name.clone()) }
    }

    /// The machines of the request.
    pub(crate) fn machines(&self) -> impl Iterator<Item = MachineId> {
        self.joined.iter().map(|(machine, _)| *machine)
    }

    /// Gives each machine its part of the answer; a part that the answer lacks is empty.
    pub(crate) fn split(
        &self,
        response: ProduceResponse,
    ) -> impl Iterator<Item = (MachineId, ProduceResponse)> {
        let ProduceResponse { responses, node_endpoints, throttle_time_ms, .. } = response;
        let part = || ProduceResponse {
            node_endpoints: node_endpoints.clone(),
            throttle_time_ms,
            ..ProduceResponse::default()
        };
        let mut parts: Vec<ProduceResponse> = self.joined.iter().map(|_| part()).collect();
        for topic in responses {
            let key = self.key(&topic.name, topic.topic_id);
            for partition in topic.partition_responses {
                let owner = self.partitions.get(&(key.clone(), partition.index));
                let Some(part) = owner.and_then(|owner| parts.get_mut(*owner)) else { continue };
                add(part, &topic.name, topic.topic_id, partition);
            }
        }
        self.machines().zip(parts)
    }
}

/// A partition's answer joins those of its topic.
fn add(part: &mut ProduceResponse, name: &Str, topic_id: Uuid, partition: PartitionProduceResponse) {
    match part.responses.last_mut().filter(|topic| topic.name == *name && topic.topic_id == topic_id) {
        Some(topic) => topic.partition_responses.push(partition),
        None => part.responses.push(TopicProduceResponse {
            name: name.clone(),
            topic_id,
            partition_responses: vec![partition],
            ..TopicProduceResponse::default()
        }),
    }
}
