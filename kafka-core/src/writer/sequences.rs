//! The sequences of a partition: what the idempotent producer gives its batches (KIP-98, KIP-360).
//!
//! Invariants
//! * Sequences of an identity go on without a gap, in the order in which batches are first sent, and begin at 0.
//! * A sequence that may be used up by a batch that was given up is never used again: the epoch is bumped first.
//! * A partition that was gone goes on under a bumped epoch, as its broker may know the sequences of the former sender.

use kafka_proto::records::ProducerStamp;

/// The producer id and epoch a batch is sent under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: i64,
    pub(super) epoch: i16,
}

/// The identity and the base sequence that a batch is sent with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    identity: Identity,
    base_sequence: i32,
}

impl Stamp {
    /// Returns what the header of a batch has, with or without a stamp.
    pub(super) fn header(stamp: Option<Self>) -> ProducerStamp {
        match stamp {
            None => ProducerStamp::NONE,
            Some(Self { identity, base_sequence }) => ProducerStamp {
                producer_id: identity.id,
                producer_epoch: identity.epoch,
                base_sequence,
                transactional: false,
            },
        }
    }
}

/// A broker that acknowledged a batch of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Acquaintance {
    producer_id: i64,
    broker: i32,
}

#[derive(Debug, Default)]
pub(super) struct Sequences {
    identity: Option<Identity>,
    next: i32,
    /// The next new batch needs a newer identity than this one.
    needs_bump: bool,
    /// The last one.
    known_to: Option<Acquaintance>,
}

impl Sequences {
    /// Returns whether new batches can get a sequence now.
    pub(super) fn is_ready(&self) -> bool {
        self.identity.is_some() && !self.needs_bump
    }

    pub(super) fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// Begins at 0, under an identity that was not used here before.
    pub(super) fn begin(&mut self, identity: Identity) {
        (self.identity, self.next, self.needs_bump) = (Some(identity), 0, false);
    }

    /// Returns the stamp of the next batch, of so many records; none without an identity.
    pub(super) fn next(&mut self, records: u32) -> Option<Stamp> {
        let stamp = Stamp { identity: self.identity?, base_sequence: self.next };
        self.next = add_sequence(self.next, records);
        Some(stamp)
    }

    /// A batch with this stamp will not be sent again. Returns whether its sequence is free again, and with it all that follow.
    /// `may_be_used_up` is asked only where the sequence belongs to the present identity.
    #[must_use]
    pub(super) fn give_up(&mut self, stamp: Stamp, may_be_used_up: impl FnOnce() -> bool) -> bool {
        if self.identity != Some(stamp.identity) {
            return false;
        }
        let used_up = may_be_used_up();
        if used_up {
            self.needs_bump = true;
            return false;
        }
        self.next = stamp.base_sequence;
        true
    }

    /// The broker lost track of the sequences: the next new batch goes under another identity.
    pub(super) fn require_bump(&mut self) {
        self.needs_bump = true;
    }

    /// The topic was deleted and made again: its new log knows nothing of the producer.
    pub(super) fn recreated(&mut self) {
        (self.needs_bump, self.known_to) = (true, None);
    }

    /// Another sender of this partition goes before this one.
    pub(super) fn follow(&mut self, former: &Self) {
        self.identity = former.identity;
        self.needs_bump = former.identity.is_some();
    }

    /// From now on batches go without producer id and sequence.
    pub(super) fn turn_off(&mut self) {
        self.identity = None;
    }

    // ---- who knows the producer ----

    /// A broker has a batch with this stamp, and with it knows the producer. Before a bump the batch may be in the log of a
    /// topic that was deleted since; the next log knows nothing of the producer.
    pub(super) fn acknowledged(&mut self, stamp: Option<Stamp>, broker: i32) {
        if !self.needs_bump {
            self.known_to = stamp.map(|stamp| Acquaintance { producer_id: stamp.identity.id, broker });
        }
    }

