//! Which vendor the cluster plays: a release, what of it is offered, and the [`Oddities`] that were reported of it.
//!
//! A profile is one publicly documented state of a product, not the product of today: where behaviour changed, the
//! harder one to talk to is played. Sources of the oddities are named at their switches, those of the versions here.

use std::time::Duration;

use kafka_proto::ApiKey::*;

use super::config::ClusterConfig;
use super::oddities::{IdleCut, Oddities, Offer};
use super::release::Release;

/// A vendor's broker, or a proxy in front of Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// Azure Event Hubs: an implementation of its own, without idempotence, compression and most of the admin APIs.
    EventHubs,
    /// Amazon MSK behind a load balancer that forgets idle connections.
    Msk,
    /// Redpanda 21.11, whose users lack the right to be idempotent.
    Redpanda,
    /// StreamNative's Kafka-on-Pulsar, as of mid 2022.
    Kop,
    /// Kafka behind Envoy's broker filter, which denies changes of settings.
    Envoy,
    /// Kafka behind Kroxylicious 0.8.
    Kroxylicious,
}

impl Profile {
    /// All profiles.
    pub const ALL: [Profile; 6] = [
        Profile::EventHubs,
        Profile::Msk,
        Profile::Redpanda,
        Profile::Kop,
        Profile::Envoy,
        Profile::Kroxylicious,
    ];

    /// Returns the release whose rules apply where no oddity says otherwise.
    pub fn release(self) -> Release {
        match self {
            Profile::EventHubs => Release::V3_5,
            Profile::Msk => Release::V2_8,
            Profile::Redpanda => Release::V2_7,
            // Its Kafka library is 2.1.1: https://github.com/streamnative/kop/pull/1060.
            Profile::Kop => Release::V2_1,
            // https://www.envoyproxy.io/docs/envoy/v1.30.3/configuration/listeners/network_filters/kafka_mesh_filter.
            Profile::Envoy => Release::V3_5,
            // The newest before ApiVersions 4, at which https://github.com/kroxylicious/kroxylicious/issues/1611 begins.
            Profile::Kroxylicious => Release::V3_8,
        }
    }

    /// Returns what sets it apart from that release.
    pub fn oddities(self) -> Oddities {
        let none = Oddities::default();
        match self {
            Profile::EventHubs => none
                .offering(EVENT_HUBS)
                .closing_on_new_api_versions()
                .max_request_bytes(1_046_528)
                .without_compression()
                .policy_violation_every(25)
                .answering_acks_none()
                .null_for_empty_bytes()
                .idle(IdleCut::Forget(Duration::from_secs(240))),
            Profile::Msk => none.idle(IdleCut::Forget(Duration::from_secs(350))),
            Profile::Redpanda => {
                none.offering(REDPANDA).max_request_bytes(100 << 20).without_idempotent_write()
            }
            // Idle connections: `connectionMaxIdleMs`, https://github.com/streamnative/kop/pull/714.
            Profile::Kop => none
                .unimplemented(&[OffsetForLeaderEpoch])
                .fetch_waits_to_the_end()
                .idle(IdleCut::Close(Duration::from_secs(600))),
            // Idle connections: https://www.envoyproxy.io/docs/envoy/latest/faq/configuration/timeouts.
            Profile::Envoy => none
                .closing_on(&[AlterConfigs, IncrementalAlterConfigs, DeleteRecords])
                .idle(IdleCut::Close(Duration::from_secs(3_600))),
            Profile::Kroxylicious => none.closing_on_new_api_versions(),
        }
    }
}

impl ClusterConfig {
    /// Returns the settings of a cluster that plays a vendor's.
    pub fn profile(profile: Profile) -> ClusterConfig {
        let (release, oddities) = (profile.release(), profile.oddities());
        let config = ClusterConfig { release, oddities, ..ClusterConfig::default() };
        match profile {
            // "The max size of offset.metadata.max.bytes is 1024 bytes": README of azure-event-hubs-for-kafka.
            Profile::EventHubs => ClusterConfig { offset_metadata_max_bytes: 1024, ..config },
            _ => config,
        }
    }
}

// Data and group APIs: https://github.com/oliveigah/klife/issues/13 (2024), https://github.com/twmb/franz-go/issues/1312.
// Admin APIs: https://github.com/Azure/azure-event-hubs-for-kafka/issues/209 (2022), and issue 69 there.
#[rustfmt::skip]
const EVENT_HUBS: &[Offer] = &[
    (Produce, 0, 7), (Fetch, 4, 6), (ListOffsets, 0, 8), (Metadata, 0, 5), (OffsetCommit, 0, 8), (OffsetFetch, 0, 8),
    (FindCoordinator, 0, 4), (JoinGroup, 0, 9), (Heartbeat, 0, 4), (LeaveGroup, 0, 5), (SyncGroup, 0, 5),
    (DescribeGroups, 0, 1), (ListGroups, 0, 1), (ApiVersions, 0, 3), (CreateTopics, 0, 2), (DeleteTopics, 0, 2),
    (DescribeConfigs, 0, 2), (CreatePartitions, 0, 1), (DeleteGroups, 0, 0),
];

// https://github.com/platformatic/kafka/issues/51, and `min_supported`, `max_supported` of the handlers in
// https://github.com/redpanda-data/redpanda/tree/dev/src/v/kafka/server/handlers as of 2021 and 2022.
#[rustfmt::skip]
const REDPANDA: &[Offer] = &[
    (Produce, 0, 7), (Fetch, 4, 11), (ListOffsets, 0, 4), (Metadata, 0, 7), (OffsetCommit, 1, 8), (OffsetFetch, 1, 7),
    (FindCoordinator, 0, 3), (JoinGroup, 0, 5), (Heartbeat, 0, 3), (LeaveGroup, 0, 3), (SyncGroup, 0, 3),
    (DescribeGroups, 0, 4), (ListGroups, 0, 2), (ApiVersions, 0, 3), (CreateTopics, 0, 5), (DeleteTopics, 0, 3),
    (InitProducerId, 0, 1), (OffsetForLeaderEpoch, 0, 3), (DescribeConfigs, 0, 2), (AlterConfigs, 0, 1),
    (IncrementalAlterConfigs, 0, 0), (CreatePartitions, 0, 1), (DeleteGroups, 0, 1),
];
