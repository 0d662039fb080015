//! The broker that serves a partition: its leader, or the replica that its leader named (KIP-392).
//!
//! Invariant: only the leader names a replica, so a partition that is at one goes back to the leader before it goes to another.

use super::brokers::Asked;
use crate::machine::Time;

/// A replica that the leader named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Replica {
    pub(super) id: i32,
    /// When the leader is asked again.
    pub(super) until: Time,
}

#[derive(Debug)]
pub(super) struct Source {
    leader: Option<i32>,
    /// The epoch of the leader; -1 if unknown.
    epoch: i32,
    replica: Option<Replica>,
}

impl Default for Source {
    fn default() -> Self {
        Self { leader: None, epoch: -1, replica: None }
    }
}

impl Source {
    /// Returns the broker to fetch from.
    pub(super) fn broker(&self) -> Option<i32> {
        self.replica.map(|replica| replica.id).or(self.leader)
    }

    pub(super) fn leader(&self) -> Option<i32> {
        self.leader
    }

    /// Returns the leader epoch; -1 if unknown.
    pub(super) fn epoch(&self) -> i32 {
        self.epoch
    }

    /// Returns whether this is known of the leader.
    pub(super) fn is_led_by(&self, leader: Option<i32>, epoch: i32) -> bool {
        (self.leader, self.epoch) == (leader, epoch)
    }

    pub(super) fn set_leader(&mut self, leader: Option<i32>, epoch: i32) {
        (self.leader, self.epoch) = (leader, epoch);
    }

    /// Forgets the leader. Epochs count from the beginning.
    pub(super) fn forget(&mut self) {
        (self.leader, self.epoch) = (None, -1);
    }

    /// Returns whether it was the leader that was asked, in its present epoch.
    pub(super) fn was_leader_asked(&self, asked: Asked) -> bool {
        self.replica.is_none() && asked.leader_epoch == self.epoch
    }

    pub(super) fn is_replica(&self) -> bool {
        self.replica.is_some()
    }

    /// Returns whether the leader can name this replica.
    pub(super) fn may_visit(&self, replica: i32) -> bool {
        self.leader != Some(replica) && self.replica.is_none()
    }

    pub(super) fn visit(&mut self, replica: Replica) {
        self.replica = Some(replica);
    }

    /// Goes back to the leader.
    pub(super) fn leave_replica(&mut self) -> Option<Replica> {
        self.replica.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_serves_until_it_is_left() {
        let mut source = Source::default();
        assert_eq!(source.broker(), None);
        source.set_leader(Some(1), 5);
        assert!(!source.may_visit(1) && source.may_visit(2));
        let replica = Replica { id: 2, until: Time::START };
        source.visit(replica);
        assert_eq!((source.broker(), source.leader()), (Some(2), Some(1)));
        assert!(!source.may_visit(3) && source.is_replica());
        let asked = Asked { offset: 0, leader_epoch: 5, last_epoch: -1, limit: 1 };
        assert!(!source.was_leader_asked(asked));
        assert_eq!((source.leave_replica(), source.leave_replica()), (Some(replica), None));
        assert!(source.was_leader_asked(asked) && source.broker() == Some(1));
        source.set_leader(Some(1), 6);
        assert!(!source.was_leader_asked(asked) && source.is_led_by(Some(1), 6));
    }
}
