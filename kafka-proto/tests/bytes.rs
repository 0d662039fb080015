//! Bytes that Kafka's own classes wrote (4.4.0, and 3.9.1 for what 4.x has no more), with the values they stand for as
//! JSON: read, compared, written again, made anew from JSON; then cut off, and damaged.

use flate2::read::GzDecoder;
use kafka_proto::any::{AnyMessage, MessageType};
use kafka_proto::messages::{
    broker_files, cluster_metadata, consumer_offsets, consumer_protocol, control_records, principal,
    remote_log_metadata, share_group_state, transaction_state,
};
use kafka_proto::wire::{DecodeError, Decoder, Encoder};
use kafka_proto::{Bytes, Message, Prefixed};
use serde_json::Value;
use std::collections::BTreeSet;
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

fn unhex(value: &Value) -> Bytes {
    let digit = |c: u8| (c as char).to_digit(16).unwrap() as u8;
    let text = value.as_str().unwrap().as_bytes();
    text.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect::<Vec<_>>().into()
}

struct Vector {
    place: String,
    line: Value,
    kind: &'static MessageType,
    version: i16,
    bytes: Bytes,
}

impl Vector {
    fn decode(&self, bytes: &Bytes) -> Result<(Box<dyn AnyMessage>, usize), DecodeError> {
        let mut input = Decoder::new(bytes);
        let message = self.kind.decode(&mut input, self.version)?;
        Ok((message, input.remaining()))
    }

    fn encode(&self, message: &dyn AnyMessage) -> Bytes {
        let mut out = Encoder::new();
        message.encode(&mut out, self.version).unwrap_or_else(|e| panic!("{}: {e}", self.place));
        let bytes = out.into_bytes();
        assert_eq!(message.encoded_len(self.version).unwrap(), bytes.len(), "{}", self.place);
        bytes
    }
}

fn vectors() -> impl Iterator<Item = Vector> {
    let edges = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/edges/messages.jsonl.gz");
    let paths = ["rpc", "data", "stored"].into_iter().flat_map(files).chain([edges]);
    paths.flat_map(|path| lines(&path).collect::<Vec<_>>()).map(|line| {
        let version = line["version"].as_i64().unwrap() as i16;
        let name = line["name"].as_str().unwrap();
        let place = format!("{name} v{version} {}", line["case"]);
        let kind = MessageType::by_name(name).unwrap_or_else(|| panic!("{place}: no such message"));
        Vector { place, kind, version, bytes: unhex(&line["hex"]), line }
    })
}

#[test]
fn every_message_of_every_version() {
    let mut count = 0;
    for vector in vectors() {
        let place = &vector.place;
        let (message, left) = vector.decode(&vector.bytes).unwrap_or_else(|e| panic!("{place}: {e}"));
        assert_eq!(left, 0, "{place}");
        assert_eq!(message.to_json(vector.version).unwrap(), vector.line["json"], "{place}");
        assert_eq!(vector.encode(&*message), vector.bytes, "{place}");
        let made = vector.kind.from_json(&vector.line["json"], vector.version).unwrap();
        if vector.line["case"] != "unknown_tags" {
            assert!(made.equals(&*message), "{place}: {made:?}");
            assert_eq!(vector.encode(&*made), vector.bytes, "{place}");
        }
        count += 1;
    }
    assert_eq!(count, 2_181 + 1_710);
}

#[test]
fn every_version_of_every_message_is_there() {
    let all: BTreeSet<_> =
        vectors().map(|v| (v.kind.name, v.version, v.line["case"].as_str().unwrap().to_owned())).collect();
    for kind in MessageType::ALL {
        for version in kind.versions.iter() {
            for case in ["filled", "nulls", "extremes"] {
                assert!(
                    all.contains(&(kind.name, version, case.to_owned())),
                    "{} v{version} {case}",
                    kind.name
                );
            }
        }
    }
}

#[test]
fn a_prefix_is_an_error_or_another_value() {
    for vector in vectors() {
        let (whole, _) = vector.decode(&vector.bytes).unwrap();
        for len in 0..vector.bytes.len() {
            if let Ok((message, _)) = vector.decode(&vector.bytes.slice(..len)) {
                assert!(!message.equals(&*whole), "{}: {len} bytes", vector.place);
            }
        }
    }
}

