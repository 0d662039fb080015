//! What was measured, as lines for people and as a table in Markdown.

use std::fmt::Write;

use crate::harness::{Row, median, ratio};
use crate::peers::ours;

pub fn print_rows(group: &str, bytes: usize, rows: &[Row]) {
    println!("{group}");
    for row in rows {
        let med = median(row.samples.iter().copied());
        let min = row.samples.iter().copied().fold(f64::MAX, f64::min);
        let max = row.samples.iter().copied().fold(0.0, f64::max);
        let (name, rate, note) = (&row.name, bytes as f64 / med, &row.note);
        println!("  {name:28} {med:>12.0} ns [{min:>12.0} .. {max:>12.0}] {rate:>8.2} GB/s  {note}");
    }
    if let Some(v) = Verdict::of(rows) {
        println!("  = {} of the floor, {:.2} x as fast as {}\n", v.floor_text(), v.faster, v.best);
    }
}

/// The samples of a case in nanoseconds, for other programs; its group is the `at`th of `of`.
pub fn json_line(group: &str, row: &Row, at: usize, of: usize) -> String {
    let samples: Vec<String> = row.samples.iter().map(|ns| format!("{ns:.1}")).collect();
    // Debug escapes what JSON escapes, as far as names go.
    format!(
        r#"{{"work":{group:?},"peer":{:?},"unit":"ns","group":{at},"of":{of},"samples":[{}]}}"#,
        row.name,
        samples.join(",")
    )
}

/// Ours compared with the floor and with the fastest of the others.
struct Verdict<'a> {
    ours: f64,
    spread: (f64, f64),
    floor: Option<f64>,
    best: &'a str,
    best_time: f64,
    faster: f64,
}

impl<'a> Verdict<'a> {
    fn of(rows: &'a [Row]) -> Option<Self> {
        let ours = rows.iter().find(|r| r.name == ours::NAME)?;
        let time = |r: &Row| median(r.samples.iter().copied());
        let is_peer = |r: &&Row| r.name != ours::NAME && r.name != "floor" && !r.name.starts_with('(');
        let best = rows.iter().filter(is_peer).min_by(|a, b| time(a).total_cmp(&time(b)))?;
        let mut sorted = ours.samples.clone();
        sorted.sort_by(f64::total_cmp);
        Some(Verdict {
            ours: time(ours),
            spread: (sorted[sorted.len() / 4], sorted[sorted.len() * 3 / 4]),
            floor: rows.iter().find(|r| r.name == "floor").map(|floor| ratio(ours, floor)),
            best: &best.name,
            best_time: time(best),
            faster: ratio(best, ours),
        })
    }

    fn floor_text(&self) -> String {
        self.floor.map_or("-".into(), |floor| format!("{floor:.2}"))
    }
}

pub const TABLE_HEAD: &str = "\
| Work | kafka-proto, µs (quartiles) | of the floor | best peer | its µs | times as fast |
|---|---:|---:|---|---:|---:|
";

pub fn table_line(group: &str, rows: &[Row]) -> String {
    let mut out = String::new();
    if let Some(v) = Verdict::of(rows) {
        let us = |ns: f64| if ns < 1e5 { format!("{:.1}", ns / 1e3) } else { format!("{:.0}", ns / 1e3) };
        let (ours, low, high, best) = (us(v.ours), us(v.spread.0), us(v.spread.1), us(v.best_time));
        let (floor, peer, faster) = (v.floor_text(), v.best, v.faster);
        _ = writeln!(out, "| {group} | {ours} ({low}–{high}) | {floor} | {peer} | {best} | {faster:.2} |");
    }
    out
}
