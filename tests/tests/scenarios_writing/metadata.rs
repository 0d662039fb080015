//! Metadata that lacks, lags or changes, under a writer.

use crate::support::{acked, logged, ms, numbers, one_by_one, secs, text, three_nodes, to, written};
use kafka_core::{ConnectionError, ErrorCode, ErrorKind, Fate, Manual, Message, NewTopic, Reset, Start};
use kafka_proto::messages::metadata::MetadataResponse;
use kafka_proto::{ApiKey, ResponseKind};
use kafka_testkit::sim::{SimClient, Simulation};
use std::collections::BTreeSet;
use std::time::Duration;

/// Lets the next answers say that there is no topic `t`.
fn forget_topic(sim: &Simulation, answers: u32) {
    change_metadata(sim, answers, |metadata| {
        for topic in metadata.topics.iter_mut().filter(|topic| topic.name.as_deref() == Some("t")) {
            topic.error_code = ErrorCode::UnknownTopicOrPartition.code();
            topic.partitions.clear();
        }
    });
}

fn change_metadata(
    sim: &Simulation,
    answers: u32,
    mut change: impl FnMut(&mut MetadataResponse) + Send + 'static,
) {
    sim.alter(ApiKey::Metadata, answers, move |response| {
        let ResponseKind::Metadata(metadata) = response else { panic!("{response:?}") };
        change(metadata);
    });
}

/// Writes while a number of answers lack the topic. Everything is acknowledged and in the log once, and sequences go on.
fn forgotten_and_found(answers: u32) {
    three_nodes(1).run(move |sim| async move {
        let client = sim.client().metadata_max_age(secs(1)).unknown_topic_grace(secs(2));
        let client = client.connect().await.unwrap();
        let writer = one_by_one(&client).build().unwrap();
        sim.record(ApiKey::Produce);
        writer.write_all(numbers(0..5).into_iter().map(|n| to(0, n))).await.unwrap();
        let before = sim.requests(ApiKey::Metadata);
        forget_topic(&sim, answers);
        let mut deliveries = Vec::new();
        for number in numbers(5..100) {
            deliveries.push(writer.send(to(0, number)).await.unwrap());
            sim.sleep(ms(100)).await;
        }
        assert_eq!(acked(deliveries).await, (5..100).collect::<Vec<i64>>());
        assert!(
            sim.requests(ApiKey::Metadata) - before > u64::from(answers),
            "the topic was not found again"
        );
        assert_eq!(logged(&sim, "t", 0), numbers(0..100));
        let stamps: BTreeSet<(i16, i32)> =
            written(&sim).iter().map(|w| (w.batch.producer_epoch(), w.batch.base_sequence())).collect();
        assert_eq!(stamps, (0..100).map(|sequence| (0, sequence)).collect());
    });
}

/// One broker, just restarted, does not know the topic.
#[test]
fn scenario_p3_a_topic_one_answer_lacks_keeps_its_sequences() {
    forgotten_and_found(1);
}

/// All brokers deny the topic until the client forgets it; then it is there again.
#[test]
fn promise_18_sequences_survive_a_topic_that_was_forgotten() {
    forgotten_and_found(12);
}

/// Two topics in turn, for many times the age of metadata, while each answer names one of them only.
#[test]
fn scenario_p26_a_topic_in_use_is_not_lost_by_answers_that_do_not_name_it() {
    three_nodes(1).topic("u", 1).run(|sim| async move {
        let client = sim.client().metadata_max_age(secs(2)).connect().await.unwrap();
        let writer = client.writer_to_any().build().unwrap();
        for topic in ["t", "u"] {
            writer.write_all([Message::new("warm").topic(topic)]).await.unwrap();
        }
        let mut turn = false;
        change_metadata(&sim, 100, move |metadata| {
            turn = !turn;
            let named = if turn { "t" } else { "u" };
            metadata.topics.retain(|topic| topic.name.as_deref() == Some(named));
        });
        let before = sim.requests(ApiKey::Metadata);
        for number in 0..60 {
            let topic = if number % 2 == 0 { "t" } else { "u" };
            let sent = writer.write_all([Message::new(number.to_string()).topic(topic)]);
            sim.within(ms(50), sent).await.expect("it waits for metadata").unwrap();
            sim.sleep(ms(500)).await;
        }
        assert!(sim.requests(ApiKey::Metadata) - before >= 10);
        assert_eq!((logged(&sim, "t", 0).len(), logged(&sim, "u", 0).len()), (31, 31));
    });
}

