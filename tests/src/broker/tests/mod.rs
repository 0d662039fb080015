//! The rules of the broker, each driven by requests as they come from the wire, in virtual time.

mod admin;
mod elections;
mod faults;
mod fetch;
mod formats;
mod groups;
mod metadata;
mod offsets;
mod produce;
mod profiles;
mod sessions;
mod versions;

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_proto::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData};
use kafka_proto::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData,
};
use kafka_proto::records::{BatchBuilder, Compression, ProducerStamp, batches};
use kafka_proto::wire::Records;
use kafka_proto::{Bytes, ErrorCode, Request, RequestKind, ResponseKind, frame};

use super::{ClusterConfig, ClusterState, ConnKey, NodeAddress, NodeId, Now, Outcome};

/// A cluster with topic "t" of one partition led by node 0, and the hands of a client.
struct Rig {
    cluster: ClusterState,
    now: Now,
    conns: u64,
    answers: BTreeMap<ConnKey, Outcome>,
}

/// A request that was not answered at once.
#[derive(Clone, Copy)]
struct Parked {
    conn: ConnKey,
    version: i16,
}

impl Rig {
    fn new(nodes: usize) -> Rig {
        Rig::configured(nodes, |_| {})
    }

    fn of_release(nodes: usize, release: &str) -> Rig {
        Rig::configured(nodes, |config| config.release = release.parse().unwrap())
    }

    fn configured(nodes: usize, change: impl FnOnce(&mut ClusterConfig)) -> Rig {
        let mut config = ClusterConfig::default();
        change(&mut config);
        let address = |id: NodeId| NodeAddress { id, host: "h".into(), port: 9000 + id as u16, rack: None };
        let mut cluster = ClusterState::new(config, (0..nodes as NodeId).map(address));
        cluster.create_topic("t", 1, nodes as i16, &[]).unwrap();
        let now = Now { mono: Duration::from_secs(1), wall_ms: 1_700_000_000_000 };
        Rig { cluster, now, conns: 0, answers: BTreeMap::new() }
    }

    fn topic(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let configs: Vec<_> = configs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let nodes = self.cluster.alive_nodes().count() as i16;
        self.cluster.create_topic(name, partitions, nodes, &configs).unwrap();
    }

    fn conn(&mut self) -> ConnKey {
        self.conns += 1;
        ConnKey(self.conns)
    }

    fn send(
        &mut self,
        node: NodeId,
        conn: ConnKey,
        version: i16,
        request: impl Into<RequestKind>,
    ) -> Outcome {
        let frame = frame::encode_request(5, Some("tester"), version, &request.into()).unwrap();
        let frame = Bytes::from(frame.concat()).slice(4..);
        self.cluster.handle(self.now, node, conn, &frame)
    }

    /// Sends a request on a connection of its own and takes its answer.
    fn call<R: Request + Into<RequestKind>>(&mut self, node: NodeId, version: i16, request: R) -> R::Response
    where
        R::Response: TryFrom<ResponseKind>,
    {
        let conn = self.conn();
        let outcome = self.send(node, conn, version, request);
        self.drain();
        response::<R>(outcome, version)
    }

    /// Sends a request that has to wait.
    fn park(&mut self, node: NodeId, version: i16, request: impl Into<RequestKind>) -> Parked {
        let conn = self.conn();
        assert_eq!(self.send(node, conn, version, request), Outcome::Later);
        self.drain();
        Parked { conn, version }
    }

    /// The answer to a parked request, if it has come.
    fn answer<R: Request>(&mut self, parked: Parked) -> Option<R::Response>
    where
        R::Response: TryFrom<ResponseKind>,
    {
        self.outcome(parked).map(|outcome| response::<R>(outcome, parked.version))
    }

    fn outcome(&mut self, parked: Parked) -> Option<Outcome> {
        self.drain();
        self.answers.remove(&parked.conn)
    }

    fn drain(&mut self) {
        while let Some((conn, outcome)) = self.cluster.poll_answer() {
            assert!(self.answers.insert(conn, outcome).is_none(), "two answers on one connection");
        }
    }

    /// Lets time pass, deadline by deadline.
    fn sleep(&mut self, ms: u64) {
        let end = self.now.mono + Duration::from_millis(ms);
        while let Some(next) = self.cluster.poll_timeout().filter(|next| *next <= end) {
            self.advance(next);
            self.cluster.handle_timeout(self.now);
        }
        self.advance(end);
        self.drain();
    }

