//! What makes the client change its mind, and what does not: brokers that lag, and topics that are made anew.

use super::{BOOTSTRAP, Net, coordinator, topic};
use crate::client::{CallSpec, TopicState};
use crate::error::ConnectionError;
use crate::machine::Target;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_proto::{ApiKey, RequestKind, ResponseKind, Str, Uuid};
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(5);
/// Enough for the grace and the waits between answers.
const SETTLED: Duration = Duration::from_secs(15);

/// Topic `t` without an id, as brokers below 2.8 tell it.
fn nameless(leader: i32, leader_epoch: i32, partitions: usize) -> MetadataResponseTopic {
    with_id(0, leader, leader_epoch, partitions)
}

fn with_id(id: u8, leader: i32, leader_epoch: i32, partitions: usize) -> MetadataResponseTopic {
    let mut topic = topic("t", leader, leader_epoch);
    topic.topic_id = Uuid([id; 16]);
    let first = topic.partitions[0].clone();
    let partition = |index: usize| {
        let mut partition = first.clone();
        partition.partition_index = index as i32;
        partition
    };
    topic.partitions = (0..partitions).map(partition).collect();
    topic
}

fn id(net: &Net) -> Uuid {
    net.client.cluster().topic("t").unwrap().id
}

// ---- leaders ----

/// One broker tells of a leader that dies before anybody else has heard of it.
#[test]
fn case_m1a_what_all_others_say_for_longer_than_the_grace_is_believed() {
    let mut net = Net::knowing(topic("t", 2, 9));
    net.dead.insert(9002);
    net.tell(topic("t", 1, 8));
    assert_eq!(net.leader(), Some((2, 9)), "one answer alone");
    net.run_for(GRACE / 2);
    assert_eq!(net.leader(), Some((2, 9)), "within the grace");
    net.run_for(SETTLED);
    assert_eq!(net.leader(), Some((1, 8)));
    net.log.clear();
    net.run_for(Duration::from_secs(60));
    assert_eq!(net.asked(), 0, "it is settled");
}

#[test]
fn case_m1a_one_broker_alone_is_believed_in_the_end() {
    let mut net = Net::knowing(topic("t", 2, 9));
    net.silent.extend([9002, 9003, BOOTSTRAP]);
    net.tell(topic("t", 1, 8));
    net.run_for(Duration::from_secs(400));
    assert_eq!(net.leader(), Some((1, 8)));
}

#[test]
fn case_m1a_a_broker_that_lags_is_not_believed_beside_one_that_does_not() {
    let mut net = Net::knowing(topic("t", 2, 9));
    let lagging = net.asked_last();
    net.told_by.insert(lagging, vec![topic("t", 1, 8)]);
    net.log.clear();
    for _ in 0..300 {
        net.ask_anew();
        assert_eq!(net.leader(), Some((2, 9)));
    }
    let from_it = net.log.iter().filter(|(port, _)| *port == lagging).count();
    assert!(from_it > 3, "it was asked: {from_it}");
}

#[test]
fn case_m1b_epochs_count_from_the_beginning_once_the_topic_was_gone() {
    let mut net = Net::knowing(nameless(2, 3, 1));
    net.topics.clear();
    net.ask_anew();
    net.run_for(SETTLED);
    assert!(matches!(net.client.topic("t"), TopicState::Failed(_)));
    net.tell(nameless(1, 0, 1));
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.leader(), Some((1, 0)));
}

#[test]
fn case_m1b_epochs_count_from_the_beginning_of_a_topic_that_was_never_seen_to_be_gone() {
    for (leader, epoch) in [(1, 0), (2, 0), (2, 2), (3, 1)] {
        let mut net = Net::knowing(nameless(2, 3, 1));
        net.tell(nameless(leader, epoch, 1));
        net.run_for(SETTLED);
        assert_eq!(net.leader(), Some((leader, epoch)));
    }
}

#[test]
fn case_m1c_no_leader_is_no_older_leader() {
    let mut net = Net::knowing(topic("t", 2, 7));
    net.tell(topic("t", -1, -1));
    assert_eq!(net.leader(), None);
    net.tell(topic("t", 1, 5));
    assert_eq!(net.leader(), None, "it has led before");
    net.tell(topic("t", 2, 8));
    assert_eq!(net.leader(), Some((2, 8)));
}