/// Many messages to a topic that does not exist, among those to one that does: it is waited for once.
#[test]
fn a_missing_topic_is_waited_for_once_by_a_call() {
    three_nodes(1).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        let writer = client.writer_to_any().build().unwrap();
        let topics = ["gone", "t", "gone", "gone", "t"];
        let begun = sim.elapsed();
        let sent = writer.send_all(topics.map(|topic| Message::new("x").topic(topic))).await;
        let took = sim.elapsed() - begun;
        // The grace is 5 s, and seen to be over by the next answer.
        assert!((secs(5)..secs(8)).contains(&took), "{took:?}");
        for (topic, sent) in topics.into_iter().zip(sent) {
            match sent {
                Ok(delivery) => assert_eq!((topic, delivery.await.is_ok()), ("t", true)),
                Err(error) => assert_eq!((topic, error.fate), ("gone", Fate::NotWritten), "{error}"),
            }
        }
    });
}

async fn recreate(client: &SimClient, partitions: i32) {
    let deleted = client.delete_topics(["t"]).await.unwrap();
    deleted.into_iter().for_each(|(_, result)| result.unwrap());
    let made = client.create_topics([NewTopic::new("t", partitions)]).await.unwrap();
    made.into_iter().for_each(|(_, result)| result.unwrap());
}

/// The topic is deleted and made again under a full buffer: nothing hangs, each record gets an outcome, and what is written
/// to the new topic begins with new sequences.
#[test]
fn scenario_p21_a_topic_made_anew_under_a_full_buffer() {
    for seed in 0..5 {
        three_nodes(2).seed(seed).run(|sim| async move {
            let client = sim.client().connect().await.unwrap();
            let writer = client.writer("t").batch_bytes(1024).buffer_bytes(4096).balancer(Manual);
            let writer = writer.delivery_timeout(secs(20)).build().unwrap();
            let mut tasks = Vec::new();
            for partition in 0..2 {
                for task in 0..3 {
                    let (writer, own) = (writer.clone(), sim.clone());
                    tasks.push(sim.spawn(async move {
                        let mut deliveries = Vec::new();
                        for number in 0..300 {
                            let text = format!("{task}-{number} {}", "x".repeat(200));
                            deliveries.push(writer.send(to(partition, text)).await);
                            own.sleep(ms(2)).await;
                        }
                        deliveries
                    }));
                }
            }
            sim.sleep(ms(200)).await;
            sim.record(ApiKey::Produce);
            let made = sim.elapsed();
            recreate(&sim.client().connect().await.unwrap(), 2).await;
            let mut acked = 0;
            for task in tasks {
                for delivery in sim.within(secs(120), task).await.expect("a deadlock") {
                    let Ok(delivery) = delivery else { continue };
                    acked += usize::from(sim.within(secs(25), delivery).await.expect("no outcome").is_ok());
                }
            }
            assert!(acked > 1000, "only {acked} were acknowledged");
            assert_eq!(writer.buffered_bytes(), 0);
            for partition in 0..2 {
                assert!(logged(&sim, "t", partition).len() > 100);
                let first = sim.log("t", partition)[0].clone();
                assert!(text(first.value.as_deref()).contains('-'));
            }
            let after: Vec<_> = written(&sim).into_iter().filter(|sent| sent.at > made + secs(1)).collect();
            assert!(after.iter().all(|sent| sent.batch.producer_epoch() > 0), "old sequences go on");
        });
    }
}

