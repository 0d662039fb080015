//! The one lock of a client and whoever is to be woken because of what happens under it.
//!
//! Invariants
//! * [`Shared::with`] is the only place that locks. No `.await`, no I/O, no job, no user code runs under the lock.
//! * What leaves the lock goes through the [`Outbox`], whose parts are called, run and dropped once the lock is released.
//! * Wakers are neither called nor dropped under the lock: a dropped one can be the last that keeps a task, and with it
//!   futures of this client, alive.
//! * Who waits registers under the same lock under which it found nothing, so that no wake-up is lost.
//! * Nothing but the driver's and connections' tasks keeps working once the last handle is gone: they end as soon as the
//!   client's groups are left.

use super::outbox::{EndHook, Outbox, Waste};
use super::waits::{ONLY, Place, Wait, Waits};
use crate::client::{Client, Event, Input, Key};
use crate::config::ClientConfig;
use crate::link::ConnId;
use crate::machine::{MachineId, Now, Time};
#[cfg(feature = "record")]
use crate::record::Recorder;
use crate::sans_io::Access;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::trace::Trace;
use rustc_hash::FxHashMap;
use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

/// Longer than any program runs, and within the reach of every clock.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

pub(crate) struct Shared {
    state: Mutex<State>,
    clock: Box<dyn Fn() -> Time + Send + Sync>,
    wall_clock: Box<dyn Fn() -> i64 + Send + Sync>,
    start: Instant,
    handles: AtomicUsize,
    #[cfg(feature = "record")]
    recorder: Option<Arc<Recorder>>,
}

/// What lies under the lock.
pub(crate) struct State {
    pub(crate) core: Client,
    /// The driver has a new order, or a nearer deadline.
    driver: Slot,
    /// The deadline the driver sleeps for.
    armed: Option<Time>,
    waits: Waits,
    /// Connections that have a task.
    conns: FxHashMap<ConnId, Conn>,
    shut_down: bool,
    outbox: Outbox,
}

#[derive(Default)]
struct Conn {
    /// It is told to end.
    is_ending: bool,
    /// What ends one whose threads cannot be woken, see [`Outbound::on_end`](super::Outbound::on_end).
    hook: Option<EndHook>,
}

#[derive(Default)]
struct Slot {
    notified: bool,
    waker: Option<Waker>,
}

impl Shared {
    pub(crate) fn new(
        config: ClientConfig,
        start: Instant,
        clock: impl Fn() -> Time + Send + Sync + 'static,
        wall_clock: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self::of(config, start, clock, wall_clock))
    }

    /// One whose client is recorded.
    #[cfg(feature = "record")]
    pub(crate) fn recorded(
        config: ClientConfig,
        start: Instant,
        clock: impl Fn() -> Time + Send + Sync + 'static,
        wall_clock: impl Fn() -> i64 + Send + Sync + 'static,
        recorder: Arc<Recorder>,
    ) -> Arc<Self> {
        let mut shared = Self::of(config, start, clock, wall_clock);
        let state = shared.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.core.observe(recorder.clone());
        shared.recorder = Some(recorder);
        Arc::new(shared)
    }

    fn of(
        config: ClientConfig,
        start: Instant,
        clock: impl Fn() -> Time + Send + Sync + 'static,
        wall_clock: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Self {
        let state = State {
            core: Client::new(config),
            driver: Slot::default(),
            armed: None,
            waits: Waits::default(),
            conns: FxHashMap::default(),
            shut_down: false,
            outbox: Outbox::default(),
        };
        Self {
            state: Mutex::new(state),
            start,
            clock: Box::new(clock),
            wall_clock: Box::new(wall_clock),
            handles: AtomicUsize::new(0),
            #[cfg(feature = "record")]
            recorder: None,
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now { time: self.time(), wall_ms: (self.wall_clock)() }
    }

    pub(crate) fn time(&self) -> Time {
        (self.clock)()
    }

    /// The moment as the runtime counts it; what is beyond its time is far away.
    pub(crate) fn instant(&self, at: Time) -> Instant {
        self.start + at.since_start().min(FAR)
    }

    pub(crate) fn input(&self, input: Input) {
        let now = self.now();
        self.with(|state| state.core.handle_input(now, input));
    }

    /// Takes the lock and runs `f`; what has to be done because of it is done once the lock is released.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let (result, outbox) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let result = f(&mut state);
            state.collect();
            (result, std::mem::take(&mut state.outbox))
        };
        #[cfg(feature = "record")]
        if let Some(recorder) = &self.recorder {
            recorder.write_out();
        }
        outbox.send();
        result
    }

    /// The same for a task that may find that it has to wait.
    pub(crate) fn poll<R>(&self, cx: &Context<'_>, f: impl FnOnce(&mut State, &mut Wait) -> R) -> R {
        let mut wait = Wait::new(cx);
        self.with(|state| f(state, &mut wait))
    }

    /// Does something to a machine; `None` where it has ended.
    #[cfg(all(test, not(shuttle)))]
    fn command<C: crate::machine::Command>(&self, id: MachineId, command: C) -> Option<C::Reply> {
        let now = self.now();
        self.with(|state| state.core.command(now, id, command))
    }

    /// Ends everything at once: the client is closed, or its driver was dropped.
    pub(crate) fn shut_down(&self) {
        let now = self.now();
        self.with(|state| {
            state.core.close(now);
            state.shut_down = true;
        });
    }

    /// Whether somebody holds the lock.
    #[cfg(all(test, not(shuttle)))]
    fn is_locked(&self) -> bool {
        self.state.try_lock().is_err()
    }

    fn add_handle(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    fn drop_handle(&self) {
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            let now = self.now();
            self.with(|state| state.core.retire(now));
        }
    }
}

