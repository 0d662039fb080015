//! What is saved of fuzzing, once more: no input takes more memory than its length justifies.
//!
//! A program of its own, with one test, as its allocator counts what all threads do.

use kafka_proto::ApiKey;
use kafka_testkit::fuzz::memory::{Meter, limit, measured};
use kafka_testkit::fuzz::{self, TARGETS, corpus};
use peak_alloc::PeakAlloc;
use std::path::Path;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const METER: Meter = Meter { reset, peak: || MEMORY.peak_usage() };

fn reset() -> usize {
    MEMORY.reset_peak_usage();
    MEMORY.current_usage()
}

#[test]
fn memory_is_in_proportion_to_the_input() {
    let saved = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/saved");
    for (target, body) in TARGETS.iter().copied() {
        let inputs = corpus::read(&saved.join(target).with_extension("gz")).unwrap();
        // Tables that are made once are nobody's.
        body(&inputs[inputs.len() / 2]);
        let used = inputs.iter().map(|input| (measured(target, body, input, METER), input.len()));
        let (most, len) = used.max_by_key(|(used, len)| used * 100 / limit(target, *len)).unwrap();
        println!(
            "{target:18} nearest to its limit: {most} bytes for an input of {len}, limit {}",
            limit(target, len)
        );
    }
    // A frame that claims to be as large as a connection reads ahead.
    measured("link", fuzz::link, b"\x00\x01\x33\x22\x0c\x01\x00\x00\x22\x00\x0c\xe5\x01\x33\x00", METER);
    hostile_lengths();
    greedy();
}

/// Arrays and texts that claim to be long, with nothing but the smallest elements behind: of every API, oldest and newest.
fn hostile_lengths() {
    let mut most = (0, 0);
    for claim in [&[0xff, 0xff, 0xff, 0x07][..], &[0x7f, 0xff, 0xff, 0xff], &[0, 0, 0x20, 0]] {
        for (target, body) in [("request", fuzz::request as fuzz::Body), ("response", fuzz::response)] {
            for (api, version, before) in every_place() {
                let mut input = vec![0; 2 + before];
                (input[0], input[1]) = (api, version);
                input.extend_from_slice(claim);
                input.resize(2048, 0);
                most = most.max((measured(target, body, &input, METER), input.len()));
            }
        }
    }
    println!("hostile lengths: {} bytes for an input of {}", most.0, most.1);
}

/// API and version as the bodies select them, and how many bytes stand before the claim.
fn every_place() -> impl Iterator<Item = (u8, u8, usize)> {
    let apis = ApiKey::ALL.iter().enumerate();
    apis.flat_map(|(api, key)| {
        let versions = key.versions();
        [0, versions.max - versions.min].map(|version| (api as u8, version as u8))
    })
    .flat_map(|(api, version)| (0..24).map(move |before| (api, version, before)))
}

/// The check itself: what takes a mebibyte for two bytes is found.
fn greedy() {
    let greedy = |_: &[u8]| drop(std::hint::black_box(vec![0u8; 1 << 20]));
    let run = std::panic::catch_unwind(|| measured("request", greedy, &[1, 2], METER));
    let message = *run.unwrap_err().downcast::<String>().unwrap();
    assert!(message.starts_with("request: 2 bytes of input took 104"), "{message}");
}
