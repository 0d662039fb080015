//! Ends that race with everything else, ends without a beginning, calls in an order nobody meant.

use crate::support::{logged, ms, numbers, secs, three_nodes, to};
use kafka_core::{
    Balancer, Client, Error, ErrorCode, ErrorKind, Event, Manual, Message, Partitions, Reader, Reset, Result,
    Writer,
};
use kafka_proto::ApiKey;
use kafka_testkit::sim::{SimClient, Simulation};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Each of these goes on until it is told that its client is closed.
async fn sends(writer: Writer) {
    for number in 0.. {
        match writer.send(to(number % 2, number.to_string())).await {
            Ok(delivery) if number % 3 == 0 => drop(delivery.await),
            Ok(delivery) => drop(delivery),
            Err(failed) => return assert_eq!(*failed.error.kind(), ErrorKind::Closed),
        }
        if number % 10 == 0 {
            writer.flush().await;
        }
    }
}

async fn reads(mut reader: Reader) {
    while let Some(event) = reader.next_event().await.transpose() {
        // A reader is told of the end by the end of its stream, a call that is under way by an error.
        if let Ok(Event::Record(message)) = event
            && let Err(error) = reader.commit([&message]).await
        {
            assert!(matches!(error.kind(), ErrorKind::Closed | ErrorKind::StaleCommit), "{error}");
        }
    }
}

async fn follows(mut reader: Reader) {
    while reader.fetch().await.is_ok_and(|message| message.is_some()) {}
}

async fn asks(client: SimClient) {
    for number in 0.. {
        let asked = match number % 3 {
            0 => client.describe_cluster().await.map(drop),
            1 => client.topic("t").await.map(drop),
            _ => client.list_offset("t", 0, kafka_core::Start::Last).await.map(drop),
        };
        if let Err(error) = asked {
            return assert_eq!(*error.kind(), ErrorKind::Closed);
        }
    }
}

/// A client is closed under sends, reads, a rebalance, calls and connections being made, at a moment that differs from seed
/// to seed: all of it ends at once, and nothing is left. Another client of the same cluster does not notice.
#[test]
fn scenario_l2_close_races_with_everything() {
    for seed in 0..60 {
        three_nodes(2).seed(seed).latency(Duration::from_micros(100), ms(4)).pieces(300).run(
            move |sim| async move {
                let other = sim.client().connect().await.unwrap();
                let bystander = other.writer("t").balancer(Manual).build().unwrap();
                bystander.write_all([to(0, "x")]).await.unwrap();
                let client = sim.client().metadata_max_age(ms(20)).build().unwrap();
                let writer = || client.writer("t").balancer(Manual).batch_bytes(1024).buffer_bytes(4096);
                let member =
                    |client: &SimClient| client.reader("t").group("g").reset(Reset::First).build().unwrap();
                let mut tasks = vec![sim.spawn(asks(client.clone()))];
                for _ in 0..2 {
                    tasks.push(sim.spawn(sends(writer().build().unwrap())));
                    tasks.push(sim.spawn(reads(member(&client))));
                }
                tasks.push(sim.spawn(follows(client.reader("t").build().unwrap())));
                sim.sleep(Duration::from_micros(seed * 1700)).await;
                let rebalance = member(&other);
                sim.sleep(Duration::from_micros(seed * 130)).await;

                let begun = sim.elapsed();
                let limit = if seed % 2 == 0 { Duration::ZERO } else { secs(2) };
                client.close(limit).await;
                assert!(sim.elapsed() - begun <= limit);
                for task in tasks {
                    sim.within(ms(1), task).await.expect("it goes on after the end");
                }
                drop((client, rebalance));
                bystander.write_all([to(1, "y")]).await.unwrap();
                bystander.close(secs(1)).await;
                drop((bystander, other));
                sim.sleep(secs(1)).await;
                assert_eq!(sim.tasks(), 1);
            },
        );
    }
}

