//! Clusters that answer nothing: every call ends at its deadline, and nothing grows.

use crate::support::{ms, secs, three_nodes, to};
use kafka_core::{Delivery, ErrorKind, Fate, Manual, NewTopic, Reset, Result, Start, Writer};
use kafka_proto::ApiKey;
use kafka_testkit::broker::Fault;
use kafka_testkit::sim::{SimClient, Simulation};
use std::fmt::Debug;
use std::time::Duration;

/// Longer than anything here waits.
const FOR_GOOD: Duration = Duration::from_secs(100_000);

fn black_hole(sim: &Simulation) {
    (0..3).for_each(|node| sim.cut_off(node, FOR_GOOD));
}

/// A client with a deadline of its own for each kind of wait.
async fn client(sim: &Simulation) -> SimClient {
    let client = sim.client().call_timeout(secs(7)).connect_timeout(secs(3)).request_timeout(secs(4));
    client.connect().await.unwrap()
}

/// The call ends with a timeout exactly then.
async fn ends<T: Debug>(
    sim: &Simulation,
    after: Duration,
    what: &str,
    call: impl Future<Output = Result<T>>,
) {
    let begun = sim.elapsed();
    let error = sim.within(after * 3, call).await.unwrap_or_else(|| panic!("{what} has no end")).unwrap_err();
    assert_eq!(sim.elapsed() - begun, after, "{what}: {error}");
    let ErrorKind::TimedOut { after: told, .. } = error.kind() else { panic!("{what}: {error:?}") };
    assert_eq!(*told, after, "{what}: {error}");
}

/// Whether the client has met the cluster or not, each API ends at its deadline, to the nanosecond.
#[test]
fn scenario_n13_every_call_ends_at_its_deadline() {
    for known in [false, true] {
        three_nodes(1).run(move |sim| async move {
            let client = client(&sim).await;
            let writer = client.writer("t").delivery_timeout(secs(9)).balancer(Manual).build().unwrap();
            if known {
                writer.write_all([to(0, "x")]).await.unwrap();
            }
            black_hole(&sim);
            let call = secs(7);
            ends(&sim, secs(3), "connect", sim.client().connect_timeout(secs(3)).connect()).await;
            ends(&sim, call, "describe_cluster", client.describe_cluster()).await;
            ends(&sim, call, "create_topics", client.create_topics([NewTopic::new("u", 1)])).await;
            ends(&sim, call, "create_topic", client.create_topic(NewTopic::new("u", 1))).await;
            ends(&sim, call, "delete_topics", client.delete_topics(["t"])).await;
            ends(&sim, call, "topic", client.topic("unknown")).await;
            ends(&sim, call, "list_offset", client.list_offset("t", 0, Start::Last)).await;
            let write = async {
                match writer.send(to(0, "x")).await {
                    Ok(delivery) => delivery.await.map_err(|failed| failed.error),
                    Err(failed) => Err(failed.error),
                }
            };
            ends(&sim, secs(9), "send", write).await;
            assert!(sim.within(ms(1), writer.flush()).await.is_some(), "nothing is left to flush");
        });
    }
}

/// Errors and waits come before the black hole: the deadline counts from the call.
#[test]
fn scenario_n13_the_deadline_counts_from_the_call() {
    three_nodes(1).run(|sim| async move {
        let client = client(&sim).await;
        client.topic("t").await.unwrap();
        // The first attempt is answered by an error after most of the time; the next finds nobody.
        sim.fail_next(ApiKey::ListOffsets, kafka_core::ErrorCode::NotLeaderOrFollower, u32::MAX);
        let own = sim.clone();
        sim.spawn(async move {
            own.sleep(ms(6500)).await;
            black_hole(&own);
        });
        ends(&sim, secs(7), "list_offset", client.list_offset("t", 0, Start::Last)).await;
    });
}

