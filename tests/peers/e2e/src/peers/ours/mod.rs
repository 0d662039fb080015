//! Our own client on each of its runtimes: `ours:RUNTIME[:WORD...]`.
//!
//! The runtimes are `tokio`, `smol`, `async-std`, `blocking`; each runs the application as its users do (`block_on` of that
//! runtime, or a plain thread). The words choose the API and the settings:
//!
//! | | produce | consume |
//! |---|---|---|
//! | `record` (default) | `send`, deliveries awaited in order | `fetch` |
//! | `batch` | `send_all` of 1,000 messages, deliveries awaited in order | `next_batch` |
//! | `wait` | `write_all` of a quarter of the window | `read` |
//! | `defaults` | with any of them: no setting but acks and codec | as `record`, no setting but the position |

mod tasks;
mod threads;

use super::{Fut, Peer, Sender, Tail, unsupported};
use crate::args::Cfg;
use crate::meter::Meter;
use crate::work::Workload;
use anyhow::{Result, bail};
use bytes::Bytes;
use kafka_smol::{AsyncStd, Smol};
use kafka_tokio::{Acks, Compression, GroupConfig, Idempotence, Message, ReaderBuilder, Reset, Start, Tokio, WriterBuilder};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub struct Ours;

/// How many messages a call of the batch API gets.
const BATCH: usize = 1000;
const CLOSE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, PartialEq)]
enum Runtime {
    Tokio,
    Smol,
    AsyncStd,
    Blocking,
}

#[derive(Clone, Copy, PartialEq)]
enum Api {
    Record,
    Batch,
    Wait,
}

#[derive(Clone, Copy)]
struct Variant {
    runtime: Runtime,
    api: Api,
    defaults: bool,
}

fn variant(c: &Cfg) -> Result<Variant> {
    let mut words = c.variant_or("tokio").split(':');
    let runtime = match words.next().unwrap_or_default() {
        "tokio" => Runtime::Tokio,
        "smol" => Runtime::Smol,
        "async-std" => Runtime::AsyncStd,
        "blocking" => Runtime::Blocking,
        other => return unsupported(format!("ours has no runtime {other}")),
    };
    let mut variant = Variant { runtime, api: Api::Record, defaults: false };
    for word in words {
        match word {
            "record" => variant.api = Api::Record,
            "batch" => variant.api = Api::Batch,
            "wait" => variant.api = Api::Wait,
            "defaults" => variant.defaults = true,
            other => return unsupported(format!("ours has no variant {other}")),
        }
    }
    Ok(variant)
}

fn writer_settings<W: From<kafka_tokio::Writer>>(c: &Cfg, b: WriterBuilder<W>) -> Result<WriterBuilder<W>> {
    let codec = match c.compression.as_str() {
        "none" => Compression::None,
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        other => bail!("no codec {other}"),
    };
    let acks = if c.acks == "all" { Acks::All } else { Acks::One };
    let b = b.compression(codec).acks(acks);
    if variant(c)?.defaults {
        return Ok(b);
    }
    let idempotence = if c.idempotent { Idempotence::Required } else { Idempotence::Off };
    Ok(b.idempotence(idempotence)
        .linger(c.linger)
        .batch_bytes(c.batch)
        .request_bytes((c.batch * 8).max(8 << 20))
        .buffer_bytes(c.buffer))
}

fn reader_settings<R: From<kafka_tokio::Reader>>(
    c: &Cfg,
    reset: Reset,
    b: ReaderBuilder<R>,
) -> Result<ReaderBuilder<R>> {
    let b = b.start(if reset == Reset::First { Start::First } else { Start::Last });
    let b = match c.group.as_str() {
        "none" => b,
        "classic" => b.group_config(GroupConfig::new(c.group_id())).reset(reset),
        _ => return unsupported("ours has no KIP-848 groups"),
    };
    if variant(c)?.defaults {
        return Ok(b);
    }
    Ok(b.partition_max_bytes(c.fetch_partition as usize).max_bytes(c.fetch_max as usize).check_crcs(c.check_crcs))
}

