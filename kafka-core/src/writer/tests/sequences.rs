//! Sequences and epochs: none is used twice for different records, and no error a broker gives is fatal.

use super::{BROKER, Harness, acked, failed};
use crate::writer::{Fate, WriterConfig};
use kafka_proto::error_code::ErrorCode;
use std::time::Duration;

fn one_by_one() -> WriterConfig {
    WriterConfig {
        batch_messages: 1,
        linger: Duration::ZERO,
        delivery_timeout: Duration::from_secs(10),
        ..WriterConfig::default()
    }
}

#[test]
fn scenario_p2_a_sequence_that_may_be_used_up_is_not_used_again() {
    let mut h = Harness::new(1, one_by_one());
    let a = h.send(0, "a");
    let request = h.poll().unwrap();
    h.wait(Duration::from_secs(11));
    assert_eq!(failed(&a).fate, Fate::PossiblyWritten, "its answer is late, its end unknown");
    let b = h.send(0, "b");
    let second = h.poll().unwrap();
    assert_eq!(
        second.stamps(),
        [(0, 0, 1, 1)],
        "the first is still in flight: the next sequence, not the same"
    );
    h.lose(&request, true);
    h.answer(&second, &[(ErrorCode::None, 1)]);
    assert_eq!(acked(&b), 1);
    let c = h.send(0, "c");
    let third = h.poll().unwrap();
    assert_eq!(third.stamps(), [(0, 1, 0, 1)], "a new epoch, since nobody knows of the first");
    h.answer(&third, &[(ErrorCode::None, 2)]);
    assert_eq!(acked(&c), 2);
    assert_eq!(h.producer.stats.epoch_bumps, 1);
}

#[test]
fn scenario_p1_a_record_given_up_after_it_may_be_written_costs_an_epoch() {
    let mut h = Harness::new(1, one_by_one());
    let a = h.send(0, "a");
    let request = h.poll().unwrap();
    h.answer(&request, &[(ErrorCode::RequestTimedOut, -1)]);
    h.wait(Duration::from_secs(11));
    assert_eq!(failed(&a).fate, Fate::PossiblyWritten);
    let b = h.send(0, "b");
    assert_eq!(h.poll().unwrap().stamps(), [(0, 1, 0, 1)]);
    assert!(b.try_get().is_none());
}

#[test]
fn a_sequence_that_surely_is_free_is_used_by_the_next() {
    let mut h = Harness::new(1, one_by_one());
    let a = h.send(0, "a");
    let request = h.poll().unwrap();
    h.answer(&request, &[(ErrorCode::MessageTooLarge, -1)]);
    assert_eq!(failed(&a).fate, Fate::NotWritten);
    drop(h.send(0, "b"));
    assert_eq!(h.poll().unwrap().stamps(), [(0, 0, 0, 1)]);
    assert_eq!(h.producer.stats.epoch_bumps, 0);
}

#[test]
fn scenario_p8_sequences_are_not_rewritten_under_a_batch_in_flight() {
    let mut h = Harness::new(1, one_by_one());
    let sent: Vec<_> = (0..3).map(|i| h.send(0, &i.to_string())).collect();
    let requests: Vec<_> = std::iter::from_fn(|| h.poll()).collect();
    // The second fails for good while the third is in flight, which the broker then refuses.
    h.answer(&requests[1], &[(ErrorCode::MessageTooLarge, -1)]);
    h.answer(&requests[0], &[(ErrorCode::None, 0)]);
    h.answer(&requests[2], &[(ErrorCode::OutOfOrderSequenceNumber, -1)]);
    let again = h.poll_later(BROKER);
    assert_eq!(again.stamps(), [(0, 1, 0, 1)], "begins anew under the next epoch");
    h.answer(&again, &[(ErrorCode::None, 1)]);
    assert_eq!((acked(&sent[0]), acked(&sent[2])), (0, 1));
    assert_eq!(failed(&sent[1]).fate, Fate::NotWritten);
}

