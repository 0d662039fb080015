//! Which broker is asked for metadata while answers leave something open: each in its turn.
//!
//! Invariants
//! * None is asked for ever, whatever it says or leaves unsaid; none that can be asked is passed over for ever.
//! * Few brokers of a large cluster are asked at first: a topic that does not exist is not worth a connection to each of them.
//! * One that let us wait in vain is passed over for longer than it did.

use crate::machine::Time;
use rustc_hash::FxHashMap;

/// Once so many brokers were asked another one is asked only at each so manieth attempt.
const FEW: u32 = 5;
/// A broker that did not answer is passed over for so many times what it took to find out.
const PATIENCE: u32 = 4;

#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// When each was asked, or from when on it counts as asked.
    asked: FxHashMap<i32, Time>,
}

impl Turns {
    /// What was asked at that time brought an answer.
    pub(crate) fn answered(&mut self, broker: i32, asked: Time) {
        self.asked.insert(broker, asked);
    }

    /// What was asked at that time brought none.
    pub(crate) fn failed(&mut self, broker: i32, asked: Time, now: Time) {
        self.asked.insert(broker, now + now.duration_since(asked) * PATIENCE);
    }

    /// Of brokers that are gone nothing is kept.
    pub(crate) fn keep(&mut self, is_known: impl Fn(i32) -> bool) {
        self.asked.retain(|broker, _| is_known(*broker));
    }

    /// The one of the candidates whose turn it is for this attempt.
    pub(crate) fn next(&self, candidates: impl Iterator<Item = i32> + Clone, attempt: u32) -> Option<i32> {
        let known = candidates.clone().filter(|broker| self.asked.contains_key(broker));
        match known.clone().count() >= FEW as usize && !attempt.is_multiple_of(FEW) {
            true => self.first(known),
            false => self.first(candidates),
        }
    }

    fn first(&self, candidates: impl Iterator<Item = i32>) -> Option<i32> {
        candidates.min_by_key(|broker| self.asked.get(broker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::time::Duration;

    fn begin() -> Time {
        Time::START
    }

    /// The brokers that are asked, one a second, each of which answers.
    fn round(turns: &mut Turns, brokers: i32, attempts: u32, begin: Time) -> Vec<i32> {
        let ask = |attempt| {
            let broker = turns.next(1..=brokers, attempt).unwrap();
            turns.answered(broker, begin + Duration::from_secs(attempt.into()));
            broker
        };
        (1..=attempts).map(ask).collect()
    }

    #[test]
    fn each_is_asked_in_its_turn() {
        let mut turns = Turns::default();
        assert_eq!(round(&mut turns, 3, 7, begin()), [1, 2, 3, 1, 2, 3, 1]);
        assert_eq!(round(&mut turns, 1, 3, begin()), [1, 1, 1]);
        turns.keep(|broker| broker == 2);
        assert_eq!(turns.next(1..=3, 1), Some(1), "it is another one by now");
        assert_eq!(turns.next(0..0, 1), None);
    }

    #[test]
    fn of_many_only_few_are_asked_at_first_and_all_in_the_end() {
        let mut turns = Turns::default();
        let asked = round(&mut turns, 100, 1000, begin());
        let different = |asked: &[i32]| asked.iter().collect::<BTreeSet<_>>().len();
        assert_eq!(different(&asked[..5]), 5);
        assert_eq!(different(&asked[..20]), 8);
        assert_eq!(different(&asked), 100);
    }

    #[test]
    fn one_that_does_not_answer_is_passed_over_for_a_while() {
        let (begin, second) = (begin(), Duration::from_secs(1));
        let mut turns = Turns::default();
        turns.failed(1, begin, begin + 30 * second);
        assert_eq!(turns.next(1..=1, 2), Some(1), "there is no other");
        let mut at = 30;
        while turns.next(1..=2, 2) == Some(2) {
            at += 1;
            turns.answered(2, begin + at * second);
        }
        assert_eq!(at, 150);
        // A connection that is refused at once costs no more than an answer.
        turns.failed(1, begin + at * second, begin + at * second);
        turns.answered(2, begin + (at + 1) * second);
        assert_eq!(turns.next(1..=2, 2), Some(1));
    }
}