/// Nothing is on its way when the topic is made anew, and its brokers would take any sequence: the new ones begin at 0 all the
/// same.
#[test]
fn promise_18_a_topic_made_anew_begins_with_new_sequences() {
    three_nodes(1).topic("u", 1).run(|sim| async move {
        let client = sim.client().metadata_max_age(secs(1)).connect().await.unwrap();
        let writer = client.writer_to_any().batch_messages(1).build().unwrap();
        let all = |topic: &'static str| numbers(0..5).into_iter().map(move |n| Message::new(n).topic(topic));
        writer.write_all(all("t").chain(all("u"))).await.unwrap();
        recreate(&sim.client().connect().await.unwrap(), 1).await;
        sim.sleep(secs(5)).await;
        sim.record(ApiKey::Produce);
        writer.write_all(all("t")).await.unwrap();
        writer.write_all(all("u")).await.unwrap();
        let stamps = |of: std::ops::Range<usize>| -> Vec<(i16, i32)> {
            let stamp =
                |sent: &crate::support::Written| (sent.batch.producer_epoch(), sent.batch.base_sequence());
            written(&sim)[of].iter().map(stamp).collect()
        };
        assert_eq!(stamps(0..5), (0..5).map(|sequence| (1, sequence)).collect::<Vec<_>>());
        // Other topics go on as they were.
        assert_eq!(stamps(5..10), (5..10).map(|sequence| (0, sequence)).collect::<Vec<_>>());
    });
}

/// The new topic has fewer partitions: nobody is sent to one that does not exist any more.
#[test]
fn promise_18_a_topic_made_anew_with_fewer_partitions() {
    three_nodes(6).run(|sim| async move {
        let client = sim.client().metadata_max_age(secs(1)).connect().await.unwrap();
        let writer = client.writer("t").delivery_timeout(secs(10)).build().unwrap();
        let all = |range| numbers(range).into_iter().map(|n| Message::new(n.clone()).key(n));
        writer.write_all(all(0..60)).await.unwrap();
        recreate(&sim.client().connect().await.unwrap(), 2).await;
        sim.sleep(secs(5)).await;
        writer.write_all(all(100..160)).await.unwrap();
        let mut log: Vec<String> = (0..2).flat_map(|p| logged(&sim, "t", p)).collect();
        log.sort();
        assert_eq!(log, numbers(100..160));
        let refused = writer.send(to(4, "x")).await;
        let refused = client
            .writer("t")
            .balancer(Manual)
            .build()
            .unwrap()
            .send(to(4, "x"))
            .await
            .err()
            .or(refused.err());
        assert!(matches!(refused.unwrap().error.kind(), ErrorKind::InvalidMessage(_)));
    });
}

/// Partitions that are added are written to within the age of metadata, and the others do not notice.
#[test]
fn promise_18_new_partitions_are_written_to() {
    three_nodes(1).run(|sim| async move {
        let client = sim.client().metadata_max_age(secs(1)).connect().await.unwrap();
        let writer = one_by_one(&client).build().unwrap();
        writer.write_all([to(0, "a")]).await.unwrap();
        assert!(writer.send(to(1, "too early")).await.is_err());
        sim.with(|cluster, _| cluster.grow_topic("t", 3)).unwrap();
        sim.sleep(secs(2)).await;
        writer.write_all([to(0, "b"), to(1, "c"), to(2, "d")]).await.unwrap();
        assert_eq!([0, 1, 2].map(|p| logged(&sim, "t", p).len()), [2, 1, 1]);
    });
}

/// All partitions of the topic are without a leader for a while: records are held, and fail at their deadline only.
#[test]
fn scenario_p23_a_lone_replica_that_restarts_is_waited_for() {
    Simulation::builder().nodes(1).topic("t", 1).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        let writer = client.writer("t").delivery_timeout(secs(30)).build().unwrap();
        writer.write_all([to(0, "warm")]).await.unwrap();
        sim.kill(0);
        let held = writer.send(to(0, "held")).await.unwrap();
        assert!(sim.within(secs(20), async { sim.sleep(secs(19)).await }).await.is_some());
        assert!(held.try_get().is_none());
        sim.restart(0);
        held.await.unwrap();
        sim.kill(0);
        let begun = sim.elapsed();
        let failed = writer.send(to(0, "late")).await.unwrap().await.unwrap_err();
        assert_eq!(sim.elapsed() - begun, secs(30), "{failed}");
        assert_eq!(logged(&sim, "t", 0), ["warm", "held"]);
    });
}

