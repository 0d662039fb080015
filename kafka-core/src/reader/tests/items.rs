//! One bad item costs itself only: Fetch, ListOffsets and OffsetForLeaderEpoch, of any version, with any errors of any of their
//! partitions. The others are read at once; a bad one is asked for again after its backoff, told once, and goes on
//! once its broker lets it.

use super::*;
use crate::client::fit::fit;
use crate::items::{Course, Noise, Said, carried, code, items, noise, version};
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
/// The longest wait between two attempts.
const LONGEST: Duration = Duration::from_millis(1200);
/// What is tried again goes aside, and may wait there for another that did.
const ASIDE_WAIT: Duration = Duration::from_millis(500);
const SHORTEST: Duration = Duration::from_millis(80);
/// Virtual time of a run.
const RUN: Duration = Duration::from_secs(12);

/// One partition, and all that happened to it.
struct Place {
    tp: TopicPartition,
    broker: i32,
    course: Course,
    /// When an answer said something bad of it.
    refused: Option<Instant>,
    /// When it had what it needs.
    done: Option<Instant>,
    asked: u32,
    told: Vec<(Instant, Error)>,
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
    begin: Instant,
    /// By broker and lane: until when it waits, and what it asked for.
    parked: BTreeMap<(i32, Lane), (Instant, FetchPlan, Option<ErrorCode>)>,
    /// What each broker's fetch session asks for.
    sessions: BTreeMap<i32, (i32, Asked)>,
    /// Until when whole answers fail.
    whole: Instant,
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
                leader_epoch: 5,
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
            Of::Epochs => Start::At { offset: 2, leader_epoch: 4 },
        };
        let assigned = places.iter().map(|p| (p.tp.clone(), start)).collect();
        rig.machine.assign(rig.now, 1, assigned);
        let (begin, parked, sessions) = (rig.now.instant, BTreeMap::new(), BTreeMap::new());
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

    fn now(&self) -> Instant {
        self.rig.now.instant
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
            self.rig.later(next.saturating_duration_since(self.now()));
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

    // ---- questions about positions ----

    fn ask(&mut self) -> bool {
        let Some(ask) = self.rig.ask() else { return false };
        // A position may be checked before it is fetched from.
        let is_aside = self.of == Of::Records;
        let version = if is_aside { 4 } else { self.version };
        let answer = fit(ask.request, version).map(|request| match request {
            RequestKind::ListOffsets(request) => self.offsets(&request),
            RequestKind::OffsetForLeaderEpoch(request) => self.epochs(request.topics),
            other => panic!("{other:?}"),
        });
        self.rig.answer(ask.tag, answer.map(|answer| carried(answer, version)));
        true
    }

    fn offsets(&mut self, request: &ListOffsetsRequest) -> ResponseKind {
        let is_old = self.version == 0;
        let partition = |partition_index, error_code, offset: i64| ListOffsetsPartitionResponse {
            partition_index,
            error_code,
            offset: if is_old { -1 } else { offset },
            old_style_offsets: if is_old { vec![offset].into() } else { vec![].into() },
            ..Default::default()
        };
        let mut topics = Vec::new();
        for asked in &request.topics {
            let mut partitions = Vec::new();
            for p in &asked.partitions {
                let at = self.find(&asked.name, Uuid::ZERO, p.partition_index);
                match self.say(at) {
                    Said::Good => partitions.push(partition(p.partition_index, 0, 0)),
                    Said::Error(code) => partitions.push(partition(p.partition_index, code.code(), -1)),
                    Said::Nothing => {}
                }
            }
            partitions.extend(self.noise.foreign.map(|code| partition(77, code, 9)));
            self.noise.stir(&mut partitions);
            topics.push(ListOffsetsTopicResponse {
                name: asked.name.clone(),
                partitions,
                ..Default::default()
            });
        }
        if let Some(code) = self.noise.foreign {
            let stranger = |name: &str| ListOffsetsTopicResponse {
                name: name.into(),
                partitions: vec![partition(0, code, 9)],
                ..Default::default()
            };
            topics.extend([stranger("nobody's"), stranger("")]);
        }
        self.noise.stir(&mut topics);
        ListOffsetsResponse { topics, ..Default::default() }.into()
    }

    fn epochs(
        &mut self,
        asked: Vec<kafka_proto::messages::offset_for_leader_epoch::OffsetForLeaderTopic>,
    ) -> ResponseKind {
        let is_old = self.version == 0;
        let partition = |partition, error_code, leader_epoch, end_offset| EpochEndOffset {
            partition,
            error_code,
            leader_epoch: if is_old { -1 } else { leader_epoch },
            end_offset,
            ..Default::default()
        };
        let mut topics = Vec::new();
        for asked in asked {
            let mut partitions = Vec::new();
            for p in &asked.partitions {
                let at = self.find(&asked.topic, Uuid::ZERO, p.partition);
                match if self.of == Of::Records { Said::Good } else { self.say(at) } {
                    Said::Good => {
                        partitions.push(partition(p.partition, 0, 4, END));
                    }
                    Said::Error(code) => partitions.push(partition(p.partition, code.code(), -1, -1)),
                    Said::Nothing => {}
                }
            }
            partitions.extend(self.noise.foreign.map(|code| partition(77, code, 4, 1)));
            self.noise.stir(&mut partitions);
            topics.push(OffsetForLeaderTopicResult { topic: asked.topic, partitions, ..Default::default() });
        }
        if let Some(code) = self.noise.foreign {
            let stranger = |name: &str| OffsetForLeaderTopicResult {
                topic: name.into(),
                partitions: vec![partition(0, code, 4, 1)],
                ..Default::default()
            };
            topics.extend([stranger("nobody's"), stranger("")]);
        }
        self.noise.stir(&mut topics);
        OffsetForLeaderEpochResponse { topics, ..Default::default() }.into()
    }

    // ---- records ----

    fn fetch(&mut self) -> bool {
        let Some((broker, lane)) = self.rig.lanes().first().copied() else { return false };
        let version = self.rig.version;
        let plan = self.rig.machine.poll_fetch(self.rig.now, &self.rig.cluster, broker, lane, version);
        // There may be a question about a position first.
        let Some(plan) = plan else { return self.rig.ask_again() };
        if self.of != Of::Records {
            for at in self.asked_by(&plan.request) {
                let now = self.now();
                self.places[at.0].done.get_or_insert(now);
            }
        }
        let until = self.now() + Duration::from_millis(plan.request.max_wait_ms as u64);
        let refusal = self.remember(broker, lane, &plan.request);
        self.parked.insert((broker, lane), (until, plan, refusal));
        if self.of == Of::Records {
            self.serve(broker, lane, false);
        }
        true
    }

    fn asked_by(&self, request: &FetchRequest) -> Asked {
        let of = |(topic, id, p): (&Str, Uuid, &FetchPartition)| {
            (self.find(topic, id, p.partition), p.fetch_offset)
        };
        let asked =
            request.topics.iter().flat_map(|t| t.partitions.iter().map(|p| (&t.topic, t.topic_id, p)));
        asked.map(of).collect()
    }

    /// The broker's part of KIP-227; an error where it does not know the session.
    fn remember(&mut self, broker: i32, lane: Lane, request: &FetchRequest) -> Option<ErrorCode> {
        let asked = self.asked_by(request);
        if lane != MAIN || !self.has_sessions || self.rig.version < 7 {
            return None;
        }
        if request.session_epoch == 0 {
            let id = 100 + self.sessions.len() as i32;
            self.sessions.insert(broker, (id, asked));
            return None;
        }
        let forgotten = request.forgotten_topics_data.iter();
        let forgotten: Vec<usize> = forgotten
            .flat_map(|t| t.partitions.iter().map(|p| (t.topic.clone(), t.topic_id, p)))
            .map(|(topic, id, p)| self.find(&topic, id, p))
            .collect();
        let session = self.sessions.get_mut(&broker).filter(|(id, _)| *id == request.session_id);
        let Some((_, of)) = session else { return Some(ErrorCode::FetchSessionIdNotFound) };
        of.retain(|at, _| !forgotten.contains(at));
        of.extend(asked);
        None
    }

    fn answer_parked(&mut self) {
        let due = self.parked.iter().filter(|(_, (until, ..))| *until <= self.now());
        let due: Vec<_> = due.map(|(key, _)| *key).collect();
        due.into_iter().for_each(|(broker, lane)| self.serve(broker, lane, true));
    }

    /// Answers a fetch if there is something to say, or its time is over.
    fn serve(&mut self, broker: i32, lane: Lane, is_due: bool) {
        let Some((_, plan, refusal)) = self.parked.get(&(broker, lane)) else { return };
        let (listed, refusal) = (self.asked_by(&plan.request), *refusal);
        let session =
            self.sessions.get(&broker).filter(|_| lane == MAIN && self.has_sessions && self.rig.version >= 7);
        let (id, asked) = session.cloned().unwrap_or((0, listed.clone()));
        let is_incremental = id != 0 && plan.request.session_epoch > 0;
        if let Some(code) = refusal.or_else(|| self.top_error()) {
            self.parked.remove(&(broker, lane));
            // The session is over with it, as the client sees it.
            let response = FetchResponse { error_code: code.code(), ..Default::default() };
            return self.respond_carried(broker, lane, response);
        }
        let says = |(at, offset): (&usize, &i64)| {
            if self.of != Of::Records {
                return false;
            }
            let said = self.places[*at].course.peek();
            matches!(said, Said::Error(_)) || said == Said::Good && *offset < END
        };
        if !is_due && !asked.iter().any(says) {
            return;
        }
        let mut topics: BTreeMap<Str, Vec<PartitionData>> = BTreeMap::new();
        for (at, offset) in &asked {
            let partition = self.places[*at].tp.partition;
            let data = match self.say_record(*at, *offset) {
                Said::Good if *offset < END && self.of == Of::Records => PartitionData {
                    high_watermark: END,
                    last_stable_offset: END,
                    ..data(partition, &[Batch::plain(0, END)])
                },
                Said::Good if is_incremental && !listed.contains_key(at) => continue,
                Said::Good => caught_up(partition, *offset),
                Said::Error(code) => failed(partition, code),
                Said::Nothing => continue,
            };
            topics.entry(self.places[*at].tp.topic.clone()).or_default().push(data);
        }
        self.parked.remove(&(broker, lane));
        let topics = topics.into_iter().collect();
        let response = self.fetch_response(id, topics);
        self.respond_carried(broker, lane, response);
    }

    fn say_record(&mut self, at: usize, offset: i64) -> Said {
        if self.of != Of::Records {
            return Said::Good;
        }
        // Not to be named is nothing to wait for.
        if self.places[at].course.peek() == Said::Nothing {
            self.places[at].asked += 1;
            return self.places[at].course.next();
        }
        if offset >= END { self.places[at].course.next() } else { self.say(at) }
    }

    fn top_error(&mut self) -> Option<ErrorCode> {
        let (code, answers) =
            self.top.as_mut().filter(|(_, answers)| *answers > 0 && self.rig.version >= 7)?;
        *answers -= 1;
        self.whole = self.rig.now.instant;
        Some(*code)
    }

    fn fetch_response(&self, session_id: i32, mut topics: Vec<(Str, Vec<PartitionData>)>) -> FetchResponse {
        let version = self.rig.version;
        for (_, partitions) in &mut topics {
            partitions.extend(self.noise.foreign.map(|code| failed(77, ErrorCode::from(code))));
            self.noise.stir(partitions);
        }
        let by_id = |name: &Str| self.rig.cluster.topic(name).map(|t| t.id).unwrap_or_default();
        let topic = |(name, partitions): (Str, Vec<PartitionData>)| FetchableTopicResponse {
            topic_id: if version >= 13 { by_id(&name) } else { Uuid::ZERO },
            topic: if version >= 13 { Str::new() } else { name },
            partitions,
            ..Default::default()
        };
        let mut responses: Vec<FetchableTopicResponse> = topics.into_iter().map(topic).collect();
        if let Some(code) = self.noise.foreign {
            let stranger = |topic: &str, id: u8| FetchableTopicResponse {
                topic: topic.into(),
                topic_id: Uuid([id; 16]),
                partitions: vec![failed(0, ErrorCode::from(code))],
                ..Default::default()
            };
            responses.extend([stranger("nobody's", 9), stranger("", 0)]);
        }
        self.noise.stir(&mut responses);
        FetchResponse { session_id, responses, ..Default::default() }
    }

    fn respond_carried(&mut self, broker: i32, lane: Lane, response: FetchResponse) {
        let ResponseKind::Fetch(response) = carried(response, self.rig.version) else { panic!("a fetch") };
        self.rig.respond(broker, lane, response);
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

impl Rig {
    /// Whether there is something to ask now.
    fn ask_again(&self) -> bool {
        self.machine.poll_timeout().is_some_and(|at| at <= self.now.instant)
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
