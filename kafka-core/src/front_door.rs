//! What each adapter has at its root: how a client begins.

/// Makes `ClientBuilder`, `builder`, `connect` and `builder_from_properties` for a runtime.
#[doc(hidden)]
#[macro_export]
macro_rules! front_door {
    ($runtime:ty) => {
        /// Makes a [`Client`]($crate::rt::Client).
        pub type ClientBuilder = $crate::rt::ClientBuilder<$runtime>;

        /// A client to be, which begins with these addresses: `host:port`, several separated by commas.
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
        pub async fn connect(addresses: &str) -> $crate::Result<$crate::rt::Client> {
            builder(addresses).connect().await
        }

        /// A client to be, by the names of Java's settings: see
        /// [`ClientBuilder::from_properties`]($crate::rt::ClientBuilder::from_properties).
        ///
        /// # Errors
        /// As there.
        pub fn builder_from_properties<K: Into<String>, V: Into<String>>(
            properties: impl IntoIterator<Item = (K, V)>,
        ) -> $crate::Result<ClientBuilder> {
            ClientBuilder::from_properties(properties)
        }
    };
}
