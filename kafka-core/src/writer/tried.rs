//! Topics that a writer looked for and has not found: they stay asked for, for a while, so that the next look finds them.
//!
//! Invariant: each is there once, and no look costs a visit of all of them.

use crate::machine::{Time, Timers};
use kafka_proto::Str;
use std::time::Duration;

/// How long a topic stays asked for.
const LOOK: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Tried(Timers<Str>);

impl Tried {
    /// A topic was looked for. Returns whether it is new.
    pub(super) fn insert(&mut self, now: Time, topic: Str) -> bool {
        let is_new = !self.0.is_set(&topic);
        self.0.set(topic, now + LOOK);
        is_new
    }

    /// Returns whether it was there.
    pub(super) fn remove(&mut self, topic: &Str) -> bool {
        self.0.stop(topic)
    }

    /// Returns when the first of them is over.
    pub(super) fn next(&self) -> Option<Time> {
        self.0.next()
    }

    /// Takes those that are over.
    pub(super) fn over(&mut self, now: Time) -> impl Iterator<Item = Str> {
        std::iter::from_fn(move || self.0.pop_due(now))
    }

    pub(super) fn into_topics(self) -> impl Iterator<Item = Str> {
        self.0.into_keys()
    }
}

#[cfg(test)]
mod tests {
    use super::{LOOK, Tried};
    use crate::machine::Time;
    use std::time::Duration;

    #[test]
    fn a_look_lasts_a_while_and_a_second_one_longer() {
        let (mut tried, start, second) = (Tried::default(), Time::START, Duration::from_secs(1));
        assert!(tried.insert(start, "a".into()) && tried.insert(start, "b".into()));
        assert!(!tried.insert(start + second, "a".into()));
        assert_eq!(tried.next(), Some(start + LOOK));
        assert!(tried.over(start + LOOK).eq(["b"]));
        assert_eq!(tried.next(), Some(start + LOOK + second));
        assert!(tried.remove(&"a".into()) && !tried.remove(&"b".into()) && tried.next().is_none());
    }
}
