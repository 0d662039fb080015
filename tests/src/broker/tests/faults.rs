use super::*;
use crate::broker::{Fault, FaultRule};
use kafka_proto::ApiKey;
use kafka_proto::messages::metadata::MetadataRequest;

fn rule(fault: Fault) -> FaultRule {
    FaultRule { api: Some(ApiKey::Produce), node: None, times: 1, fault }
}

#[test]
fn an_error_is_given_as_often_as_asked_and_nothing_is_done() {
    let mut rig = Rig::new(1);
    rig.cluster.fail_next(ApiKey::Produce, ErrorCode::NotEnoughReplicas, 2);
    rig.call(0, 9, MetadataRequest { topics: None, ..Default::default() });
    for _ in 0..2 {
        assert_eq!(error(rig.produce(0, "t", one("a")).error_code), ErrorCode::NotEnoughReplicas);
    }
    assert_eq!(error(rig.produce(0, "t", one("a")).error_code), ErrorCode::None);
    assert_eq!((rig.cluster.log("t", 0).len(), rig.cluster.faults_left()), (1, 0));
    assert_eq!((rig.cluster.counters().faults(), rig.cluster.counters().requests(ApiKey::Produce)), (2, 3));
    assert_eq!(rig.cluster.counters().requests_to(0, ApiKey::Metadata), 1);
}

#[test]
fn every_api_can_be_refused_in_every_version() {
    use super::super::api;
    for release in crate::broker::Release::all() {
        for (key, min, max) in release.advertised() {
            for version in min.max(release.versions(key).unwrap().0)..=max {
                let request = minimal(key);
                let refused = api::refuse(&request, version, ErrorCode::UnknownServerError).unwrap();
                frame::encode_response(1, version, &refused)
                    .unwrap_or_else(|e| panic!("{key:?} {version}: {e}"));
            }
        }
    }
}

/// A request with nothing in it; decoded from zeros, as every field is then zero, empty or null.
pub(super) fn minimal(key: ApiKey) -> RequestKind {
    if key == ApiKey::ListOffsets {
        return kafka_proto::messages::list_offsets::ListOffsetsRequest::default().into();
    }
    if key == ApiKey::Fetch {
        return FetchRequest { session_epoch: -1, ..Default::default() }.into();
    }
    let zeros = Bytes::from(vec![0; 256]);
    let version = key.versions().min;
    RequestKind::decode(key, &mut kafka_proto::wire::Decoder::new(&zeros), version).unwrap()
}

#[test]
fn a_delay_is_a_delay() {
    let mut rig = Rig::new(1);
    rig.cluster.delay_next(ApiKey::Produce, Duration::from_secs(2), 1);
    let waiting = rig.park(0, 9, produce("t", 1, one("a")));
    rig.sleep(1_999);
    assert!(rig.cluster.log("t", 0).is_empty());
    rig.sleep(1);
    assert_eq!(produced(rig.answer::<ProduceRequest>(waiting).unwrap()).base_offset, 0);
}

#[test]
fn connections_close_before_or_after_the_deed() {
    let mut rig = Rig::new(1);
    for (fault, expected) in [(Fault::CloseBefore, 0), (Fault::CloseAfter, 1)] {
        rig.cluster.inject(rule(fault));
        let conn = rig.conn();
        assert_eq!(rig.send(0, conn, 9, produce("t", 1, one("a"))), Outcome::Close);
        assert_eq!(rig.cluster.log("t", 0).len(), expected);
    }
    let conn = rig.conn();
    rig.send(0, conn, 9, MetadataRequest { topics: None, ..Default::default() });
    rig.cluster.close_on_next_request(0);
    assert_eq!(rig.send(0, conn, 9, MetadataRequest { topics: None, ..Default::default() }), Outcome::Close);
}

#[test]
fn a_request_can_go_unanswered_for_ever() {
    let mut rig = Rig::new(1);
    rig.cluster.inject(rule(Fault::NoAnswer));
    let waiting = rig.park(0, 9, produce("t", 1, one("a")));
    rig.sleep(1_000_000);
    assert!(rig.outcome(waiting).is_none());
    rig.cluster.disconnected(waiting.conn);
}

#[test]
fn a_muted_node_answers_later() {
    let mut rig = Rig::new(2);
    rig.cluster.mute(0).unwrap();
    let waiting = rig.park(0, 9, produce("t", 1, one("a")));
    rig.call(1, 9, MetadataRequest { topics: None, ..Default::default() });
    rig.sleep(60_000);
    assert!(rig.outcome(waiting).is_none());
    rig.cluster.unmute(rig.now, 0).unwrap();
    assert_eq!(produced(rig.answer::<ProduceRequest>(waiting).unwrap()).base_offset, 0);
}

#[test]
fn a_throttled_client_is_told_and_then_not_listened_to() {
    let mut rig = Rig::new(1);
    let (conn, pause) = (rig.conn(), Duration::from_secs(5));
    rig.cluster.inject(rule(Fault::Throttle(pause)));
    let told = response::<ProduceRequest>(rig.send(0, conn, 9, produce("t", 1, one("a"))), 9);
    assert_eq!(told.throttle_time_ms, 5_000);
    assert_eq!(rig.send(0, conn, 9, produce("t", 1, one("b"))), Outcome::Later);
    rig.sleep(4_999);
    assert_eq!(rig.cluster.log("t", 0).len(), 1);
    rig.sleep(1);
    assert!(rig.outcome(Parked { conn, version: 9 }).is_some());
    assert_eq!(rig.cluster.log("t", 0).len(), 2);
}

#[test]
fn before_two_zero_throttling_delays_the_answer() {
    let mut rig = Rig::of_release(1, "1.1");
    rig.cluster.inject(rule(Fault::Throttle(Duration::from_secs(5))));
    let waiting = rig.park(0, 5, produce("t", 1, one("a")));
    assert_eq!(rig.cluster.log("t", 0).len(), 1);
    rig.sleep(5_000);
    assert_eq!(rig.answer::<ProduceRequest>(waiting).unwrap().throttle_time_ms, 5_000);
}

#[test]
fn a_killed_node_closes_its_connections() {
    let mut rig = Rig::new(2);
    let waiting = rig.park(0, 12, fetch("t", 0, 60_000));
    rig.cluster.kill(rig.now, 0).unwrap();
    assert_eq!(rig.outcome(waiting), Some(Outcome::Close));
    let conn = rig.conn();
    assert_eq!(rig.send(0, conn, 12, fetch("t", 0, 0)), Outcome::Close);
    rig.put("t", "nobody is left to hear of it");
}
