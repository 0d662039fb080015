//! One bad item costs itself only: Metadata's topics and partitions and FindCoordinator's list, of any version, with any errors of
//! any of their items.

mod coordinators;

use super::Net;
use crate::client::TopicState;
use crate::error::Error;
use crate::items::{Bad, Course, LONGEST, Noise, SHORTEST, Said, carried, items, noise, version};
use crate::machine::{CoordinatorKind, Peer, Target, Time};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use kafka_proto::{ApiKey, RequestKind, ResponseKind, Str, Uuid};
use proptest::collection::vec;
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(5);
const RUN: Duration = Duration::from_secs(15);

fn brokers() -> Vec<MetadataResponseBroker> {
    let broker = |id: i32| MetadataResponseBroker {
        node_id: id,
        host: "broker".into(),
        port: 9000 + id,
        ..Default::default()
    };
    (1..=3).map(broker).collect()
}

// ---- metadata ----

struct TopicSpec {
    course: Course,
    partitions: Vec<Course>,
}

/// What brokers say of the topics `t0`, `t1` and so on.
struct Broker {
    version: i16,
    noise: Noise,
    topics: Vec<TopicSpec>,
    /// When Metadata was asked for.
    asked: Vec<Time>,
}

fn name(at: usize) -> Str {
    format!("t{at}").into()
}

impl Broker {
    fn answer(&mut self, now: Time, request: &MetadataRequest) -> ResponseKind {
        let names: Vec<Str> = request.topics.iter().flatten().filter_map(|t| t.name.clone()).collect();
        if !names.is_empty() {
            self.asked.push(now);
        }
        let mut topics: Vec<MetadataResponseTopic> = names.iter().filter_map(|n| self.topic(n)).collect();
        if let Some(code) = self.noise.foreign.filter(|_| !names.is_empty()) {
            let stranger = |name: Str, id: u8| MetadataResponseTopic {
                error_code: code,
                partitions: vec![self.partition(0, 0)],
                topic_id: Uuid([id; 16]),
                name: Some(name),
                ..Default::default()
            };
            topics.extend([stranger("nobody's".into(), 99), stranger(Str::new(), 0)]);
            if self.version >= 12 {
                topics.push(MetadataResponseTopic { name: None, ..stranger(Str::new(), 98) });
            }
        }
        self.noise.stir(&mut topics);
        let mut brokers = brokers();
        if self.noise.foreign.is_some() {
            let odd = |node_id, host: &str, port| MetadataResponseBroker {
                node_id,
                host: host.into(),
                port,
                ..Default::default()
            };
            // What cannot be a broker, and -1, which would stand for the first bootstrap address.
            brokers.extend([
                odd(-1, "elsewhere", 1),
                odd(7, "broker", 0),
                odd(8, "", 9),
                odd(9, "broker", 70_000),
            ]);
        }
        self.noise.stir(&mut brokers);
        carried(MetadataResponse { brokers, topics, ..Default::default() }, self.version)
    }

    fn topic(&mut self, name: &Str) -> Option<MetadataResponseTopic> {
        let at: usize = name[1..].parse().unwrap();
        let mut topic = MetadataResponseTopic {
            name: Some(name.clone()),
            topic_id: Uuid([at as u8 + 1; 16]),
            ..Default::default()
        };
        match self.topics[at].course.next() {
            Said::Nothing => return None,
            Said::Error(code) => topic.error_code = code.code(),
            Said::Good => topic.partitions = self.partitions(at),
        }
        Some(topic)
    }

    fn partitions(&mut self, at: usize) -> Vec<MetadataResponsePartition> {
        let mut partitions = Vec::new();
        for index in 0..self.topics[at].partitions.len() {
            match self.topics[at].partitions[index].next() {
                Said::Nothing => {}
                Said::Good => partitions.push(self.partition(index as i32, 0)),
                Said::Error(code) => partitions.push(self.partition(index as i32, code.code())),
            }
        }
        if self.noise.foreign.is_some() && !partitions.is_empty() {
            partitions.extend([self.partition(1_000_000_000, 0), self.partition(-1, 0)]);
        }
        self.noise.stir(&mut partitions);
        partitions
    }

    fn partition(&self, partition_index: i32, error_code: i16) -> MetadataResponsePartition {
        MetadataResponsePartition {
            partition_index,
            error_code,
            leader_id: if error_code == 0 { 1 + partition_index.rem_euclid(3) } else { -1 },
            leader_epoch: if self.version >= 7 { 4 } else { -1 },
            ..Default::default()
        }
    }
}

