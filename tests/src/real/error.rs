//! Everything that can keep a real cluster from running, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Mode, Version};

/// Why a real cluster could not be started or steered. Each message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// Not a release the launcher knows.
    #[error(
        "Kafka {given:?} is not a version this can start; take one of {known}, or an unpacked distribution (KAFKA_HOME)"
    )]
    UnknownVersion {
        /// What was asked for.
        given: String,
        /// The releases that would do, separated by spaces.
        known: String,
    },
    /// The release has no such mode.
    #[error("Kafka {version} does not run in {mode} mode; leave the mode out, or take another version")]
    ModeUnavailable {
        /// The release asked for.
        version: Version,
        /// The mode asked for.
        mode: Mode,
    },
    /// Clusters have one or three brokers.
    #[error("a cluster of {0} brokers is not offered; take 1 or 3")]
    BrokerCount(u16),
    /// A cluster's name is also a folder's.
    #[error("{0:?} is no name for a cluster; take up to 60 of A-Z a-z 0-9 . _ -, not beginning with a dot")]
    BadName(String),
    /// A cluster of that name is up.
    #[error(
        "a cluster named {name:?} is up already; end it (`cluster down --name {name}`) or take another name"
    )]
    NameTaken {
        /// The name.
        name: String,
    },
    /// No cluster of that name.
    #[error("there is no cluster named {name:?}; {known}")]
    NoSuchCluster {
        /// The name asked for.
        name: String,
        /// The names there are, as a clause.
        known: String,
    },
    /// The cluster has no broker of that number.
    #[error("the cluster has no broker {id}; its brokers are 1 to {brokers}")]
    NoSuchBroker {
        /// The number asked for.
        id: u16,
        /// How many there are.
        brokers: u16,
    },
    /// The broker to kill is not running.
    #[error("broker {0} is not running; start it again (`cluster restart`) before killing it")]
    BrokerNotRunning(u16),
    /// The broker to restart is running.
    #[error("broker {0} is running; kill it first (`cluster kill`)")]
    BrokerRunning(u16),
    /// The base of a block of ports is out of range.
    #[error("ports from {0} on do not fit; take a base from 1024 to 65516")]
    PortRange(u16),
    /// Another program, or another cluster, has one of the ports.
    #[error(
        "port {port} on 127.0.0.1 is taken; leave the port out to have a free block found, or take another base"
    )]
    PortTaken {
        /// The first port found taken.
        port: u16,
    },
    /// Every block of ports is taken.
    #[error(
        "no free block of ports from {first} to {last}; end some clusters (`cluster status`, `cluster down`) or name a base port"
    )]
    NoFreePorts {
        /// The first base tried.
        first: u16,
        /// The last base tried.
        last: u16,
    },
    /// No `java` to run.
    #[error(
        "no Java ({tried}); install Java 17 or newer (Debian: apt-get install openjdk-17-jre-headless) or set JAVA_HOME"
    )]
    JavaMissing {
        /// Where it was looked for.
        tried: String,
    },
    /// The `java` found cannot run this.
    #[error("{java} is too old for this; install Java 17 or newer, or set JAVA_HOME to one")]
    JavaTooOld {
        /// The program found.
        java: PathBuf,
    },
    /// No `mvn` to fetch jars with.
    #[error(
        "no Maven ({tried}) to fetch the jars of Kafka {version}; install it (Debian: apt-get install maven) or set KAFKA_HOME to an unpacked distribution"
    )]
    MavenMissing {
        /// Where it was looked for.
        tried: String,
        /// Whose jars are wanted.
        version: Version,
    },
    /// Maven could not bring the jars.
    #[error(
        "Maven could not bring the jars of Kafka {version}; check the network and ~/.m2/settings.xml. It said:\n{output}"
    )]
    MavenFailed {
        /// Whose jars are wanted.
        version: Version,
        /// The end of its output.
        output: String,
    },
    /// What was given as a distribution is none.
    #[error("{home} is no unpacked Kafka: {why}; give the folder that holds libs/kafka_*.jar")]
    BadHome {
        /// The folder.
        home: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The distribution is another release than the one asked for.
    #[error(
        "{home} holds Kafka {found}, not {asked}; ask for {found}, or leave the folder out to have the jars fetched"
    )]
    HomeVersion {
        /// The folder.
        home: PathBuf,
        /// What it holds.
        found: Version,
        /// What was asked for.
        asked: Version,
    },
    /// A process ended while it was waited for.
    #[error("{process} ended before it was ready; the end of its log:\n{log}")]
    Died {
        /// Which one: `broker 1`, `zookeeper`, `format`.
        process: String,
        /// The last lines of its output.
        log: String,
    },
    /// A process did not get ready in time.
    #[error("{process} was not ready after {} s; is the machine overloaded? The end of its log:\n{log}", waited.as_secs())]
    NotReady {
        /// Which one.
        process: String,
        /// How long it was waited for.
        waited: Duration,
        /// The last lines of its output.
        log: String,
    },
    /// A file that the launcher wrote does not read back.
    #[error("{path} is damaged: {why}; remove its folder")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The operating system refused.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Its answer.
        source: io::Error,
    },
}

impl LaunchError {
    pub(super) fn unknown_version(given: &str) -> Self {
        let known: Vec<String> = Version::KNOWN.iter().map(Version::to_string).collect();
        Self::UnknownVersion { given: given.to_owned(), known: known.join(" ") }
    }
}

/// Says what was tried when the operating system refuses.
pub(super) trait Context<T> {
    fn during(self, what: impl FnOnce() -> String) -> Result<T, LaunchError>;

    fn at(self, verb: &str, path: &Path) -> Result<T, LaunchError>
    where
        Self: Sized,
    {
        self.during(|| format!("{verb} {}", path.display()))
    }
}

impl<T> Context<T> for io::Result<T> {
    fn during(self, what: impl FnOnce() -> String) -> Result<T, LaunchError> {
        self.map_err(|source| LaunchError::Io { what: what(), source })
    }
}
