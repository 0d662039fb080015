//! Behind the names of the brokers there is another cluster for a while.

use crate::support::{logged, ms, one_by_one, secs, three_nodes, to};
use kafka_core::{ConnectionError, ErrorKind, Event, Start, Str};
use kafka_proto::{ApiKey, ResponseKind};
use kafka_testkit::sim::Simulation;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// While the flag is set, nodes from this one on tell that they belong to another cluster.
fn be_another(sim: &Simulation, from: i32) -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    for node in from..3 {
        let flag = flag.clone();
        sim.alter_at(node, ApiKey::Metadata, u32::MAX, move |response| {
            let ResponseKind::Metadata(metadata) = response else { panic!("{response:?}") };
            if flag.load(Ordering::Relaxed) {
                metadata.cluster_id = Some(Str::from("another"));
            }
        });
    }
    flag
}

fn is_other_cluster(error: &kafka_core::Error) -> bool {
    match error.kind() {
        ErrorKind::Connection(error) => matches!(error, ConnectionError::OtherCluster { .. }),
        ErrorKind::TimedOut { last: Some(last), .. } => is_other_cluster(last),
        _ => false,
    }
}

/// Nothing is written to it, nothing of it is read, and all who ask are told why; then everything goes on.
fn another_cluster(are_cut: bool) {
    three_nodes(3).kafka_version("2.7").run(move |sim| async move {
        let client = sim.client().metadata_max_age(secs(1)).connect().await.unwrap();
        let writer = one_by_one(&client).delivery_timeout(secs(60)).build().unwrap();
        let mut reader = client.reader("t").start(Start::First).build().unwrap();
        let flag = be_another(&sim, 0);
        writer.write_all((0..3).map(|p| to(p, "before"))).await.unwrap();
        for _ in 0..3 {
            reader.fetch().await.unwrap().unwrap();
        }
        flag.store(true, Ordering::Relaxed);
        if are_cut {
            (0..3).for_each(|node| sim.reset(node));
        }
        // Nothing is noticed before somebody asks.
        sim.sleep(if are_cut { ms(1) } else { ms(1500) }).await;
        let asked = || [ApiKey::Produce, ApiKey::Fetch, ApiKey::ListOffsets].map(|api| sim.requests(api));
        let before = asked();
        let mut held = Vec::new();
        for partition in 0..3 {
            held.push(writer.send(to(partition, "meanwhile")).await.unwrap());
        }
        let told = sim.within(secs(30), async {
            loop {
                match reader.next_event().await {
                    Ok(Some(Event::Notice(error))) | Err(error) if is_other_cluster(&error) => break,
                    Ok(Some(_)) | Err(_) => {}
                    Ok(None) => panic!("the reader has ended"),
                }
            }
        });
        assert!(told.await.is_some(), "the reader says nothing");
        let call = client.describe_cluster().await.unwrap_err();
        assert!(is_other_cluster(&call), "{call}");
        assert_eq!(asked(), before, "data went to, or came from, another cluster");
        assert!((0..3).all(|p| logged(&sim, "t", p) == ["before"]));
        flag.store(false, Ordering::Relaxed);
        for delivery in held {
            delivery.await.unwrap();
        }
        for _ in 0..3 {
            let message = sim.within(secs(30), async {
                loop {
                    if let Ok(Some(message)) = reader.fetch().await {
                        break message;
                    }
                }
            });
            assert_eq!(message.await.unwrap().value.as_deref(), Some(&b"meanwhile"[..]));
        }
    });
}

#[test]
fn case_d3_another_cluster_behind_the_names_after_all_connections_broke() {
    another_cluster(true);
}

#[test]
fn case_d3_another_cluster_over_connections_that_live() {
    another_cluster(false);
}

/// One broker alone answers for another cluster: what the others lead goes on.
#[test]
fn case_d3_one_foreign_broker_costs_its_own_partitions_only() {
    three_nodes(3).kafka_version("2.7").run(|sim| async move {
        let client = sim.client().metadata_max_age(secs(1)).connect().await.unwrap();
        let writer = one_by_one(&client).delivery_timeout(secs(20)).build().unwrap();
        let flag = be_another(&sim, 2);
        writer.write_all((0..3).map(|p| to(p, "before"))).await.unwrap();
        let of_foreign: Vec<i32> = (0..3).filter(|p| sim.leader("t", *p) == Some(2)).collect();
        flag.store(true, Ordering::Relaxed);
        sim.reset(2);
        sim.sleep(secs(5)).await;
        for partition in 0..3 {
            let result = writer.send(to(partition, "x")).await.unwrap().await;
            assert_eq!(result.is_err(), of_foreign.contains(&partition), "{partition}: {result:?}");
            if let Err(failed) = result {
                assert!(is_other_cluster(&failed.error), "{failed}");
            }
        }
    });
}

/// Who failed to reach its broker pays one question; whose connection was never broken pays none.
#[test]
fn case_d3_a_first_connection_asks_for_no_proof() {
    three_nodes(1).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        let writer = one_by_one(&client).build().unwrap();
        writer.write_all([to(0, "warm")]).await.unwrap();
        let asked = sim.requests(ApiKey::Metadata);
        let leader = sim.leader("t", 0).unwrap();
        for value in ["a", "b"] {
            writer.write_all([to(0, value)]).await.unwrap();
        }
        assert_eq!(sim.requests(ApiKey::Metadata), asked);
        sim.reset(leader);
        writer.write_all([to(0, "c")]).await.unwrap();
        assert_eq!(logged(&sim, "t", 0), ["warm", "a", "b", "c"]);
    });
}
