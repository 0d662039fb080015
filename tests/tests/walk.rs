//! The first steps: write and read back on tokio.
use kafka_testkit::Cluster;
use kafka_tokio::{Message, NewTopic};

#[tokio::test(flavor = "multi_thread")]
async fn writes_and_reads_back() {
    let cluster = Cluster::builder().nodes(3).start().unwrap();
    let client = kafka_tokio::builder(&cluster.bootstrap()).connect().await.unwrap();
    client.create_topic(NewTopic::new("orders", 6).replication_factor(3)).await.unwrap();
    let writer = client.writer("orders").build().unwrap();
    let mut sent = Vec::new();
    for i in 0..10_000 {
        sent.push(
            writer.send(Message::new(format!("value {i}")).key(format!("key {}", i % 100))).await.unwrap(),
        );
    }
    writer.flush().await;
    for delivery in sent {
        delivery.await.unwrap();
    }
    let mut reader = client.reader("orders").build().unwrap();
    for _ in 0..10_000 {
        reader.fetch().await.unwrap().unwrap();
    }
    println!("{:?} {:?}", writer.stats(), client.stats());
    reader.close(std::time::Duration::from_secs(5)).await.into_result().unwrap();

    let mut member =
        client.reader("orders").group("billing").reset(kafka_tokio::Reset::First).build().unwrap();
    for i in 0..10_000 {
        let message = member.fetch().await.unwrap().unwrap();
        if i % 1000 == 0 {
            member.commit([&message]).await.unwrap();
        }
    }
    member.close(std::time::Duration::from_secs(5)).await.into_result().unwrap();
}
