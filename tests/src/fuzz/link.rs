//! A connection to a hostile broker: the setup goes well, then come whatever bytes.

use super::messages::select;
use kafka_core::sans_io::{
    LinkConfig, LinkInbound, LinkOutbound, Payload, Received, RequestId, Transmit, link as new_link,
};
use kafka_proto::frame::encode_response;
use kafka_proto::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use kafka_proto::{ApiKey, RequestKind, Str};
use std::io::IoSlice;

/// Requests that are in flight when the bytes come.
const REQUESTS: usize = 4;

/// An input for [`link`]: framed answers to requests of these APIs and versions.
pub fn link_seed(answers: &[(ApiKey, i16, &[u8])]) -> Vec<u8> {
    let mut out = vec![1];
    for at in 0..REQUESTS {
        let (key, version, _) = answers.get(at).copied().unwrap_or((ApiKey::Heartbeat, 0, &[]));
        out.extend(super::message_seed(key, version, &[]));
    }
    for (key, version, body) in answers {
        // The rest of the header that follows the correlation id: no tags.
        let tags: &[u8] = if key.response_header_version(*version) > 0 { &[0] } else { &[] };
        out.extend(((tags.len() + body.len()) as u16).to_be_bytes());
        out.extend_from_slice(tags);
        out.extend_from_slice(body);
    }
    out
}

/// The first byte says whether the bytes are framed with the expected correlation ids (1), come as they are (0), or
/// come even before the setup (2), and in pieces of which size. Then API and version of the requests in flight, then
/// the bytes: where they are framed, each frame with an int16 length.
pub fn link(data: &[u8]) {
    let Some((mode, mut rest)) = data.split_first() else { return };
    let piece = 1 << (mode >> 4);
    let (mut inbound, mut outbound) = new_link(config());
    let _ = outbound.poll_setup();
    take(&mut outbound);
    if mode & 3 == 2 {
        hostile(&mut inbound, &mut outbound, rest, piece);
        return;
    }
    set_up(&mut inbound, &mut outbound);
    for id in 0..REQUESTS {
        let Some((key, version, after)) = select(rest) else { return };
        rest = after;
        let payload = Payload::Plain(Box::new(RequestKind::default_of(key)));
        // Some cannot be made with nothing but defaults.
        let _ = outbound.queue(Transmit { id: RequestId(id as u64), version, payload });
    }
    take(&mut outbound);
    match mode & 3 {
        1 => hostile(&mut inbound, &mut outbound, &framed(rest), piece),
        _ => hostile(&mut inbound, &mut outbound, rest, piece),
    }
}

fn config() -> LinkConfig {
    LinkConfig { client_id: Str::from_static("fuzz"), max_response_bytes: 1 << 20, api_versions: 4 }
}

/// The broker knows every API in every version.
fn set_up(inbound: &mut LinkInbound, outbound: &mut LinkOutbound) {
    let range = |api: ApiKey| ApiVersion {
        api_key: api.code(),
        min_version: api.versions().min,
        max_version: api.versions().max,
        ..ApiVersion::default()
    };
    let api_keys = ApiKey::ALL.map(range).to_vec();
    let response = ApiVersionsResponse { api_keys, ..ApiVersionsResponse::default() };
    let frame = encode_response(1, 4, &response.into()).unwrap_or_else(|error| panic!("{error}"));
    give(inbound, &frame.concat());
    assert!(matches!(inbound.poll(), Ok(Some(Received::Ready(_)))));
    assert!(matches!(outbound.poll_setup(), Ok(true)));
}

/// The bytes of the answers: length, correlation id, then as many bytes as the input says.
fn framed(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for id in 2.. {
        let Some((length, after)) = rest.split_first_chunk() else { break };
        let (body, after) = after.split_at(after.len().min(usize::from(u16::from_be_bytes(*length))));
        out.extend((4 + body.len() as u32).to_be_bytes());
        out.extend(i32::to_be_bytes(id));
        out.extend_from_slice(body);
        rest = after;
    }
    out
}

/// Until an error or the end: no panic, and no answer that nobody asked for.
fn hostile(inbound: &mut LinkInbound, outbound: &mut LinkOutbound, bytes: &[u8], piece: usize) {
    let mut answers = Vec::new();
    for part in bytes.chunks(piece) {
        give(inbound, part);
        loop {
            match inbound.poll() {
                Ok(None) => break,
                Ok(Some(Received::Response { id, response, .. })) => {
                    answers.push(id);
                    let _ = format!("{response:?}");
                }
                Ok(Some(Received::SetupGoesOn)) => {
                    let _ = outbound.poll_setup();
                    take(outbound);
                }
                Ok(Some(Received::Ready(versions))) => {
                    let _ = ApiKey::ALL.map(|key| versions.version(key));
                }
                Err(_) => return end(inbound, &answers),
            }
        }
    }
    let _ = inbound.end_of_stream();
    end(inbound, &answers);
}

fn end(inbound: &mut LinkInbound, answers: &[RequestId]) {
    assert!(answers.is_sorted() && answers.len() <= REQUESTS);
    assert!(inbound.finish().iter().all(|left| left.taken && !answers.contains(&left.id)));
}

/// The socket takes all that waits for it.
fn take(outbound: &mut LinkOutbound) {
    while !outbound.is_empty() {
        let mut slices = [IoSlice::new(&[]); 16];
        let count = outbound.slices(&mut slices);
        let len = slices[..count].iter().map(|slice| slice.len()).sum();
        outbound.written(len);
    }
}

fn give(inbound: &mut LinkInbound, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let room = inbound.room();
        let (now, later) = bytes.split_at(room.len().min(bytes.len()));
        room[..now.len()].copy_from_slice(now);
        inbound.received(now.len());
        bytes = later;
    }
}
