//! One bad item costs itself only: Fetch, ListOffsets and OffsetForLeaderEpoch, of any version, with any errors of any of their
//! partitions. The others are read at once; a bad one is asked for again after its backoff, told once, and goes on
//! once its broker lets it.

mod broker;

use super::*;
use crate::items::{
    Course, LONGEST, Noise, SHORTEST, Said, carried, code, items, listed_offset, noise, version,
};
use crate::link::fit::fitted;
use kafka_proto::messages::fetch::{FetchPartition, FetchRequest};
use kafka_proto::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};
use kafka_proto::{ApiKey, ResponseKind};
use proptest::prelude::*;
use std::collections::BTreeMap;

const TOPICS: [&str; 2] = ["t", "u"];
/// The offset behind the last record of each log.
const END: i64 = 3;
const GRACE: Duration = Duration::from_secs(5);
/// What is tried again goes aside, and may wait there for another that did.
const ASIDE_WAIT: Duration = Duration::from_millis(500);
/// Virtual time of a run.
const RUN: Duration = Duration::from_secs(12);

/// One partition, and all that happened to it.
struct Place {
    tp: TopicPartition,
    broker: i32,
    course: Course,
    /// When an answer said something bad of it.
    refused: Option<Time>,
    /// When it had what it needs.
    done: Option<Time>,
    asked: u32,
    told: Vec<(Time, Error)>,
}

/// What is asked about each of the places.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Of {
    Offsets,
    Epochs,
    Records,
}

struct World {
    rig: Rig,
    of: Of,
    version: i16,
    noise: Noise,
    has_sessions: bool,
    /// The error of whole answers, and of how many.
    top: Option<(ErrorCode, u32)>,
    places: Vec<Place>,
    begin: Time,
    /// By broker and lane: until when it waits, and what it asked for.
    parked: BTreeMap<(i32, Lane), (Time, FetchPlan, Option<ErrorCode>)>,
    /// What each broker's fetch session asks for.
    sessions: BTreeMap<i32, (i32, Asked)>,
    /// Until when whole answers fail.
    whole: Time,
}

/// Places and the offsets they are to be read from.
type Asked = BTreeMap<usize, i64>;

impl World {
    fn new(of: Of, version: i16, courses: Vec<Option<crate::items::Bad>>, noise: Noise) -> Self {
        let mut rig = Rig::new();
        let place = |(at, bad): (usize, Option<crate::items::Bad>)| Place {
            tp: TopicPartition::new(TOPICS[at % 2], (at / 2) as i32),
            broker: 1 + (at / 4) as i32,
            course: Course::new(bad),
            refused: None,
            done: None,
            asked: 0,
            told: Vec::new(),
        };
        let places: Vec<Place> = courses.into_iter().enumerate().map(place).collect();
        for (number, name) in TOPICS.iter().enumerate() {
            let leaders = places.iter().filter(|p| *p.tp.topic == **name).map(|p| Partition {
                leader: Some(p.broker),
                leader_epoch: Some(5),
                replicas: vec![],
                isr: vec![],
                offline: vec![],
            });
            let (name, id) = (Str::from(*name), Uuid([number as u8 + 1; 16]));
            let topic = Topic { name: name.clone(), id, is_internal: false, partitions: leaders.collect() };
            rig.cluster.topics.insert(name.clone(), Arc::new(topic));
            rig.cluster.names.insert(id, name);
        }
        rig.version = if of == Of::Epochs { 11 } else { version };
        let start = match of {
            Of::Records => at(0),
            Of::Offsets => Start::First,
            Of::Epochs => Start::At { offset: 2, leader_epoch: Some(4) },
        };
        let assigned = places.iter().map(|p| (p.tp.clone(), start)).collect();
        rig.machine.assign(1, assigned);
        let (begin, parked, sessions) = (rig.now.time, BTreeMap::new(), BTreeMap::new());
        let whole = begin;
        Self {
            rig,
            of,
            version,
            noise,
            has_sessions: false,
            top: None,
            places,
            begin,
            parked,
            sessions,
            whole,
        }
    }

