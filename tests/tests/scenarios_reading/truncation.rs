//! Logs that lost what was read of them.

use crate::support::{connected, events, fill, kinds, messages, number, numbers, secs};
use kafka_core::{ErrorKind, Event, Reset};
use kafka_testkit::sim::{SimClient, Simulation, SimulationBuilder};

fn two_nodes(release: &str) -> SimulationBuilder {
    let unclean = ("unclean.leader.election.enable".to_owned(), "true".to_owned());
    let two = Simulation::builder().nodes(2).topic("t", 1).kafka_version(release);
    two.configure(move |config| config.topic_defaults.push(unclean))
}

/// 0 to 9 are on both nodes, 10 to 19 on one that is gone; the other leads, and goes on from 10 with 100 to 109.
async fn elect_uncleanly(sim: &Simulation, client: &SimClient, reading: impl AsyncFnOnce()) {
    fill(client, 0, 0..10).await;
    let leader = sim.leader("t", 0).unwrap();
    sim.kill(1 - leader);
    fill(client, 0, 10..20).await;
    reading().await;
    sim.kill(leader);
    sim.restart(1 - leader);
    fill(client, 0, 100..110).await;
}

/// What was read is not in the log any more: told, and read on from where both logs are the same.
#[test]
fn a_log_that_was_truncated_is_told_and_read_on_from_there() {
    for release in ["2.5", "2.8", "4.4"] {
        two_nodes(release).run(move |sim| async move {
            let client = connected(&sim).await;
            let mut reader = client.reader("t").reset(Reset::First).build().unwrap();
            elect_uncleanly(&sim, &client, async || {
                let read = messages(&mut reader, 20).await;
                assert_eq!(read.iter().map(number).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
            })
            .await;
            let seen = events(&sim, &mut reader, secs(30)).await;
            assert_eq!(numbers(&seen), (100..110).collect::<Vec<_>>(), "{release}: {seen:?}");
            let truncated = |event: &&Event| matches!(event, Event::Notice(e) if *e.kind() == ErrorKind::Truncated { to: 10 });
            assert_eq!(seen.iter().filter(truncated).count(), 1, "{release}: {:?}", kinds(&seen));
        });
    }
}

/// Without a policy it is an error, once, and a seek goes on.
#[test]
fn a_log_that_was_truncated_stops_the_partition_without_a_policy() {
    for release in ["2.5", "2.8", "4.4"] {
        two_nodes(release).run(move |sim| async move {
            let client = connected(&sim).await;
            let mut reader = client.reader("t").build().unwrap();
            elect_uncleanly(&sim, &client, async || {
                messages(&mut reader, 20).await;
            })
            .await;
            let error = reader.fetch().await.unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::Truncated { to: 10 }, "{release}");
            assert!(sim.within(secs(60), reader.fetch()).await.is_none(), "told once");
            let partition = kafka_core::TopicPartition::new("t", 0);
            let start = kafka_core::Start::at(10);
            reader.seek(&partition, start).unwrap();
            assert_eq!(messages(&mut reader, 10).await.iter().map(number).next(), Some(100));
        });
    }
}

/// The position is of a walk that was given up in the part that is gone: as well.
#[test]
fn a_truncation_below_a_pause_is_told() {
    for release in ["2.5", "4.4"] {
        two_nodes(release).run(move |sim| async move {
            let client = connected(&sim).await;
            let mut reader = client.reader("t").reset(Reset::First).build().unwrap();
            let partition = kafka_core::TopicPartition::new("t", 0);
            elect_uncleanly(&sim, &client, async || {
                messages(&mut reader, 15).await;
                reader.pause(&partition).unwrap();
            })
            .await;
            reader.resume(&partition).unwrap();
            let seen = events(&sim, &mut reader, secs(30)).await;
            assert_eq!(numbers(&seen), (100..110).collect::<Vec<_>>(), "{release}: {seen:?}");
            assert!(kinds(&seen).contains(&"notice"), "{release}");
        });
    }
}
