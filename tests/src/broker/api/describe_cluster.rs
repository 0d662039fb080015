//! DescribeCluster: the nodes and who is the controller.

use kafka_proto::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};
use kafka_proto::{ErrorCode, Str};

use super::metadata::ALL_CLUSTER_OPERATIONS;
use super::{Call, ClusterState, Reply};

const BROKERS: i8 = 1;

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: DescribeClusterRequest) -> Reply {
    if call.version >= 1 && request.endpoint_type != BROKERS {
        return refuse(&request, call.version, ErrorCode::MismatchedEndpointType).into();
    }
    let broker = |node: &super::Node| DescribeClusterBroker {
        broker_id: node.address.id,
        host: Str::from(node.address.host.as_str()),
        port: i32::from(node.address.port),
        rack: node.address.rack.as_deref().map(Str::from),
        ..Default::default()
    };
    let mut response = DescribeClusterResponse {
        cluster_id: cluster.cluster_id.clone(),
        controller_id: cluster.controller().unwrap_or(-1),
        brokers: cluster.alive_nodes().map(broker).collect(),
        ..Default::default()
    };
    if request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = ALL_CLUSTER_OPERATIONS;
    }
    response.into()
}

pub(crate) fn refuse(_: &DescribeClusterRequest, _: i16, error: ErrorCode) -> DescribeClusterResponse {
    DescribeClusterResponse { error_code: error.code(), ..Default::default() }
}
