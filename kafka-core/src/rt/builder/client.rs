//! The builder of clients.

use crate::client::address::Address;
use crate::client::config::ClientConfig;
use crate::error::Result;
use crate::machine::Time;
use crate::rt::client::Client;
use crate::rt::driver::run;
use crate::rt::runtime::Runtime;
use crate::rt::shared::{DriverWaker, Handle, Shared};
use kafka_proto::Str;
use std::time::Duration;

/// Makes a [`Client`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it connects"]
pub struct ClientBuilder<R> {
    addresses: String,
    config: ClientConfig,
    client_id: Option<Str>,
    seed: Option<u64>,
    runtime: Option<R>,
}

impl<R: Runtime> ClientBuilder<R> {
    pub(in crate::rt) fn new(addresses: &str) -> Self {
        Self {
            addresses: addresses.to_owned(),
            config: ClientConfig::default(),
            client_id: None,
            seed: None,
            runtime: None,
        }
    }

    /// The runtime to run on, where it is not the one around the call.
    pub fn runtime(mut self, runtime: R) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// The name that brokers log and count quotas by. Default: the name of the program.
    pub fn client_id(mut self, id: impl Into<Str>) -> Self {
        self.client_id = Some(id.into());
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
        config.client_id = self.client_id.unwrap_or_else(|| runtime.program());
        config.seed = self.seed.unwrap_or_else(|| runtime.seed());
        config.validate()?;
        let (clock, wall, start) = (runtime.clone(), runtime.clone(), runtime.now());
        let clock = move || Time::after_start(clock.now().saturating_duration_since(start));
        let shared = Shared::new(config, start, clock, move || wall.wall_ms());
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
