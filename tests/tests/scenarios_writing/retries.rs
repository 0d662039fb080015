//! What is sent again: the same, in its order, once in the log.

use crate::support::{acked, logged, ms, numbers, one_by_one, secs, three_nodes, to, written};
use kafka_core::{Compression, ErrorCode, ErrorKind, Fate, Idempotence, Manual};
use kafka_proto::{ApiKey, Bytes};
use kafka_testkit::broker::Fault;
use std::collections::BTreeMap;

/// A batch that is sent again, whatever failed and whatever came meanwhile, is the same to the byte.
#[test]
fn scenario_p12_a_batch_is_not_built_anew_for_a_retry() {
    for compression in [Compression::None, Compression::Gzip, Compression::Lz4] {
        three_nodes(1).run(move |sim| async move {
            let client = sim.client().connect().await.unwrap();
            let writer = client.writer("t").compression(compression).batch_bytes(1024).build().unwrap();
            sim.record(ApiKey::Produce);
            let mut deliveries = Vec::new();
            for number in numbers(0..200) {
                match deliveries.len() {
                    20 => sim.fault(ApiKey::Produce, 2, Fault::CloseAfter),
                    80 => sim.fail_next(ApiKey::Produce, ErrorCode::NotEnoughReplicas, 3),
                    140 => sim.fault(ApiKey::Produce, 2, Fault::CloseBefore),
                    _ => {}
                }
                let message = to(0, format!("{number} {}", "x".repeat(40))).timestamp(number.len() as i64);
                deliveries.push(writer.send(message).await.unwrap());
                sim.sleep(ms(20)).await;
            }
            assert_eq!(acked(deliveries).await, (0..200).collect::<Vec<i64>>());

            let mut times: BTreeMap<i32, Vec<Bytes>> = BTreeMap::new();
            for sent in written(&sim) {
                let bytes = sent.batch.as_bytes().clone();
                times.entry(sent.batch.base_sequence()).or_default().push(bytes);
            }
            let again = times.values().filter(|bytes| bytes.len() > 1).count();
            assert!(again >= 2, "{compression:?}: only {again} batches were sent again");
            assert!(times.values().any(|bytes| bytes.len() > 2), "{compression:?}");
            for (sequence, bytes) in times {
                assert!(bytes.iter().all(|other| *other == bytes[0]), "{compression:?}: {sequence} differs");
            }
        });
    }
}

/// The response is cut: the batch may be in the log, and is neither split nor written twice.
#[test]
fn scenario_p16_a_truncated_response_writes_nothing_twice() {
    three_nodes(1).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        let writer = client.writer("t").build().unwrap();
        for cut in [1, 3, 8] {
            sim.spoil(ApiKey::Produce, 1, move |answer| {
                let body = &answer[4..answer.len() - cut];
                [&(body.len() as u32).to_be_bytes()[..], body].concat().into()
            });
        }
        let messages: Vec<_> = numbers(0..100).into_iter().map(|number| to(0, number)).collect();
        writer.write_all(messages).await.unwrap();
        assert_eq!(logged(&sim, "t", 0), numbers(0..100));
        let stats = writer.stats();
        assert_eq!((stats.splits, stats.epoch_bumps), (0, 0), "{stats:?}");
        assert!(stats.retries >= 3, "{stats:?}");
    });
}

/// A batch expires while half of it is on the wire, and others are made: what goes out is what went in.
#[test]
fn scenario_p17_bytes_on_the_wire_are_not_used_again() {
    three_nodes(1).topic("u", 1).run(|sim| async move {
        let client = sim.client().request_timeout(secs(60)).connect().await.unwrap();
        let short = client.writer("t").delivery_timeout(secs(5)).build().unwrap();
        let long = client.writer("u").build().unwrap();
        let leader = sim.leader("t", 0).unwrap();
        sim.move_leader("u", 0, leader);
        short.write_all([to(0, "warm")]).await.unwrap();
        long.write_all([to(0, "warm")]).await.unwrap();
        sim.record(ApiKey::Produce);

        sim.cut_off(leader, secs(20));
        // More than the socket takes at once.
        let first = Bytes::from(vec![b'a'; 900_000]);
        let expired = short.send(to(0, first.clone())).await.unwrap();
        let failed = expired.await.unwrap_err();
        assert!(matches!(failed.error.kind(), ErrorKind::TimedOut { .. }), "{failed}");
        assert_eq!(failed.fate, Fate::PossiblyWritten);
        let second = Bytes::from(vec![b'b'; 900_000]);
        let delivery = long.send(to(0, second.clone())).await.unwrap();
        delivery.await.unwrap();

        let of = |topic: &str| sim.log(topic, 0).into_iter().last().unwrap().value.unwrap();
        assert!(of("t") == first, "the first batch was changed on its way");
        assert!(of("u") == second, "the second batch was changed on its way");
        // The bytes on the wire were half written when the batch was given up.
        let [frame, other] = &sim.recorded(ApiKey::Produce)[..] else { panic!("more than two requests") };
        for (frame, value) in [(frame, first), (other, second)] {
            let at = frame.frame.windows(64).position(|part| part == &value[..64]).unwrap();
            assert!(frame.frame[at..].starts_with(&value), "not the bytes that were given");
        }
    });
}

