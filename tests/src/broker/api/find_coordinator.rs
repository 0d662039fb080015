//! FindCoordinator: which node coordinates a group.

use kafka_proto::messages::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_proto::{ErrorCode, Str};

use super::{Call, ClusterState, Reply};
use crate::broker::state::topics::OFFSETS_TOPIC;

const GROUP: i8 = 0;

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: FindCoordinatorRequest) -> Reply {
    if call.version >= 4 {
        let found = |key: &Str| find(cluster, call, key, request.key_type);
        let coordinators = request.coordinator_keys.iter().map(found).collect();
        return FindCoordinatorResponse { coordinators, ..Default::default() }.into();
    }
    single(find(cluster, call, &request.key, request.key_type)).into()
}

pub(crate) fn refuse(
    request: &FindCoordinatorRequest,
    version: i16,
    error: ErrorCode,
) -> FindCoordinatorResponse {
    if version < 4 {
        return single(failed(&request.key, error));
    }
    let coordinators = request.coordinator_keys.iter().map(|key| failed(key, error)).collect();
    FindCoordinatorResponse { coordinators, ..Default::default() }
}

fn find(cluster: &mut ClusterState, call: &Call, key: &Str, key_type: i8) -> Coordinator {
    // There are no transactions and no share groups here, hence nobody to coordinate them.
    if key_type != GROUP {
        return failed(key, ErrorCode::InvalidRequest);
    }
    // This makes the topic where it is missing.
    let leader = cluster.coordinator(key);
    let seen = cluster.seen_by(call.node, OFFSETS_TOPIC, cluster.group_partition(key));
    let leader = seen.map_or(leader, |seen| seen.leader);
    let Some(node) = leader.and_then(|id| cluster.nodes.get(&id)) else {
        return failed(key, ErrorCode::CoordinatorNotAvailable);
    };
    Coordinator {
        key: key.clone(),
        node_id: node.address.id,
        host: Str::from(node.address.host.as_str()),
        port: i32::from(node.address.port),
        ..Default::default()
    }
}

fn failed(key: &Str, error: ErrorCode) -> Coordinator {
    Coordinator { key: key.clone(), node_id: -1, port: -1, error_code: error.code(), ..Default::default() }
}

fn single(found: Coordinator) -> FindCoordinatorResponse {
    FindCoordinatorResponse {
        error_code: found.error_code,
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..Default::default()
    }
}
