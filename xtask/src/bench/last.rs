//! What was measured for the last release: of our own series only, the quartiles.
//!
//! Of the codec the ratio to the floor is kept where there is one, as it holds on other machines too.

use std::error::Error;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::series::{Quartiles, Series, by_work};

/// One of our series, then.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    work: String,
    peer: String,
    measure: String,
    quartiles: Quartiles,
}

impl Figure {
    /// What is kept of a series; `others` are of the same work.
    fn of(series: &Series, others: &[&Series]) -> Self {
        let floor = others.iter().find(|s| s.is_floor());
        let (measure, quartiles) = match floor {
            Some(floor) => ("× floor", series.ratio(floor)),
            None => (&*series.unit, series.quartiles()),
        };
        Figure {
            work: series.work.clone(),
            peer: series.peer.clone(),
            measure: measure.into(),
            quartiles: quartiles.map(|x| format!("{x:.4e}").parse().unwrap_or(x)),
        }
    }
}

/// What was saved; nothing where there is no file yet.
pub(super) fn read(file: &Path) -> Result<Vec<Figure>, Box<dyn Error>> {
    let Ok(text) = fs::read_to_string(file) else { return Ok(Vec::new()) };
    let value: Value = serde_json::from_str(&text)?;
    let figures = value.as_array().ok_or("the figures of the last release are no array")?;
    Ok(figures.iter().filter_map(figure).collect())
}

fn figure(value: &Value) -> Option<Figure> {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    let quartile = |at: usize| value["quartiles"][at].as_f64();
    let quartiles = [quartile(0)?, quartile(1)?, quartile(2)?];
    Some(Figure { work: text("work")?, peer: text("peer")?, measure: text("measure")?, quartiles })
}

/// Saves what was measured; what was not measured now stays.
pub(super) fn write(file: &Path, series: &[Series]) -> Result<(), Box<dyn Error>> {
    let mut figures = read(file)?;
    for (_, others) in by_work(series) {
        for series in others.iter().filter(|s| s.is_ours()) {
            let new = Figure::of(series, &others);
            figures
                .retain(|old| (&old.work, &old.peer, &old.measure) != (&new.work, &new.peer, &new.measure));
            figures.push(new);
        }
    }
    let line = |f: &Figure| {
        json!({ "work": f.work, "peer": f.peer, "measure": f.measure, "quartiles": f.quartiles }).to_string()
    };
    let lines: Vec<String> = figures.iter().map(line).collect();
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, format!("[\n{}\n]\n", lines.join(",\n")))?;
    println!("{} written", file.display());
    Ok(())
}

/// What became of a series since: the change in per cent, where it is more than the spread of both.
pub(super) fn since(series: &Series, others: &[&Series], last: &[Figure]) -> String {
    let now = Figure::of(series, others);
    let before = last.iter().find(|f| (&f.work, &f.peer, &f.measure) == (&now.work, &now.peer, &now.measure));
    let Some(before) = before else { return "new".into() };
    let ([low, median, high], [low_then, then, high_then]) = (now.quartiles, before.quartiles);
    if low <= high_then && low_then <= high {
        return "=".into();
    }
    let change = (median / then - 1.0) * 100.0;
    let better = (change > 0.0) == series.more_is_better();
    format!("**{change:+.0} %, {}**", if better { "better" } else { "worse" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(peer: &str, unit: &str, samples: [f64; 4]) -> Series {
        Series { work: "w".into(), peer: peer.into(), unit: unit.into(), samples: samples.into() }
    }

    #[test]
    fn only_more_than_the_spread_counts() {
        let file = std::env::temp_dir().join(format!("bench-last-{}.json", std::process::id()));
        let (floor, ours) =
            (series("floor", "ns", [10.0; 4]), series("kafka-proto", "ns", [19.0, 20.0, 20.0, 21.0]));
        write(&file, &[floor.clone(), ours.clone()]).unwrap();
        let last = read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(since(&ours, &[&floor, &ours], &last), "=");
        let near = series("kafka-proto", "ns", [20.0, 21.0, 22.0, 23.0]);
        assert_eq!(since(&near, &[&floor, &near], &last), "=");
        let slow = series("kafka-proto", "ns", [30.0; 4]);
        assert_eq!(since(&slow, &[&floor, &slow], &last), "**+50 %, worse**");
        // On a machine of half the speed all is the same.
        let (floor, half) = (series("floor", "ns", [20.0; 4]), series("kafka-proto", "ns", [40.0; 4]));
        assert_eq!(since(&half, &[&floor, &half], &last), "=");
        assert_eq!(since(&half, &[&half], &last), "new");
    }
}
