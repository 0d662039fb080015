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
            let stream = ShutDown(shared);
            write(&stream.0, outbound)
        });
        let writer = match writer {
            Ok(writer) => writer,
            Err(error) => return (error.into(), inbound),
        };
        let lost = {
            let reading = Reading(&mut inbound);
            read(&stream, reading.0)
        };
        let refused = writer.join().ok().flatten();
        (refused.unwrap_or(lost), inbound)
    }

    fn offload(&self, work: impl FnOnce() + Send + 'static) {
        self.jobs.run(Box::new(work));
    }
}

/// Ends the writing half when it is dropped. A waker of the application that panics ends the reading half as well.
struct Reading<'a>(&'a mut Inbound);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Shuts the socket down when it is dropped, which ends the reading half. A waker of the application that panics ends the writing
/// half as well.
struct ShutDown(Arc<TcpStream>);

impl Drop for ShutDown {
    fn drop(&mut self) {
        shut_down(&self.0);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live_threads;
    use kafka_core::{Acks, ClientBuilder, Message};
    use kafka_testkit::Cluster;
    use std::task::{Context, Wake, Waker};
    use std::thread::sleep;
    use std::time::Duration;

    /// A waker of the application that is called in the thread of a connection.
    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker of the application");
        }
    }

    #[track_caller]
    fn soon(what: &str, is_so: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(10);
        while !is_so() {
            assert!(Instant::now() < until, "{what}");
            sleep(Duration::from_millis(10));
        }
    }

    /// The outcome of a record wakes its delivery: in the writing thread without acknowledgements, else in the reading one.
    #[test]
    fn a_waker_that_panics_ends_both_threads_of_its_connection() {
        for acks in [Acks::None, Acks::All] {
            let cluster = Cluster::builder().nodes(1).topic("t", 1).start().unwrap();
            let client = ClientBuilder::<Blocking>::new(&cluster.bootstrap()).connect();
            let client = block_on(client).unwrap();
            let writer = client.writer("t").acks(acks).linger(Duration::from_millis(100)).build().unwrap();
            let mut delivery = block_on(writer.send(Message::new("a"))).unwrap();
            let waker = Waker::from(Arc::new(Panics));
            let first = std::pin::pin!(&mut delivery).poll(&mut Context::from_waker(&waker));
            assert!(first.is_pending());
            soon("the record is not written", || delivery.try_get().is_some());
            for _ in 0..10 {
                block_on(writer.write(Message::new("b"))).unwrap();
            }
            soon("what came after it is not in the log", || cluster.log("t", 0).len() == 11);
            assert!(block_on(client.close(Duration::from_secs(5))).is_clean());
            drop((writer, client, cluster));
            soon("a thread of a connection goes on", || live_threads() == 0);
        }
    }
}
