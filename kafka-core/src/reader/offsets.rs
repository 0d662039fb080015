//! Questions about positions: where the log begins or ends or a time is (ListOffsets), and whether it still has what was read
//! (OffsetForLeaderEpoch, for brokers that do not check it at each fetch).

use super::config::ReaderConfig;
use super::cursor::{Cursor, CursorId};
use super::fetching::isolation_level;
use super::machine::ReaderMachine;
use super::partitions::Partitions;
use super::placing::Known;
use super::position::{OffsetAndEpoch, Stage};
use super::questions::{Asked, Asking, Question};
use super::timers::Timer;
use super::trouble::Refusal;
use crate::declare::checks::millis;
use crate::error::{Error, ErrorKind};
use crate::machine::{Answer, Ask, Lane, Now, Target};
use crate::snapshot::Cluster;
use kafka_proto::RequestKind;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic,
};
use kafka_proto::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopic,
};
use kafka_proto::{ApiKey, Str};
use std::collections::{BTreeMap, BTreeSet};

/// Of this version of Fetch are the brokers (2.3 to 2.6) that let anybody ask for the end of an epoch, and do not compare
/// epochs at each fetch. Older ones want rights over the cluster for it, newer ones report it by themselves.
const FETCH_WITHOUT_DIVERGING: i16 = 11;

impl ReaderMachine {
    /// The next question for a broker.
    #[must_use]
    pub(crate) fn poll_ask(&mut self, now: Now, cluster: &Cluster) -> Option<Ask> {
        self.place_all(now, cluster);
        let Asking { tag, broker, question, ids } = self.questions.ask()?;
        let request = match question {
            Question::Offset => list_offsets(&self.config, &self.partitions, ids),
            Question::Epoch => offset_for_leader_epoch(&self.partitions, ids),
        };
        self.partitions.count_visits(ids.len());
        for id in ids {
            if let Some(cursor) = self.partitions.get_mut(*id) {
                cursor.inquiry.sent(tag);
            }
        }
        let (target, timeout) = (Target::node(broker), self.config.request_timeout);
        Some(Ask { tag, target, lane: Lane::Other, request, timeout })
    }

    /// What became of a question.
    pub(crate) fn handle_answer(&mut self, now: Now, cluster: &Cluster, answer: Answer) {
        let tag = answer.tag;
        let Some(Asked { question, mut ids }) = self.questions.answered(tag) else { return };
        // What was sought, or moved to another leader, waits for another answer.
        ids.retain(|id| self.partitions.get_mut(*id).is_some_and(|cursor| cursor.inquiry.answered(tag)));
        let lacking_after = match question {
            Question::Offset => answer.response_to::<ListOffsetsRequest>().map(|response| {
                self.handle_offsets(now, cluster, &mut ids, response);
                ApiKey::ListOffsets
            }),
            Question::Epoch => answer.response_to::<OffsetForLeaderEpochRequest>().map(|response| {
                self.handle_epochs(now, cluster, &mut ids, response);
                ApiKey::OffsetForLeaderEpoch
            }),
        };
        let missing = lacking_after.map_or_else(|error| error, lacking);
        for id in ids {
            let is_epoch = self.partitions.get(id).is_some_and(|cursor| cursor.stage() == Stage::Validating);
            match missing.kind() {
                // The check is a courtesy of newer brokers.
                ErrorKind::Unsupported { .. } if is_epoch => self.validated(id),
                _ => self.ask_failed(now, id, &missing),
            }
        }
    }

    fn handle_offsets(
        &mut self,
        now: Now,
        cluster: &Cluster,
        ids: &mut BTreeSet<CursorId>,
        response: ListOffsetsResponse,
    ) {
        for topic in response.topics {
            for partition in topic.partitions {
                let id = self.partitions.lookup(&topic.name, partition.partition_index);
                if let Some(id) = id.filter(|id| ids.remove(id)) {
                    self.handle_offset(now, cluster, id, &partition);
                }
            }
        }
    }

    /// Returns the broker that is asked about a partition.
    fn home_of(&self, id: CursorId) -> Option<i32> {
        self.partitions.get(id).and_then(|cursor| cursor.placement.home())
    }

    fn handle_offset(&mut self, now: Now, cluster: &Cluster, id: CursorId, p: &ListOffsetsPartitionResponse) {
        if let Err(code) = ErrorCode::check(p.error_code) {
            let refusal = Refusal { api: ApiKey::ListOffsets, code, broker: self.home_of(id), leader: None };
            return self.refused(now, id, refusal, Known { cluster, nodes: &[] });
        }
        let Some(cursor) = self.partitions.get_mut(id) else { return };
        if cursor.resolve(p.offset) {
            self.update(id);
        } else {
            let error = Error::of_code(ErrorCode::OffsetNotAvailable);
            self.retry_later(now, id, error.with_api(ApiKey::ListOffsets));
        }
    }

