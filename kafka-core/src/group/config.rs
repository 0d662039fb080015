//! The settings of one membership of a consumer group.

use super::assignor::{Assignor, Named, Range, RoundRobin};
use crate::error::{Error, Result};
use crate::settings::draft::Draft;
use crate::settings::pairs;
use kafka_proto::Str;
use std::sync::Arc;
use std::time::Duration;

/// The settings of a membership; [`declare`](crate::declare) says how they are declared.
#[doc(hidden)]
#[macro_export]
macro_rules! group_settings {
    ($then:path) => {
        $then! {
            /// The settings of one membership of a consumer group.
            ///
            /// [`GroupConfig::new`](crate::GroupConfig::new) makes it for a group's name, with all other settings at their defaults;
            /// [`ReaderBuilder::group_config`](crate::ReaderBuilder::group_config) takes it.
            #[derive(Clone, Debug)]
            #[non_exhaustive]
            struct GroupConfig of Group, drafted as group;

            elsewhere group() {
                /// The group.
                group_id: Str = [Str::new(), "none"], "", [by $crate::declare::checks::not_empty], ["group.id"];
            }
            method instance_id(id: impl Into<Str> as Some(id.into())) {
                /// Makes the member static (KIP-345, broker 2.3+). It keeps its partitions over a restart that is shorter than the
                /// session timeout, and does not leave the group when it is closed.
                instance_id: Option<Str> = [None, "none"], "", [by $crate::declare::checks::instance_id], ["group.instance.id"];
            }
            elsewhere rack() {
                /// The rack of this consumer, for assignors that look at it (KIP-881).
                rack: Option<Str> = [None, "none"], "", [by $crate::declare::checks::string], ["client.rack"];
            }
            method session_timeout(timeout: Duration) {
                /// The time without a heartbeat after which the broker gives the member's partitions to others. The member itself
                /// reports them lost by then. Brokers allow 6 s to 30 min unless configured otherwise.
                session_timeout: Duration = [45 s], "time", [time], ["session.timeout.ms"];
            }
            method heartbeat_interval(interval: Duration) {
                /// The time between two heartbeats. Where it was not chosen, a shorter session timeout makes it a third of that.
                heartbeat_interval: Duration = [3 s], "time", [time], ["heartbeat.interval.ms"];
            }
            method rebalance_timeout(timeout: Duration) {
                /// The time that the members have to give up their partitions in a rebalance. The other members wait for an
                /// application that does not call its reader; after this time its partitions are lost. Brokers before 0.10.1 use
                /// the session timeout in its place.
                rebalance_timeout: Duration = [60 s], "time", [time], ["max.poll.interval.ms"];
            }
            only field() {
                /// The time that the broker keeps committed offsets; only brokers 0.9 to 2.0 take it from the client.
                retention: Option<Duration> = [None, "the broker's"], "time", [time], [];
            }
            elsewhere retry_backoff() {
                /// The first pause before a step is tried again.
                backoff_min: Duration = [100 ms], "time", [time], ["retry.backoff.ms"] else client.retry_backoff;
                /// The longest pause before a step is tried again.
                backoff_max: Duration = [1 s], "time", [time], ["retry.backoff.max.ms"] else client.retry_backoff_max;
            }
            only field() {
                /// The pause after an error that a mere repetition will not heal, such as missing rights.
                join_backoff: Duration = [5 s], "time", [time], [];
            }
            elsewhere request_timeout() {
                /// The time that one request may stay unanswered. JoinGroup and SyncGroup, which wait for the other members, have the
                /// rebalance timeout on top.
                request_timeout: Duration = [30 s], "time", [time], ["request.timeout.ms"] else client.request_timeout;
            }
            method assignors(assignors: Vec<Arc<dyn Assignor>>) {
                /// The ways of sharing out partitions that this member offers, the preferred one first. The broker picks one that all
                /// members offer.
                assignors: Vec<Arc<dyn Assignor>> = [vec![Arc::new(Range), Arc::new(RoundRobin)], "`range`, `roundrobin`"], "",
                    [by assignors], ["partition.assignment.strategy"];
            }
            only field() {
                /// Whether it starts a rebalance, as leader, when the number of partitions of a topic changes.
                watch_partitions: bool = [true], "", [], [];
            }
            method commit_timeout(timeout: Duration) {
                /// The time for which a commit is tried again before it fails.
                commit_timeout: Duration = [60 s], "time", [time], ["default.api.timeout.ms"] else client.call_timeout;
            }
        }
    };
}

group_settings!(crate::declare::declare);

impl GroupConfig {
    /// Returns the default settings for this group.
    pub fn new(group_id: impl Into<Str>) -> Self {
        Self { group_id: group_id.into(), ..Self::default() }
    }

    /// Returns whether all settings are within their ranges and fit each other.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config), naming the setting, or both that do not fit each other.
    pub fn validate(&self) -> Result<()> {
        Draft::whole(self.clone()).finish(pairs::group).map(drop)
    }

    /// Asks each assignor for its name, once and for all, so that none is asked under the client's lock.
    pub(crate) fn named(mut self) -> Self {
        for assignor in &mut self.assignors {
            *assignor = Arc::new(Named::new(assignor.clone()));
        }
        self
    }
}

/// Checks that there are assignors, each by a name of its own.
fn assignors(setting: &'static str, value: &[Arc<dyn Assignor>]) -> Result<()> {
    if value.is_empty() {
        return Err(Error::config(setting, "is empty; name at least one"));
    }
    for (i, one) in value.iter().enumerate() {
        if value[..i].iter().any(|other| other.name() == one.name()) {
            return Err(Error::config(setting, format!("has `{}` twice", one.name())));
        }
    }
    Ok(())
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
        assert_eq!(refused(|c| c.backoff_max = Duration::from_millis(50)), "backoff_min");
        assert_eq!(refused(|c| c.assignors.clear()), "assignors");
        assert_eq!(refused(|c| c.assignors.push(Arc::new(Range))), "assignors");
        assert_eq!(refused(|c| c.instance_id = Some("a b".into())), "instance_id");
        assert_eq!(refused(|c| c.instance_id = Some("..".into())), "instance_id");
    }
}
