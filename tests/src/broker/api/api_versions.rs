//! ApiVersions: what the release the cluster poses as can do, and its vendor offers.

use kafka_proto::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
use kafka_proto::{ApiKey, ErrorCode, frame};

use super::{Call, ClusterState, Reply};
use crate::broker::Outcome;
use crate::broker::dialect::Dialect;
use crate::broker::release::Release;

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: ApiVersionsRequest) -> Reply {
    let named = |text: &str| {
        let ends_well = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        ends_well(text.chars().next()) && ends_well(text.chars().last()) && text.chars().all(legal)
    };
    let told = named(&request.client_software_name) && named(&request.client_software_version);
    if call.version >= 3 && !told {
        return refuse(&request, call.version, ErrorCode::InvalidRequest).into();
    }
    if call.version >= 5 && wrong_cluster(cluster, call, &request) {
        return refuse(&request, call.version, ErrorCode::RebootstrapRequired).into();
    }
    ApiVersionsResponse { api_keys: listed(cluster.dialect_of(call.node)), ..Default::default() }.into()
}

/// The client has come to another broker than it thinks (KIP-1242).
fn wrong_cluster(cluster: &ClusterState, call: &Call, request: &ApiVersionsRequest) -> bool {
    let other_cluster = request.cluster_id.as_ref().is_some_and(|id| *id != cluster.cluster_id);
    other_cluster || (request.node_id >= 0 && request.node_id != call.node)
}

pub(crate) fn refuse(_: &ApiVersionsRequest, _: i16, error: ErrorCode) -> ApiVersionsResponse {
    ApiVersionsResponse { error_code: error.code(), ..Default::default() }
}

/// The answer to a version the release does not know: in version 0, which every client can read (KIP-511).
pub(crate) fn too_new(dialect: Dialect, correlation_id: i32) -> Outcome {
    let own = listed(dialect).into_iter().filter(|api| api.api_key == ApiKey::ApiVersions.code());
    let api_keys = if dialect.release >= Release::V2_4 { own.collect() } else { Vec::new() };
    let error_code = ErrorCode::UnsupportedVersion.code();
    let response = ApiVersionsResponse { error_code, api_keys, ..Default::default() };
    frame::encode_response(correlation_id, 0, &response.into()).map_or(Outcome::Close, Outcome::Answer)
}

fn listed(dialect: Dialect) -> Vec<ApiVersion> {
    let api = |(key, min_version, max_version): (ApiKey, i16, i16)| ApiVersion {
        api_key: key.code(),
        min_version,
        max_version,
        ..Default::default()
    };
    dialect.advertised().map(api).collect()
}
