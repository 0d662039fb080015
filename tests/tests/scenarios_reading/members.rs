//! Members that come, sleep, close at any time, or come back as who they were.

use crate::support::{
    committed, connected, events, fill, kinds, member, message, ms, number, numbers, secs, three_nodes,
};
use kafka_core::{ErrorKind, Event};
use kafka_proto::{ApiKey, RequestKind};
use kafka_testkit::sim::Simulation;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// A handler takes ten minutes for one message, and nothing is lost: heartbeats do not depend on it.
#[test]
fn promise_10_heartbeats_do_not_depend_on_the_application() {
    three_nodes(1).run(|sim| async move {
        let client = connected(&sim).await;
        fill(&client, 0, 0..10).await;
        let mut reader = member(&client).build().unwrap();
        let first = message(&mut reader).await;
        let beats = sim.requests(ApiKey::Heartbeat);
        sim.sleep(secs(600)).await;
        assert!(sim.requests(ApiKey::Heartbeat) - beats >= 600 / 4);
        reader.commit([&first]).await.unwrap();
        assert_eq!(committed(&sim, 0), Some(1));
        let rest = events(&sim, &mut reader, secs(1)).await;
        assert_eq!((kinds(&rest).len(), numbers(&rest)), (0, (1..10).collect()));
    });
}

/// A handler sleeps through a rebalance: its partitions are lost, which is told once, and the next call is a member's again.
#[test]
fn scenario_g12_promise_10_who_sleeps_through_a_rebalance_is_told_once_and_comes_back() {
    three_nodes(2).run(|sim| async move {
        let client = connected(&sim).await;
        fill(&client, 0, 0..10).await;
        fill(&client, 1, 0..10).await;
        let mut first = member(&client).build().unwrap();
        let in_hand = message(&mut first).await;
        let mut second = member(&client).build().unwrap();
        // The second gets everything once the first has had its time, and does not wait for its session to end as well.
        let begun = sim.elapsed();
        message(&mut second).await;
        assert!(sim.elapsed() - begun < secs(16), "{:?}", sim.elapsed() - begun);
        sim.spawn(async move { while second.fetch().await.is_ok() {} });
        sim.sleep(secs(300)).await;

        let seen = events(&sim, &mut first, secs(5)).await;
        assert_eq!(kinds(&seen), ["lost", "assigned"]);
        assert!(!numbers(&seen).is_empty(), "records flow again");
        let stale = first.commit([&in_hand]).await.unwrap_err();
        assert!(matches!(stale.kind(), ErrorKind::StaleCommit), "{stale}");
    });
}

/// A batch is in hand when its partition goes to another: nothing of it is returned once that one has it.
#[test]
fn scenario_c26_no_record_of_a_batch_in_hand_after_its_partition_is_gone() {
    three_nodes(1).run(|sim| async move {
        let client = connected(&sim).await;
        fill(&client, 0, 0..1000).await;
        let mut first = member(&client).build().unwrap();
        let mut batch = first.next_batch().await.unwrap().unwrap();
        let mut second = member(&client).build().unwrap();
        let is_assigned = |event| matches!(event, Some(Ok(Some(Event::Assigned { partitions: some, .. }))) if !some.is_empty());
        let (mut read, mut is_gone) = (0, false);
        while let Some(record) = batch.next() {
            assert_eq!(record.unwrap().offset(), read);
            read += 1;
            assert!(!is_gone, "record {read} after the partition was another's");
            is_gone = is_assigned(sim.within(ms(100), second.next_event()).await);
        }
        // The batch may end a moment before the other one hears of it.
        let is_gone = is_gone || is_assigned(sim.within(ms(100), second.next_event()).await);
        assert!(is_gone && (50..900).contains(&read), "{read} of 1000 records");
    });
}

/// Whenever a member closes, it has soon left, and nobody waits for its session.
#[test]
fn scenario_g11_close_completes_in_any_step_of_joining() {
    let times = (0..24).chain([500, 2990, 2995]).chain(3000..3024).map(ms);
    for time in times {
        let slow = three_nodes(1).configure(|c| c.group_initial_rebalance_delay = secs(3));
        slow.run(move |sim| async move {
            let client = connected(&sim).await;
            fill(&client, 0, 0..1).await;
            let mut reader = member(&client).build().unwrap();
            sim.sleep(time).await;
            let begun = sim.elapsed();
            reader.close(secs(10)).await.into_result().unwrap();
            assert!(sim.elapsed() - begun < secs(6), "at {time:?}: {:?}", sim.elapsed() - begun);
            let mut next = member(&client).build().unwrap();
            let begun = sim.elapsed();
            message(&mut next).await;
            assert!(sim.elapsed() - begun < secs(7), "at {time:?}: {:?}", sim.elapsed() - begun);
        });
    }
}

