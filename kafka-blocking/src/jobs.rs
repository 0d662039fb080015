//! Heavy work, in threads that end when there is none: at most one a processor.

use crate::threads::start;
use std::collections::VecDeque;
use std::fmt;
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
            job();
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
