//! Each oddity of a vendor as a client meets it, and what the profiles offer.

use super::*;
use crate::broker::{Oddities, Profile};
use kafka_proto::ApiKey;
use kafka_proto::messages::api_versions::ApiVersionsRequest;
use kafka_proto::messages::init_producer_id::InitProducerIdRequest;
use kafka_proto::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use kafka_proto::messages::metadata::MetadataRequest;
use kafka_proto::messages::offset_for_leader_epoch::OffsetForLeaderEpochRequest;
use kafka_proto::messages::sync_group::SyncGroupRequest;

fn odd(change: impl FnOnce(Oddities) -> Oddities) -> Rig {
    Rig::configured(1, |config| config.oddities = change(Oddities::default()))
}

fn of_profile(profile: Profile) -> Rig {
    Rig::configured(1, |config| *config = ClusterConfig::profile(profile))
}

/// What follows the length prefix, which must be right.
fn body(outcome: &Outcome) -> Bytes {
    let Outcome::Answer(segments) = outcome else { panic!("no answer but {outcome:?}") };
    let frame = Bytes::from(segments.concat());
    assert_eq!(frame.len() - 4, u32::from_be_bytes(frame[..4].try_into().unwrap()) as usize);
    frame.slice(4..)
}

fn api_versions() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: "client".into(),
        client_software_version: "1".into(),
        ..Default::default()
    }
}

#[test]
fn every_profile_serves_what_it_lists_and_nothing_else() {
    for profile in Profile::ALL {
        let lists = of_profile(profile).cluster.dialect_of(0);
        for key in Profile::ALL.iter().flat_map(|one| one.release().advertised().map(|(key, ..)| key)) {
            let Some((min, max)) = lists.versions(key) else {
                let mut rig = of_profile(profile);
                let (conn, version) = (rig.conn(), profile.release().versions(key).unwrap_or_default().1);
                let request = super::faults::minimal(key);
                assert_eq!(rig.send(0, conn, version, request), Outcome::Close, "{profile:?} {key:?}");
                continue;
            };
            for version in min..=max {
                let mut rig = of_profile(profile);
                let conn = rig.conn();
                let outcome = rig.send(0, conn, version, super::faults::minimal(key));
                let denied = profile == Profile::Envoy && outcome == Outcome::Close;
                let answered = matches!(outcome, Outcome::Answer(_) | Outcome::NoAnswer);
                assert!(answered || denied, "{profile:?} {key:?} {version}: {outcome:?}");
            }
        }
    }
}

#[test]
fn what_a_vendor_does_not_offer_is_not_listed() {
    let listed = |profile| {
        let list = of_profile(profile).call(0, 2, api_versions()).api_keys;
        move |key: ApiKey| {
            let found = list.iter().find(|api| api.api_key == key.code())?;
            Some((found.min_version, found.max_version))
        }
    };
    let event_hubs = listed(Profile::EventHubs);
    assert_eq!(event_hubs(ApiKey::Fetch), Some((4, 6)));
    assert_eq!(event_hubs(ApiKey::Metadata), Some((0, 5)));
    for missing in [ApiKey::InitProducerId, ApiKey::DeleteRecords, ApiKey::IncrementalAlterConfigs] {
        assert_eq!(event_hubs(missing), None, "{missing:?}");
    }
    assert_eq!(listed(Profile::Redpanda)(ApiKey::Produce), Some((0, 7)));
    assert_eq!(listed(Profile::Redpanda)(ApiKey::DescribeCluster), None);
    assert_eq!(listed(Profile::Kop)(ApiKey::Metadata), Some((0, 7)));
    assert_eq!(listed(Profile::Kroxylicious)(ApiKey::ApiVersions), Some((0, 3)));
    // Listed all the same.
    assert_eq!(listed(Profile::Kop)(ApiKey::OffsetForLeaderEpoch), Some((0, 2)));
    assert!(listed(Profile::Envoy)(ApiKey::AlterConfigs).is_some());
}

#[test]
fn new_api_versions_close_the_connection() {
    for profile in [Profile::EventHubs, Profile::Kroxylicious] {
        let mut rig = of_profile(profile);
        let conn = rig.conn();
        assert_eq!(rig.send(0, conn, 4, api_versions()), Outcome::Close);
        let conn = rig.conn();
        assert!(matches!(rig.send(0, conn, 3, api_versions()), Outcome::Answer(_)));
    }
}

#[test]
fn denied_and_large_requests_close_the_connection() {
    let mut rig = odd(|odd| odd.closing_on(&[ApiKey::Metadata]).max_request_bytes(1000));
    let conn = rig.conn();
    assert_eq!(rig.send(0, conn, 9, MetadataRequest::default()), Outcome::Close);
    for (bytes, outcome) in [(500, true), (1000, false)] {
        let conn = rig.conn();
        let sent = rig.send(0, conn, 9, produce("t", 1, one(&"x".repeat(bytes))));
        assert_eq!(sent != Outcome::Close, outcome, "{bytes}: {sent:?}");
    }
    assert_eq!(rig.cluster.log("t", 0).len(), 1);
}