/// What was seen of a topic, and of each of its partitions' leaders, when first.
#[derive(Default)]
struct Seen {
    known: Option<Duration>,
    leaders: BTreeMap<usize, Duration>,
    failed: Vec<(Duration, Error)>,
}

struct World {
    net: Net,
    broker: Rc<RefCell<Broker>>,
    begin: Time,
    seen: Vec<Seen>,
}

impl World {
    fn new(version: i16, topics: Vec<(Option<Bad>, Vec<Option<Bad>>)>, noise: Noise) -> Self {
        let spec = |(bad, partitions): (Option<Bad>, Vec<Option<Bad>>)| TopicSpec {
            course: Course::new(bad),
            partitions: partitions.into_iter().map(Course::new).collect(),
        };
        let topics: Vec<TopicSpec> = topics.into_iter().map(spec).collect();
        let seen = topics.iter().map(|_| Seen::default()).collect();
        let broker = Rc::new(RefCell::new(Broker { version, noise, topics, asked: Vec::new() }));
        let mut net = Net::connected();
        let at_broker = broker.clone();
        net.script = Some(Box::new(move |now, _, request| match request {
            RequestKind::Metadata(request) => at_broker.borrow_mut().answer(now, request),
            other => panic!("{other:?}"),
        }));
        net.run_for(Duration::from_secs(1));
        Self { begin: net.now.time, net, broker, seen }
    }

    fn run(&mut self) {
        let count = self.broker.borrow().topics.len();
        // All of them at once, as a reader of many topics does.
        (0..count).for_each(|at| self.net.client.metadata.want(&name(at)));
        self.net.client.settle(self.net.now);
        self.net.settle();
        let end = self.begin + RUN;
        self.look();
        for steps in 0.. {
            assert!(steps < 500, "a tight loop");
            if !self.net.step(end) {
                break;
            }
            self.look();
        }
    }

    fn look(&mut self) {
        let after = self.net.now.time - self.begin;
        for (at, seen) in self.seen.iter_mut().enumerate() {
            match self.net.client.topic(&name(at)) {
                TopicState::Pending => assert!(seen.known.is_none(), "known, and forgotten"),
                TopicState::Failed(error) => {
                    assert!(seen.known.is_none(), "known, and failed: {error}");
                    if seen.failed.last().is_none_or(|(_, last)| *last != error) {
                        seen.failed.push((after, error));
                    }
                }
                TopicState::Known(topic) => {
                    seen.known.get_or_insert(after);
                    for (partition, known) in topic.partitions.iter().enumerate() {
                        let right = (Some(1 + partition as i32 % 3), self.net.client.cluster().nodes.len());
                        if known.leader.is_some() {
                            assert_eq!((known.leader, 3), right);
                            seen.leaders.entry(partition).or_insert(after);
                        }
                    }
                }
            }
        }
    }

    fn check(&self) {
        let broker = self.broker.borrow();
        let pairs = broker.asked.windows(2);
        pairs.for_each(|two| assert!(two[1] >= two[0] + SHORTEST, "asked again after {:?}", two[1] - two[0]));
        assert!(broker.asked.len() <= 40, "asked {} times", broker.asked.len());
        for (at, (topic, seen)) in broker.topics.iter().zip(&self.seen).enumerate() {
            self.check_topic(at, topic, seen);
        }
        let nodes: Vec<i32> = self.net.client.cluster().nodes.keys().copied().collect();
        assert_eq!(nodes, [1, 2, 3]);
        assert!(self.net.client.cluster().topics.len() <= broker.topics.len(), "nobody wants the others");
    }

    fn check_topic(&self, at: usize, topic: &TopicSpec, seen: &Seen) {
        let text = format!("t{at} {:?} {:?}", topic.course.bad, topic.partitions);
        let bad = topic.course.bad;
        let heals = bad.is_none_or(|bad| !bad.is_lasting());
        let late = bad.map_or(Duration::ZERO, |bad| LONGEST * bad.answers.min(10));
        let is_readable = readable(&topic.partitions);
        if heals && is_readable {
            assert!(seen.known.is_some_and(|known| known <= late), "{text}: known after {:?}", seen.known);
        } else if !heals {
            assert!(seen.known.is_none(), "{text}");
        }
        let is_there = |course: &Course| course.bad.is_none_or(|bad| bad.code.is_some());
        // Nobody can tell that the last partitions are missing.
        let last = topic.partitions.iter().rposition(is_there).map_or(0, |last| last + 1);
        let told = topic.partitions.iter().take(last).enumerate();
        for (partition, course) in told.filter(|_| heals && is_readable) {
            let leader = seen.leaders.get(&partition);
            match course.bad {
                None => assert!(leader.is_some_and(|at| *at <= late), "{text}: {partition}: {leader:?}"),
                Some(bad) if bad.is_lasting() => assert_eq!(leader, None, "{text}: {partition}"),
                Some(bad) => {
                    let late = late + LONGEST * bad.answers;
                    assert!(leader.is_some_and(|at| *at <= late), "{text}: {partition}: {leader:?}");
                }
            }
        }
        if is_readable {
            self.check_told(at, &text, bad, seen);
        }
    }

