//! Which version of an API a connection speaks: the broker's range met with ours (KIP-35).
//!
//! Our caps lie below the newest version where a newer one is not for clients, or announces a behaviour that must be
//! agreed on first (KIP-890). The broker's minimum for Produce is not trusted: 4.x lists 0 and takes 3 (KAFKA-18659).

use kafka_proto::messages::api_versions::ApiVersionsResponse;
use kafka_proto::{ApiKey, Str};
use rustc_hash::FxHashMap;

/// What a broker said it speaks.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct BrokerVersions {
    /// By the API's code.
    ranges: FxHashMap<i16, (i16, i16)>,
    features: Vec<(Str, i16)>,
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
        self.features.iter().find(|(feature, _)| feature == name).map(|(_, level)| *level)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::items::{carried, noise, version};
    use kafka_proto::ResponseKind;
    use kafka_proto::messages::api_versions::ApiVersion;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const APIS: [ApiKey; 4] = [ApiKey::Metadata, ApiKey::Fetch, ApiKey::Heartbeat, ApiKey::OffsetCommit];

    proptest! {
        /// Whatever ranges a broker tells of other APIs, or of APIs that there are not.
        #[test]
        fn case_m5_one_bad_range_of_api_versions_costs_itself_only(
            answer in version(ApiKey::ApiVersions), ranges in vec(any::<(i16, i16)>(), 4), good in vec(any::<bool>(), 4),
            strangers in vec(any::<(i16, i16, i16)>(), 0..4), noise in noise(),
        ) {
            let range = |at: usize| if good[at] { (0, APIS[at].latest_stable()) } else { ranges[at] };
            let told = |api_key, (min_version, max_version)| ApiVersion {
                api_key,
                min_version,
                max_version,
                ..Default::default()
            };
            let strangers = strangers.into_iter().filter(|(key, ..)| APIS.iter().all(|api| api.code() != *key));
            let mut api_keys: Vec<ApiVersion> =
                (0..4).map(|at| told(APIS[at].code(), range(at))).collect();
            api_keys.extend(strangers.map(|(key, min, max)| told(key, (min, max))));
            noise.stir(&mut api_keys);
            let response = carried(ApiVersionsResponse { api_keys, ..Default::default() }, answer);
            let ResponseKind::ApiVersions(response) = response else { panic!("{response:?}") };
            let versions = BrokerVersions::from_response(&response);
            for (at, api) in APIS.into_iter().enumerate() {
                let (ours, (min, max)) = (api.versions(), range(at));
                let common = max.min(ours.max);
                let expected = (min <= common && ours.min <= common).then_some(common);
                prop_assert_eq!(versions.version(api), expected, "{:?} {:?}", api, range(at));
                let capped = versions.version_up_to(api, 1);
                prop_assert_eq!(capped.is_some(), expected.is_some());
                prop_assert!(capped.is_none_or(|v| v >= min && v <= max && v >= ours.min), "{:?}", capped);
            }
        }
    }
}
