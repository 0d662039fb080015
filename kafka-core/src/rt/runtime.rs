//! What an adapter supplies: sockets, timers, tasks, a place for heavy work. No protocol.

use super::conn::{Inbound, Outbound};
use super::system;
use crate::error::{ConnectionError, Error};
use kafka_proto::Str;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Instant;

/// A runtime, as far as the driver needs it. The handles that users hold are not generic over it.
pub trait Runtime: Clone + Send + Sync + 'static {
    /// A connected socket.
    type Stream: Send + 'static;

    /// The runtime around the call.
    ///
    /// # Errors
    /// There is none: [`ErrorKind::Misuse`](crate::error::ErrorKind::Misuse).
    fn current() -> Result<Self, Error>;

    /// A number that differs from client to client.
    fn seed(&self) -> u64 {
        system::seed()
    }

    /// The program's name, by which brokers know its clients unless they are given another one.
    fn program(&self) -> Str {
        system::program()
    }

    /// The monotonic clock.
    fn now(&self) -> Instant {
        system::now()
    }

    /// The wall clock, in ms since 1970, which a record's timestamp needs.
    fn wall_ms(&self) -> i64 {
        system::wall_ms()
    }

    /// Runs a task to its end, detached.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);

    /// The addresses of a name, or of a literal.
    fn resolve(&self, host: Str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;

    /// Connects to an address, without Nagle's algorithm; gives up at `deadline`.
    fn connect(
        &self,
        address: SocketAddr,
        deadline: Instant,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Waits until the clock has reached `at`.
    fn sleep_until(&self, at: Instant) -> impl Future<Output = ()> + Send;

    /// Moves bytes both ways until the connection ends: [`drive_poll`](super::drive_poll) where the runtime can poll a socket.
    fn drive(
        &self,
        stream: Self::Stream,
        inbound: Inbound,
        outbound: Outbound,
    ) -> impl Future<Output = (ConnectionError, Inbound)> + Send;

    /// Runs heavy work away from the tasks that move bytes.
    fn offload(&self, work: impl FnOnce() + Send + 'static);
}

/// A non-blocking byte stream: the common part of tokio's and futures-io's traits.
pub trait Stream: Send + Unpin {
    /// Reads into `buffer`; 0 bytes are the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;
    /// Writes from several buffers at once.
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;
}