/// Errors come while answers are pending, and the application looks at none of them.
#[test]
fn scenario_p18_errors_need_nobody_to_look_at_them() {
    three_nodes(1).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        let writer = one_by_one(&client).build().unwrap();
        writer.write_all([to(0, "warm")]).await.unwrap();
        let leader = sim.leader("t", 0).unwrap();
        let mut deliveries = Vec::new();
        for round in 0..3 {
            for number in numbers(round * 10..round * 10 + 10) {
                deliveries.push(writer.send(to(0, number)).await.unwrap());
            }
            match round {
                0 => sim.fail_next(ApiKey::Produce, ErrorCode::InvalidRecord, 3),
                1 => sim.fail_next(ApiKey::Produce, ErrorCode::NotLeaderOrFollower, 2),
                _ => sim.reset(leader),
            }
            sim.sleep(ms(2)).await;
        }
        sim.within(secs(30), writer.flush()).await.expect("the flush ends");
        assert!(deliveries.iter().all(|delivery| delivery.try_get().is_some()));
        assert_eq!(writer.buffered_bytes(), 0);
        assert!(writer.close(secs(1)).await.is_clean());
    });
}

/// Whatever becomes of a batch, each of its records gets one answer, also where it races with the end of the writer.
#[test]
fn scenario_p22_every_record_gets_its_answer_whatever_ends_it() {
    for close_after in 0..30 {
        three_nodes(2).seed(close_after).run(move |sim| async move {
            let client = sim.client().connect().await.unwrap();
            let writer = client.writer("t").batch_messages(3).balancer(Manual).build().unwrap();
            sim.fault(ApiKey::Produce, 1, Fault::CloseAfter);
            sim.fail_next(ApiKey::Produce, ErrorCode::NotEnoughReplicas, 1);
            sim.fail_next(ApiKey::Produce, ErrorCode::InvalidRecord, 1);
            let mut deliveries = Vec::new();
            for number in 0..40 {
                deliveries.push(writer.send(to(number % 2, number.to_string())).await.unwrap());
            }
            sim.sleep(ms(close_after)).await;
            let report = writer.close(ms(20)).await;
            let (mut fates, mut written) = ([0; 2], Vec::new());
            for (number, delivery) in (0..).zip(&deliveries) {
                match delivery.try_get().expect("no answer after the end") {
                    Ok(_) => written.push(number),
                    Err(error) => fates[usize::from(error.fate == Fate::PossiblyWritten)] += 1,
                }
            }
            assert!(fates[0] >= report.not_written && fates[1] >= report.possibly_written, "{fates:?}");
            sim.sleep(secs(1)).await;
            let mut log: Vec<i32> =
                (0..2).flat_map(|p| logged(&sim, "t", p)).map(|n| n.parse().unwrap()).collect();
            log.sort_unstable();
            assert!(log.windows(2).all(|pair| pair[0] != pair[1]), "{log:?}");
            assert!(written.iter().all(|number| log.contains(number)), "{written:?} {log:?}");
            assert!(log.len() as u64 <= written.len() as u64 + fates[1], "{log:?}");
        });
    }
}

/// As in P1 and P2, against a broker: what is given up after it was appended takes no later record with it.
#[test]
fn scenario_p2_records_after_one_that_expired_are_written() {
    for idempotence in [Idempotence::Required, Idempotence::Off] {
        three_nodes(1).run(move |sim| async move {
            let client = sim.client().request_timeout(secs(2)).connect().await.unwrap();
            let writer = one_by_one(&client).idempotence(idempotence).delivery_timeout(secs(3));
            let writer = writer.build().unwrap();
            writer.write_all([to(0, "warm")]).await.unwrap();
            // Appended, and no answer comes: the retry is appended, or known as a duplicate, and no answer comes.
            sim.with(|cluster, _| cluster.stall_replication("t", 0)).unwrap();
            let lost = writer.send(to(0, "lost")).await.unwrap();
            let failed = lost.await.unwrap_err();
            assert_eq!(failed.fate, Fate::PossiblyWritten, "{failed}");
            // Until no answer to any of the requests can come any more.
            sim.sleep(secs(10)).await;
            sim.with(|cluster, now| cluster.resume_replication(now, "t", 0)).unwrap();
            writer.write_all([to(0, "next"), to(0, "last")]).await.unwrap();
            let log = logged(&sim, "t", 0);
            assert!(log.ends_with(&["next".to_owned(), "last".to_owned()]), "{log:?}");
            let count = |value: &str| log.iter().filter(|logged| *logged == value).count();
            assert_eq!((count("next"), count("last")), (1, 1), "{log:?}");
            assert!(idempotence == Idempotence::Off || count("lost") <= 1, "{log:?}");
        });
    }
}
