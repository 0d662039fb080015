//! One bad item costs itself only: CreateTopics, DeleteTopics and ListOffsets as calls, of any version, with any errors of any
//! of their topics. A client by hand, with a clock.

use super::super::client::Client;
use super::super::shared::{DriverWaker, Handle, Shared};
use super::super::system;
use super::*;
use crate::client::{Action, Input};
use crate::config::ClientConfig;
use crate::items::{
    Bad, Course, LONGEST, Noise, SHORTEST, Said, carried, items, listed_offset, noise, version,
};
use crate::link::fit::fitted;
use crate::link::{Answered, BrokerVersions, ConnId, Payload};
use kafka_proto::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use kafka_proto::messages::create_topics::{CreatableTopicResult, CreateTopicsResponse};
use kafka_proto::messages::delete_topics::{DeletableTopicResult, DeleteTopicsResponse};
use kafka_proto::messages::list_offsets::{ListOffsetsResponse, ListOffsetsTopicResponse};
use kafka_proto::messages::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_proto::{RequestKind, ResponseKind};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

const CALL: Duration = Duration::from_secs(10);

/// What a broker says of the topics `t0`, `t1` and so on.
struct Broker {
    version: i16,
    noise: Noise,
    topics: Vec<(Course, Option<Time>, u32)>,
    /// What was done, which is done once.
    done: BTreeSet<usize>,
}

fn name(at: usize) -> Str {
    format!("t{at}").into()
}

fn number(name: &Str) -> usize {
    name[1..].parse().unwrap()
}

impl Broker {
    fn say(&mut self, now: Time, name: &Str) -> Said {
        let (course, refused, asked) = &mut self.topics[number(name)];
        *asked += 1;
        if let Some(refused) = refused.take() {
            assert!(now >= refused + SHORTEST, "{name} again after {:?}", now - refused);
        }
        let said = course.next();
        if said == Said::Good {
            assert!(self.done.insert(number(name)), "{name} is asked for again, although it was done");
        } else {
            *refused = Some(now);
        }
        said
    }

    fn answer(&mut self, now: Time, request: RequestKind) -> ResponseKind {
        if let RequestKind::Metadata(request) = request {
            return self.metadata(request).into();
        }
        match fitted(request, self.version).unwrap() {
            RequestKind::CreateTopics(request) => {
                let topics = self.told(now, request.topics.iter().map(|t| t.name.clone()));
                let topic =
                    |(name, error_code)| CreatableTopicResult { name, error_code, ..Default::default() };
                let topics = topics.into_iter().map(topic).collect();
                carried(CreateTopicsResponse { topics, ..Default::default() }, self.version)
            }
            RequestKind::DeleteTopics(request) => {
                let names = request.topics.iter().filter_map(|t| t.name.clone());
                let topics = self.told(now, names.chain(request.topic_names.iter().cloned()));
                let topic = |(name, error_code)| DeletableTopicResult {
                    name: Some(name),
                    error_code,
                    ..Default::default()
                };
                let responses = topics.into_iter().map(topic).collect();
                carried(DeleteTopicsResponse { responses, ..Default::default() }, self.version)
            }
            RequestKind::ListOffsets(request) => self.offsets(now, &request),
            other => panic!("{other:?}"),
        }
    }

    fn told(&mut self, now: Time, names: impl Iterator<Item = Str>) -> Vec<(Str, i16)> {
        let mut told = Vec::new();
        for name in names {
            match self.say(now, &name) {
                Said::Good => told.push((name, 0)),
                Said::Error(code) => told.push((name, code.code())),
                Said::Nothing => {}
            }
        }
        if let Some(code) = self.noise.foreign {
            told.extend([("nobody's".into(), code), (Str::new(), code)]);
        }
        self.noise.stir(&mut told);
        told
    }

