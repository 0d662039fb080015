#![doc = include_str!("settings.md")]
//!
//! The table is made by [`table`] from [`all`], whose defaults are those of the code.

// `settings.md` is written by `cargo xtask settings`, which also checks that it is fresh. A field that is missing here
// does not compile: the lists below take the structures apart.

use crate::client::address::Address;
use crate::client::config::ClientConfig;
use crate::group::{Assignor, GroupConfig};
use crate::reader::{Isolation, ReaderConfig, Reset};
use crate::rt::AUTO_COMMIT_INTERVAL;
use crate::writer::{Acks, Balancer, Idempotence, WriterConfig};
use kafka_proto::Str;
use kafka_proto::records::Compression;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

/// What a setting belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// [`ClientConfig`], made by [`ClientBuilder`](crate::rt::ClientBuilder).
    Client,
    /// [`WriterConfig`], made by [`WriterBuilder`](crate::rt::WriterBuilder).
    Writer,
    /// [`ReaderConfig`], made by [`ReaderBuilder`](crate::rt::ReaderBuilder).
    Reader,
    /// [`GroupConfig`], given to [`ReaderBuilder`](crate::rt::ReaderBuilder).
    Group,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// What it belongs to.
    pub part: Part,
    /// The name of the field, by which errors name it.
    pub name: &'static str,
    /// The builder's method; `None` where only the configuration structure has it.
    pub builder: Option<&'static str>,
    /// What its value counts; empty where it counts nothing.
    pub unit: &'static str,
    /// The default, for people.
    pub default: String,
    /// What Java's client calls it; `None` where it has no such setting.
    pub java: Option<&'static str>,
    /// What it does, in a sentence.
    pub meaning: String,
}

/// All settings: of the client, of writers, of readers, of groups.
pub fn all() -> Vec<Setting> {
    [client(), writer(), reader(), group()].concat()
}

/// All settings as Markdown.
pub fn table() -> String {
    let mut out = String::from("# Settings\n\n");
    out += "Every setting with its builder's method, default and Java's name. Sizes are in bytes, times are `Duration`s.\n";
    out += "`build()` checks them all, and its error names the one at fault. A dash under *method* means that the setting\n";
    out += "is reached through its configuration structure only; a dash under *Java* that Java's client has none like it.\n";
    for (part, title) in [
        (Part::Client, "Client: `ClientBuilder`, `ClientConfig`"),
        (Part::Writer, "Writer: `WriterBuilder`, `WriterConfig`"),
        (Part::Reader, "Reader: `ReaderBuilder`, `ReaderConfig`"),
        (Part::Group, "Group: `ReaderBuilder`, `GroupConfig`"),
    ] {
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "\n## {title}\n\n| setting | method | unit | default | Java | meaning |\n|---|---|---|---|---|---|\n"
        );
        all().iter().filter(|s| s.part == part).for_each(|setting| {
            let _ = writeln!(out, "{setting}");
        });
    }
    out
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = |name: Option<&str>| name.map_or_else(|| "-".to_owned(), |name| format!("`{name}`"));
        let Self { name, unit, default, meaning, .. } = self;
        write!(
            f,
            "| `{name}` | {} | {unit} | {default} | {} | {meaning} |",
            code(self.builder),
            code(self.java)
        )
    }
}

/// A list of settings, one a field: `field: method, unit, Java's name;`. Lacking a field is a compile error.
macro_rules! settings {
    ($part:ident, $source:literal, $config:ident = $default:expr;
     $($field:ident: $builder:expr, $unit:literal, $java:expr;)*) => {{
        let $config { $($field),* } = $default;
        let source = include_str!($source);
        vec![$(Setting {
            part: Part::$part,
            name: stringify!($field),
            builder: $builder,
            unit: $unit,
            default: $field.show($unit),
            java: $java,
            meaning: meaning(source, stringify!($field), $java),
        }),*]
    }};
}

