//! Frames, and the errors of messages that a version cannot carry.

use kafka_proto::messages::fetch::FetchRequest;
use kafka_proto::messages::join_group::{JoinGroupRequest, JoinGroupResponse};
use kafka_proto::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_proto::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_proto::wire::{DecodeErrorKind, Decoder, EncodeErrorKind, Encoder, Records};
use kafka_proto::{ApiKey, Bytes, Message, RequestKind, ResponseKind, frame};

/// What follows the length of a frame, which is checked.
fn payload(segments: Vec<Bytes>) -> Bytes {
    let all: Vec<u8> = segments.concat();
    let len = u32::from_be_bytes(all[..4].try_into().unwrap());
    assert_eq!(len as usize, all.len() - 4);
    Bytes::from(all).slice(4..)
}

#[test]
fn every_default_message_survives_its_frame() {
    let mut count = 0;
    for key in ApiKey::ALL {
        for version in key.versions().iter() {
            let request = RequestKind::default_of(key);
            let frame = payload(frame::encode_request(7, Some("me"), version, &request).unwrap());
            let (header, read) = frame::decode_request(&frame).unwrap();
            assert_eq!((header.request_api_key, header.request_api_version), (key.code(), version));
            assert_eq!(header.correlation_id, 7);
            let with_client_id = key.request_header_version(version) > 0;
            assert_eq!(header.client_id.as_deref(), if with_client_id { Some("me") } else { Some("") });
            assert_eq!(read, request);
            count += 1;
        }
    }
    assert_eq!(count, 364);
}

#[test]
fn a_response_frame() {
    let response = JoinGroupResponse { generation_id: 3, leader: "a".into(), ..Default::default() };
    let kind = ResponseKind::from(response);
    for version in 7..=9 {
        let frame = payload(frame::encode_response(-5, version, &kind).unwrap());
        assert_eq!(frame::decode_response(ApiKey::JoinGroup, version, &frame).unwrap(), (-5, kind.clone()));
    }
}

#[test]
fn records_are_not_copied_into_a_frame() {
    let batch = Bytes::from(vec![1; 100_000]);
    let partition =
        PartitionProduceData { records: Some(Records::from(batch.clone())), ..Default::default() };
    let topic = TopicProduceData { name: "t".into(), partition_data: vec![partition], ..Default::default() };
    let request = ProduceRequest { acks: -1, topic_data: vec![topic], ..Default::default() };
    let segments = frame::encode_request(1, None, 9, &request.into()).unwrap();
    assert_eq!(segments.len(), 3);
    assert_eq!(segments[1].as_ptr(), batch.as_ptr());
    payload(segments);
}

#[test]
fn a_field_that_gets_lost_is_an_error_with_its_place() {
    let request = JoinGroupRequest { group_instance_id: Some("x".into()), ..Default::default() };
    let error = request.encode(&mut Encoder::new(), 4).unwrap_err();
    assert_eq!((error.message(), error.version()), ("JoinGroupRequest", 4));
    assert_eq!((error.field(), error.kind()), ("group_instance_id", &EncodeErrorKind::UnsupportedField));
    assert_eq!(request.encoded_len(4).unwrap_err(), error);
    assert!(request.encode(&mut Encoder::new(), 5).is_ok());
    // `reason` is ignorable.
    let request = JoinGroupRequest { reason: Some("x".into()), ..Default::default() };
    assert!(request.encode(&mut Encoder::new(), 7).is_ok());
    // A tagged field of later versions.
    let mut request = FetchRequest::default();
    request.replica_state.replica_epoch = 5;
    let error = request.encode(&mut Encoder::new(), 14).unwrap_err();
    assert_eq!(error.to_string(), "FetchRequest v14: replica_state is set, and this version cannot carry it");
}