#[test]
fn case_m1c_an_election_without_a_winner_counts() {
    let mut net = Net::knowing(topic("t", 2, 7));
    net.tell(topic("t", -1, 8));
    net.tell(topic("t", 2, 7));
    assert_eq!(net.leader(), None);
    net.tell(topic("t", 3, 9));
    assert_eq!(net.leader(), Some((3, 9)));
}

// ---- partitions ----

#[test]
fn case_m8_partitions_become_fewer_once_answers_agree() {
    for (known, told) in [(5, 2), (2, 1), (300, 299)] {
        let mut net = Net::knowing(nameless(2, 3, known));
        net.tell(nameless(2, 3, told));
        assert_eq!(net.partitions(), known, "one answer alone");
        net.run_for(SETTLED);
        assert_eq!(net.partitions(), told);
    }
}

#[test]
fn case_m8_an_answer_with_all_partitions_ends_the_doubt() {
    let mut net = Net::knowing(nameless(2, 3, 5));
    for _ in 0..20 {
        net.tell(nameless(2, 3, 2));
        net.run_for(GRACE / 4);
        net.tell(nameless(2, 3, 5));
        net.run_for(GRACE / 4);
        assert_eq!(net.partitions(), 5);
    }
}

// ---- ids ----

#[test]
fn case_d7_a_zero_id_is_no_other_id() {
    let mut net = Net::knowing(with_id(1, 2, 5, 3));
    net.tell(with_id(0, 2, 5, 2));
    assert_eq!((id(&net), net.partitions()), (Uuid([1; 16]), 3));
    net.tell(with_id(0, 1, 4, 3));
    assert_eq!((id(&net), net.leader()), (Uuid([1; 16]), Some((2, 5))), "it lags");
    net.tell(with_id(0, 1, 6, 3));
    assert_eq!((id(&net), net.leader()), (Uuid([1; 16]), Some((1, 6))));
    net.run_for(Duration::from_secs(600));
    assert_eq!(id(&net), Uuid([1; 16]), "not even after a long time");
}

#[test]
fn case_d7_an_id_that_comes_with_the_upgrade_changes_nothing_else() {
    let mut net = Net::knowing(with_id(0, 2, 5, 3));
    net.tell(with_id(1, 1, 4, 3));
    assert_eq!((id(&net), net.leader()), (Uuid([1; 16]), Some((2, 5))), "the same topic: its epochs hold");
}

#[test]
fn case_d7_another_id_is_believed_when_two_brokers_tell_it() {
    let mut net = Net::knowing(with_id(1, 2, 5, 3));
    net.told_by.insert(net.asked_last(), vec![with_id(2, 1, 0, 1)]);
    for _ in 0..100 {
        net.ask_anew();
        assert_eq!((id(&net), net.partitions()), (Uuid([1; 16]), 3), "one broker alone");
    }
    net.told_by.clear();
    net.tell(with_id(2, 1, 0, 1));
    net.run_for(Duration::from_secs(2));
    assert_eq!((id(&net), net.leader(), net.partitions()), (Uuid([2; 16]), Some((1, 0)), 1));
    assert_eq!(net.client.cluster().name(&Uuid([1; 16])), None, "nobody has that id any more");
}

/// Two that lag agree with each other; but the id that they tell is one that was replaced.
#[test]
fn case_d7_a_former_id_is_believed_only_after_the_grace() {
    for good in 9001..=9003 {
        let mut net = Net::knowing(with_id(1, 1, 0, 1));
        net.tell(with_id(2, 1, 0, 1));
        net.run_for(Duration::from_secs(2));
        assert_eq!(id(&net), Uuid([2; 16]));
        let lagging = (9001..=9003).filter(|port| *port != good);
        net.told_by = lagging.map(|port| (port, vec![with_id(1, 1, 0, 1)])).collect();
        let begin = net.now.time;
        loop {
            net.ask_anew();
            if net.now.time >= begin + GRACE {
                break;
            }
            assert_eq!(id(&net), Uuid([2; 16]), "{good}");
        }
        // None is refused for ever.
        net.told_by.clear();
        net.tell(with_id(1, 1, 0, 1));
        net.run_for(SETTLED);
        assert_eq!(id(&net), Uuid([1; 16]));
        net.tell(with_id(3, 1, 0, 1));
        net.run_for(Duration::from_secs(2));
        assert_eq!(id(&net), Uuid([3; 16]), "a new one is believed as before");
    }
}