    /// Returns whether the leader may know nothing of the producer.
    pub(super) fn is_new_to(&self, leader: Option<i32>) -> bool {
        self.identity.is_some_and(|identity| {
            self.known_to
                .zip(leader)
                .is_none_or(|(known, broker)| known != Acquaintance { producer_id: identity.id, broker })
        })
    }
}

#[cfg(test)]
impl Sequences {
    /// The broker knows this producer.
    pub(super) fn introduce(&mut self, producer_id: i64, broker: i32) {
        self.known_to = Some(Acquaintance { producer_id, broker });
    }

    pub(super) fn skip_to(&mut self, sequence: i32) {
        self.next = sequence;
    }
}

/// Sequences wrap from 2^31 - 1 to 0.
fn add_sequence(sequence: i32, count: u32) -> i32 {
    ((i64::from(sequence) + i64::from(count)) & i64::from(i32::MAX)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Identity = Identity { id: 7, epoch: 0 };
    const SECOND: Identity = Identity { id: 7, epoch: 1 };

    fn begun() -> Sequences {
        let mut sequences = Sequences::default();
        sequences.begin(FIRST);
        sequences
    }

    fn base(sequences: &mut Sequences, records: u32) -> (i16, i32) {
        let header = Stamp::header(sequences.next(records));
        (header.producer_epoch, header.base_sequence)
    }

    #[test]
    fn scenario_p11_sequences_wrap_to_zero_and_never_below() {
        assert_eq!(add_sequence(i32::MAX - 2, 2), i32::MAX);
        assert_eq!(add_sequence(i32::MAX - 2, 3), 0);
        assert_eq!(add_sequence(i32::MAX, 1), 0);
        assert_eq!(add_sequence(i32::MAX, 10), 9);
    }

    #[test]
    fn sequences_go_on_without_a_gap_and_begin_anew_with_an_identity() {
        let mut sequences = Sequences::default();
        assert_eq!((sequences.next(1), sequences.is_ready()), (None, false));
        sequences.begin(FIRST);
        assert_eq!([base(&mut sequences, 2), base(&mut sequences, 1)], [(0, 0), (0, 2)]);
        sequences.begin(SECOND);
        assert_eq!(base(&mut sequences, 1), (1, 0));
    }

    #[test]
    fn a_sequence_is_used_again_only_where_nothing_may_have_used_it_up() {
        let mut sequences = begun();
        let stamp = sequences.next(3).unwrap();
        assert!(sequences.give_up(stamp, || false) && sequences.is_ready());
        assert_eq!(base(&mut sequences, 1), (0, 0));
        let stamp = sequences.next(3).unwrap();
        assert!(!sequences.give_up(stamp, || true) && !sequences.is_ready());
        sequences.begin(SECOND);
        assert!(!sequences.give_up(stamp, || panic!("it belongs to the identity before")));
        assert_eq!(base(&mut sequences, 1), (1, 0));
    }

    #[test]
    fn a_leader_is_new_until_it_has_acknowledged_a_batch() {
        let mut sequences = begun();
        let stamp = sequences.next(1);
        assert!(sequences.is_new_to(Some(1)));
        sequences.acknowledged(stamp, 1);
        assert_eq!([1, 2].map(|leader| sequences.is_new_to(Some(leader))), [false, true]);
        sequences.recreated();
        sequences.acknowledged(stamp, 1);
        assert!(sequences.is_new_to(Some(1)), "the batch may be in the log of the topic before");
        sequences.turn_off();
        assert!(!sequences.is_new_to(Some(1)), "without sequences there is nothing to know");
    }

    #[test]
    fn a_sender_that_follows_another_needs_a_bump() {
        let mut next = Sequences::default();
        next.follow(&begun());
        assert_eq!((next.identity(), next.is_ready()), (Some(FIRST), false));
        let mut first = Sequences::default();
        first.follow(&Sequences::default());
        first.begin(FIRST);
        assert!(first.is_ready());
    }
}
