//! Writes a million messages, reads them back through a consumer group of two, and checks every one:
//! `cargo run --release -p kafka-smol --example quickstart -- --help`

use clap::{Parser, ValueEnum};
use kafka_smol::{
    AsyncIo, AsyncStdTasks, Client, Delivery, Event, NewTopic, Reset, SmolTasks, Spawn, Start, Writer,
};
use kafka_testkit::quickstart::{self, Args, Failure, Run, Uncommitted, all_ok};
use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Deliveries of a task that are waited for later.
const WINDOW: usize = 50_000;
const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Parser)]
struct SmolArgs {
    /// Whose tasks the client runs in
    #[arg(long, value_enum, default_value_t = Runtime::Smol)]
    runtime: Runtime,
    #[command(flatten)]
    args: Args,
}

#[derive(Clone, Copy, ValueEnum)]
enum Runtime {
    Smol,
    AsyncStd,
}

fn main() -> ExitCode {
    let SmolArgs { runtime, args } = SmolArgs::parse();
    quickstart::run(args, |run| match runtime {
        Runtime::Smol => smol::block_on(drive::<SmolTasks>(run)),
        Runtime::AsyncStd => async_std::task::block_on(drive::<AsyncStdTasks>(run)),
    })
}

pub(crate) async fn drive<S: Spawn>(run: Arc<Run>) -> Result<(), Failure> {
    let args = run.args();
    let client = AsyncIo::new(S::current()?).builder(run.brokers()).client_id("quickstart").connect().await?;
    let replicas = run.replication_factor(client.describe_cluster().await?.brokers.len());
    let topic = NewTopic::new(args.topic.as_str(), args.partitions).replication_factor(replicas);
    client.create_topic(topic).await?;
    run.check_partitions(client.topic(args.topic.as_str()).await?.partitions.len())?;

    let writer = client.writer(args.topic.as_str());
    let writer = writer.compression(args.compression.into()).acks(args.acks.into()).build()?;
    all_ok(run.shares().map(|ids| write(&run, writer.clone(), ids))).await?;

    let mut ends = Vec::new();
    for partition in 0..args.partitions {
        let end = client.list_offset(args.topic.as_str(), partition, Start::Last).await?;
        ends.push(end.unwrap_or(0));
    }
    run.begin_reading(&ends);
    all_ok((0..2).map(|_| read(&run, &client))).await?;

    client.degraded().iter().for_each(|error| run.note(error));
    client.close(DEADLINE).await;
    Ok(())
}

async fn write(run: &Run, writer: Writer, ids: impl Iterator<Item = u64>) -> Result<(), Failure> {
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

async fn read(run: &Run, client: &Client) -> Result<(), Failure> {
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
