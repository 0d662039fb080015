//! What a node speaks: the versions of its release, as far as its vendor offers them.

use kafka_proto::ApiKey;

use super::oddities::Oddities;
use super::release::Release;

/// A release and the oddities of who offers it. Given by [`super::ClusterState::dialect_of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    pub(crate) release: Release,
    pub(crate) oddities: Oddities,
}

impl Dialect {
    /// Returns the versions of `key` that are taken; `None` where the API is not offered.
    pub fn versions(self, key: ApiKey) -> Option<(i16, i16)> {
        self.oddities.limit(key, self.release.versions(key)?)
    }

    /// Returns what ApiVersions lists: key, oldest and newest version.
    pub(crate) fn advertised(self) -> impl Iterator<Item = (ApiKey, i16, i16)> {
        self.release.advertised().filter_map(move |(key, min, max)| {
            let (min, max) = self.oddities.limit(key, (min, max))?;
            Some((key, min, max))
        })
    }
}