/// Closing a reader or a writer leaves its client's other parts alone, and connections they share.
#[test]
fn scenario_l2_closing_a_part_is_not_closing_the_whole() {
    three_nodes(2).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        let writers = [0, 1].map(|_| client.writer("t").balancer(Manual).build().unwrap());
        let mut readers = [0, 1].map(|_| client.reader("t").reset(Reset::First).build().unwrap());
        for writer in &writers {
            writer.write_all([to(0, "x"), to(1, "x")]).await.unwrap();
        }
        let open: usize = (0..3).map(|node| sim.connections(node).len()).sum();
        writers[0].close(secs(1)).await;
        readers[0].close(secs(1)).await.into_result().unwrap();
        assert!((0..3).map(|node| sim.connections(node).len()).sum::<usize>() <= open);
        writers[1].write_all([to(0, "y")]).await.unwrap();
        assert_eq!(client.stats().connection_failures, 0);
        assert!(sim.within(secs(2), readers[1].next_event()).await.is_some());
    });
}

/// Twice, before anything was connected, and all at once.
#[test]
fn scenario_l3_close_twice_and_before_connect() {
    three_nodes(2).run(|sim| async move {
        let client = sim.client().build().unwrap();
        let (writer, mut reader) =
            (client.writer("t").build().unwrap(), client.reader("t").group("g").build().unwrap());
        for _ in 0..2 {
            assert!(writer.close(secs(5)).await.is_clean());
            reader.close(secs(5)).await.into_result().unwrap();
        }
        for _ in 0..2 {
            client.close(secs(5)).await;
        }
        assert!(writer.close(secs(5)).await.is_clean());
        assert!(reader.next_event().await.unwrap().is_none());
        assert!(sim.elapsed() <= secs(10), "{:?}", sim.elapsed());

        let client = sim.client().build().unwrap();
        let begun = sim.elapsed();
        client.close(Duration::ZERO).await;
        assert_eq!(sim.elapsed(), begun);
        assert_eq!(*client.topic("t").await.unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(*client.describe_cluster().await.unwrap_err().kind(), ErrorKind::Closed);
        // A closed client makes no handles.
        assert_eq!(*client.writer("t").build().unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(*client.reader("t").build().unwrap_err().kind(), ErrorKind::Closed);
        drop(client);
        // What the assignors were asked may still be on its way.
        sim.sleep(ms(30)).await;
        assert_eq!(sim.tasks(), 1);
    });
}

/// A reader whose coordinator cannot be found leaves a group it never joined.
#[test]
fn scenario_l3_leaving_a_group_without_a_coordinator() {
    three_nodes(1).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        sim.fail_next(ApiKey::FindCoordinator, ErrorCode::CoordinatorNotAvailable, u32::MAX);
        let mut reader = client.reader("t").group("g").build().unwrap();
        sim.sleep(secs(3)).await;
        let begun = sim.elapsed();
        sim.within(secs(6), reader.close(secs(5))).await.expect("it hangs").into_result().unwrap();
        assert!(sim.elapsed() - begun <= secs(5));
        drop((client, reader));
        sim.sleep(secs(1)).await;
        assert_eq!(sim.tasks(), 1);
    });
}

