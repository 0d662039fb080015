//! CreatePartitions: lets topics grow.

use kafka_proto::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
};
use kafka_proto::{ErrorCode, Str};

use super::{Call, ClusterState, NodeId, Reply};
use crate::broker::control::TopicError;

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: CreatePartitionsRequest) -> Reply {
    if let Err(error) = cluster.check_controller(call.node) {
        return refuse(&request, call.version, error).into();
    }
    let grow = |asked: &CreatePartitionsTopic| {
        let assigned = asked
            .assignments
            .as_ref()
            .map(|assigned| assigned.iter().map(|one| one.broker_ids.to_vec()).collect::<Vec<Vec<NodeId>>>());
        result(asked, cluster.add_partitions(&asked.name, asked.count, assigned, request.validate_only))
    };
    CreatePartitionsResponse { results: request.topics.iter().map(grow).collect(), ..Default::default() }
        .into()
}

pub(crate) fn refuse(
    request: &CreatePartitionsRequest,
    _: i16,
    error: ErrorCode,
) -> CreatePartitionsResponse {
    let refused = |asked| result(asked, Err(TopicError { error, message: None }));
    CreatePartitionsResponse { results: request.topics.iter().map(refused).collect(), ..Default::default() }
}

fn result(asked: &CreatePartitionsTopic, outcome: Result<(), TopicError>) -> CreatePartitionsTopicResult {
    let error = outcome.err().unwrap_or(TopicError { error: ErrorCode::None, message: None });
    CreatePartitionsTopicResult {
        name: asked.name.clone(),
        error_code: error.error.code(),
        error_message: error.message.as_deref().map(Str::from),
        ..Default::default()
    }
}
