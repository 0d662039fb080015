//! Bytes that Kafka's own classes wrote are read and written again without a difference.

use flate2::read::GzDecoder;
use kafka_proto::wire::{Decoder, Encoder};
use kafka_proto::{ApiKey, Bytes, RequestKind, ResponseKind};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

fn files(folder: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn lines(path: &Path) -> impl Iterator<Item = Value> {
    let lines = BufReader::new(GzDecoder::new(File::open(path).unwrap())).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

fn unhex(text: &str) -> Bytes {
    let digit = |c: u8| (c as char).to_digit(16).unwrap() as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect::<Vec<_>>().into()
}

/// Reads a body, and writes what was read. Returns what is left over, the length as counted, and the bytes.
fn again(vector: &Value, bytes: &Bytes) -> Result<(usize, usize, Bytes), String> {
    let key = ApiKey::from_code(vector["api"].as_i64().unwrap() as i16).unwrap();
    let version = vector["version"].as_i64().unwrap() as i16;
    let mut input = Decoder::new(bytes);
    let mut out = Encoder::new();
    let len = if vector["kind"] == "request" {
        let message = RequestKind::decode(key, &mut input, version).map_err(|e| e.to_string())?;
        message.encode(&mut out, version).map_err(|e| e.to_string())?;
        message.encoded_len(version).unwrap()
    } else {
        let message = ResponseKind::decode(key, &mut input, version).map_err(|e| e.to_string())?;
        message.encode(&mut out, version).map_err(|e| e.to_string())?;
        message.encoded_len(version).unwrap()
    };
    Ok((input.remaining(), len, out.into_bytes()))
}

#[test]
fn every_request_and_response_of_every_version() {
    let mut count = 0;
    for path in files("rpc") {
        for vector in lines(&path) {
            let bytes = unhex(vector["hex"].as_str().unwrap());
            let name = format!("{} v{} {}", vector["name"], vector["version"], vector["case"]);
            let written = again(&vector, &bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(written, (0, bytes.len(), bytes.clone()), "{name}");
            count += 1;
        }
    }
    assert_eq!(count, 1_850);
}

#[test]
fn every_proper_prefix_is_an_error_or_another_value() {
    for path in files("rpc") {
        for vector in lines(&path).filter(|v| v["case"] == "default") {
            let bytes = unhex(vector["hex"].as_str().unwrap());
            for len in 0..bytes.len() {
                let outcome = again(&vector, &bytes.slice(..len));
                assert!(outcome.is_err(), "{} v{} {len}", vector["name"], vector["version"]);
            }
        }
    }
}
