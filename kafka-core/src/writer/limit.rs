//! How large requests may be for a broker that closed a connection on one instead of answering: it, or a proxy before it, may take
//! only smaller ones, and no answer tells so. And how large batches may be where an answer did.
//!
//! Invariants
//! * What was refused halves the limit; a request of one batch cannot be smaller.
//! * The limit is tried again: doubled after so many answers to what is larger than half of it (where it keeps two batches apart,
//!   one of them is), four times as many after each time in vain. So a broker that takes no more is rarely asked for it.
//! * What is taken though it is as large as what was refused ends the limit: the broker merely restarted. What was refused
//!   before that stands.

use crate::machine::Time;

/// Answers, or batches, before a limit is doubled for the first time.
const PATIENCE: u32 = 8;

#[derive(Debug, Default)]
pub(super) struct RequestLimit {
    /// By what was refused, the largest first. The last one holds; where that had another cause, the one before it.
    limits: Vec<Limit>,
    /// The limits before the last end of a connection.
    before: Vec<Limit>,
    last: ConnectionEnd,
}

/// So many refusals are remembered of a broker, the smallest ones.
const MOST_LIMITS: usize = 4;

/// What was in flight when a connection ended.
#[derive(Debug, Default)]
struct ConnectionEnd {
    at: Time,
    largest: usize,
    /// A request of several batches was among it.
    has_several: bool,
}

impl RequestLimit {
    /// The connection ended, at this time, on a request, perhaps on others too: the largest is the suspect. One of a single batch
    /// cannot be smaller, so that it alone tells nothing.
    pub(super) fn closed_on(&mut self, request: usize, has_several: bool, now: Time) {
        if self.last.at != now {
            self.last = ConnectionEnd { at: now, ..ConnectionEnd::default() };
        }
        self.last.largest = self.last.largest.max(request);
        if has_several && !self.last.has_several {
            self.last.has_several = true;
            self.before.clone_from(&self.limits);
        }
        if self.last.has_several {
            self.limits.clone_from(&self.before);
            self.refuse(self.last.largest);
        }
    }

    fn refuse(&mut self, request: usize) {
        let limit = self.limits.last().map_or_else(|| Limit::new(request), |last| last.lower(request));
        let is_news = limit.refused == request;
        self.limits.retain(|other| other.refused > request || !is_news);
        if is_news {
            self.limits.push(limit);
        } else if self.limits.iter().all(|other| other.refused != request) {
            let at = self.limits.partition_point(|other| other.refused > request);
            self.limits.insert(at, Limit::new(request));
        }
        let forgotten = self.limits.len().saturating_sub(MOST_LIMITS);
        self.limits.drain(..forgotten);
    }

    /// A request of so many bytes was taken.
    pub(super) fn took(&mut self, request: usize) {
        let Some(limit) = self.limits.last_mut() else { return };
        let bytes = limit.bytes;
        if limit.took(request) == Some(Change::Over) {
            self.limits.retain(|other| other.refused > request);
            self.limits.last_mut().into_iter().for_each(|next| next.bytes = next.bytes.max(bytes));
        }
    }

    /// No request of several batches is larger.
    pub(super) fn bytes(&self) -> Option<usize> {
        self.limits.last().map(|limit| limit.bytes)
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
            Some(Self(known)) => *known = known.lower(batch),
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
#[derive(Clone, Debug)]
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

    /// The limit once so much was refused. What was on its way before a lower limit was known tells nothing new.
    fn lower(&self, refused: usize) -> Self {
        if below(refused) >= self.bytes {
            return self.clone();
        }
        let times = if self.is_raised { 4 } else { 1 };
        Self { patience: self.patience.saturating_mul(times), ..Self::new(refused) }
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

    fn ends() -> impl Iterator<Item = Time> {
        let begin = Time::START;
        (1..).map(move |second| begin + Duration::from_secs(second))
    }

    #[test]
    fn each_end_halves_and_answers_double() {
        let (mut limit, mut ends) = (RequestLimit::default(), ends());
        limit.took(4000);
        assert_eq!(limit.bytes(), None);
        limit.closed_on(8000, true, ends.next().unwrap());
        limit.closed_on(4000, true, ends.next().unwrap());
        assert_eq!(limit.bytes(), Some(2000));
        (0..7).for_each(|_| limit.took(2000));
        assert_eq!(limit.bytes(), Some(2000));
        limit.took(2000);
        assert_eq!(limit.bytes(), Some(4000));
        limit.took(8000);
        assert_eq!(limit.bytes(), None);
    }

    #[test]
    fn small_requests_prove_nothing() {
        let mut limit = RequestLimit::default();
        limit.closed_on(4000, true, ends().next().unwrap());
        (0..1000).for_each(|_| limit.took(1000));
        assert_eq!(limit.bytes(), Some(2000));
    }

    #[test]
    fn of_all_that_was_in_flight_the_largest_is_the_suspect() {
        let (mut limit, mut ends) = (RequestLimit::default(), ends());
        let end = ends.next().unwrap();
        [100, 8000, 8000, 300].into_iter().for_each(|request| limit.closed_on(request, true, end));
        assert_eq!(limit.bytes(), Some(4000), "one end counts once");
        let end = ends.next().unwrap();
        [3000, 9000].into_iter().for_each(|request| limit.closed_on(request, true, end));
        assert_eq!(limit.bytes(), Some(4000), "what was too large before tells nothing new");
        limit.closed_on(3000, true, ends.next().unwrap());
        assert_eq!(limit.bytes(), Some(1500));
        limit.closed_on(1, true, ends.next().unwrap());
        assert_eq!(limit.bytes(), Some(1), "one batch a request goes always");
    }

    #[test]
    fn a_single_batch_is_a_suspect_only_beside_several() {
        let (mut limit, mut ends) = (RequestLimit::default(), ends());
        limit.closed_on(500, false, ends.next().unwrap());
        assert_eq!(limit.bytes(), None);
        for order in [[(900, false), (600, true)], [(600, true), (900, false)]] {
            let (mut limit, end) = (RequestLimit::default(), ends.next().unwrap());
            order.into_iter().for_each(|(request, several)| limit.closed_on(request, several, end));
            limit.took(899);
            assert_eq!(limit.bytes(), Some(450), "{order:?}");
        }
    }

    #[test]
    fn what_was_refused_before_stands() {
        let (mut limit, mut ends) = (RequestLimit::default(), ends());
        limit.closed_on(8000, true, ends.next().unwrap());
        limit.closed_on(3000, true, ends.next().unwrap());
        limit.closed_on(2000, false, ends.next().unwrap());
        limit.took(3000);
        assert_eq!(limit.bytes(), Some(4000), "the second end had another cause");
        limit.took(8000);
        assert_eq!(limit.bytes(), None);
    }

    /// As in the simulator's plan `bulk`.
    #[test]
    fn what_tells_nothing_new_is_remembered() {
        let (mut limit, mut ends) = (RequestLimit::default(), ends());
        limit.closed_on(900, true, ends.next().unwrap());
        (0..2).for_each(|_| limit.closed_on(4600, true, ends.next().unwrap()));
        assert_eq!(limit.bytes(), Some(450));
        limit.took(912);
        assert_eq!(limit.bytes(), Some(2300));
    }
}
