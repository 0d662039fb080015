//! The settings of one membership of a consumer group.

use super::assignor::{Assignor, Range, RoundRobin};
use crate::error::{Error, Result};
use kafka_proto::Str;
use std::sync::Arc;
use std::time::Duration;

/// The settings of one membership of a consumer group. Java's names are given in brackets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GroupConfig {
    /// The group (`group.id`).
    pub group_id: Str,
    /// Makes the member static (`group.instance.id`, KIP-345, broker 2.3+): it keeps its partitions over a restart that is
    /// shorter than the session timeout, and does not leave the group when it is closed. Default: none.
    pub instance_id: Option<Str>,
    /// The rack of this consumer (`client.rack`), for assignors that look at it (KIP-881). Default: none.
    pub rack: Option<Str>,
    /// Without a heartbeat for this long the broker gives the member's partitions to others (`session.timeout.ms`); the
    /// member itself reports them lost by then. Brokers allow 6 s to 30 min unless configured otherwise. Default 45 s.
    pub session_timeout: Duration,
    /// The time between two heartbeats (`heartbeat.interval.ms`); a third of the session timeout at most is wise. Default 3 s.
    pub heartbeat_interval: Duration,
    /// How long the members have to give up their partitions in a rebalance (in Java `max.poll.interval.ms` serves as it).
    /// Brokers before 0.10.1 use the session timeout in its place. Default 60 s.
    pub rebalance_timeout: Duration,
    /// How long the broker keeps committed offsets; only brokers 0.9 to 2.0 take it from the client. Default: the broker's.
    pub retention: Option<Duration>,
    /// The first pause before a step is tried again (`retry.backoff.ms`). Default 100 ms.
    pub backoff_min: Duration,
    /// The longest pause before a step is tried again (`retry.backoff.max.ms`). Default 1 s.
    pub backoff_max: Duration,
    /// The pause after an error that a mere repetition will not heal, such as missing rights. Default 5 s.
    pub join_backoff: Duration,
    /// How long one request may stay unanswered (`request.timeout.ms`); JoinGroup and SyncGroup, which wait for the
    /// other members, have the rebalance timeout on top. Default 30 s.
    pub request_timeout: Duration,
    /// The ways of sharing out partitions this member offers (`partition.assignment.strategy`), the preferred one first;
    /// the broker picks one that all members offer. Default range, round-robin.
    pub assignors: Vec<Arc<dyn Assignor>>,
    /// As leader, starts a rebalance when the number of partitions of a topic changes. Default true.
    pub watch_partitions: bool,
    /// How long a commit is tried again before it fails (`default.api.timeout.ms`). Default 60 s.
    pub commit_timeout: Duration,
}

impl GroupConfig {
    /// The defaults, for this group.
    pub fn new(group_id: impl Into<Str>) -> Self {
        Self {
            group_id: group_id.into(),
            instance_id: None,
            rack: None,
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            rebalance_timeout: Duration::from_secs(60),
            retention: None,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(1),
            join_backoff: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            assignors: vec![Arc::new(Range), Arc::new(RoundRobin)],
            watch_partitions: true,
            commit_timeout: Duration::from_secs(60),
        }
    }

    /// Whether the settings make sense.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) naming the first setting that does not.
    pub fn validate(&self) -> Result<()> {
        if self.group_id.is_empty() {
            return Err(Error::config("group_id", "is empty"));
        }
        if let Some(id) = &self.instance_id {
            check_instance_id(id)?;
        }
        for (name, value) in self.durations() {
            check_duration(name, value)?;
        }
        if self.heartbeat_interval >= self.session_timeout {
            return Err(Error::config("heartbeat_interval", "must be shorter than session_timeout"));
        }
        if self.backoff_max < self.backoff_min {
            return Err(Error::config("backoff_max", "must not be shorter than backoff_min"));
        }
        self.check_assignors()
    }

    fn durations(&self) -> [(&'static str, Duration); 8] {
        [
            ("session_timeout", self.session_timeout),
            ("heartbeat_interval", self.heartbeat_interval),
            ("rebalance_timeout", self.rebalance_timeout),
            ("backoff_min", self.backoff_min),
            ("backoff_max", self.backoff_max),
            ("join_backoff", self.join_backoff),
            ("request_timeout", self.request_timeout),
            ("commit_timeout", self.commit_timeout),
        ]
    }

    fn check_assignors(&self) -> Result<()> {
        if self.assignors.is_empty() {
            return Err(Error::config("assignors", "is empty; name at least one"));
        }
        for (i, one) in self.assignors.iter().enumerate() {
            if self.assignors[..i].iter().any(|other| other.name() == one.name()) {
                return Err(Error::config("assignors", format!("has `{}` twice", one.name())));
            }
        }
        Ok(())
    }
}

/// The wire has 32 bits of milliseconds.
fn check_duration(name: &'static str, value: Duration) -> Result<()> {
    if value < Duration::from_millis(1) {
        return Err(Error::config(name, "must be at least 1 ms"));
    }
    if value.as_millis() > i32::MAX as u128 {
        return Err(Error::config(name, format!("must be at most {} ms", i32::MAX)));
    }
    Ok(())
}

/// The broker's rule for instance ids is that for names of topics.
fn check_instance_id(id: &Str) -> Result<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let problem = match id.as_ref() as &str {
        "" => "is empty",
        "." | ".." => "must not be `.` or `..`",
        long if long.len() > 249 => "is longer than 249 characters",
        other if !other.chars().all(legal) => "may hold only letters, digits, `.`, `_` and `-`",
        _ => return Ok(()),
    };
    Err(Error::config("instance_id", problem))
}

/// Milliseconds as the wire wants them.
pub(super) fn millis(value: Duration) -> i32 {
    i32::try_from(value.as_millis()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn refused(change: impl FnOnce(&mut GroupConfig)) -> &'static str {
        let mut config = GroupConfig::new("g");
        change(&mut config);
        match config.validate().unwrap_err().kind() {
            ErrorKind::Config { setting, .. } => setting,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn the_defaults_are_valid() {
        GroupConfig::new("g").validate().unwrap();
    }

    #[test]
    fn the_setting_at_fault_is_named() {
        assert_eq!(refused(|c| c.group_id = Str::default()), "group_id");
        assert_eq!(refused(|c| c.session_timeout = Duration::ZERO), "session_timeout");
        assert_eq!(refused(|c| c.rebalance_timeout = Duration::from_secs(1 << 40)), "rebalance_timeout");
        assert_eq!(refused(|c| c.heartbeat_interval = c.session_timeout), "heartbeat_interval");
        assert_eq!(refused(|c| c.backoff_max = Duration::from_millis(50)), "backoff_max");
        assert_eq!(refused(|c| c.assignors.clear()), "assignors");
        assert_eq!(refused(|c| c.assignors.push(Arc::new(Range))), "assignors");
        assert_eq!(refused(|c| c.instance_id = Some("a b".into())), "instance_id");
        assert_eq!(refused(|c| c.instance_id = Some("..".into())), "instance_id");
    }
}
