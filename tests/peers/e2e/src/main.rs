// A build with few peers leaves parts of the harness unused.
#![allow(dead_code)]

mod admin;
mod args;
mod meter;
mod pace;
mod peers;
mod scen;
mod work;

use anyhow::{Context, Result, bail};
use args::{Cfg, Flags};
use meter::Meter;
use serde_json::{Value, json};
use std::io::Write;
use std::sync::{Arc, Mutex};

impl Cfg {
    fn key_size_used(&self) -> usize {
        if self.keys == 0 { 0 } else { self.key_size }
    }
}

fn main() -> Result<()> {
    // Before any thread: an error is an answer here, and capturing a stack for each would be measured.
    unsafe { std::env::set_var("RUST_LIB_BACKTRACE", "0") };
    let args = std::env::args().skip(1);
    match std::env::args().nth(1).as_deref() {
        Some("topic") => return topic(args.skip(1)),
        Some("help" | "--help" | "-h") | None => {
            println!("see README.md; for example: e2e --peer rdkafka --scenario produce --brokers 127.0.0.1:9092");
            return Ok(());
        }
        _ => {}
    }
    let (flags, rest) = Flags::parse(args)?;
    if !rest.is_empty() {
        bail!("what is {rest:?}?");
    }
    let c = flags.into_cfg()?;
    let code = bench(c)?;
    std::process::exit(code);
}

/// `e2e topic create|delete|count|probe --brokers B --topic T [--partitions P] [--rf R] [--value V]`
fn topic(args: impl Iterator<Item = String>) -> Result<()> {
    let (mut flags, rest) = Flags::parse(args)?;
    let value = flags.get("value", "probe");
    let c = flags.into_cfg()?;
    let admin = admin::Admin::new(&c.brokers);
    match rest.first().map(String::as_str) {
        Some("create") => admin.create(&c.topic, c.partitions, c.rf)?,
        Some("delete") => admin.delete(&c.topic)?,
        Some("count") => println!("{}", admin.count(&c.topic)?),
        Some("probe") => {
            for l in &admin.leaders(&c.topic)?.context("no such topic")? {
                admin.probe(&c.topic, l, value.as_bytes())?;
            }
        }
        _ => bail!("topic create, delete, count or probe"),
    }
    Ok(())
}

fn head(c: &Cfg, peer: &dyn peers::Peer) -> scen::Line {
    let mut o = scen::Line::new();
    o.insert("scenario".into(), json!(c.scenario));
    o.insert("peer".into(), json!(c.peer));
    o.insert("variant".into(), json!(c.variant));
    o.insert("version".into(), json!(peer.version()));
    o.insert("api".into(), json!(peer.api(c)));
    o.insert("round".into(), json!(c.round));
    o.insert("records".into(), json!(c.records));
    o.insert("size".into(), json!(c.size));
    o.insert("keys".into(), json!(c.keys));
    o.insert("partitions".into(), json!(c.partitions));
    o.insert("acks".into(), json!(c.acks));
    o.insert("idempotent".into(), json!(c.idempotent));
    o.insert("linger_ms".into(), json!(c.linger.as_secs_f64() * 1e3));
    o.insert("batch".into(), json!(c.batch));
    o.insert("compression".into(), json!(c.compression));
    o.insert("window".into(), json!(c.window));
    o.insert("group".into(), json!(c.group));
    o.insert("rt".into(), json!(format!("{}-{}", c.rt, c.workers)));
    o.insert("payload".into(), json!(c.payload));
    if c.scenario == "idle-clients" {
        o.insert("clients".into(), json!(c.clients));
    }
    if matches!(c.scenario.as_str(), "produce-latency" | "roundtrip") {
        o.insert("rate".into(), json!(c.rate));
    }
    o
}

fn emit(c: &Cfg, line: &scen::Line) -> Result<()> {
    let text = Value::Object(line.clone()).to_string();
    println!("{text}");
    if !c.out.is_empty() {
        let mut f = std::fs::OpenOptions::new().create(true).append(true).open(&c.out)?;
        writeln!(f, "{text}")?;
    }
    Ok(())
}

fn bench(mut c: Cfg) -> Result<i32> {
    let peer = peers::find(&c.peer)?;
    let mut line = head(&c, &*peer);
    let own_topic = c.topic.is_empty() && c.scenario != "consume" && c.peer != "null";
    let admin = admin::Admin::new(&c.brokers);
    if own_topic {
        c.topic = format!("e2e-{}-{}-{}", c.scenario, c.peer, args::run_id());
        admin.create(&c.topic, c.partitions, c.rf)?;
    }
    line.insert("topic".into(), json!(c.topic));

    let m = Arc::new(Meter::new());
    // A peer that hangs is reported with what it got done.
    {
        let (c, m, line) = (c.clone(), m.clone(), line.clone());
        std::thread::Builder::new().name("watchdog".into()).spawn(move || {
            std::thread::sleep(c.timeout);
            let mut line = line;
            m.report(&mut line, c.size + c.key_size_used());
            line.insert("ok".into(), json!(false));
            line.insert("failed".into(), json!(format!("not done after {} s", c.timeout.as_secs_f64())));
            let _ = emit(&c, &line);
            if own_topic && !c.keep_topic {
                let _ = admin::Admin::new(&c.brokers).delete(&c.topic);
            }
            std::process::exit(4);
        })?;
    }

    let rt = match c.rt.as_str() {
        "current" => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        _ => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(c.workers)
            .enable_all()
            .build()?,
    };
    // A panic in the peer is its failure, not the bench's.
    let panicked = Arc::new(Mutex::new(None::<String>));
    {
        let panicked = panicked.clone();
        let old = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            panicked.lock().unwrap().get_or_insert_with(|| info.to_string());
            old(info);
        }));
    }
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        peer.block_on(&c, &rt, Box::pin(scen::run(&*peer, &c, &m, &mut line)))
    }))
    .unwrap_or_else(|_| Err(anyhow::anyhow!("panicked")));

    let mut code = 0;
    match result {
        Ok(()) => {
            let clean = line.get("errors").and_then(Value::as_u64).unwrap_or(0) == 0;
            line.insert("ok".into(), json!(clean));
            code = if clean { 0 } else { 2 };
        }
        Err(e) => match e.downcast_ref::<peers::Unsupported>() {
            Some(u) => {
                line.insert("ok".into(), json!(false));
                line.insert("skipped".into(), json!(u.0));
            }
            None => {
                line.insert("ok".into(), json!(false));
                line.insert("failed".into(), json!(format!("{e:#}")));
                code = 2;
            }
        },
    }
    if let Some(p) = panicked.lock().unwrap().take() {
        line.insert("panic".into(), json!(p));
    }
    emit(&c, &line)?;
    if own_topic && !c.keep_topic {
        admin.delete(&c.topic).context("delete the topic").unwrap_or_else(|e| eprintln!("{e:#}"));
    }
    // Not waiting for the peer's own threads and tasks.
    rt.shutdown_background();
    Ok(code)
}
