use super::*;
use crate::data::{self, touch, touch_position};
use crate::harness::simple;
use ::kafka_protocol::messages::{
    FetchResponse, GroupId, HeartbeatRequest, HeartbeatResponse, MetadataResponse, ProduceRequest,
    RequestHeader, ResponseHeader, TopicName,
    fetch_response::{FetchableTopicResponse, PartitionData},
    metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic},
    produce_request::{PartitionProduceData, TopicProduceData},
};
use ::kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use ::kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use bytes::{Buf, BufMut, BytesMut};
use std::hint::black_box;
use uuid::Uuid;

pub fn peer() -> Peer {
    Peer {
        name: "kafka-protocol",
        decode,
        encode,
        metadata_version: 13,
        metadata_decode: meta_dec,
        metadata_encode: Some(meta_enc),
        fetch_version: 18,
        fetch_lazy: Some(fetch_lazy),
        fetch_full,
        produce_version: 13,
        produce_records,
        heartbeat_decode: Some(heartbeat_decode),
        heartbeat_encode: Some(heartbeat_encode),
    }
}

#[inline(always)]
fn fold(mut acc: u64, recs: &[Record]) -> u64 {
    for r in recs {
        acc = touch_position(acc, r.timestamp - data::BASE_TS, r.offset);
        acc = touch(acc, r.key.as_deref().unwrap_or_default());
        acc = touch(acc, r.value.as_deref().unwrap_or_default());
        for (k, v) in &r.headers {
            acc = touch(acc, k.as_bytes());
            acc = touch(acc, v.as_deref().unwrap_or_default());
        }
    }
    acc
}

fn decode(b: &Bytes) -> Res<u64> {
    let mut b = b.clone();
    let set = RecordBatchDecoder::decode(&mut b).map_err(s)?;
    Ok(fold(0, &set.records))
}

pub fn to_records(recs: &[Rec]) -> Vec<Record> {
    recs.iter()
        .map(|r| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: 0,
            producer_id: -1,
            producer_epoch: -1,
            timestamp_type: TimestampType::Creation,
            offset: r.offset_delta as i64,
            sequence: r.offset_delta,
            timestamp: data::BASE_TS + r.ts_delta,
            key: Some(r.key.clone()),
            value: Some(r.value.clone()),
            headers: r
                .headers
                .iter()
                .map(|(k, v)| (StrBytes::from_string(k.clone()), Some(v.clone())))
                .collect(),
        })
        .collect()
}

fn opts(c: Codec) -> RecordEncodeOptions {
    RecordEncodeOptions {
        version: 2,
        compression: match c {
            Codec::None => Compression::None,
            Codec::Gzip => Compression::Gzip,
            Codec::Snappy => Compression::Snappy,
            Codec::Lz4 => Compression::Lz4,
            Codec::Zstd => Compression::Zstd,
        },
    }
}

fn encode(recs: &[Rec], c: Codec) -> Res<Enc> {
    let recs = to_records(recs);
    let o = opts(c);
    let mut buf = BytesMut::new();
    RecordBatchEncoder::encode(&mut buf, &recs, &o).map_err(s)?;
    let once = buf.to_vec();
    Ok(Enc {
        once,
        run: simple(move || {
            buf.clear();
            RecordBatchEncoder::encode(&mut buf, &recs, &o).unwrap();
            buf.len()
        }),
    })
}

// ---------------------------------------------------------------- fixtures for all peers

pub fn metadata_value(v: i16) -> MetadataResponse {
    let brokers = (0..data::BROKERS)
        .map(|i| {
            MetadataResponseBroker::default()
                .with_node_id((i as i32 + 1).into())
                .with_host(StrBytes::from_string(format!("broker-{i}.kafka.internal")))
                .with_port(9092)
                .with_rack(Some(StrBytes::from_string(format!("rack-{}", i % 3))))
        })
        .collect();
    let topics = (0..data::TOPICS)
        .map(|t| {
            let parts = (0..data::PARTS)
                .map(|p| {
                    let reps = data::replicas(t, p);
                    MetadataResponsePartition::default()
                        .with_partition_index(p as i32)
                        .with_leader_id(data::leader(t, p).into())
                        .with_leader_epoch(if v >= 7 { 7 } else { -1 })
                        .with_replica_nodes(reps.iter().map(|&x| x.into()).collect())
                        .with_isr_nodes(reps.iter().map(|&x| x.into()).collect())
                })
                .collect();
            MetadataResponseTopic::default()
                .with_name(Some(TopicName(StrBytes::from_string(data::topic_name(t)))))
                .with_topic_id(if v >= 10 { Uuid::from_bytes(data::topic_id(t)) } else { Uuid::nil() })
                .with_partitions(parts)
        })
        .collect();
    let m =
        MetadataResponse::default().with_brokers(brokers).with_controller_id(1.into()).with_topics(topics);
    if v >= 2 { m.with_cluster_id(Some(StrBytes::from_static_str("5L6g3nShT-eMCtK--X86sw"))) } else { m }
}

