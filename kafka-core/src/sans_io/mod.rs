//! The client by hand: state machines without socket, clock, thread or source of randomness.
//!
//! The handles of the adapters wait for you: they have tasks, a lock and wakers. This module is what lies below them, for programs that
//! own their loop: an event loop of their own, a simulator, a test without sockets. It knows no `async`. The same inputs give
//! the same outputs on every machine.
//!
//! Each adapter re-exports this module: `kafka_tokio::sans_io` is `kafka_core::sans_io`. A program that drives the client by hand needs
//! no adapter. It depends on kafka-core, and on kafka-proto for the requests of [`Client::call`]; the examples here use their paths:
//!
//! ```toml
//! [dependencies]
//! kafka-core = { path = "../kafka/kafka-core" }
//! kafka-proto = { path = "../kafka/kafka-proto" }
//! ```
//!
//! | | |
//! |---|---|
//! | [`Client`] | the client state machine: one for all writers, readers and calls of a program |
//! | [`Writer`], [`Reader`], [`Call`] | what the application holds; each method takes the client for as long as it runs |
//! | [`link`] | one connection: requests become bytes, and bytes become responses |
//!
//! Two examples are the shortest whole programs: `kafka-core/examples/by_hand` connects, creates a topic, writes and reads in a group
//! over plain non-blocking sockets of `std`, and `tests/examples/no_socket` passes the bytes on to the state machine of the embedded
//! broker.
//!
//! # The loop
//!
//! The order is a matter of latency alone: any call is valid at any time, and none of them waits.
//!
//! 1. **Inputs.** [`Client::handle_input`] takes what happened: the connection events, and [`Input::Timeout`] once
//!    [`Client::poll_timeout`] has come. It may change anything below.
//! 2. **Actions.** [`Client::poll_action`] until it returns `None`: connect, close, run a job. Actions are rare.
//! 3. **Transmits.** For each connection, [`Client::poll_transmit`] until it returns `None` or enough bytes wait for the socket. A request
//!    that was not handed out can still expire, or move to another broker.
//! 4. **Events.** [`Client::poll_event`] until it returns `None`. [`Event::Wake`] names what may have something now; a loop that looks
//!    everywhere can ignore it. [`Event::Notify`] must be carried out, [`Event::Trace`] can be emitted, [`Event::Garbage`] is dropped.
//! 5. **The application.** Handles are called at any time. Each call may bring actions, transmits and events, and another timeout.
//! 6. **Sleep** until a socket is ready or [`Client::poll_timeout`] has come.
//!
//! ```
//! use kafka_core::ErrorKind;
//! use kafka_core::sans_io::{Action, Address, Client, ClientConfig, Input, Now, Target, Time, link};
//! use kafka_proto::messages::metadata::MetadataRequest;
//! use std::io::IoSlice;
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bootstrap = Address::parse_list("localhost:9092")?;
//! let mut client = Client::new(ClientConfig { bootstrap, seed: 42, ..ClientConfig::default() });
//! let now = Now { time: Time::START, wall_ms: 1_700_000_000_000 };
//!
//! // The application asks for something, so the client wants a connection.
//! let call = client.call(now, Target::Any, MetadataRequest::default(), Some(Duration::from_secs(5)));
//! let Some(Action::Connect { conn, host, port, link: config, .. }) = client.poll_action() else { unreachable!() };
//! assert_eq!((&*host, port), ("localhost", 9092));
//!
//! // The socket is connected. The first bytes ask the broker for its versions; requests come after them.
//! client.handle_input(now, Input::Accepted(conn));
//! let (mut inbound, mut outbound) = link(config);
//! assert!(!outbound.poll_setup()?);
//! let mut slices = [IoSlice::new(&[]); 8];
//! let count = outbound.slices(&mut slices);
//! let bytes: usize = slices[..count].iter().map(|slice| slice.len()).sum(); // what a socket would take
//! outbound.written(bytes);
//!
//! // The broker closes the connection before it has answered.
//! let (error, unanswered) = (inbound.end_of_stream(), inbound.finish());
//! client.handle_input(now, Input::Closed { conn, error, unanswered });
//!
//! // It is tried again until the call's time is over. Time passes because the program says so.
//! let mut now = now;
//! let error = loop {
//!     if let Some(result) = call.take(&mut client) {
//!         break result.unwrap_err();
//!     }
//!     now.time = client.poll_timeout().expect("it waits for something");
//!     client.handle_input(now, Input::Timeout);
//! };
//! assert!(matches!(error.kind(), ErrorKind::TimedOut { .. }), "{error}");
//! # Ok(()) }
//! ```
//!
//! # A connection's life
//!
//! [`Action::Connect`] begins it: look up the name, connect until the deadline, and make the two halves with [`link`]. What goes in:
//!
//! | when | input |
//! |---|---|
//! | the socket is connected | [`Input::Accepted`] |
//! | [`LinkInbound::poll`] returns something | what [`Received::into_input`] makes of it |
//! | [`LinkOutbound::queue`] refuses a request | [`Input::Refused`] |
//! | [`LinkOutbound::written`] names requests | [`Input::Sent`] for each |
//! | the connection could not be made, or has ended in whatever way | [`Input::Closed`], exactly once, as the last |
//!
//! * If the socket cannot be connected, or breaks, its `io::Error` becomes the [`ConnectionError`](crate::ConnectionError) of
//!   [`Input::Closed`] by `From`: `error.into()`. Two failures have variants of their own: a name that has no address is `Resolve`, and
//!   an attempt that has not ended by the deadline is `ConnectTimeout`.
//! * [`LinkOutbound::poll_setup`] comes first: until it returns true nothing may be queued. After a
//!   [`Received::SetupGoesOn`] it has something to send again.
//! * The bytes of [`LinkOutbound::slices`] go to the socket in their order, and [`LinkOutbound::written`] tells how many the socket took. It is
//!   by this number that a request is known to be surely not, or possibly, executed: it must be exact.
//! * [`LinkOutbound::pending_bytes`] is the watermark. Some 256 KiB ahead of the socket keep it busy; more only takes time from requests that
//!   could still go elsewhere.
//! * The socket reads into [`LinkInbound::room`], and [`LinkInbound::received`] tells how much it got; then [`LinkInbound::poll`] until it
//!   returns `None`. An error of it ends the connection, as do [`LinkInbound::end_of_stream`] and [`LinkInbound::broken`], by
//!   which the client learns what an end means.
//! * [`LinkInbound::finish`] gives the requests that were not answered, for [`Input::Closed`].
//! * [`Action::Close`] orders the end: report [`Input::Closed`] with [`ConnectionError::ClosedByClient`](crate::ConnectionError). The client
//!   may order it for a connection that has ended meanwhile; nothing has to be done then.
//!
//! The two halves may live in two threads. They encode, decode, compress and compute checksums, so they belong outside of any lock.
//!
//! # Exactly once
//!
//! * Each [`Action`], [`Transmit`] and [`Event`] is returned once and not repeated.
//! * A [`Transmit`] ends as exactly one of: answered, refused, sent (if it asked for no answer), or unanswered in [`Input::Closed`].
//! * A [`Job`] is run once, anywhere, and reported with [`Input::JobDone`]. Jobs compress, split batches and call the
//!   application's assignors, so they can take milliseconds.
//! * The outcome of a [`Call`] and of a [`Commit`] can be taken once. A [`Delivery`](crate::Delivery) keeps its outcome.
//!
//! # Time and randomness
//!
//! [`Now`] is given with each call. Its `time` counts from the client's start and must not go backwards; the wall clock is for timestamps
//! of records only, and may jump. All randomness (backoffs, sticky partitions, the choice of brokers) comes from
//! [`ClientConfig::seed`]: take it from the system in production, so that not all clients act at once, and choose it in tests.
//!
//! # Under a lock
//!
//! A program with several threads keeps the client in a mutex and implements [`Access`] for it. Three things must then happen after the lock
//! is released, since they can run code of others: [`Notify::notify`], the drop of [`Garbage`], and [`Trace::emit`]. The handles
//! see to the rest: they take the lock by [`Access::with`] for decisions only, and never for a record that is in hand.
//!
//! ```
//! use kafka_core::sans_io::{Access, Client, Now, Writer};
//! use std::sync::Mutex;
//!
//! /// A client that several threads share.
//! struct Shared {
//!     client: Mutex<Client>,
//!     clock: fn() -> Now,
//! }
//!
//! impl Access for &Shared {
//!     fn now(&self) -> Now {
//!         (self.clock)()
//!     }
//!
//!     fn with<R>(&mut self, f: impl FnOnce(&mut Client) -> R) -> R {
//!         f(&mut self.client.lock().unwrap())
//!     }
//! }
//!
//! fn acknowledged(shared: &Shared, writer: &Writer) -> u64 {
//!     writer.stats(shared).records_acked
//! }
//! ```
//!
//! # The end
//!
//! [`Client::begin_close`] closes all writers and readers; while the loop goes on, [`Closing::is_done`] tells when everything was delivered,
//! committed and left, and [`Closing::finish`] ends the client and reports what was not. [`Client::close`] ends it at once. Both order
//! the connections closed. Handles that are dropped go on in their client: [`Writer::end`] and [`Reader::close`] end one.

