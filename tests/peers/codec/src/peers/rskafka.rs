use super::*;
use crate::data::{self, touch, touch_position};
use crate::harness::simple;
use ::rskafka::protocol::api_version::ApiVersion;
use ::rskafka::protocol::messages::{
    FetchResponse, MetadataResponse, ProduceRequest, ProduceRequestPartitionData, ProduceRequestTopicData,
    ReadVersionedType, WriteVersionedType,
};
use ::rskafka::protocol::primitives::{Int16, Int32, NullableString, Records, String_};
use ::rskafka::protocol::record::{
    ControlBatchOrRecords, Record, RecordBatch, RecordBatchCompression, RecordBatchTimestampType,
    RecordHeader,
};
use ::rskafka::protocol::traits::{ReadType, WriteType};
use std::io::Cursor;

pub fn peer() -> Peer {
    Peer {
        name: "rskafka",
        decode,
        encode,
        metadata_version: 4,
        metadata_decode: meta_dec,
        metadata_encode: None,
        fetch_version: 4,
        fetch_lazy: None,
        fetch_full,
        produce_version: 7,
        produce_records,
        heartbeat_decode: None,
        heartbeat_encode: None,
    }
}

#[inline(always)]
fn fold(mut acc: u64, b: &RecordBatch) -> u64 {
    let ControlBatchOrRecords::Records(recs) = &b.records else { unreachable!() };
    for r in recs {
        acc = touch_position(acc, r.timestamp_delta, r.offset_delta as i64);
        acc = touch(acc, r.key.as_deref().unwrap_or_default());
        acc = touch(acc, r.value.as_deref().unwrap_or_default());
        for h in &r.headers {
            acc = touch(acc, h.key.as_bytes());
            acc = touch(acc, &h.value);
        }
    }
    acc
}

fn decode(b: &Bytes) -> Res<u64> {
    let batch = RecordBatch::read(&mut Cursor::new(&b[..])).map_err(s)?;
    Ok(fold(0, &batch))
}

fn to_batch(recs: &[Rec], c: Codec) -> RecordBatch {
    RecordBatch {
        base_offset: 0,
        partition_leader_epoch: 0,
        last_offset_delta: recs.len() as i32 - 1,
        first_timestamp: data::BASE_TS,
        max_timestamp: data::BASE_TS + recs.last().unwrap().ts_delta,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        records: ControlBatchOrRecords::Records(
            recs.iter()
                .map(|r| Record {
                    timestamp_delta: r.ts_delta,
                    offset_delta: r.offset_delta,
                    key: Some(r.key.to_vec()),
                    value: Some(r.value.to_vec()),
                    headers: r
                        .headers
                        .iter()
                        .map(|(k, v)| RecordHeader { key: k.clone(), value: v.to_vec() })
                        .collect(),
                })
                .collect(),
        ),
        compression: match c {
            Codec::None => RecordBatchCompression::NoCompression,
            Codec::Gzip => RecordBatchCompression::Gzip,
            Codec::Snappy => RecordBatchCompression::Snappy,
            Codec::Lz4 => RecordBatchCompression::Lz4,
            Codec::Zstd => RecordBatchCompression::Zstd,
        },
        is_transactional: false,
        timestamp_type: RecordBatchTimestampType::CreateTime,
    }
}

fn encode(recs: &[Rec], c: Codec) -> Res<Enc> {
    let batch = to_batch(recs, c);
    let mut buf = Vec::new();
    batch.write(&mut buf).map_err(s)?;
    let once = buf.clone();
    Ok(Enc {
        once,
        run: simple(move || {
            buf.clear();
            batch.write(&mut buf).unwrap();
            buf.len()
        }),
    })
}

fn meta_dec(b: &Bytes, v: i16) -> Res<u64> {
    let m = MetadataResponse::read_versioned(&mut Cursor::new(&b[..]), ApiVersion(Int16(v))).map_err(s)?;
    let mut acc = 0u64;
    for t in &m.topics {
        acc += t.name.0.len() as u64;
        for p in &t.partitions {
            acc += p.partition_index.0 as u64 + p.leader_id.0 as u64;
            acc += p.replica_nodes.0.iter().flatten().map(|x| x.0 as u64).sum::<u64>();
            acc += p.isr_nodes.0.iter().flatten().map(|x| x.0 as u64).sum::<u64>();
        }
    }
    Ok(acc)
}

fn fetch_full(b: &Bytes, v: i16) -> Res<u64> {
    let f = FetchResponse::read_versioned(&mut Cursor::new(&b[..]), ApiVersion(Int16(v))).map_err(s)?;
    let mut acc = 0;
    for t in &f.responses {
        for p in &t.partitions {
            for batch in &p.records.0 {
                acc = fold(acc, batch);
            }
        }
    }
    Ok(acc)
}

fn produce_records(parts: &[Vec<Rec>], v: i16) -> Res<Enc> {
    let req = ProduceRequest {
        transactional_id: NullableString(None),
        acks: Int16(-1),
        timeout_ms: Int32(30_000),
        topic_data: vec![ProduceRequestTopicData {
            name: String_(data::topic_name(1)),
            partition_data: parts
                .iter()
                .enumerate()
                .map(|(i, p)| ProduceRequestPartitionData {
                    index: Int32(i as i32),
                    records: Records(vec![to_batch(p, Codec::None)]),
                })
                .collect(),
        }],
    };
    let mut buf = Vec::new();
    req.write_versioned(&mut buf, ApiVersion(Int16(v))).map_err(s)?;
    let once = buf.clone();
    Ok(Enc {
        once,
        run: simple(move || {
            buf.clear();
            req.write_versioned(&mut buf, ApiVersion(Int16(v))).unwrap();
            buf.len()
        }),
    })
}
