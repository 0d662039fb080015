//! The order of a partition, whatever fails.

use super::{BROKER, Harness, acked, failed};
use crate::error::ErrorKind;
use crate::writer::{Fate, Idempotence, WriterConfig};
use kafka_proto::error_code::ErrorCode;
use std::time::Duration;

#[test]
fn a_lone_record_leaves_at_once_and_others_gather_behind_it() {
    let mut h = Harness::new(1, WriterConfig::default());
    let first = h.send(0, "a");
    let request = h.poll().expect("an idle lane takes it at once");
    let rest: Vec<_> = (0..10).map(|i| h.send(0, &i.to_string())).collect();
    assert!(h.poll().is_none(), "the others gather while it is in flight");
    h.answer(&request, &[(ErrorCode::None, 100)]);
    let request = h.poll().expect("the lane is idle again");
    assert_eq!(request.stamps(), [(0, 0, 1, 10)]);
    h.answer(&request, &[(ErrorCode::None, 101)]);
    assert_eq!(acked(&first), 100);
    assert_eq!(rest.iter().map(acked).collect::<Vec<_>>(), (101..111).collect::<Vec<_>>());
    assert!(h.producer.is_quiescent());
}

#[test]
fn linger_ends_the_gathering() {
    let mut h = Harness::new(1, WriterConfig { linger: Duration::from_millis(5), ..WriterConfig::default() });
    drop(h.send(0, "a"));
    h.poll().unwrap();
    drop(h.send(0, "b"));
    h.wait(Duration::from_millis(4));
    assert!(h.poll().is_none());
    h.wait(Duration::from_millis(1));
    assert_eq!(h.poll().unwrap().stamps(), [(0, 0, 1, 1)]);
}

fn full_batches() -> WriterConfig {
    WriterConfig { batch_messages: 1, linger: Duration::ZERO, ..WriterConfig::default() }
}

