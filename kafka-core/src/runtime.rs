//! What an adapter supplies, for those who bring the client to another runtime. Programs need nothing of it.
//!
//! An adapter is a type that implements [`Runtime`]: sockets, timers, tasks, and a place for heavy work. It holds no protocol and
//! no state of the client. In this order:
//!
//! 1. [`Runtime::connect`] returns a socket, [`Runtime::resolve`] the addresses of a name. An attempt that is not wanted any more is dropped.
//! 2. [`Runtime::drive`] moves bytes both ways until the connection ends. Where the socket can be polled, implement [`Stream`] for it and
//!    call [`drive_poll`]. Where reading and writing block, each half gets a thread: [`Inbound::room`] and [`Inbound::received`] in the one,
//!    [`Outbound::poll_fill`], [`Outbound::gather`] and [`Outbound::written`] in the other, with [`Outbound::on_end`] to shut the socket down and
//!    [`Inbound::end`] to end the other half.
//! 3. [`Runtime::sleep_until`] is called by one task of each client: it owns the only timer.
//! 4. [`Runtime::spawn`] runs tasks to their end, detached. A task that is dropped counts as a connection lost or a client ended, so a runtime
//!    that shuts down leaves nobody waiting.
//! 5. [`Runtime::offload`] runs what takes its time, such as compression, away from the tasks that move bytes.
//!
//! `kafka_core::front_door!(MyRuntime)` then makes `ClientBuilder`, `builder` and `connect` at the adapter's root, `kafka_core::names!()`
//! and `kafka_core::handles!()` re-export the rest, with the same paths as in every other adapter. kafka-tokio is the shortest example.

pub use crate::rt::{Inbound, Outbound, Runtime, Stream, drive_poll};
