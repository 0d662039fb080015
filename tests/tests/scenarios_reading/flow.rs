//! Records flow, whatever happened.

use crate::support::{
    connected, coordinator, events, fill, kinds, member, message, ms, number, numbers, secs, three_nodes,
};
use kafka_core::{ErrorCode, Event, Manual, Message, Reader};
use kafka_proto::ApiKey;
use kafka_testkit::broker::{ClusterConfig, Fault, FaultRule, Profile};
use kafka_testkit::sim::Simulation;
use std::sync::{Arc, Mutex};

type Trouble = (&'static str, fn(&Simulation));

/// What befalls brokers, connections and answers; all of it is over after a minute.
const TROUBLES: &[Trouble] = &[
    ("a node dies and comes back", |sim| {
        sim.kill(1);
        restart_later(sim, 1);
    }),
    ("the coordinator dies and comes back", |sim| {
        let node = coordinator(sim);
        sim.kill(node);
        restart_later(sim, node);
    }),
    ("all nodes die and come back", |sim| {
        (0..3).for_each(|node| sim.kill(node));
        (0..3).for_each(|node| restart_later(sim, node));
    }),
    ("all connections break", |sim| (0..3).for_each(|node| sim.reset(node))),
    ("all connections go silent", |sim| (0..3).for_each(|node| sim.half_open(node))),
    ("a node cannot be reached", |sim| sim.cut_off(2, secs(50))),
    ("no node can be reached", |sim| (0..3).for_each(|node| sim.cut_off(node, secs(50)))),
    ("all nodes refuse", |sim| (0..3).for_each(|node| sim.refuse(node, secs(50)))),
    ("leaders move", |sim| {
        (0..6).for_each(|p| sim.move_leader("t", p, (sim.leader("t", p).unwrap() + 1) % 3))
    }),
    ("fetches are swallowed", |sim| sim.fault(ApiKey::Fetch, 3, Fault::NoAnswer)),
    ("fetches are answered late", |sim| sim.fault(ApiKey::Fetch, 6, Fault::Delay(secs(20)))),
    ("fetches are throttled", |sim| sim.fault(ApiKey::Fetch, 6, Fault::Throttle(secs(10)))),
    ("heartbeats are swallowed", |sim| sim.fault(ApiKey::Heartbeat, 2, Fault::NoAnswer)),
    ("metadata is swallowed", |sim| {
        sim.fault(ApiKey::Metadata, 2, Fault::NoAnswer);
        (0..3).for_each(|node| sim.reset(node));
    }),
    ("the group rebalances", |sim| sim.fail_next(ApiKey::Heartbeat, ErrorCode::RebalanceInProgress, 1)),
    ("the member is not known", |sim| sim.fail_next(ApiKey::Heartbeat, ErrorCode::UnknownMemberId, 1)),
];

fn restart_later(sim: &Simulation, node: i32) {
    let later = sim.clone();
    drop(sim.spawn(async move {
        later.sleep(secs(40)).await;
        later.restart(node);
    }));
}

/// Reads for ever; the highest number of each partition.
fn follow(sim: &Simulation, mut reader: Reader) -> Arc<Mutex<[i64; 6]>> {
    let read = Arc::new(Mutex::new([-1; 6]));
    let seen = read.clone();
    drop(sim.spawn(async move {
        loop {
            match reader.next_event().await {
                Ok(Some(Event::Record(message))) => {
                    let partition = message.partition as usize;
                    let mut seen = seen.lock().unwrap();
                    seen[partition] = seen[partition].max(number(&message));
                }
                Ok(Some(_)) => {}
                Ok(None) => return,
                // What lasts is told, and passes.
                Err(error) => assert!(error.is_retriable(), "{error}"),
            }
        }
    }));
    read
}

/// No zombie: whatever happened, a minute after it is over new records come within a second, to members and others.
#[test]
fn promise_01_records_flow_again_after_any_trouble() {
    three_nodes(6).run(|sim| async move {
        let client = connected(&sim).await;
        let mut codes = vec![];
        for code in [
            ErrorCode::NotLeaderOrFollower,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::FencedLeaderEpoch,
            ErrorCode::UnknownLeaderEpoch,
            ErrorCode::OffsetNotAvailable,
            ErrorCode::KafkaStorageError,
            ErrorCode::ReplicaNotAvailable,
            ErrorCode::UnknownServerError,
            ErrorCode::FetchSessionIdNotFound,
            ErrorCode::InvalidFetchSessionEpoch,
            ErrorCode::UnknownTopicId,
            ErrorCode::InconsistentTopicId,
        ] {
            codes.push(code);
        }
        let all = [
            follow(&sim, client.reader("t").build().unwrap()),
            follow(&sim, member(&client).build().unwrap()),
        ];
        let writer = client.writer("t").balancer(Manual).build().unwrap();
        let mut n = 0;
        let mut flows = async |what: String| {
            let messages = (0..6).map(|partition| Message::new(n.to_string()).partition(partition));
            writer.write_all(messages).await.unwrap();
            sim.sleep(secs(1)).await;
            for (who, read) in all.iter().enumerate() {
                assert_eq!(*read.lock().unwrap(), [n; 6], "reader {who} after: {what}");
            }
            n += 1;
        };
        sim.sleep(secs(10)).await;
        flows("the beginning".to_owned()).await;
        for code in codes {
            sim.fail_next(ApiKey::Fetch, code, 6);
            sim.sleep(secs(60)).await;
            flows(format!("{code:?}")).await;
        }
        for (what, happen) in TROUBLES {
            happen(&sim);
            sim.sleep(secs(120)).await;
            flows((*what).to_owned()).await;
        }
    });
}

/// The application did not poll for hours, with its buffer full; then it reads on where it was.
#[test]
fn promise_01_a_reader_that_was_left_alone_for_hours_reads_on() {
    three_nodes(1).run(|sim| async move {
        let client = connected(&sim).await;
        let mut reader =
            member(&client).buffer_bytes(4096).partition_max_bytes(2048).max_bytes(4096).build().unwrap();
        fill(&client, 0, 0..1).await;
        assert_eq!(number(&message(&mut reader).await), 0);
        fill(&client, 0, 1..2000).await;
        for _ in 0..3 {
            sim.sleep(secs(3600)).await;
            (0..3).for_each(|node| sim.reset(node));
        }
        let begun = sim.elapsed();
        for n in 1..2000 {
            assert_eq!(number(&message(&mut reader).await), n);
        }
        assert!(sim.elapsed() - begun < secs(30), "{:?}", sim.elapsed() - begun);
    });
}

/// A topic that was compacted, and whose first records were deleted, is read to its end from any offset.
#[test]
fn promise_17_a_compacted_topic_is_read_to_its_end() {
    three_nodes(1).run(|sim| async move {
        let client = connected(&sim).await;
        let writer = client.writer("t").balancer(Manual).batch_messages(7).build().unwrap();
        let keyed = |n: i64| Message::new(n.to_string()).partition(0).key(format!("{}", n % 13 * (n % 3)));
        writer.write_all((0..500).map(keyed)).await.unwrap();
        sim.with(|cluster, _| cluster.compact("t", 0)).unwrap();
        let left: Vec<i64> = sim.log("t", 0).iter().map(|record| record.offset).collect();
        assert!(left.len() < 30, "{}", left.len());
        for start in (0..500).step_by(41).chain([499]) {
            let start_at = kafka_core::Start::at(start);
            let mut reader = client.reader("t").partition(0).start(start_at).build().unwrap();
            let read = numbers(&events(&sim, &mut reader, secs(2)).await);
            assert_eq!(read, left.iter().copied().filter(|o| *o >= start).collect::<Vec<_>>());
            // Holes at the end do not hold it back from what comes.
        }
        let mut reader = client.reader("t").build().unwrap();
        let _ = events(&sim, &mut reader, secs(2)).await;
        fill(&client, 0, 500..501).await;
        let begun = sim.elapsed();
        assert_eq!(number(&message(&mut reader).await), 500);
        assert!(sim.elapsed() - begun < ms(100));
    });
}

/// A fetch is never answered, or its connection goes silent: the group does not notice, and the records come.
#[test]
fn promise_20_a_fetch_that_hangs_leaves_the_group_alone() {
    for (what, fault) in [("swallowed", Fault::NoAnswer), ("late", Fault::Delay(secs(25)))] {
        Simulation::builder().topic("t", 1).run(move |sim| async move {
            let client = connected(&sim).await;
            let mut reader = member(&client).build().unwrap();
            fill(&client, 0, 0..1).await;
            assert_eq!(number(&message(&mut reader).await), 0);
            sim.with(|cluster, _| {
                cluster.inject(FaultRule {
                    api: Some(ApiKey::Fetch),
                    node: None,
                    times: 1,
                    fault: fault.clone(),
                });
            });
            sim.sleep(secs(1)).await;
            let beats = sim.requests(ApiKey::Heartbeat);
            let begun = sim.elapsed();
            fill(&client, 0, 1..2).await;
            let seen = events(&sim, &mut reader, secs(40)).await;
            assert_eq!((kinds(&seen), numbers(&seen)), (vec![], vec![1]), "{what}");
            let due = (sim.elapsed() - begun).as_secs() / 3;
            assert!(sim.requests(ApiKey::Heartbeat) - beats >= due - 2, "{what}");
        });
    }
}

/// The application keeps every message, or one of each fetch; what is kept takes up the buffer on several brokers.
#[test]
fn case_u1_kept_messages_do_not_stop_the_reader() {
    for (partitions, buffer, size, kept_of) in
        [(2, 2 << 20, 10_000, 1), (3, 1 << 20, 3_000, 50), (6, 256 << 10, 10_000, 7)]
    {
        three_nodes(partitions).run(move |sim| async move {
            let client = connected(&sim).await;
            let writer = client.writer("t").balancer(Manual).batch_messages(1).build().unwrap();
            let big = |n: usize| Message::new(vec![b'v'; size]).partition(n as i32 % partitions);
            writer.write_all((0..800).map(big)).await.unwrap();
            let share = (buffer / 4).min(1 << 20);
            let reader = client.reader("t").buffer_bytes(buffer).max_bytes(share).partition_max_bytes(share);
            let mut reader = reader.build().unwrap();
            let begun = sim.elapsed();
            let mut kept = Vec::new();
            for n in 0..800 {
                let message = sim.within(secs(1), message(&mut reader)).await;
                let message = message.unwrap_or_else(|| panic!("nothing after {n} messages"));
                if n % kept_of == 0 {
                    kept.push(message);
                }
            }
            assert!(sim.elapsed() - begun < secs(20), "{:?}", sim.elapsed() - begun);
            // And what comes later comes at once.
            writer.write_all([big(0)]).await.unwrap();
            assert!(sim.within(ms(100), message(&mut reader)).await.is_some());
        });
    }
}

/// Brokers that answer a waiting fetch at its end only (KoP): waits may grow while nothing comes, what they cost may not.
#[test]
fn case_c5_a_record_after_a_rest_takes_no_longer_than_the_wait() {
    let cluster = three_nodes(1).configure(|config| *config = ClusterConfig::profile(Profile::Kop));
    cluster.run(|sim| async move {
        let client = connected(&sim).await;
        let wait = ms(300);
        let mut reader = client.reader("t").max_wait(wait).build().unwrap();
        // Fetches find records only at their end, more than once.
        for n in 0..3 {
            fill(&client, 0, n..n + 1).await;
            message(&mut reader).await;
        }
        for (n, rest) in (3..).zip([1, 3, 30, 60, 300]) {
            assert!(sim.within(secs(rest), reader.fetch()).await.is_none());
            let begun = sim.elapsed();
            fill(&client, 0, n..n + 1).await;
            message(&mut reader).await;
            let took = sim.elapsed() - begun;
            assert!(took <= wait + ms(20), "{took:?} after {rest} s");
        }
    });
}
