//! What each adapter has at its root: how a client begins, and the names that users need.

/// Re-exports what all adapters have at their roots, so that the paths are the same everywhere.
#[doc(hidden)]
#[macro_export]
macro_rules! names {
    () => {
        #[doc(inline)]
        pub use $crate::{
            Acks, ApiKey, Assignor, Balancer, Batch, Bytes, Cause, ClientCloseReport, CloseReport,
            ClusterDescription, Compression, ConnectionError, Delivered, Error, ErrorCode, ErrorKind, Event,
            Fate, Fault, GroupConfig, Header, Histogram, Idempotence, Isolation, JavaDefault, Manual,
            Message, NewTopic, Node, Partition, Partitions, Pattern, ProducerStats, ReaderBuilder,
            ReaderCloseReport, ReaderConfig, Record, RecordView, Reset, Result, RoundRobin, SendError, Start,
            Stats, Str, Subscription, Topic, TopicPartition, TrySendError, TrySendReason, Uuid, WriteErrors,
            WriterBuilder, WriterConfig, assignor, parse_properties, sans_io, settings, trace,
        };
    };
}

/// Re-exports the handles whose methods are futures.
#[doc(hidden)]
#[macro_export]
macro_rules! handles {
    () => {
        #[doc(inline)]
        pub use $crate::{Client, Delivery, Reader, Writer, WriterSink};
    };
}

/// Makes `ClientBuilder`, `builder`, `connect` and `builder_from_properties` for a runtime.
#[doc(hidden)]
#[macro_export]
macro_rules! front_door {
    ($runtime:ty) => {
        /// Builds a [`Client`]($crate::Client).
        pub type ClientBuilder = $crate::ClientBuilder<$runtime>;

        /// Returns a client's builder with these bootstrap addresses: `host:port`, several separated by commas.
        pub fn builder(addresses: &str) -> ClientBuilder {
            ClientBuilder::new(addresses)
        }

        /// A client with the default settings, as soon as a broker has told of the cluster.
        ///
        /// # Errors
        /// An address that cannot be understood, no runtime around the call, or that no broker could be reached within the connect
        /// timeout, with the reason.
        ///
        /// # Cancel safety
        /// Dropping it drops the client.
        pub async fn connect(addresses: &str) -> $crate::Result<$crate::Client> {
            builder(addresses).connect().await
        }

        /// Returns a client's builder with settings by Java's names: see
        /// [`ClientBuilder::from_properties`]($crate::ClientBuilder::from_properties).
        ///
        /// # Errors
        /// [`ErrorKind::Config`]($crate::ErrorKind::Config) with the name of a property that is malformed or out of its range, or that
        /// asks for TLS or SASL.
        pub fn builder_from_properties<K: Into<String>, V: Into<String>>(
            properties: impl IntoIterator<Item = (K, V)>,
        ) -> $crate::Result<ClientBuilder> {
            ClientBuilder::from_properties(properties)
        }
    };
}