mod access;
mod adding;
mod batch;
mod calls;
mod closing;
mod flushing;
mod reader;
mod received;
#[cfg(test)]
mod tests;
mod writer;

pub use crate::address::Address;
pub use crate::client::{Action, Client, Event, Garbage, Input, Job, JobDone, Key, Notify};
pub use crate::config::ClientConfig;
pub use crate::link::{
    Answered, BrokerVersions, ConnId, LinkConfig, LinkInbound, LinkOutbound, MAX_SLICES, Payload, Received,
    RequestId, Transmit, Unanswered, link,
};
pub use crate::machine::{CoordinatorKind, MachineId, Now, OpId, Peer, Target, Time};
pub use crate::reading::ReadFrom;
pub use crate::snapshot::{Cluster, TopicState};
pub use crate::trace::Trace;
pub use access::{Access, At};
pub use batch::Batch;
pub use calls::{Call, Commit};
pub(crate) use closing::not_left;
pub use closing::{ClientCloseReport, Closing, ReaderCloseReport};
pub use flushing::{CloseReport, Flushing};
pub use reader::{Reader, ReaderEvent};
pub use writer::{TrySendError, TrySendReason, Writer};

pub(crate) use access::ClockOf;
#[cfg(feature = "record")]
pub(crate) use adding::{READER, WRITER, add_reader, add_writer};
pub(crate) use writer::{Known, Slots};

use crate::error::{Error, ErrorKind};

/// The error of everything that is done after the end.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed)
}
