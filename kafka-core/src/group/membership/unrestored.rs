//! Partitions of the assignment that are not reported yet, since their committed offsets are not known.
//!
//! Invariants:
//! * A committed offset is of the topic id that the topic had when it was asked for; of a topic created anew meanwhile it is
//!   asked again.
//! * A partition counts as without a committed offset only where the coordinator answers so without an error; anything
//!   else is asked again.
//! * A partition whose offset cannot be had holds the others up for a second at most, whatever becomes of the question that is
//!   open then. It is asked for beside them, and rarely once that lasts.

use crate::error::Error;
use crate::group::event::CommittedOffset;
use crate::group::retry::{self, Backoff, Verdict};
use crate::machine::Time;
use crate::snapshot::{Cluster, TopicPartition};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
    OffsetFetchResponsePartitions,
};
use kafka_proto::{ApiKey, Str, Uuid};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::time::Duration;

/// Partitions with their committed offsets, in order.
pub(super) type Restored = Vec<(TopicPartition, Option<CommittedOffset>)>;
pub(super) type Failure = (Verdict, Error);
/// What the coordinator answered for each partition.
type Offsets = BTreeMap<TopicPartition, Result<Option<CommittedOffset>, Failure>>;

/// Maximum time that a failure which should pass by itself holds the other partitions up.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Unrestored {
    /// Those to ask for, in order.
    partitions: Vec<TopicPartition>,
    /// What is known, and waits for the others for a moment.
    found: Vec<Found>,
    /// Whether all that is in the way of the others should pass.
    may_pass: bool,
    /// The ids that their topics had when they were asked for last.
    ids: FxHashMap<Str, Uuid>,
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

impl Unrestored {
    /// Partitions to ask for from now on, in order.
    pub(super) fn new(now: Time, partitions: Vec<TopicPartition>) -> Self {
        let (found, ids) = (Vec::new(), FxHashMap::default());
        Self { partitions, found, may_pass: true, ids, since: now, at: now, failures: 0 }
    }

    /// Returns when to ask for the partitions, unless a question is open.
    pub(super) fn next_request(&self) -> Time {
        self.at
    }

    /// Returns when the partitions that are known must be reported, though not all are.
    pub(super) fn next_delivery(&self) -> Option<Time> {
        (!self.found.is_empty()).then_some(self.since + PATIENCE)
    }

    /// Returns whether the partitions have been missing for long.
    pub(super) fn lasts(&self, now: Time) -> bool {
        now >= self.since + retry::GRACE
    }

    /// Returns whether no partition is missing any more.
    pub(super) fn is_complete(&self) -> bool {
        self.partitions.is_empty() && self.found.is_empty()
    }

    /// Returns whether partitions of this topic are missing.
    pub(super) fn has_topic(&self, topic: &str) -> bool {
        self.partitions.iter().any(|partition| *partition.topic == *topic)
    }

    /// Asks for all partitions that are missing.
    pub(super) fn request(&mut self, group: &Str, cluster: &Cluster) -> OffsetFetchRequest {
        let partitions = self.partitions.chunk_by(|a, b| a.topic == b.topic);
        let topics: Vec<_> = partitions.map(|run| topic(run, cluster)).collect();
        self.ids = topics.iter().map(|topic| (topic.name.clone(), topic.topic_id)).collect();
        let group =
            OffsetFetchRequestGroup { group_id: group.clone(), topics: Some(topics), ..Default::default() };
        OffsetFetchRequest { groups: vec![group], require_stable: true, ..Default::default() }
    }

    /// Takes in the offsets that were found, and returns why the others were not.
    ///
    /// # Errors
    /// A failure that ends the assignment, or concerns the whole group.
    pub(super) fn answered(
        &mut self,
        response: OffsetFetchResponse,
        group: &Str,
        cluster: &Cluster,
    ) -> Result<Vec<Failure>, Failure> {
        let mut offsets = offsets(response, group, cluster)?;
        offsets.retain(|place, _| !is_of_before(self.id(&place.topic), &place.topic, cluster));
        let mut failed = Vec::new();
        for partition in std::mem::take(&mut self.partitions) {
            match offsets.remove(&partition).unwrap_or_else(|| Err(not_mentioned(&partition))) {
                Ok(offset) => {
                    let topic_id = self.id(&partition.topic);
                    self.found.push(Found { partition, topic_id, offset });
                }
                Err(failure) => {
                    self.partitions.push(partition);
                    failed.push(failure);
                }
            }
        }
        if let Some(at) = failed.iter().position(|(verdict, _)| is_of_the_group(*verdict)) {
            return Err(failed.swap_remove(at));
        }
        self.may_pass = failed.iter().all(|(verdict, _)| *verdict != Verdict::Refused);
        Ok(failed)
    }

