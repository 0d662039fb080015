//! One run, as the example drives it: the cluster, the phases, what was written and read.

use super::Failure;
use super::args::Args;
use super::ledger::Ledger;
use super::messages::{KEYS, Messages};
use super::progress::Progress;
use super::report::{Phase, table, thousands};
use crate::Cluster;
use kafka_core::{Delivered, ErrorCode, ErrorKind, Message, Record};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, RandomState};
use std::pin::{Pin, pin};
use std::process::{ExitCode, exit};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// Tasks that write; each has keys of its own, so that messages of a key keep their order.
const WRITERS: u64 = 4;
/// A member commits after so many messages, or after a second.
const COMMIT_EVERY: usize = 20_000;

/// One run of the quickstart.
#[derive(Debug)]
pub struct Run {
    args: Args,
    brokers: String,
    group: String,
    pub(crate) ledger: Ledger,
    phases: Mutex<Vec<Phase>>,
    notes: Mutex<Vec<String>>,
    waiting: Mutex<Vec<Waker>>,
    progress: Mutex<Option<Progress>>,
}

/// Runs the example: starts the cluster where none is named, drives the client, checks, prints. The exit code is 1 and
/// the reason is told where anything is off.
pub fn run(args: Args, drive: impl FnOnce(Arc<Run>) -> Result<(), Failure>) -> ExitCode {
    match begin(args).and_then(|(run, cluster)| {
        let driven = drive(run.clone()).and_then(|()| run.ledger.check());
        // Ends outside the lock, which the watch of a run that stands still wants as well.
        let progress = lock(&run.progress).take();
        drop(progress);
        driven.map(|()| drop(cluster)).map(|()| run)
    }) {
        Ok(run) => {
            run.tell();
            ExitCode::SUCCESS
        }
        // Threads of a client that was given up must not hold up the end.
        Err(failure) => {
            eprintln!("quickstart failed: {failure}");
            exit(1)
        }
    }
}

fn begin(args: Args) -> Result<(Arc<Run>, Option<Cluster>), Failure> {
    let cluster = match args.brokers {
        Some(_) => None,
        None => Some(Cluster::builder().nodes(3).start()?),
    };
    let brokers =
        args.brokers.clone().or_else(|| cluster.as_ref().map(Cluster::bootstrap)).unwrap_or_default();
    let id = RandomState::new().hash_one(0);
    let messages = Messages { run: id, count: args.messages, size: args.size as usize };
    let run = Arc::new(Run {
        brokers,
        group: format!("quickstart-{id:016x}"),
        ledger: Ledger::new(messages, args.partitions as usize),
        phases: Mutex::default(),
        notes: Mutex::default(),
        waiting: Mutex::default(),
        progress: Mutex::default(),
        args,
    });
    *lock(&run.progress) = Some(Progress::new(&run));
    let interrupted = run.clone();
    ctrlc::set_handler(move || interrupted.stop("interrupted")).map_err(std::io::Error::other)?;
    Ok((run, cluster))
}

impl Run {
    /// What was asked for.
    pub fn args(&self) -> &Args {
        &self.args
    }

    /// The addresses to begin with.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// The consumer group, a new one for each run.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The replicas of the topic: three, or as many as there are brokers.
    pub fn replication_factor(&self, brokers: usize) -> i16 {
        brokers.clamp(1, 3) as i16
    }

    /// Looks whether the topic is as it should be.
    ///
    /// # Errors
    /// [`Failure::Partitions`].
    pub fn check_partitions(&self, found: usize) -> Result<(), Failure> {
        let (topic, wanted) = (self.args.topic.clone(), self.args.partitions as usize);
        if found == wanted { Ok(()) } else { Err(Failure::Partitions { topic, found, wanted }) }
    }

    // ---- writing ----

    /// The numbers of the messages for each task that writes.
    pub fn shares(&self) -> impl Iterator<Item = std::iter::StepBy<std::ops::Range<u64>>> {
        assert!(KEYS.is_multiple_of(WRITERS), "a key belongs to one writer");
        self.begin("write");
        let count = self.args.messages;
        (0..WRITERS).map(move |first| (first.min(count)..count).step_by(WRITERS as usize))
    }

    /// A message by its number.
    pub fn message(&self, id: u64) -> Message {
        self.ledger.message(id)
    }

    /// A message was acknowledged.
    pub fn acked(&self, id: u64, delivered: &Delivered) {
        self.ledger.acked(id, delivered.partition, delivered.offset.unwrap_or(-1));
    }

    // ---- reading ----

    /// Everything is written; the partitions end at these offsets.
    pub fn begin_reading(&self, ends: &[i64]) {
        self.begin("read");
        if self.ledger.set_ends(ends) {
            self.wake();
        }
    }

