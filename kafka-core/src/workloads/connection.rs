//! A connection's work: from the socket's bytes to the response of a request.

use super::{sound, topic};
use crate::link::{LinkConfig, LinkInbound, LinkOutbound, Payload, Received, RequestId, Transmit, link};
use kafka_proto::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use kafka_proto::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use kafka_proto::{ApiKey, RequestKind, Str, frame};
use std::hint::black_box;
use std::io::IoSlice;

/// Requests that are sent and answered in a run.
pub(super) const RESPONSES: usize = 100;
/// Of Heartbeat.
const VERSION: i16 = 4;

/// Requests go out, their responses come in, in one piece each.
pub(super) fn dispatch() -> Box<dyn FnMut()> {
    let (mut inbound, mut outbound) = connected();
    let request = HeartbeatRequest { group_id: topic(), member_id: topic(), ..Default::default() };
    let mut next = 2;
    Box::new(move || {
        for id in 0..RESPONSES as u64 {
            let payload = Payload::Plain(Box::new(RequestKind::Heartbeat(request.clone())));
            sound(outbound.queue(Transmit { id: RequestId(id), version: VERSION, payload }));
        }
        take(&mut outbound);
        for id in 0..RESPONSES as u64 {
            give(&mut inbound, &answer(next));
            next += 1;
            match sound(inbound.poll()) {
                Some(Received::Response { id: answered, response, .. }) => {
                    assert_eq!(answered, RequestId(id));
                    black_box(response);
                }
                other => panic!("{other:?}"),
            }
        }
    })
}

fn answer(correlation_id: i32) -> Vec<u8> {
    sound(frame::encode_response(correlation_id, VERSION, &HeartbeatResponse::default().into())).concat()
}

fn connected() -> (LinkInbound, LinkOutbound) {
    let client_id = Str::from_static("workload");
    let (mut inbound, mut outbound) =
        link(LinkConfig { client_id, max_response_bytes: 1 << 20, api_versions: 4 });
    assert!(!sound(outbound.poll_setup()));
    take(&mut outbound);
    let range = |api: ApiKey| {
        let (min_version, max_version) = (api.versions().min, api.versions().max);
        ApiVersion { api_key: api.code(), min_version, max_version, ..ApiVersion::default() }
    };
    let response = ApiVersionsResponse { api_keys: ApiKey::ALL.map(range).to_vec(), ..Default::default() };
    give(&mut inbound, &sound(frame::encode_response(1, 4, &response.into())).concat());
    assert!(matches!(inbound.poll(), Ok(Some(Received::Ready(_)))));
    assert!(sound(outbound.poll_setup()));
    (inbound, outbound)
}

/// The socket takes all that waits for it.
fn take(outbound: &mut LinkOutbound) {
    while !outbound.is_empty() {
        let mut slices = [IoSlice::new(&[]); 64];
        let count = outbound.slices(&mut slices);
        let len = slices[..count].iter().map(|slice| slice.len()).sum();
        black_box(outbound.written(len));
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