#[test]
fn scenario_p7_a_broker_that_lost_track_is_not_asked_the_same_for_ever() {
    let mut h = Harness::new(1, one_by_one());
    let a = h.send(0, "a");
    let b = h.send(0, "b");
    let requests: Vec<_> = std::iter::from_fn(|| h.poll()).collect();
    h.answer(&requests[0], &[(ErrorCode::NotEnoughReplicas, -1)]);
    h.answer(&requests[1], &[(ErrorCode::None, 0)]);
    let mut rounds = 0;
    while a.try_get().is_none() {
        rounds += 1;
        assert!(rounds < 10, "it must end");
        match h.poll() {
            Some(request) if request.stamps()[0].1 == 0 => {
                h.answer(&request, &[(ErrorCode::OutOfOrderSequenceNumber, -1)]);
            }
            Some(request) => h.answer(&request, &[(ErrorCode::None, 1)]),
            None => h.next_deadline(),
        }
    }
    assert_eq!((acked(&a), acked(&b)), (1, 0));
}

/// Found by the simulator, flaky 2393797725: appended, then the broker forgot the producer.
#[test]
fn what_a_broker_appended_is_not_sent_under_another_epoch() {
    for appended in [
        ErrorCode::RequestTimedOut,
        ErrorCode::NotEnoughReplicasAfterAppend,
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::KafkaStorageError,
    ] {
        for lost_track in [
            ErrorCode::UnknownProducerId,
            ErrorCode::OutOfOrderSequenceNumber,
            ErrorCode::InvalidProducerEpoch,
        ] {
            let mut h = Harness::new(1, one_by_one());
            let (a, first) = (h.send(0, "a"), h.poll().unwrap());
            h.answer(&first, &[(appended, -1)]);
            let again = h.poll_later(BROKER);
            h.answer(&again, &[(lost_track, -1)]);
            assert_eq!(failed(&a).fate, Fate::PossiblyWritten, "{appended:?}, {lost_track:?}");
        }
    }
}

/// What waits behind a batch that is refused may have been appended as well.
#[test]
fn what_was_appended_does_not_follow_another_batch_to_the_next_epoch() {
    let mut h = Harness::new(1, one_by_one());
    let (first, known) = (h.send(0, "first"), h.poll().unwrap());
    h.answer(&known, &[(ErrorCode::None, 0)]);
    let (a, b) = (h.send(0, "a"), h.send(0, "b"));
    let requests: Vec<_> = std::iter::from_fn(|| h.poll()).collect();
    h.answer(&requests[1], &[(ErrorCode::RequestTimedOut, -1)]);
    h.answer(&requests[0], &[(ErrorCode::UnknownProducerId, -1)]);
    assert_eq!(failed(&b).fate, Fate::PossiblyWritten);
    let again = h.poll_later(BROKER);
    assert_eq!(again.stamps(), [(0, 1, 0, 1)]);
    h.answer(&again, &[(ErrorCode::None, 2)]);
    assert_eq!((acked(&first), acked(&a)), (0, 2));
}

#[test]
fn a_bump_of_one_partition_leaves_the_others_alone() {
    let mut h = Harness::new(2, one_by_one());
    let other = h.send(1, "other");
    let first = h.poll().unwrap();
    h.lose(&first, true);
    drop(h.send(0, "a"));
    let request = h.poll().unwrap();
    assert_eq!(request.stamps(), [(0, 0, 0, 1)]);
    h.answer(&request, &[(ErrorCode::UnknownProducerId, -1)]);
    let mut stamps = Vec::new();
    while stamps.len() < 2 {
        match h.poll() {
            Some(request) => {
                let codes = vec![(ErrorCode::None, 9); request.batches.len()];
                stamps.extend(request.stamps());
                h.answer(&request, &codes);
            }
            None => h.next_deadline(),
        }
    }
    stamps.sort_unstable();
    assert_eq!(
        stamps,
        [(0, 1, 0, 1), (1, 0, 0, 1)],
        "what may have been written goes again under its own epoch"
    );
    assert_eq!(acked(&other), 9);
}

#[test]
fn a_fenced_id_is_replaced() {
    let mut h = Harness::new(1, one_by_one());
    let a = h.send(0, "a");
    let request = h.poll().unwrap();
    h.answer(&request, &[(ErrorCode::InvalidProducerEpoch, -1)]);
    h.give_identity(8, 0);
    let again = h.poll_later(BROKER);
    assert_eq!(again.batches[0].1.producer_id(), 8);
    assert_eq!(again.stamps(), [(0, 0, 0, 1)]);
    h.answer(&again, &[(ErrorCode::None, 4)]);
    assert_eq!(acked(&a), 4);
}

