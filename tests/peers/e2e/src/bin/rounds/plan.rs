//! What is measured: the workloads, and which API of which peer takes part in each.

/// How an API takes or gives records: compared are only those of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A call a record.
    Record,
    /// A call for many records.
    Batch,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Record => "per record",
            Kind::Batch => "batch",
        }
    }
}

/// One row of a table: a binary's peer and variant.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub spec: &'static str,
    pub kind: Kind,
}

impl Entry {
    /// The binary that has it.
    pub fn binary(&self) -> &'static str {
        self.spec.split(':').next().unwrap_or(self.spec)
    }

    pub fn is_ours(&self) -> bool {
        self.binary() == "ours"
    }
}

/// One workload: its name is that of its file of results.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    pub name: &'static str,
    pub scenario: &'static str,
    /// In the full plan each is run in so many rounds.
    pub rounds: u64,
    pub flags: &'static [&'static str],
    pub entries: &'static [Entry],
    /// The column that ratios are of; smaller is better.
    pub figure: &'static str,
    /// Needs a cluster of so many brokers.
    pub brokers: usize,
}

const fn record(spec: &'static str) -> Entry {
    Entry { spec, kind: Kind::Record }
}

const fn batch(spec: &'static str) -> Entry {
    Entry { spec, kind: Kind::Batch }
}

const PRODUCE: &[Entry] = &[
    record("ours:tokio"),
    record("go-franz"),
    record("ours:smol"),
    record("rdkafka:base"),
    record("ours:async-std"),
    record("krafka"),
    record("ours:blocking"),
    record("kacrab:callback"),
    record("ours:tokio:defaults"),
    record("confluent:callback"),
    record("rskafka:aggregator"),
    record("barnabas:record"),
    record("go-sarama"),
    record("go-kafkago"),
    batch("ours:tokio:batch"),
    batch("barnabas:batch"),
    batch("ours:smol:batch"),
    batch("rskafka:batch"),
    batch("ours:async-std:batch"),
    batch("ours:blocking:batch"),
    batch("ours:tokio:wait"),
    batch("ours:tokio:batch:defaults"),
];

const CONSUME: &[Entry] = &[
    record("ours:tokio"),
    record("rdkafka:base"),
    record("ours:smol"),
    record("confluent"),
    record("ours:async-std"),
    record("rskafka:stream"),
    record("ours:blocking"),
    record("go-sarama"),
    record("ours:tokio:wait"),
    record("go-kafkago"),
    record("ours:tokio:defaults"),
    batch("ours:tokio:batch"),
    batch("barnabas"),
    batch("ours:smol:batch"),
    batch("kacrab"),
    batch("ours:async-std:batch"),
    batch("krafka"),
    batch("ours:blocking:batch"),
    batch("go-franz"),
    batch("ours:tokio:batch:defaults"),
    batch("rskafka:fetch"),
];

const ONE_BY_ONE: &[Entry] = &[
    record("ours:tokio"),
    record("rdkafka:future"),
    record("ours:smol"),
    record("krafka"),
    record("ours:async-std"),
    record("kacrab"),
    record("ours:blocking"),
    record("barnabas"),
    record("confluent"),
    record("rskafka"),
    record("go-franz"),
    record("go-sarama"),
    record("go-kafkago"),
];

const OURS: &[Entry] = &[record("ours:tokio"), batch("ours:tokio:batch")];

const CLIENTS: &[Entry] =
    &[record("ours:tokio"), record("ours:smol"), record("ours:async-std"), record("ours:blocking")];

const fn of(
    name: &'static str,
    scenario: &'static str,
    rounds: u64,
    flags: &'static [&'static str],
    entries: &'static [Entry],
    figure: &'static str,
) -> Workload {
    Workload { name, scenario, rounds, flags, entries, figure, brokers: 1 }
}

const CPU: &str = "cpu_us_rec";

/// The full plan.
pub const WORKLOADS: &[Workload] = &[
    of("produce-100", "produce", 5, &[], PRODUCE, CPU),
    of("produce-1k", "produce", 5, &["--size", "1024", "--records", "1000000"], PRODUCE, CPU),
    of("produce-100-lz4", "produce", 5, &["--compression", "lz4"], PRODUCE, CPU),
    of("consume-100", "consume", 5, &[], CONSUME, CPU),
    of("consume-1k", "consume", 5, &["--size", "1024", "--records", "1000000"], CONSUME, CPU),
    of("consume-100-lz4", "consume", 5, &["--compression", "lz4"], CONSUME, CPU),
    of("consume-100-group", "consume", 5, &["--group", "classic"], CONSUME, CPU),
    of("produce-100-zstd", "produce", 1, &["--compression", "zstd"], PRODUCE, CPU),
    of("consume-100-zstd", "consume", 1, &["--compression", "zstd"], CONSUME, CPU),
    of("produce-latency", "produce-latency", 1, &[], ONE_BY_ONE, "p50_us"),
    of("roundtrip", "roundtrip", 1, &[], ONE_BY_ONE, "p50_us"),
    of("idle", "idle", 1, &[], ONE_BY_ONE, "wakeups_s"),
    Workload {
        brokers: 3,
        ..of("produce-100-3-brokers", "produce", 1, &["--rf", "3", "--partitions", "12"], PRODUCE, CPU)
    },
    Workload {
        brokers: 3,
        ..of("consume-100-3-brokers", "consume", 1, &["--rf", "3", "--partitions", "12"], CONSUME, CPU)
    },
    // Without keys a batch of about 45 records is filled before the next partition gets one, however many there are.
    of("scale-6", "produce", 1, &["--keys", "0", "--batch", "5000"], OURS, "cpu_us_batch"),
    of("scale-100", "produce", 1, &["--partitions", "100", "--keys", "0", "--batch", "5000"], OURS, "cpu_us_batch"),
    of("scale-1000", "produce", 1, &["--partitions", "1000", "--keys", "0", "--batch", "5000"], OURS, "cpu_us_batch"),
    of("scale-10000", "produce", 1, &["--partitions", "10000", "--keys", "0", "--batch", "5000"], OURS, "cpu_us_batch"),
    of("first-record-10000", "consume", 1, &["--partitions", "10000", "--keys", "131072", "--records", "100000"], OURS, "first_ms"),
    of("idle-clients", "idle-clients", 1, &["--clients", "1000"], CLIENTS, "client_kb"),
];