/// Whatever a record waits for, its delivery timeout counts from `send`: for metadata first, and then for a leader.
#[test]
fn case_w2_late_metadata_leaves_less_time_for_the_rest() {
    three_nodes(1).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        let (own, begun) = (sim.clone(), sim.elapsed());
        change_metadata(&sim, 10_000, move |metadata| {
            for topic in &mut metadata.topics {
                match own.elapsed() - begun < secs(40) {
                    true => (topic.error_code, topic.partitions) = (5, Vec::new()),
                    false => topic.partitions.iter_mut().for_each(|p| p.leader_id = -1),
                }
            }
        });
        let writer = one_by_one(&client).delivery_timeout(secs(60)).build().unwrap();
        let taken = writer.send(to(0, "x")).await.unwrap();
        assert!(sim.elapsed() - begun >= secs(40), "{:?}", sim.elapsed() - begun);
        taken.await.unwrap_err();
        assert_eq!(sim.elapsed() - begun, secs(60));
    });
}

#[test]
fn case_w2_waiting_for_room_leaves_less_time_for_the_rest() {
    Simulation::builder().nodes(1).topic("t", 1).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        let writer = one_by_one(&client).batch_bytes(1024).buffer_bytes(1024).delivery_timeout(secs(60));
        let writer = writer.build().unwrap();
        writer.write_all([to(0, "warm")]).await.unwrap();
        sim.kill(0);
        let big = || to(0, vec![b'x'; 900]);
        let first = writer.send(big()).await.unwrap();
        sim.sleep(secs(20)).await;
        let begun = sim.elapsed();
        let second = writer.send(big()).await.unwrap();
        assert_eq!(sim.elapsed() - begun, secs(40), "there is room when the first is given up");
        first.await.unwrap_err();
        second.await.unwrap_err();
        assert_eq!(sim.elapsed() - begun, secs(60));
    });
}

/// A hint of a new leader (KIP-951) and a broker that joins leave the connections to others alone.
#[test]
fn scenario_n6_a_change_of_brokers_breaks_no_connection() {
    three_nodes(3).run(|sim| async move {
        let client = sim.client().metadata_max_age(secs(1)).connect().await.unwrap();
        let writer = one_by_one(&client).build().unwrap();
        writer.write_all((0..3).map(|partition| to(partition, "warm"))).await.unwrap();
        let connections = |node| sim.connections(node).into_iter().collect::<BTreeSet<u64>>();
        let before = [0, 1, 2].map(connections);
        let (leader, other) = (sim.leader("t", 0).unwrap(), sim.leader("t", 1).unwrap());
        // For a while one node is missing from all answers, as one that just restarts is.
        change_metadata(&sim, 3, move |metadata| metadata.brokers.retain(|b| b.node_id != other));
        sim.move_leader("t", 0, (0..3).find(|node| *node != leader).unwrap());
        for _ in 0..60 {
            writer.write_all((0..3).map(|partition| to(partition, "x"))).await.unwrap();
            sim.sleep(ms(100)).await;
        }
        for (node, before) in (0..3).zip(before) {
            assert!(before.is_subset(&connections(node)), "node {node}: {before:?}, {:?}", connections(node));
        }
        assert_eq!(client.stats().connection_failures, 0);
    });
}