pub fn metadata_wire(v: i16) -> Bytes {
    let mut buf = BytesMut::new();
    metadata_value(v).encode(&mut buf, v).unwrap();
    buf.freeze()
}

pub fn fetch_wire(v: i16, batches: &[Bytes]) -> Bytes {
    let parts = batches
        .iter()
        .enumerate()
        .map(|(i, b)| {
            PartitionData::default()
                .with_partition_index(i as i32)
                .with_high_watermark(1000)
                .with_last_stable_offset(1000)
                .with_log_start_offset(if v >= 5 { 0 } else { -1 })
                .with_aborted_transactions(Some(vec![]))
                .with_records(Some(b.clone()))
        })
        .collect();
    let topic = FetchableTopicResponse::default().with_partitions(parts);
    let topic = if v >= 13 {
        topic.with_topic_id(Uuid::from_bytes(data::topic_id(1)))
    } else {
        topic.with_topic(TopicName(StrBytes::from_string(data::topic_name(1))))
    };
    let mut buf = BytesMut::new();
    FetchResponse::default().with_responses(vec![topic]).encode(&mut buf, v).unwrap();
    buf.freeze()
}

/// Check a ProduceRequest body some peer encoded: every batch must decode to the given checksum.
pub fn check_produce(body: &[u8], v: i16, parts: usize, want: u64) -> Res<()> {
    let mut b = Bytes::copy_from_slice(body);
    let req = ProduceRequest::decode(&mut b, v).map_err(s)?;
    if !b.is_empty() {
        return Err(format!("{} bytes left over", b.len()));
    }
    let p = &req.topic_data[0].partition_data;
    if p.len() != parts {
        return Err(format!("{} partitions", p.len()));
    }
    let mut acc = 0u64;
    for x in p {
        acc = acc.wrapping_add(decode(x.records.as_ref().unwrap())?);
    }
    if acc == want { Ok(()) } else { Err("records differ".into()) }
}

pub fn check_metadata(body: &[u8], v: i16) -> Res<()> {
    let mut b = Bytes::copy_from_slice(body);
    let m = MetadataResponse::decode(&mut b, v).map_err(s)?;
    if !b.is_empty() {
        return Err(format!("{} bytes left over", b.len()));
    }
    if fold_meta(&m) == data::expected_metadata() { Ok(()) } else { Err("metadata differs".into()) }
}

// ---------------------------------------------------------------- messages

fn fold_meta(m: &MetadataResponse) -> u64 {
    let mut acc = 0u64;
    for t in &m.topics {
        acc += t.name.as_ref().map_or(0, |n| n.len()) as u64;
        for p in &t.partitions {
            acc += p.partition_index as u64 + p.leader_id.0 as u64;
            acc += p.replica_nodes.iter().map(|x| x.0 as u64).sum::<u64>();
            acc += p.isr_nodes.iter().map(|x| x.0 as u64).sum::<u64>();
        }
    }
    acc
}

fn meta_dec(b: &Bytes, v: i16) -> Res<u64> {
    let mut b = b.clone();
    Ok(fold_meta(&MetadataResponse::decode(&mut b, v).map_err(s)?))
}

fn meta_enc(_: &Bytes, v: i16) -> Res<Enc> {
    let m = metadata_value(v);
    let mut buf = BytesMut::new();
    m.encode(&mut buf, v).map_err(s)?;
    let once = buf.to_vec();
    Ok(Enc {
        once,
        run: simple(move || {
            buf.clear();
            m.encode(&mut buf, v).unwrap();
            buf.len()
        }),
    })
}

