//! A link against bytes as brokers, old brokers and other servers send them.

use super::*;
use crate::error::ConnectionError;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::frame::{decode_request, encode_response};
use kafka_proto::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use kafka_proto::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use kafka_proto::messages::produce::{ProduceRequest, ProduceResponse};
use kafka_proto::{Bytes, ResponseKind};
use std::io::IoSlice;
use std::time::Duration;

fn config(api_versions: i16) -> LinkConfig {
    LinkConfig { client_id: Str::from_static("test"), max_response_bytes: 1 << 20, api_versions }
}

/// All bytes that wait for the socket, which takes them.
fn take(outbound: &mut LinkOutbound) -> Vec<u8> {
    let mut slices = [IoSlice::new(&[]); 16];
    let count = outbound.slices(&mut slices);
    let bytes: Vec<u8> = slices[..count].iter().flat_map(|s| s.to_vec()).collect();
    outbound.written(bytes.len());
    bytes
}

fn give(inbound: &mut LinkInbound, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let room = inbound.room();
        let len = room.len().min(bytes.len());
        room[..len].copy_from_slice(&bytes[..len]);
        inbound.received(len);
        bytes = &bytes[len..];
    }
}

fn respond(inbound: &mut LinkInbound, id: i32, version: i16, response: impl Into<ResponseKind>) {
    let frame = encode_response(id, version, &response.into()).unwrap();
    give(inbound, &frame.concat());
}

fn request_in(bytes: &[u8]) -> (kafka_proto::messages::headers::RequestHeader, RequestKind) {
    decode_request(&Bytes::copy_from_slice(&bytes[4..])).unwrap()
}

fn versions(max: i16) -> ApiVersionsResponse {
    let range = |api: ApiKey| ApiVersion {
        api_key: api.code(),
        min_version: 0,
        max_version: if api == ApiKey::ApiVersions { max } else { 2 },
        ..ApiVersion::default()
    };
    let api_keys = [ApiKey::ApiVersions, ApiKey::Heartbeat, ApiKey::Metadata].map(range).to_vec();
    ApiVersionsResponse { api_keys, ..ApiVersionsResponse::default() }
}

fn ready() -> (LinkInbound, LinkOutbound) {
    let (mut inbound, mut outbound) = link(config(3));
    assert!(!outbound.poll_setup().unwrap());
    let (header, _) = request_in(&take(&mut outbound));
    respond(&mut inbound, header.correlation_id, 3, versions(3));
    assert!(matches!(inbound.poll().unwrap(), Some(Received::Ready(_))));
    assert!(outbound.poll_setup().unwrap());
    (inbound, outbound)
}

fn heartbeat(id: u64) -> Transmit {
    let request = HeartbeatRequest { group_id: "g".into(), ..HeartbeatRequest::default() };
    Transmit { id: RequestId(id), version: 2, payload: Payload::Plain(Box::new(request.into())) }
}

/// A Produce request without batches.
#[derive(Debug)]
struct Produce(ProduceRequest);

impl Exchange for Produce {
    fn api(&self) -> ApiKey {
        ApiKey::Produce
    }

    fn into_request(self: Box<Self>, _: i16) -> Result<(RequestKind, Answering), Error> {
        let answering = if self.0.acks == 0 { Answering::Nothing } else { Answering::Lifted };
        Ok((RequestKind::Produce(self.0), answering))
    }
}

/// With acks of none no answer is asked for.
fn produce(id: u64, acks: i16) -> Transmit {
    let produce = Produce(ProduceRequest { acks, timeout_ms: 1000, ..ProduceRequest::default() });
    Transmit { id: RequestId(id), version: 9, payload: Payload::Built(Box::new(produce)) }
}

/// Queues requests: their correlation ids.
fn queue(outbound: &mut LinkOutbound, requests: impl IntoIterator<Item = Transmit>) -> Vec<i32> {
    requests
        .into_iter()
        .map(|request| {
            outbound.queue(request).unwrap();
            request_in(&take(outbound)).0.correlation_id
        })
        .collect()
}

