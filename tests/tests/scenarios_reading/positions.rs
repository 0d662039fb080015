//! Where reading begins and goes on.

use crate::support::{connected, fill, message, messages, ms, number, secs, three_nodes};
use kafka_core::{Manual, Message, Start, TopicPartition};
use kafka_proto::ApiKey;

/// The answer is there at once and the client comes late: it reads from the exact offset it was told.
#[test]
fn scenario_c20_a_fast_broker_and_a_slow_client() {
    for late in [0, 1, 10_000] {
        three_nodes(1).latency(ms(0), ms(0)).run(move |sim| async move {
            let client = connected(&sim).await;
            fill(&client, 0, 0..10).await;
            let start = Start::at(5);
            let mut reader = client.reader("t").partition(0).start(start).build().unwrap();
            sim.sleep(ms(late)).await;
            let read = messages(&mut reader, 5).await;
            assert_eq!(read.iter().map(number).collect::<Vec<_>>(), [5, 6, 7, 8, 9]);
        });
    }
}

/// Nobody polls, all of the budget is used, and the leaders move meanwhile: all is read once somebody does.
#[test]
fn scenario_c21_leaders_move_while_nobody_polls() {
    three_nodes(6).run(|sim| async move {
        let client = connected(&sim).await;
        let writer = client.writer("t").balancer(Manual).batch_messages(1).build().unwrap();
        let big = |partition, n: i32| Message::new(format!("{n:08192}")).partition(partition);
        let all = (0..20).flat_map(|n| (0..6).map(move |partition| big(partition, n)));
        writer.write_all(all).await.unwrap();
        let reader =
            client.reader("t").buffer_bytes(64 << 10).partition_max_bytes(16 << 10).max_bytes(32 << 10);
        let mut reader = reader.build().unwrap();
        for round in 0..5 {
            sim.sleep(secs(60)).await;
            (0..6).for_each(|partition| sim.move_leader("t", partition, (partition + round) % 3));
        }
        let mut next = [0; 6];
        for read in messages(&mut reader, 120).await {
            let partition = read.partition as usize;
            assert_eq!(number(&read), next[partition], "partition {partition}");
            next[partition] += 1;
        }
        assert_eq!(next, [20; 6]);
        // And it ends while there is nothing left to be fetched.
        reader.close(secs(1)).await.into_result().unwrap();
    });
}

/// A pause in the middle of what was fetched: nothing comes meanwhile, nothing is skipped, nothing comes twice.
#[test]
fn scenario_c6_a_pause_in_the_middle_of_fetched_records() {
    three_nodes(2).run(|sim| async move {
        let client = connected(&sim).await;
        fill(&client, 0, 0..100).await;
        fill(&client, 1, 0..100).await;
        let mut reader = client.reader("t").build().unwrap();
        let mut next = [0, 0];
        for turn in 0..200 {
            let read = message(&mut reader).await;
            let partition = read.partition;
            let due = &mut next[partition as usize];
            assert_eq!(number(&read), *due, "partition {partition}");
            *due += 1;
            let of = |p| TopicPartition::new("t", p);
            if turn % 7 == 3 && *due < 100 {
                reader.pause(&of(partition)).unwrap();
                if let Some(Ok(other)) = sim.within(ms(50), reader.fetch()).await {
                    let other = other.unwrap();
                    assert_ne!(other.partition, partition, "it is paused");
                    assert_eq!(number(&other), next[1 - partition as usize]);
                    next[1 - partition as usize] += 1;
                }
                reader.resume(&of(partition)).unwrap();
            }
            if next == [100, 100] {
                return;
            }
        }
        panic!("{next:?}");
    });
}

/// The leader moves: the first records of the new one come after round trips only.
#[test]
fn promise_16_a_moved_leader_costs_round_trips_only() {
    for release in ["2.4", "4.4"] {
        three_nodes(1).kafka_version(release).run(move |sim| async move {
            let client = connected(&sim).await;
            fill(&client, 0, 0..1).await;
            let mut reader = client.reader("t").build().unwrap();
            assert_eq!(number(&message(&mut reader).await), 0);
            for n in 1..6 {
                // Connections to each node are there by then.
                sim.move_leader("t", 0, (sim.leader("t", 0).unwrap() + 1) % 3);
                sim.sleep(secs(2)).await;
                let begun = sim.elapsed();
                fill(&client, 0, n..n + 1).await;
                assert_eq!(number(&message(&mut reader).await), n);
                let took = sim.elapsed() - begun;
                assert!(took < ms(60), "{release}: {took:?}");
            }
        });
    }
}

/// The leader sends the reader to a replica in its rack; every five minutes it is asked again. Nothing comes twice on the way
/// there and back, nor when the replica dies.
#[test]
fn scenario_c1_reading_from_a_near_replica() {
    three_nodes(1).configure(|config| config.rack_aware_replicas = true).run(|sim| async move {
        (0..3).for_each(|node| sim.with(|c, _| c.set_rack(node, &format!("r{node}"))).unwrap());
        let client = connected(&sim).await;
        let leader = sim.leader("t", 0).unwrap();
        let near = (leader + 1) % 3;
        let mut reader = client.reader("t").rack(format!("r{near}")).build().unwrap();
        sim.record(ApiKey::Fetch);
        let fetches = |node| sim.recorded(ApiKey::Fetch).iter().filter(|asked| asked.node == node).count();
        // Ten minutes, so that the leader is asked again twice.
        for n in 0..60 {
            fill(&client, 0, n..n + 1).await;
            assert_eq!(number(&message(&mut reader).await), n);
            let _ = sim.within(secs(10), reader.fetch()).await.is_none_or(|m| panic!("{m:?} after {n}"));
        }
        assert!(fetches(near) > 20 * fetches(leader), "{} and {}", fetches(near), fetches(leader));
        assert!((2..8).contains(&fetches(leader)), "{}", fetches(leader));
        sim.kill(near);
        for n in 60..80 {
            fill(&client, 0, n..n + 1).await;
            assert_eq!(number(&message(&mut reader).await), n);
        }
        assert!(fetches(leader) > 10);
    });
}
