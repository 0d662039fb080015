//! `xtask broker`: the embedded cluster as a process of its own, for clients of any kind.

use std::thread;

use clap::Args;
use kafka_testkit::{Cluster, StartError};

/// Serve an embedded Kafka cluster on loopback until Ctrl-C. Everything is in memory: after a restart it is another
/// cluster, which running clients refuse.
#[derive(Debug, Args)]
pub(crate) struct Broker {
    /// How many nodes; node I listens on the port + I
    #[arg(long, default_value_t = 1)]
    nodes: usize,
    /// Port of node 0
    #[arg(long, default_value_t = 9092)]
    port: u16,
    /// The release to pose as, from 0.10.0 to 4.4
    #[arg(long, value_name = "VERSION", default_value = "4.4")]
    kafka_version: String,
    /// A topic to create at the start; may be given several times
    #[arg(long, value_name = "NAME:PARTITIONS", value_parser = topic)]
    topic: Vec<(String, i32)>,
    /// Create topics that clients ask for
    #[arg(long)]
    auto_create: bool,
}

impl Broker {
    pub(crate) fn run(self) -> Result<(), StartError> {
        let builder = Cluster::builder().nodes(self.nodes).port(self.port).kafka_version(&self.kafka_version);
        let builder = builder.auto_create_topics(self.auto_create);
        let cluster =
            self.topic.iter().fold(builder, |builder, (name, partitions)| builder.topic(name, *partitions));
        let cluster = cluster.start()?;
        println!("Kafka {} on {}", self.kafka_version, cluster.bootstrap());
        loop {
            thread::park();
        }
    }
}

fn topic(text: &str) -> Result<(String, i32), String> {
    let (name, partitions) = text.rsplit_once(':').ok_or("a topic is NAME:PARTITIONS")?;
    let partitions = partitions.parse().map_err(|_| format!("{partitions:?} is no number of partitions"))?;
    Ok((name.to_owned(), partitions))
}