/// The handles outlive the runtime that drove them: whatever is asked of them ends, and dropping them does no harm.
#[test]
fn scenario_l3_handles_outlive_their_runtime() {
    let (client, writer, mut reader, delivery) = three_nodes(1).run(|sim| async move {
        let client: Client = sim.client().connect().await.unwrap();
        let writer = client.writer("t").build().unwrap();
        writer.write_all([to(0, "x")]).await.unwrap();
        let reader = client.reader("t").group("g").reset(Reset::First).build().unwrap();
        sim.sleep(secs(1)).await;
        let delivery = writer.send(to(0, "y")).await.unwrap();
        (client, writer, reader, delivery)
    });
    let now = |what: &mut dyn FnMut(&mut std::task::Context<'_>) -> bool| {
        what(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    };
    assert!(delivery.try_get().is_some_and(|outcome| outcome.is_err()));
    // What it had is told, and then the end.
    let mut turns = 0;
    while !now(&mut |cx| matches!(reader.poll_event(cx), std::task::Poll::Ready(Ok(None)))) {
        turns += 1;
        assert!(turns < 5, "there is no end");
    }
    let mut topic = Box::pin(client.topic("t"));
    assert!(now(&mut |cx| matches!(topic.as_mut().poll(cx), std::task::Poll::Ready(Err(_)))));
    drop(topic);
    let mut close = Box::pin(writer.close(secs(5)));
    assert!(now(&mut |cx| close.as_mut().poll(cx).is_ready()));
    drop(close);
    drop((client, writer, reader, delivery));
}

/// A balancer that calls the writer which asks it.
#[derive(Debug, Default)]
struct CallsBack(Mutex<Option<Writer>>);

impl Balancer for CallsBack {
    fn balance(&self, message: &Message, _: &Partitions<'_>) -> Option<i32> {
        let writer = self.0.lock().unwrap().take();
        if let Some(writer) = writer {
            drop(writer.try_send(Message::new("from within")));
            assert!(writer.buffered_bytes() < 1000);
            *self.0.lock().unwrap() = Some(writer);
        }
        Some(i32::from(message.key.is_some()))
    }
}

/// User code that breaks the contract gets a typed error, or what it asked for; never a deadlock.
#[test]
fn scenario_l5_a_balancer_that_writes() {
    three_nodes(2).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        let balancer = Arc::new(CallsBack::default());
        #[derive(Debug)]
        struct Shared(Arc<CallsBack>);
        impl Balancer for Shared {
            fn balance(&self, message: &Message, partitions: &Partitions<'_>) -> Option<i32> {
                self.0.balance(message, partitions)
            }
        }
        let writer = client.writer("t").balancer(Shared(balancer.clone())).build().unwrap();
        *balancer.0.lock().unwrap() = Some(writer.clone());
        let sent = writer.write_all(numbers(0..5).into_iter().map(Message::new));
        sim.within(secs(5), sent).await.expect("a deadlock").unwrap();
        sim.within(secs(5), writer.flush()).await.expect("a deadlock");
        assert!(logged(&sim, "t", 0).contains(&"from within".to_owned()));
        // It holds the writer that holds it.
        balancer.0.lock().unwrap().take();
    });
}

fn is_stale(result: Result<()>) {
    let error: Error = result.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::StaleCommit, "{error}");
}

/// Commits inside a revocation count, those after it are refused; a commit and the next call may go on together.
#[test]
fn scenario_l5_commits_in_and_after_a_revocation() {
    three_nodes(2).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        let writer = client.writer("t").balancer(Manual).build().unwrap();
        writer.write_all([to(0, "x"), to(0, "y"), to(1, "x"), to(1, "y")]).await.unwrap();
        let member = || client.reader("t").group("g").reset(Reset::First).build().unwrap();
        let mut reader = member();
        let first = reader.fetch().await.unwrap().unwrap();
        let second = member();
        loop {
            if let Some(Event::Revoking { .. }) = reader.next_event().await.unwrap() {
                break;
            }
        }
        reader.commit([&first]).await.unwrap();
        let committed = sim.with(|cluster, _| cluster.committed("g", "t", first.partition));
        assert_eq!(committed, Some(1));
        while !matches!(reader.next_event().await.unwrap(), Some(Event::Assigned { .. })) {}
        is_stale(reader.commit([&first]).await);
        is_stale(reader.mark([&first]));
        is_stale(second.commit([&first]).await);
        drop(second);
        sim.within(secs(10), async { while reader.fetch().await.is_err() {} }).await.expect("a deadlock");
    });
}

