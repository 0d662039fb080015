//! A copy of the workspace with the bugs in it, below `target/mutants`. Files that are the same as before are left alone, so that little is
//! built again.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use super::list::{BUGS, Change};

/// Copied are the packages, without what they were built to.
const PARTS: [&str; 10] = [
    "Cargo.toml",
    "Cargo.lock",
    ".cargo",
    "kafka-proto",
    "kafka-core",
    "kafka-tokio",
    "kafka-blocking",
    "kafka-smol",
    "tests",
    "xtask",
];

/// What the copy has besides.
const ASLEEP: &str = "mutants.rs";

/// A command that runs the xtask of the copy, to be given its arguments.
pub(super) fn build() -> Result<Command, Box<dyn Error>> {
    let copy = root().join("target/mutants/source");
    let planted = planted()?;
    for part in PARTS {
        copy_to(&root().join(part), &copy.join(part), &planted)?;
    }
    let asleep = copy.join("kafka-core/src").join(ASLEEP);
    write(&asleep, include_str!("asleep.rs.in").as_bytes())?;
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--quiet", "--release", "--package", "xtask", "--target-dir"]);
    cargo.arg(root().join("target/mutants/build")).arg("--");
    cargo.current_dir(copy).env("RUSTFLAGS", "--cfg mutants");
    Ok(cargo)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files that are not as they were, with all bugs planted.
fn planted() -> Result<BTreeMap<PathBuf, String>, Box<dyn Error>> {
    let source = root().join("kafka-core/src");
    let mut files = BTreeMap::new();
    let library = source.join("lib.rs");
    files.insert(library.clone(), fs::read_to_string(&library)? + "\n#[doc(hidden)]\npub mod mutants;\n");
    for (bug, change) in BUGS.iter().flat_map(|bug| bug.changes.iter().map(move |change| (bug, change))) {
        let path = source.join(change.file);
        let text = match files.remove(&path) {
            Some(text) => text,
            None => fs::read_to_string(&path)?,
        };
        let text = plant(&text, change).map_err(|problem| format!("{}: {problem}", bug.name))?;
        files.insert(path, text);
    }
    Ok(files)
}

fn plant(text: &str, change: &Change) -> Result<String, String> {
    match text.matches(change.lines).count() {
        1 => Ok(text.replacen(change.lines, change.planted, 1)),
        count => Err(format!("{} has its lines {count} times", change.file)),
    }
}

fn copy_to(from: &Path, to: &Path, planted: &BTreeMap<PathBuf, String>) -> io::Result<()> {
    if from.is_dir() {
        remove_strangers(from, to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            if name != "target" {
                copy_to(&from.join(&name), &to.join(&name), planted)?;
            }
        }
        return Ok(());
    }
    match planted.get(from) {
        Some(text) => write(to, text.as_bytes()),
        None => write(to, &fs::read(from)?),
    }
}

/// What an earlier copy has and the original no longer.
fn remove_strangers(from: &Path, to: &Path) -> io::Result<()> {
    if !to.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        let is_stranger = !from.join(entry.file_name()).exists() && entry.file_name() != ASLEEP;
        match is_stranger {
            true if entry.path().is_dir() => fs::remove_dir_all(entry.path())?,
            true => fs::remove_file(entry.path())?,
            false => {}
        }
    }
    Ok(())
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|before| before == content) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who changes lines that a bug changes finds here which bug it is.
    #[test]
    fn each_bug_can_be_planted() {
        let files = planted().unwrap();
        assert!(files.len() > 20, "{}", files.len());
        let names: std::collections::BTreeSet<_> = BUGS.iter().map(|bug| bug.name).collect();
        assert_eq!(names.len(), BUGS.len(), "a name is given twice");
        for bug in BUGS {
            assert!(bug.changes.iter().all(|change| change.planted.contains(bug.name)), "{}", bug.name);
        }
    }

    /// A module that became a folder was there twice.
    #[test]
    fn what_is_no_longer_there_leaves_the_copy() {
        let root = std::env::temp_dir().join(format!("xtask-planting-{}", std::process::id()));
        let (from, to) = (root.join("from"), root.join("to"));
        let copy = || copy_to(&from, &to, &BTreeMap::new()).unwrap();
        write(&from.join("src/reader.rs"), b"before").unwrap();
        copy();
        fs::remove_file(from.join("src/reader.rs")).unwrap();
        write(&from.join("src/reader/mod.rs"), b"after").unwrap();
        write(&to.join("src").join(ASLEEP), b"asleep").unwrap();
        copy();
        let has = |path: &str| to.join(path).exists();
        assert_eq!(
            [has("src/reader.rs"), has("src/reader/mod.rs"), has("src/mutants.rs")],
            [false, true, true]
        );
        fs::remove_dir_all(root).unwrap();
    }
}