    /// Takes out what was found and need not wait for the others. In a new assignment it waits for a moment for failures that
    /// should pass.
    pub(super) fn take_found(&mut self, now: Time, is_new: bool, cluster: &Cluster) -> Restored {
        let waits = is_new && self.may_pass && now < self.since + PATIENCE;
        if self.found.is_empty() || waits && !self.partitions.is_empty() {
            return Vec::new();
        }
        // What was found of topics that were created anew meanwhile is asked for again.
        let is_fresh = |found: &Found| !is_of_before(found.topic_id, &found.partition.topic, cluster);
        let (fresh, stale): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.found).into_iter().partition(is_fresh);
        self.partitions.extend(stale.into_iter().map(|found| found.partition));
        self.partitions.sort_unstable();
        let mut fresh: Restored = fresh.into_iter().map(|found| (found.partition, found.offset)).collect();
        fresh.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        fresh
    }

    /// Asks again after a pause: `long` where repetition does not help, or where it lasts.
    pub(super) fn retry_later(&mut self, now: Time, is_refused: bool, long: Duration, backoff: &mut Backoff) {
        let pause = backoff.pause(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.at = now + if is_refused || self.lasts(now) { long.max(pause) } else { pause };
    }

    /// The id that a topic had when it was asked for last.
    fn id(&self, topic: &str) -> Uuid {
        self.ids.get(topic).copied().unwrap_or_default()
    }
}

/// Whether a topic that had this id was created anew.
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

/// What the coordinator answered for each partition, asked for or not.
///
/// # Errors
/// A failure of the whole group.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Topic;
    use kafka_proto::messages::offset_fetch::{OffsetFetchResponseGroup, OffsetFetchResponseTopics};

    const NOW: Time = Time::START;

    fn cluster(id: u8) -> Cluster {
        let mut cluster = Cluster::default();
        let (name, partitions) = (Str::from("t"), Vec::new());
        let topic = Topic { name: name.clone(), id: Uuid([id; 16]), is_internal: false, partitions };
        cluster.topics.insert(name, topic.into());
        cluster
    }

    /// `t-0` and `t-1`, asked for under topic id 1.
    fn asked() -> Unrestored {
        let partitions = [0, 1].map(|p| TopicPartition::new("t", p)).to_vec();
        let mut unrestored = Unrestored::new(NOW, partitions);
        let request = unrestored.request(&"g".into(), &cluster(1));
        let topics = request.groups[0].topics.as_ref().unwrap();
        assert_eq!(topics[0].partition_indexes, [0, 1]);
        unrestored
    }

    /// `t-0` has offset 5, `t-1` this error.
    fn answer(code: ErrorCode) -> OffsetFetchResponse {
        let partition = |p, error_code: i16, offset| OffsetFetchResponsePartitions {
            partition_index: p,
            committed_offset: offset,
            error_code,
            ..Default::default()
        };
        let partitions = vec![partition(0, 0, 5), partition(1, code.code(), -1)];
        let topic = OffsetFetchResponseTopics { name: "t".into(), partitions, ..Default::default() };
        let group = OffsetFetchResponseGroup { topics: vec![topic], ..Default::default() };
        OffsetFetchResponse { groups: vec![group], ..Default::default() }
    }

    fn places(restored: Restored) -> Vec<i32> {
        restored.into_iter().map(|(place, _)| place.partition).collect()
    }

    #[test]
    fn what_should_pass_is_waited_for_for_a_moment_and_what_is_refused_is_not() {
        for (code, waits) in
            [(ErrorCode::UnstableOffsetCommit, true), (ErrorCode::TopicAuthorizationFailed, false)]
        {
            let mut unrestored = asked();
            let failed = unrestored.answered(answer(code), &"g".into(), &cluster(1)).unwrap();
            assert_eq!(failed.len(), 1);
            let at_once = places(unrestored.take_found(NOW, true, &cluster(1)));
            assert_eq!(at_once.is_empty(), waits);
            let later = places(unrestored.take_found(NOW + PATIENCE, true, &cluster(1)));
            assert_eq!([at_once, later].concat(), [0]);
            assert!(!unrestored.is_complete() && unrestored.has_topic("t"));
        }
    }

    #[test]
    fn offsets_of_a_topic_created_anew_are_asked_for_again() {
        let none = ErrorCode::None;
        let mut unrestored = asked();
        unrestored.answered(answer(none), &"g".into(), &cluster(2)).unwrap();
        assert_eq!(
            unrestored.take_found(NOW, true, &cluster(2)),
            [],
            "it was another topic before the answer"
        );
        let mut unrestored = asked();
        unrestored.answered(answer(none), &"g".into(), &cluster(1)).unwrap();
        assert_eq!(unrestored.take_found(NOW, true, &cluster(2)), [], "it was before the delivery");
        assert!(!unrestored.is_complete());
        unrestored.request(&"g".into(), &cluster(2));
        unrestored.answered(answer(none), &"g".into(), &cluster(2)).unwrap();
        assert_eq!(places(unrestored.take_found(NOW, true, &cluster(2))), [0, 1]);
        assert!(unrestored.is_complete());
    }

    #[test]
    fn what_is_said_of_the_group_in_the_place_of_a_partition_ends_the_assignment() {
        let answer = asked().answered(answer(ErrorCode::RebalanceInProgress), &"g".into(), &cluster(1));
        assert_eq!(answer.unwrap_err().0, Verdict::Rebalance);
    }
}
