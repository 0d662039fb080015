use super::*;
use kafka_proto::Str;
use kafka_proto::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use kafka_proto::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use kafka_proto::messages::delete_groups::DeleteGroupsRequest;
use kafka_proto::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use kafka_proto::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use kafka_proto::messages::describe_cluster::DescribeClusterRequest;
use kafka_proto::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use kafka_proto::messages::describe_groups::DescribeGroupsRequest;
use kafka_proto::messages::find_coordinator::FindCoordinatorRequest;
use kafka_proto::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use kafka_proto::messages::init_producer_id::InitProducerIdRequest;
use kafka_proto::messages::list_groups::ListGroupsRequest;

fn create(topic: CreatableTopic) -> CreateTopicsRequest {
    CreateTopicsRequest { topics: vec![topic], timeout_ms: 1000, ..Default::default() }
}

fn new(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic { name: name.into(), num_partitions, replication_factor, ..Default::default() }
}

#[test]
fn topics_are_made_as_asked_or_refused_with_a_reason() {
    let mut rig = Rig::new(3);
    let made = rig.call(0, 7, create(new("n", 4, 2))).topics[0].clone();
    assert_eq!((made.num_partitions, made.replication_factor), (4, 2));
    assert!(!made.topic_id.is_zero() && made.configs.unwrap().len() > 20);
    let defaults = rig.call(0, 7, create(new("d", -1, -1))).topics[0].clone();
    assert_eq!((defaults.num_partitions, defaults.replication_factor), (1, 3));
    let bad_config =
        CreatableTopicConfig { name: "retention.ms".into(), value: Some("x".into()), ..Default::default() };
    for (topic, expected) in [
        (new("n", 1, 1), ErrorCode::TopicAlreadyExists),
        (new("r", 1, 4), ErrorCode::InvalidReplicationFactor),
        (new("r", 1, 0), ErrorCode::InvalidReplicationFactor),
        (new("p", 0, 1), ErrorCode::InvalidPartitions),
        (new("a b", 1, 1), ErrorCode::InvalidTopicException),
        (CreatableTopic { configs: vec![bad_config], ..new("c", 1, 1) }, ErrorCode::InvalidConfig),
    ] {
        let refused = rig.call(0, 7, create(topic)).topics[0].clone();
        assert_eq!(error(refused.error_code), expected);
        assert!(refused.error_message.is_some());
    }
    let twice = CreateTopicsRequest { topics: vec![new("x", 1, 1), new("x", 1, 1)], ..Default::default() };
    let refused = rig.call(0, 7, twice);
    assert!(refused.topics.iter().all(|topic| error(topic.error_code) == ErrorCode::InvalidRequest));
    let dry = CreateTopicsRequest { validate_only: true, ..create(new("dry", 1, 1)) };
    assert_eq!(error(rig.call(0, 7, dry).topics[0].error_code), ErrorCode::None);
    assert_eq!(rig.cluster.topic_names(), ["d", "n", "t"]);
}

#[test]
fn replicas_can_be_assigned_by_hand() {
    let mut rig = Rig::new(3);
    let assign = |partition_index, nodes: &[i32]| CreatableReplicaAssignment {
        partition_index,
        broker_ids: nodes.into(),
        ..Default::default()
    };
    let by_hand =
        CreatableTopic { assignments: vec![assign(1, &[0]), assign(0, &[2, 1])], ..new("h", -1, -1) };
    assert_eq!(error(rig.call(0, 7, create(by_hand)).topics[0].error_code), ErrorCode::None);
    assert_eq!((rig.cluster.leader("h", 0), rig.cluster.leader("h", 1)), (Some(2), Some(0)));
    for wrong in [vec![assign(0, &[7])], vec![assign(1, &[0])], vec![assign(0, &[1, 1])]] {
        let wrong = CreatableTopic { assignments: wrong, ..new("w", -1, -1) };
        let refused = rig.call(0, 7, create(wrong)).topics[0].error_code;
        assert_eq!(error(refused), ErrorCode::InvalidReplicaAssignment);
    }
}