#[test]
fn five_are_in_flight_and_not_six() {
    let mut h = Harness::new(1, full_batches());
    for i in 0..8 {
        drop(h.send(0, &i.to_string()));
    }
    let requests: Vec<_> = std::iter::from_fn(|| h.poll()).collect();
    assert_eq!(requests.iter().map(|r| r.stamps()[0].2).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    h.answer(&requests[0], &[(ErrorCode::None, 0)]);
    assert_eq!(h.poll().unwrap().stamps(), [(0, 0, 5, 1)]);
}

#[test]
fn scenario_p13_without_idempotence_nothing_overtakes_what_failed() {
    let config = WriterConfig { idempotence: Idempotence::Off, ..full_batches() };
    let mut h = Harness::without_identity(1, config);
    let a = h.send(0, "a");
    let b = h.send(0, "b");
    let first = h.poll().unwrap();
    assert!(h.poll().is_none(), "one at a time");
    h.lose(&first, true);
    assert!(h.poll().is_none(), "the lane is not released before the failed batch has had its backoff");
    h.next_deadline();
    let again = h.poll().unwrap();
    assert_eq!(again.batches[0].1.as_bytes(), first.batches[0].1.as_bytes(), "scenario P12: the same bytes");
    h.answer(&again, &[(ErrorCode::None, 5)]);
    let second = h.poll().unwrap();
    h.answer(&second, &[(ErrorCode::None, 6)]);
    assert_eq!((acked(&a), acked(&b)), (5, 6));
}

#[test]
fn scenario_p6_a_pipeline_whose_first_fails_goes_again_in_order_without_a_bump() {
    let mut h = Harness::new(1, full_batches());
    let sent: Vec<_> = (0..5).map(|i| h.send(0, &i.to_string())).collect();
    let requests: Vec<_> = std::iter::from_fn(|| h.poll()).collect();
    h.answer(&requests[0], &[(ErrorCode::NotLeaderOrFollower, -1)]);
    for request in &requests[1..] {
        h.answer(request, &[(ErrorCode::OutOfOrderSequenceNumber, -1)]);
    }
    for expected in 0..5 {
        let request = h.poll_later(BROKER);
        assert_eq!(request.stamps(), [(0, 0, expected, 1)], "same epoch, same sequence, in order");
        h.answer(&request, &[(ErrorCode::None, i64::from(expected))]);
    }
    assert_eq!(sent.iter().map(acked).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(h.producer.stats.epoch_bumps, 0);
}

#[test]
fn scenario_p14_sequences_follow_the_order_of_being_handed_out() {
    let mut h = Harness::new(3, full_batches());
    for round in 0..4 {
        for partition in 0..3 {
            drop(h.send(partition, &round.to_string()));
        }
    }
    let mut next = [0; 3];
    while let Some(request) = h.poll() {
        for (partition, _, sequence, count) in request.stamps() {
            assert_eq!(sequence, next[partition as usize]);
            next[partition as usize] += count as i32;
        }
    }
    assert_eq!(next, [4, 4, 4]);
}

#[test]
fn a_moved_leader_gets_the_retry_without_a_timer() {
    let mut h = Harness::new(1, full_batches());
    let a = h.send(0, "a");
    let request = h.poll().unwrap();
    h.answer(&request, &[(ErrorCode::NotLeaderOrFollower, -1)]);
    h.move_leader(1, Some(2));
    let again = h.poll_from(2).expect("promise 16: the new leader is asked at once");
    h.answer(&again, &[(ErrorCode::None, 3)]);
    assert_eq!(acked(&a), 3);
}

#[test]
fn scenario_p23_without_a_leader_records_are_held() {
    let mut h = Harness::new(1, full_batches());
    h.move_leader(1, None);
    let a = h.send(0, "a");
    assert!(h.poll().is_none());
    h.wait(Duration::from_secs(60));
    assert!(a.try_get().is_none(), "held until the delivery timeout");
    h.move_leader(1, Some(1));
    let request = h.poll().unwrap();
    h.answer(&request, &[(ErrorCode::None, 0)]);
    assert_eq!(acked(&a), 0);
}

/// A broker takes any first sequence from a producer it does not know (KIP-360): a second batch sent beside a first
/// that is refused would be written before it.
#[test]
fn the_first_batch_of_a_partition_goes_alone() {
    let mut h = Harness::unknown_to_the_broker(1, full_batches());
    let sent: Vec<_> = (0..3).map(|i| h.send(0, &i.to_string())).collect();
    let first = h.poll().unwrap();
    assert_eq!(first.stamps(), [(0, 0, 0, 1)]);
    assert!(h.poll().is_none(), "nothing goes beside the first");
    h.answer(&first, &[(ErrorCode::NotLeaderOrFollower, -1)]);
    let again = h.poll_later(BROKER);
    assert_eq!(again.stamps(), [(0, 0, 0, 1)]);
    assert!(h.poll().is_none());
    h.answer(&again, &[(ErrorCode::None, 0)]);
    let second = h.poll().expect("the broker knows the producer now");
    let third = h.poll().expect("and several may be under way");
    h.answer(&second, &[(ErrorCode::None, 1)]);
    h.answer(&third, &[(ErrorCode::None, 2)]);
    assert_eq!(sent.iter().map(acked).collect::<Vec<_>>(), [0, 1, 2]);
}

/// Found by the simulator. After an unclean election the new leader may lack the records that tell of the producer, and takes any
/// sequence: a batch sent to it while an older one is at the old leader, which refuses it, would be written before it.
#[test]
fn a_new_leader_gets_nothing_before_the_old_one_has_answered() {
    let mut h = Harness::new(1, full_batches());
    let a = h.send(0, "a");
    let first = h.poll().unwrap();
    let b = h.send(0, "b");
    let c = h.send(0, "c");
    h.move_leader(1, Some(2));
    assert!(h.poll_from(2).is_none(), "the first may be refused");
    h.answer(&first, &[(ErrorCode::NotLeaderOrFollower, -1)]);
    let again = h.poll_later(2);
    assert_eq!(again.stamps(), [(0, 0, 0, 1)]);
    assert!(h.poll_from(2).is_none(), "and it goes alone, as the first of its life");
    h.answer(&again, &[(ErrorCode::None, 0)]);
    let (second, third) = (h.poll_from(2).unwrap(), h.poll_from(2).unwrap());
    h.answer(&second, &[(ErrorCode::None, 1)]);
    h.answer(&third, &[(ErrorCode::None, 2)]);
    assert_eq!([&a, &b, &c].map(acked), [0, 1, 2]);
}

#[test]
fn a_leader_without_sequences_takes_one_batch_after_the_other_and_that_is_told() {
    let mut h = Harness::new(1, full_batches());
    let (a, b) = (h.send(0, "a"), h.send(0, "b"));
    let first = h.poll_version(BROKER, 2).unwrap();
    assert!(h.producer.effects.take_degraded().is_some());
    assert!(h.poll_version(BROKER, 2).is_none(), "one at a time");
    h.answer(&first, &[(ErrorCode::NotEnoughReplicas, -1)]);
    h.next_deadline();
    for (delivery, offset) in [(a, 0), (b, 1)] {
        let request = h.poll_version(BROKER, 2).unwrap();
        h.answer(&request, &[(ErrorCode::None, offset)]);
        assert_eq!(acked(&delivery), offset);
    }
    assert!(h.producer.is_quiescent());
}

#[test]
fn a_leader_without_sequences_gets_nothing_where_idempotence_is_required() {
    let config = WriterConfig { idempotence: Idempotence::Required, ..full_batches() };
    let mut h = Harness::new(1, config);
    let (a, b) = (h.send(0, "a"), h.send(0, "b"));
    assert!(h.poll_version(BROKER, 2).is_none());
    let named = ErrorKind::Unsupported { feature: "idempotent writing", needs: "Kafka 0.11" };
    for delivery in [a, b] {
        let error = failed(&delivery);
        assert_eq!((error.fate, error.error.kind()), (Fate::NotWritten, &named));
    }
    assert!(h.producer.is_quiescent());
    // After the upgrade.
    let c = h.send(0, "c");
    let request = h.poll().unwrap();
    h.answer(&request, &[(ErrorCode::None, 0)]);
    assert_eq!(acked(&c), 0);
}
