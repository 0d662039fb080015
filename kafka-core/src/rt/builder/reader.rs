//! The builder of readers.

use crate::client::config::at_most;
use crate::error::{Error, Result};
use crate::group::{Assignor, GroupConfig};
use crate::reader::{Isolation, ReaderConfig, Reset, Start};
use crate::reading::{self, ReaderSpec, Subscription};
use crate::rt::reader::Reader;
use crate::rt::shared::{DriverWaker, Handle};
use crate::snapshot::TopicPartition;
use kafka_proto::Str;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// How often `read_message` commits where nothing else is said.
pub(crate) const AUTO_COMMIT_INTERVAL: Duration = Duration::from_secs(5);

/// Makes a [`Reader`], or what an adapter makes of one.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it builds"]
pub struct ReaderBuilder<R = Reader> {
    handle: Handle,
    budget: DriverWaker,
    topics: Vec<Str>,
    partitions: Vec<i32>,
    start: Start,
    config: ReaderConfig,
    group: GroupConfig,
    in_group: bool,
    /// The first setting that means something in a group only.
    needs_group: Option<&'static str>,
    auto_commit: Duration,
    made: PhantomData<fn() -> R>,
}

impl<R: From<Reader>> ReaderBuilder<R> {
    pub(in crate::rt) fn new(handle: Handle, budget: DriverWaker, topic: Str) -> Self {
        let (config, group) = handle.with(|state| reading::defaults(state.core.config()));
        Self {
            handle,
            budget,
            topics: vec![topic],
            partitions: Vec::new(),
            start: Start::First,
            config,
            group,
            in_group: false,
            needs_group: None,
            auto_commit: AUTO_COMMIT_INTERVAL,
            made: PhantomData,
        }
    }

    /// The same settings for another form of the handle.
    pub fn making<S: From<Reader>>(self) -> ReaderBuilder<S> {
        ReaderBuilder {
            handle: self.handle,
            budget: self.budget,
            topics: self.topics,
            partitions: self.partitions,
            start: self.start,
            config: self.config,
            group: self.group,
            in_group: self.in_group,
            needs_group: self.needs_group,
            auto_commit: self.auto_commit,
            made: PhantomData,
        }
    }

    /// Reads this partition only; may be called several times. Default all. Not with a group.
    pub fn partition(mut self, partition: i32) -> Self {
        self.partitions.push(partition);
        self
    }

    /// Reads another topic as well. Only with a group.
    pub fn topic(mut self, topic: impl Into<Str>) -> Self {
        self.topics.push(topic.into());
        self
    }

    /// Where to begin; in a group only with what it has committed nothing of. Default the first offset. Offsets and times cannot be
    /// negative. kafka-go: `StartOffset`. Java: `auto.offset.reset`, which is [`reset`](Self::reset) as well.
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Reads as a member of this group.
    pub fn group(mut self, id: impl Into<Str>) -> Self {
        self.group.group_id = id.into();
        self.in_group = true;
        self
    }

    /// All settings of the group at once, in place of those made before.
    pub fn group_config(mut self, config: GroupConfig) -> Self {
        self.group = config;
        self.in_group = true;
        self
    }

    /// The ways of sharing out partitions, the preferred one first. Default range, round-robin. Only with a group.
    pub fn assignors(self, assignors: Vec<Arc<dyn Assignor>>) -> Self {
        self.of_group("assignors", |group| group.assignors = assignors)
    }

    /// Makes the member static (KIP-345, 2.3+): it keeps its partitions over a restart that is shorter than the session
    /// timeout. Default none. Only with a group.
    pub fn instance_id(self, id: impl Into<Str>) -> Self {
        self.of_group("instance_id", |group| group.instance_id = Some(id.into()))
    }

    /// Without a heartbeat for so long the group gives the partitions to others. Default 45 s. Only with a group.
    pub fn session_timeout(self, timeout: Duration) -> Self {
        self.of_group("session_timeout", |group| group.session_timeout = timeout)
    }

    /// The time between heartbeats. Default 3 s. Only with a group.
    pub fn heartbeat_interval(self, interval: Duration) -> Self {
        self.of_group("heartbeat_interval", |group| group.heartbeat_interval = interval)
    }

    /// How long members have to give up their partitions. Default 60 s. Only with a group. In a rebalance the other members
    /// wait for an application that does not call its reader; after this time the partitions are lost.
    pub fn rebalance_timeout(self, timeout: Duration) -> Self {
        self.of_group("rebalance_timeout", |group| group.rebalance_timeout = timeout)
    }

    /// How long a commit is tried before it fails. Default the client's call timeout, 60 s. Only with a group.
    pub fn commit_timeout(self, timeout: Duration) -> Self {
        self.of_group("commit_timeout", |group| group.commit_timeout = timeout)
    }

    fn of_group(mut self, name: &'static str, set: impl FnOnce(&mut GroupConfig)) -> Self {
        set(&mut self.group);
        self.needs_group.get_or_insert(name);
        self
    }

