//! Time, as machines see it: counted from the client's start, so that a run can be written down and repeated.

use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// A moment, counted from the client's start. Nothing is before that, and sums end at the last moment that there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Time(Duration);

impl Time {
    /// The client's start.
    pub const START: Self = Self(Duration::ZERO);

    /// So long after the client's start.
    pub const fn after_start(time: Duration) -> Self {
        Self(time)
    }

    /// How long after the client's start.
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// How long ago `earlier` was at this time; zero where it is yet to come.
    pub const fn duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, time: Duration) {
        *self = *self + time;
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(time))
    }
}

impl Sub for Time {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.duration_since(earlier)
    }
}

/// The time at which something happens, given from outside: the core reads no clock.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Now {
    /// Never goes backwards.
    pub time: Time,
    /// The wall clock, in ms since the epoch: for records' timestamps only.
    pub wall_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_has_two_ends() {
        let (second, last) = (Duration::from_secs(1), Time::START + Duration::MAX);
        assert_eq!(Time::START - second, Time::START);
        assert_eq!(last + second, last);
        assert_eq!((Time::START + second) - Time::START, second);
        assert_eq!(Time::START.duration_since(Time::START + second), Duration::ZERO);
    }
}
