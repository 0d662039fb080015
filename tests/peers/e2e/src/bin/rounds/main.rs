//! Runs the plan: workload by workload, round by round, all peers in each round one after the other (A B C A B C ...).
//!
//! Each result is a line of `results/WORKLOAD.jsonl` at once, so a run that was stopped goes on where it was, and more
//! rounds are added to those that are there. At the end the tables are written to `results/tables.md`.

mod plan;
mod table;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use plan::{Entry, WORKLOADS, Workload};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[derive(Parser)]
#[command(about = "Runs the end-to-end comparison: what is missing of its rounds, then the tables")]
struct Args {
    /// The cluster: host:port, several separated by commas.
    #[arg(long, default_value = "127.0.0.1:19092")]
    brokers: String,
    /// Rounds of each workload in place of the plan's.
    #[arg(long)]
    rounds: Option<u64>,
    /// Only workloads whose names contain one of these.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only these peers (`barnabas`, `go-franz`) or single rows (`ours:smol:batch`).
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Records a run in place of the workload's, for a first look.
    #[arg(long)]
    records: Option<u64>,
    /// Where the results are.
    #[arg(long, default_value = "results")]
    results: PathBuf,
    /// Where the binaries are.
    #[arg(long, default_value = "target/bin")]
    bin: PathBuf,
    /// Seconds between two runs, so that the broker comes to rest.
    #[arg(long, default_value_t = 1.0)]
    rest: f64,
    /// Runs nothing: prints what would be run, and how long it would take.
    #[arg(long)]
    dry_run: bool,
    /// Runs nothing: only writes the tables.
    #[arg(long)]
    tables: bool,
}

/// A run that is still to be done.
struct Due {
    workload: &'static Workload,
    entry: Entry,
    round: u64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.results)?;
    if !args.tables {
        let due = due(&args)?;
        let took = took(&args)?;
        let expected: f64 = due.iter().map(|run| expected(run, &took) + args.rest).sum();
        println!("{} runs, about {}", due.len(), minutes(expected));
        if args.dry_run {
            due.iter().for_each(|run| println!("{} {} {}", run.workload.name, run.round, run.entry.spec));
            return Ok(());
        }
        run_all(&args, due, took)?;
    }
    write_tables(&args)
}

fn chosen(args: &Args) -> impl Iterator<Item = &'static Workload> {
    let only = args.only.clone();
    WORKLOADS.iter().filter(move |w| only.is_empty() || only.iter().any(|part| w.name.contains(part.as_str())))
}

fn takes_part(args: &Args, entry: &Entry) -> bool {
    args.peers.is_empty() || args.peers.iter().any(|peer| peer == entry.spec || peer == entry.binary())
}

/// What is not in the results yet, round by round. A run that failed is not tried again: the table tells of it.
fn due(args: &Args) -> Result<Vec<Due>> {
    let brokers = args.brokers.split(',').count();
    let mut due = Vec::new();
    for workload in chosen(args) {
        if workload.brokers > brokers {
            eprintln!("{} needs {} brokers: left out", workload.name, workload.brokers);
            continue;
        }
        let lines = lines(&args.results, workload)?;
        for round in 1..=args.rounds.unwrap_or(workload.rounds) {
            for entry in workload.entries.iter().filter(|entry| takes_part(args, entry)) {
                let done = |line: &Value| line["spec"] == entry.spec && line["round"] == round;
                if !lines.iter().any(done) {
                    due.push(Due { workload, entry: *entry, round });
                }
            }
        }
    }
    let missing: Vec<&str> = due.iter().map(|run| run.entry.binary()).filter(|b| !binary(args, b).exists()).collect();
    let mut named: Vec<&str> = missing.clone();
    named.sort_unstable();
    named.dedup();
    if !named.is_empty() {
        eprintln!("not built, left out: {} (./build.sh)", named.join(" "));
        due.retain(|run| binary(args, run.entry.binary()).exists());
    }
    Ok(due)
}

fn binary(args: &Args, name: &str) -> PathBuf {
    args.bin.join(format!("e2e-{name}"))
}

fn file(results: &Path, workload: &Workload) -> PathBuf {
    results.join(format!("{}.jsonl", workload.name))
}

fn lines(results: &Path, workload: &Workload) -> Result<Vec<Value>> {
    let path = file(results, workload);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("{}: {line}", path.display()))).collect()
}

/// Seconds that runs took before, by workload and row.
type Took = BTreeMap<(&'static str, &'static str), f64>;

fn took(args: &Args) -> Result<Took> {
    let mut took = Took::new();
    for workload in WORKLOADS {
        for line in lines(&args.results, workload)? {
            let entry = workload.entries.iter().find(|entry| line["spec"] == entry.spec);
            if let (Some(entry), Some(secs)) = (entry, line["took_s"].as_f64()) {
                took.insert((workload.name, entry.spec), secs);
            }
        }
    }
    Ok(took)
}

/// As long as it took the last time, or as the others of its workload take on average.
fn expected(run: &Due, took: &Took) -> f64 {
    if let Some(secs) = took.get(&(run.workload.name, run.entry.spec)) {
        return *secs;
    }
    let others: Vec<f64> =
        took.iter().filter(|((name, _), _)| *name == run.workload.name).map(|(_, secs)| *secs).collect();
    if others.is_empty() { 15.0 } else { others.iter().sum::<f64>() / others.len() as f64 }
}

