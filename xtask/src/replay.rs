//! `xtask replay`: a recording is fed to a bare client, and all that leaves it is compared.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use kafka_core::internal::{Replay as Player, Step, Stop, Unreadable};

/// Replay a recording: print its time line, and the first thing in which the client does otherwise than it did
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// What `ClientBuilder::record` or `xtask sim --record` wrote
    file: PathBuf,
    /// Print nothing before this time, in seconds since the client's start
    #[arg(long)]
    from: Option<f64>,
    /// Print nothing after this time
    #[arg(long)]
    to: Option<f64>,
    /// Print no time line
    #[arg(long)]
    quiet: bool,
}

impl Replay {
    pub(crate) fn run(&self) -> Result<(), Box<dyn Error>> {
        let file = File::open(&self.file).map_err(|error| format!("`{}`: {error}", self.file.display()))?;
        let length = file.metadata()?.len();
        let bar = bar(length);
        let mut player = Player::new(BufReader::new(file))?;
        self.print_head(&player);
        let mut out = BufWriter::new(io::stdout().lock());
        let stop = loop {
            match player.step() {
                Ok(Some(step)) => {
                    if step.number % 1000 == 0 {
                        bar.set_position(player.bytes_read());
                    }
                    self.print(&mut out, step)?;
                }
                Ok(None) => break None,
                Err(stop) => break Some(stop),
            }
        };
        bar.finish_and_clear();
        let counts: Vec<String> = player.counts().map(|(what, count)| format!("{count} {what}")).collect();
        writeln!(out, "{}", counts.join(", "))?;
        let result = match stop {
            None => writeln!(out, "identical"),
            Some(Stop::Unreadable(Unreadable::CutOff { at })) if player.entries() > 0 => {
                let entries = player.entries();
                writeln!(
                    out,
                    "identical in {entries} entries; of the file's {length} bytes {at} are whole, as it is cut off or damaged there"
                )
            }
            Some(stop) => {
                out.flush()?;
                return Err(Box::new(stop));
            }
        };
        result.and_then(|()| out.flush()).map_err(Into::into)
    }

    fn print_head<R: io::Read>(&self, player: &Player<R>) {
        let payloads = if player.has_payloads() { "whole" } else { "lengths and hashes" };
        println!("recorded by version {}, payloads: {payloads}", player.library());
        if !self.quiet {
            println!("{:?}", player.settings());
        }
    }

    fn print(&self, out: &mut impl Write, step: Step) -> io::Result<()> {
        let Some(line) = step.line.filter(|_| !self.quiet && self.is_wanted(step.time)) else {
            return Ok(());
        };
        writeln!(out, "{:12.6} {line}", step.time.as_secs_f64())
    }

    fn is_wanted(&self, time: Duration) -> bool {
        let time = time.as_secs_f64();
        self.from.is_none_or(|from| time >= from) && self.to.is_none_or(|to| time <= to)
    }
}

fn bar(length: u64) -> ProgressBar {
    // The template is constant and right.
    let style = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {bytes}/{total_bytes}");
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
