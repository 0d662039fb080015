//! What a value may be: every duration and every number of the settings and calls is checked or capped here.
//!
//! * A duration that passed [`time`] or [`time_or_zero`] fits the 32 bits of milliseconds that the wire has, and can be added to
//!   any time of a clock without an overflow.
//! * A duration that a call takes is [`capped`]: a longer wait than [`LONGEST`] cannot be told from it.
//! * Milliseconds for the wire are made by [`millis`] only.

use crate::error::{Error, Result};
use kafka_proto::Str;
use std::fmt::Debug;
use std::time::Duration;

/// The longest duration of all settings and calls: 24 days, the most that 32 bits of milliseconds can hold.
pub(crate) const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);
/// The largest size on the wire, in bytes, where sizes are signed numbers of 32 bits.
pub(crate) const MAX_SIZE: usize = i32::MAX as usize;
/// The longest string whose length the older versions of the protocol can write, in bytes.
const MAX_STRING: usize = i16::MAX as usize;

/// Returns `time`, or [`LONGEST`] where it is longer than that.
pub(crate) fn capped(time: Duration) -> Duration {
    time.min(LONGEST)
}

/// Returns a duration in milliseconds as the wire has them: never negative.
pub(crate) fn millis(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}

/// A value that can be missing; what is missing is in every range.
pub(crate) trait Optional<T> {
    fn get(&self) -> Option<&T>;
}

impl<T> Optional<T> for T {
    fn get(&self) -> Option<&T> {
        Some(self)
    }
}

impl<T> Optional<T> for Option<T> {
    fn get(&self) -> Option<&T> {
        self.as_ref()
    }
}

/// Checks nothing.
pub(crate) fn anything<T>(_: &'static str, _: &T) -> Result<()> {
    Ok(())
}

/// Checks a duration that must not be zero. Less than a millisecond would be zero on the wire.
pub(crate) fn time(setting: &'static str, value: &impl Optional<Duration>) -> Result<()> {
    between(setting, value, Duration::from_millis(1), LONGEST, "1 ms to 24 days")
}

/// Checks a duration that may be zero.
pub(crate) fn time_or_zero(setting: &'static str, value: &impl Optional<Duration>) -> Result<()> {
    between(setting, value, Duration::ZERO, LONGEST, "0 to 24 days")
}

/// Checks that a value is within its range, which is `text` for people.
pub(crate) fn between<T: PartialOrd + Debug>(
    setting: &'static str,
    value: &impl Optional<T>,
    least: T,
    most: T,
    text: &str,
) -> Result<()> {
    match value.get() {
        Some(value) if *value < least || *value > most => {
            Err(Error::config(setting, format!("must be {text}, not {value:?}")))
        }
        _ => Ok(()),
    }
}

/// Checks that a value is not too small.
pub(crate) fn at_least<T: PartialOrd + Debug>(
    setting: &'static str,
    value: &impl Optional<T>,
    least: T,
    text: &str,
) -> Result<()> {
    match value.get() {
        Some(value) if *value < least => {
            Err(Error::config(setting, format!("must be {text}, not {value:?}")))
        }
        _ => Ok(()),
    }
}

/// Checks that there is something in a string, if there is one.
pub(crate) fn not_empty(setting: &'static str, value: &impl Optional<Str>) -> Result<()> {
    match value.get() {
        Some(value) if value.is_empty() => Err(Error::config(setting, "must not be empty")),
        Some(value) => string(setting, value),
        None => Ok(()),
    }
}

/// Checks that a string is not too long for the wire.
pub(crate) fn string(setting: &'static str, value: &impl Optional<Str>) -> Result<()> {
    match value.get() {
        Some(value) if value.len() > MAX_STRING => {
            Err(Error::config(setting, "must not be longer than 32,767 bytes"))
        }
        _ => Ok(()),
    }
}

/// Checks an instance id by the broker's rule, which is that for names of topics.
pub(crate) fn instance_id(setting: &'static str, value: &Option<Str>) -> Result<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let problem = match value.as_ref().map(|id| id.as_ref() as &str) {
        Some("") => "is empty",
        Some("." | "..") => "must not be `.` or `..`",
        Some(long) if long.len() > 249 => "is longer than 249 characters",
        Some(other) if !other.chars().all(legal) => "may hold only letters, digits, `.`, `_` and `-`",
        _ => return Ok(()),
    };
    Err(Error::config(setting, problem))
}
