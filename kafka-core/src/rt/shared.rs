//! The one lock of a client and whoever is to be woken because of what happens under it.
//!
//! Invariants
//! * [`Shared::with`] is the only place that locks. No `.await`, no I/O, no job, no user code runs under the lock.
//! * Wakers are called after the lock is released.
//! * Who waits registers under the same lock under which it found nothing, so that no wake-up is lost.
//! * Nothing but the driver's and connections' tasks keeps working once the last handle is gone: they end.

use crate::client::config::ClientConfig;
use crate::client::machine::Now;
use crate::client::{Client, Event, Input};
use crate::error::Error;
use crate::link::ConnId;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::writer::Clock;
use kafka_proto::Str;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::Instant;

pub(crate) struct Shared {
    state: Mutex<State>,
    clock: Box<dyn Fn() -> Now + Send + Sync>,
    wall_clock: Box<dyn Fn() -> i64 + Send + Sync>,
    handles: AtomicUsize,
}

/// What lies under the lock.
pub(crate) struct State {
    pub(crate) core: Client,
    /// The driver has a new order, or a nearer deadline.
    driver: Slot,
    /// The deadline the driver sleeps for.
    armed: Option<Instant>,
    conns: BTreeMap<ConnId, Waker>,
    /// Connections that are told to end.
    ending: BTreeSet<ConnId>,
    /// What ends a connection whose threads cannot be woken, see [`Outbound::on_end`](super::Outbound::on_end).
    hooks: BTreeMap<ConnId, EndHook>,
    calls: BTreeMap<u64, Waker>,
    commits: BTreeMap<u64, Waker>,
    readers: BTreeMap<u32, Waker>,
    topics: BTreeMap<Str, BTreeMap<u64, Waker>>,
    next_ticket: u64,
    shut_down: bool,
}

/// Run once a connection is told to end.
pub(crate) type EndHook = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Slot {
    notified: bool,
    waker: Option<Waker>,
}

/// What is to be done once the lock is free.
#[derive(Default)]
struct After {
    wakers: Vec<Waker>,
    events: Vec<Event>,
    hooks: Vec<EndHook>,
}

impl Shared {
    pub(crate) fn new(
        config: ClientConfig,
        clock: impl Fn() -> Now + Send + Sync + 'static,
        wall_clock: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Arc<Self> {
        let state = State {
            core: Client::new(config),
            driver: Slot::default(),
            armed: None,
            conns: BTreeMap::new(),
            ending: BTreeSet::new(),
            hooks: BTreeMap::new(),
            calls: BTreeMap::new(),
            commits: BTreeMap::new(),
            readers: BTreeMap::new(),
            topics: BTreeMap::new(),
            next_ticket: 0,
            shut_down: false,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            clock: Box::new(clock),
            wall_clock: Box::new(wall_clock),
            handles: AtomicUsize::new(0),
        })
    }

    pub(crate) fn now(&self) -> Now {
        (self.clock)()
    }

    pub(crate) fn input(&self, input: Input) {
        let now = self.now();
        self.with(|state| state.core.handle_input(now, input));
    }

    /// Takes the lock, runs `f`, and wakes whoever has work because of it once the lock is free.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let mut after = After::default();
        let result = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let result = f(&mut state);
            state.collect(&mut after);
            result
        };
        let mut calls = Vec::new();
        for event in after.events {
            match event {
                Event::Resolved(batches) => batches.wake(),
                Event::Memory(writers) => writers.wake(),
                Event::Assignor(reader, call) => calls.push((reader, call)),
                _ => {}
            }
        }
        after.hooks.into_iter().for_each(|hook| hook());
        after.wakers.into_iter().for_each(Waker::wake);
        // Last, since it may take its time.
        for (reader, call) in calls {
            self.input(Input::Assigned { reader, answer: call.run() });
        }
        result
    }

    /// Ends everything: called when the last handle is gone, or the client is closed.
    pub(crate) fn shut_down(&self) {
        let now = self.now();
        self.with(|state| {
            state.core.close(now);
            state.shut_down = true;
        });
    }

    fn add_handle(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    fn drop_handle(&self) {
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shut_down();
        }
    }
}

/// The clocks as they are at each look.
impl Clock for &Shared {
    fn now(self) -> Now {
        (self.clock)()
    }

