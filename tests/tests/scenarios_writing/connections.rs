//! Connections that stop in the middle, that say odd things at their beginning, that are idle.

use crate::support::{logged, ms, numbers, one_by_one, secs, three_nodes, to};
use kafka_core::{ErrorKind, Event, Message, Reset};
use kafka_proto::{ApiKey, ResponseKind};
use kafka_testkit::broker::Fault;
use kafka_testkit::sim::Simulation;

/// The socket takes half of a request and then nothing more: the deadline ends the connection, and what goes out on the
/// next begins with a whole frame. (A broker that gets anything but whole frames fails the run.)
#[test]
fn scenario_n2_a_write_that_stops_half_way_is_followed_by_no_other() {
    three_nodes(1).pieces(300).run(|sim| async move {
        let client = sim.client().request_timeout(secs(5)).connect().await.unwrap();
        let writer = client.writer("t").build().unwrap();
        writer.write_all([to(0, "warm")]).await.unwrap();
        let leader = sim.leader("t", 0).unwrap();
        let before = sim.connections(leader);
        sim.cut_off(leader, secs(12));
        let large = writer.send(to(0, vec![b'x'; 900_000])).await.unwrap();
        sim.sleep(ms(4900)).await;
        assert_eq!(sim.connections(leader), before);
        let small = writer.send(to(0, "small")).await.unwrap();
        sim.sleep(secs(1)).await;
        let after = sim.connections(leader);
        assert!(!before.iter().all(|conn| after.contains(conn)), "the connection outlives its deadline");
        for delivery in [large, small] {
            delivery.await.unwrap();
        }
        let log = logged(&sim, "t", 0);
        assert_eq!(log.iter().map(String::len).collect::<Vec<_>>(), [4, 900_000, 5]);
    });
}

/// From the group's coordinator a large answer trickles in for most of a minute: heartbeats do not wait behind it, and the session goes on.
#[test]
fn promise_20_heartbeats_do_not_wait_behind_a_large_answer() {
    three_nodes(1).nodes(1).bandwidth(20).run(|sim| async move {
        let client = sim.client().request_timeout(secs(120)).connect().await.unwrap();
        let writer = client.writer("t").build().unwrap();
        writer.write_all([to(0, vec![b'x'; 900_000])]).await.unwrap();
        let reader = client.reader("t").group("g").reset(Reset::First).request_timeout(secs(120));
        let reader = reader.session_timeout(secs(6)).heartbeat_interval(secs(1));
        let mut reader = reader.build().unwrap();
        assert!(matches!(reader.next_event().await.unwrap(), Some(Event::Assigned { .. })));
        let (begun, beats) = (sim.elapsed(), sim.requests(ApiKey::Heartbeat));
        let message = reader.fetch().await.unwrap().unwrap();
        let took = sim.elapsed() - begun;
        assert!(took > secs(40), "the answer came within {took:?}");
        let beats = sim.requests(ApiKey::Heartbeat) - beats;
        // Nothing was lost meanwhile: the message's assignment is the present one.
        reader.commit([&message]).await.unwrap();
        assert!(beats + 2 >= took.as_secs(), "{beats} heartbeats in {took:?}");
    });
}

/// One request is swallowed and everything behind it with it: by its deadline the connection is given up, and all that
/// waited goes on.
#[test]
fn promise_20_a_swallowed_request_holds_back_nobody_beyond_its_deadline() {
    three_nodes(1).run(|sim| async move {
        let client = sim.client().request_timeout(secs(3)).connect().await.unwrap();
        let writer = one_by_one(&client).build().unwrap();
        writer.write_all([to(0, "warm")]).await.unwrap();
        sim.fault(ApiKey::Produce, 1, Fault::NoAnswer);
        let begun = sim.elapsed();
        let deliveries = writer.send_all(numbers(0..5).into_iter().map(|n| to(0, n))).await;
        for delivery in deliveries {
            delivery.unwrap().await.unwrap();
        }
        let took = sim.elapsed() - begun;
        assert!(took >= secs(3) && took < secs(4), "{took:?}");
        assert_eq!(logged(&sim, "t", 0)[1..], numbers(0..5));
        assert_eq!(writer.stats().epoch_bumps, 0);
    });
}

/// A half-open connection carries nothing: expiry ends it, and the next one serves.
#[test]
fn promise_20_a_half_open_connection_is_given_up_at_the_deadline() {
    three_nodes(1).run(|sim| async move {
        let client = sim.client().request_timeout(secs(3)).connect().await.unwrap();
        let writer = one_by_one(&client).build().unwrap();
        writer.write_all([to(0, "warm")]).await.unwrap();
        (0..3).for_each(|node| sim.half_open(node));
        let begun = sim.elapsed();
        writer.write_all([to(0, "a")]).await.unwrap();
        let described = client.describe_cluster();
        sim.within(secs(4), described).await.expect("no deadline").unwrap();
        let took = sim.elapsed() - begun;
        assert!(took >= secs(3) && took < secs(8), "{took:?}");
        assert_eq!(logged(&sim, "t", 0), ["warm", "a"]);
    });
}

/// Some proxies list ApiVersions alone: that is a broker nothing can be asked of, and the error says so.
#[test]
fn scenario_n7_a_broker_that_lists_api_versions_only() {
    Simulation::builder().topic("t", 1).run(|sim| async move {
        sim.alter(ApiKey::ApiVersions, u32::MAX, |response| {
            let ResponseKind::ApiVersions(versions) = response else { panic!("{response:?}") };
            versions.api_keys.retain(|key| key.api_key == ApiKey::ApiVersions.code());
        });
        let error = sim.within(secs(60), sim.client().call_timeout(secs(5)).connect()).await;
        let error = error.expect("it ends").unwrap_err();
        let kinds = [error.kind()].into_iter().chain(match error.kind() {
            ErrorKind::TimedOut { last, .. } => last.as_ref().map(|last| last.kind()),
            _ => None,
        });
        assert!(kinds.into_iter().any(|kind| matches!(kind, ErrorKind::Unsupported { .. })), "{error:?}");
        assert!(sim.requests(ApiKey::ApiVersions) < 100, "it spins");
    });
}

