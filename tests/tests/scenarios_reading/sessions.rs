//! Fetch sessions at the brokers.

use crate::support::{connected, fill, member, message, messages, ms, number, secs, three_nodes};
use kafka_proto::{ApiKey, RequestKind};
use kafka_testkit::sim::Simulation;

fn sessions(sim: &Simulation) -> usize {
    sim.with(|cluster, _| (0..3).map(|node| cluster.fetch_sessions(node)).sum())
}

/// A reader that ends, in whatever way, leaves no session behind that a broker has to keep.
#[test]
fn readers_that_end_leave_no_fetch_sessions() {
    for in_group in [false, true] {
        for close in [false, true] {
            three_nodes(6).run(move |sim| async move {
                let client = connected(&sim).await;
                fill(&client, 0, 0..1).await;
                fill(&client, 5, 1..2).await;
                let builder = if in_group { member(&client) } else { client.reader("t") };
                let mut reader = builder.build().unwrap();
                messages(&mut reader, 2).await;
                sim.sleep(secs(2)).await;
                assert_eq!(sessions(&sim), 3);
                if close {
                    reader.close(secs(5)).await.into_result().unwrap();
                }
                drop(reader);
                sim.sleep(secs(1)).await;
                assert_eq!(sessions(&sim), 0, "in group {in_group}, closed {close}");
            });
        }
    }
}

/// Partitions that move away take their session along, and those that are given up too.
#[test]
fn sessions_end_with_the_last_partition_at_their_broker() {
    three_nodes(3).run(|sim| async move {
        let client = connected(&sim).await;
        fill(&client, 0, 0..1).await;
        let mut reader = client.reader("t").build().unwrap();
        assert_eq!(number(&message(&mut reader).await), 0);
        sim.sleep(secs(2)).await;
        assert_eq!(sessions(&sim), 3);
        (0..3).for_each(|partition| sim.move_leader("t", partition, 1));
        fill(&client, 0, 1..2).await;
        assert_eq!(number(&message(&mut reader).await), 1);
        let _ = sim.within(secs(2), reader.fetch()).await;
        assert_eq!(sessions(&sim), 1);
    });
}

/// A moved partition is forgotten, a lost session begins anew, and neither is asked without end.
#[test]
fn scenario_c18_sessions_that_are_lost_or_refused_cost_no_spin() {
    for slots in [0, 1, 1000] {
        three_nodes(4).configure(move |c| c.fetch_session_slots = slots).run(move |sim| async move {
            let client = connected(&sim).await;
            sim.record(ApiKey::Fetch);
            let mut readers = [client.reader("t").build().unwrap(), client.reader("t").build().unwrap()];
            for n in 0..4 {
                fill(&client, n, i64::from(n)..i64::from(n) + 1).await;
                for reader in &mut readers {
                    assert_eq!(number(&message(reader).await), i64::from(n), "{slots} slots");
                }
                sim.move_leader("t", n, (sim.leader("t", n).unwrap() + 1) % 3);
            }
            let before = sim.requests(ApiKey::Fetch);
            for reader in &mut readers {
                assert!(sim.within(secs(60), reader.fetch()).await.is_none());
            }
            // A long poll of each reader at each node.
            let asked = sim.requests(ApiKey::Fetch) - before;
            assert!(asked <= 2 * 3 * 2 * 120 * 11 / 10, "{asked} fetches in two minutes, {slots} slots");
            let fetches = sim.recorded(ApiKey::Fetch);
            let forgets = fetches.iter().any(|asked| match asked.request() {
                RequestKind::Fetch(fetch) => !fetch.forgotten_topics_data.is_empty(),
                _ => false,
            });
            assert_eq!(forgets, slots > 0, "{slots} slots");
            sim.sleep(ms(1)).await;
        });
    }
}
