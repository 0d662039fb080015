//! The requests to the coordinator that are open, and which answers still count.
//!
//! Invariants:
//! * Of each kind at most one request is open.
//! * A turn is one attempt to become a member. The answer to a step counts only in the turn in which it was asked; the
//!   answer to a commit always counts.
//! * In each turn at most one question to the assignors is open.

use crate::machine::{Ask, CoordinatorKind, Lane, MachineId, Target, Time};
use kafka_proto::{Request, Str};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Requests {
    id: MachineId,
    group: Str,
    open: Vec<Open>,
    last_tag: u64,
    turn: u64,
    /// The assignors were asked in this turn and have not answered.
    is_calling: bool,
}

#[derive(Debug)]
struct Open {
    tag: u64,
    kind: Kind,
    turn: u64,
    sent: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Join,
    Sync,
    Restore,
    Heartbeat,
    Commit,
    Leave,
}

impl Requests {
    /// The requests of the member with this lane to the coordinator of this group.
    pub(super) fn new(id: MachineId, group: Str) -> Self {
        Self { id, group, open: Vec::new(), last_tag: 0, turn: 0, is_calling: false }
    }

    /// The member joins anew: answers to steps asked before do not count any more.
    pub(super) fn begin_turn(&mut self) {
        self.turn += 1;
        self.is_calling = false;
    }

    pub(super) fn is_open(&self, kind: Kind) -> bool {
        self.open.iter().any(|open| open.kind == kind)
    }

    /// Returns whether no request is open, of this turn or of an earlier one.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    /// Opens a request of a kind that is not open.
    pub(super) fn open(&mut self, kind: Kind, now: Time, timeout: Duration, request: impl Request) -> Ask {
        debug_assert!(!self.is_open(kind), "two requests of a kind: {kind:?}");
        self.last_tag += 1;
        let tag = self.last_tag;
        self.open.push(Open { tag, kind, turn: self.turn, sent: now });
        let target = Target::Coordinator(CoordinatorKind::Group, self.group.clone());
        Ask { tag, target, lane: Lane::Group(self.id), request: request.into(), timeout }
    }

    /// Closes a request that was answered. Returns its kind and when it was sent, or `None` where the answer does not count.
    pub(super) fn close(&mut self, tag: u64) -> Option<(Kind, Time)> {
        let place = self.open.iter().position(|open| open.tag == tag)?;
        let Open { kind, turn, sent, .. } = self.open.swap_remove(place);
        (kind == Kind::Commit || turn == self.turn).then_some((kind, sent))
    }

    pub(super) fn is_calling(&self) -> bool {
        self.is_calling
    }

    /// Begins a question to the assignors. Returns the turn that their answer has to name.
    pub(super) fn begin_call(&mut self) -> u64 {
        self.is_calling = true;
        self.turn
    }

    /// The assignors answered. Returns whether that counts.
    pub(super) fn end_call(&mut self, turn: u64) -> bool {
        let counts = turn == self.turn;
        self.is_calling &= !counts;
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_proto::messages::heartbeat::HeartbeatRequest;

    const NOW: Time = Time::START;

    fn requests() -> Requests {
        Requests::new(MachineId(1), "g".into())
    }

    fn open(requests: &mut Requests, kind: Kind) -> u64 {
        requests.open(kind, NOW, Duration::from_secs(1), HeartbeatRequest::default()).tag
    }

    #[test]
    fn an_answer_counts_once_and_an_unknown_tag_never() {
        let mut requests = requests();
        let tag = open(&mut requests, Kind::Heartbeat);
        assert!(requests.is_open(Kind::Heartbeat) && !requests.is_open(Kind::Join));
        assert_eq!(requests.close(tag + 1), None);
        assert_eq!(requests.close(tag), Some((Kind::Heartbeat, NOW)));
        assert_eq!(requests.close(tag), None);
        assert!(requests.is_idle());
    }

    #[test]
    fn only_commits_outlive_their_turn() {
        let mut requests = requests();
        let [join, commit] = [Kind::Join, Kind::Commit].map(|kind| open(&mut requests, kind));
        requests.begin_turn();
        assert!(requests.is_open(Kind::Join), "still at most one of a kind");
        assert_eq!(requests.close(join), None);
        assert_eq!(requests.close(commit), Some((Kind::Commit, NOW)));
        assert!(requests.is_idle());
    }

    #[test]
    fn a_call_of_an_earlier_turn_does_not_end_the_present_one() {
        let mut requests = requests();
        let before = requests.begin_call();
        requests.begin_turn();
        assert!(!requests.is_calling());
        let present = requests.begin_call();
        assert!(!requests.end_call(before) && requests.is_calling());
        assert!(requests.end_call(present) && !requests.is_calling());
    }
}
