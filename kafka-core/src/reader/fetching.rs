//! Building of fetch requests.

use super::brokers::{Asked, FetchKind, Heading, MainFetch, Member, SecondaryFetch};
use super::budget::Reservation;
use super::config::{Isolation, ReaderConfig};
use super::cursor::{Cursor, CursorId};
use super::machine::ReaderMachine;
use super::partitions::Partitions;
use crate::declare::checks::millis;
use crate::machine::{Lane, Now};
use kafka_proto::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic};
use kafka_proto::{Str, Uuid};
use std::collections::BTreeMap;
use std::time::Duration;

/// A fetch to be sent.
#[derive(Debug)]
pub(crate) struct FetchPlan {
    /// The version the request is made for: the one given to [`ReaderMachine::poll_fetch`], or 12 where that is newer and the id
    /// of a topic is not known.
    pub version: i16,
    /// The request.
    pub request: FetchRequest,
    /// What the answer may bring; to be charged with the answer's frame.
    pub reservation: Reservation,
    /// From now to the answer.
    pub timeout: Duration,
}

/// Versions of Fetch by what they brought.
pub(super) mod since {
    /// A limit of the whole answer; before, only each partition has one (KIP-74).
    pub(in crate::reader) const MAX_BYTES: i16 = 3;
    /// Positions are compared with the leader's epochs (KIP-595).
    pub(in crate::reader) const LAST_EPOCH: i16 = 12;
    /// Topics go by id (KIP-516).
    pub(in crate::reader) const TOPIC_IDS: i16 = 13;
}

/// What an answer takes a partition beside records: marks, lengths.
const PARTITION_OVERHEAD: usize = 64;

impl ReaderMachine {
    /// The fetch to be sent to a broker by a lane, with the version that was negotiated for that connection. Gives nothing for
    /// lanes that are not in [`lanes`](Self::lanes), nor where the budget has no room.
    #[must_use]
    pub(crate) fn poll_fetch(
        &mut self,
        now: Now,
        broker: i32,
        lane: Lane,
        version: i16,
    ) -> Option<FetchPlan> {
        self.check_positions(now, broker, version);
        let kind = self.brokers.kind_of(lane).filter(|kind| self.brokers.is_wanted(broker, *kind))?;
        let by_id = version >= since::TOPIC_IDS && self.partitions.have_ids();
        let version = if by_id { version } else { version.min(since::TOPIC_IDS - 1) };
        let reservation = self.reserve(now, broker, kind, version)?;
        let mut request = match kind {
            FetchKind::Main => self.main_request(now, broker, version, by_id, reservation.bytes()),
            FetchKind::Secondary => self.secondary_request(now, broker, version, reservation.bytes()),
        };
        request.min_bytes = size(self.config.min_bytes).min(request.max_bytes);
        request.isolation_level = isolation_level(&self.config);
        request.rack_id = self.config.rack.clone();
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or_default());
        let timeout = wait + self.config.request_timeout;
        Some(FetchPlan { version, request, reservation, timeout })
    }

    fn main_request(&mut self, now: Now, id: i32, version: i16, by_id: bool, bytes: usize) -> FetchRequest {
        let mut request = FetchRequest::default();
        let Some(broker) = self.brokers.get_mut(id) else { return request };
        let heading = broker.begin_main(version, by_id);
        let listed = self.listed(id, heading, version, bytes);
        let named: Vec<_> = listed.iter().filter_map(|id| Some((*id, self.member(*id)?))).collect();
        request.topics = topics(named.iter().map(|(_, member)| member), version);

        let Some(broker) = self.brokers.get_mut(id) else { return request };
        request.forgotten_topics_data = forgotten(broker.name(named).into_iter(), by_id);
        let may_park = broker.may_park();
        let wait = broker.main_wait(&self.config, may_park);
        (request.session_id, request.session_epoch) = (heading.session_id, heading.session_epoch);
        request.max_wait_ms = millis(wait);
        request.max_bytes = max_bytes(bytes, broker.session_len());
        let fetch = MainFetch { heading, sent_at: now.time, wait, may_park, reserved: bytes };
        self.brokers.send_main(id, fetch);
        request
    }

    /// Which partitions a request names: all wanted ones, in turn, or in a session only those that changed. Old brokers have no
    /// limit of the whole answer, so there the partitions' own limits must not exceed it together.
    fn listed(&mut self, broker: i32, heading: Heading, version: i16, bytes: usize) -> Vec<CursorId> {
        let Some(state) = self.brokers.get(broker) else { return Vec::new() };
        if !heading.is_full {
            return state.changed().collect();
        }
        let listed = within(&self.partitions, state.wanted(), version, bytes);
        if version < since::MAX_BYTES {
            for id in &listed {
                if let Some(cursor) = self.partitions.get_mut(*id) {
                    self.brokers.rotate(*id, cursor);
                }
            }
        }
        listed
    }

    /// A fetch without a session, of those partitions that became wanted since the main one left.
    fn secondary_request(&mut self, now: Now, id: i32, version: i16, bytes: usize) -> FetchRequest {
        let mut request = FetchRequest { session_id: 0, session_epoch: -1, ..Default::default() };
        let Some(broker) = self.brokers.get(id) else { return request };
        let wait = broker.secondary_wait(now.time, &self.config);
        let ids = within(&self.partitions, broker.changed(), version, bytes);
        let members: Vec<_> = ids.iter().filter_map(|id| Some((*id, self.member(*id)?))).collect();
        request.topics = topics(members.iter().map(|(_, member)| member), version);
        request.max_wait_ms = millis(wait);
        request.max_bytes = max_bytes(bytes, members.len());

        let asked: BTreeMap<CursorId, Asked> =
            members.into_iter().map(|(id, member)| (id, member.asked)).collect();
        for id in asked.keys() {
            if let Some(cursor) = self.partitions.get_mut(*id) {
                cursor.set_in_secondary(true);
            }
            self.update(*id);
        }
        self.brokers.send_secondary(id, SecondaryFetch { sent_at: now.time, wait, asked, reserved: bytes });
        request
    }

    fn member(&mut self, id: CursorId) -> Option<Member> {
        self.partitions.count_visits(1);
        let cursor = self.partitions.get(id)?;
        let topic_id = self.partitions.topic_id(cursor.topic()).unwrap_or(Uuid::ZERO);
        let (topic, partition) = (cursor.topic().clone(), cursor.partition());
        Some(Member { topic, topic_id, partition, asked: Asked::of(cursor) })
    }
}