fn answered(inbound: &mut LinkInbound) -> Vec<u64> {
    let mut ids = Vec::new();
    while let Some(Received::Response { id, .. }) = inbound.poll().unwrap() {
        ids.push(id.0);
    }
    ids
}

#[test]
fn case_c2_an_answer_to_acks_of_none_is_passed_over() {
    let produced = || ProduceResponse::default();
    // Only some of them are answered.
    for told in [&[0, 1, 2, 3, 4][..], &[1, 3], &[4], &[0], &[]] {
        let (mut inbound, mut outbound) = ready();
        let ids = queue(&mut outbound, (0..5).map(|id| produce(id, 0)));
        told.iter().for_each(|at| respond(&mut inbound, ids[*at], 9, produced()));
        assert!(answered(&mut inbound).is_empty());
        let ids = queue(&mut outbound, [produce(5, -1), produce(6, 0), produce(7, 1), heartbeat(8)]);
        let answers = ids.iter().map(|id| respond(&mut inbound, *id, 9, produced()));
        assert_eq!(answers.take(3).count(), 3);
        respond(&mut inbound, ids[3], 2, HeartbeatResponse::default());
        assert_eq!(answered(&mut inbound), [5, 7, 8]);
        assert!(inbound.finish().is_empty());
    }
}

#[test]
fn case_c2_an_answer_that_comes_late_or_twice_ends_the_connection() {
    for wrong in [0, 1, 3] {
        let (mut inbound, mut outbound) = ready();
        let ids = queue(&mut outbound, [produce(0, 0), produce(1, -1), produce(2, 0), produce(3, -1)]);
        respond(&mut inbound, ids[1], 9, ProduceResponse::default());
        assert_eq!(answered(&mut inbound), [1]);
        let passed = ids[2];
        respond(&mut inbound, passed, 9, ProduceResponse::default());
        assert!(answered(&mut inbound).is_empty());
        let wrong = if wrong == 3 { ids[3] + 1 } else { ids[wrong] };
        respond(&mut inbound, wrong, 9, ProduceResponse::default());
        let error = inbound.poll().unwrap_err();
        assert_eq!(error, ConnectionError::Correlation { expected: ids[3], got: wrong });
    }
}

#[test]
fn case_c2_ids_wrap() {
    use super::inbound::is_between;
    assert!(is_between(i32::MAX - 1, i32::MAX, i32::MIN) && is_between(i32::MAX, i32::MIN, i32::MIN + 2));
    assert!(!is_between(i32::MAX, i32::MIN + 2, i32::MIN + 2) && !is_between(i32::MAX, i32::MAX, i32::MIN));
    assert!(!is_between(5, 5, 6) && !is_between(5, 4, 6) && !is_between(5, 6, 6) && is_between(5, 6, 7));
}

#[test]
fn versions_are_agreed_on_first() {
    let (mut inbound, mut outbound) = link(config(4));
    assert!(!outbound.poll_setup().unwrap());
    let (header, request) = request_in(&take(&mut outbound));
    assert_eq!((header.request_api_version, header.client_id.as_deref()), (4, Some("test")));
    assert!(matches!(request, RequestKind::ApiVersions(_)));
    assert!(!outbound.poll_setup().unwrap(), "asked once");
    assert!(outbound.is_empty());
    respond(&mut inbound, header.correlation_id, 4, versions(4));
    let Some(Received::Ready(versions)) = inbound.poll().unwrap() else { panic!("not ready") };
    assert_eq!(versions.version(ApiKey::Heartbeat), Some(2));
    assert_eq!(versions.version(ApiKey::Fetch), None);
}

