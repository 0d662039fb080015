//! No reader is left without a word: what keeps it from its records is told once, and again where it became worse.

use super::*;
use crate::error::{Error, Fault};
use crate::reader::Start;
use crate::snapshot::TopicPartition;

const ALL: [u16; 4] = [BOOTSTRAP, 9001, 9002, 9003];

impl Net {
    pub(super) fn lone_reader(&mut self, from: ReadFrom) -> MachineId {
        let spec = ReaderSpec::new(self.client.reader_defaults().0, from);
        let id = self.client.add_reader(self.now, spec, Arc::default(), Arc::new(Marks::new(Duration::ZERO)));
        self.settle();
        id
    }

    /// What a reader is told within so many seconds: whether as an error, and what.
    pub(super) fn told(&mut self, id: MachineId, seconds: u64) -> Vec<(bool, Error)> {
        self.run_for(Duration::from_secs(seconds));
        let now = self.now;
        let items = std::iter::from_fn(|| self.client.reader_take(now, id));
        let told = items.map(|item| match item {
            ReaderItem::Error(error) => (true, error),
            ReaderItem::Notice(error) => (false, error),
            other => panic!("{other:?}"),
        });
        told.collect()
    }

    /// All connections end, and nobody answers any more.
    pub(super) fn all_gone(&mut self) {
        self.dead.extend(ALL);
        let conns: Vec<ConnId> = self.conns.keys().copied().collect();
        conns.into_iter().for_each(|conn| self.end(conn, ConnectionError::Lost("reset".into())));
        self.settle();
    }

    fn assigned(&mut self, id: MachineId) -> usize {
        self.client.assigned(self.now, id)
    }
}

fn whole_topic() -> ReadFrom {
    ReadFrom::Topics("t".into(), Start::Last)
}

fn partition(start: Start) -> ReadFrom {
    ReadFrom::Partitions(vec![(TopicPartition::new("t", 0), start)])
}

/// Clients whose brokers cannot be reached: that never could, that did, and that know the topic.
fn without_brokers() -> [Net; 3] {
    let mut never = Net::new();
    never.dead.extend(ALL);
    let mut nets = [never, Net::connected(), Net::knowing(topic("t", 1, 0))];
    nets.iter_mut().for_each(Net::all_gone);
    nets
}

#[track_caller]
fn assert_refused(told: &[(bool, Error)]) {
    let [(false, error)] = told else { panic!("{told:?}") };
    assert!(matches!(error.kind(), ErrorKind::Connection(ConnectionError::Refused)), "{error}");
    assert_ne!(error.fault(), Fault::Broker, "no broker has said anything");
    assert!(error.context().broker.is_some(), "{error}");
}

#[test]
fn a_lone_reader_of_a_topic_is_told_once_that_no_broker_can_be_reached() {
    for mut net in without_brokers() {
        let id = net.lone_reader(whole_topic());
        assert!(net.told(id, 4).is_empty(), "it may pass");
        assert_refused(&net.told(id, 10));
        assert!(net.told(id, 120).is_empty(), "told once");
        // It goes on when they come; all but the leader, since nothing is read here.
        net.topics = vec![topic("t", 1, 0)];
        net.dead = BTreeSet::from([9001]);
        net.run_for(Duration::from_secs(2));
        assert_eq!(net.assigned(id), 1);
    }
}

#[test]
fn a_lone_reader_is_told_that_what_answers_is_silent_or_no_broker() {
    let mut silent = Net::new();
    silent.silent.extend(ALL);
    let id = silent.lone_reader(whole_topic());
    let told = silent.told(id, 120);
    let [(false, error)] = &told[..] else { panic!("{told:?}") };
    assert!(matches!(error.kind(), ErrorKind::Connection(ConnectionError::ResponseTimeout)), "{error}");

    // One address that leads nowhere costs nothing while another is good.
    let mut half = Net::with_bootstrap("boot:9092,elsewhere:9093");
    half.dead.insert(9093);
    half.topics = vec![topic("t", 1, 0)];
    half.dead.insert(9001);
    let id = half.lone_reader(whole_topic());
    half.settle();
    assert_eq!(half.assigned(id), 1);
}

