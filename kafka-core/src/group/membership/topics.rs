//! The topics of the member and, where it leads, of its group.
//!
//! Invariants:
//! * A member that subscribes may have no topics: those of a pattern that matches none.
//! * `group` has the member's own topics, and as leader those of all members.
//! * `joined` are the topics of the last JoinGroup. Where the own ones differ, the group has to rebalance.
//! * Topics whose metadata was waited for once are not waited for again while they stay missing: they do not exist.

use crate::group::assignor::Member;
use crate::snapshot::Cluster;
use kafka_proto::Str;
use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub(super) struct SubscribedTopics {
    is_subscribed: bool,
    own: Vec<Str>,
    /// Those whose metadata the client keeps.
    group: Vec<Str>,
    joined: Vec<Str>,
    /// The group's topics at the last assignment.
    looked_up: BTreeSet<Str>,
}

impl SubscribedTopics {
    /// Subscribes to these topics, each once. Those of a leader's group stay.
    pub(super) fn subscribe(&mut self, topics: Vec<Str>, is_leader: bool) {
        self.is_subscribed = true;
        let mut seen = BTreeSet::new();
        self.own = topics.into_iter().filter(|topic| seen.insert(topic.clone())).collect();
        if is_leader {
            let new: Vec<Str> =
                self.own.iter().filter(|topic| !self.group.contains(topic)).cloned().collect();
            self.group.extend(new);
        } else {
            self.follow();
        }
    }

    /// Subscribes to nothing; metadata is kept until the member has left.
    pub(super) fn unsubscribe(&mut self) {
        self.own.clear();
        self.is_subscribed = false;
    }

    /// Returns whether the member subscribes, if only to no topics.
    pub(super) fn is_subscribed(&self) -> bool {
        self.is_subscribed
    }

    /// Returns the topics whose metadata the client must keep.
    pub(super) fn group(&self) -> &[Str] {
        &self.group
    }

    /// Begins to join with the own topics, and returns them.
    pub(super) fn join(&mut self) -> &[Str] {
        self.joined.clone_from(&self.own);
        &self.joined
    }

    /// Returns the topics of the last JoinGroup.
    pub(super) fn joined(&self) -> &[Str] {
        &self.joined
    }

    /// Returns whether the last JoinGroup had the own topics, in any order.
    pub(super) fn is_current(&self) -> bool {
        let set = |topics| <&[Str]>::into_iter(topics).collect::<BTreeSet<_>>();
        self.joined == self.own || set(&self.joined) == set(&self.own)
    }

    /// The member does not lead: the other members' topics are not needed.
    pub(super) fn follow(&mut self) {
        self.group.clone_from(&self.own);
    }

    /// The member leads, and needs the topics of all members.
    pub(super) fn lead(&mut self, members: &[Member]) {
        let all: BTreeSet<&Str> = members.iter().flat_map(|member| &member.topics).chain(&self.own).collect();
        self.group = all.into_iter().cloned().collect();
    }

    /// Returns the group's topics without metadata.
    pub(super) fn missing(&self, cluster: &Cluster) -> impl Iterator<Item = &Str> {
        self.group.iter().filter(|topic| cluster.topic(topic).is_none())
    }

    /// Returns whether metadata of the group's topics is missing that may still come.
    pub(super) fn awaits_metadata(&self, cluster: &Cluster) -> bool {
        self.missing(cluster).any(|topic| !self.looked_up.contains(topic))
    }

    /// An assignment was reached: the metadata of the group's topics was waited for before.
    pub(super) fn assigned(&mut self) {
        self.looked_up = self.group.iter().cloned().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscribed(topics: &[&str]) -> SubscribedTopics {
        let mut subscribed = SubscribedTopics::default();
        subscribed.subscribe(names(topics), false);
        subscribed
    }

    fn names(topics: &[&str]) -> Vec<Str> {
        topics.iter().map(|topic| Str::from(*topic)).collect()
    }

    #[test]
    fn the_last_join_is_current_whatever_the_order_of_topics() {
        let mut topics = subscribed(&["b", "a", "b"]);
        assert!(!topics.is_current());
        assert_eq!(topics.join(), names(&["b", "a"]));
        topics.subscribe(names(&["a", "b"]), false);
        assert!(topics.is_current());
        topics.subscribe(names(&["a"]), false);
        assert!(!topics.is_current());
    }

    #[test]
    fn a_leader_keeps_the_topics_of_its_group() {
        let mut topics = subscribed(&["b"]);
        topics.lead(&[Member { topics: names(&["c", "a"]), ..Member::default() }, Member::default()]);
        assert_eq!(topics.group(), names(&["a", "b", "c"]));
        topics.subscribe(names(&["d", "a"]), true);
        assert_eq!(topics.group(), names(&["a", "b", "c", "d"]));
        topics.unsubscribe();
        assert!(!topics.is_subscribed() && topics.group().len() == 4);
        topics.follow();
        assert_eq!(topics.group(), names(&[]));
    }

    #[test]
    fn a_member_may_subscribe_to_no_topics() {
        let mut topics = subscribed(&["a"]);
        topics.join();
        topics.subscribe(Vec::new(), false);
        assert!(topics.is_subscribed() && !topics.is_current() && topics.group().is_empty());
        topics.join();
        assert!(topics.is_current());
    }

    #[test]
    fn what_was_missing_at_an_assignment_is_not_waited_for_again() {
        let (cluster, mut topics) = (Cluster::default(), subscribed(&["a"]));
        assert!(topics.awaits_metadata(&cluster));
        topics.assigned();
        assert!(!topics.awaits_metadata(&cluster));
        topics.subscribe(names(&["a", "b"]), false);
        assert!(topics.awaits_metadata(&cluster));
        assert_eq!(topics.missing(&cluster).count(), 2);
    }
}
