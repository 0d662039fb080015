//! Where tasks run: all in which smol and async-std differ.

use crate::Error;
use std::future::Future;

/// An executor.
pub trait Spawn: Clone + Send + Sync + 'static {
    /// The executor around the call.
    ///
    /// # Errors
    /// There is none: [`ErrorKind::Misuse`](crate::ErrorKind::Misuse).
    fn current() -> Result<Self, Error>;

    /// Runs a task to its end, detached.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

/// smol's global executor, whose threads need no call of the application.
#[cfg(feature = "smol")]
#[derive(Clone, Copy, Debug, Default)]
pub struct SmolTasks;

#[cfg(feature = "smol")]
impl Spawn for SmolTasks {
    fn current() -> Result<Self, Error> {
        Ok(Self)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        smol::spawn(task).detach();
    }
}

/// An executor of the application, which has to run it. The client does not keep it: it ends with the executor.
#[cfg(feature = "smol")]
impl Spawn for std::sync::Weak<smol::Executor<'static>> {
    fn current() -> Result<Self, Error> {
        let unnamed = "an executor of one's own has to be given to the builder";
        Err(Error::new(crate::ErrorKind::Misuse(unnamed)))
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // A task that is dropped ends what it was for.
        if let Some(executor) = self.upgrade() {
            executor.spawn(task).detach();
        }
    }
}

/// async-std's global executor, whose threads need no call of the application.
#[cfg(feature = "async-std")]
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncStdTasks;

#[cfg(feature = "async-std")]
impl Spawn for AsyncStdTasks {
    fn current() -> Result<Self, Error> {
        Ok(Self)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        async_std::task::spawn(task);
    }
}
