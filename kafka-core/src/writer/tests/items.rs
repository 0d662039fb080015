//! One bad item costs itself only: Produce, of any version, with any errors of any of its partitions. The others are
//! acknowledged at once; a bad one is sent again after its backoff or fails by itself, and takes records afterwards.

use super::{BROKER, Harness, topic};
use crate::items::{Bad, Course, LONGEST, Noise, SHORTEST, Said, carried, items, noise, version};
use crate::machine::Time;
use crate::snapshot::{Cluster, Topic};
use crate::writer::{Delivery, Fate, Idempotence, SendError, WriterConfig};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::produce::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use kafka_proto::{ApiKey, ResponseKind, Str, Uuid};
use proptest::prelude::*;
use std::time::Duration;

const ID: Uuid = Uuid([7; 16]);
/// Records gather for so long while a request is in flight.
const LINGER: Duration = Duration::from_millis(6);
const DELIVERY: Duration = Duration::from_secs(8);

struct Place {
    course: Course,
    delivery: Delivery,
    refused: Option<Time>,
    sent: u32,
    done: Option<Time>,
}

struct World {
    h: Harness,
    version: i16,
    has_id: bool,
    is_idempotent: bool,
    noise: Noise,
    places: Vec<Place>,
    begin: Time,
}

impl World {
    fn new(version: i16, has_id: bool, is_idempotent: bool, items: Vec<Option<Bad>>, noise: Noise) -> Self {
        let idempotence = if is_idempotent { Idempotence::Required } else { Idempotence::Off };
        let config = WriterConfig { idempotence, delivery_timeout: DELIVERY, ..WriterConfig::default() };
        let count = items.len() as i32;
        let mut h = Harness::without_identity(count, config);
        h.give_identity(7, 0);
        if has_id {
            h.update(&Topic { id: ID, ..topic(count, Some(BROKER)) });
        }
        let begin = h.now.time;
        let mut world = Self { h, version, has_id, is_idempotent, noise, places: Vec::new(), begin };
        for (at, bad) in items.into_iter().enumerate() {
            let delivery = world.h.send(at, "a");
            let course = Course::new(bad);
            world.places.push(Place { course, delivery, refused: None, sent: 0, done: None });
        }
        world
    }

    fn run(&mut self) {
        for steps in 0.. {
            assert!(steps < 500, "a tight loop");
            self.h.give_identity(7, 0);
            while self.serve() {
                self.h.work();
                self.h.give_identity(7, 0);
            }
            let now = self.h.now.time;
            for place in self.places.iter_mut().filter(|p| p.delivery.try_get().is_some()) {
                place.done.get_or_insert(now);
            }
            if self.h.producer.poll_timeout().is_none() {
                return;
            }
            self.h.next_deadline();
        }
    }

    fn serve(&mut self) -> bool {
        let version = if self.has_id { self.version } else { self.version.min(12) };
        let Some(request) = self.h.poll_version(BROKER, version) else { return false };
        let partition = |index, error_code, base_offset| PartitionProduceResponse {
            index,
            error_code,
            base_offset,
            ..Default::default()
        };
        let mut told = Vec::new();
        for (index, _) in &request.batches {
            match self.say(*index as usize) {
                Said::Good => told.push(partition(*index, 0, 50)),
                Said::Error(code) => told.push(partition(*index, code.code(), -1)),
                Said::Nothing => {}
            }
        }
        told.extend(self.noise.foreign.map(|code| partition(77, code, 9)));
        self.noise.stir(&mut told);
        let topic = |name: &str, id, partition_responses| TopicProduceResponse {
            name: if version >= 13 { Str::new() } else { name.into() },
            topic_id: if version >= 13 { id } else { Uuid::ZERO },
            partition_responses,
            ..Default::default()
        };
        let mut responses = vec![topic("t", ID, told)];
        if let Some(code) = self.noise.foreign {
            responses.push(topic("nobody's", Uuid([9; 16]), vec![partition(0, code, 9)]));
            responses.push(topic("", Uuid::ZERO, vec![partition(0, code, 9)]));
        }
        self.noise.stir(&mut responses);
        let response = carried(ProduceResponse { responses, ..Default::default() }, version);
        let ResponseKind::Produce(response) = response else { panic!("{response:?}") };
        self.h.producer.produced(self.h.now, &Cluster::default(), request.id, response);
        true
    }

