//! IncrementalAlterConfigs: changes some settings of a topic (KIP-339).

use kafka_proto::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterConfigsResourceResponse, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use kafka_proto::{ErrorCode, Str};

use super::describe_configs::TOPIC;
use super::{Call, ClusterState, Reply};
use crate::broker::control::TopicError;
use crate::broker::state::topic_config::{ConfigError, TopicConfig};

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(crate) fn handle(cluster: &mut ClusterState, _: &Call, request: IncrementalAlterConfigsRequest) -> Reply {
    let validate_only = request.validate_only;
    let alter = |resource: &AlterConfigsResource| result(resource, alter(cluster, resource, validate_only));
    let responses = request.resources.iter().map(alter).collect();
    IncrementalAlterConfigsResponse { responses, ..Default::default() }.into()
}

pub(crate) fn refuse(
    request: &IncrementalAlterConfigsRequest,
    _: i16,
    error: ErrorCode,
) -> IncrementalAlterConfigsResponse {
    let refused = |resource| result(resource, Err(TopicError { error, message: None }));
    let responses = request.resources.iter().map(refused).collect();
    IncrementalAlterConfigsResponse { responses, ..Default::default() }
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
        resource.configs.iter().try_for_each(|change| apply(config, change))
    })
}

fn apply(config: &mut TopicConfig, change: &AlterableConfig) -> Result<(), ConfigError> {
    let value = change.value.as_deref().unwrap_or_default();
    let listed = config.get(&change.name).unwrap_or_default().to_owned();
    let mut list: Vec<&str> = listed.split(',').filter(|one| !one.is_empty()).collect();
    match change.config_operation {
        SET => config.set(&change.name, Some(value)),
        DELETE => config.set(&change.name, None),
        APPEND => {
            list.extend(value.split(',').filter(|one| !listed.split(',').any(|known| known == *one)));
            config.set(&change.name, Some(&list.join(",")))
        }
        SUBTRACT => {
            list.retain(|known| !value.split(',').any(|one| one == *known));
            config.set(&change.name, Some(&list.join(",")))
        }
        _ => Err(ConfigError::Invalid { name: change.name.to_string(), value: value.to_owned() }),
    }
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
