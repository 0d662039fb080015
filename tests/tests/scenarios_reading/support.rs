//! What the scenarios share: simulations, messages with numbers, members of a group.

use kafka_core::{ErrorKind, Event, Manual, Message, Reader, ReaderBuilder, Record, Reset};
use kafka_testkit::sim::{SimClient, Simulation};
use std::ops::Range;
use std::time::Duration;

#[path = "../simulated/mod.rs"]
mod simulated;
pub(crate) use simulated::{ms, secs, three_nodes};

pub(crate) const GROUP: &str = "g";

pub(crate) async fn connected(sim: &Simulation) -> SimClient {
    sim.client().connect().await.unwrap()
}

/// Writes these numbers to a partition of `t`.
pub(crate) async fn fill(client: &SimClient, partition: i32, numbers: Range<i64>) {
    let writer = client.writer("t").balancer(Manual).batch_messages(10).build().unwrap();
    let messages = numbers.map(|number| Message::new(number.to_string()).partition(partition));
    writer.write_all(messages).await.unwrap();
}

/// The number that [`fill`] wrote.
pub(crate) fn number(message: &Record) -> i64 {
    std::str::from_utf8(message.value.as_deref().unwrap()).unwrap().parse().unwrap()
}

/// The next message; other events are passed over.
pub(crate) async fn message(reader: &mut Reader) -> Record {
    reader.fetch().await.unwrap().unwrap()
}

pub(crate) async fn messages(reader: &mut Reader, count: usize) -> Vec<Record> {
    let mut all = Vec::new();
    while all.len() < count {
        all.push(message(reader).await);
    }
    all
}

/// A member of the group, with a session of 10 s and 10 s for a rebalance.
pub(crate) fn member(client: &SimClient) -> ReaderBuilder {
    let reader = client.reader("t").group(GROUP).reset(Reset::First);
    reader.session_timeout(secs(10)).rebalance_timeout(secs(10))
}

/// What the group has committed for a partition of `t`.
pub(crate) fn committed(sim: &Simulation, partition: i32) -> Option<i64> {
    sim.with(|cluster, _| cluster.committed(GROUP, "t", partition))
}

/// The node that coordinates the group.
pub(crate) fn coordinator(sim: &Simulation) -> i32 {
    sim.with(|cluster, _| cluster.coordinator(GROUP)).unwrap()
}

/// Takes what a member has to tell until it is silent for so long, as an application that answers at once.
pub(crate) async fn events(sim: &Simulation, reader: &mut Reader, silence: Duration) -> Vec<Event> {
    let mut all = Vec::new();
    while let Some(event) = sim.within(silence, reader.next_event()).await {
        all.push(event.unwrap().unwrap());
    }
    all
}

/// The numbers of the messages among events.
pub(crate) fn numbers(events: &[Event]) -> Vec<i64> {
    let number = |event: &Event| match event {
        Event::Record(message) => Some(number(message)),
        _ => None,
    };
    events.iter().filter_map(number).collect()
}

/// The kinds of the events that are no messages; that nothing was committed yet is no news.
pub(crate) fn kinds(events: &[Event]) -> Vec<&'static str> {
    let kind = |event: &Event| match event {
        Event::Record(_) => None,
        Event::Notice(error) if *error.kind() == ErrorKind::NoOffset => None,
        Event::Assigned { .. } => Some("assigned"),
        Event::Revoking { .. } => Some("revoking"),
        Event::Lost { .. } => Some("lost"),
        Event::Notice(_) => Some("notice"),
        _ => Some("another"),
    };
    events.iter().filter_map(kind).collect()
}
