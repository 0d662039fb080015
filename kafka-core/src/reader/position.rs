//! Where a partition is, and what it needs to go on.

use super::config::Reset;

/// A place in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct OffsetAndEpoch {
    pub(super) offset: i64,
    /// The leader epoch of what is right before the offset; -1 if unknown.
    pub(super) epoch: i32,
}

/// What a cursor needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// A position, by ListOffsets.
    Resolving(Want),
    /// To know that the log was not truncated below its position, by OffsetForLeaderEpoch.
    Validating,
    /// Records.
    Fetching,
    /// The application: an error was reported, or will be at the end of the last chunk, and only seeking helps.
    Halted,
}

/// A position by what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    First,
    Last,
    Time(i64),
}

impl Want {
    /// As ListOffsets puts it.
    pub(super) fn timestamp(self) -> i64 {
        match self {
            Self::First => -2,
            Self::Last => -1,
            Self::Time(ms) => ms,
        }
    }

    pub(super) fn of_reset(reset: Reset) -> Option<Self> {
        match reset {
            Reset::Error => None,
            Reset::First => Some(Self::First),
            Reset::Last => Some(Self::Last),
            Reset::Time(ms) => Some(Self::Time(ms)),
        }
    }
}
