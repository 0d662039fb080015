//! The scenarios, as far as they are the same for every peer.

use crate::admin::Admin;
use crate::args::{Cfg, run_id};
use crate::meter::{Meter, round, status};
use crate::pace::Pacer;
use crate::peers::Peer;
use crate::work::Workload;
use anyhow::{Context, Result, bail};
use bytes::{BufMut, Bytes, BytesMut};
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

pub type Line = Map<String, Value>;

fn hist() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap()
}

fn put_hist(out: &mut Line, prefix: &str, h: &Histogram<u64>) {
    let us = |v: u64| json!(round(v as f64 / 1000.0, 1));
    out.insert(format!("{prefix}p50_us"), us(h.value_at_quantile(0.5)));
    out.insert(format!("{prefix}p99_us"), us(h.value_at_quantile(0.99)));
    out.insert(format!("{prefix}p999_us"), us(h.value_at_quantile(0.999)));
    out.insert(format!("{prefix}max_us"), us(h.max()));
    out.insert(format!("{prefix}mean_us"), json!(round(h.mean() / 1000.0, 1)));
}

fn ns(d: Duration) -> u64 {
    (d.as_nanos() as u64).max(1)
}

/// `m` is handed in so that a run that is cut off by the time limit can still say how far it got.
pub async fn run(peer: &dyn Peer, c: &Cfg, m: &Arc<Meter>, out: &mut Line) -> Result<()> {
    match c.scenario.as_str() {
        "produce" => produce(peer, c, m, out).await,
        "produce-latency" => latency(peer, c, m, out).await,
        "consume" => consume(peer, c, m, out).await,
        "roundtrip" => roundtrip(peer, c, m, out).await,
        "idle" => idle(peer, c, m, out).await,
        "idle-clients" => idle_clients(peer, c, m, out).await,
        other => bail!("no scenario {other}"),
    }
}

async fn produce(peer: &dyn Peer, c: &Cfg, m: &Arc<Meter>, out: &mut Line) -> Result<()> {
    let w = Workload::new(c);
    let done = peer.produce(c, &w, m).await;
    if done.is_ok() && !m.stopped() {
        bail!("bench bug: the peer did not stop the meter");
    }
    m.report(out, c.size + c.key_size_used());
    done?;
    let acked = m.ok.load(std::sync::atomic::Ordering::Relaxed);
    if acked != c.records {
        bail!("{acked} of {} records acknowledged", c.records);
    }
    if c.peer != "null" {
        // A kept topic may hold earlier runs.
        let there = Admin::new(&c.brokers).count(&c.topic)?;
        out.insert("topic_records".into(), json!(there));
        let expected = (c.records + c.warmup) as i64;
        let good = there == expected || (c.keep_topic && there > expected);
        out.insert("verified".into(), json!(good));
        if !good && c.verify == "strict" {
            bail!("the topic holds {there} records, {expected} were sent");
        }
    }
    Ok(())
}

async fn consume(peer: &dyn Peer, c: &Cfg, m: &Arc<Meter>, out: &mut Line) -> Result<()> {
    if c.topic.is_empty() {
        bail!("consume needs --topic, a topic filled by `--scenario produce --warmup 0 --keep-topic true`");
    }
    let done = peer.consume(c, m).await;
    m.report(out, c.size + c.key_size_used());
    done?;
    let want = Workload::new(c).sum(c.records);
    let good = want == m.sum();
    out.insert("verified".into(), json!(good));
    if !good && c.verify == "strict" {
        bail!("the records read are not the records written (or --records, --size, --keys differ from the fill's)");
    }
    Ok(())
}

/// One record at a time at a fixed rate: the time from the send call to the acknowledgement, and
/// (`co_`) from the moment the record was due, which also counts waiting behind a slow one.
async fn latency(peer: &dyn Peer, c: &Cfg, m: &Arc<Meter>, out: &mut Line) -> Result<()> {
    let w = Workload::new(c);
    let mut s = peer.sender(c).await?;
    for i in 0..c.warmup.min(200) {
        s.send(w.key(i), w.value(i)).await.context("warm-up")?;
    }
    let count = (c.rate * c.secs) as u64;
    let (mut h, mut co) = (hist(), hist());
    let mut pace = Pacer::new(c.rate)?;
    m.start();
    for i in 0..count {
        let due = pace.tick().await?;
        let t = Instant::now();
        match s.send(w.key(i), w.value(i)).await {
            Ok(()) => {
                let now = Instant::now();
                h.saturating_record(ns(now - t));
                co.saturating_record(ns(now - due));
                m.acked(1);
            }
            Err(e) => m.error(format!("{e:#}")),
        }
    }
    m.stop();
    m.report(out, c.size + c.key_size_used());
    put_hist(out, "", &h);
    put_hist(out, "co_", &co);
    out.insert("cpu_pct".into(), cpu_pct(out));
    s.close().await?;
    Ok(())
}

