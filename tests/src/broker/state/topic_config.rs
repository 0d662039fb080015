//! The settings of a topic: Kafka's names and checks, and the values the broker acts on.

use std::collections::BTreeMap;

use crate::broker::release::Release;

/// A setting of a topic that does not exist or a value it cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No topic setting has this name.
    #[error("Unknown topic config name: {0}")]
    Unknown(String),
    /// The value does not fit the setting.
    #[error("Invalid value {value} for configuration {name}")]
    Invalid {
        /// The setting.
        name: String,
        /// What it cannot be.
        value: String,
    },
}

/// How a setting's value is written; the codes are those of DescribeConfigs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean = 1,
    String = 2,
    Int = 3,
    Long = 5,
    Double = 6,
    List = 7,
}

struct Setting {
    name: &'static str,
    kind: Kind,
    default: &'static str,
}

const fn setting(name: &'static str, kind: Kind, default: &'static str) -> Setting {
    Setting { name, kind, default }
}

/// Every topic setting; those the broker has no use for are kept and shown only.
static SETTINGS: &[Setting] = &[
    setting("cleanup.policy", Kind::List, "delete"),
    setting("compression.type", Kind::String, "producer"),
    setting("delete.retention.ms", Kind::Long, "86400000"),
    setting("file.delete.delay.ms", Kind::Long, "60000"),
    setting("flush.messages", Kind::Long, "9223372036854775807"),
    setting("flush.ms", Kind::Long, "9223372036854775807"),
    setting("index.interval.bytes", Kind::Int, "4096"),
    setting("max.compaction.lag.ms", Kind::Long, "9223372036854775807"),
    setting("max.message.bytes", Kind::Int, "1048588"),
    setting("message.timestamp.after.max.ms", Kind::Long, "9223372036854775807"),
    setting("message.timestamp.before.max.ms", Kind::Long, "9223372036854775807"),
    setting("message.timestamp.difference.max.ms", Kind::Long, "9223372036854775807"),
    setting("message.timestamp.type", Kind::String, "CreateTime"),
    setting("min.cleanable.dirty.ratio", Kind::Double, "0.5"),
    setting("min.compaction.lag.ms", Kind::Long, "0"),
    setting("min.insync.replicas", Kind::Int, "1"),
    setting("preallocate", Kind::Boolean, "false"),
    setting("retention.bytes", Kind::Long, "-1"),
    setting("retention.ms", Kind::Long, "604800000"),
    setting("segment.bytes", Kind::Int, "1073741824"),
    setting("segment.index.bytes", Kind::Int, "10485760"),
    setting("segment.jitter.ms", Kind::Long, "0"),
    setting("segment.ms", Kind::Long, "604800000"),
    setting("unclean.leader.election.enable", Kind::Boolean, "false"),
];

/// What DescribeConfigs shows of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown<'a> {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) value: &'a str,
    pub(crate) default: &'a str,
    pub(crate) is_default: bool,
}

/// The settings of one topic: defaults of the cluster, what the topic overrides, and both as numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TopicConfig {
    defaults: BTreeMap<&'static str, String>,
    overrides: BTreeMap<&'static str, String>,
    pub(crate) compact: bool,
    pub(crate) delete: bool,
    pub(crate) compression: String,
    pub(crate) max_message_bytes: i64,
    pub(crate) timestamp_after_max_ms: i64,
    pub(crate) timestamp_before_max_ms: i64,
    pub(crate) log_append_time: bool,
    pub(crate) min_insync_replicas: i64,
    pub(crate) retention_bytes: i64,
    pub(crate) retention_ms: i64,
    pub(crate) unclean_leader_election: bool,
}

impl TopicConfig {
    /// The defaults of a release.
    pub(crate) fn of_release(release: Release) -> TopicConfig {
        let mut defaults: BTreeMap<_, _> =
            SETTINGS.iter().map(|setting| (setting.name, setting.default.to_owned())).collect();
        if release >= Release::V4_0 {
            defaults.remove("message.timestamp.difference.max.ms");
            defaults.insert("message.timestamp.after.max.ms", "3600000".to_owned()); // KIP-1030
        } else if release < Release::V2_5 {
            defaults.insert("max.message.bytes", "1000012".to_owned());
        }
        let mut config = TopicConfig {
            defaults,
            overrides: BTreeMap::new(),
            compact: false,
            delete: true,
            compression: String::new(),
            max_message_bytes: 0,
            timestamp_after_max_ms: 0,
            timestamp_before_max_ms: 0,
            log_append_time: false,
            min_insync_replicas: 1,
            retention_bytes: -1,
            retention_ms: -1,
            unclean_leader_election: false,
        };
        config.read_values();
        config
    }

    /// The same with other defaults; what is no valid setting is left out.
    pub(crate) fn with_valid(mut self, defaults: &[(String, String)]) -> TopicConfig {
        for (name, value) in defaults {
            if let Ok(setting) = check(name, value) {
                self.defaults.insert(setting.name, value.clone());
            }
        }
        self.read_values();
        self
    }