// ---- addresses ----

/// The old listener lives on.
#[test]
fn case_m3_a_broker_is_met_at_its_new_address_once_answers_agree() {
    for broker in 1..=3 {
        let mut net = Net::knowing(topic("t", 2, 3));
        assert_eq!(net.call_broker(broker), 9000 + broker as u16);
        net.moved.insert(broker, 9500);
        net.ask_anew();
        net.run_for(Duration::from_secs(2));
        assert_eq!(net.call_broker(broker), 9500);
        assert!(!net.ports().contains(&(9000 + broker as u16)), "{:?}", net.ports());
        net.log.clear();
        net.run_for(Duration::from_secs(60));
        assert_eq!(net.asked(), 0, "it is settled");
    }
}

#[test]
fn case_m3_one_broker_that_lags_closes_nothing() {
    let mut net = Net::knowing(topic("t", 2, 3));
    net.call_broker(3);
    let lagging = net.asked_last();
    net.moved.insert(2, 9500);
    net.lagging.insert(lagging);
    net.ask_anew();
    net.run_for(Duration::from_secs(2));
    assert_eq!(net.call_broker(2), 9500);
    for _ in 0..100 {
        net.ask_anew();
        assert_eq!(net.call_broker(2), 9500);
    }
    assert!(net.log.iter().filter(|(port, _)| *port == lagging).count() > 3, "{:?}", net.log);
}

/// What the broker does at its old address is not cut off.
#[test]
fn case_m3_what_is_in_flight_at_the_old_address_is_waited_for() {
    let mut net = Net::knowing(topic("t", 1, 3));
    (1..=3).for_each(|broker| _ = net.call_broker(broker));
    net.silent.insert(9002);
    let call = net.call_of(Target::node(2), Duration::from_secs(20));
    net.settle();
    net.moved.insert(2, 9500);
    net.ask_anew();
    net.run_for(Duration::from_secs(5));
    assert!(net.ports().contains(&9002), "it is in flight");
    net.answer_all(9002);
    assert!(net.client.take_call(call).unwrap().is_ok());
    assert!(!net.ports().contains(&9002), "{:?}", net.ports());
    assert_eq!(net.call_broker(2), 9500);
}

#[test]
fn case_m3_an_address_that_fails_is_left_at_once() {
    let mut net = Net::knowing(topic("t", 1, 3));
    net.call_broker(2);
    net.moved.insert(2, 9500);
    net.dead.insert(9002);
    let open: Vec<_> = net.conns.iter().filter(|(_, port)| **port == 9002).map(|(conn, _)| *conn).collect();
    open.into_iter().for_each(|conn| net.end(conn, ConnectionError::Refused));
    net.settle();
    net.run_for(Duration::from_secs(2));
    assert_eq!(net.call_broker(2), 9500);
}

// ---- what is asked for again, and how often ----

#[test]
fn case_m7_an_answer_without_what_was_asked_is_asked_for_less_and_less_often() {
    let mut net = Net::connected();
    net.is_mute = true;
    net.topics = vec![topic("t", 1, 0)];
    net.client.want_topic(net.now, &Str::from("t"));
    net.settle();
    net.log.clear();
    net.run_for(Duration::from_secs(60));
    assert!((20..120).contains(&net.asked()), "{} a minute", net.asked());
    let TopicState::Failed(error) = net.client.topic("t") else { panic!("silent for ever") };
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));
    net.is_mute = false;
    net.run_for(Duration::from_secs(2));
    assert!(matches!(net.client.topic("t"), TopicState::Known(_)));
}

#[test]
fn case_m7_a_known_topic_is_not_lost_by_answers_that_do_not_name_it() {
    let mut net = Net::knowing(topic("t", 1, 0));
    net.is_mute = true;
    net.ask_anew();
    net.log.clear();
    net.run_for(Duration::from_secs(60));
    assert!(matches!(net.client.topic("t"), TopicState::Known(_)));
    assert!((20..120).contains(&net.asked()), "{} a minute", net.asked());
}