/// Returns the first of these partitions, as many as old brokers can answer with so many bytes.
fn within(
    partitions: &Partitions,
    ids: impl Iterator<Item = CursorId>,
    version: i16,
    bytes: usize,
) -> Vec<CursorId> {
    let mut left = bytes;
    let fits = |id: &CursorId| {
        let limit = partitions.get(*id).map_or(0, Cursor::limit);
        let fits = version >= since::MAX_BYTES || limit <= left;
        left = left.saturating_sub(limit);
        fits
    };
    ids.take_while(fits).collect()
}

pub(super) fn isolation_level(config: &ReaderConfig) -> i8 {
    match config.isolation {
        Isolation::ReadUncommitted => 0,
        Isolation::ReadCommitted => 1,
    }
}

/// The partitions in their order; neighbours of one topic go together.
fn topics<'a>(members: impl Iterator<Item = &'a Member>, version: i16) -> Vec<FetchTopic> {
    let by_id = version >= since::TOPIC_IDS;
    let mut topics = Vec::<(&Str, FetchTopic)>::new();
    for member in members {
        let partition = FetchPartition {
            partition: member.partition,
            current_leader_epoch: member.asked.leader_epoch,
            fetch_offset: member.asked.offset,
            last_fetched_epoch: if version >= since::LAST_EPOCH { member.asked.last_epoch } else { -1 },
            partition_max_bytes: size(member.asked.limit),
            ..Default::default()
        };
        match topics.last_mut() {
            Some((name, topic)) if *name == &member.topic => topic.partitions.push(partition),
            _ => {
                let (name, id) = (member.topic.clone(), member.topic_id);
                let (topic, topic_id) = if by_id { (Str::new(), id) } else { (name, Uuid::ZERO) };
                let topic = FetchTopic { topic, topic_id, partitions: vec![partition], ..Default::default() };
                topics.push((&member.topic, topic));
            }
        }
    }
    topics.into_iter().map(|(_, topic)| topic).collect()
}

fn forgotten(members: impl Iterator<Item = Member>, by_id: bool) -> Vec<ForgottenTopic> {
    let mut topics = BTreeMap::<Str, (Uuid, Vec<i32>)>::new();
    for member in members {
        let (_, partitions) = topics.entry(member.topic).or_insert((member.topic_id, Vec::new()));
        partitions.push(member.partition);
    }
    let topic = |(name, (id, partitions)): (Str, (Uuid, Vec<i32>))| {
        let (topic, topic_id) = if by_id { (Str::new(), id) } else { (name, Uuid::ZERO) };
        ForgottenTopic { topic, topic_id, partitions: partitions.into(), ..Default::default() }
    };
    topics.into_iter().map(topic).collect()
}

fn max_bytes(reserved: usize, partitions: usize) -> i32 {
    let overhead = partitions.saturating_mul(PARTITION_OVERHEAD).min(reserved / 4);
    size(reserved - overhead)
}

fn size(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}
