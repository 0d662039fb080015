//! What answers say against what is known, until enough of them agree.
//!
//! Invariants
//! * Brokers lag: one answer alone overturns nothing where there is a second broker to ask.
//! * Nothing is refused for ever: what lasts for its grace and is said by two brokers, or by the only one that answers, is believed.
//! * An answer that confirms what is known ends the doubt; one that says yet another thing begins it anew.

use super::address::Address;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::{Str, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// So many answers of one broker alone are enough: others are asked first, so nobody else answers.
const LONELY: u32 = 5;

/// What is doubted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// That there is such a topic.
    Topic(Str),
    /// The topic's id.
    Id(Str),
    /// How many partitions the topic has.
    Partitions(Str),
    /// Who leads a partition, and its epoch.
    Leader(Str, i32),
    /// Where a broker is to be found.
    Address(i32),
}

/// What is said instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    Missing(ErrorCode),
    Id(Uuid),
    Partitions(usize),
    Leader(Option<i32>, i32),
    Address(Address),
}

/// Which broker said something, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Witness {
    pub(crate) now: Instant,
    pub(crate) broker: i32,
}

#[derive(Debug, Default)]
pub(crate) struct Doubts {
    open: BTreeMap<Subject, Doubt>,
}

#[derive(Debug)]
struct Doubt {
    claim: Claim,
    since: Instant,
    /// When it was said last.
    last: Instant,
    answers: u32,
    brokers: BTreeSet<i32>,
}

impl Doubts {
    /// A broker said something else than is known.
    pub(crate) fn raise(&mut self, subject: Subject, claim: Claim, witness: Witness) {
        let begin = |claim| Doubt {
            claim,
            since: witness.now,
            last: witness.now,
            answers: 0,
            brokers: BTreeSet::new(),
        };
        let doubt = self.open.entry(subject).or_insert_with(|| begin(claim.clone()));
        if doubt.claim != claim {
            *doubt = begin(claim);
        }
        doubt.last = witness.now;
        doubt.answers = doubt.answers.saturating_add(1);
        doubt.brokers.insert(witness.broker);
    }

    /// What is known was confirmed, or is no longer of interest.
    pub(crate) fn end(&mut self, subject: &Subject) {
        self.open.remove(subject);
    }

    /// Nobody needs the topic any more.
    pub(crate) fn forget_topic(&mut self, name: &str) {
        self.open.retain(|subject, _| subject.topic().is_none_or(|topic| **topic != *name));
    }

    /// Where a broker was to be found that is gone by now is of no interest.
    pub(crate) fn keep_addresses(&mut self, is_known: impl Fn(i32) -> bool) {
        self.open.retain(|subject, _| !matches!(subject, Subject::Address(broker) if !is_known(*broker)));
    }

    /// Whether `enough` brokers have said the same for so long. Only answers make it so: who waits is woken by answers.
    pub(crate) fn is_agreed(&self, subject: &Subject, enough: usize, grace: Duration) -> bool {
        self.open.get(subject).is_some_and(|doubt| {
            let lasts = doubt.last.duration_since(doubt.since) >= grace;
            lasts && (doubt.brokers.len() >= enough || doubt.answers >= LONELY)
        })
    }

    /// What is said of a subject, where it is doubted.
    pub(crate) fn claim(&self, subject: &Subject) -> Option<&Claim> {
        self.open.get(subject).map(|doubt| &doubt.claim)
    }

    /// The topics that answers lacked.
    pub(crate) fn missing(&self) -> impl Iterator<Item = &Str> {
        self.open.keys().filter_map(|subject| match subject {
            Subject::Topic(name) => Some(name),
            _ => None,
        })
    }
}

impl Subject {
    fn topic(&self) -> Option<&Str> {
        match self {
            Self::Topic(name) | Self::Id(name) | Self::Partitions(name) | Self::Leader(name, _) => Some(name),
            Self::Address(_) => None,
        }
    }
}