#[test]
fn scenario_n7_a_version_too_new_is_asked_again_as_the_broker_says() {
    for (told, expected) in [(Some(2), 2), (None, 0)] {
        let (mut inbound, mut outbound) = link(config(5));
        outbound.poll_setup().unwrap();
        let (header, _) = request_in(&take(&mut outbound));
        // Whatever was asked, this answer has the layout of version 0.
        let mut response =
            ApiVersionsResponse { error_code: ErrorCode::UnsupportedVersion.code(), ..Default::default() };
        let only =
            |max| ApiVersion { api_key: 18, min_version: 0, max_version: max, ..ApiVersion::default() };
        response.api_keys = told.map(only).into_iter().collect();
        respond(&mut inbound, header.correlation_id, 0, response);
        assert!(matches!(inbound.poll().unwrap(), Some(Received::SetupGoesOn)));
        outbound.poll_setup().unwrap();
        let (header, _) = request_in(&take(&mut outbound));
        assert_eq!(header.request_api_version, expected);
        respond(&mut inbound, header.correlation_id, expected, versions(expected));
        assert!(matches!(inbound.poll().unwrap(), Some(Received::Ready(_))));
    }
}

#[test]
fn scenario_n7_a_broker_that_always_refuses_is_not_asked_for_ever() {
    let (mut inbound, mut outbound) = link(config(3));
    for _ in 0..10 {
        outbound.poll_setup().unwrap();
        let bytes = take(&mut outbound);
        let (header, _) = request_in(&bytes);
        let response = ApiVersionsResponse { error_code: 35, ..Default::default() };
        respond(&mut inbound, header.correlation_id, 0, response);
        match inbound.poll() {
            Ok(Some(Received::SetupGoesOn)) => {}
            Err(ConnectionError::NotKafka(_)) => return,
            other => panic!("{other:?}"),
        }
    }
    panic!("it must end");
}

#[test]
fn responses_meet_their_requests_in_order() {
    let (mut inbound, mut outbound) = ready();
    let mut ids = Vec::new();
    for id in 1..=3 {
        outbound.queue(heartbeat(id)).unwrap();
        let (header, _) = request_in(&take(&mut outbound));
        ids.push(header.correlation_id);
    }
    for (at, id) in ids.into_iter().enumerate() {
        let response = HeartbeatResponse { throttle_time_ms: 20, ..HeartbeatResponse::default() };
        respond(&mut inbound, id, 2, response);
        let Some(Received::Response { id, throttle, .. }) = inbound.poll().unwrap() else { panic!() };
        assert_eq!(id, RequestId(at as u64 + 1));
        assert_eq!(throttle, Duration::from_millis(20), "from version 2 on the client keeps silent");
    }
    assert!(inbound.poll().unwrap().is_none());
    assert!(inbound.finish().is_empty());
}

#[test]
fn a_response_out_of_order_ends_the_connection() {
    let (mut inbound, mut outbound) = ready();
    outbound.queue(heartbeat(1)).unwrap();
    let (header, _) = request_in(&take(&mut outbound));
    respond(&mut inbound, header.correlation_id + 1, 2, HeartbeatResponse::default());
    let error = inbound.poll().unwrap_err();
    let expected = header.correlation_id;
    assert_eq!(error, ConnectionError::Correlation { expected, got: expected + 1 });
}

#[test]
fn scenario_p16_a_truncated_response_is_no_answer() {
    let (mut inbound, mut outbound) = ready();
    outbound.queue(heartbeat(1)).unwrap();
    let (header, _) = request_in(&take(&mut outbound));
    let mut frame = header.correlation_id.to_be_bytes().to_vec();
    frame.extend([0, 0]);
    give(&mut inbound, &(frame.len() as u32).to_be_bytes());
    give(&mut inbound, &frame);
    assert!(matches!(inbound.poll(), Err(ConnectionError::Undecodable(_))));
}

#[test]
fn a_response_nobody_asked_for_ends_the_connection() {
    let (mut inbound, _outbound) = ready();
    respond(&mut inbound, 9, 2, HeartbeatResponse::default());
    assert!(matches!(inbound.poll(), Err(ConnectionError::NotKafka(_))));
}