    /// How often what was read by [`Reader::read_message`] or [marked](Reader::mark) is committed. Default 5 s.
    pub fn auto_commit_interval(mut self, interval: Duration) -> Self {
        self.auto_commit = interval;
        self
    }

    /// What happens where the log does not have the position any more, or not yet. Default an error.
    pub fn reset(mut self, reset: Reset) -> Self {
        self.config.reset = reset;
        self
    }

    /// Which records of transactions are read. Default all.
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.config.isolation = isolation;
        self
    }

    /// Where the reader is, so that brokers may send it to a near replica (2.4+), and assignors may look at it. Default none.
    pub fn rack(mut self, rack: impl Into<Str>) -> Self {
        self.config.rack = rack.into();
        self.group.rack = Some(self.config.rack.clone());
        self
    }

    /// Whether the checksum of each batch is compared. Default yes.
    pub fn check_crcs(mut self, check: bool) -> Self {
        self.config.check_crcs = check;
        self
    }

    /// The largest size of one batch once decompressed, in bytes. Default 128 MiB.
    pub fn max_decompressed(mut self, bytes: usize) -> Self {
        self.config.max_decompressed = bytes;
        self
    }

    /// A broker answers once it has so many bytes. Default 1.
    pub fn min_bytes(mut self, bytes: usize) -> Self {
        self.config.min_bytes = bytes;
        self
    }

    /// The most that one answer brings, in bytes. Default 50 MiB.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.config.max_bytes = bytes;
        self
    }

    /// The most of one partition in one answer, in bytes. Default 1 MiB.
    pub fn partition_max_bytes(mut self, bytes: usize) -> Self {
        self.config.partition_max_bytes = bytes;
        self
    }

    /// How long a broker may wait for records. Default 500 ms. With `min_bytes` of 1 it answers as soon as there is
    /// anything, so its wait becomes longer while nothing comes, up to 8 s; not at a replica that is not the leader, nor at a
    /// broker that was seen to answer only when its time was over, again and again.
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.config.max_wait = wait;
        self
    }

    /// The byte budget of what is fetched and not dropped. Default 32 MiB. Messages that the application keeps count with
    /// everything that was fetched with them until they are [detached](crate::Message::detach). Where they take up the budget the
    /// reader goes on with small fetches beyond it, and [reports](crate::error::ErrorKind::BufferKept) how much is kept.
    pub fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.config.buffer = bytes;
        self
    }

    /// The first and the longest pause before something that failed is tried again. Default the client's, 100 ms and 1 s.
    pub fn retry_backoff(mut self, min: Duration, max: Duration) -> Self {
        (self.config.backoff_min, self.config.backoff_max) = (min, max);
        (self.group.backoff_min, self.group.backoff_max) = (min, max);
        self
    }

    /// How long a request may stay unanswered; what is meant to wait has its time on top. Default the client's, 30 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.config.request_timeout = timeout;
        self.group.request_timeout = timeout;
        self
    }

    /// A topic or partition must have been unknown for so long before it is an error. Default the client's, 5 s.
    pub fn unknown_topic_grace(mut self, grace: Duration) -> Self {
        self.config.unknown_topic_grace = grace;
        self
    }

    /// Makes the reader, which begins to read, or to join its group, at once.
    ///
    /// # Errors
    /// A setting out of its range, by name.
    pub fn build(self) -> Result<R> {
        self.config.validate()?;
        at_most("auto_commit_interval", self.auto_commit)?;
        let subscription = self.subscription()?;
        let spec = ReaderSpec { config: Arc::new(self.config), subscription };
        Ok(Reader::new(self.handle, &self.budget, spec, self.auto_commit).into())
    }

    fn subscription(&self) -> Result<Subscription> {
        if self.topics.iter().any(|t| t.is_empty()) {
            return Err(Error::config("topic", "must not be empty"));
        }
        if self.in_group {
            self.group.validate()?;
            self.start.validate().map_err(|error| Error::config("start", error.kind().to_string()))?;
            if !self.partitions.is_empty() {
                return Err(Error::config("partition", "is the group's to choose"));
            }
            return Ok(Subscription::Group(Arc::new(self.group.clone()), self.topics.clone(), self.start));
        }
        if let Some(setting) = self.needs_group {
            return Err(Error::config(setting, "means nothing without a group"));
        }
        let [topic] = &self.topics[..] else {
            return Err(Error::config("topic", "several topics need a group"));
        };
        self.start.validate().map_err(|error| Error::config("start", error.kind().to_string()))?;
        if self.start == Start::Committed {
            return Err(Error::config("start", "at what was committed means nothing without a group"));
        }
        if self.partitions.iter().any(|p| *p < 0) {
            return Err(Error::config("partition", "must not be negative"));
        }
        if self.partitions.is_empty() {
            return Ok(Subscription::Topic(topic.clone(), self.start));
        }
        let one = |p: &i32| (TopicPartition::new(topic.clone(), *p), self.start);
        Ok(Subscription::Partitions(self.partitions.iter().map(one).collect()))
    }
}