    fn now(&self) -> Time {
        self.rig.now.time
    }

    fn find(&self, topic: &str, id: Uuid, partition: i32) -> usize {
        let name = self.rig.cluster.name(&id).map_or(topic, |name| name);
        let same = |p: &Place| *p.tp.topic == *name && p.tp.partition == partition;
        self.places.iter().position(same).expect("only what is assigned is asked for")
    }

    /// What an answer says of a place that was asked for.
    fn say(&mut self, at: usize) -> Said {
        let now = self.now();
        let place = &mut self.places[at];
        place.asked += 1;
        if let Some(refused) = place.refused.take() {
            assert!(
                now >= refused + SHORTEST,
                "{} again {:?} after its error",
                place.tp.partition,
                now - refused
            );
        }
        let said = place.course.next();
        if said != Said::Good {
            place.refused = Some(now);
        }
        said
    }

    fn run(&mut self) {
        let end = self.begin + RUN;
        for steps in 0.. {
            assert!(steps < 1_000, "a tight loop");
            while self.ask() || self.fetch() {}
            self.take();
            self.rig.hints();
            self.rig.check();
            self.see();
            let timer = self.rig.machine.poll_timeout();
            let parked = self.parked.values().map(|(until, ..)| *until).min();
            let Some(next) = timer.into_iter().chain(parked).min().filter(|at| *at <= end) else { break };
            self.rig.later(next.duration_since(self.now()));
            self.answer_parked();
        }
    }

    /// Which places have a position by now.
    fn see(&mut self) {
        let now = self.now();
        for place in self.places.iter_mut().filter(|_| self.of == Of::Offsets) {
            if place.done.is_none() && self.rig.machine.position(&place.tp).is_some() {
                place.done = Some(now);
            }
        }
    }

    fn take(&mut self) {
        let now = self.now();
        while let Some(item) = self.rig.take() {
            let error = match item {
                Item::Chunk(chunk) => {
                    let at = self.find(chunk.topic(), Uuid::ZERO, chunk.partition());
                    assert_eq!(offsets(&mut Walk::new(chunk, &self.rig.config)), [0, 1, 2]);
                    assert!(self.places[at].done.replace(now).is_none(), "delivered twice");
                    continue;
                }
                Item::Error(error) | Item::Notice(error) => error,
            };
            let (topic, partition) = (error.context().topic.clone(), error.context().partition);
            let Some((topic, partition)) = topic.zip(partition) else {
                assert!(self.top.is_some(), "of whom? {error}");
                continue;
            };
            let at = self.find(&topic, Uuid::ZERO, partition);
            self.places[at].told.push((now, error));
        }
    }

    // ---- what has to be ----

    fn check(&self) {
        self.places.iter().for_each(|place| self.check_place(place));
    }

    fn check_place(&self, place: &Place) {
        let name = format!("{}-{} {:?}", place.tp.topic, place.tp.partition, place.course.bad);
        let told: Vec<&Error> = place.told.iter().map(|(_, error)| error).collect();
        // Of a fetch that has nothing each partition is asked for again after `max_wait`, or when another one is answered.
        let pace = if self.of == Of::Records { 400 } else { 700 };
        let bound = RUN.as_millis() / pace + 20;
        assert!(u128::from(place.asked) <= bound, "{name}: asked for {} times", place.asked);
        let Some(bad) = place.course.bad else {
            let done = place.done.unwrap_or_else(|| panic!("{name}: waits for the others"));
            let late = if self.top.is_some() { self.whole + LONGEST } else { self.begin };
            assert!(done <= late, "{name}: waited for {:?}", done - self.begin);
            assert!(told.is_empty(), "{name}: {told:?}");
            return;
        };
        let means = match bad.code {
            // Not even asked for.
            _ if self.of == Of::Epochs && self.version < 3 => Means::NoMatter,
            None => Means::Passes,
            Some(code) => means(self.of, code),
        };
        let is_done = !bad.is_lasting() && means != Means::Halts || means == Means::NoMatter;
        assert_eq!(place.done.is_some(), is_done, "{name}: {told:?}");
        if let Some(done) =
            place.done.filter(|_| !bad.is_lasting() && self.top.is_none() && bad.code.is_some())
        {
            assert!(
                done <= self.begin + (LONGEST + ASIDE_WAIT) * bad.answers,
                "{name}: only {:?}",
                done - self.begin
            );
        }
        let is_told = match means {
            Means::Halts | Means::Told => true,
            Means::Passes => bad.is_lasting() && (bad.code.is_some() || self.of != Of::Records),
            Means::NoMatter => false,
        };
        assert_eq!(told.len(), usize::from(is_told), "{name}: {told:?}");
        for (when, error) in &place.told {
            self.check_error(&name, bad.code, error);
            let after = *when - self.begin;
            let is_late = means == Means::Passes;
            assert_eq!(after >= GRACE, is_late, "{name}: told after {after:?}");
        }
    }

