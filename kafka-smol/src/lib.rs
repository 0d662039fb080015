//! A Kafka client on smol and async-std.
