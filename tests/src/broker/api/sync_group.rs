//! SyncGroup: the leader brings the assignment, everyone waits for it.

use kafka_proto::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use kafka_proto::{Bytes, ErrorCode};

use super::{Call, ClusterState, Reply};
use crate::broker::prepared::own;
use crate::broker::state::groups::{Identity, Sync, Synced};
use crate::broker::waits::Waiting;

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: SyncGroupRequest) -> Reply {
    if let Err(error) = cluster.check_coordinator(call.node, &request.group_id) {
        return refuse(&request, call.version, error).into();
    }
    if cluster.groups.get(&request.group_id).is_none() {
        return refuse(&request, call.version, ErrorCode::UnknownMemberId).into();
    }
    let wait = cluster.park(call.clone(), Waiting::Group, None);
    let sync = Sync {
        wait,
        identity: Identity { member_id: own(&request.member_id), instance_id: request.group_instance_id },
        generation: request.generation_id,
        protocol_type: request.protocol_type,
        protocol: request.protocol_name,
        assignments: request.assignments.into_iter().map(|one| (one.member_id, one.assignment)).collect(),
    };
    if let Some((group, mut tools)) =
        cluster.groups.with(&mut cluster.timers, cluster.now.mono, &request.group_id)
    {
        group.sync(&mut tools, sync);
    }
    Reply::Parked
}

pub(crate) fn refuse(_: &SyncGroupRequest, _: i16, error: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse { error_code: error.code(), assignment: Bytes::new(), ..Default::default() }
}

/// The answer of the group machine on the wire.
pub(super) fn response(synced: Synced) -> SyncGroupResponse {
    SyncGroupResponse {
        error_code: synced.error.unwrap_or(ErrorCode::None).code(),
        protocol_type: synced.protocol_type,
        protocol_name: synced.protocol,
        assignment: synced.assignment,
        ..Default::default()
    }
}
