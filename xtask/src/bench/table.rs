//! What was measured, as tables in Markdown.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use super::Suite;
use super::last::{Figure, since};
use super::series::{Series, best, by_work};

/// Where and of what.
pub(super) fn head() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu =
        cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, cpu)| cpu));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let told = |program: &str, args: &[&str]| {
        let out = Command::new(program).args(args).output().map(|out| out.stdout).unwrap_or_default();
        String::from_utf8_lossy(&out).trim().to_owned()
    };
    format!(
        "# Benchmarks\n\nCommit {}, {}, {} × {cores}. Medians, and the first and third quartile; every ratio is the median \
         of the rounds' ratios. \"since\" compares with the last release: = where the quartiles overlap.\n",
        told("git", &["rev-parse", "--short", "HEAD"]),
        told("rustc", &["--version"]),
        cpu.unwrap_or(std::env::consts::ARCH),
    )
}

pub(super) fn section(suite: Suite, series: &[Series], last: &[Figure]) -> String {
    let works = by_work(series);
    match suite {
        Suite::Codec => codec(&works, last),
        Suite::Micro => micro(&works, last),
        Suite::E2e => e2e(&works, last),
    }
}

type Works<'a> = [(&'a str, Vec<&'a Series>)];

fn codec(works: &Works<'_>, last: &[Figure]) -> String {
    let mut out = String::from(
        "\n## Codec\n\n| Work | kafka-proto, µs | × floor | best peer | its µs | times as fast | since |\n\
         |---|---:|---:|---|---:|---:|---|\n",
    );
    for (work, all) in works {
        let Some(ours) = all.iter().find(|s| s.is_ours()) else { continue };
        let [low, median, high] = ours.quartiles().map(|ns| number(ns / 1e3));
        let floor = all.iter().find(|s| s.is_floor());
        let floor = floor.map_or("-".into(), |floor| format!("{:.2}", ours.ratio(floor)[1]));
        let (peer, its, faster) = best(all).map_or(("-", "-".into(), "-".into()), |best| {
            (&*best.peer, number(best.median() / 1e3), format!("{:.2}", best.ratio(ours)[1]))
        });
        let since = since(ours, all, last);
        _ = writeln!(
            out,
            "| {work} | {median} ({low}–{high}) | {floor} | {peer} | {its} | {faster} | {since} |"
        );
    }
    out
}

fn micro(works: &Works<'_>, last: &[Figure]) -> String {
    let mut out = String::from("\n## Micro\n\n| Work | ns each | of | since |\n|---|---:|---|---|\n");
    for (work, all) in works {
        let Some(ours) = all.first() else { continue };
        let [low, median, high] = ours.quartiles().map(number);
        let unit = ours.unit.strip_prefix("ns of ").unwrap_or(&ours.unit);
        _ = writeln!(out, "| {work} | {median} ({low}–{high}) | {unit} | {} |", since(ours, all, last));
    }
    out
}

/// All clients, the best first, each with its ratio to the best that is not ours.
fn e2e(works: &Works<'_>, last: &[Figure]) -> String {
    let mut out = String::from("\n## End to end\n");
    for (work, all) in works {
        _ = writeln!(
            out,
            "\n### {work}\n\n| Client | median | × best peer | runs | since |\n|---|---:|---:|---:|---|"
        );
        let mut sorted = all.clone();
        sorted.sort_by(|a, b| a.median().total_cmp(&b.median()));
        if sorted.first().is_some_and(|s| s.more_is_better()) {
            sorted.reverse();
        }
        for series in sorted {
            let [low, median, high] = series.quartiles().map(number);
            let ratio =
                best(all).map_or("-".into(), |best| format!("{:.2}", series.median() / best.median()));
            let since = if series.is_ours() { since(series, all, last) } else { String::new() };
            let (peer, runs) = (&series.peer, series.samples.len());
            _ = writeln!(out, "| {peer} | {median} ({low}–{high}) | {ratio} | {runs} | {since} |");
        }
    }
    out
}

/// Three digits that say something.
pub(super) fn number(x: f64) -> String {
    match x.abs() {
        0.0 => "0".into(),
        n if n < 1.0 => format!("{x:.3}"),
        n if n < 10.0 => format!("{x:.2}"),
        n if n < 100.0 => format!("{x:.1}"),
        _ => format!("{x:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_it_all() {
        let series = |peer: &str, ns: f64| Series {
            work: "decode".into(),
            peer: peer.into(),
            unit: "ns".into(),
            samples: vec![ns; 4],
        };
        let all = [series("floor", 20_000.0), series("kafka-proto", 25_000.0), series("x", 100_000.0)];
        let table = section(Suite::Codec, &all, &[]);
        assert!(table.ends_with("| decode | 25.0 (25.0–25.0) | 1.25 | x | 100 | 4.00 | new |\n"), "{table}");
        assert!(
            section(Suite::E2e, &all, &[]).contains("| kafka-proto | 25000 (25000–25000) | 0.25 | 4 | new |")
        );
    }
}