/// A broker's advertised address leads to something that is not Kafka: the others are asked, and the error tells what it is.
#[test]
fn scenario_n10_an_advertised_address_of_a_foreign_service() {
    three_nodes(3).run(|sim| async move {
        let stranger = sim.leader("t", 0).unwrap();
        sim.put_stranger(stranger, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        let client = sim.client().call_timeout(secs(5)).connect().await.unwrap();
        let writer = one_by_one(&client).delivery_timeout(secs(10)).build().unwrap();
        let lost = writer.send(to(0, "lost")).await.unwrap();
        for partition in 1..3 {
            writer.write_all([to(partition, "x")]).await.unwrap();
        }
        for _ in 0..10 {
            sim.within(ms(50), client.describe_cluster()).await.expect("another broker is asked").unwrap();
            sim.sleep(ms(500)).await;
        }
        let failed = lost.await.unwrap_err();
        let ErrorKind::TimedOut { last: Some(last), after } = failed.error.kind() else {
            panic!("{failed:?}")
        };
        assert_eq!(*after, Duration::from_secs(10));
        assert_eq!(*last.kind(), ErrorKind::Connection(ConnectionError::HttpServer), "{last:?}");
        assert!(last.to_string().contains(&format!("n{stranger}:9092")), "{last}");
    });
}

/// Who waits for a missing topic long enough is told that there is none. Once it is made that counts no more: the topic can
/// be used at once, and those who waited go on.
#[test]
fn case_u3_a_topic_that_was_missing_is_usable_once_it_is_made() {
    for in_group in [false, true] {
        three_nodes(1).run(move |sim| async move {
            let client = sim.client().connect().await.unwrap();
            let reader = client.reader("new");
            let reader = if in_group { reader.group("g") } else { reader };
            let mut reader = reader.reset(Reset::First).build().unwrap();
            let reads = sim.spawn(async move {
                loop {
                    if let Ok(message) = reader.fetch().await {
                        return message.unwrap();
                    }
                }
            });
            sim.sleep(secs(7)).await;
            let begun = sim.elapsed();
            client.create_topic(NewTopic::new("new", 1)).await.unwrap();
            let writer = client.writer("new").build().unwrap();
            writer.write_all([Message::new("x")]).await.unwrap();
            assert!(sim.elapsed() - begun < ms(500), "{:?}", sim.elapsed() - begun);
            let read = sim.within(secs(10), reads).await.expect("the reader does not go on");
            assert_eq!(read.value.as_deref(), Some(&b"x"[..]));
        });
    }
}

/// The same for one that another client has made, and for several in one call.
#[test]
fn case_u3_a_topic_that_another_client_made_is_usable_at_once() {
    three_nodes(1).run(|sim| async move {
        let (client, other) = (sim.client().connect().await.unwrap(), sim.client().connect().await.unwrap());
        let writer = client.writer_to_any().build().unwrap();
        for topic in ["new", "newer"] {
            let failed = writer.write_all([Message::new("x").topic(topic)]).await.unwrap_err();
            let error = failed.results[0].as_ref().unwrap_err();
            assert_eq!(error.error.code(), Some(ErrorCode::UnknownTopicOrPartition));
        }
        let _keeps = ["new", "newer"].map(|topic| client.reader(topic).build().unwrap());
        sim.sleep(secs(20)).await;
        other.create_topic(NewTopic::new("new", 1)).await.unwrap();
        client.create_topic(NewTopic::new("new", 1)).await.unwrap();
        writer.write_all([Message::new("x").topic("new")]).await.unwrap();
        let both = [NewTopic::new("new", 1), NewTopic::new("newer", 1)];
        let made = client.create_topics(both).await.unwrap();
        assert_eq!(made[0].1.as_ref().unwrap_err().code(), Some(ErrorCode::TopicAlreadyExists));
        assert!(made[1].1.is_ok(), "{made:?}");
        writer.write_all([Message::new("x").topic("newer")]).await.unwrap();
    });
}

/// Brokers that hear of the topic late: the answers in between say that there is none.
#[test]
fn case_u3_a_topic_that_brokers_hear_of_late() {
    three_nodes(1).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        let _reader = client.reader("t2").build().unwrap();
        sim.sleep(secs(12)).await;
        change_metadata(&sim, 6, |metadata| {
            for topic in metadata.topics.iter_mut() {
                topic.error_code = ErrorCode::UnknownTopicOrPartition.code();
                topic.partitions.clear();
            }
        });
        client.create_topic(NewTopic::new("t2", 1)).await.unwrap();
        let writer = client.writer("t2").build().unwrap();
        writer.write_all([Message::new("x")]).await.unwrap();
    });
}

