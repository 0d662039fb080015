//! Each record ends exactly once, as what it is.

use super::{BROKER, Harness, acked, failed};
use crate::error::{ConnectionError, Error, ErrorKind};
use crate::machine::{Answer, Peer};
use crate::message::Message;
use crate::writer::{Acks, Charge, Fate, Idempotence, WriterConfig};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::init_producer_id::InitProducerIdResponse;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

/// So that several requests of a partition are in flight.
fn one_by_one() -> WriterConfig {
    WriterConfig { batch_messages: 1, linger: Duration::ZERO, ..WriterConfig::default() }
}

#[test]
fn scenario_p22_every_record_of_a_batch_gets_its_answer_and_memory_comes_back() {
    let mut h = Harness::new(2, WriterConfig::default());
    drop(h.send(0, "first"));
    let first = h.poll().unwrap();
    let sent: Vec<_> = (0..100).map(|i| h.send(i % 2, &i.to_string())).collect();
    h.answer(&first, &[(ErrorCode::None, 0)]);
    let request = h.poll().unwrap();
    let codes: Vec<_> = request
        .batches
        .iter()
        .map(|(p, _)| if *p == 0 { (ErrorCode::None, 1) } else { (ErrorCode::InvalidRecord, -1) })
        .collect();
    h.answer(&request, &codes);
    for (i, delivery) in sent.iter().enumerate() {
        if i % 2 == 0 {
            assert_eq!(acked(delivery), 1 + i as i64 / 2);
        } else {
            assert_eq!(failed(delivery).fate, Fate::NotWritten);
            assert_eq!(failed(delivery).error.code(), Some(ErrorCode::InvalidRecord));
            assert_eq!(failed(delivery).error.context().partition, Some(1));
        }
    }
    assert_eq!(h.producer.accumulator.memory.used(), 0);
    assert!(h.producer.is_quiescent());
}

#[test]
fn what_never_left_is_not_written_and_what_was_taken_possibly() {
    for (taken, fate) in [(false, Fate::NotWritten), (true, Fate::PossiblyWritten)] {
        let config = WriterConfig { max_attempts: Some(1), ..WriterConfig::default() };
        let mut h = Harness::new(1, config);
        let a = h.send(0, "a");
        let request = h.poll().unwrap();
        h.lose(&request, taken);
        assert_eq!(failed(&a).fate, fate);
    }
}

#[test]
fn an_answer_that_lacks_a_partition_is_no_acknowledgement() {
    let config = WriterConfig { max_attempts: Some(1), ..WriterConfig::default() };
    let mut h = Harness::new(1, config);
    let a = h.send(0, "a");
    let request = h.poll().unwrap();
    h.answer(&request, &[]);
    assert_eq!(failed(&a).fate, Fate::PossiblyWritten);
}

#[test]
fn scenario_p25_an_answer_in_the_instant_of_the_deadline_wins() {
    let config = WriterConfig { delivery_timeout: Duration::from_secs(1), ..WriterConfig::default() };
    let mut h = Harness::new(1, config);
    let a = h.send(0, "a");
    let request = h.poll().unwrap();
    h.now.time += Duration::from_secs(1);
    h.answer(&request, &[(ErrorCode::None, 7)]);
    h.producer.handle_timeout(h.now);
    assert_eq!(acked(&a), 7);
}

#[test]
fn acks_of_none_end_when_the_socket_has_taken_them() {
    let config = WriterConfig { acks: Acks::None, ..WriterConfig::default() };
    let mut h = Harness::without_identity(1, config);
    let a = h.send(0, "a");
    let request = h.poll().unwrap();
    assert!(a.try_get().is_none());
    h.producer.sent(h.now, request.id);
    assert_eq!(acked(&a), -1);
    assert!(h.producer.is_quiescent());
}

#[test]
fn closing_ends_everything_as_what_it_is() {
    let mut h = Harness::new(2, WriterConfig::default());
    let on_the_way = h.send(0, "a");
    h.poll().unwrap();
    let gathering = h.send(1, "b");
    h.producer.abort(&Error::new(ErrorKind::Closed));
    assert_eq!(failed(&on_the_way).fate, Fate::PossiblyWritten);
    assert_eq!(failed(&gathering).fate, Fate::NotWritten);
    assert_eq!(h.producer.accumulator.memory.used(), 0);
}

