//! What is known about each API.

use crate::api_key::{ApiKey, FACTS};
use crate::message::VersionRange;
use core::fmt;

/// The facts of one API.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) name: &'static str,
    pub(crate) min: i16,
    pub(crate) max: i16,
    pub(crate) stable: i16,
    pub(crate) flexible: Option<i16>,
    pub(crate) throttles: Option<i16>,
    pub(crate) broker: bool,
    pub(crate) controller: bool,
}

impl ApiKey {
    /// The API with a code.
    pub fn from_code(code: i16) -> Option<ApiKey> {
        usize::try_from(code).ok().and_then(|at| ApiKey::ALL.get(at)).copied()
    }

    /// The number in the request header.
    pub const fn code(self) -> i16 {
        self as i16
    }

    fn facts(self) -> &'static Facts {
        // The codes are the positions, without a gap; a test checks it.
        &FACTS[self as usize]
    }

    /// Kafka's name, such as `Produce`.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// All versions that can be written and read, of Kafka 0.10 to 4.4.
    pub fn versions(self) -> VersionRange {
        VersionRange { min: self.facts().min, max: self.facts().max }
    }

    /// The newest version that brokers serve without `unstable.api.versions.enable`.
    pub fn latest_stable(self) -> i16 {
        self.facts().stable
    }

    /// The first version with compact lengths and tagged fields.
    pub fn flexible_since(self) -> Option<i16> {
        self.facts().flexible
    }

    /// True where `version` has compact lengths and tagged fields.
    pub fn is_flexible(self, version: i16) -> bool {
        self.flexible_since().is_some_and(|since| version >= since)
    }

    /// The version of the header before such a request.
    pub fn request_header_version(self, version: i16) -> i16 {
        match self {
            // The only request without a client id.
            ApiKey::ControlledShutdown if version == 0 => 0,
            _ if self.is_flexible(version) => 2,
            _ => 1,
        }
    }

    /// The version of the header before the response to such a request.
    pub fn response_header_version(self, version: i16) -> i16 {
        match self {
            // So that a client which knows nothing about the broker yet can read it (KIP-511).
            ApiKey::ApiVersions => 0,
            _ => self.is_flexible(version).into(),
        }
    }

    /// The first version whose `throttle_time_ms` asks the client to send nothing for that long (KIP-219). With
    /// older versions the broker has waited before it answered. `None` where there is no such field.
    pub fn throttles_since(self) -> Option<i16> {
        self.facts().throttles
    }

    /// True where ordinary brokers take it, on listeners for clients.
    pub fn is_served_by_brokers(self) -> bool {
        self.facts().broker
    }

    /// True where KRaft controllers take it.
    pub fn is_served_by_controllers(self) -> bool {
        self.facts().controller
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
