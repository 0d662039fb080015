//! What the suite needs of an adapter: to run a future, to start a task, to sleep.

use crate::handles::ClientBuilder;
use kafka_core as rt;
use kafka_core::runtime::Runtime;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// An adapter, and the runtime its users have around it.
pub(crate) trait Adapter: 'static {
    /// The core's view of the runtime.
    type Runtime: Runtime;

    /// Runs a future to its end with the runtime around it.
    fn block_on<T>(future: impl Future<Output = T>) -> T;

    /// Starts a task; called inside [`block_on`](Self::block_on).
    fn start(task: impl Future<Output = ()> + Send + 'static);

    /// Lets time pass.
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send;

    /// A client to be.
    fn client(bootstrap: &str) -> ClientBuilder<Self::Runtime> {
        ClientBuilder::Async(rt::ClientBuilder::new(bootstrap))
    }

    /// Why a test, named `module::test`, is not run with the adapter's handles; `None` if it is.
    fn left_out(_: &str) -> Option<&'static str> {
        None
    }
}

/// kafka-tokio, on two threads.
#[derive(Debug)]
pub(crate) struct OnTokio;

impl Adapter for OnTokio {
    type Runtime = kafka_tokio::Tokio;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().expect("a runtime").block_on(future)
    }

    fn start(task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    async fn sleep(time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// kafka-smol on smol's own executor.
#[derive(Debug)]
pub(crate) struct OnSmol;

impl Adapter for OnSmol {
    type Runtime = kafka_smol::Smol;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        smol::block_on(future)
    }

    fn start(task: impl Future<Output = ()> + Send + 'static) {
        smol::spawn(task).detach();
    }

    async fn sleep(time: Duration) {
        smol::Timer::after(time).await;
    }
}

/// kafka-smol on async-std.
#[derive(Debug)]
pub(crate) struct OnAsyncStd;

impl Adapter for OnAsyncStd {
    type Runtime = kafka_smol::AsyncStd;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        async_std::task::block_on(future)
    }

    fn start(task: impl Future<Output = ()> + Send + 'static) {
        async_std::task::spawn(task);
    }

    async fn sleep(time: Duration) {
        async_std::task::sleep(time).await;
    }
}

/// kafka-blocking's threads under handles that wait in parked threads, a task being one.
#[derive(Debug)]
pub(crate) struct OnThreads;

impl Adapter for OnThreads {
    type Runtime = kafka_blocking::Blocking;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut cx = Context::from_waker(&waker);
        loop {
            match future.as_mut().poll(&mut cx) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    }

    fn start(task: impl Future<Output = ()> + Send + 'static) {
        thread::spawn(move || Self::block_on(task));
    }

    async fn sleep(time: Duration) {
        let end = Instant::now() + time;
        let mut started = false;
        poll_fn(|cx| {
            let now = Instant::now();
            if now >= end {
                return Poll::Ready(());
            }
            if !std::mem::replace(&mut started, true) {
                let waker = cx.waker().clone();
                thread::spawn(move || {
                    thread::sleep(end - now);
                    waker.wake();
                });
            }
            Poll::Pending
        })
        .await;
    }
}

/// kafka-blocking's own handles: each task has a thread, which their calls block.
#[derive(Debug)]
pub(crate) struct OnBlocking;

impl OnBlocking {
    /// All others of the suite run with the blocking handles, new ones too.
    pub(crate) const LEFT_OUT: [(&str, &str); 6] = [
        ("cancel::promise_21_dropped_sends", POLLS),
        ("cancel::promise_21_dropped_deliveries_and_flushes", POLLS),
        ("cancel::promise_21_dropped_writes", POLLS),
        (
            "cancel::promise_21_dropped_reads",
            "it polls futures; `waits_that_end_lose_nothing` does it with `_within`",
        ),
        ("cancel::promise_21_dropped_commits", POLLS),
        ("cancel::promise_21_dropped_calls", POLLS),
    ];
}

const POLLS: &str = "it polls futures and drops them, and a blocking call cannot be dropped";

impl Adapter for OnBlocking {
    type Runtime = kafka_blocking::Blocking;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        OnThreads::block_on(future)
    }

    fn start(task: impl Future<Output = ()> + Send + 'static) {
        OnThreads::start(task);
    }

    async fn sleep(time: Duration) {
        OnThreads::sleep(time).await;
    }

    fn client(bootstrap: &str) -> ClientBuilder<Self::Runtime> {
        ClientBuilder::Blocking(kafka_blocking::builder(bootstrap))
    }

    fn left_out(name: &str) -> Option<&'static str> {
        Self::LEFT_OUT.iter().find(|(test, _)| *test == name).map(|(_, why)| *why)
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A task whose result can be waited for.
#[derive(Debug)]
pub(crate) struct Task<T>(Arc<Mutex<Slot<T>>>);

#[derive(Debug)]
struct Slot<T> {
    ended: bool,
    result: Option<T>,
    waker: Option<Waker>,
}

/// Tells whoever waits that the task has ended, also when it panicked.
struct End<T>(Arc<Mutex<Slot<T>>>);

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.ended = true;
        if let Some(waker) = slot.waker.take() {
            waker.wake();
        }
    }
}

/// Starts a task on the adapter's runtime.
pub(crate) fn spawn<A: Adapter, T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> Task<T> {
    let slot = Arc::new(Mutex::new(Slot { ended: false, result: None, waker: None }));
    let end = End(slot.clone());
    A::start(async move {
        let end = end;
        let result = future.await;
        end.0.lock().unwrap_or_else(PoisonError::into_inner).result = Some(result);
    });
    Task(slot)
}

impl<T> Task<T> {
    /// Its result.
    ///
    /// # Panics
    /// If the task panicked.
    pub(crate) async fn join(self) -> T {
        let result = poll_fn(|cx| {
            let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if slot.ended {
                return Poll::Ready(slot.result.take());
            }
            slot.waker = Some(cx.waker().clone());
            Poll::Pending
        });
        result.await.expect("the task panicked")
    }
}