#[test]
fn old_brokers_are_written_to_without_idempotence_and_that_is_told_once() {
    let mut h = Harness::without_identity(1, WriterConfig::default());
    let a = h.send(0, "a");
    assert!(h.poll().is_none(), "no identity yet");
    assert!(h.producer.poll_ask().is_some());
    let too_old = Error::new(ErrorKind::Unsupported { feature: "InitProducerId", needs: "Kafka 0.11" });
    let answer = Answer { tag: 0, peer: Some(Peer::Node(1)), result: Err(too_old) };
    h.producer.handle_answer(h.now, answer.clone());
    assert!(h.producer.effects.take_degraded().is_some());
    let request = h.poll().unwrap();
    assert_eq!(request.batches[0].1.producer_id(), -1);
    h.answer(&request, &[(ErrorCode::None, 0)]);
    assert_eq!(acked(&a), 0);

    let config = WriterConfig { idempotence: Idempotence::Required, ..WriterConfig::default() };
    let mut h = Harness::without_identity(1, config);
    let a = h.send(0, "a");
    h.producer.poll_ask();
    h.producer.handle_answer(h.now, answer);
    assert_eq!(failed(&a).fate, Fate::NotWritten);
    let named = ErrorKind::Unsupported { feature: "idempotent writing", needs: "Kafka 0.11" };
    assert_eq!(*failed(&a).error.kind(), named);
}

#[test]
fn a_producer_id_that_cannot_be_had_is_asked_for_less_and_less_often() {
    let mut h = Harness::without_identity(1, WriterConfig::default());
    let a = h.send(0, "a");
    let begin = h.now.time;
    let mut asked = Vec::new();
    while asked.len() < 5 {
        if h.producer.poll_ask().is_none() {
            h.next_deadline();
            continue;
        }
        asked.push(h.now.time - begin);
        let busy = Error::of_code(ErrorCode::CoordinatorLoadInProgress);
        h.producer.handle_answer(h.now, Answer { tag: 0, peer: Some(Peer::Node(1)), result: Err(busy) });
    }
    // 100 ms doubled each time, give or take the jitter.
    assert!(asked[4] - asked[3] > 4 * (asked[1] - asked[0]), "{asked:?}");
    assert!(a.try_get().is_none());
}

#[test]
fn a_batch_too_large_for_the_broker_goes_on_in_parts_in_order() {
    let mut h = Harness::new(1, WriterConfig::default());
    drop(h.send(0, "first"));
    let first = h.poll().unwrap();
    let sent: Vec<_> = (0..10).map(|i| h.send(0, &i.to_string())).collect();
    h.answer(&first, &[(ErrorCode::None, 0)]);
    let mut offset = 1;
    let mut sequence = 1;
    while sent.iter().any(|d| d.try_get().is_none()) {
        let Some(request) = h.poll() else {
            h.next_deadline();
            continue;
        };
        let (_, epoch, base, count) = request.stamps()[0];
        assert_eq!((epoch, base), (0, sequence), "what is refused uses up no sequence");
        if count > 3 {
            h.answer(&request, &[(ErrorCode::MessageTooLarge, -1)]);
        } else {
            h.answer(&request, &[(ErrorCode::None, offset)]);
            offset += i64::from(count);
            sequence += count as i32;
        }
    }
    assert_eq!(sent.iter().map(acked).collect::<Vec<_>>(), (1..11).collect::<Vec<_>>());
    assert_eq!(h.producer.accumulator.memory.used(), 0);
    assert!(h.producer.stats.splits >= 2);
}

