//! What one process used: wall, user and system CPU, memory, threads, context switches.

use serde_json::{Map, Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

#[derive(Clone, Copy, Debug)]
pub struct Snap {
    pub at: Instant,
    pub user: f64,
    pub sys: f64,
    pub vcsw: i64,
    pub ivcsw: i64,
}

impl Snap {
    pub fn now() -> Snap {
        let mut ru: libc::rusage = unsafe { std::mem::zeroed() };
        unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut ru) };
        let s = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
        Snap {
            at: Instant::now(),
            user: s(ru.ru_utime),
            sys: s(ru.ru_stime),
            vcsw: ru.ru_nvcsw,
            ivcsw: ru.ru_nivcsw,
        }
    }
}

/// A line of /proc/self/status, in its own unit (kB for memory).
pub fn status(field: &str) -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .unwrap_or_default()
        .lines()
        .find_map(|l| l.strip_prefix(field)?.strip_prefix(':'))
        .and_then(|v| v.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

pub fn mb(kb: u64) -> f64 {
    (kb as f64 / 1024.0 * 10.0).round() / 10.0
}

pub struct Meter {
    start: Mutex<Option<Snap>>,
    stop: Mutex<Option<Snap>>,
    first: Mutex<Option<Instant>>,
    threads: AtomicU64,
    rss: AtomicU64,
    base_rss: u64,
    pub ok: AtomicU64,
    pub errors: AtomicU64,
    /// Batches sent, where the peer tells.
    pub batches: AtomicU64,
    sum: AtomicU64,
    messages: Mutex<Vec<String>>,
}

impl Meter {
    pub fn new() -> Meter {
        Meter {
            start: Mutex::new(None),
            stop: Mutex::new(None),
            first: Mutex::new(None),
            threads: AtomicU64::new(0),
            rss: AtomicU64::new(0),
            base_rss: status("VmRSS"),
            ok: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            sum: AtomicU64::new(0),
            messages: Mutex::new(Vec::new()),
        }
    }

    /// The measured part begins: connections are up, the warm-up is acknowledged.
    pub fn start(&self) {
        self.ok.store(0, Relaxed);
        *self.start.lock().unwrap() = Some(Snap::now());
    }

    /// The measured part is over: every record is acknowledged, or read.
    pub fn stop(&self) {
        *self.stop.lock().unwrap() = Some(Snap::now());
        self.threads.store(status("Threads"), Relaxed);
        self.rss.store(status("VmRSS"), Relaxed);
    }

    pub fn stopped(&self) -> bool {
        self.stop.lock().unwrap().is_some()
    }

    /// The first record has been read.
    pub fn first(&self) {
        self.first.lock().unwrap().get_or_insert_with(Instant::now);
    }

    #[inline]
    pub fn acked(&self, n: u64) {
        self.ok.fetch_add(n, Relaxed);
    }

    #[inline]
    pub fn read(&self, n: u64, sum: u64) {
        self.ok.fetch_add(n, Relaxed);
        self.sum.fetch_add(sum, Relaxed);
    }

    pub fn sum(&self) -> u64 {
        self.sum.load(Relaxed)
    }

    #[cold]
    pub fn error(&self, what: impl std::fmt::Display) {
        self.errors.fetch_add(1, Relaxed);
        let mut m = self.messages.lock().unwrap();
        if m.len() < 3 {
            m.push(what.to_string());
        }
    }

    /// The measured part, as fields of the JSON line. `per`: the records of the records/s.
    pub fn report(&self, out: &mut Map<String, Value>, bytes_per_record: usize) {
        let end = self.stop.lock().unwrap().unwrap_or_else(Snap::now);
        let start = self.start.lock().unwrap().unwrap_or(end);
        let secs = (end.at - start.at).as_secs_f64();
        let n = self.ok.load(Relaxed);
        let user = end.user - start.user;
        let sys = end.sys - start.sys;
        out.insert("ok_records".into(), json!(n));
        out.insert("secs".into(), json!(round(secs, 4)));
        let mut rate_secs = secs;
        if let Some(first) = *self.first.lock().unwrap() {
            let first_ms = (first - start.at).as_secs_f64() * 1e3;
            out.insert("first_ms".into(), json!(round(first_ms, 2)));
            rate_secs = (end.at - first).as_secs_f64();
        }
        if rate_secs > 0.0 {
            out.insert("rec_s".into(), json!((n as f64 / rate_secs).round()));
            out.insert(
                "mb_s".into(),
                json!(round(n as f64 * bytes_per_record as f64 / rate_secs / 1e6, 2)),
            );
        }
        out.insert("cpu_user_s".into(), json!(round(user, 3)));
        out.insert("cpu_sys_s".into(), json!(round(sys, 3)));
        out.insert("cpu_s".into(), json!(round(user + sys, 3)));
        if n > 0 {
            out.insert("cpu_us_rec".into(), json!(round((user + sys) * 1e6 / n as f64, 4)));
        }
        let batches = self.batches.load(Relaxed);
        if batches > 0 {
            out.insert("cpu_us_batch".into(), json!(round((user + sys) * 1e6 / batches as f64, 3)));
            out.insert("records_batch".into(), json!(round(n as f64 / batches as f64, 1)));
        }
        out.insert("rss_base_mb".into(), json!(mb(self.base_rss)));
        out.insert("rss_end_mb".into(), json!(mb(self.rss.load(Relaxed))));
        out.insert("rss_max_mb".into(), json!(mb(status("VmHWM"))));
        out.insert("threads".into(), json!(self.threads.load(Relaxed)));
        out.insert("vcsw".into(), json!(end.vcsw - start.vcsw));
        out.insert("ivcsw".into(), json!(end.ivcsw - start.ivcsw));
        out.insert("errors".into(), json!(self.errors.load(Relaxed)));
        let m = self.messages.lock().unwrap();
        if !m.is_empty() {
            out.insert("error".into(), json!(m.join(" | ")));
        }
    }
}

pub fn round(x: f64, digits: i32) -> f64 {
    let p = 10f64.powi(digits);
    (x * p).round() / p
}
