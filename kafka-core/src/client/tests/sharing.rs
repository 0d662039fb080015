//! Writers whose batches for a broker leave in one request.

use super::*;
use crate::link::RequestId;
use crate::message::Message;
use crate::sans_io::Writer;
use crate::writer::{Acks, Delivery, Idempotence, WriterConfig};
use kafka_proto::Bytes;
use kafka_proto::messages::init_producer_id::InitProducerIdResponse;
use kafka_proto::messages::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};

/// A request as the broker sees it.
struct Produced {
    conn: ConnId,
    id: RequestId,
    request: ProduceRequest,
}

impl Produced {
    /// Topics and partitions, as the request has them.
    fn partitions(&self) -> Vec<(&str, i32)> {
        let of = |topic: &'_ kafka_proto::messages::produce::TopicProduceData| {
            topic.partition_data.iter().map(|p| p.index).collect::<Vec<_>>()
        };
        let topics = self.request.topic_data.iter();
        topics.flat_map(|topic| of(topic).into_iter().map(|p| (&*topic.name, p))).collect()
    }

    /// Each partition has this code, or is left out; the last first.
    fn answer(&self, code_of: impl Fn(&str) -> Option<ErrorCode>) -> ProduceResponse {
        let topics = self.request.topic_data.iter().rev().filter_map(|topic| {
            let error_code = code_of(&topic.name)?.code();
            let partition = |index| PartitionProduceResponse {
                index,
                error_code,
                base_offset: 100 + i64::from(index),
                ..Default::default()
            };
            Some(TopicProduceResponse {
                name: if topic.topic_id.is_zero() { topic.name.clone() } else { Str::new() },
                topic_id: topic.topic_id,
                partition_responses: topic.partition_data.iter().map(|p| partition(p.index)).collect(),
                ..Default::default()
            })
        });
        ProduceResponse { responses: topics.collect(), ..Default::default() }
    }
}

fn net(topics: &[&str]) -> Net {
    net_of(Net::new(), topics)
}

fn net_of(net: Net, topics: &[&str]) -> Net {
    let mut net = net.connect();
    net.topics = (1..)
        .zip(topics)
        .map(|(id, name)| MetadataResponseTopic { topic_id: Uuid([id; 16]), ..topic(name, 1, 0) })
        .collect();
    for name in topics {
        net.client.want_topic(net.now, &Str::from(*name));
    }
    net.settle();
    net
}

fn config(topic: &str) -> WriterConfig {
    WriterConfig { topic: Some(topic.into()), idempotence: Idempotence::Off, ..WriterConfig::default() }
}

fn send(net: &mut Net, writer: &Writer, value: &'static str) -> Delivery {
    let message = Message::new(Bytes::from_static(value.as_bytes()));
    writer.try_send(net.client.at(net.now), message).unwrap()
}

/// A writer a topic, each with a message.
fn written(net: &mut Net, topics: &[&str]) -> (Vec<Writer>, Vec<Delivery>) {
    let made = topics.iter().map(|topic| Writer::new(net.client.at(net.now), config(topic)).unwrap());
    let writers: Vec<_> = made.collect();
    let deliveries = writers.iter().map(|writer| send(net, writer, "x")).collect();
    (writers, deliveries)
}

/// Connects, and takes what goes to brokers.
fn produced(net: &mut Net) -> Vec<Produced> {
    let mut found = Vec::new();
    loop {
        while net.client.poll_event().is_some() {}
        if let Some(action) = net.client.poll_action() {
            net.act(action);
            continue;
        }
        let conns: Vec<ConnId> = net.conns.keys().copied().collect();
        let next = |conn: &ConnId| net.client.poll_transmit(net.now, *conn).map(|t| (*conn, t));
        let Some((conn, transmit)) = conns.iter().find_map(next) else { return found };
        let produce = match transmit.payload {
            Payload::Built(produce) => produce,
            Payload::Plain(request) if matches!(*request, RequestKind::InitProducerId(_)) => {
                let response = InitProducerIdResponse { producer_id: 7, ..Default::default() };
                answer(net, conn, transmit.id, response);
                continue;
            }
            other => panic!("{other:?}"),
        };
        let (request, _) = produce.into_request(transmit.version).unwrap();
        let RequestKind::Produce(request) = request else { panic!("{request:?}") };
        found.push(Produced { conn, id: transmit.id, request });
    }
}

fn answer(net: &mut Net, conn: ConnId, id: RequestId, response: impl Into<ResponseKind>) {
    let response = Answered::Plain(Box::new(response.into()));
    net.input(Input::Response { conn, id, response, throttle: Duration::ZERO });
}

#[test]
fn writers_share_a_request_and_each_has_its_part_of_the_answer() {
    let by_name = Net::new();
    let by_id = Net { transaction_version: 2, ..Net::new() };
    for net in [by_name, by_id] {
        share(net);
    }
}

