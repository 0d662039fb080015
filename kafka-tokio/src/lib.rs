//! A Kafka client on tokio.
//!
//! The client itself is [`kafka_core`]; this crate gives it tokio's sockets, timers and tasks. Everything users hold is
//! documented at [`Client`], [`Writer`] and [`Reader`].
//!
//! ```no_run
//! use kafka_tokio::Message;
//! use std::time::Duration;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = kafka_tokio::builder("localhost:9092").allow_auto_topic_creation(true).connect().await?;
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
//! | `gzip`, `snappy`, `lz4` | the codec of this name | on |
//! | `zstd` | the codec zstd; needs a C compiler | on |
//! | `tracing` | emits the events of [`trace`] for the crate `tracing` | off |
//! | `record` | `ClientBuilder::record`, which writes what a client does to a file | off |

#![forbid(unsafe_code)]

use kafka_core::runtime::{Inbound, Outbound, Runtime, Stream, drive_poll};
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

kafka_core::names!();
kafka_core::handles!();
kafka_core::front_door!(Tokio);

/// tokio as the client's runtime: the one around the call, or the one behind a handle.
#[derive(Clone, Debug)]
pub struct Tokio(Handle);

impl Tokio {
    /// Runs the client's tasks on this runtime, whose network and timers must be enabled.
    pub fn new(handle: Handle) -> Self {
        Self(handle)
    }
}

impl Runtime for Tokio {
    type Stream = TcpStream;

    fn current() -> Result<Self, Error> {
        let outside = "there is no tokio runtime around this call";
        Handle::try_current().map(Self).map_err(|_| Error::new(ErrorKind::Misuse(outside)))
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }

    async fn resolve(&self, host: Str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((&*host, port)).await?.collect())
    }

    async fn connect(&self, address: SocketAddr, deadline: Instant) -> io::Result<TcpStream> {
        let stream = tokio::time::timeout_at(deadline.into(), TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn sleep_until(&self, at: Instant) {
        tokio::time::sleep_until(at.into()).await;
    }

    async fn drive(
        &self,
        stream: TcpStream,
        inbound: Inbound,
        outbound: Outbound,
    ) -> (ConnectionError, Inbound) {
        drive_poll(Tcp(stream), inbound, outbound).await
    }

    fn offload(&self, work: impl FnOnce() + Send + 'static) {
        self.0.spawn_blocking(work);
    }
}

struct Tcp(TcpStream);

impl Stream for Tcp {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, buffers)
    }
}
