//! What the applications of a run saw, and the invariants that are checked against the cluster's log.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_core::{Error, ErrorKind, Fate, Stats};

use super::network::Commit;
use super::remaking::Remade;
use super::subscribing::Subscribed;
use crate::broker::ClusterState;

/// Once all has healed nothing takes longer: what still waits for something that was lost does.
const PROMPT: Duration = Duration::from_secs(5);

/// Connections that could not be made, or broke, as clients count them.
const CONNECTION_FAILURES: &str = "connection failures";

/// The topic of all runs.
pub(crate) const TOPIC: &str = "t";

/// The name of a group, by its number.
pub(crate) fn group_name(group: usize) -> String {
    format!("g{group}")
}

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
    /// When its outcome was known.
    pub(crate) ended: Option<Duration>,
}

/// Who wrote a message and its place in the order of sending: also the message's value.
pub(crate) type MessageId = (u32, u32);

/// All offsets below `below`, and those.
#[derive(Debug, Default)]
struct Handled {
    below: i64,
    beyond: BTreeSet<i64>,
}

/// What a group is done with and has committed, by partition.
#[derive(Debug, Default)]
struct Group {
    handled: BTreeMap<i32, Handled>,
    committed: BTreeMap<i32, i64>,
    /// The same without commits that came when their client had given up waiting for them.
    in_time: BTreeMap<i32, i64>,
    /// The member that had each partition last.
    claimed: BTreeMap<i32, u32>,
}

