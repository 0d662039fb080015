//! The differences that are meant, each with its reason. Everything else is a fault.

use std::io;

use super::Kind::{self, Batches, Blobs, Payloads, Responses};
use super::peer::Peers;
use super::repairs;
use super::tally::Difference::{self, Lenient, Other, Refused};

/// A difference that is meant.
pub(super) struct Exception {
    kinds: &'static [Kind],
    differences: &'static [Difference],
    pub(super) name: &'static str,
    pub(super) why: &'static str,
    proof: Proof,
}

/// How it is seen that it is this one.
enum Proof {
    /// By what Kafka and we have answered.
    Words(fn(&str, &str) -> bool),
    /// By inputs without what it is about: Kafka reads one of them as we read the whole one.
    Without(fn(&[u8]) -> Vec<Vec<u8>>),
}

/// All of them. The first that holds counts.
pub(super) const ALL: &[Exception] = &[
    Exception {
        kinds: &[Blobs],
        differences: &[Lenient],
        name: "a missing tail",
        why: "other clients leave out the last fields of the version that they name; what is missing is empty",
        proof: Proof::Without(repairs::completed),
    },
    Exception {
        kinds: &[Blobs],
        differences: &[Lenient],
        name: "no bytes at all",
        why: "what brokers give a member that the leader did not mention: no partitions",
        proof: Proof::Without(repairs::of_no_partitions),
    },
    Exception {
        kinds: &[Blobs],
        differences: &[Other],
        name: "a topic named twice",
        why: "counts once; Kafka's assignors would count its member twice",
        proof: Proof::Words(|theirs, ours| repairs::without_doubles(theirs) == ours),
    },
    Exception {
        kinds: &[Responses],
        differences: &[Lenient],
        name: "null where bytes are required",
        why: "Azure Event Hubs means by it that there are none",
        proof: Proof::Without(repairs::without_nulls),
    },
    Exception {
        kinds: &[Batches],
        differences: &[Lenient, Refused, Other],
        name: "odd records in a control batch, or in one without records",
        why: "nothing of it is delivered, so nothing of it is read",
        proof: Proof::Without(repairs::without_unread_batches),
    },
    Exception {
        kinds: &[Payloads, Batches],
        differences: &[Lenient],
        name: "linked LZ4 blocks",
        why: "the default of liblz4 and its tools, which other writers use",
        proof: Proof::Without(repairs::with_independent_blocks),
    },
    Exception {
        kinds: &[Payloads, Batches],
        differences: &[Lenient, Other],
        name: "a zstd window above 128 MiB, or smaller than what is referred to",
        why: "we need no window, as we unpack into one piece; Java takes no larger one, and returns what is in one too small",
        proof: Proof::Without(repairs::with_other_windows),
    },
    Exception {
        kinds: &[Payloads, Batches],
        differences: &[Refused],
        name: "an LZ4 match with itself",
        why: "the format forbids it, and Java returns what its buffer happens to hold",
        proof: Proof::Words(|_, ours| ours.contains("0 is not a valid match offset")),
    },
    Exception {
        kinds: &[Batches],
        differences: &[Lenient],
        name: "a size near 2 GiB",
        why: "Java's sum with its own field overflows; such a batch is cut off like any other",
        proof: Proof::Without(repairs::without_the_huge),
    },
    Exception {
        kinds: &[Batches],
        differences: &[Lenient],
        name: "a huge message inside a wrapper",
        why: "Java takes all the memory that it claims before it sees that it is cut off",
        proof: Proof::Words(|theirs, _| theirs.contains("OutOfMemoryError")),
    },
    Exception {
        kinds: &[Batches],
        differences: &[Refused],
        name: "offsets that pass 2^63 - 1",
        why: "Java's number overflows and it passes over the records without a word",
        proof: Proof::Words(|_, ours| ours.contains("the last offset is out of range")),
    },
    Exception {
        kinds: &[Batches],
        differences: &[Other, Lenient, Refused],
        name: "the offset 2^63 - 1",
        why: "none follows it; Java's position overflows and it reads on with whatever follows",
        proof: Proof::Words(|theirs, ours| [theirs, ours].iter().any(|answer| has_last_offset(answer))),
    },
];

fn has_last_offset(answer: &str) -> bool {
    answer.lines().any(|line| line.starts_with("9223372036854775807 "))
}

/// So many exceptions may come together in one input.
const MOST_TOGETHER: usize = 3;

/// The place of the one that explains these answers.
pub(super) fn find(
    kind: Kind,
    question: &[u8],
    theirs: &str,
    ours: &str,
    peers: &mut Peers,
) -> io::Result<Option<usize>> {
    explain(kind, question, theirs, ours, peers, MOST_TOGETHER)
}

fn explain(
    kind: Kind,
    question: &[u8],
    theirs: &str,
    ours: &str,
    peers: &mut Peers,
    more: usize,
) -> io::Result<Option<usize>> {
    let Some(difference) = Difference::of(theirs, ours) else { return Ok(None) };
    for (at, exception) in ALL.iter().enumerate() {
        if !exception.kinds.contains(&kind) || !exception.differences.contains(&difference) {
            continue;
        }
        let holds = match exception.proof {
            Proof::Words(holds) => holds(theirs, ours),
            Proof::Without(repair) => is_read_without(kind, &repair(question), ours, peers, more)?,
        };
        if holds {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// Whether Kafka reads one of these as we read what they were made of, or would but for another exception.
fn is_read_without(
    kind: Kind,
    repaired: &[Vec<u8>],
    ours: &str,
    peers: &mut Peers,
    more: usize,
) -> io::Result<bool> {
    for (question, theirs) in repaired.iter().zip(peers.ask(kind, repaired)?) {
        if Difference::of(&theirs, ours).is_none()
            || more > 1 && explain(kind, question, &theirs, ours, peers, more - 1)?.is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}
