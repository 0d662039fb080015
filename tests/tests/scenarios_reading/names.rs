//! Brokers that change their names and addresses.

use crate::support::{connected, fill, member, message, number, secs, three_nodes};

/// All brokers get new names and addresses, as after a redeployment: readers and writers find them by the names that the
/// client was given.
#[test]
fn promise_19_brokers_that_all_change_their_names_are_found_by_the_first_ones() {
    three_nodes(3).run(|sim| async move {
        sim.name("boot", 0);
        let client = sim.client_of("boot:9092").connect().await.unwrap();
        let mut alone = client.reader("t").build().unwrap();
        let mut member = member(&client).build().unwrap();
        for round in 0..4 {
            fill(&client, round % 3, i64::from(round)..i64::from(round) + 1).await;
            assert_eq!(number(&message(&mut alone).await), i64::from(round));
            assert_eq!(number(&message(&mut member).await), i64::from(round));
            for node in 0..3 {
                sim.rename(node, &format!("n{node}-{round}"));
                sim.reset(node);
            }
            sim.sleep(secs(10)).await;
        }
        assert!(client.stats().rebootstraps > 0);
    });
}

/// Names stay and addresses change: the next connection looks the name up, and nobody goes back to the first names.
#[test]
fn promise_19_a_name_is_looked_up_for_each_connection() {
    three_nodes(3).run(|sim| async move {
        sim.name("boot", 0);
        let client = sim.client_of("boot:9092").connect().await.unwrap();
        let mut reader = member(&client).build().unwrap();
        for round in 0..3 {
            fill(&client, round, i64::from(round)..i64::from(round) + 1).await;
            assert_eq!(number(&message(&mut reader).await), i64::from(round));
            // One after the other, so that there always is a broker that works.
            for node in 0..3 {
                sim.readdress(node);
                sim.reset(node);
                sim.sleep(secs(10)).await;
            }
        }
        assert_eq!(client.stats().rebootstraps, 0);
    });
}

/// Connections that are closed because they are idle say nothing of their brokers.
#[test]
fn promise_19_idle_connections_that_close_are_no_brokers_that_are_down() {
    three_nodes(3).run(|sim| async move {
        let client = sim.client().connections_max_idle(secs(30)).connect().await.unwrap();
        fill(&client, 0, 0..1).await;
        sim.sleep(secs(300)).await;
        fill(&client, 1, 1..2).await;
        let stats = client.stats();
        assert_eq!((stats.rebootstraps, stats.connection_failures), (0, 0));
        drop(connected(&sim).await);
    });
}
