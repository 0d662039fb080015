//! What every adapter shares: the lock, the wakers, the driver, the connections' tasks and the handles users hold.
//!
//! An adapter implements [`Runtime`] and re-exports the rest. What a writer or reader does is in [`sans_io`](crate::sans_io); here it
//! learns to wait. Futures of handles hold only a ticket: all state is the core's, so dropping one at any poll loses nothing, and
//! one that outlives the last handle ends with an error.

mod admin;
mod builder;
mod client;
mod conn;
mod driver;
#[cfg(all(test, shuttle))]
mod interleavings;
mod outbox;
mod probe;
mod reader;
mod runtime;
mod shared;
mod streams;
mod system;
mod wait;
mod waits;
mod writer;

pub use crate::sans_io::{
    Batch, ClientCloseReport, CloseReport, ReaderCloseReport, TrySendError, TrySendReason,
};
pub use admin::{ClusterDescription, NewTopic};
pub use builder::{ClientBuilder, ReaderBuilder, WriterBuilder};
pub use client::Client;
pub use conn::{Inbound, Outbound, drive_poll};
#[doc(hidden)]
pub use probe::Probe;
pub use reader::{Event, Reader};
pub use runtime::{Runtime, Stream};
pub use streams::WriterSink;
pub use writer::{WriteErrors, Writer};
