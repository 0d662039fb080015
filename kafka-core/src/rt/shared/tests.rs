//! Nothing of others runs under the client's lock: no waker is called or dropped there, no hook, no bytes of a chunk, no
//! subscriber, no assignor and no balancer.

#[cfg(feature = "tracing")]
mod traced;

use super::super::system;
use super::super::wait::{Alarm, alarm as new_alarm};
use super::super::waits::Wait;
use super::*;
use crate::client::Action;
use crate::group::GroupConfig;
use crate::group::assignor::{Assignor, Member, Topics};
use crate::link::{Answered, BrokerVersions, LinkConfig, Payload, RequestId, Transmit, link};
use crate::machine::OpId;
use crate::message::Message;
use crate::reader::{Budget, Fetch, ReaderConfig, Reservation, Start, digest};
use crate::reading::{self, ReadFrom, ReaderShared, ReaderSpec};
use crate::sans_io;
use crate::snapshot::TopicPartition;
use crate::tape::Tape;
use crate::writer::{Balancer, Partitions, WriterConfig};
use kafka_proto::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use kafka_proto::messages::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
use kafka_proto::messages::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_proto::records::{BatchBuilder, ProducerStamp};
use kafka_proto::{Bytes, Str, Uuid, frame};
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Mutex as StdMutex;
use std::sync::Weak;
use std::time::Duration;

fn shared() -> Arc<Shared> {
    let bootstrap = crate::address::Address::parse_list("b:9092").unwrap();
    Shared::new(ClientConfig { bootstrap, ..ClientConfig::default() }, system::now(), || Time::START, || 0)
}