#[rustfmt::skip]
fn client() -> Vec<Setting> {
    settings! { Client, "client/config.rs", ClientConfig = ClientConfig::default();
        bootstrap: Some("builder"), "", Some("bootstrap.servers");
        client_id: Some("client_id"), "", Some("client.id");
        request_timeout: Some("request_timeout"), "time", Some("request.timeout.ms");
        connect_timeout: Some("connect_timeout"), "time", Some("socket.connection.setup.timeout.ms");
        call_timeout: Some("call_timeout"), "time", Some("default.api.timeout.ms");
        retry_backoff: Some("retry_backoff"), "time", Some("retry.backoff.ms");
        retry_backoff_max: Some("retry_backoff"), "time", Some("retry.backoff.max.ms");
        reconnect_backoff: Some("reconnect_backoff"), "time", Some("reconnect.backoff.ms");
        reconnect_backoff_max: Some("reconnect_backoff"), "time", Some("reconnect.backoff.max.ms");
        metadata_max_age: Some("metadata_max_age"), "time", Some("metadata.max.age.ms");
        unknown_topic_grace: Some("unknown_topic_grace"), "time", None;
        connections_max_idle: Some("connections_max_idle"), "time", Some("connections.max.idle.ms");
        max_in_flight: Some("max_in_flight"), "requests", Some("max.in.flight.requests.per.connection");
        max_response_bytes: Some("max_response_bytes"), "bytes", None;
        allow_auto_topic_creation: Some("allow_auto_topic_creation"), "", Some("allow.auto.create.topics");
        seed: Some("seed"), "", None;
    }
}

#[rustfmt::skip]
fn writer() -> Vec<Setting> {
    settings! { Writer, "writer/config.rs", WriterConfig = WriterConfig::default();
        topic: Some("writer"), "", None;
        acks: Some("acks"), "", Some("acks");
        idempotence: Some("idempotence"), "", Some("enable.idempotence");
        compression: Some("compression"), "", Some("compression.type");
        compression_level: Some("compression_level"), "", Some("compression.{gzip,lz4,zstd}.level");
        batch_bytes: Some("batch_bytes"), "bytes", Some("batch.size");
        batch_messages: Some("batch_messages"), "messages", None;
        request_bytes: Some("request_bytes"), "bytes", Some("max.request.size");
        linger: Some("linger"), "time", Some("linger.ms");
        buffer_bytes: Some("buffer_bytes"), "bytes", Some("buffer.memory");
        delivery_timeout: Some("delivery_timeout"), "time", Some("delivery.timeout.ms");
        max_attempts: Some("max_attempts"), "attempts", Some("retries");
        balancer: Some("balancer"), "", Some("partitioner.class");
    }
}

#[rustfmt::skip]
fn reader() -> Vec<Setting> {
    let mut all = settings! { Reader, "reader/config.rs", ReaderConfig = ReaderConfig::default();
        min_bytes: Some("min_bytes"), "bytes", Some("fetch.min.bytes");
        max_bytes: Some("max_bytes"), "bytes", Some("fetch.max.bytes");
        partition_max_bytes: Some("partition_max_bytes"), "bytes", Some("max.partition.fetch.bytes");
        max_wait: Some("max_wait"), "time", Some("fetch.max.wait.ms");
        buffer: Some("buffer_bytes"), "bytes", None;
        isolation: Some("isolation"), "", Some("isolation.level");
        reset: Some("reset"), "", Some("auto.offset.reset");
        rack: Some("rack"), "", Some("client.rack");
        check_crcs: Some("check_crcs"), "", Some("check.crcs");
        max_decompressed: Some("max_decompressed"), "bytes", None;
        backoff_min: Some("retry_backoff"), "time", Some("retry.backoff.ms");
        backoff_max: Some("retry_backoff"), "time", Some("retry.backoff.max.ms");
        unknown_topic_grace: Some("unknown_topic_grace"), "time", None;
        request_timeout: Some("request_timeout"), "time", Some("request.timeout.ms");
    };
    all.push(Setting {
        part: Part::Reader,
        name: "auto_commit_interval",
        builder: Some("auto_commit_interval"),
        unit: "time",
        default: AUTO_COMMIT_INTERVAL.show("time"),
        java: Some("auto.commit.interval.ms"),
        meaning: "How often what `read_message` gave out, or was marked, is committed; the other ways of reading commit nothing by themselves.".into(),
    });
    all
}