    fn offsets(&mut self, now: Time, request: &ListOffsetsRequest) -> ResponseKind {
        let version = self.version;
        let partition = |index, code, offset| listed_offset(version, index, code, offset);
        let topic =
            |name: Str, partitions| ListOffsetsTopicResponse { name, partitions, ..Default::default() };
        let name = &request.topics[0].name;
        let mut partitions = match self.say(now, name) {
            Said::Good => vec![partition(0, 0, 40)],
            Said::Error(code) => vec![partition(0, code.code(), -1)],
            Said::Nothing => vec![],
        };
        let strange = self.noise.foreign.map(|code| partition(1, code, 9));
        partitions.extend(strange.clone());
        self.noise.stir(&mut partitions);
        let mut topics = vec![topic(name.clone(), partitions)];
        if let Some(code) = self.noise.foreign {
            let one = || vec![partition(0, code, 9)];
            topics.extend([topic("nobody's".into(), one()), topic(Str::new(), one())]);
        }
        self.noise.stir(&mut topics);
        carried(ListOffsetsResponse { topics, ..Default::default() }, self.version)
    }

    fn metadata(&self, request: MetadataRequest) -> MetadataResponse {
        let broker =
            MetadataResponseBroker { node_id: 1, host: "b".into(), port: 9092, ..Default::default() };
        let partition = |partition_index| MetadataResponsePartition {
            partition_index,
            leader_id: 1,
            ..Default::default()
        };
        let topic = |name| MetadataResponseTopic {
            name: Some(name),
            partitions: vec![partition(0), partition(1)],
            ..Default::default()
        };
        let topics = request.topics.into_iter().flatten().filter_map(|t| t.name).map(topic).collect();
        MetadataResponse { brokers: vec![broker], controller_id: 1, topics, ..Default::default() }
    }
}

/// A client and its only broker.
struct Hand {
    client: Client,
    clock: Arc<Mutex<Time>>,
    broker: Broker,
    conns: BTreeSet<ConnId>,
}

impl Hand {
    fn new(version: i16, topics: Vec<Option<Bad>>, noise: Noise) -> Self {
        let clock = Arc::new(Mutex::new(Time::START));
        let bootstrap = crate::address::Address::parse_list("b:9092").unwrap();
        let config = ClientConfig { bootstrap, call_timeout: CALL, ..ClientConfig::default() };
        let at = clock.clone();
        let shared = Shared::new(config, system::now(), move || *at.lock().unwrap(), || 0);
        let client = Client::new(Handle::new(shared), DriverWaker::default(), Arc::default());
        let topics = topics.into_iter().map(|bad| (Course::new(bad), None, 0)).collect();
        let broker = Broker { version, noise, topics, done: BTreeSet::new() };
        Self { client, clock, broker, conns: BTreeSet::new() }
    }

    fn now(&self) -> Time {
        *self.clock.lock().unwrap()
    }

    /// Runs a call to its end; how long it took.
    fn run<T>(&mut self, call: impl Future<Output = T>) -> (Duration, T) {
        let mut call = pin!(call);
        let begun = self.now();
        for _ in 0..2_000 {
            if let Poll::Ready(output) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return (self.now() - begun, output);
            }
            if self.work() {
                continue;
            }
            let next = self.client.handle.with(|state| state.core.poll_timeout()).expect("a deadline");
            let now = self.now().max(next);
            *self.clock.lock().unwrap() = now;
            self.client.handle.input(Input::Timeout);
        }
        panic!("a tight loop");
    }

    fn work(&mut self) -> bool {
        let handle = self.client.handle.clone();
        while handle.with(|state| state.core.poll_event()).is_some() {}
        if let Some(action) = handle.with(|state| state.core.poll_action()) {
            match action {
                Action::Connect { conn, .. } => {
                    self.conns.insert(conn);
                    handle.input(Input::Connected { conn, versions: versions() });
                }
                Action::Close(conn) => {
                    self.conns.remove(&conn);
                    let error = crate::error::ConnectionError::ClosedByClient;
                    handle.input(Input::Closed { conn, error, unanswered: Vec::new() });
                }
                Action::Run(job) => handle.input(Input::JobDone(job.run())),
            }
            return true;
        }
        let now = handle.now();
        for conn in self.conns.clone() {
            let Some(transmit) = handle.with(|state| state.core.poll_transmit(now, conn)) else { continue };
            let Payload::Plain(request) = transmit.payload else { panic!("plain requests only") };
            let response = Answered::Plain(Box::new(self.broker.answer(now.time, *request)));
            let throttle = Duration::ZERO;
            handle.input(Input::Response { conn, id: transmit.id, response, throttle });
            return true;
        }
        false
    }
}

