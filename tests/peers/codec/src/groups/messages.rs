//! Messages: Metadata of 1,000 topics × 10 partitions, Fetch and Produce of 100 partitions × 16 KiB, Heartbeats.

use std::hint::black_box;

use bytes::Bytes;

use super::{Skipped, case, guard};
use crate::data::batch::{Codec, wire_batch};
use crate::data::{self, Rec};
use crate::floor::{frames, messages as floor};
use crate::harness::{Case, Group, Run, simple};
use crate::peers::kafka_protocol as fixture;
use crate::peers::{Decode, Peer};

/// The peer's decoder on the bytes, if it comes to what is wanted.
fn decoder(
    name: &str,
    peer: &str,
    v: i16,
    wire: Bytes,
    f: Decode,
    want: u64,
    skipped: &mut Skipped,
) -> Option<Case> {
    match guard(|| f(&wire, v)) {
        Ok(got) if got == want => {
            return Some(case(peer, format!("v{v}"), simple(move || f(black_box(&wire), v).unwrap())));
        }
        Ok(_) => skipped.add(name, peer, "decodes to something else"),
        Err(e) => skipped.add(name, peer, e),
    }
    None
}

pub fn metadata_decode(name: &str, peers: &[Peer], at: Option<i16>, skipped: &mut Skipped) -> Group {
    let want = data::expected_metadata();
    let newest = fixture::metadata_wire(13);
    let bytes = fixture::metadata_wire(at.unwrap_or(13)).len();
    let mut cases = vec![];
    if at.is_none() {
        assert_eq!(floor::metadata_v13(&newest), want);
        cases.push(case("floor", "v13", simple(move || floor::metadata_v13(black_box(&newest)))));
    }
    for p in peers {
        let v = at.unwrap_or(p.metadata_version);
        let wire = fixture::metadata_wire(v);
        cases.extend(decoder(name, p.name, v, wire, p.metadata_decode, want, skipped));
    }
    Group { name: name.into(), bytes, cases }
}

pub fn metadata_encode(name: &str, peers: &[Peer], skipped: &mut Skipped) -> Group {
    let wire = fixture::metadata_wire(13);
    let mut cases = vec![case("floor", "v13", floor_metadata_encode(&wire))];
    for p in peers {
        let v = p.metadata_version;
        let Some(f) = p.metadata_encode else {
            skipped.add(name, p.name, "no public encoder of responses");
            continue;
        };
        let wire = fixture::metadata_wire(v);
        match guard(|| f(&wire, v)) {
            Ok(e) => match guard(|| fixture::check_metadata(&e.once, v)) {
                Ok(()) => cases.push(case(p.name, format!("v{v}"), e.run)),
                Err(why) => skipped.add(name, p.name, format!("encodes something else: {why}")),
            },
            Err(e) => skipped.add(name, p.name, e),
        }
    }
    Group { name: name.into(), bytes: wire.len(), cases }
}

fn floor_metadata_encode(wire: &Bytes) -> Run {
    let topics = floor::topics();
    // All before the array of topics, which begins with its length, 1001 as a varint.
    let at = wire.windows(2).position(|x| x == [0xe9, 0x07]).unwrap();
    let head = wire[..at].to_vec();
    let mut buf = vec![0; wire.len()];
    let n = floor::encode_metadata_v13(&head, &topics, &mut buf);
    assert!(buf[..n] == wire[..]);
    simple(move || floor::encode_metadata_v13(&head, black_box(&topics), &mut buf))
}

fn partitions() -> Vec<Vec<Rec>> {
    (0..data::FETCH_PARTS).map(|i| data::batch_16k(77 + i as u64)).collect()
}

