use super::*;
use kafka_proto::Uuid;
use kafka_proto::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};

fn ask(names: &[&str]) -> MetadataRequest {
    let topic = |name: &&str| MetadataRequestTopic { name: Some((*name).into()), ..Default::default() };
    MetadataRequest { topics: Some(names.iter().map(topic).collect()), ..Default::default() }
}

fn all() -> MetadataRequest {
    MetadataRequest { topics: None, ..Default::default() }
}

fn errors(response: &MetadataResponse) -> Vec<ErrorCode> {
    response.topics.iter().map(|topic| error(topic.error_code)).collect()
}

#[test]
fn null_asks_for_all_topics_and_an_empty_list_for_none() {
    let mut rig = Rig::new(1);
    assert_eq!(rig.call(0, 9, all()).topics.len(), 1);
    assert_eq!(rig.call(0, 9, ask(&[])).topics.len(), 0);
    assert_eq!(rig.call(0, 0, ask(&[])).topics.len(), 1);
}

#[test]
fn leaders_replicas_and_nodes_are_named() {
    let mut rig = Rig::new(3);
    let response = rig.call(1, 12, all());
    assert_eq!(
        response.brokers.iter().map(|b| (b.node_id, b.port)).collect::<Vec<_>>(),
        [(0, 9000), (1, 9001), (2, 9002)]
    );
    assert_eq!(response.cluster_id.as_ref().map(|id| id.len()), Some(22));
    let partition = &response.topics[0].partitions[0];
    assert_eq!((partition.leader_id, partition.leader_epoch), (0, 0));
    assert_eq!(partition.replica_nodes, [0, 1, 2]);
    assert_eq!(partition.isr_nodes, [0, 1, 2]);
    rig.cluster.kill(rig.now, 0).unwrap();
    let response = rig.call(1, 12, all());
    assert_eq!(response.brokers.len(), 2);
    let partition = &response.topics[0].partitions[0];
    assert_eq!((partition.leader_id, partition.leader_epoch), (1, 1));
    assert_eq!((partition.isr_nodes.to_vec(), partition.offline_replicas.to_vec()), (vec![1, 2], vec![0]));
}

#[test]
fn unknown_and_impossible_names() {
    let mut rig = Rig::new(1);
    let response = rig.call(0, 9, ask(&["nope", "a/b"]));
    assert_eq!(errors(&response), [ErrorCode::InvalidTopicException, ErrorCode::UnknownTopicOrPartition]);
}

#[test]
fn topics_are_made_on_request_only_if_both_sides_want_it() {
    let mut rig = Rig::configured(1, |config| {
        config.auto_create_topics = true;
        config.default_partitions = 4;
    });
    let quiet = MetadataRequest { allow_auto_topic_creation: false, ..ask(&["new"]) };
    rig.call(0, 9, quiet);
    assert_eq!(rig.cluster.topic_names(), ["t"]);
    let loud = MetadataRequest { allow_auto_topic_creation: true, ..ask(&["new"]) };
    assert_eq!(errors(&rig.call(0, 9, loud.clone())), [ErrorCode::UnknownTopicOrPartition]);
    assert_eq!(rig.call(0, 9, loud).topics[0].partitions.len(), 4);
    let mut off = Rig::new(1);
    let loud = MetadataRequest { allow_auto_topic_creation: true, ..ask(&["new"]) };
    off.call(0, 9, loud);
    assert_eq!(off.cluster.topic_names(), ["t"]);
}

#[test]
fn topics_can_be_asked_for_by_id() {
    let mut rig = Rig::new(1);
    let id = rig.call(0, 12, all()).topics[0].topic_id;
    let by_id = |topic_id| {
        let topic = MetadataRequestTopic { topic_id, name: None, ..Default::default() };
        MetadataRequest { topics: Some(vec![topic]), ..Default::default() }
    };
    assert_eq!(rig.call(0, 12, by_id(id)).topics[0].name.as_deref(), Some("t"));
    let unknown = rig.call(0, 12, by_id(Uuid([7; 16])));
    assert_eq!((errors(&unknown), unknown.topics[0].name.clone()), (vec![ErrorCode::UnknownTopicId], None));
}
