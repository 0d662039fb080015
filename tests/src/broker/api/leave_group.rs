//! LeaveGroup: members go, by themselves or removed by an administrator.

use kafka_proto::ErrorCode;
use kafka_proto::messages::leave_group::{
    LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse,
};

use super::{Call, ClusterState, Reply, code};
use crate::broker::state::groups::Identity;

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: LeaveGroupRequest) -> Reply {
    if let Err(error) = cluster.check_coordinator(call.node, &request.group_id) {
        return refuse(&request, call.version, error).into();
    }
    if call.version < 3 {
        let left =
            leave(cluster, &request, &Identity { member_id: request.member_id.clone(), instance_id: None });
        return LeaveGroupResponse { error_code: code(left), ..Default::default() }.into();
    }
    let leave = |member: &MemberIdentity| {
        let identity =
            Identity { member_id: member.member_id.clone(), instance_id: member.group_instance_id.clone() };
        MemberResponse {
            member_id: member.member_id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            error_code: code(leave(cluster, &request, &identity)),
            ..Default::default()
        }
    };
    LeaveGroupResponse { members: request.members.iter().map(leave).collect(), ..Default::default() }.into()
}

pub(crate) fn refuse(_: &LeaveGroupRequest, _: i16, error: ErrorCode) -> LeaveGroupResponse {
    LeaveGroupResponse { error_code: error.code(), ..Default::default() }
}

fn leave(
    cluster: &mut ClusterState,
    request: &LeaveGroupRequest,
    identity: &Identity,
) -> Result<(), ErrorCode> {
    let (group, mut tools) = cluster
        .groups
        .with(&mut cluster.timers, cluster.now.mono, &request.group_id)
        .ok_or(ErrorCode::UnknownMemberId)?;
    group.leave(&mut tools, identity)
}
