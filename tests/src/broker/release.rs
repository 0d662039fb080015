//! Which Kafka release the cluster poses as, and which versions of which API that release speaks.

use std::fmt;
use std::str::FromStr;

use kafka_proto::ApiKey;

/// A Kafka release, for example 0.10.2, 2.8 or 4.4; bug-fix releases are not told apart.
///
/// Ordered by age. Parses from `"2.8"`, `"2.8.1"` and `"0.11.0.3"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(u8, u8, u8);

/// Not a release this broker can pose as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no Kafka release from 0.10.0 to 4.4")]
pub struct UnknownRelease(String);

impl Release {
    /// The oldest release the cluster can pose as.
    pub const OLDEST: Release = Release(0, 10, 0);
    /// The newest release the cluster can pose as, and the default.
    pub const NEWEST: Release = Release(4, 4, 0);
    /// First release with batches of magic 2, idempotence and transactions.
    pub(crate) const V0_11: Release = Release(0, 11, 0);
    pub(crate) const V1_0: Release = Release(1, 0, 0);
    pub(crate) const V2_0: Release = Release(2, 0, 0);
    pub(crate) const V2_1: Release = Release(2, 1, 0);
    pub(crate) const V2_4: Release = Release(2, 4, 0);
    pub(crate) const V2_5: Release = Release(2, 5, 0);
    pub(crate) const V2_7: Release = Release(2, 7, 0);
    pub(crate) const V2_8: Release = Release(2, 8, 0);
    /// From here on the cluster poses as KRaft: any node takes what once only the controller took.
    pub(crate) const V3_3: Release = Release(3, 3, 0);
    pub(crate) const V3_5: Release = Release(3, 5, 0);
    pub(crate) const V3_8: Release = Release(3, 8, 0);
    /// The last release before 4.0.
    pub(crate) const V3_9: Release = Release(3, 9, 0);
    /// First release without the protocol versions that KIP-896 removed.
    pub(crate) const V4_0: Release = Release(4, 0, 0);

    /// Every release the cluster can pose as, oldest first.
    pub fn all() -> impl Iterator<Item = Release> {
        let zero = [(0, 10, 0), (0, 10, 1), (0, 10, 2), (0, 11, 0)];
        let last_minors = [1, 8, 9, 4];
        let rest = (1u8..).zip(last_minors).flat_map(|(major, last)| (0..=last).map(move |m| (major, m, 0)));
        zero.into_iter().chain(rest).map(|(a, b, c)| Release(a, b, c))
    }

    /// The magic byte of what this release stores.
    pub(crate) fn message_format(self) -> u8 {
        if self >= Release::V0_11 { 2 } else { 1 }
    }

    /// The versions of `key` this release takes and can answer; `None` where it does not know the API.
    pub fn versions(self, key: ApiKey) -> Option<(i16, i16)> {
        let api = APIS.iter().find(|api| api.key == key)?;
        let max = api.history.iter().rev().find(|(since, _)| *since <= self)?.1;
        let min = if self >= Release::V4_0 { api.min_from_4 } else { 0 };
        Some((min, max))
    }

    /// What ApiVersions lists: key, oldest and newest version.
    pub(crate) fn advertised(self) -> impl Iterator<Item = (ApiKey, i16, i16)> {
        APIS.iter().filter_map(move |api| {
            let (min, max) = self.versions(api.key)?;
            // 4.x lists Produce from 0 for the sake of old librdkafka, and takes 3 and newer (KAFKA-18659).
            let min = if api.key == ApiKey::Produce { 0 } else { min };
            Some((api.key, min, max))
        })
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Release(0, minor, patch) => write!(f, "0.{minor}.{patch}"),
            Release(major, minor, _) => write!(f, "{major}.{minor}"),
        }
    }
}

impl FromStr for Release {
    type Err = UnknownRelease;

    fn from_str(text: &str) -> Result<Release, UnknownRelease> {
        let unknown = || UnknownRelease(text.to_owned());
        let numbers =
            text.split('.').map(str::parse).collect::<Result<Vec<u8>, _>>().map_err(|_| unknown())?;
        let release = match *numbers.as_slice() {
            [0, minor, patch] | [0, minor, patch, _] => Release(0, minor, patch),
            [major, minor] | [major, minor, _] if major > 0 => Release(major, minor, 0),
            _ => return Err(unknown()),
        };
        Release::all().find(|known| *known == release).ok_or_else(unknown)
    }
}

