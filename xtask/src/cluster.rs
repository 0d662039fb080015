//! `xtask cluster`: real Apache Kafka on this machine, beyond the life of this process.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use kafka_testkit::real::{Cache, ClusterInfo, LaunchError, Mode, Progress, RealCluster};

/// Runs real Apache Kafka, 0.10.0 to 4.4, for tests: Java 17 and Maven needed. Jars, archives and clusters lie in
/// KAFKA_CACHE (default: ~/.cache/kafka-testkit).
#[derive(Debug, Args)]
pub(crate) struct Cluster {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Starts a cluster; the last line printed is its bootstrap addresses.
    Up(Up),
    /// Ends a cluster and removes its data.
    Down {
        #[command(flatten)]
        which: Which,
        /// Ends every cluster.
        #[arg(long, conflicts_with_all = ["name", "kafka"])]
        all: bool,
    },
    /// Lists clusters with their processes and ports.
    Status,
    /// Ends one broker by SIGKILL.
    Kill(One),
    /// Starts a killed broker again on its data.
    Restart(One),
    /// Prints a release's jars as a class path, for Kafka's own clients and tools; fetches them if need be.
    Jars(Jars),
}

#[derive(Debug, Args)]
struct Jars {
    /// The release, 0.10.0.1 to 4.4.0. Default: that of KAFKA_HOME, else the newest.
    #[arg(long, value_name = "VERSION")]
    kafka: Option<String>,
}

#[derive(Debug, Args)]
struct Up {
    /// The release, 0.10.0.1 to 4.4.0. Default: that of --kafka-home or KAFKA_HOME, else the newest.
    #[arg(long, value_name = "VERSION")]
    kafka: Option<String>,
    /// How many brokers: 1 or 3.
    #[arg(long, default_value_t = 1)]
    brokers: u16,
    /// The cluster's name. Default: the version.
    #[arg(long)]
    name: Option<String>,
    /// The first of its 20 ports. Default: the first free block from 19100 up.
    #[arg(long, value_name = "BASE")]
    port: Option<u16>,
    /// Who keeps the metadata: kraft or zookeeper. Default: what suits the version.
    #[arg(long)]
    mode: Option<Mode>,
    /// An unpacked Kafka, whose jars are used instead of Maven's (or set KAFKA_HOME).
    #[arg(long, value_name = "FOLDER")]
    kafka_home: Option<PathBuf>,
    /// A line for server.properties; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    property: Vec<(String, String)>,
    /// A feature's level to format with (3.9 and newer); may be repeated.
    #[arg(long, value_name = "NAME=LEVEL", value_parser = feature)]
    feature: Vec<(String, u16)>,
}

/// Which cluster: by its name, which by default is its version. Not needed while there is only one.
#[derive(Debug, Args)]
struct Which {
    /// The cluster's name.
    #[arg(long)]
    name: Option<String>,
    /// The version, for a cluster that was given no name.
    #[arg(long, value_name = "VERSION", conflicts_with = "name")]
    kafka: Option<String>,
}

#[derive(Debug, Args)]
struct One {
    #[command(flatten)]
    which: Which,
    /// The broker, from 1.
    #[arg(long, value_name = "N")]
    broker: u16,
}

/// What can go wrong here and not in the launcher.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error("there are several clusters; say which with --name: {0}")]
    Several(String),
    #[error("there is no cluster (`cluster up` starts one)")]
    None,
    #[error("the jars make no class path: {0}")]
    ClassPath(#[from] env::JoinPathsError),
}

impl Cluster {
    pub(crate) fn run(self) -> Result<(), ClusterError> {
        let cache = Cache::from_env();
        match self.action {
            Action::Up(up) => up.run(cache)?,
            Action::Down { all: true, .. } => down(&cache, &cache.clusters()?)?,
            Action::Down { which, .. } => down(&cache, &[which.find(&cache)?])?,
            Action::Status => cache.clusters()?.iter().for_each(|cluster| print!("{}", describe(cluster))),
            Action::Kill(one) => one.open(&cache)?.kill(one.broker)?,
            Action::Restart(one) => one.open(&cache)?.restart(one.broker)?,
            Action::Jars(jars) => println!("{}", jars.class_path(cache)?.to_string_lossy()),
        }
        Ok(())
    }
}

