//! Builders of clients, writers and readers: one style, `build()` checks and names what is wrong.

use super::client::Client;
use super::driver::run;
use super::reader::Reader;
use super::runtime::Runtime;
use super::shared::{DriverWaker, Handle, Shared};
use super::writer::Writer;
use crate::client::address::Address;
use crate::client::cluster::TopicPartition;
use crate::client::config::{ClientConfig, at_most};
use crate::client::{ReaderSpec, Subscription};
use crate::error::{Error, Result};
use crate::group::{Assignor, GroupConfig};
use crate::reader::{Isolation, ReaderConfig, Reset, Start};
use crate::writer::{Acks, Balancer, Idempotence, WriterConfig};
use kafka_proto::Str;
use kafka_proto::records::Compression;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// How often `read_message` commits where nothing else is said.
pub(crate) const AUTO_COMMIT_INTERVAL: Duration = Duration::from_secs(5);

/// Makes a [`Client`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it connects"]
pub struct ClientBuilder<R> {
    addresses: String,
    config: ClientConfig,
    seed: Option<u64>,
    runtime: Option<R>,
}

impl<R: Runtime> ClientBuilder<R> {
    pub(super) fn new(addresses: &str) -> Self {
        Self { addresses: addresses.to_owned(), config: ClientConfig::default(), seed: None, runtime: None }
    }

    /// The runtime to run on, where it is not the one around the call.
    pub fn runtime(mut self, runtime: R) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// The name that brokers log and count quotas by. Default `kafka-rs`.
    pub fn client_id(mut self, id: impl Into<Str>) -> Self {
        self.config.client_id = id.into();
        self
    }

    /// From handing a request out to its response. Default 30 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.config.request_timeout = timeout;
        self
    }

    /// From asking for a connection to its being set up. Default 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.connect_timeout = timeout;
        self
    }

    /// What a call may take in all, retries included. Default 60 s.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.config.call_timeout = timeout;
        self
    }

    /// The first and the longest wait before a retry. Default 100 ms and 1 s.
    pub fn retry_backoff(mut self, min: Duration, max: Duration) -> Self {
        (self.config.retry_backoff, self.config.retry_backoff_max) = (min, max);
        self
    }

    /// The first and the longest wait before another attempt to connect. Default 50 ms and 1 s.
    pub fn reconnect_backoff(mut self, min: Duration, max: Duration) -> Self {
        (self.config.reconnect_backoff, self.config.reconnect_backoff_max) = (min, max);
        self
    }

    /// The metadata is refreshed when it is this old. Default 5 min.
    pub fn metadata_max_age(mut self, age: Duration) -> Self {
        self.config.metadata_max_age = age;
        self
    }

    /// A topic must have been unknown for so long before calls fail with it. Default 5 s.
    pub fn unknown_topic_grace(mut self, grace: Duration) -> Self {
        self.config.unknown_topic_grace = grace;
        self
    }

    /// A connection that was not used for so long is closed. Default 9 min.
    pub fn connections_max_idle(mut self, idle: Duration) -> Self {
        self.config.connections_max_idle = idle;
        self
    }

    /// Unanswered requests a connection. Default 5.
    pub fn max_in_flight(mut self, requests: usize) -> Self {
        self.config.max_in_flight = requests;
        self
    }

    /// The largest response that is taken, in bytes; a larger one ends the connection. Default 128 MiB.
    pub fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.config.max_response_bytes = bytes;
        self
    }

    /// Whether brokers may create a topic that is asked for. Default no.
    pub fn allow_auto_topic_creation(mut self, allow: bool) -> Self {
        self.config.allow_auto_topic_creation = allow;
        self
    }

    /// The seed of all randomness, for runs that repeat. Default: from the runtime.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Makes the client without waiting for any broker.
    ///
    /// # Errors
    /// An address that cannot be understood, a setting out of its range, or no runtime around the call.
    pub fn build(self) -> Result<Client<R>> {
        let mut config = self.config;
        config.bootstrap = Address::parse_list(&self.addresses)?;
        let runtime = match self.runtime {
            Some(runtime) => runtime,
            None => R::current()?,
        };
        config.seed = self.seed.unwrap_or_else(|| runtime.seed());
        config.validate()?;
        let clock = runtime.clone();
        let shared = Shared::new(config, move || clock.now());
        let budget = DriverWaker::default();
        let handle = Handle::new(shared.clone());
        runtime.spawn(run(runtime.clone(), shared, budget.clone()));
        Ok(Client::new(handle, budget))
    }

    /// Makes the client and waits until a broker has told of the cluster.
    ///
    /// # Errors
    /// As [`build`](Self::build); or that no broker could be reached within the connect timeout, with the reason.
    ///
    /// # Cancel safety
    /// Dropping it drops the client.
    pub async fn connect(self) -> Result<Client<R>> {
        let timeout = self.config.connect_timeout;
        let client = self.build()?;
        client.reach(timeout).await?;
        Ok(client)
    }
}

/// Makes a [`Writer`], or what an adapter makes of one.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it builds"]
pub struct WriterBuilder<W = Writer> {
    handle: Handle,
    config: WriterConfig,
    made: PhantomData<fn() -> W>,
}

