//! The producer by hand: records in, requests out, answers as a broker would give them. No client, no socket, no clock.

mod anew;
mod chunks;
mod items;
mod order;
mod outcomes;
mod scale;
mod sequences;
mod tickets;
mod timing;

use super::accumulator::{Accumulator, Clock, TopicSlots, Waited};
use super::batch::{Delivered, Delivery, SendError};
use super::config::WriterConfig;
use super::encode::Produce;
use super::producer::Producer;
use super::work::JobDone;
use crate::error::{ConnectionError, Error};
use crate::link::{Exchange, RequestId};
use crate::machine::{Answer, Now, Out, Pace, Peer, Time};
use crate::message::Message;
use crate::snapshot::{Cluster, Partition, Topic};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::init_producer_id::InitProducerIdResponse;
use kafka_proto::messages::produce::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use kafka_proto::records::{Batch, batches};
use kafka_proto::{RequestKind, Str, Uuid};
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

const BROKER: i32 = 1;
const PACE: Pace = Pace {
    request_timeout: Duration::from_secs(30),
    retry_backoff: Duration::from_millis(100),
    retry_backoff_max: Duration::from_secs(1),
    metadata_max_age: Duration::from_secs(300),
};

pub(super) struct Harness {
    pub(super) now: Now,
    pub(super) producer: Producer,
    accumulator: Arc<Accumulator>,
    topic: Arc<TopicSlots>,
    next: u64,
}

/// A request as the broker sees it.
pub(super) struct Request {
    pub(super) id: RequestId,
    /// Partition and batch, sealed.
    pub(super) batches: Vec<(i32, Batch)>,
}

impl Request {
    /// Partition, producer epoch, base sequence, records of each batch.
    pub(super) fn stamps(&self) -> Vec<(i32, i16, i32, u32)> {
        let stamp = |(p, b): &(i32, Batch)| {
            (*p, b.producer_epoch(), b.base_sequence(), b.record_count().unwrap_or(0))
        };
        self.batches.iter().map(stamp).collect()
    }
}

impl Harness {
    /// A producer that the broker knows in every partition.
    pub(super) fn new(partitions: i32, config: WriterConfig) -> Self {
        let mut harness = Self::unknown_to_the_broker(partitions, config);
        harness
            .producer
            .partitions
            .iter_mut()
            .for_each(|partition| partition.sequences_mut().introduce(7, BROKER));
        harness
    }

    pub(super) fn unknown_to_the_broker(partitions: i32, config: WriterConfig) -> Self {
        let mut harness = Self::without_identity(partitions, config);
        harness.give_identity(7, 0);
        harness
    }

    pub(super) fn without_identity(partitions: i32, config: WriterConfig) -> Self {
        let now = Now { time: Time::now_for_tests(), wall_ms: 1_000 };
        let accumulator = Arc::new(Accumulator::new(config));
        let mut producer = Producer::new(accumulator.clone(), PACE, 1);
        let topic = producer.update_topic(now, &topic(partitions, Some(BROKER)), true);
        Self { now, producer, accumulator, topic, next: 0 }
    }

    pub(super) fn give_identity(&mut self, id: i64, epoch: i16) {
        if self.producer.poll_ask().is_some() {
            let response =
                InitProducerIdResponse { producer_id: id, producer_epoch: epoch, ..Default::default() };
            let answer = Answer { tag: 0, peer: Some(Peer::Node(BROKER)), result: Ok(response.into()) };
            self.producer.handle_answer(self.now, answer);
        }
    }

    /// These records of partition 0 in one batch, which gathered while another was on its way.
    pub(super) fn gather<const N: usize>(&mut self, values: [&str; N]) -> ([Delivery; N], Request) {
        drop(self.send(0, "first"));
        let first = self.poll().unwrap();
        let sent = values.map(|value| self.send(0, value));
        self.answer(&first, &[(ErrorCode::None, 0)]);
        (sent, self.poll().unwrap())
    }

    pub(super) fn refuse_identity(&mut self, code: ErrorCode) {
        assert!(self.producer.poll_ask().is_some());
        let response = InitProducerIdResponse { error_code: code.code(), ..Default::default() };
        let answer = Answer { tag: 0, peer: Some(Peer::Node(BROKER)), result: Ok(response.into()) };
        self.producer.handle_answer(self.now, answer);
    }

    pub(super) fn send(&mut self, partition: usize, value: &str) -> Delivery {
        self.send_by(self.now, partition, value)
    }

    /// A record is taken that has waited for so long.
    pub(super) fn send_waited(&mut self, partition: usize, waited: Duration) -> Delivery {
        let since = self.now.time - waited;
        self.send_by(Waited { clock: self.now, since }, partition, "waited")
    }

    fn send_by(&mut self, clock: impl Clock, partition: usize, value: &str) -> Delivery {
        let slot = self.topic.slot(partition).unwrap();
        let message = Message::new(value.to_owned()).key("k");
        let (appended, delivery) = self.accumulator.append(clock, &self.topic, &slot, &message, 0);
        if appended.opened || appended.filled || appended.aged {
            self.producer.appended(self.now, slot.index, appended.opened);
        }
        delivery.unwrap()
    }