impl Up {
    fn run(self, cache: Cache) -> Result<(), LaunchError> {
        let bar = spinner();
        let started = self.start(cache, bar.clone());
        bar.finish_and_clear();
        let cluster = started?.detach();
        print!("{}", describe(&cluster));
        println!("{}", cluster.bootstrap());
        Ok(())
    }

    fn start(self, cache: Cache, bar: ProgressBar) -> Result<RealCluster, LaunchError> {
        let builder = RealCluster::builder().cache(cache).brokers(self.brokers);
        let mut builder = builder.on_progress(move |step| show(&bar, step));
        if let Some(version) = self.kafka {
            builder = builder.version(version);
        }
        if let Some(port) = self.port {
            builder = builder.port(port);
        }
        if let Some(mode) = self.mode {
            builder = builder.mode(mode);
        }
        if let Some(home) = self.kafka_home {
            builder = builder.home(home);
        }
        builder =
            self.property.into_iter().fold(builder, |builder, (key, value)| builder.property(key, value));
        builder = self.feature.iter().fold(builder, |builder, (name, level)| builder.feature(name, *level));
        let name = self.name.map_or_else(|| builder.release().map(|version| version.to_string()), Ok)?;
        builder.name(name).start()
    }
}

impl Jars {
    fn class_path(self, cache: Cache) -> Result<OsString, ClusterError> {
        let bar = spinner();
        let told = bar.clone();
        let builder = RealCluster::builder().cache(cache).on_progress(move |step| show(&told, step));
        let builder = self.kafka.into_iter().fold(builder, |builder, version| builder.version(version));
        let jars = builder.jars();
        bar.finish_and_clear();
        Ok(env::join_paths(jars?)?)
    }
}

impl Which {
    fn find(&self, cache: &Cache) -> Result<ClusterInfo, ClusterError> {
        if let Some(name) = self.name.as_ref().or(self.kafka.as_ref()) {
            return Ok(cache.cluster(name)?);
        }
        let mut all = cache.clusters()?;
        match (all.pop(), all.is_empty()) {
            (None, _) => Err(ClusterError::None),
            (Some(only), true) => Ok(only),
            (Some(last), false) => {
                let names: Vec<String> = all.into_iter().chain([last]).map(|cluster| cluster.name).collect();
                Err(ClusterError::Several(names.join(", ")))
            }
        }
    }
}

impl One {
    fn open(&self, cache: &Cache) -> Result<RealCluster, ClusterError> {
        let cluster = self.which.find(cache)?;
        Ok(RealCluster::open(cache, &cluster.name)?)
    }
}

fn down(cache: &Cache, clusters: &[ClusterInfo]) -> Result<(), ClusterError> {
    for cluster in clusters {
        RealCluster::open(cache, &cluster.name)?.down()?;
        println!("{} is down", cluster.name);
    }
    Ok(())
}

/// A line for the cluster and one for each process.
fn describe(cluster: &ClusterInfo) -> String {
    let ClusterInfo { name, version, mode, folder, .. } = cluster;
    let mut text = format!("{name}: Kafka {version}, {mode}, {}\n", folder.display());
    for process in cluster.processes() {
        let state = process.pid.map_or("not running".to_owned(), |pid| format!("pid {pid}"));
        text.push_str(&format!("  {:<10} 127.0.0.1:{:<6} {state}\n", process.name, process.port));
    }
    text
}

/// On a terminal a line that moves; else a line a step, so that a log says what took the time.
fn show(bar: &ProgressBar, step: Progress<'_>) {
    let message = match step {
        Progress::Fetching { version } => format!("Maven brings the jars of Kafka {version}"),
        Progress::Fetched { file, files } => {
            bar.set_style(fetching());
            bar.set_position(files as u64);
            bar.set_message(file.to_owned());
            return;
        }
        Progress::Preparing { version } => {
            format!("first start of Kafka {version}: a class archive is recorded")
        }
        Progress::Starting { name } => format!("{name} starts"),
        _ => return,
    };
    bar.set_style(ProgressStyle::default_spinner());
    if bar.is_hidden() {
        eprintln!("{message}");
    }
    bar.set_message(message);
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn fetching() -> ProgressStyle {
    let style = ProgressStyle::with_template("{spinner} {pos} files {elapsed} {wide_msg}");
    style.unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it is not KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn feature(text: &str) -> Result<(String, u16), String> {
    let (name, level) = key_value(text)?;
    Ok((name, level.parse().map_err(|_| format!("{level:?} is no level"))?))
}

#[cfg(test)]
mod tests;
