//! OffsetFetch: where the group stands in the partitions that were assigned.
//!
//! Invariants:
//! * A committed offset is of the topic id that the topic had when it was asked for; of a topic made anew meanwhile it is asked again.
//! * A partition counts as without a committed offset only where the coordinator says so without an error; anything else is asked again.
//! * A partition whose offset cannot be had holds the others up for a moment at most, whatever becomes of the question that is open
//!   then. It is asked for beside them, rarely once that lasts, told by itself, and follows in [`GroupEvent::AssignedMore`].

use super::{Held, Kind, Membership, State};
use crate::error::Error;
use crate::group::event::{CommittedOffset, GroupEvent};
use crate::group::retry::{self, Verdict};
use crate::machine::{Ask, Time};
use crate::snapshot::{Cluster, TopicPartition};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
    OffsetFetchResponsePartitions,
};
use kafka_proto::{ApiKey, Str, Uuid};
use std::collections::BTreeMap;
use std::time::Duration;

type Restored = Vec<(TopicPartition, Option<CommittedOffset>)>;
type Failure = (Verdict, Error);
/// What the coordinator says of each partition.
type Offsets = BTreeMap<TopicPartition, Result<Option<CommittedOffset>, Failure>>;

/// What should pass by itself holds the other partitions up for so long.
const PATIENCE: Duration = Duration::from_secs(1);

/// Partitions of which the application was not told yet, since committed offsets are not known.
#[derive(Debug)]
pub(super) struct Unrestored {
    partitions: Vec<TopicPartition>,
    /// What is known, and waits for the others for a moment.
    found: Vec<Found>,
    /// Whether all that is in the way of the others should pass.
    may_pass: bool,
    /// The ids that their topics had when they were asked for last.
    ids: BTreeMap<Str, Uuid>,
    since: Time,
    /// When to ask again.
    at: Time,
    failures: u32,
}

#[derive(Debug)]
struct Found {
    partition: TopicPartition,
    /// The id that the topic had when it was asked for.
    topic_id: Uuid,
    offset: Option<CommittedOffset>,
}

impl Membership {
    /// These partitions are ours; the application is told when their offsets are known.
    pub(super) fn restore(&mut self, now: Time, partitions: Vec<TopicPartition>) {
        if partitions.is_empty() {
            return self.deliver(Vec::new(), &[]);
        }
        self.state = State::Restoring;
        self.unrestored = Some(Unrestored {
            partitions,
            found: Vec::new(),
            may_pass: true,
            ids: BTreeMap::new(),
            since: now,
            at: now,
            failures: 0,
        });
    }

    /// When offsets are to be asked for.
    pub(super) fn next_restore(&self) -> Option<Time> {
        let unrestored = self.unrestored.as_ref()?;
        (self.awaits_offsets() && !self.is_open(Kind::Restore)).then_some(unrestored.at)
    }

    /// When the application is to be told of what is known, though not all is.
    pub(super) fn next_delivery(&self) -> Option<Time> {
        let waiting = self.unrestored.as_ref().filter(|unrestored| !unrestored.found.is_empty())?;
        self.awaits_offsets().then_some(waiting.since + PATIENCE)
    }

    fn awaits_offsets(&self) -> bool {
        matches!(self.state, State::Restoring | State::Stable)
    }

    pub(super) fn ask_offsets(&mut self, now: Time, cluster: &Cluster) -> Option<Ask> {
        if self.next_restore().is_none_or(|at| at > now) {
            return None;
        }
        let unrestored = self.unrestored.as_mut()?;
        let partitions = unrestored.partitions.chunk_by(|a, b| a.topic == b.topic);
        let topics: Vec<_> = partitions.map(|run| topic(run, cluster)).collect();
        unrestored.ids = topics.iter().map(|topic| (topic.name.clone(), topic.topic_id)).collect();
        let group = OffsetFetchRequestGroup {
            group_id: self.config.group_id.clone(),
            topics: Some(topics),
            ..Default::default()
        };
        let request = OffsetFetchRequest { groups: vec![group], require_stable: true, ..Default::default() };
        Some(self.ask(Kind::Restore, now, self.config.request_timeout, request))
    }

