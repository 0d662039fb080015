//! How large requests may be for a broker that closed a connection on one instead of answering: it, or a proxy before it, may take
//! only smaller ones, and no answer tells so. And how large batches may be where an answer did.
//!
//! Invariants
//! * What was refused halves the limit; a request of one batch cannot be smaller.
//! * The limit is tried again: doubled after so many answers to what is larger than half of it (where it keeps two batches apart,
//!   one of them is), four times as many after each time in vain. So a broker that takes no more is rarely asked for it.
//! * What is taken though it is as large as what was refused ends the limit: the broker merely restarted.

use crate::machine::Time;

/// Answers, or batches, before a limit is doubled for the first time.
const PATIENCE: u32 = 8;

#[derive(Debug)]
pub(super) struct RequestLimit {
    limit: Limit,
    /// When a connection ended last.
    ended_at: Time,
    /// What the limit was before.
    bytes_before: usize,
}

impl RequestLimit {
    /// The connection ended, at this time, on a request of several batches, perhaps on others too: the largest is the suspect.
    pub(super) fn lower(limit: &mut Option<Self>, request: usize, now: Time) {
        match limit {
            None => {
                let first = Limit::new(request);
                *limit = Some(Self { limit: first, ended_at: now, bytes_before: usize::MAX });
            }
            Some(known) if known.ended_at == now => known.limit.suspect(request, known.bytes_before),
            Some(known) => {
                (known.ended_at, known.bytes_before) = (now, known.bytes());
                known.limit.lower(request);
            }
        }
    }

    /// A request of so many bytes was answered.
    pub(super) fn answered(limit: &mut Option<Self>, request: usize) {
        if limit.as_mut().and_then(|known| known.limit.took(request)) == Some(Change::Over) {
            *limit = None;
        }
    }

    /// No request of several batches is larger.
    pub(super) fn bytes(&self) -> usize {
        self.limit.bytes
    }
}

/// How large the batches of a partition may be, where its broker refused a larger one. The topic's limit may be raised, or the
/// topic made anew; so this one is tried again too.
#[derive(Debug)]
pub(super) struct BatchLimit(Limit);

impl BatchLimit {
    /// A batch of so many bytes was too large.
    pub(super) fn lower(limit: &mut Option<Self>, batch: usize) {
        match limit {
            None => *limit = Some(Self(Limit::new(batch))),
            Some(Self(known)) => known.lower(batch),
        }
    }

    /// A batch of so many bytes was taken. Whether the limit is another one now.
    pub(super) fn acked(limit: &mut Option<Self>, batch: usize) -> bool {
        let change = limit.as_mut().and_then(|Self(known)| known.took(batch));
        if change == Some(Change::Over) {
            *limit = None;
        }
        change.is_some()
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.bytes
    }
}

/// A size that was refused, and is tried again once enough has been taken.
#[derive(Debug)]
struct Limit {
    refused: usize,
    bytes: usize,
    /// It was doubled since the last refusal.
    is_raised: bool,
    /// What was taken since the limit is what it is.
    proofs: u32,
    patience: u32,
}

#[derive(Debug, PartialEq)]
enum Change {
    Raised,
    Over,
}

impl Limit {
    fn new(refused: usize) -> Self {
        Self { refused, bytes: below(refused), is_raised: false, proofs: 0, patience: PATIENCE }
    }

    /// So much was refused. What was on its way before a lower limit was known tells nothing new.
    fn lower(&mut self, refused: usize) {
        if below(refused) >= self.bytes {
            return;
        }
        let times = if self.is_raised { 4 } else { 1 };
        *self = Self { patience: self.patience.saturating_mul(times), ..Self::new(refused) };
    }

    /// It was something larger that was refused; the limit was so much before.
    fn suspect(&mut self, refused: usize, before: usize) {
        if refused > self.refused {
            (self.refused, self.bytes) = (refused, below(refused).min(before));
        }
    }

    fn took(&mut self, bytes: usize) -> Option<Change> {
        if bytes >= self.refused {
            return Some(Change::Over);
        }
        self.proofs += u32::from(bytes > self.bytes / 2);
        if self.proofs < self.patience {
            return None;
        }
        (self.bytes, self.proofs, self.is_raised) = (self.bytes.saturating_mul(2), 0, true);
        Some(Change::Raised)
    }
}

