//! AlterConfigs: gives a topic exactly these settings, all others their defaults.

use kafka_proto::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse,
};
use kafka_proto::{ErrorCode, Str};

use super::describe_configs::TOPIC;
use super::{Call, ClusterState, Reply};
use crate::broker::control::TopicError;

pub(crate) fn handle(cluster: &mut ClusterState, _: &Call, request: AlterConfigsRequest) -> Reply {
    let validate_only = request.validate_only;
    let alter = |resource: &AlterConfigsResource| result(resource, alter(cluster, resource, validate_only));
    AlterConfigsResponse { responses: request.resources.iter().map(alter).collect(), ..Default::default() }
        .into()
}

pub(crate) fn refuse(request: &AlterConfigsRequest, _: i16, error: ErrorCode) -> AlterConfigsResponse {
    let refused = |resource| result(resource, Err(TopicError { error, message: None }));
    AlterConfigsResponse { responses: request.resources.iter().map(refused).collect(), ..Default::default() }
}

fn alter(
    cluster: &mut ClusterState,
    resource: &AlterConfigsResource,
    validate_only: bool,
) -> Result<(), TopicError> {
    if resource.resource_type != TOPIC {
        return Err(TopicError::new(ErrorCode::InvalidRequest, "Only the settings of topics can be altered"));
    }
    cluster.alter_topic_config(&resource.resource_name, validate_only, |config| {
        config.clear();
        resource.configs.iter().try_for_each(|one| config.set(&one.name, one.value.as_deref()))
    })
}

fn result(resource: &AlterConfigsResource, outcome: Result<(), TopicError>) -> AlterConfigsResourceResponse {
    let error = outcome.err().unwrap_or(TopicError { error: ErrorCode::None, message: None });
    AlterConfigsResourceResponse {
        error_code: error.error.code(),
        error_message: error.message.as_deref().map(Str::from),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..Default::default()
    }
}