/// Newest Produce beside the oldest Metadata: each API in the version that both know.
#[test]
fn scenario_n7_high_produce_and_low_metadata_versions() {
    three_nodes(2).run(|sim| async move {
        sim.alter(ApiKey::ApiVersions, u32::MAX, |response| {
            let ResponseKind::ApiVersions(versions) = response else { panic!("{response:?}") };
            let metadata = versions.api_keys.iter_mut().find(|k| k.api_key == ApiKey::Metadata.code());
            metadata.unwrap().max_version = 1;
        });
        sim.record(ApiKey::Metadata);
        sim.record(ApiKey::Produce);
        let client = sim.client().connect().await.unwrap();
        let writer = client.writer("t").build().unwrap();
        writer.write_all(["x", "y"].map(|value| Message::new(value).key(value))).await.unwrap();
        assert_eq!(sim.log("t", 0).len() + sim.log("t", 1).len(), 2);
        assert!(sim.recorded(ApiKey::Metadata).iter().all(|asked| asked.version() <= 1));
        // Without topic ids in metadata there is none to be named by.
        assert!(sim.recorded(ApiKey::Produce).iter().all(|asked| asked.version() <= 12));
    });
}

/// The broker asks for longer silence than any request may take: nothing is sent into it, so nothing times out, and it is
/// counted.
#[test]
fn scenario_n8_silence_longer_than_the_request_timeout() {
    three_nodes(1).run(|sim| async move {
        let client = sim.client().request_timeout(secs(3)).connect().await.unwrap();
        let writer = one_by_one(&client).build().unwrap();
        sim.fault(ApiKey::Produce, 1, Fault::Throttle(secs(20)));
        writer.write_all([to(0, "a")]).await.unwrap();
        let (begun, asked) = (sim.elapsed(), sim.requests(ApiKey::Produce));
        let delivery = writer.send(to(0, "b")).await.unwrap();
        sim.sleep(secs(19)).await;
        assert_eq!(sim.requests(ApiKey::Produce), asked, "something was sent into the silence");
        delivery.await.unwrap();
        let took = sim.elapsed() - begun;
        assert!(took > secs(19) && took < secs(21), "{took:?}");
        let stats = client.stats();
        assert_eq!((stats.throttled, stats.connection_failures), (1, 0), "{stats:?}");
        assert_eq!(writer.stats().retries, 0);
    });
}

/// An hour without anything to do: a writer, a reader and a member of a group wake up for heartbeats, refreshes and the
/// answers of long polls, and for nothing else.
#[test]
fn scenario_n14_an_idle_hour() {
    three_nodes(6).run(|sim| async move {
        let (beats, polls, refreshes) = (secs(3), secs(30), secs(300));
        let client = sim.client().metadata_max_age(refreshes).request_timeout(secs(60));
        let client = client.connections_max_idle(secs(7200)).connect().await.unwrap();
        let writer = client.writer("t").build().unwrap();
        let all = numbers(0..60).into_iter().map(|n| Message::new(n.clone()).key(n));
        writer.write_all(all).await.unwrap();
        let member = client.reader("t").group("g").reset(Reset::First).heartbeat_interval(beats);
        let member = member.max_wait(polls).build().unwrap();
        let reader = client.reader("t").max_wait(polls).build().unwrap();
        for mut reader in [member, reader] {
            sim.spawn(async move { while reader.fetch().await.unwrap().is_some() {} });
        }
        sim.sleep(secs(120)).await;
        let counts = || {
            [ApiKey::Heartbeat, ApiKey::Metadata, ApiKey::Fetch, ApiKey::Produce, ApiKey::ApiVersions]
                .map(|api| sim.requests(api))
        };
        let (before, woken) = (counts(), sim.polls());
        sim.sleep(secs(3600)).await;
        let asked: Vec<u64> = counts().iter().zip(before).map(|(after, before)| after - before).collect();
        let [heartbeats, metadata, fetches, produced, connects] = asked[..] else { panic!("{asked:?}") };
        assert!((1190..=1200).contains(&heartbeats), "{asked:?}");
        assert_eq!(metadata, 12, "{asked:?}");
        assert!((6 * 118..=6 * 120).contains(&fetches), "{asked:?}");
        assert_eq!((produced, connects), (0, 0));
        // A request by a timer is four polls, one that follows an answer two: see the unit tests of the simulator.
        let woken = sim.polls() - woken;
        assert!(woken <= 4 * (heartbeats + metadata) + 2 * fetches + 10, "{woken} polls, {asked:?}");
    });
}

/// Nothing goes wrong on an idle topic, so nothing is told.
#[test]
fn promise_23_an_idle_topic_tells_of_no_error() {
    three_nodes(1).run(|sim| async move {
        // Brokers close idle connections before the client does.
        let client = sim.client().connections_max_idle(secs(3600)).connect().await.unwrap();
        let mut reader = client.reader("t").build().unwrap();
        for _ in 0..20 {
            let told = sim.within(secs(60), reader.next_event()).await;
            assert!(told.is_none(), "{told:?}");
            (0..3).for_each(|node| sim.with(|cluster, _| cluster.close_on_next_request(node)));
        }
        let writer = client.writer("t").build().unwrap();
        writer.write_all([to(0, "x")]).await.unwrap();
        assert!(sim.within(secs(1), reader.fetch()).await.unwrap().unwrap().is_some());
    });
}