/// What was done to a [`Spy`], and whether the client's lock was held then.
type Seen = Arc<StdMutex<Vec<(&'static str, bool)>>>;

/// A waker that looks at the client's lock whenever it is called or dropped.
struct Spy {
    shared: Weak<Shared>,
    seen: Seen,
}

impl Spy {
    fn of(shared: &Arc<Shared>, seen: &Seen) -> Self {
        Self { shared: Arc::downgrade(shared), seen: seen.clone() }
    }

    fn waker(shared: &Arc<Shared>, seen: &Seen) -> Waker {
        Waker::from(Arc::new(Self::of(shared, seen)))
    }

    fn saw(&self, what: &'static str) {
        let is_locked = self.shared.upgrade().is_some_and(|shared| shared.is_locked());
        self.seen.lock().unwrap().push((what, is_locked));
    }
}

impl Wake for Spy {
    fn wake(self: Arc<Self>) {
        self.saw("called");
    }
}

impl Drop for Spy {
    fn drop(&mut self) {
        self.saw("dropped");
    }
}

/// Each of `what` was seen, in this order, and never under the lock.
#[track_caller]
fn saw(seen: &Seen, what: &[&str]) {
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!(seen.iter().map(|(what, _)| *what).collect::<Vec<_>>(), what);
    assert!(seen.iter().all(|(_, is_locked)| !is_locked), "under the lock: {seen:?}");
}

/// One way to wait, and one to have the waker forgotten.
type Waiting = fn(&mut State, &mut Wait);

const OP: Key = Key::Op(OpId(1));
const TOPIC: Key = Key::Topic(Str::from_static("t"));

const WAITS: [(&str, Waiting, Waiting); 5] = [
    ("operation", |s, cx| s.wait(OP, cx), |s, _| s.stop_waiting(OP)),
    (
        "reader",
        |s, cx| s.wait(Key::Machine(MachineId(1)), cx),
        |s, cx| s.wait(Key::Machine(MachineId(1)), cx),
    ),
    ("topic", |s, cx| s.wait_at(TOPIC, 1, cx), |s, _| s.stop_waiting_at(TOPIC, 1)),
    ("connection", |s, cx| s.wait(Key::Conn(ConnId(1)), cx), |s, _| s.conn_gone(ConnId(1))),
    ("driver", |s, cx| assert!(!s.driver_called(cx)), |s, cx| assert!(!s.driver_called(cx))),
];

#[test]
fn case_f5_wakers_that_are_replaced_or_forgotten_are_dropped_outside_the_lock() {
    for (name, wait, forget) in WAITS {
        let (shared, seen) = (shared(), Seen::default());
        let first = Spy::waker(&shared, &seen);
        shared.poll(&Context::from_waker(&first), wait);
        drop(first);
        let second = Spy::waker(&shared, &seen);
        shared.poll(&Context::from_waker(&second), wait);
        shared.poll(&Context::from_waker(&second), wait);
        drop(second);
        println!("{name}");
        saw(&seen, &["dropped"]);
        shared.poll(&Context::from_waker(Waker::noop()), forget);
        saw(&seen, &["dropped"]);
    }
}

#[test]
fn case_f5_connections_end_outside_the_lock() {
    let (shared, seen) = (shared(), Seen::default());
    let hook = || {
        let spy = Spy::of(&shared, &seen);
        Box::new(move || spy.saw("run"))
    };
    // Told to end: the hook runs and the waker is called.
    let waker = Spy::waker(&shared, &seen);
    shared.poll(&Context::from_waker(&waker), |state, wait| {
        state.conn_begun(ConnId(1));
        state.wait(Key::Conn(ConnId(1)), wait);
        state.on_end(ConnId(1), hook());
    });
    drop(waker);
    shared.with(|state| state.end_conn(ConnId(1)));
    saw(&seen, &["run", "dropped", "called", "dropped"]);
    // Too late: it runs at once.
    shared.with(|state| state.on_end(ConnId(1), hook()));
    saw(&seen, &["run", "dropped"]);
    // Gone without being told: the hook is only dropped. So is one that is replaced.
    shared.with(|state| {
        state.conn_begun(ConnId(2));
        state.on_end(ConnId(2), hook());
    });
    shared.with(|state| state.on_end(ConnId(2), hook()));
    saw(&seen, &["dropped"]);
    shared.with(|state| state.conn_gone(ConnId(2)));
    saw(&seen, &["dropped"]);
    // Gone before.
    shared.with(|state| state.on_end(ConnId(2), hook()));
    saw(&seen, &["run", "dropped"]);
}

/// A connection can end by itself while the order to close it is on its way to the driver.
#[test]
fn nothing_is_kept_of_a_connection_that_ended_before_it_was_told_to() {
    let shared = shared();
    shared.with(|state| {
        state.conn_begun(ConnId(7));
        state.conn_gone(ConnId(7));
        state.end_conn(ConnId(7));
        assert!(state.conns.is_empty());
    });
}

#[test]
fn case_f5_a_waker_may_own_a_wait_of_the_same_client() {
    struct Task(#[expect(dead_code, reason = "dropped with the task")] StdMutex<Alarm>);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    let shared = shared();
    let at = shared.now().time + Duration::from_secs(1);
    let mut alarm = pin!(new_alarm(&shared, at));
    let owner = Waker::from(Arc::new(Task(StdMutex::new(new_alarm(&shared, at)))));
    assert!(alarm.as_mut().poll(&mut Context::from_waker(&owner)).is_pending());
    drop(owner);
    // Drops the other alarm, which takes the lock.
    assert!(alarm.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

/// A waker that panics when it is called.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker of the application");
    }
}

#[test]
fn a_waker_or_hook_that_panics_takes_nothing_from_others() {
    let (shared, seen) = (shared(), Seen::default());
    let (bad, good) = (Waker::from(Arc::new(Panics)), Spy::waker(&shared, &seen));
    let spy = Spy::of(&shared, &seen);
    shared.with(|state| {
        [ConnId(1), ConnId(2)].into_iter().for_each(|conn| state.conn_begun(conn));
        state.on_end(ConnId(1), Box::new(|| panic!("a hook")));
        state.on_end(ConnId(2), Box::new(move || spy.saw("run")));
    });
    for (place, waker) in [(1, &bad), (2, &bad), (3, &good)] {
        shared.poll(&Context::from_waker(waker), |state, wait| state.wait_at(TOPIC, place, wait));
    }
    drop(good);
    let panic = catch_unwind(AssertUnwindSafe(|| shared.shut_down())).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"a hook"), "the first one goes on");
    saw(&seen, &["run", "dropped", "called", "dropped"]);
}

