//! The table of events is what is told: names, levels, fields. And the machine tells it.

use super::Told as Kept;
use super::*;
use crate::address::Address;
use crate::client::{Action, Client, Input};
use crate::config::ClientConfig;
use crate::error::ErrorKind;
use crate::group::GroupEvent;
use crate::link::{Answered, ConnId};
use crate::machine::{Now, Time};
use crate::snapshot::Partition;
use crate::snapshot::Topic;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use kafka_proto::messages::metadata::MetadataResponse;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber, subscriber};

fn epoch() -> Time {
    Time::START
}

/// Keeps what it is told.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<Told>>>);

#[derive(Clone, Debug, PartialEq)]
struct Told {
    name: &'static str,
    level: Level,
    fields: Vec<(&'static str, String)>,
}

impl Told {
    fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value)
    }
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.push((field.name(), format!("{value:?}")));
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "kafka"
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut told = Told { name: metadata.name(), level: *metadata.level(), fields: Vec::new() };
        event.record(&mut told);
        self.0.lock().unwrap().push(told);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn told_by(run: impl FnOnce()) -> Vec<Told> {
    let listener = Listener::default();
    subscriber::with_default(listener.clone(), run);
    listener.0.lock().unwrap().clone()
}

fn emit_all(traces: &mut Traces) {
    std::iter::from_fn(|| traces.pop()).for_each(Trace::emit);
}

/// Name, level and fields of an event, as the table has them.
type Row = (String, String, BTreeSet<String>);

fn table() -> Vec<Row> {
    let rows = include_str!("../trace.rs").lines().filter_map(|line| line.strip_prefix("//! | `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_end_matches('`')).collect();
        let fields = cells[2].split(',').map(|field| field.trim().trim_matches('`').to_owned());
        (cells[0].to_owned(), cells[1].to_owned(), fields.collect())
    })
    .collect()
}

fn row(told: &Told) -> Row {
    let fields = told.fields.iter().map(|(name, _)| (*name).to_owned()).filter(|name| name != "message");
    (told.name.to_owned(), told.level.to_string(), fields.collect())
}

fn topic(leaders: &[(i32, i32)]) -> Topic {
    let partition = |&(leader, leader_epoch): &(i32, i32)| Partition {
        leader: (leader >= 0).then_some(leader),
        leader_epoch: Some(leader_epoch),
        replicas: Vec::new(),
        isr: Vec::new(),
        offline: Vec::new(),
    };
    let partitions = leaders.iter().map(partition).collect();
    Topic { name: "orders".into(), id: kafka_proto::Uuid::ZERO, is_internal: false, partitions }
}

#[test]
fn each_event_is_as_the_table_says() {
    let error = Error::of_code(ErrorCode::NotLeaderOrFollower);
    let wait = Duration::from_millis(100);
    let (broker, lane) = (|| "1 at b:9092".to_owned(), "Produce".to_owned());
    let topic = || Str::from_static("orders");
    let told = told_by(|| {
        let mut traces = Traces::default();
        traces.push(|| Kept::Connected { broker: broker(), lane: lane.clone() });
        let lost = ConnectionError::Refused;
        traces.push(|| Kept::ConnectionLost {
            broker: broker(),
            lane: lane.clone(),
            error: lost,
            retry: wait,
        });
        let (api, retry) = (ApiKey::Metadata, wait);
        traces.push(|| Kept::CallRetried { api, attempt: 1, error: error.clone(), retry });
        traces.push(|| Kept::BatchRetried {
            topic: topic(),
            partition: 0,
            attempt: 1,
            error: error.clone(),
            retry,
        });
        let fate = Fate::PossiblyWritten;
        traces.push(|| Kept::BatchFailed {
            topic: topic(),
            partition: 0,
            records: 10,
            fate,
            error: error.clone(),
        });
        traces.push(|| Kept::LeaderMoved { topic: topic(), partition: 0, leader: 2, leader_epoch: 7 });
        traces.push(|| Kept::Throttled { broker: broker(), lane: lane.clone(), silence: wait });
        for event in [
            GroupEvent::Assigned { assignment: 1, generation: 3, partitions: Vec::new() },
            GroupEvent::AssignedMore { assignment: 1, partitions: Vec::new() },
            GroupEvent::Revoking { assignment: 1, deadline: epoch() },
            GroupEvent::Lost { assignment: 1, error: error.clone() },
            GroupEvent::Failed(error.clone()),
            GroupEvent::Notice(error.clone()),
            GroupEvent::Left,
        ] {
            traces.group(&"g".into(), &event);
        }
        let (kept, limit, lasted) = (2, 1, wait);
        traces.push(|| Kept::BufferKept(Error::new(ErrorKind::BufferKept { kept, limit, lasted })));
        emit_all(&mut traces);
        let kind = ErrorKind::Unsupported { feature: "idempotence", needs: "Kafka 0.11" };
        Trace::degraded(Error::new(kind)).emit();
    });
    assert_eq!(told.iter().map(row).collect::<Vec<_>>(), table());
    assert!(told.iter().all(|t| t.field("message") == t.name), "{told:?}");
}

