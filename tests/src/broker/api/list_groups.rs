//! ListGroups: the groups this node coordinates.

use kafka_proto::ErrorCode;
use kafka_proto::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};

use super::{Call, ClusterState, Reply};
use crate::broker::state::groups::Group;
use crate::broker::state::topics::OFFSETS_TOPIC;

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: ListGroupsRequest) -> Reply {
    let listed = |filter: &[kafka_proto::Str], value: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
    };
    let own = |group: &&Group| {
        let partition = cluster.group_partition(&group.id);
        cluster.topics.partition(OFFSETS_TOPIC, partition).is_some_and(|led| led.leader == Some(call.node))
    };
    let groups = cluster.groups.iter().filter(own);
    let wanted = groups.filter(|group| {
        listed(&request.states_filter, group.state.name()) && listed(&request.types_filter, "classic")
    });
    let groups = wanted.map(|group| ListedGroup {
        group_id: group.id.clone(),
        protocol_type: group.protocol_type.clone().unwrap_or_default(),
        group_state: group.state.name().into(),
        group_type: "classic".into(),
        ..Default::default()
    });
    ListGroupsResponse { groups: groups.collect(), ..Default::default() }.into()
}

pub(crate) fn refuse(_: &ListGroupsRequest, _: i16, error: ErrorCode) -> ListGroupsResponse {
    ListGroupsResponse { error_code: error.code(), ..Default::default() }
}