#[test]
fn null_in_a_version_that_has_none_is_an_error_with_its_place() {
    let topic = MetadataRequestTopic { name: None, ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    let error = request.encode(&mut Encoder::new(), 9).unwrap_err();
    assert_eq!((error.field(), error.kind()), ("topics.name", &EncodeErrorKind::Null));
    let request = MetadataRequest { topics: None, ..Default::default() };
    assert_eq!(request.encode(&mut Encoder::new(), 0).unwrap_err().field(), "topics");
    assert!(request.encode(&mut Encoder::new(), 1).is_ok());
}

#[test]
fn a_cut_off_response_says_where() {
    let partition = MetadataResponsePartition { replica_nodes: [1, 2, 3].into(), ..Default::default() };
    let topic = MetadataResponseTopic { partitions: vec![partition], ..Default::default() };
    let response = MetadataResponse { topics: vec![topic], ..Default::default() };
    let mut out = Encoder::new();
    response.encode(&mut out, 13).unwrap();
    let bytes = out.into_bytes();
    // Behind the replicas stand two empty arrays and the tags of the partition, operations and tags of the topic, and
    // the error and the tags of the response.
    let replicas = bytes.len() - (3 + 5 + 3) - 13;
    for (len, field, needed, remaining) in [
        (replicas + 5, "topics.partitions.replica_nodes", 12, 4),
        (replicas - 1, "topics.partitions.leader_epoch", 4, 3),
        (replicas - 5, "topics.partitions.leader_id", 4, 3),
        (replicas - 13, "topics.partitions.error_code", 2, 1),
    ] {
        let error = MetadataResponse::decode(&mut Decoder::new(&bytes.slice(..len)), 13).unwrap_err();
        assert_eq!(error.field(), field);
        assert_eq!(error.kind(), &DecodeErrorKind::Truncated { needed, remaining });
    }
}

#[test]
fn unknown_apis_and_versions_are_errors() {
    let unknown_api = Bytes::from_static(&[0x7f, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff]);
    let error = frame::decode_request(&unknown_api).unwrap_err();
    assert_eq!(error.kind(), &DecodeErrorKind::UnknownApi(0x7f00));
    // A header of an ApiVersions request that is too new can be read.
    let too_new = Bytes::from_static(&[0, 18, 0, 99, 0, 0, 0, 1, 0, 1, b'x', 0, 1, 2, 3]);
    let (header, _) = frame::decode_request_header(&too_new).unwrap();
    assert_eq!((header.request_api_version, header.client_id.as_deref()), (99, Some("x")));
    let error = frame::decode_request(&too_new).unwrap_err();
    assert_eq!(error.kind(), &DecodeErrorKind::UnsupportedVersion { min: 0, max: 5 });
    assert_eq!((error.message(), error.version()), ("ApiVersionsRequest", 99));
}

#[test]
fn facts_of_apis() {
    for (code, key) in ApiKey::ALL.into_iter().enumerate() {
        assert_eq!(ApiKey::from_code(code as i16), Some(key));
        assert_eq!(key.code(), code as i16);
    }
    assert_eq!((ApiKey::from_code(95), ApiKey::from_code(-1)), (None, None));
    assert_eq!(ApiKey::Fetch.versions().to_string(), "0-18");
    assert_eq!((ApiKey::InitProducerId.versions().max, ApiKey::InitProducerId.latest_stable()), (6, 5));
    assert_eq!(
        (ApiKey::Produce.throttles_since(), ApiKey::OffsetForLeaderEpoch.throttles_since()),
        (Some(6), Some(2))
    );
    assert_eq!(
        (ApiKey::SaslHandshake.throttles_since(), ApiKey::SaslHandshake.flexible_since()),
        (None, None)
    );
    assert_eq!(
        (ApiKey::ApiVersions.request_header_version(3), ApiKey::ApiVersions.response_header_version(3)),
        (2, 0)
    );
    assert_eq!(ApiKey::ControlledShutdown.request_header_version(0), 0);
}