    pub(super) fn offsets_answered(
        &mut self,
        now: Time,
        cluster: &Cluster,
        result: Result<OffsetFetchResponse, Error>,
    ) {
        if !self.awaits_offsets() {
            return;
        }
        let Some(asked) = self.unrestored.take() else { return };
        let group = &self.config.group_id;
        let offsets = match result {
            Ok(response) => offsets(response, group, cluster),
            Err(error) => Err((retry::of_error(&error), error)),
        };
        match offsets {
            Ok(mut offsets) => {
                offsets.retain(|place, _| !is_of_before(asked.id(&place.topic), &place.topic, cluster));
                self.offsets_found(now, cluster, asked, offsets);
            }
            Err((verdict, error)) => {
                let error = error.with_group(&self.config.group_id);
                self.restore_failed(now, asked, vec![(verdict, error)]);
            }
        }
    }

    fn offsets_found(&mut self, now: Time, cluster: &Cluster, mut asked: Unrestored, mut offsets: Offsets) {
        let mut failed = Vec::new();
        for partition in std::mem::take(&mut asked.partitions) {
            match offsets.remove(&partition).unwrap_or_else(|| Err(not_mentioned(&partition))) {
                Ok(offset) => {
                    let topic_id = asked.id(&partition.topic);
                    asked.found.push(Found { partition, topic_id, offset });
                }
                Err((verdict, error)) => {
                    asked.partitions.push(partition);
                    failed.push((verdict, error.with_group(&self.config.group_id)));
                }
            }
        }
        if let Some(at) = failed.iter().position(|(verdict, _)| is_of_the_group(*verdict)) {
            let (verdict, error) = failed.swap_remove(at);
            return self.leave_restoring(now, verdict, error);
        }
        asked.may_pass = failed.iter().all(|(verdict, _)| *verdict != Verdict::Refused);
        self.unrestored = Some(asked);
        self.deliver_found(now, cluster);
        if let Some(asked) = self.unrestored.take_if(|_| !failed.is_empty()) {
            self.restore_failed(now, asked, failed);
        }
    }

    /// Partitions of which the coordinator has told need not wait for others; only what should pass is waited for, for a moment.
    pub(super) fn deliver_found(&mut self, now: Time, cluster: &Cluster) {
        if !self.awaits_offsets() {
            return;
        }
        let is_new = matches!(self.state, State::Restoring);
        let Some(unrestored) = &mut self.unrestored else { return };
        let waits = is_new && unrestored.may_pass && now < unrestored.since + PATIENCE;
        if unrestored.found.is_empty() || waits && !unrestored.partitions.is_empty() {
            return;
        }
        let found = unrestored.take_found(cluster);
        let missing = unrestored.partitions.clone();
        if missing.is_empty() {
            self.unrestored = None;
        }
        if !found.is_empty() {
            self.deliver(found, &missing);
        }
    }

    fn restore_failed(&mut self, now: Time, mut asked: Unrestored, failed: Vec<Failure>) {
        let mut is_refused = true;
        for (verdict, error) in failed {
            match verdict {
                Verdict::Refused => self.report(error),
                Verdict::Retry { lookup } => {
                    is_refused = false;
                    if lookup {
                        self.look_up();
                    }
                    self.doubt_topic(&error);
                    self.report_lasting(now, asked.since, error);
                }
                _ => return self.leave_restoring(now, verdict, error),
            }
        }
        let pause = self.backoff.pause(asked.failures);
        let lasts = now >= asked.since + retry::GRACE;
        asked.failures = asked.failures.saturating_add(1);
        asked.at = now + if is_refused || lasts { self.config.join_backoff.max(pause) } else { pause };
        self.unrestored = Some(asked);
    }

    /// The coordinator does not count us as a member any more, or the group rebalances.
    fn leave_restoring(&mut self, now: Time, verdict: Verdict, error: Error) {
        match self.state {
            State::Stable if verdict == Verdict::Rebalance => self.rebalance(now),
            State::Stable => self.expelled(now, verdict, error),
            _ => self.setback(now, verdict, error),
        }
    }

