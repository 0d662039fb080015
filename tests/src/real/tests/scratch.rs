//! A folder for one test, and what a start finds there.

use std::fs;
use std::path::PathBuf;
use std::process;

use super::{Builder, Cache, RealCluster};

/// A folder for one test, removed at its end.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new(test: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("kafka-testkit-{}-{test}", process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("a scratch folder");
        Self(dir)
    }

    pub(super) fn cache(&self) -> Cache {
        Cache::new(self.0.join("cache"))
    }

    /// An executable script. A shell writes it, since a file that this process holds open for writing, if only in
    /// a child that another thread is just starting, cannot be run.
    pub(super) fn program(&self, name: &str, script: &str) -> PathBuf {
        let path = self.0.join(name);
        let mut shell = process::Command::new("sh");
        shell.args(["-c", r#"printf '#!/bin/sh\n%s\n' "$2" >"$1" && chmod +x "$1""#, "sh"]);
        assert!(shell.arg(&path).arg(script).status().expect("a shell").success());
        path
    }

    /// What looks like an unpacked distribution.
    pub(super) fn home(&self, jars: &[&str]) -> PathBuf {
        let home = self.0.join("home");
        fs::create_dir_all(home.join("libs")).expect("libs");
        jars.iter().for_each(|jar| fs::write(home.join("libs").join(jar), "").expect("a jar"));
        home
    }

    pub(super) fn builder(&self) -> Builder {
        let mut builder = RealCluster::builder().cache(self.cache());
        builder.env_home = None;
        builder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