/// A handle reaches its client by the lock, and looks at the clocks each time.
impl Access for &Shared {
    fn now(&self) -> Now {
        Shared::now(self)
    }

    fn wall_ms(&self) -> i64 {
        (self.wall_clock)()
    }

    fn with<R>(&mut self, f: impl FnOnce(&mut Client) -> R) -> R {
        Shared::with(self, |state| f(&mut state.core))
    }
}

/// The same for the messages of one call: the wall clock is read again whenever both clocks are, which is once per batch, and not
/// for each record. An iterator that takes its time between two messages thus finds the time as it is.
pub(crate) struct ForMany<'a> {
    shared: &'a Shared,
    wall_ms: Cell<i64>,
}

impl<'a> ForMany<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self { shared, wall_ms: Cell::new((shared.wall_clock)()) }
    }
}

impl Access for ForMany<'_> {
    fn now(&self) -> Now {
        let now = self.shared.now();
        self.wall_ms.set(now.wall_ms);
        now
    }

    fn wall_ms(&self) -> i64 {
        self.wall_ms.get()
    }

    fn with<R>(&mut self, f: impl FnOnce(&mut Client) -> R) -> R {
        self.shared.with(|state| f(&mut state.core))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

/// One of the things users hold; the client lives for as long as there is one.
#[derive(Debug)]
pub(crate) struct Handle(Arc<Shared>);

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.add_handle();
        Self(shared)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        Self::new(self.0.clone())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.drop_handle();
    }
}