    /// Tells the application of partitions, of the assignment that it holds or of a new one. What was told of those that are
    /// missing is not told again.
    fn deliver(&mut self, partitions: Restored, missing: &[TopicPartition]) {
        let names = partitions.iter().map(|(p, _)| p.clone());
        if let (State::Stable, Some(held)) = (&self.state, &mut self.held) {
            held.partitions.extend(names);
            let assignment = held.number;
            return self.events.push_back(GroupEvent::AssignedMore { assignment, partitions });
        }
        self.assignments += 1;
        let (assignment, generation) = (self.assignments, self.generation);
        self.held = Some(Held { number: assignment, partitions: names.collect() });
        self.state = State::Stable;
        (self.failures, self.haste) = (0, 0);
        self.trouble.is_over();
        self.looked_for = self.watched.iter().cloned().collect();
        self.reported.retain(|e| missing.iter().any(|p| e.context().topic.as_ref() == Some(&p.topic)));
        self.events.push_back(GroupEvent::Assigned { assignment, generation, partitions });
    }
}

impl Unrestored {
    /// The id that a topic had when it was asked for last.
    fn id(&self, topic: &str) -> Uuid {
        self.ids.get(topic).copied().unwrap_or_default()
    }

    /// What was found of topics that were made anew meanwhile is asked for again.
    fn take_found(&mut self, cluster: &Cluster) -> Restored {
        let is_fresh = |found: &Found| !is_of_before(found.topic_id, &found.partition.topic, cluster);
        let (fresh, stale): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.found).into_iter().partition(is_fresh);
        self.partitions.extend(stale.into_iter().map(|found| found.partition));
        self.partitions.sort_unstable();
        let mut fresh: Restored = fresh.into_iter().map(|found| (found.partition, found.offset)).collect();
        fresh.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        fresh
    }
}

/// Whether a topic that had this id was made anew.
fn is_of_before(id: Uuid, topic: &str, cluster: &Cluster) -> bool {
    let present = cluster.topic(topic).map(|topic| topic.id).filter(|id| !id.is_zero());
    present.is_some_and(|present| !id.is_zero() && id != present)
}

fn topic(run: &[TopicPartition], cluster: &Cluster) -> OffsetFetchRequestTopics {
    let name = run.first().map(|p| p.topic.clone()).unwrap_or_default();
    OffsetFetchRequestTopics {
        topic_id: cluster.topic(&name).map(|t| t.id).unwrap_or_default(),
        name,
        partition_indexes: run.iter().map(|p| p.partition).collect(),
        ..Default::default()
    }
}

/// Whether an error ends the assignment, be it in the place of a partition's.
fn is_of_the_group(verdict: Verdict) -> bool {
    !matches!(verdict, Verdict::Fine | Verdict::Refused | Verdict::Retry { .. })
}

/// What the coordinator says of each partition, asked for or not; an error where it says that of the whole group.
fn offsets(response: OffsetFetchResponse, group: &Str, cluster: &Cluster) -> Result<Offsets, Failure> {
    let mut offsets = Offsets::new();
    // Before version 8 an answer is of one group and does not name it.
    let ours = |id: &Str| id == group || id.is_empty();
    for one in response.groups.into_iter().filter(|g| ours(&g.group_id)) {
        failed(one.error_code).map_or(Ok(()), Err)?;
        for topic in one.topics {
            let by_id = || cluster.name(&topic.topic_id).cloned().unwrap_or_default();
            let name = if topic.name.is_empty() { by_id() } else { topic.name };
            for p in topic.partitions {
                let place = TopicPartition::new(name.clone(), p.partition_index);
                let failure =
                    failed(p.error_code).map(|(v, e)| (v, e.with_partition(&name, place.partition)));
                offsets.insert(place, failure.map_or_else(|| Ok(committed(p)), Err));
            }
        }
    }
    Ok(offsets)
}

fn failed(code: i16) -> Option<Failure> {
    let code = ErrorCode::from(code);
    let error = || Error::of_code(code).with_api(ApiKey::OffsetFetch);
    (code != ErrorCode::None).then(|| (retry::of_code(code), error()))
}

fn committed(p: OffsetFetchResponsePartitions) -> Option<CommittedOffset> {
    (p.committed_offset >= 0).then_some(CommittedOffset {
        offset: p.committed_offset,
        leader_epoch: p.committed_leader_epoch,
        metadata: p.metadata,
    })
}

/// A partition that the answer does not mention is not one without an offset.
fn not_mentioned(p: &TopicPartition) -> Failure {
    let error = Error::of_code(ErrorCode::UnknownTopicOrPartition).with_api(ApiKey::OffsetFetch);
    (Verdict::Retry { lookup: false }, error.with_partition(&p.topic, p.partition))
}
