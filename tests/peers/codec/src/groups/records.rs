//! Record batches of 1,000 records.

use std::hint::black_box;
use std::io::Read;

use bytes::Bytes;

use super::{Skipped, case, guard};
use crate::data::batch::{Codec, check_encoded, java_compress, raw_records, wire_batch};
use crate::data::{Rec, expected};
use crate::floor::records as floor;
use crate::harness::{Group, Run, simple};
use crate::peers::{self, Peer};

pub fn decode(name: &str, peers: &[Peer], recs: &[Rec], codec: Codec, skipped: &mut Skipped) -> Group {
    let wire = wire_batch(codec, recs, 0);
    let plain = raw_records(recs).len();
    let want = expected(recs);
    let note = if codec == Codec::None { String::new() } else { format!("{} B compressed", wire.len() - 61) };
    let mut cases = vec![case("floor", note, floor_decode(&wire, codec, plain, recs.len(), want))];
    for p in peers {
        let f = p.decode;
        match guard(|| f(&wire)) {
            Ok(got) if got == want => {
                let w = wire.clone();
                cases.push(case(p.name, "", simple(move || f(black_box(&w)).unwrap())));
            }
            Ok(_) => skipped.add(name, p.name, "decodes to different records"),
            Err(e) => skipped.add(name, p.name, e),
        }
    }
    Group { name: name.into(), bytes: 61 + plain, cases }
}

/// The CRC, the codec's crate into a buffer that is kept, and the walk.
fn floor_decode(wire: &Bytes, codec: Codec, plain: usize, count: usize, want: u64) -> Run {
    let b = wire.clone();
    if codec == Codec::None {
        assert_eq!(floor::walk_batch(&b), want);
        return simple(move || floor::walk_batch(black_box(&b)));
    }
    let mut scratch = vec![0u8; plain];
    let mut zstd = zstd::bulk::Decompressor::new().unwrap();
    let mut go = move |b: &[u8]| {
        assert_eq!(crc32c::crc32c(&b[21..]), u32::from_be_bytes(b[17..21].try_into().unwrap()));
        decompress(codec, &b[61..], &mut scratch, &mut zstd);
        floor::walk_records(&scratch, count)
    };
    assert_eq!(go(&b), want);
    simple(move || go(black_box(&b)))
}

fn decompress(codec: Codec, packed: &[u8], out: &mut [u8], zstd: &mut zstd::bulk::Decompressor<'_>) {
    match codec {
        Codec::Gzip => flate2::read::GzDecoder::new(packed).read_exact(out).unwrap(),
        Codec::Snappy => {
            let (mut rest, mut at, mut d) = (&packed[16..], 0, snap::raw::Decoder::new());
            while let Some((len, more)) = rest.split_first_chunk() {
                let (block, more) = more.split_at(u32::from_be_bytes(*len) as usize);
                at += d.decompress(block, &mut out[at..]).unwrap();
                rest = more;
            }
        }
        Codec::Lz4 => lz4_flex::frame::FrameDecoder::new(packed).read_exact(out).unwrap(),
        Codec::Zstd => assert_eq!(zstd.decompress_to_buffer(packed, out).unwrap(), out.len()),
        Codec::None => unreachable!(),
    }
}

pub fn encode(name: &str, peers: &[Peer], recs: &[Rec], codec: Codec, skipped: &mut Skipped) -> Group {
    let plain = raw_records(recs).len();
    let (want, n) = (expected(recs), recs.len());
    let mut cases = vec![floor_encode(recs, codec, want)];
    for p in peers {
        match guard(|| (p.encode)(recs, codec)) {
            Ok(e) => {
                let size = e.once.len() - 61;
                let note = if codec == Codec::None { String::new() } else { format!("{size} B compressed") };
                match guard(|| check_encoded(&e.once, want, n)) {
                    Ok(_) => cases.push(case(p.name, note, e.run)),
                    Err(why) => skipped.add(name, p.name, format!("no broker would take its output: {why}")),
                }
            }
            Err(e) => skipped.add(name, p.name, e),
        }
    }
    if codec == Codec::None {
        cases.push(case("(kafka-proto, in one piece)", "", peers::ours::encode_one_piece(recs)));
    }
    Group { name: name.into(), bytes: 61 + plain, cases }
}

/// Written, with CRC, into a buffer that is kept; compressed by the codec's crate.
fn floor_encode(recs: &[Rec], codec: Codec, want: u64) -> crate::harness::Case {
    let (recs, plain) = (recs.to_vec(), raw_records(recs));
    let mut buf = vec![0u8; 61 + plain.len()];
    if codec == Codec::None {
        assert_eq!(floor::encode_batch(&recs, &mut buf), buf.len());
        check_encoded(&buf, want, recs.len()).unwrap();
        return case("floor", "", simple(move || floor::encode_batch(black_box(&recs), &mut buf)));
    }
    let note = format!("{} B compressed", java_compress(codec, &plain).len());
    let go = move || {
        let len = floor::encode_records(black_box(&recs), &mut buf);
        let packed = java_compress(codec, &buf[..len]);
        crc32c::crc32c(&packed) as usize + packed.len()
    };
    case("floor", note, simple(go))
}
