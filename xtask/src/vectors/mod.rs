//! `cargo xtask vectors DIR`: checks a folder of test vectors, JSON Lines as Kafka's own classes made them, plain or `.gz`.
//!
//! What a line is, its members tell. A check is a function of a line; what no crate can do yet is counted apart.

mod groups;
mod keys;
mod messages;
mod records;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;

/// Check test vectors made by Kafka
#[derive(Debug, clap::Args)]
pub(crate) struct Vectors {
    /// A folder of `.jsonl` and `.jsonl.gz` files, with folders of them
    dir: PathBuf,
}

/// What became of a vector.
enum Outcome {
    Passed,
    /// What could be checked passed; these parts cannot yet.
    Partly(BTreeSet<String>),
    Failed(String),
}

#[derive(Default)]
struct Report {
    passed: usize,
    failed: usize,
    /// By name, in how many vectors.
    skipped: BTreeMap<String, usize>,
}

impl Vectors {
    /// Checks all files, prints each failure and, last, the counts.
    pub(crate) fn run(&self) -> Result<(), Box<dyn Error>> {
        let mut report = Report::default();
        for path in files(&self.dir)? {
            check_file(&path, &mut report).map_err(|e| format!("{}: {e}", path.display()))?;
        }
        for (kind, count) in &report.skipped {
            println!("not yet: {kind}, {count} vectors");
        }
        let skipped: usize = report.skipped.values().sum();
        println!("{} passed, {} failed, {skipped} skipped", report.passed, report.failed);
        if report.failed > 0 {
            return Err(format!("{} vectors failed", report.failed).into());
        }
        if report.passed == 0 {
            return Err(format!("no vectors in {}", self.dir.display()).into());
        }
        Ok(())
    }
}

/// All files of vectors below a folder, sorted.
fn files(dir: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))? {
        let path = entry?.path();
        let name = path.to_string_lossy();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if name.ends_with(".jsonl") || name.ends_with(".jsonl.gz") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn check_file(path: &Path, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let file = File::open(path)?;
    let packed = path.extension().is_some_and(|e| e == "gz");
    let reader: Box<dyn Read> = if packed { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
    for (i, line) in BufReader::new(reader).lines().enumerate() {
        let vector: Value = serde_json::from_str(&line?).map_err(|e| format!("line {}: {e}", i + 1))?;
        match check(&vector) {
            Outcome::Passed => report.passed += 1,
            Outcome::Partly(missing) => {
                report.passed += 1;
                missing.into_iter().for_each(|name| *report.skipped.entry(name).or_default() += 1);
            }
            Outcome::Failed(why) => {
                report.failed += 1;
                println!("{}:{}: {why}", path.display(), i + 1);
            }
        }
    }
    Ok(())
}

/// Finds the check for a vector.
fn check(vector: &Value) -> Outcome {
    let has = |member: &str| vector.get(member).is_some();
    if has("rounds") {
        return groups::check(vector);
    }
    let result = if has("kind") && has("name") {
        messages::check(vector)
    } else if has("magic") && has("batches") {
        records::check(vector)
    } else if has("crc32c") {
        records::check_crc32c(vector)
    } else if has("murmur2") {
        keys::check_placement(vector)
    } else if has("mechanism") {
        keys::check_scram(vector)
    } else {
        Err("of no known kind".to_owned())
    };
    result.map_or_else(Outcome::Failed, |()| Outcome::Passed)
}

/// A member of a vector that has to be there in a certain form.
fn member<'a, T>(vector: &'a Value, name: &str, form: impl Fn(&'a Value) -> Option<T>) -> Result<T, String> {
    vector.get(name).and_then(form).ok_or_else(|| format!("`{name}` is missing or of another form"))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    digits.filter(|d| d.len() % 2 == 0).map(|d| d.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn hex_member(vector: &Value, name: &str) -> Result<Vec<u8>, String> {
    member(vector, name, |v| v.as_str().and_then(unhex))
}
