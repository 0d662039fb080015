//! The simulator as a runtime: virtual clock, timers, tasks and sockets for the client's driver.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use kafka_core::runtime::{Inbound, Outbound, Runtime, Stream, drive_poll};
use kafka_core::{ConnectionError, Error, ErrorKind, Str};

use super::executor::{Due, Timers};
use super::guise::Guise;
use super::names::Met;
use super::network::{Network, Wires};
use super::trace::Trace;
use crate::broker::NodeId;

/// The port that nodes tell in a run; clients begin at another one.
pub(crate) const TOLD_PORT: u16 = 9093;

/// The wall clock begins here.
const EPOCH_MS: i64 = 1_700_000_000_000;

/// A simulated world, as tasks in it see it.
#[derive(Clone, Debug)]
pub struct SimRuntime(Arc<Inner>, Machine, ClientId);

/// The number of the machine whose clients use it.
pub(crate) type Machine = u32;

/// The number of a client that is watched by itself; 0 are all others.
pub(crate) type ClientId = u32;

#[derive(Debug)]
struct Inner {
    /// Nanoseconds since the start; beside the lock, since the client's clock may be read anywhere.
    clock: AtomicU64,
    /// What the client's wall clock is ahead of the brokers', in ms.
    ahead: AtomicI64,
    start: Instant,
    world: Mutex<World>,
}

/// All but the tasks.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) timers: Timers,
    pub(crate) spawned: Vec<Task>,
    /// Machines whose tasks do not run.
    suspended: BTreeSet<Machine>,
    pub(crate) net: Network,
    pub(crate) trace: Trace,
}

impl World {
    /// A task that no machine runs: what happens by itself.
    pub(crate) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawned.push(Task { future: Box::pin(task), machine: 0 });
    }

    /// What somebody meets at a node's address: where clients begin it is the node.
    fn guise_at(&self, node: NodeId, port: u16) -> Guise {
        if port == TOLD_PORT && self.net.is_foreign(node, self.now) { Guise::Perhaps } else { Guise::Node }
    }

    /// Nothing runs on this machine until then. Whether it was running.
    pub(crate) fn suspend(&mut self, machine: Machine, until: Duration) -> bool {
        let was_running = self.suspended.insert(machine);
        if was_running {
            self.timers.set(until, Due::Resume(machine));
        }
        was_running
    }

    pub(crate) fn is_suspended(&self, machine: Machine) -> bool {
        self.suspended.contains(&machine)
    }

    pub(crate) fn resume(&mut self, machine: Machine) {
        self.suspended.remove(&machine);
    }
}

pub(crate) struct Task {
    pub(crate) future: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Where it runs.
    pub(crate) machine: Machine,
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Task")
    }
}

impl SimRuntime {
    pub(crate) fn new(net: Network, trace: Trace) -> Self {
        let (now, timers, spawned) = (Duration::ZERO, Timers::default(), Vec::new());
        let world = World { now, timers, spawned, suspended: BTreeSet::new(), net, trace };
        let inner = Inner {
            clock: AtomicU64::new(0),
            ahead: AtomicI64::new(0),
            start: Instant::now(),
            world: Mutex::new(world),
        };
        Self(Arc::new(inner), 0, 0)
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same world, seen from another machine.
    pub(crate) fn on(&self, machine: Machine) -> SimRuntime {
        SimRuntime(self.0.clone(), machine, self.2)
    }

    /// The same world, for a client of its own.
    pub(crate) fn of_client(&self, client: ClientId) -> SimRuntime {
        SimRuntime(self.0.clone(), self.1, client)
    }

    /// Whether nothing runs on this machine now.
    pub(crate) fn is_suspended(&self) -> bool {
        self.world().is_suspended(self.1)
    }

    /// Virtual time since the start.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.0.clock.load(Ordering::Relaxed))
    }

    pub(crate) fn set_clock(&self, now: Duration) {
        self.0.clock.store(now.as_nanos() as u64, Ordering::Relaxed);
    }

    /// The client's wall clock jumps.
    pub(crate) fn set_wall(&self, ahead_ms: i64) {
        self.0.ahead.store(ahead_ms, Ordering::Relaxed);
    }

    /// Waits so long in virtual time.
    pub async fn sleep(&self, time: Duration) {
        Sleep { runtime: self.clone(), at: self.elapsed() + time, timer: None }.await;
    }

