//! Runs the suites, each a workspace of its own: nobody who builds or tests the project waits for what they need.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::Suite;
use super::series::Series;

/// `None` where there is no such suite in this checkout.
pub(super) fn run(suite: Suite, rounds: usize, filter: &str) -> Result<Option<Vec<Series>>, Box<dyn Error>> {
    let folder = folder(suite);
    if !folder.join("Cargo.toml").exists() {
        println!("{} is not there: skipped", folder.display());
        return Ok(None);
    }
    let series = match suite {
        Suite::Codec => codec(&folder, rounds, filter),
        Suite::Micro => micro(&folder, rounds, filter),
        Suite::E2e => e2e(&folder),
    }?;
    Ok(Some(series))
}

fn folder(suite: Suite) -> PathBuf {
    let folder = match suite {
        Suite::Codec => "tests/peers/codec",
        Suite::Micro => "tests/micro",
        Suite::E2e => "tests/peers/e2e",
    };
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder)
}

fn bar(name: &'static str) -> Result<ProgressBar, Box<dyn Error>> {
    let style = ProgressStyle::with_template("{prefix:6} {bar:30} {pos}/{len} {elapsed} {wide_msg}")?;
    Ok(ProgressBar::new(1).with_style(style).with_prefix(name))
}

fn build(folder: &Path, args: &[&str]) -> Result<(), Box<dyn Error>> {
    finished(Command::new("cargo").args(args).current_dir(folder).spawn()?, "cargo")
}

fn finished(mut child: Child, what: &str) -> Result<(), Box<dyn Error>> {
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(format!("{what}: {status}").into()) }
}

/// One line of JSON a series, as each is finished.
fn codec(folder: &Path, rounds: usize, filter: &str) -> Result<Vec<Series>, Box<dyn Error>> {
    build(folder, &["build", "--release", "--locked"])?;
    let mut command = Command::new("cargo");
    command.args(["run", "--release", "--quiet", "--locked", "--", "--json", "--only", filter]);
    let mut child =
        command.args(["--rounds", &rounds.to_string()]).current_dir(folder).stdout(Stdio::piped()).spawn()?;
    let (bar, mut all) = (bar("codec")?, Vec::new());
    for line in BufReader::new(child.stdout.take().ok_or("no output")?).lines() {
        let line = line?;
        if let Some(series) = Series::from_line(&line) {
            let value: Value = serde_json::from_str(&line)?;
            bar.set_length(value["of"].as_u64().unwrap_or(1));
            bar.set_position(value["group"].as_u64().unwrap_or(1));
            bar.set_message(series.work.clone());
            all.push(series);
        }
    }
    bar.finish_and_clear();
    finished(child, "codec-bench")?;
    Ok(all)
}

/// Criterion leaves its samples in files.
fn micro(folder: &Path, rounds: usize, filter: &str) -> Result<Vec<Series>, Box<dyn Error>> {
    build(folder, &["bench", "--no-run", "--locked"])?;
    let found = folder.join("target/criterion");
    let _ = fs::remove_dir_all(&found); // of an earlier run
    let mut command = Command::new("cargo");
    command.args(["bench", "--quiet", "--locked", "--", "--noplot", "--warm-up-time", "0.5"]);
    command.args(["--measurement-time", "2", "--sample-size", &rounds.max(10).to_string(), filter]);
    let mut child = command
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()?;
    let bar = bar("micro")?;
    bar.set_length(kafka_core::internal::ALL.len() as u64);
    for line in BufReader::new(child.stdout.take().ok_or("no output")?).lines() {
        let line = line?;
        if line.contains("time:") {
            bar.inc(1);
        }
        bar.set_message(line);
    }
    bar.finish_and_clear();
    finished(child, "cargo bench")?;
    criterion(&found)
}