    fn check_told(&self, at: usize, text: &str, bad: Option<Bad>, seen: &Seen) {
        use ErrorCode::{UnknownTopicId, UnknownTopicOrPartition};
        let code = bad.map(|bad| bad.code.unwrap_or(UnknownTopicOrPartition));
        let is_lasting = bad.is_some_and(|bad| bad.is_lasting());
        let is_missing = matches!(code, Some(UnknownTopicId | UnknownTopicOrPartition));
        let passes = |code: ErrorCode| code.is_retriable() || code == ErrorCode::RebootstrapRequired;
        let is_refused = code.is_some_and(|code| !passes(code));
        let told: Vec<_> = seen.failed.iter().map(|(_, error)| error.code()).collect();
        if is_refused || (is_missing && is_lasting) {
            assert_eq!(told, [code], "{text}");
            let (when, error) = &seen.failed[0];
            assert_eq!(error.context().api, Some(ApiKey::Metadata), "{text}");
            assert_eq!(error.context().topic, Some(name(at)), "{text}");
            assert!(if is_missing { *when >= GRACE } else { when.is_zero() }, "{text}: after {when:?}");
        } else {
            assert!(told.is_empty(), "{text}: {told:?}");
        }
        let trouble = self.net.client.topic_trouble(&name(at));
        let is_in_trouble = is_lasting && !is_missing && !is_refused;
        assert_eq!(trouble.and_then(|error| error.code()), code.filter(|_| is_in_trouble), "{text}");
    }
}

/// Whether the first answers that name the topic name enough of its partitions to be believed, whatever else is healed later: more
/// than half of the numbers up to the last one named.
fn readable(partitions: &[Course]) -> bool {
    let is_there = |course: &Course| course.bad.is_none_or(|bad| bad.code.is_some());
    let there: Vec<usize> = (0..partitions.len()).filter(|at| is_there(&partitions[*at])).collect();
    there.last().is_some_and(|last| *last < 2 * there.len())
}

fn topics() -> impl Strategy<Value = Vec<(Option<Bad>, Vec<Option<Bad>>)>> {
    let one = (items(1), items(4), any::<bool>()).prop_map(|(topic, partitions, is_good)| {
        let count = partitions.len();
        // Half of the topics have good partitions only.
        (topic[0], if is_good { vec![None; count] } else { partitions })
    });
    vec(one, 1..6)
}

proptest! {
    #[test]
    fn case_m5_one_bad_topic_or_partition_of_metadata_costs_itself_only(
        version in version(ApiKey::Metadata), topics in topics(), noise in noise(),
    ) {
        let mut world = World::new(version, topics, noise);
        world.run();
        world.check();
    }
}

// ---- what the properties found, each by itself ----

/// A topic whose partitions have these numbers and leaders.
fn numbered(partitions: &[(i32, i32)]) -> MetadataResponseTopic {
    let partition = |(partition_index, leader_id): &(i32, i32)| MetadataResponsePartition {
        partition_index: *partition_index,
        leader_id: *leader_id,
        leader_epoch: 4,
        ..Default::default()
    };
    let partitions = partitions.iter().map(partition).collect();
    MetadataResponseTopic {
        name: Some("t".into()),
        topic_id: Uuid([1; 16]),
        partitions,
        ..Default::default()
    }
}

fn leaders(net: &Net) -> Vec<Option<i32>> {
    let topic = net.client.cluster().topic("t").unwrap();
    topic.partitions.iter().map(|p| p.leader).collect()
}

#[test]
fn case_m5_a_partition_that_metadata_leaves_out_costs_the_others_nothing() {
    let net = Net::knowing(numbered(&[(0, 1), (2, 3)]));
    assert_eq!(leaders(&net), [Some(1), None, Some(3)]);
    let mut net = Net::knowing(numbered(&[(0, 1), (1, 2), (2, 3)]));
    net.tell(numbered(&[(2, 1), (0, 3)]));
    assert_eq!(leaders(&net), [Some(3), Some(2), Some(1)], "what is known of it stays");
    net.log.clear();
    net.tell(numbered(&[(0, 3), (1, 1), (2, 2)]));
    assert_eq!(leaders(&net), [Some(3), Some(1), Some(2)]);
}

