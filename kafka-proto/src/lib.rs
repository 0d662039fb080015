//! The Kafka wire protocol: every request and response in every version from 0.10 to 4.4, record batches and codecs.
