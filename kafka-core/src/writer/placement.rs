//! Where a partition stands: its leader, and the queues of that broker.
//!
//! Invariants
//! * A partition that is ready stands in its leader's ready queue. What stands in the queue of another broker since the leader
//!   moved is passed over when its turn comes.
//! * It stands once at most among those of a broker that gather records.

#[derive(Debug, Default)]
pub(super) struct Placement {
    leader: Option<i32>,
    is_ready: bool,
    is_gathering: bool,
}

impl Placement {
    pub(super) fn leader(&self) -> Option<i32> {
        self.leader
    }

    /// Returns whether the partition has another leader now. It is not ready there yet.
    #[must_use]
    pub(super) fn move_to(&mut self, leader: Option<i32>) -> bool {
        let has_moved = self.leader != leader;
        if has_moved {
            (self.leader, self.is_ready) = (leader, false);
        }
        has_moved
    }

    pub(super) fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Returns whether it stands in the ready queue of this broker.
    pub(super) fn is_ready_at(&self, broker: i32) -> bool {
        self.is_ready && self.leader == Some(broker)
    }

    /// Returns the broker in whose ready queue it stands from now on.
    pub(super) fn make_ready(&mut self) -> Option<i32> {
        self.is_ready = self.leader.is_some();
        self.leader
    }

    /// Its turn in the ready queue of this broker has come. Returns whether it still belongs there.
    #[must_use]
    pub(super) fn take_turn(&mut self, broker: i32) -> bool {
        self.leader == Some(broker) && std::mem::replace(&mut self.is_ready, false)
    }

    /// It was taken out of its ready queue.
    pub(super) fn leave_ready(&mut self) {
        self.is_ready = false;
    }

    /// Returns the broker among whose gathering partitions it stands from now on; `None` where it stands among them already.
    pub(super) fn gather(&mut self) -> Option<i32> {
        let leader = self.leader.filter(|_| !self.is_gathering)?;
        self.is_gathering = true;
        Some(leader)
    }

    /// It was taken from among those that gather.
    pub(super) fn stop_gathering(&mut self) {
        self.is_gathering = false;
    }
}

#[cfg(test)]
mod tests {
    use super::Placement;

    fn led_by(leader: i32) -> Placement {
        let mut placement = Placement::default();
        assert!(placement.move_to(Some(leader)) && !placement.move_to(Some(leader)));
        placement
    }

    #[test]
    fn a_turn_at_a_former_leader_counts_for_nothing() {
        let mut placement = led_by(1);
        assert_eq!(placement.make_ready(), Some(1));
        assert!(placement.move_to(Some(2)));
        assert!(!placement.take_turn(1) && !placement.take_turn(2), "it is ready nowhere");
        assert_eq!(placement.make_ready(), Some(2));
        assert!(!placement.take_turn(1) && placement.is_ready_at(2));
        assert!(placement.take_turn(2) && !placement.take_turn(2), "one turn each time");
    }

    #[test]
    fn without_a_leader_it_stands_nowhere() {
        let mut placement = Placement::default();
        assert_eq!((placement.make_ready(), placement.is_ready(), placement.gather()), (None, false, None));
    }

    #[test]
    fn it_gathers_in_one_place_at_a_time() {
        let mut placement = led_by(1);
        assert_eq!([placement.gather(), placement.gather()], [Some(1), None]);
        placement.stop_gathering();
        assert_eq!(placement.gather(), Some(1));
    }
}