/// What was marked before an assignment was lost is not committed under the next, whatever call passed the loss over.
#[test]
fn scenario_l5_marks_of_an_assignment_that_was_lost() {
    for batches in [false, true] {
        three_nodes(1).run(move |sim| async move {
            let client = sim.client().connect().await.unwrap();
            let writer = client.writer("t").build().unwrap();
            writer.write_all([to(0, "x"), to(0, "y")]).await.unwrap();
            let reader = client.reader("t").group("g").reset(Reset::First).auto_commit_interval(secs(60));
            let mut reader = reader.build().unwrap();
            let first = reader.fetch().await.unwrap().unwrap();
            reader.mark([&first]).unwrap();
            sim.fail_next(ApiKey::Heartbeat, ErrorCode::UnknownMemberId, 1);
            sim.sleep(secs(4)).await;
            if batches {
                reader.next_batch().await.unwrap().unwrap();
            } else {
                assert_eq!(reader.fetch().await.unwrap().unwrap().offset, 0);
            }
            for _ in 0..3 {
                let _ = sim.within(secs(50), reader.next_event()).await;
            }
            assert_eq!(sim.with(|cluster, _| cluster.committed("g", "t", 0)), None);
        });
    }
}

/// The numbers of a writer are there for as long as a handle of it is.
#[test]
fn case_u5_statistics_outlive_the_close() {
    three_nodes(2).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        let writer = client.writer("t").balancer(Manual).build().unwrap();
        let clone = writer.clone();
        writer.write_all((0..10).map(|n| to(n % 2, n.to_string()))).await.unwrap();
        let before = writer.stats();
        assert_eq!((before.records_acked, before.records_failed), (10, 0));
        assert!(writer.close(secs(1)).await.is_clean());
        assert_eq!([writer.stats(), clone.stats()], [before.clone(), before.clone()]);
        // Closing again changes nothing, nor does the end of the client.
        assert!(clone.close(secs(1)).await.is_clean());
        client.close(secs(1)).await;
        drop(client);
        assert_eq!(clone.stats(), before);
    });
}

#[test]
fn case_u5_what_the_close_gave_up_is_counted() {
    three_nodes(2).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        let writer = client.writer("t").balancer(Manual).build().unwrap();
        writer.write_all([to(0, "x")]).await.unwrap();
        (0..3).for_each(|node| sim.kill(node));
        for n in 0..5 {
            drop(writer.send(to(1, n.to_string())).await.unwrap());
        }
        let report = writer.close(secs(1)).await;
        assert_eq!(report.not_written + report.possibly_written, 5);
        assert_eq!((writer.stats().records_acked, writer.stats().records_failed), (1, 5));
    });
}

#[test]
fn case_u5_statistics_outlive_the_client() {
    three_nodes(2).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        let writer = client.writer("t").balancer(Manual).build().unwrap();
        writer.write_all((0..7).map(|n| to(n % 2, n.to_string()))).await.unwrap();
        drop(writer.send(to(0, "8")).await.unwrap());
        client.close(secs(1)).await;
        assert_eq!((writer.stats().records_acked, writer.stats().records_failed), (8, 0));
        assert!(writer.close(secs(1)).await.is_clean());
        assert_eq!(writer.stats().records_acked, 8);
    });
}

/// The next member of the group gets its partition at once, and goes on where the one before it was.
async fn goes_on_at(sim: &Simulation, offset: i64) {
    assert_eq!(sim.with(|cluster, _| cluster.committed("g", "t", 0)), Some(offset));
    let client = sim.client().connect().await.unwrap();
    let mut next = client.reader("t").group("g").reset(Reset::First).build().unwrap();
    let message = sim.within(secs(5), next.fetch()).await.expect("the group was not left");
    assert_eq!(message.unwrap().unwrap().offset, offset);
}