/// The limit where so much was refused.
fn below(refused: usize) -> usize {
    (refused / 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::{BatchLimit, RequestLimit};
    use crate::machine::Time;
    use std::time::Duration;

    fn batch_bytes(limit: &Option<BatchLimit>) -> Option<usize> {
        limit.as_ref().map(BatchLimit::bytes)
    }

    /// How many batches are taken until the limit is another one.
    fn patience(limit: &mut Option<BatchLimit>, batch: usize) -> u32 {
        (1..).find(|_| BatchLimit::acked(limit, batch)).unwrap()
    }

    #[test]
    fn a_limit_of_batches_is_tried_again_more_and_more_rarely() {
        let mut limit = None;
        // One batch, its halves, and their halves.
        [8000, 4000, 4000, 2000].into_iter().for_each(|batch| BatchLimit::lower(&mut limit, batch));
        assert_eq!(batch_bytes(&limit), Some(1000));
        (0..100).for_each(|_| assert!(!BatchLimit::acked(&mut limit, 400), "small ones prove nothing"));
        for expected in [8, 32, 128] {
            assert_eq!(patience(&mut limit, 900), expected);
            assert_eq!(batch_bytes(&limit), Some(2000));
            [2000, 2000].into_iter().for_each(|batch| BatchLimit::lower(&mut limit, batch));
            assert_eq!(batch_bytes(&limit), Some(1000));
        }
    }

    /// What is asked for in full is twice the limit.
    #[test]
    fn a_limit_between_the_half_and_the_whole_is_tried_again_more_and_more_rarely() {
        let mut limit = None;
        for expected in [8, 32, 128, 512] {
            BatchLimit::lower(&mut limit, 8000);
            assert_eq!(patience(&mut limit, 3900), expected);
            assert_eq!(batch_bytes(&limit), Some(8000));
        }
    }

    #[test]
    fn what_is_taken_as_large_as_what_was_refused_ends_the_limit() {
        let mut limit = None;
        (0..3).for_each(|_| _ = (BatchLimit::lower(&mut limit, 8000), patience(&mut limit, 3000)));
        assert!(!BatchLimit::acked(&mut limit, 7999));
        assert!(BatchLimit::acked(&mut limit, 8000) && limit.is_none());
        BatchLimit::lower(&mut limit, 8000);
        assert_eq!(patience(&mut limit, 3900), 8, "nothing is left of what was");
    }

    fn bytes(limit: &Option<RequestLimit>) -> Option<usize> {
        limit.as_ref().map(RequestLimit::bytes)
    }

    fn ends() -> impl Iterator<Item = Time> {
        let begin = Time::START;
        (0..).map(move |second| begin + Duration::from_secs(second))
    }

    #[test]
    fn each_end_halves_and_answers_double() {
        let (mut limit, mut ends) = (None, ends());
        RequestLimit::answered(&mut limit, 4000);
        assert_eq!(bytes(&limit), None);
        RequestLimit::lower(&mut limit, 8000, ends.next().unwrap());
        RequestLimit::lower(&mut limit, 4000, ends.next().unwrap());
        assert_eq!(bytes(&limit), Some(2000));
        (0..7).for_each(|_| RequestLimit::answered(&mut limit, 2000));
        assert_eq!(bytes(&limit), Some(2000));
        RequestLimit::answered(&mut limit, 2000);
        assert_eq!(bytes(&limit), Some(4000));
        RequestLimit::answered(&mut limit, 4000);
        assert_eq!(bytes(&limit), None);
    }

    #[test]
    fn small_requests_prove_nothing() {
        let mut limit = None;
        RequestLimit::lower(&mut limit, 4000, ends().next().unwrap());
        (0..1000).for_each(|_| RequestLimit::answered(&mut limit, 1000));
        assert_eq!(bytes(&limit), Some(2000));
    }

    #[test]
    fn of_all_that_was_in_flight_the_largest_is_the_suspect() {
        let (mut limit, mut ends) = (None, ends());
        let end = ends.next().unwrap();
        [100, 8000, 8000, 300].into_iter().for_each(|request| RequestLimit::lower(&mut limit, request, end));
        assert_eq!(bytes(&limit), Some(4000), "one end counts once");
        let end = ends.next().unwrap();
        [3000, 9000].into_iter().for_each(|request| RequestLimit::lower(&mut limit, request, end));
        assert_eq!(bytes(&limit), Some(4000), "what was too large before tells nothing new");
        RequestLimit::lower(&mut limit, 3000, ends.next().unwrap());
        assert_eq!(bytes(&limit), Some(1500));
        RequestLimit::lower(&mut limit, 1, ends.next().unwrap());
        assert_eq!(bytes(&limit), Some(1), "one batch a request goes always");
    }
}