#[test]
fn what_the_socket_did_not_take_was_not_executed() {
    let (mut inbound, mut outbound) = ready();
    for id in 1..=3 {
        outbound.queue(heartbeat(id)).unwrap();
    }
    let one = outbound.pending_bytes() / 3;
    outbound.written(one + 1);
    let unanswered = inbound.finish();
    let taken: Vec<(u64, bool)> = unanswered.iter().map(|u| (u.id.0, u.taken)).collect();
    assert_eq!(taken, [(1, true), (2, false), (3, false)]);
}

#[test]
fn a_socket_cannot_take_more_than_there_is() {
    let (mut inbound, mut outbound) = ready();
    outbound.queue(heartbeat(1)).unwrap();
    let pending = outbound.pending_bytes();
    assert_eq!(outbound.written(pending + 100), []);
    assert_eq!((outbound.pending_bytes(), outbound.is_empty()), (0, true));
    // The bytes that were counted in vain are not those of the next request.
    outbound.queue(heartbeat(2)).unwrap();
    assert_eq!(outbound.pending_bytes(), pending);
    let unanswered: Vec<_> = inbound.finish().iter().map(|request| request.taken).collect();
    assert_eq!(unanswered, [true, false]);
}

#[test]
fn other_servers_are_recognized() {
    for (bytes, expected) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], ConnectionError::HttpServer),
        (&[0x15, 0x03, 0x03, 0, 2, 2, 80][..], ConnectionError::TlsListener),
        (
            &[0xff, 0xff, 0xff, 0xff][..],
            ConnectionError::NotKafka("it begins with a frame of -1 bytes".into()),
        ),
        (b"SSH-2.0-x\r\n", ConnectionError::NotKafka("it begins with `SSH-2.0-x`".into())),
    ] {
        let (mut inbound, mut outbound) = link(config(3));
        outbound.poll_setup().unwrap();
        take(&mut outbound);
        give(&mut inbound, bytes);
        assert_eq!(inbound.poll().unwrap_err(), expected);
    }
}

#[test]
fn how_a_connection_ended_tells_what_may_be_behind_it() {
    // Before it was set up; at the first request; in the middle of an answer; later.
    let (inbound, mut outbound) = link(config(3));
    outbound.poll_setup().unwrap();
    assert_eq!(inbound.end_of_stream(), ConnectionError::ClosedDuringSetup);

    let (mut inbound, mut outbound) = ready();
    assert!(matches!(inbound.end_of_stream(), ConnectionError::Lost(_)), "nothing was asked");
    outbound.queue(heartbeat(1)).unwrap();
    assert_eq!(inbound.end_of_stream(), ConnectionError::ClosedAfterSetup);
    give(&mut inbound, &[0, 0]);
    assert!(matches!(inbound.end_of_stream(), ConnectionError::Lost(how) if how.contains("middle")));

    let (mut inbound, mut outbound) = ready();
    outbound.queue(heartbeat(1)).unwrap();
    let (header, _) = request_in(&take(&mut outbound));
    respond(&mut inbound, header.correlation_id, 2, HeartbeatResponse::default());
    inbound.poll().unwrap();
    outbound.queue(heartbeat(2)).unwrap();
    assert_eq!(inbound.end_of_stream(), ConnectionError::ClosedUnanswered);
}

#[test]
fn a_request_that_cannot_be_encoded_leaves_the_connection_as_it_was() {
    let (mut inbound, mut outbound) = ready();
    let request = HeartbeatRequest { group_instance_id: Some("i".into()), ..HeartbeatRequest::default() };
    let transmit =
        Transmit { id: RequestId(1), version: 2, payload: Payload::Plain(Box::new(request.into())) };
    assert!(outbound.queue(transmit).is_err());
    assert!(outbound.is_empty());
    outbound.queue(heartbeat(2)).unwrap();
    let (header, _) = request_in(&take(&mut outbound));
    respond(&mut inbound, header.correlation_id, 2, HeartbeatResponse::default());
    assert!(matches!(inbound.poll().unwrap(), Some(Received::Response { id: RequestId(2), .. })));
}
