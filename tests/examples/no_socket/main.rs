//! The client's state machine against the broker's, with nothing between them but bytes that are passed on: no socket, no thread, no
//! clock. Time passes only where nothing else is left to do, so that each run is the same and a wait takes no time.
//!
//! This file is what an application does; what passes the bytes on is in `world.rs`.
//!
//! ```sh
//! cargo run -p kafka-testkit --example no_socket
//! ```

mod world;

use kafka_core::sans_io::{ReadFrom, Reader, ReaderEvent, Target, TrySendError, TrySendReason, Writer};
use kafka_core::{GroupConfig, Message, ReaderConfig, Start, WriterConfig};
use kafka_proto::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use std::sync::Arc;
use std::time::Duration;
use world::World;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let (values, elapsed) = run()?;
    println!("{values:?} were read after {elapsed:?} that nobody waited for");
    Ok(())
}

/// Returns what was read, and how much time has passed.
pub(crate) fn run() -> Result<(Vec<String>, Duration)> {
    let mut world = World::new()?;
    let now = world.now();

    let topic = CreatableTopic {
        name: "orders".into(),
        num_partitions: 3,
        replication_factor: 3,
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() };
    let call = world.client.call(now, Target::Controller, request, None);
    let response = world.until(|client, _| call.take(client))?;
    assert_eq!(response.topics[0].error_code, 0, "{response:?}");

    let config = WriterConfig { topic: Some("orders".into()), ..WriterConfig::default() };
    let writer = Writer::new(world.client.at(now), config)?;
    for n in 0..5 {
        let mut message = Some(Message::new(format!("order {n}")));
        let delivery = world.until(|client, now| match writer.try_send(client.at(now), message.take()?) {
            Ok(delivery) => Some(Ok(delivery)),
            Err(TrySendError { reason: TrySendReason::Failed(error), .. }) => Some(Err(error)),
            Err(later) => {
                message = Some(*later.message);
                None
            }
        })?;
        world.until(|_, _| delivery.try_get())?;
    }

    let from = ReadFrom::Group(Arc::new(GroupConfig::new("billing")), "orders".into(), Start::First);
    let now = world.now();
    let mut reader = Reader::new(world.client.at(now), ReaderConfig::default(), from)?;
    let mut values = Vec::new();
    while values.len() < 5 {
        let event = world.until(|client, now| reader.next(client.at(now)))?;
        let ReaderEvent::Record(record) = event else { continue };
        values.push(String::from_utf8(record.value.clone().unwrap_or_default().to_vec())?);
        let now = world.now();
        reader.mark(world.client.at(now), [&record])?;
    }

    let begun = world.now();
    let mut closing = world.client.begin_close(begun);
    world.until(|client, _| closing.is_done(client).then_some(()));
    let now = world.now();
    let report = closing.finish(&mut world.client, now, now.time - begun.time);
    assert!(report.is_clean(), "{report:?}");
    let committed = (0..3).filter_map(|partition| world.broker.committed("billing", "orders", partition));
    assert_eq!(committed.sum::<i64>(), 5, "what was marked is committed");
    Ok((values, world.time))
}
