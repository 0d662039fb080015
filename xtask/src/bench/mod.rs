//! `xtask bench`: all benchmarks in one go, as a table, as plots, and compared with those of the last release.

mod last;
mod plot;
mod series;
mod suites;
mod table;

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use series::Series;

/// Run the benchmarks; write a table, plots and the samples.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Only these. Default: all that are there
    #[arg(long)]
    only: Option<Suite>,
    /// How often each of codec and micro is measured
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Of codec and micro, only what has this in its name
    #[arg(long, default_value = "")]
    filter: String,
    /// Where table, plots and samples go
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// What to compare with
    #[arg(long, default_value = "benchmarks/last.json")]
    last: PathBuf,
    /// Replace what is compared with by what was measured now: at a release
    #[arg(long)]
    save: bool,
    /// Measure nothing: make table and plots of the samples that are there
    #[arg(long)]
    again: bool,
}

/// A suite of benchmarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Suite {
    /// The codec and its peers
    Codec,
    /// What the client does on its hot path, piece by piece
    Micro,
    /// Whole clients on a cluster
    E2e,
}

impl Suite {
    const ALL: [Suite; 3] = [Suite::Codec, Suite::Micro, Suite::E2e];

    fn name(self) -> &'static str {
        match self {
            Suite::Codec => "codec",
            Suite::Micro => "micro",
            Suite::E2e => "e2e",
        }
    }
}

impl Bench {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        fs::create_dir_all(&self.out)?;
        let mut table = table::head();
        let mut all = Vec::new();
        let last = last::read(&self.last)?;
        for suite in Suite::ALL.into_iter().filter(|suite| self.only.is_none_or(|only| only == *suite)) {
            let Some(series) = self.samples(suite)? else { continue };
            table += &table::section(suite, &series, &last);
            let file = self.out.join(suite.name()).with_extension("svg");
            fs::write(&file, plot::plot(suite, &series))?;
            all.extend(series);
        }
        let file = self.out.join("table.md");
        fs::write(&file, &table)?;
        println!("{table}\n{} and the plots beside it", file.display());
        if self.save {
            last::write(&self.last, &all)?;
        }
        Ok(())
    }

    /// `None` where the suite is not there.
    fn samples(&self, suite: Suite) -> Result<Option<Vec<Series>>, Box<dyn Error>> {
        let file = self.out.join(suite.name()).with_extension("jsonl");
        if self.again && suite == Suite::E2e {
            return suites::e2e_results().map(Some);
        }
        if !self.again {
            let Some(series) = suites::run(suite, self.rounds, &self.filter)? else { return Ok(None) };
            fs::write(&file, series.iter().map(Series::to_line).collect::<String>())?;
        }
        match fs::read_to_string(&file) {
            Ok(text) => Ok(Some(series::read(&text)?)),
            Err(_) if self.only.is_none() => Ok(None),
            Err(error) => Err(format!("{}: {error}", file.display()).into()),
        }
    }
}
