//! An embedded Kafka broker and test tools.
