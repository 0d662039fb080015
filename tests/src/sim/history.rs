//! What the applications of a run saw, and the invariants that are checked against the cluster's log.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_core::Error;
use kafka_core::stats::Stats;
use kafka_core::writer::Fate;

use super::network::Commit;
use crate::broker::ClusterState;

/// The topic of all runs.
pub(crate) const TOPIC: &str = "t";
/// The group of all members.
pub(crate) const GROUP: &str = "g";

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Outcome {
    /// It was not taken, or the writer said that it is not written.
    NotWritten,
    /// Nobody waited for it.
    Unknown,
    PossiblyWritten,
    /// With its offset, -1 where the broker did not say.
    Acked(i64),
}

#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) partition: i32,
    pub(crate) idempotent: bool,
    pub(crate) outcome: Outcome,
    pub(crate) begun: Duration,
}

/// Who wrote a message and its place in the order of sending: also the message's value.
pub(crate) type MessageId = (u32, u32);

/// All offsets below `below`, and those.
#[derive(Debug, Default)]
struct Handled {
    below: i64,
    beyond: BTreeSet<i64>,
}

#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) written: BTreeMap<MessageId, Written>,
    /// What members of the group are done with, by partition.
    handled: BTreeMap<i32, Handled>,
    committed: BTreeMap<i32, i64>,
    pub(crate) violations: Vec<String>,
    /// The ends of the partitions, once nobody writes any more.
    pub(crate) ends: Option<Vec<i64>>,
    /// Errors that applications saw, by their text.
    pub(crate) errors: BTreeMap<String, u64>,
    reactions: BTreeMap<&'static str, u64>,
}

pub(crate) fn value_of((task, at): MessageId) -> String {
    format!("{task}:{at}:{}", "x".repeat((at as usize * 37) % 300))
}

