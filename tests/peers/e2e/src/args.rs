//! Flags: `--name value` or `--name=value`. The same set for every peer, in Rust and in Go.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Cfg {
    pub peer: String,
    /// Which of the peer's own APIs to use; empty means the peer's best for the scenario.
    pub variant: String,
    pub scenario: String,
    pub brokers: String,
    /// Empty: make a topic for this run and delete it afterwards.
    pub topic: String,
    pub keep_topic: bool,
    pub partitions: i32,
    pub rf: i16,
    pub records: u64,
    pub size: usize,
    pub key_size: usize,
    /// How many distinct keys (rounded up to a power of two); 0: records without a key.
    pub keys: usize,
    /// `all` or `1`.
    pub acks: String,
    pub idempotent: bool,
    pub linger: Duration,
    pub batch: usize,
    pub compression: String,
    /// Most records sent and not yet acknowledged, for the APIs whose bound is a count.
    pub window: usize,
    /// Most bytes buffered, for the APIs whose bound is bytes.
    pub buffer: usize,
    /// Requests in flight per connection, where the peer has such a setting.
    pub inflight: usize,
    pub rate: f64,
    pub secs: f64,
    /// How many clients `idle-clients` has.
    pub clients: usize,
    /// `none` (assign all partitions), `classic` or `consumer` (KIP-848).
    pub group: String,
    pub workers: usize,
    /// `multi` or `current`.
    pub rt: String,
    pub fetch_partition: i32,
    pub fetch_max: i32,
    pub max_poll: i32,
    pub check_crcs: bool,
    pub warmup: u64,
    /// `shared`: record values are handed over as clones of a pool's buffers where the API can take
    /// that; `fresh`: every value is a buffer of its own, as a serializer would make it.
    pub payload: String,
    /// `strict`: records missing from the topic, or not those that were written, fail the run;
    /// `warn`: they are only told (`verified`), for a broker that loses records (tansu does).
    pub verify: String,
    pub timeout: Duration,
    pub out: String,
    pub round: u64,
}

impl Cfg {
    pub fn brokers_vec(&self) -> Vec<String> {
        self.brokers.split(',').map(|s| s.trim().to_owned()).collect()
    }
    pub fn group_id(&self) -> String {
        format!("e2e-{}-{}", self.peer, run_id())
    }
    pub fn variant_or<'a>(&'a self, default: &'a str) -> &'a str {
        if self.variant.is_empty() { default } else { &self.variant }
    }
    pub fn grouped(&self) -> bool {
        self.group != "none"
    }
}

/// Unique enough for a topic or group name.
pub fn run_id() -> String {
    use std::sync::OnceLock;
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| {
        let ms = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_millis();
        format!("{}-{}", ms % 1_000_000_000, std::process::id())
    })
    .clone()
}

pub struct Flags(BTreeMap<String, String>);

impl Flags {
    pub fn parse(args: impl Iterator<Item = String>) -> Result<(Flags, Vec<String>)> {
        let mut map = BTreeMap::new();
        let mut rest = Vec::new();
        let mut args = args.peekable();
        while let Some(a) = args.next() {
            let Some(name) = a.strip_prefix("--") else {
                rest.push(a);
                continue;
            };
            let (name, value) = match name.split_once('=') {
                Some((n, v)) => (n.to_owned(), v.to_owned()),
                None => {
                    let v = args.next().with_context(|| format!("--{name} needs a value"))?;
                    (name.to_owned(), v)
                }
            };
            map.insert(name, value);
        }
        Ok((Flags(map), rest))
    }
    pub fn get(&mut self, name: &str, default: &str) -> String {
        self.take(name, default)
    }
    fn take(&mut self, name: &str, default: &str) -> String {
        self.0.remove(name).unwrap_or_else(|| default.to_owned())
    }
    fn num<T: std::str::FromStr>(&mut self, name: &str, default: &str) -> Result<T> {
        let v = self.take(name, default).replace('_', "");
        v.parse().map_err(|_| anyhow::anyhow!("--{name}: not a number: {v}"))
    }
    fn boolean(&mut self, name: &str, default: &str) -> Result<bool> {
        match self.take(name, default).as_str() {
            "true" | "1" | "yes" => Ok(true),
            "false" | "0" | "no" => Ok(false),
            other => bail!("--{name}: true or false, not {other}"),
        }
    }
    fn one_of(&mut self, name: &str, default: &str, of: &[&str]) -> Result<String> {
        let v = self.take(name, default);
        if !of.contains(&v.as_str()) {
            bail!("--{name}: one of {of:?}, not {v}");
        }
        Ok(v)
    }

    pub fn into_cfg(mut self) -> Result<Cfg> {
        let peer = self.take("peer", "null");
        let (peer, variant) = match peer.split_once(':') {
            Some((p, v)) => (p.to_owned(), v.to_owned()),
            None => (peer, String::new()),
        };
        let scenario = self.one_of(
            "scenario",
            "produce",
            &["produce", "produce-latency", "consume", "roundtrip", "idle", "idle-clients"],
        )?;
        let latency = matches!(scenario.as_str(), "produce-latency" | "roundtrip");
        let acks = self.one_of("acks", "all", &["all", "1"])?;
        let idempotent = self.boolean("idempotent", if acks == "all" { "true" } else { "false" })?;
        let linger: f64 = self.num("linger-ms", if latency { "0" } else { "5" })?;
        let buffer_mb: usize = self.num("buffer-mb", "64")?;
        let cfg = Cfg {
            peer,
            variant,
            brokers: self.take("brokers", "127.0.0.1:9092"),
            topic: self.take("topic", ""),
            keep_topic: self.boolean("keep-topic", "false")?,
            partitions: self.num("partitions", "6")?,
            rf: self.num("rf", "1")?,
            records: self.num("records", "5000000")?,
            size: self.num("size", "100")?,
            key_size: self.num("key-size", "10")?,
            keys: self.num("keys", "1024")?,
            acks,
            idempotent,
            linger: Duration::from_secs_f64(linger / 1000.0),
            batch: self.num("batch", "262144")?,
            compression: self.one_of(
                "compression",
                "none",
                &["none", "gzip", "snappy", "lz4", "zstd"],
            )?,
            window: self.num("window", "200000")?,
            buffer: buffer_mb << 20,
            inflight: self.num("inflight", "5")?,
            rate: self.num("rate", if scenario == "roundtrip" { "200" } else { "1000" })?,
            clients: self.num("clients", "1000")?,
            secs: self.num("secs", if scenario == "idle" { "30" } else { "20" })?,
            group: self.one_of(
                "group",
                if scenario == "idle" { "classic" } else { "none" },
                &["none", "classic", "consumer"],
            )?,
            workers: self.num("workers", "2")?,
            rt: self.one_of("rt", "multi", &["multi", "current"])?,
            fetch_partition: self.num("fetch-partition", "1048576")?,
            fetch_max: self.num("fetch-max", "52428800")?,
            max_poll: self.num("max-poll", "10000")?,
            check_crcs: self.boolean("check-crcs", "true")?,
            warmup: self.num("warmup", "1000")?,
            payload: self.one_of("payload", "shared", &["shared", "fresh"])?,
            verify: self.one_of("verify", "strict", &["strict", "warn"])?,
            timeout: Duration::from_secs_f64(self.num("timeout", "300")?),
            out: self.take("out", ""),
            round: self.num("round", "0")?,
            scenario,
        };
        if let Some(unknown) = self.0.keys().next() {
            bail!("unknown flag --{unknown} (see README.md)");
        }
        Ok(cfg)
    }
}
