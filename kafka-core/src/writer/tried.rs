//! Topics that a writer looked for and has not found: they stay asked for, for a while, so that the next look finds them.
//!
//! Invariant: each is there once, and no look costs a visit of all of them.

use crate::machine::Time;
use kafka_proto::Str;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a topic stays asked for.
const LOOK: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Tried {
    until: BTreeMap<Str, Time>,
    order: BTreeSet<(Time, Str)>,
}

impl Tried {
    /// A topic was looked for. Returns whether it is new.
    pub(super) fn insert(&mut self, now: Time, topic: Str) -> bool {
        let is_new = !self.remove(&topic);
        self.until.insert(topic.clone(), now + LOOK);
        self.order.insert((now + LOOK, topic));
        is_new
    }

    /// Returns whether it was there.
    pub(super) fn remove(&mut self, topic: &Str) -> bool {
        let until = self.until.remove(topic);
        until.is_some_and(|until| self.order.remove(&(until, topic.clone())))
    }

    /// Returns when the first of them is over.
    pub(super) fn next(&self) -> Option<Time> {
        self.order.first().map(|(until, _)| *until)
    }

    /// Takes those that are over.
    pub(super) fn over(&mut self, now: Time) -> impl Iterator<Item = Str> {
        std::iter::from_fn(move || {
            self.order.first().filter(|(until, _)| *until <= now)?;
            let (_, topic) = self.order.pop_first()?;
            self.until.remove(&topic);
            Some(topic)
        })
    }

    pub(super) fn into_topics(self) -> impl Iterator<Item = Str> {
        self.until.into_keys()
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
