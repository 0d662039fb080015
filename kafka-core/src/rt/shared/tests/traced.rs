//! A subscriber is code of the application, which may use the client itself.

use super::super::super::writer::Writer;
use super::*;
use crate::client::CallSpec;
use crate::error::{ConnectionError, ErrorKind};
use crate::link::{RequestId, Transmit};
use crate::machine::Target;
use crate::message::Message;
use crate::writer::WriterConfig;
use kafka_proto::ResponseKind;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::metadata::MetadataRequest;
use std::collections::BTreeSet;
use std::thread::{ThreadId, current};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber, subscriber};

/// Writes each event to Kafka, by the client that it is an event of.
struct Shipper {
    shared: Arc<Shared>,
    writer: Writer,
    seen: Seen,
    thread: ThreadId,
}

impl Shipper {
    fn saw(&self, name: &'static str) {
        // Threads of other tests ask for their callsites.
        if current().id() != self.thread {
            return;
        }
        let is_locked = self.shared.is_locked();
        self.seen.lock().unwrap().push((name, is_locked));
        if !is_locked {
            let _ = self.writer.try_send(Message::new(name));
            self.writer.stats();
        }
    }
}

impl Subscriber for Shipper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.target() == "kafka" {
            self.saw("enabled");
        }
        true
    }

    fn event(&self, event: &Event<'_>) {
        if event.metadata().target() == "kafka" {
            self.saw(event.metadata().name());
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// A client by hand, with a clock.
struct Hand {
    shared: Arc<Shared>,
    clock: Arc<StdMutex<Duration>>,
}

impl Hand {
    fn new() -> Self {
        let (start, clock) = (Time::START, Arc::new(StdMutex::new(Duration::ZERO)));
        let passed = clock.clone();
        let now = move || start + *passed.lock().unwrap();
        let bootstrap = crate::address::Address::parse_list("b:9092").unwrap();
        Self {
            shared: Shared::new(
                ClientConfig { bootstrap, ..ClientConfig::default() },
                system::now(),
                now,
                || 0,
            ),
            clock,
        }
    }

    fn pass(&self, seconds: u64) {
        *self.clock.lock().unwrap() += Duration::from_secs(seconds);
        self.shared.input(Input::Timeout);
    }

    fn connects(&self) -> Vec<ConnId> {
        let mut conns = Vec::new();
        while let Some(action) = self.shared.with(|state| state.core.poll_action()) {
            if let Action::Connect { conn, .. } = action {
                conns.push(conn);
            }
        }
        conns
    }

    fn connect(&self) {
        for conn in self.connects() {
            self.shared.input(Input::Connected { conn, versions: versions() });
        }
    }

    fn transmit(&self) -> Option<(ConnId, Transmit)> {
        let now = self.shared.now();
        let next = |conn| self.shared.with(|state| state.core.poll_transmit(now, conn));
        (0..50).map(ConnId).find_map(|conn| next(conn).map(|transmit| (conn, transmit)))
    }

    fn answer(&self, (conn, id): (ConnId, RequestId), response: ResponseKind, throttle: Duration) {
        let response = Answered::Plain(Box::new(response));
        self.shared.input(Input::Response { conn, id, response, throttle });
    }

    /// Answers all requests with metadata in which partition 0 has this leader epoch.
    fn serve(&self, epoch: i32) {
        while let Some((conn, transmit)) = self.transmit() {
            let mut metadata = metadata();
            metadata.topics[0].partitions[0].leader_epoch = epoch;
            self.answer((conn, transmit.id), metadata.into(), Duration::from_millis(1));
            self.connect();
        }
    }
}

/// Runs with the subscriber; the events that it saw. None of them, nor what it was asked, came under the lock.
fn shipped(hand: &Hand, run: impl FnOnce(&Writer)) -> BTreeSet<&'static str> {
    let config = WriterConfig { topic: Some("t".into()), ..WriterConfig::default() };
    let writer = Writer::new(Handle::new(hand.shared.clone()), config).unwrap();
    let seen = Seen::default();
    let thread = current().id();
    let shipper = Shipper { shared: hand.shared.clone(), writer: writer.clone(), seen: seen.clone(), thread };
    subscriber::with_default(shipper, || run(&writer));
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert!(seen.iter().all(|(_, is_locked)| !is_locked), "under the lock: {seen:?}");
    seen.into_iter().map(|(name, _)| name).collect()
}

#[test]
fn case_f2_a_subscriber_may_write_by_the_same_client() {
    let hand = Hand::new();
    let names = shipped(&hand, |writer| {
        let _ = writer.try_send(Message::new("v"));
        for conn in hand.connects() {
            let error = ConnectionError::Refused;
            hand.shared.input(Input::Closed { conn, error, unanswered: Vec::new() });
        }
        hand.pass(2);
        hand.connect();
        hand.serve(0);
    });
    for name in ["connection_lost", "connected", "throttled"] {
        assert!(names.contains(name), "{names:?}");
    }
}

#[test]
fn case_f2_what_becomes_of_batches_and_leaders_is_told_outside_the_lock() {
    let hand = Hand::new();
    let names = shipped(&hand, |writer| {
        let _ = writer.try_send(Message::new("v"));
        hand.connect();
        hand.serve(0);
        let _delivery = writer.try_send(Message::new("v")).expect("the topic is known");
        hand.shared.with(|state| state.core.refresh_metadata());
        hand.pass(1);
        hand.connect();
        hand.serve(7);
        let _delivery = writer.try_send(Message::new("v")).expect("the topic is known");
        hand.shared.shut_down();
    });
    for name in ["leader_moved", "batch_failed"] {
        assert!(names.contains(name), "{names:?}");
    }
}

#[test]
fn case_f2_a_call_that_is_tried_again_is_told_outside_the_lock() {
    let hand = Hand::new();
    let names = shipped(&hand, |_| {
        let spec = CallSpec {
            target: Target::Any,
            request: MetadataRequest::default().into(),
            timeout: None,
            code: |_| ErrorCode::CoordinatorLoadInProgress,
        };
        let now = hand.shared.now();
        hand.shared.with(|state| state.core.begin_call(now, spec));
        hand.connect();
        hand.serve(0);
        let kind = ErrorKind::Unsupported { feature: "f", needs: "n" };
        hand.shared.with(|state| state.core.announce_degraded(crate::Error::new(kind)));
    });
    for name in ["call_retried", "degraded"] {
        assert!(names.contains(name), "{names:?}");
    }
}
