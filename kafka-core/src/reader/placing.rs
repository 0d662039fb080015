//! Who serves a partition: what metadata, errors and leaders themselves say about it.
//!
//! A partition follows the client's metadata, which decides what answers are believed, and moves ahead of it only to a newer
//! leader that a broker named. What metadata leaves out changes nothing. What no broker has said is not reported in a broker's name.

use super::config::Reset;
use super::cursor::{Cursor, CursorId};
use super::fetched::LeaderAndEpoch;
use super::machine::ReaderMachine;
use super::partitions::Recreated;
use super::position::OffsetAndEpoch;
use super::source::Replica;
use super::timers::Timer;
use super::trouble::passes;
use crate::error::{Error, ErrorKind};
use crate::machine::{Hint, Now};
use crate::snapshot::{Cluster, Node, Topic};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::{ApiKey, Str, Uuid};
use std::time::Duration;

/// How long a partition is read from the replica that its leader named, before the leader is asked again: as Java does.
const REPLICA_LEASE: Duration = Duration::from_secs(300);

/// What is known of brokers: by metadata, and by the answer that is being handled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) nodes: &'a [Node],
}

impl ReaderMachine {
    /// The metadata may have changed. Only topics with a new snapshot are looked at.
    pub(crate) fn metadata_changed(&mut self, now: Now, cluster: &Cluster) {
        for (topic, ids) in self.partitions.changed_topics(cluster) {
            self.check_topic_id(&topic);
            ids.into_iter().for_each(|id| self.place(now, id, cluster));
        }
        self.place_all(now, cluster);
    }

    /// What waits for a leader and may be tried.
    pub(super) fn place_all(&mut self, now: Now, cluster: &Cluster) {
        for id in self.partitions.take_leaderless() {
            let topic = self.partitions.get(id).and_then(|cursor| cluster.topic(cursor.topic())).cloned();
            if let Some(topic) = topic {
                self.check_topic_id(&topic);
            }
            self.place(now, id, cluster);
        }
    }

    /// Notes a topic's id. Another one than before means that the topic was deleted and made again: positions in the old one mean
    /// nothing in the new one.
    fn check_topic_id(&mut self, topic: &Topic) {
        let Some(Recreated { old, ids }) = self.partitions.note_topic_id(topic) else { return };
        self.brokers.topic_recreated(&topic.name, &ids);
        ids.into_iter().for_each(|id| self.recreated(id, old, topic.id));
    }

    fn recreated(&mut self, id: CursorId, old: Uuid, new: Uuid) {
        self.clear_retry(id);
        self.leave_replica(id);
        let Some(cursor) = self.partitions.get_mut(id) else { return };
        cursor.topic_recreated(old, new);
        self.update(id);
    }

    /// Takes a partition's leader from the metadata.
    fn place(&mut self, now: Now, id: CursorId, cluster: &Cluster) {
        let Some(cursor) = self.partitions.get(id) else { return };
        let known = cluster.partition(cursor.topic(), cursor.partition());
        let epoch = known.and_then(|partition| partition.leader_epoch).unwrap_or(-1);
        if let Some(partition) = known {
            self.lead(id, partition.leader, epoch);
        }
        let Some(cursor) = self.partitions.get(id) else { return };
        if cursor.is_leaderless() {
            let topic = cursor.topic().clone();
            let code = match known {
                Some(_) => Some(ErrorCode::LeaderNotAvailable),
                None => cluster.refusal(&topic),
            };
            self.hints.refresh(&topic);
            match code {
                Some(code) => {
                    self.tried_in_vain(
                        now,
                        id,
                        Error::of_code(code).with_api(ApiKey::Metadata),
                        passes(code),
                    );
                }
                // What keeps brokers from speaking is reported by the client, which asks them.
                None => self.hold_off(now, id),
            }
        }
    }

    /// The partition's leader is this one, as far as is known. A new leader is asked at once, whatever the old one's trouble was.
    fn lead(&mut self, id: CursorId, leader: Option<i32>, epoch: i32) {
        if self.partitions.get(id).is_none_or(|cursor| cursor.source().is_led_by(leader, epoch)) {
            return self.update(id);
        }
        self.leave_replica(id);
        let Some(cursor) = self.partitions.get_mut(id) else { return };
        cursor.set_leader(leader, epoch);
        if leader.is_some() {
            self.clear_retry(id);
        }
        self.update(id);
    }

    /// A broker named the leader instead of it (KIP-951). Returns whether the partition has moved to a newer leader.
    pub(super) fn led_elsewhere(&mut self, id: CursorId, leader: LeaderAndEpoch, known: Known<'_>) -> bool {
        let LeaderAndEpoch { id: leader, epoch } = leader;
        let Some(cursor) = self.partitions.get(id) else { return false };
        let node = known.nodes.iter().find(|node| node.id == leader);
        if epoch <= cursor.source().epoch() || (node.is_none() && !known.cluster.nodes.contains_key(&leader))
        {
            return false;
        }
        let (topic, partition, node) = (cursor.topic().clone(), cursor.partition(), node.cloned());
        self.hints.push(Hint::Leader { topic, partition, leader, leader_epoch: epoch, node });
        self.lead(id, Some(leader), epoch);
        true
    }

    /// The leader wants the partition to be read from a replica near to us (KIP-392). Returns whether it is where it was not.
    pub(super) fn visit_replica(&mut self, now: Now, id: CursorId, replica: i32, cluster: &Cluster) -> bool {
        let Some(cursor) = self.partitions.get_mut(id) else { return false };
        if !cursor.source().may_visit(replica) {
            return false;
        }
        let topic = cursor.topic().clone();
        if !cluster.nodes.contains_key(&replica) {
            self.hints.refresh(&topic);
            let error = Error::of_code(ErrorCode::ReplicaNotAvailable).with_api(ApiKey::Fetch);
            let error =
                error.with_detail(format!("the leader names broker {replica}, which metadata does not"));
            self.retry_later(now, id, error);
            return true;
        }
        let until = now.time + REPLICA_LEASE;
        cursor.visit(Replica { id: replica, until });
        self.timers.start(until, Timer::Replica(id));
        self.update(id);
        true
    }

    /// Back to the leader, which may send us to a replica again.
    pub(super) fn leave_replica(&mut self, id: CursorId) {
        let Some(replica) = self.partitions.get_mut(id).and_then(Cursor::leave_replica) else {
            return;
        };
        self.timers.stop(replica.until, Timer::Replica(id));
        self.update(id);
    }

    /// The log differs from what was read before the position: it was truncated to `end`.
    pub(super) fn truncated(&mut self, now: Now, id: CursorId, api: ApiKey, end: OffsetAndEpoch) {
        let error = Error::new(ErrorKind::Truncated { to: end.offset }).with_api(api);
        if self.config.reset == Reset::Error {
            return self.halt(id, error);
        }
        let Some(cursor) = self.partitions.get_mut(id) else { return };
        if let Some(dropped) = cursor.go_back_to_end(end) {
            cursor.notify(error);
            self.deliveries.give_up(dropped);
        }
        self.hold_off(now, id);
    }

    /// Hints at stale metadata of all topics that are fetched from a broker.
    pub(super) fn hint_topics_of(&mut self, broker: i32) {
        let Some(state) = self.brokers.get(broker) else { return };
        let topics = |id| self.partitions.get(id).map(|cursor| cursor.topic().clone());
        let topics: std::collections::BTreeSet<Str> = state.wanted().filter_map(topics).collect();
        topics.iter().for_each(|topic| self.hints.refresh(topic));
    }
}
