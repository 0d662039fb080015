//! The builder of clients.

use crate::address::Address;
use crate::config::ClientConfig;
#[cfg(feature = "record")]
use crate::error::Error;
use crate::error::Result;
use crate::machine::Time;
#[cfg(feature = "record")]
use crate::record::Recorder;
use crate::rt::client::Client;
use crate::rt::driver::run;
use crate::rt::runtime::Runtime;
use crate::rt::shared::{DriverWaker, Handle, Shared};
use crate::settings::draft::{Defaults, Draft};
use crate::settings::{UnusedProperty, pairs, properties};
use kafka_proto::Str;
#[cfg(feature = "record")]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Makes a [`Client`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it connects"]
pub struct ClientBuilder<R> {
    /// Where they were not given as a property.
    addresses: Option<String>,
    pub(crate) client: Draft<ClientConfig>,
    /// What writers and readers begin with.
    defaults: Defaults,
    unused: Vec<UnusedProperty>,
    runtime: Option<R>,
    #[cfg(feature = "record")]
    recording: Recording,
}

/// What is to be recorded.
#[cfg(feature = "record")]
#[derive(Debug, Clone, Default)]
struct Recording {
    path: Option<PathBuf>,
    payloads: bool,
}

impl<R: Runtime> ClientBuilder<R> {
    /// Begins with these addresses: `host:port`, several separated by commas.
    pub fn new(addresses: &str) -> Self {
        Self {
            addresses: Some(addresses.to_owned()),
            client: Draft::default(),
            defaults: Defaults::default(),
            unused: Vec::new(),
            runtime: None,
            #[cfg(feature = "record")]
            recording: Recording::default(),
        }
    }

    /// Begins with properties by the names of Java's producers, consumers and admin clients, such as `bootstrap.servers`, all in
    /// one map. Those of producers and consumers become the defaults of all writers and readers of the client, which the methods of
    /// their builders override. [`parse_properties`](crate::settings::parse_properties) reads them from a file's text, and
    /// [`unused_properties`](Self::unused_properties) reports those that had no effect.
    ///
    /// With `group.id`, readers are members of that group, unless they are given a group of their own, or partitions.
    /// `auto.offset.reset` sets two things: where readers begin ([`ReaderBuilder::start`](super::ReaderBuilder::start)), and what happens
    /// to positions that the log does not have ([`ReaderBuilder::reset`](super::ReaderBuilder::reset)). With `none`, a group that has
    /// committed nothing is an error, as with [`Start::Committed`](crate::Start::Committed).
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) with the name of a property that is malformed or out of its range, or
    /// that asks for security, which this version does not have: `sasl.*`, `ssl.*`, and a `security.protocol` other than PLAINTEXT.
    pub fn from_properties<K: Into<String>, V: Into<String>>(
        properties: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self> {
        let properties::Outcome { client, defaults, unused } = properties::read(properties)?;
        Ok(Self {
            addresses: None,
            client,
            defaults,
            unused,
            runtime: None,
            #[cfg(feature = "record")]
            recording: Recording::default(),
        })
    }

    /// Returns the properties that had no effect, each with the reason; empty where none were given.
    pub fn unused_properties(&self) -> &[UnusedProperty] {
        &self.unused
    }

    /// The runtime to run on, where it is not the one around the call.
    pub fn runtime(mut self, runtime: R) -> Self {
        self.runtime = Some(runtime);
        self
    }

    crate::client_settings!(crate::declare::methods);

    /// Writes what the client does to a file: all that goes into its state machine and comes out, with times. With the file, a bug
    /// can be repeated without the program and its cluster.
    ///
    /// Keys, values and headers of records are replaced by lengths and hashes. Names (of brokers, topics, groups and members),
    /// offsets, notes of commits, what assignors send to each other and the texts of errors are written as they are, and credentials
    /// never. The file must not exist. If the program is killed, the last few milliseconds in which something happened are missing;
    /// when the client has closed, nothing is. A file that cannot be written any more, as on a full disk, ends the recording and
    /// nothing else; with the feature `tracing` that is a warning.
    #[cfg(feature = "record")]
    pub fn record(mut self, path: impl Into<PathBuf>) -> Self {
        self.recording.path = Some(path.into());
        self
    }

    /// Whether a [recording](Self::record) has keys, values and headers as they are. Default: no.
    #[cfg(feature = "record")]
    pub fn record_payloads(mut self, yes: bool) -> Self {
        self.recording.payloads = yes;
        self
    }

    /// Makes the client without waiting for any broker.
    ///
    /// # Errors
    /// An address that cannot be understood, a setting out of its range, two settings that contradict each other, or no runtime
    /// around the call. With the feature `record`, also a file that cannot be made.
    pub fn build(self) -> Result<Client> {
        let mut draft = self.client;
        if let Some(addresses) = self.addresses {
            draft.config.bootstrap = Address::parse_list(&addresses)?;
        }
        let runtime = match self.runtime {
            Some(runtime) => runtime,
            None => R::current()?,
        };
        if !draft.said.has("client_id") {
            draft.config.client_id = runtime.program();
        }
        if !draft.said.has("seed") {
            draft.config.seed = runtime.seed();
        }
        let config = draft.finish(pairs::client)?;
        let defaults = Arc::new(self.defaults.inheriting(&config));
        let (clock, wall, start) = (runtime.clone(), runtime.clone(), runtime.now());
        let clock = move || Time::after_start(clock.now().saturating_duration_since(start));
        let wall = move || wall.wall_ms();
        #[cfg(feature = "record")]
        let shared = match self.recording.recorder(&config)? {
            Some(recorder) => Shared::recorded(config, start, clock, wall, recorder),
            None => Shared::new(config, start, clock, wall),
        };
        #[cfg(not(feature = "record"))]
        let shared = Shared::new(config, start, clock, wall);
        let budget = DriverWaker::default();
        let handle = Handle::new(shared.clone());
        runtime.spawn(run(runtime.clone(), shared, budget.clone()));
        Ok(Client::new(handle, budget, defaults))
    }

    /// Makes the client and waits until a broker has told of the cluster.
    ///
    /// # Errors
    /// As [`build`](Self::build); or that no broker could be reached within the connect timeout, with the reason.
    ///
    /// # Cancel safety
    /// Dropping it drops the client.
    pub async fn connect(self) -> Result<Client> {
        let timeout = self.client.config.connect_timeout;
        let client = self.build()?;
        client.reach(timeout).await?;
        Ok(client)
    }
}

#[cfg(feature = "record")]
impl Recording {
    fn recorder(self, config: &ClientConfig) -> Result<Option<Arc<Recorder>>> {
        let Some(path) = self.path else { return Ok(None) };
        let recorder = Recorder::create(&path, self.payloads, config);
        let failed = |error| Error::config("record", format!("`{}` cannot be made: {error}", path.display()));
        recorder.map(|recorder| Some(Arc::new(recorder))).map_err(failed)
    }
}
