//! The settings of a reader's fetching.

use crate::error::{Error, Result};
use kafka_proto::Str;
use std::time::Duration;

/// Which records of transactions are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// All, those of open and aborted transactions too (Kafka's default).
    #[default]
    ReadUncommitted,
    /// Only records outside of transactions and those of committed ones; what follows an open transaction waits for its end.
    ReadCommitted,
}

/// What happens where there is no position: nothing was committed, or the log no longer has the position or was truncated below it.
///
/// A reset happens for a proven cause only, and is told: see [`Item::Notice`](super::Item::Notice).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reset {
    /// The partition stops with an error until it is sought.
    #[default]
    Error,
    /// The first offset that the log has.
    First,
    /// The end of the log: only what comes from now on.
    Last,
    /// The first record at this time or later, in ms since the epoch; the end of the log where there is none.
    Time(i64),
}

/// The settings of a reader's fetching. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct ReaderConfig {
    /// A broker answers once it has so much, or [`max_wait`](Self::max_wait) is over. Default 1. Java: `fetch.min.bytes`.
    pub min_bytes: usize,
    /// The most that one answer brings (a larger first batch comes whole). Default 50 MiB, but never more than half of
    /// [`buffer`](Self::buffer) divided by the number of leaders. Java: `fetch.max.bytes`.
    pub max_bytes: usize,
    /// The most of one partition in one answer, and what is kept of it beyond what is being worked on. Default 1 MiB.
    /// Java: `max.partition.fetch.bytes`.
    pub partition_max_bytes: usize,
    /// How long a broker may wait for records. Default 500 ms. With `min_bytes` of 1 it answers as soon as there is
    /// anything, so its wait becomes longer while nothing comes, up to 8 s; not at a replica that is not the leader, nor at a
    /// broker that was seen to answer only when its time was over, again and again. Java: `fetch.max.wait.ms`.
    pub max_wait: Duration,
    /// The byte budget of all that is fetched and not dropped, compressed as it came. Default 32 MiB. What the application
    /// keeps counts; while it waits for more, reading goes on beyond the budget by one small fetch per connection.
    pub buffer: usize,
    /// Which records of transactions are read. Default all. Java: `isolation.level`.
    pub isolation: Isolation,
    /// What happens without a position. Default: an error. Java: `auto.offset.reset`.
    pub reset: Reset,
    /// Where the reader is, so that brokers may send it to a near replica (KIP-392, 2.4+). Default none. Java: `client.rack`.
    pub rack: Str,
    /// Whether the checksum of each batch is compared. Default yes. Java: `check.crcs`.
    pub check_crcs: bool,
    /// The largest size of one batch once decompressed. Default 128 MiB.
    pub max_decompressed: usize,
    /// The first wait before something that failed is tried again; doubles up to [`backoff_max`](Self::backoff_max).
    /// Default 100 ms. Java: `retry.backoff.ms`.
    pub backoff_min: Duration,
    /// The longest wait before something that failed is tried again. Default 1 s. Java: `retry.backoff.max.ms`.
    pub backoff_max: Duration,
    /// A topic or partition must have been unknown for so long before it is an error. Default 5 s.
    pub unknown_topic_grace: Duration,
    /// How long a request may take beyond [`max_wait`](Self::max_wait). Default 30 s. Java: `request.timeout.ms`.
    pub request_timeout: Duration,
}

impl Default for ReaderConfig {
    fn default() -> Self {
        Self {
            min_bytes: 1,
            max_bytes: 50 << 20,
            partition_max_bytes: 1 << 20,
            max_wait: Duration::from_millis(500),
            buffer: 32 << 20,
            isolation: Isolation::ReadUncommitted,
            reset: Reset::Error,
            rack: Str::new(),
            check_crcs: true,
            max_decompressed: 128 << 20,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(1),
            unknown_topic_grace: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// Sizes are 32-bit signed numbers on the wire.
const MAX_SIZE: usize = i32::MAX as usize;

impl ReaderConfig {
    /// Whether all settings are within their ranges and fit each other.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config), naming the setting.
    pub fn validate(&self) -> Result<()> {
        between("max_bytes", self.max_bytes, 1024, MAX_SIZE)?;
        between("min_bytes", self.min_bytes, 1, self.max_bytes)?;
        between("partition_max_bytes", self.partition_max_bytes, 1024, self.max_bytes)?;
        between("buffer_bytes", self.buffer, self.partition_max_bytes, usize::MAX)?;
        between("max_decompressed", self.max_decompressed, 1024, usize::MAX)?;
        time("max_wait", self.max_wait)?;
        time("backoff_min", self.backoff_min)?;
        time("backoff_max", self.backoff_max)?;
        time("request_timeout", self.request_timeout)?;
        if self.backoff_max < self.backoff_min {
            return Err(Error::config("backoff_max", "is less than backoff_min"));
        }
        match self.reset {
            Reset::Time(ms) if ms < 0 => Err(Error::config("reset", "a time cannot be negative")),
            _ => Ok(()),
        }
    }
}

fn between(setting: &'static str, value: usize, least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let most = if most == usize::MAX { String::new() } else { format!(" and at most {most}") };
    Err(Error::config(setting, format!("must be at least {least}{most} bytes, not {value}")))
}

/// Waits are 32-bit milliseconds on the wire; less than one would be a spin.
fn time(setting: &'static str, value: Duration) -> Result<()> {
    if (1..=MAX_SIZE as u128).contains(&value.as_millis()) {
        return Ok(());
    }
    Err(Error::config(setting, "must be between 1 ms and 24 days"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn refused(change: impl FnOnce(&mut ReaderConfig)) -> Option<&'static str> {
        let mut config = ReaderConfig::default();
        change(&mut config);
        match config.validate().err()?.kind() {
            ErrorKind::Config { setting, .. } => Some(setting),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_defaults_are_valid_and_each_error_names_its_setting() {
        assert_eq!(refused(|_| ()), None);
        assert_eq!(refused(|c| c.min_bytes = 0), Some("min_bytes"));
        assert_eq!(refused(|c| c.min_bytes = c.max_bytes + 1), Some("min_bytes"));
        assert_eq!(refused(|c| c.max_bytes = MAX_SIZE + 1), Some("max_bytes"));
        assert_eq!(refused(|c| c.partition_max_bytes = 0), Some("partition_max_bytes"));
        assert_eq!(refused(|c| c.buffer = 1), Some("buffer_bytes"));
        assert_eq!(refused(|c| c.max_decompressed = 0), Some("max_decompressed"));
        assert_eq!(refused(|c| c.max_wait = Duration::ZERO), Some("max_wait"));
        assert_eq!(refused(|c| c.backoff_max = Duration::from_millis(1)), Some("backoff_max"));
        assert_eq!(refused(|c| c.backoff_min = Duration::MAX), Some("backoff_min"));
        assert_eq!(refused(|c| c.reset = Reset::Time(-1)), Some("reset"));
    }
}