#[rustfmt::skip]
fn group() -> Vec<Setting> {
    settings! { Group, "group/config.rs", GroupConfig = GroupConfig::new("");
        group_id: Some("group"), "", Some("group.id");
        instance_id: Some("instance_id"), "", Some("group.instance.id");
        rack: Some("rack"), "", Some("client.rack");
        session_timeout: Some("session_timeout"), "time", Some("session.timeout.ms");
        heartbeat_interval: Some("heartbeat_interval"), "time", Some("heartbeat.interval.ms");
        rebalance_timeout: Some("rebalance_timeout"), "time", Some("max.poll.interval.ms");
        retention: None, "time", None;
        backoff_min: Some("retry_backoff"), "time", Some("retry.backoff.ms");
        backoff_max: Some("retry_backoff"), "time", Some("retry.backoff.max.ms");
        join_backoff: None, "time", None;
        request_timeout: Some("request_timeout"), "time", Some("request.timeout.ms");
        assignors: Some("assignors"), "", Some("partition.assignment.strategy");
        watch_partitions: None, "", None;
        commit_timeout: Some("commit_timeout"), "time", Some("default.api.timeout.ms");
    }
}

/// The first sentence of a field's documentation, without links and without what other columns say.
fn meaning(source: &str, field: &str, java: Option<&str>) -> String {
    let declaration = format!("pub {field}:");
    let lines: Vec<&str> =
        source.lines().map(str::trim).take_while(|l| !l.starts_with(&declaration)).collect();
    let from = lines.iter().rposition(|l| !l.starts_with("///")).map_or(0, |at| at + 1);
    let text: Vec<&str> = lines[from..].iter().map(|l| l.trim_start_matches('/').trim()).collect();
    let mut text = without_links(&text.join(" "));
    if let Some(java) = java {
        text = text.replace(&format!(" (`{java}`)"), "").replace(&format!("(`{java}`, "), "(");
    }
    match text.split_once(". ") {
        Some((first, _)) => format!("{first}."),
        None => text,
    }
}

/// "[`max_wait`](Self::max_wait)" is "`max_wait`".
fn without_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, (label, after))) =
        rest.split_once('[').and_then(|(b, r)| Some((b, r.split_once("](")?)))
    {
        out += before;
        out += label;
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    out + rest
}

/// A default as people read it.
trait Show {
    fn show(&self, unit: &str) -> String;
}

impl Show for Duration {
    fn show(&self, _: &str) -> String {
        let (seconds, millis) = (self.as_secs(), self.subsec_millis());
        match (seconds, millis) {
            (0, 0) => "0".into(),
            (_, 1..) => format!("{} ms", self.as_millis()),
            (120.., 0) if seconds % 60 == 0 => format!("{} min", seconds / 60),
            (_, 0) => format!("{seconds} s"),
        }
    }
}

impl Show for u64 {
    fn show(&self, unit: &str) -> String {
        match (*self, unit) {
            (n, "bytes") if n >= 1 << 20 && n % (1 << 20) == 0 => format!("{} MiB", n >> 20),
            (n, "bytes") if n >= 1 << 10 && n % (1 << 10) == 0 => format!("{} KiB", n >> 10),
            (n, _) => thousands(n),
        }
    }
}

fn thousands(n: u64) -> String {
    if n < 1000 { n.to_string() } else { format!("{},{:03}", thousands(n / 1000), n % 1000) }
}

impl Show for usize {
    fn show(&self, unit: &str) -> String {
        (*self as u64).show(unit)
    }
}

impl Show for u32 {
    fn show(&self, unit: &str) -> String {
        if *self == Self::MAX { "no limit".into() } else { u64::from(*self).show(unit) }
    }
}

