//! What makes later starts quick, made once for a release, a mode and a Java: a formatted log folder to copy, and
//! an archive of the classes that a broker loads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::builder::Progress;
use super::config::BrokerConfig;
use super::error::Context;
use super::java::{Archive, Jvm};
use super::launch::{CLUSTER_ID_LEN, Plan, random_id};
use super::{Cache, LaunchError, Mode, Ports, Version, jars};

/// Writing the archive takes a second or two; a loaded machine gets more.
const SHUTDOWN: Duration = Duration::from_secs(60);

/// Tests that start together must not all do the same work; those of other processes may, and the first one wins.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The Java that starts quickly, and the folder to copy (KRaft).
pub(super) fn prepare(
    cache: &Cache,
    version: Version,
    mode: Mode,
    jvm: Jvm,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(Jvm, Option<PathBuf>), LaunchError> {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let ready = cache.ready_dir(&format!("{version}-{mode}-{:016x}", jvm.fingerprint()));
    let (template, archive) = (ready.join("formatted"), ready.join("classes.jsa"));
    let template = (mode == Mode::Kraft).then_some(template);
    if let Some(place) = template.as_deref().filter(|place| !place.is_dir()) {
        progress(Progress::Preparing { version });
        make_template(cache, version, &jvm, place)?;
    }
    if !archive.is_file() {
        progress(Progress::Preparing { version });
        record_archive(cache, version, mode, &jvm, template.as_deref(), &archive)?;
    }
    // A Java that writes no archive starts all the same.
    let archive = if archive.is_file() { Archive::Use(archive) } else { Archive::None };
    Ok((Jvm { archive, ..jvm }, template))
}

fn make_template(cache: &Cache, version: Version, jvm: &Jvm, place: &Path) -> Result<(), LaunchError> {
    let scratch = cache.scratch(&format!("format-{version}"))?;
    let data = scratch.join("data");
    let ports = Ports::new(19_100)?;
    let config =
        BrokerConfig { version, mode: Mode::Kraft, brokers: 1, ports, id: 1, data: &data, extra: &[] };
    let file = scratch.join("server.properties");
    let made = fs::write(&file, config.properties())
        .at("write", &file)
        .and_then(|()| format(jvm, &file, &random_id(CLUSTER_ID_LEN), &[]))
        .and_then(|()| jars::adopt(&data, place));
    let _ = fs::remove_dir_all(&scratch);
    made
}

/// Formats the log folder that the configuration names.
pub(super) fn format(
    jvm: &Jvm,
    config: &Path,
    cluster_id: &str,
    features: &[String],
) -> Result<(), LaunchError> {
    let config = config.to_string_lossy();
    let mut main = vec!["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", &config];
    main.extend(features.iter().flat_map(|feature| ["--feature", feature]));
    let command = jvm.command(&main)?;
    let (program, args) = command.split_first().ok_or_else(|| jvm.died("format", String::new()))?;
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().at("run", &jvm.java)?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(jvm.died("format", super::node::last_lines(&String::from_utf8_lossy(&said))))
}

/// Runs a cluster of one broker to its end in good order.
fn record_archive(
    cache: &Cache,
    version: Version,
    mode: Mode,
    jvm: &Jvm,
    template: Option<&Path>,
    place: &Path,
) -> Result<(), LaunchError> {
    let scratch = cache.scratch(&format!("classes-{version}-{mode}"))?;
    let recorded = scratch.join("classes.jsa");
    let plan = Plan {
        cache,
        name: format!("recording-{version}-{mode}-{}", std::process::id()),
        version,
        mode,
        brokers: 1,
        port: None,
        jvm: &Jvm { archive: Archive::Record(recorded.clone()), ..jvm.clone() },
        template,
        properties: &[],
        features: &[],
        timeout: SHUTDOWN,
    };
    let stopped = plan.launch().and_then(|cluster| cluster.stop_broker(1, SHUTDOWN));
    let kept = stopped.and_then(|()| if recorded.is_file() { jars::adopt(&recorded, place) } else { Ok(()) });
    let _ = fs::remove_dir_all(&scratch);
    kept
}
