//! DeleteTopics: removes topics, by name or by id.

use kafka_proto::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use kafka_proto::{ErrorCode, Str, Uuid};

use super::{Call, ClusterState, Reply};
use crate::broker::state::topics::OFFSETS_TOPIC;

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: DeleteTopicsRequest) -> Reply {
    if let Err(error) = cluster.check_controller(call.node) {
        return refuse(&request, call.version, error).into();
    }
    let delete = |asked: DeleteTopicState| {
        let error = delete(cluster, &asked).err().unwrap_or(ErrorCode::None);
        result(asked, error)
    };
    DeleteTopicsResponse { responses: asked(&request).map(delete).collect(), ..Default::default() }.into()
}

pub(crate) fn refuse(request: &DeleteTopicsRequest, _: i16, error: ErrorCode) -> DeleteTopicsResponse {
    let responses = asked(request).map(|asked| result(asked, error)).collect();
    DeleteTopicsResponse { responses, ..Default::default() }
}

/// The topics of both forms of the request.
fn asked(request: &DeleteTopicsRequest) -> impl Iterator<Item = DeleteTopicState> {
    let by_name = |name: &Str| DeleteTopicState { name: Some(name.clone()), ..Default::default() };
    request.topic_names.iter().map(by_name).chain(request.topics.iter().cloned())
}

fn delete(cluster: &mut ClusterState, asked: &DeleteTopicState) -> Result<(), ErrorCode> {
    let name = match &asked.name {
        Some(name) if cluster.topics.get(name).is_some() => name.clone(),
        Some(_) => return Err(ErrorCode::UnknownTopicOrPartition),
        None => cluster.topics.name_of(asked.topic_id).cloned().ok_or(ErrorCode::UnknownTopicId)?,
    };
    if &*name == OFFSETS_TOPIC {
        return Err(ErrorCode::InvalidTopicException);
    }
    cluster.remove_topic(&name);
    Ok(())
}

fn result(asked: DeleteTopicState, error: ErrorCode) -> DeletableTopicResult {
    let topic_id = if error == ErrorCode::None { asked.topic_id } else { Uuid::ZERO };
    DeletableTopicResult { name: asked.name, topic_id, error_code: error.code(), ..Default::default() }
}
