//! Workloads: the records and messages that every codec reads and writes, and what reading them must add up to.

pub mod batch;

use bytes::Bytes;

pub const BASE_TS: i64 = 1_700_000_000_000;

/// A record, independent of any crate.
#[derive(Clone)]
pub struct Rec {
    pub ts_delta: i64,
    pub offset_delta: i32,
    pub key: Bytes,
    pub value: Bytes,
    pub headers: Vec<(String, Bytes)>,
}

/// xorshift64: the same data in every run.
pub struct Rng(pub u64);
impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// `n` records with 10-byte keys and `vlen`-byte random alphanumeric values.
pub fn records(n: usize, vlen: usize, headers: usize, seed: u64) -> Vec<Rec> {
    let mut r = Rng(seed | 1);
    const A: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..n)
        .map(|i| {
            let key = format!("key-{:06}", r.next() % 1_000_000);
            let value: Vec<u8> = (0..vlen).map(|_| A[(r.next() >> 20) as usize & 63]).collect();
            Rec {
                ts_delta: (i / 10) as i64,
                offset_delta: i as i32,
                key: Bytes::from(key.into_bytes()),
                value: Bytes::from(value),
                headers: (0..headers)
                    .map(|_| ("trace-id".to_string(), Bytes::from(format!("{:016x}", r.next()))))
                    .collect(),
            }
        })
        .collect()
}

/// `n` records whose values are 100 bytes of JSON-like text (semi-compressible).
pub fn json_records(n: usize, seed: u64) -> Vec<Rec> {
    let mut r = Rng(seed | 1);
    const EV: [&str; 6] = ["click", "view", "add_to_cart", "purchase", "scroll", "login"];
    let mut out = records(n, 0, 0, seed);
    for (i, rec) in out.iter_mut().enumerate() {
        let mut s = format!(
            "{{\"id\":{},\"user\":\"u{:05}\",\"event\":\"{}\",\"price\":{}.{:02},\"ts\":{},\"ok\":{},\"tag\":\"",
            1_000_000 + i,
            r.next() % 100_000,
            EV[(r.next() >> 9) as usize % 6],
            r.next() % 1000,
            r.next() % 100,
            BASE_TS + (r.next() % 100_000) as i64,
            r.next() & 1 == 0,
        );
        while s.len() < 98 {
            s.push(char::from(b'a' + (r.next() >> 13) as u8 % 26));
        }
        s.truncate(98);
        s.push_str("\"}");
        rec.value = Bytes::from(s.into_bytes());
    }
    out
}

// What was read, folded into one number: it must come out the same whoever decodes.

/// A key, a value, or part of a header: its length, its first and its last byte.
#[inline(always)]
pub fn touch(acc: u64, b: &[u8]) -> u64 {
    let first = *b.first().unwrap_or(&0) as u64;
    let last = *b.last().unwrap_or(&0) as u64;
    acc.wrapping_add(b.len() as u64).wrapping_add(first).wrapping_add(last << 8)
}

/// Timestamp (counted from [`BASE_TS`]) and offset of a record.
#[inline(always)]
pub fn touch_position(acc: u64, ts_delta: i64, offset: i64) -> u64 {
    acc.wrapping_add(ts_delta as u64).wrapping_add((offset as u64) << 4)
}

pub fn expected(recs: &[Rec]) -> u64 {
    let mut acc = 0;
    for r in recs {
        acc = touch_position(acc, r.ts_delta, r.offset_delta as i64);
        acc = touch(acc, &r.key);
        acc = touch(acc, &r.value);
        for (k, v) in &r.headers {
            acc = touch(acc, k.as_bytes());
            acc = touch(acc, v);
        }
    }
    acc
}

pub const BROKERS: usize = 6;
pub const TOPICS: usize = 1000;
pub const PARTS: usize = 10;
pub const REPL: usize = 3;
pub const FETCH_PARTS: usize = 100;

pub fn topic_name(i: usize) -> String {
    format!("orders.events.topic-{i:05}")
}
pub fn topic_id(i: usize) -> [u8; 16] {
    let mut r = Rng(0x9e37_79b9_7f4a_7c15 ^ ((i as u64) << 17) | 1);
    let mut o = [0; 16];
    o[..8].copy_from_slice(&r.next().to_be_bytes());
    o[8..].copy_from_slice(&r.next().to_be_bytes());
    o
}
pub fn leader(t: usize, p: usize) -> i32 {
    ((t + p) % BROKERS) as i32 + 1
}
pub fn replicas(t: usize, p: usize) -> [i32; REPL] {
    [0, 1, 2].map(|k| ((t + p + k) % BROKERS) as i32 + 1)
}

/// What the metadata decoders fold: topic-name lengths, partition index, leader, replicas, ISR.
pub fn expected_metadata() -> u64 {
    let mut acc = 0u64;
    for t in 0..TOPICS {
        acc += topic_name(t).len() as u64;
        for p in 0..PARTS {
            acc += p as u64 + leader(t, p) as u64;
            let s: i32 = replicas(t, p).iter().sum();
            acc += 2 * s as u64;
        }
    }
    acc
}

/// Records so that one uncompressed batch is as near to 16 KiB as whole records allow.
pub fn batch_16k(seed: u64) -> Vec<Rec> {
    let mut recs = records(160, 100, 0, seed);
    while batch::raw_records(&recs).len() + 61 > 16 * 1024 {
        recs.pop();
    }
    recs
}

// Heartbeats: one operation reads or writes all frames.

pub const FRAMES: usize = 100_000;
pub const CLIENT_ID: &str = "codec-bench";
pub const GROUP: &str = "billing-service";
pub const MEMBER: &str = "billing-1-4f1c9a52-7c1b-4d7b-9d57-3f5a1c2f0e66";
pub const GENERATION: i32 = 42;

/// Heartbeat responses of version 4, each with its length and header, one after the other.
pub fn heartbeat_responses() -> Bytes {
    let mut out = Vec::with_capacity(FRAMES * 16);
    for i in 0..FRAMES as i32 {
        out.extend_from_slice(&12i32.to_be_bytes());
        out.extend_from_slice(&i.to_be_bytes());
        out.push(0); // no tags in the header
        out.extend_from_slice(&(i % 3).to_be_bytes());
        out.extend_from_slice(&((i % 2) as i16 * 27).to_be_bytes());
        out.push(0);
    }
    Bytes::from(out)
}

/// What the heartbeat decoders fold: correlation ids, throttle times and error codes.
pub fn expected_heartbeats() -> u64 {
    (0..FRAMES as u64).map(|i| i + i % 3 + i % 2 * 27).sum()
}