fn cpu_pct(out: &Line) -> Value {
    let f = |k: &str| out.get(k).and_then(Value::as_f64).unwrap_or(0.0);
    json!(round(100.0 * f("cpu_s") / f("secs").max(1e-9), 2))
}

const MAGIC: u64 = 0x6532_6542_656e_6368;

fn stamped(seq: u64, run: u64, at: u64, size: usize) -> Bytes {
    let mut b = BytesMut::with_capacity(size.max(32));
    b.put_u64(MAGIC ^ run);
    b.put_u64(seq);
    b.put_u64(at);
    b.resize(size.max(32), b'r');
    b.freeze()
}

/// A consumer waits; a record is sent; the time from the send call until the consumer has it.
async fn roundtrip(peer: &dyn Peer, c: &Cfg, m: &Arc<Meter>, out: &mut Line) -> Result<()> {
    let w = Workload::new(c);
    let mut tail = peer.tail(c).await?;
    let mut s = peer.sender(c).await?;
    let base = Instant::now();
    let run = std::process::id() as u64;
    let seen = Cell::new(0u64);
    let from = Cell::new(u64::MAX);
    let over = Cell::new(false);
    let arrived = Notify::new();
    let h = RefCell::new(hist());
    let mut ack = hist();
    let mut lost = 0u64;

    let reader = async {
        let mut on = |v: &[u8]| {
            let now = ns(base.elapsed());
            if v.len() < 24 || u64::from_be_bytes(v[..8].try_into().unwrap()) != MAGIC ^ run {
                return;
            }
            let seq = u64::from_be_bytes(v[8..16].try_into().unwrap());
            let at = u64::from_be_bytes(v[16..24].try_into().unwrap());
            if seq >= from.get() {
                h.borrow_mut().saturating_record(now.saturating_sub(at).max(1));
                m.acked(1);
            }
            seen.set(seen.get().max(seq));
            arrived.notify_one();
        };
        while !over.get() {
            tail.poll(Duration::from_millis(500), &mut on).await?;
        }
        anyhow::Ok(())
    };

    let writer = async {
        let mut seq = 0u64;
        let until = Instant::now() + Duration::from_secs(60);
        // Until the consumer is at the end of its partitions and sees what is sent, to each of them.
        let mut straight = 0;
        while straight < 20 {
            if Instant::now() > until {
                bail!("the consumer saw none of the records sent in 60 s");
            }
            seq += 1;
            let v = stamped(seq, run, ns(base.elapsed()), c.size);
            s.send(w.key(seq), &v).await.context("warm-up")?;
            let got = tokio::time::timeout(Duration::from_millis(500), async {
                while seen.get() < seq {
                    arrived.notified().await;
                }
            });
            straight = if got.await.is_ok() { straight + 1 } else { 0 };
        }
        from.set(seq + 1);
        let count = (c.rate * c.secs) as u64;
        let mut pace = Pacer::new(c.rate)?;
        m.start();
        for _ in 0..count {
            pace.tick().await?;
            seq += 1;
            let t = Instant::now();
            let v = stamped(seq, run, ns(t - base), c.size);
            if let Err(e) = s.send(w.key(seq), &v).await {
                m.error(format!("{e:#}"));
                continue;
            }
            ack.saturating_record(ns(t.elapsed()));
            let got = tokio::time::timeout(Duration::from_secs(3), async {
                while seen.get() < seq {
                    arrived.notified().await;
                }
            });
            if got.await.is_err() {
                lost += 1;
            }
        }
        m.stop();
        over.set(true);
        Ok(())
    };

    // One task for both, so that a peer whose client is not Send can take part. The writer's end
    // ends the run, whatever the reader is waiting for.
    tokio::select! {
        r = reader => r?,
        r = writer => r?,
    }
    m.report(out, c.size + c.key_size_used());
    put_hist(out, "", &h.borrow());
    put_hist(out, "ack_", &ack);
    out.insert("lost".into(), json!(lost));
    out.insert("cpu_pct".into(), cpu_pct(out));
    s.close().await?;
    tail.close().await?;
    if lost > 0 && c.verify == "strict" {
        bail!("{lost} records did not arrive within 3 s");
    }
    Ok(())
}

