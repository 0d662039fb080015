//! The client without a runtime and without a thread: one loop over plain non-blocking sockets.
//!
//! It creates a topic, writes messages, reads them in a group, commits them and closes:
//!
//! ```sh
//! cargo run -p kafka-core --example by_hand -- localhost:9092
//! ```
//!
//! This file is what an application does; the loop around the client is in `program.rs`.

mod program;

use kafka_core::sans_io::{ReadFrom, Reader, ReaderEvent, Target, TrySendError, TrySendReason, Writer};
use kafka_core::{ErrorCode, GroupConfig, Message, ReaderConfig, Record, Start, WriterConfig};
use kafka_proto::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use program::Program;
use std::sync::Arc;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const TOPIC: &str = "by-hand";
const GROUP: &str = "by-hand-readers";
const MESSAGES: usize = 10;

fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "localhost:9092".to_owned());
    for record in run(&address)? {
        println!("partition {}, offset {}: {:?}", record.partition, record.offset, record.value);
    }
    Ok(())
}

/// Returns what was read and committed.
pub(crate) fn run(address: &str) -> Result<Vec<Record>> {
    let mut program = Program::new(address)?;
    create_topic(&mut program)?;
    write(&mut program)?;
    let records = read(&mut program)?;
    close(&mut program)?;
    Ok(records)
}

fn create_topic(program: &mut Program) -> Result<()> {
    let topic = CreatableTopic {
        name: TOPIC.into(),
        num_partitions: 3,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..CreateTopicsRequest::default() };
    let now = program.now();
    let call = program.client.call(now, Target::Controller, request, None);
    let response = program.until(|client, _| call.take(client))?;
    for topic in response.topics {
        match ErrorCode::from(topic.error_code) {
            ErrorCode::None | ErrorCode::TopicAlreadyExists => {}
            refused => return Err(format!("{TOPIC} cannot be created: {refused}").into()),
        }
    }
    Ok(())
}

fn write(program: &mut Program) -> Result<()> {
    let now = program.now();
    let config = WriterConfig { topic: Some(TOPIC.into()), ..WriterConfig::default() };
    let writer = Writer::new(program.client.at(now), config)?;
    let mut deliveries = Vec::new();
    for n in 0..MESSAGES {
        let mut message = Some(Message::new(format!("message {n}")).key(n.to_string()));
        // A message that finds no room, or a topic that is not known yet, comes back and is tried again.
        deliveries.push(program.until(
            |client, now| match writer.try_send(client.at(now), message.take()?) {
                Ok(delivery) => Some(Ok(delivery)),
                Err(TrySendError { reason: TrySendReason::Failed(error), .. }) => Some(Err(error)),
                Err(later) => {
                    message = Some(*later.message);
                    None
                }
            },
        )?);
    }
    for delivery in deliveries {
        program.until(|_, _| delivery.try_get())?;
    }
    let now = program.now();
    writer.end(program.client.at(now));
    Ok(())
}

fn read(program: &mut Program) -> Result<Vec<Record>> {
    let now = program.now();
    let group = Arc::new(GroupConfig::new(GROUP));
    let from = ReadFrom::Group(group, TOPIC.into(), Start::First);
    let mut reader = Reader::new(program.client.at(now), ReaderConfig::default(), from)?;
    let mut records = Vec::new();
    while records.len() < MESSAGES {
        match program.until(|client, now| reader.next(client.at(now)))? {
            ReaderEvent::Record(record) => records.push(record),
            event => eprintln!("{event:?}"), // rebalances are values in the stream
        }
    }
    let now = program.now();
    if let Some(commit) = reader.commit(program.client.at(now), &records)? {
        program.until(|client, _| commit.take(client))?;
    }
    Ok(records)
}

fn close(program: &mut Program) -> Result<()> {
    let begun = program.now();
    let mut closing = program.client.begin_close(begun);
    program.until(|client, _| closing.is_done(client).then_some(()));
    let now = program.now();
    let report = closing.finish(&mut program.client, now, now.time - begun.time);
    program.close_connections();
    if report.is_clean() { Ok(()) } else { Err(format!("{report:?}").into()) }
}
