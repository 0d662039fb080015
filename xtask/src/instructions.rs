//! `xtask instructions`: how many instructions the hot path takes, compared with the figures that are checked in.
//!
//! Each workload runs in a process of its own under callgrind, few times and more often; what a run takes is the
//! difference, so that making it ready does not count. Times depend on the machine and what else it does, instructions
//! nearly not: only on compiler, architecture and the C library's copying.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use kafka_core::internal::{ALL, Workload};
use serde_json::{Value, json};

/// How much a figure may grow, in per cent.
const TOLERANCE: f64 = 5.0;
/// How often a workload runs, in the one process and in the other.
const TIMES: [u64; 2] = [5, 25];

/// Count the instructions of the hot path under valgrind, and fail where one grew by more than 5 %.
#[derive(Debug, Args)]
pub(crate) struct Instructions {
    /// Write the figures, to be committed with the change that explains them
    #[arg(long)]
    save: bool,
    /// Only workloads whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// Where the figures are
    #[arg(long, default_value = "benchmarks/instructions.json")]
    file: PathBuf,
    /// Print the functions that take most, of each workload
    #[arg(long)]
    functions: bool,
    /// In the process that is measured: run this workload
    #[arg(long, hide = true)]
    run: Option<String>,
    /// So many times
    #[arg(long, hide = true, default_value_t = 0)]
    times: u64,
}

impl Instructions {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        if let Some(name) = &self.run {
            return run_workload(name, self.times);
        }
        if self.save && cfg!(debug_assertions) {
            return Err("only optimised code is worth saving: cargo xtask instructions --save".into());
        }
        if !has_valgrind() {
            println!("NOT CHECKED: valgrind is not on this machine (apt-get install valgrind)");
            return if self.save { Err("nothing to save".into()) } else { Ok(()) };
        }
        let figures = self.measure()?;
        if self.save {
            return save(&self.file, &figures);
        }
        compare(&figures, &Saved::read(&self.file)?)
    }

    /// Instructions a run, by workload.
    fn measure(&self) -> Result<BTreeMap<&'static str, f64>, Box<dyn Error>> {
        let chosen: Vec<&Workload> = ALL.iter().filter(|w| w.name.contains(&self.only)).collect();
        let bar = ProgressBar::new(chosen.len() as u64)
            .with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")?);
        let mut figures = BTreeMap::new();
        for workload in chosen {
            bar.set_message(workload.name);
            let [few, many] = TIMES.map(|times| callgrind(workload.name, times));
            figures.insert(workload.name, (many? - few?) as f64 / (TIMES[1] - TIMES[0]) as f64);
            if self.functions {
                bar.suspend(|| functions(workload));
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(figures)
    }
}

/// What the measured process does.
fn run_workload(name: &str, times: u64) -> Result<(), Box<dyn Error>> {
    let workload = ALL.iter().find(|w| w.name == name).ok_or("no such workload")?;
    let mut run = (workload.prepare)();
    (0..times).for_each(|_| run());
    Ok(())
}

fn has_valgrind() -> bool {
    let version = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

fn out_file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("callgrind.{}.{}", std::process::id(), name.replace([' ', ','], "-")))
}

