//! Something that runs beside the application, and its end.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What [`Simulation::spawn`](super::Simulation::spawn) has begun; awaiting it gives the output.
///
/// Waiting for a task that was aborted never ends.
pub struct Task<T>(Arc<Mutex<State<T>>>);

struct State<T> {
    output: Option<T>,
    ended: bool,
    aborted: bool,
    /// Who waits for the end.
    waiter: Option<Waker>,
    /// The task itself.
    own: Option<Waker>,
}

impl<T: Send + 'static> Task<T> {
    /// The handle, and what is to be run.
    pub(super) fn new(
        future: impl Future<Output = T> + Send + 'static,
    ) -> (Task<T>, impl Future<Output = ()> + Send + 'static) {
        let state = State { output: None, ended: false, aborted: false, waiter: None, own: None };
        let task = Task(Arc::new(Mutex::new(state)));
        let run = run(Task(task.0.clone()), Box::pin(future));
        (task, run)
    }
}

impl<T> Task<T> {
    /// Whether it has come to its end, by itself or not.
    pub fn is_finished(&self) -> bool {
        self.state().ended
    }

    /// Ends it where it stands: its future is dropped, as that of a process that is killed never gets.
    pub fn abort(&self) {
        let own = {
            let mut state = self.state();
            state.aborted = true;
            state.own.take()
        };
        own.into_iter().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, output: Option<T>) {
        let waiter = {
            let mut state = self.state();
            (state.ended, state.output) = (true, output);
            state.waiter.take()
        };
        waiter.into_iter().for_each(Waker::wake);
    }
}

async fn run<T>(task: Task<T>, mut future: Pin<Box<dyn Future<Output = T> + Send>>) {
    let output = poll_fn(|cx| {
        {
            let mut state = task.state();
            if state.aborted {
                return Poll::Ready(None);
            }
            state.own = Some(cx.waker().clone());
        }
        future.as_mut().poll(cx).map(Some)
    })
    .await;
    // What it holds is gone before anybody hears of its end.
    drop(future);
    task.finish(output);
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut state = self.state();
        match state.output.take() {
            Some(output) => Poll::Ready(output),
            None => {
                state.waiter = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}
