//! A Kafka client on smol and, with the feature `async-std`, on async-std.
//!
//! The client itself is [`kafka_core`]; this crate gives it sockets and timers of `async-io`, which both runtimes share,
//! and threads of `blocking`. The runtimes differ only in where tasks are [spawned](Spawn). Everything users hold is
//! documented at [`Client`], [`Writer`] and [`Reader`].
//!
//! ```no_run
//! use kafka_smol::Message;
//! use std::time::Duration;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = kafka_smol::builder("localhost:9092").allow_auto_topic_creation(true).connect().await?;
//! let writer = client.writer("orders").build()?;
//! writer.write(Message::new("hello").key("k")).await?; // waits for the ack
//! let delivery = writer.send(Message::new("pipelined")).await?; // waits only for room
//! println!("{:?}", delivery.await?);
//!
//! let mut reader = client.reader("orders").group("billing").build()?;
//! while let Some(record) = reader.fetch().await? {
//!     reader.commit([&record]).await?;
//! }
//! reader.close(Duration::from_secs(5)).await.into_result()?;
//! # Ok(()) }
//! ```
//!
//! # Features
//!
//! | feature | what it does | default |
//! |---|---|---|
//! | `smol` | clients on smol's global executor: [`builder`], [`connect`], [`Smol`] | on |
//! | `async-std` | clients on async-std: `async_std::builder`, `AsyncStd` | off |
//! | `gzip`, `snappy`, `lz4` | the codec of this name | on |
//! | `zstd` | the codec zstd; needs a C compiler | on |
//! | `tracing` | emits the events of [`trace`] for the crate `tracing` | off |
//! | `record` | `ClientBuilder::record`, which writes what a client does to a file | off |

#![forbid(unsafe_code)]

mod spawn;

use async_io::{Async, Timer};
use futures_io::{AsyncRead, AsyncWrite};

use kafka_core::runtime::{Inbound, Outbound, Runtime, Stream, drive_poll};
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Instant;

#[cfg(feature = "async-std")]
pub use spawn::AsyncStdTasks;
#[cfg(feature = "smol")]
pub use spawn::SmolTasks;
pub use spawn::Spawn;

kafka_core::names!();
kafka_core::handles!();

#[cfg(feature = "smol")]
kafka_core::front_door!(Smol);

/// smol as the client's runtime, with its tasks on smol's global executor.
#[cfg(feature = "smol")]
pub type Smol = AsyncIo<SmolTasks>;

/// async-std as the client's runtime.
#[cfg(feature = "async-std")]
pub type AsyncStd = AsyncIo<AsyncStdTasks>;

/// The same on async-std.
#[cfg(feature = "async-std")]
pub mod async_std {
    kafka_core::front_door!(crate::AsyncStd);
}

/// The client's runtime: sockets and timers of `async-io`, and tasks on any executor.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use kafka_smol::{AsyncIo, Error};
/// # async fn example(executor: Arc<smol::Executor<'static>>) -> Result<(), Error> {
/// // All tasks of this client run on this executor, and end with it.
/// let runtime = AsyncIo::new(Arc::downgrade(&executor));
/// let client = runtime.builder("localhost:9092").connect().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncIo<S>(S);

impl<S: Spawn> AsyncIo<S> {
    /// Runs the client's tasks on this executor.
    pub fn new(executor: S) -> Self {
        Self(executor)
    }

    /// A client to be on this runtime, which begins with these addresses: `host:port`, several separated by commas.
    pub fn builder(self, addresses: &str) -> kafka_core::ClientBuilder<Self> {
        kafka_core::ClientBuilder::new(addresses).runtime(self)
    }
}

impl<S: Spawn> Runtime for AsyncIo<S> {
    type Stream = Async<TcpStream>;

    fn current() -> Result<Self, Error> {
        S::current().map(Self)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }

    async fn resolve(&self, host: Str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match host.parse::<IpAddr>() {
            Ok(address) => Ok(vec![(address, port).into()]),
            Err(_) => blocking::unblock(move || Ok((&*host, port).to_socket_addrs()?.collect())).await,
        }
    }

    async fn connect(&self, address: SocketAddr, deadline: Instant) -> io::Result<Async<TcpStream>> {
        let mut connecting = pin!(Async::<TcpStream>::connect(address));
        let mut timer = Timer::at(deadline);
        let late = |_| Err(io::ErrorKind::TimedOut.into());
        let stream = poll_fn(|cx| match connecting.as_mut().poll(cx) {
            Poll::Pending => Pin::new(&mut timer).poll(cx).map(late),
            ready => ready,
        });
        let stream = stream.await?;
        stream.get_ref().set_nodelay(true)?;
        Ok(stream)
    }

    async fn sleep_until(&self, at: Instant) {
        Timer::at(at).await;
    }

    async fn drive(
        &self,
        stream: Async<TcpStream>,
        inbound: Inbound,
        outbound: Outbound,
    ) -> (ConnectionError, Inbound) {
        drive_poll(Tcp(stream), inbound, outbound).await
    }

    fn offload(&self, work: impl FnOnce() + Send + 'static) {
        blocking::unblock(work).detach();
    }
}

struct Tcp(Async<TcpStream>);

impl Stream for Tcp {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, buffers)
    }
}
