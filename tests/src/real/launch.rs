//! From a plan to a cluster that answers.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::cache::check_name;
use super::cluster::Owner;
use super::config::{BrokerConfig, stamp, zoo_cfg};
use super::error::Context;
use super::java::{Archive, Jvm};
use super::node::Node;
use super::ports::{Claim, loopback};
use super::reaper::Reaper;
use super::{Cache, ClusterInfo, LaunchError, Mode, Ports, RealCluster, Version, prepare, probe};

/// Kafka's ids are 16 bytes in url-safe base64.
pub(super) const CLUSTER_ID_LEN: usize = 22;

const STEP: Duration = Duration::from_millis(20);

/// A cluster to be, all decided and everything at hand.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) cache: &'a Cache,
    pub(super) name: String,
    pub(super) version: Version,
    pub(super) mode: Mode,
    pub(super) brokers: u16,
    /// The block of ports to take, or any.
    pub(super) port: Option<u16>,
    pub(super) jvm: &'a Jvm,
    /// A formatted log folder to copy instead of formatting (KRaft, default features).
    pub(super) template: Option<&'a Path>,
    pub(super) properties: &'a [(String, String)],
    /// `name=level`, for formatting.
    pub(super) features: &'a [String],
    pub(super) timeout: Duration,
}

impl Plan<'_> {
    /// Starts the cluster and waits until each broker lists all of them. What fails leaves nothing behind.
    pub(super) fn launch(&self) -> Result<RealCluster, LaunchError> {
        let claim = self.claim_ports()?;
        let cluster = self.claim_folder(claim)?;
        self.start_zookeeper(&cluster)?;
        let cluster_id = random_id(CLUSTER_ID_LEN);
        for id in cluster.info().ids() {
            self.lay_out(&cluster, id, &cluster_id)?;
        }
        for id in cluster.info().ids() {
            let config = cluster.info().broker(id).dir().join("server.properties");
            let command = self.jvm.command(&["kafka.Kafka", &config.to_string_lossy()])?;
            cluster.adopt(cluster.info().broker(id).spawn(&command, Stdio::null())?);
        }
        let ids: Vec<u16> = cluster.info().ids().collect();
        wait_ready(cluster.info(), &self.jvm.java, &ids, self.timeout)?;
        Ok(cluster)
    }

    fn claim_ports(&self) -> Result<Claim, LaunchError> {
        match self.port {
            Some(base) => Ports::new(base)?.claim(),
            None => {
                let described: Vec<Ports> =
                    self.cache.clusters()?.iter().map(|cluster| cluster.ports).collect();
                Ports::claim_any(&described)
            }
        }
    }

    /// Makes the cluster's folder; one of the same name whose processes are all gone is replaced.
    fn claim_folder(&self, claim: Claim) -> Result<RealCluster, LaunchError> {
        check_name(&self.name)?;
        let folder = self.cache.cluster_dir(&self.name);
        if in_use(&folder) {
            return Err(LaunchError::NameTaken { name: self.name.clone() });
        }
        if folder.exists() {
            fs::remove_dir_all(&folder).at("remove", &folder)?;
        }
        fs::create_dir_all(&folder).at("make", &folder)?;
        let (name, version, mode, brokers) = (self.name.clone(), self.version, self.mode, self.brokers);
        let info = ClusterInfo { name, folder, version, mode, brokers, ports: claim.ports };
        let owner = Owner { reaper: Reaper::watch(&info.folder)?, claim };
        let file = info.folder.join("cluster");
        let text = info.to_text();
        let cluster = RealCluster::new(info, self.jvm.java.clone(), Some(owner), self.timeout);
        fs::write(&file, text).at("write", &file)?;
        Ok(cluster)
    }

    fn start_zookeeper(&self, cluster: &RealCluster) -> Result<(), LaunchError> {
        let Some(node) = cluster.info().zookeeper() else { return Ok(()) };
        let (config, data) = (node.dir().join("zoo.cfg"), node.dir().join("data"));
        fs::create_dir_all(&data).at("make", &data)?;
        fs::write(&config, zoo_cfg(&data, cluster.info().ports)).at("write", &config)?;
        let jvm = Jvm { heap_mib: 128, ..self.without_recording() };
        let main = ["org.apache.zookeeper.server.ZooKeeperServerMain", &config.to_string_lossy()];
        cluster.adopt(node.spawn(&jvm.command(&main)?, Stdio::null())?);
        let address = loopback(cluster.info().ports.zookeeper());
        let done = || Ok(probe::listens(address));
        wait(&[("zookeeper".to_owned(), node)], &self.jvm.java, self.timeout, done)
    }

    /// A broker's folder: configuration and, in KRaft mode, the formatted log folder.
    fn lay_out(&self, cluster: &RealCluster, id: u16, cluster_id: &str) -> Result<(), LaunchError> {
        let Self { version, mode, brokers, .. } = *self;
        let node = cluster.info().broker(id);
        let (file, data) = (node.dir().join("server.properties"), node.dir().join("data"));
        fs::create_dir_all(node.dir()).at("make", node.dir())?;
        let ports = cluster.info().ports;
        let config = BrokerConfig { version, mode, brokers, ports, id, data: &data, extra: self.properties };
        fs::write(&file, config.properties()).at("write", &file)?;
        match self.template {
            _ if mode == Mode::ZooKeeper => Ok(()),
            Some(template) if self.features.is_empty() => {
                copy_folder(template, &data)?;
                restamp(&data.join("meta.properties"), id, cluster_id)
            }
            _ => prepare::format(&self.without_recording(), &file, cluster_id, self.features),
        }
    }

    /// Only one process may write the archive, and it is the broker.
    fn without_recording(&self) -> Jvm {
        let archive = match &self.jvm.archive {
            Archive::Record(_) => Archive::None,
            other => other.clone(),
        };
        Jvm { archive, ..self.jvm.clone() }
    }
}

