//! The writer's work: taking records, and making requests of batches.

use super::{messages, sound, topic};
use crate::link::Exchange;
use crate::machine::{Now, Time};
use crate::snapshot::{Partition, Topic};
use crate::writer::{Accumulator, Batch, Produce, ProduceBatch, Slot, TopicSlots, WriterConfig};
use kafka_proto::records::ProducerStamp;
use kafka_proto::{Uuid, frame};
use std::hint::black_box;
use std::sync::Arc;

/// Partitions of the topic, each with a batch in the request.
pub(super) const PARTITIONS: usize = 10;
/// The request's version.
const VERSION: i16 = 13;

struct Rig {
    accumulator: Accumulator,
    slots: Arc<TopicSlots>,
    now: Now,
}

impl Rig {
    fn new() -> Self {
        let accumulator = Accumulator::new(WriterConfig::default());
        let partition = Partition {
            leader: Some(1),
            leader_epoch: Some(0),
            replicas: vec![1],
            isr: vec![1],
            offline: Vec::new(),
        };
        let topic = Topic {
            name: topic(),
            id: Uuid([7; 16]),
            is_internal: false,
            partitions: vec![partition; PARTITIONS],
        };
        let slots = accumulator.update_topic(&topic, true, 1, |partition| partition as usize);
        Self { accumulator, slots, now: Now { time: Time::START, wall_ms: super::TIME } }
    }

    fn append(&self, slot: &Slot, message: &crate::message::Message) {
        let (_, taken) = self.accumulator.append(self.now, &self.slots, slot, message, 0);
        drop(black_box(sound(taken)));
    }

    fn slot(&self, partition: usize) -> Arc<Slot> {
        self.slots.slot(partition).unwrap_or_else(|| panic!("no partition {partition}"))
    }
}

/// Each record is balanced by its key and appended; then the batches are taken and given up.
pub(super) fn append() -> Box<dyn FnMut()> {
    let (rig, messages) = (Rig::new(), messages());
    Box::new(move || {
        for message in &messages {
            let slot = sound(rig.accumulator.balance(&rig.slots, message));
            rig.append(&slot, message);
        }
        for partition in 0..PARTITIONS {
            if let Some(batch) = rig.slot(partition).take(true) {
                rig.accumulator.memory.release(batch.charged);
                black_box(batch);
            }
        }
    })
}

/// Batches become the segments of a frame: header, checksum, request.
pub(super) fn seal() -> Box<dyn FnMut()> {
    let rig = Rig::new();
    for (i, message) in messages().iter().enumerate() {
        rig.append(&rig.slot(i % PARTITIONS), message);
    }
    let batches: Vec<_> = (0..PARTITIONS).filter_map(|partition| rig.slot(partition).take(true)).collect();
    assert_eq!(batches.len(), PARTITIONS);
    let stamp = ProducerStamp { producer_id: 1, producer_epoch: 0, base_sequence: 0, transactional: false };
    Box::new(move || {
        let batch =
            |batch: &Arc<Batch>| ProduceBatch::new(&rig.accumulator, batch.clone(), Uuid([7; 16]), stamp);
        let batches = batches.iter().map(batch).collect();
        let produce =
            Produce { acks: -1, timeout_ms: 30_000, is_idempotent: true, batches, bytes: 0, most_bytes: 0 };
        let (request, _) = sound(Box::new(produce).into_request(VERSION));
        black_box(sound(frame::encode_request(1, Some("workload"), VERSION, &request)));
    })
}
