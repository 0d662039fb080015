//! What answers say against what is known, until enough of them agree.
//!
//! Invariants
//! * Brokers lag: one answer alone overturns nothing where there is a second broker to ask.
//! * Nothing is refused for ever: what lasts for its grace and is said by two brokers, or again and again by one while none confirms
//!   what is known, is believed. So where all brokers say different things, one of them is.
//! * An answer that confirms what is known ends all doubts of it.

use crate::address::Address;
use crate::machine::{Peer, Time};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::{Str, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// So many answers of one broker alone are enough: others were asked as well, and did not confirm what is known.
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
    Leader(Option<i32>, Option<i32>),
    Address(Address),
}

/// Which broker said something, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Witness {
    pub(crate) now: Time,
    pub(crate) peer: Peer,
}

#[derive(Debug, Default)]
pub(crate) struct Doubts {
    /// What is said of each subject; brokers may say different things.
    open: BTreeMap<Subject, Vec<Doubt>>,
}

#[derive(Debug)]
struct Doubt {
    claim: Claim,
    since: Time,
    /// When it was said last.
    last: Time,
    answers: u32,
    brokers: BTreeSet<Peer>,
}

impl Doubts {
    /// A broker said something else than is known, and perhaps than it said before.
    pub(crate) fn raise(&mut self, subject: Subject, claim: Claim, witness: Witness) {
        let doubts = self.open.entry(subject).or_default();
        for other in doubts.iter_mut().filter(|doubt| doubt.claim != claim) {
            other.brokers.remove(&witness.peer);
        }
        doubts.retain(|doubt| doubt.claim == claim || !doubt.brokers.is_empty());
        let at = doubts.iter().position(|doubt| doubt.claim == claim);
        let at = at.unwrap_or_else(|| {
            doubts.push(Doubt::new(claim, witness.now));
            doubts.len() - 1
        });
        doubts[at].said(witness);
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

    /// What `enough` brokers have said alike for so long. Only answers make it so: who waits is woken by answers.
    pub(crate) fn agreed(
        &self,
        subject: &Subject,
        enough: usize,
        grace: Duration,
    ) -> impl Iterator<Item = &Claim> {
        let doubts = self.open.get(subject).into_iter().flatten();
        doubts.filter(move |doubt| doubt.is_agreed(enough, grace)).map(|doubt| &doubt.claim)
    }

    /// The topics that answers lacked.
    pub(crate) fn missing(&self) -> impl Iterator<Item = &Str> {
        self.open.keys().filter_map(|subject| match subject {
            Subject::Topic(name) => Some(name),
            _ => None,
        })
    }
}

impl Doubt {
    fn new(claim: Claim, now: Time) -> Self {
        Self { claim, since: now, last: now, answers: 0, brokers: BTreeSet::new() }
    }

    fn said(&mut self, witness: Witness) {
        self.last = witness.now;
        self.answers = self.answers.saturating_add(1);
        self.brokers.insert(witness.peer);
    }

    fn is_agreed(&self, enough: usize, grace: Duration) -> bool {
        let lasts = self.last.duration_since(self.since) >= grace;
        lasts && (self.brokers.len() >= enough || self.answers >= LONELY)
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