/// The driver's waker is called where memory is given back, and dropped where it is replaced.
#[test]
fn case_f5_a_waker_that_the_budget_keeps_is_dropped_outside_its_lock() {
    struct Task(DriverWaker);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Task {
        fn drop(&mut self) {
            self.0.notify(MachineId(1));
        }
    }
    let driver = DriverWaker::default();
    let owner = Waker::from(Arc::new(Task(driver.clone())));
    assert_eq!(driver.poll(&mut Context::from_waker(&owner)), []);
    drop(owner);
    assert_eq!(driver.poll(&mut Context::from_waker(Waker::noop())), []);
    let freed = driver.poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(freed, [MachineId(1)], "the task that was dropped called");
}

// ---- assignors and balancers of the application ----

/// Looks at the client's lock whenever it is asked for something or dropped.
struct Strategy(Spy);

impl fmt::Debug for Strategy {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.saw("formatted");
        Ok(())
    }
}

impl Assignor for Strategy {
    fn name(&self) -> &str {
        self.0.saw("named");
        "strategy"
    }

    fn assign(&self, members: &[Member], _: &Topics) -> Vec<Vec<TopicPartition>> {
        vec![Vec::new(); members.len()]
    }
}

impl Balancer for Strategy {
    fn balance(&self, _: &Message, _: &Partitions<'_>) -> Option<i32> {
        None
    }
}

#[test]
fn an_assignor_is_named_once_and_dropped_outside_the_lock() {
    let (shared, seen) = (shared(), Seen::default());
    let strategy = Arc::new(Strategy(Spy::of(&shared, &seen)));
    let group = GroupConfig { assignors: vec![strategy], ..GroupConfig::new("g") };
    let from = ReadFrom::Group(Arc::new(group), "t".into(), Start::First);
    let mut reader = sans_io::Reader::new(&*shared, ReaderConfig::default(), from).unwrap();
    saw(&seen, &["named"]);
    let job = shared.with(|state| state.core.poll_action());
    let Some(Action::Run(job)) = job else { panic!("the group is offered nothing: {job:?}") };
    assert!(format!("{job:?}").contains("strategy"), "{job:?}");
    drop(job.run());
    saw(&seen, &[]);
    reader.close(&*shared);
    saw(&seen, &["dropped"]);
}

#[test]
fn a_balancer_is_dropped_outside_the_lock() {
    let (shared, seen) = (shared(), Seen::default());
    let balancer = Arc::new(Strategy(Spy::of(&shared, &seen)));
    let config = WriterConfig { topic: Some("t".into()), balancer, ..WriterConfig::default() };
    drop(sans_io::Writer::new(&*shared, config).unwrap());
    saw(&seen, &[]);
    shared.shut_down();
    saw(&seen, &["dropped"]);
}

#[test]
fn what_a_closed_client_does_not_take_is_dropped_outside_the_lock() {
    let (shared, seen) = (shared(), Seen::default());
    shared.shut_down();
    let strategy = || Arc::new(Strategy(Spy::of(&shared, &seen)));
    let group = GroupConfig { assignors: vec![strategy()], ..GroupConfig::new("g") };
    let from = ReadFrom::Group(Arc::new(group), "t".into(), Start::First);
    assert!(sans_io::Reader::new(&*shared, ReaderConfig::default(), from).is_err());
    saw(&seen, &["named", "dropped"]);
    let config = WriterConfig { topic: Some("t".into()), balancer: strategy(), ..WriterConfig::default() };
    assert!(sans_io::Writer::new(&*shared, config).is_err());
    saw(&seen, &["dropped"]);
}

// ---- what readers drop ----

/// A reader of two partitions of one broker, by hand.
struct Reading {
    shared: Arc<Shared>,
    id: MachineId,
    budget: Arc<Budget>,
    seen: Seen,
    offset: i64,
}

const LIMIT: usize = 4096;