#[test]
fn case_m5_a_partition_that_metadata_names_twice_or_cannot_have_costs_the_others_nothing() {
    for odd in [(1, 3), (-1, 1), (i32::MIN, 1), (i32::MAX, 1), (77, 1)] {
        let net = Net::knowing(numbered(&[(0, 1), (1, 2), odd, (2, 3)]));
        assert_eq!(leaders(&net), [Some(1), Some(2), Some(3)], "{odd:?}");
    }
}

#[test]
fn case_m5_nothing_is_kept_of_a_topic_that_nobody_needs() {
    let mut net = Net::connected();
    net.topics = vec![numbered(&[(0, 1)])];
    let said = Rc::new(RefCell::new(0));
    let count = said.clone();
    net.script = Some(Box::new(move |_, _, _| {
        *count.borrow_mut() += 1;
        let topics = vec![numbered(&[(0, 1)])];
        MetadataResponse { brokers: brokers(), topics, ..Default::default() }.into()
    }));
    net.client.refresh_metadata();
    net.client.want_topic(net.now, &Str::from("other"));
    net.settle();
    net.run_for(Duration::from_secs(1));
    assert!(*said.borrow() > 0 && net.client.cluster().topic("t").is_none());
    assert!(net.client.cluster().names.is_empty());
}

#[test]
fn case_m5_a_topic_in_a_trouble_that_lasts_is_no_silence() {
    use crate::reader::{ReaderConfig, Start};
    use crate::reading::{Marks, ReadFrom, ReaderItem, ReaderSpec};
    use std::sync::Arc;
    let storage = ErrorCode::KafkaStorageError;
    let in_trouble = MetadataResponseTopic { error_code: storage.code(), ..numbered(&[]) };
    let of_the_topic = [(in_trouble, storage), (numbered(&[]), ErrorCode::LeaderNotAvailable)];
    let of_the_topic = of_the_topic.map(|(topic, code)| (vec![topic], ErrorCode::None, code));
    // The whole answer may be in trouble, and name no topics.
    let of_all =
        [storage, ErrorCode::RebootstrapRequired, ErrorCode::UnknownServerError, ErrorCode::Unknown(999)];
    let of_all = of_all.map(|code| (vec![], code, code));
    for (topics, metadata_error, code) in of_the_topic.into_iter().chain(of_all) {
        let mut net = Net::connected();
        (net.is_mute, net.topics, net.metadata_error) = (topics.is_empty(), topics, metadata_error.code());
        let from = ReadFrom::Topics("t".into(), Start::First);
        let spec = ReaderSpec::new(ReaderConfig::default(), from);
        let marks = Arc::new(Marks::new(Duration::from_secs(5)));
        let id = net.client.add_reader(net.now, spec, Arc::default(), marks);
        net.settle();
        net.run_for(GRACE / 2);
        assert!(net.client.reader_take(net.now, id).is_none(), "it may pass");
        net.run_for(Duration::from_secs(60));
        let Some(ReaderItem::Notice(error)) = net.client.reader_take(net.now, id) else {
            panic!("silence: {code}")
        };
        assert_eq!((error.code(), error.context().topic.as_deref()), (Some(code), Some("t")));
        assert_eq!(error.context().api, Some(ApiKey::Metadata));
        assert!(net.client.reader_take(net.now, id).is_none(), "told once");
        assert_eq!(net.client.topic_trouble("t").and_then(|error| error.code()), Some(code));
    }
}