/// All instructions of a process.
fn callgrind(name: &str, times: u64) -> Result<u64, Box<dyn Error>> {
    let file = out_file(name);
    let out = Command::new("valgrind")
        .args(["--tool=callgrind", "--error-exitcode=9"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe()?)
        .args(["instructions", "--run", name, "--times", &times.to_string()])
        .output()?;
    if !out.status.success() {
        return Err(format!("{name}: {}", String::from_utf8_lossy(&out.stderr)).into());
    }
    total(&fs::read_to_string(&file)?).ok_or_else(|| format!("{}: no total", file.display()).into())
}

/// The line `totals: N` of callgrind's file.
fn total(profile: &str) -> Option<u64> {
    profile.lines().find_map(|line| line.strip_prefix("totals:"))?.trim().parse().ok()
}

/// The functions that take most, as valgrind's own tool tells.
fn functions(workload: &Workload) {
    println!("\n{}, {} times:", workload.name, TIMES[1]);
    match Command::new("callgrind_annotate").arg(out_file(workload.name)).output() {
        Ok(out) => {
            let text = String::from_utf8_lossy(&out.stdout);
            text.lines().filter(|line| line.contains('%')).take(20).for_each(|line| println!("  {line}"));
        }
        Err(error) => println!("  callgrind_annotate: {error}"),
    }
}

/// The figures that are checked in, and what they are of.
struct Saved {
    made_by: String,
    figures: BTreeMap<String, f64>,
}

impl Saved {
    /// Nothing where there is no file yet.
    fn read(file: &Path) -> Result<Self, Box<dyn Error>> {
        let Ok(text) = fs::read_to_string(file) else {
            return Ok(Saved { made_by: made_by()?, figures: BTreeMap::new() });
        };
        let value: Value = serde_json::from_str(&text)?;
        let figures = value["instructions"].as_object().ok_or("no figures")?;
        let figures = figures.iter().filter_map(|(name, n)| Some((name.clone(), n.as_f64()?))).collect();
        Ok(Saved { made_by: value["made_by"].as_str().unwrap_or_default().into(), figures })
    }
}

/// What the figures depend on.
fn made_by() -> Result<String, Box<dyn Error>> {
    let out = Command::new("rustc").arg("--version").output()?;
    let rustc = String::from_utf8(out.stdout)?;
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    Ok(format!("{}, {}, {profile}", rustc.trim(), std::env::consts::ARCH))
}

fn save(file: &Path, figures: &BTreeMap<&str, f64>) -> Result<(), Box<dyn Error>> {
    // Those that were not counted now stay as they were.
    let mut all = Saved::read(file)?.figures;
    all.extend(figures.iter().map(|(name, n)| (name.to_string(), n.round())));
    all.retain(|name, _| ALL.iter().any(|w| w.name == name));
    let value = json!({ "made_by": made_by()?, "instructions": all });
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, serde_json::to_string_pretty(&value)? + "\n")?;
    println!("{} written", file.display());
    Ok(())
}

fn compare(figures: &BTreeMap<&str, f64>, saved: &Saved) -> Result<(), Box<dyn Error>> {
    let mut grown = Vec::new();
    println!("{:26} {:>12} {:>12} {:>8}   a unit", "instructions a run", "saved", "now", "%");
    for workload in ALL.iter().filter(|w| figures.contains_key(w.name)) {
        let now = figures.get(workload.name).copied().unwrap_or_default();
        let unit = format!("{:.0} of {} {}", now / workload.count as f64, workload.count, workload.unit);
        let Some(before) = saved.figures.get(workload.name) else {
            grown.push(workload.name);
            println!("{:26} {:>12} {now:>12.0} {:>8}   {unit}", workload.name, "none", "");
            continue;
        };
        let change = (now / before - 1.0) * 100.0;
        if change > TOLERANCE {
            grown.push(workload.name);
        }
        println!("{:26} {before:>12.0} {now:>12.0} {change:>+8.1}   {unit}", workload.name);
    }
    let now = made_by()?;
    if now != saved.made_by {
        println!("NOT CHECKED: the figures are of {}, this is {now}", saved.made_by);
        return Ok(());
    }
    if grown.is_empty() {
        return Ok(());
    }
    let grown = grown.join(", ");
    Err(format!(
        "more than {TOLERANCE} % above what is saved, or not saved: {grown}. If that is meant to be: --save"
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_found() {
        assert_eq!(total("events: Ir\nfn=(1)\n1 2\n\ntotals: 12345\n"), Some(12345));
        assert_eq!(total("events: Ir\n"), None);
    }

    #[test]
    fn growth_and_what_is_new_fail() {
        let (rustc, name) = (made_by().unwrap(), ALL[0].name);
        let saved = |made_by: &str, n: f64| Saved {
            made_by: made_by.into(),
            figures: BTreeMap::from([(name.to_string(), n)]),
        };
        let now = BTreeMap::from([(name, 106.0)]);
        assert!(compare(&now, &saved(&rustc, 100.0)).is_err());
        assert!(compare(&now, &saved(&rustc, 102.0)).is_ok());
        assert!(compare(&now, &saved("another", 100.0)).is_ok());
        assert!(compare(&now, &Saved { made_by: rustc, figures: BTreeMap::new() }).is_err());
    }
}