impl Reading {
    fn new() -> Self {
        let (shared, seen) = (shared(), Seen::default());
        let config = ReaderConfig {
            buffer: LIMIT,
            max_bytes: LIMIT,
            partition_max_bytes: LIMIT / 2,
            ..ReaderConfig::default()
        };
        let places = (0..2).map(|p| (tp(p), Start::at(0))).collect();
        let spec = ReaderSpec::new(config, ReadFrom::Partitions(places));
        let now = shared.now();
        let of_reader = ReaderShared::new(spec.config(), Tape::default());
        let budget = of_reader.budget.clone();
        let id = shared.with(|state| {
            let make = |now, id, pace, seed| reading::Reading::new(now, id, spec, of_reader, pace, seed);
            state.core.add(now, make)
        });
        budget.register(Spy::waker(&shared, &seen));
        Self { shared, id, budget, seen, offset: 0 }
    }

    /// Connects what is to be connected, and answers what is asked but fetches; the next fetch.
    fn next_fetch(&mut self) -> Option<(ConnId, RequestId, Reservation)> {
        let (conn, transmit) = self.next_transmit()?;
        let Payload::Built(exchange) = transmit.payload else { return None };
        let fetch = (exchange as Box<dyn Any>).downcast::<Fetch>().unwrap();
        Some((conn, transmit.id, fetch.into_reservation()))
    }

    fn next_transmit(&mut self) -> Option<(ConnId, Transmit)> {
        let now = self.shared.now();
        while let Some(action) = self.shared.with(|state| state.core.poll_action()) {
            if let Action::Connect { conn, .. } = action {
                self.shared.input(Input::Connected { conn, versions: versions() });
            }
        }
        for conn in (0..20).map(ConnId) {
            let Some(transmit) = self.shared.with(|state| state.core.poll_transmit(now, conn)) else {
                continue;
            };
            if matches!(transmit.payload, Payload::Built(_)) {
                return Some((conn, transmit));
            }
            let response = Answered::Plain(Box::new(metadata().into()));
            let throttle = Duration::ZERO;
            self.shared.input(Input::Response { conn, id: transmit.id, response, throttle });
            return self.next_transmit();
        }
        None
    }

    /// Answers a fetch with a record of each partition, as a connection's task does.
    fn answer(&mut self, (conn, id, reservation): (ConnId, RequestId, Reservation)) {
        let response = Answered::Digested(Box::new(digest(self.records(reservation))));
        self.shared.input(Input::Response { conn, id, response, throttle: Duration::ZERO });
    }

    fn records(&mut self, reservation: Reservation) -> FetchResponse {
        let batch = self.batch();
        let frame = reservation.charge(batch);
        let data = PartitionData {
            partition_index: 0,
            high_watermark: 100,
            records: Some(frame.into()),
            ..PartitionData::default()
        };
        let topic =
            FetchableTopicResponse { topic: "t".into(), partitions: vec![data], ..Default::default() };
        FetchResponse { responses: vec![topic], ..FetchResponse::default() }
    }

    fn batch(&mut self) -> Bytes {
        let mut batch = BatchBuilder::new();
        batch.append(0, None, Some(&[7; 1500]), &[]).unwrap();
        let sealed = batch.finish().seal(ProducerStamp::NONE).into_bytes();
        let mut batch = sealed.to_vec();
        batch[..8].copy_from_slice(&self.offset.to_be_bytes());
        self.offset += 1;
        Bytes::from(batch)
    }

    /// Reads until the budget has no more room: then whatever gives some back calls the waker.
    fn fill(&mut self) {
        while let Some(fetch) = self.next_fetch() {
            self.answer(fetch);
        }
        assert!(self.budget.reserve(LIMIT).is_none(), "{:?}", self.budget);
        saw(&self.seen, &[]);
    }

    fn used(&self) -> usize {
        self.budget.used()
    }
}

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn versions() -> Arc<BrokerVersions> {
    let api = |api_key, max_version| ApiVersion { api_key, max_version, ..ApiVersion::default() };
    let api_keys = vec![api(1, 12), api(3, 12)];
    Arc::new(BrokerVersions::from_response(&ApiVersionsResponse { api_keys, ..Default::default() }))
}

fn metadata() -> MetadataResponse {
    let broker = MetadataResponseBroker { node_id: 1, host: "b".into(), port: 9092, ..Default::default() };
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_id: 1,
        replica_nodes: vec![1].into(),
        isr_nodes: vec![1].into(),
        ..Default::default()
    };
    let topic = MetadataResponseTopic {
        name: Some("t".into()),
        topic_id: Uuid::ZERO,
        partitions: (0..2).map(partition).collect(),
        ..Default::default()
    };
    MetadataResponse { brokers: vec![broker], topics: vec![topic], ..Default::default() }
}