#[test]
fn a_lone_reader_of_a_partition_is_told_of_the_brokers_and_of_no_unknown_topic() {
    for start in [Start::First, Start::Last, Start::at(5)] {
        for mut net in without_brokers() {
            let id = net.lone_reader(partition(start));
            assert!(net.told(id, 4).is_empty(), "it may pass");
            assert_refused(&net.told(id, 10));
            assert!(net.told(id, 120).is_empty(), "told once");
        }
    }
}

#[test]
fn a_topic_that_brokers_do_not_have_when_they_come_is_told_after_its_grace() {
    let mut net = Net::connected();
    net.all_gone();
    let id = net.lone_reader(partition(Start::First));
    assert_refused(&net.told(id, 20));
    net.dead.clear();
    assert!(net.told(id, 4).is_empty(), "a broker that has just begun may not know it yet");
    let told = net.told(id, 10);
    assert!(
        matches!(&told[..], [(true, e)] if e.code() == Some(ErrorCode::UnknownTopicOrPartition)),
        "{told:?}"
    );
}

/// What is worse than what was told is told again: no waiting helps against another cluster.
#[test]
fn another_cluster_is_told_though_another_trouble_was() {
    let at = Start::at(5);
    let group = ReadFrom::Group(Arc::new(GroupConfig::new("g")), "t".into(), Start::First);
    for from in [whole_topic(), partition(Start::First), partition(at), group] {
        for knows_topic in [false, true] {
            let mut net = if knows_topic { Net::knowing(topic("t", 1, 0)) } else { Net::connected() };
            net.all_gone();
            let id = net.lone_reader(from.clone());
            assert!(matches!(net.told(id, 30)[..], [(false, _)]), "{from:?}");
            net.dead.clear();
            net.foreign.extend(ALL);
            let told = net.told(id, 60);
            let [(true, error)] = &told[..] else { panic!("{from:?} {knows_topic}: {told:?}") };
            let is_other =
                matches!(error.kind(), ErrorKind::Connection(ConnectionError::OtherCluster { .. }));
            assert!(is_other && error.fault() == Fault::Caller, "{error}");
            assert!(net.told(id, 120).is_empty(), "told once");
        }
    }
}

/// Metadata names a leader, and not where it is to be found.
#[test]
fn a_reader_is_told_that_nobody_knows_where_its_leader_is() {
    for start in [Start::First, Start::at(5)] {
        let mut net = Net::new();
        net.untold.insert(2);
        net.topics = vec![topic("t", 2, 0)];
        let id = net.lone_reader(partition(start));
        let told = net.told(id, 120);
        let [(false, error)] = &told[..] else { panic!("{start:?}: {told:?}") };
        assert!(error.to_string().contains("not in the cluster's metadata"), "{error}");
        assert!(net.asked() < 400, "{} requests", net.asked());
        if start != Start::First {
            net.untold.clear();
            net.holes.insert(9002);
            let limit = net.now.time + Duration::from_secs(5);
            let is_connecting = |net: &Net| {
                net.client
                    .lanes
                    .get(LaneKey::node(2, Lane::Fetch(id)))
                    .is_some_and(|lane| lane.conn().is_some())
            };
            while !is_connecting(&net) {
                assert!(net.step(limit), "it goes on by itself");
            }
        }
    }
}

/// Something that speaks Kafka's protocol, and not the one API that everything begins with.
#[test]
fn a_reader_is_told_that_what_answers_has_no_metadata() {
    let mut net = Net::new();
    net.lacking = Some(ApiKey::Metadata);
    let id = net.lone_reader(whole_topic());
    let told = net.told(id, 120);
    let [(true, error)] = &told[..] else { panic!("{told:?}") };
    assert!(matches!(error.kind(), ErrorKind::Unsupported { .. }), "{error}");
    assert!(
        net.client.last_trouble().is_some_and(|error| matches!(error.kind(), ErrorKind::Unsupported { .. }))
    );
}