impl std::ops::Deref for Handle {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// A way to wake the driver without the client's lock: a machine's buffer has room again, wherever memory is given back.
#[derive(Clone, Default, Debug)]
pub(crate) struct DriverWaker(Arc<Mutex<Freed>>);

#[derive(Default, Debug)]
struct Freed {
    machines: Vec<MachineId>,
    waker: Option<Waker>,
}

impl DriverWaker {
    pub(super) fn notify(&self, machine: MachineId) {
        let waker = {
            let mut freed = self.lock();
            if !freed.machines.contains(&machine) {
                freed.machines.push(machine);
            }
            freed.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The machines of which it was notified since the last time; where there are none the waker is kept.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Vec<MachineId> {
        let machines = std::mem::take(&mut self.lock().machines);
        if !machines.is_empty() {
            return machines;
        }
        // Cloned and dropped outside the lock: both are code of others, which may come back here.
        let waker = cx.waker().clone();
        let mut freed = self.lock();
        let stale = freed.waker.replace(waker);
        let machines = std::mem::take(&mut freed.machines);
        drop(freed);
        drop(stale);
        machines
    }

    fn lock(&self) -> MutexGuard<'_, Freed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the driver that a machine's buffer has room again, while the client lives.
pub(crate) struct RoomWaker {
    pub(crate) shared: std::sync::Weak<Shared>,
    pub(crate) driver: DriverWaker,
    pub(crate) machine: MachineId,
}

impl Wake for RoomWaker {
    fn wake(self: Arc<Self>) {
        if self.shared.strong_count() > 0 {
            self.driver.notify(self.machine);
        }
    }
}

impl State {
    fn collect(&mut self) {
        let outbox = &mut self.outbox;
        while let Some(event) = self.core.poll_event() {
            match event {
                Event::Wake(key) => self.waits.take(&key, &mut outbox.wakers),
                Event::Ended => self.shut_down = true,
                Event::Degraded(error) => outbox.traces.push(Trace::degraded(error)),
                Event::Trace(trace) => outbox.traces.push(trace),
                Event::Notify(notify) => outbox.notify.push(notify),
                Event::Garbage(garbage) => outbox.garbage.push(Waste::Machine(garbage)),
            }
        }
        self.notify_driver();
        if self.shut_down {
            self.waits.take_all(&mut self.outbox.wakers);
            self.outbox.hooks.extend(self.conns.values_mut().filter_map(|conn| conn.hook.take()));
        }
    }

    fn notify_driver(&mut self) {
        let earlier = match (self.core.poll_timeout(), self.armed) {
            (Some(at), Some(armed)) => at < armed,
            (at, None) => at.is_some(),
            (None, Some(_)) => false,
        };
        if earlier || self.core.has_actions() || self.shut_down {
            self.driver.notified = true;
            self.outbox.wakers.extend(self.driver.waker.take());
        }
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.shut_down
    }

    // ---- the driver ----

    /// The driver is about to sleep: until when, unless there is something to do first.
    pub(crate) fn arm(&mut self) -> Option<Time> {
        self.armed = self.core.poll_timeout();
        self.armed
    }

    /// Whether the driver was called; else its waker is kept.
    pub(crate) fn driver_called(&mut self, wait: &mut Wait) -> bool {
        let is_called = std::mem::take(&mut self.driver.notified);
        if !is_called {
            wait.swap(&mut self.driver.waker);
        }
        is_called
    }

    // ---- waiting, always after having found nothing under the same lock ----

    pub(crate) fn wait(&mut self, key: Key, wait: &mut Wait) {
        self.wait_at(key, ONLY, wait);
    }

    /// Where several tasks may wait for one thing.
    pub(super) fn wait_at(&mut self, key: Key, place: Place, wait: &mut Wait) {
        self.waits.keep(key, place, wait);
    }

    pub(super) fn new_place(&mut self) -> Place {
        self.waits.new_place()
    }

    pub(crate) fn stop_waiting(&mut self, key: Key) {
        self.stop_waiting_at(key, ONLY);
    }

    pub(super) fn stop_waiting_at(&mut self, key: Key, place: Place) {
        let stale = self.waits.remove(key, place);
        self.outbox.waste(stale);
    }

    /// Wakes the task that writes to a connection.
    pub(crate) fn wake_conn(&mut self, conn: ConnId) {
        self.waits.take(&Key::Conn(conn), &mut self.outbox.wakers);
    }

    // ---- the end of connections ----

    /// A connection gets a task, which reports its end by [`conn_gone`](Self::conn_gone).
    pub(crate) fn conn_begun(&mut self, conn: ConnId) {
        self.conns.insert(conn, Conn::default());
    }

    /// Tells a connection to end, unless it has ended by itself meanwhile.
    pub(crate) fn end_conn(&mut self, conn: ConnId) {
        let Some(Conn { is_ending, hook }) = self.conns.get_mut(&conn) else { return };
        *is_ending = true;
        self.outbox.hooks.extend(hook.take());
        self.wake_conn(conn);
    }

    /// Keeps the hook, or runs it where the connection is told to end already, or has ended.
    pub(crate) fn on_end(&mut self, conn: ConnId, hook: EndHook) {
        match self.conns.get_mut(&conn).filter(|conn| !conn.is_ending && !self.shut_down) {
            Some(conn) => self.outbox.garbage.extend(conn.hook.replace(hook).map(Waste::Hook)),
            None => self.outbox.hooks.push(hook),
        }
    }

    pub(crate) fn is_ending(&self, conn: ConnId) -> bool {
        self.shut_down || self.conns.get(&conn).is_some_and(|conn| conn.is_ending)
    }

    pub(crate) fn conn_gone(&mut self, conn: ConnId) {
        let hook = self.conns.remove(&conn).and_then(|conn| conn.hook);
        self.outbox.garbage.extend(hook.map(Waste::Hook));
        self.stop_waiting(Key::Conn(conn));
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests;
