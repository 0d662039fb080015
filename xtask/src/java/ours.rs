//! What our decoders answer, in the words of the Java programs.

use std::fmt::Write;

use kafka_core::internal::subscription::{Assignment, Subscription};
use kafka_core::internal::{Chunk, Walk};
use kafka_core::{Bytes, ReaderConfig, Str, TopicPartition};
use kafka_proto::records::{Compression, compression, crc32c};
use kafka_proto::wire::{Decoder, Encoder};
use kafka_proto::{ApiKey, ResponseKind};

use super::Kind;
use super::tally::hex;

/// What unpacks to more was not meant to be read.
const MAX_UNPACKED: usize = 16 << 20;
/// More bytes than that are told by their number and checksum.
const MAX_TOLD: usize = 64;

/// The answer to a question.
pub(super) fn answer(kind: Kind, question: &[u8]) -> String {
    let answer = match (kind, question) {
        (Kind::Responses, [_, a, b, c, d, bytes @ ..]) => {
            response(i16::from_be_bytes([*a, *b]), i16::from_be_bytes([*c, *d]), bytes)
        }
        (Kind::Blobs, [1, blob @ ..]) => subscription(blob),
        (Kind::Blobs, [_, blob @ ..]) => assignment(blob),
        (Kind::Batches, [_, bytes @ ..]) => Ok(batches(bytes)),
        (Kind::Payloads, [_, codec, magic, packed @ ..]) => unpacked(*codec, *magic, packed),
        _ => Err("no question".to_owned()),
    };
    answer.unwrap_or_else(|why| format!("error {why}"))
}

type Answer = Result<String, String>;

fn response(key: i16, version: i16, bytes: &[u8]) -> Answer {
    let key = ApiKey::from_code(key).ok_or("no such API")?;
    let bytes = Bytes::copy_from_slice(bytes);
    let mut input = Decoder::new(&bytes);
    let message = ResponseKind::decode(key, &mut input, version).map_err(|error| error.to_string())?;
    let left = input.remaining();
    let mut out = Encoder::new();
    Ok(match message.encode(&mut out, version) {
        Ok(()) => format!("{left} {}", hex(&out.into_bytes())),
        Err(error) => format!("{left} unwritable: {error}"),
    })
}

fn subscription(blob: &[u8]) -> Answer {
    let read = Subscription::decode(&Bytes::copy_from_slice(blob)).map_err(|error| error.to_string())?;
    let topics: Vec<_> = read.topics.iter().map(|topic| hex(topic.as_bytes())).collect();
    let rack = read.rack.filter(|rack| !rack.is_empty());
    Ok(format!(
        "topics [{}] user {} owned {} generation {} rack {}",
        topics.join(", "),
        maybe_hex(read.user_data.as_deref()),
        partitions(&read.owned),
        read.generation,
        maybe_hex(rack.as_deref().map(str::as_bytes)),
    ))
}

fn assignment(blob: &[u8]) -> Answer {
    let read = Assignment::decode(&Bytes::copy_from_slice(blob)).map_err(|error| error.to_string())?;
    Ok(format!("partitions {} user {}", partitions(&read.partitions), maybe_hex(read.user_data.as_deref())))
}

fn partitions(list: &[TopicPartition]) -> String {
    let each: Vec<_> =
        list.iter().map(|tp| format!("{}-{}", hex(tp.topic.as_bytes()), tp.partition)).collect();
    format!("[{}]", each.join(", "))
}

fn maybe_hex(bytes: Option<&[u8]>) -> String {
    bytes.map_or_else(|| "null".to_owned(), hex)
}

/// Of the batches before the first that cannot be read to its end, then how it ended.
fn batches(bytes: &[u8]) -> String {
    match walk(bytes) {
        Ok(told) => told + "end",
        Err(why) => {
            let ends = batch_ends(bytes);
            let before = ends.iter().rev().find_map(|end| walk(&bytes[..*end]).ok());
            format!("{}error {why}", before.unwrap_or_default())
        }
    }
}

/// As a reader's handle does it, from offset 0 on.
fn walk(bytes: &[u8]) -> Answer {
    let chunk = Chunk::of_bytes(&Str::from_static("t"), Bytes::copy_from_slice(bytes));
    let mut walk =
        Walk::new(chunk, &ReaderConfig { max_decompressed: MAX_UNPACKED, ..ReaderConfig::default() });
    let mut told = String::new();
    while let Some(message) = walk.next_record() {
        let message = message.map_err(|error| error.to_string())?;
        let (offset, timestamp) = (message.offset, message.timestamp.unwrap_or(-1));
        let (key, value) = (text(message.key.as_deref()), text(message.value.as_deref()));
        let _ = write!(told, "{offset} {timestamp} {key} {value}");
        for header in &message.headers {
            let _ = write!(told, " {}={}", text(Some(header.key.as_bytes())), text(header.value.as_deref()));
        }
        told.push('\n');
    }
    Ok(told)
}

/// Where whole batches end, as their sizes say.
fn batch_ends(bytes: &[u8]) -> Vec<usize> {
    let (mut ends, mut at) = (Vec::new(), 0usize);
    while let Some(size) = bytes.get(at + 8..).and_then(|rest| rest.first_chunk()) {
        let size = usize::try_from(i32::from_be_bytes(*size)).unwrap_or(usize::MAX / 2);
        at += 12 + size;
        if at > bytes.len() {
            break;
        }
        ends.push(at);
    }
    ends
}

fn unpacked(codec: u8, magic: u8, packed: &[u8]) -> Answer {
    let codec = Compression::from_code(codec).ok_or("no such codec")?;
    let unpacked = compression::decompress(codec, magic, &Bytes::copy_from_slice(packed), MAX_UNPACKED);
    unpacked.map(|bytes| text(Some(&bytes))).map_err(|error| error.to_string())
}

fn text(bytes: Option<&[u8]>) -> String {
    match bytes {
        None => "null".to_owned(),
        Some(bytes) if bytes.len() <= MAX_TOLD => format!("'{}'", hex(bytes)),
        Some(bytes) => format!("{}:{:x}", bytes.len(), crc32c(bytes)),
    }
}
