//! Deadlines: there is always one while something is open, and none without a reason.

use super::{Harness, failed};
use crate::error::ErrorKind;
use crate::writer::{Fate, WriterConfig};
use kafka_proto::error_code::ErrorCode;
use std::time::Duration;

#[test]
fn the_delivery_timeout_bounds_a_record_nobody_can_send() {
    let config = WriterConfig { delivery_timeout: Duration::from_secs(3), ..WriterConfig::default() };
    let mut h = Harness::new(1, config);
    h.move_leader(1, None);
    let a = h.send(0, "a");
    h.wait(Duration::from_millis(2_999));
    assert!(a.try_get().is_none());
    h.wait(Duration::from_millis(1));
    let error = failed(&a);
    assert_eq!(error.fate, Fate::NotWritten);
    assert!(matches!(error.error.kind(), ErrorKind::TimedOut { .. }));
    assert_eq!(error.error.code(), Some(ErrorCode::LeaderNotAvailable), "what stood in the way");
    assert!(h.producer.is_quiescent());
}

#[test]
fn an_idle_producer_sets_no_timer() {
    let config = WriterConfig { delivery_timeout: Duration::from_secs(3), ..WriterConfig::default() };
    let mut h = Harness::new(4, config);
    assert_eq!(h.producer.poll_timeout(), None);
    for partition in 0..4 {
        drop(h.send(partition, "x"));
    }
    while let Some(request) = h.poll() {
        let codes = vec![(ErrorCode::None, 0); request.batches.len()];
        h.answer(&request, &codes);
    }
    h.wait(Duration::from_secs(4));
    assert_eq!(h.producer.poll_timeout(), None, "nothing is left to wait for");
}

#[test]
fn retries_wait_longer_each_time() {
    let mut h = Harness::new(1, WriterConfig::default());
    drop(h.send(0, "a"));
    let mut waits = Vec::new();
    for _ in 0..5 {
        let request = h.poll().unwrap();
        h.answer(&request, &[(ErrorCode::NotEnoughReplicas, -1)]);
        let before = h.now.instant;
        h.next_deadline();
        waits.push(h.now.instant - before);
    }
    assert!(waits[0] >= Duration::from_millis(80) && waits[0] <= Duration::from_millis(120), "{waits:?}");
    assert!(waits[4] >= Duration::from_millis(800) && waits[4] <= Duration::from_millis(1200), "{waits:?}");
}

#[test]
fn who_waits_for_memory_makes_what_gathers_leave() {
    let mut h = Harness::new(2, WriterConfig::default());
    drop(h.send(0, "a"));
    h.poll().unwrap();
    drop(h.send(1, "b"));
    assert!(h.poll().is_none());
    h.producer.pressure(h.now);
    assert!(h.poll().is_some());
}
