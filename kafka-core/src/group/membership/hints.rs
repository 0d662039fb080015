//! What the client should find out for the group: its coordinator, or topics.
//!
//! Invariant: the coordinator, or a topic whose id may have changed, waits in the queue once at most.

use crate::error::Error;
use crate::group::commits;
use crate::machine::{CoordinatorKind, Hint};
use kafka_proto::Str;
use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Hints {
    group: Str,
    queue: VecDeque<Hint>,
}

impl Hints {
    pub(super) fn new(group: Str) -> Self {
        Self { group, queue: VecDeque::new() }
    }

    pub(super) fn pop(&mut self) -> Option<Hint> {
        self.queue.pop_front()
    }

    /// Another broker may be the group's coordinator by now.
    pub(super) fn find_coordinator(&mut self) {
        self.push_once(Hint::NotCoordinator(CoordinatorKind::Group, self.group.clone()));
    }

    /// A topic that the coordinator does not know may have been created anew, under another id.
    pub(super) fn mark_topic_stale(&mut self, error: &Error) {
        let topic = error.context().topic.clone().filter(|_| commits::is_of_unknown_topic(error));
        topic.map(Hint::Refresh).into_iter().for_each(|hint| self.push_once(hint));
    }

    /// The metadata of these topics is needed.
    pub(super) fn refresh<'a>(&mut self, topics: impl Iterator<Item = &'a Str>) {
        self.queue.extend(topics.cloned().map(Hint::Refresh));
    }

    fn push_once(&mut self, hint: Hint) {
        if !self.queue.contains(&hint) {
            self.queue.push_back(hint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_proto::error_code::ErrorCode;

    #[test]
    fn the_coordinator_and_a_stale_topic_wait_once_at_most() {
        let mut hints = Hints::new("g".into());
        let stale = |code| Error::of_code(code).with_topic(&"t".into());
        for _ in 0..2 {
            hints.find_coordinator();
            hints.mark_topic_stale(&stale(ErrorCode::UnknownTopicId));
            hints.mark_topic_stale(&stale(ErrorCode::TopicAuthorizationFailed));
        }
        let coordinator = Hint::NotCoordinator(CoordinatorKind::Group, "g".into());
        assert_eq!(hints.pop(), Some(coordinator));
        assert_eq!(hints.pop(), Some(Hint::Refresh("t".into())));
        assert_eq!(hints.pop(), None);
    }
}