#[test]
fn case_m7_an_error_of_the_whole_answer_is_an_error() {
    for code in [129, 7, 41, -1] {
        let mut net = Net::knowing(topic("t", 1, 3));
        net.metadata_error = code;
        net.tell(topic("t", 2, 4));
        net.log.clear();
        net.run_for(Duration::from_secs(60));
        assert_eq!(net.leader(), Some((1, 3)), "nothing else of it counts");
        assert!((20..120).contains(&net.asked()), "{} a minute", net.asked());
        net.metadata_error = 0;
        net.run_for(Duration::from_secs(2));
        assert_eq!(net.leader(), Some((2, 4)));
    }
}

/// Each topic has the error as well, as Kafka's brokers put it (KIP-1102).
#[test]
fn case_m7_a_broker_that_sends_us_back_leads_to_the_bootstrap_addresses() {
    let required = ErrorCode::RebootstrapRequired;
    let mut net = Net::connected();
    net.metadata_error = required.code();
    net.topics = vec![MetadataResponseTopic {
        error_code: required.code(),
        partitions: Vec::new(),
        ..topic("t", 1, 3)
    }];
    net.client.want_topic(net.now, &Str::from("t"));
    net.settle();
    net.log.clear();
    net.run_for(Duration::from_secs(1));
    assert!(net.log.iter().all(|(port, _)| *port == BOOTSTRAP) && !net.log.is_empty(), "{:?}", net.log);
    assert!(matches!(net.client.topic("t"), TopicState::Pending), "no error of the topic");
    net.dead.insert(BOOTSTRAP);
    net.metadata_error = 0;
    net.topics = vec![topic("t", 1, 3)];
    net.run_for(Duration::from_secs(10));
    assert_eq!(net.leader(), Some((1, 3)), "the brokers it knew are not given up");
    assert!(net.client.stats().rebootstraps > 0);
}

#[test]
fn case_m7_news_do_not_pass_the_backoff() {
    let mut net = Net::connected();
    net.is_mute = true;
    net.log.clear();
    for name in 0..600 {
        net.client.want_topic(net.now, &Str::from(format!("t{name}")));
        net.settle();
        net.run_for(Duration::from_millis(100));
    }
    assert!(net.asked() < 120, "{} a minute", net.asked());
}

/// Who needs a topic that is asked for already waits for that answer, and for its backoff.
#[test]
fn a_topic_that_is_asked_for_is_no_news() {
    let mut net = Net::connected();
    net.topics = vec![topic("t", 1, 3)];
    net.silent.extend(9000..=9003);
    net.log.clear();
    for _ in 0..3 {
        net.client.want_topic(net.now, &Str::from("t"));
        net.settle();
    }
    let silent = std::mem::take(&mut net.silent);
    silent.into_iter().for_each(|port| net.answer_all(port));
    net.run_for(Duration::from_secs(1));
    assert_eq!((net.leader(), net.asked()), (Some((1, 3)), 1));
    net.is_mute = true;
    net.client.want_topic(net.now, &Str::from("u"));
    net.settle();
    net.log.clear();
    for _ in 0..20 {
        net.client.want_topic(net.now, &Str::from("u"));
        net.settle();
    }
    assert_eq!(net.asked(), 0);
}

/// Rights were granted, and the topic turns out not to exist; or the broker is in trouble.
#[test]
fn case_m7_a_refusal_is_not_told_for_longer_than_it_is_said() {
    for code in [ErrorCode::UnknownTopicOrPartition, ErrorCode::KafkaStorageError] {
        let refused = ErrorCode::TopicAuthorizationFailed;
        let told = |code: ErrorCode| {
            vec![MetadataResponseTopic {
                error_code: code.code(),
                partitions: Vec::new(),
                ..topic("t", 1, 3)
            }]
        };
        let mut net = Net::connected();
        net.topics = told(refused);
        net.client.want_topic(net.now, &Str::from("t"));
        net.settle();
        let TopicState::Failed(error) = net.client.topic("t") else { panic!() };
        assert_eq!(error.code(), Some(refused));
        net.topics = told(code);
        net.run_for(Duration::from_secs(60));
        match net.client.topic("t") {
            TopicState::Failed(error) => assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition)),
            state => assert!(matches!(state, TopicState::Pending) && code == ErrorCode::KafkaStorageError),
        }
    }
}

