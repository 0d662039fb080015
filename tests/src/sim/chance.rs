//! Random choices of one part of a run.

use std::time::Duration;

use crate::broker::Dice;

/// A sequence of its own: what one part draws does not shift the others' choices.
#[derive(Debug, Clone)]
pub(crate) struct Chance(Dice);

impl Chance {
    pub(crate) fn new(seed: u64) -> Chance {
        let mut dice = Dice::new(seed);
        // Neighbouring seeds shall not give neighbouring sequences.
        Chance(Dice::new(dice.next_u64() ^ seed.rotate_left(32)))
    }

    pub(crate) fn fork(&mut self) -> Chance {
        Chance::new(self.0.next_u64())
    }

    /// From 0 to less than `end`; 0 where that is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end.max(1)
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// True so many times of a thousand.
    pub(crate) fn per_mille(&mut self, share: u64) -> bool {
        self.below(1000) < share
    }

    /// From `least` to `most`, both included, in microseconds.
    pub(crate) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = most.saturating_sub(least).as_micros() as u64;
        least + Duration::from_micros(self.below(span + 1))
    }

    pub(crate) fn millis(&mut self, least: u64, most: u64) -> Duration {
        self.between(Duration::from_millis(least), Duration::from_millis(most))
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.index(from.len()))
    }
}
