//! One process of a cluster, as its folder describes it: `command`, `pid` and `log`.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::LaunchError;
use super::error::Context;

/// A process's folder. Its command line names the folder, which tells the process from others with its number.
#[derive(Debug, Clone)]
pub(super) struct Node {
    dir: PathBuf,
}

impl Node {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Starts the process and keeps its command line for [`Node::again`].
    pub(super) fn spawn(&self, command: &[OsString], stdin: Stdio) -> Result<Child, LaunchError> {
        let lines: Option<Vec<&str>> = command.iter().map(|arg| arg.to_str()).collect();
        let lines = lines.map(|lines| lines.join("\n")).ok_or_else(|| LaunchError::Io {
            what: format!("keep the command line of {}", self.dir.display()),
            source: io::Error::new(io::ErrorKind::InvalidData, "a path in it is not UTF-8"),
        })?;
        let file = self.dir.join("command");
        fs::write(&file, lines).at("write", &file)?;
        self.run(command, stdin)
    }

    /// Starts the process once more, as it was started before.
    pub(super) fn again(&self) -> Result<Child, LaunchError> {
        let file = self.dir.join("command");
        let lines = fs::read_to_string(&file).at("read", &file)?;
        let command: Vec<OsString> = lines.lines().map(OsString::from).collect();
        self.run(&command, Stdio::null())
    }

    fn run(&self, command: &[OsString], stdin: Stdio) -> Result<Child, LaunchError> {
        let (program, args) = command.split_first().ok_or_else(|| LaunchError::Damaged {
            path: self.dir.join("command"),
            why: "it is empty".to_owned(),
        })?;
        let log = self.log();
        let log = File::options().create(true).append(true).open(&log).at("open", &log)?;
        let errors = log.try_clone().during(|| "share a log".to_owned())?;
        let mut process = Command::new(program);
        process.args(args).stdin(stdin).stdout(log).stderr(errors);
        own_group(&mut process);
        let child = process.spawn().at("run", Path::new(program))?;
        let pid = self.dir.join("pid");
        fs::write(&pid, child.id().to_string()).at("write", &pid)?;
        Ok(child)
    }

    /// The process's number, while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        let pid = fs::read_to_string(self.dir.join("pid")).ok()?.parse().ok()?;
        let dir = self.dir.to_str()?;
        command_line(pid)?.contains(dir).then_some(pid)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// The last lines of the log.
    pub(super) fn log_tail(&self) -> String {
        tail(&self.log()).unwrap_or_else(|error| format!("(no log: {error})"))
    }
}

/// Signals processes through the shell's own `kill`; those that are gone already do not matter.
pub(super) fn signal(signal: &str, pids: &[u32]) -> Result<(), LaunchError> {
    if pids.is_empty() {
        return Ok(());
    }
    let mut shell = Command::new("sh");
    shell.args(["-c", "kill \"$@\"", "sh", &format!("-{signal}")]);
    shell.args(pids.iter().map(u32::to_string));
    shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.status().during(|| format!("run sh to send {signal}"))?;
    Ok(())
}

/// So that a Ctrl-C meant for the launcher does not end brokers behind its back.
fn own_group(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(not(unix))]
    let _ = command;
}

/// The command line of a running process; none of one that has ended, even if nobody has waited for it yet.
fn command_line(pid: u32) -> Option<String> {
    if !Path::new("/proc/self/cmdline").exists() {
        let ps = Command::new("ps").args(["-ww", "-o", "command=", "-p", &pid.to_string()]).output().ok()?;
        return Some(String::from_utf8_lossy(&ps.stdout).into_owned());
    }
    // A process that has just been started shows that of its parent for a moment, while both share their memory, and then
    // none. Neither must pass for its end.
    let parents = fs::read("/proc/self/cmdline").unwrap_or_default();
    for _ in 0..200 {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        if (!line.is_empty() && line != parents) || has_ended(pid) {
            return Some(String::from_utf8_lossy(&line).into_owned());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Whether the process is a zombie, by the letter after its name in parentheses, and its last thread gone: until then
/// it holds its ports.
fn has_ended(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    matches!(state, None | Some('Z' | 'X')) && threads <= 1
}

/// At most the last 20 lines, of at most the last 8 KiB.
fn tail(path: &Path) -> io::Result<String> {
    const BYTES: u64 = 8 << 10;
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
    let mut end = Vec::new();
    file.take(BYTES).read_to_end(&mut end)?;
    Ok(last_lines(&String::from_utf8_lossy(&end)))
}

pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
