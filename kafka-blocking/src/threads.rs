//! The client's threads, counted.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::thread::{Builder, JoinHandle};

static LIVE: AtomicUsize = AtomicUsize::new(0);

/// How many threads the clients of this process have now: for tests, since none may outlive its client.
pub fn live_threads() -> usize {
    LIVE.load(Ordering::Acquire)
}

struct Live;

impl Live {
    fn new() -> Self {
        LIVE.fetch_add(1, Ordering::AcqRel);
        Self
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Starts a thread. Where the system has none left, `work` is dropped.
pub(crate) fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let live = Live::new();
    Builder::new().name(name.to_owned()).spawn(move || {
        let _live = live;
        work()
    })
}

struct Answer<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

/// Does work that nothing can interrupt in a thread of its own, so that whoever waits for it can be told to end.
pub(crate) async fn unblock<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let answer = Arc::new(Mutex::new(Answer { value: None, waker: None }));
    let theirs = answer.clone();
    start(name, move || {
        let value = work();
        let waker = {
            let mut answer = theirs.lock().unwrap_or_else(PoisonError::into_inner);
            answer.value = Some(value);
            answer.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    })?;
    poll_fn(|cx| {
        let mut answer = answer.lock().unwrap_or_else(PoisonError::into_inner);
        match answer.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                answer.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    })
    .await
}
