//! A runtime around another one, which counts connections and can tell other addresses.

use kafka_core::runtime::{Inbound, Outbound, Runtime};
use kafka_core::{ConnectionError, Error, Str};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

#[derive(Clone)]
pub(crate) struct Wrapped<R> {
    pub(crate) inner: R,
    /// The addresses of every name, by the port.
    pub(crate) resolve: Option<fn(u16) -> Vec<SocketAddr>>,
    /// Connections that have not ended.
    pub(crate) live: Arc<AtomicU32>,
}

impl<R: Runtime> Wrapped<R> {
    pub(crate) fn new() -> Self {
        Self { inner: R::current().unwrap(), resolve: None, live: Arc::default() }
    }
}

impl<R: Runtime> Runtime for Wrapped<R> {
    type Stream = R::Stream;

    fn current() -> Result<Self, Error> {
        Ok(Self::new())
    }

    fn seed(&self) -> u64 {
        self.inner.seed()
    }

    fn now(&self) -> Instant {
        self.inner.now()
    }

    fn wall_ms(&self) -> i64 {
        self.inner.wall_ms()
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.inner.spawn(task);
    }

    async fn resolve(&self, host: Str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match self.resolve {
            Some(resolve) => Ok(resolve(port)),
            None => self.inner.resolve(host, port).await,
        }
    }

    fn connect(
        &self,
        address: SocketAddr,
        deadline: Instant,
    ) -> impl Future<Output = io::Result<R::Stream>> + Send {
        self.inner.connect(address, deadline)
    }

    fn sleep_until(&self, at: Instant) -> impl Future<Output = ()> + Send {
        self.inner.sleep_until(at)
    }

    async fn drive(
        &self,
        stream: R::Stream,
        inbound: Inbound,
        outbound: Outbound,
    ) -> (ConnectionError, Inbound) {
        self.live.fetch_add(1, Ordering::SeqCst);
        let ended = self.inner.drive(stream, inbound, outbound).await;
        self.live.fetch_sub(1, Ordering::SeqCst);
        ended
    }

    fn offload(&self, work: impl FnOnce() + Send + 'static) {
        self.inner.offload(work);
    }
}
