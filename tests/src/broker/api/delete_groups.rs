//! DeleteGroups: forgets groups without members, and their offsets.

use kafka_proto::ErrorCode;
use kafka_proto::messages::delete_groups::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse};

use super::{Call, ClusterState, Reply, code};

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: DeleteGroupsRequest) -> Reply {
    let delete = |id: &kafka_proto::Str| {
        let deleted = cluster.check_coordinator(call.node, id).and_then(|()| cluster.groups.delete(id));
        DeletableGroupResult { group_id: id.clone(), error_code: code(deleted), ..Default::default() }
    };
    DeleteGroupsResponse { results: request.groups_names.iter().map(delete).collect(), ..Default::default() }
        .into()
}

pub(crate) fn refuse(request: &DeleteGroupsRequest, _: i16, error: ErrorCode) -> DeleteGroupsResponse {
    let refused = |id: &kafka_proto::Str| DeletableGroupResult {
        group_id: id.clone(),
        error_code: error.code(),
        ..Default::default()
    };
    DeleteGroupsResponse { results: request.groups_names.iter().map(refused).collect(), ..Default::default() }
}
