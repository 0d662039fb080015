//! Scenarios with hand-made answers. The numbers in names are those of the project's list of scenarios.

mod anew;
mod batches;
mod budgets;
mod delivery;
mod items;
mod leaders;
mod positions;
mod property;
mod scale;
mod sessions;
mod simulation;
mod troubles;
mod unassign;

use super::*;
use crate::error::{Error, ErrorKind};
use crate::machine::{Answer, Ask, Hint, Lane, LaneKey, MachineId, Now, Peer, Time};
use crate::snapshot::{Cluster, Node, Partition, Topic, TopicPartition};
use crate::tape::Tape;
use batches::Batch;
use kafka_proto::messages::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
use kafka_proto::messages::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use kafka_proto::{Bytes, ErrorCode, RequestKind, Str, Uuid};
use std::sync::Arc;
use std::time::Duration;

const READER: MachineId = MachineId(7);
const MAIN: Lane = Lane::Fetch(READER);
const ASIDE: Lane = Lane::FetchAside(READER);

/// A reader, a clock, and a cluster of brokers 1, 2 and 3.
struct Rig {
    machine: ReaderMachine,
    cluster: Cluster,
    now: Now,
    config: Arc<ReaderConfig>,
    budget: Arc<Budget>,
    version: i16,
}

impl Rig {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut ReaderConfig)) -> Self {
        let mut config = ReaderConfig::default();
        change(&mut config);
        config.validate().unwrap();
        let (config, budget) = (Arc::new(config.clone()), Budget::new(config.buffer));
        let now = Now { time: Time::START, wall_ms: 0 };
        let machine =
            ReaderMachine::new(READER, Arc::clone(&config), Arc::clone(&budget), Tape::default(), 1);
        let mut rig = Self { machine, cluster: Cluster::default(), now, config, budget, version: 12 };
        for id in 1..=3 {
            let node = Node { id, host: Str::from_static("host"), port: 9092, rack: None };
            rig.cluster.nodes.insert(id, node);
        }
        rig
    }

    /// Makes topic "t" known: leader and leader epoch of each partition.
    fn topic(&mut self, leaders: &[(i32, i32)]) {
        self.topic_with_id(Uuid::ZERO, leaders);
    }

    fn topic_with_id(&mut self, id: Uuid, leaders: &[(i32, i32)]) {
        let partition = |(leader, leader_epoch): &(i32, i32)| Partition {
            leader: (*leader >= 0).then_some(*leader),
            leader_epoch: Some(*leader_epoch).filter(|epoch| *epoch >= 0),
            replicas: vec![1, 2, 3],
            isr: vec![1, 2, 3],
            offline: vec![],
        };
        let name = Str::from_static("t");
        let partitions = leaders.iter().map(partition).collect();
        let topic = Topic { name: name.clone(), id, is_internal: false, partitions };
        self.cluster.topics.insert(name.clone(), Arc::new(topic));
        if !id.is_zero() {
            self.cluster.names.insert(id, name);
        }
        self.machine.metadata_changed(self.now, &self.cluster);
    }

    /// Assigns partitions of "t" from 0 on.
    fn assign(&mut self, starts: impl IntoIterator<Item = Start>) {
        let partitions = (0..).map(tp).zip(starts).collect();
        self.machine.assign(1, partitions);
        assert!(self.ask().is_none());
    }

    /// All partitions at offset 0 on broker 1, known and placed.
    fn reading(partitions: usize, change: impl FnOnce(&mut ReaderConfig)) -> Self {
        let mut rig = Self::with(change);
        rig.topic(&vec![(1, 5); partitions]);
        rig.assign(vec![at(0); partitions]);
        rig
    }

    fn ask(&mut self) -> Option<Ask> {
        self.machine.poll_ask(self.now, &self.cluster)
    }

    fn ask_offsets(&mut self) -> (u64, ListOffsetsRequest) {
        let ask = self.ask().expect("an ask");
        match ask.request {
            RequestKind::ListOffsets(request) => (ask.tag, request),
            other => panic!("{other:?}"),
        }
    }

    fn answer_offsets(&mut self, tag: u64, partitions: &[(i32, i16, i64)]) {
        let partition = |(index, error_code, offset): &(i32, i16, i64)| ListOffsetsPartitionResponse {
            partition_index: *index,
            error_code: *error_code,
            offset: *offset,
            ..Default::default()
        };
        let partitions = partitions.iter().map(partition).collect();
        let topic =
            ListOffsetsTopicResponse { name: Str::from_static("t"), partitions, ..Default::default() };
        let response = ListOffsetsResponse { topics: vec![topic], ..Default::default() };
        self.answer(tag, Ok(response.into()));
    }

    fn answer(&mut self, tag: u64, result: Result<kafka_proto::ResponseKind, Error>) {
        self.machine.handle_answer(
            self.now,
            &self.cluster,
            Answer { tag, peer: Some(Peer::Node(1)), result },
        );
        self.check();
    }

    fn lanes(&self) -> Vec<(i32, Lane)> {
        let lane = |key: &LaneKey| (key.peer.node().unwrap(), key.lane);
        self.machine.lanes().iter().map(lane).collect()
    }

    fn fetch(&mut self, broker: i32) -> FetchPlan {
        self.fetch_by(broker, MAIN)
    }

    fn aside(&mut self, broker: i32) -> FetchPlan {
        self.fetch_by(broker, ASIDE)
    }

    fn fetch_by(&mut self, broker: i32, lane: Lane) -> FetchPlan {
        assert!(self.machine.lanes().contains(&LaneKey::node(broker, lane)), "{:?}", self.machine.lanes());
        let plan = self.machine.poll_fetch(self.now, broker, lane, self.version);
        let plan = plan.expect("a fetch");
        assert!(!self.machine.lanes().contains(&LaneKey::node(broker, lane)), "one at a time");
        self.check();
        plan
    }

    fn brought(&mut self, broker: i32, parts: Vec<PartitionData>) {
        self.respond(broker, MAIN, response(77, parts));
    }

    fn brought_aside(&mut self, broker: i32, parts: Vec<PartitionData>) {
        self.respond(broker, ASIDE, response(0, parts));
    }

    fn respond(&mut self, broker: i32, lane: Lane, response: FetchResponse) {
        self.machine.handle_fetched(self.now, &self.cluster, broker, lane, Ok(digest(response)));
        self.check();
    }

    fn lost(&mut self, broker: i32, lane: Lane) {
        let error = Error::from(crate::error::ConnectionError::Lost("test".into()));
        self.machine.handle_fetched(self.now, &self.cluster, broker, lane, Err(error));
        self.check();
    }

    fn take(&mut self) -> Option<Item> {
        assert_eq!(self.machine.is_readable(), self.machine.ready_or_notices());
        let item = self.machine.take();
        assert!(item.is_some() || !self.machine.is_readable());
        self.check();
        item
    }

    fn take_error(&mut self) -> Error {
        match self.take() {
            Some(Item::Error(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    fn take_notice(&mut self) -> Error {
        match self.take() {
            Some(Item::Notice(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    fn take_walk(&mut self) -> Walk {
        match self.take() {
            Some(Item::Chunk(chunk)) => Walk::new(chunk, &self.config),
            other => panic!("{other:?}"),
        }
    }

    /// Takes a chunk and reads all of it.
    fn read(&mut self) -> Vec<i64> {
        offsets(&mut self.take_walk())
    }

    fn read_everything(&mut self) -> Vec<i64> {
        let mut all = Vec::new();
        while self.machine.is_readable() {
            all.extend(self.read());
        }
        assert!(self.take().is_none());
        all
    }

    fn later(&mut self, wait: Duration) {
        self.now.time += wait;
        self.machine.handle_timeout(self.now);
        self.check();
    }

    /// Moves on to the next timer, which there must be.
    fn next_timer(&mut self) -> Duration {
        let at = self.machine.poll_timeout().expect("a timer");
        let wait = at.duration_since(self.now.time);
        self.later(wait);
        wait
    }

    fn hints(&mut self) -> Vec<Hint> {
        std::iter::from_fn(|| self.machine.poll_hint()).collect()
    }

    /// Nothing is ever stuck.
    fn check(&self) {
        assert_eq!(self.machine.stuck().next(), None);
    }
}

impl ReaderMachine {
    fn ready_or_notices(&self) -> bool {
        self.deliveries.has_notices()
            || self.assignment().any(|tp| {
                let id = self.partitions.lookup(&tp.topic, tp.partition).unwrap();
                self.partitions.get(id).is_some_and(|cursor| !cursor.is_paused() && cursor.has_items())
            })
    }
}

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new(Str::from_static("t"), partition)
}

fn at(offset: i64) -> Start {
    Start::at(offset)
}

fn offsets(walk: &mut Walk) -> Vec<i64> {
    let mut offsets = Vec::new();
    while let Some(record) = walk.next() {
        offsets.push(record.unwrap().offset());
    }
    offsets
}

fn response(session_id: i32, partitions: Vec<PartitionData>) -> FetchResponse {
    let topic = FetchableTopicResponse { topic: Str::from_static("t"), partitions, ..Default::default() };
    let responses = if topic.partitions.is_empty() { vec![] } else { vec![topic] };
    FetchResponse { session_id, responses, ..Default::default() }
}

/// A partition's share of an answer with these batches, and more behind them.
fn data(partition: i32, batches: &[Batch]) -> PartitionData {
    let bytes: Vec<u8> = batches.iter().flat_map(|batch| batch.bytes().to_vec()).collect();
    PartitionData {
        partition_index: partition,
        high_watermark: 1_000_000,
        last_stable_offset: 1_000_000,
        log_start_offset: 0,
        preferred_read_replica: -1,
        records: Some(Bytes::from(bytes).into()),
        ..Default::default()
    }
}

/// A partition's share of an answer without records: all is read.
fn caught_up(partition: i32, high_watermark: i64) -> PartitionData {
    let last_stable_offset = high_watermark;
    PartitionData { high_watermark, last_stable_offset, ..data(partition, &[]) }
}

fn failed(partition: i32, error: ErrorCode) -> PartitionData {
    PartitionData { error_code: error.into(), high_watermark: -1, records: None, ..data(partition, &[]) }
}

/// Partitions and offsets that a request lists.
fn listed(plan: &FetchPlan) -> Vec<(i32, i64)> {
    let partitions = plan.request.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|p| (p.partition, p.fetch_offset)).collect()
}

fn forgotten(plan: &FetchPlan) -> Vec<i32> {
    plan.request.forgotten_topics_data.iter().flat_map(|topic| topic.partitions.to_vec()).collect()
}