#[test]
fn only_leaders_that_moved_are_told() {
    let (old, new) = (topic(&[(1, 4), (2, 4), (3, 4)]), topic(&[(1, 4), (3, 5), (-1, 5), (1, 0)]));
    let told = told_by(|| {
        let mut traces = Traces::default();
        traces.leaders(None, &old);
        traces.leaders(Some(&old), &new);
        emit_all(&mut traces);
    });
    let moved: Vec<(&str, &str)> = told.iter().map(|t| (t.field("partition"), t.field("leader"))).collect();
    assert_eq!(moved, [("1", "3"), ("2", "-1")]);
}

fn versions() -> Arc<crate::link::BrokerVersions> {
    let metadata = ApiVersion { api_key: 3, min_version: 0, max_version: 12, ..ApiVersion::default() };
    let response = ApiVersionsResponse { api_keys: vec![metadata], ..ApiVersionsResponse::default() };
    Arc::new(crate::link::BrokerVersions::from_response(&response))
}

fn connecting(client: &mut Client) -> ConnId {
    match client.poll_action() {
        Some(Action::Connect { conn, .. }) => conn,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_client_tells_of_its_connections() {
    let bootstrap = vec![Address { host: "b".into(), port: 9092 }];
    let mut client = Client::new(ClientConfig { bootstrap, ..ClientConfig::default() });
    let mut now = Now { time: epoch(), wall_ms: 0 };
    let told = told_by(|| {
        client.want_topic(now, &"orders".into());
        let conn = connecting(&mut client);
        let refused = Input::Closed { conn, error: ConnectionError::Refused, unanswered: Vec::new() };
        client.handle_input(now, refused);

        now.time += Duration::from_secs(2);
        client.handle_input(now, Input::Timeout);
        let conn = connecting(&mut client);
        client.handle_input(now, Input::Connected { conn, versions: versions() });
        let id = client.poll_transmit(now, conn).expect("metadata is asked for").id;
        let response = Answered::Plain(Box::new(MetadataResponse::default().into()));
        let throttle = Duration::from_millis(250);
        client.handle_input(now, Input::Response { conn, id, response, throttle });
        client.close(now);
        client.handle_input(
            now,
            Input::Closed { conn, error: ConnectionError::ClosedByClient, unanswered: vec![] },
        );
        while let Some(event) = client.poll_event() {
            if let crate::client::Event::Trace(trace) = event {
                trace.emit();
            }
        }
    });
    let names: Vec<&str> = told.iter().map(|t| t.name).collect();
    assert_eq!(names, ["connection_lost", "connected", "throttled"], "{told:?}");
    assert_eq!(told[0].field("error"), ConnectionError::Refused.to_string());
    assert!(
        told.iter().all(|t| t.field("broker") == "\"b:9092\"" || t.field("broker") == "b:9092"),
        "{told:?}"
    );
    assert_eq!(told[2].field("ms"), "250");
}