/// `<name>/new/benchmark.json` and `sample.json`, in the order of the workloads.
fn criterion(folder: &Path) -> Result<Vec<Series>, Box<dyn Error>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let folder = entry?.path().join("new");
        let Ok(told) = json(&folder.join("benchmark.json")) else { continue };
        let sample = json(&folder.join("sample.json"))?;
        let numbers = |name: &str| -> Vec<f64> {
            sample[name].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
        };
        let (iterations, times) = (numbers("iters"), numbers("times"));
        let Some(name) = told["full_id"].as_str() else { continue };
        let workloads = kafka_core::internal::ALL;
        let Some(at) = workloads.iter().position(|w| w.name == name) else { continue };
        let count = workloads[at].count as f64;
        let samples = times.iter().zip(&iterations).map(|(time, n)| time / n / count).collect();
        let unit = format!("ns of {}", workloads[at].unit);
        all.insert(at, Series { work: name.into(), peer: "kafka-core".into(), unit, samples });
    }
    Ok(all.into_values().collect())
}

fn json(file: &PathBuf) -> Result<Value, Box<dyn Error>> {
    Ok(serde_json::from_str(&fs::read_to_string(file)?)?)
}

/// Its own script builds the peers, makes clusters, runs the rounds of its plan that are missing, and has a progress bar.
fn e2e(folder: &Path) -> Result<Vec<Series>, Box<dyn Error>> {
    finished(Command::new(folder.join("full.sh")).current_dir(folder).spawn()?, "tests/peers/e2e/full.sh")?;
    e2e_results()
}

/// What it has left in `results/`, a file a workload: all of it counts, so that a run can be spread over hours.
pub(super) fn e2e_results() -> Result<Vec<Series>, Box<dyn Error>> {
    let folder = folder(Suite::E2e).join("results");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    files.sort();
    let mut all = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "jsonl")) {
        let workload = file.file_stem().unwrap_or_default().to_string_lossy();
        all.extend(e2e_series(&workload, &fs::read_to_string(file)?));
    }
    Ok(all)
}

/// What a workload is about: the fields of its lines, and their units.
fn figures(workload: &str) -> &'static [(&'static str, &'static str)] {
    match workload {
        "produce-latency" | "roundtrip" => &[("p50_us", "p50, µs"), ("p99_us", "p99, µs")],
        "idle" => &[("wakeups_s", "wakeups/s")],
        "idle-clients" => &[("client_kb", "kB a client")],
        "first-record-10000" => &[("first_ms", "ms to the first record")],
        scale if scale.starts_with("scale-") => &[("cpu_us_batch", "CPU µs a batch")],
        _ => &[("cpu_us_rec", "CPU µs a record"), ("rec_s", "records/s")],
    }
}

/// A series for each kind of API, figure and client; runs that failed are left out.
fn e2e_series(workload: &str, lines: &str) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for line in lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if line["ok"] != Value::Bool(true) {
            continue;
        }
        for (field, unit) in figures(workload) {
            let Some(sample) = line[*field].as_f64() else { continue };
            let (kind, peer) = (text(&line, "kind"), text(&line, "spec"));
            let work = format!("{workload}, {kind}, {unit}");
            match all.iter_mut().find(|s| s.work == work && s.peer == peer) {
                Some(series) => series.samples.push(sample),
                None => all.push(Series { work, peer, unit: (*unit).into(), samples: vec![sample] }),
            }
        }
    }
    all
}

fn text(line: &Value, name: &str) -> String {
    let value = &line[name];
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_clients_become_series() {
        let line = |peer, ok, cpu| {
            format!(r#"{{"spec":"{peer}:tokio","kind":"batch","ok":{ok},"cpu_us_rec":{cpu},"rec_s":1e6}}"#)
        };
        let lines = [
            line("ours", true, 0.5),
            line("x", true, 0.7),
            line("ours", true, 0.6),
            line("ours", false, 9.0),
        ];
        let all = e2e_series("produce-100", &lines.join("\n"));
        assert_eq!(all.len(), 4);
        assert_eq!(all[0].work, "produce-100, batch, CPU µs a record");
        assert_eq!((&*all[0].peer, &all[0].samples[..]), ("ours:tokio", &[0.5, 0.6][..]));
        assert!(all[1].more_is_better() && all[1].is_ours() && all[2].is_peer());
    }
}
