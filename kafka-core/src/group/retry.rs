//! What an error means for a membership, and how long it waits before the next attempt.

use super::config::GroupConfig;
use crate::error::{Error, ErrorKind};
use crate::random::Random;
use kafka_proto::error_code::ErrorCode;
use std::time::Duration;

/// How long a failure that should pass by itself lasts before it is reported, as with readers without a group.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// What to do about an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is wrong.
    Fine,
    /// Try again after a pause, and report it only if it lasts; `lookup`: perhaps at another coordinator.
    Retry { lookup: bool },
    /// The group rebalances: give up, join again.
    Rebalance,
    /// The first JoinGroup was answered with the member id to join with.
    MemberIdRequired,
    /// The coordinator does not know the member: join as a new one.
    UnknownMember,
    /// The group is in another generation: join again as the same member.
    IllegalGeneration,
    /// Another member has taken over the instance id.
    Fenced,
    /// Repetition alone does not heal it: report it, and try again rarely.
    Refused,
}

pub(super) fn of_code(code: ErrorCode) -> Verdict {
    match code {
        ErrorCode::None => Verdict::Fine,
        ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator => Verdict::Retry { lookup: true },
        ErrorCode::RebalanceInProgress => Verdict::Rebalance,
        ErrorCode::MemberIdRequired => Verdict::MemberIdRequired,
        ErrorCode::UnknownMemberId => Verdict::UnknownMember,
        ErrorCode::IllegalGeneration => Verdict::IllegalGeneration,
        ErrorCode::FencedInstanceId => Verdict::Fenced,
        code if code.is_retriable() => Verdict::Retry { lookup: false },
        _ => Verdict::Refused,
    }
}

/// The verdict on a request that has no response.
pub(super) fn of_error(error: &Error) -> Verdict {
    match error.kind() {
        ErrorKind::Broker(code) => match of_code(*code) {
            Verdict::Refused => Verdict::Refused,
            _ => Verdict::Retry { lookup: true },
        },
        ErrorKind::Closed => Verdict::Retry { lookup: false },
        _ if error.is_retriable() => Verdict::Retry { lookup: true },
        _ => Verdict::Refused,
    }
}

/// Pauses that double from the shortest to the longest, each with a random jitter of a fifth (KIP-580), so that
/// the members of a group do not come back in step.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    rng: Random,
}

impl Backoff {
    pub(super) fn new(config: &GroupConfig, seed: u64) -> Self {
        Self { min: config.backoff_min, max: config.backoff_max, rng: Random::new(seed) }
    }

    /// The pause after this many failures in a row, counted from 0.
    pub(super) fn pause(&mut self, failures: u32) -> Duration {
        self.rng.backoff(failures, self.min, self.max).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_depend_on_the_seed_alone() {
        let config = GroupConfig::new("g");
        let pauses = |seed| {
            let mut backoff = Backoff::new(&config, seed);
            (0..40).map(|n| backoff.pause(n).as_millis()).collect::<Vec<_>>()
        };
        let one = pauses(1);
        for (n, pause) in one.iter().enumerate() {
            let middle = (100u128 << n.min(10)).min(1000);
            assert!((middle * 8 / 10..=middle * 12 / 10).contains(pause) && *pause <= 1000, "{n}: {pause}");
        }
        assert_eq!(one, pauses(1));
        assert_ne!(one, pauses(2));
    }
}
