//! A release's jars: fetched by Maven once, or those of an unpacked distribution.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::Context;
use super::java::find_program;
use super::node::last_lines;
use super::version::Artifact;
use super::{Cache, LaunchError, Progress, Version};

const PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";

/// The jars of a release in a fixed order, since a class archive holds for one exact class path.
pub(super) fn class_path(libs: &Path) -> Result<Vec<PathBuf>, LaunchError> {
    let entries = fs::read_dir(libs).at("list", libs)?;
    let mut jars: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    jars.retain(|path| file_name(path).ends_with(".jar") && !file_name(path).starts_with("log4j-core-2"));
    jars.sort();
    Ok(jars)
}

/// The folder of a distribution's jars, and which release it is.
pub(super) fn of_home(home: &Path) -> Result<(PathBuf, Version), LaunchError> {
    let bad = |why: &str| LaunchError::BadHome { home: home.to_owned(), why: why.to_owned() };
    let libs = home.join("libs");
    if !libs.is_dir() {
        return Err(bad("it has no folder libs"));
    }
    let version = class_path(&libs)?.iter().find_map(|path| {
        let (_scala, version) =
            file_name(path).strip_prefix("kafka_")?.strip_suffix(".jar")?.split_once('-')?;
        version.parse().ok()
    });
    let version = version.ok_or_else(|| bad("no libs/kafka_SCALA-VERSION.jar of a known version"))?;
    Ok((libs, version))
}

/// The folder of the jars that Maven brings, after it brought them.
pub(super) fn from_maven(
    cache: &Cache,
    version: Version,
    maven: Option<&Path>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<PathBuf, LaunchError> {
    let libs = cache.jars_dir(version);
    if libs.is_dir() {
        return Ok(libs);
    }
    let missing = |tried| LaunchError::MavenMissing { tried, version };
    let maven = find_program("mvn", maven).map_err(missing)?;
    let scratch = cache.scratch(&format!("jars-{version}"))?;
    let fetched =
        fetch(&maven, &scratch, version, progress).and_then(|()| adopt(&scratch.join("libs"), &libs));
    let _ = fs::remove_dir_all(&scratch);
    fetched.map(|()| libs)
}

/// Moves a complete folder to its place, unless another process was quicker.
pub(super) fn adopt(made: &Path, place: &Path) -> Result<(), LaunchError> {
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).at("make", parent)?;
    }
    match fs::rename(made, place) {
        Err(_) if place.exists() => Ok(()),
        done => done.at("make", place),
    }
}

fn fetch(
    maven: &Path,
    scratch: &Path,
    version: Version,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), LaunchError> {
    let pom = scratch.join("pom.xml");
    fs::write(&pom, pom_xml(&version.artifacts())).at("write", &pom)?;
    progress(Progress::Fetching { version });
    let mut child = Command::new(maven)
        .args(["-B", "-f"])
        .arg(&pom)
        .args([PLUGIN, "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", scratch.join("libs").display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .at("run", maven)?;
    let output = child.stdout.take().map(|stdout| follow(stdout, progress)).unwrap_or_default();
    let status = child.wait().at("wait for", maven)?;
    if status.success() {
        Ok(())
    } else {
        Err(LaunchError::MavenFailed { version, output: last_lines(&output) })
    }
}

/// Reports each file as it comes, and keeps what is worth showing if it fails.
fn follow(stdout: impl Read, progress: &mut dyn FnMut(Progress<'_>)) -> String {
    let mut files = 0;
    let mut said = String::new();
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        if let Some(file) = downloaded(&line) {
            files += 1;
            progress(Progress::Fetched { file, files });
        } else if line.starts_with("[ERROR]") || !line.starts_with('[') {
            said.push_str(&line);
            said.push('\n');
        }
    }
    said
}

/// The file that a line of Maven's output says has come.
pub(super) fn downloaded(line: &str) -> Option<&str> {
    let (_, url) = line.split_once("Downloaded from ")?.1.split_once(": ")?;
    url.split(' ').next()?.rsplit('/').next()
}

pub(super) fn pom_xml(artifacts: &[Artifact]) -> String {
    let dependency = |Artifact(group, name, version): &Artifact| {
        format!(
            "    <dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>\n"
        )
    };
    let dependencies: String = artifacts.iter().map(dependency).collect();
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
         <groupId>kafka.testkit</groupId><artifactId>jars</artifactId><version>1</version><packaging>pom</packaging>\n  \
         <dependencies>\n{dependencies}  </dependencies>\n</project>\n"
    )
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
