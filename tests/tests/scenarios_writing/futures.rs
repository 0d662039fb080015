//! L1: every public future is dropped at its first poll, at its second, and so on until one completes; nothing is lost by it,
//! and nothing is left of it.

use crate::support::{acked, logged, ms, numbers, secs, text, three_nodes, to};
use kafka_core::{Event, Fate, Manual, NewTopic, Reader, Reset, Start, Writer};
use kafka_testkit::sim::{SimClient, Simulation};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// No future here is polled more often before it completes.
const MOST: u64 = 300;

/// Runs the application with one poll, two polls, ... for the future it drops, until it says that the future completed.
fn each_poll<A>(app: impl Fn(Simulation, u64) -> A)
where
    A: Future<Output = bool> + Send + 'static,
{
    for polls in 1..MOST {
        if three_nodes(2).pieces(300).seed(5).run(|sim| app(sim, polls)) {
            assert!(polls > 1, "it never waits");
            return;
        }
    }
    panic!("it never completes");
}

/// Once the last handle is gone nothing of the client is left.
async fn nothing_is_left(sim: &Simulation) {
    sim.sleep(secs(1)).await;
    assert_eq!(sim.tasks(), 1, "tasks are left");
    for node in 0..3 {
        assert!(sim.connections(node).is_empty(), "connections to node {node} are left");
    }
}

/// A client that knows the topic, and its writer.
async fn warm(sim: &Simulation) -> (SimClient, Writer) {
    let client = sim.client().connect().await.unwrap();
    let writer = client.writer("t").balancer(Manual).build().unwrap();
    writer.write_all([to(0, "warm"), to(1, "warm")]).await.unwrap();
    (client, writer)
}

/// The writer goes on, and what partition 0 has is this.
async fn goes_on(sim: &Simulation, writer: &Writer, before: &[&str]) {
    let sent = writer.write_all([to(0, "after")]);
    sim.within(secs(5), sent).await.expect("the writer stands still").unwrap();
    let expected: Vec<&str> = before.iter().copied().chain(["after"]).collect();
    assert_eq!(logged(sim, "t", 0), expected);
    assert_eq!(writer.buffered_bytes(), 0);
}

#[test]
fn scenario_l1_connect() {
    each_poll(async |sim: Simulation, polls| {
        let client = sim.polled(polls, sim.client().connect()).await.transpose().unwrap();
        let done = client.is_some();
        drop(client);
        nothing_is_left(&sim).await;
        sim.client().connect().await.unwrap();
        done
    });
}

#[test]
fn scenario_l1_topic() {
    each_poll(async |sim: Simulation, polls| {
        let client = sim.client().build().unwrap();
        let done = sim.polled(polls, client.topic("t")).await.transpose().unwrap().is_some();
        assert_eq!(client.topic("t").await.unwrap().partitions.len(), 2);
        drop(client);
        nothing_is_left(&sim).await;
        done
    });
}

#[test]
fn scenario_l1_admin_calls() {
    each_poll(async |sim: Simulation, polls| {
        let (client, _) = warm(&sim).await;
        let made = sim.polled(polls, client.create_topics([NewTopic::new("new", 1)])).await;
        let described = sim.polled(polls, client.describe_cluster()).await.transpose().unwrap();
        let listed = sim.polled(polls, client.list_offset("t", 0, Start::Last)).await.transpose().unwrap();
        let deleted = sim.polled(polls, client.delete_topics(["new"])).await;
        sim.sleep(secs(1)).await;
        assert_eq!(client.list_offset("t", 0, Start::Last).await.unwrap(), Some(1));
        assert_eq!(client.describe_cluster().await.unwrap().brokers.len(), 3);
        drop(client);
        nothing_is_left(&sim).await;
        made.is_some() && described.is_some() && listed.is_some() && deleted.is_some()
    });
}

/// A client that knows nothing: a send that was dropped before it was ready has taken nothing.
#[test]
fn scenario_l1_send() {
    each_poll(async |sim: Simulation, polls| {
        let client = sim.client().build().unwrap();
        let writer = client.writer("t").balancer(Manual).build().unwrap();
        let done = sim.polled(polls, writer.send(to(0, "x"))).await.transpose().unwrap().is_some();
        writer.flush().await;
        goes_on(&sim, &writer, if done { &["x"] } else { &[] }).await;
        drop((client, writer));
        nothing_is_left(&sim).await;
        done
    });
}

/// The same where it waits for room, among others that wait.
#[test]
fn scenario_l1_send_into_a_full_buffer() {
    each_poll(async |sim: Simulation, polls| {
        let client = sim.client().connect().await.unwrap();
        let writer =
            client.writer("t").balancer(Manual).batch_bytes(1024).buffer_bytes(1024).build().unwrap();
        writer.write_all([to(0, "warm")]).await.unwrap();
        let big = |letter: &str| to(0, letter.repeat(800));
        let first = writer.send(big("a")).await.unwrap();
        let behind = {
            let (writer, own, message) = (writer.clone(), sim.clone(), big("c"));
            sim.spawn(async move {
                own.settle().await;
                writer.send(message).await.unwrap().await
            })
        };
        let done = sim.polled(polls, writer.send(big("b"))).await.transpose().unwrap().is_some();
        first.await.unwrap();
        behind.await.unwrap();
        writer.flush().await;
        let letters: String = logged(&sim, "t", 0).iter().skip(1).map(|value| &value[..1]).collect();
        // In the line its place is before the other's.
        assert_eq!(letters, if done { "abc" } else { "ac" });
        assert_eq!(writer.buffered_bytes(), 0);
        drop((client, writer));
        nothing_is_left(&sim).await;
        done
    });
}