/// One broker that lags refuses for ever what any other serves: the one connection that there was led to it again and again.
#[test]
fn case_m7_what_one_broker_refuses_another_is_asked_for() {
    use crate::machine::CoordinatorKind;
    use kafka_proto::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
    let code = |response: &ResponseKind| match response {
        ResponseKind::InitProducerId(response) => ErrorCode::from(response.error_code),
        _ => ErrorCode::None,
    };
    let group = Target::Coordinator(CoordinatorKind::Group, "g".into());
    let metadata = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
    let id = InitProducerIdRequest { transaction_timeout_ms: 1, ..Default::default() };
    let calls: [(Target, RequestKind); 2] = [(group, metadata.into()), (Target::Any, id.into())];
    for (target, request) in calls {
        for sick in 9001..=9003u16 {
            let mut net = Net::connected();
            net.script = Some(Box::new(move |_, port, request| {
                let of_sick = |code| if port == sick { code } else { ErrorCode::None };
                match request {
                    RequestKind::FindCoordinator(request) => {
                        let mut found = coordinator(of_sick(ErrorCode::CoordinatorNotAvailable));
                        found.coordinators[0].key = request.coordinator_keys[0].clone();
                        found.into()
                    }
                    RequestKind::InitProducerId(_) => {
                        let error_code = of_sick(ErrorCode::CoordinatorLoadInProgress).code();
                        InitProducerIdResponse { error_code, ..Default::default() }.into()
                    }
                    _ => MetadataResponse { cluster_id: Some("c".into()), ..Default::default() }.into(),
                }
            }));
            let (target, request, timeout) = (target.clone(), request.clone(), Some(Duration::from_secs(60)));
            let call = net.client.begin_call(net.now, CallSpec { target, request, timeout, code });
            net.settle();
            net.run_for(Duration::from_secs(5));
            assert!(net.client.take_call(call).expect("another broker is asked").is_ok());
        }
    }
}

#[test]
fn case_m7_where_all_brokers_refuse_they_are_asked_in_turn() {
    let mut net = Net::connected();
    let request = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
    let code = |_: &ResponseKind| ErrorCode::CoordinatorLoadInProgress;
    let timeout = Some(Duration::from_secs(60));
    net.client.begin_call(net.now, CallSpec { target: Target::Any, request: request.into(), timeout, code });
    net.settle();
    net.log.clear();
    net.run_for(Duration::from_secs(30));
    for port in 9001..=9003 {
        let times = net.log.iter().filter(|(asked, _)| *asked == port).count();
        assert!((5..20).contains(&times), "{port}: {times}");
    }
}

/// What one broker leaves open another may know: it lags, or has not heard of rights that were granted.
#[test]
fn case_m7_what_one_broker_cannot_say_of_a_topic_another_is_asked_for() {
    let bad = |code: ErrorCode| MetadataResponseTopic {
        error_code: code.code(),
        partitions: Vec::new(),
        ..topic("t", 1, 3)
    };
    let codes = [ErrorCode::LeaderNotAvailable, ErrorCode::TopicAuthorizationFailed, ErrorCode::Unknown(999)];
    let told = codes.map(|code| vec![bad(code)]).into_iter().chain([vec![topic("t", -1, 3)], vec![]]);
    for told in told {
        for sick in 9001..=9003 {
            let mut net = Net::connected();
            net.topics = vec![topic("t", 1, 3)];
            net.told_by.insert(sick, told.clone());
            net.client.want_topic(net.now, &Str::from("t"));
            net.settle();
            net.run_for(Duration::from_secs(10));
            assert_eq!(net.leader(), Some((1, 3)), "{sick}: {told:?}");
            net.log.clear();
            net.run_for(Duration::from_secs(60));
            assert_eq!(net.asked(), 0, "it is settled");
        }
    }
}

