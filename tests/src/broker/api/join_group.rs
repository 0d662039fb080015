//! JoinGroup: becomes or stays a member; the answer comes when all have joined.

use std::time::Duration;

use kafka_proto::messages::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember};
use kafka_proto::{Bytes, ErrorCode, Str};

use super::{Call, ClusterState, Reply};
use crate::broker::prepared::own;
use crate::broker::state::groups::{Identity, Join, Joined, Limits};
use crate::broker::waits::Waiting;

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: JoinGroupRequest) -> Reply {
    let checked = cluster
        .check_coordinator(call.node, &request.group_id)
        .and_then(|()| check_session_timeout(cluster, request.session_timeout_ms));
    if let Err(error) = checked {
        return refuse(&request, call.version, error).into();
    }
    // An id that the coordinator does not know must not make a group.
    if cluster.groups.get(&request.group_id).is_none() && !request.member_id.is_empty() {
        return refuse(&request, call.version, ErrorCode::UnknownMemberId).into();
    }
    let limits = Limits {
        max_size: cluster.config.group_max_size,
        initial_rebalance_delay: cluster.config.group_initial_rebalance_delay,
    };
    let prefix = request.group_instance_id.as_ref().unwrap_or(&call.client_id);
    let new_id = Str::from(format!("{prefix}-{}", cluster.dice.hyphenated()));
    let wait = cluster.park(call.clone(), Waiting::Group, None);
    let session_timeout = millis(request.session_timeout_ms);
    // Version 0 has one timeout for both.
    let rebalance_timeout =
        if call.version >= 1 { millis(request.rebalance_timeout_ms) } else { session_timeout };
    let join = Join {
        wait,
        identity: Identity {
            member_id: own(&request.member_id),
            instance_id: request.group_instance_id.as_deref().map(own),
        },
        new_id,
        id_required: call.version >= 4,
        can_skip_assignment: call.version >= 9,
        client_id: call.client_id.clone(),
        client_host: Str::from_static("/127.0.0.1"),
        session_timeout,
        rebalance_timeout,
        protocol_type: own(&request.protocol_type),
        // Copies, as they outlive the request.
        protocols: request
            .protocols
            .iter()
            .map(|p| (own(&p.name), Bytes::copy_from_slice(&p.metadata)))
            .collect(),
    };
    cluster.groups.get_or_create(&request.group_id);
    if let Some((group, mut tools)) =
        cluster.groups.with(&mut cluster.timers, cluster.now.mono, &request.group_id)
    {
        group.join(&mut tools, join, limits);
    }
    Reply::Parked
}

pub(crate) fn refuse(request: &JoinGroupRequest, version: i16, error: ErrorCode) -> JoinGroupResponse {
    response(Joined::refused(error, request.member_id.clone()), version)
}

/// The answer of the group machine on the wire.
pub(super) fn response(joined: Joined, version: i16) -> JoinGroupResponse {
    let member = |member: crate::broker::state::groups::JoinedMember| JoinGroupResponseMember {
        member_id: member.id,
        group_instance_id: member.instance_id,
        metadata: member.metadata,
        ..Default::default()
    };
    JoinGroupResponse {
        error_code: joined.error.unwrap_or(ErrorCode::None).code(),
        generation_id: joined.generation,
        protocol_type: joined.protocol_type,
        // Null is allowed from version 7 on.
        protocol_name: joined.protocol.or_else(|| (version < 7).then(Str::new)),
        leader: joined.leader,
        skip_assignment: joined.skip_assignment,
        member_id: joined.member_id,
        members: joined.members.into_iter().map(member).collect(),
        ..Default::default()
    }
}

fn check_session_timeout(cluster: &ClusterState, session_timeout_ms: i32) -> Result<(), ErrorCode> {
    let allowed = cluster.config.group_min_session_timeout..=cluster.config.group_max_session_timeout;
    if allowed.contains(&millis(session_timeout_ms)) { Ok(()) } else { Err(ErrorCode::InvalidSessionTimeout) }
}

fn millis(millis: i32) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}