#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) written: BTreeMap<MessageId, Written>,
    authors: u32,
    clients: u32,
    groups: BTreeMap<usize, Group>,
    /// From which offsets on acknowledged records of a partition were lost, by one unclean election after the other.
    truncations: BTreeMap<i32, Vec<i64>>,
    pub(crate) violations: Vec<String>,
    /// The ends of the partitions, once nobody writes any more.
    pub(crate) ends: Option<Vec<i64>>,
    /// Errors that applications saw, by their text.
    pub(crate) errors: BTreeMap<String, u64>,
    reactions: BTreeMap<&'static str, u64>,
    pub(crate) remade: Remade,
    pub(crate) subscribed: Subscribed,
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
        // Applications end their writers in the middle of others' sends.
        if matches!(error.kind(), ErrorKind::Closed) {
            return self.count("sends that found it closed", 1);
        }
        let kind = match error.code() {
            Some(code) => format!("{code:?}"),
            None => {
                let text = error.kind().to_string();
                let end = text.find(|c: char| matches!(c, ':' | ';' | '(') || c.is_ascii_digit());
                text[..end.unwrap_or(text.len())].trim_end().to_owned()
            }
        };
        *self.errors.entry(kind).or_default() += 1;
    }

    pub(crate) fn count(&mut self, what: &'static str, times: u64) {
        *self.reactions.entry(what).or_default() += times;
    }

    /// A number for somebody who writes: its messages stay in order.
    pub(crate) fn author(&mut self) -> u32 {
        self.authors += 1;
        self.authors
    }

    /// A number for a client.
    pub(crate) fn new_client(&mut self) -> u32 {
        self.clients += 1;
        self.clients
    }

    /// An unclean election cut a partition's log: what comes there now is new to everybody.
    pub(crate) fn truncated(&mut self, partition: i32, from: i64) {
        self.truncations.entry(partition).or_default().push(from);
        for group in self.groups.values_mut() {
            let handled = group.handled.entry(partition).or_default();
            handled.below = handled.below.min(from);
            handled.beyond.retain(|offset| *offset < from);
        }
    }

    pub(crate) fn truncations(&self, partition: i32) -> &[i64] {
        self.truncations.get(&partition).map_or(&[], Vec::as_slice)
    }

    /// A member was given a partition, or a record of it.
    pub(crate) fn claim(&mut self, group: usize, partition: i32, member: u32) {
        self.groups.entry(group).or_default().claimed.insert(partition, member);
    }

    pub(crate) fn claimed(&self, group: usize, partition: i32) -> Option<u32> {
        self.groups.get(&group)?.claimed.get(&partition).copied()
    }

    /// What a client counted itself, when it is done.
    pub(crate) fn client(&mut self, stats: &Stats) {
        self.count("rebootstraps", stats.rebootstraps);
        self.count("throttled", stats.throttled);
        self.count("retries of calls", stats.retries);
        self.count(CONNECTION_FAILURES, stats.connection_failures);
    }

    pub(crate) fn connection_failures(&self) -> u64 {
        self.reactions.get(CONNECTION_FAILURES).copied().unwrap_or(0)
    }

    pub(crate) fn reactions(&mut self) -> BTreeMap<&'static str, u64> {
        self.count("written", self.written.len() as u64);
        std::mem::take(&mut self.reactions)
    }

    pub(crate) fn committed(&self, group: usize, partition: i32) -> i64 {
        self.groups.get(&group).and_then(|group| group.committed.get(&partition)).copied().unwrap_or(0)
    }

    pub(crate) fn ended(&mut self, now: Duration, id: MessageId, outcome: Outcome) {
        if let Some(written) = self.written.get_mut(&id) {
            (written.outcome, written.ended) = (outcome, Some(now));
        }
    }

    pub(crate) fn outcome_of(fate: Fate) -> Outcome {
        if fate == Fate::NotWritten { Outcome::NotWritten } else { Outcome::PossiblyWritten }
    }

    pub(crate) fn handled(&mut self, group: usize, partition: i32, offset: i64) {
        let handled = self.groups.entry(group).or_default().handled.entry(partition).or_default();
        if offset >= handled.below {
            handled.beyond.insert(offset);
        }
        while handled.beyond.remove(&handled.below) {
            handled.below += 1;
        }
    }

    /// Whether the group is done with everything there is. What was written where a group had been before a truncation, and
    /// which it could not notice, it passes over.
    pub(crate) fn group_is_done(&self, group: usize) -> bool {
        let Some(ends) = &self.ends else { return false };
        (0..).zip(ends).all(|(partition, end)| {
            let passed = !self.truncations(partition).is_empty() && self.committed(group, partition) >= *end;
            passed || self.first_unhandled(group, partition) >= *end
        })
    }

    /// Of groups that are not done: group, partition, its end, what is committed, and the first offset that was not handled.
    pub(crate) fn groups_open(&self) -> Vec<(usize, i32, i64, i64, i64)> {
        let ends = self.ends.as_deref().unwrap_or_default();
        let open = |group| (0..).zip(ends).map(move |(partition, end)| (group, partition, *end));
        let all = self.groups.keys().copied().filter(|group| !self.group_is_done(*group)).flat_map(open);
        all.map(|(group, partition, end)| {
            let (committed, first) =
                (self.committed(group, partition), self.first_unhandled(group, partition));
            (group, partition, end, committed, first)
        })
        .collect()
    }

    fn first_unhandled(&self, group: usize, partition: i32) -> i64 {
        let handled = self.groups.get(&group).and_then(|group| group.handled.get(&partition));
        handled.map_or(0, |handled| handled.below)
    }

    /// I6 and I10, after a commit: nothing unhandled is covered, and no offset goes back. A member that was let in again may
    /// have begun before one of its own commits arrived for which it does not wait any more, or where an older one of them has
    /// brought the group back to, and then goes back behind what came last.
    pub(crate) fn check_commits(
        &mut self,
        cluster: &ClusterState,
        (groups, partitions): (usize, i32),
        commit: Commit,
    ) {
        for group in 0..groups {
            let name = group_name(group);
            for partition in 0..partitions {
                let Some(offset) = cluster.committed(&name, TOPIC, partition) else { continue };
                self.check_commit((group, partition), offset, commit);
            }
        }
    }

    fn check_commit(&mut self, (group, partition): (usize, i32), offset: i64, commit: Commit) {
        let known = self.groups.entry(group).or_default();
        let last = known.committed.insert(partition, offset).unwrap_or(0);
        let in_time = known.in_time.entry(partition).or_default();
        let before = last.min(*in_time);
        if last != offset {
            *in_time = if commit == Commit::InTime { offset } else { offset.min(*in_time) };
            self.count("commits", 1);
        }
        if !self.truncations(partition).is_empty() {
            return;
        }
        let of = format!("partition {partition} in group {group}");
        if offset < before && commit == Commit::InTime {
            self.violation(format!("I10: the commit of {of} goes from {before} to {offset}"));
        }
        let unhandled = self.first_unhandled(group, partition);
        if offset > unhandled {
            self.violation(format!("I6: {of} is committed to {offset}, offset {unhandled} was not handled"));
        }
    }

    /// I1, I2, I7, I8 and certain outcomes.
    pub(crate) fn check_log(&mut self, cluster: &ClusterState, partitions: i32, settled: Duration) {
        let lost = |partition| cluster.lost(TOPIC, partition);
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
            self.check_message(&name, message, found, lost(message.partition));
            self.check_late(&name, message, settled);
            if let (Some((_, offset)), Outcome::Acked(_)) = (found.first(), message.outcome) {
                let before = last.insert((*task, message.partition), (*offset, *at));
                if let Some((other, earlier)) = before.filter(|(other, _)| other > offset) {
                    self.violation(format!("I7: {name} is at {offset}, {task}:{earlier} at {other}"));
                }
            }
        }
        self.written = written;
    }

    fn check_message(&mut self, name: &str, message: &Written, found: &[(i32, i64)], lost: &[(i64, i64)]) {
        let at_home = found.iter().all(|(partition, _)| *partition == message.partition);
        let was_lost = |at: i64| lost.iter().any(|(from, below)| at < 0 || (*from..*below).contains(&at));
        match message.outcome {
            Outcome::Acked(offset) if was_lost(offset) => {}
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
    }

    /// I8: what is sent once all has healed is acknowledged, and soon.
    fn check_late(&mut self, name: &str, message: &Written, settled: Duration) {
        if message.begun < settled {
            return;
        }
        let failed = matches!(message.outcome, Outcome::NotWritten | Outcome::PossiblyWritten);
        if failed {
            self.violation(format!("I8: {name}, sent after all had healed, failed: {:?}", message.outcome));
        }
        let time = message.ended.map(|ended| ended.saturating_sub(message.begun));
        if let Some(time) = time.filter(|time| *time > PROMPT) {
            self.violation(format!("I8: {name}, sent after all had healed, took {time:?}"));
        }
    }
}