    /// A record was read.
    ///
    /// # Errors
    /// It is damaged, doubled or out of order.
    pub fn read(&self, record: &Record) -> Result<(), Failure> {
        if self.ledger.read(record)? {
            self.wake();
        }
        Ok(())
    }

    /// Whether the partitions were read to their ends.
    pub fn is_read(&self) -> bool {
        self.ledger.is_read()
    }

    /// The future's output, or `None` once the partitions were read to their ends, by whichever member.
    pub async fn until_read<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if self.is_read() {
                return Poll::Ready(None);
            }
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            let mut waiting = lock(&self.waiting);
            if self.is_read() {
                return Poll::Ready(None);
            }
            waiting.retain(|other| !other.will_wake(cx.waker()));
            waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn wake(&self) {
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        waiting.into_iter().for_each(Waker::wake);
    }

    /// What the client had to say, for the end.
    pub fn note(&self, note: &impl ToString) {
        lock(&self.notes).push(note.to_string());
    }

    // ---- the end ----

    fn begin(&self, name: &'static str) {
        let mut phases = lock(&self.phases);
        phases.iter_mut().rev().take(1).for_each(Phase::end);
        phases.push(Phase::begin(name));
    }

    /// The phase of reading is over; closing does not count.
    pub fn end_reading(&self) {
        lock(&self.phases).iter_mut().rev().take(1).for_each(Phase::end);
    }

    /// Ends the process, with the reason.
    pub(crate) fn stop(&self, why: &str) -> ! {
        lock(&self.progress).iter().for_each(Progress::clear);
        let (acked, read) = (self.ledger.acked.load(Relaxed), self.ledger.read.load(Relaxed));
        let count = self.args.messages;
        eprintln!("quickstart failed: {why}; of {count} messages {acked} were acknowledged and {read} read");
        exit(1)
    }

    fn tell(&self) {
        let count = self.args.messages;
        let bytes = count * (u64::from(self.args.size) + 10);
        print!("{}", table(&lock(&self.phases), count, bytes).unwrap_or_default());
        let (count, sum) = (thousands(count), self.ledger.read_sum.load(Relaxed));
        println!(
            "{count} messages written and read: none lost or doubled, keys in order, checksum {sum:016x}"
        );
        let redelivered = self.ledger.redelivered.load(Relaxed);
        if redelivered > 0 {
            println!("{} were delivered again after a rebalance", thousands(redelivered));
        }
        let foreign = self.ledger.foreign.load(Relaxed);
        if foreign > 0 {
            println!("{} of earlier runs were passed over", thousands(foreign));
        }
        lock(&self.notes).iter().for_each(|note| println!("note: {note}"));
    }
}

/// The last record of each partition that is not committed yet, without its bytes.
#[derive(Debug, Default)]
pub struct Uncommitted {
    last: BTreeMap<i32, Record>,
    count: usize,
    since: Option<Instant>,
}

impl Uncommitted {
    /// A record was handled; whether it is time to commit.
    pub fn add(&mut self, mut record: Record) -> bool {
        let since = *self.since.get_or_insert_with(Instant::now);
        // One that is kept would keep the whole response in memory.
        (record.key, record.value) = (None, None);
        self.last.insert(record.partition, record);
        self.count += 1;
        self.count >= COMMIT_EVERY
            || (self.count.is_multiple_of(256) && since.elapsed() > Duration::from_secs(1))
    }

    /// What is to be committed now.
    pub fn take(&mut self) -> Vec<Record> {
        std::mem::take(self).last.into_values().collect()
    }

    /// Passes over a commit that came too late: the group gave the partitions to somebody else, who reads them again.
    ///
    /// # Errors
    /// Any other reason.
    pub fn committed(&mut self, result: kafka_core::Result<()>) -> Result<(), Failure> {
        use ErrorCode::{IllegalGeneration, RebalanceInProgress, UnknownMemberId};
        match result {
            Err(error) if matches!(error.kind(), ErrorKind::StaleCommit) => Ok(()),
            Err(error)
                if matches!(
                    error.code(),
                    Some(IllegalGeneration | RebalanceInProgress | UnknownMemberId)
                ) =>
            {
                Ok(())
            }
            result => Ok(result?),
        }
    }
}

/// Runs futures side by side until all are done or one has failed.
///
/// # Errors
/// The first failure.
pub async fn all_ok(
    futures: impl IntoIterator<Item = impl Future<Output = Result<(), Failure>>>,
) -> Result<(), Failure> {
    let mut left: Vec<Pin<Box<_>>> = futures.into_iter().map(Box::pin).collect();
    poll_fn(|cx| {
        let mut index = 0;
        while index < left.len() {
            match left[index].as_mut().poll(cx) {
                Poll::Ready(Ok(())) => drop(left.swap_remove(index)),
                Poll::Ready(failed) => return Poll::Ready(failed),
                Poll::Pending => index += 1,
            }
        }
        if left.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