pub fn fetch(name: &str, peers: &[Peer], full: bool, skipped: &mut Skipped) -> Group {
    let parts = partitions();
    let batches: Vec<Bytes> = parts.iter().map(|p| wire_batch(Codec::None, p, 0)).collect();
    let want = if full {
        parts.iter().map(|p| data::expected(p)).fold(0, u64::wrapping_add)
    } else {
        batches.iter().map(|b| b.len() as u64 + 2).sum()
    };
    let wire = fixture::fetch_wire(17, &batches);
    let bytes = wire.len();
    assert_eq!(floor::fetch_v17(&wire, full), want);
    let mut cases = vec![case("floor", "v17", simple(move || floor::fetch_v17(black_box(&wire), full)))];
    for p in peers {
        let Some(f) = (if full { Some(p.fetch_full) } else { p.fetch_lazy }) else {
            skipped.add(name, p.name, "decodes every record with the response, always");
            continue;
        };
        let wire = fixture::fetch_wire(p.fetch_version, &batches);
        cases.extend(decoder(name, p.name, p.fetch_version, wire, f, want, skipped));
    }
    Group { name: name.into(), bytes, cases }
}

pub fn produce(name: &str, peers: &[Peer], skipped: &mut Skipped) -> Group {
    let parts = partitions();
    let want = parts.iter().map(|p| data::expected(p)).fold(0, u64::wrapping_add);
    let id = data::topic_id(1);
    let n = floor::produce_v13_len(&parts);
    let mut buf = vec![0u8; n];
    assert_eq!(floor::produce_v13(&id, &parts, &mut buf), n);
    guard(|| fixture::check_produce(&buf, 13, data::FETCH_PARTS, want)).unwrap();
    let given = parts.clone();
    let run = simple(move || floor::produce_v13(&id, black_box(&given), &mut buf));
    let mut cases = vec![case("floor", "v13", run)];
    for p in peers {
        let v = p.produce_version;
        let checked = guard(|| {
            let e = (p.produce_records)(&parts, v)?;
            fixture::check_produce(&e.once, v, data::FETCH_PARTS, want).map(|()| e)
        });
        match checked {
            Ok(e) => cases.push(case(p.name, format!("v{v}"), e.run)),
            Err(e) => skipped.add(name, p.name, e),
        }
    }
    Group { name: name.into(), bytes: n, cases }
}

pub fn heartbeat_decode(name: &str, peers: &[Peer], skipped: &mut Skipped) -> Group {
    let wire = data::heartbeat_responses();
    let (want, bytes) = (data::expected_heartbeats(), wire.len());
    assert_eq!(frames::decode_heartbeats(&wire), want);
    let w = wire.clone();
    let mut cases = vec![case("floor", "v4", simple(move || frames::decode_heartbeats(black_box(&w))))];
    for p in peers {
        let Some(f) = p.heartbeat_decode else {
            skipped.add(name, p.name, "has no Heartbeat");
            continue;
        };
        match guard(|| f(&wire)) {
            Ok(got) if got == want => {
                let w = wire.clone();
                cases.push(case(p.name, "v4", simple(move || f(black_box(&w)).unwrap())));
            }
            Ok(_) => skipped.add(name, p.name, "decodes to something else"),
            Err(e) => skipped.add(name, p.name, e),
        }
    }
    Group { name: name.into(), bytes, cases }
}

pub fn heartbeat_encode(name: &str, peers: &[Peer], skipped: &mut Skipped) -> Group {
    let mut buf = [0; 256];
    let len = frames::encode_heartbeat(7, &mut buf);
    let want = buf[..len].to_vec();
    let run = simple(move || {
        for i in 0..data::FRAMES as i32 {
            frames::encode_heartbeat(black_box(i), &mut buf);
            black_box(&buf);
        }
    });
    let mut cases = vec![case("floor", "v4", run)];
    for p in peers {
        let Some(f) = p.heartbeat_encode else {
            skipped.add(name, p.name, "has no Heartbeat");
            continue;
        };
        match guard(f) {
            Ok(e) if e.once == want => cases.push(case(p.name, "v4", e.run)),
            Ok(_) => skipped.add(name, p.name, "encodes to other bytes"),
            Err(e) => skipped.add(name, p.name, e),
        }
    }
    Group { name: name.into(), bytes: len * data::FRAMES, cases }
}
