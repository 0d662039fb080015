use super::*;
use crate::data::{self, touch, touch_position};
use crate::harness::simple;
use ::krafka::__private::protocol::{
    ApiKey, Compression, FetchResponse, HeartbeatRequest, HeartbeatResponse, MetadataResponse, Record,
    RecordBatch, RequestHeader, ResponseHeader, VersionedDecode, VersionedEncode,
};
use bytes::{Buf, BufMut, BytesMut};
use std::hint::black_box;

pub fn peer() -> Peer {
    Peer {
        name: "krafka",
        decode,
        encode,
        metadata_version: 13,
        metadata_decode: meta_dec,
        metadata_encode: None,
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
    let mut b = RecordBatch::new().with_compression(match c {
        Codec::None => Compression::None,
        Codec::Gzip => Compression::Gzip,
        Codec::Snappy => Compression::Snappy,
        Codec::Lz4 => Compression::Lz4,
        Codec::Zstd => Compression::Zstd,
    });
    b.last_offset_delta = recs.len() as i32 - 1;
    b.base_timestamp = data::BASE_TS;
    b.max_timestamp = data::BASE_TS + recs.last().unwrap().ts_delta;
    for r in recs {
        let mut x = Record::new(Some(r.key.clone()), Some(r.value.clone()))
            .with_timestamp_delta(r.ts_delta)
            .with_offset_delta(r.offset_delta);
        for (k, v) in &r.headers {
            x = x.with_header(k.clone().into_bytes(), v.clone());
        }
        b.add_record(x);
    }
    b
}

fn encode(recs: &[Rec], c: Codec) -> Res<Enc> {
    let batch = to_batch(recs, c);
    let once = batch.encode().map_err(s)?.to_vec();
    Ok(Enc { once, run: simple(move || batch.encode().unwrap()) })
}

fn meta_dec(b: &Bytes, v: i16) -> Res<u64> {
    let mut b = b.clone();
    let m = MetadataResponse::decode_versioned(v, &mut b).map_err(s)?;
    let mut acc = 0u64;
    for t in &m.topics {
        acc += t.name.as_ref().map_or(0, |n| n.len()) as u64;
        for p in &t.partitions {
            acc += p.partition_index as u64 + p.leader_id as u64;
            acc += p.replica_nodes.iter().map(|&x| x as u64).sum::<u64>();
            acc += p.isr_nodes.iter().map(|&x| x as u64).sum::<u64>();
        }
    }
    Ok(acc)
}

fn fetch_lazy(b: &Bytes, v: i16) -> Res<u64> {
    let mut b = b.clone();
    let f = FetchResponse::decode_versioned(v, &mut b).map_err(s)?;
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
    let f = FetchResponse::decode_versioned(v, &mut b).map_err(s)?;
    let mut acc = 0;
    for t in f.responses {
        for p in t.partitions {
            let mut r = p.records.unwrap();
            while !r.is_empty() {
                let batch = RecordBatch::decode(&mut r).map_err(s)?;
                acc = fold(acc, &batch.records);
            }
        }
    }
    Ok(acc)
}

// krafka's ProduceRequest is #[non_exhaustive] without a constructor, so no other crate can make
// one. This is the body of its `encode_v13`, copied, over krafka's own primitives; those are
// generic over the buffer, so they are instantiated in the caller's crate either way.
struct Produce {
    topic_id: [u8; 16],
    partition_data: Vec<(i32, Bytes)>,
}
impl Produce {
    fn encode_v13(&self, buf: &mut BytesMut) -> ::krafka::Result<()> {
        use ::krafka::__private::protocol::{Encode, KafkaBytes, KafkaString, TaggedFields, TryEncode};
        use ::krafka::__private::util::varint::encode_unsigned_varint;
        use bytes::BufMut;
        KafkaString::null().try_encode_compact(buf)?;
        (-1i16).encode(buf);
        30_000i32.encode(buf);
        encode_unsigned_varint(2, buf);
        buf.put_slice(&self.topic_id);
        encode_unsigned_varint(self.partition_data.len() as u32 + 1, buf);
        for (index, records) in &self.partition_data {
            index.encode(buf);
            KafkaBytes::new(records.clone()).try_encode_compact(buf)?;
            TaggedFields::default().try_encode(buf)?;
        }
        TaggedFields::default().try_encode(buf)?;
        TaggedFields::default().try_encode(buf)?;
        Ok(())
    }
}

fn produce(parts: impl Iterator<Item = Bytes>) -> Produce {
    Produce {
        topic_id: data::topic_id(1),
        partition_data: parts.enumerate().map(|(i, b)| (i as i32, b)).collect(),
    }
}

fn produce_records(parts: &[Vec<Rec>], _: i16) -> Res<Enc> {
    fn go(parts: &[RecordBatch], buf: &mut BytesMut) {
        buf.clear();
        let req = produce(parts.iter().map(|p| p.encode().unwrap()));
        req.encode_v13(buf).unwrap();
    }
    let parts: Vec<RecordBatch> = parts.iter().map(|p| to_batch(p, Codec::None)).collect();
    let mut buf = BytesMut::new();
    go(&parts, &mut buf);
    let once = buf.to_vec();
    Ok(Enc {
        once,
        run: simple(move || {
            go(&parts, &mut buf);
            buf.len()
        }),
    })
}

fn heartbeat_decode(b: &Bytes) -> Res<u64> {
    let mut b = b.clone();
    let mut acc = 0;
    while !b.is_empty() {
        let len = b.get_i32() as usize;
        let mut frame = b.split_to(len);
        let header = ResponseHeader::decode(&mut frame, ApiKey::Heartbeat, 4).map_err(s)?;
        let body = HeartbeatResponse::decode_versioned(4, &mut frame).map_err(s)?;
        acc +=
            header.correlation_id as u64 + body.throttle_time_ms as u64 + i16::from(body.error_code) as u64;
    }
    Ok(acc)
}

fn heartbeat_encode() -> Res<Enc> {
    fn go(header: &mut RequestHeader, id: i32, body: &HeartbeatRequest, buf: &mut BytesMut) {
        buf.clear();
        buf.put_i32(0);
        header.correlation_id = id;
        header.encode(buf).unwrap();
        body.encode_versioned(4, buf).unwrap();
        let len = buf.len() as i32 - 4;
        buf[..4].copy_from_slice(&len.to_be_bytes());
    }
    let mut header = RequestHeader::new(ApiKey::Heartbeat, 4, 0).with_client_id(data::CLIENT_ID);
    let body = HeartbeatRequest {
        group_id: data::GROUP.into(),
        generation_id: data::GENERATION,
        member_id: data::MEMBER.into(),
        group_instance_id: None,
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