pub(crate) fn id_of(value: &[u8]) -> Option<MessageId> {
    let mut parts = std::str::from_utf8(value).ok()?.split(':');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

impl History {
    pub(crate) fn violation(&mut self, what: String) {
        if self.violations.len() < 20 {
            self.violations.push(what);
        }
    }

    pub(crate) fn error(&mut self, error: &Error) {
        let kind = match error.code() {
            Some(code) => format!("{code:?}"),
            None => error.kind().to_string().split([':', ';', '(']).next().unwrap_or_default().to_owned(),
        };
        *self.errors.entry(kind).or_default() += 1;
    }

    pub(crate) fn count(&mut self, what: &'static str, times: u64) {
        *self.reactions.entry(what).or_default() += times;
    }

    /// What a client counted itself, when it is done.
    pub(crate) fn client(&mut self, stats: &Stats) {
        self.count("rebootstraps", stats.rebootstraps);
        self.count("throttled", stats.throttled);
        self.count("retries of calls", stats.retries);
    }

    pub(crate) fn reactions(&mut self) -> BTreeMap<&'static str, u64> {
        self.count("written", self.written.len() as u64);
        std::mem::take(&mut self.reactions)
    }

    pub(crate) fn committed(&self, partition: i32) -> i64 {
        self.committed.get(&partition).copied().unwrap_or(0)
    }

    pub(crate) fn ended(&mut self, id: MessageId, outcome: Outcome) {
        if let Some(written) = self.written.get_mut(&id) {
            written.outcome = outcome;
        }
    }

    pub(crate) fn outcome_of(fate: Fate) -> Outcome {
        if fate == Fate::NotWritten { Outcome::NotWritten } else { Outcome::PossiblyWritten }
    }

    pub(crate) fn handled(&mut self, partition: i32, offset: i64) {
        let handled = self.handled.entry(partition).or_default();
        if offset >= handled.below {
            handled.beyond.insert(offset);
        }
        while handled.beyond.remove(&handled.below) {
            handled.below += 1;
        }
    }

    /// Whether the group is done with everything there is.
    pub(crate) fn group_is_done(&self) -> bool {
        let Some(ends) = &self.ends else { return false };
        (0..).zip(ends).all(|(partition, end)| self.first_unhandled(partition) >= *end)
    }

    fn first_unhandled(&self, partition: i32) -> i64 {
        self.handled.get(&partition).map_or(0, |handled| handled.below)
    }

    /// I6 and I10, after a commit: nothing unhandled is covered, and no offset goes back.
    pub(crate) fn check_commits(&mut self, cluster: &ClusterState, partitions: i32, commit: Commit) {
        for partition in 0..partitions {
            let Some(offset) = cluster.committed(GROUP, TOPIC, partition) else { continue };
            let before = self.committed.insert(partition, offset).unwrap_or(0);
            if before != offset {
                self.count("commits", 1);
            }
            if offset < before && commit == Commit::InTime {
                self.violation(format!(
                    "I10: the commit of partition {partition} goes from {before} to {offset}"
                ));
            }
            let unhandled = self.first_unhandled(partition);
            if offset > unhandled {
                self.violation(format!(
                    "I6: partition {partition} is committed to {offset}, offset {unhandled} was not handled"
                ));
            }
        }
    }

    /// I1, I2, I7, I8 and certain outcomes.
    pub(crate) fn check_log(&mut self, cluster: &ClusterState, partitions: i32, settled: Duration) {
        let mut places: BTreeMap<MessageId, Vec<(i32, i64)>> = BTreeMap::new();
        for partition in 0..partitions {
            for record in cluster.log(TOPIC, partition) {
                match record.value.as_deref().and_then(id_of) {
                    Some(id) if record.value.as_deref() == Some(value_of(id).as_bytes()) => {
                        places.entry(id).or_default().push((partition, record.offset));
                    }
                    _ => self.violation(format!("partition {partition} offset {} is damaged", record.offset)),
                }
            }
        }
        let written = std::mem::take(&mut self.written);
        let mut last: BTreeMap<(u32, i32), (i64, u32)> = BTreeMap::new();
        for ((task, at), message) in &written {
            let name = format!("message {task}:{at} to partition {}", message.partition);
            let found = places.get(&(*task, *at)).map(Vec::as_slice).unwrap_or_default();
            self.check_message(&name, message, found, settled);
            if let (Some((_, offset)), Outcome::Acked(_)) = (found.first(), message.outcome) {
                let before = last.insert((*task, message.partition), (*offset, *at));
                if let Some((other, earlier)) = before.filter(|(other, _)| other > offset) {
                    self.violation(format!("I7: {name} is at {offset}, {task}:{earlier} at {other}"));
                }
            }
        }
        self.written = written;
    }

    fn check_message(&mut self, name: &str, message: &Written, found: &[(i32, i64)], settled: Duration) {
        let at_home = found.iter().all(|(partition, _)| *partition == message.partition);
        match message.outcome {
            Outcome::Acked(_) if found.is_empty() => {
                self.violation(format!("I1: {name} was acked and is not there"))
            }
            Outcome::Acked(offset) if offset >= 0 && !found.iter().any(|(_, at)| *at == offset) => {
                self.violation(format!("{name} was acked at {offset} and is at {found:?}"));
            }
            Outcome::NotWritten if !found.is_empty() => {
                self.violation(format!("{name} was said not to be written and is at {found:?}"));
            }
            _ => {}
        }
        if !at_home {
            self.violation(format!("{name} is at {found:?}"));
        }
        if message.idempotent && found.len() > 1 {
            self.violation(format!("I2: {name} is there {} times: {found:?}", found.len()));
        }
        let failed = matches!(message.outcome, Outcome::NotWritten | Outcome::PossiblyWritten);
        if failed && message.begun >= settled {
            self.violation(format!("I8: {name}, sent after all had healed, failed: {:?}", message.outcome));
        }
    }
}
