//! Heavy work, in threads that end when there is none: at most one a processor.
//!
//! Invariant: a job that panics costs neither its thread nor the jobs behind it.

use crate::threads::start;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

type Job = Box<dyn FnOnce() + Send>;

/// The work of one client.
#[derive(Clone, Default)]
pub(crate) struct Jobs(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Job>,
    threads: usize,
}

impl Jobs {
    pub(crate) fn run(&self, job: Job) {
        let more = {
            let mut queue = self.lock();
            queue.waiting.push_back(job);
            let more = queue.threads < available_parallelism().map_or(1, usize::from);
            queue.threads += usize::from(more);
            more
        };
        let jobs = self.clone();
        if more && start("kafka-job", move || jobs.work()).is_err() {
            // The system has no more threads; late is better than never.
            self.work();
        }
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            // The panic was reported by its hook, and nobody waits for this thread.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }

    /// The next job; where there is none the thread counts as ended.
    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        let job = queue.waiting.pop_front();
        queue.threads -= usize::from(job.is_none());
        job
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jobs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    /// The end of a job wakes tasks of the application, and its events go to subscribers of the application.
    #[test]
    fn a_job_that_panics_takes_no_thread_from_others() {
        let jobs = Jobs::default();
        let count = available_parallelism().map_or(1, usize::from);
        for _ in 0..count {
            jobs.run(Box::new(|| panic!("a waker of the application")));
        }
        let (done, wait) = mpsc::channel();
        jobs.run(Box::new(move || done.send(()).unwrap()));
        assert!(wait.recv_timeout(Duration::from_secs(3)).is_ok(), "no job is run any more");
    }
}
