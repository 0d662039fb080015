//! What only shows with a vendor's broker: the oddities one by one, and what they may cost.

use crate::adapter::{Adapter, OnTokio};
use crate::target::{LONG, Target, unique};
use crate::tools::{by_partition, numbered, read, read_all, write};
use kafka_core::{Acks, ErrorCode, Manual, Message, Reset};
use kafka_proto::ApiKey;
use kafka_testkit::Cluster;
use kafka_testkit::broker::{IdleCut, Profile};
use std::time::Duration;

/// A load balancer forgets a connection; what is sent over it then is answered with a reset.
pub(crate) async fn a_forgotten_connection_costs_one_attempt(_: &Target) {
    let cut = Duration::from_millis(600);
    let cluster = Cluster::builder().nodes(3).profile(Profile::Msk);
    let cluster = cluster.configure(|config| config.oddities = config.oddities.idle(IdleCut::Forget(cut)));
    let target = Target::Embedded(cluster.start().unwrap());
    let client = target.client::<OnTokio>().await;
    let topic = target.topic(&client, "forgotten", 3).await;
    let writer = client.writer(topic.clone()).build().unwrap();
    for round in 0..3 {
        let failures = client.stats().connection_failures;
        write(&writer, numbered(10, round * 30..round * 30 + 30)).await;
        let failures = client.stats().connection_failures - failures;
        assert!(failures <= 9, "{failures} connections of three brokers failed in round {round}");
        OnTokio::sleep(cut + cut / 2).await;
    }
    assert_eq!(read_all(&client, &topic).await.len(), 90);
}

/// Twenty batches that fit one by one, and together by far not.
pub(crate) async fn requests_shrink_to_what_the_broker_takes(target: &Target) {
    let client = target.client::<OnTokio>().await;
    let topic = target.topic(&client, "shrink", 20).await;
    let writer = client.writer(topic.clone()).balancer(Manual).build().unwrap();
    let large = |partition| Message::new(vec![b'x'; 990_000]).partition(partition);
    write(&writer, (0..20).map(large)).await;
    let failures = client.stats().connection_failures;
    assert!(failures < 20, "{failures} connections failed");
    // What a lost answer acknowledged is there twice, as the broker knows no sequences.
    let found = by_partition(&read_all(&client, &topic).await);
    assert!(found.keys().copied().eq(0..20), "{:?}", found.keys());
}

/// Three brokers, at three addresses: not a failure for each of the connections.
pub(crate) async fn an_old_proxy_fails_few_connections(target: &Target) {
    let client = target.client::<OnTokio>().await;
    let topic = target.topic(&client, "proxied", 6).await;
    let writer = client.writer(topic.clone()).build().unwrap();
    write(&writer, numbered(30, 0..300)).await;
    let learnt = client.stats().connection_failures;
    for group in 0..3 {
        let reader = client.reader(topic.clone()).group(unique(&format!("group-{group}")));
        let mut reader = reader.reset(Reset::First).build().unwrap();
        read(&mut reader, 300).await;
        reader.close(LONG).await.into_result().unwrap();
    }
    assert_eq!(client.stats().connection_failures, learnt);
    // Lanes to one address that connect at the same time find out at the same time.
    assert!(learnt <= 9, "{learnt}");
}

pub(crate) async fn writing_without_idempotence_is_told(target: &Target) {
    let client = target.client::<OnTokio>().await;
    let topic = target.topic(&client, "degraded", 1).await;
    let writer = client.writer(topic.clone()).build().unwrap();
    write(&writer, numbered(1, 0..10)).await;
    let log = target.embedded().log(&topic, 0);
    assert!(log.iter().all(|record| record.producer_id == -1));
    assert!(!client.degraded().is_empty());
}

/// The answers that nobody asked for cost no connection, and a writer beside notices nothing.
pub(crate) async fn acks_of_none_disturb_nobody(target: &Target) {
    let client = target.client::<OnTokio>().await;
    let topic = target.topic(&client, "unasked", 1).await;
    let none = client.writer(topic.clone()).acks(Acks::None).build().unwrap();
    let all = client.writer(topic.clone()).build().unwrap();
    write(&all, numbered(1, 0..1)).await;
    let failures = client.stats().connection_failures;
    for n in 0..10 {
        write(&none, numbered(1, n * 20..n * 20 + 20)).await;
        write(&all, numbered(1, 1000 + n..1001 + n)).await;
    }
    assert!(target.embedded().requests(ApiKey::Produce) > 20);
    assert_eq!(client.stats().connection_failures, failures);
}

/// A member that is told to join again, and null for its part, loses neither its connection nor records.
pub(crate) async fn null_assignments_break_no_connection(target: &Target) {
    let cluster = target.embedded();
    let client = target.client::<OnTokio>().await;
    let topic = target.topic(&client, "null", 6).await;
    let writer = client.writer(topic.clone()).build().unwrap();
    // Afterwards all brokers are known to close on newer ApiVersions.
    write(&writer, numbered(30, 0..30)).await;
    for error in [ErrorCode::RebalanceInProgress, ErrorCode::NotCoordinator] {
        let mut reader =
            client.reader(topic.clone()).group(unique("group")).reset(Reset::First).build().unwrap();
        let failures = client.stats().connection_failures;
        cluster.fail_next(ApiKey::SyncGroup, error);
        read(&mut reader, 30).await;
        assert_eq!(client.stats().connection_failures, failures, "{error:?}");
        reader.close(LONG).await.into_result().unwrap();
    }
}
