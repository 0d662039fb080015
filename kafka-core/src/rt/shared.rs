//! The one lock of a client and whoever is to be woken because of what happens under it.
//!
//! Invariants
//! * [`Shared::with`] is the only place that locks. No `.await`, no I/O, no job, no user code runs under the lock.
//! * What leaves the lock goes through [`After`], whose parts are called, run and dropped once the lock is released.
//! * Wakers are neither called nor dropped under the lock: a dropped one can be the last that keeps a task, and with it
//!   futures of this client, alive.
//! * Who waits registers under the same lock under which it found nothing, so that no wake-up is lost.
//! * Nothing but the driver's and connections' tasks keeps working once the last handle is gone: they end as soon as the
//!   client's groups are left.

use crate::client::config::ClientConfig;
use crate::client::machine::Now;
use crate::client::{Client, Event, Input};
use crate::error::Error;
use crate::link::ConnId;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::trace::Trace;
use crate::writer::Clock;
use kafka_proto::Str;
use std::collections::btree_map::Entry;
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
    /// Who waits for all readers to end, by ticket.
    closers: BTreeMap<u64, Waker>,
    topics: BTreeMap<Str, BTreeMap<u64, Waker>>,
    next_ticket: u64,
    shut_down: bool,
    after: After,
}

/// Run once a connection is told to end.
pub(crate) type EndHook = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Slot {
    notified: bool,
    waker: Option<Waker>,
}

/// The outbox: everything that must wait until the lock is released. Empty, it costs no allocation.
#[derive(Default)]
struct After {
    wakers: Vec<Waker>,
    events: Vec<Event>,
    hooks: Vec<EndHook>,
    /// Wakers and hooks that nobody needs any more.
    stale_wakers: Vec<Waker>,
    stale_hooks: Vec<EndHook>,
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
            closers: BTreeMap::new(),
            topics: BTreeMap::new(),
            next_ticket: 0,
            shut_down: false,
            after: After::default(),
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

