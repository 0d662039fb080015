//! How far reading and writing record batches is from what the machine allows.
//!
//! `cargo bench -p kafka-proto --bench records`. Two floors for each shape of batch, of 1,000 records: `copy` does the
//! checksum and copies the bytes; `walk` / `write` are hand-written loops that do the checksum and no more than the
//! format asks, on one buffer that is large enough, without checks. All are timed in turns, and the median of the
//! rounds is told. Without `--bench` everything runs once, as a test.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::hint::black_box;
use std::time::Instant;

use kafka_proto::Bytes;
use kafka_proto::records::{BatchBuilder, Compression, Header, ProducerStamp, Record, batches, crc32c};

const RECORDS: usize = 1000;
const TIMESTAMP: i64 = 1_700_000_000_000;

struct Shape {
    name: &'static str,
    records: Vec<(i64, Bytes, Bytes, Vec<Header>)>,
    wire: Bytes,
}

impl Shape {
    fn new(name: &'static str, value_len: usize, headers: usize) -> Self {
        let mut random = 1u64;
        let mut next = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let records: Vec<_> = (0..RECORDS)
            .map(|i| {
                let key = format!("key-{:06}", next() % 1_000_000);
                let value: Vec<u8> = (0..value_len).map(|_| b'0' + (next() >> 20) as u8 % 64).collect();
                let header = |_| Header::new("trace-id", format!("{:016x}", next()));
                let headers = (0..headers).map(header).collect();
                (TIMESTAMP + i as i64 / 10, Bytes::from(key), Bytes::from(value), headers)
            })
            .collect();
        let mut shape = Shape { name, records, wire: Bytes::new() };
        shape.wire = shape.encode(Compression::None);
        shape
    }

    fn encode(&self, compression: Compression) -> Bytes {
        let body = self.builder().finish().compress(compression, None).unwrap();
        body.seal(ProducerStamp::NONE).into_bytes()
    }

    fn builder(&self) -> BatchBuilder {
        let mut builder = BatchBuilder::new();
        for (timestamp, key, value, headers) in &self.records {
            builder.append(*timestamp, Some(key), Some(value), headers).unwrap();
        }
        builder
    }
}

fn main() {
    let measure = std::env::args().any(|arg| arg == "--bench");
    let rounds = if measure { 41 } else { 1 };
    for shape in [
        Shape::new("100 B", 100, 0),
        Shape::new("100 B, 1 header", 100, 1),
        Shape::new("10 B", 10, 0),
        Shape::new("1 KiB", 1024, 0),
    ] {
        println!("{}: {} bytes", shape.name, shape.wire.len());
        compare(rounds, &mut decoders(&shape));
        compare(rounds, &mut encoders(&shape));
    }
    codecs(rounds);
}

type Case<'a> = (&'static str, Box<dyn FnMut() -> u64 + 'a>);

fn decoders(shape: &Shape) -> Vec<Case<'_>> {
    let wire = &shape.wire;
    assert_eq!(decode(wire), walk_floor(wire));
    let mut space = vec![0; wire.len()];
    vec![
        (
            "decode, floor: copy",
            Box::new(move || {
                space.copy_from_slice(black_box(wire));
                u64::from(crc32c(&wire[21..])) + u64::from(black_box(&space)[100])
            }),
        ),
        ("decode, floor: walk", Box::new(move || walk_floor(black_box(wire)))),
        ("decode", Box::new(move || decode(black_box(wire)))),
    ]
}

fn encoders(shape: &Shape) -> Vec<Case<'_>> {
    let mut space = vec![0; shape.wire.len() + 64];
    let len = write_floor(shape, &mut space);
    assert!(space[..len] == shape.wire);
    let mut space2 = space.clone();
    vec![
        (
            "encode, floor: copy",
            Box::new(move || {
                let mut at = 61;
                for (_, key, value, _) in black_box(&shape.records) {
                    space2[at..at + key.len()].copy_from_slice(key);
                    at += key.len();
                    space2[at..at + value.len()].copy_from_slice(value);
                    at += value.len();
                }
                u64::from(crc32c(&space2[21..shape.wire.len()]))
            }),
        ),
        ("encode, floor: write", Box::new(move || write_floor(black_box(shape), &mut space) as u64)),
        (
            "encode",
            Box::new(move || {
                black_box(black_box(shape).builder().finish().seal(ProducerStamp::NONE)).len() as u64
            }),
        ),
        ("encode, append only", Box::new(move || black_box(black_box(shape).builder()).encoded_len() as u64)),
    ]
}

fn codecs(rounds: usize) {
    let shape = Shape::new("100 B", 100, 0);
    for compression in Compression::ALL.into_iter().skip(1) {
        let body = shape.builder().finish();
        let wire = shape.encode(compression);
        println!("{compression}: {} bytes", wire.len());
        assert_eq!(decode(&wire), decode(&shape.wire));
        compare(
            rounds,
            &mut vec![
                ("decode", Box::new(|| decode(black_box(&wire)))),
                ("compress", Box::new(|| body.compress(compression, None).unwrap().len() as u64)),
            ],
        );
    }
}