    /// Overrides one setting, or with `None` goes back to its default.
    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), ConfigError> {
        match value {
            Some(value) => {
                let setting = check(name, value)?;
                self.overrides.insert(setting.name, value.to_owned());
            }
            None => {
                let setting = find(name)?;
                self.overrides.remove(setting.name);
            }
        }
        self.read_values();
        Ok(())
    }

    /// Goes back to the defaults.
    pub(crate) fn clear(&mut self) {
        self.overrides.clear();
        self.read_values();
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.overrides.get(name).or_else(|| self.defaults.get(name)).map(String::as_str)
    }

    /// Every setting in the order of the names.
    pub(crate) fn shown(&self) -> impl Iterator<Item = Shown<'_>> {
        SETTINGS.iter().filter_map(|setting| {
            let default = self.defaults.get(setting.name)?;
            let over = self.overrides.get(setting.name);
            Some(Shown {
                name: setting.name,
                kind: setting.kind,
                value: over.unwrap_or(default),
                default,
                is_default: over.is_none(),
            })
        })
    }

    fn read_values(&mut self) {
        let number = |name: &str| self.get(name).and_then(|value| value.parse().ok()).unwrap_or(i64::MAX);
        let policy = self.get("cleanup.policy").unwrap_or_default();
        let difference = number("message.timestamp.difference.max.ms");
        let read = TopicConfig {
            compact: policy.split(',').any(|word| word.trim() == "compact"),
            delete: policy.split(',').any(|word| word.trim() == "delete"),
            compression: self.get("compression.type").unwrap_or_default().to_owned(),
            max_message_bytes: number("max.message.bytes"),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms").min(difference),
            timestamp_before_max_ms: number("message.timestamp.before.max.ms").min(difference),
            log_append_time: self.get("message.timestamp.type") == Some("LogAppendTime"),
            min_insync_replicas: number("min.insync.replicas"),
            retention_bytes: number("retention.bytes"),
            retention_ms: number("retention.ms"),
            unclean_leader_election: self.get("unclean.leader.election.enable") == Some("true"),
            defaults: BTreeMap::new(),
            overrides: BTreeMap::new(),
        };
        let defaults = std::mem::take(&mut self.defaults);
        let overrides = std::mem::take(&mut self.overrides);
        *self = TopicConfig { defaults, overrides, ..read };
    }
}

fn find(name: &str) -> Result<&'static Setting, ConfigError> {
    SETTINGS.iter().find(|setting| setting.name == name).ok_or_else(|| ConfigError::Unknown(name.to_owned()))
}

fn check(name: &str, value: &str) -> Result<&'static Setting, ConfigError> {
    let setting = find(name)?;
    let at_least = |least: i64| value.parse::<i64>().is_ok_and(|number| number >= least);
    let valid = match (setting.name, setting.kind) {
        ("cleanup.policy", _) => {
            value.split(',').all(|word| matches!(word.trim(), "delete" | "compact" | ""))
        }
        ("compression.type", _) => {
            matches!(value, "producer" | "uncompressed" | "none" | "gzip" | "snappy" | "lz4" | "zstd")
        }
        ("message.timestamp.type", _) => matches!(value, "CreateTime" | "LogAppendTime"),
        ("min.insync.replicas", _) => at_least(1),
        ("retention.bytes" | "retention.ms", _) => at_least(-1),
        (_, Kind::Int) => at_least(0) && value.parse::<i32>().is_ok(),
        (_, Kind::Long) => at_least(0),
        (_, Kind::Double) => value.parse::<f64>().is_ok(),
        (_, Kind::Boolean) => matches!(value, "true" | "false"),
        (_, Kind::String | Kind::List) => true,
    };
    let invalid = || ConfigError::Invalid { name: name.to_owned(), value: value.to_owned() };
    valid.then_some(setting).ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_overrides_and_goes_back_to_the_default() {
        let base = TopicConfig::of_release(Release::NEWEST);
        let mut config =
            base.with_valid(&[("retention.ms".into(), "5".into()), ("nonsense".into(), "1".into())]);
        assert_eq!(config.retention_ms, 5);
        config.set("retention.ms", Some("9")).unwrap();
        config.set("cleanup.policy", Some("compact,delete")).unwrap();
        assert_eq!((config.retention_ms, config.compact, config.delete), (9, true, true));
        let shown = config.shown().find(|shown| shown.name == "retention.ms").unwrap();
        assert_eq!((shown.value, shown.default, shown.is_default), ("9", "5", false));
        config.set("retention.ms", None).unwrap();
        assert_eq!(config.retention_ms, 5);
    }

    #[test]
    fn wrong_names_and_values_are_told_apart() {
        let mut config = TopicConfig::of_release(Release::NEWEST);
        assert_eq!(config.set("colour", Some("red")), Err(ConfigError::Unknown("colour".into())));
        for (name, value) in [
            ("max.message.bytes", "-1"),
            ("cleanup.policy", "burn"),
            ("min.insync.replicas", "0"),
            ("preallocate", "yes"),
        ] {
            assert!(matches!(config.set(name, Some(value)), Err(ConfigError::Invalid { .. })), "{name}");
        }
    }
}
