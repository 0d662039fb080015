//! The differences that are meant, each with its reason. Everything else is a fault.

use super::Kind;
use super::tally::Difference;

/// A difference that is meant.
pub(super) struct Exception {
    pub(super) kind: Kind,
    pub(super) difference: Difference,
    pub(super) name: &'static str,
    pub(super) why: &'static str,
    /// Whether it is this one: the question, Kafka's answer and ours.
    applies: fn(&[u8], &str, &str) -> bool,
}

/// All of them; the first that applies counts.
pub(super) const ALL: &[Exception] = &[];

/// The place of the one that explains these answers.
pub(super) fn find(
    kind: Kind,
    difference: Difference,
    question: &[u8],
    theirs: &str,
    ours: &str,
) -> Option<usize> {
    ALL.iter().position(|exception| {
        exception.kind == kind
            && exception.difference == difference
            && (exception.applies)(question, theirs, ours)
    })
}
