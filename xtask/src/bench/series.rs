//! What was measured: of each work and peer one number a round.

use std::error::Error;

use serde_json::{Value, json};

/// The samples of one peer at one work.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    /// Cases of the same work are compared with each other.
    pub(super) work: String,
    /// A crate or client, the floor, or a remark in parentheses.
    pub(super) peer: String,
    /// What a sample counts; less is better unless it ends in `/s`.
    pub(super) unit: String,
    /// In the order of the rounds.
    pub(super) samples: Vec<f64>,
}

/// A quarter of the samples is below the first, half below the second, three quarters below the third.
pub(super) type Quartiles = [f64; 3];

impl Series {
    pub(super) fn is_ours(&self) -> bool {
        self.peer == "kafka-proto" || self.peer == "kafka-core" || self.peer.starts_with("ours")
    }

    pub(super) fn is_floor(&self) -> bool {
        self.peer == "floor"
    }

    /// Another crate or client.
    pub(super) fn is_peer(&self) -> bool {
        !self.is_ours() && !self.is_floor() && !self.peer.starts_with('(')
    }

    pub(super) fn more_is_better(&self) -> bool {
        self.unit.ends_with("/s") && !self.unit.starts_with("wakeups")
    }

    pub(super) fn quartiles(&self) -> Quartiles {
        quartiles(self.samples.clone())
    }

    pub(super) fn median(&self) -> f64 {
        self.quartiles()[1]
    }

    /// How many times as much as the other: the quotients of the rounds, as neighbours in time are disturbed alike.
    pub(super) fn ratio(&self, other: &Series) -> Quartiles {
        quartiles(self.samples.iter().zip(&other.samples).map(|(a, b)| a / b).collect())
    }

    pub(super) fn to_line(&self) -> String {
        let Series { work, peer, unit, samples } = self;
        json!({ "work": work, "peer": peer, "unit": unit, "samples": samples }).to_string() + "\n"
    }

    /// `None` for a line that is of something else.
    pub(super) fn from_line(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let samples = value["samples"].as_array()?.iter().filter_map(Value::as_f64).collect();
        Some(Series { work: text("work")?, peer: text("peer")?, unit: text("unit")?, samples })
    }
}

fn quartiles(mut values: Vec<f64>) -> Quartiles {
    values.sort_by(f64::total_cmp);
    let at = |quarter: usize| values.get(values.len() * quarter / 4).or(values.last()).copied();
    [1, 2, 3].map(|quarter| at(quarter).unwrap_or(f64::NAN))
}

/// Lines that [`Series::to_line`] wrote.
pub(super) fn read(text: &str) -> Result<Vec<Series>, Box<dyn Error>> {
    text.lines()
        .map(|line| Series::from_line(line).ok_or_else(|| format!("no series: {line}").into()))
        .collect()
}

/// The series by work, in the order in which the works come.
pub(super) fn by_work(series: &[Series]) -> Vec<(&str, Vec<&Series>)> {
    let mut out: Vec<(&str, Vec<&Series>)> = Vec::new();
    for one in series {
        match out.iter_mut().find(|(work, _)| *work == one.work) {
            Some((_, list)) => list.push(one),
            None => out.push((&one.work, vec![one])),
        }
    }
    out
}

/// The peer that does best.
pub(super) fn best<'a>(series: &[&'a Series]) -> Option<&'a Series> {
    let peers = series.iter().copied().filter(|s| s.is_peer());
    let sign = |s: &Series| if s.more_is_better() { -s.median() } else { s.median() };
    peers.min_by(|a, b| sign(a).total_cmp(&sign(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn series(peer: &str, samples: &[f64]) -> Series {
        Series { work: "work".into(), peer: peer.into(), unit: "ns".into(), samples: samples.into() }
    }

    #[test]
    fn lines_survive() {
        let one = series("a \"b\"", &[1.0, 2.5]);
        assert_eq!(read(&one.to_line()).unwrap(), [one]);
        assert!(read("{}").is_err());
    }

    #[test]
    fn ratios_are_of_rounds() {
        let (a, b) = (series("a", &[2.0, 40.0, 6.0]), series("b", &[1.0, 10.0, 3.0]));
        assert_eq!(a.ratio(&b), [2.0, 2.0, 4.0]);
        assert_eq!(quartiles(vec![4.0, 1.0, 3.0, 2.0]), [2.0, 3.0, 4.0]);
        assert!(quartiles(Vec::new())[1].is_nan());
    }

    #[test]
    fn the_best_is_neither_ours_nor_the_floor() {
        let all = [("floor", 1.0), ("kafka-proto", 2.0), ("(in one piece)", 2.5), ("x", 4.0), ("y", 3.0)];
        let all = all.map(|(peer, ns)| series(peer, &[ns]));
        let rates = all.clone().map(|s| Series { unit: "records/s".into(), ..s });
        assert_eq!(best(&all.each_ref()).unwrap().peer, "y");
        assert_eq!(best(&rates.each_ref()).unwrap().peer, "x");
    }
}
