//! When a step towards an assignment is repeated.
//!
//! Invariants:
//! * The more often steps failed in a row, the longer the pause.
//! * A few repetitions need no pause; after those each has one, until an assignment is reached.

use crate::group::retry::Backoff;
use crate::machine::Time;
use std::time::Duration;

/// Maximum number of steps repeated without a pause before an assignment is reached.
const IMMEDIATE_RETRIES: u32 = 3;

/// The failures of steps since the last assignment.
#[derive(Debug, Default)]
pub(super) struct Retries {
    failures: u32,
    immediate: u32,
}

impl Retries {
    /// Returns the pause after one more failure.
    pub(super) fn pause(&mut self, backoff: &mut Backoff) -> Duration {
        self.failures = self.failures.saturating_add(1);
        backoff.pause(self.failures - 1)
    }

    /// Returns now, or a later time where steps were repeated at once too often.
    pub(super) fn soon(&mut self, now: Time, backoff: &mut Backoff) -> Time {
        self.immediate = self.immediate.saturating_add(1);
        if self.immediate <= IMMEDIATE_RETRIES { now } else { now + self.pause(backoff) }
    }

    /// An assignment was reached.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::config::GroupConfig;

    #[test]
    fn few_steps_are_repeated_at_once_and_then_with_pauses_that_grow() {
        let (mut retries, mut backoff) = (Retries::default(), Backoff::new(&GroupConfig::new("g"), 1));
        let now = Time::START;
        for _ in 0..2 {
            let times: Vec<Time> = (0..6).map(|_| retries.soon(now, &mut backoff)).collect();
            assert_eq!(times[..3], [now; 3]);
            assert!(times[2..].is_sorted_by(|a, b| a < b), "{times:?}");
            retries.reset();
        }
    }
}
