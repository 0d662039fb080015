//! Failures in a row: how long to wait after one, and what the last one was.
//!
//! Invariant: each wait is drawn once, and is longer on average than the one before, up to the maximum.

use crate::error::Error;
use crate::machine::Pace;
use crate::random::Random;
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Failures {
    in_a_row: u32,
    last: Option<Error>,
}

impl Failures {
    /// Returns how long to wait after one more failure.
    pub(super) fn wait(&mut self, random: &mut Random, pace: &Pace) -> Duration {
        let attempt = self.in_a_row.min(10);
        self.in_a_row = self.in_a_row.saturating_add(1);
        random.backoff(attempt, pace.retry_backoff, pace.retry_backoff_max)
    }

    /// Remembers why something failed.
    pub(super) fn note(&mut self, error: Error) {
        self.last = Some(error);
    }

    /// Returns why something failed, if nothing has succeeded since.
    pub(super) fn last(&self) -> Option<&Error> {
        self.last.as_ref()
    }

    pub(super) fn succeeded(&mut self) {
        (self.in_a_row, self.last) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn waits_grow_until_something_succeeds() {
        let pace = Pace {
            request_timeout: Duration::from_secs(30),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            metadata_max_age: Duration::from_secs(300),
        };
        let (mut failures, mut random) = (Failures::default(), Random::new(1));
        let mut about = |full: u128, failures: &mut Failures| {
            let wait = failures.wait(&mut random, &pace).as_millis();
            assert!((full * 4 / 5..=full * 6 / 5).contains(&wait), "{wait} ms, not about {full}");
        };
        [100, 200, 400, 800, 1000, 1000].into_iter().for_each(|full| about(full, &mut failures));
        failures.note(Error::new(ErrorKind::Closed));
        assert!(failures.last().is_some());
        failures.succeeded();
        assert!(failures.last().is_none());
        about(100, &mut failures);
    }
}