/// One broker lags, and sends everybody to the coordinator of before.
#[test]
fn case_m3_a_coordinator_that_is_none_is_asked_for_at_another_broker() {
    use kafka_proto::messages::join_group::JoinGroupResponse;
    for (lagging, is_dead) in [(9001, false), (9002, false), (9003, false), (9001, true), (9002, true)] {
        let mut net = Net::connected();
        if is_dead {
            net.dead.insert(9003);
        }
        net.script = Some(Box::new(move |_, port, request| match request {
            RequestKind::FindCoordinator(request) => {
                let mut found = coordinator(ErrorCode::None);
                let one = &mut found.coordinators[0];
                one.key = request.coordinator_keys[0].clone();
                if port == lagging {
                    (one.node_id, one.port) = (3, 9003);
                }
                found.into()
            }
            RequestKind::JoinGroup(_) => {
                let error_code = ErrorCode::NotCoordinator.code();
                JoinGroupResponse { error_code, ..Default::default() }.into()
            }
            _ => {
                let topics = vec![topic("t", 1, 0)];
                MetadataResponse { cluster_id: Some("c".into()), topics, ..Default::default() }.into()
            }
        }));
        super::told_in_group(&mut net, &["t"], &[5]);
        assert!(net.log.contains(&(9002, ApiKey::JoinGroup)), "{lagging}: {:?}", net.log);
    }
}

/// What is known after the controller has done something to topic `t`, of which brokers tell this.
fn state_after(net: &mut Net, told: &[MetadataResponseTopic], time: Duration) -> Option<(Uuid, usize)> {
    net.topics = told.to_vec();
    net.settle();
    net.run_for(time);
    let TopicState::Known(topic) = net.client.topic("t") else { return None };
    Some((topic.id, topic.partitions.len()))
}

#[test]
fn a_topic_that_the_controller_deleted_is_not_known_any_more() {
    let (old, name) = (with_id(1, 1, 7, 2), Str::from("t"));
    let mut net = Net::knowing(old.clone());
    net.client.topic_deleted(net.now, &name, Uuid([9; 16]));
    assert_eq!(net.partitions(), 2, "another one of that name was deleted");
    net.client.topic_deleted(net.now, &name, Uuid([1; 16]));
    assert!(matches!(net.client.topic("t"), TopicState::Pending));
    let lagging = std::slice::from_ref(&old);
    assert_eq!(state_after(&mut net, lagging, Duration::from_secs(3)), None, "brokers lag");
    assert_eq!(state_after(&mut net, &[], Duration::from_secs(30)), None);
    let TopicState::Failed(error) = net.client.topic("t") else { panic!() };
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));
}

/// No answer is believed for ever: of whom brokers speak on is there.
#[test]
fn a_topic_of_which_brokers_speak_on_was_not_deleted_after_all() {
    let old = with_id(1, 1, 7, 2);
    let mut net = Net::knowing(old.clone());
    net.client.topic_deleted(net.now, &Str::from("t"), Uuid([1; 16]));
    assert_eq!(state_after(&mut net, &[old], Duration::from_secs(20)), Some((Uuid([1; 16]), 2)));
}

#[test]
fn a_topic_that_the_controller_made_is_the_one_that_is_known() {
    let (old, new, name) = (with_id(1, 1, 7, 2), with_id(2, 2, 0, 3), Str::from("t"));
    let (lagging, right) = (std::slice::from_ref(&old), std::slice::from_ref(&new));
    let known = Some((Uuid([2; 16]), 3));
    for was_deleted in [true, false] {
        let mut net = Net::knowing(old.clone());
        if was_deleted {
            net.client.topic_deleted(net.now, &name, Uuid([1; 16]));
        }
        net.client.topic_made(net.now, &name, Some(Uuid([2; 16])));
        assert_eq!(state_after(&mut net, lagging, Duration::from_secs(3)), None, "brokers lag");
        assert_eq!(state_after(&mut net, right, Duration::from_secs(2)), known);
        assert_eq!(net.leader(), Some((2, 0)), "its epochs count from the beginning");
        // A late answer of the controller tells nothing new.
        net.client.topic_made(net.now, &name, Some(Uuid([2; 16])));
        assert_eq!(state_after(&mut net, lagging, Duration::ZERO), known);
        net.client.topic_made(net.now, &name, None);
        assert_eq!(state_after(&mut net, right, Duration::ZERO), known);
    }
}

/// Brokers below 2.8.
#[test]
fn a_topic_without_an_id_that_the_controller_made_is_asked_for_anew() {
    let mut net = Net::knowing(nameless(1, 7, 2));
    net.client.topic_made(net.now, &Str::from("t"), Some(Uuid::ZERO));
    assert_eq!(state_after(&mut net, &[nameless(2, 0, 1)], Duration::from_secs(1)), Some((Uuid::ZERO, 1)));
    assert_eq!(net.leader(), Some((2, 0)));
}