/// A send that is dropped in the moment its room was given gives it to the next.
#[test]
fn scenario_l1_send_that_was_given_room() {
    for seed in 0..20 {
        three_nodes(1).seed(seed).run(|sim| async move {
            let client = sim.client().connect().await.unwrap();
            let writer = client.writer("t").batch_bytes(1024).buffer_bytes(1024).build().unwrap();
            writer.write_all([to(0, "warm")]).await.unwrap();
            let first = writer.send(to(0, "a".repeat(800))).await.unwrap();
            let waits = |letter: &str| {
                let (writer, message) = (writer.clone(), to(0, letter.repeat(800)));
                sim.spawn(async move { writer.send(message).await.unwrap().await.unwrap() })
            };
            let dropped = waits("b");
            sim.settle().await;
            let next = waits("c");
            first.await.unwrap();
            dropped.abort();
            sim.within(ms(50), next).await.expect("the room is lost");
            sim.sleep(ms(50)).await;
            assert_eq!(writer.buffered_bytes(), 0);
        });
    }
}

#[test]
fn scenario_l1_delivery() {
    each_poll(async |sim: Simulation, polls| {
        let (client, writer) = warm(&sim).await;
        let delivery = writer.send(to(0, "x")).await.unwrap();
        let done = sim.polled(polls, delivery).await.transpose().unwrap().is_some();
        goes_on(&sim, &writer, &["warm", "x"]).await;
        drop((client, writer));
        nothing_is_left(&sim).await;
        done
    });
}

/// Of each partition the first ones were taken, and those are written.
async fn taken_in_order(sim: &Simulation, writer: &Writer, done: bool) {
    writer.flush().await;
    for partition in 0..2 {
        let log = logged(sim, "t", partition);
        let all: Vec<String> = numbers(0..40).into_iter().skip(partition as usize).step_by(2).collect();
        assert!(all.starts_with(&log), "{log:?}");
        assert!(!done || log == all, "{log:?}");
    }
    assert_eq!(writer.buffered_bytes(), 0);
}

#[test]
fn scenario_l1_send_all_and_write_messages() {
    for waits in [false, true] {
        each_poll(move |sim: Simulation, polls| async move {
            let client = sim.client().build().unwrap();
            let writer = client.writer("t").balancer(Manual).batch_messages(3);
            let writer = writer.batch_bytes(1024).buffer_bytes(2048).build().unwrap();
            let asked_for = AtomicUsize::new(0);
            let messages = (0..40).map(|number| {
                asked_for.fetch_add(1, Relaxed);
                to(number % 2, number.to_string())
            });
            let done = if waits {
                sim.polled(polls, writer.write_all(messages)).await.transpose().unwrap().is_some()
            } else {
                let sent = sim.polled(polls, writer.send_all(messages)).await;
                let is_done = sent.is_some();
                acked(sent.into_iter().flatten().map(Result::unwrap).collect()).await;
                is_done
            };
            taken_in_order(&sim, &writer, done).await;
            let taken = logged(&sim, "t", 0).len() + logged(&sim, "t", 1).len();
            let asked_for = asked_for.into_inner();
            assert!(asked_for == taken || asked_for == taken + 1, "{taken} of {asked_for} were taken");
            drop((client, writer));
            nothing_is_left(&sim).await;
            done
        });
    }
}

#[test]
fn scenario_l1_flush() {
    each_poll(async |sim: Simulation, polls| {
        let (client, writer) = warm(&sim).await;
        let delivery = writer.send(to(0, "x")).await.unwrap();
        let done = sim.polled(polls, writer.flush()).await.is_some();
        assert!(!done || delivery.try_get().is_some());
        delivery.await.unwrap();
        goes_on(&sim, &writer, &["warm", "x"]).await;
        drop((client, writer));
        nothing_is_left(&sim).await;
        done
    });
}

/// The writer is closed; what it took is delivered, or told otherwise, all the same.
#[test]
fn scenario_l1_close_of_a_writer() {
    each_poll(async |sim: Simulation, polls| {
        let (client, writer) = warm(&sim).await;
        let delivery = writer.send(to(0, "x")).await.unwrap();
        let done = sim.polled(polls, writer.close(secs(1))).await.is_some();
        assert!(writer.send(to(0, "y")).await.is_err());
        drop(writer);
        let outcome = sim.within(secs(5), delivery).await.expect("no outcome");
        let log = logged(&sim, "t", 0);
        match outcome {
            Ok(_) => assert_eq!(log, ["warm", "x"]),
            Err(error) => assert!(error.fate == Fate::PossiblyWritten || log == ["warm"], "{error} {log:?}"),
        }
        drop(client);
        nothing_is_left(&sim).await;
        done
    });
}

