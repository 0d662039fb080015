//! Medians, quartiles and ratios out of the lines of a workload.

use crate::plan::{Entry, Kind, Workload};
use serde_json::Value;
use std::fmt::Write;

/// What a column shows: heading, field, digits.
type Column = (&'static str, &'static str, usize);

fn columns(scenario: &str) -> &'static [Column] {
    match scenario {
        "produce" => &[
            ("CPU µs a record", "cpu_us_rec", 3),
            ("CPU µs a batch", "cpu_us_batch", 2),
            ("records a batch", "records_batch", 0),
            ("records/s", "rec_s", 0),
            ("max RSS, MB", "rss_max_mb", 0),
            ("threads", "threads", 0),
        ],
        "consume" => &[
            ("CPU µs a record", "cpu_us_rec", 3),
            ("records/s", "rec_s", 0),
            ("first record, ms", "first_ms", 0),
            ("max RSS, MB", "rss_max_mb", 0),
            ("threads", "threads", 0),
        ],
        "idle" => &[
            ("wake-ups/s", "wakeups_s", 1),
            ("CPU, %", "cpu_pct", 3),
            ("RSS, MB", "rss_mb", 1),
            ("threads", "threads", 0),
        ],
        "idle-clients" => &[
            ("kB a client", "client_kb", 0),
            ("CPU µs a client and s", "client_cpu_us_s", 1),
            ("wake-ups/s a client", "client_wakeups_s", 2),
            ("threads", "threads", 0),
        ],
        _ => &[
            ("p50, µs", "p50_us", 0),
            ("p99, µs", "p99_us", 0),
            ("p99.9, µs", "p999_us", 0),
            ("CPU µs a record", "cpu_us_rec", 1),
            ("threads", "threads", 0),
        ],
    }
}

/// One peer's rounds.
struct Row {
    entry: Entry,
    good: Vec<Value>,
    trouble: Vec<String>,
}

impl Row {
    fn of(&self, field: &str) -> Vec<f64> {
        let mut values: Vec<f64> = self.good.iter().filter_map(|line| line.get(field)?.as_f64()).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    fn median(&self, field: &str) -> Option<f64> {
        quantile(&self.of(field), 0.5)
    }

    fn api(&self) -> String {
        let text = |field: &str| self.good.first().and_then(|line| Some(line.get(field)?.as_str()?.to_owned()));
        format!("{}; {}", text("version").unwrap_or_default(), text("api").unwrap_or_default())
    }
}

fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let at = q * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (sorted.get(at.floor() as usize)?, sorted.get(at.ceil() as usize)?);
    Some(low + (high - low) * at.fract())
}

fn trouble_of(line: &Value) -> String {
    let keys = ["skipped", "failed", "panic", "error"];
    let told = keys.iter().find_map(|key| Some(format!("{key}: {}", line.get(*key)?.as_str()?)));
    told.unwrap_or_else(|| "failed".into())
}

fn row(entry: Entry, lines: &[Value]) -> Row {
    let mut row = Row { entry, good: Vec::new(), trouble: Vec::new() };
    for line in lines.iter().filter(|line| line["spec"] == entry.spec) {
        if line["ok"] == true {
            row.good.push(line.clone());
        } else {
            row.trouble.push(trouble_of(line));
        }
    }
    row
}

/// The table of a workload in Markdown; empty where there is no line.
pub fn table(workload: &Workload, lines: &[Value]) -> String {
    let mut rows: Vec<Row> = workload.entries.iter().map(|entry| row(*entry, lines)).collect();
    rows.retain(|row| !row.good.is_empty() || !row.trouble.is_empty());
    let figure = |row: &Row| row.median(workload.figure).unwrap_or(f64::INFINITY);
    rows.sort_by(|a, b| (a.entry.kind, figure(a)).partial_cmp(&(b.entry.kind, figure(b))).expect("no NaN"));
    let mut out = String::new();
    if rows.is_empty() {
        return out;
    }
    let _ = writeln!(out, "### {}\n\n`--scenario {} {}`\n", workload.name, workload.scenario, workload.flags.join(" "));
    let columns = columns(workload.scenario);
    out.push_str("| client | API | rounds | × best peer |");
    columns.iter().for_each(|(heading, ..)| out.push_str(&format!(" {heading} |")));
    out.push_str("\n|---|---|---:|---:|");
    columns.iter().for_each(|_| out.push_str("---:|"));
    out.push('\n');
    for row in &rows {
        let best = best_peer(&rows, row.entry.kind, workload.figure);
        let _ = writeln!(out, "{}", cells(row, best, workload.figure, columns));
    }
    out.push('\n');
    for row in &rows {
        let _ = writeln!(out, "* `{}`: {}{}", row.entry.spec, row.api(), notes(row));
    }
    out.push('\n');
    out
}

fn best_peer(rows: &[Row], kind: Kind, figure: &str) -> Option<f64> {
    let peers = rows.iter().filter(|row| row.entry.kind == kind && !row.entry.is_ours());
    peers.filter_map(|row| row.median(figure)).min_by(f64::total_cmp)
}

fn cells(row: &Row, best: Option<f64>, figure: &str, columns: &[Column]) -> String {
    let ratio = match (row.median(figure), best) {
        (Some(own), Some(best)) if best > 0.0 => format!("{:.2}", own / best),
        _ => "–".into(),
    };
    let mut line =
        format!("| {} | {} | {} | {ratio} |", row.entry.spec, row.entry.kind.name(), row.good.len());
    for (_, field, digits) in columns {
        let values = row.of(field);
        match (quantile(&values, 0.5), values.len()) {
            (None, _) => line.push_str(" – |"),
            (Some(median), 1) => line.push_str(&format!(" {median:.digits$} |")),
            (Some(median), _) => {
                let at = |q| quantile(&values, q).unwrap_or(median);
                line.push_str(&format!(" {median:.digits$} ({:.digits$}–{:.digits$}) |", at(0.25), at(0.75)));
            }
        }
    }
    line
}

fn notes(row: &Row) -> String {
    match row.trouble.last() {
        Some(last) => format!(" — {} round(s) without a result: {last}", row.trouble.len()),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_values() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[3.0], 0.25), Some(3.0));
        assert_eq!(quantile(&[1.0, 2.0, 4.0, 8.0], 0.5), Some(3.0));
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.25), Some(2.0));
    }
}
