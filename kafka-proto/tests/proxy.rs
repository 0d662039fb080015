//! Other addresses in responses, with and without anything to change.

use kafka_proto::messages::metadata::{MetadataResponse, MetadataResponseBroker, MetadataResponseTopic};
use kafka_proto::proxy::{has_addresses, rewrite_addresses};
use kafka_proto::wire::Decoder;
use kafka_proto::{ApiKey, Bytes, ResponseKind, frame};

fn frame_of(version: i16, response: &ResponseKind) -> Bytes {
    let all: Vec<u8> = frame::encode_response(9, version, response).unwrap().concat();
    Bytes::from(all).slice(4..)
}

fn response() -> ResponseKind {
    let broker =
        |node_id| MetadataResponseBroker { node_id, host: "broker".into(), port: 9092, ..Default::default() };
    let topic = MetadataResponseTopic { name: Some("t".into()), ..Default::default() };
    MetadataResponse { brokers: vec![broker(1), broker(2)], topics: vec![topic], ..Default::default() }.into()
}

#[test]
fn metadata_gets_other_addresses_and_nothing_else_changes() {
    for version in ApiKey::Metadata.versions().iter() {
        let frame = frame_of(version, &response());
        let changed = rewrite_addresses(ApiKey::Metadata, version, &frame, |address| {
            address.host = "a.much.longer.name.of.a.proxy".into();
            address.port += address.node_id;
        });
        let changed = Bytes::from(changed.unwrap().concat());
        let (correlation_id, read) = frame::decode_response(ApiKey::Metadata, version, &changed).unwrap();
        let ResponseKind::Metadata(mut expected) = response() else { panic!() };
        for broker in &mut expected.brokers {
            broker.host = "a.much.longer.name.of.a.proxy".into();
            broker.port = 9092 + broker.node_id;
        }
        assert_eq!((correlation_id, read), (9, expected.into()), "version {version}");
    }
}

#[test]
fn without_a_change_every_response_keeps_its_bytes() {
    for key in ApiKey::ALL {
        for version in key.versions().iter() {
            let frame = frame_of(version, &ResponseKind::default_of(key));
            let segments = rewrite_addresses(key, version, &frame, |_| ()).unwrap();
            assert_eq!(Bytes::from(segments.concat()), frame, "{key} v{version}");
        }
    }
}

#[test]
fn apis_with_addresses_are_those_whose_responses_have_hosts_for_clients() {
    let keys: Vec<_> =
        ApiKey::ALL.into_iter().filter(|key| has_addresses(*key, key.versions().max)).collect();
    let expected = [ApiKey::Produce, ApiKey::Fetch, ApiKey::Metadata, ApiKey::FindCoordinator];
    assert_eq!(keys[..4], expected);
    assert_eq!(keys[4..], [ApiKey::DescribeCluster, ApiKey::ShareFetch, ApiKey::ShareAcknowledge]);
    assert!(!has_addresses(ApiKey::Produce, 9) && !has_addresses(ApiKey::Fetch, 15));
}

#[test]
fn bytes_that_are_no_response_are_an_error() {
    let frame = frame_of(12, &response());
    for len in 0..20 {
        let cut = frame.slice(..len);
        assert!(rewrite_addresses(ApiKey::Metadata, 12, &cut, |_| ()).is_err());
    }
    assert!(rewrite_addresses(ApiKey::Metadata, 99, &frame, |_| ()).is_err());
    assert!(ResponseKind::decode(ApiKey::Metadata, &mut Decoder::new(&frame.slice(..20)), 12).is_err());
}