/// A consumer (in a group, unless --group none) on a topic where nothing happens.
async fn idle(peer: &dyn Peer, c: &Cfg, m: &Arc<Meter>, out: &mut Line) -> Result<()> {
    let mut tail = peer.tail(c).await?;
    let admin = Admin::new(&c.brokers);
    let leaders = admin.leaders(&c.topic)?.context("no such topic")?;
    let mark = format!("probe {}", run_id());
    let seen = Cell::new(0u64);
    let mut on = |v: &[u8]| {
        if v == mark.as_bytes() {
            seen.set(seen.get() + 1);
        }
    };
    // Probes, written behind the peer's back, tell when the consumer has its partitions.
    let until = Instant::now() + Duration::from_secs(60);
    let mut next = Instant::now();
    while seen.get() == 0 {
        if Instant::now() > until {
            bail!("the consumer saw none of the probes in 60 s");
        }
        if Instant::now() >= next {
            for l in &leaders {
                admin.probe(&c.topic, l, mark.as_bytes())?;
            }
            next = Instant::now() + Duration::from_secs(1);
        }
        tail.poll(Duration::from_millis(250), &mut on).await?;
    }
    let settle = Instant::now() + Duration::from_secs(3);
    while Instant::now() < settle {
        tail.poll(Duration::from_millis(500), &mut on).await?;
    }
    let before = seen.get();
    m.start();
    let end = Instant::now() + Duration::from_secs_f64(c.secs);
    // One wait as long as all of it, as the bench's own timers would wake the process as well.
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        tail.poll(left, &mut on).await?;
    }
    m.stop();
    m.report(out, 0);
    for gone in ["rec_s", "mb_s", "ok_records", "cpu_us_rec"] {
        out.remove(gone);
    }
    let secs = out["secs"].as_f64().unwrap_or(1.0);
    let per_s = |k: &str| json!(round(out[k].as_f64().unwrap_or(0.0) / secs, 1));
    let (v, i) = (per_s("vcsw"), per_s("ivcsw"));
    out.insert("wakeups_s".into(), v);
    out.insert("preempted_s".into(), i);
    out.insert("cpu_pct".into(), cpu_pct(out));
    out.insert("rss_mb".into(), json!(crate::meter::mb(status("VmRSS"))));
    if seen.get() != before {
        bail!("the topic was not idle");
    }
    tail.close().await?;
    Ok(())
}

/// Many clients in one process, each with a consumer to which nothing happens: what each of them takes.
async fn idle_clients(peer: &dyn Peer, c: &Cfg, m: &Arc<Meter>, out: &mut Line) -> Result<()> {
    let one = peer.tail(c).await?;
    let before = status("VmRSS");
    let mut tails = Vec::with_capacity(c.clients);
    for _ in 0..c.clients {
        tails.push(peer.tail(c).await?);
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    m.start();
    tokio::time::sleep(Duration::from_secs_f64(c.secs)).await;
    m.stop();
    m.report(out, 0);
    for gone in ["rec_s", "mb_s", "ok_records", "cpu_us_rec"] {
        out.remove(gone);
    }
    let clients = c.clients as f64 + 1.0;
    let of = |key: &str| out[key].as_f64().unwrap_or(0.0);
    let each = of("secs").max(1e-9) * clients;
    let (cpu, wakeups) = (of("cpu_s") * 1e6 / each, of("vcsw") / each);
    let grown = status("VmRSS").saturating_sub(before) as f64;
    out.insert("clients".into(), json!(c.clients));
    out.insert("client_kb".into(), json!(round(grown / c.clients as f64, 1)));
    out.insert("client_cpu_us_s".into(), json!(round(cpu, 2)));
    out.insert("client_wakeups_s".into(), json!(round(wakeups, 3)));
    drop((one, tails));
    Ok(())
}
