//! kafka-proto, used as kafka-core's writer uses it: batches are built in chunks of a pool, which expects each to be as
//! large as the one before; a message is in memory of its own. The peers' adapters keep their output buffer where their
//! API allows that.

use super::*;
use crate::data::{self, BASE_TS, touch, touch_position};
use crate::harness::simple;
use ::kafka_proto::messages::fetch::FetchResponse;
use ::kafka_proto::messages::heartbeat::HeartbeatRequest;
use ::kafka_proto::messages::metadata::MetadataResponse;
use ::kafka_proto::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ::kafka_proto::records::{BatchBuilder, ChunkPool, Compression, Header, ProducerStamp, batches};
use ::kafka_proto::wire::{Decoder, Encoder, Records};
use ::kafka_proto::{ApiKey, Message, RequestKind, ResponseKind, Str, Uuid, frame};
use bytes::Buf;
use std::hint::black_box;

pub const NAME: &str = "kafka-proto";

pub fn peer() -> Peer {
    Peer {
        name: NAME,
        decode: |b| walk(b.clone()),
        encode,
        metadata_version: 13,
        metadata_decode,
        metadata_encode: Some(metadata_encode),
        fetch_version: 18,
        fetch_lazy: Some(fetch_lazy),
        fetch_full,
        produce_version: 13,
        produce_records,
        heartbeat_decode: Some(heartbeat_decode),
        heartbeat_encode: Some(heartbeat_encode),
    }
}

/// Visits every record of a `records` field, checksums checked.
fn walk(records: Bytes) -> Res<u64> {
    let mut acc = 0;
    for batch in batches(records) {
        let batch = batch.map_err(s)?;
        batch.verify_crc().map_err(s)?;
        let mut records = batch.records(64 << 20).map_err(s)?;
        while let Some(record) = records.next_record() {
            let record = record.map_err(s)?;
            acc = touch_position(acc, record.timestamp - BASE_TS, record.offset);
            acc = touch(acc, record.key.unwrap_or_default());
            acc = touch(acc, record.value.unwrap_or_default());
            for header in record.headers() {
                let header = header.map_err(s)?;
                acc = touch(acc, header.key);
                acc = touch(acc, header.value.unwrap_or_default());
            }
        }
    }
    Ok(acc)
}

/// A record as an application hands it over.
struct Given {
    timestamp: i64,
    key: Bytes,
    value: Bytes,
    headers: Vec<Header>,
}

fn given(recs: &[Rec]) -> Vec<Given> {
    let header = |(key, value): &(String, Bytes)| Header::new(key.as_str(), value.clone());
    let one = |r: &Rec| Given {
        timestamp: BASE_TS + r.ts_delta,
        key: r.key.clone(),
        value: r.value.clone(),
        headers: r.headers.iter().map(header).collect(),
    };
    recs.iter().map(one).collect()
}

/// What a writer keeps from batch to batch.
struct Writer {
    chunks: ChunkPool,
    /// Bytes of the batch before.
    expected: usize,
}

impl Writer {
    fn new() -> Self {
        Writer { chunks: ChunkPool::new(4 << 20), expected: 0 }
    }

    fn seal(&mut self, recs: &[Given], codec: Compression) -> Records {
        let mut builder = BatchBuilder::with_pool(&self.chunks).expecting(self.expected);
        for r in recs {
            builder.append(r.timestamp, Some(&r.key), Some(&r.value), &r.headers).unwrap();
        }
        self.expected = builder.encoded_len() - 61;
        let body = builder.finish();
        match codec {
            Compression::None => body.seal(ProducerStamp::NONE),
            _ => body.compress(codec, None).unwrap().seal(ProducerStamp::NONE),
        }
    }
}

/// Ready to be sent means the segments of a vectored write: that is how batches go to the socket.
fn encode(recs: &[Rec], codec: Codec) -> Res<Enc> {
    let recs = given(recs);
    let codec = match codec {
        Codec::None => Compression::None,
        Codec::Gzip => Compression::Gzip,
        Codec::Snappy => Compression::Snappy,
        Codec::Lz4 => Compression::Lz4,
        Codec::Zstd => Compression::Zstd,
    };
    let mut writer = Writer::new();
    let once = writer.seal(&recs, codec).into_bytes().to_vec();
    Ok(Enc { once, run: simple(move || writer.seal(black_box(&recs), codec)) })
}

/// The same, and then copied into one piece, which no part of the client does.
pub fn encode_one_piece(recs: &[Rec]) -> Run {
    let recs = given(recs);
    let mut writer = Writer::new();
    simple(move || writer.seal(black_box(&recs), Compression::None).into_bytes())
}