fn compare(rounds: usize, cases: &mut Vec<Case<'_>>) {
    let repeat = if rounds > 1 { 20 } else { 1 };
    let mut times = vec![Vec::new(); cases.len()];
    for _ in 0..rounds {
        for (case, times) in cases.iter_mut().zip(&mut times) {
            let start = Instant::now();
            for _ in 0..repeat {
                black_box((case.1)());
            }
            times.push(start.elapsed().as_nanos() as f64 / (repeat * RECORDS) as f64);
        }
    }
    for ((name, _), times) in cases.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        println!("  {name:24} {:8.2} ns a record (least {:.2})", times[times.len() / 2], times[0]);
    }
}

/// What every reader does with a record: lengths, first and last byte.
#[inline(always)]
fn touch(sum: u64, bytes: &[u8]) -> u64 {
    let ends = u64::from(*bytes.first().unwrap_or(&0)) + (u64::from(*bytes.last().unwrap_or(&0)) << 8);
    sum.wrapping_add(bytes.len() as u64).wrapping_add(ends)
}

fn decode(wire: &Bytes) -> u64 {
    let mut sum = 0u64;
    for batch in batches(wire.clone()) {
        let batch = batch.unwrap();
        batch.verify_crc().unwrap();
        let mut records = batch.records(1 << 30).unwrap();
        while let Some(record) = records.next_record() {
            sum = visit(sum, &record.unwrap());
        }
    }
    sum
}

#[inline(always)]
fn visit(mut sum: u64, record: &Record<'_>) -> u64 {
    sum = sum.wrapping_add(record.offset as u64).wrapping_add(record.timestamp as u64);
    sum = touch(touch(sum, record.key.unwrap_or_default()), record.value.unwrap_or_default());
    for header in record.headers() {
        let header = header.unwrap();
        sum = touch(touch(sum, header.key), header.value.unwrap_or_default());
    }
    sum
}

#[inline(always)]
fn unsigned(bytes: &[u8], at: &mut usize) -> u64 {
    let mut value = 0;
    let mut shift = 0;
    loop {
        let byte = bytes[*at];
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
        shift += 7;
    }
}

#[inline(always)]
fn signed(bytes: &[u8], at: &mut usize) -> i64 {
    let value = unsigned(bytes, at);
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[inline(always)]
fn slice<'a>(bytes: &'a [u8], at: &mut usize) -> &'a [u8] {
    let len = signed(bytes, at).max(0) as usize;
    *at += len;
    &bytes[*at - len..*at]
}

fn walk_floor(wire: &[u8]) -> u64 {
    assert_eq!(crc32c(&wire[21..]), u32::from_be_bytes(wire[17..21].try_into().unwrap()));
    let mut sum = 0u64;
    let mut at = 61;
    for _ in 0..RECORDS {
        signed(wire, &mut at);
        at += 1;
        let timestamp = TIMESTAMP + signed(wire, &mut at);
        let offset = signed(wire, &mut at);
        sum = sum.wrapping_add(offset as u64).wrapping_add(timestamp as u64);
        sum = touch(sum, slice(wire, &mut at));
        sum = touch(sum, slice(wire, &mut at));
        for _ in 0..signed(wire, &mut at) {
            sum = touch(sum, slice(wire, &mut at));
            sum = touch(sum, slice(wire, &mut at));
        }
    }
    sum
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn len_of(value: i64) -> usize {
    let (mut value, mut len) = (zigzag(value), 1);
    while value >= 0x80 {
        value >>= 7;
        len += 1;
    }
    len
}

#[inline(always)]
fn put(out: &mut [u8], at: &mut usize, value: i64) {
    let mut value = zigzag(value);
    while value >= 0x80 {
        out[*at] = value as u8 | 0x80;
        *at += 1;
        value >>= 7;
    }
    out[*at] = value as u8;
    *at += 1;
}

#[inline(always)]
fn put_slice(out: &mut [u8], at: &mut usize, bytes: &[u8]) {
    put(out, at, bytes.len() as i64);
    out[*at..*at + bytes.len()].copy_from_slice(bytes);
    *at += bytes.len();
}

#[inline(always)]
fn slice_len(bytes: &[u8]) -> usize {
    len_of(bytes.len() as i64) + bytes.len()
}

fn write_floor(shape: &Shape, out: &mut [u8]) -> usize {
    let mut at = 61;
    for (i, (timestamp, key, value, headers)) in shape.records.iter().enumerate() {
        let delta = timestamp - TIMESTAMP;
        let mut len = 2 + len_of(delta) + len_of(i as i64) + slice_len(key) + slice_len(value);
        for header in headers {
            len += slice_len(header.key.as_bytes()) + slice_len(header.value.as_ref().unwrap());
        }
        put(out, &mut at, len as i64);
        out[at] = 0;
        at += 1;
        put(out, &mut at, delta);
        put(out, &mut at, i as i64);
        put_slice(out, &mut at, key);
        put_slice(out, &mut at, value);
        put(out, &mut at, headers.len() as i64);
        for header in headers {
            put_slice(out, &mut at, header.key.as_bytes());
            put_slice(out, &mut at, header.value.as_ref().unwrap());
        }
    }
    out[..61].copy_from_slice(&shape.wire.get(..61).unwrap_or(&[0; 61])[..61]);
    let crc = crc32c(&out[21..at]);
    out[17..21].copy_from_slice(&crc.to_be_bytes());
    at
}
