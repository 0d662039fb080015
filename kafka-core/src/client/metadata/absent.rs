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
    topics: BTreeMap<Str, Absence>,
}

#[derive(Debug)]
enum Absence {
    /// Answers refused it for good.
    Refused(Error),
    /// What answers say of it, and should pass by itself.
    Trouble(Trouble),
}

#[derive(Clone, Copy, Debug)]
struct Trouble {
    code: ErrorCode,
    since: Time,
    last: Time,
}

impl Absent {
    /// The topic is there, or an answer says something else of it.
    pub(super) fn forget(&mut self, name: &str) {
        self.topics.remove(name);
    }

    /// The topic is refused no longer.
    pub(super) fn allow(&mut self, name: &str) {
        if self.refusal(name).is_some() {
            self.topics.remove(name);
        }
    }

    pub(super) fn refuse(&mut self, name: &Str, code: ErrorCode) {
        self.topics.insert(name.clone(), Absence::Refused(error(name, code)));
    }

    /// Notes a trouble that should pass by itself.
    pub(super) fn note(&mut self, now: Time, name: &Str, code: ErrorCode) {
        let since = self.trouble_of(name).map_or(now, |trouble| trouble.since);
        self.topics.insert(name.clone(), Absence::Trouble(Trouble { code, since, last: now }));
    }

    pub(super) fn refusal(&self, name: &str) -> Option<&Error> {
        match self.topics.get(name)? {
            Absence::Refused(error) => Some(error),
            Absence::Trouble(_) => None,
        }
    }

    fn trouble_of(&self, name: &str) -> Option<Trouble> {
        match self.topics.get(name)? {
            Absence::Trouble(trouble) => Some(*trouble),
            Absence::Refused(_) => None,
        }
    }

    /// Returns the trouble that should pass by itself.
    pub(super) fn trouble(&self, name: &str) -> Option<Error> {
        let trouble = self.trouble_of(name)?;
        Some(error(&Str::from(name), trouble.code))
    }

    /// Returns the same, where it has lasted for so long.
    pub(super) fn lasting_trouble(&self, name: &str, grace: Duration) -> Option<Error> {
        let trouble = self.trouble_of(name)?;
        let lasts = trouble.last.duration_since(trouble.since) >= grace;
        lasts.then(|| error(&Str::from(name), trouble.code))
    }
}

/// Returns the error of an answer about a topic.
pub(super) fn error(name: &Str, code: ErrorCode) -> Error {
    Error::of_code(code).with_api(ApiKey::Metadata).with_topic(name)
}
