//! What a client can be told, with its defaults.

use crate::address::Address;
use crate::error::{Error, Result};
use crate::link::SOFTWARE;
use crate::settings::draft::Draft;
use crate::settings::pairs;
use kafka_proto::Str;
use std::time::Duration;

/// The settings of a client; [`declare`](crate::declare) says how they are declared, and adapters take their builders'
/// methods from here as well.
#[doc(hidden)]
#[macro_export]
macro_rules! client_settings {
    ($then:path) => {
        $then! {
            /// The settings of a client; made by the adapters' builders.
            #[derive(Clone, Debug)]
            struct ClientConfig of Client, drafted as client;

            elsewhere builder() {
                /// The addresses of brokers by which to find the cluster.
                bootstrap: Vec<Address> = [Vec::new(), "must be given"], "", [by addresses], ["bootstrap.servers"];
            }
            method client_id(id: impl Into<Str> as id.into()) {
                /// The name that brokers log and count quotas by.
                client_id: Str = [Str::from_static(SOFTWARE), "the program's name"], "", [by $crate::declare::checks::string], ["client.id"];
            }
            method request_timeout(timeout: Duration) {
                /// The time from handing a request out to its response.
                request_timeout: Duration = [30 s], "time", [time], ["request.timeout.ms"];
            }
            method connect_timeout(timeout: Duration) {
                /// The time from asking for a connection to its being set up. Each address of a name gets its part.
                connect_timeout: Duration = [10 s], "time", [time], ["socket.connection.setup.timeout.ms"];
            }
            method call_timeout(timeout: Duration) {
                /// The time that a call of the application may take in all, retries included.
                call_timeout: Duration = [60 s], "time", [time], ["default.api.timeout.ms"];
            }
            method retry_backoff(min: Duration, max: Duration) {
                /// The first wait before a retry.
                retry_backoff: Duration = [100 ms], "time", [time], ["retry.backoff.ms"];
                /// The longest wait before a retry.
                retry_backoff_max: Duration = [1 s], "time", [time], ["retry.backoff.max.ms"];
            }
            method reconnect_backoff(min: Duration, max: Duration) {
                /// The first wait before another attempt to connect to a broker.
                reconnect_backoff: Duration = [50 ms], "time", [time], ["reconnect.backoff.ms"];
                /// The longest wait before another attempt to connect to a broker.
                reconnect_backoff_max: Duration = [1 s], "time", [time], ["reconnect.backoff.max.ms"];
            }
            method metadata_max_age(age: Duration) {
                /// The age at which metadata is refreshed.
                metadata_max_age: Duration = [5 min], "time", [time], ["metadata.max.age.ms"];
            }
            method unknown_topic_grace(grace: Duration) {
                /// The time that a topic must have been unknown before calls fail with it.
                unknown_topic_grace: Duration = [5 s], "time", [time or zero], [];
            }
            method connections_max_idle(idle: Duration) {
                /// The time after which a connection that is not used is closed.
                connections_max_idle: Duration = [9 min], "time", [time], ["connections.max.idle.ms"];
            }
            method max_in_flight(requests: usize) {
                /// The most unanswered requests per connection.
                max_in_flight: usize = [5], "requests", [from 1], ["max.in.flight.requests.per.connection"];
            }
            method max_response_bytes(bytes: usize) {
                /// The largest response that is taken. A larger one ends the connection, so that readers never ask for more.
                max_response_bytes: usize = [128 MiB], "bytes", [size from 1 KiB], [];
            }
            method allow_auto_topic_creation(allow: bool) {
                /// Whether brokers may create a topic that is asked for.
                allow_auto_topic_creation: bool = [false], "", [], ["allow.auto.create.topics"];
            }
            method seed(seed: u64) {
                /// The seed of all randomness, for runs that repeat.
                seed: u64 = [0, "from the runtime"], "", [], [];
            }
        }
    };
}

client_settings!(crate::declare::declare);

impl ClientConfig {
    /// Returns whether all settings are within their ranges and fit each other.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config), naming the setting, or both that do not fit each other.
    pub fn validate(&self) -> Result<()> {
        Draft::whole(self.clone()).finish(pairs::client).map(drop)
    }
}

/// Checks that there is somewhere to begin.
fn addresses(setting: &'static str, value: &[Address]) -> Result<()> {
    if value.is_empty() { Err(Error::config(setting, "at least one address is needed")) } else { Ok(()) }
}