impl<W: From<Writer>> WriterBuilder<W> {
    pub(super) fn new(handle: Handle, topic: Option<Str>) -> Self {
        Self { handle, config: WriterConfig { topic, ..WriterConfig::default() }, made: PhantomData }
    }

    /// The same settings for another form of the handle.
    pub fn making<V: From<Writer>>(self) -> WriterBuilder<V> {
        WriterBuilder { handle: self.handle, config: self.config, made: PhantomData }
    }

    /// Which replicas must have a batch. Default all.
    pub fn acks(mut self, acks: Acks) -> Self {
        self.config.acks = acks;
        self
    }

    /// Whether the broker removes the duplicates of retries. Default where it can.
    pub fn idempotence(mut self, idempotence: Idempotence) -> Self {
        self.config.idempotence = idempotence;
        self
    }

    /// The codec of batches. Default none.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.config.compression = compression;
        self
    }

    /// The codec's level. Default its own.
    pub fn compression_level(mut self, level: i32) -> Self {
        self.config.compression_level = Some(level);
        self
    }

    /// The largest batch, in bytes before compression. Default 1,000,000.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.config.batch_bytes = bytes;
        self
    }

    /// The most messages of a batch. Default no limit.
    pub fn batch_messages(mut self, messages: u32) -> Self {
        self.config.batch_messages = messages;
        self
    }

    /// The largest request, in bytes before compression. Default 8 MiB.
    pub fn request_bytes(mut self, bytes: usize) -> Self {
        self.config.request_bytes = bytes;
        self
    }

    /// How long a record may wait for others while requests are in flight. Default 5 ms.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.config.linger = linger;
        self
    }

    /// The memory that undelivered records may take, in bytes. Default 32 MiB.
    pub fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.config.buffer_bytes = bytes;
        self
    }

    /// From `send` to the end of the delivery, whatever happens. Default 120 s.
    pub fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.config.delivery_timeout = timeout;
        self
    }

    /// How often a batch is sent at most. Default: as often as the delivery timeout allows.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.config.max_attempts = Some(attempts);
        self
    }

    /// Who picks the partition. Default [`JavaDefault`](crate::writer::JavaDefault).
    pub fn balancer(mut self, balancer: impl Balancer + 'static) -> Self {
        self.config.balancer = Arc::new(balancer);
        self
    }

    /// Makes the writer. Nothing is asked of a broker before the first message.
    ///
    /// # Errors
    /// A setting out of its range, by name.
    pub fn build(self) -> Result<W> {
        self.config.validate()?;
        Ok(Writer::new(self.handle, self.config).into())
    }
}

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
    group: Option<GroupConfig>,
    auto_commit: Duration,
    made: PhantomData<fn() -> R>,
}

impl<R: From<Reader>> ReaderBuilder<R> {
    pub(super) fn new(handle: Handle, budget: DriverWaker, topic: Str) -> Self {
        Self {
            handle,
            budget,
            topics: vec![topic],
            partitions: Vec::new(),
            start: Start::First,
            config: ReaderConfig::default(),
            group: None,
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

    /// Where to begin without a group. Default the first offset.
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Reads as a member of this group.
    pub fn group(mut self, id: impl Into<Str>) -> Self {
        self.group = Some(GroupConfig::new(id));
        self
    }

    /// The other settings of the group.
    pub fn group_config(mut self, config: GroupConfig) -> Self {
        self.group = Some(config);
        self
    }

    /// The ways of sharing out partitions, the preferred one first. Default range, round-robin. Only with a group.
    pub fn assignors(mut self, assignors: Vec<Arc<dyn Assignor>>) -> Self {
        if let Some(group) = &mut self.group {
            group.assignors = assignors;
        }
        self
    }

    /// Without a heartbeat for so long the group gives the partitions to others. Default 45 s. Only with a group.
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        if let Some(group) = &mut self.group {
            group.session_timeout = timeout;
        }
        self
    }

    /// The time between heartbeats. Default 3 s. Only with a group.
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        if let Some(group) = &mut self.group {
            group.heartbeat_interval = interval;
        }
        self
    }

    /// How long members have to give up their partitions. Default 60 s. Only with a group.
    pub fn rebalance_timeout(mut self, timeout: Duration) -> Self {
        if let Some(group) = &mut self.group {
            group.rebalance_timeout = timeout;
        }
        self
    }

    /// How often [`Reader::read_message`] commits. Default 5 s.
    pub fn auto_commit_interval(mut self, interval: Duration) -> Self {
        self.auto_commit = interval;
        self
    }

    /// What happens where there is no position. Default an error.
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
        if let Some(group) = &mut self.group {
            group.rack = Some(self.config.rack.clone());
        }
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

    /// How long a broker may wait for records. Default 500 ms.
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.config.max_wait = wait;
        self
    }

    /// The byte budget of what is fetched and not dropped. Default 32 MiB.
    pub fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.config.buffer = bytes;
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
        if let Some(group) = &self.group {
            group.validate()?;
            if !self.partitions.is_empty() {
                return Err(Error::config("partition", "is the group's to choose"));
            }
            return Ok(Subscription::Group(Arc::new(group.clone()), self.topics.clone()));
        }
        let [topic] = &self.topics[..] else {
            return Err(Error::config("topic", "several topics need a group"));
        };
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
