//! The members of a round, as the leader reads them from JoinGroup's answer.
//!
//! Invariants:
//! * Each member id is there once, in order of the ids, whatever the coordinator lists.
//! * A member whose subscription cannot be read counts as one without a subscription. That is an error once while it lasts.

use crate::error::Error;
use crate::group::assignor::Member;
use crate::group::subscription::Subscription;
use kafka_proto::messages::join_group::JoinGroupResponseMember;
use kafka_proto::{ApiKey, Str};
use std::collections::{BTreeMap, BTreeSet};

/// Members whose subscriptions could not be read in the last round.
#[derive(Debug, Default)]
pub(super) struct UnreadableMembers {
    ids: BTreeSet<Str>,
}

impl UnreadableMembers {
    /// Reads the members of a round, and returns an error for each that cannot be read now and could be before.
    ///
    /// Assignments go out by member id, so that what is assigned to a second entry would be read by no one.
    pub(super) fn read(&mut self, listed: Vec<JoinGroupResponseMember>) -> (Vec<Member>, Vec<Error>) {
        let by_id: BTreeMap<Str, JoinGroupResponseMember> =
            listed.into_iter().map(|wire| (wire.member_id.clone(), wire)).collect();
        let known = std::mem::take(&mut self.ids);
        let mut errors = Vec::new();
        let members = by_id.into_values().map(|wire| self.member(wire, &known, &mut errors)).collect();
        (members, errors)
    }

    fn member(
        &mut self,
        wire: JoinGroupResponseMember,
        known: &BTreeSet<Str>,
        errors: &mut Vec<Error>,
    ) -> Member {
        let subscription = Subscription::decode(&wire.metadata).unwrap_or_else(|error| {
            if !known.contains(&wire.member_id) {
                errors.push(unreadable(error, &wire.member_id));
            }
            self.ids.insert(wire.member_id.clone());
            Subscription::default()
        });
        subscription.into_member(wire.member_id, wire.group_instance_id)
    }
}

fn unreadable(error: Error, member: &Str) -> Error {
    error.with_api(ApiKey::JoinGroup).with_detail(format!("member {member} gets no partitions"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_proto::Bytes;

    fn member(id: &str, is_readable: bool) -> JoinGroupResponseMember {
        let subscription = Subscription { topics: vec!["t".into()], ..Subscription::default() };
        let metadata = if is_readable { subscription.encode() } else { Bytes::from_static(&[0]) };
        JoinGroupResponseMember { member_id: id.into(), metadata, ..Default::default() }
    }

    #[test]
    fn each_id_is_there_once_and_in_order() {
        let listed = ["b", "a", "b"].map(|id| member(id, true)).to_vec();
        let (members, errors) = UnreadableMembers::default().read(listed);
        let read: Vec<(&str, usize)> = members.iter().map(|m| (&*m.id, m.topics.len())).collect();
        assert_eq!((read, errors), (vec![("a", 1), ("b", 1)], vec![]));
    }

    #[test]
    fn one_that_cannot_be_read_has_no_topics_and_is_an_error_once_while_it_lasts() {
        let mut unreadable = UnreadableMembers::default();
        for (is_readable, errors) in [(false, 1), (false, 0), (true, 0), (false, 1)] {
            let (members, found) = unreadable.read(vec![member("a", is_readable), member("b", true)]);
            assert_eq!((members.len(), found.len()), (2, errors));
            assert_eq!(members[0].topics.len(), usize::from(is_readable));
        }
    }
}
