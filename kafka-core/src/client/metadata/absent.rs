//! Why topics of which nothing is known cannot be had.
//!
//! Invariant: a topic is refused for good, or in a trouble that should pass by itself, or neither.

use crate::error::Error;
use crate::machine::Time;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::{ApiKey, Str};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Absent {
    /// Topics that answers refused for good.
    refused: BTreeMap<Str, Error>,
    /// What answers say of topics, and should pass by itself.
    troubles: BTreeMap<Str, Trouble>,
}

#[derive(Debug)]
struct Trouble {
    code: ErrorCode,
    since: Time,
    last: Time,
}

impl Absent {
    /// The topic is there, or an answer says something else of it.
    pub(super) fn forget(&mut self, name: &str) {
        self.refused.remove(name);
        self.troubles.remove(name);
    }

    /// The topic is refused no longer.
    pub(super) fn allow(&mut self, name: &str) {
        self.refused.remove(name);
    }

    pub(super) fn refuse(&mut self, name: &Str, code: ErrorCode) {
        self.troubles.remove(name);
        self.refused.insert(name.clone(), error(name, code));
    }

    /// Notes a trouble that should pass by itself.
    pub(super) fn note(&mut self, now: Time, name: &Str, code: ErrorCode) {
        let trouble = Trouble { code, since: now, last: now };
        let trouble = self.troubles.entry(name.clone()).or_insert(trouble);
        (trouble.code, trouble.last) = (code, now);
    }

    pub(super) fn refusal(&self, name: &str) -> Option<&Error> {
        self.refused.get(name)
    }

    /// Returns the trouble that should pass by itself.
    pub(super) fn trouble(&self, name: &str) -> Option<Error> {
        let trouble = self.troubles.get(name)?;
        Some(error(&Str::from(name), trouble.code))
    }

    /// Returns the same, where it has lasted for so long.
    pub(super) fn lasting_trouble(&self, name: &str, grace: Duration) -> Option<Error> {
        let trouble = self.troubles.get(name)?;
        let lasts = trouble.last.duration_since(trouble.since) >= grace;
        lasts.then(|| error(&Str::from(name), trouble.code))
    }
}

/// Returns the error of an answer about a topic.
pub(super) fn error(name: &Str, code: ErrorCode) -> Error {
    Error::of_code(code).with_api(ApiKey::Metadata).with_topic(name)
}
