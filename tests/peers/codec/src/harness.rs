//! Measures: calibrate, warm up, then rounds. In each round every case of a group is sampled once, in an order that
//! rotates, so that what else the machine does hits all alike.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// The CPU time of this thread: what else runs on the machine is not in it.
fn cpu_time() -> Duration {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec that the call fills.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut t) };
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}

pub use count::count_allocs;

/// Runs an operation so many times and gives the time it took.
pub type Run = Box<dyn FnMut(u64) -> Duration>;

pub struct Case {
    /// A crate, or the floor.
    pub name: String,
    /// What else is to be known: the version of a message, the size of a compressed batch.
    pub note: String,
    pub run: Run,
}

/// Cases that do the same work.
pub struct Group {
    pub name: String,
    /// Uncompressed bytes that an operation handles.
    pub bytes: usize,
    pub cases: Vec<Case>,
}

pub struct Row {
    pub name: String,
    pub note: String,
    /// Nanoseconds an operation, one sample a round, in the order of the rounds.
    pub samples: Vec<f64>,
}

/// Times `f`; what it returns is dropped within that time.
pub fn simple<T: 'static>(mut f: impl FnMut() -> T + 'static) -> Run {
    Box::new(move |n| {
        count::set(true);
        let start = cpu_time();
        for _ in 0..n {
            black_box(f());
        }
        let time = cpu_time() - start;
        count::set(false);
        time
    })
}

pub struct Opts {
    pub rounds: usize,
    pub sample: Duration,
    pub warmup: Duration,
}

/// One row for each case.
pub fn measure(cases: Vec<Case>, o: &Opts) -> Vec<Row> {
    let mut cases = cases;
    let times: Vec<u64> = cases.iter_mut().map(|c| calibrate(&mut c.run, o)).collect();
    let mut samples = vec![Vec::with_capacity(o.rounds); cases.len()];
    for round in 0..o.rounds {
        for j in 0..cases.len() {
            let i = (j + round) % cases.len();
            let time = (cases[i].run)(times[i]);
            samples[i].push(time.as_secs_f64() * 1e9 / times[i] as f64);
        }
    }
    cases.into_iter().zip(samples).map(|(c, samples)| Row { name: c.name, note: c.note, samples }).collect()
}

/// Warms up; gives how often to run the operation for one sample.
fn calibrate(run: &mut Run, o: &Opts) -> u64 {
    let (mut n, mut best, start) = (1u64, f64::MAX, Instant::now());
    loop {
        let time = run(n);
        best = best.min(time.as_secs_f64() / n as f64);
        if start.elapsed() >= o.warmup && time > Duration::from_micros(500) {
            return ((o.sample.as_secs_f64() / best.max(1e-10)) as u64).max(1);
        }
        if time < o.sample / 2 {
            n = n.saturating_mul(2);
        }
    }
}

pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How many times as long `a` takes as `b`: the median of the rounds' ratios, as neighbours in time are disturbed alike.
pub fn ratio(a: &Row, b: &Row) -> f64 {
    median(a.samples.iter().zip(&b.samples).map(|(a, b)| a / b))
}

/// The counting allocator (feature `count-alloc`).
mod count {
    use super::Case;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

    static ON: AtomicBool = AtomicBool::new(false);
    static CALLS: AtomicU64 = AtomicU64::new(0);
    static BYTES: AtomicU64 = AtomicU64::new(0);

    #[inline(always)]
    pub fn set(on: bool) {
        if cfg!(feature = "count-alloc") {
            ON.store(on, Relaxed);
        }
    }

    /// Allocations and bytes an operation.
    pub fn count_allocs(case: &mut Case) -> (f64, f64) {
        const TIMES: u64 = 10;
        (case.run)(2); // reused buffers grow here
        CALLS.store(0, Relaxed);
        BYTES.store(0, Relaxed);
        (case.run)(TIMES);
        let per = |total: &AtomicU64| total.load(Relaxed) as f64 / TIMES as f64;
        (per(&CALLS), per(&BYTES))
    }

    #[cfg(feature = "count-alloc")]
    mod allocator {
        use super::*;
        use std::alloc::{GlobalAlloc, Layout, System};

        struct Counting;

        impl Counting {
            fn note(bytes: usize) {
                if ON.load(Relaxed) {
                    CALLS.fetch_add(1, Relaxed);
                    BYTES.fetch_add(bytes as u64, Relaxed);
                }
            }
        }

        // SAFETY: all is left to the system's allocator.
        unsafe impl GlobalAlloc for Counting {
            unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
                Counting::note(layout.size());
                unsafe { System.alloc(layout) }
            }

            unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
                unsafe { System.dealloc(at, layout) }
            }

            unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
                Counting::note(size.saturating_sub(layout.size()));
                unsafe { System.realloc(at, layout, size) }
            }
        }

        #[global_allocator]
        static COUNTING: Counting = Counting;
    }
}
