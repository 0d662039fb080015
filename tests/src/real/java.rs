//! Finding Java, and the flags that make a broker start quickly and stay small.

use std::env;
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use super::error::Context;
use super::{LaunchError, jars};

/// What a broker's log says when its Java cannot run it.
const TOO_OLD: [&str; 2] = ["UnsupportedClassVersionError", "Unrecognized VM option"];

/// A Java, a release's class path, and settings: all of a command line but main class and arguments.
#[derive(Debug, Clone)]
pub(super) struct Jvm {
    pub(super) java: PathBuf,
    pub(super) jars: Vec<PathBuf>,
    pub(super) log4j: PathBuf,
    pub(super) heap_mib: u32,
    pub(super) archive: Archive,
}

/// The class archive: a third of the start time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Archive {
    /// Do without.
    None,
    /// Use this one; Java ignores it if it does not fit.
    Use(PathBuf),
    /// Write it when the process ends in good order.
    Record(PathBuf),
}

impl Jvm {
    pub(super) fn new(
        java: PathBuf,
        libs: &Path,
        log4j: PathBuf,
        heap_mib: u32,
    ) -> Result<Self, LaunchError> {
        let jars = jars::class_path(libs)?;
        Ok(Self { java, jars, log4j, heap_mib, archive: Archive::None })
    }

    /// The command line that runs `main`.
    pub(super) fn command(&self, main: &[&str]) -> Result<Vec<OsString>, LaunchError> {
        let flags = [
            "-Xms64m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Djava.awt.headless=true",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            // ZooKeeper of Kafka 1.1 and 2.x looks for log4j 1, and dies where there is none.
            "-Dzookeeper.jmx.log4j.disable=true",
        ];
        let mut command: Vec<OsString> = vec![self.java.clone().into()];
        command.extend(flags.map(Into::into));
        command.push(format!("-Xmx{}m", self.heap_mib).into());
        command.push(format!("-Dlog4j.configuration=file:{}", self.log4j.display()).into());
        match &self.archive {
            Archive::None => {}
            Archive::Use(file) => {
                command.push("-Xshare:auto".into());
                command.push(format!("-XX:SharedArchiveFile={}", file.display()).into());
            }
            Archive::Record(file) => {
                command.push(format!("-XX:ArchiveClassesAtExit={}", file.display()).into())
            }
        }
        command.push("-cp".into());
        command.push(
            env::join_paths(&self.jars)
                .map_err(std::io::Error::other)
                .during(|| "list the jars".to_owned())?,
        );
        command.extend(main.iter().map(Into::into));
        Ok(command)
    }

    /// Tells this Java and class path from others, for what is kept per pair of them.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.java.hash(&mut hasher);
        self.java.metadata().and_then(|file| file.modified()).ok().hash(&mut hasher);
        self.jars.hash(&mut hasher);
        hasher.finish()
    }

    /// An error for a process that ended, with its reason if the log tells.
    pub(super) fn died(&self, process: &str, log: String) -> LaunchError {
        died(&self.java, process, log)
    }
}

pub(super) fn died(java: &Path, process: &str, log: String) -> LaunchError {
    if TOO_OLD.iter().any(|sign| log.contains(sign)) {
        return LaunchError::JavaTooOld { java: java.to_owned() };
    }
    LaunchError::Died { process: process.to_owned(), log }
}

/// The `java` to run: the one given, else that of JAVA_HOME, else the first of PATH.
pub(super) fn find_java(given: Option<&Path>) -> Result<PathBuf, LaunchError> {
    let home = env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    let java = find_program("java", given.or(home.as_deref()))
        .map_err(|tried| LaunchError::JavaMissing { tried })?;
    // Behind the links of a distribution is the installation, whose change makes archives worthless.
    Ok(java.canonicalize().unwrap_or(java))
}

/// The program given, else the first of that name in PATH; or where it was looked for.
pub(super) fn find_program(name: &str, given: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(program) = given {
        return program.is_file().then(|| program.to_owned()).ok_or(format!("no file {}", program.display()));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let mut candidates = env::split_paths(&path).map(|dir| dir.join(name));
    candidates.find(|program| program.is_file()).ok_or(format!("no {name} in PATH"))
}
