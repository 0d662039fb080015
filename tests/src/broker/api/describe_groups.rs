//! DescribeGroups: state, members and assignments of groups.

use kafka_proto::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use kafka_proto::{ErrorCode, Str};

use super::{Call, ClusterState, Reply};
use crate::broker::state::groups::{Group, Member, State};

/// Operations a client may do on a group; there is no authorization here, so all of them.
const ALL_GROUP_OPERATIONS: i32 = 0b1_0100_1000;

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: DescribeGroupsRequest) -> Reply {
    let mut groups = Vec::new();
    for id in &request.groups {
        let mut described = match cluster.check_coordinator(call.node, id) {
            Err(error) => failed(id, error),
            Ok(()) => describe(cluster, call, id),
        };
        if request.include_authorized_operations && call.version >= 3 {
            described.authorized_operations = ALL_GROUP_OPERATIONS;
        }
        groups.push(described);
    }
    DescribeGroupsResponse { groups, ..Default::default() }.into()
}

pub(crate) fn refuse(request: &DescribeGroupsRequest, _: i16, error: ErrorCode) -> DescribeGroupsResponse {
    let groups = request.groups.iter().map(|id| failed(id, error)).collect();
    DescribeGroupsResponse { groups, ..Default::default() }
}

fn failed(id: &Str, error: ErrorCode) -> DescribedGroup {
    DescribedGroup { group_id: id.clone(), error_code: error.code(), ..Default::default() }
}

fn describe(cluster: &ClusterState, call: &Call, id: &Str) -> DescribedGroup {
    let Some(group) = cluster.groups.get(id) else {
        // A group that is not there was once described as a dead one.
        let mut unknown =
            DescribedGroup { group_id: id.clone(), group_state: "Dead".into(), ..Default::default() };
        if call.version >= 6 {
            unknown.error_code = ErrorCode::GroupIdNotFound.code();
            unknown.error_message = Some(Str::from(format!("Group {id} not found.")));
        }
        return unknown;
    };
    let protocol = group.protocol.clone().filter(|_| group.state == State::Stable);
    DescribedGroup {
        group_id: id.clone(),
        group_state: group.state.name().into(),
        protocol_type: group.protocol_type.clone().unwrap_or_default(),
        protocol_data: protocol.unwrap_or_default(),
        members: group.members.iter().map(|member| describe_member(group, member, call.version)).collect(),
        ..Default::default()
    }
}

fn describe_member(group: &Group, member: &Member, version: i16) -> DescribedGroupMember {
    let mut described = DescribedGroupMember {
        member_id: member.id.clone(),
        group_instance_id: member.instance_id.clone().filter(|_| version >= 4),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        ..Default::default()
    };
    if group.state == State::Stable {
        described.member_metadata = member.metadata(group.protocol.as_ref());
        described.member_assignment = member.assignment.clone();
    }
    described
}