fn fetch_lazy(b: &Bytes, v: i16) -> Res<u64> {
    let mut b = b.clone();
    let f = FetchResponse::decode(&mut b, v).map_err(s)?;
    let mut acc = 0;
    for t in &f.responses {
        for p in &t.partitions {
            let r = p.records.as_ref().unwrap();
            acc += r.len() as u64 + r[16] as u64;
        }
    }
    Ok(acc)
}

fn fetch_full(b: &Bytes, v: i16) -> Res<u64> {
    let mut b = b.clone();
    let f = FetchResponse::decode(&mut b, v).map_err(s)?;
    let mut acc = 0;
    for t in f.responses {
        for p in t.partitions {
            let mut r = p.records.unwrap();
            while !r.is_empty() {
                let set = RecordBatchDecoder::decode(&mut r).map_err(s)?;
                acc = fold(acc, &set.records);
            }
        }
    }
    Ok(acc)
}

fn produce(v: i16, parts: impl Iterator<Item = Bytes>) -> ProduceRequest {
    let parts = parts
        .enumerate()
        .map(|(i, b)| PartitionProduceData::default().with_index(i as i32).with_records(Some(b)))
        .collect();
    let t = TopicProduceData::default().with_partition_data(parts);
    let t = if v >= 13 {
        t.with_topic_id(Uuid::from_bytes(data::topic_id(1)))
    } else {
        t.with_name(TopicName(StrBytes::from_string(data::topic_name(1))))
    };
    ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(vec![t])
}

fn produce_records(parts: &[Vec<Rec>], v: i16) -> Res<Enc> {
    fn go(parts: &[Vec<Record>], v: i16, scratch: &mut BytesMut, buf: &mut BytesMut) {
        scratch.reserve(2 << 20);
        buf.clear();
        let o = opts(Codec::None);
        let req = produce(
            v,
            parts.iter().map(|p| {
                RecordBatchEncoder::encode(scratch, p, &o).unwrap();
                scratch.split().freeze()
            }),
        );
        req.encode(buf, v).unwrap();
    }
    let parts: Vec<Vec<Record>> = parts.iter().map(|p| to_records(p)).collect();
    let mut scratch = BytesMut::new();
    let mut buf = BytesMut::new();
    go(&parts, v, &mut scratch, &mut buf);
    let once = buf.to_vec();
    Ok(Enc {
        once,
        run: simple(move || {
            go(&parts, v, &mut scratch, &mut buf);
            buf.len()
        }),
    })
}

// ---------------------------------------------------------------- heartbeats

fn heartbeat_decode(b: &Bytes) -> Res<u64> {
    let mut b = b.clone();
    let mut acc = 0;
    while !b.is_empty() {
        let len = b.get_i32() as usize;
        let mut frame = b.split_to(len);
        let header = ResponseHeader::decode(&mut frame, 1).map_err(s)?;
        let body = HeartbeatResponse::decode(&mut frame, 4).map_err(s)?;
        acc += header.correlation_id as u64 + body.throttle_time_ms as u64 + body.error_code as u64;
    }
    Ok(acc)
}

fn heartbeat_encode() -> Res<Enc> {
    fn go(id: i32, client: &StrBytes, body: &HeartbeatRequest, buf: &mut BytesMut) {
        buf.clear();
        buf.put_i32(0);
        let header = RequestHeader::default()
            .with_request_api_key(12)
            .with_request_api_version(4)
            .with_correlation_id(id)
            .with_client_id(Some(client.clone()));
        header.encode(buf, 2).unwrap();
        body.encode(buf, 4).unwrap();
        let len = buf.len() as i32 - 4;
        buf[..4].copy_from_slice(&len.to_be_bytes());
    }
    let client = StrBytes::from_static_str(data::CLIENT_ID);
    let body = HeartbeatRequest::default()
        .with_group_id(GroupId(StrBytes::from_static_str(data::GROUP)))
        .with_generation_id(data::GENERATION)
        .with_member_id(StrBytes::from_static_str(data::MEMBER));
    let mut buf = BytesMut::new();
    go(7, &client, &body, &mut buf);
    let once = buf.to_vec();
    Ok(Enc {
        once,
        run: simple(move || {
            for i in 0..data::FRAMES {
                go(i as i32, &client, black_box(&body), &mut buf);
                black_box(&buf);
            }
        }),
    })
}