    /// Takes the lock and runs `f`; what has to be done because of it is done once the lock is released.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let (result, after) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let result = f(&mut state);
            state.collect();
            (result, std::mem::take(&mut state.after))
        };
        self.finish(after);
        result
    }

    fn finish(&self, after: After) {
        let (mut calls, mut traces) = (Vec::new(), Vec::new());
        for event in after.events {
            match event {
                Event::Resolved(batches) => batches.wake(),
                Event::Memory(writers) => writers.wake(),
                Event::Assignor(reader, call) => calls.push((reader, call)),
                Event::Trace(trace) => traces.push(trace),
                // Garbage is dropped here.
                _ => {}
            }
        }
        after.hooks.into_iter().for_each(|hook| hook());
        after.wakers.into_iter().for_each(Waker::wake);
        // Last, since it may take its time.
        traces.into_iter().for_each(Trace::emit);
        for (reader, call) in calls {
            self.input(Input::Assigned { reader, answer: call.run() });
        }
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

/// Tells the client that a reader's budget has room again. Memory is given back anywhere, so this only wakes the driver.
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
        let stale = slot.1.replace(cx.waker().clone());
        // Its drop is code of others, which may come back here.
        drop(slot);
        drop(stale);
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
    fn collect(&mut self) {
        let after = &mut self.after;
        while let Some(event) = self.core.poll_event() {
            match event {
                Event::Transmit(conn) => after.wakers.extend(self.conns.remove(&conn)),
                Event::Call(id) => after.wakers.extend(self.calls.remove(&id)),
                Event::Committed(_) if mutant!("commit_not_woken") => {}
                Event::Committed(id) => after.wakers.extend(self.commits.remove(&id)),
                Event::Readable(_) if mutant!("reader_not_woken") => {}
                Event::Readable(id) => after.wakers.extend(self.readers.remove(&id)),
                Event::ReaderClosed(id) => {
                    after.wakers.extend(self.readers.remove(&id));
                    after.wakers.extend(std::mem::take(&mut self.closers).into_values());
                }
                Event::Ended => self.shut_down = true,
                Event::Topic(topic) => {
                    after
                        .wakers
                        .extend(self.topics.remove(&topic).into_iter().flat_map(BTreeMap::into_values));
                }
                Event::Degraded(error) => after.events.push(Event::Trace(Trace::degraded(error))),
                Event::Resolved(_)
                | Event::Memory(_)
                | Event::Assignor(..)
                | Event::Garbage(_)
                | Event::Trace(_) => after.events.push(event),
            }
        }
        self.notify_driver();
        if self.shut_down {
            self.wake_all();
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
            self.after.wakers.extend(self.driver.waker.take());
        }
    }

    fn wake_all(&mut self) {
        let after = &mut self.after;
        after.hooks.extend(std::mem::take(&mut self.hooks).into_values());
        after.wakers.extend(std::mem::take(&mut self.conns).into_values());
        after.wakers.extend(std::mem::take(&mut self.calls).into_values());
        after.wakers.extend(std::mem::take(&mut self.commits).into_values());
        after.wakers.extend(std::mem::take(&mut self.readers).into_values());
        after.wakers.extend(std::mem::take(&mut self.closers).into_values());
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
    pub(crate) fn driver_called(&mut self, cx: &Context<'_>) -> bool {
        if std::mem::take(&mut self.driver.notified) {
            return true;
        }
        if !self.driver.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.after.stale_wakers.extend(self.driver.waker.replace(cx.waker().clone()));
        }
        false
    }

    // ---- waiting, always after having found nothing under the same lock ----

    pub(crate) fn await_transmit(&mut self, conn: ConnId, cx: &Context<'_>) {
        keep(&mut self.conns, conn, cx, &mut self.after.stale_wakers);
    }

    pub(crate) fn await_call(&mut self, id: u64, cx: &Context<'_>) {
        keep(&mut self.calls, id, cx, &mut self.after.stale_wakers);
    }

    pub(crate) fn await_commit(&mut self, id: u64, cx: &Context<'_>) {
        keep(&mut self.commits, id, cx, &mut self.after.stale_wakers);
    }

    pub(crate) fn await_reader(&mut self, id: u32, cx: &Context<'_>) {
        keep(&mut self.readers, id, cx, &mut self.after.stale_wakers);
    }

    pub(crate) fn await_closed_reader(&mut self, ticket: u64, cx: &Context<'_>) {
        keep(&mut self.closers, ticket, cx, &mut self.after.stale_wakers);
    }

    pub(crate) fn forget_closer(&mut self, ticket: u64) {
        self.after.stale_wakers.extend(self.closers.remove(&ticket));
    }

    pub(crate) fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    pub(crate) fn await_topic(&mut self, topic: &Str, ticket: u64, cx: &Context<'_>) {
        let waiters = self.topics.entry(topic.clone()).or_default();
        keep(waiters, ticket, cx, &mut self.after.stale_wakers);
    }

    pub(crate) fn forget_topic_waiter(&mut self, topic: &Str, ticket: u64) {
        if let Some(waiters) = self.topics.get_mut(topic) {
            self.after.stale_wakers.extend(waiters.remove(&ticket));
            if waiters.is_empty() {
                self.topics.remove(topic);
            }
        }
    }

    pub(crate) fn forget_call(&mut self, id: u64) {
        self.after.stale_wakers.extend(self.calls.remove(&id));
        self.core.cancel_call(id);
    }

    pub(crate) fn forget_commit(&mut self, id: u64) {
        self.after.stale_wakers.extend(self.commits.remove(&id));
    }

    /// Wakes the task that writes to a connection.
    pub(crate) fn wake_conn(&mut self, conn: ConnId) {
        self.after.wakers.extend(self.conns.remove(&conn));
    }

    // ---- the end of connections ----

    /// Tells a connection to end.
    pub(crate) fn end_conn(&mut self, conn: ConnId) {
        self.ending.insert(conn);
        self.after.wakers.extend(self.conns.remove(&conn));
        self.after.hooks.extend(self.hooks.remove(&conn));
    }

    /// Keeps the hook, or runs it where the connection is told to end already.
    pub(crate) fn on_end(&mut self, conn: ConnId, hook: EndHook) {
        if self.is_ending(conn) {
            self.after.hooks.push(hook);
        } else {
            self.after.stale_hooks.extend(self.hooks.insert(conn, hook));
        }
    }

    pub(crate) fn is_ending(&self, conn: ConnId) -> bool {
        self.shut_down || self.ending.contains(&conn)
    }

    pub(crate) fn conn_gone(&mut self, conn: ConnId) {
        self.ending.remove(&conn);
        self.after.stale_wakers.extend(self.conns.remove(&conn));
        self.after.stale_hooks.extend(self.hooks.remove(&conn));
    }
}

/// Keeps a task's waker in place of the one before.
fn keep<K: Ord>(wakers: &mut BTreeMap<K, Waker>, key: K, cx: &Context<'_>, stale: &mut Vec<Waker>) {
    match wakers.entry(key) {
        Entry::Vacant(entry) => {
            entry.insert(cx.waker().clone());
        }
        Entry::Occupied(entry) if entry.get().will_wake(cx.waker()) => {}
        Entry::Occupied(mut entry) => stale.push(entry.insert(cx.waker().clone())),
    }
}

/// The error of everything that is done after the end.
pub(crate) fn closed() -> Error {
    Error::new(crate::error::ErrorKind::Closed)
}

#[cfg(all(test, not(shuttle)))]
mod tests;
