//! What a batch costs the client when a thousand writers have one topic each, against one writer that has a thousand topics.
//!
//! The client state machine runs by hand, its bytes included; what answers it is not measured. The two take turns, round by round.
//!
//! ```sh
//! cargo run --release -p kafka-testkit --example many_writers
//! ```

use kafka_core::sans_io::{
    Action, Address, Client, ClientConfig, ConnId, Event, Input, LinkInbound, LinkOutbound, Now, Time,
    Writer, link,
};
use kafka_core::{Delivery, Message, Str, WriterConfig};
use kafka_proto::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use kafka_proto::messages::init_producer_id::InitProducerIdResponse;
use kafka_proto::messages::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_proto::messages::produce::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use kafka_proto::{ApiKey, Bytes, RequestKind, ResponseKind, Uuid, frame};
use std::collections::BTreeMap;
use std::io::IoSlice;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const TOPICS: usize = 1000;
const ROUNDS: usize = 15;
/// Bytes of a record's value.
const VALUE: usize = 100;

fn main() -> Result<()> {
    println!(
        "| records a batch | 1 writer, µs a batch | {TOPICS} writers, µs a batch | ratio | requests a round |\n|---|---|---|---|---|"
    );
    let chosen: Vec<usize> =
        std::env::args().skip(1).map(|n| n.parse()).collect::<std::result::Result<_, _>>()?;
    for records in if chosen.is_empty() { vec![1, 10, 100] } else { chosen } {
        let (one, many) = (World::new(1)?, World::new(TOPICS)?);
        let mut worlds = [one, many];
        let mut times = [Vec::new(), Vec::new()];
        let mut before = [0; 2];
        // In the first rounds everything is cold.
        for round in 0..ROUNDS + 2 {
            if round == 2 {
                before = worlds.each_ref().map(|world| world.client.stats().requests);
            }
            for (world, times) in worlds.iter_mut().zip(&mut times) {
                let time = world.round(records)?;
                if round >= 2 {
                    times.push(time.as_secs_f64() * 1e6 / TOPICS as f64);
                }
            }
        }
        let [one, many] = times.map(median);
        let requests = worlds.each_ref().map(|world| world.client.stats().requests);
        let requests = [0, 1].map(|n| (requests[n] - before[n]) / ROUNDS as u64);
        println!(
            "| {records} | {one:.2} | {many:.2} | {:.2} | {} and {} |",
            many / one,
            requests[0],
            requests[1]
        );
    }
    Ok(())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// A client with its writers, and what answers it.
struct World {
    client: Client,
    writers: Vec<Writer>,
    wires: BTreeMap<ConnId, Wire>,
    now: Now,
    /// What the client has taken so far.
    spent: Duration,
}

struct Wire {
    inbound: LinkInbound,
    outbound: LinkOutbound,
    sent: Vec<u8>,
}

impl World {
    fn new(writers: usize) -> Result<Self> {
        let bootstrap = Address::parse_list("broker:9092")?;
        let mut client = Client::new(ClientConfig { bootstrap, ..ClientConfig::default() });
        let now = Now { time: Time::START, wall_ms: 1_700_000_000_000 };
        let config = |topic| WriterConfig { topic, ..WriterConfig::default() };
        let topics = |n| if writers == 1 { None } else { Some(topic(n)) };
        let writers = (0..writers).map(|n| Writer::new(client.at(now), config(topics(n))));
        let writers = writers.collect::<std::result::Result<_, _>>()?;
        let mut world = Self { client, writers, wires: BTreeMap::new(), now, spent: Duration::ZERO };
        // Each topic is looked for once, and known then.
        for n in 0..TOPICS {
            let _ = world.send(n);
        }
        world.settle()?;
        Ok(world)
    }

    /// Writes a batch of so many records to each topic. Returns what that took the client.
    fn round(&mut self, records: usize) -> Result<Duration> {
        let before = self.spent;
        let mut deliveries = Vec::with_capacity(TOPICS);
        for n in 0..TOPICS {
            let begun = Instant::now();
            for _ in 1..records {
                drop(self.send(n)?);
            }
            deliveries.push(self.send(n)?);
            self.spent += begun.elapsed();
        }
        self.settle()?;
        for delivery in deliveries {
            delivery.try_get().ok_or("a record has no outcome")??;
        }
        Ok(self.spent - before)
    }

    fn send(&mut self, n: usize) -> Result<Delivery> {
        let message = Message::new(Bytes::from_static(&[b'x'; VALUE]));
        let at = self.client.at(self.now);
        Ok(match &self.writers[..] {
            [writer] => writer.try_send(at, message.topic(topic(n)))?,
            writers => writers[n].try_send(at, message)?,
        })
    }

    /// Goes on until nothing moves, nor will at a later time that matters.
    fn settle(&mut self) -> Result<()> {
        let mut idle = 0;
        while idle < 3 {
            if self.turn()? {
                idle = 0;
                continue;
            }
            idle += 1;
            self.now.time += Duration::from_millis(200);
            let begun = Instant::now();
            self.client.handle_input(self.now, Input::Timeout);
            self.spent += begun.elapsed();
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<bool> {
        let mut has_moved = false;
        while let Some(action) = self.client.poll_action() {
            has_moved = true;
            self.carry_out(action);
        }
        let wires: Vec<ConnId> = self.wires.keys().copied().collect();
        for conn in wires {
            let begun = Instant::now();
            has_moved |= self.transmit(conn)?;
            self.spent += begun.elapsed();
            let answers = self.answers(conn)?;
            let begun = Instant::now();
            self.receive(conn, &answers)?;
            self.spent += begun.elapsed();
        }
        while let Some(event) = self.client.poll_event() {
            if let Event::Notify(notify) = event {
                notify.notify();
            }
        }
        Ok(has_moved)
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Connect { conn, link: config, .. } => {
                let (inbound, outbound) = link(config);
                self.wires.insert(conn, Wire { inbound, outbound, sent: Vec::new() });
                self.client.handle_input(self.now, Input::Accepted(conn));
            }
            Action::Close(conn) => {
                let Some(mut wire) = self.wires.remove(&conn) else { return };
                let error = kafka_core::ConnectionError::ClosedByClient;
                let unanswered = wire.inbound.finish();
                self.client.handle_input(self.now, Input::Closed { conn, error, unanswered });
            }
            Action::Run(job) => self.client.handle_input(self.now, Input::JobDone(job.run())),
        }
    }

    /// Requests become bytes.
    fn transmit(&mut self, conn: ConnId) -> Result<bool> {
        let Some(Wire { outbound, sent, .. }) = self.wires.get_mut(&conn) else { return Ok(false) };
        let before = sent.len();
        while outbound.poll_setup()? {
            let Some(transmit) = self.client.poll_transmit(self.now, conn) else { break };
            outbound.queue(transmit)?;
            take(outbound, sent);
        }
        take(outbound, sent);
        Ok(sent.len() > before)
    }

    /// What the broker answers to all that was sent: the part that is not the client's.
    fn answers(&mut self, conn: ConnId) -> Result<Vec<u8>> {
        let mut answers = Vec::new();
        let Some(wire) = self.wires.get_mut(&conn) else { return Ok(answers) };
        let sent = Bytes::from(std::mem::take(&mut wire.sent));
        let mut at = 0;
        while let Some(length) = sent.get(at..).and_then(|rest| rest.first_chunk()) {
            let end = at + 4 + u32::from_be_bytes(*length) as usize;
            let (header, request) = frame::decode_request(&sent.slice(at + 4..end))?;
            let version = header.request_api_version;
            answers
                .extend(frame::encode_response(header.correlation_id, version, &answer(request))?.concat());
            at = end;
        }
        Ok(answers)
    }

    /// Bytes become responses.
    fn receive(&mut self, conn: ConnId, mut bytes: &[u8]) -> Result<()> {
        let Some(Wire { inbound, .. }) = self.wires.get_mut(&conn) else { return Ok(()) };
        while !bytes.is_empty() {
            let room = inbound.room();
            let len = room.len().min(bytes.len());
            room[..len].copy_from_slice(&bytes[..len]);
            bytes = &bytes[len..];
            inbound.received(len);
            while let Some(received) = inbound.poll()? {
                if let Some(input) = received.into_input(conn) {
                    self.client.handle_input(self.now, input);
                }
            }
        }
        Ok(())
    }
}

fn topic(n: usize) -> Str {
    Str::from(format!("orders-{n:04}"))
}

/// The socket takes all.
fn take(outbound: &mut LinkOutbound, sent: &mut Vec<u8>) {
    while !outbound.is_empty() {
        let mut slices = [IoSlice::new(&[]); 64];
        let count = outbound.slices(&mut slices);
        let before = sent.len();
        slices[..count].iter().for_each(|slice| sent.extend_from_slice(slice));
        let len = sent.len() - before;
        outbound.written(len);
    }
}

fn answer(request: RequestKind) -> ResponseKind {
    match request {
        RequestKind::ApiVersions(_) => {
            let range = |api: ApiKey| ApiVersion {
                api_key: api.code(),
                min_version: api.versions().min,
                max_version: api.latest_stable(),
                ..ApiVersion::default()
            };
            ApiVersionsResponse { api_keys: ApiKey::ALL.map(range).to_vec(), ..Default::default() }.into()
        }
        RequestKind::Metadata(request) => {
            let names = request.topics.unwrap_or_default().into_iter().filter_map(|topic| topic.name);
            let broker = MetadataResponseBroker {
                node_id: 1,
                host: "broker".into(),
                port: 9092,
                ..Default::default()
            };
            MetadataResponse {
                brokers: vec![broker],
                cluster_id: Some("c".into()),
                controller_id: 1,
                topics: names.map(described).collect(),
                ..Default::default()
            }
            .into()
        }
        RequestKind::InitProducerId(_) => {
            InitProducerIdResponse { producer_id: 7, ..Default::default() }.into()
        }
        RequestKind::Produce(request) => {
            let partition = |index| PartitionProduceResponse { index, ..Default::default() };
            let topics = request.topic_data.into_iter().map(|topic| TopicProduceResponse {
                name: topic.name,
                topic_id: topic.topic_id,
                partition_responses: topic.partition_data.iter().map(|p| partition(p.index)).collect(),
                ..Default::default()
            });
            ProduceResponse { responses: topics.collect(), ..Default::default() }.into()
        }
        other => panic!("{other:?}"),
    }
}

fn described(name: Str) -> MetadataResponseTopic {
    let mut id = [7; 16];
    id[..name.len().min(16)].copy_from_slice(&name.as_bytes()[..name.len().min(16)]);
    let partition = MetadataResponsePartition {
        partition_index: 0,
        leader_id: 1,
        leader_epoch: 0,
        replica_nodes: [1].into_iter().collect(),
        isr_nodes: [1].into_iter().collect(),
        ..Default::default()
    };
    MetadataResponseTopic {
        name: Some(name),
        topic_id: Uuid(id),
        partitions: vec![partition],
        ..Default::default()
    }
}
