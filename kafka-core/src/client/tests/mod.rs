//! The cluster brain by hand: inputs in, orders and requests out, on a network of three brokers that a test can kill.

mod belief;

use super::address::Address;
use super::config::ClientConfig;
use super::machine::{Now, Target};
use super::{Action, CallSpec, Client, Input, TopicState, no_code};
use crate::error::{ConnectionError, ErrorKind};
use crate::link::{Answered, BrokerVersions, ConnId, Payload, Transmit, Unanswered};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use kafka_proto::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use kafka_proto::{ApiKey, RequestKind, ResponseKind, Str, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Net {
    now: Now,
    client: Client,
    /// Ports nobody answers at.
    dead: BTreeSet<u16>,
    /// Ports that accept, set up, and never answer a request.
    silent: BTreeSet<u16>,
    /// Ports that belong to another cluster.
    foreign: BTreeSet<u16>,
    conns: BTreeMap<ConnId, u16>,
    /// Requests as they came: port, API.
    log: Vec<(u16, ApiKey)>,
    topics: Vec<MetadataResponseTopic>,
    /// What the broker at a port says instead.
    told_by: BTreeMap<u16, Vec<MetadataResponseTopic>>,
    /// The ports that brokers have moved to, according to all but those at `lagging`.
    moved: BTreeMap<i32, u16>,
    lagging: BTreeSet<u16>,
    /// Metadata names no topics, whatever it was asked for.
    is_mute: bool,
    /// The error of Metadata as a whole.
    metadata_error: i16,
    /// Brokers that metadata does not tell of.
    untold: BTreeSet<i32>,
    unanswered: BTreeMap<ConnId, Vec<Transmit>>,
    throttle: Duration,
}

const BOOTSTRAP: u16 = 9092;

impl Net {
    fn new() -> Self {
        Self::with_bootstrap("boot:9092")
    }

    fn with_bootstrap(addresses: &str) -> Self {
        let config =
            ClientConfig { bootstrap: Address::parse_list(addresses).unwrap(), ..ClientConfig::default() };
        Self {
            now: Now { instant: start(), wall_ms: 0 },
            client: Client::new(config),
            dead: BTreeSet::new(),
            silent: BTreeSet::new(),
            foreign: BTreeSet::new(),
            conns: BTreeMap::new(),
            log: Vec::new(),
            topics: Vec::new(),
            told_by: BTreeMap::new(),
            moved: BTreeMap::new(),
            lagging: BTreeSet::new(),
            is_mute: false,
            metadata_error: 0,
            untold: BTreeSet::new(),
            unanswered: BTreeMap::new(),
            throttle: Duration::ZERO,
        }
    }

    /// Lets happen what happens without time going on.
    fn settle(&mut self) {
        loop {
            while self.client.poll_event().is_some() {}
            if let Some(action) = self.client.poll_action() {
                self.act(action);
            } else if !self.transmit() {
                break;
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect { conn, port, .. } if self.dead.contains(&port) => {
                self.input(Input::Closed { conn, error: ConnectionError::Refused, unanswered: Vec::new() });
            }
            Action::Connect { conn, port, .. } => {
                self.conns.insert(conn, port);
                self.input(Input::Connected { conn, versions: versions() });
            }
            Action::Close(conn) => self.end(conn, ConnectionError::ClosedByClient),
            Action::Run(job) => {
                let done = job.run();
                self.input(Input::JobDone(done));
            }
        }
    }

    fn end(&mut self, conn: ConnId, error: ConnectionError) {
        self.conns.remove(&conn);
        let left = self.unanswered.remove(&conn).unwrap_or_default();
        let unanswered = left.iter().map(|t| Unanswered { id: t.id, taken: true }).collect();
        self.input(Input::Closed { conn, error, unanswered });
    }

    fn input(&mut self, input: Input) {
        self.client.handle_input(self.now, input);
    }

    /// Hands out and answers one request; whether there was one.
    fn transmit(&mut self) -> bool {
        let conns: Vec<(ConnId, u16)> = self.conns.iter().map(|(c, p)| (*c, *p)).collect();
        for (conn, port) in conns {
            let Some(transmit) = self.client.poll_transmit(self.now, conn) else { continue };
            let Payload::Plain(request) = &transmit.payload else { panic!("plain requests only") };
            self.log.push((port, request.api_key()));
            if self.silent.contains(&port) {
                self.unanswered.entry(conn).or_default().push(transmit);
            } else {
                let response = Answered::Plain(Box::new(self.answer(port, request)));
                let throttle = self.throttle;
                self.input(Input::Response { conn, id: transmit.id, response, throttle });
            }
            return true;
        }
        false
    }

    /// Answers what a silent port has left open.
    fn answer_all(&mut self, port: u16) {
        let conns: Vec<ConnId> = self.conns.iter().filter(|(_, p)| **p == port).map(|(c, _)| *c).collect();
        for conn in conns {
            for transmit in self.unanswered.remove(&conn).unwrap_or_default() {
                let Payload::Plain(request) = &transmit.payload else { panic!("plain requests only") };
                let response = Answered::Plain(Box::new(self.answer(port, request)));
                self.input(Input::Response { conn, id: transmit.id, response, throttle: Duration::ZERO });
            }
        }
        self.settle();
    }

    fn answer(&self, port: u16, request: &RequestKind) -> ResponseKind {
        let RequestKind::Metadata(request) = request else { panic!("{request:?}") };
        let broker = |id: i32| MetadataResponseBroker {
            node_id: id,
            host: Str::from("broker"),
            port: i32::from(self.port_of(id, port)),
            ..MetadataResponseBroker::default()
        };
        let asked = request.topics.iter().flatten().filter_map(|t| t.name.clone());
        let topics = self.told_by.get(&port).unwrap_or(&self.topics);
        let told = |name: Str| match topics.iter().find(|t| t.name.as_ref() == Some(&name)) {
            Some(topic) => topic.clone(),
            None => MetadataResponseTopic {
                name: Some(name),
                error_code: ErrorCode::UnknownTopicOrPartition.code(),
                ..MetadataResponseTopic::default()
            },
        };
        let told_of = (1..=3).filter(|id| !self.untold.contains(id));
        let (brokers, topics) = (told_of.map(broker).collect(), asked.map(told).filter(|_| !self.is_mute));
        let cluster_id = Some(Str::from(if self.foreign.contains(&port) { "another" } else { "c" }));
        let (topics, error_code) = (topics.collect(), self.metadata_error);
        MetadataResponse { brokers, topics, cluster_id, error_code, ..MetadataResponse::default() }.into()
    }

    /// The port of a broker, as the one at port `teller` knows it.
    fn port_of(&self, broker: i32, teller: u16) -> u16 {
        let moved = self.moved.get(&broker).filter(|_| !self.lagging.contains(&teller));
        moved.copied().unwrap_or(9000 + broker as u16)
    }

    /// Goes on to the next deadline, if it is within `limit`.
    fn step(&mut self, limit: Instant) -> bool {
        let Some(at) = self.client.poll_timeout().filter(|at| *at <= limit) else { return false };
        self.now.instant = self.now.instant.max(at);
        self.input(Input::Timeout);
        self.settle();
        true
    }

    fn run_for(&mut self, time: Duration) -> u32 {
        let limit = self.now.instant + time;
        let mut steps = 0;
        while self.step(limit) {
            steps += 1;
        }
        self.now.instant = limit;
        steps
    }

    fn call(&mut self, timeout: Duration) -> u64 {
        self.call_of(Target::Any, timeout)
    }

    /// Asks a broker for something; the port that was asked.
    fn call_broker(&mut self, broker: i32) -> u16 {
        let call = self.call_of(Target::Broker(broker), Duration::from_secs(10));
        self.run_for(Duration::from_millis(1));
        assert!(self.client.take_call(call).unwrap().is_ok());
        self.asked_last()
    }

    fn call_of(&mut self, target: Target, timeout: Duration) -> u64 {
        let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
        let spec = CallSpec { target, request: request.into(), timeout: Some(timeout), code: no_code };
        let id = self.client.call(self.now, spec);
        self.settle();
        id
    }

    fn connected() -> Self {
        Self::new().connect()
    }

    fn connect(mut self) -> Self {
        let net = &mut self;
        let call = net.call(Duration::from_secs(10));
        assert!(net.client.take_call(call).unwrap().is_ok());
        self
    }

    /// A client that needs topic `t`, of which it was told this.
    fn knowing(topic: MetadataResponseTopic) -> Self {
        let mut net = Self::connected();
        net.topics = vec![topic];
        net.client.want_topic(net.now, &Str::from("t"));
        net.settle();
        assert!(matches!(net.client.topic("t"), TopicState::Known(_)));
        net
    }

    /// All brokers say this of topic `t` from now on.
    fn tell(&mut self, topic: MetadataResponseTopic) {
        self.topics = vec![topic];
        self.ask_anew();
    }

    /// Somebody finds that what is known is out of date, and one answer comes.
    fn ask_anew(&mut self) {
        let before = self.asked();
        self.client.refresh_metadata();
        self.input(Input::Timeout);
        self.settle();
        let limit = self.now.instant + Duration::from_secs(10);
        while self.asked() == before && self.step(limit) {}
        assert_eq!(self.asked(), before + 1, "one answer at a time");
    }

    /// How often Metadata was asked for.
    fn asked(&self) -> usize {
        self.log.iter().filter(|(_, api)| *api == ApiKey::Metadata).count()
    }

    /// The port that was asked last.
    fn asked_last(&self) -> u16 {
        self.log.last().unwrap().0
    }

    fn leader(&self) -> Option<(i32, i32)> {
        self.client.cluster().leader("t", 0)
    }

    fn partitions(&self) -> usize {
        self.client.cluster().topic("t").map_or(0, |t| t.partitions.len())
    }

    fn ports(&self) -> BTreeSet<u16> {
        self.conns.values().copied().collect()
    }
}

#[expect(clippy::disallowed_methods, reason = "any instant will do as the beginning of a test's time")]
fn start() -> Instant {
    Instant::now()
}

fn versions() -> Arc<BrokerVersions> {
    let range = |api: &ApiKey| ApiVersion {
        api_key: api.code(),
        min_version: 0,
        max_version: api.latest_stable(),
        ..ApiVersion::default()
    };
    let api_keys = ApiKey::ALL.iter().map(range).collect();
    Arc::new(BrokerVersions::from_response(&ApiVersionsResponse {
        api_keys,
        ..ApiVersionsResponse::default()
    }))
}

fn topic(name: &str, leader: i32, leader_epoch: i32) -> MetadataResponseTopic {
    let partition =
        MetadataResponsePartition { leader_id: leader, leader_epoch, ..MetadataResponsePartition::default() };
    MetadataResponseTopic {
        name: Some(Str::from(name)),
        topic_id: Uuid([1; 16]),
        partitions: vec![partition],
        ..MetadataResponseTopic::default()
    }
}

#[test]
fn the_bootstrap_connection_ends_once_brokers_are_known() {
    let mut net = Net::connected();
    net.settle();
    assert_eq!(net.client.cluster().nodes.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    assert!(!net.ports().contains(&BOOTSTRAP), "{:?}", net.ports());
    let call = net.call(Duration::from_secs(1));
    assert!(net.client.take_call(call).unwrap().is_ok());
    assert!((9001..=9003).contains(&net.log.last().unwrap().0));
}

#[test]
fn scenario_n4_what_any_broker_can_answer_goes_to_one_that_does() {
    let mut net = Net::connected();
    net.dead = BTreeSet::from([9001, 9002]);
    let call = net.call(Duration::from_secs(5));
    assert!(net.client.take_call(call).expect("no timer is waited for").is_ok());
}

#[test]
fn promise_19_with_all_brokers_gone_the_bootstrap_names_are_asked_again() {
    let mut net = Net::connected();
    net.dead = BTreeSet::from([9001, 9002, 9003]);
    let conns: Vec<ConnId> = net.conns.keys().copied().collect();
    conns.into_iter().for_each(|conn| net.end(conn, ConnectionError::Lost("gone".into())));
    let call = net.call(Duration::from_secs(30));
    net.run_for(Duration::from_secs(5));
    assert!(net.client.take_call(call).expect("answered").is_ok());
    assert_eq!(net.log.last().unwrap().0, BOOTSTRAP);
    assert!(net.client.stats().rebootstraps > 0);
}

#[test]
fn promise_19_one_broker_that_works_is_enough_to_leave_the_bootstrap_names_alone() {
    let mut net = Net::connected();
    net.dead = BTreeSet::from([9001, 9002, BOOTSTRAP]);
    for _ in 0..20 {
        let call = net.call(Duration::from_secs(5));
        assert!(net.client.take_call(call).expect("answered").is_ok());
        net.run_for(Duration::from_secs(1));
    }
    assert_eq!(net.client.stats().rebootstraps, 0);
}

#[test]
fn scenario_n1_a_request_that_is_never_answered_ends_its_connection_and_goes_elsewhere() {
    let mut net = Net::connected();
    net.silent = BTreeSet::from([9001, 9002, 9003]);
    let call = net.call(Duration::from_secs(50));
    let port = net.log.last().unwrap().0;
    assert!(net.client.take_call(call).is_none());
    net.silent.clear();
    net.run_for(Duration::from_secs(29));
    assert!(net.client.take_call(call).is_none(), "the request's time is not over");
    let asked = net.log.len();
    net.run_for(Duration::from_secs(3));
    assert!(net.client.take_call(call).expect("asked again").is_ok());
    assert!(net.log.len() > asked);
    assert!(net.client.stats().connection_failures > 0, "the connection to {port} was given up");
}

/// A machine was suspended: the deadline of a request is over before its connection's task could tell that it has ended.
#[test]
fn a_connection_that_is_being_closed_has_no_deadline() {
    let mut net = Net::connected();
    net.silent = BTreeSet::from([9001, 9002, 9003]);
    let call = net.call(Duration::from_secs(50));
    assert!(net.client.take_call(call).is_none());
    let reason = ConnectionError::Lost("told to end".into());
    let conns: Vec<ConnId> = net.conns.keys().copied().collect();
    conns.into_iter().for_each(|conn| net.client.close_conn(net.now, conn, reason.clone()));
    net.now.instant += Duration::from_secs(40);
    net.client.handle_input(net.now, Input::Timeout);
    assert!(net.client.poll_timeout().is_none_or(|at| at > net.now.instant));
}

#[test]
fn scenario_n13_a_call_ends_at_its_deadline() {
    let mut net = Net::new();
    net.silent = BTreeSet::from([BOOTSTRAP]);
    let begun = net.now.instant;
    let call = net.call(Duration::from_secs(7));
    while net
        .client
        .take_call(call)
        .map(|r| assert!(matches!(r.unwrap_err().kind(), ErrorKind::TimedOut { .. })))
        .is_none()
    {
        assert!(net.step(begun + Duration::from_secs(8)), "it must end");
    }
    assert_eq!(net.now.instant, begun + Duration::from_secs(7));
}

#[test]
fn promise_23_the_error_at_the_deadline_says_what_stood_in_the_way() {
    let mut net = Net::new();
    net.dead = BTreeSet::from([BOOTSTRAP]);
    let call = net.call(Duration::from_secs(2));
    net.run_for(Duration::from_secs(2));
    let error = net.client.take_call(call).unwrap().unwrap_err();
    assert!(error.to_string().contains("refused") && error.to_string().contains("boot:9092"), "{error}");
}

/// It is the metadata that met the other cluster, while the call had lost its broker and waited for another.
#[test]
fn promise_23_the_error_at_the_deadline_names_what_is_to_be_corrected() {
    let mut net = Net::with_bootstrap("boot:9092,elsewhere:9093");
    net.dead = BTreeSet::from([9093]);
    let mut net = net.connect();
    // A refresh may leave at once again.
    net.run_for(Duration::from_secs(1));
    net.silent = BTreeSet::from([9001, 9002, 9003]);
    let call = net.call(Duration::from_secs(2));
    net.dead = BTreeSet::from([9001, 9002, 9003, BOOTSTRAP]);
    net.foreign = BTreeSet::from([9093]);
    let conns: Vec<ConnId> = net.conns.keys().copied().collect();
    conns.into_iter().for_each(|conn| net.end(conn, ConnectionError::Lost("gone".into())));
    net.run_for(Duration::from_secs(2));
    let error = net.client.take_call(call).unwrap().unwrap_err();
    let other = ConnectionError::OtherCluster { expected: "c".into(), got: "another".into() };
    let ErrorKind::TimedOut { last: Some(last), .. } = error.kind() else { panic!("{error}") };
    assert!(matches!(last.kind(), ErrorKind::Connection(e) if *e == other), "{error}");
    assert!(error.to_string().contains("elsewhere:9093"), "{error}");
}

/// Found by the simulator's count of requests a second: its answer ended the backoff, and all connections had to prove
/// themselves again after each attempt.
#[test]
fn case_m2_a_broker_of_another_cluster_is_asked_less_and_less_often() {
    let mut net = Net::connected();
    (1..=3).for_each(|broker| _ = net.call_broker(broker));
    net.foreign = BTreeSet::from([9002]);
    let conn = *net.conns.iter().find(|(_, port)| **port == 9002).unwrap().0;
    net.end(conn, ConnectionError::Lost("gone".into()));
    net.settle();
    let before = net.log.len();
    // Somebody wants that broker all the time.
    for _ in 0..30 {
        net.call_of(Target::Broker(2), Duration::from_millis(900));
        net.run_for(Duration::from_secs(1));
    }
    let asked = net.log[before..].iter().filter(|(port, _)| *port == 9002).count();
    assert!((10..=50).contains(&asked), "{asked} requests in 30 s");
    let others = net.log.len() - before - asked;
    // After each attempt one of them is asked where the broker is, and each has to prove itself once.
    assert!(others <= 30 + 3 * 2, "{others} requests to the others");
    // Where it is the right one again everything goes on.
    net.foreign.clear();
    net.run_for(Duration::from_secs(2));
    assert_eq!(net.call_broker(2), 9002);
}

#[test]
fn scenario_n8_nothing_is_sent_while_a_broker_asks_for_silence() {
    let mut net = Net::connected();
    // Only one broker is left, which asks for more than the request's timeout.
    net.dead = BTreeSet::from([9001, 9002, BOOTSTRAP]);
    net.throttle = Duration::from_secs(40);
    let call = net.call(Duration::from_secs(5));
    assert!(net.client.take_call(call).unwrap().is_ok());
    net.throttle = Duration::ZERO;
    let sent = net.log.len();
    let call = net.call(Duration::from_secs(60));
    net.run_for(Duration::from_secs(39));
    assert_eq!(net.log.len(), sent, "nothing is sent, and so nothing times out");
    net.run_for(Duration::from_secs(20));
    assert!(net.client.take_call(call).unwrap().is_ok());
    assert!(net.client.stats().throttled > 0);
}

#[test]
fn scenario_n7_a_reset_on_api_versions_is_followed_by_version_0() {
    let mut net = Net::new();
    let spec_timeout = Duration::from_secs(5);
    let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
    let spec =
        CallSpec { target: Target::Any, request: request.into(), timeout: Some(spec_timeout), code: no_code };
    net.client.call(net.now, spec);
    let mut asked = Vec::new();
    for _ in 0..2 {
        let (conn, version) = loop {
            match net.client.poll_action() {
                Some(Action::Connect { conn, link, .. }) => break (conn, link.api_versions),
                Some(_) => {}
                None => {
                    net.now.instant = net.client.poll_timeout().unwrap();
                    net.client.handle_input(net.now, Input::Timeout);
                }
            }
        };
        asked.push(version);
        net.input(Input::Closed { conn, error: ConnectionError::ClosedDuringSetup, unanswered: Vec::new() });
    }
    assert_eq!(asked, [ApiKey::ApiVersions.versions().max, 0]);
}

#[test]
fn scenario_p28_a_new_topic_is_asked_for_at_once() {
    let mut net = Net::connected();
    net.run_for(Duration::from_secs(1));
    net.topics = vec![topic("t", 1, 0)];
    let before = net.now.instant;
    net.client.want_topic(net.now, &Str::from("t"));
    net.settle();
    assert!(matches!(net.client.topic("t"), TopicState::Known(_)));
    assert_eq!(net.now.instant, before);
}

#[test]
fn promise_18_a_topic_missing_from_one_answer_is_not_gone() {
    let mut net = Net::connected();
    net.topics = vec![topic("t", 1, 3)];
    net.client.want_topic(net.now, &Str::from("t"));
    net.settle();
    let known = std::mem::take(&mut net.topics);
    net.run_for(Duration::from_secs(303));
    assert!(matches!(net.client.topic("t"), TopicState::Known(_)), "within its grace");
    net.topics = known;
    net.run_for(Duration::from_secs(20));
    assert!(matches!(net.client.topic("t"), TopicState::Known(_)));
    net.topics.clear();
    net.run_for(Duration::from_secs(320));
    match net.client.topic("t") {
        TopicState::Failed(error) => assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition)),
        other => panic!("gone for good by now: {other:?}"),
    }
}

/// Whoever waits for the topic is woken by answers, and by nothing else.
#[test]
fn no_topic_is_gone_because_of_time_alone() {
    let mut net = Net::connected();
    let name = Str::from("t");
    net.client.want_topic(net.now, &name);
    net.settle();
    net.run_for(Duration::from_secs(3));
    net.dead.extend([BOOTSTRAP, 9001, 9002, 9003]);
    let open: Vec<ConnId> = net.conns.keys().copied().collect();
    open.into_iter().for_each(|conn| net.end(conn, ConnectionError::Refused));
    net.settle();
    net.run_for(Duration::from_secs(10));
    assert!(matches!(net.client.topic("t"), TopicState::Pending));
    net.dead.clear();
    net.run_for(Duration::from_secs(10));
    assert!(matches!(net.client.topic("t"), TopicState::Failed(_)));
}

#[test]
fn a_partition_does_not_go_back_to_an_older_leader_epoch() {
    let mut net = Net::connected();
    net.topics = vec![topic("t", 1, 5)];
    net.client.want_topic(net.now, &Str::from("t"));
    net.settle();
    net.topics = vec![topic("t", 2, 4)];
    net.run_for(Duration::from_secs(301));
    assert_eq!(net.client.cluster().leader("t", 0), Some((1, 5)), "a broker that lags told it");
    net.topics = vec![topic("t", 2, 6)];
    net.run_for(Duration::from_secs(301));
    assert_eq!(net.client.cluster().leader("t", 0), Some((2, 6)));
}

/// As in the simulator's plan `outdated`: the leader stayed, its address was gone, and nobody asked for it.
#[test]
fn a_leader_that_a_lagging_broker_does_not_know_keeps_its_address() {
    let mut net = Net::connected();
    net.topics = vec![topic("t", 3, 5)];
    net.client.want_topic(net.now, &Str::from("t"));
    net.settle();
    (net.topics, net.untold) = (vec![topic("t", 1, 4)], BTreeSet::from([3]));
    net.run_for(Duration::from_secs(301));
    assert_eq!(net.client.cluster().leader("t", 0), Some((3, 5)));
    assert!(net.client.cluster().nodes.contains_key(&3), "{:?}", net.client.cluster().nodes);
    net.topics = vec![topic("t", 3, 5)];
    net.log.clear();
    net.run_for(Duration::from_secs(10));
    assert!(net.log.len() > 5, "it asks on for what it was not told: {:?}", net.log);
    net.untold.clear();
    net.run_for(Duration::from_secs(10));
    net.log.clear();
    net.run_for(Duration::from_secs(10));
    assert!(net.log.is_empty(), "{:?}", net.log);
}

#[test]
fn scenario_n14_an_idle_client_does_nothing_but_refresh() {
    let mut net = Net::connected();
    net.topics = vec![topic("t", 1, 0)];
    net.client.want_topic(net.now, &Str::from("t"));
    net.settle();
    net.run_for(Duration::from_secs(60));
    let sent = net.log.len();
    let wake_ups = net.run_for(Duration::from_secs(3600));
    let refreshes = net.log.len() - sent;
    assert!((11..=13).contains(&refreshes), "{refreshes} refreshes in an hour");
    assert!(wake_ups < 60, "{wake_ups} wake-ups in an hour");
}

#[test]
fn closing_leaves_nothing_open() {
    let mut net = Net::connected();
    net.client.close(net.now);
    net.settle();
    assert!(net.conns.is_empty());
    assert!(net.client.is_quiescent());
    assert!(net.client.poll_event().is_none());
}
