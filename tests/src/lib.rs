//! An embedded Kafka broker and test tools.
//!
//! * [`Cluster`]: brokers in the test's own process, for any Kafka client: there in milliseconds, gone when dropped, any number
//!   side by side. It poses as any release and goes wrong on request.
//! * [`sim`]: the same brokers on a virtual clock and network, for tests of what takes hours or goes wrong once in a thousand times.
//! * [`real`]: Apache Kafka itself, from its jars.
//!
//! # A test on tokio
//!
//! ```
//! use kafka_testkit::Cluster;
//! use kafka_tokio::{Client, ErrorCode, Message};
//! use kafka_proto::ApiKey;
//!
//! # #[tokio::main]
//! # async fn main() { an_order_survives_a_broker().await }
//! // #[tokio::test]
//! async fn an_order_survives_a_broker() {
//!     let cluster = Cluster::builder().nodes(3).topic("orders", 6).kafka_version("2.8").start().unwrap();
//!     let client = kafka_tokio::builder(&cluster.bootstrap()).connect().await.unwrap();
//!     let writer = client.writer("orders").build().unwrap();
//!
//!     // The next attempt to write is refused, and then the broker dies: the client tries again elsewhere.
//!     cluster.fail_next(ApiKey::Produce, ErrorCode::NotEnoughReplicas);
//!     let first = writer.write_all([Message::new("one").key("a")]).await.unwrap();
//!     let partition = first[0].partition;
//!     cluster.kill(cluster.leader("orders", partition).unwrap()).unwrap();
//!     writer.write_all([Message::new("two").key("a")]).await.unwrap();
//!
//!     let log = cluster.log("orders", partition);
//!     let values: Vec<_> = log.iter().map(|record| record.value.as_deref().unwrap()).collect();
//!     assert_eq!(values, [&b"one"[..], b"two"]);
//! }
//! ```
//!
//! # A test without a runtime
//!
//! ```
//! use kafka_blocking::Message;
//! use kafka_testkit::Cluster;
//!
//! # fn main() { a_member_goes_on_where_the_last_one_was() }
//! // #[test]
//! fn a_member_goes_on_where_the_last_one_was() {
//!     let cluster = Cluster::builder().topic("orders", 1).start().unwrap();
//!     let client = kafka_blocking::builder(&cluster.bootstrap()).connect().unwrap();
//!     let writer = client.writer("orders").build().unwrap();
//!     writer.write_all(["one", "two"].map(Message::new)).unwrap();
//!
//!     for expected in ["one", "two"] {
//!         let mut reader = client.reader("orders").group("billing").build().unwrap();
//!         let order = reader.fetch().unwrap().unwrap();
//!         assert_eq!(order.value.as_deref(), Some(expected.as_bytes()));
//!         reader.commit([&order]).unwrap();
//!         reader.close(std::time::Duration::from_secs(5)).into_result().unwrap();
//!     }
//!     assert_eq!(cluster.committed("billing", "orders", 0), Some(2));
//!
//!     // What an administrator and time do is done on request.
//!     cluster.with(|cluster, _| cluster.delete_records("orders", 0, 1)).unwrap();
//!     assert_eq!(cluster.log("orders", 0).len(), 1);
//! }
//! ```

#![forbid(unsafe_code)]

pub mod broker;
mod cluster_handle;
pub mod fuzz;
#[cfg(feature = "quickstart")]
pub mod quickstart;
pub mod real;
mod serve;
pub mod sim;

pub use cluster_handle::{Cluster, ClusterBuilder, StartError};

/// The programs of the README compile, and those that need no broker run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