/// Waits until each of these brokers lists all of them.
pub(super) fn wait_ready(
    info: &ClusterInfo,
    java: &Path,
    ids: &[u16],
    timeout: Duration,
) -> Result<(), LaunchError> {
    let nodes: Vec<_> = ids.iter().map(|&id| (format!("broker {id}"), info.broker(id))).collect();
    let knows_all = |&id: &u16| {
        let listed = probe::brokers(loopback(info.ports.broker(id))).unwrap_or_default();
        ids.iter().all(|&id| listed.contains(&i32::from(id)))
    };
    wait(&nodes, java, timeout, || Ok(ids.iter().all(knows_all)))
}

/// Waits for something that these processes bring about; it is an error if one of them ends meanwhile.
pub(super) fn wait(
    nodes: &[(String, Node)],
    java: &Path,
    timeout: Duration,
    mut done: impl FnMut() -> Result<bool, LaunchError>,
) -> Result<(), LaunchError> {
    let start = Instant::now();
    while !done()? {
        if let Some((name, node)) = nodes.iter().find(|(_, node)| node.pid().is_none()) {
            return Err(super::java::died(java, name, node.log_tail()));
        }
        if start.elapsed() > timeout {
            let process = nodes.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
            let log = nodes.first().map(|(_, node)| node.log_tail()).unwrap_or_default();
            return Err(LaunchError::NotReady { process, waited: timeout, log });
        }
        std::thread::sleep(STEP);
    }
    Ok(())
}

/// Every process of the folder that runs, found by the folders in it.
pub(super) fn running(folder: &Path) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let nodes = entries.filter_map(|entry| Some(Node::new(entry.ok()?.path())));
    nodes.filter_map(|node| node.pid()).collect()
}

/// Whether someone runs, starts or owns the cluster of this folder.
fn in_use(folder: &Path) -> bool {
    Node::new(folder.to_owned()).pid().is_some() || !running(folder).is_empty()
}

/// Letters, digits and at the end a letter that keeps the base64 of whole bytes canonical.
pub(super) fn random_id(length: usize) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let letter = || char::from(LETTERS[(RandomState::new().hash_one(0) % 32) as usize]);
    let mut id: String = (1..length).map(|_| letter()).collect();
    id.push('A');
    id
}

fn restamp(meta: &Path, node: u16, cluster_id: &str) -> Result<(), LaunchError> {
    let text = fs::read_to_string(meta).at("read", meta)?;
    fs::write(meta, stamp(&text, node, cluster_id, &random_id(CLUSTER_ID_LEN))).at("write", meta)
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), LaunchError> {
    fs::create_dir_all(to).at("make", to)?;
    for entry in fs::read_dir(from).at("list", from)? {
        let path: PathBuf = entry.at("list", from)?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_folder(&path, &target)?;
        } else {
            fs::copy(&path, &target).at("copy", &path)?;
        }
    }
    Ok(())
}
