//! What of an answer is believed that takes back what is known: a topic, its id, partitions, a newer leader epoch, an address.
//!
//! Invariants
//! * Nothing of it is believed until answers agree, see [`doubts`](super::doubts).
//! * A zero topic id is no other id; no leader is no older leader.
//! * The id that a topic had before does not come back, unless it was a mistake that it went.

use super::doubts::{Claim, Doubts, Subject, Witness};
use crate::address::Address;
use crate::snapshot::{Partition, Topic};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::metadata::MetadataResponsePartition;
use kafka_proto::{Str, Uuid};
use rustc_hash::FxHashMap;
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Beliefs {
    doubts: Doubts,
    /// The ids that topics had before those they have, or before they were deleted.
    former: FxHashMap<Str, Uuid>,
}

/// An answer, and what it takes to be believed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Testimony {
    pub(super) witness: Witness,
    /// How many brokers have to say the same.
    pub(super) enough: usize,
    /// For how long.
    pub(super) grace: Duration,
}

impl Testimony {
    /// Returns it as one that needs no time.
    fn at_once(self) -> Self {
        Self { grace: Duration::ZERO, ..self }
    }
}

impl Beliefs {
    /// Takes a claim that is something else than is known. Returns whether it is believed now.
    fn overturns(&mut self, subject: &Subject, claim: &Claim, by: Testimony) -> bool {
        self.doubts.raise(subject.clone(), claim.clone(), by.witness);
        self.doubts.agreed(subject, by.enough, by.grace).any(|agreed| agreed == claim)
    }

    // ---- topics ----

    /// An answer lacks a topic.
    pub(super) fn miss(&mut self, name: &Str, code: ErrorCode, witness: Witness) {
        self.doubts.raise(Subject::Topic(name.clone()), Claim::Missing(code), witness);
    }

    /// An answer has it.
    pub(super) fn found(&mut self, name: &Str) {
        self.doubts.end(&Subject::Topic(name.clone()));
    }

    /// Returns why the topic is gone, once enough answers lacked it for long enough.
    pub(super) fn missing(&self, name: &Str, enough: usize, grace: Duration) -> Option<ErrorCode> {
        match self.doubts.agreed(&Subject::Topic(name.clone()), enough, grace).next()? {
            Claim::Missing(code) => Some(*code),
            _ => None,
        }
    }

    /// Returns the topics that answers lacked.
    pub(super) fn all_missed(&self) -> impl Iterator<Item = &Str> {
        self.doubts.missing()
    }

    /// The topic with this id is gone, for certain.
    pub(super) fn deleted(&mut self, name: &Str, id: Uuid) {
        self.former.insert(name.clone(), id);
    }

    /// What brokers said of a topic counts no more.
    pub(super) fn forget_claims(&mut self, name: &str) {
        self.doubts.forget_topic(name);
    }

    /// Nobody needs the topic any more.
    pub(super) fn forget(&mut self, name: &str) {
        self.doubts.forget_topic(name);
        self.former.remove(name);
    }

    /// Returns the topic's id after an answer; `None` where it speaks of another topic of that name, and is not believed yet.
    pub(super) fn id(&mut self, name: &Str, old: Option<&Topic>, told: Uuid, by: Testimony) -> Option<Uuid> {
        let known = old.map(|old| old.id).filter(|id| !id.is_zero());
        if let Some(known) = known.filter(|_| told.is_zero()) {
            // The broker does not know ids yet: this is no other topic.
            return Some(known);
        }
        let subject = Subject::Id(name.clone());
        let is_another = known.is_some_and(|known| known != told);
        // A broker that reports a former id lags, as far as can be seen; several may do so at once.
        let lags = known != Some(told) && self.former.get(name) == Some(&told);
        if is_another || lags {
            let by = if lags { by } else { by.at_once() };
            let is_agreed = self.overturns(&subject, &Claim::Id(told), by);
            if !is_agreed {
                return None;
            }
        }
        if let Some(known) = known.filter(|_| is_another) {
            self.former.insert(name.clone(), known);
            self.doubts.forget_topic(name);
        }
        self.doubts.end(&subject);
        Some(told)
    }

    // ---- partitions ----

    /// Returns a partition after an answer, and whether the answer is doubted.
    pub(super) fn partition(
        &mut self,
        name: &Str,
        told: &MetadataResponsePartition,
        known: Option<&Partition>,
        by: Testimony,
    ) -> (Partition, bool) {
        let subject = Subject::Leader(name.clone(), told.partition_index);
        let mut told = partition(told);
        let Some(known) = known else { return (told, false) };
        if told.leader_epoch.is_none() && told.leader.is_none() {
            // The broker knows of no leader, which is no older one.
            told.leader_epoch = known.leader_epoch;
        }
        if told.leader_epoch.is_some() && told.leader_epoch < known.leader_epoch {
            let claim = Claim::Leader(told.leader, told.leader_epoch);
            let is_agreed = self.overturns(&subject, &claim, by);
            if !is_agreed {
                return (known.clone(), true);
            }
        }
        self.doubts.end(&subject);
        (told, false)
    }

    /// Keeps the partitions that an answer lacks at the end: they become fewer only where the topic was made anew. Returns whether there
    /// are any.
    pub(super) fn keep_partitions(
        &mut self,
        name: &Str,
        told: &mut Vec<Partition>,
        known: Option<&Topic>,
        by: Testimony,
    ) -> bool {
        let subject = Subject::Partitions(name.clone());
        let surplus = known.and_then(|known| known.partitions.get(told.len()..)).unwrap_or_default();
        if !surplus.is_empty() {
            let is_agreed = self.overturns(&subject, &Claim::Partitions(told.len()), by);
            if !is_agreed {
                told.extend_from_slice(surplus);
                return true;
            }
        }
        self.doubts.end(&subject);
        false
    }

    /// A leader itself, or a broker in its place, has named a newer one.
    pub(super) fn leader_named(&mut self, topic: &Str, partition: i32) {
        self.doubts.end(&Subject::Leader(topic.clone(), partition));
    }

    // ---- brokers ----

    /// An answer has a broker at another address than its connections lead to. Returns whether that is believed now.
    pub(super) fn has_moved(&mut self, broker: i32, to: Address, by: Testimony) -> bool {
        let subject = Subject::Address(broker);
        let is_agreed = self.overturns(&subject, &Claim::Address(to), by.at_once());
        if is_agreed {
            self.doubts.end(&subject);
        }
        is_agreed
    }

    /// An answer has a broker where its connections lead.
    pub(super) fn has_stayed(&mut self, broker: i32) {
        self.doubts.end(&Subject::Address(broker));
    }

    /// Forgets where brokers were that are gone.
    pub(super) fn keep_brokers(&mut self, is_known: impl Fn(i32) -> bool) {
        self.doubts.keep_addresses(is_known);
    }
}

fn partition(told: &MetadataResponsePartition) -> Partition {
    Partition {
        leader: (told.leader_id >= 0).then_some(told.leader_id),
        leader_epoch: Some(told.leader_epoch).filter(|epoch| *epoch >= 0),
        replicas: told.replica_nodes.to_vec(),
        isr: told.isr_nodes.to_vec(),
        offline: told.offline_replicas.to_vec(),
    }
}