/// CREATE is allowed and DESCRIBE is not: the topic is made, and the error of another stands beside it.
#[test]
fn case_a2_a_topic_that_was_made_and_may_not_be_seen() {
    three_nodes(1).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        change_metadata(&sim, 100, |metadata| {
            for topic in metadata.topics.iter_mut().filter(|topic| topic.name.as_deref() == Some("a")) {
                topic.error_code = ErrorCode::TopicAuthorizationFailed.code();
                topic.partitions.clear();
            }
        });
        let both = [NewTopic::new("a", 1), NewTopic::new("t", 1)];
        let made = client.create_topics(both).await.unwrap();
        assert!(made[0].1.is_ok(), "{made:?}");
        assert_eq!(made[1].1.as_ref().unwrap_err().code(), Some(ErrorCode::TopicAlreadyExists));
    });
}

#[test]
fn a_partition_that_is_not_there_is_waited_for_no_longer_than_the_delivery_timeout() {
    three_nodes(1).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        let writer = client.writer("t").balancer(Manual).delivery_timeout(secs(2)).build().unwrap();
        for known in [false, true] {
            let begun = sim.elapsed();
            let error = writer.send(to(7, "a")).await.unwrap_err();
            assert!(matches!(error.error.kind(), ErrorKind::InvalidMessage(_)), "{known}: {error}");
            assert_eq!((error.fate, sim.elapsed() - begun), (Fate::NotWritten, secs(2)), "{known}");
        }
    });
}

/// A topic that has grown is not asked about for minutes otherwise.
#[test]
fn a_partition_that_a_message_names_and_its_topic_has_just_got_is_waited_for() {
    three_nodes(1).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        let writer = client.writer("t").balancer(Manual).build().unwrap();
        writer.send(to(0, "a")).await.unwrap().await.unwrap();
        sim.with(|cluster, _| cluster.grow_topic("t", 4).unwrap());
        let begun = sim.elapsed();
        let sent = writer.send_all([to(2, "b"), to(3, "c"), to(0, "d")]).await;
        for (delivery, partition) in sent.into_iter().zip([2, 3, 0]) {
            assert_eq!(delivery.unwrap().await.unwrap().partition, partition);
        }
        assert!(sim.elapsed() - begun < secs(1));
        sim.with(|cluster, _| cluster.grow_topic("t", 5).unwrap());
        assert_eq!(client.list_offset("t", 4, Start::First).await.unwrap(), Some(0));

        // One that does not exist is as wrong as before, and asked for no faster than the backoff.
        let (begun, asked) = (sim.elapsed(), sim.requests(ApiKey::Metadata));
        let error = writer.send(to(7, "e")).await.unwrap_err();
        assert!(matches!(error.error.kind(), ErrorKind::InvalidMessage(_)), "{error}");
        assert_eq!((error.fate, sim.elapsed() - begun), (Fate::NotWritten, secs(5)));
        assert!(sim.requests(ApiKey::Metadata) - asked < 20);

        let begun = sim.elapsed();
        let error = client.list_offset("t", 7, Start::First).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Misuse(_)), "{error}");
        assert!(sim.elapsed() - begun < secs(6), "{:?}", sim.elapsed() - begun);

        // Nor is it waited for once the writer is closed, or the client.
        let (other, begun) = (client.writer("t").balancer(Manual).build().unwrap(), sim.elapsed());
        other.send(to(0, "f")).await.unwrap().await.unwrap();
        let (closing, machine) = (other.clone(), sim.clone());
        sim.spawn(async move {
            machine.sleep(secs(1)).await;
            closing.close(secs(1)).await;
        });
        let error = other.send(to(7, "g")).await.unwrap_err();
        assert_eq!((error.error.kind(), sim.elapsed() - begun < secs(2)), (&ErrorKind::Closed, true));
        let begun = sim.elapsed();
        client.close(secs(1)).await;
        let error = writer.send(to(7, "h")).await.unwrap_err();
        assert_eq!((error.error.kind(), sim.elapsed() - begun < secs(2)), (&ErrorKind::Closed, true));
    });
}