    /// Who, and what.
    fn check_error(&self, name: &str, code: Option<ErrorCode>, error: &Error) {
        let api = match self.of {
            Of::Offsets => ApiKey::ListOffsets,
            Of::Epochs => ApiKey::OffsetForLeaderEpoch,
            Of::Records => ApiKey::Fetch,
        };
        assert_eq!(error.context().api, Some(api), "{name}: {error}");
        let code = code.unwrap_or(ErrorCode::UnknownServerError);
        match (code, error.kind()) {
            (ErrorCode::OffsetOutOfRange, ErrorKind::OffsetOutOfRange { offset: 0 })
                if self.of == Of::Records => {}
            (ErrorCode::CorruptMessage, ErrorKind::Corrupt { .. }) => {}
            (ErrorCode::UnsupportedCompressionType, ErrorKind::Unsupported { .. }) => {}
            (code, ErrorKind::Broker(told)) => assert_eq!(*told, code, "{name}"),
            (_, other) => panic!("{name}: {other:?}"),
        }
    }
}

/// What becomes of a partition with such an error.
#[derive(Debug, PartialEq)]
enum Means {
    /// It is tried again in silence, and told if it lasts.
    Passes,
    /// It is told at once, and tried again.
    Told,
    /// It is told, and stops until it is sought.
    Halts,
    /// What was asked for was a courtesy.
    NoMatter,
}

fn means(of: Of, code: ErrorCode) -> Means {
    use ErrorCode::*;
    match code {
        UnsupportedVersion | UnsupportedForMessageFormat if of == Of::Epochs => Means::NoMatter,
        OffsetOutOfRange if of == Of::Records => Means::Halts,
        UnsupportedCompressionType | UnsupportedForMessageFormat | UnsupportedVersion => Means::Halts,
        CorruptMessage => Means::Told,
        UnknownServerError => Means::Passes,
        code if code.is_retriable() => Means::Passes,
        _ => Means::Told,
    }
}

proptest! {
    #[test]
    fn case_m5_one_bad_partition_of_list_offsets_costs_itself_only(
        version in version(ApiKey::ListOffsets), items in items(7), noise in noise(),
    ) {
        let mut world = World::new(Of::Offsets, version, items, noise);
        world.run();
        world.check();
    }

    #[test]
    fn case_m5_one_bad_partition_of_offset_for_leader_epoch_costs_itself_only(
        version in version(ApiKey::OffsetForLeaderEpoch), items in items(7), noise in noise(),
    ) {
        let mut world = World::new(Of::Epochs, version, items, noise);
        world.run();
        world.check();
    }

    #[test]
    fn case_m5_one_bad_partition_of_a_fetch_costs_itself_only(
        version in version(ApiKey::Fetch), items in items(7), noise in noise(), has_sessions in any::<bool>(),
        top in proptest::option::weighted(0.2, (code(), 1u32..3)),
    ) {
        let mut world = World::new(Of::Records, version, items, noise);
        (world.has_sessions, world.top) = (has_sessions, top);
        world.run();
        world.check();
    }
}
