//! Floors of messages.

use super::records::{encode_batch, walk_batch};
use super::*;
use crate::data::batch::raw_records;
use crate::data::{self, PARTS, Rec, TOPICS};

/// Floor for MetadataResponse v13: read every field in place, allocate nothing.
pub fn metadata_v13(b: &[u8]) -> u64 {
    #[inline(always)]
    fn i32be(b: &[u8], p: &mut usize) -> i32 {
        let v = i32::from_be_bytes(b[*p..*p + 4].try_into().unwrap());
        *p += 4;
        v
    }
    #[inline(always)]
    fn skip_tags(b: &[u8], p: &mut usize) {
        let n = uvarint(b, p);
        for _ in 0..n {
            uvarint(b, p);
            let s = uvarint(b, p) as usize;
            *p += s;
        }
    }
    #[inline(always)]
    fn cstr<'a>(b: &'a [u8], p: &mut usize) -> Option<&'a str> {
        let n = uvarint(b, p) as usize;
        if n == 0 {
            return None;
        }
        let s = &b[*p..*p + n - 1];
        *p += n - 1;
        Some(std::str::from_utf8(s).unwrap())
    }
    let mut p = 4; // throttle
    let nb = uvarint(b, &mut p) as usize - 1;
    let mut acc = 0u64;
    for _ in 0..nb {
        i32be(b, &mut p);
        cstr(b, &mut p);
        i32be(b, &mut p);
        cstr(b, &mut p);
        skip_tags(b, &mut p);
    }
    cstr(b, &mut p);
    i32be(b, &mut p);
    let nt = uvarint(b, &mut p) as usize - 1;
    for _ in 0..nt {
        p += 2;
        acc += cstr(b, &mut p).unwrap_or("").len() as u64;
        p += 16 + 1;
        let np = uvarint(b, &mut p) as usize - 1;
        for _ in 0..np {
            p += 2;
            acc += i32be(b, &mut p) as u64;
            acc += i32be(b, &mut p) as u64;
            i32be(b, &mut p);
            for arr in 0..3 {
                let n = uvarint(b, &mut p) as usize - 1;
                for _ in 0..n {
                    let v = i32be(b, &mut p);
                    if arr < 2 {
                        acc += v as u64;
                    }
                }
            }
            skip_tags(b, &mut p);
        }
        i32be(b, &mut p);
        skip_tags(b, &mut p);
    }
    p += 2;
    skip_tags(b, &mut p);
    assert_eq!(p, b.len());
    acc
}

/// Metadata of a topic, for the floor to write.
pub struct FloorTopic {
    pub name: String,
    pub id: [u8; 16],
    pub parts: Vec<FloorPart>,
}
pub struct FloorPart {
    pub index: i32,
    pub leader: i32,
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
}
pub fn topics() -> Vec<FloorTopic> {
    (0..TOPICS)
        .map(|t| FloorTopic {
            name: data::topic_name(t),
            id: data::topic_id(t),
            parts: (0..PARTS)
                .map(|p| FloorPart {
                    index: p as i32,
                    leader: data::leader(t, p),
                    replicas: data::replicas(t, p).to_vec(),
                    isr: data::replicas(t, p).to_vec(),
                })
                .collect(),
        })
        .collect()
}

/// Floor for MetadataResponse v13 encode, into a buffer that is large enough. `head` is the
/// already-encoded part before the topics (throttle, brokers, cluster id, controller).
pub fn encode_metadata_v13(head: &[u8], topics: &[FloorTopic], out: &mut [u8]) -> usize {
    let mut p = 0;
    put_slice(out, &mut p, head);
    put(out, &mut p, topics.len() as u64 + 1);
    for t in topics {
        put_slice(out, &mut p, &0i16.to_be_bytes());
        put(out, &mut p, t.name.len() as u64 + 1);
        put_slice(out, &mut p, t.name.as_bytes());
        put_slice(out, &mut p, &t.id);
        out[p] = 0;
        p += 1;
        put(out, &mut p, t.parts.len() as u64 + 1);
        for q in &t.parts {
            put_slice(out, &mut p, &0i16.to_be_bytes());
            put_slice(out, &mut p, &q.index.to_be_bytes());
            put_slice(out, &mut p, &q.leader.to_be_bytes());
            put_slice(out, &mut p, &7i32.to_be_bytes());
            for a in [&q.replicas[..], &q.isr[..], &[]] {
                put(out, &mut p, a.len() as u64 + 1);
                for v in a {
                    put_slice(out, &mut p, &v.to_be_bytes());
                }
            }
            out[p] = 0;
            p += 1;
        }
        put_slice(out, &mut p, &i32::MIN.to_be_bytes());
        out[p] = 0;
        p += 1;
    }
    put_slice(out, &mut p, &0i16.to_be_bytes());
    out[p] = 0;
    p += 1;
    p
}

/// Floor for FetchResponse v12+ with one topic: walk to each partition's records slice and, with
/// `decode`, walk the records too (CRC checked).
pub fn fetch_v17(b: &[u8], decode: bool) -> u64 {
    let mut acc = 0u64;
    let mut p = 10; // throttle, error, session
    let nt = uvarint(b, &mut p) as usize - 1;
    for _ in 0..nt {
        p += 16;
        let np = uvarint(b, &mut p) as usize - 1;
        for _ in 0..np {
            p += 4 + 2 + 8 + 8 + 8;
            let na = (uvarint(b, &mut p) as usize).saturating_sub(1);
            assert_eq!(na, 0);
            p += 4;
            let n = uvarint(b, &mut p) as usize - 1;
            let recs = &b[p..p + n];
            p += n;
            if decode {
                acc = acc.wrapping_add(walk_batch(recs));
            } else {
                acc += n as u64 + recs[16] as u64;
            }
            let tags = uvarint(b, &mut p);
            assert_eq!(tags, 0);
        }
        assert_eq!(uvarint(b, &mut p), 0);
    }
    acc
}

/// Floor for ProduceRequest v13 from records: each batch is written where it stays.
pub fn produce_v13(id: &[u8; 16], parts: &[Vec<Rec>], out: &mut [u8]) -> usize {
    let mut p = 0;
    put_slice(out, &mut p, &[0]);
    put_slice(out, &mut p, &(-1i16).to_be_bytes());
    put_slice(out, &mut p, &30_000i32.to_be_bytes());
    put(out, &mut p, 2);
    put_slice(out, &mut p, id);
    put(out, &mut p, parts.len() as u64 + 1);
    for (i, recs) in parts.iter().enumerate() {
        put_slice(out, &mut p, &(i as i32).to_be_bytes());
        let mut at = p;
        p += 3; // the length, known afterwards: a varint padded to three bytes
        let len = encode_batch(recs, &mut out[p..]);
        p += len;
        let len = len as u64 + 1;
        out[at] = len as u8 | 0x80;
        out[at + 1] = (len >> 7) as u8 | 0x80;
        at += 2;
        put(out, &mut at, len >> 14);
        out[p] = 0;
        p += 1;
    }
    put_slice(out, &mut p, &[0, 0]);
    p
}

/// The length of that request.
pub fn produce_v13_len(parts: &[Vec<Rec>]) -> usize {
    let batch = |recs: &Vec<Rec>| 4 + 3 + 61 + raw_records(recs).len() + 1;
    7 + 1 + 16 + 1 + parts.iter().map(batch).sum::<usize>() + 2
}
