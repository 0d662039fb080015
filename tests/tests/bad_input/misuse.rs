//! Calls in an order, or with something, that makes no sense.

use crate::support::{client, explains, soon};
use kafka_core::runtime::Runtime;
use kafka_core::{Client, Error, ErrorKind, Event, Fault, Message, Reader, Record, Reset};
use kafka_proto::ApiKey;
use kafka_testkit::Cluster;
use std::time::Duration;

pub(crate) mod blocking;
pub(crate) mod tokio;

pub(crate) async fn use_after_close<R: Runtime>() {
    let cluster = Cluster::builder().topic("t", 1).start().unwrap();
    let client = client::<R>(&cluster.bootstrap()).connect().await.unwrap();
    let writer = client.writer("t").build().unwrap();
    let closed_writer = client.writer("t").build().unwrap();
    let mut reader = client.reader("t").build().unwrap();
    soon::<R, _>(writer.write_all([Message::new("x")])).await.unwrap();

    let closed = |error: &Error| {
        assert_eq!(*error.kind(), ErrorKind::Closed);
        explains(error, Fault::Caller, &[]);
    };
    assert!(soon::<R, _>(closed_writer.close(Duration::from_secs(5))).await.is_clean());
    closed(&soon::<R, _>(closed_writer.send(Message::new("y"))).await.unwrap_err().error);
    // Its client and the other writer go on.
    soon::<R, _>(writer.write_all([Message::new("z")])).await.unwrap();

    soon::<R, _>(client.close(Duration::from_secs(5))).await;
    closed(&soon::<R, _>(writer.send(Message::new("y"))).await.unwrap_err().error);
    closed(&soon::<R, _>(client.topic("t")).await.unwrap_err());
    closed(&soon::<R, _>(client.describe_cluster()).await.unwrap_err());
    while soon::<R, _>(reader.next_event()).await.unwrap().is_some() {}
    soon::<R, _>(reader.close(Duration::from_secs(5))).await.into_result().unwrap();
    assert!(soon::<R, _>(reader.next_event()).await.unwrap().is_none());
    assert_eq!(cluster.log("t", 0).len(), 2);
}

fn member(client: &Client, group: &str) -> Reader {
    client.reader("t").group(group.to_owned()).reset(Reset::First).build().unwrap()
}

async fn message<R: Runtime>(reader: &mut Reader) -> Record {
    soon::<R, _>(reader.fetch()).await.unwrap().unwrap()
}

/// A topic with a message, and a client.
async fn one_message<R: Runtime>() -> (Cluster, Client) {
    let cluster = Cluster::builder().topic("t", 1).start().unwrap();
    let client = client::<R>(&cluster.bootstrap()).connect().await.unwrap();
    let writer = client.writer("t").build().unwrap();
    soon::<R, _>(writer.write_all([Message::new("x")])).await.unwrap();
    (cluster, client)
}

fn stale(cluster: &Cluster, result: Result<(), Error>) {
    let error = result.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::StaleCommit);
    explains(&error, Fault::Caller, &[]);
    assert_eq!(cluster.requests(ApiKey::OffsetCommit), 0, "something was sent");
}

pub(crate) async fn commit_of_another_reader<R: Runtime>() {
    let (cluster, client) = one_message::<R>().await;
    let (mut one, mut two) = (member(&client, "one"), member(&client, "two"));
    let (of_one, of_two) = (message::<R>(&mut one).await, message::<R>(&mut two).await);
    stale(&cluster, soon::<R, _>(one.commit([&of_two])).await);
    stale(&cluster, soon::<R, _>(one.commit([&of_one, &of_two])).await);
    stale(&cluster, soon::<R, _>(one.commit([&Record::new("t", 0, 0)])).await);
    soon::<R, _>(one.commit([&of_one])).await.unwrap();
    assert_eq!((cluster.committed("one", "t", 0), cluster.committed("two", "t", 0)), (Some(1), None));
}

pub(crate) async fn commit_of_an_ended_assignment<R: Runtime>() {
    let (cluster, client) = one_message::<R>().await;
    let mut reader = member(&client, "g");
    let old = message::<R>(&mut reader).await;
    // Another member joins: what was assigned has to be given up.
    let _other = member(&client, "g");
    while !matches!(soon::<R, _>(reader.next_event()).await.unwrap(), Some(Event::Revoking { .. })) {}
    while !matches!(soon::<R, _>(reader.next_event()).await.unwrap(), Some(Event::Assigned { .. })) {}
    stale(&cluster, soon::<R, _>(reader.commit([&old])).await);
    assert_eq!(cluster.committed("g", "t", 0), None);
}

pub(crate) async fn commit_without_a_group<R: Runtime>() {
    let (_cluster, client) = one_message::<R>().await;
    let mut reader = client.reader("t").build().unwrap();
    let message = message::<R>(&mut reader).await;
    let error = soon::<R, _>(reader.commit([&message])).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Misuse(_)), "{error:?}");
    explains(&error, Fault::Caller, &["group"]);
}

pub(crate) async fn two_topics_or_none<R: Runtime>() {
    let (_cluster, client) = one_message::<R>().await;
    let (one, any) = (client.writer("t").build().unwrap(), client.writer_to_any().build().unwrap());
    for (writer, message) in [(one, Message::new("x").topic("t")), (any, Message::new("x"))] {
        let failed = soon::<R, _>(writer.send(message)).await.unwrap_err();
        assert!(matches!(failed.error.kind(), ErrorKind::InvalidMessage(_)), "{failed:?}");
        explains(&failed.error, Fault::Caller, &["topic"]);
    }
}
