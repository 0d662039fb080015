//! Files that a generator writes: formatted, compared with what is checked in, and written.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// What can go wrong, in words.
pub type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Returns the project's folder.
pub fn root() -> PathBuf {
    let dir = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("xtask"), PathBuf::from);
    dir.join("..")
}

/// Formats sources with rustfmt, in the folder of this name below `target`.
///
/// # Errors
/// rustfmt is missing, or does not understand a source.
pub fn format(name: &str, sources: Vec<(PathBuf, String)>) -> Result<Vec<(PathBuf, String)>> {
    let dir = root().join("target").join(name);
    let _ = fs::remove_dir_all(&dir);
    write(&dir, &sources)?;
    let paths = sources.iter().map(|(path, _)| dir.join(path));
    let config = root().join("rustfmt.toml");
    let status = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(config)
        .args(paths)
        .status()?;
    if !status.success() {
        return Err("rustfmt failed".into());
    }
    let read = |(path, _): (PathBuf, String)| fs::read_to_string(dir.join(&path)).map(|text| (path, text));
    Ok(sources.into_iter().map(read).collect::<io::Result<_>>()?)
}

/// Writes sources below a folder.
///
/// # Errors
/// A file cannot be written.
pub fn write(dir: &Path, sources: &[(PathBuf, String)]) -> Result {
    for (path, text) in sources {
        let path = dir.join(path);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        // An unchanged file keeps its time, so that nothing is compiled again for it.
        if fs::read_to_string(&path).ok().as_ref() != Some(text) {
            fs::write(&path, text)?;
        }
    }
    Ok(())
}

/// Compares sources with the files below a folder.
///
/// # Errors
/// Names the files that differ, and the subcommand of xtask that writes them.
pub fn check(dir: &Path, sources: &[(PathBuf, String)], remedy: &str) -> Result {
    let stale: Vec<_> = sources
        .iter()
        .filter(|(path, text)| fs::read_to_string(dir.join(path)).ok().as_ref() != Some(text))
        .map(|(path, _)| path.display().to_string())
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("run `cargo xtask {remedy}`; these files are not up to date: {}", stale.join(", ")).into())
}