#[test]
fn before_kraft_only_the_controller_makes_topics() {
    let mut old = Rig::of_release(2, "2.8");
    let refused = old.call(1, 5, create(new("n", 1, 1))).topics[0].error_code;
    assert_eq!(error(refused), ErrorCode::NotController);
    assert_eq!(error(old.call(0, 5, create(new("n", 1, 1))).topics[0].error_code), ErrorCode::None);
    assert_eq!(error(Rig::new(2).call(1, 5, create(new("n", 1, 1))).topics[0].error_code), ErrorCode::None);
}

#[test]
fn topics_go_by_name_or_by_id() {
    let mut rig = Rig::new(1);
    rig.topic("u", 1, &[]);
    let id = rig.cluster.topics.get("u").unwrap().id;
    let by_name = DeleteTopicsRequest { topic_names: vec!["t".into(), "nope".into()], ..Default::default() };
    let codes: Vec<_> = rig.call(0, 5, by_name).responses.iter().map(|r| error(r.error_code)).collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::UnknownTopicOrPartition]);
    let by_id = |topic_id| {
        let topic = DeleteTopicState { name: None, topic_id, ..Default::default() };
        DeleteTopicsRequest { topics: vec![topic], ..Default::default() }
    };
    assert_eq!(error(rig.call(0, 6, by_id(id)).responses[0].error_code), ErrorCode::None);
    assert_eq!(error(rig.call(0, 6, by_id(id)).responses[0].error_code), ErrorCode::UnknownTopicId);
    assert!(rig.cluster.topic_names().is_empty());
}

