//! What came of the comparisons of one kind.

use std::collections::BTreeMap;
use std::io;

use super::Kind;
use super::exceptions::{self, Exception};
use super::peer::Peers;

/// How two answers can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Difference {
    /// Kafka reads it and we refuse it.
    Refused,
    /// We read it and Kafka refuses it.
    Lenient,
    /// Both read it, and not the same.
    Other,
}

impl Difference {
    pub(super) fn of(theirs: &str, ours: &str) -> Option<Self> {
        let (their_end, our_end) = (is_refusal(theirs), is_refusal(ours));
        let (theirs, ours) = (upto_refusal(theirs), upto_refusal(ours));
        match (their_end, our_end) {
            (true, _) if ours.len() > theirs.len() && ours.starts_with(theirs) => Some(Self::Lenient),
            (_, true) if theirs.len() > ours.len() && theirs.starts_with(ours) => Some(Self::Refused),
            (their_end, our_end) => (theirs != ours || their_end != our_end).then_some(Self::Other),
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Refused => "Kafka reads, we refuse",
            Self::Lenient => "we read, Kafka refuses",
            Self::Other => "both read, not the same",
        }
    }
}

/// A refusal is the last line.
fn is_refusal(answer: &str) -> bool {
    answer.lines().last().is_some_and(|line| line.starts_with("error "))
}

/// Why it was refused is nobody's business.
fn upto_refusal(answer: &str) -> &str {
    answer.find("error ").map_or(answer, |at| &answer[..at])
}

/// A difference that nothing explains.
struct Found {
    number: u64,
    difference: Difference,
    input: String,
    theirs: String,
    ours: String,
}

/// Counts.
#[derive(Default)]
pub(super) struct Tally {
    inputs: u64,
    equal: u64,
    refused: u64,
    unsupported: u64,
    explained: BTreeMap<(usize, Difference), u64>,
    found: BTreeMap<Difference, Vec<Found>>,
}

impl Tally {
    pub(super) fn add(
        &mut self,
        (kind, number): (Kind, u64),
        question: &[u8],
        theirs: &str,
        ours: &str,
        peers: &mut Peers,
    ) -> io::Result<()> {
        self.inputs += 1;
        if theirs == super::peer::UNSUPPORTED {
            self.unsupported += 1;
            return Ok(());
        }
        let Some(difference) = Difference::of(theirs, ours) else {
            let count = if is_refusal(theirs) { &mut self.refused } else { &mut self.equal };
            *count += 1;
            return Ok(());
        };
        match exceptions::find(kind, question, theirs, ours, peers)? {
            Some(at) => *self.explained.entry((at, difference)).or_default() += 1,
            None => self.found.entry(difference).or_default().push(Found {
                number,
                difference,
                input: hex(question),
                theirs: theirs.to_owned(),
                ours: ours.to_owned(),
            }),
        }
        Ok(())
    }

    pub(super) fn unexplained(&self) -> usize {
        self.found.values().map(Vec::len).sum()
    }

    pub(super) fn print(&self, kind: &str, seed: u64, show: usize) {
        println!("\n{kind}: {} inputs", self.inputs);
        row(self.equal, "read by both, the same");
        row(self.refused, "refused by both");
        if self.unsupported > 0 {
            row(self.unsupported, "of a version that neither release has");
        }
        for ((at, difference), count) in &self.explained {
            let Exception { name, why, .. } = &exceptions::ALL[*at];
            row(*count, &format!("{}: {name}: {why}", difference.text()));
        }
        for found in self.found.values() {
            row(found.len() as u64, &format!("UNEXPLAINED: {}", found[0].difference.text()));
            for one in found.iter().take(show) {
                println!(
                    "           again: cargo xtask java --seed {seed} --kind {kind} --input {}",
                    one.number
                );
                println!("           input  {}", short(&one.input));
                println!("           Kafka  {}", short(&one.theirs));
                println!("           ours   {}", short(&one.ours));
            }
        }
    }
}

fn row(count: u64, what: &str) {
    println!("{count:>9}  {what}");
}

fn short(text: &str) -> String {
    const MOST: usize = 500;
    let text = text.replace('\n', " / ");
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}... ({} characters)", &text[..end], text.len()),
        None => text,
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Difference::{self, Lenient, Other, Refused};

    #[test]
    fn what_was_read_before_a_refusal_counts() {
        for (theirs, ours, difference) in [
            ("1\nend", "1\nend", None),
            ("1\nend", "2\nend", Some(Other)),
            ("error a", "error b", None),
            ("1\nerror a", "1\nerror b", None),
            ("1\nerror a", "error b", Some(Refused)),
            ("error a", "1\nerror b", Some(Lenient)),
            ("1\nerror a", "2\nerror b", Some(Other)),
            ("1\nend", "1\nerror b", Some(Refused)),
            ("1\nend", "error b", Some(Refused)),
            ("1\nerror a", "1\nend", Some(Lenient)),
            ("1\nerror a", "2\nend", Some(Other)),
        ] {
            assert_eq!(Difference::of(theirs, ours), difference, "{theirs:?} {ours:?}");
        }
    }
}