fn message(key: Option<&Bytes>, value: Bytes) -> Message {
    let message = Message::new(value);
    match key {
        Some(key) => message.key(key.clone()),
        None => message,
    }
}

impl Peer for Ours {
    fn version(&self) -> String {
        super::locked("kafka-core")
    }

    fn api(&self, c: &Cfg) -> String {
        let Ok(v) = variant(c) else { return String::new() };
        let api = match (c.scenario.as_str(), v.api) {
            ("produce", Api::Record) => "Writer::send, deliveries awaited in order",
            ("produce", Api::Batch) => "Writer::send_all of 1,000 messages, deliveries awaited in order",
            ("produce", Api::Wait) => "Writer::write_all of a quarter of the window, one call after the other",
            ("consume", Api::Record) => "Reader::fetch",
            ("consume", Api::Batch) => "Reader::next_batch",
            ("consume", Api::Wait) => "Reader::read",
            ("produce-latency", _) => "Writer::send, then the delivery",
            _ => "Writer::send, then the delivery; Reader::fetch",
        };
        if v.defaults { format!("{api}; default settings") } else { api.to_owned() }
    }

    fn block_on<'a>(&self, c: &Cfg, rt: &tokio::runtime::Runtime, run: Fut<'a, ()>) -> Result<()> {
        let _tokio_timers = rt.enter();
        match variant(c)?.runtime {
            Runtime::Smol => smol::block_on(run),
            Runtime::AsyncStd => async_std::task::block_on(run),
            Runtime::Tokio | Runtime::Blocking => rt.block_on(run),
        }
    }

    fn produce<'a>(&'a self, c: &'a Cfg, w: &'a Workload, m: &'a Arc<Meter>) -> Fut<'a, ()> {
        Box::pin(async move {
            let v = variant(c)?;
            match v.runtime {
                Runtime::Tokio => tasks::produce::<Tokio>(c, v.api, w, m).await,
                Runtime::Smol => tasks::produce::<Smol>(c, v.api, w, m).await,
                Runtime::AsyncStd => tasks::produce::<AsyncStd>(c, v.api, w, m).await,
                Runtime::Blocking => threads::produce(c, v.api, w, m),
            }
        })
    }

    fn consume<'a>(&'a self, c: &'a Cfg, m: &'a Arc<Meter>) -> Fut<'a, ()> {
        Box::pin(async move {
            let v = variant(c)?;
            match v.runtime {
                Runtime::Tokio => tasks::consume::<Tokio>(c, v.api, m).await,
                Runtime::Smol => tasks::consume::<Smol>(c, v.api, m).await,
                Runtime::AsyncStd => tasks::consume::<AsyncStd>(c, v.api, m).await,
                Runtime::Blocking => threads::consume(c, v.api, m),
            }
        })
    }

    fn sender<'a>(&'a self, c: &'a Cfg) -> Fut<'a, Box<dyn Sender + 'a>> {
        Box::pin(async move {
            match variant(c)?.runtime {
                Runtime::Tokio => tasks::sender::<Tokio>(c).await,
                Runtime::Smol => tasks::sender::<Smol>(c).await,
                Runtime::AsyncStd => tasks::sender::<AsyncStd>(c).await,
                Runtime::Blocking => threads::sender(c),
            }
        })
    }

    fn tail<'a>(&'a self, c: &'a Cfg) -> Fut<'a, Box<dyn Tail + 'a>> {
        Box::pin(async move {
            match variant(c)?.runtime {
                Runtime::Tokio => tasks::tail::<Tokio>(c).await,
                Runtime::Smol => tasks::tail::<Smol>(c).await,
                Runtime::AsyncStd => tasks::tail::<AsyncStd>(c).await,
                Runtime::Blocking => threads::tail(c),
            }
        })
    }
}

/// A result within a time, on tokio's timer, which the bench has whatever runtime the peer is on.
async fn within<T>(wait: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(wait, future).await.ok()
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;
