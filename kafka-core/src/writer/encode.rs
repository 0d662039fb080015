//! A Produce request out of batches: compressed, sealed and checksummed in the connection's task, outside all locks.

use super::accumulator::Accumulator;
use super::batch::Batch;
use crate::error::{Error, ErrorKind};
use crate::link::{Answering, Exchange};
use crate::machine::TOPIC_IDS_SINCE;
use kafka_proto::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_proto::records::{BatchBody, Compression, ProducerStamp};
use kafka_proto::wire::Records;
use kafka_proto::{ApiKey, RequestKind, Str, Uuid};
use std::sync::Arc;

/// Before this version records are message sets, which have no headers, producer ids and sequences (0.11).
pub(crate) const BATCHES: i16 = 3;
/// Zstandard needs this version (KIP-110).
const ZSTD: i16 = 7;

/// A Produce request before it is encoded.
#[derive(Debug)]
pub(crate) struct Produce {
    /// -1 all in-sync replicas, 1 the leader, 0 no answer.
    pub(crate) acks: i16,
    /// How long the broker may wait for the replicas, in ms.
    pub(crate) timeout_ms: i32,
    /// Its batches have sequences, for which brokers before 2.8 look for a right of its own.
    pub(crate) is_idempotent: bool,
    /// One batch a partition.
    pub(crate) batches: Vec<ProduceBatch>,
    /// The batches before compression.
    pub(crate) bytes: usize,
    /// No further batch is added that makes it larger.
    pub(crate) most_bytes: usize,
}

impl Produce {
    /// Whether a topic's id is not known, so that the request has to name it.
    pub(crate) fn needs_names(&self) -> bool {
        self.batches.iter().any(|batch| batch.topic_id.is_zero())
    }

    /// Whether another batch may find room.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes < self.most_bytes
    }
}

impl Exchange for Produce {
    fn api(&self) -> ApiKey {
        ApiKey::Produce
    }

    fn into_request(self: Box<Self>, version: i16) -> Result<(RequestKind, Answering), Error> {
        let answering = if self.acks == 0 { Answering::Nothing } else { Answering::Lifted };
        Ok((RequestKind::Produce(produce_request(*self, version)?), answering))
    }
}

/// A batch as it is handed out.
#[derive(Debug)]
pub(crate) struct ProduceBatch {
    batch: Arc<Batch>,
    topic_id: Uuid,
    stamp: ProducerStamp,
    compression: Compression,
    level: Option<i32>,
}

impl ProduceBatch {
    pub(crate) fn new(
        accumulator: &Accumulator,
        batch: Arc<Batch>,
        topic_id: Uuid,
        stamp: ProducerStamp,
    ) -> Self {
        let (compression, level) = (accumulator.config.compression, accumulator.config.compression_level);
        Self { batch, topic_id, stamp, compression, level }
    }

    pub(crate) fn topic(&self) -> &Str {
        &self.batch.topic
    }

    pub(crate) fn topic_id(&self) -> Uuid {
        self.topic_id
    }

    pub(crate) fn partition(&self) -> i32 {
        self.batch.partition
    }
}

/// Compresses a batch's records, if they are to be; kept for retries.
pub(crate) fn pack(batch: &Batch, compression: Compression, level: Option<i32>) -> Result<&BatchBody, Error> {
    if compression == Compression::None {
        return Ok(batch.body());
    }
    batch.packed(|body| {
        body.compress(compression, level)
            .map_err(|e| Error::new(ErrorKind::Encode(e.to_string())).with_api(ApiKey::Produce))
    })
}

/// Builds the request of a version.
///
/// # Errors
/// A batch cannot be compressed, or the version cannot carry it.
fn produce_request(produce: Produce, version: i16) -> Result<ProduceRequest, Error> {
    let mut topics: Vec<TopicProduceData> = Vec::new();
    let mut batches = produce.batches;
    // Mostly of one topic, and in order already.
    batches.sort_by(|a, b| (a.topic(), a.topic_id).cmp(&(b.topic(), b.topic_id)));
    for batch in batches {
        let records = records(&batch, version)?;
        let data = PartitionProduceData {
            index: batch.batch.partition,
            records: Some(records),
            ..Default::default()
        };
        let is_same = |t: &&mut TopicProduceData| t.name == *batch.topic() && t.topic_id == batch.topic_id;
        match topics.last_mut().filter(is_same) {
            Some(topic) => topic.partition_data.push(data),
            None => topics.push(TopicProduceData {
                name: batch.batch.topic.clone(),
                topic_id: batch.topic_id,
                partition_data: vec![data],
                ..Default::default()
            }),
        }
    }
    if version < TOPIC_IDS_SINCE {
        topics.iter_mut().for_each(|t| t.topic_id = Uuid::ZERO);
    }
    let (acks, timeout_ms) = (produce.acks, produce.timeout_ms);
    Ok(ProduceRequest { acks, timeout_ms, topic_data: topics, ..ProduceRequest::default() })
}

fn records(batch: &ProduceBatch, version: i16) -> Result<Records, Error> {
    if batch.compression == Compression::Zstd && version < ZSTD {
        let kind = ErrorKind::Unsupported { feature: "zstd compression", needs: "Kafka 2.1" };
        return Err(Error::new(kind).with_topic(&batch.batch.topic));
    }
    let body = pack(&batch.batch, batch.compression, batch.level)?;
    if version >= BATCHES {
        return Ok(body.seal(batch.stamp));
    }
    let magic = u8::from(version == 2);
    body.to_message_set(magic)
        .map_err(|e| Error::new(ErrorKind::Encode(e.to_string())).with_topic(&batch.batch.topic))
}