    fn handle_epochs(
        &mut self,
        now: Now,
        cluster: &Cluster,
        ids: &mut BTreeSet<CursorId>,
        response: OffsetForLeaderEpochResponse,
    ) {
        for topic in response.topics {
            for partition in topic.partitions {
                let id = self.partitions.lookup(&topic.topic, partition.partition);
                if let Some(id) = id.filter(|id| ids.remove(id)) {
                    self.handle_epoch(now, cluster, id, &partition);
                }
            }
        }
    }

    fn handle_epoch(&mut self, now: Now, cluster: &Cluster, id: CursorId, p: &EpochEndOffset) {
        const API: ApiKey = ApiKey::OffsetForLeaderEpoch;
        match ErrorCode::from(p.error_code) {
            ErrorCode::None => {}
            ErrorCode::UnsupportedVersion | ErrorCode::UnsupportedForMessageFormat => {
                return self.validated(id);
            }
            code => {
                let refusal = Refusal { api: API, code, broker: self.home_of(id), leader: None };
                return self.refused(now, id, refusal, Known { cluster, nodes: &[] });
            }
        }
        let Some(cursor) = self.partitions.get(id).filter(|cursor| cursor.stage() == Stage::Validating)
        else {
            return;
        };
        let offset = cursor.position();
        if p.end_offset < 0 || p.leader_epoch < 0 {
            self.nothing_in_common(now, id, API);
        } else if p.end_offset < offset {
            let end = OffsetAndEpoch { offset: p.end_offset, epoch: p.leader_epoch };
            self.truncated(now, id, API, end);
        } else {
            self.recovered(id);
            self.validated(id);
        }
    }

    fn validated(&mut self, id: CursorId) {
        let Some(cursor) = self.partitions.get_mut(id) else { return };
        cursor.validated();
        self.update(id);
    }

    /// The version of the broker's fetches is known now, and so whether it checks positions by itself.
    pub(super) fn check_positions(&mut self, now: Now, broker: i32, version: i16) {
        let Some(state) = self.brokers.get_mut(broker) else { return };
        for id in state.take_unvalidated() {
            let Some(cursor) = self.partitions.get_mut(id) else { continue };
            if cursor.check_position(version == FETCH_WITHOUT_DIVERGING) {
                self.timers.start(now.time, Timer::Ask);
            }
            self.update(id);
        }
    }
}

fn list_offsets(config: &ReaderConfig, partitions: &Partitions, ids: &BTreeSet<CursorId>) -> RequestKind {
    let topics = by_topic(partitions, ids, |cursor| {
        let Stage::Resolving(want) = cursor.stage() else { return None };
        Some(ListOffsetsPartition {
            partition_index: cursor.partition(),
            current_leader_epoch: cursor.source().epoch(),
            timestamp: want.timestamp(),
            ..Default::default()
        })
    });
    let topic = |(name, partitions)| ListOffsetsTopic { name, partitions, ..Default::default() };
    RequestKind::from(ListOffsetsRequest {
        replica_id: -1,
        isolation_level: isolation_level(config),
        topics: topics.into_iter().map(topic).collect(),
        timeout_ms: millis(config.request_timeout),
        ..Default::default()
    })
}

fn offset_for_leader_epoch(partitions: &Partitions, ids: &BTreeSet<CursorId>) -> RequestKind {
    let topics = by_topic(partitions, ids, |cursor| {
        Some(OffsetForLeaderPartition {
            partition: cursor.partition(),
            current_leader_epoch: cursor.source().epoch(),
            leader_epoch: cursor.last_epoch(),
            ..Default::default()
        })
    });
    let topic = |(topic, partitions)| OffsetForLeaderTopic { topic, partitions, ..Default::default() };
    let topics = topics.into_iter().map(topic).collect();
    RequestKind::from(OffsetForLeaderEpochRequest { replica_id: -1, topics, ..Default::default() })
}

fn by_topic<T>(
    partitions: &Partitions,
    ids: &BTreeSet<CursorId>,
    make: impl Fn(&Cursor) -> Option<T>,
) -> BTreeMap<Str, Vec<T>> {
    let mut topics = BTreeMap::<Str, Vec<T>>::new();
    for cursor in ids.iter().filter_map(|id| partitions.get(*id)) {
        if let Some(partition) = make(cursor) {
            topics.entry(cursor.topic().clone()).or_default().push(partition);
        }
    }
    topics
}

/// An answer that does not name what it was asked for.
fn lacking(api: ApiKey) -> Error {
    let error = Error::of_code(ErrorCode::UnknownServerError).with_api(api);
    error.with_detail(Str::from_static("the answer lacks the partition"))
}