/// A number below zero stands for a bootstrap address, so that such a broker would take its place.
#[test]
fn case_m5_a_broker_that_can_be_none_costs_the_others_nothing() {
    for (node_id, host, port) in
        [(-1, "elsewhere", 1), (i32::MIN, "h", 9), (4, "h", 0), (4, "", 9), (4, "h", -1)]
    {
        let mut net = Net::connected();
        net.script = Some(Box::new(move |_, _, _| {
            let odd = MetadataResponseBroker { node_id, host: host.into(), port, ..Default::default() };
            let brokers = std::iter::once(odd).chain(brokers()).collect();
            MetadataResponse { brokers, topics: vec![numbered(&[(0, 1)])], ..Default::default() }.into()
        }));
        net.client.want_topic(net.now, &Str::from("t"));
        net.settle();
        assert_eq!(net.client.cluster().nodes.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(net.client.address_of(Peer::Bootstrap(0)).unwrap().host, "boot");
    }
}

/// A reader of given partitions, of which one topic cannot be had: it said that the topic does not exist.
#[test]
fn case_m5_a_reader_of_partitions_is_told_why_a_topic_cannot_be_had() {
    use crate::reader::{ReaderConfig, Start};
    use crate::reading::{Marks, ReadFrom, ReaderItem, ReaderSpec};
    use crate::snapshot::TopicPartition;
    use std::sync::Arc;
    for (code, is_error) in [
        (ErrorCode::TopicAuthorizationFailed, true),
        (ErrorCode::InvalidTopicException, true),
        (ErrorCode::Unknown(999), true),
        (ErrorCode::UnknownTopicOrPartition, true),
        (ErrorCode::KafkaStorageError, false),
        (ErrorCode::LeaderNotAvailable, false),
    ] {
        let mut net = Net::connected();
        net.topics = vec![MetadataResponseTopic { error_code: code.code(), ..numbered(&[]) }];
        let start = Start::at(0);
        let partitions = (0..2).map(|p| (TopicPartition::new("t", p), start)).collect();
        let from = ReadFrom::Partitions(partitions);
        let spec = ReaderSpec::new(ReaderConfig::default(), from);
        let marks = Arc::new(Marks::new(Duration::from_secs(5)));
        let id = net.client.add_reader(net.now, spec, Arc::default(), marks);
        net.settle();
        net.run_for(Duration::from_secs(30));
        let mut told = Vec::new();
        while let Some(item) = net.client.reader_take(net.now, id) {
            told.push(match item {
                ReaderItem::Error(error) => (true, error),
                ReaderItem::Notice(error) => (false, error),
                other => panic!("{other:?}"),
            });
        }
        let of =
            |(is_error, e): &(bool, Error)| (*is_error, e.code(), e.context().api, e.context().partition);
        let api = Some(ApiKey::Metadata);
        let each = [0, 1].map(|p| (is_error, Some(code), api, Some(p)));
        told.sort_by_key(|(_, error)| error.context().partition);
        assert_eq!(told.iter().map(of).collect::<Vec<_>>(), each, "{code}");
    }
}

/// A writer that does not wait has no future by which the topic could be given up again.
#[test]
fn topics_that_a_writer_only_looked_for_are_not_asked_for_for_ever() {
    use crate::writer::{Accumulator, Idempotence, WriterConfig};
    use std::sync::Arc;
    let mut net = Net::connected();
    net.topics = vec![MetadataResponseTopic { name: Some("there".into()), ..numbered(&[(0, 1)]) }];
    let config = WriterConfig { idempotence: Idempotence::Off, ..WriterConfig::default() };
    let writer = net.client.add_writer(net.now, Arc::new(Accumulator::new(config)));
    let names: Vec<Str> = (0..100).map(|n| Str::from(format!("missing{n}"))).collect();
    let asked = |net: &Net| net.client.metadata.wanted_topics().map(str::to_owned).collect::<Vec<_>>();
    for name in names.iter().chain([&Str::from("there")]) {
        (0..3).for_each(|_| net.client.writer_looks_for(net.now, writer, name));
    }
    net.settle();
    net.run_for(Duration::from_secs(3));
    let slots = net.client.writer_topic(net.now, writer, &Str::from("there"));
    assert!(slots.is_some(), "the next look finds it");
    assert_eq!(asked(&net).len(), 101);
    net.run_for(Duration::from_secs(50));
    net.client.writer_looks_for(net.now, writer, &names[7]);
    net.run_for(Duration::from_secs(50));
    assert_eq!(asked(&net), ["missing7", "there"]);
    let error = crate::error::Error::new(crate::error::ErrorKind::Closed);
    net.client.command(net.now, writer, crate::writer::Close(error));
    assert!(asked(&net).is_empty());
    net.client.writer_looks_for(net.now, writer, &names[0]);
    assert!(asked(&net).is_empty(), "the writer is gone");
}

/// Who names a broker may know another one by now: a leader that died is no leader any more.
#[test]
fn a_call_to_one_broker_ends_when_that_is_lost() {
    let mut net = Net::connected();
    net.call_broker(2);
    net.silent.insert(9002);
    let call = net.call_of(Target::node(2), Duration::from_secs(60));
    net.kill(9002);
    let Some(Err(error)) = net.client.take_call(call) else { panic!("it is tried again") };
    assert!(error.is_retriable(), "{error}");
}
