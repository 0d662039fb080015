//! Heartbeat: a member lives, and hears whether the group rebalances.

use kafka_proto::ErrorCode;
use kafka_proto::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};

use super::{Call, ClusterState, Reply, code};
use crate::broker::release::Release;
use crate::broker::state::groups::Identity;

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: HeartbeatRequest) -> Reply {
    HeartbeatResponse { error_code: code(heartbeat(cluster, call, request)), ..Default::default() }.into()
}

pub(crate) fn refuse(_: &HeartbeatRequest, _: i16, error: ErrorCode) -> HeartbeatResponse {
    HeartbeatResponse { error_code: error.code(), ..Default::default() }
}

fn heartbeat(cluster: &mut ClusterState, call: &Call, request: HeartbeatRequest) -> Result<(), ErrorCode> {
    cluster.check_coordinator(call.node, &request.group_id)?;
    // Between join and sync a heartbeat was once answered as if the group were still preparing.
    let completing_is_fine = cluster.config.release >= Release::V2_7;
    let identity = Identity { member_id: request.member_id, instance_id: request.group_instance_id };
    let (group, mut tools) = cluster
        .groups
        .with(&mut cluster.timers, cluster.now.mono, &request.group_id)
        .ok_or(ErrorCode::UnknownMemberId)?;
    group.heartbeat(&mut tools, &identity, request.generation_id, completing_is_fine)
}