/// A static leader restarts: the group keeps its assignment, which the leader does not make anew.
#[test]
fn scenario_g21_a_static_leader_that_restarts_disturbs_nobody() {
    three_nodes(2).run(|sim| async move {
        let client = connected(&sim).await;
        let one = || member(&client).instance_id("one").build().unwrap();
        let mut first = one();
        assert!(matches!(first.next_event().await.unwrap().unwrap(), Event::Assigned { partitions: all, .. } if all.len() == 2));
        let mut second = member(&client).instance_id("two").build().unwrap();
        let task = sim.spawn(async move {
            while !matches!(first.next_event().await.unwrap().unwrap(), Event::Assigned { partitions: some, .. } if some.len() == 1) {}
            first
        });
        assert_eq!(kinds(&events(&sim, &mut second, secs(10)).await).last(), Some(&"assigned"));
        drop(task.await);
        sim.record(ApiKey::JoinGroup);
        sim.record(ApiKey::SyncGroup);
        sim.sleep(secs(1)).await;
        let mut first = one();
        fill(&client, 0, 0..10).await;
        fill(&client, 1, 10..20).await;
        let (ours, others) =
            (events(&sim, &mut first, secs(20)).await, events(&sim, &mut second, secs(20)).await);
        assert_eq!((kinds(&ours), kinds(&others)), (vec!["assigned"], vec![]));
        let all: BTreeSet<i64> = numbers(&ours).into_iter().chain(numbers(&others)).collect();
        assert_eq!((all.len(), numbers(&ours).len()), (20, 10));
        assert_eq!(sim.recorded(ApiKey::JoinGroup).len(), 1);
        let syncs = sim.recorded(ApiKey::SyncGroup);
        let RequestKind::SyncGroup(sync) = syncs[0].request() else { panic!() };
        assert!(sync.assignments.is_empty(), "{sync:?}");
    });
}

/// The coordinator serves long polls too, longer than the session: heartbeats do not stand behind them.
#[test]
fn scenario_g22_promise_20_heartbeats_do_not_stand_behind_long_polls() {
    Simulation::builder().topic("t", 1).run(|sim| async move {
        let client = connected(&sim).await;
        let mut reader = member(&client).max_wait(secs(60)).build().unwrap();
        let before = sim.elapsed();
        let seen = events(&sim, &mut reader, secs(300)).await;
        assert_eq!(kinds(&seen), ["assigned"]);
        let due = (sim.elapsed() - before).as_secs() / 3;
        assert!(sim.requests(ApiKey::Heartbeat) >= due - 5, "{due}");
        fill(&client, 0, 0..1).await;
        let begun = sim.elapsed();
        assert_eq!(number(&message(&mut reader).await), 0);
        assert!(sim.elapsed() - begun < ms(100));
    });
}

/// New partitions of a topic are found and read from their first record, in a group and without.
#[test]
fn promise_18_new_partitions_are_read() {
    three_nodes(2).run(|sim| async move {
        let client = sim.client().metadata_max_age(secs(30)).connect().await.unwrap();
        let seen: Arc<Mutex<Vec<(usize, i64)>>> = Arc::default();
        let readers = [member(&client).build().unwrap(), client.reader("t").build().unwrap()];
        for (who, mut reader) in readers.into_iter().enumerate() {
            let seen = seen.clone();
            sim.spawn(async move {
                loop {
                    let message = message(&mut reader).await;
                    seen.lock().unwrap().push((who, number(&message)));
                }
            });
        }
        fill(&client, 0, 0..10).await;
        sim.sleep(secs(5)).await;
        sim.with(|cluster, _| cluster.create_partitions("t", 4)).unwrap();
        // Written before the readers know of it.
        let other = connected(&sim).await;
        fill(&other, 3, 10..20).await;
        sim.sleep(secs(60)).await;
        for who in 0..2 {
            let mut numbers: Vec<i64> =
                seen.lock().unwrap().iter().filter(|(of, _)| *of == who).map(|(_, n)| *n).collect();
            numbers.dedup();
            assert_eq!(numbers.into_iter().collect::<BTreeSet<_>>(), (0..20).collect(), "reader {who}");
        }
    });
}
