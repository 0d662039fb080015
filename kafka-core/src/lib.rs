//! A sans-IO Kafka client: the state machines and the runtime-neutral layer.