#[test]
fn scenario_l1_close_of_a_client() {
    each_poll(async |sim: Simulation, polls| {
        let (client, writer) = warm(&sim).await;
        let delivery = writer.send(to(0, "x")).await.unwrap();
        let done = sim.polled(polls, client.close(secs(1))).await.is_some();
        sim.within(secs(5), delivery).await.expect("no outcome").unwrap();
        drop((client, writer));
        nothing_is_left(&sim).await;
        done
    });
}

/// What a reader gets by one of its calls, every third of which is dropped at a poll; whether none had to be.
async fn read(sim: &Simulation, reader: &mut Reader, polls: u64, call: u32) -> (bool, Vec<String>) {
    let (mut got, mut done) = (Vec::new(), true);
    for attempt in 0.. {
        if got.len() == 30 {
            break;
        }
        let polls = if attempt % 3 == 0 { polls } else { u64::MAX };
        match sim.polled(polls, read_some(reader, call)).await {
            Some(some) => got.extend(some),
            None => done = false,
        }
    }
    (done, got)
}

async fn read_some(reader: &mut Reader, call: u32) -> Vec<String> {
    let message = match call {
        0 => match reader.next_event().await.unwrap().unwrap() {
            Event::Record(message) => message,
            _ => return Vec::new(),
        },
        1 => reader.fetch().await.unwrap().unwrap(),
        2 => reader.read().await.unwrap().unwrap(),
        _ => {
            let (mut batch, mut values) = (reader.next_batch().await.unwrap().unwrap(), Vec::new());
            while let Some(record) = batch.next() {
                values.push(text(record.unwrap().value()));
            }
            return values;
        }
    };
    vec![text(message.value.as_deref())]
}

#[test]
fn scenario_l1_reads() {
    for (call, group) in (0..4).flat_map(|call| [(call, false), (call, true)]) {
        each_poll(move |sim: Simulation, polls| async move {
            let client = sim.client().connect().await.unwrap();
            let writer = client.writer("t").balancer(Manual).batch_messages(4).build().unwrap();
            let feeding = {
                let own = sim.clone();
                sim.spawn(async move {
                    for number in numbers(0..30) {
                        writer.write_all([to(0, number)]).await.unwrap();
                        own.sleep(ms(3)).await;
                    }
                })
            };
            let reader = client.reader("t").reset(Reset::First).max_wait(ms(50));
            let reader = if group { reader.group("g") } else { reader.start(Start::First) };
            let mut reader = reader.build().unwrap();
            let (done, got) =
                sim.within(secs(60), read(&sim, &mut reader, polls, call)).await.expect("it hangs");
            assert_eq!(got, numbers(0..30), "call {call}, group {group}, {polls} polls");
            feeding.await;
            drop((client, reader));
            nothing_is_left(&sim).await;
            done
        });
    }
}

/// Dropping a commit does not take it back, and holds back no later one.
#[test]
fn scenario_l1_commit() {
    each_poll(async |sim: Simulation, polls| {
        let (client, writer) = warm(&sim).await;
        writer.write_all(numbers(0..5).into_iter().map(|n| to(0, n))).await.unwrap();
        let mut reader = client.reader("t").group("g").reset(Reset::First).build().unwrap();
        let (mut first, mut second) = (None, None);
        while second.is_none() {
            let message = reader.fetch().await.unwrap().unwrap();
            if message.partition == 0 {
                (first, second) = (first.clone().or(Some(message.clone())), first.map(|_| message));
            }
        }
        let (first, second) = (first.unwrap(), second.unwrap());
        let committed = |sim: &Simulation| sim.with(|cluster, _| cluster.committed("g", "t", 0));
        let done = sim.polled(polls, reader.commit([&first])).await.transpose().unwrap().is_some();
        sim.sleep(secs(1)).await;
        assert_eq!(committed(&sim), Some(1));
        sim.within(secs(5), reader.commit([&second])).await.expect("it is held back").unwrap();
        assert_eq!(committed(&sim), Some(2));
        drop((client, writer, reader));
        nothing_is_left(&sim).await;
        done
    });
}

/// The group is left all the same.
#[test]
fn scenario_l1_close_of_a_reader() {
    each_poll(async |sim: Simulation, polls| {
        let (client, _) = warm(&sim).await;
        let member = || client.reader("t").group("g").reset(Reset::First).build().unwrap();
        let mut reader = member();
        reader.fetch().await.unwrap().unwrap();
        let done = sim
            .polled(polls, reader.close(secs(5)))
            .await
            .map(|report| report.into_result().unwrap())
            .is_some();
        drop(reader);
        let mut next = member();
        let got = sim.within(secs(5), next.fetch()).await.expect("the group was not left");
        assert!(got.unwrap().is_some());
        drop((client, next));
        nothing_is_left(&sim).await;
        done
    });
}
