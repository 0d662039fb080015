//! The settings of a reader's fetching.

use crate::error::{Error, Result};
use crate::settings::draft::Draft;
use crate::settings::pairs;
use kafka_proto::Str;
use std::time::Duration;

/// Which records of transactions are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum Isolation {
    /// All, those of open and aborted transactions too (Kafka's default).
    #[default]
    ReadUncommitted,
    /// Only records outside of transactions and those of committed ones; what follows an open transaction waits for its end.
    ReadCommitted,
}

/// What happens where the log does not have the position: it was deleted, was never written, or lies above a truncation.
///
/// Where a group has committed nothing there is no position yet, and [`Start`](crate::Start) decides. If the log was truncated, each
/// policy but `Error` goes back to the first offset that differs, as long as the leader can tell it.
///
/// A reset happens for a proven cause only, and is told: see [`Event::Notice`](crate::Event::Notice).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
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

/// The settings of a reader's fetching; [`declare`](crate::declare) says how they are declared.
#[doc(hidden)]
#[macro_export]
macro_rules! reader_settings {
    ($then:path) => {
        $then! {
            /// The settings of a reader's fetching. Sizes are in bytes.
            #[derive(Clone, Debug, PartialEq)]
            struct ReaderConfig of Reader, drafted as reader;

            method min_bytes(bytes: usize) {
                /// The size from which a broker answers before `max_wait` is over.
                min_bytes: usize = [1], "bytes", [size from 1 byte], ["fetch.min.bytes"];
            }
            method max_bytes(bytes: usize) {
                /// The most that one answer brings. A larger first batch comes whole. It is never more than half of `buffer` divided
                /// by the number of leaders. Where it was not chosen, it is no more than seven eighths of the client's
                /// `max_response_bytes`.
                max_bytes: usize = [50 MiB], "bytes", [size from 1 KiB], ["fetch.max.bytes"];
            }
            method partition_max_bytes(bytes: usize) {
                /// The most of one partition in one answer, and what is kept of it beyond what is being worked on. It is no more
                /// than `max_bytes` and `buffer`.
                partition_max_bytes: usize = [1 MiB], "bytes", [size from 1 KiB], ["max.partition.fetch.bytes"];
            }
            method max_wait(wait: Duration) {
                /// The time that a broker may wait for records. With `min_bytes` of 1 it answers as soon as there is anything, so its
                /// wait becomes longer while nothing comes, up to 8 s; not at a replica that is not the leader, nor at a broker that
                /// was seen to answer only when its time was over, again and again.
                max_wait: Duration = [500 ms], "time", [time], ["fetch.max.wait.ms"];
            }
            method buffer_bytes(bytes: usize) {
                /// The byte budget of all that is fetched and not dropped, compressed as it came. Messages that the application keeps
                /// count with everything that was fetched with them until they are [detached](crate::Record::detach). Where they
                /// take up the budget the reader goes on with small fetches beyond it, and
                /// [reports](crate::error::ErrorKind::BufferKept) how much is kept.
                buffer: usize = [32 MiB], "bytes", [from 1 KiB], [];
            }
            method isolation(isolation: Isolation) {
                /// Which records of transactions are read.
                isolation: Isolation = [Isolation::ReadUncommitted], "", [], ["isolation.level"];
            }
            method reset(reset: Reset) {
                /// What happens where the log does not have the position any more, or not yet; where nothing was committed,
                /// `ReaderBuilder::start` decides instead.
                reset: Reset = [Reset::Error], "", [by reset], ["auto.offset.reset"];
            }
            method rack(rack: impl Into<Str> as rack.into()) {
                /// Where the reader is, so that brokers may send it to a near replica (KIP-392, 2.4+), and assignors may look at it.
                rack: Str = [Str::new(), "none"], "", [by $crate::declare::checks::string], ["client.rack"] also group.rack;
            }
            method check_crcs(check: bool) {
                /// Whether the checksum of each batch is compared.
                check_crcs: bool = [true], "", [], ["check.crcs"];
            }
            method max_decompressed(bytes: usize) {
                /// The largest size of one batch once decompressed.
                max_decompressed: usize = [128 MiB], "bytes", [from 1 KiB], [];
            }
            method retry_backoff(min: Duration, max: Duration) {
                /// The first wait before something that failed is tried again. It doubles up to `backoff_max`.
                backoff_min: Duration = [100 ms], "time", [time], ["retry.backoff.ms"] else client.retry_backoff also group.backoff_min;
                /// The longest wait before something that failed is tried again.
                backoff_max: Duration = [1 s], "time", [time], ["retry.backoff.max.ms"] else client.retry_backoff_max also group.backoff_max;
            }
            method unknown_topic_grace(grace: Duration) {
                /// The time that a topic or partition must have been unknown before it is an error.
                unknown_topic_grace: Duration = [5 s], "time", [time or zero], [] else client.unknown_topic_grace;
            }
            method request_timeout(timeout: Duration) {
                /// The time that a request may stay unanswered. What is meant to wait, such as a fetch for `max_wait`, has its time
                /// on top.
                request_timeout: Duration = [30 s], "time", [time], ["request.timeout.ms"] else client.request_timeout also group.request_timeout;
            }
            method auto_commit_interval(interval: Duration) {
                /// The time between two commits of what `read` gave out or was marked. The other ways of reading commit nothing
                /// by themselves.
                auto_commit_interval: Duration = [5 s], "time", [time or zero], ["auto.commit.interval.ms"];
            }
        }
    };
}

reader_settings!(crate::declare::declare);

impl ReaderConfig {
    /// Returns whether all settings are within their ranges and fit each other. What depends on the client is checked when a
    /// reader is built.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config), naming the setting, or both that do not fit each other.
    pub fn validate(&self) -> Result<()> {
        Draft::whole(self.clone()).finish(|draft| pairs::reader(draft, usize::MAX)).map(drop)
    }
}

/// Checks where a reader goes without a position.
fn reset(setting: &'static str, value: &Reset) -> Result<()> {
    match value {
        Reset::Time(..0) => Err(Error::config(setting, "a time cannot be negative")),
        _ => Ok(()),
    }
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
        assert_eq!(refused(|c| c.max_bytes = 1 << 31), Some("max_bytes"));
        assert_eq!(refused(|c| c.partition_max_bytes = 0), Some("partition_max_bytes"));
        assert_eq!(refused(|c| c.buffer = 1), Some("buffer"));
        assert_eq!(refused(|c| c.max_decompressed = 0), Some("max_decompressed"));
        assert_eq!(refused(|c| c.max_wait = Duration::ZERO), Some("max_wait"));
        assert_eq!(refused(|c| c.backoff_max = Duration::from_millis(1)), Some("backoff_min"));
        assert_eq!(refused(|c| c.backoff_min = Duration::MAX), Some("backoff_min"));
        assert_eq!(refused(|c| c.reset = Reset::Time(-1)), Some("reset"));
    }
}
