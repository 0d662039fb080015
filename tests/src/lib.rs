//! An embedded Kafka broker and test tools.

pub mod real;
