//! Writes a million messages, reads them back through a consumer group of two, and checks every one:
//! `cargo run --release -p kafka-blocking --example quickstart -- --help`

use clap::Parser;
use kafka_blocking::{Client, Delivery, ErrorKind, Event, NewTopic, Reset, Start, Writer};
use kafka_testkit::quickstart::{self, Args, Failure, Run, Uncommitted};
use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// Deliveries of a thread that are waited for later.
const WINDOW: usize = 50_000;
const DEADLINE: Duration = Duration::from_secs(30);
/// How often a member that has nothing to read looks whether the other is done.
const LOOK: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    quickstart::run(Args::parse(), drive)
}

pub(crate) fn drive(run: Arc<Run>) -> Result<(), Failure> {
    let args = run.args();
    let client = kafka_blocking::builder(run.brokers()).client_id("quickstart").connect()?;
    let replicas = run.replication_factor(client.describe_cluster()?.brokers.len());
    let topic = NewTopic::new(args.topic.as_str(), args.partitions).replication_factor(replicas);
    client.create_topic(topic)?;
    run.check_partitions(client.topic(args.topic.as_str())?.partitions.len())?;

    let writer = client.writer(args.topic.as_str());
    let writer = writer.compression(args.compression.into()).acks(args.acks.into()).build()?;
    all_ok(run.shares().map(|ids| {
        let (run, writer) = (run.clone(), writer.clone());
        move || write(&run, &writer, ids)
    }))?;

    let mut ends = Vec::new();
    for partition in 0..args.partitions {
        let end = client.list_offset(args.topic.as_str(), partition, Start::Last)?;
        ends.push(end.unwrap_or(0));
    }
    run.begin_reading(&ends);
    all_ok((0..2).map(|_| {
        let (run, client) = (run.clone(), client.clone());
        move || read(&run, &client)
    }))?;

    client.degraded().iter().for_each(|error| run.note(error));
    client.close(DEADLINE);
    Ok(())
}

fn write(run: &Run, writer: &Writer, ids: impl Iterator<Item = u64>) -> Result<(), Failure> {
    let mut window: VecDeque<(u64, Delivery)> = VecDeque::new();
    for id in ids {
        if window.len() == WINDOW
            && let Some((id, delivery)) = window.pop_front()
        {
            run.acked(id, &delivery.wait()?);
        }
        window.push_back((id, writer.send(run.message(id))?));
    }
    for (id, delivery) in window {
        run.acked(id, &delivery.wait()?);
    }
    Ok(())
}

fn read(run: &Run, client: &Client) -> Result<(), Failure> {
    let reader = client.reader(run.args().topic.as_str()).group(run.group()).reset(Reset::First);
    let mut reader = reader.build()?;
    let mut handled = Uncommitted::default();
    while !run.is_read() {
        let due = match reader.next_event_within(LOOK) {
            Ok(Some(Event::Record(message))) => {
                run.read(&message)?;
                handled.add(message)
            }
            // The next call gives the partitions up; what is committed by then is nobody's to read again.
            Ok(Some(Event::Revoking { .. })) => true,
            Ok(Some(_)) => false,
            Ok(None) => break,
            Err(error) if matches!(error.kind(), ErrorKind::TimedOut { .. }) => false,
            Err(error) => return Err(error.into()),
        };
        if due {
            let committed = reader.commit(&handled.take());
            handled.committed(committed)?;
        }
    }
    let committed = reader.commit(&handled.take());
    handled.committed(committed)?;
    run.end_reading();
    Ok(reader.close(DEADLINE).into_result()?)
}

/// Runs each in a thread of its own, until all are done or one has failed.
fn all_ok(
    works: impl Iterator<Item = impl FnOnce() -> Result<(), Failure> + Send + 'static>,
) -> Result<(), Failure> {
    let (done, results) = channel();
    for work in works {
        let done = done.clone();
        // Nobody is left to be told where another has failed.
        thread::spawn(move || drop(done.send(work())));
    }
    drop(done);
    results.into_iter().collect()
}
