//! A Kafka client on blocking sockets and threads.