#[test]
fn topics_only_grow() {
    let mut rig = Rig::new(2);
    rig.put("t", "kept");
    let grow = |name: &str, count| {
        let topic =
            CreatePartitionsTopic { name: name.into(), count, assignments: None, ..Default::default() };
        CreatePartitionsRequest { topics: vec![topic], ..Default::default() }
    };
    assert_eq!(error(rig.call(0, 3, grow("t", 3)).results[0].error_code), ErrorCode::None);
    assert_eq!(rig.cluster.topics.get("t").unwrap().partitions.len(), 3);
    assert_eq!(rig.cluster.log("t", 0).len(), 1);
    assert_eq!(error(rig.call(0, 3, grow("t", 3)).results[0].error_code), ErrorCode::InvalidPartitions);
    assert_eq!(error(rig.call(0, 3, grow("x", 3)).results[0].error_code), ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn records_are_deleted_up_to_an_offset() {
    let mut rig = Rig::new(1);
    rig.fill("t", 4);
    let mut delete = |offset| {
        let partition = DeleteRecordsPartition { offset, ..Default::default() };
        let topic =
            DeleteRecordsTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
        let response = rig.call(0, 2, DeleteRecordsRequest { topics: vec![topic], ..Default::default() });
        let answer = response.topics[0].partitions[0].clone();
        (error(answer.error_code), answer.low_watermark)
    };
    assert_eq!(delete(2), (ErrorCode::None, 2));
    assert_eq!(delete(1), (ErrorCode::None, 2));
    assert_eq!(delete(5), (ErrorCode::OffsetOutOfRange, -1));
    assert_eq!(delete(-1), (ErrorCode::None, 4));
    assert_eq!(rig.cluster.offsets("t", 0), Some((4, 4, 4)));
}

#[test]
fn settings_are_shown_and_changed() {
    let mut rig = Rig::new(1);
    let alter = |name: &str, config_operation, value: &str| {
        let change = AlterableConfig {
            name: name.into(),
            config_operation,
            value: Some(value.into()),
            ..Default::default()
        };
        let resource = AlterConfigsResource {
            resource_type: 2,
            resource_name: "t".into(),
            configs: vec![change],
            ..Default::default()
        };
        IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() }
    };
    for (name, operation, value, expected) in [
        ("retention.ms", 0, "5", ErrorCode::None),
        ("cleanup.policy", 2, "compact", ErrorCode::None),
        ("colour", 0, "red", ErrorCode::InvalidConfig),
        ("retention.ms", 0, "-7", ErrorCode::InvalidConfig),
    ] {
        let answer = rig.call(0, 1, alter(name, operation, value)).responses[0].error_code;
        assert_eq!(error(answer), expected, "{name}");
    }
    let resource = DescribeConfigsResource {
        resource_type: 2,
        resource_name: "t".into(),
        configuration_keys: Some(vec!["retention.ms".into(), "cleanup.policy".into()]),
        ..Default::default()
    };
    let request = DescribeConfigsRequest { resources: vec![resource.clone()], ..Default::default() };
    let configs = rig.call(0, 4, request).results[0].configs.clone();
    let shown: Vec<_> =
        configs.iter().map(|c| (&*c.name, c.value.as_deref().unwrap(), c.config_source)).collect();
    assert_eq!(shown, [("cleanup.policy", "delete,compact", 1), ("retention.ms", "5", 1)]);
    let node = DescribeConfigsResource {
        resource_type: 4,
        resource_name: "0".into(),
        configuration_keys: None,
        ..resource
    };
    let request = DescribeConfigsRequest { resources: vec![node], ..Default::default() };
    assert!(rig.call(0, 4, request).results[0].configs.iter().any(|c| &*c.name == "broker.id"));
}

#[test]
fn retention_deletes_what_is_old_or_too_much() {
    let mut rig = Rig::new(1);
    rig.topic("age", 1, &[("retention.ms", "1000")]);
    rig.topic("size", 1, &[("retention.bytes", &(2 * one("a").len()).to_string())]);
    let old = rig.now.wall_ms - 5000;
    for time in [old, rig.now.wall_ms] {
        rig.produce(0, "age", batch(&[(None, "a", time)], Compression::None, ProducerStamp::NONE));
    }
    rig.fill("size", 5);
    // It happens by itself as time passes.
    rig.now.wall_ms -= 300_000;
    rig.sleep(300_000);
    assert_eq!(rig.cluster.offsets("age", 0), Some((1, 2, 2)));
    assert_eq!(rig.cluster.offsets("size", 0), Some((3, 5, 5)));
    assert_eq!(rig.cluster.log("size", 0).len(), 2);
}

#[test]
fn compaction_keeps_the_latest_record_of_each_key_at_its_offset() {
    let mut rig = Rig::new(1);
    for codec in [Compression::None, Compression::Zstd] {
        let records = [(Some("a"), "1", 10), (Some("b"), "2", 20), (Some("a"), "3", 30)];
        assert_eq!(
            error(rig.produce(0, "t", batch(&records, codec, ProducerStamp::NONE)).error_code),
            ErrorCode::None
        );
        rig.produce(0, "t", batch(&[(Some("c"), "4", 40)], codec, ProducerStamp::NONE));
    }
    rig.cluster.compact("t", 0).unwrap();
    let log = rig.cluster.log("t", 0);
    let kept: Vec<_> = log.iter().map(|r| (r.offset, r.timestamp, r.value.clone().unwrap())).collect();
    assert_eq!(kept, [(5, 20, "2".into()), (6, 30, "3".into()), (7, 40, "4".into())]);
    let data = rig.fetch_now(0, "t", 0);
    assert_eq!(read(&data).iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [5, 6, 7]);
    assert_eq!(rig.put("t", "next"), 8);
}

#[test]
fn compaction_does_not_forget_a_producers_sequence() {
    let mut rig = Rig::new(1);
    rig.produce(0, "t", stamped(1, 0, 0, 2));
    rig.put("t", "same key, later");
    rig.cluster.compact("t", 0).unwrap();
    assert_eq!(rig.cluster.log("t", 0).len(), 1);
    rig.cluster.kill(rig.now, 0).unwrap();
    rig.cluster.restart(rig.now, 0).unwrap();
    let again = rig.produce(0, "t", stamped(1, 0, 0, 2));
    assert_eq!((error(again.error_code), again.base_offset), (ErrorCode::None, 0));
    assert_eq!(
        error(rig.produce(0, "t", stamped(1, 0, 3, 1)).error_code),
        ErrorCode::OutOfOrderSequenceNumber
    );
}

#[test]
fn producer_ids_are_given_out_once_and_transactions_refused() {
    let mut rig = Rig::new(1);
    let ask =
        InitProducerIdRequest { transactional_id: None, transaction_timeout_ms: 1000, ..Default::default() };
    let (first, second) = (rig.call(0, 4, ask.clone()), rig.call(0, 4, ask.clone()));
    assert_ne!(first.producer_id, second.producer_id);
    assert_eq!((first.producer_epoch, first.error_code), (0, 0));
    let transactional = InitProducerIdRequest { transactional_id: Some("x".into()), ..ask };
    let refused = rig.call(0, 4, transactional).error_code;
    assert_eq!(error(refused), ErrorCode::TransactionalIdAuthorizationFailed);
}

#[test]
fn the_coordinator_of_a_group_is_the_same_from_every_node() {
    let mut rig = Rig::new(3);
    for group in ["a", "b", "c", "d"] {
        let keys = vec![Str::from(group)];
        let ask = FindCoordinatorRequest { coordinator_keys: keys, ..Default::default() };
        let found: Vec<_> =
            (0..3).map(|node| rig.call(node, 4, ask.clone()).coordinators[0].node_id).collect();
        let old = rig.call(0, 3, FindCoordinatorRequest { key: group.into(), ..Default::default() });
        assert!(found.iter().all(|node| *node == old.node_id), "{found:?}");
    }
    (0..3).for_each(|node| rig.cluster.kill(rig.now, node).unwrap());
    assert_eq!(rig.cluster.alive_nodes().count(), 0);
}

#[test]
fn groups_are_listed_described_and_deleted() {
    let mut rig = Rig::new(1);
    let group = |state: &str| ListGroupsRequest { states_filter: vec![state.into()], ..Default::default() };
    rig.cluster.groups.get_or_create("g");
    rig.cluster.ensure_offsets_topic();
    assert_eq!(rig.call(0, 5, group("empty")).groups.len(), 1);
    assert_eq!(rig.call(0, 5, group("Stable")).groups.len(), 0);
    let describe = DescribeGroupsRequest { groups: vec!["g".into(), "x".into()], ..Default::default() };
    let described = rig.call(0, 5, describe.clone()).groups;
    assert_eq!((&*described[0].group_state, &*described[1].group_state), ("Empty", "Dead"));
    let described = rig.call(0, 6, describe).groups;
    assert_eq!(error(described[1].error_code), ErrorCode::GroupIdNotFound);
    let delete = DeleteGroupsRequest { groups_names: vec!["g".into()], ..Default::default() };
    assert_eq!(error(rig.call(0, 2, delete.clone()).results[0].error_code), ErrorCode::None);
    assert_eq!(error(rig.call(0, 2, delete).results[0].error_code), ErrorCode::GroupIdNotFound);
}

#[test]
fn the_cluster_describes_itself() {
    let mut rig = Rig::new(2);
    let described = rig.call(1, 2, DescribeClusterRequest { endpoint_type: 1, ..Default::default() });
    assert_eq!((described.brokers.len(), described.controller_id), (2, 0));
    let wrong = rig.call(1, 2, DescribeClusterRequest { endpoint_type: 2, ..Default::default() });
    assert_eq!(error(wrong.error_code), ErrorCode::MismatchedEndpointType);
}

#[test]
fn a_test_administers_topics_without_a_client() {
    let mut rig = Rig::new(3);
    rig.fill("t", 4);
    assert_eq!(rig.cluster.delete_records("t", 0, 3), Ok(3));
    assert_eq!(rig.cluster.delete_records("t", 0, 99), Ok(4), "up to the high watermark");
    assert!(rig.cluster.delete_records("t", 7, 1).is_err());
    rig.cluster.create_partitions("t", 3).unwrap();
    assert!(rig.cluster.create_partitions("t", 2).is_err(), "topics only grow");
    assert_eq!(rig.cluster.offsets("t", 2), Some((0, 0, 0)));
    rig.cluster.alter_topic("t", &[("retention.ms", Some("1000"))]).unwrap();
    assert!(rig.cluster.alter_topic("t", &[("no.such.setting", Some("1"))]).is_err());
    rig.cluster.alter_topic("t", &[("retention.ms", None)]).unwrap();
    rig.cluster.delete_topic("t").unwrap();
    assert!(rig.cluster.topic_names().is_empty() && rig.cluster.delete_topic("t").is_err());
}
