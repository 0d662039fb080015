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

/// How long each of these records, in this order, waits for its end from now on where nobody can send them. Each comes with
/// the seconds that it has waited to be taken.
fn ends(timeout: u64, waited: &[u64]) -> Vec<u64> {
    let config = WriterConfig { delivery_timeout: Duration::from_secs(timeout), ..WriterConfig::default() };
    let mut h = Harness::new(1, config);
    h.move_leader(1, None);
    let mut sent = Vec::new();
    for waited in waited {
        sent.push(match waited {
            0 => h.send(0, "fresh"),
            waited => h.send_waited(0, Duration::from_secs(*waited)),
        });
    }
    let begin = h.now.time;
    let mut ends = vec![0; sent.len()];
    while ends.contains(&0) {
        h.next_deadline();
        for (end, delivery) in ends.iter_mut().zip(&sent) {
            if *end == 0 && delivery.try_get().is_some() {
                assert_eq!(failed(delivery).fate, Fate::NotWritten);
                *end = (h.now.time - begin).as_secs();
            }
        }
    }
    assert!(h.producer.is_quiescent());
    ends
}

#[test]
fn case_w2_what_waited_to_be_taken_has_so_much_less_time_left() {
    assert_eq!(ends(60, &[0, 45, 0]), [60, 15, 60]);
    assert_eq!(ends(60, &[45, 0, 0, 59]), [15, 60, 60, 1]);
    assert_eq!(ends(60, &[30, 31, 10, 12]), [29, 29, 48, 48], "those of one batch end with the first");
    assert_eq!(ends(64, &[0, 4]), [60, 60], "a little does not make a batch of its own");
    assert_eq!(ends(64, &[4, 0, 5]), [59, 59, 59]);
    assert_eq!(ends(64, &[0, 5, 63]), [64, 59, 1]);
}

#[test]
fn case_w2_what_waited_is_written_in_its_place() {
    let config = WriterConfig { delivery_timeout: Duration::from_secs(60), ..WriterConfig::default() };
    let mut h = Harness::new(1, config);
    let sent = [h.send(0, "a"), h.send_waited(0, Duration::from_secs(50)), h.send(0, "c")];
    for offset in 0..3 {
        let request = h.poll_later(super::BROKER);
        assert_eq!(request.stamps(), [(0, 0, offset, 1)]);
        h.answer(&request, &[(ErrorCode::None, i64::from(offset))]);
    }
    assert_eq!(sent.map(|delivery| super::acked(&delivery)), [0, 1, 2]);
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
        let before = h.now.time;
        h.next_deadline();
        waits.push(h.now.time - before);
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
