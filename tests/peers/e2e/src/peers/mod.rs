//! One file per peer. To add one: a file here with a type that implements [`Peer`], a cargo feature
//! `peer-NAME` with the optional dependency, a line in [`find`] and a `mod` line.

use crate::args::Cfg;
use crate::meter::Meter;
use crate::work::Workload;
use anyhow::{Result, bail};
use bytes::Bytes;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

mod null;

#[cfg(feature = "peer-barnabas")]
mod barnabas;
#[cfg(feature = "peer-confluent")]
mod confluent;
#[cfg(feature = "peer-kacrab")]
mod kacrab;
#[cfg(feature = "peer-krafka")]
mod krafka;
#[cfg(feature = "peer-ours")]
mod ours;
#[cfg(feature = "peer-rdkafka")]
mod rdkafka;
#[cfg(feature = "peer-rskafka")]
mod rskafka;

/// Futures are polled on the thread that runs `main`, so they need not be `Send`.
pub type Fut<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// One client library. Every method makes a client of its own from `c`.
pub trait Peer {
    /// The version, out of Cargo.lock.
    fn version(&self) -> String;

    /// Which API the scenario uses, and which of the requested settings the peer has no word for.
    fn api(&self, c: &Cfg) -> String;

    /// Runs the application; on the bench's tokio, unless the peer brings a runtime of its own.
    fn block_on<'a>(&self, _: &Cfg, rt: &tokio::runtime::Runtime, run: Fut<'a, ()>) -> Result<()> {
        rt.block_on(run)
    }

    /// Send `c.warmup` records and wait for them; `m.start()`; send `c.records` records, with
    /// everything the API offers for throughput; when all are acknowledged, `m.stop()`. Every
    /// acknowledged record is told to `m.acked`, every failed one to `m.error`.
    fn produce<'a>(&'a self, c: &'a Cfg, w: &'a Workload, m: &'a Arc<Meter>) -> Fut<'a, ()>;

    /// Make the consumer, `m.start()`, read `c.records` records from the beginning of `c.topic`
    /// (by `c.group`: all partitions assigned by hand, or as a member of a group), `m.stop()`.
    /// `touch` every record and tell `m.read`; `m.first()` at the first one.
    fn consume<'a>(&'a self, c: &'a Cfg, m: &'a Arc<Meter>) -> Fut<'a, ()>;

    /// A producer for one record at a time.
    fn sender<'a>(&'a self, c: &'a Cfg) -> Fut<'a, Box<dyn Sender + 'a>>;

    /// A consumer at the end of `c.topic`, by `c.group`.
    fn tail<'a>(&'a self, c: &'a Cfg) -> Fut<'a, Box<dyn Tail + 'a>>;
}

pub trait Sender {
    /// Send one record and wait for its acknowledgement.
    fn send<'a>(&'a mut self, key: Option<&'a Bytes>, value: &'a Bytes) -> Fut<'a, ()>;
    fn close<'a>(self: Box<Self>) -> Fut<'a, ()>
    where
        Self: 'a;
}

pub trait Tail {
    /// Wait for records, at most about `wait`, and show each one's value.
    fn poll<'a>(&'a mut self, wait: Duration, on: &'a mut (dyn FnMut(&[u8]) + 'a)) -> Fut<'a, ()>;
    fn close<'a>(self: Box<Self>) -> Fut<'a, ()>
    where
        Self: 'a;
}

/// The peer cannot do what the scenario asks; the run is skipped, not failed.
#[derive(Debug)]
pub struct Unsupported(pub String);

impl std::fmt::Display for Unsupported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for Unsupported {}

pub fn unsupported<T>(why: impl Into<String>) -> Result<T> {
    Err(Unsupported(why.into()).into())
}

pub fn no_variant<T>(c: &Cfg, have: &[&str]) -> Result<T> {
    unsupported(format!("{} has no variant {} for {} (it has {have:?})", c.peer, c.variant, c.scenario))
}

/// How long a consumer waits for the next record before the run counts as failed.
pub const STARVED: Duration = Duration::from_secs(30);

pub fn find(name: &str) -> Result<Box<dyn Peer>> {
    Ok(match name {
        "null" => Box::new(null::Null),
        #[cfg(feature = "peer-barnabas")]
        "barnabas" => Box::new(barnabas::Barnabas),
        #[cfg(feature = "peer-confluent")]
        "confluent" => Box::new(confluent::Confluent),
        #[cfg(feature = "peer-kacrab")]
        "kacrab" => Box::new(kacrab::Kacrab),
        #[cfg(feature = "peer-krafka")]
        "krafka" => Box::new(krafka::Krafka),
        #[cfg(feature = "peer-ours")]
        "ours" => Box::new(ours::Ours),
        #[cfg(feature = "peer-rdkafka")]
        "rdkafka" => Box::new(rdkafka::Rdkafka),
        #[cfg(feature = "peer-rskafka")]
        "rskafka" => Box::new(rskafka::Rskafka),
        other => bail!("this binary has no peer {other} (it is behind a cargo feature)"),
    })
}

/// A dependency's version, from the lock file this binary was built with.
pub fn locked(krate: &str) -> String {
    const LOCK: &str = include_str!("../../Cargo.lock");
    let head = format!("name = \"{krate}\"\nversion = \"");
    match LOCK.split_once(&head) {
        Some((_, rest)) => rest.split('"').next().unwrap_or("?").to_owned(),
        None => "?".to_owned(),
    }
}
