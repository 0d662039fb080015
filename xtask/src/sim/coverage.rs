//! `xtask sim --coverage`: which lines of the client no seed has reached.
//!
//! Builds an xtask that counts, in a target folder of its own, runs the seeds with it, and reads the counts with the tools of
//! LLVM that belong to the compiler: `rustup component add llvm-tools`.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TARGET: &str = "target/sim-coverage";
/// What is looked at, from the repository's root.
const CODE: &str = "kafka-core/src/";

pub(super) fn run(arguments: &[String]) -> Result<()> {
    let tools = tools()?;
    let profile = format!("{TARGET}/sim.profraw");
    // Its exit code does not matter here: few seeds exercise less than they should.
    cargo("run", arguments).env("LLVM_PROFILE_FILE", &profile).status()?;
    let merged = format!("{TARGET}/sim.profdata");
    succeed(Command::new(tools.join("llvm-profdata")).args(["merge", "-sparse", "-o", &merged, &profile]))?;
    let mut show = Command::new(tools.join("llvm-cov"));
    show.args(["export", "--format=lcov", "--instr-profile", &merged, &format!("{TARGET}/release/xtask")]);
    let output = show.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    print(&lines_of(&String::from_utf8(output.stdout)?));
    Ok(())
}

fn cargo(what: &str, arguments: &[String]) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args([what, "--quiet", "--release", "--package", "xtask", "--target-dir", TARGET, "--", "sim"]);
    cargo
        .args(arguments)
        .env("RUSTFLAGS", "-C instrument-coverage")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
    cargo
}

fn tools() -> Result<PathBuf> {
    let ask = |what: &str| -> Result<String> {
        let output = Command::new("rustc").args(["--print", what]).output()?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let tools = Path::new(&ask("target-libdir")?).join("../bin");
    if !tools.join("llvm-cov").is_file() {
        return Err("there is no llvm-cov: rustup component add llvm-tools".into());
    }
    Ok(tools)
}

fn succeed(command: &mut Command) -> Result<()> {
    if command.status()?.success() { Ok(()) } else { Err(format!("{command:?} failed").into()) }
}

/// How often each line was reached, by file.
type Lines = BTreeMap<String, BTreeMap<u32, u64>>;

fn lines_of(lcov: &str) -> Lines {
    let mut lines = Lines::new();
    let mut file = None;
    for line in lcov.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            let is_code = |path: &str| !path.contains("/tests");
            file = path.split_once(CODE).map(|(_, path)| path.to_owned()).filter(|path| is_code(path));
        } else if let (Some(file), Some((at, count))) =
            (&file, line.strip_prefix("DA:").and_then(|counted| counted.split_once(',')))
            && let (Ok(at), Ok(count)) = (at.parse(), count.parse::<u64>())
        {
            let known = lines.entry(file.clone()).or_default().entry(at).or_default();
            *known = count.max(*known);
        }
    }
    lines
}

/// The lines that were not reached, as ranges, and a count of each file's.
fn print(lines: &Lines) {
    let (mut all, mut reached) = (0, 0);
    for (file, counts) in lines {
        let missed: Vec<u32> = counts.iter().filter(|(_, count)| **count == 0).map(|(at, _)| *at).collect();
        all += counts.len();
        reached += counts.len() - missed.len();
        if !missed.is_empty() {
            let (of, share) = (counts.len(), missed.len());
            println!("{CODE}{file}: {share} of {of} lines were not reached: {}", ranges(&missed));
        }
    }
    let share = 100.0 * reached as f64 / all.max(1) as f64;
    println!("{reached} of {all} lines of {CODE} were reached, {share:.1} %");
}

fn ranges(lines: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for line in lines {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *line => *last = *line,
            _ => ranges.push((*line, *line)),
        }
    }
    let name = |(first, last): &(u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ranges.iter().map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_lines_are_told_as_ranges() {
        let lcov = "SF:/x/kafka-core/src/a.rs\nDA:1,0\nDA:2,0\nDA:3,7\nDA:5,0\nend_of_record\nSF:/x/other/a.rs\nDA:9,0\n";
        let lines = lines_of(lcov);
        assert_eq!(lines.keys().collect::<Vec<_>>(), ["a.rs"]);
        assert_eq!(lines["a.rs"].get(&3), Some(&7));
        assert_eq!(ranges(&[1, 2, 5]), "1-2, 5");
    }
}
