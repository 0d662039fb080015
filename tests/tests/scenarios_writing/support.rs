//! What the scenarios share: simulations, and what was sent and logged.

use kafka_core::{Delivery, Manual, Message, WriterBuilder};
use kafka_proto::records::{Batch, batches};
use kafka_proto::{ApiKey, Bytes, RequestKind};
use kafka_testkit::sim::{SimClient, Simulation};
use std::time::Duration;

#[path = "../simulated/mod.rs"]
mod simulated;
pub(crate) use simulated::{ms, secs, three_nodes};

/// A writer to `t` each of whose records is a batch, so that several are in flight.
pub(crate) fn one_by_one(client: &SimClient) -> WriterBuilder {
    client.writer("t").batch_messages(1).linger(Duration::ZERO).balancer(Manual)
}

pub(crate) fn to(partition: i32, value: impl Into<Bytes>) -> Message {
    Message::new(value).partition(partition)
}

/// The values in a partition's log.
pub(crate) fn logged(sim: &Simulation, topic: &str, partition: i32) -> Vec<String> {
    sim.log(topic, partition).into_iter().map(|record| text(record.value.as_deref())).collect()
}

pub(crate) fn text(value: Option<&[u8]>) -> String {
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

/// A batch as a node got it.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) at: Duration,
    pub(crate) node: i32,
    pub(crate) batch: Batch,
}

/// All batches in the Produce requests that were recorded.
pub(crate) fn written(sim: &Simulation) -> Vec<Written> {
    let mut all = Vec::new();
    for asked in sim.recorded(ApiKey::Produce) {
        let RequestKind::Produce(request) = asked.request() else { panic!("{asked:?}") };
        for data in request.topic_data.into_iter().flat_map(|topic| topic.partition_data) {
            let records = data.records.unwrap_or_default().into_bytes();
            let (at, node) = (asked.at, asked.node);
            all.extend(batches(records).map(|batch| Written { at, node, batch: batch.unwrap() }));
        }
    }
    all
}

/// All have an outcome, and it is the offset.
pub(crate) async fn acked(deliveries: Vec<Delivery>) -> Vec<i64> {
    let mut offsets = Vec::new();
    for delivery in deliveries {
        offsets.push(delivery.await.unwrap().offset.unwrap());
    }
    offsets
}

/// Numbers as text, as they are written and logged.
pub(crate) fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}
