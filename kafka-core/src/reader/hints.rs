//! What the reader has to say about the client's metadata.
//!
//! Invariant: a refresh of one topic stands in the queue once at most.

use crate::machine::Hint;
use kafka_proto::Str;
use std::collections::VecDeque;

/// Hints that wait to be polled, in their order.
#[derive(Debug, Default)]
pub(super) struct Hints {
    queue: VecDeque<Hint>,
}

impl Hints {
    /// The topic's metadata is stale.
    pub(super) fn refresh(&mut self, topic: &Str) {
        let hint = Hint::Refresh(topic.clone());
        if !self.queue.contains(&hint) {
            self.queue.push_back(hint);
        }
    }

    /// Reports what a broker said.
    pub(super) fn push(&mut self, hint: Hint) {
        self.queue.push_back(hint);
    }

    pub(super) fn pop(&mut self) -> Option<Hint> {
        self.queue.pop_front()
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_refreshed_once() {
        let (mut hints, a, b) = (Hints::default(), Str::from_static("a"), Str::from_static("b"));
        for topic in [&a, &b, &a] {
            hints.refresh(topic);
        }
        let popped: Vec<_> = std::iter::from_fn(|| hints.pop()).collect();
        assert_eq!(popped, [Hint::Refresh(a), Hint::Refresh(b)]);
    }
}
