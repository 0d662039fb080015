//! Nothing waits for a timer where an event could wake it.

use crate::support::{ms, one_by_one, secs, three_nodes, to, written};
use kafka_core::{ErrorCode, Manual};
use kafka_proto::ApiKey;
use std::time::Duration;

/// A lone record on a warm writer is on the wire at once.
#[test]
fn promise_16_a_lone_record_leaves_at_once() {
    three_nodes(1).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        // With any linger: nothing else is in flight.
        for linger in [Duration::ZERO, ms(100)] {
            let writer = client.writer("t").linger(linger).build().unwrap();
            writer.write_all([to(0, "warm")]).await.unwrap();
            for _ in 0..20 {
                sim.sleep(secs(3)).await;
                let begun = sim.elapsed();
                writer.write_all([to(0, "x")]).await.unwrap();
                assert_eq!(sim.elapsed() - begun, ms(2), "there and back is all it takes");
            }
        }
    });
}

/// The first record of a topic nobody knows waits for answers, and for no tick.
#[test]
fn scenario_p28_the_first_record_of_an_unknown_topic_waits_for_no_tick() {
    three_nodes(1).topic("u", 1).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        client.writer("t").balancer(Manual).build().unwrap().write_all([to(0, "warm")]).await.unwrap();
        sim.sleep(secs(10)).await;
        sim.record(ApiKey::Metadata);
        let begun = sim.elapsed();
        let writer = client.writer("u").balancer(Manual).build().unwrap();
        writer.write_all([to(0, "x")]).await.unwrap();
        let asked = sim.recorded(ApiKey::Metadata)[0].at - begun;
        // It may have to look a broker's name up and connect to it first.
        assert!(asked <= ms(10), "the question left after {asked:?}");
        assert!(sim.elapsed() - begun <= ms(40), "{:?}", sim.elapsed() - begun);
    });
}

/// A byte of the buffer that becomes free wakes a sender that waits for it in the same instant.
#[test]
fn promise_16_a_freed_byte_wakes_a_waiting_sender_at_once() {
    three_nodes(1).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        let writer = one_by_one(&client).batch_bytes(1024).buffer_bytes(1024).build().unwrap();
        writer.write_all([to(0, "warm")]).await.unwrap();
        let big = || to(0, vec![b'x'; 900]);
        let first = writer.send(big()).await.unwrap();
        let begun = sim.elapsed();
        let own = sim.clone();
        let waiting = {
            let writer = writer.clone();
            sim.spawn(async move {
                drop(writer.send(big()).await.unwrap());
                own.elapsed()
            })
        };
        first.await.unwrap();
        let acked = sim.elapsed();
        assert_eq!(acked - begun, ms(2));
        assert_eq!(waiting.await, acked, "the sender was let in later than room was there");
    });
}

/// The leader moves: from the refusal to the batch at the new leader it takes answers and connections, and no backoff; with
/// brokers that name the new leader and with those that leave it to metadata.
#[test]
fn promise_16_a_moved_leader_is_written_to_without_a_timer() {
    for release in ["4.4", "3.6"] {
        three_nodes(1).kafka_version(release).run(move |sim| async move {
            // A backoff that would be noticed.
            let client = sim.client().retry_backoff(secs(1), secs(10)).connect().await.unwrap();
            let writer = one_by_one(&client).build().unwrap();
            writer.write_all([to(0, "warm")]).await.unwrap();
            for records in [1, 1, 1, 4, 4, 4] {
                sim.sleep(secs(30)).await;
                sim.record(ApiKey::Produce);
                let old = sim.leader("t", 0).unwrap();
                sim.move_leader("t", 0, (old + 1) % 3);
                let begun = sim.elapsed();
                // Several are refused one after the other, some of them when the new leader is known already.
                writer.write_all((0..records).map(|_| to(0, "x"))).await.unwrap();
                let took = sim.elapsed() - begun;
                assert!(took <= ms(30), "{release}: {took:?}");
                assert_eq!(written(&sim).last().unwrap().node, (old + 1) % 3);
            }
        });
    }
}

/// A retry backoff is a backoff: between attempts that fail there is a pause, and it grows.
#[test]
fn scenario_p7_a_batch_that_is_refused_for_ever_does_not_spin() {
    three_nodes(1).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        let writer = one_by_one(&client).delivery_timeout(secs(60)).build().unwrap();
        writer.write_all([to(0, "warm")]).await.unwrap();
        for error in [
            ErrorCode::OutOfOrderSequenceNumber,
            ErrorCode::UnknownProducerId,
            ErrorCode::NotLeaderOrFollower,
        ] {
            sim.fail_next(ApiKey::Produce, error, u32::MAX);
            let before = sim.requests(ApiKey::Produce);
            let begun = sim.elapsed();
            let failed = writer.send(to(0, "x")).await.unwrap().await.unwrap_err();
            assert_eq!(sim.elapsed() - begun, secs(60), "{error:?}: {failed}");
            let attempts = sim.requests(ApiKey::Produce) - before;
            assert!((30..=200).contains(&attempts), "{error:?}: {attempts} attempts in a minute");
            sim.with(|cluster, _| cluster.clear_faults());
            writer.write_all([to(0, "goes on")]).await.unwrap();
        }
    });
}
