//! A request that several machines have built together: which of its partitions are whose.
//!
//! Invariants
//! * A partition stands in one request once, so each partition of the answer belongs to one machine.
//! * Parts of an answer are in the order in which the machines joined, whatever the order of the answer.

use super::MachineId;
use kafka_proto::messages::produce::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use kafka_proto::{Str, Uuid};
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;

/// The first version in which a request can carry whatever batch a machine has (zstd, KIP-110), so that one machine's batch cannot
/// fail another's.
pub(crate) const SHARED_SINCE: i16 = 7;
/// The first version that names topics by their ids (KIP-516).
pub(crate) const TOPIC_IDS_SINCE: i16 = 13;

/// What of a request is whose.
#[derive(Debug, PartialEq)]
pub(crate) struct Shares {
    /// Topics stand in the request by their ids.
    by_id: bool,
    /// The machines in the order in which they joined.
    machines: Vec<MachineId>,
    /// Whose turn it is.
    turn: MachineId,
    /// The place in `machines` of whose it is.
    partitions: FxHashMap<(TopicKey, i32), usize>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum TopicKey {
    Id(Uuid),
    Name(Str),
}

impl Shares {
    /// A request that a machine has built alone.
    pub(crate) fn new(version: i16, first: MachineId) -> Self {
        let by_id = version >= TOPIC_IDS_SINCE;
        Self { by_id, machines: vec![first], turn: first, partitions: FxHashMap::default() }
    }

    /// It is a machine's turn to add to the request.
    pub(crate) fn begin_turn(&mut self, machine: MachineId) {
        self.turn = machine;
    }

    /// Nobody has added anything, so it is not known either what the first machine has in it.
    pub(crate) fn is_blank(&self) -> bool {
        self.partitions.is_empty()
    }

    /// A batch that the first machine has in it.
    pub(crate) fn note_first(&mut self, name: &Str, id: Uuid, partition: i32) {
        self.partitions.insert((self.key(name, id), partition), 0);
    }

    /// The machine whose turn it is adds a batch. Returns whether it can: its partition has none yet, and its topic can be named as
    /// the others are.
    pub(crate) fn add(&mut self, name: &Str, id: Uuid, partition: i32) -> bool {
        if self.by_id && id.is_zero() {
            return false;
        }
        let is_new = self.machines.last() != Some(&self.turn);
        let owner = self.machines.len() - usize::from(!is_new);
        match self.partitions.entry((self.key(name, id), partition)) {
            Entry::Occupied(_) => return false,
            Entry::Vacant(vacant) => vacant.insert(owner),
        };
        if is_new {
            self.machines.push(self.turn);
        }
        true
    }

    /// Whether the request is of several machines.
    pub(crate) fn is_of_several(&self) -> bool {
        self.machines.len() > 1
    }

    fn key(&self, name: &Str, id: Uuid) -> TopicKey {
        if self.by_id { TopicKey::Id(id) } else { TopicKey::Name(name.clone()) }
    }

    /// The machines of the request.
    pub(crate) fn machines(&self) -> impl Iterator<Item = MachineId> {
        self.machines.iter().copied()
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
        let mut parts: Vec<ProduceResponse> = self.machines.iter().map(|_| part()).collect();
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