fn share(net: Net) {
    let names = ["a", "b", "c"];
    let by_id = net.transaction_version > 0;
    let mut net = net_of(net, &names);
    let (_writers, deliveries) = written(&mut net, &names);
    let requests = produced(&mut net);
    let [request] = &requests[..] else { panic!("{} requests", requests.len()) };
    assert_eq!(request.partitions(), [("a", 0), ("b", 0), ("c", 0)]);
    assert!(request.request.topic_data.iter().all(|topic| topic.topic_id.is_zero() != by_id));
    // One is given up, and one is not told of, so that it is sent again.
    let code = |name: &str| match name {
        "a" => Some(ErrorCode::None),
        "b" => Some(ErrorCode::InvalidRecord),
        _ => None,
    };
    answer(&mut net, request.conn, request.id, request.answer(code));
    assert_eq!(deliveries[0].try_get().unwrap().unwrap().offset, Some(100));
    let failed = deliveries[1].try_get().unwrap().unwrap_err();
    assert_eq!(failed.error.code(), Some(ErrorCode::InvalidRecord));
    assert!(deliveries[2].try_get().is_none());
    net.now.time += Duration::from_secs(2);
    net.input(Input::Timeout);
    let again = produced(&mut net);
    assert_eq!(again[0].partitions(), [("c", 0)]);
    answer(&mut net, again[0].conn, again[0].id, again[0].answer(|_| Some(ErrorCode::None)));
    assert!(deliveries[2].try_get().unwrap().is_ok() && net.client.is_quiescent());
}

/// The broker would take one of two batches of a partition, and answer once.
#[test]
fn a_partition_stands_in_a_request_once() {
    let mut net = net(&["a", "b"]);
    let (_writers, deliveries) = written(&mut net, &["a", "a", "b"]);
    let requests = produced(&mut net);
    let partitions: Vec<_> = requests.iter().map(Produced::partitions).collect();
    assert_eq!(partitions, [vec![("a", 0), ("b", 0)], vec![("a", 0)]]);
    for request in &requests {
        answer(&mut net, request.conn, request.id, request.answer(|_| Some(ErrorCode::None)));
    }
    assert!(deliveries.iter().all(|delivery| delivery.try_get().unwrap().is_ok()));
}

#[test]
fn what_is_not_alike_is_not_in_one_request() {
    let mut net = net(&["a", "b"]);
    let leader =
        Writer::new(net.client.at(net.now), WriterConfig { acks: Acks::One, ..config("a") }).unwrap();
    let all = Writer::new(net.client.at(net.now), config("b")).unwrap();
    let _deliveries = [send(&mut net, &leader, "x"), send(&mut net, &all, "x")];
    let acks: Vec<_> = produced(&mut net).iter().map(|produced| produced.request.acks).collect();
    assert_eq!(acks, [1, -1]);
}

/// A broker that refuses the right to write idempotently refuses the request as a whole (before 2.8).
#[test]
fn what_has_sequences_is_in_no_request_with_what_has_none() {
    let mut net = net(&["a", "b", "c"]);
    let idempotent = WriterConfig { idempotence: Idempotence::Required, ..config("b") };
    let configs = [config("a"), idempotent, config("c")];
    let writers = configs.map(|config| Writer::new(net.client.at(net.now), config).unwrap());
    // Its producer id is known from now on.
    let _first = send(&mut net, &writers[1], "x");
    let first = produced(&mut net).remove(0);
    answer(&mut net, first.conn, first.id, first.answer(|_| Some(ErrorCode::None)));
    let _deliveries = writers.each_ref().map(|writer| send(&mut net, writer, "x"));
    let requests = produced(&mut net);
    let partitions: Vec<_> = requests.iter().map(Produced::partitions).collect();
    assert_eq!(partitions, [vec![("a", 0), ("c", 0)], vec![("b", 0)]]);
}

#[test]
fn a_request_is_no_larger_than_any_of_its_writers_allows() {
    let mut net = net(&["a", "b", "c"]);
    let small = WriterConfig { request_bytes: 1024, batch_bytes: 1024, ..config("b") };
    let writers =
        [config("a"), small, config("c")].map(|config| Writer::new(net.client.at(net.now), config).unwrap());
    let value: &'static str = "x".repeat(700).leak();
    let _deliveries = writers.each_ref().map(|writer| send(&mut net, writer, value));
    let requests = produced(&mut net);
    let partitions: Vec<_> = requests.iter().map(Produced::partitions).collect();
    assert_eq!(partitions, [vec![("a", 0), ("c", 0)], vec![("b", 0)]]);
}

#[test]
fn a_shared_request_that_is_lost_is_lost_for_each_of_its_writers() {
    for taken in [false, true] {
        let mut net = net(&["a", "b"]);
        let (writers, deliveries) = written(&mut net, &["a", "b"]);
        let requests = produced(&mut net);
        let unanswered = vec![Unanswered { id: requests[0].id, taken }];
        net.input(Input::Closed {
            conn: requests[0].conn,
            error: ConnectionError::ClosedUnanswered,
            unanswered,
        });
        net.conns.remove(&requests[0].conn);
        for (writer, delivery) in writers.iter().zip(&deliveries) {
            assert!(delivery.try_get().is_none(), "it is tried again");
            writer.abort(net.client.at(net.now));
            let error = delivery.try_get().unwrap().unwrap_err();
            assert_eq!(error.fate == crate::error::Fate::PossiblyWritten, taken);
        }
    }
}

#[test]
fn a_writer_that_ends_leaves_its_part_to_nobody() {
    let mut net = net(&["a", "b"]);
    let (writers, deliveries) = written(&mut net, &["a", "b"]);
    let requests = produced(&mut net);
    writers[0].abort(net.client.at(net.now));
    answer(&mut net, requests[0].conn, requests[0].id, requests[0].answer(|_| Some(ErrorCode::None)));
    assert!(deliveries[0].try_get().unwrap().is_err());
    assert!(deliveries[1].try_get().unwrap().is_ok());
    assert!(net.client.is_quiescent());
}
