//! `xtask cluster up` on a machine without Java, or without Maven.
#![cfg(all(feature = "tools", unix))]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An empty folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Asks for a cluster where only the programs of one folder can be found.
fn up(programs: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["cluster", "up"])
        .env_clear()
        .env("PATH", programs)
        .env("KAFKA_CACHE", programs.join("cache"))
        .output()
        .unwrap()
}

/// One line that names all of this, nothing printed for scripts, and a code that is not 0.
fn refused(output: &Output, named: &[&str]) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    let errors: Vec<&str> = told.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{told}");
    println!("{}", errors[0]);
    assert!(named.iter().all(|part| errors[0].contains(part)), "{told}");
    assert!(!told.contains("panicked"), "{told}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

#[test]
fn without_java_it_says_what_to_install() {
    let empty = folder("no-java");
    refused(&up(&empty), &["no Java", "no java in PATH", "Java 17", "JAVA_HOME"]);
}

#[test]
fn with_a_wrong_java_home_it_names_it() {
    let empty = folder("wrong-java-home");
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["cluster", "up"]).env_clear().env("KAFKA_CACHE", empty.join("cache"));
    let output = command.env("JAVA_HOME", &empty).env("PATH", "/usr/bin:/bin").output().unwrap();
    refused(&output, &["no Java", &empty.join("bin/java").display().to_string()]);
}

#[test]
fn without_maven_it_says_what_to_install() {
    let only_java = folder("no-maven");
    fs::write(only_java.join("java"), "").unwrap();
    refused(&up(&only_java), &["no Maven", "no mvn in PATH", "Kafka 4", "install", "KAFKA_HOME"]);
}