#[test]
fn case_f3_a_batch_is_split_outside_the_lock() {
    let mut h = Harness::new(1, WriterConfig::default());
    let (sent, large) = h.gather(["0", "1", "2", "3"]);
    let newer = h.send(0, "newer");
    h.answer_only(&large, &[(ErrorCode::MessageTooLarge, -1)]);
    h.producer.flush(h.now);
    assert!(h.poll().is_none(), "nothing overtakes what is being split");
    assert!(sent.iter().all(|delivery| delivery.try_get().is_none()));
    assert_eq!(h.work(), 1);
    let mut offset = 1;
    while let Some(request) = h.poll() {
        let count = i64::from(request.batches[0].1.record_count().unwrap());
        h.answer(&request, &[(ErrorCode::None, offset)]);
        offset += count;
    }
    assert_eq!(sent.iter().chain([&newer]).map(acked).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!((h.producer.stats.splits, h.producer.accumulator.memory.used()), (1, 0));
}

#[test]
fn case_f3_batches_in_flight_that_are_too_large_are_split_in_turn() {
    let config = WriterConfig { batch_messages: 2, ..WriterConfig::default() };
    let mut h = Harness::new(1, config);
    let sent: Vec<_> = (0..4).map(|i| h.send(0, &i.to_string())).collect();
    h.producer.flush(h.now);
    let requests = [h.poll().unwrap(), h.poll().unwrap()];
    for request in requests.iter().rev() {
        h.answer_only(request, &[(ErrorCode::MessageTooLarge, -1)]);
    }
    assert!(h.poll().is_none());
    assert_eq!(h.work(), 2);
    let mut offset = 0;
    while sent.iter().any(|delivery| delivery.try_get().is_none()) {
        let request = h.poll_later(BROKER);
        h.answer(&request, &[(ErrorCode::None, offset)]);
        offset += i64::from(request.batches[0].1.record_count().unwrap());
    }
    assert_eq!(sent.iter().map(acked).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

/// Between the refusal and the halves the batch may expire, or its writer be closed.
#[test]
fn case_f3_what_is_given_up_while_it_is_split_stays_so() {
    for closes in [false, true] {
        let mut h = Harness::new(1, WriterConfig::default());
        let (sent, large) = h.gather(["0", "1", "2", "3"]);
        h.answer_only(&large, &[(ErrorCode::MessageTooLarge, -1)]);
        if closes {
            h.producer.abort(&Error::new(crate::error::ErrorKind::Closed));
        } else {
            h.wait(WriterConfig::default().delivery_timeout);
        }
        assert!(sent.iter().all(|delivery| failed(delivery).fate == Fate::NotWritten));
        assert_eq!(h.work(), 1);
        assert!(h.poll().is_none() && h.producer.is_quiescent());
        assert_eq!(h.producer.accumulator.memory.used(), 0);
    }
}

/// Found by the simulator, rolling_restart 2393797496: it stood in the queue again, with nothing to end its delivery timeout.
#[test]
fn what_expired_in_flight_and_is_too_large_is_not_split() {
    let mut h = Harness::new(1, WriterConfig::default());
    let (sent, large) = h.gather(["0", "1", "2", "3"]);
    h.wait(WriterConfig::default().delivery_timeout);
    assert!(sent.iter().all(|delivery| failed(delivery).fate == Fate::PossiblyWritten));
    h.answer_only(&large, &[(ErrorCode::MessageTooLarge, -1)]);
    assert_eq!(h.producer.stuck(h.now.time).collect::<Vec<_>>(), [""; 0]);
    assert_eq!(h.work(), 0);
    assert!(h.producer.is_quiescent());
}

#[test]
fn case_f3_a_record_that_is_too_large_alone_is_no_work() {
    let mut h = Harness::new(1, WriterConfig::default());
    let alone = h.send(0, "large");
    let request = h.poll().unwrap();
    h.answer_only(&request, &[(ErrorCode::MessageTooLarge, -1)]);
    assert_eq!(failed(&alone).error.code(), Some(ErrorCode::MessageTooLarge));
    assert_eq!(h.work(), 0);
}

#[test]
fn what_may_be_written_is_not_split_under_other_sequences() {
    let mut h = Harness::new(1, WriterConfig::default());
    let (sent, request) = h.gather(["0", "1", "2", "3"]);
    h.answer(&request, &[(ErrorCode::RequestTimedOut, -1)]);
    let again = h.poll_later(BROKER);
    h.answer(&again, &[(ErrorCode::MessageTooLarge, -1)]);
    assert!(sent.iter().all(|delivery| failed(delivery).fate == Fate::PossiblyWritten));
    assert!(h.producer.is_quiescent());
}

#[test]
fn halves_of_what_may_be_written_may_be_written() {
    let config = WriterConfig { idempotence: Idempotence::Off, ..WriterConfig::default() };
    let mut h = Harness::without_identity(1, config);
    let ([a, b], request) = h.gather(["a", "b"]);
    h.answer(&request, &[(ErrorCode::RequestTimedOut, -1)]);
    while a.try_get().is_none() || b.try_get().is_none() {
        match h.poll() {
            Some(request) => h.answer(&request, &[(ErrorCode::MessageTooLarge, -1)]),
            None => h.next_deadline(),
        }
    }
    assert_eq!([failed(&a).fate, failed(&b).fate], [Fate::PossiblyWritten; 2]);
}

/// A leader that has appended a batch and is replaced while it waits for its followers says no more than that it leads no more;
/// a proxy that lost the broker says so.
#[test]
fn what_a_replaced_leader_refused_is_possibly_written() {
    for code in [ErrorCode::NotLeaderOrFollower, ErrorCode::NetworkException] {
        let config = WriterConfig { max_attempts: Some(1), ..WriterConfig::default() };
        let mut h = Harness::new(1, config);
        let a = h.send(0, "a");
        let request = h.poll().unwrap();
        h.answer(&request, &[(code, -1)]);
        assert_eq!(failed(&a).fate, Fate::PossiblyWritten);
    }
}

/// The first attempt may still lie before the broker when the second is refused.
#[test]
fn what_may_be_written_stays_so_when_a_retry_is_out_of_order() {
    let config = WriterConfig { max_attempts: Some(2), ..WriterConfig::default() };
    let mut h = Harness::new(1, config);
    let a = h.send(0, "a");
    let first = h.poll().unwrap();
    h.lose(&first, true);
    h.wait(Duration::from_secs(1));
    let second = h.poll().unwrap();
    h.answer(&second, &[(ErrorCode::OutOfOrderSequenceNumber, -1)]);
    assert_eq!(failed(&a).fate, Fate::PossiblyWritten);
}

/// Who was next in line had its room, and slept on until its delivery timeout.
#[test]
fn room_that_was_granted_and_not_needed_wakes_the_next_in_line() {
    #[derive(Default)]
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let mut h = Harness::new(1, WriterConfig { buffer_bytes: 1 << 20, ..WriterConfig::default() });
    drop(h.send(0, "a"));
    let memory = &h.accumulator.memory;
    let need = (1 << 20) - memory.used();
    let (mut noop, woken) = (Context::from_waker(Waker::noop()), Arc::new(Woken::default()));
    let (first, second) = (
        memory.enqueue(Charge { partition: 0, bytes: need }),
        memory.enqueue(Charge { partition: 0, bytes: 100 }),
    );
    assert!(memory.poll_granted(first, &mut noop).is_ready());
    let waker = Waker::from(woken.clone());
    assert!(memory.poll_granted(second, &mut Context::from_waker(&waker)).is_pending());
    let (slot, message) = (h.topic.slot(0).unwrap(), Message::new("b"));
    assert_eq!(memory.taken(first), need);
    let (_, taken) = h.accumulator.append(h.now, &h.topic, &slot, &message, need);
    assert!(taken.is_ok());
    assert!(woken.0.load(Ordering::Relaxed), "what was left of the first one's room is the second one's");
    assert!(memory.poll_granted(second, &mut noop).is_ready());
}

/// Writes one record to each partition and has it acknowledged.
fn write_to_all(h: &mut Harness, partitions: usize) {
    for partition in 0..partitions {
        let delivery = h.send(partition, "x");
        let request = h.poll_later(BROKER);
        h.answer(&request, &[(ErrorCode::None, 5)]);
        assert_eq!(acked(&delivery), 5);
    }
}

#[test]
fn case_d6_a_topic_made_anew_with_other_counts_of_partitions_is_usable() {
    let mut h = Harness::new(1, WriterConfig::default());
    for (id, partitions) in [(1, 1), (2, 2), (3, 5), (4, 1), (5, 3), (5, 4), (6, 2)] {
        h.make_anew(id, partitions);
        write_to_all(&mut h, partitions as usize);
    }
}

#[test]
fn case_d7_an_answer_without_an_id_does_not_hide_that_the_topic_was_made_anew() {
    let mut h = Harness::new(1, WriterConfig::default());
    let mut first_sequence = |id| {
        h.make_anew(id, 1);
        let delivery = h.send(0, "x");
        let request = h.poll_later(BROKER);
        h.answer(&request, &[(ErrorCode::None, 0)]);
        assert_eq!(acked(&delivery), 0);
        request.batches[0].1.base_sequence()
    };
    assert_eq!([first_sequence(1), first_sequence(0), first_sequence(1)], [0, 1, 2]);
    assert_eq!([first_sequence(0), first_sequence(2)], [3, 0]);
}

/// A broker, or a proxy before it, closes the connection on requests that are too large for it.
#[test]
fn case_c3_requests_become_smaller_until_they_are_answered() {
    for most in [1, 2, 3, 7] {
        let mut h = Harness::new(20, WriterConfig::default());
        let sent: Vec<_> = (0..20).map(|partition| h.send(partition, &"x".repeat(1000))).collect();
        let mut refused = 0;
        while sent.iter().any(|delivery| delivery.try_get().is_none()) {
            let request = h.poll_later(BROKER);
            if request.batches.len() > most {
                h.end(&request, ConnectionError::ClosedUnanswered);
                refused += 1;
            } else {
                h.answer(&request, &vec![(ErrorCode::None, 0); request.batches.len()]);
            }
        }
        assert!(refused <= 6, "{refused} connections ended for {most} batches a request");
        assert!(sent.iter().all(|delivery| acked(delivery) == 0));
    }
}

/// A request is not filled beyond the limit by its last batch.
#[test]
fn case_c3_a_small_batch_does_not_bring_a_large_one_along() {
    let mut h = Harness::new(3, WriterConfig::default());
    let mut refused = 0;
    for _ in 0..7 {
        // The first one leaves at once, and the others gather.
        let sent = [h.send(2, "x"), h.send(0, "x"), h.send(1, &"x".repeat(100_000))];
        while sent.iter().any(|delivery| delivery.try_get().is_none()) {
            let request = h.poll_later(BROKER);
            if request.batches.len() > 1 {
                h.end(&request, ConnectionError::ClosedUnanswered);
                refused += 1;
            } else {
                h.answer(&request, &[(ErrorCode::None, 0)]);
            }
        }
    }
    assert_eq!(refused, 1);
}

/// A proxy may close on the length that a request begins with, before all of it was sent.
#[test]
fn case_c3_a_request_that_is_cut_off_half_way_was_perhaps_too_large() {
    for is_taken in [false, true] {
        let mut h = Harness::new(8, WriterConfig::default());
        let sent: Vec<_> = (0..8).map(|partition| h.send(partition, &"x".repeat(1000))).collect();
        let mut refused = 0;
        while sent.iter().any(|delivery| delivery.try_get().is_none()) {
            let request = h.poll_later(BROKER);
            if request.batches.len() > 2 {
                h.lose(&request, is_taken);
                refused += 1;
            } else {
                h.answer(&request, &vec![(ErrorCode::None, 0); request.batches.len()]);
            }
        }
        assert!(refused <= 3, "{refused}");
        assert!(sent.iter().all(|delivery| acked(delivery) == 0));
    }
}

#[test]
fn requests_are_no_larger_than_configured() {
    let config = WriterConfig { request_bytes: 10_000, batch_bytes: 10_000, ..WriterConfig::default() };
    let mut h = Harness::new(20, config);
    let sent: Vec<_> =
        (0..20).map(|partition| h.send(partition, &"x".repeat(1500 * (1 + partition % 6)))).collect();
    while sent.iter().any(|delivery| delivery.try_get().is_none()) {
        let request = h.poll_later(BROKER);
        let bytes: usize = request.batches.iter().map(|(_, batch)| batch.size_in_bytes() - 61).sum();
        assert!(bytes <= 10_000, "{bytes}");
        h.answer(&request, &vec![(ErrorCode::None, 0); request.batches.len()]);
    }
}

#[test]
fn case_c3_after_a_restart_requests_are_soon_as_large_as_before() {
    let mut h = Harness::new(20, WriterConfig::default());
    let mut ended = false;
    let mut largest = Vec::new();
    for _ in 0..30 {
        let sent: Vec<_> = (0..20).map(|partition| h.send(partition, &"x".repeat(1000))).collect();
        let mut most = 0;
        while sent.iter().any(|delivery| delivery.try_get().is_none()) {
            let request = h.poll_later(BROKER);
            most = most.max(request.batches.len());
            if request.batches.len() > 1 && !std::mem::replace(&mut ended, true) {
                h.end(&request, ConnectionError::Lost("reset".into()));
            } else {
                h.answer(&request, &vec![(ErrorCode::None, 0); request.batches.len()]);
            }
        }
        largest.push(most);
    }
    assert_eq!((largest[0], largest[1], largest[29]), (19, 9, 19), "{largest:?}");
}

/// All that was in flight ends with its connection.
#[test]
fn case_c3_one_end_counts_once_however_many_requests_it_ends() {
    let mut h = Harness::new(4, one_by_one());
    let send = |h: &mut Harness| (0..4).map(|partition| h.send(partition, "x")).for_each(drop);
    for restarts in 1..=4 {
        let requests: Vec<_> = (0..5).map(|_| (send(&mut h), h.poll().unwrap()).1).collect();
        requests.iter().for_each(|request| h.end(request, ConnectionError::Lost("restarted".into())));
        h.wait(Duration::from_secs(1));
        let mut answers = 0;
        loop {
            send(&mut h);
            let request = h.poll_later(BROKER);
            if request.batches.len() == 4 {
                h.answer(&request, &[(ErrorCode::None, 0); 4]);
                break;
            }
            h.answer(&request, &vec![(ErrorCode::None, 0); request.batches.len()]);
            answers += 1;
        }
        assert!(answers < 20, "{answers} smaller requests after {restarts} restarts");
        while let Some(request) = h.poll() {
            h.answer(&request, &vec![(ErrorCode::None, 0); request.batches.len()]);
        }
    }
}

/// Requests that nobody answers.
#[test]
fn case_c3_a_limit_is_not_believed_for_ever_without_answers() {
    for is_taken in [false, true] {
        let config = WriterConfig { acks: Acks::None, ..one_by_one() };
        let mut h = Harness::without_identity(4, config);
        let mut sizes = Vec::new();
        for at in 0..20 {
            (0..4).for_each(|partition| drop(h.send(partition, "x")));
            while let Some(request) = h.poll() {
                sizes.push(request.batches.len());
                match at {
                    0 => h.lose(&request, is_taken),
                    _ => h.producer.sent(h.now, request.id),
                }
            }
            h.wait(Duration::from_secs(1));
        }
        let smaller = sizes.iter().filter(|size| **size < 4).count();
        assert_eq!(sizes.last(), Some(&4));
        assert!((1..12).contains(&smaller), "{sizes:?}");
    }
}

/// A topic's limit between the half of a batch and the whole.
#[test]
fn case_c3_a_batch_that_is_too_large_is_tried_again_more_and_more_rarely() {
    // The second ones make batches below 1 KiB.
    for value in [900, 40] {
        let config =
            WriterConfig { linger: Duration::ZERO, batch_bytes: 8 * 1024, ..WriterConfig::default() };
        let mut h = Harness::new(1, config);
        let (mut refused, mut batches) = (0, 0);
        while batches < 1000 {
            (0..16).for_each(|_| drop(h.send(0, &"v".repeat(value))));
            while let Some(request) = h.poll() {
                batches += 1;
                let is_refused = request.stamps()[0].3 > 6;
                refused += u32::from(is_refused);
                let code = if is_refused { ErrorCode::MessageTooLarge } else { ErrorCode::None };
                h.answer(&request, &[(code, 0)]);
            }
        }
        assert!((2..12).contains(&refused), "{refused} of {batches}");
    }
}

#[test]
fn case_c3_what_is_no_end_by_the_broker_lowers_nothing() {
    for error in [ConnectionError::ResponseTimeout, ConnectionError::ClosedByClient, ConnectionError::Refused]
    {
        let mut h = Harness::new(20, WriterConfig::default());
        (0..20).for_each(|partition| drop(h.send(partition, &"x".repeat(1000))));
        let request = h.poll_later(BROKER);
        h.end(&request, error);
        assert!(h.poll_later(BROKER).batches.len() > 10);
    }
}

/// A partition that one answer lacked, or that was away for longer: the broker remembers its sequences.
#[test]
fn case_d7_a_partition_that_comes_back_goes_on_under_a_bumped_epoch() {
    for (id, ways) in [(0, &[1, 3][..]), (1, &[1, 2, 3]), (1, &[0, 3]), (0, &[1, 3, 1, 2, 3])] {
        let mut h = Harness::new(3, WriterConfig::default());
        h.make_anew(id, 3);
        let mut seen = Vec::new();
        write_and_note(&mut h, &mut seen);
        for count in ways {
            h.make_anew(id, *count);
            if *count == 3 {
                write_and_note(&mut h, &mut seen);
            }
        }
        let mut once = seen.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), seen.len(), "an epoch and sequence twice: {seen:?}");
    }
}

/// Writes two records to partition 2 that the broker remembers, by epoch and sequence.
fn write_and_note(h: &mut Harness, seen: &mut Vec<(i16, i32)>) {
    for _ in 0..2 {
        let delivery = h.send(2, "x");
        let request = h.poll_later(BROKER);
        h.answer(&request, &[(ErrorCode::None, seen.len() as i64)]);
        assert_eq!(acked(&delivery), seen.len() as i64);
        seen.extend(request.stamps().into_iter().map(|(_, epoch, sequence, _)| (epoch, sequence)));
    }
}

#[test]
fn case_d8_a_producer_id_that_is_none_is_asked_for_again() {
    for (id, epoch) in [(-1, 0), (7, -1), (-1, -1), (i64::MIN, 3), (7, i16::MIN)] {
        let mut h = Harness::without_identity(1, WriterConfig::default());
        let delivery = h.send(0, "x");
        for _ in 0..3 {
            h.give_identity(id, epoch);
            assert!(h.poll().is_none(), "{id} {epoch}");
            assert!(h.producer.poll_ask().is_none(), "not without a wait");
            h.next_deadline();
        }
        h.give_identity(7, 0);
        let request = h.poll_later(BROKER);
        assert_eq!(request.stamps(), [(0, 0, 0, 1)]);
        h.answer(&request, &[(ErrorCode::None, 0)]);
        assert_eq!(acked(&delivery), 0);
    }
}

#[test]
fn case_d8_what_cannot_be_sent_says_that_the_id_is_none() {
    let mut h = Harness::without_identity(1, WriterConfig::default());
    let delivery = h.send(0, "x");
    while delivery.try_get().is_none() {
        h.give_identity(-1, 5);
        h.next_deadline();
    }
    let error = failed(&delivery).error.to_string();
    assert!(error.contains("producer id -1 with epoch 5"), "{error}");
}

#[test]
fn case_c7_without_the_right_to_be_idempotent_it_writes_without_and_says_why() {
    use ErrorCode::{ClusterAuthorizationFailed, TransactionalIdAuthorizationFailed};
    for code in [ClusterAuthorizationFailed, TransactionalIdAuthorizationFailed] {
        let mut h = Harness::without_identity(1, WriterConfig::default());
        let delivery = h.send(0, "x");
        h.refuse_identity(code);
        let request = h.poll_later(BROKER);
        assert_eq!(request.stamps(), [(0, -1, -1, 1)]);
        h.answer(&request, &[(ErrorCode::None, 0)]);
        assert_eq!(acked(&delivery), 0);
        let told = h.producer.effects.take_degraded().unwrap();
        assert_eq!(told.code(), Some(code), "{told}");
        assert!(told.to_string().contains("without idempotence"), "{told}");
    }
}

#[test]
fn case_c7_where_idempotence_is_required_it_fails() {
    let config = WriterConfig { idempotence: Idempotence::Required, ..WriterConfig::default() };
    let mut h = Harness::without_identity(1, config);
    let delivery = h.send(0, "x");
    h.refuse_identity(ErrorCode::ClusterAuthorizationFailed);
    assert_eq!(failed(&delivery).error.code(), Some(ErrorCode::ClusterAuthorizationFailed));
    assert!(h.producer.effects.take_degraded().is_none() && h.poll().is_none());
}

/// Brokers before 2.8 look for the right at each Produce request.
#[test]
fn case_c7_a_right_that_is_taken_away_while_it_writes_is_done_without() {
    for in_flight in 1..=3 {
        let mut h = Harness::new(1, one_by_one());
        let mut deliveries = Vec::new();
        let requests: Vec<_> = (0..in_flight)
            .map(|value| {
                deliveries.push(h.send(0, &value.to_string()));
                h.poll().unwrap()
            })
            .collect();
        for request in &requests {
            assert!(request.stamps()[0].1 >= 0);
            h.answer(request, &[(ErrorCode::ClusterAuthorizationFailed, -1)]);
        }
        assert!(deliveries.iter().all(|delivery| delivery.try_get().is_none()));
        let told = h.producer.effects.take_degraded().unwrap();
        assert_eq!(told.code(), Some(ErrorCode::ClusterAuthorizationFailed), "{told}");
        deliveries.push(h.send(0, "later"));
        for offset in 0..=in_flight {
            let request = h.poll_later(BROKER);
            assert_eq!(request.stamps(), [(0, -1, -1, 1)], "{in_flight} in flight");
            h.answer(&request, &[(ErrorCode::None, offset)]);
        }
        let offsets: Vec<_> = deliveries.iter().map(acked).collect();
        assert_eq!(offsets, (0..=in_flight).collect::<Vec<_>>());
        assert!(h.producer.effects.take_degraded().is_none(), "it is told once");
    }
}

#[test]
fn case_c7_where_idempotence_is_required_a_right_that_is_taken_away_fails_what_needs_it() {
    let config = WriterConfig { idempotence: Idempotence::Required, ..WriterConfig::default() };
    let mut h = Harness::new(1, config);
    let delivery = h.send(0, "x");
    let request = h.poll().unwrap();
    h.answer(&request, &[(ErrorCode::ClusterAuthorizationFailed, -1)]);
    let failure = failed(&delivery);
    assert_eq!(failure.error.code(), Some(ErrorCode::ClusterAuthorizationFailed));
    assert_eq!(failure.fate, Fate::NotWritten);
    assert!(h.producer.effects.take_degraded().is_none());
}

/// The writer does without while a producer id is still asked for: whatever the answer is, it comes too late.
#[test]
fn case_c7_who_does_without_waits_for_no_producer_id() {
    for code in [ErrorCode::None, ErrorCode::CoordinatorLoadInProgress, ErrorCode::InvalidRequest] {
        let mut h = Harness::new(2, one_by_one());
        let a = h.send(0, "a");
        let first = h.poll().unwrap();
        let b = h.send(1, "b");
        let second = h.poll().unwrap();
        h.answer(&first, &[(ErrorCode::InvalidProducerEpoch, -1)]);
        assert!(h.producer.poll_ask().is_some());
        h.answer(&second, &[(ErrorCode::ClusterAuthorizationFailed, -1)]);
        assert!(h.producer.effects.take_degraded().is_some());
        let response =
            InitProducerIdResponse { error_code: code.code(), producer_id: 9, ..Default::default() };
        h.producer.handle_answer(
            h.now,
            Answer { tag: 0, peer: Some(Peer::Node(BROKER)), result: Ok(response.into()) },
        );
        while a.try_get().is_none() || b.try_get().is_none() {
            let request = h.poll_later(BROKER);
            assert!(request.stamps().iter().all(|stamp| stamp.1 < 0), "{code}: {:?}", request.stamps());
            h.answer(&request, &vec![(ErrorCode::None, 0); request.batches.len()]);
        }
        assert_eq!([&a, &b].map(acked), [0, 0]);
        assert!(h.producer.poll_ask().is_none() && h.producer.effects.take_degraded().is_none());
    }
}

/// A batch that was on its way when the writer began to do without goes without as well.
#[test]
fn case_c7_what_was_in_flight_under_a_sequence_goes_on_without_it() {
    let mut h = Harness::new(1, one_by_one());
    let mut send = |value| (h.send(0, value), h.poll().unwrap());
    let [(a, first), (b, second), (c, third)] = ["a", "b", "c"].map(&mut send);
    h.answer(&first, &[(ErrorCode::ClusterAuthorizationFailed, -1)]);
    h.answer(&second, &[(ErrorCode::NotEnoughReplicas, -1)]);
    h.lose(&third, true);
    for offset in 0..3 {
        let request = h.poll_later(BROKER);
        assert_eq!(request.stamps(), [(0, -1, -1, 1)]);
        h.answer(&request, &[(ErrorCode::None, offset)]);
    }
    assert_eq!([&a, &b, &c].map(acked), [0, 1, 2]);
}

#[test]
fn case_c6_throttling_told_as_a_policy_violation_is_tried_again() {
    let mut h = Harness::new(1, WriterConfig::default());
    let delivery = h.send(0, "x");
    for _ in 0..3 {
        let request = h.poll_later(BROKER);
        h.answer(&request, &[(ErrorCode::PolicyViolation, -1)]);
        assert!(delivery.try_get().is_none());
    }
    let request = h.poll_later(BROKER);
    h.answer(&request, &[(ErrorCode::None, 3)]);
    assert_eq!(acked(&delivery), 3);
}

#[test]
fn case_m5_a_code_that_is_not_known_does_not_say_that_nothing_was_written() {
    for code in [ErrorCode::Unknown(999), ErrorCode::Unknown(137), ErrorCode::UnknownServerError] {
        let mut h = Harness::new(2, WriterConfig::default());
        let a = h.send(0, "a");
        let request = h.poll().unwrap();
        h.answer(&request, &[(code, -1)]);
        assert_eq!(failed(&a).fate, Fate::PossiblyWritten, "{code}");
        assert_eq!(failed(&a).error.code(), Some(code));
    }
}

/// The topic's limit may have been raised meanwhile.
#[test]
fn case_c3_a_limit_of_batches_is_not_believed_for_ever() {
    for is_anew in [false, true] {
        let mut h = Harness::new(1, WriterConfig { linger: Duration::from_secs(1), ..Default::default() });
        let value = "v".repeat(1000);
        let fill = |h: &mut Harness| {
            let sent: Vec<crate::writer::Delivery> = (0..64).map(|_| h.send(0, &value)).collect();
            h.producer.flush(h.now);
            let mut most = 0;
            while sent.iter().any(|d| d.try_get().is_none()) {
                let request = h.poll_later(BROKER);
                let count = request.stamps()[0].3;
                most = most.max(count);
                h.answer(&request, &[(ErrorCode::None, 0)]);
            }
            most
        };
        let before = fill(&mut h);
        let sent: Vec<crate::writer::Delivery> = (0..64).map(|_| h.send(0, &"v".repeat(1000))).collect();
        h.producer.flush(h.now);
        while sent.iter().any(|d| d.try_get().is_none()) {
            let request = h.poll_later(BROKER);
            let code = if request.stamps()[0].3 > 4 { ErrorCode::MessageTooLarge } else { ErrorCode::None };
            h.answer(&request, &[(code, 0)]);
        }
        if is_anew {
            h.make_anew(1, 1);
            h.make_anew(2, 1);
        }
        let mut most = 0;
        // Of another topic nothing is known.
        for _ in 0..if is_anew { 1 } else { 40 } {
            most = most.max(fill(&mut h));
        }
        assert!(most >= before, "anew: {is_anew}: {most} records where it was {before}");
    }
}
