//! The command line.

use clap::{Parser, ValueEnum};
use kafka_core::{Acks, Compression};

/// Writes keyed messages, reads them back through a consumer group of two, and checks every one.
///
/// Without --brokers it starts an embedded cluster of three nodes, and needs nothing else.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// The brokers, host:port, several separated by commas [default: an embedded cluster]
    #[arg(long)]
    pub brokers: Option<String>,
    /// The topic; it is made where it does not exist
    #[arg(long, default_value = "quickstart")]
    pub topic: String,
    /// The partitions of the topic
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub partitions: i32,
    /// How many messages
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub messages: u64,
    /// The bytes of each value; 16 at least, which tell the messages apart
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(16..=100_000_000))]
    pub size: u32,
    /// The codec of batches
    #[arg(long, value_enum, default_value_t = Codec::None)]
    pub compression: Codec,
    /// Which replicas must have a message before it counts as written
    #[arg(long, value_enum, default_value_t = AcksArg::All)]
    pub acks: AcksArg,
    /// Record what the client does into this file; on tokio only, with the feature `record`
    #[arg(long)]
    pub record: Option<std::path::PathBuf>,
}

/// A codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Codec {
    /// No compression.
    None,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4 (0.10+).
    Lz4,
    /// Zstandard (2.1+).
    Zstd,
}

/// Which replicas must have a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AcksArg {
    /// All in-sync replicas.
    #[value(alias = "-1")]
    All,
    /// The leader.
    #[value(name = "1", alias = "one")]
    One,
    /// None: what a broker loses on its way is found in the end.
    #[value(name = "0", alias = "none")]
    None,
}

impl From<Codec> for Compression {
    fn from(codec: Codec) -> Self {
        match codec {
            Codec::None => Self::None,
            Codec::Gzip => Self::Gzip,
            Codec::Snappy => Self::Snappy,
            Codec::Lz4 => Self::Lz4,
            Codec::Zstd => Self::Zstd,
        }
    }
}

impl From<AcksArg> for Acks {
    fn from(acks: AcksArg) -> Self {
        match acks {
            AcksArg::All => Self::All,
            AcksArg::One => Self::One,
            AcksArg::None => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AcksArg, Args};
    use clap::Parser;

    #[test]
    fn flags_are_checked() {
        let parse = |flags: &[&str]| Args::try_parse_from([&["quickstart"], flags].concat());
        assert_eq!(parse(&[]).unwrap().messages, 1_000_000);
        assert_eq!(parse(&["--acks", "1"]).unwrap().acks, AcksArg::One);
        for wrong in [["--size", "15"], ["--partitions", "0"], ["--messages", "0"], ["--compression", "rar"]]
        {
            assert!(parse(&wrong).is_err(), "{wrong:?}");
        }
    }
}