#[test]
fn a_duplicate_is_a_success() {
    let mut h = Harness::new(1, one_by_one());
    let a = h.send(0, "a");
    let request = h.poll().unwrap();
    h.answer(&request, &[(ErrorCode::DuplicateSequenceNumber, -1)]);
    assert_eq!(acked(&a), -1);
}

#[test]
fn a_newer_batch_that_kept_its_sequence_does_not_hold_back_an_older_one_that_lost_it() {
    let mut h = Harness::new(1, one_by_one());
    let (a, first) = (h.send(0, "a"), h.poll().unwrap());
    let (b, second) = (h.send(0, "b"), h.poll().unwrap());
    h.answer(&first, &[(ErrorCode::OutOfOrderSequenceNumber, -1)]);
    h.lose(&second, true);
    h.wait(Duration::from_secs(2));
    let again = h.poll().expect("there is nothing to wait for");
    assert_eq!(again.stamps(), [(0, 1, 0, 1)]);
    h.answer(&again, &[(ErrorCode::None, 7)]);
    assert_eq!(acked(&a), 7);
    assert_eq!(failed(&b).fate, Fate::PossiblyWritten, "a broker may still have it before it");
    assert!(h.poll().is_none());
}

/// Found by the simulator, old_brokers 86: what lay in a connection that was given up came to the broker after the retry.
#[test]
fn what_a_broker_may_still_execute_is_not_sent_under_another_epoch() {
    let mut h = Harness::new(1, one_by_one());
    let (a, first) = (h.send(0, "a"), h.poll().unwrap());
    h.wait(Duration::from_secs(5));
    let (b, second) = (h.send(0, "b"), h.poll().unwrap());
    h.wait(Duration::from_secs(6));
    assert_eq!(failed(&a).fate, Fate::PossiblyWritten);
    h.lose(&first, true);
    h.lose(&second, true);
    h.wait(Duration::from_secs(1));
    let again = h.poll().unwrap();
    assert_eq!(again.stamps(), [(0, 0, 1, 1)]);
    // The first of them is still under way, and both come right after this.
    h.answer(&again, &[(ErrorCode::OutOfOrderSequenceNumber, -1)]);
    assert_eq!(failed(&b).fate, Fate::PossiblyWritten);
    h.wait(Duration::from_secs(1));
    assert!(h.poll().is_none(), "it must not be written twice");
    let (c, third) = (h.send(0, "c"), h.poll().unwrap());
    assert_eq!(third.stamps(), [(0, 1, 0, 1)]);
    h.answer(&third, &[(ErrorCode::None, 9)]);
    assert_eq!(acked(&c), 9);
}

#[test]
fn scenario_p11_batches_straddle_the_wrap() {
    let mut h = Harness::new(
        1,
        WriterConfig { batch_messages: 4, linger: Duration::ZERO, ..WriterConfig::default() },
    );
    // The first goes alone and takes the identity; the broker has seen all sequences up to three before the last.
    drop(h.send(0, "first"));
    let first = h.poll().unwrap();
    h.answer(&first, &[(ErrorCode::None, 0)]);
    h.producer.partitions[0].sequences_mut().skip_to(i32::MAX - 2);
    let sent: Vec<_> = (0..10).map(|i| h.send(0, &i.to_string())).collect();
    let requests: Vec<_> = std::iter::from_fn(|| h.poll()).collect();
    let stamps: Vec<_> =
        requests.iter().flat_map(|r| r.stamps()).map(|(.., base, count)| (base, count)).collect();
    assert_eq!(stamps.iter().map(|(_, count)| count).sum::<u32>(), 10);
    let mut next = i64::from(i32::MAX - 2);
    for (base, count) in stamps {
        assert_eq!(i64::from(base), next, "sequences go on at 0 after the last");
        next = (next + i64::from(count)) % (1 << 31);
    }
    assert_eq!(next, 7);
    // One that is sent again keeps its sequence across the wrap.
    h.answer(&requests[0], &[(ErrorCode::NotEnoughReplicas, -1)]);
    requests[1..].iter().for_each(|r| h.answer(r, &[(ErrorCode::OutOfOrderSequenceNumber, -1)]));
    h.next_deadline();
    let again = h.poll().unwrap();
    assert_eq!(again.stamps(), requests[0].stamps());
    assert_eq!(h.producer.stats.epoch_bumps, 0);
    drop(sent);
}
