//! What one broker or topic that is dead costs the others.

use crate::support::{ms, secs, to};
use kafka_core::{ErrorCode, Manual, Message, TrySendReason, Writer};
use kafka_testkit::sim::{Simulation, SimulationBuilder};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Two nodes, each of which leads half of the partitions.
fn two_nodes(partitions: i32) -> SimulationBuilder {
    Simulation::builder().nodes(2).topic("t", partitions)
}

/// A small buffer, that much traffic fills at once.
async fn writer(sim: &Simulation) -> Writer {
    let client = sim.client().connect().await.unwrap();
    let writer = client.writer_to_any().batch_bytes(1024).buffer_bytes(32 << 10).balancer(Manual);
    writer.delivery_timeout(secs(30)).build().unwrap()
}

/// Sends to a partition as fast as the writer takes it; counts what is acknowledged.
fn flood(sim: &Simulation, writer: &Writer, topic: &'static str, partition: i32) -> Arc<AtomicU64> {
    let acked = Arc::new(AtomicU64::new(0));
    let (count, writer, own) = (acked.clone(), writer.clone(), sim.clone());
    sim.spawn(async move {
        loop {
            let message = to(partition, vec![b'x'; 400]).topic(topic);
            let Ok(delivery) = writer.send(message).await else { continue };
            let count = count.clone();
            own.spawn(async move { count.fetch_add(u64::from(delivery.await.is_ok()), Ordering::Relaxed) });
        }
    });
    acked
}

/// What is acknowledged of partition 0 in a while, some time after `trouble`, under traffic to all partitions.
fn rate(partitions: i32, trouble: impl FnOnce(&Simulation) + Send + 'static) -> u64 {
    two_nodes(partitions).topic("u", 1).run(move |sim| async move {
        let writer = writer(&sim).await;
        let healthy = flood(&sim, &writer, "t", 0);
        let _others: Vec<_> = (1..partitions).map(|p| flood(&sim, &writer, "t", p)).collect();
        let _other = flood(&sim, &writer, "u", 0);
        sim.sleep(ms(200)).await;
        trouble(&sim);
        sim.sleep(ms(500)).await;
        let before = healthy.load(Ordering::Relaxed);
        sim.sleep(ms(300)).await;
        healthy.load(Ordering::Relaxed) - before
    })
}

/// One of two brokers is a black hole: the other's partition keeps its rate.
#[test]
fn scenario_p19_a_dead_broker_does_not_starve_the_others() {
    let undisturbed = rate(2, |_| {});
    let disturbed = rate(2, |sim| {
        let other = 1 - sim.leader("t", 0).unwrap();
        sim.move_leader("t", 1, other);
        sim.move_leader("u", 0, other);
        sim.cut_off(other, secs(600));
    });
    assert!(disturbed * 10 >= undisturbed * 8, "{disturbed} acknowledged for {undisturbed}");
}

/// One topic takes nothing: the others keep their rate.
#[test]
fn promise_22_a_topic_that_takes_nothing_does_not_starve_the_others() {
    let undisturbed = rate(2, |_| {});
    let disturbed = rate(2, |sim| {
        sim.with(|cluster, _| cluster.stall_replication("u", 0)).unwrap();
        let other = 1 - sim.leader("t", 0).unwrap();
        sim.move_leader("u", 0, other);
    });
    assert!(disturbed * 10 >= undisturbed * 8, "{disturbed} acknowledged for {undisturbed}");
}

/// `try_send` never waits: whatever it cannot take at once comes back with the reason.
#[test]
fn promise_22_try_send_never_waits() {
    two_nodes(2).run(|sim| async move {
        let writer = writer(&sim).await;
        let begun = sim.elapsed();
        let unknown = writer.try_send(to(0, "x").topic("t")).unwrap_err();
        assert_eq!((unknown.reason, *unknown.message), (TrySendReason::TopicPending, to(0, "x").topic("t")));
        let nowhere = || Message::new("y").topic("no-such-topic");
        assert_eq!(writer.try_send(nowhere()).unwrap_err().reason, TrySendReason::TopicPending);
        assert_eq!(sim.elapsed(), begun);
        sim.sleep(secs(1)).await;
        // With every broker a black hole it takes what there is room for, and gives the rest back.
        (0..2).for_each(|node| sim.cut_off(node, secs(600)));
        let begun = sim.elapsed();
        let mut taken = Vec::new();
        let full = loop {
            match writer.try_send(to(0, vec![b'x'; 400]).topic("t")) {
                Ok(delivery) => taken.push(delivery),
                Err(full) => break full,
            }
            assert!(taken.len() < 1000, "no end of room");
        };
        assert_eq!((full.reason, full.message.value.unwrap().len()), (TrySendReason::Full, 400));
        assert_eq!(sim.elapsed(), begun);
        // The topic that does not exist is told at last, by an error.
        sim.sleep(secs(20)).await;
        match writer.try_send(nowhere()).unwrap_err().reason {
            TrySendReason::Failed(error) => {
                assert_eq!(error.error.code(), Some(ErrorCode::UnknownTopicOrPartition));
            }
            TrySendReason::TopicPending => {}
            other => panic!("{other:?}"),
        }
        sim.sleep(ms(1)).await;
        assert!(taken.iter().all(|delivery| delivery.try_get().is_none()));
    });
}
