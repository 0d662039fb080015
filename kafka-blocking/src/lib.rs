//! A Kafka client on blocking sockets and plain threads: no async runtime behind it, and nothing to `await`.
//!
//! The client itself is [`kafka_core`]; its handles are the same as on every other runtime, without the `async`:
//!
//! ```no_run
//! use kafka_blocking::Message;
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = kafka_blocking::builder("localhost:9092").allow_auto_topic_creation(true).connect()?;
//! let writer = client.writer("orders").build()?;
//! writer.write(Message::new("hello").key("k"))?; // waits for the ack
//! let delivery = writer.send(Message::new("pipelined"))?; // waits only for room
//! println!("{:?}", delivery.wait()?);
//!
//! let mut reader = client.reader("orders").group("billing").build()?;
//! while let Some(record) = reader.fetch()? {
//!     reader.commit([&record])?;
//! }
//! reader.close(Duration::from_secs(5)).into_result()?;
//! # Ok(()) }
//! ```
//!
//! Waiting for the next message has no deadline; the methods whose names end in `_within` have one.
//!
//! # Threads
//! A client has one thread for its timers, heartbeats among them, and each connection two: one reads, one writes. So
//! nothing depends on how often the application calls. Heavy work has short-lived threads of its own, no more than there
//! are processors. Closing or dropping the client shuts its sockets down, and all of them end at once; only a name lookup
//! or an attempt to connect that is under way ends by itself, at the latest by the time limit of the system and the client.
//!
//! # Inside async code
//! The methods park the calling thread. In a task of an async runtime that stops the tasks beside it, so call them
//! there by what the runtime has for blocking work (tokio's `spawn_blocking`), or use the adapter for that runtime.
//!
//! # Features
//!
//! | feature | what it does | default |
//! |---|---|---|
//! | `gzip`, `snappy`, `lz4` | the codec of this name | on |
//! | `zstd` | the codec zstd; needs a C compiler | on |
//! | `tracing` | emits the events of [`trace`] for the crate `tracing` | off |
//! | `record` | `ClientBuilder::record`, which writes what a client does to a file | off |

#![forbid(unsafe_code)]

mod handles;
mod jobs;
mod park;
mod runtime;
mod threads;

pub use handles::{
    Client, ClientBuilder, Delivery, Reader, Records, Writer, builder, builder_from_properties, connect,
};
pub use runtime::Blocking;
pub use threads::live_threads;

kafka_core::names!();
