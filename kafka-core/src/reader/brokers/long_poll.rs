//! How long a broker may wait with its answer to a fetch: longer each time that there was nothing, so that idle readers seldom wake.
//!
//! Invariant: a broker waits longer than `max_wait` only while it answers as soon as there is anything, as far as is known.

use super::promptness::Promptness;
use crate::reader::config::ReaderConfig;
use std::time::Duration;

/// The longest wait that a row of answers without records leads to. A broker that is silently gone is noticed so much later.
const QUIET_WAIT: Duration = Duration::from_secs(8);
/// So many answers without records in a row make a quiet broker: by default it waits for some seconds by then.
const QUIET_ANSWERS: u32 = 4;
/// The part of the longest wait that waits begin with where they may hold up others.
const SHORT: u32 = 32;

#[derive(Debug, Default)]
pub(super) struct LongPoll {
    /// Answers of the main connection in a row that the broker waited for and that brought nothing.
    quiet: u32,
    /// The same of secondary fetches, whether they might be parked or not.
    quiet_secondary: u32,
    promptness: Promptness,
}

impl LongPoll {
    /// A partition joins. Whether the broker is quiet about this one is not known.
    pub(super) fn joined(&mut self) {
        self.quiet = 0;
    }

    pub(super) fn main_answered(&mut self, brought: bool) {
        self.quiet = if brought { 0 } else { self.quiet.saturating_add(1) };
    }

    pub(super) fn secondary_answered(&mut self, brought: bool) {
        self.quiet_secondary = if brought { 0 } else { self.quiet_secondary.saturating_add(1) };
    }

    /// A parked fetch that might take `wait` brought records after `waited`.
    pub(super) fn note_promptness(&mut self, waited: Duration, wait: Duration, max_wait: Duration) {
        self.promptness.note(waited, wait, max_wait);
    }

    /// Returns whether the broker waits for long by now.
    pub(super) fn is_quiet(&self, is_trusted: bool) -> bool {
        self.trusted(is_trusted) >= QUIET_ANSWERS
    }

    fn trusted(&self, is_trusted: bool) -> u32 {
        if is_trusted { self.promptness.trusted(self.quiet) } else { 0 }
    }

    /// Returns the wait of a main fetch that holds up nothing.
    pub(super) fn long_wait(&self, config: &ReaderConfig, may_park: bool, is_trusted: bool) -> Duration {
        // One that says it has more, and gives nothing, may give it at any time.
        let quiet = if may_park { self.trusted(is_trusted) } else { 0 };
        match (config.min_bytes, quiet) {
            (2.., _) => config.max_wait,
            (_, 0) => self.promptness.wait(config.max_wait),
            _ => (config.max_wait * longer(quiet)).min(QUIET_WAIT).max(config.max_wait),
        }
    }

    /// Returns the wait of a main fetch while the application still has records of the broker's other partitions, which it will soon
    /// have read: it begins short, as these must not wait for a fetch that waits for something new.
    pub(super) fn short_wait(&self, config: &ReaderConfig) -> Duration {
        short_wait(config, self.quiet)
    }

    /// The same of a secondary fetch.
    pub(super) fn short_secondary_wait(&self, config: &ReaderConfig) -> Duration {
        short_wait(config, self.quiet_secondary)
    }
}

fn short_wait(config: &ReaderConfig, quiet: u32) -> Duration {
    match config.min_bytes {
        ..=1 => (config.max_wait / SHORT * longer(quiet)).min(config.max_wait),
        _ => config.max_wait,
    }
}

fn longer(quiet: u32) -> u32 {
    2u32.pow(quiet.min(8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(answers: usize, brought: bool) -> LongPoll {
        let mut poll = LongPoll::default();
        for _ in 0..answers {
            poll.main_answered(false);
            poll.secondary_answered(false);
        }
        poll.main_answered(brought);
        poll
    }

    #[test]
    fn waits_grow_while_nothing_comes() {
        let config = ReaderConfig::default();
        let max = config.max_wait;
        let long = |poll: &LongPoll| poll.long_wait(&config, true, true);
        assert_eq!([0, 1, 9].map(|n| long(&after(n, false))), [max * 2, max * 4, QUIET_WAIT]);
        assert_eq!([0, 1, 9].map(|n| after(n, false).short_wait(&config)), [max / 32 * 2, max / 32 * 4, max]);
        assert_eq!(after(1, false).short_secondary_wait(&config), max / 32 * 2);
        assert_eq!(long(&after(9, true)), max, "something came");

        let mut joined = after(9, false);
        assert!(joined.is_quiet(true));
        joined.joined();
        assert_eq!((joined.is_quiet(true), long(&joined)), (false, max));
    }

    #[test]
    fn what_may_have_more_or_is_not_trusted_waits_no_longer() {
        let config = ReaderConfig::default();
        let poll = after(9, false);
        assert_eq!(poll.long_wait(&config, false, true), config.max_wait);
        assert_eq!(poll.long_wait(&config, true, false), config.max_wait);
        assert!(!poll.is_quiet(false));
        let larger = ReaderConfig { min_bytes: 2, ..config };
        assert_eq!(poll.long_wait(&larger, true, true), larger.max_wait);
    }
}