    /// The future's output, or `None` where it was dropped because the time was over first.
    pub async fn within<T>(&self, time: Duration, future: impl Future<Output = T>) -> Option<T> {
        let mut future = std::pin::pin!(future);
        let mut sleep = std::pin::pin!(self.sleep(time));
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => sleep.as_mut().poll(cx).map(|()| None),
        })
        .await
    }

    /// Polls the future so many times; `None` where it was dropped because it was not ready by then.
    pub async fn polled<T>(&self, times: u64, future: impl Future<Output = T>) -> Option<T> {
        let mut future = std::pin::pin!(future);
        let mut left = times;
        poll_fn(|cx| {
            if left == 0 {
                return Poll::Ready(None);
            }
            left -= 1;
            match future.as_mut().poll(cx) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending if left == 0 => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Drops the future as soon as it asks to be polled again, so that what it was given is lost; else its output.
    pub async fn dropped_when_woken<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = std::pin::pin!(future);
        let mut polled = false;
        poll_fn(|cx| match std::mem::replace(&mut polled, true) {
            true => Poll::Ready(None),
            false => future.as_mut().poll(cx).map(Some),
        })
        .await
    }

    /// A line of the time line.
    pub(crate) fn note(&self, what: std::fmt::Arguments<'_>) {
        let mut world = self.world();
        let now = world.now;
        world.trace.line(now, what);
    }
}

pub(crate) fn broker_now(now: Duration) -> crate::broker::Now {
    crate::broker::Now { mono: now, wall_ms: EPOCH_MS + now.as_millis() as i64 }
}

struct Sleep {
    runtime: SimRuntime,
    at: Duration,
    timer: Option<(Duration, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut world = this.runtime.world();
        if let Some(timer) = this.timer.take() {
            world.timers.cancel(timer);
        }
        if this.at <= world.now {
            return Poll::Ready(());
        }
        this.timer = Some(world.timers.set(this.at, Due::Wake(cx.waker().clone())));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            self.runtime.world().timers.cancel(timer);
        }
    }
}

impl Runtime for SimRuntime {
    type Stream = SimStream;

    fn current() -> Result<Self, Error> {
        Err(Error::new(ErrorKind::Misuse("a simulated world must be named")))
    }

    fn program(&self) -> Str {
        Str::from_static("simulation")
    }

    fn seed(&self) -> u64 {
        self.world().net.chance.below(u64::MAX)
    }

    fn now(&self) -> Instant {
        self.0.start + self.elapsed()
    }

    fn wall_ms(&self) -> i64 {
        broker_now(self.elapsed()).wall_ms + self.0.ahead.load(Ordering::Relaxed)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.world().spawned.push(Task { future: Box::pin(task), machine: self.1 });
    }

    async fn resolve(&self, host: Str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let delay = self.world().net.chance.millis(0, 2);
        self.sleep(delay).await;
        let world = self.world();
        let nodes = world.net.cluster.node_count();
        world.net.names.resolve(world.now, nodes, &host, port)
    }

    async fn connect(&self, address: SocketAddr, deadline: Instant) -> io::Result<SimStream> {
        let met = self.world().net.names.at(address);
        let (node, guise) = match met {
            Met::Node(node) => (node, self.world().guise_at(node, address.port())),
            Met::Former(node) => (node, Guise::Former),
            Met::Refusal => return Err(io::ErrorKind::ConnectionRefused.into()),
            Met::Silence => {
                self.sleep_until(deadline).await;
                return Err(io::ErrorKind::TimedOut.into());
            }
        };
        let deadline = deadline.saturating_duration_since(self.0.start);
        let arrival = self.world().connect_arrival(node, self.1);
        self.sleep(arrival.min(deadline).saturating_sub(self.elapsed())).await;
        if arrival > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let conn = self.world().accept(node, (self.1, self.2), guise)?;
        Ok(SimStream { runtime: self.clone(), conn })
    }

    async fn sleep_until(&self, at: Instant) {
        let at = at.saturating_duration_since(self.0.start);
        Sleep { runtime: self.clone(), at, timer: None }.await;
    }

    async fn drive(
        &self,
        stream: SimStream,
        inbound: Inbound,
        outbound: Outbound,
    ) -> (ConnectionError, Inbound) {
        drive_poll(stream, inbound, outbound).await
    }

    fn offload(&self, work: impl FnOnce() + Send + 'static) {
        let delay = self.world().net.chance.millis(0, 20);
        let runtime = self.clone();
        self.spawn(async move {
            runtime.sleep(delay).await;
            work();
        });
    }
}

/// The client's end of a simulated connection.
#[derive(Debug)]
pub struct SimStream {
    runtime: SimRuntime,
    conn: u64,
}

impl Stream for SimStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.runtime.world().poll_read(self.conn, cx, buffer)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.runtime.world().poll_write(self.conn, cx, buffers)
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.runtime.world().client_left(self.conn);
    }
}
