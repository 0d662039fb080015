//! `cargo xtask java`: generated inputs, read by our decoders and by Kafka's own classes.
//!
//! An input is a question in bytes, which `tests/java/ReadMessages.java`, `tests/java/ReadRecords.java` and [`ours`] answer in the
//! same words. It follows from the seed, its kind and its number alone. Whatever is answered differently is one of the named
//! [`exceptions`], or a fault.

mod batches;
mod exceptions;
mod messages;
mod mutate;
mod ours;
mod payloads;
mod peer;
mod repairs;
mod tally;

use std::error::Error;
use std::time::Instant;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use messages::Messages;
use peer::Peers;
use tally::Tally;
use xtask::dice::Dice;

/// Compare what our decoders read of generated inputs with what Kafka's own classes read; needs Java 17 and Maven
#[derive(Debug, Args)]
pub(crate) struct Java {
    /// How many inputs in all
    #[arg(long, default_value_t = 100_000)]
    inputs: u64,
    /// What the inputs follow from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only of this kind
    #[arg(long)]
    kind: Option<Kind>,
    /// Only the input of this number: prints it with both answers
    #[arg(long, requires = "kind", value_name = "NUMBER")]
    input: Option<u64>,
    /// How many unexplained differences of a kind are shown
    #[arg(long, default_value_t = 5)]
    show: usize,
}

/// What an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Subscriptions and assignments of consumer groups
    Blobs,
    /// What stands in a `records` field: batches of formats 0, 1 and 2
    Batches,
    /// Compressed bytes by themselves
    Payloads,
    /// Responses of all APIs in all versions
    Responses,
}

const KINDS: [Kind; 4] = [Kind::Blobs, Kind::Batches, Kind::Payloads, Kind::Responses];
/// So many questions are asked before the answers are looked at.
const ROUND: u64 = 500;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

impl Java {
    pub(crate) fn run(self) -> Result {
        let mut peers = Peers::start().map_err(|why| format!("NOT CHECKED: {why}"))?;
        let maker = Maker { seed: self.seed, messages: Messages::load()? };
        if let (Some(kind), Some(number)) = (self.kind, self.input) {
            return one(&maker, &mut peers, kind, number);
        }
        let kinds = self.kind.map_or(KINDS.to_vec(), |kind| vec![kind]);
        let bar = bar(self.inputs);
        let started = Instant::now();
        let mut tallies = Vec::new();
        for (at, kind) in kinds.iter().enumerate() {
            let (all, count) = (self.inputs, kinds.len() as u64);
            let share = all * (at as u64 + 1) / count - all * at as u64 / count;
            bar.set_message(name(*kind));
            tallies.push((*kind, compare(&maker, &mut peers, *kind, share, &bar)?));
        }
        bar.finish_and_clear();
        println!("seed {}, {} inputs, {:.0?}", self.seed, self.inputs, started.elapsed());
        let mut unexplained = 0;
        for (kind, tally) in &tallies {
            tally.print(&name(*kind), self.seed, self.show);
            unexplained += tally.unexplained();
        }
        if unexplained > 0 {
            return Err(format!("{unexplained} differences that nothing explains").into());
        }
        Ok(())
    }
}

/// Makes inputs.
struct Maker {
    seed: u64,
    messages: Messages,
}

impl Maker {
    fn question(&self, kind: Kind, number: u64) -> Vec<u8> {
        let mut dice = Dice::new(self.seed.wrapping_mul(4).wrapping_add(kind as u64), number);
        match kind {
            Kind::Blobs => self.messages.blob(&mut dice),
            Kind::Responses => self.messages.response(&mut dice),
            Kind::Batches => batches::question(&mut dice),
            Kind::Payloads => payloads::question(&mut dice),
        }
    }
}

fn compare(maker: &Maker, peers: &mut Peers, kind: Kind, inputs: u64, bar: &ProgressBar) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut first = 0;
    while first < inputs {
        let numbers: Vec<u64> = (first..inputs.min(first + ROUND)).collect();
        let questions: Vec<_> = numbers.iter().map(|number| maker.question(kind, *number)).collect();
        let theirs = peers.ask(kind, &questions)?;
        for ((number, question), theirs) in numbers.iter().zip(&questions).zip(&theirs) {
            let ours = ours::answer(kind, question);
            tally.add((kind, *number), question, theirs, &ours, peers)?;
        }
        bar.inc(numbers.len() as u64);
        first += ROUND;
    }
    Ok(tally)
}

fn one(maker: &Maker, peers: &mut Peers, kind: Kind, number: u64) -> Result {
    let question = maker.question(kind, number);
    let theirs = peers.ask(kind, std::slice::from_ref(&question))?;
    println!("input  {}", tally::hex(&question));
    println!("Kafka  {}", theirs.concat());
    println!("ours   {}", ours::answer(kind, &question));
    Ok(())
}

/// As on the command line.
fn name(kind: Kind) -> String {
    kind.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
}

fn bar(length: u64) -> ProgressBar {
    // The template is constant and right.
    let style = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len} {msg}");
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