/// A topic of which a broker knows but the name.
fn knows_nothing() -> Vec<MetadataResponseTopic> {
    let code = ErrorCode::LeaderNotAvailable.code();
    vec![MetadataResponseTopic { partitions: Vec::new(), error_code: code, ..topic("t", 1, 0) }]
}

/// One broker has raised a doubt, which another one can neither confirm nor end. The third, and the first once more, are asked.
#[test]
fn case_m1_a_broker_that_says_nothing_of_a_doubt_is_not_asked_for_ever() {
    let another_leader = topic("t", 1, 8);
    let another_id = MetadataResponseTopic { topic_id: Uuid([2; 16]), ..topic("t", 1, 8) };
    for doubt in [another_leader, another_id] {
        let mut net = Net::knowing(topic("t", 2, 9));
        net.tell(doubt.clone());
        let first = net.asked_last();
        let next = (9001..=9003).find(|port| *port != first).unwrap();
        net.told_by.insert(next, knows_nothing());
        net.run_for(Duration::from_secs(60));
        assert_eq!(net.leader(), Some((1, 8)));
        assert_eq!(net.client.cluster().topic("t").unwrap().id, doubt.topic_id);
    }
}

/// The only broker that knows the topic was down for a moment when it was asked first.
#[test]
fn case_m7_a_broker_that_was_down_once_is_asked_again() {
    for good in 9001..=9003 {
        let mut net = Net::connected();
        for port in (9001..=9003).filter(|port| *port != good) {
            net.told_by.insert(port, knows_nothing());
        }
        net.kill(good);
        net.topics = vec![topic("t", 1, 0)];
        net.client.want_topic(net.now, &Str::from("t"));
        net.settle();
        net.run_for(Duration::from_secs(20));
        assert!(!matches!(net.client.topic("t"), TopicState::Known(_)));
        net.dead.clear();
        net.run_for(Duration::from_secs(60));
        assert!(matches!(net.client.topic("t"), TopicState::Known(_)), "{good}");
    }
}

/// A broker has asked for silence; the others would tell.
#[test]
fn case_m7_a_broker_that_asks_for_silence_is_not_waited_for() {
    let mut net = Net::knowing(topic("t", 2, 9));
    let first = net.asked_last();
    let other = (9001..=9003).find(|p| *p != first).unwrap();
    net.throttle = Duration::from_secs(600);
    net.call_broker(i32::from(other) - 9000);
    net.throttle = Duration::ZERO;
    net.tell(topic("t", 1, 8));
    assert_eq!(net.asked_last(), first);
    net.log.clear();
    net.run_for(Duration::from_secs(20));
    assert_eq!(net.leader(), Some((1, 8)), "{first} {other} {:?}", net.log);
}

/// What is known was known by a broker alone that died. Of the two that are left one lags for ever, so that they disagree.
#[test]
fn case_m1_where_all_others_disagree_what_is_known_is_left_all_the_same() {
    let led_by = |leader, epoch| topic("t", leader, epoch);
    let with_id = |id| MetadataResponseTopic { topic_id: Uuid([id; 16]), ..topic("t", 1, 0) };
    let of = |count: i32| {
        let first = topic("t", 1, 0).partitions[0].clone();
        let numbered = |partition_index| MetadataResponsePartition { partition_index, ..first.clone() };
        MetadataResponseTopic { partitions: (0..count).map(numbered).collect(), ..topic("t", 1, 0) }
    };
    let said = |net: &Net| {
        let topic = net.client.cluster().topic("t").unwrap();
        (topic.id, topic.partitions.len(), topic.partitions[0].leader)
    };
    for [known, lagging, fresh] in
        [[led_by(2, 9), led_by(3, 7), led_by(1, 8)], [1, 2, 3].map(with_id), [5, 3, 2].map(of)]
    {
        for lags in [9001, 9003] {
            let mut net = Net::knowing(known.clone());
            let before = said(&net);
            net.kill(9002);
            net.told_by.insert(lags, vec![lagging.clone()]);
            net.tell(fresh.clone());
            net.run_for(Duration::from_secs(60));
            let now = said(&net);
            assert_ne!(now, before);
            net.run_for(Duration::from_secs(600));
            assert_eq!(said(&net), now, "it is not changed again and again");
        }
    }
}