fn metadata_decode(b: &Bytes, v: i16) -> Res<u64> {
    let m = MetadataResponse::decode(&mut Decoder::new(b), v).map_err(s)?;
    let mut acc = 0u64;
    for t in &m.topics {
        acc += t.name.as_ref().map_or(0, |n| n.len()) as u64;
        for p in &t.partitions {
            acc += p.partition_index as u64 + p.leader_id as u64;
            acc += p.replica_nodes.iter().map(|x| x as u64).sum::<u64>();
            acc += p.isr_nodes.iter().map(|x| x as u64).sum::<u64>();
        }
    }
    Ok(acc)
}

fn metadata_encode(b: &Bytes, v: i16) -> Res<Enc> {
    fn go(out: &mut Encoder, m: &MetadataResponse, v: i16) -> usize {
        out.clear();
        m.encode(out, v).unwrap();
        out.len()
    }
    let m = MetadataResponse::decode(&mut Decoder::new(b), v).map_err(s)?;
    let mut out = Encoder::new();
    go(&mut out, &m, v);
    let once = out.pieces().collect::<Vec<_>>().concat();
    Ok(Enc { once, run: simple(move || go(&mut out, black_box(&m), v)) })
}

fn fetch_lazy(b: &Bytes, v: i16) -> Res<u64> {
    let f = FetchResponse::decode(&mut Decoder::new(b), v).map_err(s)?;
    let mut acc = 0;
    for t in &f.responses {
        for p in &t.partitions {
            let r = p.records.as_ref().unwrap();
            acc += r.len() as u64 + r.segments()[0][16] as u64;
        }
    }
    Ok(acc)
}

fn fetch_full(b: &Bytes, v: i16) -> Res<u64> {
    let f = FetchResponse::decode(&mut Decoder::new(b), v).map_err(s)?;
    let mut acc = 0u64;
    for t in f.responses {
        for p in t.partitions {
            acc = acc.wrapping_add(walk(p.records.unwrap().into_bytes())?);
        }
    }
    Ok(acc)
}

fn produce_records(parts: &[Vec<Rec>], v: i16) -> Res<Enc> {
    fn go(writer: &mut Writer, parts: &[Vec<Given>], v: i16) -> Vec<Bytes> {
        let partition = |(i, recs): (usize, &Vec<Given>)| PartitionProduceData {
            index: i as i32,
            records: Some(writer.seal(recs, Compression::None)),
            ..Default::default()
        };
        let request = ProduceRequest {
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![TopicProduceData {
                topic_id: Uuid(data::topic_id(1)),
                partition_data: parts.iter().enumerate().map(partition).collect(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let mut out = Encoder::new();
        request.encode(&mut out, v).unwrap();
        out.into_segments()
    }
    let parts: Vec<Vec<Given>> = parts.iter().map(|p| given(p)).collect();
    let mut writer = Writer::new();
    let once = go(&mut writer, &parts, v).concat();
    Ok(Enc { once, run: simple(move || go(&mut writer, black_box(&parts), v)) })
}

fn heartbeat_decode(b: &Bytes) -> Res<u64> {
    let mut b = b.clone();
    let mut acc = 0;
    while !b.is_empty() {
        let len = b.get_i32() as usize;
        match frame::decode_response(ApiKey::Heartbeat, 4, &b.split_to(len)) {
            Ok((id, ResponseKind::Heartbeat(body))) => {
                acc += id as u64 + body.throttle_time_ms as u64 + body.error_code as u64;
            }
            Ok(_) => return Err("another response".into()),
            Err(e) => return Err(s(e)),
        }
    }
    Ok(acc)
}

fn heartbeat_encode() -> Res<Enc> {
    fn go(out: &mut Encoder, id: i32, request: &RequestKind) {
        out.clear();
        frame::write_request(out, id, Some(data::CLIENT_ID), 4, request).unwrap();
    }
    let request = RequestKind::Heartbeat(HeartbeatRequest {
        group_id: Str::from_static(data::GROUP),
        generation_id: data::GENERATION,
        member_id: Str::from_static(data::MEMBER),
        ..Default::default()
    });
    let mut out = Encoder::new();
    go(&mut out, 7, &request);
    let once = out.pieces().collect::<Vec<_>>().concat();
    Ok(Enc {
        once,
        run: simple(move || {
            for i in 0..data::FRAMES as i32 {
                go(&mut out, i, black_box(&request));
                black_box(out.pieces().next());
            }
        }),
    })
}
