//! DescribeConfigs: the settings of topics and of nodes.

use kafka_proto::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_proto::{ErrorCode, Str};

use super::{Call, ClusterState, NodeId, Reply};
use crate::broker::state::topic_config::{Kind, Shown};

pub(super) const TOPIC: i8 = 2;
const BROKER: i8 = 4;

const SOURCE_TOPIC: i8 = 1;
const SOURCE_STATIC_BROKER: i8 = 4;
const SOURCE_DEFAULT: i8 = 5;

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: DescribeConfigsRequest) -> Reply {
    let describe = |resource: &DescribeConfigsResource| {
        let described = match resource.resource_type {
            TOPIC => topic(cluster, call, &request, resource),
            BROKER => broker(cluster, call, resource),
            _ => Err(ErrorCode::InvalidRequest),
        };
        result(resource, described)
    };
    DescribeConfigsResponse {
        results: request.resources.iter().map(describe).collect(),
        ..Default::default()
    }
    .into()
}

pub(crate) fn refuse(request: &DescribeConfigsRequest, _: i16, error: ErrorCode) -> DescribeConfigsResponse {
    let results = request.resources.iter().map(|resource| result(resource, Err(error))).collect();
    DescribeConfigsResponse { results, ..Default::default() }
}

type Described = Result<Vec<DescribeConfigsResourceResult>, ErrorCode>;

fn result(resource: &DescribeConfigsResource, described: Described) -> DescribeConfigsResult {
    DescribeConfigsResult {
        error_code: described.as_ref().err().copied().unwrap_or(ErrorCode::None).code(),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        configs: described.unwrap_or_default(),
        ..Default::default()
    }
}

fn wants(resource: &DescribeConfigsResource, name: &str) -> bool {
    resource.configuration_keys.as_ref().is_none_or(|keys| keys.iter().any(|key| **key == *name))
}

fn topic(
    cluster: &ClusterState,
    call: &Call,
    request: &DescribeConfigsRequest,
    resource: &DescribeConfigsResource,
) -> Described {
    let topic = cluster.topics.get(&resource.resource_name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let shown = topic.config.shown().filter(|shown| wants(resource, shown.name));
    Ok(shown.map(|shown| setting(call.version, &shown, request.include_synonyms)).collect())
}

fn setting(version: i16, shown: &Shown<'_>, synonyms: bool) -> DescribeConfigsResourceResult {
    let synonym = |value: &str, source: i8| DescribeConfigsSynonym {
        name: Str::from(shown.name),
        value: Some(Str::from(value)),
        source,
        ..Default::default()
    };
    let mut all = vec![synonym(shown.default, SOURCE_DEFAULT)];
    if !shown.is_default {
        all.insert(0, synonym(shown.value, SOURCE_TOPIC));
    }
    DescribeConfigsResourceResult {
        name: Str::from(shown.name),
        value: Some(Str::from(shown.value)),
        is_default: version == 0 && shown.is_default,
        config_source: if shown.is_default { SOURCE_DEFAULT } else { SOURCE_TOPIC },
        synonyms: if synonyms && version >= 1 { all } else { Vec::new() },
        config_type: if version >= 3 { shown.kind as i8 } else { 0 },
        ..Default::default()
    }
}

fn broker(cluster: &ClusterState, call: &Call, resource: &DescribeConfigsResource) -> Described {
    let id: NodeId = resource.resource_name.parse().map_err(|_| ErrorCode::InvalidRequest)?;
    if id != call.node {
        return Err(ErrorCode::InvalidRequest);
    }
    let config = &cluster.config;
    let settings = [
        ("auto.create.topics.enable", config.auto_create_topics.to_string(), Kind::Boolean),
        ("broker.id", id.to_string(), Kind::Int),
        ("default.replication.factor", cluster.default_replication().to_string(), Kind::Int),
        (
            "group.initial.rebalance.delay.ms",
            config.group_initial_rebalance_delay.as_millis().to_string(),
            Kind::Int,
        ),
        ("group.max.session.timeout.ms", config.group_max_session_timeout.as_millis().to_string(), Kind::Int),
        ("group.min.session.timeout.ms", config.group_min_session_timeout.as_millis().to_string(), Kind::Int),
        ("num.partitions", config.default_partitions.to_string(), Kind::Int),
        ("offset.metadata.max.bytes", config.offset_metadata_max_bytes.to_string(), Kind::Int),
        ("offsets.topic.num.partitions", config.offsets_topic_partitions.to_string(), Kind::Int),
    ];
    let wanted = settings.into_iter().filter(|(name, ..)| wants(resource, name));
    let described = wanted.map(|(name, value, kind)| DescribeConfigsResourceResult {
        name: Str::from(name),
        value: Some(Str::from(value)),
        read_only: true,
        config_source: SOURCE_STATIC_BROKER,
        config_type: if call.version >= 3 { kind as i8 } else { 0 },
        ..Default::default()
    });
    Ok(described.collect())
}
