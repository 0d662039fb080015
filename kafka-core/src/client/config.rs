//! What a client can be told, with its defaults.

use super::address::Address;
use crate::error::{Error, Result};
use crate::link::SOFTWARE;
use kafka_proto::Str;
use std::time::Duration;

/// The settings of a client; made by the adapters' builders.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Where to begin.
    pub bootstrap: Vec<Address>,
    /// The name that brokers log and count quotas by. A builder gives the program's name where none is set.
    pub client_id: Str,
    /// From handing a request out to its response.
    pub request_timeout: Duration,
    /// From asking for a connection to its being set up, each address of a name getting its part.
    pub connect_timeout: Duration,
    /// What a call of the application may take in all, retries included.
    pub call_timeout: Duration,
    /// The first wait before a retry.
    pub retry_backoff: Duration,
    /// The longest wait before a retry.
    pub retry_backoff_max: Duration,
    /// The first wait before another attempt to connect to a broker.
    pub reconnect_backoff: Duration,
    /// The longest wait before another attempt to connect to a broker.
    pub reconnect_backoff_max: Duration,
    /// The metadata is refreshed when it is this old.
    pub metadata_max_age: Duration,
    /// A topic must have been unknown for so long before calls fail with it.
    pub unknown_topic_grace: Duration,
    /// A connection that was not used for so long is closed.
    pub connections_max_idle: Duration,
    /// Unanswered requests a connection.
    pub max_in_flight: usize,
    /// The largest response that is taken, in bytes.
    pub max_response_bytes: usize,
    /// Whether brokers may create a topic that is asked for.
    pub allow_auto_topic_creation: bool,
    /// The seed of all randomness; a builder draws one where none is given.
    pub seed: u64,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            bootstrap: Vec::new(),
            client_id: Str::from_static(SOFTWARE),
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(60),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            reconnect_backoff: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_secs(1),
            metadata_max_age: Duration::from_secs(300),
            unknown_topic_grace: Duration::from_secs(5),
            connections_max_idle: Duration::from_secs(540),
            max_in_flight: 5,
            max_response_bytes: 128 << 20,
            allow_auto_topic_creation: false,
            seed: 0,
        }
    }
}

impl ClientConfig {
    /// Whether all settings are within their ranges and fit each other.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config), naming the setting.
    pub fn validate(&self) -> Result<()> {
        if self.bootstrap.is_empty() {
            return Err(Error::config("bootstrap", "at least one address is needed"));
        }
        positive("request_timeout", self.request_timeout)?;
        positive("connect_timeout", self.connect_timeout)?;
        positive("call_timeout", self.call_timeout)?;
        positive("retry_backoff", self.retry_backoff)?;
        positive("reconnect_backoff", self.reconnect_backoff)?;
        positive("metadata_max_age", self.metadata_max_age)?;
        positive("connections_max_idle", self.connections_max_idle)?;
        at_most("unknown_topic_grace", self.unknown_topic_grace)?;
        at_most("retry_backoff_max", self.retry_backoff_max)?;
        at_most("reconnect_backoff_max", self.reconnect_backoff_max)?;
        ordered("retry_backoff_max", self.retry_backoff, self.retry_backoff_max)?;
        ordered("reconnect_backoff_max", self.reconnect_backoff, self.reconnect_backoff_max)?;
        if self.client_id.len() > MAX_STRING {
            return Err(Error::config("client_id", "must not be longer than 32,767 bytes"));
        }
        if self.max_in_flight == 0 {
            return Err(Error::config("max_in_flight", "must be at least 1"));
        }
        if !(1024..=i32::MAX as usize).contains(&self.max_response_bytes) {
            return Err(Error::config("max_response_bytes", "must be between 1 KiB and 2 GiB"));
        }
        Ok(())
    }
}

/// The longest string whose length the older versions of the protocol can write, in bytes.
const MAX_STRING: usize = i16::MAX as usize;
/// Times are 32-bit milliseconds on the wire; and no clock shall overflow.
pub(crate) const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

/// A duration that must not be zero.
pub(crate) fn positive(setting: &'static str, value: Duration) -> Result<()> {
    if value.is_zero() {
        return Err(Error::config(setting, "must be longer than zero"));
    }
    at_most(setting, value)
}

/// A duration that may be zero.
pub(crate) fn at_most(setting: &'static str, value: Duration) -> Result<()> {
    if value > LONGEST { Err(Error::config(setting, "must not be longer than 24 days")) } else { Ok(()) }
}

fn ordered(setting: &'static str, min: Duration, max: Duration) -> Result<()> {
    if max < min { Err(Error::config(setting, "must not be shorter than its first value")) } else { Ok(()) }
}
