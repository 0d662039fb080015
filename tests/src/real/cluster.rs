//! A running cluster.

use std::path::PathBuf;
use std::process::Child;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::Context;
use super::launch::{running, wait, wait_ready};
use super::node::{Node, signal};
use super::ports::{Claim, loopback};
use super::reaper::Reaper;
use super::{Builder, Cache, ClusterInfo, LaunchError, Version, probe};

pub(super) const TIMEOUT: Duration = Duration::from_secs(60);

/// How long the kernel may take to end a killed process.
const KILL: Duration = Duration::from_secs(10);

/// A cluster of real brokers on 127.0.0.1, ready for clients.
///
/// One that was started ends with this value, data and all ([`detach`](Self::detach) keeps it); one that was
/// [opened](Self::open) lives on.
#[derive(Debug)]
pub struct RealCluster {
    info: ClusterInfo,
    java: PathBuf,
    owner: Option<Owner>,
    /// Those this process started, so that ended ones are waited for.
    children: Mutex<Vec<Child>>,
    timeout: Duration,
}

/// What the owner of a cluster holds.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) reaper: Reaper,
    #[expect(dead_code, reason = "it is held for its socket")]
    pub(super) claim: Claim,
}

impl RealCluster {
    /// A cluster to be: the newest release, one broker, until said otherwise.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// A cluster that runs already, to steer it; it does not end with this value.
    pub fn open(cache: &Cache, name: &str) -> Result<Self, LaunchError> {
        Ok(Self::new(cache.cluster(name)?, PathBuf::from("java"), None, TIMEOUT))
    }

    pub(super) fn new(info: ClusterInfo, java: PathBuf, owner: Option<Owner>, timeout: Duration) -> Self {
        Self { info, java, owner, children: Mutex::default(), timeout }
    }

    /// The brokers' addresses, as clients take them: `127.0.0.1:19100,127.0.0.1:19101`. Killed ones included.
    pub fn bootstrap(&self) -> String {
        self.info.bootstrap()
    }

    /// The release.
    pub fn version(&self) -> Version {
        self.info.version
    }

    /// Name, folder, ports, processes.
    pub fn info(&self) -> &ClusterInfo {
        &self.info
    }

    /// Ends broker `id` (from 1) by SIGKILL. The others notice after 2 to 4 s (KRaft) or 6 to 8 s (ZooKeeper).
    pub fn kill(&self, id: u16) -> Result<(), LaunchError> {
        let pid = self.broker(id)?.pid().ok_or(LaunchError::BrokerNotRunning(id))?;
        signal("KILL", &[pid])?;
        self.wait_gone(&[pid], KILL, || self.info.broker(id).pid().is_none())
    }

    /// Starts broker `id` again on its data, and waits until all running brokers list each other. With ZooKeeper
    /// this takes until the end of its old session (6 s), since the broker would stop at its own registration.
    pub fn restart(&self, id: u16) -> Result<(), LaunchError> {
        let node = self.broker(id)?;
        if node.pid().is_some() {
            return Err(LaunchError::BrokerRunning(id));
        }
        self.wait_for_session_end(id)?;
        self.adopt(node.again()?);
        let live: Vec<u16> = self.info.ids().filter(|&id| self.info.broker(id).pid().is_some()).collect();
        // The one restarted is among them even if it has ended already, so that its end is noticed.
        let ids: Vec<u16> = self.info.ids().filter(|other| live.contains(other) || *other == id).collect();
        wait_ready(&self.info, &self.java, &ids, self.timeout)
    }

    /// Lets the cluster live on when this value and this process end; `Cache::cluster` finds it by its name.
    pub fn detach(mut self) -> ClusterInfo {
        if let Some(owner) = self.owner.take() {
            owner.reaper.dismiss();
            let _ = std::fs::remove_file(self.info.folder.join("pid"));
        }
        self.info.clone()
    }

    /// Ends all processes at once and removes the cluster's folder, whoever started it.
    pub fn down(mut self) -> Result<(), LaunchError> {
        self.end()
    }

    pub(super) fn adopt(&self, child: Child) {
        self.children.lock().unwrap_or_else(PoisonError::into_inner).push(child);
    }

    /// Ends a broker in good order.
    pub(super) fn stop_broker(&self, id: u16, patience: Duration) -> Result<(), LaunchError> {
        let pid = self.broker(id)?.pid().ok_or(LaunchError::BrokerNotRunning(id))?;
        signal("TERM", &[pid])?;
        self.wait_gone(&[pid], patience, || self.info.broker(id).pid().is_none())
    }

    fn broker(&self, id: u16) -> Result<Node, LaunchError> {
        let brokers = self.info.brokers;
        if self.info.ids().contains(&id) {
            Ok(self.info.broker(id))
        } else {
            Err(LaunchError::NoSuchBroker { id, brokers })
        }
    }

    fn wait_for_session_end(&self, id: u16) -> Result<(), LaunchError> {
        let Some(zookeeper) = self.info.zookeeper() else { return Ok(()) };
        let address = loopback(self.info.ports.zookeeper());
        let gone = || Ok(probe::registered(address, id).is_ok_and(|registered| !registered));
        wait(&[("zookeeper".to_owned(), zookeeper)], &self.java, self.timeout, gone)
    }

    fn wait_gone(
        &self,
        pids: &[u32],
        patience: Duration,
        gone: impl Fn() -> bool,
    ) -> Result<(), LaunchError> {
        let start = Instant::now();
        while !gone() {
            if start.elapsed() > patience {
                let process = format!("the end of process {pids:?}");
                return Err(LaunchError::NotReady { process, waited: patience, log: String::new() });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.reap();
        Ok(())
    }

    /// Waits for those that have ended.
    fn reap(&self) {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }

    fn end(&mut self) -> Result<(), LaunchError> {
        let folder = &self.info.folder;
        let mut pids = running(folder);
        match self.owner.take() {
            Some(owner) => owner.reaper.dismiss(),
            // If another process owns it, its reaper goes too: its work is being done here.
            None => pids.extend(Node::new(folder.clone()).pid()),
        }
        signal("KILL", &pids)?;
        self.wait_gone(&pids, KILL, || running(folder).is_empty())?;
        if folder.exists() { std::fs::remove_dir_all(folder).at("remove", folder) } else { Ok(()) }
    }
}

impl Drop for RealCluster {
    fn drop(&mut self) {
        if self.owner.is_some() {
            // Nobody is left to tell; a folder that stays is replaced by the next cluster of its name.
            let _ = self.end();
        }
    }
}
