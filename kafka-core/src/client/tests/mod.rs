//! The cluster brain by hand: inputs in, orders and requests out, on a network of three brokers that a test can kill.

mod belief;
mod handles;
mod holes;
mod items;
mod marks;
mod sharing;
mod silence;
mod subscriptions;

use super::{Action, CallSpec, Client, Input, no_code};
use crate::address::Address;
use crate::config::ClientConfig;
use crate::error::{ConnectionError, ErrorKind};
use crate::group::GroupConfig;
use crate::link::{Answered, BrokerVersions, ConnId, Payload, Transmit, Unanswered};
use crate::machine::{Lane, LaneKey, MachineId, Now, OpId, Target, Time};
use crate::reading::{Marks, ReadFrom, ReaderItem, ReaderSpec};
use crate::snapshot::TopicState;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::api_versions::{ApiVersion, ApiVersionsResponse, FinalizedFeatureKey};
use kafka_proto::messages::find_coordinator::{Coordinator, FindCoordinatorResponse};
use kafka_proto::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use kafka_proto::messages::offset_commit::{OffsetCommitRequest, OffsetCommitRequestTopic};
use kafka_proto::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_proto::{ApiKey, RequestKind, ResponseKind, Str, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

struct Net {
    now: Now,
    client: Client,
    /// Ports nobody answers at.
    dead: BTreeSet<u16>,
    /// Ports where not even a refusal comes from.
    holes: BTreeSet<u16>,
    /// Ports that accept, set up, and never answer a request.
    silent: BTreeSet<u16>,
    /// Ports that belong to another cluster.
    foreign: BTreeSet<u16>,
    /// Ports that close on a newer version of ApiVersions than this, or else answer that it is the newest.
    newest: BTreeMap<u16, (i16, bool)>,
    /// The versions of ApiVersions that connections began with: port, version, whether it was closed for it.
    begun: Vec<(u16, i16, bool)>,
    conns: BTreeMap<ConnId, u16>,
    /// Requests as they came: port, API.
    log: Vec<(u16, ApiKey)>,
    topics: Vec<MetadataResponseTopic>,
    /// The finalized level of `transaction.version`, with which Produce names topics by id.
    transaction_version: i16,
    /// The API that nobody offers.
    lacking: Option<ApiKey>,
    /// What the broker at a port says instead.
    told_by: BTreeMap<u16, Vec<MetadataResponseTopic>>,
    /// The ports that brokers have moved to, according to all but those at `lagging`.
    moved: BTreeMap<i32, u16>,
    lagging: BTreeSet<u16>,
    /// Topics that are not among all, and are there for who asks for them.
    unlisted: BTreeSet<Str>,
    /// Metadata names no topics, whatever it was asked for.
    is_mute: bool,
    /// The error of Metadata as a whole.
    metadata_error: i16,
    /// The answer to FindCoordinator.
    coordinator: FindCoordinatorResponse,
    /// Brokers that metadata does not tell of.
    untold: BTreeSet<i32>,
    unanswered: BTreeMap<ConnId, Vec<Transmit>>,
    throttle: Duration,
    /// Answers in the place of all else.
    script: Option<Script>,
}

/// Answers requests: when, at which port, what.
type Script = Box<dyn FnMut(Time, u16, &RequestKind) -> ResponseKind>;

const BOOTSTRAP: u16 = 9092;

impl Net {
    fn new() -> Self {
        Self::with_bootstrap("boot:9092")
    }

    fn with_bootstrap(addresses: &str) -> Self {
        let config =
            ClientConfig { bootstrap: Address::parse_list(addresses).unwrap(), ..ClientConfig::default() };
        Self {
            now: Now { time: start(), wall_ms: 0 },
            client: Client::new(config),
            dead: BTreeSet::new(),
            holes: BTreeSet::new(),
            silent: BTreeSet::new(),
            foreign: BTreeSet::new(),
            newest: BTreeMap::new(),
            begun: Vec::new(),
            conns: BTreeMap::new(),
            log: Vec::new(),
            topics: Vec::new(),
            told_by: BTreeMap::new(),
            moved: BTreeMap::new(),
            lagging: BTreeSet::new(),
            unlisted: BTreeSet::new(),
            is_mute: false,
            metadata_error: 0,
            coordinator: coordinator(ErrorCode::CoordinatorNotAvailable),
            transaction_version: 0,
            lacking: None,
            untold: BTreeSet::new(),
            unanswered: BTreeMap::new(),
            throttle: Duration::ZERO,
            script: None,
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
            Action::Connect { port, .. } if self.holes.contains(&port) => {}
            Action::Connect { conn, port, link, .. } => self.set_up(conn, port, link.api_versions),
            Action::Close(conn) => self.end(conn, ConnectionError::ClosedByClient),
            Action::Run(job) => {
                let done = job.run();
                self.input(Input::JobDone(done));
            }
        }
    }

    fn set_up(&mut self, conn: ConnId, port: u16, api_versions: i16) {
        let (newest, closes) = self.newest.get(&port).copied().unwrap_or((i16::MAX, true));
        let is_refused = closes && api_versions > newest;
        self.begun.push((port, api_versions, is_refused));
        self.input(Input::Accepted(conn));
        if is_refused {
            let error = ConnectionError::ClosedDuringSetup;
            return self.input(Input::Closed { conn, error, unanswered: Vec::new() });
        }
        self.conns.insert(conn, port);
        // Who closes tells of the broker behind it.
        let versions =
            versions(if closes { i16::MAX } else { newest }, self.lacking, self.transaction_version);
        self.input(Input::Connected { conn, versions });
    }

    fn end(&mut self, conn: ConnId, error: ConnectionError) {
        self.conns.remove(&conn);
        let left = self.unanswered.remove(&conn).unwrap_or_default();
        let unanswered = left.iter().map(|t| Unanswered { id: t.id, taken: true }).collect();
        self.input(Input::Closed { conn, error, unanswered });
    }

    /// Nobody answers at this port any more, and what was connected to it ends.
    fn kill(&mut self, port: u16) {
        self.dead.insert(port);
        self.cut(port);
    }

    /// The same without even a refusal.
    fn swallow(&mut self, port: u16) {
        self.holes.insert(port);
        self.cut(port);
    }

    fn cut(&mut self, port: u16) {
        let of_port = self.conns.iter().filter(|(_, p)| **p == port);
        let conns: Vec<ConnId> = of_port.map(|(conn, _)| *conn).collect();
        conns.into_iter().for_each(|conn| self.end(conn, ConnectionError::Lost("reset".into())));
        self.settle();
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
                let said = match &mut self.script {
                    Some(script) => script(self.now.time, port, request),
                    None => self.answer(port, request),
                };
                let response = Answered::Plain(Box::new(said));
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
        let request = match request {
            RequestKind::Metadata(request) => request,
            RequestKind::FindCoordinator(_) => return self.coordinator.clone().into(),
            other => panic!("{other:?}"),
        };
        let broker = |id: i32| MetadataResponseBroker {
            node_id: id,
            host: Str::from("broker"),
            port: i32::from(self.port_of(id, port)),
            ..MetadataResponseBroker::default()
        };
        let topics = self.told_by.get(&port).unwrap_or(&self.topics);
        let all = topics.iter().filter_map(|t| t.name.clone()).filter(|name| !self.unlisted.contains(name));
        let asked: Vec<Str> = match &request.topics {
            Some(topics) => topics.iter().filter_map(|t| t.name.clone()).collect(),
            None => all.collect(),
        };
        let told = |name: Str| match topics.iter().find(|t| t.name.as_ref() == Some(&name)) {
            Some(topic) => topic.clone(),
            None => MetadataResponseTopic {
                name: Some(name),
                error_code: ErrorCode::UnknownTopicOrPartition.code(),
                ..MetadataResponseTopic::default()
            },
        };
        let told_of = (1..=3).filter(|id| !self.untold.contains(id));
        let (brokers, topics) =
            (told_of.map(broker).collect(), asked.into_iter().map(told).filter(|_| !self.is_mute));
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
    fn step(&mut self, limit: Time) -> bool {
        let Some(at) = self.client.poll_timeout().filter(|at| *at <= limit) else { return false };
        self.now.time = self.now.time.max(at);
        self.input(Input::Timeout);
        self.settle();
        true
    }

    fn run_for(&mut self, time: Duration) -> u32 {
        let limit = self.now.time + time;
        let mut steps = 0;
        while self.step(limit) {
            steps += 1;
        }
        self.now.time = limit;
        steps
    }

    fn call(&mut self, timeout: Duration) -> OpId {
        self.call_of(Target::Any, timeout)
    }

    /// Asks a broker for something; the port that was asked.
    fn call_broker(&mut self, broker: i32) -> u16 {
        let call = self.call_of(Target::node(broker), Duration::from_secs(10));
        self.run_for(Duration::from_millis(1));
        assert!(self.client.take_call(call).unwrap().is_ok());
        self.asked_last()
    }

    fn call_of(&mut self, target: Target, timeout: Duration) -> OpId {
        let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
        let spec = CallSpec { target, request: request.into(), timeout: Some(timeout), code: no_code };
        let id = self.client.begin_call(self.now, spec);
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
        let limit = self.now.time + Duration::from_secs(10);
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

fn start() -> Time {
    Time::START
}

/// Everything, and ApiVersions up to this one.
fn versions(newest: i16, lacking: Option<ApiKey>, transaction_version: i16) -> Arc<BrokerVersions> {
    let range = |api: &ApiKey| ApiVersion {
        api_key: api.code(),
        min_version: 0,
        max_version: api.latest_stable().min(if *api == ApiKey::ApiVersions { newest } else { i16::MAX }),
        ..ApiVersion::default()
    };
    let api_keys = ApiKey::ALL.iter().filter(|api| Some(**api) != lacking).map(range).collect();
    let transactions = FinalizedFeatureKey {
        name: "transaction.version".into(),
        max_version_level: transaction_version,
        min_version_level: transaction_version,
        ..FinalizedFeatureKey::default()
    };
    Arc::new(BrokerVersions::from_response(&ApiVersionsResponse {
        api_keys,
        finalized_features_epoch: 1,
        finalized_features: vec![transactions],
        ..ApiVersionsResponse::default()
    }))
}

/// Broker 2, or an error.
fn coordinator(error: ErrorCode) -> FindCoordinatorResponse {
    let (host, port) = ("broker".into(), 9002);
    let error_code = error.code();
    let one = Coordinator { node_id: 2, host, port, error_code, ..Default::default() };
    FindCoordinatorResponse { coordinators: vec![one], ..Default::default() }
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
    net.now.time += Duration::from_secs(40);
    net.client.handle_input(net.now, Input::Timeout);
    assert!(net.client.poll_timeout().is_none_or(|at| at > net.now.time));
}

#[test]
fn scenario_n13_a_call_ends_at_its_deadline() {
    let mut net = Net::new();
    net.silent = BTreeSet::from([BOOTSTRAP]);
    let begun = net.now.time;
    let call = net.call(Duration::from_secs(7));
    let error = loop {
        if let Some(result) = net.client.take_call(call) {
            break result.unwrap_err();
        }
        assert!(net.step(begun + Duration::from_secs(8)), "it must end");
    };
    assert!(matches!(error.kind(), ErrorKind::TimedOut { .. }), "{error}");
    assert_eq!(error.broker().map(|name| name.as_ref()), Some("boot:9092"), "{error}");
    assert_eq!(net.now.time, begun + Duration::from_secs(7));
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
fn case_d3_a_broker_of_another_cluster_is_asked_less_and_less_often() {
    let mut net = Net::connected();
    (1..=3).for_each(|broker| _ = net.call_broker(broker));
    net.foreign = BTreeSet::from([9002]);
    let conn = *net.conns.iter().find(|(_, port)| **port == 9002).unwrap().0;
    net.end(conn, ConnectionError::Lost("gone".into()));
    net.settle();
    let before = net.log.len();
    // Somebody wants that broker all the time.
    for _ in 0..30 {
        net.call_of(Target::node(2), Duration::from_millis(900));
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
    net.client.begin_call(net.now, spec);
    let mut asked = Vec::new();
    for _ in 0..2 {
        let (conn, version) = loop {
            match net.client.poll_action() {
                Some(Action::Connect { conn, link, .. }) => break (conn, link.api_versions),
                Some(_) => {}
                None => {
                    net.now.time = net.client.poll_timeout().unwrap();
                    net.client.handle_input(net.now, Input::Timeout);
                }
            }
        };
        asked.push(version);
        net.input(Input::Closed { conn, error: ConnectionError::ClosedDuringSetup, unanswered: Vec::new() });
    }
    assert_eq!(asked, [ApiKey::ApiVersions.versions().max, 0]);
}

/// Lanes to brokers 1 to 3, one after the other; what they began with.
fn lanes_one_by_one(net: &mut Net, lanes: impl Iterator<Item = u32>) -> Vec<(u16, i16, bool)> {
    net.begun.clear();
    for lane in lanes {
        for broker in 1..=3 {
            net.client.kick(net.now.time, LaneKey::node(broker, Lane::Group(MachineId(lane))));
            net.settle();
        }
        net.run_for(Duration::from_secs(2));
    }
    std::mem::take(&mut net.begun)
}

fn three_that_know(newest: i16, closes: bool) -> Net {
    let mut net = Net::new();
    net.newest = [BOOTSTRAP, 9001, 9002, 9003].map(|port| (port, (newest, closes))).into();
    net.call(Duration::from_secs(10));
    net.run_for(Duration::from_secs(10));
    net
}

#[test]
fn case_c4_what_one_lane_learnt_about_a_broker_the_others_use() {
    for newest in [2, 1, 0] {
        let mut net = three_that_know(newest, true);
        let mut begun = net.begun.clone();
        begun.extend(lanes_one_by_one(&mut net, 1..9));
        let failed = begun.iter().filter(|(_, _, is_closed)| *is_closed).map(|(port, ..)| port);
        assert_eq!(failed.clone().count(), 4, "{begun:?}");
        assert_eq!(failed.collect::<BTreeSet<_>>().len(), 4, "once at each address: {begun:?}");
        assert!(begun.len() > 28, "{begun:?}");
    }
}

#[test]
fn case_c4_a_lane_begins_with_what_the_broker_told() {
    let newest = ApiKey::ApiVersions.versions().max;
    let mut net = three_that_know(2, false);
    lanes_one_by_one(&mut net, 1..2);
    assert!(lanes_one_by_one(&mut net, 2..5).iter().all(|(_, version, _)| *version == 2));
    // They are upgraded.
    net.newest.clear();
    lanes_one_by_one(&mut net, 5..6);
    let begun = lanes_one_by_one(&mut net, 6..9);
    assert!(!begun.is_empty() && begun.iter().all(|(_, version, _)| *version == newest), "{begun:?}");
}

/// Refused connections say nothing of versions; they are a sign that the broker begins anew, perhaps as a newer one.
#[test]
fn case_c4_a_broker_that_was_down_is_asked_as_a_new_one() {
    let newest = ApiKey::ApiVersions.versions().max;
    for was_old in [true, false] {
        let mut net = three_that_know(if was_old { 2 } else { i16::MAX }, true);
        lanes_one_by_one(&mut net, 1..3);
        net.dead = [9001, 9002, 9003].into();
        net.newest.clear();
        lanes_one_by_one(&mut net, 3..6);
        net.dead.clear();
        let begun = lanes_one_by_one(&mut net, 6..12);
        assert!(!begun.is_empty() && begun.iter().all(|(_, version, _)| *version == newest), "{begun:?}");
    }
}

#[test]
fn scenario_p28_a_new_topic_is_asked_for_at_once() {
    let mut net = Net::connected();
    net.run_for(Duration::from_secs(1));
    net.topics = vec![topic("t", 1, 0)];
    let before = net.now.time;
    net.client.want_topic(net.now, &Str::from("t"));
    net.settle();
    assert!(matches!(net.client.topic("t"), TopicState::Known(_)));
    assert_eq!(net.now.time, before);
}

#[test]
fn promise_18_a_topic_missing_from_one_answer_is_not_gone() {
    let mut net = Net::knowing(topic("t", 1, 3));
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
    let mut net = Net::knowing(topic("t", 1, 5));
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
    let mut net = Net::knowing(topic("t", 3, 5));
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
    let mut net = Net::knowing(topic("t", 1, 0));
    net.run_for(Duration::from_secs(60));
    let sent = net.log.len();
    let wake_ups = net.run_for(Duration::from_secs(3600));
    let refreshes = net.log.len() - sent;
    assert!((11..=13).contains(&refreshes), "{refreshes} refreshes in an hour");
    assert!(wake_ups < 60, "{wake_ups} wake-ups in an hour");
}

#[test]
fn a_throttle_does_not_get_shorter_by_an_answer_beside_it() {
    let mut net = Net::connected();
    net.call_broker(2);
    net.silent.insert(9002);
    let calls = [0, 1].map(|_| net.call_of(Target::node(2), Duration::from_secs(40)));
    net.silent.clear();
    net.settle();
    let conns: Vec<ConnId> = net.conns.iter().filter(|(_, p)| **p == 9002).map(|(c, _)| *c).collect();
    let mut open = net.unanswered.remove(&conns[0]).unwrap();
    assert_eq!(open.len(), 2);
    for throttle in [10_000, 100] {
        let transmit = open.remove(0);
        let Payload::Plain(request) = &transmit.payload else { panic!() };
        let response = Answered::Plain(Box::new(net.answer(9002, request)));
        net.input(Input::Response {
            conn: conns[0],
            id: transmit.id,
            response,
            throttle: Duration::from_millis(throttle),
        });
        net.settle();
    }
    calls.iter().for_each(|call| assert!(net.client.take_call(*call).unwrap().is_ok()));
    net.log.clear();
    let call = net.call_of(Target::node(2), Duration::from_secs(40));
    net.run_for(Duration::from_secs(9));
    assert!(net.client.take_call(call).is_none(), "the broker has asked for 10 s");
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

/// Errors and notices that a member of a group is told, reading these topics for so many seconds.
fn told_in_group(net: &mut Net, topics: &[&str], seconds: &[u64]) -> Vec<Vec<ReaderItem>> {
    let topics: Vec<Str> = topics.iter().map(|t| Str::from(*t)).collect();
    let from = ReadFrom::Group(Arc::new(GroupConfig::new("g")), topics.into(), crate::reader::Start::First);
    let spec = ReaderSpec::new(net.client.reader_defaults().0, from);
    let id = net.client.add_reader(net.now, spec, Arc::default(), Arc::new(Marks::new(Duration::ZERO)));
    net.settle();
    let mut told = Vec::new();
    for time in seconds {
        net.run_for(Duration::from_secs(*time));
        let now = net.now;
        told.push(std::iter::from_fn(|| net.client.reader_take(now, id)).collect());
    }
    told
}

#[test]
fn case_u4_a_group_whose_coordinator_cannot_be_found_or_reached_is_told_once() {
    let told_by = |prepare: fn(&mut Net)| {
        let mut net = Net::connected();
        net.topics.push(topic("t", 1, 0));
        prepare(&mut net);
        told_in_group(&mut net, &["t"], &[4, 10, 120])
    };
    let not_available = told_by(|_| {});
    assert!(not_available[0].is_empty() && not_available[2].is_empty(), "{not_available:?}");
    assert!(matches!(&not_available[1][..], [ReaderItem::Notice(e)]
        if e.code() == Some(ErrorCode::CoordinatorNotAvailable) && e.context().group.as_deref() == Some("g")));

    let unreachable = told_by(|net| {
        net.coordinator = coordinator(ErrorCode::None);
        net.dead.insert(9002);
    });
    assert!(unreachable[0].is_empty() && unreachable[2].is_empty(), "{unreachable:?}");
    assert!(
        matches!(&unreachable[1][..], [ReaderItem::Notice(e)]
        if matches!(e.kind(), ErrorKind::Connection(ConnectionError::Refused))),
        "{unreachable:?}"
    );

    let all_gone = told_by(|net| {
        net.dead.extend([BOOTSTRAP, 9001, 9002, 9003]);
        let conns: Vec<ConnId> = net.conns.keys().copied().collect();
        conns.into_iter().for_each(|conn| net.end(conn, ConnectionError::Lost("reset".into())));
    });
    assert!(matches!(&all_gone[1][..], [ReaderItem::Notice(_)]), "{all_gone:?}");
    assert!(all_gone[0].is_empty() && all_gone[2].is_empty(), "{all_gone:?}");
}

#[test]
fn case_u4_a_topic_of_a_group_that_does_not_exist_is_told_once_after_the_grace() {
    let mut net = Net::connected();
    net.topics.push(topic("t", 1, 0));
    let told = told_in_group(&mut net, &["t", "u", "v"], &[4, 60, 60]);
    let of = |item: &ReaderItem| match item {
        ReaderItem::Error(e) if e.code() == Some(ErrorCode::UnknownTopicOrPartition) => {
            e.context().topic.as_ref().map(Str::to_string)
        }
        _ => None,
    };
    let told: Vec<Vec<String>> = told.iter().map(|items| items.iter().filter_map(of).collect()).collect();
    assert_eq!(told, [vec![], vec!["u".to_owned(), "v".to_owned()], vec![]]);
}

/// The version in which a request leaves.
fn version_of(request: RequestKind) -> i16 {
    let mut net = Net::connected();
    let spec =
        CallSpec { target: Target::Any, request, timeout: Some(Duration::from_secs(10)), code: no_code };
    net.client.begin_call(net.now, spec);
    while let Some(action) = net.client.poll_action() {
        net.act(action);
    }
    let conns: Vec<ConnId> = net.conns.keys().copied().collect();
    let transmit = conns.into_iter().find_map(|conn| net.client.poll_transmit(net.now, conn));
    transmit.expect("a request").version
}

#[test]
fn case_m4_without_a_topic_id_the_version_that_names_topics_is_used() {
    let commit = |ids: &[u8]| {
        let topic = |id: &u8| OffsetCommitRequestTopic { topic_id: Uuid([*id; 16]), ..Default::default() };
        let topics = ids.iter().map(topic).collect();
        OffsetCommitRequest { topics, ..Default::default() }.into()
    };
    assert_eq!(version_of(commit(&[0])), 9);
    assert_eq!(version_of(commit(&[1, 0])), 9, "one of several");
    assert_eq!(version_of(commit(&[1, 2])), 10);
    assert_eq!(version_of(commit(&[])), 10);

    let fetch = |ids: &[u8]| {
        let topic = |id: &u8| OffsetFetchRequestTopics { topic_id: Uuid([*id; 16]), ..Default::default() };
        let topics = Some(ids.iter().map(topic).collect());
        let group = OffsetFetchRequestGroup { topics, ..Default::default() };
        OffsetFetchRequest { groups: vec![group], ..Default::default() }.into()
    };
    assert_eq!(version_of(fetch(&[0])), 9);
    assert_eq!(version_of(fetch(&[1, 0])), 9);
    assert_eq!(version_of(fetch(&[1])), 10);
    let all = OffsetFetchRequestGroup::default();
    assert_eq!(version_of(OffsetFetchRequest { groups: vec![all], ..Default::default() }.into()), 10);
}