    fn advance(&mut self, to: Duration) {
        let by = to.saturating_sub(self.now.mono);
        self.now = Now { mono: self.now.mono.max(to), wall_ms: self.now.wall_ms + by.as_millis() as i64 };
    }

    fn produce(&mut self, node: NodeId, topic: &str, records: Records) -> PartitionProduceResponse {
        let response = self.call(node, 9, produce(topic, -1, records));
        response.responses[0].partition_responses[0].clone()
    }

    /// Appends one record with this value to partition 0.
    fn put(&mut self, topic: &str, value: &str) -> i64 {
        let leader = self.cluster.leader(topic, 0).unwrap();
        let written = self.produce(leader, topic, one(value));
        assert_eq!(error(written.error_code), ErrorCode::None);
        written.base_offset
    }

    /// Appends so many records "a".
    fn fill(&mut self, topic: &str, count: usize) {
        for _ in 0..count {
            self.put(topic, "a");
        }
    }

    fn fetch_now(&mut self, node: NodeId, topic: &str, offset: i64) -> PartitionData {
        let response = self.call(node, 12, fetch(topic, offset, 0));
        response.responses[0].partitions[0].clone()
    }
}

fn response<R: Request>(outcome: Outcome, version: i16) -> R::Response
where
    R::Response: TryFrom<ResponseKind>,
{
    let Outcome::Answer(segments) = outcome else { panic!("no answer but {outcome:?}") };
    let frame = Bytes::from(segments.concat()).slice(4..);
    let (correlation_id, response) = frame::decode_response(R::KEY, version, &frame).unwrap();
    assert_eq!(correlation_id, 5);
    response.try_into().ok().unwrap()
}

fn error(code: i16) -> ErrorCode {
    ErrorCode::from(code)
}

/// A batch with these records: key, value, timestamp.
fn batch(records: &[(Option<&str>, &str, i64)], compression: Compression, stamp: ProducerStamp) -> Records {
    let mut builder = BatchBuilder::new();
    for (key, value, timestamp) in records {
        builder.append(*timestamp, key.map(str::as_bytes), Some(value.as_bytes()), &[]).unwrap();
    }
    builder.finish().compress(compression, None).unwrap().seal(stamp)
}

fn one(value: &str) -> Records {
    batch(&[(Some("k"), value, 1_700_000_000_000)], Compression::None, ProducerStamp::NONE)
}

fn stamped(producer_id: i64, producer_epoch: i16, base_sequence: i32, count: usize) -> Records {
    let stamp = ProducerStamp { producer_id, producer_epoch, base_sequence, transactional: false };
    batch(&vec![(Some("k"), "v", 1_700_000_000_000); count], Compression::None, stamp)
}

fn produce(topic: &str, acks: i16, records: Records) -> ProduceRequest {
    let partition = PartitionProduceData { index: 0, records: Some(records), ..Default::default() };
    let data = TopicProduceData { name: topic.into(), partition_data: vec![partition], ..Default::default() };
    ProduceRequest { acks, timeout_ms: 1000, topic_data: vec![data], ..Default::default() }
}

fn produced(response: ProduceResponse) -> PartitionProduceResponse {
    response.responses[0].partition_responses[0].clone()
}

fn fetch(topic: &str, fetch_offset: i64, max_wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition { fetch_offset, partition_max_bytes: 1 << 20, ..Default::default() };
    let topics = vec![FetchTopic { topic: topic.into(), partitions: vec![partition], ..Default::default() }];
    FetchRequest { max_wait_ms, min_bytes: 1, topics, ..Default::default() }
}

fn fetched(response: FetchResponse) -> PartitionData {
    response.responses[0].partitions[0].clone()
}

/// The offsets and values of the whole batches in an answer.
fn read(data: &PartitionData) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    for batch in batches(data.records.clone().unwrap_or_default().into_bytes()) {
        let batch = batch.unwrap();
        batch.verify_crc().unwrap();
        let mut records = batch.records(1 << 20).unwrap();
        while let Some(record) = records.next_record() {
            let record = record.unwrap();
            found.push((record.offset, String::from_utf8(record.value.unwrap().to_vec()).unwrap()));
        }
    }
    found
}