/// One API this broker implements: the newest version by release, and what 4.0 left of the old ones.
struct Api {
    key: ApiKey,
    min_from_4: i16,
    history: &'static [(Release, i16)],
}

const fn since((major, minor, patch): (u8, u8, u8), version: i16) -> (Release, i16) {
    (Release(major, minor, patch), version)
}

macro_rules! apis {
    ($($key:ident from $min:literal: $($release:tt => $version:literal),+;)+) => {
        &[$(Api {
            key: ApiKey::$key,
            min_from_4: $min,
            history: &[$(since($release, $version)),+],
        }),+]
    };
}

// Facts of Kafka's own releases; a release not named has what the one before it had.
#[rustfmt::skip]
static APIS: &[Api] = apis! {
    Produce from 3: (0, 10, 0) => 2, (0, 11, 0) => 3, (1, 0, 0) => 5, (2, 0, 0) => 6, (2, 1, 0) => 7, (2, 4, 0) => 8, (2, 8, 0) => 9, (3, 7, 0) => 10, (3, 8, 0) => 11, (4, 0, 0) => 12, (4, 1, 0) => 13;
    Fetch from 4: (0, 10, 0) => 2, (0, 10, 1) => 3, (0, 11, 0) => 5, (1, 0, 0) => 6, (1, 1, 0) => 7, (2, 0, 0) => 8, (2, 1, 0) => 10, (2, 3, 0) => 11, (2, 7, 0) => 12, (3, 1, 0) => 13, (3, 5, 0) => 15, (3, 7, 0) => 16, (3, 9, 0) => 17, (4, 1, 0) => 18;
    ListOffsets from 1: (0, 10, 0) => 0, (0, 10, 1) => 1, (0, 11, 0) => 2, (2, 0, 0) => 3, (2, 1, 0) => 4, (2, 2, 0) => 5, (2, 8, 0) => 6, (3, 0, 0) => 7, (3, 5, 0) => 8, (3, 9, 0) => 9, (4, 0, 0) => 10, (4, 2, 0) => 11;
    Metadata from 0: (0, 10, 0) => 1, (0, 10, 1) => 2, (0, 11, 0) => 4, (1, 0, 0) => 5, (2, 0, 0) => 6, (2, 1, 0) => 7, (2, 3, 0) => 8, (2, 4, 0) => 9, (2, 8, 0) => 11, (3, 1, 0) => 12, (4, 0, 0) => 13;
    OffsetCommit from 2: (0, 10, 0) => 2, (0, 11, 0) => 3, (2, 0, 0) => 4, (2, 1, 0) => 6, (2, 3, 0) => 7, (2, 4, 0) => 8, (3, 7, 0) => 9, (4, 2, 0) => 10;
    OffsetFetch from 1: (0, 10, 0) => 1, (0, 10, 2) => 2, (0, 11, 0) => 3, (2, 0, 0) => 4, (2, 1, 0) => 5, (2, 4, 0) => 6, (2, 5, 0) => 7, (3, 0, 0) => 8, (3, 7, 0) => 9, (4, 2, 0) => 10;
    FindCoordinator from 0: (0, 10, 0) => 0, (0, 11, 0) => 1, (2, 0, 0) => 2, (2, 4, 0) => 3, (3, 0, 0) => 4, (3, 8, 0) => 5, (3, 9, 0) => 6;
    JoinGroup from 0: (0, 10, 0) => 0, (0, 10, 1) => 1, (0, 11, 0) => 2, (2, 0, 0) => 3, (2, 2, 0) => 4, (2, 3, 0) => 5, (2, 4, 0) => 6, (2, 5, 0) => 7, (3, 2, 0) => 9;
    Heartbeat from 0: (0, 10, 0) => 0, (0, 11, 0) => 1, (2, 0, 0) => 2, (2, 3, 0) => 3, (2, 4, 0) => 4;
    LeaveGroup from 0: (0, 10, 0) => 0, (0, 11, 0) => 1, (2, 0, 0) => 2, (2, 4, 0) => 4, (3, 2, 0) => 5;
    SyncGroup from 0: (0, 10, 0) => 0, (0, 11, 0) => 1, (2, 0, 0) => 2, (2, 3, 0) => 3, (2, 4, 0) => 4, (2, 5, 0) => 5;
    DescribeGroups from 0: (0, 10, 0) => 0, (0, 11, 0) => 1, (2, 0, 0) => 2, (2, 3, 0) => 3, (2, 4, 0) => 5, (4, 0, 0) => 6;
    ListGroups from 0: (0, 10, 0) => 0, (0, 11, 0) => 1, (2, 0, 0) => 2, (2, 4, 0) => 3, (2, 6, 0) => 4, (3, 8, 0) => 5;
    ApiVersions from 0: (0, 10, 0) => 0, (0, 11, 0) => 1, (2, 0, 0) => 2, (2, 4, 0) => 3, (3, 9, 0) => 4, (4, 4, 0) => 5;
    CreateTopics from 2: (0, 10, 1) => 0, (0, 10, 2) => 1, (0, 11, 0) => 2, (2, 0, 0) => 3, (2, 4, 0) => 5, (2, 7, 0) => 6, (2, 8, 0) => 7;
    DeleteTopics from 1: (0, 10, 1) => 0, (0, 11, 0) => 1, (2, 0, 0) => 2, (2, 1, 0) => 3, (2, 4, 0) => 4, (2, 7, 0) => 5, (2, 8, 0) => 6;
    DeleteRecords from 0: (0, 11, 0) => 0, (2, 0, 0) => 1, (2, 6, 0) => 2;
    InitProducerId from 0: (0, 11, 0) => 0, (2, 0, 0) => 1, (2, 4, 0) => 2, (2, 5, 0) => 3, (2, 7, 0) => 4, (3, 8, 0) => 5;
    OffsetForLeaderEpoch from 2: (0, 11, 0) => 0, (2, 0, 0) => 1, (2, 1, 0) => 2, (2, 3, 0) => 3, (2, 8, 0) => 4;
    DescribeConfigs from 1: (0, 11, 0) => 0, (1, 1, 0) => 1, (2, 0, 0) => 2, (2, 6, 0) => 3, (2, 8, 0) => 4;
    AlterConfigs from 0: (0, 11, 0) => 0, (2, 0, 0) => 1, (2, 8, 0) => 2;
    CreatePartitions from 0: (1, 0, 0) => 0, (2, 0, 0) => 1, (2, 5, 0) => 2, (2, 7, 0) => 3;
    DeleteGroups from 0: (1, 1, 0) => 0, (2, 0, 0) => 1, (2, 4, 0) => 2, (4, 4, 0) => 3;
    IncrementalAlterConfigs from 0: (2, 3, 0) => 0, (2, 4, 0) => 1;
    OffsetDelete from 0: (2, 4, 0) => 0;
    DescribeCluster from 0: (2, 8, 0) => 0, (3, 7, 0) => 1, (4, 0, 0) => 2;
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_parse_and_print() {
        for release in Release::all() {
            assert_eq!(release.to_string().parse(), Ok(release));
        }
        assert_eq!("0.11.0.3".parse(), Ok(Release::V0_11));
        assert_eq!("2.8.2".parse(), Ok(Release::V2_8));
        for wrong in ["", "2", "0.9.0", "4.5", "1.2", "2.8.x", "0.10"] {
            assert!(wrong.parse::<Release>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn versions_grow_with_the_release_until_four_cuts_the_oldest() {
        assert_eq!(Release::OLDEST.versions(ApiKey::Fetch), Some((0, 2)));
        assert_eq!(Release::OLDEST.versions(ApiKey::InitProducerId), None);
        assert_eq!("2.3".parse::<Release>().unwrap().versions(ApiKey::Fetch), Some((0, 11)));
        assert_eq!("3.9".parse::<Release>().unwrap().versions(ApiKey::Produce), Some((0, 11)));
        assert_eq!(Release::NEWEST.versions(ApiKey::Produce), Some((3, 13)));
        let listed = Release::NEWEST.advertised().find(|(key, ..)| *key == ApiKey::Produce);
        assert_eq!(listed, Some((ApiKey::Produce, 0, 13)));
    }

    #[test]
    fn nothing_is_offered_that_cannot_be_read() {
        for release in Release::all() {
            for (key, min, max) in release.advertised() {
                let known = key.versions();
                assert!(min <= max && known.min <= min && max <= known.max, "{release} {key:?} {min}-{max}");
            }
        }
    }
}
