//! The client's handle, without `async`, and how one begins.

use crate::park::block_on;
use crate::runtime::Blocking;
use kafka_core as rt;
use kafka_core::settings::UnusedProperty;
use kafka_core::{Result, Str};
use std::time::Duration;

/// A client of one cluster: many writers, readers and calls share its connections and what it knows.
///
/// Everything is as at [`rt::Client`], except that methods wait where those there are futures.
#[derive(Clone, Debug)]
pub struct Client(pub(super) rt::Client);

/// Makes a [`Client`]; the settings are those of [`rt::ClientBuilder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it connects"]
pub struct ClientBuilder(rt::ClientBuilder<Blocking>);

/// Forwards the methods of all settings that `kafka_core::client_settings!` lists.
macro_rules! forward {
    ($(#[$attribute:meta])* struct $config:ident of $part:ident, drafted as $draft:ident;
     $($how:ident $name:ident $arguments:tt $fields:tt)+) => {
        $(forward_one! { $how $name $arguments })+
    };
}

macro_rules! forward_one {
    (method $name:ident ($($argument:ident: $kind:ty $(as $value:expr)?),+)) => {
        #[doc = concat!("See [`rt::ClientBuilder::", stringify!($name), "`].")]
        pub fn $name(self, $($argument: $kind),+) -> Self {
            Self(self.0.$name($($argument),+))
        }
    };
    (elsewhere $name:ident ()) => {};
}

impl ClientBuilder {
    kafka_core::client_settings!(forward);

    /// See [`rt::ClientBuilder::unused_properties`].
    pub fn unused_properties(&self) -> &[UnusedProperty] {
        self.0.unused_properties()
    }

    /// See [`rt::ClientBuilder::record`].
    #[cfg(feature = "record")]
    pub fn record(self, path: impl Into<std::path::PathBuf>) -> Self {
        Self(self.0.record(path))
    }

    /// See [`rt::ClientBuilder::record_payloads`].
    #[cfg(feature = "record")]
    pub fn record_payloads(self, yes: bool) -> Self {
        Self(self.0.record_payloads(yes))
    }

    /// Makes the client without waiting for any broker.
    ///
    /// # Errors
    /// As [`rt::ClientBuilder::build`].
    pub fn build(self) -> Result<Client> {
        self.0.build().map(Client)
    }

    /// Makes the client and waits until a broker has told of the cluster.
    ///
    /// # Errors
    /// As [`rt::ClientBuilder::connect`].
    pub fn connect(self) -> Result<Client> {
        block_on(self.0.connect()).map(Client)
    }
}

/// Returns a client's builder with these bootstrap addresses: `host:port`, several separated by commas.
pub fn builder(addresses: &str) -> ClientBuilder {
    ClientBuilder(rt::ClientBuilder::new(addresses))
}

/// A client with the default settings, as soon as a broker has told of the cluster.
///
/// # Errors
/// As [`rt::ClientBuilder::connect`].
pub fn connect(addresses: &str) -> Result<Client> {
    builder(addresses).connect()
}

/// Returns a client's builder with settings by Java's names: see [`rt::ClientBuilder::from_properties`].
///
/// ```no_run
/// use kafka_blocking::settings::parse_properties;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let text = std::fs::read_to_string("client.properties")?;
/// let builder = kafka_blocking::builder_from_properties(parse_properties(&text)?)?;
/// for unused in builder.unused_properties() {
///     eprintln!("{unused}"); // `lingerms` is unknown, perhaps `linger.ms` is meant
/// }
/// let client = builder.connect()?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`ErrorKind::Config`](crate::ErrorKind::Config) with the name of a property that is malformed or out of its range, or that asks for TLS
/// or SASL.
pub fn builder_from_properties<K: Into<String>, V: Into<String>>(
    properties: impl IntoIterator<Item = (K, V)>,
) -> Result<ClientBuilder> {
    rt::ClientBuilder::from_properties(properties).map(ClientBuilder)
}