#[test]
fn an_api_that_is_not_implemented_answers_an_error() {
    let mut rig = odd(|odd| odd.unimplemented(&[ApiKey::OffsetForLeaderEpoch]));
    use kafka_proto::messages::offset_for_leader_epoch::{OffsetForLeaderPartition, OffsetForLeaderTopic};
    let partitions = vec![OffsetForLeaderPartition::default()];
    let topic = OffsetForLeaderTopic { topic: "t".into(), partitions, ..Default::default() };
    let request = OffsetForLeaderEpochRequest { topics: vec![topic], ..Default::default() };
    let answer = rig.call(0, 4, request);
    assert_eq!(error(answer.topics[0].partitions[0].error_code), ErrorCode::UnknownServerError);
}

#[test]
fn without_the_right_there_is_no_producer_id_and_records_are_taken() {
    let mut rig = odd(Oddities::without_idempotent_write);
    let refused = rig.call(0, 2, InitProducerIdRequest::default());
    assert_eq!(error(refused.error_code), ErrorCode::ClusterAuthorizationFailed);
    assert_eq!(refused.producer_id, -1);
    rig.put("t", "a");
}

#[test]
fn each_third_produce_request_violates_the_policy() {
    let mut rig = odd(|odd| odd.policy_violation_every(3));
    let mut codes = Vec::new();
    for _ in 0..6 {
        codes.push(error(rig.produce(0, "t", one("a")).error_code));
    }
    let (fine, refused) = (ErrorCode::None, ErrorCode::PolicyViolation);
    assert_eq!(codes, [fine, fine, refused, fine, fine, refused]);
    assert_eq!(rig.cluster.log("t", 0).len(), 4);
}

#[test]
fn acks_of_none_are_answered_also_with_errors() {
    let mut rig = odd(|odd| odd.answering_acks_none().policy_violation_every(2));
    let written = produced(rig.call(0, 7, produce("t", 0, one("a"))));
    assert_eq!((error(written.error_code), written.base_offset), (ErrorCode::None, 0));
    let refused = produced(rig.call(0, 7, produce("t", 0, one("b"))));
    assert_eq!(error(refused.error_code), ErrorCode::PolicyViolation);
    let unknown = produced(rig.call(0, 7, produce("nope", 0, one("c"))));
    assert_eq!(error(unknown.error_code), ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn compressed_batches_are_refused() {
    let mut rig = odd(Oddities::without_compression);
    let packed = batch(&[(None, "a", 1)], Compression::Gzip, ProducerStamp::NONE);
    assert_eq!(error(rig.produce(0, "t", packed).error_code), ErrorCode::UnsupportedForMessageFormat);
    rig.put("t", "a");
}

#[test]
fn a_fetch_is_answered_at_the_end_of_its_wait_only() {
    let mut rig = odd(Oddities::fetch_waits_to_the_end);
    let waiting = rig.park(0, 12, fetch("t", 0, 500));
    rig.put("t", "a");
    rig.sleep(499);
    assert!(rig.outcome(waiting).is_none());
    rig.sleep(1);
    assert_eq!(read(&fetched(rig.answer::<FetchRequest>(waiting).unwrap())).len(), 1);
    // What is there is told at once.
    let at_once = fetched(rig.call(0, 12, fetch("t", 0, 500)));
    assert_eq!(read(&at_once).len(), 1);
}

#[test]
fn empty_bytes_are_null_in_sync_group() {
    let mut rig = odd(Oddities::null_for_empty_bytes);
    let request = SyncGroupRequest { group_id: "none".into(), member_id: "m".into(), ..Default::default() };
    // Correlation id, throttle time from version 1 on, error, length.
    let conn = rig.conn();
    let oldest = body(&rig.send(0, conn, 0, request.clone()));
    assert_eq!(&oldest[..], b"\0\0\0\x05\0\x19\xff\xff\xff\xff");
    let conn = rig.conn();
    let old = body(&rig.send(0, conn, 3, request.clone()));
    assert_eq!(&old[..], b"\0\0\0\x05\0\0\0\0\0\x19\xff\xff\xff\xff");
    // Tagged fields around, and two null strings since version 5.
    let conn = rig.conn();
    let flexible = body(&rig.send(0, conn, 5, request));
    assert_eq!(&flexible[..], b"\0\0\0\x05\0\0\0\0\0\0\x19\0\0\0\0");
}

#[test]
fn empty_bytes_are_null_in_join_group() {
    let joined = |version, metadata: &'static [u8]| {
        let mut rig = odd(Oddities::null_for_empty_bytes);
        let protocols = vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: Bytes::from_static(metadata),
            ..Default::default()
        }];
        let request = JoinGroupRequest {
            group_id: "g".into(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 10_000,
            protocol_type: "consumer".into(),
            protocols,
            ..Default::default()
        };
        let conn = rig.conn();
        let outcome = rig.send(0, conn, version, request);
        body(&outcome)
    };
    for version in [0, 3] {
        assert!(joined(version, b"").ends_with(b"\xff\xff\xff\xff"), "version {version}");
        assert!(joined(version, b"abc").ends_with(b"\0\0\0\x03abc"), "version {version}");
    }
}
