//! `cargo xtask settings`: the table of all settings, from the code that has them.

use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::Args;

/// Write SETTINGS.md, and the same table for the documentation of kafka-core
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Write nothing; fail where a file is not what it should be
    #[arg(long)]
    check: bool,
}

impl Settings {
    pub(crate) fn run(&self) -> io::Result<()> {
        let table = kafka_core::settings::table();
        for path in files() {
            if !self.check {
                fs::write(path, &table)?;
            } else if fs::read_to_string(&path)? != table {
                return Err(io::Error::other(format!("{} is stale: cargo xtask settings", path.display())));
            }
        }
        Ok(())
    }
}

/// A package holds no file of another folder, so there are two.
fn files() -> [PathBuf; 2] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    [root.join("SETTINGS.md"), root.join("kafka-core/src/settings/settings.md")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_fresh() {
        Settings { check: true }.run().unwrap();
    }
}
