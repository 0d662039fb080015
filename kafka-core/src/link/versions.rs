//! Which version of an API a connection speaks: the broker's range met with ours (KIP-35).
//!
//! Our caps lie below the newest version where a newer one is not for clients, or announces a behaviour that must be
//! agreed on first (KIP-890). The broker's minimum for Produce is not trusted: 4.x lists 0 and takes 3 (KAFKA-18659).

use kafka_proto::messages::api_versions::ApiVersionsResponse;
use kafka_proto::{ApiKey, Str};
use std::collections::BTreeMap;

/// What a broker said it speaks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BrokerVersions {
    ranges: BTreeMap<i16, (i16, i16)>,
    features: BTreeMap<Str, i16>,
}

impl BrokerVersions {
    pub(crate) fn from_response(response: &ApiVersionsResponse) -> Self {
        let ranges = response.api_keys.iter().map(|a| (a.api_key, (a.min_version, a.max_version))).collect();
        let features =
            response.finalized_features.iter().map(|f| (f.name.clone(), f.max_version_level)).collect();
        Self { ranges, features }
    }

    /// The newest version of `api` that both sides speak; `None` where there is none.
    pub fn version(&self, api: ApiKey) -> Option<i16> {
        let &(broker_min, broker_max) = self.ranges.get(&api.code())?;
        let ours = api.versions();
        let version = broker_max.min(self.cap(api));
        (version >= broker_min && version >= ours.min).then_some(version)
    }

    /// The same, but not newer than `cap` where the broker still speaks that.
    pub(crate) fn version_up_to(&self, api: ApiKey, cap: i16) -> Option<i16> {
        let version = self.version(api)?;
        let (broker_min, _) = self.range(api)?;
        Some(if cap >= broker_min { version.min(cap) } else { version })
    }

    /// The level of a feature that the cluster has finalized (KIP-584).
    pub fn feature(&self, name: &str) -> Option<i16> {
        self.features.get(name).copied()
    }

    /// The range the broker told for an API.
    pub fn range(&self, api: ApiKey) -> Option<(i16, i16)> {
        self.ranges.get(&api.code()).copied()
    }

    fn cap(&self, api: ApiKey) -> i16 {
        let newest = api.versions().max;
        let transactions_v2 = self.feature("transaction.version").is_some_and(|level| level >= 2);
        let cap = match api {
            ApiKey::AddPartitionsToTxn => 3,
            ApiKey::InitProducerId => 5,
            ApiKey::Produce if !transactions_v2 => 11,
            ApiKey::TxnOffsetCommit | ApiKey::EndTxn if !transactions_v2 => 4,
            _ => newest,
        };
        newest.min(cap)
    }
}