fn versions() -> Arc<BrokerVersions> {
    let range = |api: &ApiKey| ApiVersion {
        api_key: api.code(),
        max_version: api.latest_stable(),
        ..ApiVersion::default()
    };
    let api_keys = ApiKey::ALL.iter().map(range).collect();
    Arc::new(BrokerVersions::from_response(&ApiVersionsResponse { api_keys, ..Default::default() }))
}

/// Whether the topic is to be asked about again.
fn passes(bad: Bad) -> bool {
    use ErrorCode::{RequestTimedOut, UnknownTopicId, UnknownTopicOrPartition};
    let is_answer = |code| matches!(code, RequestTimedOut | UnknownTopicId | UnknownTopicOrPartition);
    bad.code.is_none_or(|code| code.is_retriable() && !is_answer(code))
}

fn check(api: ApiKey, hand: &Hand, after: Duration, results: &[(Str, Result<()>)]) {
    let names: Vec<Str> = results.iter().map(|(name, _)| name.clone()).collect();
    let count = hand.broker.topics.len();
    assert_eq!(names, (0..count).rev().map(name).collect::<Vec<_>>(), "each asked for, in this order");
    let is_late = |bad: Bad| passes(bad) && bad.is_lasting();
    let bads = hand.broker.topics.iter().filter_map(|(course, ..)| course.bad);
    let waits = bads.clone().filter(|bad| passes(*bad)).map(|bad| LONGEST * bad.answers.min(10)).max();
    assert!(after <= waits.unwrap_or_default().min(CALL), "{after:?}");
    for (topic, result) in results {
        let (course, _, asked) = &hand.broker.topics[number(topic)];
        let text = format!("{topic} {:?}: {result:?}", course.bad);
        assert!(*asked <= 30, "{text}: asked for {asked} times");
        let Some(bad) = course.bad.filter(|bad| !passes(*bad) || bad.is_lasting()) else {
            assert!(result.is_ok(), "{text}");
            continue;
        };
        let error = result.as_ref().expect_err(&text);
        assert_eq!(error.code(), Some(bad.code.unwrap_or(ErrorCode::UnknownServerError)), "{text}");
        assert_eq!(matches!(error.kind(), ErrorKind::TimedOut { .. }), is_late(bad), "{text}");
        assert_eq!(error.context().api, Some(api), "{text}");
        assert_eq!(error.context().topic.as_ref(), Some(topic), "{text}");
        assert!(is_late(bad) || *asked == 1, "{text}: asked for {asked} times");
    }
}