#[test]
fn a_damaged_byte_never_panics_and_what_is_read_can_be_written() {
    // The case with unknown tags has all that the filled one has.
    let fullest =
        |v: &Vector| v.line["case"] == if v.line["flexible"] == true { "unknown_tags" } else { "filled" };
    for vector in vectors().filter(fullest) {
        for at in 0..vector.bytes.len() {
            // Lengths become huge, negative, or off by one.
            for flip in [0xff, 0x80, 0x01].into_iter().skip(at % 3).take(1) {
                let mut bytes = vector.bytes.to_vec();
                bytes[at] ^= flip;
                if let Ok((message, _)) = vector.decode(&bytes.into()) {
                    // Not the same bytes: a varint may have been longer than needed, or a text not UTF-8. A text that
                    // is replaced can become too long.
                    let _ = message.encoded_len(vector.version);
                }
            }
        }
    }
}

#[test]
fn versions_that_are_not_known_are_errors() {
    for kind in MessageType::ALL {
        for version in [kind.versions.min - 1, kind.versions.max + 1, i16::MIN, i16::MAX] {
            let error = kind.decode(&mut Decoder::new(&Bytes::new()), version).unwrap_err();
            assert_eq!((error.message(), error.version()), (kind.name, version));
        }
    }
}

/// What `framedHex` is read as, and written again.
fn reframe(file: &str, line: &Value, framed: &Bytes) -> Bytes {
    let kind = line["type"].as_i64().unwrap_or(-1) as i16;
    let key = line["kind"] == "coordinator-key";
    macro_rules! coordinator {
        ($module:ident) => {
            if key {
                let read = $module::Key::decode(framed).unwrap();
                assert_eq!(read.kind(), kind);
                read.encode().unwrap()
            } else {
                let (version, value) = $module::Value::decode(kind, framed).unwrap();
                assert_eq!(version, line["version"].as_i64().unwrap() as i16);
                value.encode(version).unwrap()
            }
        };
    }
    macro_rules! metadata {
        ($module:ident) => {{
            let (version, record) = $module::Record::decode(framed).unwrap();
            assert_eq!((record.kind(), i64::from(version)), (kind, line["version"].as_i64().unwrap()));
            record.encode(version).unwrap()
        }};
    }
    fn prefixed<T: Prefixed>(framed: &Bytes) -> Bytes {
        let (version, message) = T::decode_prefixed(framed).unwrap();
        message.encode_prefixed(version).unwrap()
    }
    match (file, line["name"].as_str().unwrap()) {
        ("consumer_offsets", _) => coordinator!(consumer_offsets),
        ("transaction_state", _) => coordinator!(transaction_state),
        ("share_group_state", _) => coordinator!(share_group_state),
        ("cluster_metadata", _) => metadata!(cluster_metadata),
        ("remote_log_metadata", _) => metadata!(remote_log_metadata),
        (_, "ConsumerProtocolSubscription") => {
            prefixed::<consumer_protocol::ConsumerProtocolSubscription>(framed)
        }
        (_, "ConsumerProtocolAssignment") => {
            prefixed::<consumer_protocol::ConsumerProtocolAssignment>(framed)
        }
        (_, "ControlRecordTypeSchema") => prefixed::<control_records::ControlRecordTypeSchema>(framed),
        (_, "EndTxnMarker") => prefixed::<control_records::EndTxnMarker>(framed),
        (_, "DefaultPrincipalData") => prefixed::<principal::DefaultPrincipalData>(framed),
        (_, "AbortedTxn") => prefixed::<broker_files::AbortedTxn>(framed),
        (file, name) => panic!("{file} {name}"),
    }
}

#[test]
fn what_stands_before_stored_messages() {
    let mut count = 0;
    for path in ["data", "stored"].into_iter().flat_map(files) {
        let file = path.file_name().unwrap().to_str().unwrap().trim_end_matches(".jsonl.gz");
        for line in lines(&path).filter(|line| line.get("framedHex").is_some()) {
            let framed = unhex(&line["framedHex"]);
            assert_eq!(reframe(file, &line, &framed), framed, "{file} {}", line["name"]);
            for len in 0..3.min(framed.len()) {
                let cut = framed.slice(..len);
                assert!(
                    consumer_offsets::Key::decode(&cut).is_err()
                        && cluster_metadata::Record::decode(&cut).is_err()
                );
            }
            count += 1;
        }
    }
    assert!(count > 200, "{count}");
}

#[test]
fn a_newer_subscription_is_read_as_the_newest_known() {
    use consumer_protocol::ConsumerProtocolSubscription as Subscription;
    let subscription =
        Subscription { topics: vec!["t".into()], rack_id: Some("r".into()), ..Subscription::default() };
    let mut bytes = subscription.encode_prefixed(Subscription::VERSIONS.max).unwrap().to_vec();
    bytes[1] = 9;
    bytes.extend_from_slice(b"what version 9 appends");
    assert_eq!(Subscription::decode_prefixed(&bytes.into()).unwrap(), (9, subscription));
}