    fn wall_ms(self) -> i64 {
        (self.wall_clock)()
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

/// Tells the client that a reader's budget has room again. Memory is given back anywhere, also under the lock, so this
/// only wakes the driver.
pub(crate) struct BudgetWaker(pub(crate) std::sync::Weak<Shared>, pub(crate) DriverWaker);

/// A way to wake the driver without the client's lock.
#[derive(Clone, Default, Debug)]
pub(crate) struct DriverWaker(Arc<Mutex<(bool, Option<Waker>)>>);

impl DriverWaker {
    pub(super) fn notify(&self) {
        let waker = {
            let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            slot.0 = true;
            slot.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether it was notified since the last time; else the waker is kept.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> bool {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut slot.0) {
            return true;
        }
        slot.1 = Some(cx.waker().clone());
        false
    }
}

impl Wake for BudgetWaker {
    fn wake(self: Arc<Self>) {
        if self.0.strong_count() > 0 {
            self.1.notify();
        }
    }
}

impl State {
    fn collect(&mut self, after: &mut After) {
        while let Some(event) = self.core.poll_event() {
            match event {
                Event::Transmit(conn) => after.wakers.extend(self.conns.remove(&conn)),
                Event::Call(id) => after.wakers.extend(self.calls.remove(&id)),
                Event::Committed(_) if mutant!("commit_not_woken") => {}
                Event::Committed(id) => after.wakers.extend(self.commits.remove(&id)),
                Event::Readable(_) if mutant!("reader_not_woken") => {}
                Event::Readable(id) | Event::ReaderClosed(id) => {
                    after.wakers.extend(self.readers.remove(&id))
                }
                Event::Topic(topic) => {
                    after
                        .wakers
                        .extend(self.topics.remove(&topic).into_iter().flat_map(BTreeMap::into_values));
                }
                Event::Resolved(_) | Event::Memory(_) | Event::Assignor(..) => after.events.push(event),
                Event::Degraded(error) => crate::trace::degraded(&error),
            }
        }
        self.notify_driver(after);
        if self.shut_down {
            self.wake_all(after);
        }
    }

    fn notify_driver(&mut self, after: &mut After) {
        let earlier = match (self.core.poll_timeout(), self.armed) {
            (Some(at), Some(armed)) => at < armed,
            (at, None) => at.is_some(),
            (None, Some(_)) => false,
        };
        if earlier || self.core.has_actions() || self.shut_down {
            self.driver.notified = true;
            after.wakers.extend(self.driver.waker.take());
        }
    }

    fn wake_all(&mut self, after: &mut After) {
        after.hooks.extend(std::mem::take(&mut self.hooks).into_values());
        after.wakers.extend(std::mem::take(&mut self.conns).into_values());
        after.wakers.extend(std::mem::take(&mut self.calls).into_values());
        after.wakers.extend(std::mem::take(&mut self.commits).into_values());
        after.wakers.extend(std::mem::take(&mut self.readers).into_values());
        let topics = std::mem::take(&mut self.topics).into_values();
        after.wakers.extend(topics.flat_map(BTreeMap::into_values));
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.shut_down
    }

    // ---- the driver ----

    /// The driver is about to sleep: until when, unless there is something to do first.
    pub(crate) fn arm(&mut self) -> Option<Instant> {
        self.armed = self.core.poll_timeout();
        self.armed
    }

    /// Whether the driver was called; else its waker is kept.
    pub(crate) fn driver_called(&mut self, cx: &mut Context<'_>) -> bool {
        if std::mem::take(&mut self.driver.notified) {
            return true;
        }
        self.driver.waker = Some(cx.waker().clone());
        false
    }

    // ---- waiting, always after having found nothing under the same lock ----

    pub(crate) fn await_transmit(&mut self, conn: ConnId, cx: &Context<'_>) {
        self.conns.insert(conn, cx.waker().clone());
    }

    pub(crate) fn await_call(&mut self, id: u64, cx: &Context<'_>) {
        self.calls.insert(id, cx.waker().clone());
    }

    pub(crate) fn await_commit(&mut self, id: u64, cx: &Context<'_>) {
        self.commits.insert(id, cx.waker().clone());
    }

    pub(crate) fn await_reader(&mut self, id: u32, cx: &Context<'_>) {
        self.readers.insert(id, cx.waker().clone());
    }

    pub(crate) fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    pub(crate) fn await_topic(&mut self, topic: &Str, ticket: u64, cx: &Context<'_>) {
        self.topics.entry(topic.clone()).or_default().insert(ticket, cx.waker().clone());
    }

    pub(crate) fn forget_topic_waiter(&mut self, topic: &Str, ticket: u64) {
        if let Some(waiters) = self.topics.get_mut(topic) {
            waiters.remove(&ticket);
            if waiters.is_empty() {
                self.topics.remove(topic);
            }
        }
    }

    pub(crate) fn forget_call(&mut self, id: u64) {
        self.calls.remove(&id);
        self.core.cancel_call(id);
    }

    pub(crate) fn forget_commit(&mut self, id: u64) {
        self.commits.remove(&id);
    }

    pub(crate) fn take_conn_waker(&mut self, conn: ConnId) -> Option<Waker> {
        self.conns.remove(&conn)
    }

    // ---- the end of connections ----

    /// Tells a connection to end; the waker and the hook are the caller's to call once the lock is free.
    pub(crate) fn end_conn(&mut self, conn: ConnId) -> (Option<Waker>, Option<EndHook>) {
        self.ending.insert(conn);
        (self.conns.remove(&conn), self.hooks.remove(&conn))
    }

    /// Keeps the hook, or gives it back where the connection is told to end already.
    pub(crate) fn on_end(&mut self, conn: ConnId, hook: EndHook) -> Option<EndHook> {
        if self.is_ending(conn) {
            return Some(hook);
        }
        self.hooks.insert(conn, hook);
        None
    }

    pub(crate) fn is_ending(&self, conn: ConnId) -> bool {
        self.shut_down || self.ending.contains(&conn)
    }

    pub(crate) fn conn_gone(&mut self, conn: ConnId) {
        self.ending.remove(&conn);
        self.conns.remove(&conn);
        self.hooks.remove(&conn);
    }
}

/// The error of everything that is done after the end.
pub(crate) fn closed() -> Error {
    Error::new(crate::error::ErrorKind::Closed)
}
