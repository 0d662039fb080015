//! The executor: the calling thread itself, which parks while its one future waits.
//!
//! A wake-up is a flag beside the thread's park token, since others who park this thread may consume the token. A timer
//! is a deadline that the future leaves behind and that the thread parks against.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

thread_local! {
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
    /// The parker of this thread while none of its calls uses it; a call within a call makes its own.
    static IDLE: Cell<Option<Parker>> = const { Cell::new(None) };
}

/// Runs a future to its end.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let parker = Parker::take();
    let mut future = pin!(future);
    loop {
        match parker.poll(future.as_mut()) {
            (Poll::Ready(output), _) => {
                parker.give_back();
                return output;
            }
            (Poll::Pending, deadline) => parker.park(deadline),
        }
    }
}

/// Runs a future to its end, or until the clock has reached `until`.
pub(crate) fn block_until<T>(until: Instant, future: impl Future<Output = T>) -> Option<T> {
    let parker = Parker::take();
    let mut future = pin!(future);
    loop {
        match parker.poll(future.as_mut()) {
            (Poll::Ready(output), _) => {
                parker.give_back();
                return Some(output);
            }
            (Poll::Pending, _) if Instant::now() >= until => return None,
            (Poll::Pending, deadline) => parker.park(Some(deadline.map_or(until, |other| other.min(until)))),
        }
    }
}

/// Waits until the clock has reached `at`; only within [`block_on`].
pub(crate) async fn sleep_until(at: Instant) {
    std::future::poll_fn(|_| {
        if Instant::now() >= at {
            return Poll::Ready(());
        }
        DEADLINE.set(Some(DEADLINE.get().map_or(at, |other| other.min(at))));
        Poll::Pending
    })
    .await;
}

struct Parker {
    thread: Arc<Parked>,
    waker: Waker,
}

struct Parked {
    thread: Thread,
    woken: AtomicBool,
}

impl Parker {
    fn take() -> Self {
        IDLE.try_with(Cell::take).ok().flatten().unwrap_or_else(Self::new)
    }

    fn new() -> Self {
        let thread = Arc::new(Parked { thread: thread::current(), woken: AtomicBool::new(false) });
        Self { waker: Waker::from(thread.clone()), thread }
    }

    fn give_back(self) {
        let _ = IDLE.try_with(|idle| idle.set(Some(self)));
    }

    /// The future's output, or the time at which it wants to be polled though nobody wakes it.
    fn poll<T>(&self, future: Pin<&mut impl Future<Output = T>>) -> (Poll<T>, Option<Instant>) {
        let outer = DEADLINE.replace(None);
        let output = future.poll(&mut Context::from_waker(&self.waker));
        (output, DEADLINE.replace(outer))
    }

    fn park(&self, deadline: Option<Instant>) {
        while !self.thread.woken.swap(false, Ordering::Acquire) {
            match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
                Some(left) if left.is_zero() => return,
                Some(left) => thread::park_timeout(left),
                None => thread::park(),
            }
        }
    }
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
