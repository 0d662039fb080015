//! What only the embedded cluster can tell: how many requests something takes, and old releases.

use crate::adapter::Adapter;
use crate::target::{LONG, Target, unique};
use crate::tools::{message, number, numbered, read, write};
use kafka_core::{Manual, Reset};
use kafka_proto::ApiKey;
use kafka_testkit::Cluster;
use std::time::Duration;

pub(crate) async fn an_idle_client_keeps_quiet<A: Adapter>(target: &Target) {
    let cluster = target.embedded();
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "idle", 6).await;
    let writer = client.writer(topic.clone()).build().unwrap();
    write(&writer, numbered(10, 0..10)).await;
    // A connection that failed is followed by a refresh of the metadata.
    let mut before = cluster.counters();
    loop {
        A::sleep(Duration::from_millis(500)).await;
        let now = cluster.counters();
        if std::mem::replace(&mut before, now.clone()) == now {
            break;
        }
    }
    // No reader: no request at all.
    A::sleep(Duration::from_millis(1500)).await;
    assert_eq!(cluster.counters(), before, "an idle writer asked something");
    // A member with nothing to read: heartbeats, and fetches that the brokers hold.
    let reader = client.reader(topic).group(unique("group")).reset(Reset::First);
    let reader = reader.heartbeat_interval(Duration::from_millis(500)).max_wait(Duration::from_millis(500));
    let mut reader = reader.build().unwrap();
    read(&mut reader, 10).await;
    let idle = reader.fetch_within::<A>(Duration::from_millis(1000)).await;
    assert!(idle.is_none());
    let before = cluster.counters();
    let idle = reader.fetch_within::<A>(Duration::from_millis(2000)).await;
    assert!(idle.is_none());
    let after = cluster.counters();
    let more = |api| after.requests(api) - before.requests(api);
    // Four intervals, and one that begins or ends in them.
    assert!(more(ApiKey::Heartbeat) <= 5, "{} heartbeats", more(ApiKey::Heartbeat));
    assert!(more(ApiKey::Fetch) <= 3 * 5, "{} fetches by three brokers", more(ApiKey::Fetch));
    for api in [
        ApiKey::Metadata,
        ApiKey::ListOffsets,
        ApiKey::OffsetFetch,
        ApiKey::FindCoordinator,
        ApiKey::OffsetCommit,
    ] {
        assert_eq!(more(api), 0, "{api:?}");
    }
    reader.close(LONG).await.into_result().unwrap();
}

pub(crate) async fn one_busy_partition_among_idle_ones<A: Adapter>(target: &Target) {
    let cluster = target.embedded();
    let mut fetches = Vec::new();
    for partitions in [1, 101] {
        let client = target.client::<A>().await;
        let topic = target.topic(&client, "busy", partitions).await;
        let writer = client.writer(topic.clone()).balancer(Manual).build().unwrap();
        // If the busy partition had to wait for the others' long poll, this would take the watchdog's time and more.
        let mut reader = client.reader(topic).max_wait(Duration::from_secs(5)).build().unwrap();
        write(&writer, numbered(1, 0..1).map(|m| m.partition(0))).await;
        assert_eq!(number(&message(&mut reader).await), 0);
        let before = cluster.requests(ApiKey::Fetch);
        for n in 1..200 {
            write(&writer, numbered(1, n..n + 1).map(|m| m.partition(0))).await;
            assert_eq!(number(&message(&mut reader).await), n);
        }
        fetches.push(cluster.requests(ApiKey::Fetch) - before);
        reader.close(LONG).await.into_result().unwrap();
    }
    assert!(fetches[1] <= fetches[0] * 2 + 20, "{fetches:?} fetches for the same messages");
}

pub(crate) async fn old_releases<A: Adapter>(_: &Target) {
    for release in
        ["0.10.0", "0.10.2", "0.11.0", "1.1", "2.0", "2.3", "2.4", "2.8", "3.0", "3.9", "4.0", "4.4"]
    {
        println!("{release}");
        let cluster = Cluster::builder().nodes(3).kafka_version(release).topic("old", 3).start().unwrap();
        let client = A::client(&cluster.bootstrap()).connect().await.unwrap();
        let writer = client.writer("old").build().unwrap();
        write(&writer, numbered(10, 0..100)).await;
        let mut at = 0;
        for count in [60, 40] {
            let mut reader = client.reader("old").group("group").reset(Reset::First).build().unwrap();
            let messages = read(&mut reader, count).await;
            reader.commit(&messages).await.unwrap();
            reader.close(LONG).await.into_result().unwrap();
            at += count;
            let committed: i64 = (0..3).filter_map(|p| cluster.committed("group", "old", p)).sum();
            assert_eq!(committed, at as i64, "{release}");
        }
        assert_eq!(
            client.degraded().is_empty(),
            !release.starts_with("0.10"),
            "{release}: {:?}",
            client.degraded()
        );
    }
}

pub(crate) async fn a_member_comes_back_after_any_heartbeat_error<A: Adapter>(target: &Target) {
    use kafka_core::ErrorCode;
    let cluster = target.embedded();
    let client = target.client::<A>().await;
    let (topic, group) = (target.topic(&client, "storm", 2).await, unique("group"));
    let writer = client.writer(topic.clone()).build().unwrap();
    let reader = client.reader(topic.clone()).group(group).reset(Reset::First);
    // The broker does not know that the member believes to be unknown, and waits for its session to end.
    let reader = reader.session_timeout(Duration::from_secs(1)).rebalance_timeout(Duration::from_secs(2));
    let mut reader = reader.heartbeat_interval(Duration::from_millis(50)).build().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let mut count = 0;
    for error in [
        ErrorCode::RebalanceInProgress,
        ErrorCode::IllegalGeneration,
        ErrorCode::UnknownMemberId,
        ErrorCode::NotCoordinator,
        ErrorCode::CoordinatorLoadInProgress,
    ] {
        write(&writer, numbered(10, count..count + 20)).await;
        count += 20;
        cluster.fail_next(ApiKey::Heartbeat, error);
        while seen.len() < count {
            seen.insert(number(&message(&mut reader).await));
        }
        A::sleep(Duration::from_millis(100)).await;
    }
    // Whatever happened to the member: it is one again, and reads on.
    write(&writer, numbered(10, count..count + 20)).await;
    while seen.len() < count + 20 {
        seen.insert(number(&message(&mut reader).await));
    }
    reader.close(LONG).await.into_result().unwrap();
}
