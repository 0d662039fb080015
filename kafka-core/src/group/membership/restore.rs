//! OffsetFetch: where the group stands in the partitions that were assigned.
//!
//! A partition counts as without a committed offset only where the coordinator says so without an error; anything else is asked again.

use super::{Held, Kind, Membership, State, unexpected};
use crate::client::cluster::{Cluster, TopicPartition};
use crate::client::machine::Ask;
use crate::error::Error;
use crate::group::event::{CommittedOffset, GroupEvent};
use crate::group::retry::{self, Verdict};
use kafka_proto::ResponseKind;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
};
use kafka_proto::{ApiKey, Str};
use std::collections::BTreeMap;
use std::time::Instant;

type Restored = Vec<(TopicPartition, Option<CommittedOffset>)>;
type Offsets = BTreeMap<TopicPartition, Option<CommittedOffset>>;

impl Membership {
    /// These partitions are ours; the application is told when their offsets are known.
    pub(super) fn restore(&mut self, now: Instant, partitions: Vec<TopicPartition>) {
        if partitions.is_empty() {
            return self.deliver(Vec::new());
        }
        self.failures = 0;
        self.state = State::Restoring { partitions, at: now };
    }

    pub(super) fn ask_offsets(&mut self, now: Instant, cluster: &Cluster) -> Option<Ask> {
        let State::Restoring { partitions, at } = &self.state else { return None };
        if *at > now || self.is_open(Kind::Restore) {
            return None;
        }
        let topics = partitions.chunk_by(|a, b| a.topic == b.topic).map(|run| topic(run, cluster)).collect();
        let group = OffsetFetchRequestGroup {
            group_id: self.config.group_id.clone(),
            topics: Some(topics),
            ..Default::default()
        };
        let request = OffsetFetchRequest { groups: vec![group], require_stable: true, ..Default::default() };
        Some(self.ask(Kind::Restore, now, self.config.request_timeout, request.into()))
    }

    pub(super) fn offsets_answered(
        &mut self,
        now: Instant,
        cluster: &Cluster,
        result: Result<ResponseKind, Error>,
    ) {
        let State::Restoring { partitions, .. } = &self.state else { return };
        let group = &self.config.group_id;
        let offsets = match result {
            Ok(ResponseKind::OffsetFetch(response)) => {
                let offsets = offsets(response, group, cluster);
                offsets.and_then(|found| complete(partitions, found))
            }
            Ok(_) => Err((Verdict::Refused, unexpected(ApiKey::OffsetFetch))),
            Err(error) => Err((retry::of_error(&error), error)),
        };
        match offsets {
            Ok(partitions) => self.deliver(partitions),
            Err((verdict, error)) => {
                self.restore_failed(now, verdict, error.group(&self.config.group_id.clone()))
            }
        }
    }

    fn restore_failed(&mut self, now: Instant, verdict: Verdict, error: Error) {
        let again = match verdict {
            Verdict::Retry { lookup } => {
                if lookup {
                    self.look_up();
                }
                self.doubt_topic(&error);
                now + self.pause()
            }
            Verdict::Refused => {
                self.report(error);
                now + self.config.join_backoff
            }
            _ => return self.setback(now, verdict, error),
        };
        if let State::Restoring { at, .. } = &mut self.state {
            *at = again;
        }
    }

    fn deliver(&mut self, partitions: Restored) {
        self.assignments += 1;
        let (assignment, generation) = (self.assignments, self.generation);
        let held = partitions.iter().map(|(p, _)| p.clone()).collect();
        self.held = Some(Held { number: assignment, partitions: held });
        self.state = State::Stable;
        (self.failures, self.haste) = (0, 0);
        self.reported.clear();
        self.events.push_back(GroupEvent::Assigned { assignment, generation, partitions });
    }
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

/// What the coordinator says, or the gravest error in it.
fn offsets(
    response: OffsetFetchResponse,
    group: &Str,
    cluster: &Cluster,
) -> Result<Offsets, (Verdict, Error)> {
    let failed = |code| {
        let error = Error::broker(code).api(ApiKey::OffsetFetch);
        (code != ErrorCode::None).then(|| (retry::of_code(code), error))
    };
    let mut offsets = Offsets::new();
    let mut worst: Option<(Verdict, Error)> = None;
    // Before version 8 an answer is of one group and does not name it.
    let ours = |id: &Str| id == group || id.is_empty();
    for one in response.groups.into_iter().filter(|g| ours(&g.group_id)) {
        if let Some(error) = failed(ErrorCode::from(one.error_code)) {
            return Err(error);
        }
        for topic in one.topics {
            let by_id = || cluster.name(&topic.topic_id).cloned().unwrap_or_default();
            let name = if topic.name.is_empty() { by_id() } else { topic.name };
            for p in topic.partitions {
                if let Some((verdict, error)) = failed(ErrorCode::from(p.error_code)) {
                    // What has to be told goes before what passes by itself.
                    if worst.is_none() || verdict == Verdict::Refused {
                        worst = Some((verdict, error.partition(&name, p.partition_index)));
                    }
                    continue;
                }
                let committed = (p.committed_offset >= 0).then_some(CommittedOffset {
                    offset: p.committed_offset,
                    leader_epoch: p.committed_leader_epoch,
                    metadata: p.metadata,
                });
                offsets.insert(TopicPartition::new(name.clone(), p.partition_index), committed);
            }
        }
    }
    worst.map_or(Ok(offsets), Err)
}

/// A partition that the answer does not mention is not one without an offset.
fn complete(partitions: &[TopicPartition], mut found: Offsets) -> Result<Restored, (Verdict, Error)> {
    let each = |p: &TopicPartition| match found.remove(p) {
        Some(offset) => Ok((p.clone(), offset)),
        None => {
            let error = Error::broker(ErrorCode::UnknownTopicOrPartition).api(ApiKey::OffsetFetch);
            Err((Verdict::Retry { lookup: false }, error.partition(&p.topic, p.partition)))
        }
    };
    partitions.iter().map(each).collect()
}
