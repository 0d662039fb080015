//! Plots as SVG: a panel a work, in it a bar a peer, with its quartiles.

use std::fmt::Write;

use super::Suite;
use super::series::{Series, by_work};
use super::table::number;

const PANEL_WIDTH: f64 = 460.0;
const COLUMNS: usize = 2;
/// Height of a bar with the gap below it.
const ROW: f64 = 18.0;
const TITLE: f64 = 26.0;
/// Where bars begin, and how long the longest is; its number follows.
const BAR_AT: f64 = 150.0;
const BAR_MAX: f64 = 220.0;

/// One file with all panels. Bars begin at 0, so that lengths compare.
pub(super) fn plot(suite: Suite, series: &[Series]) -> String {
    let mut panels = by_work(series);
    if suite == Suite::Micro {
        panels = by_unit(series);
    }
    let (mut body, mut at) = (String::new(), [10.0_f64; COLUMNS]);
    for (title, all) in &panels {
        let column = if at[1] < at[0] { 1 } else { 0 };
        let (x, y) = (column as f64 * PANEL_WIDTH + 10.0, at[column]);
        at[column] += panel(&mut body, (x, y), title, all, suite == Suite::Micro);
    }
    let (width, height) = (PANEL_WIDTH * COLUMNS as f64 + 20.0, at[0].max(at[1]) + 10.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

/// Works of ours alone: those of one unit in one panel.
fn by_unit(series: &[Series]) -> Vec<(&str, Vec<&Series>)> {
    let mut out: Vec<(&str, Vec<&Series>)> = Vec::new();
    for one in series {
        match out.iter_mut().find(|(unit, _)| *unit == one.unit) {
            Some((_, list)) => list.push(one),
            None => out.push((&one.unit, vec![one])),
        }
    }
    out
}

/// Draws a panel; gives its height.
fn panel(out: &mut String, (x, y): (f64, f64), title: &str, all: &[&Series], by_work: bool) -> f64 {
    let mut sorted = all.to_vec();
    sorted.sort_by(|a, b| a.median().total_cmp(&b.median()));
    let most = sorted.iter().map(|s| s.quartiles()[2]).fold(0.0, f64::max);
    let unit = all.first().map_or("", |s| if s.unit == "ns" { "µs, less is better" } else { "" });
    let title = if unit.is_empty() { title.to_owned() } else { format!("{title} ({unit})") };
    _ = writeln!(
        out,
        "<text x=\"{x}\" y=\"{}\" font-weight=\"bold\" font-size=\"12\">{}</text>",
        y + 14.0,
        escaped(&title)
    );
    for (row, series) in sorted.iter().enumerate() {
        let name = if by_work { &series.work } else { &series.peer };
        bar(out, (x, y + TITLE + row as f64 * ROW), name, series, most);
    }
    TITLE + sorted.len() as f64 * ROW + 12.0
}

fn bar(out: &mut String, (x, y): (f64, f64), name: &str, series: &Series, most: f64) {
    let scale = |value: f64| if most > 0.0 { value / most * BAR_MAX } else { 0.0 };
    let [low, median, high] = series.quartiles();
    let shown = if series.unit == "ns" { median / 1e3 } else { median };
    let (from, middle) = (x + BAR_AT, y + 7.0);
    let colour = match series {
        s if s.is_ours() => "#2a6fbb",
        s if s.is_floor() => "#9aa0a6",
        s if !s.is_peer() => "#9cc0e7",
        _ => "#e0a33e",
    };
    let (left, right) = (from + scale(low), from + scale(high));
    _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
        from - 6.0,
        y + 11.0,
        escaped(name)
    );
    _ = writeln!(
        out,
        "<rect x=\"{from}\" y=\"{y}\" width=\"{:.1}\" height=\"14\" fill=\"{colour}\"/>",
        scale(median)
    );
    _ = writeln!(
        out,
        "<path d=\"M{left:.1} {middle}H{right:.1}M{left:.1} {}v6M{right:.1} {}v6\" stroke=\"#222\" fill=\"none\"/>",
        middle - 3.0,
        middle - 3.0
    );
    let label = from + scale(high.max(median)) + 6.0;
    _ = writeln!(out, "<text x=\"{label:.1}\" y=\"{}\">{}</text>", y + 11.0, number(shown));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_for_each_with_lengths_that_compare() {
        let series = |peer: &str, us: f64| Series {
            work: "a < b".into(),
            peer: peer.into(),
            unit: "ns".into(),
            samples: vec![us * 1e3; 5],
        };
        let svg = plot(Suite::Codec, &[series("kafka-proto", 10.0), series("x", 40.0)]);
        assert!(svg.contains("a &lt; b") && svg.contains(">10.0<") && svg.contains(">40.0<"), "{svg}");
        assert!(svg.contains("width=\"55.0\"") && svg.contains("width=\"220.0\""), "{svg}");
    }
}
