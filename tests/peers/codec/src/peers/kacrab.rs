use super::*;
use crate::data::{self, touch, touch_position};
use crate::harness::simple;
use bytes::{BufMut, BytesMut};
use kacrab_protocol::generated::{
    fetch_response::FetchResponseData,
    heartbeat_request::HeartbeatRequestData,
    heartbeat_response::HeartbeatResponseData,
    metadata_response::MetadataResponseData,
    produce_request::{PartitionProduceData, ProduceRequestData, TopicProduceData},
    request_header::RequestHeaderData,
    response_header::ResponseHeaderData,
};
use kacrab_protocol::record::{Record, RecordBatch, RecordHeader};
use kacrab_protocol::{KafkaString, KafkaUuid};
use std::hint::black_box;

pub fn peer() -> Peer {
    Peer {
        name: "kacrab-protocol",
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
        acc = touch_position(acc, r.timestamp_delta, r.offset_delta as i64);
        acc = touch(acc, r.key.as_deref().unwrap_or_default());
        acc = touch(acc, r.value.as_deref().unwrap_or_default());
        for h in &r.headers {
            acc = touch(acc, &h.key);
            acc = touch(acc, h.value.as_deref().unwrap_or_default());
        }
    }
    acc
}

fn decode(b: &Bytes) -> Res<u64> {
    let mut b = b.clone();
    let batch = RecordBatch::decode(&mut b).map_err(s)?;
    Ok(fold(0, &batch.records))
}

fn to_batch(recs: &[Rec], c: Codec) -> RecordBatch {
    RecordBatch {
        base_offset: 0,
        partition_leader_epoch: 0,
        magic: 2,
        attributes: c as i16,
        last_offset_delta: recs.len() as i32 - 1,
        first_timestamp: data::BASE_TS,
        max_timestamp: data::BASE_TS + recs.last().unwrap().ts_delta,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        records: recs
            .iter()
            .map(|r| Record {
                attributes: 0,
                timestamp_delta: r.ts_delta,
                offset_delta: r.offset_delta,
                key: Some(r.key.clone()),
                value: Some(r.value.clone()),
                headers: r
                    .headers
                    .iter()
                    .map(|(k, v)| RecordHeader {
                        key: Bytes::from(k.clone().into_bytes()),
                        value: Some(v.clone()),
                    })
                    .collect(),
            })
            .collect(),
    }
}

fn encode(recs: &[Rec], c: Codec) -> Res<Enc> {
    let batch = to_batch(recs, c);
    let mut buf = BytesMut::new();
    batch.encode(&mut buf).map_err(s)?;
    let once = buf.to_vec();
    Ok(Enc {
        once,
        run: simple(move || {
            buf.clear();
            batch.encode(&mut buf).unwrap();
            buf.len()
        }),
    })
}

fn fold_meta(m: &MetadataResponseData) -> u64 {
    let mut acc = 0u64;
    for t in &m.topics {
        acc += t.name.as_ref().map_or(0, |n| n.len()) as u64;
        for p in &t.partitions {
            acc += p.partition_index as u64 + p.leader_id as u64;
            acc += p.replica_nodes.iter().map(|&x| x as u64).sum::<u64>();
            acc += p.isr_nodes.iter().map(|&x| x as u64).sum::<u64>();
        }
    }
    acc
}

fn meta_dec(b: &Bytes, v: i16) -> Res<u64> {
    let mut b = b.clone();
    Ok(fold_meta(&MetadataResponseData::read(&mut b, v).map_err(s)?))
}

fn meta_enc(b: &Bytes, v: i16) -> Res<Enc> {
    let mut b = b.clone();
    let m = MetadataResponseData::read(&mut b, v).map_err(s)?;
    let mut buf = BytesMut::new();
    m.write(&mut buf, v).map_err(s)?;
    let once = buf.to_vec();
    Ok(Enc {
        once,
        run: simple(move || {
            buf.clear();
            m.write(&mut buf, v).unwrap();
            buf.len()
        }),
    })
}

fn fetch_lazy(b: &Bytes, v: i16) -> Res<u64> {
    let mut b = b.clone();
    let f = FetchResponseData::read(&mut b, v).map_err(s)?;
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
    let f = FetchResponseData::read(&mut b, v).map_err(s)?;
    let mut acc = 0;
    for t in f.responses {
        for p in t.partitions {
            let mut r = p.records.unwrap();
            while let Some(batch) = kacrab_protocol::record::decode_next_batch(&mut r).map_err(s)? {
                acc = fold(acc, &batch.records);
            }
        }
    }
    Ok(acc)
}

fn produce(parts: impl Iterator<Item = Bytes>) -> ProduceRequestData {
    let parts = parts
        .enumerate()
        .map(|(i, b)| PartitionProduceData { index: i as i32, records: Some(b), ..Default::default() })
        .collect();
    ProduceRequestData {
        transactional_id: None,
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: KafkaString::from(data::topic_name(1)),
            topic_id: KafkaUuid::from_uuid(uuid::Uuid::from_bytes(data::topic_id(1))),
            partition_data: parts,
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn produce_records(parts: &[Vec<Rec>], v: i16) -> Res<Enc> {
    fn go(parts: &[RecordBatch], v: i16, scratch: &mut BytesMut, buf: &mut BytesMut) {
        scratch.reserve(2 << 20);
        buf.clear();
        let req = produce(parts.iter().map(|p| {
            p.encode(scratch).unwrap();
            scratch.split().freeze()
        }));
        req.write(buf, v).unwrap();
    }
    let parts: Vec<RecordBatch> = parts.iter().map(|p| to_batch(p, Codec::None)).collect();
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

fn heartbeat_decode(b: &Bytes) -> Res<u64> {
    let mut b = b.clone();
    let mut acc = 0;
    while !b.is_empty() {
        let mut frame = kacrab_protocol::frame::decode_response_frame(&mut b).map_err(s)?;
        let header = ResponseHeaderData::read(&mut frame, 1).map_err(s)?;
        let body = HeartbeatResponseData::read(&mut frame, 4).map_err(s)?;
        acc += header.correlation_id as u64 + body.throttle_time_ms as u64 + body.error_code as u64;
    }
    Ok(acc)
}

fn heartbeat_encode() -> Res<Enc> {
    fn go(header: &mut RequestHeaderData, id: i32, body: &HeartbeatRequestData, buf: &mut BytesMut) {
        buf.clear();
        buf.put_i32(0);
        header.correlation_id = id;
        header.write(buf, 2).unwrap();
        body.write(buf, 4).unwrap();
        let len = buf.len() as i32 - 4;
        buf[..4].copy_from_slice(&len.to_be_bytes());
    }
    let mut header = RequestHeaderData {
        request_api_key: 12,
        request_api_version: 4,
        client_id: Some(KafkaString::from(data::CLIENT_ID.to_string())),
        ..Default::default()
    };
    let body = HeartbeatRequestData {
        group_id: KafkaString::from(data::GROUP.to_string()),
        generation_id: data::GENERATION,
        member_id: KafkaString::from(data::MEMBER.to_string()),
        ..Default::default()
    };
    let mut buf = BytesMut::new();
    go(&mut header, 7, &body, &mut buf);
    let once = buf.to_vec();
    Ok(Enc {
        once,
        run: simple(move || {
            for i in 0..data::FRAMES {
                go(&mut header, i as i32, black_box(&body), &mut buf);
                black_box(&buf);
            }
        }),
    })
}
