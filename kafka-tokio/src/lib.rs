//! A Kafka client on tokio.
