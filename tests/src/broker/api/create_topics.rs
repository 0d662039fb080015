//! CreateTopics: makes topics, with as many replicas as there are nodes or as the request assigns.

use kafka_proto::messages::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};
use kafka_proto::{ErrorCode, Str};

use super::{Call, ClusterState, NodeId, Reply};
use crate::broker::control::{Layout, TopicError};
use crate::broker::state::topics::Topic;

/// Code of a value that is Kafka's default.
const SOURCE_DEFAULT: i8 = 5;
/// Code of a value the topic itself sets.
const SOURCE_TOPIC: i8 = 1;

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: CreateTopicsRequest) -> Reply {
    if let Err(error) = cluster.check_controller(call.node) {
        return refuse(&request, call.version, error).into();
    }
    let names: Vec<Str> = request.topics.iter().map(|topic| topic.name.clone()).collect();
    let create = |asked: &CreatableTopic| {
        if names.iter().filter(|name| **name == asked.name).count() > 1 {
            let error = TopicError::new(ErrorCode::InvalidRequest, "The topic is named twice in the request");
            return failed(asked, &error);
        }
        match create(cluster, call, asked, request.validate_only) {
            Ok(result) => result,
            Err(error) => failed(asked, &error),
        }
    };
    let topics = request.topics.iter().map(create).collect();
    CreateTopicsResponse { topics, ..Default::default() }.into()
}

pub(crate) fn refuse(request: &CreateTopicsRequest, _: i16, error: ErrorCode) -> CreateTopicsResponse {
    let error = TopicError { error, message: None };
    let topics = request.topics.iter().map(|asked| failed(asked, &error)).collect();
    CreateTopicsResponse { topics, ..Default::default() }
}

fn create(
    cluster: &mut ClusterState,
    call: &Call,
    asked: &CreatableTopic,
    validate_only: bool,
) -> Result<CreatableTopicResult, TopicError> {
    let configs: Vec<(String, Option<String>)> = asked
        .configs
        .iter()
        .map(|c| (c.name.to_string(), c.value.as_ref().map(ToString::to_string)))
        .collect();
    let layout = layout(cluster, call, asked)?;
    let topic = cluster.new_topic(&asked.name, layout, &configs)?;
    let result = described(call, &topic);
    if !validate_only {
        cluster.topics.insert(topic);
    }
    Ok(result)
}

fn layout(cluster: &ClusterState, call: &Call, asked: &CreatableTopic) -> Result<Layout, TopicError> {
    if !asked.assignments.is_empty() {
        if asked.num_partitions != -1 || asked.replication_factor != -1 {
            let text = "Both numPartitions or replicationFactor and replicasAssignments are set";
            return Err(TopicError::new(ErrorCode::InvalidRequest, text));
        }
        let mut assigned: Vec<(i32, Vec<NodeId>)> =
            asked.assignments.iter().map(|one| (one.partition_index, one.broker_ids.to_vec())).collect();
        assigned.sort();
        if !assigned.iter().map(|(index, _)| *index).eq(0..assigned.len() as i32) {
            let text = "Partitions must be numbered from 0 without holes";
            return Err(TopicError::new(ErrorCode::InvalidReplicaAssignment, text));
        }
        return Ok(Layout::Assigned(assigned.into_iter().map(|(_, nodes)| nodes).collect()));
    }
    // From version 4 on, -1 asks for the broker's default.
    let defaults = call.version >= 4;
    let partitions = match asked.num_partitions {
        -1 if defaults => cluster.config.default_partitions,
        count => count,
    };
    let replication = match asked.replication_factor {
        -1 if defaults => cluster.default_replication(),
        count => count,
    };
    Ok(Layout::Counts { partitions, replication })
}

fn described(call: &Call, topic: &Topic) -> CreatableTopicResult {
    let mut result =
        CreatableTopicResult { name: topic.name.clone(), topic_id: topic.id, ..Default::default() };
    if call.version >= 5 {
        let config = |shown: crate::broker::state::topic_config::Shown<'_>| CreatableTopicConfigs {
            name: Str::from(shown.name),
            value: Some(Str::from(shown.value)),
            config_source: if shown.is_default { SOURCE_DEFAULT } else { SOURCE_TOPIC },
            ..Default::default()
        };
        result.num_partitions = topic.partitions.len() as i32;
        result.replication_factor = topic.partitions.first().map_or(-1, |first| first.replicas.len() as i16);
        result.configs = Some(topic.config.shown().map(config).collect());
    }
    result
}

fn failed(asked: &CreatableTopic, error: &TopicError) -> CreatableTopicResult {
    CreatableTopicResult {
        name: asked.name.clone(),
        error_code: error.error.code(),
        error_message: error.message.as_deref().map(Str::from),
        ..Default::default()
    }
}