impl Show for bool {
    fn show(&self, _: &str) -> String {
        if *self { "yes" } else { "no" }.into()
    }
}

impl Show for Str {
    fn show(&self, _: &str) -> String {
        if self.is_empty() { "none".into() } else { format!("`{self}`") }
    }
}

impl<T: Show> Show for Option<T> {
    fn show(&self, unit: &str) -> String {
        self.as_ref().map_or_else(|| "none".into(), |value| value.show(unit))
    }
}

impl Show for i32 {
    fn show(&self, _: &str) -> String {
        self.to_string()
    }
}

impl Show for Vec<Address> {
    fn show(&self, _: &str) -> String {
        let all: Vec<String> = self.iter().map(ToString::to_string).collect();
        if all.is_empty() { "must be given".into() } else { all.join(",") }
    }
}

impl Show for Vec<Arc<dyn Assignor>> {
    fn show(&self, _: &str) -> String {
        self.iter().map(|a| format!("`{}`", a.name())).collect::<Vec<_>>().join(", ")
    }
}

/// Values that are one word in code.
macro_rules! show_by_name {
    ($($type:ty),*) => {$(
        impl Show for $type {
            fn show(&self, _: &str) -> String {
                format!("`{self:?}`")
            }
        }
    )*};
}

show_by_name!(Acks, Idempotence, Compression, Isolation, Reset, Arc<dyn Balancer>);

#[cfg(test)]
mod tests {
    use super::*;

    const BUILDERS: &str = concat!(
        include_str!("rt/builder/client.rs"),
        include_str!("rt/builder/writer.rs"),
        include_str!("rt/builder/reader.rs"),
    );
    const CLIENT: &str = include_str!("rt/client.rs");

    #[test]
    fn methods_that_are_named_exist() {
        for setting in all() {
            let Some(method) = setting.builder else { continue };
            let declaration = format!("pub fn {method}(");
            let found = BUILDERS.contains(&declaration) || CLIENT.contains(&declaration);
            assert!(found, "`{}` names `{method}`, which is no method", setting.name);
        }
    }

    #[test]
    fn methods_of_builders_are_named() {
        // These say what is read, or where the client runs, and are no settings.
        let others = ["runtime", "making", "partition", "topic", "start", "group_config", "build"];
        let names = BUILDERS.split("pub fn ").skip(1).filter_map(|text| text.split(['(', '<']).next());
        for name in names.filter(|name| !others.contains(name)) {
            assert!(all().iter().any(|s| s.builder == Some(name)), "`{name}` is not in the table");
        }
    }

    #[test]
    fn each_has_a_meaning() {
        for setting in all() {
            assert!(setting.meaning.len() > 5, "{setting}");
            assert!(!setting.meaning.contains(['[', '|']), "{setting}");
        }
    }

    #[test]
    fn defaults_are_those_of_the_code() {
        let of = |part, name| all().into_iter().find(|s| s.part == part && s.name == name).unwrap().default;
        let buffer = WriterConfig::default().buffer_bytes >> 20;
        assert_eq!(of(Part::Writer, "buffer_bytes"), format!("{buffer} MiB"));
        let timeout = ClientConfig::default().request_timeout.as_secs();
        assert_eq!(of(Part::Client, "request_timeout"), format!("{timeout} s"));
        assert_eq!(of(Part::Writer, "balancer"), "`JavaDefault`");
        assert_eq!(of(Part::Group, "assignors"), "`range`, `roundrobin`");
    }

    #[test]
    fn values_are_shown_for_people() {
        assert_eq!(Duration::from_millis(1500).show("time"), "1500 ms");
        assert_eq!(Duration::from_secs(540).show("time"), "9 min");
        assert_eq!(Duration::ZERO.show("time"), "0");
        assert_eq!(1_000_000_usize.show("bytes"), "1,000,000");
        assert_eq!(u32::MAX.show("messages"), "no limit");
        assert_eq!(without_links("as [`a`](Self::a) or [b](c) is"), "as `a` or b is");
    }
}