fn minutes(secs: f64) -> String {
    format!("{} min {} s", secs as u64 / 60, secs as u64 % 60)
}

fn run_all(args: &Args, due: Vec<Due>, mut took: Took) -> Result<()> {
    let bar = ProgressBar::new(due.len() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {wide_msg}")?);
    let mut topic: Option<(&str, String)> = None;
    for (at, run) in due.iter().enumerate() {
        let left: f64 = due[at..].iter().map(|run| expected(run, &took) + args.rest).sum();
        let what = format!("{} round {} {}", run.workload.name, run.round, run.entry.spec);
        bar.set_message(format!("{what}; {} left", minutes(left)));
        let filled = filled(args, run.workload, &mut topic)?;
        let line = one(args, run, filled.as_deref())?;
        took.insert((run.workload.name, run.entry.spec), line["took_s"].as_f64().unwrap_or(0.0));
        bar.println(format!("{what}: {}", summary(run.workload, &line)));
        std::thread::sleep(Duration::from_secs_f64(args.rest));
        bar.inc(1);
    }
    drop_topic(args, topic.take())?;
    bar.finish_with_message("done");
    Ok(())
}

fn summary(workload: &Workload, line: &Value) -> String {
    if line["ok"] == true {
        return format!("{} {}", workload.figure, line[workload.figure]);
    }
    let told = ["skipped", "failed", "panic", "error"].iter().find_map(|key| line.get(*key));
    told.map_or_else(|| "failed".into(), Value::to_string)
}

fn flags(args: &Args, workload: &Workload) -> Vec<String> {
    let mut flags: Vec<String> = vec!["--brokers".into(), args.brokers.clone()];
    flags.extend(workload.flags.iter().map(|flag| (*flag).to_owned()));
    if let Some(records) = args.records {
        flags.extend(["--records".into(), records.to_string()]);
    }
    flags
}

/// A consume workload reads one topic in all its rounds, which our own client fills.
fn filled(args: &Args, workload: &Workload, topic: &mut Option<(&str, String)>) -> Result<Option<String>> {
    if topic.as_ref().is_some_and(|(of, _)| *of != workload.name) {
        drop_topic(args, topic.take())?;
    }
    if workload.scenario != "consume" {
        return Ok(None);
    }
    if topic.is_none() {
        let name = format!("e2e-filled-{}", std::process::id());
        tool(args, &["topic", "create", "--topic", &name], &flags(args, workload))?;
        let fill = ["--peer", "ours", "--scenario", "produce", "--warmup", "0", "--keep-topic", "true", "--group", "none"];
        let own = ["--topic", name.as_str()];
        // What shapes reading shapes nothing here, and the flags that stand last count.
        let mut command = Command::new(binary(args, "ours"));
        command.args(flags(args, workload)).args(fill).args(own).stdout(Stdio::null());
        ensure!(command.status()?.success(), "{} could not be filled", workload.name);
        *topic = Some((workload.name, name));
    }
    Ok(topic.as_ref().map(|(_, name)| name.clone()))
}

fn drop_topic(args: &Args, topic: Option<(&str, String)>) -> Result<()> {
    match topic {
        Some((_, name)) => tool(args, &["topic", "delete", "--topic", &name], &["--brokers".into(), args.brokers.clone()]),
        None => Ok(()),
    }
}

fn tool(args: &Args, what: &[&str], flags: &[String]) -> Result<()> {
    let status = Command::new(binary(args, "ours")).args(what).args(flags).status();
    ensure!(status.context("e2e-ours is needed (./build.sh ours)")?.success(), "{what:?} failed");
    Ok(())
}

/// One run; its line is in the file when this returns.
fn one(args: &Args, run: &Due, topic: Option<&str>) -> Result<Value> {
    let begun = Instant::now();
    let mut command = Command::new(binary(args, run.entry.binary()));
    command.args(["--peer", run.entry.spec, "--scenario", run.workload.scenario]).args(flags(args, run.workload));
    command.args(["--round", &run.round.to_string()]);
    if let Some(topic) = topic {
        command.args(["--topic", topic, "--keep-topic", "true"]);
    }
    let log = std::fs::OpenOptions::new().create(true).append(true).open(args.results.join("stderr.log"))?;
    let output = command.stderr(log).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.lines().rev().find(|line| line.starts_with('{')).and_then(|line| serde_json::from_str(line).ok());
    let mut line: Value = found.unwrap_or_else(|| {
        json!({ "ok": false, "round": run.round, "failed": format!("no result, {}", output.status) })
    });
    line["spec"] = json!(run.entry.spec);
    line["kind"] = json!(run.entry.kind.name());
    line["took_s"] = json!((begun.elapsed().as_secs_f64() * 10.0).round() / 10.0);
    let path = file(&args.results, run.workload);
    let mut out = std::fs::OpenOptions::new().create(true).append(true).open(&path)?;
    writeln!(out, "{line}").with_context(|| path.display().to_string())?;
    Ok(line)
}

fn write_tables(args: &Args) -> Result<()> {
    let mut text = String::new();
    for workload in WORKLOADS {
        text.push_str(&table::table(workload, &lines(&args.results, workload)?));
    }
    if text.is_empty() {
        bail!("there are no results in {}", args.results.display());
    }
    let path = args.results.join("tables.md");
    std::fs::write(&path, &text)?;
    println!("{text}\n{}", path.display());
    Ok(())
}
