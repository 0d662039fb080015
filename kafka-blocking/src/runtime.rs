//! Threads and blocking sockets as the client's runtime.

use crate::jobs::Jobs;
use crate::park::{block_on, sleep_until};
use crate::threads::{start, unblock};
use crate::{Error, Str};
use kafka_core::ConnectionError;
use kafka_core::runtime::{Inbound, Outbound, Runtime};
use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Instant;

/// Threads as the client's runtime: each task has its own.
#[derive(Clone, Debug, Default)]
pub struct Blocking {
    jobs: Jobs,
}

impl Runtime for Blocking {
    type Stream = TcpStream;

    fn current() -> Result<Self, Error> {
        Ok(Self::default())
    }

    /// A task that gets no thread is dropped, which the client takes for its end.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let _ = start("kafka", || block_on(task));
    }

    async fn resolve(&self, host: Str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match host.parse::<IpAddr>() {
            Ok(address) => Ok(vec![(address, port).into()]),
            Err(_) => unblock("kafka-resolve", move || Ok((&*host, port).to_socket_addrs()?.collect())).await,
        }
    }

    async fn connect(&self, address: SocketAddr, deadline: Instant) -> io::Result<TcpStream> {
        unblock("kafka-connect", move || {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let stream = TcpStream::connect_timeout(&address, left)?;
            stream.set_nodelay(true)?;
            Ok(stream)
        })
        .await
    }

    async fn sleep_until(&self, at: Instant) {
        sleep_until(at).await;
    }

    /// Reads in this thread and writes in another. Whoever tells the connection to end shuts the socket down, which
    /// ends both.
    async fn drive(
        &self,
        stream: TcpStream,
        mut inbound: Inbound,
        outbound: Outbound,
    ) -> (ConnectionError, Inbound) {
        let stream = Arc::new(stream);
        let shared = stream.clone();
        outbound.on_end(move || shut_down(&shared));
        let shared = stream.clone();
        let writer = start("kafka-write", move || {
            let refused = write(&shared, outbound);
            shut_down(&shared);
            refused
        });
        let writer = match writer {
            Ok(writer) => writer,
            Err(error) => return (error.into(), inbound),
        };
        let lost = read(&stream, &mut inbound);
        inbound.end();
        let refused = writer.join().ok().flatten();
        (refused.unwrap_or(lost), inbound)
    }

    fn offload(&self, work: impl FnOnce() + Send + 'static) {
        self.jobs.run(Box::new(work));
    }
}

fn shut_down(stream: &TcpStream) {
    // It may be down already.
    let _ = stream.shutdown(Shutdown::Both);
}

fn read(mut stream: &TcpStream, inbound: &mut Inbound) -> ConnectionError {
    loop {
        match stream.read(inbound.room()) {
            Ok(len) => {
                if let Err(error) = inbound.received(len) {
                    return error;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return inbound.broken(error),
        }
    }
}

/// Writes until the connection ends; gives the reason if it is the link's. The socket's is the reading half's to tell,
/// which may still find what the peer said before.
fn write(mut stream: &TcpStream, mut outbound: Outbound) -> Option<ConnectionError> {
    loop {
        match block_on(poll_fn(|cx| outbound.poll_fill(cx))) {
            Ok(()) => {}
            Err(ConnectionError::ClosedByClient) => return None,
            Err(error) => return Some(error),
        }
        match outbound.gather(|slices| stream.write_vectored(slices)) {
            Ok(0) => return None,
            Ok(len) => outbound.written(len),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}