proptest! {
    #[test]
    fn case_m5_one_bad_topic_of_create_topics_costs_itself_only(
        version in version(ApiKey::CreateTopics), items in items(5), noise in noise(),
    ) {
        let mut hand = Hand::new(version, items, noise);
        let client = hand.client.clone();
        let topics: Vec<NewTopic> =
            (0..hand.broker.topics.len()).rev().map(|at| NewTopic::new(name(at), 2)).collect();
        let (after, results) = hand.run(client.create_topics(topics));
        check(ApiKey::CreateTopics, &hand, after, &results.unwrap());
    }

    #[test]
    fn case_m5_one_bad_topic_of_delete_topics_costs_itself_only(
        version in version(ApiKey::DeleteTopics), items in items(5), noise in noise(),
    ) {
        let mut hand = Hand::new(version, items, noise);
        let client = hand.client.clone();
        let names: Vec<Str> = (0..hand.broker.topics.len()).rev().map(name).collect();
        let (after, results) = hand.run(client.delete_topics(names));
        check(ApiKey::DeleteTopics, &hand, after, &results.unwrap());
    }

    #[test]
    fn case_m5_what_list_offsets_says_of_others_is_not_the_answer(
        version in version(ApiKey::ListOffsets), items in items(1), noise in noise(),
    ) {
        let bad = items[0];
        let mut hand = Hand::new(version, items, noise);
        let client = hand.client.clone();
        let (after, result) = hand.run(client.list_offset("t0", 0, Start::First));
        let asked = hand.broker.topics[0].2;
        prop_assert!(asked <= 30, "asked {} times", asked);
        let passes = |bad: &Bad| bad.code.is_none_or(ErrorCode::is_retriable);
        match bad.filter(|bad| !passes(bad) || bad.is_lasting()) {
            None => {
                prop_assert_eq!(result.unwrap(), Some(40));
                prop_assert!(after <= bad.map_or(Duration::ZERO, |bad| LONGEST * bad.answers));
            }
            Some(bad) => {
                let error = result.unwrap_err();
                prop_assert_eq!(error.code(), Some(bad.code.unwrap_or(ErrorCode::UnknownServerError)));
                prop_assert_eq!(error.context().api, Some(ApiKey::ListOffsets));
                prop_assert_eq!((error.context().topic.clone(), error.context().partition), (Some(name(0)), Some(0)));
                prop_assert_eq!(after, if passes(&bad) { CALL } else { Duration::ZERO });
            }
        }
    }
}

// ---- what the properties found, each by itself ----

fn bad(code: ErrorCode, answers: u32) -> Option<Bad> {
    Some(Bad { code: Some(code), answers })
}

/// The controller moved between two topics of a request: the first must not be told as there already.
#[test]
fn case_m5_only_topics_that_the_controller_did_not_take_are_sent_again() {
    for code in [ErrorCode::NotController, ErrorCode::ThrottlingQuotaExceeded] {
        for version in [4, 7] {
            let mut hand = Hand::new(version, vec![None, bad(code, 2), None], Noise::default());
            let client = hand.client.clone();
            let topics: Vec<NewTopic> = (0..3).map(|at| NewTopic::new(name(at), 2)).collect();
            let (_, results) = hand.run(client.create_topics(topics));
            assert!(results.unwrap().iter().all(|(_, result)| result.is_ok()), "{code} {version}");
            assert_eq!(hand.broker.topics.iter().map(|(_, _, asked)| *asked).collect::<Vec<_>>(), [1, 3, 1]);
            assert_eq!(client.stats().retries, 2, "what is answered for good is not tried again");
        }
    }
}

#[test]
fn case_m5_each_topic_of_a_call_has_one_result_whatever_the_answer_names() {
    let noise = Noise { foreign: Some(0), ..Noise::default() };
    let lacking = Some(Bad { code: None, answers: 1 });
    let mut hand = Hand::new(6, vec![None, lacking, bad(ErrorCode::UnknownTopicOrPartition, 1)], noise);
    let client = hand.client.clone();
    let (_, results) = hand.run(client.delete_topics(["t2", "t1", "t0"]));
    let codes =
        results.unwrap().into_iter().map(|(name, result)| (name, result.err().and_then(|e| e.code())));
    let missing = Some(ErrorCode::UnknownTopicOrPartition);
    assert_eq!(codes.collect::<Vec<_>>(), [(name(2), missing), (name(1), None), (name(0), None)]);
}

#[test]
fn case_m5_a_topic_that_is_refused_until_the_deadline_costs_the_others_nothing() {
    let forever = bad(ErrorCode::ThrottlingQuotaExceeded, u32::MAX);
    let mut hand = Hand::new(7, vec![None, forever], Noise::default());
    let client = hand.client.clone();
    let topics = [NewTopic::new("t0", 2), NewTopic::new("t1", 2)];
    let (after, results) = hand.run(client.create_topics(topics));
    let results = results.unwrap();
    assert!(results[0].1.is_ok(), "{results:?}");
    let error = results[1].1.as_ref().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TimedOut { .. }) && after <= CALL, "{error} {after:?}");
    assert_eq!(error.code(), Some(ErrorCode::ThrottlingQuotaExceeded));
}