/// A partition that is not there is looked for no longer than the call has left.
#[test]
fn scenario_n13_a_look_for_a_partition_ends_with_its_call() {
    three_nodes(1).run(|sim| async move {
        let client = client(&sim).await;
        (0..3).for_each(|node| sim.cut_off(node, secs(5)));
        let begun = sim.elapsed();
        let error = client.list_offset("t", 99, Start::First).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Misuse(_)), "{error}");
        assert_eq!(sim.elapsed() - begun, secs(7));
    });
}

#[test]
fn scenario_n13_commits_end_at_their_deadline() {
    three_nodes(1).run(|sim| async move {
        let client = client(&sim).await;
        let writer = client.writer("t").build().unwrap();
        writer.write_all([to(0, "x")]).await.unwrap();
        let reader = client.reader("t").group("g").reset(Reset::First).commit_timeout(secs(5));
        let mut reader = reader.build().unwrap();
        let message = reader.fetch().await.unwrap().unwrap();
        black_hole(&sim);
        ends(&sim, secs(5), "commit", reader.commit([&message])).await;
        let begun = sim.elapsed();
        reader.close(secs(2)).await.into_result().unwrap_err();
        assert_eq!(sim.elapsed() - begun, secs(2));
    });
}

/// The deadline covers everything from the dial on: brokers that do not let anybody in, that take connections and say
/// nothing, that answer the setup and no more.
#[test]
fn promise_20_the_deadline_covers_dial_setup_queue_write_and_answer() {
    for stage in 0..4 {
        three_nodes(1).run(move |sim| async move {
            let client = client(&sim).await;
            let writer = client.writer("t").delivery_timeout(secs(9)).build().unwrap();
            writer.write_all([to(0, "x")]).await.unwrap();
            match stage {
                0 => (0..3).for_each(|node| sim.kill(node)),
                1 => {
                    (0..3).for_each(|node| sim.reset(node));
                    sim.fault(ApiKey::ApiVersions, u32::MAX, Fault::NoAnswer);
                }
                2 => {
                    for api in [ApiKey::Metadata, ApiKey::Produce] {
                        sim.fault(api, u32::MAX, Fault::NoAnswer);
                    }
                }
                _ => (0..3).for_each(|node| sim.half_open(node)),
            }
            if stage == 3 {
                black_hole(&sim);
            }
            let (begun, own) = (sim.elapsed(), sim.clone());
            let call = sim.spawn(async move { (client.describe_cluster().await, own.elapsed()) });
            let failed = writer.send(to(0, vec![b'x'; 500_000])).await.unwrap().await.unwrap_err();
            assert_eq!(sim.elapsed() - begun, secs(9), "stage {stage}: {failed}");
            let (result, at) = call.await;
            assert!(at - begun <= secs(7), "stage {stage}: {result:?} after {:?}", at - begun);
            assert!(result.unwrap_err().is_retriable(), "stage {stage}");
        });
    }
}

async fn stuck_writer(sim: &Simulation) -> (SimClient, Writer) {
    let client = sim.client().connect().await.unwrap();
    let writer = client.writer("t").balancer(Manual).build().unwrap();
    writer.write_all([to(0, "warm")]).await.unwrap();
    black_hole(sim);
    for number in 0..20 {
        drop(writer.send(to(0, number.to_string())).await.unwrap());
    }
    sim.sleep(secs(1)).await;
    (client, writer)
}

/// `close` ends at its deadline and reports what was not delivered; with none it ends at once.
#[test]
fn promise_08_close_ends_at_its_deadline() {
    for deadline in [Duration::ZERO, ms(1), secs(4)] {
        three_nodes(1).run(move |sim| async move {
            let (client, writer) = stuck_writer(&sim).await;
            let begun = sim.elapsed();
            let last = writer.send(to(0, "last")).await.unwrap();
            let report = writer.close(deadline).await;
            assert_eq!(sim.elapsed() - begun, deadline);
            assert_eq!(report.not_written + report.possibly_written, 21, "{report:?}");
            assert!(last.try_get().unwrap().is_err());
            assert_eq!(writer.buffered_bytes(), 0);

            let mut reader = client.reader("t").group("g").build().unwrap();
            let begun = sim.elapsed();
            let _ = reader.close(deadline).await;
            assert_eq!(sim.elapsed() - begun, deadline.min(sim.elapsed() - begun));
            let begun = sim.elapsed();
            client.close(deadline).await;
            assert!(sim.elapsed() - begun <= deadline);
        });
    }
}

