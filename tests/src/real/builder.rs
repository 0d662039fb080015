//! Saying which cluster is wanted.

use std::env;
use std::fmt;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::cache::check_name;
use super::cluster::TIMEOUT;
use super::java::{Jvm, find_java};
use super::launch::Plan;
use super::prepare::prepare;
use super::{Cache, LaunchError, Mode, RealCluster, Version, jars};

/// A step of a start, for those who show them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// Maven is asked for the jars.
    Fetching {
        /// Of this release.
        version: Version,
    },
    /// Maven brought a file.
    Fetched {
        /// Its name.
        file: &'a str,
        /// How many there are now.
        files: usize,
    },
    /// A release is started for the first time: a log folder is formatted, a class archive recorded.
    Preparing {
        /// This release.
        version: Version,
    },
    /// The processes start.
    Starting {
        /// The cluster's name.
        name: &'a str,
    },
}

/// Describes a cluster to start; made by [`RealCluster::builder`].
pub struct Builder {
    cache: Cache,
    version: Option<String>,
    mode: Option<Mode>,
    brokers: u16,
    name: Option<String>,
    port: Option<u16>,
    home: Option<PathBuf>,
    /// `KAFKA_HOME`, a suggestion.
    pub(super) env_home: Option<PathBuf>,
    java: Option<PathBuf>,
    maven: Option<PathBuf>,
    heap_mib: u32,
    properties: Vec<(String, String)>,
    features: Vec<String>,
    timeout: Duration,
    progress: Box<dyn FnMut(Progress<'_>) + Send>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            cache: Cache::from_env(),
            version: None,
            mode: None,
            brokers: 1,
            name: None,
            port: None,
            home: None,
            env_home: env::var_os("KAFKA_HOME").filter(|home| !home.is_empty()).map(PathBuf::from),
            java: None,
            maven: None,
            heap_mib: 512,
            properties: Vec::new(),
            features: Vec::new(),
            timeout: TIMEOUT,
            progress: Box::new(|_| {}),
        }
    }

    /// The release, `"2.8.2"`: one of [`Version::KNOWN`], or that of the distribution given. Default: the
    /// distribution's, else [`Version::NEWEST`].
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Who keeps the metadata. Default: the brokers (KRaft) from 3.3 on, else ZooKeeper.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// How many brokers: 1 (default) or 3.
    #[must_use]
    pub fn brokers(mut self, brokers: u16) -> Self {
        self.brokers = brokers;
        self
    }

    /// The cluster's name, unique in its [`Cache`]. Default: one made from the process's number.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The first of the block of [`Ports`](super::Ports) to take. Default: the first free block from 19100 up.
    #[must_use]
    pub fn port(mut self, base: u16) -> Self {
        self.port = Some(base);
        self
    }

    /// Where jars are kept and the cluster runs. Default: [`Cache::from_env`].
    #[must_use]
    pub fn cache(mut self, cache: Cache) -> Self {
        self.cache = cache;
        self
    }

    /// An unpacked distribution, whose jars are used instead of Maven's. Default: the variable `KAFKA_HOME`, unless
    /// a version is asked for that it does not hold.
    #[must_use]
    pub fn home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = Some(home.into());
        self
    }

    /// The `java` to run. Default: that of `JAVA_HOME`, else the first in `PATH`.
    #[must_use]
    pub fn java(mut self, java: impl Into<PathBuf>) -> Self {
        self.java = Some(java.into());
        self
    }

    /// The `mvn` to fetch jars with. Default: the first in `PATH`.
    #[must_use]
    pub fn maven(mut self, maven: impl Into<PathBuf>) -> Self {
        self.maven = Some(maven.into());
        self
    }

    /// How much memory a broker's heap may take at most, in MiB. Default 512 (it begins with 64).
    #[must_use]
    pub fn heap_mib(mut self, heap_mib: u32) -> Self {
        self.heap_mib = heap_mib.max(64);
        self
    }

    /// A line of each broker's `server.properties`; it overrules the launcher's own of the same key.
    #[must_use]
    pub fn property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.push((key.into(), value.into()));
        self
    }

    /// Finalizes a feature at a level when the log folders are formatted (KRaft, 3.9 and newer): `"share.version", 0`.
    #[must_use]
    pub fn feature(mut self, name: &str, level: u16) -> Self {
        self.features.push(format!("{name}={level}"));
        self
    }

    /// How long brokers may take to get ready. Default 60 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Is told of each step of the start.
    #[must_use]
    pub fn on_progress(mut self, progress: impl FnMut(Progress<'_>) + Send + 'static) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// The release that this would start, as far as said until now.
    pub fn release(&self) -> Result<Version, LaunchError> {
        self.source().map(|(version, _)| version)
    }

    /// The jars of the release, fetched if need be: a class path for Kafka's own clients and tools.
    pub fn jars(mut self) -> Result<Vec<PathBuf>, LaunchError> {
        let (version, home) = self.source()?;
        jars::class_path(&self.libs(version, home)?)
    }

    /// Starts the cluster and waits until every broker lists all of them.
    pub fn start(mut self) -> Result<RealCluster, LaunchError> {
        let (version, home) = self.source()?;
        let mode = self.mode.unwrap_or(version.default_mode());
        self.check(version, mode)?;
        let java = find_java(self.java.as_deref())?;
        let libs = self.libs(version, home)?;
        let jvm = Jvm::new(java, &libs, self.cache.log4j()?, self.heap_mib)?;
        let (jvm, template) = prepare(&self.cache, version, mode, jvm, &mut self.progress)?;
        let name = self.name.clone().unwrap_or_else(unique_name);
        (self.progress)(Progress::Starting { name: &name });
        let plan = Plan {
            cache: &self.cache,
            name,
            version,
            mode,
            brokers: self.brokers,
            port: self.port,
            jvm: &jvm,
            template: template.as_deref(),
            properties: &self.properties,
            features: &self.features,
            timeout: self.timeout,
        };
        plan.launch()
    }

    /// The folder of the jars: the distribution's, or Maven's.
    fn libs(&mut self, version: Version, home: Option<PathBuf>) -> Result<PathBuf, LaunchError> {
        let fetch = || jars::from_maven(&self.cache, version, self.maven.as_deref(), &mut self.progress);
        home.map_or_else(fetch, Ok)
    }

    /// What can be refused before anything is fetched.
    fn check(&self, version: Version, mode: Mode) -> Result<(), LaunchError> {
        if !version.allows(mode) {
            return Err(LaunchError::ModeUnavailable { version, mode });
        }
        if !matches!(self.brokers, 1 | 3) {
            return Err(LaunchError::BrokerCount(self.brokers));
        }
        self.name.as_deref().map_or(Ok(()), check_name)?;
        self.port.map_or(Ok(()), |base| super::Ports::new(base).map(drop))
    }

    /// The release, and the jars of its distribution if there is one.
    fn source(&self) -> Result<(Version, Option<PathBuf>), LaunchError> {
        let asked: Option<Version> = self.version.as_deref().map(str::parse).transpose()?;
        if let Some(home) = &self.home {
            let (libs, found) = jars::of_home(home)?;
            return match asked {
                Some(asked) if asked != found => {
                    Err(LaunchError::HomeVersion { home: home.clone(), found, asked })
                }
                _ => Ok((found, Some(libs))),
            };
        }
        if let Some(home) = &self.env_home {
            let (libs, found) = jars::of_home(home)?;
            if asked.is_none_or(|asked| asked == found) {
                return Ok((found, Some(libs)));
            }
        }
        let version = asked.unwrap_or(Version::NEWEST);
        let known = Version::KNOWN.contains(&version);
        if known { Ok((version, None)) } else { Err(LaunchError::unknown_version(&version.to_string())) }
    }
}

fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    format!("test-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cache, version, mode, brokers, name, port, home, properties, features, .. } = self;
        f.debug_struct("Builder")
            .field("cache", cache)
            .field("version", version)
            .field("mode", mode)
            .field("brokers", brokers)
            .field("name", name)
            .field("port", port)
            .field("home", home)
            .field("properties", properties)
            .field("features", features)
            .finish_non_exhaustive()
    }
}
