//! The brokers' and ZooKeeper's configuration files.

use std::path::Path;

use super::{Mode, Ports, Version};

/// What `server.properties` is made from.
#[derive(Debug)]
pub(super) struct BrokerConfig<'a> {
    pub(super) version: Version,
    pub(super) mode: Mode,
    pub(super) brokers: u16,
    pub(super) ports: Ports,
    pub(super) id: u16,
    pub(super) data: &'a Path,
    /// The user's own lines; of a key that comes twice, Java takes the last.
    pub(super) extra: &'a [(String, String)],
}

impl BrokerConfig<'_> {
    /// The file's text.
    pub(super) fn properties(&self) -> String {
        let mut all = match self.mode {
            Mode::Kraft => self.kraft(),
            Mode::ZooKeeper => self.zookeeper(),
        };
        all.extend(self.common());
        all.extend(self.replication());
        all.extend_from_slice(self.extra);
        all.into_iter().map(|(key, value)| format!("{key}={value}\n")).collect()
    }

    /// A broker that is a controller too. A dead one is noticed within 2 to 4 s instead of 9 to 11.
    fn kraft(&self) -> Vec<(String, String)> {
        let voter = |id| format!("{id}@127.0.0.1:{}", self.ports.controller(id));
        let voters: Vec<String> = (1..=self.brokers).map(voter).collect();
        let listeners =
            format!("{},CONTROLLER://127.0.0.1:{}", self.listener(), self.ports.controller(self.id));
        owned(&[
            ("process.roles", "broker,controller"),
            ("node.id", &self.id.to_string()),
            ("controller.quorum.voters", &voters.join(",")),
            ("controller.listener.names", "CONTROLLER"),
            ("listeners", &listeners),
            ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"),
            ("broker.session.timeout.ms", "2000"),
            ("broker.heartbeat.interval.ms", "300"),
            ("controller.quorum.fetch.timeout.ms", "1000"),
            ("controller.quorum.election.timeout.ms", "500"),
            ("controller.quorum.election.backoff.max.ms", "200"),
        ])
    }

    fn zookeeper(&self) -> Vec<(String, String)> {
        owned(&[
            ("broker.id", &self.id.to_string()),
            ("zookeeper.connect", &format!("127.0.0.1:{}", self.ports.zookeeper())),
            ("zookeeper.session.timeout.ms", "6000"),
            ("listeners", &self.listener()),
        ])
    }

    fn listener(&self) -> String {
        format!("PLAINTEXT://127.0.0.1:{}", self.ports.broker(self.id))
    }

    /// Few threads and small buffers, since several clusters share a small machine; no waiting for more members.
    fn common(&self) -> Vec<(String, String)> {
        let on_demand = if self.version.has_create_topics() { "false" } else { "true" };
        owned(&[
            ("advertised.listeners", &self.listener()),
            ("log.dirs", &self.data.display().to_string()),
            ("num.network.threads", "2"),
            ("num.io.threads", "4"),
            ("log.cleaner.dedupe.buffer.size", "10485760"),
            ("auto.create.topics.enable", on_demand),
            ("group.initial.rebalance.delay.ms", "0"),
        ])
    }

    fn replication(&self) -> Vec<(String, String)> {
        let factor = &self.brokers.to_string();
        let internal_isr = if self.brokers >= 3 { "2" } else { "1" };
        owned(&[
            ("default.replication.factor", factor),
            ("min.insync.replicas", &self.version.min_insync_replicas(self.brokers).to_string()),
            ("offsets.topic.replication.factor", factor),
            ("offsets.topic.num.partitions", "5"),
            ("transaction.state.log.replication.factor", factor),
            ("transaction.state.log.min.isr", internal_isr),
            ("transaction.state.log.num.partitions", "5"),
            ("share.coordinator.state.topic.replication.factor", factor),
            ("share.coordinator.state.topic.min.isr", internal_isr),
            ("share.coordinator.state.topic.num.partitions", "5"),
        ])
    }
}

/// ZooKeeper's `zoo.cfg`. Its tick bounds how late it notices a session's end.
pub(super) fn zoo_cfg(data: &Path, ports: Ports) -> String {
    format!(
        "dataDir={}\nclientPort={}\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\ntickTime=500\n\
         admin.enableServer=false\n4lw.commands.whitelist=dump\n",
        data.display(),
        ports.zookeeper()
    )
}

/// Gives a copied, formatted log folder the identity of one node, by its `meta.properties`.
pub(super) fn stamp(meta: &str, node: u16, cluster_id: &str, directory_id: &str) -> String {
    let stamped = meta.lines().map(|line| match line.split_once('=') {
        Some(("node.id", _)) => format!("node.id={node}\n"),
        Some(("cluster.id", _)) => format!("cluster.id={cluster_id}\n"),
        Some(("directory.id", _)) => format!("directory.id={directory_id}\n"),
        _ => format!("{line}\n"),
    });
    stamped.collect()
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}