/// The same with records in a writer that nobody has closed.
#[test]
fn promise_08_close_of_a_client_ends_at_its_deadline() {
    for deadline in [Duration::ZERO, secs(4)] {
        three_nodes(1).run(move |sim| async move {
            let (client, writer) = stuck_writer(&sim).await;
            let delivery = writer.send(to(0, "last")).await.unwrap();
            let begun = sim.elapsed();
            client.close(deadline).await;
            assert_eq!(sim.elapsed() - begun, deadline);
            assert_eq!(*delivery.try_get().unwrap().unwrap_err().error.kind(), ErrorKind::Closed);
            sim.sleep(secs(1)).await;
            assert_eq!(sim.tasks(), 1);
            assert!((0..3).all(|node| sim.connections(node).is_empty()));
        });
    }
}

/// Dropping takes no time, asks nobody, and leaves nothing: with all brokers a black hole as well.
#[test]
fn promise_08_drop_never_waits() {
    three_nodes(1).run(|sim| async move {
        let (client, writer) = stuck_writer(&sim).await;
        let reader = client.reader("t").group("g").build().unwrap();
        sim.sleep(secs(1)).await;
        let begun = sim.elapsed();
        drop(reader);
        drop(writer);
        drop(client);
        assert_eq!(sim.elapsed(), begun);
        sim.sleep(ms(1)).await;
        assert_eq!(sim.tasks(), 1, "tasks outlive their client");
        assert!((0..3).all(|node| sim.connections(node).is_empty()));
    });
}

/// All brokers are down for an hour while the application sends all it can: what the writer holds stays within its budget
/// at every moment, and each record gets its answer.
#[test]
fn promise_13_an_hour_without_brokers_at_full_rate() {
    const BUDGET: usize = 64 << 10;
    three_nodes(3).run(|sim| async move {
        let client = client(&sim).await;
        let writer = client.writer("t").batch_bytes(4096).buffer_bytes(BUDGET).balancer(Manual);
        let writer = writer.delivery_timeout(secs(20)).build().unwrap();
        writer.write_all((0..3).map(|partition| to(partition, "warm"))).await.unwrap();
        (0..3).for_each(|node| sim.kill(node));
        let mut tasks = Vec::new();
        for task in 0..6 {
            let (writer, own) = (writer.clone(), sim.clone());
            tasks.push(sim.spawn(async move {
                let (mut failed, mut open) = (0, Vec::new());
                while own.elapsed() < secs(3600) {
                    let message = to(task % 3, vec![b'x'; 300 + 100 * task as usize]);
                    match writer.send(message).await {
                        Ok(delivery) => open.push(delivery),
                        Err(error) => {
                            assert_eq!(error.fate, Fate::NotWritten);
                            failed += 1;
                        }
                    }
                    assert!(writer.buffered_bytes() <= BUDGET, "{}", writer.buffered_bytes());
                    let before = open.len();
                    open.retain(|delivery: &Delivery| delivery.try_get().is_none());
                    failed += before - open.len();
                    assert!(open.len() < BUDGET / 100);
                }
                for delivery in open {
                    failed += usize::from(delivery.await.is_err());
                }
                failed
            }));
        }
        let (mut failed, polls) = (0, sim.polls());
        for task in tasks {
            failed += task.await;
        }
        // As much as fits, every twenty seconds.
        assert!(failed > 500, "{failed}");
        assert!(sim.polls() - polls < 2_000_000, "{}", sim.polls() - polls);
        (0..3).for_each(|node| sim.restart(node));
        writer.write_all((0..3).map(|partition| to(partition, "after"))).await.unwrap();
        assert_eq!(writer.buffered_bytes(), 0);
        assert_eq!((0..3).map(|p| sim.log("t", p).len()).sum::<usize>(), 6);
    });
}