#[test]
fn case_f4_a_seek_frees_chunks_outside_the_lock() {
    let mut reading = Reading::new();
    reading.fill();
    let (shared, id) = (reading.shared.clone(), reading.id);
    let start = Start::at(50);
    shared.command(id, reading::Seek { partitions: vec![tp(0)], start }).unwrap().unwrap();
    saw(&reading.seen, &["called"]);
    assert!(reading.used() < LIMIT / 2, "{}", reading.used());
}

#[test]
fn case_f4_a_reader_that_is_closed_frees_chunks_outside_the_lock() {
    let mut reading = Reading::new();
    reading.fill();
    let (shared, id) = (reading.shared.clone(), reading.id);
    shared.command(id, reading::Close);
    saw(&reading.seen, &["called"]);
}

/// What is paused gives way to what is not, which then goes on by itself.
#[test]
fn case_f4_a_paused_partition_frees_chunks_outside_the_lock() {
    let mut reading = Reading::new();
    reading.fill();
    let (shared, id) = (reading.shared.clone(), reading.id);
    shared.command(id, reading::Pause(vec![tp(0)])).unwrap().unwrap();
    shared.input(Input::RoomAgain(id));
    assert!(reading.next_fetch().is_none());
    saw(&reading.seen, &["called"]);
    shared.input(Input::Timeout);
    let (_, _, reservation) = reading.next_fetch().expect("the other partition is fetched");
    assert!(reading.used() <= LIMIT, "{}", reading.used());
    drop(reservation);
}

/// An answer that counts no more ends where the connection's task handled it.
#[test]
fn case_f4_an_answer_to_what_was_sought_since_is_freed_outside_the_lock() {
    let mut reading = Reading::new();
    let (conn, transmit) = reading.next_transmit().unwrap();
    let version = transmit.version;
    let config = LinkConfig { client_id: "c".into(), max_response_bytes: 1 << 20, api_versions: 0 };
    let (inbound, mut outbound) = link(config);
    let mut inbound = crate::rt::conn::Inbound::new(reading.shared.clone(), conn, inbound);
    assert!(!outbound.poll_setup().unwrap());
    let api = |api_key, max_version| ApiVersion { api_key, max_version, ..ApiVersion::default() };
    let set_up = ApiVersionsResponse { api_keys: vec![api(1, 12), api(18, 0)], ..Default::default() };
    receive(&mut inbound, &frame::encode_response(1, 0, &set_up.into()).unwrap().concat());
    assert!(outbound.poll_setup().unwrap());
    outbound.queue(transmit).unwrap();

    let (shared, id) = (reading.shared.clone(), reading.id);
    let start = Start::at(50);
    for partition in 0..2 {
        shared.command(id, reading::Seek { partitions: vec![tp(partition)], start }).unwrap().unwrap();
    }
    let budget = reading.budget.clone();
    assert!(budget.reserve(LIMIT).is_none(), "whoever gives memory back calls the waker");
    // More than was reserved: nothing is given back before the end of the frame.
    let data = |partition_index| PartitionData {
        partition_index,
        records: Some(reading.batch().into()),
        ..PartitionData::default()
    };
    let partitions = [0, 1].map(data).into();
    let topic = FetchableTopicResponse { topic: "t".into(), partitions, ..Default::default() };
    let response = FetchResponse { responses: vec![topic], ..FetchResponse::default() };
    receive(&mut inbound, &frame::encode_response(2, version, &response.into()).unwrap().concat());
    let seen = std::mem::take(&mut *reading.seen.lock().unwrap());
    assert!(!seen.is_empty() && seen.iter().all(|(_, is_locked)| !is_locked), "{seen:?}");
    assert_eq!(budget.used(), 0);
}

fn receive(inbound: &mut crate::rt::conn::Inbound, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let room = inbound.room();
        let (now, later) = bytes.split_at(room.len().min(bytes.len()));
        room[..now.len()].copy_from_slice(now);
        let len = now.len();
        inbound.received(len).unwrap();
        bytes = later;
    }
}