/// A member of `g` that has read 10 of 20 records of a partition and marked 7.
async fn busy_member(sim: &Simulation) -> (SimClient, Reader) {
    let client = sim.client().connect().await.unwrap();
    let writer = client.writer("t").balancer(Manual).build().unwrap();
    writer.write_all((0..20).map(|n| to(0, n.to_string()))).await.unwrap();
    let mut reader = client.reader("t").group("g").reset(Reset::First).build().unwrap();
    for number in 0..10 {
        let message = reader.fetch().await.unwrap().unwrap();
        if number == 6 {
            reader.mark([&message]).unwrap();
        }
    }
    (client, reader)
}

#[test]
fn case_u2_closing_the_client_commits_and_leaves() {
    three_nodes(1).run(|sim| async move {
        let (client, mut reader) = busy_member(&sim).await;
        let report = client.close(secs(10)).await;
        assert!(report.is_clean(), "{report:?}");
        assert!(sim.elapsed() < secs(6));
        assert!(reader.next_event().await.unwrap().is_none(), "its readers are closed");
        reader.close(secs(1)).await.into_result().unwrap();
        drop((client, reader));
        goes_on_at(&sim, 7).await;
    });
}

/// Whichever handle is dropped last.
#[test]
fn case_u2_dropping_everything_commits_and_leaves() {
    for reader_last in [false, true] {
        three_nodes(1).run(move |sim| async move {
            let (client, reader) = busy_member(&sim).await;
            if reader_last {
                drop(client);
                drop(reader);
            } else {
                drop(reader);
                drop(client);
            }
            sim.sleep(ms(100)).await;
            assert_eq!(sim.tasks(), 1, "nothing is left of the client");
            goes_on_at(&sim, 7).await;
        });
    }
}

/// A client that nobody holds any more does not try for ever to leave its groups.
#[test]
fn case_u2_what_cannot_be_left_is_given_up() {
    three_nodes(1).run(|sim| async move {
        let (client, reader) = busy_member(&sim).await;
        (0..3).for_each(|node| sim.kill(node));
        drop(reader);
        drop(client);
        sim.sleep(secs(6)).await;
        assert_eq!(sim.tasks(), 1);
    });
}

#[test]
fn case_u2_what_was_not_done_is_reported() {
    for limit in [Duration::ZERO, secs(2)] {
        three_nodes(1).run(move |sim| async move {
            let (client, _reader) = busy_member(&sim).await;
            let writer = client.writer("t").balancer(Manual).build().unwrap();
            writer.write_all([to(0, "x")]).await.unwrap();
            (0..3).for_each(|node| sim.kill(node));
            for n in 0..3 {
                drop(writer.send(to(0, n.to_string())).await.unwrap());
            }
            let begun = sim.elapsed();
            let report = client.close(limit).await;
            assert_eq!(sim.elapsed() - begun, limit);
            assert!(!report.is_clean());
            assert_eq!(report.not_written + report.possibly_written, 3);
            assert_eq!(report.groups.len(), 1, "{report:?}");
            assert_eq!(report.groups[0].context().group.as_deref(), Some("g"));
        });
    }
}

/// Tasks that read and write meanwhile end too, with nothing lost that was taken.
#[test]
fn case_u2_a_close_under_way_ends_what_others_wait_for() {
    three_nodes(1).run(|sim| async move {
        let (client, mut reader) = busy_member(&sim).await;
        let writer = client.writer("t").balancer(Manual).build().unwrap();
        let reads = sim.spawn(async move { while reader.next_event().await.unwrap().is_some() {} });
        let writes = sim.spawn(async move {
            let mut taken = 0;
            while writer.send(to(0, "x")).await.is_ok() {
                taken += 1;
            }
            taken
        });
        sim.sleep(ms(50)).await;
        let report = client.close(secs(10)).await;
        assert!(report.is_clean(), "{report:?}");
        sim.within(ms(1), reads).await.expect("the reader waits");
        let taken: usize = sim.within(ms(1), writes).await.expect("the writer goes on");
        assert_eq!(logged(&sim, "t", 0).len(), 20 + taken);
        drop(client);
        goes_on_at(&sim, 7).await;
    });
}
