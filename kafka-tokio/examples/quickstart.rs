//! Writes a million messages, reads them back through a consumer group of two, and checks every one:
//! `cargo run --release -p kafka-tokio --example quickstart -- --help`

use clap::Parser;
use kafka_testkit::quickstart::{self, Args, Failure, Run, Uncommitted};
use kafka_tokio::{Client, Delivery, Event, NewTopic, Reset, Start, Writer};
use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Deliveries of a task that are waited for later.
const WINDOW: usize = 50_000;
const DEADLINE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    quickstart::run(Args::parse(), |run| tokio::runtime::Runtime::new()?.block_on(drive(run)))
}

pub(crate) async fn drive(run: Arc<Run>) -> Result<(), Failure> {
    let args = run.args();
    let builder = kafka_tokio::builder(run.brokers()).client_id("quickstart");
    #[cfg(feature = "record")]
    let builder = match &args.record {
        Some(path) => builder.record(path),
        None => builder,
    };
    #[cfg(not(feature = "record"))]
    if args.record.is_some() {
        return Err(std::io::Error::other("to record, the feature `record` is needed").into());
    }
    let client = builder.connect().await?;
    let replicas = run.replication_factor(client.describe_cluster().await?.brokers.len());
    let topic = NewTopic::new(args.topic.as_str(), args.partitions).replication_factor(replicas);
    client.create_topic(topic).await?;
    run.check_partitions(client.topic(args.topic.as_str()).await?.partitions.len())?;

    let writer = client.writer(args.topic.as_str());
    let writer = writer.compression(args.compression.into()).acks(args.acks.into()).build()?;
    let mut tasks = JoinSet::new();
    for ids in run.shares() {
        tasks.spawn(write(run.clone(), writer.clone(), ids));
    }
    all_ok(tasks).await?;

    let mut ends = Vec::new();
    for partition in 0..args.partitions {
        let end = client.list_offset(args.topic.as_str(), partition, Start::Last).await?;
        ends.push(end.unwrap_or(0));
    }
    run.begin_reading(&ends);
    let mut members = JoinSet::new();
    for _ in 0..2 {
        members.spawn(read(run.clone(), client.clone()));
    }
    all_ok(members).await?;

    client.degraded().iter().for_each(|error| run.note(error));
    client.close(DEADLINE).await;
    Ok(())
}

async fn write(run: Arc<Run>, writer: Writer, ids: impl Iterator<Item = u64>) -> Result<(), Failure> {
    let mut window: VecDeque<(u64, Delivery)> = VecDeque::new();
    for id in ids {
        if window.len() == WINDOW
            && let Some((id, delivery)) = window.pop_front()
        {
            run.acked(id, &delivery.await?);
        }
        window.push_back((id, writer.send(run.message(id)).await?));
    }
    for (id, delivery) in window {
        run.acked(id, &delivery.await?);
    }
    Ok(())
}

async fn read(run: Arc<Run>, client: Client) -> Result<(), Failure> {
    let reader = client.reader(run.args().topic.as_str()).group(run.group()).reset(Reset::First);
    let mut reader = reader.build()?;
    let mut handled = Uncommitted::default();
    while let Some(event) = run.until_read(reader.next_event()).await {
        let due = match event? {
            Some(Event::Record(message)) => {
                run.read(&message)?;
                handled.add(message)
            }
            // The next call gives the partitions up; what is committed by then is nobody's to read again.
            Some(Event::Revoking { .. }) => true,
            Some(_) => false,
            None => break,
        };
        if due {
            let committed = reader.commit(&handled.take()).await;
            handled.committed(committed)?;
        }
    }
    let committed = reader.commit(&handled.take()).await;
    handled.committed(committed)?;
    run.end_reading();
    Ok(reader.close(DEADLINE).await.into_result()?)
}

async fn all_ok(mut tasks: JoinSet<Result<(), Failure>>) -> Result<(), Failure> {
    while let Some(task) = tasks.join_next().await {
        task.map_err(std::io::Error::other)??;
    }
    Ok(())
}
