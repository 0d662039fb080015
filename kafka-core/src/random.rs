//! Dice from a seed (SplitMix64): the same seed gives the same run on every machine.

use std::time::Duration;

#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 where `n` is 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.next() % n }
    }

    /// The wait before attempt `attempt` (0 is the first retry): doubling from `min` to `max`, with ± 20 % of jitter.
    pub(crate) fn backoff(&mut self, attempt: u32, min: Duration, max: Duration) -> Duration {
        let full = min.saturating_mul(1 << attempt.min(20)).min(max);
        let fifth = u64::try_from(full.as_micros() / 5).unwrap_or(u64::MAX);
        full - full / 5 + Duration::from_micros(self.below(2 * fifth + 1))
    }
}