    pub(super) fn poll(&mut self) -> Option<Request> {
        self.poll_from(BROKER)
    }

    pub(super) fn poll_from(&mut self, broker: i32) -> Option<Request> {
        self.poll_version(broker, 9)
    }

    /// What is sent once its time has come.
    pub(super) fn poll_later(&mut self, broker: i32) -> Request {
        loop {
            match self.poll_from(broker) {
                Some(request) => return request,
                None => self.next_deadline(),
            }
        }
    }

    pub(super) fn poll_version(&mut self, broker: i32, version: i16) -> Option<Request> {
        self.next += 1;
        let id = RequestId(self.next);
        let produce: Produce = self.producer.poll_produce(self.now, id, broker, version)?;
        let (request, _) = Box::new(produce).into_request(version).unwrap();
        let RequestKind::Produce(request) = request else { panic!("{request:?}") };
        let mut found = Vec::new();
        for topic in request.topic_data {
            for data in topic.partition_data {
                let bytes = data.records.unwrap().into_bytes();
                found.push((data.index, batches(bytes).next().unwrap().unwrap()));
            }
        }
        Some(Request { id, batches: found })
    }

    /// Answers, and does the work that comes of it.
    pub(super) fn answer(&mut self, request: &Request, codes: &[(ErrorCode, i64)]) {
        self.answer_only(request, codes);
        self.work();
    }

    /// Does what is to be done outside of the lock; how much there was.
    pub(super) fn work(&mut self) -> usize {
        let mut done = 0;
        while let Some(Out::Work(work)) = self.producer.effects.take(|out| matches!(out, Out::Work(_))) {
            let job = (work.run() as Box<dyn Any>).downcast::<JobDone>().expect("a writer's work");
            self.producer.work_done(self.now, job.partition, job.worked);
            done += 1;
        }
        done
    }

    pub(super) fn answer_only(&mut self, request: &Request, codes: &[(ErrorCode, i64)]) {
        let told =
            request.batches.iter().zip(codes).map(|((index, _), (code, offset))| PartitionProduceResponse {
                index: *index,
                error_code: code.code(),
                base_offset: *offset,
                ..PartitionProduceResponse::default()
            });
        let topic = TopicProduceResponse {
            name: Str::from("t"),
            partition_responses: told.collect(),
            ..TopicProduceResponse::default()
        };
        let response = ProduceResponse { responses: vec![topic], ..ProduceResponse::default() };
        self.producer.produced(self.now, &Cluster::default(), request.id, response);
    }

    pub(super) fn lose(&mut self, request: &Request, taken: bool) {
        let error = Error::from(ConnectionError::Lost("reset".into()));
        self.producer.failed(self.now, request.id, &error, taken);
    }

    /// The connection ends with the request unanswered.
    pub(super) fn end(&mut self, request: &Request, error: ConnectionError) {
        self.producer.failed(self.now, request.id, &error.into(), true);
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now.time += time;
        self.producer.handle_timeout(self.now);
    }

    /// Goes on to the producer's next deadline.
    pub(super) fn next_deadline(&mut self) {
        let at = self.producer.poll_timeout().expect("something is to happen");
        self.now.time = self.now.time.max(at);
        self.producer.handle_timeout(self.now);
    }

    /// Metadata tells another id and count of partitions.
    pub(super) fn make_anew(&mut self, id: u128, partitions: i32) {
        self.update(&Topic { id: Uuid(id.to_be_bytes()), ..topic(partitions, Some(BROKER)) });
    }

    pub(super) fn update(&mut self, topic: &Topic) {
        self.topic = self.producer.update_topic(self.now, topic, true);
    }

    pub(super) fn move_leader(&mut self, partitions: i32, leader: Option<i32>) {
        self.producer.update_topic(self.now, &topic(partitions, leader), true);
    }
}

pub(super) fn topic(partitions: i32, leader: Option<i32>) -> Topic {
    let partition =
        |_| Partition { leader, leader_epoch: Some(0), replicas: vec![1], isr: vec![1], offline: Vec::new() };
    Topic {
        name: Str::from("t"),
        id: Uuid::ZERO,
        is_internal: false,
        partitions: (0..partitions).map(partition).collect(),
    }
}

pub(super) fn acked(delivery: &Delivery) -> i64 {
    match delivery.try_get() {
        Some(Ok(Delivered { offset, .. })) => offset.unwrap_or(-1),
        other => panic!("not acknowledged: {other:?}"),
    }
}

pub(super) fn failed(delivery: &Delivery) -> SendError {
    match delivery.try_get() {
        Some(Err(error)) => error,
        other => panic!("not failed: {other:?}"),
    }
}

trait TestClock {
    fn now_for_tests() -> Time;
}

impl TestClock for Time {
    fn now_for_tests() -> Time {
        Time::after_start(Duration::from_secs(1000))
    }
}