    fn say(&mut self, at: usize) -> Said {
        let now = self.h.now.time;
        let place = &mut self.places[at];
        place.sent += 1;
        if let Some(refused) = place.refused.take() {
            assert!(now >= refused + SHORTEST, "{at} again {:?} after its error", now - refused);
        }
        let said = place.course.next();
        // What is given up may be followed by another batch at once.
        if place.delivery.try_get().is_none() && said != Said::Good {
            place.refused = Some(now);
        }
        said
    }

    fn check(&self) {
        for (at, place) in self.places.iter().enumerate() {
            let name = format!("{at} {:?}", place.course.bad);
            let done = place.done.unwrap_or_else(|| panic!("{name}: no outcome")) - self.begin;
            let result = place.delivery.try_get().expect("done");
            assert!(place.sent <= 20, "{name}: sent {} times", place.sent);
            let Some(bad) = place.course.bad else {
                assert_eq!(result.unwrap().offset, Some(50), "{name}");
                assert!(done <= LINGER, "{name}: waited for {done:?}");
                continue;
            };
            match means(bad, self.is_idempotent) {
                Means::Acked => assert!(result.is_ok() && done <= LINGER, "{name}: {result:?}"),
                Means::Again if !bad.is_lasting() => {
                    assert_eq!(result.unwrap().offset, Some(50), "{name}");
                    assert!(done <= LINGER + LONGEST * bad.answers, "{name}: after {done:?}");
                }
                Means::Again => {
                    self.check_error(&name, bad, &result.unwrap_err());
                    assert!(done <= DELIVERY + LONGEST, "{name}: after {done:?}");
                }
                Means::Fails(fate) => {
                    let error = result.unwrap_err();
                    self.check_error(&name, bad, &error);
                    assert_eq!(error.fate, fate, "{name}");
                    assert!(done <= LINGER, "{name}: waited for {done:?}");
                }
            }
        }
    }

    fn check_error(&self, name: &str, bad: Bad, error: &SendError) {
        let (error, context) = (&error.error, error.error.context());
        assert_eq!(context.api, Some(ApiKey::Produce), "{name}: {error}");
        let at = self.places.iter().position(|p| p.course.bad == Some(bad));
        assert!(at.is_some() && context.topic.as_deref() == Some("t") && context.partition.is_some());
        assert!(name.starts_with(&format!("{} ", context.partition.unwrap())), "{name}: {error}");
        assert_eq!(error.code(), Some(bad.code.unwrap_or(ErrorCode::UnknownServerError)), "{name}");
    }

    /// What was bad takes records again.
    fn send_more(&mut self) {
        self.begin = self.h.now.time;
        let is_over = |place: &Place| place.course.peek() == Said::Good;
        let over: Vec<usize> = (0..self.places.len()).filter(|at| is_over(&self.places[*at])).collect();
        let before = std::mem::take(&mut self.places);
        for (at, place) in before.into_iter().enumerate() {
            let delivery = if over.contains(&at) { self.h.send(at, "b") } else { place.delivery };
            self.places.push(Place { delivery, sent: 0, done: None, ..place });
        }
        self.run();
        for at in over {
            let place = &self.places[at];
            assert!(place.delivery.try_get().expect("an outcome").is_ok(), "{at} {:?}", place.course.bad);
            assert!(place.done.unwrap() <= self.begin + LINGER, "{at} {:?}", place.course.bad);
        }
    }
}

#[derive(Debug, PartialEq)]
enum Means {
    Acked,
    Again,
    Fails(Fate),
}

/// What an error means for a batch of one record, of which nothing else was sent before.
fn means(bad: Bad, is_idempotent: bool) -> Means {
    use ErrorCode::*;
    let Some(code) = bad.code else { return Means::Again };
    match code {
        DuplicateSequenceNumber => Means::Acked,
        OutOfOrderSequenceNumber
        | UnknownProducerId
        | InvalidProducerEpoch
        | ProducerFenced
        | InvalidProducerIdMapping
            if is_idempotent =>
        {
            Means::Again
        }
        PolicyViolation => Means::Again,
        // Nobody says that it is not written.
        UnknownServerError | Unknown(_) => Means::Fails(Fate::PossiblyWritten),
        code if code.is_retriable() => Means::Again,
        _ => Means::Fails(Fate::NotWritten),
    }
}

proptest! {
    #[test]
    fn case_m5_one_bad_partition_of_produce_costs_itself_only(
        version in version(ApiKey::Produce), has_id in any::<bool>(), is_idempotent in any::<bool>(),
        items in items(6), noise in noise(),
    ) {
        let mut world = World::new(version.max(3), // below it are message sets, which the harness does not read
             has_id, is_idempotent, items, noise);
        world.run();
        world.check();
        world.send_more();
    }
}
