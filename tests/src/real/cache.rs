//! The folder that holds jars, class archives and running clusters.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::Context;
use super::node::Node;
use super::{LaunchError, Mode, Ports, Version};

/// Where jars are kept and clusters run; see the module for what lies where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
}

/// A cluster as its folder describes it, running or not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterInfo {
    /// Its name, unique in its [`Cache`].
    pub name: String,
    /// Its folder: configuration, logs and data.
    pub folder: PathBuf,
    /// The release.
    pub version: Version,
    /// Who keeps its metadata.
    pub mode: Mode,
    /// How many brokers it was started with, killed ones included.
    pub brokers: u16,
    /// Its block of ports.
    pub ports: Ports,
}

/// A process of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessInfo {
    /// `zookeeper`, `broker 1`, ...
    pub name: String,
    /// Its number while it runs; none once killed or dead.
    pub pid: Option<u32>,
    /// The port that clients use.
    pub port: u16,
    /// What it prints.
    pub log: PathBuf,
}

impl Cache {
    /// A folder of your own; it is made when needed.
    pub fn new(root: impl AsRef<Path>) -> Self {
        let root = root.as_ref();
        // Processes are told from others by the absolute path.
        Self { root: std::path::absolute(root).unwrap_or_else(|_| root.to_owned()) }
    }

    /// `KAFKA_CACHE`, else `kafka-testkit` in the user's cache folder (`XDG_CACHE_HOME`, `~/.cache`), else in the
    /// folder for temporary files.
    pub fn from_env() -> Self {
        Self::from_vars(|name| env::var_os(name).filter(|value| !value.is_empty()))
    }

    pub(super) fn from_vars(var: impl Fn(&str) -> Option<OsString>) -> Self {
        let own = || var("KAFKA_CACHE").map(PathBuf::from);
        let xdg = || var("XDG_CACHE_HOME").map(|dir| PathBuf::from(dir).join("kafka-testkit"));
        let home = || var("HOME").map(|dir| PathBuf::from(dir).join(".cache/kafka-testkit"));
        let temporary = || env::temp_dir().join("kafka-testkit");
        Self::new(own().or_else(xdg).or_else(home).unwrap_or_else(temporary))
    }

    /// Every cluster of this folder, by name.
    pub fn clusters(&self) -> Result<Vec<ClusterInfo>, LaunchError> {
        let mut names = Vec::new();
        if let Ok(entries) = fs::read_dir(self.root.join("run")) {
            names.extend(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()));
        }
        names.sort();
        // One without a description is being started, or was left half made; it is nothing to steer.
        names.retain(|name| self.cluster_dir(name).join("cluster").exists());
        names.iter().map(|name| self.cluster(name)).collect()
    }

    /// The cluster of that name.
    pub fn cluster(&self, name: &str) -> Result<ClusterInfo, LaunchError> {
        check_name(name)?;
        let file = self.cluster_dir(name).join("cluster");
        match fs::read_to_string(&file) {
            Ok(text) => ClusterInfo::parse(name, self.cluster_dir(name), &text)
                .map_err(|why| LaunchError::Damaged { path: file, why }),
            Err(_) => Err(self.no_such_cluster(name)?),
        }
    }

    fn no_such_cluster(&self, name: &str) -> Result<LaunchError, LaunchError> {
        let known: Vec<String> = self.clusters()?.into_iter().map(|cluster| cluster.name).collect();
        let known = match &known[..] {
            [] => "there are none (`cluster up` starts one)".to_owned(),
            names => format!("there are: {}", names.join(", ")),
        };
        Ok(LaunchError::NoSuchCluster { name: name.to_owned(), known })
    }

    pub(super) fn cluster_dir(&self, name: &str) -> PathBuf {
        self.root.join("run").join(name)
    }

    pub(super) fn jars_dir(&self, version: Version) -> PathBuf {
        self.root.join("jars").join(version.to_string())
    }

    pub(super) fn ready_dir(&self, key: &str) -> PathBuf {
        self.root.join("ready").join(key)
    }

    /// A new, empty folder on the same file system, to be renamed when it is complete.
    pub(super) fn scratch(&self, purpose: &str) -> Result<PathBuf, LaunchError> {
        let dir = self.root.join("tmp").join(format!("{purpose}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).at("make", &dir)?;
        Ok(dir)
    }

    /// The logging configuration of releases with log4j 1.
    pub(super) fn log4j(&self) -> Result<PathBuf, LaunchError> {
        const TEXT: &str = "log4j.rootLogger=WARN, stderr\n\
            log4j.appender.stderr=org.apache.log4j.ConsoleAppender\n\
            log4j.appender.stderr.target=System.err\n\
            log4j.appender.stderr.layout=org.apache.log4j.PatternLayout\n\
            log4j.appender.stderr.layout.ConversionPattern=[%d] %p %m (%c)%n\n";
        let file = self.root.join("log4j.properties");
        if !file.exists() {
            fs::create_dir_all(&self.root).at("make", &self.root)?;
            fs::write(&file, TEXT).at("write", &file)?;
        }
        Ok(file)
    }
}

impl ClusterInfo {
    /// The brokers' PLAINTEXT addresses, separated by commas.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> =
            self.ids().map(|id| format!("127.0.0.1:{}", self.ports.broker(id))).collect();
        addresses.join(",")
    }

    /// The processes, ZooKeeper first.
    pub fn processes(&self) -> Vec<ProcessInfo> {
        let info =
            |name: String, node: &Node, port| ProcessInfo { name, pid: node.pid(), port, log: node.log() };
        let zookeeper =
            self.zookeeper().map(|node| info("zookeeper".to_owned(), &node, self.ports.zookeeper()));
        let brokers =
            self.ids().map(|id| info(format!("broker {id}"), &self.broker(id), self.ports.broker(id)));
        zookeeper.into_iter().chain(brokers).collect()
    }

    pub(super) fn ids(&self) -> std::ops::RangeInclusive<u16> {
        1..=self.brokers
    }

    pub(super) fn broker(&self, id: u16) -> Node {
        Node::new(self.folder.join(id.to_string()))
    }

    pub(super) fn zookeeper(&self) -> Option<Node> {
        (self.mode == Mode::ZooKeeper).then(|| Node::new(self.folder.join("zookeeper")))
    }

    pub(super) fn to_text(&self) -> String {
        let Self { version, mode, brokers, ports, .. } = self;
        format!("version={version}\nmode={mode}\nbrokers={brokers}\nport={}\n", ports.base())
    }

    pub(super) fn parse(name: &str, folder: PathBuf, text: &str) -> Result<Self, String> {
        let field = |key: &str| {
            let mut fields = text.lines().filter_map(|line| line.split_once('='));
            fields.find(|(found, _)| *found == key).map(|(_, value)| value).ok_or(format!("it has no {key}"))
        };
        let number = |key: &str| field(key)?.parse::<u16>().map_err(|_| format!("its {key} is no number"));
        let brokers = number("brokers")?;
        Ok(Self {
            name: name.to_owned(),
            folder,
            version: field("version")?.parse().map_err(|error: LaunchError| error.to_string())?,
            mode: field("mode")?.parse()?,
            brokers: (1..=3).contains(&brokers).then_some(brokers).ok_or("its brokers are not 1 to 3")?,
            ports: Ports::new(number("port")?).map_err(|error| error.to_string())?,
        })
    }
}

pub(super) fn check_name(name: &str) -> Result<(), LaunchError> {
    let letter = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let good = (1..=60).contains(&name.len()) && name.chars().all(letter) && !name.starts_with('.');
    if good { Ok(()) } else { Err(LaunchError::BadName(name.to_owned())) }
}
