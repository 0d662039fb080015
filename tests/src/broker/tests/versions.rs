use super::*;
use crate::broker::Release;
use kafka_proto::ApiKey;
use kafka_proto::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};

fn ask() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: "client-1".into(),
        client_software_version: "1.0".into(),
        ..Default::default()
    }
}

fn listed(response: &ApiVersionsResponse, key: ApiKey) -> Option<(i16, i16)> {
    let api = response.api_keys.iter().find(|api| api.api_key == key.code())?;
    Some((api.min_version, api.max_version))
}

#[test]
fn each_release_lists_what_it_had() {
    let list = |release: &str, version| Rig::of_release(1, release).call(0, version, ask());
    let oldest = list("0.10.0", 0);
    assert_eq!(listed(&oldest, ApiKey::Produce), Some((0, 2)));
    assert_eq!(listed(&oldest, ApiKey::CreateTopics), None);
    assert_eq!(listed(&list("2.8", 3), ApiKey::Fetch), Some((0, 12)));
    let newest = list("4.4", 5);
    assert_eq!(listed(&newest, ApiKey::Produce), Some((0, 13)));
    assert_eq!(listed(&newest, ApiKey::Fetch), Some((4, 18)));
}

#[test]
fn a_version_too_new_is_answered_in_version_zero() {
    for (release, entries) in [("1.0", 0), ("2.3", 0), ("2.4", 1), ("3.8", 1)] {
        let mut rig = Rig::of_release(1, release);
        let conn = rig.conn();
        let outcome = rig.send(0, conn, 5, ask());
        let answer = response::<ApiVersionsRequest>(outcome, 0);
        assert_eq!(error(answer.error_code), ErrorCode::UnsupportedVersion);
        assert_eq!(answer.api_keys.len(), entries, "{release}");
    }
}

#[test]
fn any_other_unknown_version_or_api_closes_the_connection() {
    let mut rig = Rig::of_release(1, "2.8");
    let conn = rig.conn();
    assert_eq!(rig.send(0, conn, 13, fetch("t", 0, 0)), Outcome::Close);
    let mut newest = Rig::new(1);
    assert_eq!(newest.send(0, conn, 3, fetch("t", 0, 0)), Outcome::Close);
    // Listed from 0 for old librdkafka, and still not taken.
    assert_eq!(newest.send(0, conn, 2, produce("t", 1, one("a"))), Outcome::Close);
    for frame in [&[][..], &[0, 1], &[0x7f, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[0, 3, 0, 9, 0, 0, 0, 1, 0, 0, 9, 9]]
    {
        let frame = Bytes::copy_from_slice(frame);
        assert_eq!(rig.cluster.handle(rig.now, 0, ConnKey(77), &frame), Outcome::Close, "{frame:?}");
    }
}

#[test]
fn the_software_must_have_a_name() {
    let mut rig = Rig::new(1);
    let nameless = ApiVersionsRequest { client_software_name: "-x".into(), ..ask() };
    assert_eq!(error(rig.call(0, 3, nameless.clone()).error_code), ErrorCode::InvalidRequest);
    assert_eq!(error(rig.call(0, 2, nameless).error_code), ErrorCode::None);
}

#[test]
fn a_client_of_another_cluster_or_node_is_sent_back() {
    let mut rig = Rig::new(2);
    let own = rig.cluster.cluster_id.clone();
    for (cluster_id, node_id, expected) in [
        (Some(own.clone()), 1, ErrorCode::None),
        (None, -1, ErrorCode::None),
        (Some("another".into()), 1, ErrorCode::RebootstrapRequired),
        (Some(own), 0, ErrorCode::RebootstrapRequired),
    ] {
        let request = ApiVersionsRequest { cluster_id, node_id, ..ask() };
        assert_eq!(error(rig.call(1, 5, request).error_code), expected);
    }
}

#[test]
fn the_same_requests_give_the_same_bytes() {
    let run = || {
        let mut rig = Rig::configured(2, |config| config.seed = 99);
        let mut answers = Vec::new();
        for (version, request) in [
            (12, RequestKind::from(FetchRequest { session_epoch: 0, ..fetch("t", 0, 0) })),
            (9, produce("t", 1, one("a")).into()),
            (5, ask().into()),
        ] {
            let conn = rig.conn();
            answers.push(rig.send(0, conn, version, request));
        }
        answers
    };
    assert_eq!(run(), run());
}

/// Every listed version of every API with an empty request: read, and answered in a form of that version.
#[test]
fn every_listed_version_is_served() {
    for release in Release::all() {
        for (key, min, max) in release.advertised() {
            for version in release.versions(key).unwrap().0.max(min)..=max {
                let mut rig = Rig::configured(1, |config| config.release = release);
                let conn = rig.conn();
                let outcome = rig.send(0, conn, version, super::faults::minimal(key));
                let fine = matches!(outcome, Outcome::Answer(_) | Outcome::NoAnswer);
                assert!(fine, "{release} {key:?} {version}: {outcome:?}");
            }
        }
    }
}
